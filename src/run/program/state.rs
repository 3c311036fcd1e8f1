//! What the thread that reads a program's output and the threads that look at the program share.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::wait::WaitStatus;

use crate::run::transcript::Transcript;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// Wakes the pump.
    pub(super) wake: EventFd,
}

impl Shared {
    /// For a program whose input goes to `input`.
    pub(super) fn new(input: Option<File>) -> nix::Result<Shared> {
        let state = State {
            transcript: Transcript::default(),
            input: input.map(Arc::new),
            pending: VecDeque::new(),
            closing: false,
            exited: None,
            used: Used::default(),
            exceeded: None,
            output: Shown::Coming,
            leave: false,
            fault: None,
        };
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Shared { state: Mutex::new(state), wake })
    }

    pub(super) fn nudge(&self) {
        // It fails only when the counter is full, and then the pump is awake.
        let _ = self.wake.write(1);
    }
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) transcript: Transcript,
    /// Where typed bytes go; `None` when there is no such place (any more).
    pub(super) input: Option<Arc<File>>,
    /// Typed, but not taken yet.
    pub(super) pending: VecDeque<u8>,
    /// Whether the input is to be closed after what is pending.
    pub(super) closing: bool,
    /// The process's end, and when.
    pub(super) exited: Option<(WaitStatus, Duration)>,
    /// What it and its children had used when it ended.
    pub(super) used: Used,
    /// What it had too much of, before it ended.
    pub(super) exceeded: Option<Exceeded>,
    pub(super) output: Shown,
    /// Whether the pump is to leave things as they are and end.
    pub(super) leave: bool,
    /// Why this process could not go on reading what the program shows.
    pub(super) fault: Option<String>,
}

/// What a program had used when it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// Bytes of memory, of the process of its that used most.
    pub(super) memory: u64,
    pub(super) cpu: Duration,
    /// The processes and threads that it had started, itself included, where that was asked for.
    pub(super) started: Option<u64>,
    /// Whether the kernel had to end processes for want of memory since it was started.
    pub(super) memory_was_short: bool,
}

/// What a program had too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exceeded {
    Output,
    Time,
    /// Processes and threads: how many it had at once.
    Processes(u64),
}

/// How far a program's output has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// There may be more.
    Coming,
    /// It has ended a while ago, but something that it left behind keeps its output open.
    Quiet,
    /// Every stream has come to its end.
    All,
}

impl State {
    /// Writes as much of what is pending as goes at once.
    pub(super) fn feed(&mut self) {
        while let (Some(input), false) = (&self.input, self.pending.is_empty()) {
            let (front, _) = self.pending.as_slices();
            match (&**input).write(front) {
                Ok(count) => drop(self.pending.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // No one reads there any more.
                Err(_) => {
                    self.pending.clear();
                    self.input = None;
                }
            }
        }
        if self.closing && self.pending.is_empty() {
            self.input = None;
        }
    }
}
