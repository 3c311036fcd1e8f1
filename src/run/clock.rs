//! The clock of a session, and waiting: for the thing itself, with a deadline, woken by events.
//!
//! What always holds: a wait is for the thing itself and has a deadline; it is never a sleep of a guessed
//! length. A stop (Ctrl-C) ends every wait.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{SigSet, Signal};

/// Whether everything is to stop; see [`stop`].
static STOPPED: AtomicBool = AtomicBool::new(false);

/// The clocks of all sessions, so that a stop wakes every one that waits.
static CLOCKS: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

/// Stops every session of this process at once: all that wait for something wake up and end.
pub fn stop() {
    STOPPED.store(true, Ordering::SeqCst);
    for clock in lock(&CLOCKS).iter().filter_map(Weak::upgrade) {
        clock.notify();
    }
}

/// Whether [`stop`] was called.
pub fn stopped() -> bool {
    STOPPED.load(Ordering::SeqCst)
}

/// From here on SIGINT, SIGTERM and SIGHUP stop every session instead of ending this process. To be
/// called before any other thread is started, and once.
pub fn stop_on_signals() -> anyhow::Result<()> {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
    signals.thread_block().context("signals cannot be blocked")?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        while signals.wait().is_ok() {
            stop();
        }
    })?;
    Ok(())
}

/// The clock of one session, and the notification that there is something new to look at.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    start: Instant,
    changes: Mutex<u64>,
    changed: Condvar,
}

impl Shared {
    fn notify(&self) {
        *lock(&self.changes) += 1;
        self.changed.notify_all();
    }
}

/// What came of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited<T> {
    /// What was waited for.
    Seen(T),
    /// Time was up first.
    TimeUp,
    /// Everything was stopped first.
    Stopped,
}

impl<T> Waited<T> {
    /// What was waited for, if it came.
    pub fn seen(self) -> Option<T> {
        match self {
            Waited::Seen(seen) => Some(seen),
            Waited::TimeUp | Waited::Stopped => None,
        }
    }
}

/// The first and the longest pause between two looks at something that cannot notify.
const LOOKS: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(2));

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Clock {
        let shared =
            Arc::new(Shared { start: Instant::now(), changes: Mutex::new(0), changed: Condvar::new() });
        let mut clocks = lock(&CLOCKS);
        clocks.retain(|clock| clock.strong_count() > 0);
        clocks.push(Arc::downgrade(&shared));
        Clock(shared)
    }

    /// The time by its clock.
    pub fn now(&self) -> Duration {
        self.0.start.elapsed()
    }

    /// Wakes everyone who waits.
    pub fn notify(&self) {
        self.0.notify();
    }

    /// Waits until `look` sees something, `until` that time by this clock at the latest. Looks again
    /// whenever it is notified.
    pub fn wait<T>(&self, until: Duration, look: impl FnMut() -> Option<T>) -> Waited<T> {
        self.wait_paced(until, None, look)
    }

    /// Like [`Clock::wait`], for what cannot notify, such as the kernel's tables: looks again after a short
    /// while, too.
    pub fn watch<T>(&self, until: Duration, look: impl FnMut() -> Option<T>) -> Waited<T> {
        self.wait_paced(until, Some(LOOKS.0), look)
    }

    fn wait_paced<T>(
        &self,
        until: Duration,
        mut pause: Option<Duration>,
        mut look: impl FnMut() -> Option<T>,
    ) -> Waited<T> {
        loop {
            let heard = *lock(&self.0.changes);
            if stopped() {
                return Waited::Stopped;
            }
            if let Some(seen) = look() {
                return Waited::Seen(seen);
            }
            let Some(left) = until.checked_sub(self.now()).filter(|left| !left.is_zero()) else {
                return Waited::TimeUp;
            };
            let changes = lock(&self.0.changes);
            let timeout = pause.map_or(left, |pause| pause.min(left));
            let (changes, result) = self
                .0
                .changed
                .wait_timeout_while(changes, timeout, |changes| *changes == heard)
                .unwrap_or_else(PoisonError::into_inner);
            drop(changes);
            let longer =
                |pause: Duration| if result.timed_out() { (pause * 2).min(LOOKS.1) } else { LOOKS.0 };
            pause = pause.map(longer);
        }
    }

    /// Waits for something that comes at once, and therefore also when everything was stopped: for no
    /// longer than `patience`, and until `look` sees it.
    pub fn wait_patiently<T>(&self, patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let until = Instant::now() + patience;
        loop {
            let heard = *lock(&self.0.changes);
            if let Some(seen) = look() {
                return Some(seen);
            }
            let left = until.checked_duration_since(Instant::now())?;
            let changes = lock(&self.0.changes);
            drop(self.0.changed.wait_timeout_while(changes, left, |changes| *changes == heard));
        }
    }
}

/// A panic elsewhere must not keep us from ending what runs.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
