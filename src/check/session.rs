//! A scene: one server, one client and the line between them, while a session is being played; and the
//! waiting for what they do.
//!
//! Nothing here waits for a length of time that was guessed. A wait ends when the thing itself has
//! happened, or when it can be seen that it will not: everybody sleeps until something comes from
//! outside and nothing is under way, or a program has spent its time on a processor and shown nothing
//! for it. Only for a program that sleeps for a time of its own choice does the clock decide. So a busy
//! machine changes how long a verdict takes, and not what it is.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use tempfile::TempDir;

use super::submission::Submission;
use crate::proxy::{Config, Mode, Proxy};
use crate::run::clock::{self, Clock};
use crate::run::command::PROFILE;
use crate::run::command::{Ready, Spec, Template, Values};
use crate::run::port::Port;
use crate::run::program::{Ending, Input, Limits, Program, Streams};
use crate::run::sockets::{self, Sockets};

/// For how long nothing must have moved, and nobody must have been seen to run, before it is taken that
/// nothing will. Programs that sleep until something comes from outside need none of it; it is for what
/// is on its way to a program through the kernel's own threads.
const STILL: Calm = Calm { time: Duration::from_millis(150), looks: 50 };
/// The same before the next line is typed.
const SETTLED: Calm = Calm { time: Duration::from_millis(1), looks: 2 };
/// The same at a program that cannot be seen to wait for its terminal.
const UNSEEN: Calm = Calm { time: Duration::from_millis(120), looks: 30 };
/// The same before bytes that were held back go on as one segment.
const SENT: Calm = Calm { time: Duration::from_millis(3), looks: 3 };
/// How long the kernel may take to bring what has been written already. It always does; on a machine
/// that is busy enough, not soon.
const BROUGHT: Duration = Duration::from_secs(60);
/// How long a program may run on a processor while nothing comes of it.
const BUSY: Duration = Duration::from_secs(2);
/// What patience shrinks to with a submission that has used it up again and again.
const LEAST_PATIENCE: Duration = Duration::from_millis(1500);
/// How often patience goes into the time after which a wait is given up whatever is going on.
const AT_MOST: u32 = 6;
/// How much of the time between two looks counts as slept through.
const LOOK: Duration = Duration::from_millis(5);
/// For how long the kernel remembers a closed connection (`TCP_TIMEWAIT_LEN`), and some more.
const FORGOTTEN: Duration = Duration::from_secs(65);
/// How much a program may show when hardly anything is asked of it.
const FLOOD: usize = 256 << 10;

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// What was waited for has happened.
    Met,
    /// It has not, and all sleep until something comes from outside, or have ended.
    Still,
    /// It has not, and a program has used up its time on a processor.
    Busy,
    /// It has not, and a program shows or sends more than anyone would read.
    Flooded,
    /// It has not, and time was up.
    Late,
}

/// For how long nothing has moved, in time and in looks at it: where this process is not let run, time
/// goes by in which nothing could have been seen.
#[derive(Clone, Copy, Debug)]
struct Calm {
    time: Duration,
    looks: u32,
}

impl Calm {
    const NONE: Calm = Calm { time: Duration::ZERO, looks: 0 };

    fn reaches(self, other: Calm) -> bool {
        self.time >= other.time && self.looks >= other.looks
    }
}

/// How a program is to be fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyboard {
    /// At its terminal, line by line; what is typed is not shown there, so that all that is shown is its
    /// own.
    Lines,
    /// The same without the terminal's limit of 4,095 bytes a line.
    LongLines,
    /// Through a pipe, which can come to an end that lasts.
    Pipe,
}

/// One program in a scene.
#[derive(Debug)]
pub struct Actor {
    program: Program,
    /// How often it had been on a processor when a line was last typed.
    typed_at: Cell<u64>,
    /// What it is called in evidence.
    pub role: &'static str,
    /// Whether anything was typed at it before the session.
    pub was_answered: bool,
}

impl Actor {
    /// All that it has shown.
    pub fn screen(&self) -> Vec<u8> {
        self.since(0)
    }

    /// What it has shown after the first `mark` bytes.
    pub fn since(&self, mark: usize) -> Vec<u8> {
        self.program.view(|transcript| transcript.screen().get(mark..).unwrap_or_default().to_vec())
    }

    /// How much it has shown.
    pub fn shown(&self) -> usize {
        self.program.view(|transcript| transcript.screen().len())
    }

    /// How it ended, if it has.
    pub fn ending(&self) -> Option<Ending> {
        self.program.ending()
    }

    /// Types a line.
    pub fn type_line(&self, line: &str) {
        self.typed_at.set(self.program.activity().turns);
        self.program.type_bytes(format!("{line}\n").as_bytes());
    }

    /// Ends its input.
    pub fn end_input(&self) {
        self.program.end_input();
    }

    /// The ports on which it listens.
    pub fn ports(&self) -> Vec<u16> {
        // Only evidence depends on it, and that can do without.
        self.program.listens_on().unwrap_or_default().into_iter().collect()
    }
}

/// What is the same for all scenes of one submission.
#[derive(Debug)]
pub struct Theatre<'a> {
    submission: &'a Submission,
    /// The copy of the submission that was built.
    built: Option<TempDir>,
    limits: Limits,
    /// Addresses of this machine.
    pub addresses: Vec<IpAddr>,
    patience: Cell<Duration>,
    sockets: Sockets,
    fixed: Option<Port>,
}

impl<'a> Theatre<'a> {
    /// Copies and builds `submission`. An error that is not this machine's is the submission's own.
    pub fn open(submission: &'a Submission, limits: &Limits, build_time: Duration) -> Result<Self> {
        let built = match &submission.dir {
            Some(dir) => {
                let copy = tempfile::tempdir().context("cannot make a working directory")?;
                copy_tree(dir, copy.path()).with_context(|| format!("cannot copy {}", dir.display()))?;
                Some(copy)
            }
            None => None,
        };
        let theatre = Theatre {
            submission,
            built,
            limits: limits.clone(),
            addresses: sockets::addresses().into_iter().collect(),
            patience: Cell::new(limits.time),
            sockets: Sockets::open()?,
            fixed: submission.port.map(Port::fixed).transpose()?,
        };
        theatre.build(build_time)?;
        Ok(theatre)
    }

    fn build(&self, time: Duration) -> Result<()> {
        let (Some(command), Some(dir)) = (&self.submission.build, &self.built) else { return Ok(()) };
        let spec = Spec {
            // The command travels in the environment: braces in it are the shell's own.
            command: Template::command("/bin/sh -c 'eval \"$ECHOLOG_BUILD\"'")?,
            answers: Vec::new(),
            dir: Some(dir.path().to_path_buf()),
            env: vec![("ECHOLOG_BUILD".into(), command.into())],
            ready: Ready::Listening,
            computer: None,
        };
        let streams = Streams { input: Input::Nothing, ..Streams::TERMINAL };
        let limits = Limits { time, address_space: None, cpu: None, ..self.limits.clone() };
        let clock = Clock::start();
        let program = Program::start(&spec, &Values::default(), streams, &limits, &clock)?;
        let ended = program.wait_end(clock.now() + time).seen();
        let run = program.finish();
        let screen = super::facts::tail(run.transcript.screen(), 300);
        match ended {
            Some(Ending::Exited(0)) => Ok(()),
            _ if clock::stopped() => Err(stopped()),
            Some(Ending::Exited(status)) => Err(anyhow!("the build failed with status {status}: {screen}")),
            Some(_) => Err(anyhow!("the build was killed: {screen}")),
            None => Err(anyhow!("the build took longer than {} s: {screen}", time.as_secs())),
        }
    }

    /// The submission that plays here.
    pub fn submission(&self) -> &Submission {
        self.submission
    }

    /// A scene with nobody in it yet.
    pub fn scene(&self) -> Result<Scene<'_>> {
        let port = if self.fixed.is_some() { None } else { Some(Port::free()?) };
        if let Some(port) = &self.fixed {
            self.wait_until_forgotten(port.number())?;
        }
        let clock = Clock::start();
        let mut line = Proxy::open(&Config::local(), &clock)?;
        line.to_server.keep_end = self.fixed.is_some();
        Ok(Scene {
            theatre: self,
            clock,
            own_port: port,
            line,
            server: None,
            client: None,
            folders: Vec::new(),
            flood: FLOOD,
            flooded: false,
        })
    }

    /// Waits until no closed connection keeps the port from a server that cannot share it. Scenes are
    /// played so that there is none; the one that is about just this leaves one, for a minute.
    fn wait_until_forgotten(&self, port: u16) -> Result<()> {
        let clock = Clock::start();
        let gone = || self.sockets.winding_down(port).map_or(Some(()), |there| (!there).then_some(()));
        match clock.watch(clock.now() + FORGOTTEN, gone) {
            clock::Waited::Stopped => Err(stopped()),
            _ => Ok(()),
        }
    }

    fn start(
        &self,
        command: &Template,
        answers: &[Template],
        values: &Values,
        keyboard: Keyboard,
        scene: (&Clock, &mut Vec<TempDir>),
        role: &'static str,
    ) -> Result<Actor> {
        let (clock, folders) = scene;
        let folder = tempfile::tempdir().context("cannot make a working directory")?;
        if let Some(built) = &self.built {
            copy_tree(built.path(), folder.path()).context("cannot copy what was built")?;
        }
        // Whoever runs this may have no UTF-8 in the environment, or messages in another language.
        let env: Vec<(OsString, OsString)> = vec![("LC_ALL".into(), "C.UTF-8".into())];
        let spec = Spec {
            command: command.clone(),
            answers: Vec::new(),
            dir: Some(folder.path().to_path_buf()),
            env,
            ready: Ready::Listening,
            computer: None,
        };
        let place = format!("{}/", folder.path().display());
        folders.push(folder);
        let input = if keyboard == Keyboard::Pipe { Input::Pipe } else { Input::Terminal };
        let streams = Streams { input, ..Streams::TERMINAL };
        let program = Program::start(&spec, values, streams, &self.limits, clock).map_err(|error| {
            // The copy that it was looked for in is gone when this is read.
            let why: Vec<String> = error.chain().map(ToString::to_string).collect();
            let hint = if self.built.is_some() { format!(" (see {PROFILE})") } else { String::new() };
            anyhow!("{}{hint}", why.join(": ").replace(&place, "./"))
        })?;
        program.set_terminal(false, keyboard != Keyboard::LongLines)?;
        let was_answered = !answers.is_empty();
        let actor = Actor { program, typed_at: Cell::new(u64::MAX), role, was_answered };
        for answer in answers {
            let words: Vec<OsString> = answer.fill(values);
            actor.type_line(&words.iter().map(|word| word.to_string_lossy()).collect::<String>());
        }
        Ok(actor)
    }
}

/// What is on clock, while a session is being played. What is left of it goes with it.
#[derive(Debug)]
pub struct Scene<'a> {
    theatre: &'a Theatre<'a>,
    clock: Clock,
    own_port: Option<Port>,
    /// The line between the two.
    pub line: Proxy,
    /// The server, once it was started.
    pub server: Option<Actor>,
    /// The client, once it was started.
    pub client: Option<Actor>,
    folders: Vec<TempDir>,
    /// How much a program may show or send within one wait.
    pub flood: usize,
    /// Whether one did, while it was waited for to have done with a message.
    pub flooded: bool,
}

/// What can be seen of a scene at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look {
    shown: [usize; 2],
    sent: [usize; 2],
    passed: [usize; 2],
    ended: [bool; 2],
}

impl Look {
    /// Whether more than `flood` bytes were shown or sent since `before`.
    fn exceeds(&self, before: &Look, flood: usize) -> bool {
        let grown = |now: [usize; 2], before: [usize; 2]| {
            now.into_iter().zip(before).any(|(now, before)| now > before.saturating_add(flood))
        };
        grown(self.shown, before.shown) || grown(self.sent, before.sent)
    }
}

impl Scene<'_> {
    /// The server's port.
    pub fn port(&self) -> u16 {
        let port = self.own_port.as_ref().or(self.theatre.fixed.as_ref());
        port.map_or(0, Port::number)
    }

    /// Starts the server.
    pub fn start_server(&mut self) -> Result<()> {
        let submission = self.theatre.submission;
        self.start_server_as(&submission.server, &submission.server_answers)
    }

    /// Starts the server by a command of the judge's own choice.
    pub fn start_server_as(&mut self, command: &Template, answers: &[Template]) -> Result<()> {
        let values = Values { host: None, port: Some(self.port()), script: None };
        let scene = (&self.clock, &mut self.folders);
        let server = self.theatre.start(command, answers, &values, Keyboard::Lines, scene, "server");
        self.server = Some(server.context("server")?);
        Ok(())
    }

    /// Starts the client, which is told the address of the line.
    pub fn start_client(&mut self, keyboard: Keyboard) -> Result<()> {
        let submission = self.theatre.submission;
        let address = self.line.address()?;
        self.start_client_as(&submission.client, &submission.client_answers, address, keyboard)
    }

    /// Starts the client by a command of the judge's own choice, and with another address.
    pub fn start_client_as(
        &mut self,
        command: &Template,
        answers: &[Template],
        address: SocketAddr,
        keyboard: Keyboard,
    ) -> Result<()> {
        let values =
            Values { host: Some(address.ip().to_string()), port: Some(address.port()), script: None };
        let scene = (&self.clock, &mut self.folders);
        let client = self.theatre.start(command, answers, &values, keyboard, scene, "client");
        self.client = Some(client.context("client")?);
        Ok(())
    }

    /// Waits until the server listens on its port, and aims the line at it. What listens there is the
    /// server: the port was free, and is reserved.
    pub fn wait_until_listening(&mut self) -> Result<Waited> {
        let port = self.port();
        let mut found = None;
        let waited = self.wait(|scene| {
            found = scene.theatre.sockets.listening(port).ok().flatten();
            found.is_some() || scene.server().ending().is_some()
        })?;
        let Some(address) = found else {
            return Ok(if waited == Waited::Met { self.last_words()? } else { waited });
        };
        let at = |ip: IpAddr| SocketAddr::new(ip, port);
        self.line.aim(match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => vec![at(Ipv4Addr::LOCALHOST.into())],
            // Both families on one socket, as a rule.
            IpAddr::V6(ip) if ip.is_unspecified() => {
                vec![at(Ipv4Addr::LOCALHOST.into()), at(Ipv6Addr::LOCALHOST.into())]
            }
            ip => vec![at(ip.to_canonical())],
        });
        Ok(Waited::Met)
    }

    /// Waits for the end of both programs, and for all that they had to show.
    pub fn both_end(&mut self) -> Result<Waited> {
        let waited = self.wait(|scene| scene.actors().all(|actor| actor.ending().is_some()))?;
        if waited == Waited::Met { self.last_words() } else { Ok(waited) }
    }

    /// Waits until all that a program which has ended had to show was seen.
    pub fn last_words(&mut self) -> Result<Waited> {
        let until = self.clock.now() + BROUGHT;
        for actor in self.actors().filter(|actor| actor.ending().is_some()) {
            if actor.program.wait_for(until, |_| None::<()>) == clock::Waited::Stopped {
                return Err(stopped());
            }
        }
        Ok(Waited::Still)
    }

    /// Whether a closed connection keeps the server's port.
    pub fn port_lingers(&self) -> Result<bool> {
        self.theatre.sockets.winding_down(self.port())
    }

    /// The server. It must have been started.
    pub fn server(&self) -> &Actor {
        self.server.as_ref().expect("the server is on clock")
    }

    /// The client. It must have been started.
    pub fn client(&self) -> &Actor {
        self.client.as_ref().expect("the client is on clock")
    }

    fn actors(&self) -> impl Iterator<Item = &Actor> {
        self.server.iter().chain(&self.client)
    }

    /// Waits for `met`, or until it can be seen that it will not come.
    pub fn wait(&mut self, mut met: impl FnMut(&Scene) -> bool) -> Result<Waited> {
        let until = self.clock.now() + self.theatre.limits.time * AT_MOST;
        loop {
            let waited = self.wait_once(until, &mut met)?;
            for actor in self.actors() {
                actor.program.check_sound()?;
            }
            if waited != Waited::Still {
                return Ok(waited);
            }
            // What was shown before all fell asleep may still be on its way here, and what was typed on
            // its way to them: through the same threads of the kernel, behind which the marks come.
            let (before, asleep) = self.look();
            let Some(marks) = self.catch_up()? else { continue };
            if met(self) {
                return Ok(Waited::Met);
            }
            let (after, bodies) = self.look();
            let shown = |at: usize| after.shown[at] == before.shown[at] + marks[at];
            let slept_on = !bodies.running && bodies.turns == asleep.turns;
            if shown(0) && shown(1) && after.sent == before.sent && after.ended == before.ended && slept_on {
                return Ok(Waited::Still);
            }
        }
    }

    /// Waits until everything that the programs have written to their terminals was seen. How many bytes
    /// of what is seen are the marks that tell so; `None` when a terminal is full, so that its program
    /// sleeps for no other reason than that this process has not come to read it.
    fn catch_up(&mut self) -> Result<Option<[usize; 2]>> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let mut marks = [0, 0];
        for (at, actor) in self.actors().enumerate() {
            // A terminal takes it for the title of a window without a window to it.
            let mark = format!("\x1b]echolog {}\x07", NUMBER.fetch_add(1, Ordering::Relaxed));
            let shown = actor.shown();
            // One that has ended has said its last words.
            if actor.ending().is_some() {
                continue;
            }
            if !actor.program.mark_screen(mark.as_bytes())? {
                return Ok(None);
            }
            let come = |screen: &[u8]| screen.windows(mark.len()).any(|window| window == mark.as_bytes());
            let seen = actor.program.wait_for(self.clock.now() + BROUGHT, |transcript| {
                transcript.screen().get(shown..).is_some_and(come).then_some(())
            });
            match seen {
                clock::Waited::Stopped => return Err(stopped()),
                clock::Waited::Seen(Some(())) => marks[at] = mark.len(),
                // It has closed its terminal, or ended.
                clock::Waited::Seen(None) | clock::Waited::TimeUp => {}
            }
        }
        Ok(Some(marks))
    }

    fn wait_once(&mut self, until: Duration, mut met: impl FnMut(&Scene) -> bool) -> Result<Waited> {
        let clock = self.clock.clone();
        let (begun, bodies) = self.look();
        let (mut last, mut spent, mut calm) = (begun, bodies.spent, Watch::new(&clock));
        let (flood, patience) = (self.flood, self.theatre.patience.get());
        let mut fault = None;
        let waited = clock.watch(until, || {
            let pumped = match self.line.pump() {
                Ok(pumped) => pumped,
                Err(error) => {
                    fault = Some(error);
                    return Some(Waited::Late);
                }
            };
            if met(self) {
                return Some(Waited::Met);
            }
            let (look, bodies) = self.look();
            if look.exceeds(&begun, flood) {
                return Some(Waited::Flooded);
            }
            if self.actors().any(|actor| actor.ending() == Some(Ending::Flooded)) {
                return Some(Waited::Flooded);
            }
            if pumped || look != last {
                (last, spent) = (look, bodies.spent);
                calm.moved();
            }
            if bodies.running || bodies.naps || bodies.unheard || self.line.is_busy() {
                calm.disturb();
            }
            let calmness = calm.look(bodies.running);
            if calm.dozed >= patience {
                return Some(Waited::Late);
            }
            if self.theatre.fixed.is_some() {
                // The one that closes last is not left behind with the port.
                let server_ended = self.server.as_ref().is_none_or(|server| server.ending().is_some());
                self.line.to_server.keep_end = server_ended || !calmness.reaches(UNSEEN);
            }
            if calmness.reaches(STILL) {
                return Some(Waited::Still);
            }
            (bodies.spent.saturating_sub(spent) >= BUSY).then_some(Waited::Busy)
        });
        if let Some(fault) = fault {
            return Err(fault);
        }
        let waited = match waited {
            clock::Waited::Seen(waited) => waited,
            clock::Waited::Stopped => return Err(stopped()),
            clock::Waited::TimeUp => Waited::Late,
        };
        if waited == Waited::Late {
            self.lose_patience();
        }
        Ok(waited)
    }

    /// Waits until the client waits for its keyboard, with everything seen that it has shown until then,
    /// or has ended; whether it came to that.
    pub fn settle(&mut self) -> Result<bool> {
        let until = self.clock.now() + self.theatre.limits.time * AT_MOST;
        loop {
            let asks = self.rest(|bodies, calm| {
                let asks = calm.reaches(SETTLED) && bodies.at_terminal && !bodies.unheard;
                asks || (calm.reaches(UNSEEN) && !bodies.naps)
            })?;
            let turns = |scene: &Scene| scene.client().program.activity().turns;
            let before = turns(self);
            let caught_up = self.catch_up()?.is_some();
            // It may have slept for a moment only, on its way to the question.
            let settled = !asks || (caught_up && turns(self) == before);
            if settled || self.client().ending().is_some() || self.clock.now() >= until {
                return Ok(asks);
            }
        }
    }

    /// Waits until whoever sends has nothing more to send for now.
    pub fn all_sent(&mut self) -> Result<bool> {
        self.rest(|bodies, calm| calm.reaches(SENT) && !bodies.unheard)
    }

    fn rest(&mut self, enough: impl Fn(&Bodies, Calm) -> bool) -> Result<bool> {
        let clock = self.clock.clone();
        let (begun, bodies) = self.look();
        let (mut last, mut spent, mut calm) = (begun, bodies.spent, Watch::new(&clock));
        let (flood, patience) = (self.flood, self.theatre.patience.get());
        let mut flooded = false;
        let mut fault = None;
        let waited = clock.watch(clock.now() + self.theatre.limits.time * AT_MOST, || {
            let pumped = match self.line.pump() {
                Ok(pumped) => pumped,
                Err(error) => {
                    fault = Some(error);
                    return Some(false);
                }
            };
            let (look, bodies) = self.look();
            if pumped || look != last {
                (last, spent) = (look, bodies.spent);
                calm.moved();
            }
            if look.exceeds(&begun, flood) {
                flooded = true;
                return Some(false);
            }
            if bodies.running {
                calm.disturb();
            }
            let gone = self.client.as_ref().is_some_and(|client| client.ending().is_some());
            if gone || enough(&bodies, calm.look(bodies.running)) {
                return Some(true);
            }
            (calm.dozed >= patience || bodies.spent.saturating_sub(spent) >= BUSY).then_some(false)
        });
        if let Some(fault) = fault {
            return Err(fault);
        }
        if waited == clock::Waited::Stopped {
            return Err(stopped());
        }
        if calm.dozed >= patience {
            self.lose_patience();
        }
        self.flooded |= flooded;
        Ok(waited.seen().unwrap_or_default())
    }

    /// Whoever sleeps through every wait is not waited for as long again.
    fn lose_patience(&self) {
        let patience = &self.theatre.patience;
        patience.set((patience.get() / 4).max(LEAST_PATIENCE.min(patience.get())));
    }

    fn look(&self) -> (Look, Bodies) {
        let mut look = Look::default();
        let mut bodies = Bodies::default();
        for (at, actor) in self.actors().enumerate() {
            look.shown[at] = actor.shown();
            look.ended[at] = actor.ending().is_some();
            if look.ended[at] {
                continue;
            }
            let activity = actor.program.activity();
            bodies.running |= activity.running || !actor.program.took_all();
            bodies.naps |= activity.naps;
            bodies.spent += activity.spent;
            bodies.turns += activity.turns;
            // Only the client is ever waited for at its keyboard.
            bodies.at_terminal = activity.at_terminal;
            // It would have run if the line that was typed had reached it.
            bodies.unheard |= activity.at_terminal && activity.turns == actor.typed_at.get();
        }
        for (at, flow) in [&self.line.to_server, &self.line.to_client].into_iter().enumerate() {
            look.sent[at] = flow.tape.len();
            look.passed[at] = flow.passed;
        }
        (look, bodies)
    }

    /// Types `line` at the client and passes on all that it sends for it as one segment. Whether it sent
    /// anything.
    pub fn say(&mut self, line: &str) -> Result<bool> {
        let before = self.line.to_server.tape.len();
        self.line.to_server.mode = Mode::Held;
        self.client().type_line(line);
        let sent = self.wait(|scene| {
            let flow = &scene.line.to_server;
            flow.tape.len() > before || flow.end.is_some() || scene.client().ending().is_some()
        })?;
        if sent == Waited::Met {
            self.all_sent()?;
        }
        self.line.to_server.mode = Mode::Open;
        Ok(self.line.to_server.tape.len() > before)
    }

    /// Ends what still runs, and takes the line down so that nothing of it is left in the kernel.
    pub fn clear(mut self) {
        for actor in self.client.take().into_iter().chain(self.server.take()) {
            actor.program.finish();
        }
        self.line.hang_up();
    }

    /// Ends what still runs, and takes the line down as if both had closed it; the port stays this
    /// scene's.
    pub fn interval(&mut self) {
        for actor in self.client.take().into_iter().chain(self.server.take()) {
            actor.program.finish();
        }
        self.line.close();
    }
}

/// What the programs of a scene are doing, taken together.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is seen by itself")]
struct Bodies {
    running: bool,
    naps: bool,
    at_terminal: bool,
    /// A line was typed that is still on its way.
    unheard: bool,
    spent: Duration,
    /// How often they were put on a processor.
    turns: u64,
}

/// Counts the calm.
struct Watch<'a> {
    clock: &'a Clock,
    /// Since when nobody was seen to run.
    since: Duration,
    calm: Calm,
    /// The last look.
    last: Duration,
    /// For how long nobody was seen to run, with pauses, since something last moved. On a machine that
    /// does not let a program run, this stands still.
    dozed: Duration,
}

impl<'a> Watch<'a> {
    fn new(clock: &'a Clock) -> Self {
        let now = clock.now();
        Watch { clock, since: now, calm: Calm::NONE, last: now, dozed: Duration::ZERO }
    }

    fn moved(&mut self) {
        self.dozed = Duration::ZERO;
        self.disturb();
    }

    fn disturb(&mut self) {
        (self.since, self.calm) = (self.clock.now(), Calm::NONE);
    }

    fn look(&mut self, running: bool) -> Calm {
        let now = self.clock.now();
        if !running {
            self.dozed += now.saturating_sub(self.last).min(LOOK);
        }
        self.last = now;
        self.calm.looks += 1;
        self.calm.time = now.saturating_sub(self.since);
        self.calm
    }
}

fn stopped() -> anyhow::Error {
    anyhow!("stopped")
}

/// Copies the files and folders in `from` into the folder `to`. A link is copied as what it leads to;
/// what is neither file nor folder, and a version control's own folder, is left out.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let path: PathBuf = entry?.path();
        let Some(name) = path.file_name() else { continue };
        let target = to.join(name);
        let failed = || path.display().to_string();
        let Ok(kind) = fs::metadata(&path).map(|data| data.file_type()) else { continue };
        if kind.is_dir() && name != ".git" && !fs::symlink_metadata(&path).with_context(failed)?.is_symlink()
        {
            fs::create_dir(&target).with_context(failed)?;
            copy_tree(&path, &target)?;
        } else if kind.is_file() {
            fs::copy(&path, &target).with_context(failed)?;
        }
    }
    Ok(())
}
