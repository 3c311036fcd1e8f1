//! What a program has used, and the limits that it has reached, as the kernel tells.

use std::fs;
use std::mem::MaybeUninit;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use super::Program;
use super::state::{Exceeded, Used};
use crate::run::clock::lock;
use crate::run::limits::{Limits, Reached};
use crate::run::processes;

/// A program that uses less is not why a machine has no more memory.
const MODEST: u64 = 512 << 20;

impl Program {
    /// Ends it if it has too many processes.
    pub(super) fn bound_processes(&self) {
        let inside = self.process.as_ref().and_then(|process| process.inside.as_ref());
        let (Some(limit), Some(inside)) = (self.limits.processes, inside) else { return };
        let bound = bound(limit);
        let last = processes::last_pid();
        {
            let mut counted = lock(&self.counted);
            // The whole machine has not made enough since then.
            if last >= counted.0 && counted.1 + u64::from((last - counted.0).unsigned_abs()) < bound {
                return;
            }
            *counted = (last, inside.tasks(bound));
            if counted.1 < bound {
                return;
            }
        }
        let count = lock(&self.counted).1;
        lock(&self.shared.state).exceeded.get_or_insert(Exceeded::Processes(count));
        inside.kill();
    }

    /// How many processes and threads it had started when it ended, and how many it may run at once; `None` if it
    /// had started too few to be ended for that. One that starts them without end may end by itself, where it is
    /// refused one.
    pub fn swarm(&self) -> Option<(u64, u64)> {
        let started = lock(&self.shared.state).used.started?;
        self.limits.processes.filter(|limit| started >= bound(*limit)).map(|limit| (started, limit))
    }

    /// What it may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether it runs on a computer of its own.
    pub fn is_isolated(&self) -> bool {
        self.computer.as_ref().is_some_and(|computer| computer.is_isolated())
    }

    /// The limit that it has reached, if that is why it ended.
    pub fn reached(&self) -> Option<Reached> {
        let state = lock(&self.shared.state);
        let used = state.used;
        match state.exceeded {
            Some(Exceeded::Processes(count)) => {
                return Some(Reached::Processes(count, self.limits.processes.unwrap_or(count)));
            }
            Some(Exceeded::Output | Exceeded::Time) => return None,
            None => {}
        }
        let signal = match state.exited?.0 {
            WaitStatus::Signaled(_, signal, _) => Some(signal),
            // What a shell makes of a child that a signal ended.
            WaitStatus::Exited(_, status @ 129..) => Signal::try_from(status - 128).ok(),
            WaitStatus::Exited(_, 0) => return None,
            _ => None,
        };
        let seconds = self.limits.cpu.map(|time| time.as_secs() + u64::from(time.subsec_nanos() > 0));
        let memory = self.limits.address_space.filter(|limit| used.memory >= limit / 8 * 7);
        match (signal, seconds, memory) {
            (Some(Signal::SIGXCPU), Some(seconds), _) => Some(Reached::Cpu(seconds)),
            // One that ignores SIGXCPU is killed a second later.
            (Some(Signal::SIGKILL), Some(seconds), _) if used.cpu.as_secs() >= seconds => {
                Some(Reached::Cpu(seconds))
            }
            (Some(Signal::SIGXFSZ), ..) => Some(Reached::File(self.limits.file)),
            (Some(Signal::SIGKILL), ..) if used.memory_was_short => Some(Reached::Machine(used.memory)),
            (_, _, Some(limit)) => Some(Reached::Memory(used.memory, limit)),
            _ => None,
        }
    }

    /// Why its end says nothing of it, if so: this machine had too little memory for a program that uses as
    /// much as any.
    pub(super) fn was_sacrificed(&self) -> Option<String> {
        match self.reached() {
            Some(Reached::Machine(used)) if used < MODEST => Some(format!(
                "this machine has no more memory, and ended a program that used {} MiB",
                used >> 20
            )),
            _ => None,
        }
    }
}

/// So many processes and threads are too many, before the kernel refuses one.
fn bound(limit: u64) -> u64 {
    limit / 4 * 3
}

/// How many processes the kernel has ended for want of memory since it was booted (proc(5)).
pub(super) fn kills_for_memory() -> u64 {
    let counters = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let count = counters.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
    count.unwrap_or(0)
}

/// What `pid`, which has ended and was not waited for, has used; there had been `kills` for want of memory when
/// it was started.
pub(super) fn of_ended(pid: Pid, kills: u64) -> Used {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    #[expect(unsafe_code, reason = "only the system call itself tells what a process used and leaves it be")]
    // SAFETY: the kernel writes to the two structures, which are as large as it takes them to be, and for
    // which zeroes are values.
    let usage = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            libc::P_PID,
            pid.as_raw(),
            info.as_mut_ptr(),
            libc::WEXITED | libc::WNOHANG | libc::WNOWAIT,
            usage.as_mut_ptr(),
        );
        usage.assume_init()
    };
    let time = |time: libc::timeval| {
        let (seconds, micros) = (time.tv_sec.unsigned_abs(), time.tv_usec.unsigned_abs());
        Duration::from_secs(seconds) + Duration::from_micros(micros)
    };
    Used {
        // In KiB.
        memory: usage.ru_maxrss.unsigned_abs() << 10,
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        memory_was_short: kills_for_memory() > kills,
        started: None,
    }
}
