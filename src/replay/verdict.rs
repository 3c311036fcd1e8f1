//! What was found: the facts that a replay or a check comes to, without a word of how to tell them.
//!
//! What always holds: a verdict that is not a pass carries its evidence and the command that repeats
//! it. The words for all of it stand in `report`.

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::proxy::Wire;
use crate::replay::diff::Difference;
use crate::replay::drive::Drive;
use crate::replay::session;
use crate::results::{Outcome, Role};
use crate::run::program::{Ending, Survivor};

/// What is wrong with one session. Numbers of messages and lines count from 1.
#[derive(Clone, Debug)]
pub enum Flaw {
    /// The server ended before it listened.
    DiedAtStart,
    /// The server ran, and never listened.
    NeverListened,
    /// The client did not ask for this message.
    NotAsked(usize),
    /// The server did not show this message while it was waited for.
    NotShown(usize),
    /// A program did not end by itself.
    Hung(Role),
    /// A program showed more than it may.
    Flooded(Role),
    /// A program was ended by a signal of its own making.
    Crashed(Role, Signal),
    /// A program ended with this exit code, and 0 was due.
    Status(Role, i32),
    /// The log on the client's screen is not what was sent.
    Log(LogFlaw),
    /// The client ended as if all was well, and had not read all that the server sent.
    Unread,
    /// A screen is not its golden.
    Screen {
        /// Whose.
        who: Role,
        /// The golden's file.
        golden: PathBuf,
        /// What differs.
        difference: Difference,
    },
    /// A program left a process running.
    LeftBehind(Role, Survivor),
    /// After a cut: a program ended with an exit code other than 0 and no `error:` on its stderr.
    NoError(Role),
    /// After a cut: a program ended with an exit code other than 0, and said nothing.
    Silent(Role),
    /// After a cut: a program ended with exit code 0, and not all had reached it.
    TookForWhole(Role),
    /// After a cut: what a program showed is not how its golden begins.
    NotABeginning {
        /// Whose.
        who: Role,
        /// The golden's file.
        golden: PathBuf,
        /// What differs.
        difference: Difference,
    },
}

/// How the log on the client's screen differs from the messages that were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFlaw {
    /// It is not there.
    None,
    /// It ends after this many messages.
    Short {
        /// Messages in it.
        shown: usize,
        /// Messages sent.
        sent: usize,
    },
    /// It goes on after the last message.
    Long {
        /// Messages sent.
        sent: usize,
        /// What comes next, as shown.
        next: Vec<u8>,
    },
    /// Its line `number` is not that message.
    Different {
        /// Which line.
        number: usize,
        /// The message that was sent, as it must be shown.
        sent: Vec<u8>,
        /// What is shown.
        shown: Vec<u8>,
    },
}

impl Flaw {
    /// What it makes of its session.
    pub fn outcome(&self) -> Outcome {
        match self {
            Flaw::Flooded(_) => Outcome::Flooded,
            Flaw::NeverListened | Flaw::Hung(_) => Outcome::Hung,
            Flaw::DiedAtStart | Flaw::Crashed(..) => Outcome::Crashed,
            _ => Outcome::Fail,
        }
    }

    /// Whether it is a screen that differs from its golden and nothing worse: what blessing is for.
    pub fn is_screen(&self) -> bool {
        matches!(self, Flaw::Screen { .. })
    }
}

/// How one program ended.
#[derive(Clone, Debug)]
pub struct End {
    /// Which.
    pub who: Role,
    /// How.
    pub ending: Ending,
    /// How long it ran.
    pub ran: Duration,
    /// Its stderr, where that is kept apart from its screen.
    pub errors: Vec<u8>,
}

/// One session that is not as it must be.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Over which wire.
    pub wire: Wire,
    /// What is wrong, the likely cause first.
    pub flaws: Vec<Flaw>,
    /// How the programs ended.
    pub ends: Vec<End>,
    /// Whether a client was started at all.
    pub client_started: bool,
    /// The command that plays exactly this session again.
    pub again: String,
}

impl Failure {
    /// How the session came out: as its first flaw says.
    pub fn outcome(&self) -> Outcome {
        self.flaws.first().map_or(Outcome::Pass, Flaw::outcome)
    }
}

/// Why a case was not played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRun {
    /// The drive cannot bring these messages to this client.
    CannotCarry(String),
    /// The replay was stopped before.
    Stopped,
}

/// What came of one fixture with one drive over one wire.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The fixture's name.
    pub fixture: String,
    /// How the client was fed.
    pub drive: Drive,
    /// The wire as it was asked for; `every-split` and `every-cut` stand for many.
    pub wire: String,
    /// Why it was not played, if it was not.
    pub not_run: Option<NotRun>,
    /// How many sessions were played.
    pub sessions: usize,
    /// Those that are not as they must be.
    pub failures: Vec<Failure>,
    /// The command that makes the screens its goldens.
    pub accept: String,
    /// How long the sessions took, taken together.
    pub took: Duration,
    /// The sessions themselves, where they were asked for.
    pub played: Vec<(Wire, session::Outcome)>,
}

impl Verdict {
    /// How the case came out.
    pub fn outcome(&self) -> Outcome {
        if self.not_run.is_some() {
            return Outcome::NotRun;
        }
        self.failures.first().map_or(Outcome::Pass, Failure::outcome)
    }

    /// Whether its failures are screens that differ from their goldens, and nothing worse.
    pub fn is_acceptable(&self) -> bool {
        let acceptable = |failure: &Failure| failure.flaws.iter().all(Flaw::is_screen);
        !self.failures.is_empty() && self.failures.iter().all(acceptable)
    }

    /// The case's own name: drive and wire.
    pub fn case(&self) -> String {
        format!("{}::{}", self.drive, self.wire)
    }
}
