//! One program under test: what bounds it, what it showed, how it ended.
//!
//! A program runs as the leader of a session (setsid(2)) with a pseudo-terminal of its own, also where
//! pipes stand in for its streams. A thread of its own takes in everything it shows at once, so that it
//! is never held up by us. What always holds: when [`Program::finish`] returns, or a [`Program`] is
//! dropped, neither it nor anything it started is left.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, tcgetattr, tcsetattr};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getpid, pipe2};

use crate::run::clock::{Clock, Waited, lock};
use crate::run::command::{Spec, Values};
use crate::run::processes;
use crate::run::sockets;
use crate::run::spawn::{Image, Process, close_on_exec, executable, spawn, without_copies};
use crate::run::transcript::{Stream, Transcript};

/// What a program under test may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For a whole session, or for a program that runs alone.
    pub time: Duration,
    /// Bytes shown, stdout and stderr together.
    pub output: usize,
    /// Bytes of address space (`RLIMIT_AS`).
    pub address_space: Option<u64>,
    /// Time on a processor, rounded up to seconds (`RLIMIT_CPU`).
    pub cpu: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { time: Duration::from_secs(10), output: 16 << 20, address_space: None, cpu: None }
    }
}

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
    /// It showed more than it may, and was killed.
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

/// Where a program's standard input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Its terminal.
    Terminal,
    /// A pipe.
    Pipe,
    /// `/dev/null`.
    Nothing,
}

/// Where a program's standard output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// To its terminal.
    Terminal,
    /// Into a pipe.
    Pipe,
}

/// Where a program's standard error goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errors {
    /// Into a pipe of its own.
    Apart,
    /// To its terminal, among its output.
    Terminal,
}

/// Where a program's three streams go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    /// Standard input.
    pub input: Input,
    /// Standard output.
    pub output: Output,
    /// Standard error.
    pub errors: Errors,
}

impl Streams {
    /// All three at the terminal, as a person has it.
    pub const TERMINAL: Streams =
        Streams { input: Input::Terminal, output: Output::Terminal, errors: Errors::Terminal };
}

/// How long a program that is to end may take after SIGTERM, and again after SIGHUP.
const GRACE: Duration = Duration::from_millis(500);

/// How long what a program leaves behind may take to end by itself before it counts as a survivor:
/// helpers that end when they notice that their parent has gone, on whatever machine.
const AFTERLIFE: Duration = Duration::from_secs(3);

/// How long the output of a program that has ended is waited for, where something keeps it open.
const SILENCE: Duration = Duration::from_secs(1);

/// How long a program that waits for its terminal may have other threads at work before it counts as
/// waiting all the same: some have one that never rests.
const RESTLESS: Duration = Duration::from_millis(150);

/// For what takes no time unless something is wrong with this machine.
const PATIENCE: Duration = Duration::from_secs(5);

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
    finished: bool,
    session: Arc<Mutex<processes::Session>>,
}

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

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the pump.
    wake: EventFd,
}

#[derive(Debug)]
struct State {
    transcript: Transcript,
    /// Where typed bytes go; `None` when there is no such place (any more).
    input: Option<Arc<File>>,
    /// Typed, but not taken yet.
    pending: VecDeque<u8>,
    /// Whether the input is to be closed after what is pending.
    closing: bool,
    /// The process's end, and when.
    exited: Option<(WaitStatus, Duration)>,
    /// What it had too much of, before it ended.
    exceeded: Option<Exceeded>,
    output: Shown,
    /// Whether the pump is to leave things as they are and end.
    leave: bool,
}

/// What a program had too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exceeded {
    Output,
    Time,
}

/// How far a program's output has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// There may be more.
    Coming,
    /// It has ended a while ago, but something that it left behind keeps its output open.
    Quiet,
    /// Every stream has come to its end.
    All,
}

impl State {
    /// Writes as much of what is pending as goes at once.
    fn feed(&mut self) {
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

impl Program {
    /// Starts the program of `spec`, its placeholders filled in with `values`. Its answers are not typed.
    ///
    /// A usage fault when there is no such program or it cannot be executed.
    pub fn start(
        spec: &Spec,
        values: &Values,
        streams: Streams,
        limits: &Limits,
        clock: &Clock,
    ) -> anyhow::Result<Program> {
        let words = spec.command.fill(values);
        let path = executable(&words[0], spec.dir.as_deref())?;
        let tag = new_tag();
        let image = Image::new(&path, &words, spec, &tag, limits)?;
        // What is executed stands in the image; this holds the streams.
        let mut command = Command::new(&path);
        let no_more = "this machine has no more files to give";
        let mut streams_in = Vec::new();
        let mut input = None;
        match streams.input {
            Input::Terminal => {}
            Input::Nothing => drop(command.stdin(Stdio::null())),
            Input::Pipe => {
                let (theirs, ours) = pipe2(OFlag::O_CLOEXEC).context(no_more)?;
                command.stdin(theirs);
                input = Some(unblocked(ours)?);
            }
        }
        if streams.output == Output::Pipe {
            let (ours, theirs) = pipe2(OFlag::O_CLOEXEC).context(no_more)?;
            command.stdout(theirs);
            streams_in.push((Stream::Screen, unblocked(ours)?));
        }
        if streams.errors == Errors::Apart {
            let (ours, theirs) = pipe2(OFlag::O_CLOEXEC).context(no_more)?;
            command.stderr(theirs);
            streams_in.push((Stream::Errors, unblocked(ours)?));
        }

        let started = clock.now();
        let (process, pid) =
            spawn(command, image).with_context(|| format!("cannot start {}", words[0].to_string_lossy()))?;
        let terminal = process.0.get_file_handle().context(no_more)?;
        close_on_exec(&terminal)?;
        if streams.input == Input::Terminal {
            input = Some(terminal.try_clone()?);
        }
        streams_in.push((Stream::Screen, terminal));

        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                transcript: Transcript::default(),
                input: input.map(Arc::new),
                pending: VecDeque::new(),
                closing: false,
                exited: None,
                exceeded: None,
                output: Shown::Coming,
                leave: false,
            }),
            wake: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
        });
        let mut program = Program {
            pid,
            tag,
            input: streams.input,
            started,
            clock: clock.clone(),
            shared: Arc::clone(&shared),
            pump: None,
            process: Some(process),
            finished: false,
            session: Arc::new(Mutex::new(processes::Session::of(pid.as_raw()))),
        };
        let pump = Pump {
            pid,
            death: pidfd(pid)?,
            streams: streams_in,
            shared,
            clock: clock.clone(),
            limit: limits.output,
        };
        program.pump = Some(thread::Builder::new().name("pump".to_owned()).spawn(move || pump.run())?);
        Ok(program)
    }

    /// Sets whether its terminal shows what is typed, and whether it passes it on by the line, for what is
    /// typed from now on. Both at first.
    pub fn set_terminal(&self, echo: bool, by_line: bool) -> anyhow::Result<()> {
        let Some(process) = &self.process else { return Ok(()) };
        let terminal = process.0.get_file_handle()?;
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
        let terminal = process.0.get_file_handle()?;
        let flags = OFlag::O_WRONLY | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        #[expect(unsafe_code, reason = "nix has no function for this ioctl")]
        // SAFETY: TIOCGPTPEER takes a number, and the file it returns belongs to no one else.
        let screen = unsafe {
            let file = libc::ioctl(terminal.as_raw_fd(), libc::TIOCGPTPEER, flags.bits());
            File::from(OwnedFd::from_raw_fd(Errno::result(file)?))
        };
        Ok((&screen).write(mark).is_ok_and(|count| count == mark.len()))
    }

    /// The ports on which it, or what it has started, listens.
    pub fn listens_on(&self) -> anyhow::Result<BTreeSet<u16>> {
        let mut pids = processes::relatives(self.pid(), &self.tag);
        pids.insert(self.pid());
        sockets::Sockets::open()?.listened_to_by(&pids)
    }

    /// Types `bytes` at it, or feeds them to its standard input. Does not wait until it takes them.
    pub fn type_bytes(&self, bytes: &[u8]) {
        if self.input == Input::Terminal && bytes.contains(&b'\n') {
            lock(&self.session).will_be_typed_at();
        }
        let mut state = lock(&self.shared.state);
        state.transcript.push(self.clock.now(), Stream::Typed, bytes);
        self.feed(state, bytes);
    }

    /// Types the end of input (Ctrl-D) at it, or closes its standard input.
    pub fn end_input(&self) {
        let mut state = lock(&self.shared.state);
        if self.input == Input::Terminal {
            self.feed(state, b"\x04");
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

    /// Looks at what was seen so far.
    pub fn view<T>(&self, look: impl FnOnce(&Transcript) -> T) -> T {
        look(&lock(&self.shared.state).transcript)
    }

    /// How it ended, if it has: by itself, or by showing too much.
    pub fn ending(&self) -> Option<Ending> {
        let state = lock(&self.shared.state);
        match state.exited {
            _ if state.exceeded == Some(Exceeded::Output) => Some(Ending::Flooded),
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

    /// Waits until it has ended.
    pub fn wait_end(&self, until: Duration) -> Waited<Ending> {
        self.clock.wait(until, || self.ending())
    }

    /// What its processes are doing.
    pub fn activity(&self) -> processes::Activity {
        lock(&self.session).activity()
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
        let mut since = None;
        self.clock.watch(until, || {
            let Some(activity) = watcher.activity() else { return Some(false) };
            if !activity.at_terminal || !watcher.took_all() {
                since = None;
                return None;
            }
            let since = *since.get_or_insert_with(Instant::now);
            (!activity.running || since.elapsed() > RESTLESS).then_some(true)
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
        let look = || processes::relatives(self.pid.as_raw(), &self.tag);
        let mut left = look();
        if !left.is_empty() && !afterlife.is_zero() {
            let until = self.clock.now() + afterlife;
            self.clock.watch(until, || {
                left = look();
                left.is_empty().then_some(())
            });
        }
        let mut survivors = BTreeMap::new();
        let until = Instant::now() + PATIENCE;
        while !left.is_empty() && Instant::now() < until {
            let mut dying = Vec::new();
            for &pid in &left {
                survivors.entry(pid).or_insert_with(|| processes::command_line(pid));
                // Gone already, if it cannot be watched.
                let Ok(death) = pidfd(Pid::from_raw(pid)) else { continue };
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                dying.push(death);
            }
            for death in dying {
                let patience = PATIENCE.try_into().unwrap_or(PollTimeout::NONE);
                let _ = poll(&mut [PollFd::new(death.as_fd(), PollFlags::POLLIN)], patience);
            }
            left = look();
        }
        survivors.into_iter().map(|(pid, command)| Survivor { pid, command }).collect()
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

impl Shared {
    fn nudge(&self) {
        // It fails only when the counter is full, and then the pump is awake.
        let _ = self.wake.write(1);
    }
}

/// The thread that takes in what a program shows, feeds it what is typed, and sees its end.
struct Pump {
    pid: Pid,
    death: OwnedFd,
    streams: Vec<(Stream, File)>,
    shared: Arc<Shared>,
    clock: Clock,
    limit: usize,
}

impl Pump {
    fn run(mut self) {
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
                    self.clock.ring();
                }
                Ok(_) | Err(Errno::EINTR) => {}
                // Out of memory; the deadline will end this session.
                Err(_) => return,
            }
            drop(files);
            drop(input);
            let _ = self.shared.wake.read();

            // The death first: what was shown before it is then read below.
            if alive && let Some(status) = self.death() {
                alive = false;
                silence = SILENCE.try_into().unwrap_or(PollTimeout::NONE);
                lock(&self.shared.state).exited = Some((status, self.clock.now()));
                self.clock.ring();
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
                self.clock.ring();
            }
        }
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

/// A tag that no other program under test has, here or in another harness.
fn new_tag() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    static BIRTH: LazyLock<u128> =
        LazyLock::new(|| SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos());
    format!("{}-{:x}-{};", getpid(), *BIRTH, NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn unblocked(file: OwnedFd) -> anyhow::Result<File> {
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(File::from(file))
}

/// A file that becomes readable when the process ends (`pidfd_open(2)`).
fn pidfd(pid: Pid) -> anyhow::Result<OwnedFd> {
    #[expect(unsafe_code, reason = "neither std nor nix wraps this call")]
    // SAFETY: the call takes two numbers, and the file it returns belongs to no one else.
    unsafe {
        let file = libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0);
        let file = i32::try_from(Errno::result(file).context("the process cannot be watched")?)?;
        Ok(OwnedFd::from_raw_fd(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::command::{Ready, Template};
    use crate::tools::needs;

    const SOON: Duration = Duration::from_secs(20);

    fn spec(command: &str) -> Spec {
        Spec {
            command: Template::command(command).expect("a command"),
            answers: Vec::new(),
            dir: None,
            env: Vec::new(),
            ready: Ready::Listening,
        }
    }

    fn shell(script: &str) -> Spec {
        spec(&format!("sh -c {}", shlex::try_quote(script).expect("no NUL")))
    }

    fn start(spec: &Spec, streams: Streams, limits: &Limits) -> Program {
        Program::start(spec, &Values::default(), streams, limits, &Clock::start()).expect("starts")
    }

    fn at_terminal(spec: &Spec) -> Program {
        start(spec, Streams::TERMINAL, &Limits::default())
    }

    fn shows(program: &Program, text: &str) -> bool {
        let find = |seen: &Transcript| memchr::memmem::find(seen.screen(), text.as_bytes()).map(drop);
        matches!(program.wait_for(SOON, find), Waited::Seen(Some(())))
    }

    fn lives(pid: i32) -> bool {
        // One that has ended and waits for its (new) parent to notice has no memory any more.
        std::fs::read_to_string(format!("/proc/{pid}/statm")).is_ok_and(|text| !text.starts_with("0 "))
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn a_program_at_a_terminal_shows_what_is_typed_and_what_it_writes_to_the_byte() {
        let program = at_terminal(&shell("printf 'name? '; read x; printf 'hi %s\\r\\n' \"$x\"; exit 3"));
        assert_eq!(program.wait_at_terminal(SOON), Waited::Seen(true));
        program.type_bytes("Zoë\n".as_bytes());
        assert_eq!(program.wait_end(SOON), Waited::Seen(Ending::Exited(3)));
        let run = program.finish();
        assert_eq!(text(run.transcript.screen()), "name? Zoë\nhi Zoë\r\n");
        assert_eq!(text(run.transcript.typed()), "Zoë\n");
        assert_eq!(run.ending, Ending::Exited(3));
        assert_eq!(run.survivors, []);
        assert!(run.started < run.ended);
    }

    #[test]
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
        assert_eq!(text(&shown), "one two");
    }

    #[test]
    fn streams_are_kept_apart_where_they_are_pipes() {
        let streams = Streams { input: Input::Pipe, output: Output::Pipe, errors: Errors::Apart };
        let program = start(
            &shell("cat; echo oops >&2; test -t 0 || test -t 1 || exit 4"),
            streams,
            &Limits::default(),
        );
        let long = vec![b'x'; 1 << 20];
        program.type_bytes(&long);
        program.end_input();
        assert_eq!(program.wait_end(SOON), Waited::Seen(Ending::Exited(4)));
        let run = program.finish();
        assert!(run.transcript.screen() == long);
        assert_eq!(text(run.transcript.errors()), "oops\n");
    }

    #[test]
    fn the_end_of_input_is_typed_at_a_terminal() {
        let program = at_terminal(&spec("cat"));
        program.type_bytes(b"one\n");
        program.end_input();
        assert_eq!(program.wait_end(SOON), Waited::Seen(Ending::Exited(0)));
        assert_eq!(text(program.finish().transcript.screen()), "one\none\n");
    }

    #[test]
    fn a_program_finds_a_plain_world_whatever_the_harness_was_started_in() {
        let program = at_terminal(&shell(
            "echo $TERM-$PYTHONUNBUFFERED; stty size; ls /proc/self/fd | wc -l; tail -1 /dev/null; \
             grep -E 'Sig(Blk|Ign)' /proc/self/status | cut -c 18-; ulimit -c; ulimit -Sn",
        ));
        assert_eq!(program.wait_end(SOON), Waited::Seen(Ending::Exited(0)));
        let screen = text(program.finish().transcript.screen());
        // ls has its own directory open, besides the three.
        // Of the signals, those up to 28 have names; the C library keeps others to itself.
        let (files, _) = crate::run::spawn::FILES.expect("the limit on open files");
        assert_eq!(screen, format!("dumb-\n24 80\n4\n0000000\n0000000\n0\n{files}\n"));
    }

    #[test]
    fn a_command_that_is_missing_or_cannot_be_executed_is_a_usage_fault() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = |name: &str, text: &str, mode| {
            use std::os::unix::fs::PermissionsExt;
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
            path.display().to_string()
        };
        let plain = place("plain", "#!/bin/sh\n", 0o644);
        let orphan = place("orphan", "#!/no/such/interpreter\n", 0o755);
        for command in ["no-such-command-at-all", "./no/such/file", "/", &plain, &orphan] {
            let error = Program::start(
                &spec(command),
                &Values::default(),
                Streams::TERMINAL,
                &Limits::default(),
                &Clock::start(),
            )
            .expect_err(command);
            assert_eq!(crate::error::exit(&error), crate::error::Exit::Usage, "{error:#}");
        }
    }

    #[test]
    fn a_relative_command_is_seen_from_the_directory_it_runs_in() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("sub")).expect("made");
        std::fs::copy("/bin/cat", dir.path().join("sub/mine")).expect("copied");
        std::fs::write(dir.path().join("note"), "found\n").expect("written");
        let program = at_terminal(&Spec { dir: Some(dir.path().to_owned()), ..spec("./sub/mine note") });
        assert_eq!(program.wait_end(SOON), Waited::Seen(Ending::Exited(0)));
        assert_eq!(text(program.finish().transcript.screen()), "found\n");
    }

    #[test]
    fn a_program_that_floods_is_killed_and_what_it_showed_is_bounded() {
        let limits = Limits { output: 100_000, ..Limits::default() };
        let program = start(&spec("yes"), Streams::TERMINAL, &limits);
        assert_eq!(program.wait_end(SOON), Waited::Seen(Ending::Flooded));
        let pid = program.pid();
        let run = program.finish();
        assert_eq!(run.ending, Ending::Flooded);
        assert!((100_000..300_000).contains(&run.transcript.screen().len()));
        assert!(!lives(pid));
    }

    #[test]
    fn what_was_half_written_when_time_was_up_is_kept() {
        let program = at_terminal(&shell("printf half; sleep 1000"));
        assert!(shows(&program, "half"));
        assert_eq!(program.wait_end(program.clock.now()), Waited::TimeUp);
        program.time_up();
        let run = program.finish();
        assert_eq!(
            (text(run.transcript.screen()), run.ending),
            ("half".to_owned(), Ending::Hung(Signal::SIGTERM))
        );
    }

    #[test]
    fn the_signal_that_ended_a_hung_program_is_told() {
        for (traps, signal) in [("TERM", Signal::SIGHUP), ("TERM HUP", Signal::SIGKILL)] {
            let program =
                at_terminal(&shell(&format!("trap '' {traps}; echo up; while :; do sleep 1000; done")));
            assert!(shows(&program, "up"));
            let pid = program.pid();
            program.time_up();
            assert_eq!(program.finish().ending, Ending::Hung(signal));
            assert!(!lives(pid));
        }
        let program = at_terminal(&shell("kill -STOP $$"));
        program.time_up();
        assert_eq!(program.finish().ending, Ending::Hung(Signal::SIGTERM));
    }

    #[test]
    fn a_signal_of_its_own_is_told_from_ours() {
        let program = at_terminal(&shell("kill -SEGV $$"));
        assert_eq!(program.wait_end(SOON), Waited::Seen(Ending::Signalled(Signal::SIGSEGV)));
        assert_eq!(program.finish().ending, Ending::Signalled(Signal::SIGSEGV));
    }

    #[test]
    fn a_grandchild_in_a_session_of_its_own_is_found_and_killed() {
        for streams in [Streams::TERMINAL, Streams { errors: Errors::Apart, ..Streams::TERMINAL }] {
            let program = start(
                &shell("(setsid sh -c 'trap \"\" TERM HUP; echo pid $$.; sleep 1000; :' &) ; sleep 0.2"),
                streams,
                &Limits::default(),
            );
            assert_eq!(program.wait_end(SOON), Waited::Seen(Ending::Exited(0)));
            let run = program.finish();
            let screen = text(run.transcript.screen());
            let pid: i32 = screen["pid ".len()..screen.find('.').expect("a pid")].parse().expect("a number");
            assert!(!lives(pid));
            assert!(run.survivors.iter().any(|survivor| survivor.pid == pid), "{:?}", run.survivors);
            assert!(
                run.survivors.iter().any(|survivor| survivor.command == "sleep 1000"),
                "{:?}",
                run.survivors
            );
        }
    }

    #[test]
    fn a_helper_that_ends_soon_after_its_parent_is_no_survivor() {
        let program = at_terminal(&shell("(sleep 0.1 &) ; echo done"));
        assert_eq!(program.wait_end(SOON), Waited::Seen(Ending::Exited(0)));
        assert_eq!(program.finish().survivors, []);
    }

    #[test]
    fn a_program_that_is_dropped_is_gone_with_all_it_started() {
        let program = at_terminal(&shell("setsid sleep 1000 & echo pid $!.; wait"));
        assert!(shows(&program, "."));
        let screen = program.view(|seen| text(seen.screen()));
        let pid: i32 = screen["pid ".len()..screen.find('.').expect("a pid")].parse().expect("a number");
        assert!(lives(pid));
        let leader = program.pid();
        drop(program);
        assert!(!lives(pid) && !lives(leader));
    }

    #[test]
    fn limits_bound_memory_and_processor_time() {
        if !needs(&["python3"]) {
            return;
        }
        let limits = Limits {
            address_space: Some(200 << 20),
            cpu: Some(Duration::from_millis(500)),
            ..Limits::default()
        };
        let greedy = start(&spec("python3 -c 'x = bytearray(1 << 30)'"), Streams::TERMINAL, &limits);
        assert_eq!(greedy.wait_end(SOON), Waited::Seen(Ending::Exited(1)));
        assert!(text(greedy.finish().transcript.screen()).contains("MemoryError"));
        let busy = start(&shell("while :; do :; done"), Streams::TERMINAL, &limits);
        assert_eq!(busy.wait_end(SOON), Waited::Seen(Ending::Signalled(Signal::SIGXCPU)));
    }

    #[test]
    fn a_program_that_waits_for_its_terminal_is_told_from_one_that_waits_for_something_else() {
        if !needs(&["python3"]) {
            return;
        }
        let wait =
            |how: &str| format!("python3 -c 'import os,sys,select,socket\na,b = socket.socketpair()\n{how}'");
        for how in [
            "sys.stdin.readline()",
            "input()",
            "select.select([0, a], [], [])",
            "p = select.poll(); p.register(0, 1); p.register(a, 1); p.poll()",
            "p = select.epoll(); p.register(0, 1); p.poll()",
        ] {
            let program = at_terminal(&spec(&wait(how)));
            assert_eq!(program.wait_at_terminal(SOON), Waited::Seen(true), "{how}");
        }
        for how in [
            "print(1); a.recv(1)",
            "print(1); select.select([a], [], [])",
            "print(1); a.settimeout(99); a.recv(1)",
        ] {
            let program = at_terminal(&spec(&wait(how)));
            assert!(shows(&program, "1"));
            let mut turns = None;
            let rests = program.clock.watch(SOON, || {
                let seen = program.watcher().activity().expect("it runs");
                let before = turns.replace(seen.turns);
                (!seen.running && before == Some(seen.turns)).then_some(seen)
            });
            assert!(!rests.seen().expect("it rests").at_terminal, "{how}");
        }
    }

    #[test]
    fn a_program_behind_a_shell_is_seen_waiting_too() {
        if !needs(&["python3"]) {
            return;
        }
        let program = at_terminal(&shell("python3 -c 'input()'; exit $?"));
        assert_eq!(program.wait_at_terminal(SOON), Waited::Seen(true));
    }
}
