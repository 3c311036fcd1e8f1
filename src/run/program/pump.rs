//! The thread that reads what a program shows, writes what is typed at it, and notices its end.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::state::{Exceeded, Shared, Shown, Used};
use super::usage;
use crate::run::clock::{Clock, lock};
use crate::run::computer::enter::Lifeline;
use crate::run::processes;
use crate::run::transcript::Stream;

/// How long the output of a program that has ended is waited for, where something keeps it open.
const SILENCE: Duration = Duration::from_secs(1);

/// A program that has started fewer processes and threads has reached no limit on them.
const FEW: i32 = 256;

/// What that thread works on.
pub(super) struct Pump {
    pub(super) pid: Pid,
    pub(super) death: OwnedFd,
    pub(super) streams: Vec<(Stream, File)>,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Clock,
    pub(super) limit: usize,
    /// How many processes the kernel had ended for want of memory before.
    pub(super) kills: u64,
    /// Who knows how many processes it has started.
    pub(super) lifeline: Option<Lifeline>,
}

impl Pump {
    pub(super) fn run(mut self) {
        // As much as a terminal gives at once.
        let mut buffer = [0; 4096];
        let mut shown = 0;
        let mut alive = true;
        let mut silence = PollTimeout::NONE;
        loop {
            let input = {
                let mut state = lock(&self.shared.state);
                state.feed();
                if state.leave || (state.output == Shown::All && state.exited.is_some()) {
                    return;
                }
                state.input.clone().filter(|_| !state.pending.is_empty())
            };
            let mut files = vec![PollFd::new(self.shared.wake.as_fd(), PollFlags::POLLIN)];
            files.extend(alive.then(|| PollFd::new(self.death.as_fd(), PollFlags::POLLIN)));
            files.extend(input.as_ref().map(|input| PollFd::new(input.as_fd(), PollFlags::POLLOUT)));
            files.extend(self.streams.iter().map(|(_, file)| PollFd::new(file.as_fd(), PollFlags::POLLIN)));
            match poll(&mut files, silence) {
                Ok(0) => {
                    silence = PollTimeout::NONE;
                    lock(&self.shared.state).output = Shown::Quiet;
                    self.clock.notify();
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => {
                    drop(files);
                    self.give_up(error);
                    return;
                }
            }
            drop(files);
            drop(input);
            let _ = self.shared.wake.read();

            // The death first: what was shown before it is then read below.
            if alive && let Some(status) = self.death() {
                alive = false;
                silence = SILENCE.try_into().unwrap_or(PollTimeout::NONE);
                let used = Used { started: self.started(), ..usage::of_ended(self.pid, self.kills) };
                let mut state = lock(&self.shared.state);
                state.used = used;
                state.exited = Some((status, self.clock.now()));
                drop(state);
                self.clock.notify();
            }
            let mut seen = false;
            let (shared, clock, limit) = (&self.shared, &self.clock, self.limit);
            self.streams.retain_mut(|(stream, file)| {
                read_all(file, &mut buffer, |piece| {
                    seen = true;
                    shown += piece.len();
                    lock(&shared.state).transcript.push(clock.now(), *stream, piece);
                    shown <= limit
                })
            });
            if shown > self.limit {
                lock(&self.shared.state).exceeded.get_or_insert(Exceeded::Output);
                let _ = killpg(self.pid, Signal::SIGKILL);
                self.streams.clear();
            }
            if self.streams.is_empty() {
                lock(&self.shared.state).output = Shown::All;
                seen = true;
            }
            if seen {
                self.clock.notify();
            }
        }
    }

    /// How many processes and threads it has started, itself included, if the whole machine has started as many
    /// as are worth the question.
    fn started(&self) -> Option<u64> {
        let since = processes::last_pid() - self.pid.as_raw();
        // Numbers begin again when there are no more.
        self.lifeline.as_ref().filter(|_| !(0..FEW).contains(&since))?.started()
    }

    /// Ends the program, because this machine can no longer tell what it shows.
    fn give_up(&self, error: Errno) {
        let _ = killpg(self.pid, Signal::SIGKILL);
        let end = waitid(Id::Pid(self.pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
        let mut state = lock(&self.shared.state);
        state.fault = Some(format!("the output of a program cannot be waited for: {error}"));
        state.exited = end.ok().map(|status| (status, self.clock.now()));
        state.output = Shown::All;
        drop(state);
        self.clock.notify();
    }

    /// The end of the process, if it has come. The process is left to be reaped, so that its number,
    /// and that of its group, are not given to others while we may still send signals to them.
    fn death(&self) -> Option<WaitStatus> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(self.pid), flags) {
            Ok(WaitStatus::StillAlive) | Err(_) => None,
            Ok(status) => Some(status),
        }
    }
}

/// Reads what is there now, for as long as `take` wants more of it. False: nothing will come any more.
///
/// A terminal that no process has open gives EIO. Before it does, the kernel looks for what was written,
/// and only then whether it is still open (Linux, `drivers/tty/n_tty.c`, `n_tty_read`): what was written
/// between the two, just before the last process closed it, is there for the next read, and would be
/// lost to one who took the first EIO for the end.
fn read_all(mut source: impl Read, buffer: &mut [u8], mut take: impl FnMut(&[u8]) -> bool) -> bool {
    let mut is_closed = false;
    loop {
        match source.read(buffer) {
            Ok(0) => return false,
            Ok(count) => {
                if !take(&buffer[..count]) {
                    return true;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
            Err(_) if is_closed => return false,
            Err(_) => is_closed = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[apply(test)]
    fn what_was_written_just_before_a_terminal_was_closed_is_read() {
        struct Terminal(VecDeque<io::Result<&'static [u8]>>);
        impl Read for Terminal {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.pop_front().expect("nothing is read behind the end")?.read(buffer)
            }
        }
        let closed = || Err(io::Error::from(Errno::EIO));
        let mut terminal = Terminal(VecDeque::from([Ok(&b"one "[..]), closed(), Ok(b"two"), closed()]));
        let mut shown = Vec::new();
        let is_open = read_all(&mut terminal, &mut [0; 8], |piece| {
            shown.extend_from_slice(piece);
            true
        });
        assert!(!is_open);
        assert_eq!(shown, b"one two");
    }
}
