//! How a program's part in a session came out: its transcript, its end, and what it left running.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::run::transcript::Transcript;

/// How a program under test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this exit status.
    Exited(i32),
    /// By a signal that the harness did not send.
    Signalled(Signal),
    /// Not by itself: time was up. It was sent SIGTERM, then SIGHUP, then SIGKILL; the one named
    /// here ended it, so SIGKILL means that it ignored the other two.
    Hung(Signal),
    /// It showed more than it may, or started more processes, and was killed.
    Flooded,
    /// The harness was stopped (Ctrl-C), or had no more use for it, while it still ran.
    Stopped,
}

impl Ending {
    /// Whether it ended by itself with exit status 0.
    pub fn is_success(&self) -> bool {
        *self == Ending::Exited(0)
    }
}

/// A process that was left behind by a program under test, and then killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivor {
    /// Its process id.
    pub pid: i32,
    /// Its command line, as far as it could be read.
    pub command: String,
}

/// One program's part in a session, from its start to its end.
#[derive(Clone, Debug)]
pub struct Run {
    /// What it showed, and what was typed.
    pub transcript: Transcript,
    /// How it ended.
    pub ending: Ending,
    /// What it left running.
    pub survivors: Vec<Survivor>,
    /// When it was started, from the start of the session.
    pub started: Duration,
    /// When it had ended, from the start of the session.
    pub ended: Duration,
}
