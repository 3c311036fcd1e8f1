//! Ending a program, and everything that it started.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::Program;
use super::state::{Exceeded, Shown};
use crate::run::clock::lock;
use crate::run::descriptors::pidfd;
use crate::run::outcome::{Ending, Run, Survivor};
use crate::run::processes;

/// How long a program that is to end may take after SIGTERM, and again after SIGHUP.
const GRACE: Duration = Duration::from_millis(500);

/// How long what a program leaves behind may take to end by itself before it counts as a survivor:
/// helpers that end when they notice that their parent has gone, on whatever machine.
const AFTERLIFE: Duration = Duration::from_secs(3);

/// For what takes no time unless something is wrong with this machine.
const PATIENCE: Duration = Duration::from_secs(5);

impl Program {
    /// Its time is up: unless it has ended already, it is told to end, and counts as hung however it ends
    /// from here on.
    pub fn time_up(&self) {
        let mut state = lock(&self.shared.state);
        if state.exited.is_none() && state.exceeded.is_none() {
            state.exceeded = Some(Exceeded::Time);
            let _ = killpg(self.pid, Signal::SIGTERM);
        }
    }

    /// Ends it, if it has not ended, and everything that it left behind.
    pub fn finish(mut self) -> Run {
        let late = lock(&self.shared.state).exceeded == Some(Exceeded::Time);
        let ending = match self.ending() {
            _ if late => self.end(),
            Some(ending) => ending,
            None => {
                let _ = killpg(self.pid, Signal::SIGKILL);
                self.wait_exit(PATIENCE);
                Ending::Stopped
            }
        };
        if ending == Ending::Flooded {
            let _ = killpg(self.pid, Signal::SIGKILL);
            self.wait_exit(PATIENCE);
        }
        let by_itself = matches!(ending, Ending::Exited(_) | Ending::Signalled(_));
        let survivors = self.clear(if by_itself { AFTERLIFE } else { Duration::ZERO });
        self.clock.wait_patiently(PATIENCE, || (lock(&self.shared.state).output == Shown::All).then_some(()));
        self.leave();
        self.finished = true;
        let mut state = lock(&self.shared.state);
        Run {
            transcript: std::mem::take(&mut state.transcript),
            ending,
            // What a program that had to be ended had started is part of it, not left behind.
            survivors: if by_itself { survivors } else { Vec::new() },
            started: self.started,
            ended: state.exited.map_or_else(|| self.clock.now(), |(_, at)| at),
        }
    }

    /// Ends a program whose time is up.
    fn end(&self) -> Ending {
        for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL] {
            let _ = killpg(self.pid, signal);
            // One that is stopped takes no other signal.
            let _ = killpg(self.pid, Signal::SIGCONT);
            let patience = if signal == Signal::SIGKILL { PATIENCE } else { GRACE };
            if self.wait_exit(patience) {
                return Ending::Hung(signal);
            }
        }
        Ending::Hung(Signal::SIGKILL)
    }

    fn wait_exit(&self, patience: Duration) -> bool {
        self.clock.wait_patiently(patience, || lock(&self.shared.state).exited.map(drop)).is_some()
    }

    /// Kills what the program left behind, and says what it was. Where it may end by itself, it is
    /// given that time first.
    fn clear(&self, afterlife: Duration) -> Vec<Survivor> {
        let look = || self.others();
        let mut left = look();
        if !left.is_empty() && !afterlife.is_zero() {
            let until = self.clock.now() + afterlife;
            self.clock.watch(until, || {
                left = look();
                left.is_empty().then_some(())
            });
        }
        let mut survivors = BTreeMap::new();
        if let Some(inside) = self.process.as_ref().and_then(|process| process.inside.as_ref()) {
            survivors.extend(left.iter().map(|&pid| (pid, processes::command_line(pid))));
            // Else not even SIGKILL ended the program, and waiting for it is no use.
            if lock(&self.shared.state).exited.is_some() {
                inside.kill_all();
            }
            left.clear();
        }
        let until = Instant::now() + PATIENCE;
        while !left.is_empty() && Instant::now() < until {
            let mut dying = Vec::new();
            for &pid in &left {
                survivors.entry(pid).or_insert_with(|| processes::command_line(pid));
                // One that has ended can be neither watched nor killed; one that cannot be watched for another
                // reason is killed all the same, and looked for again.
                let death = pidfd(Pid::from_raw(pid));
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                dying.extend(death);
            }
            for death in dying {
                let patience = PATIENCE.try_into().unwrap_or(PollTimeout::NONE);
                let _ = poll(&mut [PollFd::new(death.as_fd(), PollFlags::POLLIN)], patience);
            }
            left = look();
        }
        survivors.into_iter().map(|(pid, command)| Survivor { pid, command }).collect()
    }

    /// What it has started, and what that has, as far as it runs; known for sure on an isolated computer.
    pub(in crate::run) fn others(&self) -> BTreeSet<i32> {
        match self.process.as_ref().and_then(|process| process.inside.as_ref()) {
            Some(inside) => inside.others(),
            None => processes::relatives(self.pid.as_raw(), &self.tag),
        }
    }

    /// Ends the pump.
    fn leave(&mut self) {
        lock(&self.shared.state).leave = true;
        self.shared.nudge();
        if let Some(pump) = self.pump.take() {
            // It does not panic; and if it did, there is no more to be had from it.
            let _ = pump.join();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let is_watched = self.pump.is_some() || self.finished;
        if !self.finished {
            if lock(&self.shared.state).exited.is_none() {
                let _ = killpg(self.pid, Signal::SIGKILL);
                if is_watched {
                    self.wait_exit(PATIENCE);
                } else {
                    let _ = waitid(Id::Pid(self.pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
                }
            }
            self.clear(Duration::ZERO);
            self.leave();
        }
        if is_watched && lock(&self.shared.state).exited.is_none() {
            // Not even SIGKILL ended it, so waiting for it (as its drop would) is no use.
            std::mem::forget(self.process.take());
        }
    }
}
