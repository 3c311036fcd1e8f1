//! One program under test, from its start to its end.
//!
//! A program runs as the leader of a session (setsid(2)) with a pseudo-terminal of its own, also where
//! pipes stand in for its streams. A thread of its own reads everything that it shows at once, so that it
//! never waits for this process. What always holds: when [`Program::finish`] returns, or a [`Program`] is
//! dropped, neither it nor anything it started is left.

mod end;
mod inspect;
mod pump;
mod start;
mod state;
#[cfg(test)]
mod tests;
mod usage;

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, tcgetattr, tcsetattr};
use nix::unistd::Pid;

pub use self::inspect::Watcher;
use self::state::{Shared, State};
use crate::run::clock::{Clock, lock};
use crate::run::computer::Computer;
pub use crate::run::limits::Limits;
pub use crate::run::outcome::{Ending, Run, Survivor};
use crate::run::processes;
use crate::run::spawn::{Process, without_copies};
pub use crate::run::streams::{Errors, Input, Output, Streams};
use crate::run::terminal;
use crate::run::transcript::Stream;

/// A program under test that was started.
#[derive(Debug)]
pub struct Program {
    pid: Pid,
    tag: String,
    input: Input,
    started: Duration,
    clock: Clock,
    shared: Arc<Shared>,
    pump: Option<JoinHandle<()>>,
    /// Reaps the process when dropped, so its number stays taken until then.
    process: Option<Process>,
    computer: Option<Arc<Computer>>,
    finished: bool,
    limits: Limits,
    /// The number that was last given to a process anywhere, and how many processes and threads it had, when
    /// they were last counted.
    counted: Mutex<(i32, u64)>,
    session: Arc<Mutex<processes::Session>>,
}

impl Program {
    /// The addresses at which it has listened so far, also when it has ended since; none where it does not run on
    /// an isolated computer.
    pub fn listened(&self) -> Vec<SocketAddr> {
        self.process.as_ref().map(|process| process.listened.addresses()).unwrap_or_default()
    }

    /// Sets whether its terminal shows what is typed, and whether it passes it on by the line, for what is
    /// typed from now on. Both at first.
    pub fn set_terminal(&self, echo: bool, by_line: bool) -> anyhow::Result<()> {
        let Some(process) = &self.process else { return Ok(()) };
        let terminal = process.terminal()?;
        let mut settings = tcgetattr(&terminal)?;
        settings.local_flags.set(LocalFlags::ECHO, echo);
        settings.local_flags.set(LocalFlags::ICANON, by_line);
        if !by_line {
            // A read waits for one byte, and for as long as it takes.
            settings.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
            settings.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        }
        tcsetattr(&terminal, SetArg::TCSANOW, &settings)?;
        Ok(())
    }

    /// Writes `mark` to its terminal behind everything that it has written there so far. When the mark
    /// stands in the transcript, all of that does, however late the kernel brought it. `false` when there
    /// is no room for it.
    pub fn mark_screen(&self, mark: &[u8]) -> anyhow::Result<bool> {
        let Some(process) = &self.process else { return Ok(false) };
        let screen = terminal::as_program(&process.terminal()?)?;
        Ok((&screen).write(mark).is_ok_and(|count| count == mark.len()))
    }

    /// This side of its terminal, if it reads that.
    fn keyboard(&self) -> Option<File> {
        self.process.as_ref().filter(|_| self.input == Input::Terminal)?.terminal().ok()
    }

    /// Types `bytes` at it, or feeds them to its standard input. Does not wait until it takes them.
    pub fn type_bytes(&self, bytes: &[u8]) {
        let keyboard = self.keyboard();
        if let Some(keyboard) = keyboard.as_ref().filter(|_| bytes.contains(&b'\n'))
            && let Ok(keyboard) = keyboard.try_clone()
        {
            lock(&self.session).will_be_typed_at(keyboard);
        }
        let mut state = lock(&self.shared.state);
        state.transcript.push(self.clock.now(), Stream::Typed, bytes);
        self.feed(state, bytes);
        keyboard.as_ref().map(terminal::has_unread);
    }

    /// Types the end of input (Ctrl-D) at it, or closes its standard input.
    pub fn end_input(&self) {
        let mut state = lock(&self.shared.state);
        if self.input == Input::Terminal {
            self.feed(state, b"\x04");
            self.keyboard().as_ref().map(terminal::has_unread);
        } else {
            state.closing = true;
            self.feed(state, b"");
            // A pipe ends with its last copy, and a child that is about to become another program has one.
            drop(without_copies());
        }
    }

    fn feed(&self, mut state: MutexGuard<State>, bytes: &[u8]) {
        state.pending.extend(bytes);
        state.feed();
        drop(state);
        self.shared.nudge();
    }
}
