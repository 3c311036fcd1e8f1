//! Looking at a program: what it showed, how it ended, what its processes do.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::anyhow;
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::sys::wait::WaitStatus;

use super::Program;
use super::state::{Exceeded, Shared, Shown};
use crate::error::Fault;
use crate::run::clock::{Clock, Waited, lock};
use crate::run::outcome::Ending;
use crate::run::processes;
use crate::run::quiet::AtTerminal;
use crate::run::sockets::Sockets;
use crate::run::streams::Input;
use crate::run::transcript::Transcript;

/// Looks at what a program is doing, for as long as anyone wants to know.
#[derive(Clone, Debug)]
pub struct Watcher {
    session: Arc<Mutex<processes::Session>>,
    shared: Arc<Shared>,
}

impl Watcher {
    /// What its processes are doing; `None` once it has ended.
    pub fn activity(&self) -> Option<processes::Activity> {
        let ended = lock(&self.shared.state).exited.is_some();
        (!ended).then(|| lock(&self.session).activity())
    }

    /// Whether everything that was typed went on its way.
    pub fn took_all(&self) -> bool {
        lock(&self.shared.state).pending.is_empty()
    }
}

impl Program {
    /// The ports on which it, or what it has started, listens.
    pub fn listens_on(&self) -> anyhow::Result<BTreeSet<u16>> {
        let mut pids = self.others();
        pids.insert(self.pid());
        let sockets = self.computer.as_ref().map_or_else(Sockets::open, |computer| computer.sockets())?;
        sockets.listened_to_by(&pids)
    }

    /// Looks at what was seen so far.
    pub fn view<T>(&self, look: impl FnOnce(&Transcript) -> T) -> T {
        look(&lock(&self.shared.state).transcript)
    }

    /// When its process ended, from the start of the session.
    pub fn ended_at(&self) -> Option<std::time::Duration> {
        lock(&self.shared.state).exited.map(|(_, at)| at)
    }

    /// How it ended, if it has: by itself, or by showing too much.
    pub fn ending(&self) -> Option<Ending> {
        let state = lock(&self.shared.state);
        match state.exited {
            _ if state.fault.is_some() => Some(Ending::Stopped),
            _ if matches!(state.exceeded, Some(Exceeded::Output | Exceeded::Processes(_))) => {
                Some(Ending::Flooded)
            }
            Some((WaitStatus::Exited(_, status), _)) => Some(Ending::Exited(status)),
            Some((WaitStatus::Signaled(_, signal, _), _)) => Some(Ending::Signalled(signal)),
            Some(_) | None => None,
        }
    }

    /// Waits until `look` sees something in what it showed, or it has ended and never will. `until` is a
    /// time by the clock of its clock.
    pub fn wait_for<T>(
        &self,
        until: Duration,
        mut look: impl FnMut(&Transcript) -> Option<T>,
    ) -> Waited<Option<T>> {
        self.clock.wait(until, || {
            // In this order, or its last words could be missed.
            let over = lock(&self.shared.state).output != Shown::Coming;
            match self.view(&mut look) {
                Some(seen) => Some(Some(seen)),
                None if over => Some(None),
                None => None,
            }
        })
    }

    /// An error when this machine could not go on reading what the program shows, or had no memory for it; it
    /// was ended then.
    pub fn check_sound(&self) -> anyhow::Result<()> {
        let fault = lock(&self.shared.state).fault.clone();
        match (fault, self.was_sacrificed()) {
            (Some(fault), _) => Err(anyhow!("{fault}")),
            // Others can be run all the same.
            (None, Some(why)) => Err(Fault::usage(why).into()),
            (None, None) => Ok(()),
        }
    }

    /// Waits until it has ended.
    pub fn wait_end(&self, until: Duration) -> Waited<Ending> {
        self.clock.wait(until, || self.ending())
    }

    /// What its processes are doing.
    pub fn activity(&self) -> processes::Activity {
        self.bound_processes();
        lock(&self.session).activity()
    }

    /// Whether it is on its way to its end, or has come to it and that was not noted yet.
    pub fn is_ending(&self) -> bool {
        lock(&self.session).is_ending()
    }

    /// Whether everything that was typed went on its way.
    pub fn took_all(&self) -> bool {
        lock(&self.shared.state).pending.is_empty()
    }

    /// To look at what it is doing from elsewhere.
    pub fn watcher(&self) -> Watcher {
        Watcher { session: Arc::clone(&self.session), shared: Arc::clone(&self.shared) }
    }

    /// Waits until it waits for its terminal, with nothing left of what was typed. `false` when it ended.
    pub fn wait_at_terminal(&self, until: Duration) -> Waited<bool> {
        let watcher = self.watcher();
        let mut terminal = AtTerminal::default();
        self.clock.watch(until, || {
            let Some(activity) = watcher.activity() else { return Some(false) };
            terminal.look(self.clock.now(), watcher.took_all(), &activity).then_some(true)
        })
    }

    /// Whether its terminal shows what is typed at it, as it does unless the program has turned that off.
    pub fn echoes(&self) -> bool {
        let state = lock(&self.shared.state);
        let input = state.input.as_ref().filter(|_| self.input == Input::Terminal);
        input.is_some_and(|file| {
            tcgetattr(&**file).is_ok_and(|settings| settings.local_flags.contains(LocalFlags::ECHO))
        })
    }

    /// The clock it plays on.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }
}
