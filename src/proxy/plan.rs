//! How a [`Wire`] steers one direction of a connection: when it may pass on how many bytes.
//!
//! A wire that holds bytes back does so until their sender has nothing more to send for now: until it
//! has ended this direction, or is quiet (see [`Quiet`]). A sender that waits for a reply is quiet, so
//! holding its bytes back cannot lead to a deadlock. A sender that is never quiet, such as one that polls in
//! a loop, is held back for [`HOLD`] after its last byte.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::flow::{BACKLOG, Flow, Mode};
use super::wire::{Direction, End, Wire};
use crate::run::processes::Activity;
use crate::run::quiet::{Quiet, State};

/// Between two looks at a sender.
pub(super) const LOOK: Duration = Duration::from_millis(2);
/// How long bytes are held back after the last one of a sender that is never quiet.
const HOLD: Duration = Duration::from_millis(250);

/// Looks at what a sender is doing.
pub type Look = Arc<dyn Fn() -> Seen + Send + Sync>;

/// What a look at a sender came to.
#[derive(Clone, Copy, Debug)]
pub enum Seen {
    /// More is on its way to it, or is going to be typed.
    Fed,
    /// Nothing is; this is what it does, or `None` where it has ended.
    Left(Option<Activity>),
}

/// How one direction of a connection is cut into pieces.
pub(super) enum Plan {
    Pass,
    Lump(Sender),
    Shuffle {
        sender: Sender,
        random: Random,
        /// How many bytes are left of the piece that is being sent.
        piece: usize,
    },
    Split {
        at: usize,
    },
    Cut {
        at: usize,
        by: End,
    },
}

/// What is to be done next with a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Its mode has changed: pass on again.
    Pass,
    /// The connection is to be cut.
    Cut(End),
    /// Nothing until something comes.
    Wait,
    /// Nothing until the sender is quiet.
    AwaitQuiet,
    /// Nothing until the receiver has read.
    AwaitDelivery,
}

impl Plan {
    /// The plan of `wire` for one direction of the `first` or a later connection, and the mode of its
    /// flow to begin with.
    pub(super) fn new(wire: Wire, direction: Direction, first: bool, look: &Look) -> (Plan, Mode) {
        let position = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        match wire {
            Wire::Drip => (Plan::Pass, Mode::Pieces(1)),
            Wire::Lump => (Plan::Lump(Sender::new(look)), Mode::Held),
            Wire::Shuffle(seed) => {
                let mut random = Random(seed ^ (direction as u64) << 63);
                let piece = random.piece();
                (Plan::Shuffle { sender: Sender::new(look), random, piece }, Mode::Held)
            }
            Wire::Split { toward, at } if first && toward == direction => {
                (Plan::Split { at: position(at) }, Mode::UpTo(position(at)))
            }
            Wire::Cut { toward, at, by } if first && toward == direction => {
                (Plan::Cut { at: position(at), by }, Mode::UpTo(position(at)))
            }
            Wire::Direct | Wire::Through | Wire::Split { .. } | Wire::Cut { .. } => (Plan::Pass, Mode::Open),
        }
    }

    /// Steers `flow` when nothing more can be passed on in its present mode. `delivered` tells whether
    /// the receiver has read all that was passed on.
    pub(super) fn step(
        &mut self,
        flow: &mut Flow,
        delivered: impl Fn(&mut Flow) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Next> {
        if flow.is_done() || flow.discards || flow.mode == Mode::Open {
            return Ok(Next::Wait);
        }
        if let Mode::Pieces(_) = flow.mode {
            return Ok(if flow.is_busy() && !flow.blocked { Next::AwaitDelivery } else { Next::Wait });
        }
        // What was allowed is on its way out.
        if flow.is_busy() {
            return Ok(Next::Wait);
        }
        let next = match self {
            Plan::Pass => Mode::Open,
            Plan::Split { at } | Plan::Cut { at, .. } if flow.passed < *at => return Ok(Next::Wait),
            Plan::Split { .. } if delivered(flow)? => Mode::Open,
            Plan::Cut { by, .. } if delivered(flow)? => return Ok(Next::Cut(*by)),
            Plan::Split { .. } | Plan::Cut { .. } => return Ok(Next::AwaitDelivery),
            Plan::Lump(_) | Plan::Shuffle { .. } if flow.waiting() == 0 && flow.end.is_some() => Mode::Open,
            Plan::Lump(_) | Plan::Shuffle { .. } if flow.waiting() == 0 => return Ok(Next::Wait),
            Plan::Lump(sender) => {
                if !sender.is_exhausted(flow) {
                    return Ok(Next::AwaitQuiet);
                }
                Mode::UpTo(flow.tape.len())
            }
            Plan::Shuffle { sender, random, piece } => {
                if matches!(flow.mode, Mode::UpTo(_)) && !delivered(flow)? {
                    return Ok(Next::AwaitDelivery);
                }
                flow.mode = Mode::Held;
                if flow.waiting() < *piece && !sender.is_exhausted(flow) {
                    return Ok(Next::AwaitQuiet);
                }
                let count = flow.waiting().min(*piece);
                *piece -= count;
                if *piece == 0 {
                    *piece = random.piece();
                }
                Mode::UpTo(flow.passed + count)
            }
        };
        flow.mode = next;
        Ok(Next::Pass)
    }
}

/// Whether the sender of a direction has nothing more to send for now.
pub(super) struct Sender {
    look: Look,
    quiet: Quiet,
    /// The length of the tape when it last grew, and when that was.
    length: usize,
    since: Instant,
    looked: Option<Instant>,
    /// The bytes before this position of the tape were its last ones for a while.
    exhausted: usize,
}

impl Sender {
    fn new(look: &Look) -> Self {
        Sender {
            look: Arc::clone(look),
            quiet: Quiet::brief(),
            length: 0,
            since: Instant::now(),
            looked: None,
            exhausted: 0,
        }
    }

    fn is_exhausted(&mut self, flow: &Flow) -> bool {
        let length = flow.tape.len();
        if length != self.length {
            (self.length, self.since) = (length, Instant::now());
            (self.quiet, self.looked) = (Quiet::brief(), None);
        }
        if flow.end.is_some() || flow.waiting() >= BACKLOG || self.is_quiet() {
            self.exhausted = length;
        }
        self.exhausted == length
    }

    fn is_quiet(&mut self) -> bool {
        let passed = self.since.elapsed();
        if passed >= HOLD {
            return true;
        }
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return false;
        }
        self.looked = Some(Instant::now());
        match (self.look)() {
            Seen::Fed => {
                self.quiet = Quiet::brief();
                false
            }
            Seen::Left(activity) => self.quiet.look(passed, false, &[activity]) != State::Active,
        }
    }
}

/// Random numbers that are the same everywhere for the same seed (`SplitMix64`, by Sebastiano Vigna).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// The length of a piece: one byte, a few, a message's worth, or many messages, equally often.
    pub(super) fn piece(&mut self) -> usize {
        let number = self.next();
        let span = |low: u64, high: u64| low + (number >> 2) % (high - low + 1);
        let length = match number % 4 {
            0 => 1,
            1 => span(2, 8),
            2 => span(9, 64),
            _ => span(65, 1024),
        };
        usize::try_from(length).unwrap_or(1)
    }
}
