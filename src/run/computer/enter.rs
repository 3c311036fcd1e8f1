//! How a program comes to run on an isolated computer.
//!
//! rexpect's child joins the computer's namespaces, makes a PID namespace, and in it two processes, which
//! become children of this process and not its own (`CLONE_PARENT`): the first, which only waits for its
//! end, and the program. So the program is watched, signalled and waited for as any other, by its number
//! out here. When the first process of a PID namespace ends, the kernel kills all that is in it.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, clone, setns, unshare};
use nix::sys::signal::{SigHandler, SigSet, Signal, kill, signal};
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, setsid};
use rustix::process::{DumpableBehavior, ioctl_tiocsctty, set_dumpable_behavior};

use super::holder::{self, NAMESPACES};
use super::{Computer, privileges, work};
use crate::run::descriptors::close_all_but;
use crate::run::processes;

/// The stack of a process until it executes its program, in bytes.
const STACK: usize = 256 << 10;

/// How long the first process may take to answer, which does nothing else.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to the first process of a program's PID namespace, which ends when it is closed.
#[derive(Clone, Debug)]
pub struct Lifeline(Arc<UnixStream>);

impl Lifeline {
    /// Both ends: this process's, and the first process's.
    pub fn pair() -> anyhow::Result<(Lifeline, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(PATIENCE))?;
        Ok((Lifeline(Arc::new(ours)), theirs))
    }

    /// How many processes and threads the program has started so far, itself included, also those that have
    /// ended; `None` where the first process does not say.
    pub fn started(&self) -> Option<u64> {
        let mut answer = [0; 4];
        (&*self.0).write_all(&[0]).and_then(|()| (&*self.0).read_exact(&mut answer)).ok()?;
        // The first process has the first number.
        u64::try_from(i32::from_ne_bytes(answer)).ok()?.checked_sub(1)
    }
}

/// The processes of a program on an isolated computer, as this process sees them.
#[derive(Debug)]
pub struct Inside {
    /// The first process of its PID namespace.
    init: Pid,
    /// The program, unless it could not be started.
    program: Option<Pid>,
    /// Where the first process answers.
    pub lifeline: Lifeline,
    reaped: AtomicBool,
}

impl Inside {
    /// The processes `init`, at the other end of `lifeline`, and `program`.
    pub fn new(init: Pid, program: Option<Pid>, lifeline: Lifeline) -> Inside {
        Inside { init, program, lifeline, reaped: AtomicBool::new(false) }
    }

    /// The program's processes, without itself and those that have ended: all that it started, and all
    /// that they did.
    pub fn others(&self) -> BTreeSet<i32> {
        let mut found = self.processes(u64::MAX).0;
        found.retain(|pid| ![Some(self.init), self.program].contains(&Some(Pid::from_raw(*pid))));
        found
    }

    /// How many processes and threads the program has now, itself included, counted no further than `enough`.
    pub fn tasks(&self, enough: u64) -> u64 {
        self.processes(enough).1
    }

    /// The first process, the program and all that it started, and how many threads they have without the first
    /// process's; no more of them than have `enough` threads.
    fn processes(&self, enough: u64) -> (BTreeSet<i32>, u64) {
        let mut parents: Vec<i32> =
            [Some(self.init), self.program].into_iter().flatten().map(Pid::as_raw).collect();
        let mut found: BTreeSet<i32> = parents.iter().copied().collect();
        let mut tasks = 0;
        while let Some(parent) = parents.pop().filter(|_| tasks < enough) {
            let threads = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
            for thread in threads {
                tasks += u64::from(parent != self.init.as_raw());
                let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
                for child in children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()) {
                    if is_alive(child) && found.insert(child) {
                        parents.push(child);
                    }
                }
            }
        }
        (found, tasks)
    }

    /// Kills everything.
    pub fn kill(&self) {
        if !self.reaped.load(Ordering::SeqCst) {
            let _ = kill(self.init, Signal::SIGKILL);
        }
    }

    /// Kills everything, and waits for its end.
    pub fn kill_all(&self) {
        if !self.reaped.swap(true, Ordering::SeqCst) {
            let _ = kill(self.init, Signal::SIGKILL);
            // The first process ends last: the kernel waits for the others, and for this process to take
            // note of the program's end.
            for pid in [self.program, Some(self.init)].into_iter().flatten() {
                let _ = waitpid(pid, None);
            }
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.kill_all();
    }
}

/// A process that has memory is alive, and this is soon told; one whose main thread has ended shows none, and may be
/// alive.
fn is_alive(pid: i32) -> bool {
    let memory = fs::read_to_string(format!("/proc/{pid}/statm"));
    memory.is_ok_and(|text| !text.starts_with("0 ")) || !processes::has_ended(pid)
}

/// In rexpect's child: starts the two processes on the computer of `namespaces`. The second one calls
/// `become_program` with its terminal; the first one ends when the other end of `lifeline` is closed.
/// `tell` is given their numbers out here.
pub(in crate::run) fn enter(
    namespaces: impl AsFd,
    lifeline: &UnixStream,
    tell: impl Fn(i32),
    mut become_program: impl FnMut(&OwnedFd) -> Infallible,
) -> nix::Result<()> {
    let terminal = open(c"/dev/tty", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    leave(&terminal)?;
    setns(namespaces, NAMESPACES)?;
    unshare(CloneFlags::CLONE_NEWPID)?;
    tell(sibling(|| answer_until_closed(lifeline))?.as_raw());
    tell(sibling(|| match become_program(&terminal) {})?.as_raw());
    Ok(())
}

/// In the second process: makes `terminal` its own, shows it the processes of its own namespace only, and a
/// working directory that only it sees.
pub(in crate::run) fn settle(terminal: &OwnedFd, computer: &Computer) -> nix::Result<()> {
    setsid()?;
    ioctl_tiocsctty(terminal).map_err(privileges::errno)?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>)?;
    if let Some(original) = &computer.copied {
        work::set_up(original)?;
    }
    // Where memory is short, it goes before whoever watches it.
    fs::write("/proc/self/oom_score_adj", "1000").map_err(|_| Errno::EIO)
}

/// In the second process: becomes the user that programs are here.
pub(in crate::run) fn give_up_privileges() -> nix::Result<()> {
    privileges::give_up(holder::owner().is_some())
}

/// Gives up this session's terminal, so that another session can have it.
fn leave(terminal: &OwnedFd) -> nix::Result<()> {
    // The kernel sends it to the session that loses its terminal.
    ignore(Signal::SIGHUP)?;
    #[expect(unsafe_code, reason = "neither nix nor rustix wraps this ioctl")]
    // SAFETY: it has no argument.
    let left = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCNOTTY) };
    Errno::result(left).map(drop)
}

fn ignore(number: Signal) -> nix::Result<()> {
    #[expect(unsafe_code, reason = "signal(2) is unsafe for the handlers it can install")]
    // SAFETY: no handler is installed.
    unsafe { signal(number, SigHandler::SigIgn) }.map(drop)
}

/// Starts a copy of this process that does `work` and is a child of its parent.
fn sibling(mut work: impl FnMut()) -> nix::Result<Pid> {
    let mut stack = vec![0; STACK];
    let run = Box::new(|| {
        work();
        0
    });
    #[expect(unsafe_code, reason = "fork(2) cannot choose the parent")]
    // SAFETY: the memory is not shared, so that each has a stack of its own, and this process has one
    // thread only.
    unsafe {
        clone(run, &mut stack, CloneFlags::CLONE_PARENT, Some(Signal::SIGCHLD as i32))
    }
}

/// What the first process of a PID namespace does: for each byte it says which number a process or thread of the
/// namespace was given last.
fn answer_until_closed(mut lifeline: &UnixStream) {
    // Its children have to be waited for by no one then.
    let alone = ignore(Signal::SIGCHLD)
        .and_then(|()| SigSet::all().thread_set_mask())
        .and_then(|()| close_all_but(lifeline.as_raw_fd()));
    // It has a copy of all that this process had in its memory.
    let hidden = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if alone.is_ok() && hidden.is_ok() {
        while lifeline.read_exact(&mut [0]).is_ok() {
            let last = processes::last_pid().to_ne_bytes();
            if lifeline.write_all(&last).is_err() {
                return;
            }
        }
    }
}
