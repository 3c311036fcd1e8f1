//! A session of a submission while it is played: a server, a client, the proxy between them, and the waiting
//! for what they do.
//!
//! What always holds: a wait ends when the thing itself has happened, or when the programs are quiet
//! ([`crate::run::quiet`]), and never because a guessed time is over. A wait that ends in any other way than
//! by the thing itself names the program that it is about. What came before a wait cannot change how it ends.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::fs::chown;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use socket2::Domain;

use super::setup::Setup;
use crate::proxy::{Config, Mode, Proxy};
use crate::results::Role;
use crate::run::clock::{self, Clock};
use crate::run::command::{PROFILE, Ready, Spec, Template, Values};
use crate::run::computer::{self, Computer, Computers};
use crate::run::copy::{Bounds, copy_tree};
use crate::run::outcome::Ending;
use crate::run::port::Port;
use crate::run::processes::Activity;
use crate::run::program::Program;
use crate::run::quiet::{Quiet, State};
use crate::run::scratch::Scratch;
use crate::run::sockets::Sockets;
use crate::run::streams::{Input, Streams};

/// How long the kernel may take to bring what has been written already. It always does; on a machine
/// that is busy enough, not soon.
const BROUGHT: Duration = Duration::from_secs(60);
/// After how much time without a result a wait is given up, in units of the limit for a session.
const AT_MOST: u32 = 6;
/// For how long, and at how many looks, a client must not have run before it has sent all that it sends for
/// one line, or before it waits for the next.
const RESTED: (Duration, u32) = (Duration::from_millis(1), 3);
/// For how long the kernel remembers a closed connection (`TCP_TIMEWAIT_LEN`), and some more.
const FORGOTTEN: Duration = Duration::from_secs(65);
/// How much a program may print or send within one wait, in bytes, when hardly anything is asked of it.
const FLOOD: usize = 256 << 10;

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// What was waited for has happened.
    Met,
    /// It has not, and all programs wait for something from outside, or have ended.
    Quiet,
    /// It has not, and this program keeps running without any effect.
    Busy(Role),
    /// It has not, and this program prints or sends more than anyone would read.
    Flooded(Role),
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

/// One program in a session.
#[derive(Debug)]
pub struct Tested {
    program: Program,
    /// How often it had been on a processor when a line was last typed.
    typed_at: Cell<u64>,
    /// Lines to type when it waits for its keyboard, before anything else.
    answers: VecDeque<String>,
    /// Which of the two it is.
    pub role: Role,
    /// Whether answers are typed at it.
    pub is_answered: bool,
    /// How much it had printed when each answer was typed.
    answered_at: Vec<usize>,
}

impl Tested {
    /// All that it has printed.
    pub fn screen(&self) -> Vec<u8> {
        self.since(0)
    }

    /// What it has printed after the first `mark` bytes.
    pub fn since(&self, mark: usize) -> Vec<u8> {
        self.program.view(|transcript| transcript.screen().get(mark..).unwrap_or_default().to_vec())
    }

    /// How many bytes it has printed.
    pub fn shown(&self) -> usize {
        self.program.view(|transcript| transcript.screen().len())
    }

    /// How it ended, if it has.
    pub fn ending(&self) -> Option<Ending> {
        self.program.ending()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.ending().is_some()
    }

    /// When it ended, from the start of the session.
    pub fn ended_at(&self) -> Option<Duration> {
        self.program.ended_at()
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
    pub fn ports(&self) -> Result<Vec<u16>> {
        Ok(self.program.listens_on()?.into_iter().collect())
    }

    /// Looks at its transcript.
    pub fn view<T>(&self, look: impl FnOnce(&crate::run::transcript::Transcript) -> T) -> T {
        self.program.view(look)
    }

    /// What it is doing; `None` once it has ended. A line that was typed and is still on its way counts as
    /// work to be done.
    fn activity(&self) -> Option<Activity> {
        if self.has_ended() {
            return None;
        }
        let mut activity = self.program.activity();
        let unheard = activity.at_terminal && activity.turns == self.typed_at.get();
        activity.running |= unheard || !self.program.took_all();
        Some(activity)
    }

    /// Types lines, without waiting for it to ask.
    pub fn type_lines(&self, lines: &[String]) {
        self.type_line(&lines.join("\n"));
    }

    /// What it has printed, without the questions that were answered: of each, the line that it ends with.
    pub fn statements(&self) -> Vec<u8> {
        let screen = self.screen();
        let mut statements = Vec::new();
        let mut from = 0;
        for &until in &self.answered_at {
            let part = screen[from..until].trim_ascii_end();
            let line = part.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            statements.extend_from_slice(&part[..line]);
            from = until;
        }
        statements.extend_from_slice(&screen[from..]);
        statements
    }

    /// Types the next answer, if there is one left.
    fn answer(&mut self) -> bool {
        let next = self.answers.pop_front();
        if let Some(line) = &next {
            self.answered_at.push(self.shown());
            self.type_line(line);
        }
        next.is_some()
    }
}

/// A session while it is played. What is left of it ends with it.
#[derive(Debug)]
pub struct Session<'a> {
    setup: &'a Setup<'a>,
    clock: Clock,
    port: Port,
    /// What stands between the two.
    pub proxy: Proxy,
    /// The server, once it was started.
    pub server: Option<Tested>,
    /// The client, once it was started.
    pub client: Option<Tested>,
    is_aimed: bool,
    sockets: Sockets,
    /// Where the working copies of the programs are.
    place: Scratch,
    computers: Computers,
    /// How many bytes a program may print or send within one wait.
    pub flood: usize,
    /// The programs that were last seen to wake by themselves again and again without effect.
    restless: Vec<Role>,
    /// The program whose flood does not end a wait any more.
    ignored: Option<Role>,
}

/// What can be seen of a session from outside at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look {
    /// For server and client.
    shown: [usize; 2],
    ended: [bool; 2],
    sent: [usize; 2],
    passed: [usize; 2],
}

impl Look {
    /// The program that has printed or sent more than `flood` bytes since `before`.
    fn flood(&self, before: &Look, flood: usize, ignored: Option<Role>) -> Option<Role> {
        let grown = |now: usize, before: usize| now > before.saturating_add(flood);
        [Role::Server, Role::Client].into_iter().filter(|&role| Some(role) != ignored).find(|&role| {
            let at = role as usize;
            grown(self.shown[at], before.shown[at]) || grown(self.sent[at], before.sent[at])
        })
    }
}

impl<'a> Session<'a> {
    /// A session with no program in it yet.
    pub fn open(setup: &'a Setup) -> Result<Session<'a>> {
        Session::open_on(setup, setup.port()?)
    }

    /// A session whose server is given this port.
    pub fn open_on(setup: &'a Setup, port: Port) -> Result<Session<'a>> {
        let clock = Clock::start();
        let place = Scratch::new()?;
        let computers = setup.computers(place.path())?;
        let is_isolated = computers.server.is_isolated();
        let sockets = computers.server.sockets()?;
        let config = if is_isolated {
            Config { keeps_client: true, ..Config::between(&computers, port.number()) }
        } else {
            proxy_config()?
        };
        let mut proxy = Proxy::open(&config, &clock)?;
        if setup.has_fixed_port() && !is_isolated {
            // A server that does not set SO_REUSEADDR could not use its port again for a minute, if its
            // connections ended in order.
            proxy.to_server.keep_end = true;
            wait_until_forgotten(&clock, &sockets, port.number())?;
        }
        Ok(Session {
            setup,
            proxy,
            clock,
            port,
            server: None,
            client: None,
            is_aimed: false,
            sockets,
            place,
            computers,
            flood: FLOOD,
            ignored: None,
            restless: Vec::new(),
        })
    }

    /// The computer that the client runs on.
    pub fn client_computer(&self) -> &Computer {
        &self.computers.client
    }

    /// The computer that the server runs on.
    pub fn server_computer(&self) -> &Computer {
        &self.computers.server
    }

    /// The submission that is played.
    pub fn setup(&self) -> &'a Setup<'a> {
        self.setup
    }

    /// The time since the session began.
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Whether the proxy knows where the server listens.
    pub fn is_aimed(&self) -> bool {
        self.is_aimed
    }

    /// From here on a flood of the client does not end a wait: it is no longer part of the session.
    pub fn leave_client_out(&mut self) {
        if let Some(client) = self.client.take() {
            client.program.finish();
        }
    }

    /// The port that the server is given.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Starts the server.
    pub fn start_server(&mut self) -> Result<()> {
        let submission = self.setup.submission();
        self.start_server_as(&submission.server, &submission.server_answers)
    }

    /// Starts the server by a command of the caller's choice.
    pub fn start_server_as(&mut self, command: &Template, answers: &[Template]) -> Result<()> {
        let values = Values { host: None, port: Some(self.port()), script: None };
        self.server = Some(self.start(command, answers, &values, Keyboard::Lines, Role::Server)?);
        Ok(())
    }

    /// Starts the client, which is given the proxy's address.
    pub fn start_client(&mut self, keyboard: Keyboard) -> Result<()> {
        let submission = self.setup.submission();
        let address = self.proxy.address()?;
        self.start_client_as(&submission.client, &submission.client_answers, address, keyboard)
    }

    /// Starts the client by a command, and with an address, of the caller's choice.
    pub fn start_client_as(
        &mut self,
        command: &Template,
        answers: &[Template],
        address: SocketAddr,
        keyboard: Keyboard,
    ) -> Result<()> {
        let values =
            Values { host: Some(address.ip().to_string()), port: Some(address.port()), script: None };
        self.client = Some(self.start(command, answers, &values, keyboard, Role::Client)?);
        Ok(())
    }

    fn start(
        &mut self,
        command: &Template,
        answers: &[Template],
        values: &Values,
        keyboard: Keyboard,
        role: Role,
    ) -> Result<Tested> {
        let folder = tempfile::Builder::new().prefix("copy-").tempdir_in(self.place.path());
        // It is removed with the place.
        let folder = folder.context("cannot make a working directory")?.keep();
        let owner = computer::owner().filter(|_| self.computers.server.is_isolated());
        if let Some(built) = self.setup.built() {
            copy_tree(built, &folder, owner, Bounds::default())
                .context("cannot copy the built submission")?;
        }
        if let Some((user, group)) = owner {
            chown(&folder, Some(user), Some(group)).context("cannot make a working directory")?;
        }
        let computer = match role {
            Role::Server => &self.computers.server,
            Role::Client => &self.computers.client,
        };
        let spec = Spec {
            command: command.clone(),
            answers: Vec::new(),
            dir: Some(folder.clone()),
            // The caller's environment may have no UTF-8, or messages in another language.
            env: vec![("LC_ALL".into(), "C.UTF-8".into())],
            ready: Ready::Listening,
            computer: Some(Arc::clone(computer)),
        };
        let place = format!("{}/", folder.display());
        let input = if keyboard == Keyboard::Pipe { Input::Pipe } else { Input::Terminal };
        let streams = Streams { input, ..Streams::TERMINAL };
        let program = Program::start(&spec, values, streams, self.setup.limits(), &self.clock);
        let program = program.with_context(|| role.word()).map_err(|error| {
            // The copy that it was looked for in is gone when this is read.
            let why: Vec<String> = error.chain().map(ToString::to_string).collect();
            let hint = if self.setup.built().is_some() { format!(" (see {PROFILE})") } else { String::new() };
            anyhow!("{}{hint}", why.join(": ").replace(&place, "./"))
        })?;
        program.set_terminal(false, keyboard != Keyboard::LongLines)?;
        let line = |answer: &Template| {
            let words = answer.fill(values);
            words.iter().map(|word| word.to_string_lossy()).collect::<String>()
        };
        let mut answers: VecDeque<String> = answers.iter().map(line).collect();
        let is_answered = !answers.is_empty();
        if keyboard == Keyboard::Pipe {
            // A program that reads a pipe cannot be seen to wait for it.
            answers.drain(..).for_each(|line| program.type_bytes(format!("{line}\n").as_bytes()));
        }
        Ok(Tested {
            program,
            typed_at: Cell::new(u64::MAX),
            answers,
            role,
            is_answered,
            answered_at: Vec::new(),
        })
    }

    /// Waits until the server listens on the port that it was given, and lets the proxy connect there.
    pub fn wait_until_listening(&mut self) -> Result<Waited> {
        let port = self.port();
        self.is_aimed = false;
        let mut found = None;
        let mut failed = None;
        let waited = self.wait(|session| {
            match session.sockets.listening(port) {
                Ok(address) => found = address,
                Err(error) => failed = Some(error),
            }
            found.is_some() || failed.is_some() || session.server().has_ended()
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        match found {
            Some(address) => {
                self.aim(address);
                Ok(Waited::Met)
            }
            None if waited == Waited::Met => self.last_words(),
            None => Ok(waited),
        }
    }

    /// Lets the proxy connect to the server that listens on `port`, which is not the one that it was given.
    pub fn aim_at(&mut self, port: u16) -> Result<bool> {
        let address = self.sockets.listening(port)?;
        if let Some(address) = address {
            self.aim(address);
        }
        Ok(address.is_some())
    }

    fn aim(&mut self, listening: SocketAddr) {
        let at = |ip: IpAddr| SocketAddr::new(ip, listening.port());
        self.is_aimed = true;
        let own = self.computers.server.address();
        self.proxy.aim(match listening.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => vec![at(own)],
            // Both families on one socket, as a rule.
            IpAddr::V6(ip) if ip.is_unspecified() => {
                vec![at(own), at(Ipv6Addr::LOCALHOST.into())]
            }
            ip => vec![at(ip.to_canonical())],
        });
    }

    /// Connects to the proxy in the place of the client.
    pub fn connect_as_client(&mut self) -> Result<TcpStream> {
        let address = self.proxy.address()?;
        let failed = "cannot connect to the proxy";
        let socket = self.computers.client.socket(Domain::for_address(address)).context(failed)?;
        socket.connect(&address.into()).context(failed)?;
        Ok(socket.into())
    }

    /// Waits for the end of both programs, and for all that they had to print.
    pub fn both_end(&mut self) -> Result<Waited> {
        let waited = self.wait(|session| session.programs().all(Tested::has_ended))?;
        if waited == Waited::Met { self.last_words() } else { Ok(waited) }
    }

    /// Waits for the end of one program, and for all that it had to print.
    pub fn ends(&mut self, role: Role) -> Result<Waited> {
        let waited = self.wait(|session| session.of(role).has_ended())?;
        if waited == Waited::Met { self.last_words() } else { Ok(waited) }
    }

    /// Waits until all that the programs which have ended had to print was read.
    pub fn last_words(&mut self) -> Result<Waited> {
        let until = self.clock.now() + BROUGHT;
        for tested in self.programs().filter(|tested| tested.has_ended()) {
            if tested.program.wait_for(until, |_| None::<()>) == clock::Waited::Stopped {
                return Err(stopped());
            }
        }
        Ok(Waited::Met)
    }

    /// Whether a closed connection keeps the server's port.
    pub fn port_lingers(&self) -> Result<bool> {
        self.sockets.winding_down(self.port())
    }

    /// The server. It must have been started.
    pub fn server(&self) -> &Tested {
        self.server.as_ref().expect("the server was started")
    }

    /// The client. It must have been started.
    pub fn client(&self) -> &Tested {
        self.client.as_ref().expect("the client was started")
    }

    /// The program with this role. It must have been started.
    pub fn of(&self, role: Role) -> &Tested {
        match role {
            Role::Server => self.server(),
            Role::Client => self.client(),
        }
    }

    fn programs(&self) -> impl Iterator<Item = &Tested> {
        self.server.iter().chain(&self.client)
    }

    fn roles(&self) -> Vec<Role> {
        self.programs().map(|tested| tested.role).collect()
    }

    /// Waits for `met`, or until the programs are quiet.
    pub fn wait(&mut self, mut met: impl FnMut(&Session) -> bool) -> Result<Waited> {
        let until = self.clock.now() + self.setup.limits().time * AT_MOST;
        let begun = self.look();
        loop {
            let waited = self.wait_once(until, &begun, &mut met)?;
            if !matches!(waited, Waited::Quiet | Waited::Busy(_)) {
                return Ok(waited);
            }
            // What was printed before may still be on its way here, through the same threads of the kernel
            // behind which the marks come.
            let before = self.look();
            let turns = self.turns();
            let Some(marks) = self.catch_up()? else { continue };
            if met(self) {
                return Ok(Waited::Met);
            }
            let mut expected = before;
            for (shown, mark) in expected.shown.iter_mut().zip(marks) {
                *shown += mark;
            }
            let same = self.look() == expected && (waited != Waited::Quiet || self.turns_but_naps(&turns));
            let answered = same && (self.pass_on_end() || self.answer_one());
            if (same && !answered) || self.clock.now() >= until {
                return Ok(waited);
            }
        }
    }

    /// Passes on an end that was kept back: a server may be waiting for it.
    fn pass_on_end(&mut self) -> bool {
        let flow = &mut self.proxy.to_server;
        let is_kept = flow.keep_end && flow.end.is_some();
        flow.keep_end &= !is_kept;
        is_kept
    }

    /// Types the next answer at a program that has one left.
    fn answer_one(&mut self) -> bool {
        [&mut self.server, &mut self.client].into_iter().flatten().any(Tested::answer)
    }

    fn turns(&self) -> Vec<Option<u64>> {
        self.programs().map(|tested| tested.activity().map(|activity| activity.turns)).collect()
    }

    /// Whether no program ran since it had had `turns`, but for those that wake by themselves.
    fn turns_but_naps(&self, turns: &[Option<u64>]) -> bool {
        self.programs().zip(turns).all(|(tested, turns)| {
            let activity = tested.activity();
            let wakes = self.restless.contains(&tested.role);
            activity.is_none_or(|activity| wakes || activity.naps || Some(activity.turns) == *turns)
        })
    }

    /// Waits until everything that the programs have written to their terminals was read. How many bytes of
    /// what was read are the marks that tell so; `None` when a terminal is full, so that its program waits
    /// for no other reason than that this process has not come to read it.
    fn catch_up(&mut self) -> Result<Option<[usize; 2]>> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let mut marks = [0, 0];
        for tested in self.programs() {
            // A terminal takes it for the title of a window without a window to it.
            let mark = format!("\x1b]echolog {}\x07", NUMBER.fetch_add(1, Ordering::Relaxed));
            let shown = tested.shown();
            // The output of one that has ended was read to its end.
            if tested.has_ended() {
                continue;
            }
            if !tested.program.mark_screen(mark.as_bytes())? {
                return Ok(None);
            }
            let come = |screen: &[u8]| memchr::memmem::find(screen, mark.as_bytes()).is_some();
            let seen = tested.program.wait_for(self.clock.now() + BROUGHT, |transcript| {
                transcript.screen().get(shown..).is_some_and(come).then_some(())
            });
            match seen {
                clock::Waited::Stopped => return Err(stopped()),
                clock::Waited::Seen(Some(())) => marks[tested.role as usize] = mark.len(),
                // It has closed its terminal, or ended.
                clock::Waited::Seen(None) | clock::Waited::TimeUp => {}
            }
        }
        Ok(Some(marks))
    }

    fn wait_once(
        &mut self,
        until: Duration,
        begun: &Look,
        met: &mut impl FnMut(&Session) -> bool,
    ) -> Result<Waited> {
        let clock = self.clock.clone();
        let (flood, roles) = (self.flood, self.roles());
        let (mut last, mut quiet) = (self.look(), Quiet::default());
        let waited = clock.watch(until, || {
            let pumped = match self.proxy.pump() {
                Ok(pumped) => pumped,
                Err(error) => return Some(Err(error)),
            };
            if met(self) {
                return Some(Ok(Waited::Met));
            }
            let look = self.look();
            if let Some(role) = look.flood(begun, flood, self.ignored).or_else(|| self.flooded()) {
                return Some(Ok(Waited::Flooded(role)));
            }
            let activities: Vec<_> = self.programs().map(Tested::activity).collect();
            let answered = match self.answer_when_asked(&activities) {
                Ok(answered) => answered,
                Err(error) => return Some(Err(error)),
            };
            let moved = pumped || look != last || self.proxy.is_busy() || answered;
            last = look;
            match quiet.look(clock.now(), moved, &activities) {
                State::Active => None,
                State::Quiet => Some(Ok(Waited::Quiet)),
                State::Spinning(at) => Some(Ok(Waited::Busy(roles[at]))),
            }
        });
        let restless = roles.iter().enumerate().filter(|(at, _)| quiet.wakes_for_nothing(*at));
        self.restless = restless.map(|(_, role)| *role).collect();
        match waited {
            clock::Waited::Seen(waited) => waited,
            clock::Waited::Stopped => Err(stopped()),
            clock::Waited::TimeUp => Ok(Waited::Quiet),
        }
    }

    fn flooded(&self) -> Option<Role> {
        let floods =
            |tested: &&Tested| tested.ending() == Some(Ending::Flooded) && Some(tested.role) != self.ignored;
        self.programs().find(floods).map(|tested| tested.role)
    }

    /// From here on a flood of the program with this role does not end a wait: it is known, and the other
    /// one is to be judged.
    pub fn ignore_flood_of(&mut self, role: Role) {
        self.ignored = Some(role);
        let flow = match role {
            Role::Server => &mut self.proxy.to_client,
            Role::Client => &mut self.proxy.to_server,
        };
        flow.mode = Mode::Held;
    }

    /// How many bytes the client has sent on connections other than its first.
    pub fn sent_elsewhere(&self) -> usize {
        self.proxy.further().map(|connection| connection.to_server.tape.len()).sum()
    }

    /// Types the next answer at a program that waits for its terminal.
    fn answer_when_asked(&mut self, activities: &[Option<Activity>]) -> Result<bool> {
        let asks = |(tested, activity): (&Tested, &Option<Activity>)| {
            let waits = activity.is_some_and(|activity| activity.at_terminal && !activity.running);
            (waits && !tested.answers.is_empty()).then_some(tested.role)
        };
        let Some(role) = self.programs().zip(activities).find_map(asks) else { return Ok(false) };
        // The question comes before the answer.
        self.catch_up()?;
        let tested = match role {
            Role::Server => &mut self.server,
            Role::Client => &mut self.client,
        };
        Ok(tested.as_mut().is_some_and(Tested::answer))
    }

    /// Waits until the client waits for its keyboard, with everything read that it has printed until then,
    /// or has ended, or all is quiet.
    pub fn settle(&mut self) -> Result<Waited> {
        let mut rest = Rest::default();
        let waited = self.wait(|session| {
            let client = session.client();
            client.has_ended() || (client.answers.is_empty() && rest.is_at_terminal(session))
        })?;
        if waited == Waited::Met {
            // It may have rested for a moment only, on its way to the question.
            let waits = |session: &Session| {
                session.client().activity().map(|activity| (activity.at_terminal, activity.turns_at_terminal))
            };
            let before = waits(self);
            self.catch_up()?;
            if waits(self) != before && !self.client().has_ended() {
                return self.settle();
            }
        }
        Ok(waited)
    }

    /// Waits until the client has nothing more to send for now.
    pub fn all_sent(&mut self) -> Result<Waited> {
        let mut rest = Rest::default();
        self.wait(|session| session.client().has_ended() || rest.rests(session))
    }

    fn look(&self) -> Look {
        let mut look = Look::default();
        for tested in self.programs() {
            let at = tested.role as usize;
            look.shown[at] = tested.shown();
            look.ended[at] = tested.has_ended();
        }
        let flows = [(Role::Server, &self.proxy.to_client), (Role::Client, &self.proxy.to_server)];
        for (role, flow) in flows {
            look.sent[role as usize] = flow.tape.len();
            look.passed[role as usize] = flow.passed;
        }
        look
    }

    /// Types `line` at the client and passes on all that it sends for it as one segment. Whether it sent
    /// anything.
    pub fn say(&mut self, line: &str) -> Result<bool> {
        let before = self.proxy.to_server.tape.len();
        self.proxy.to_server.mode = Mode::Held;
        self.client().type_line(line);
        let sent = self.wait(|session| {
            let flow = &session.proxy.to_server;
            flow.tape.len() > before || flow.end.is_some() || session.client().has_ended()
        })?;
        if sent == Waited::Met {
            self.all_sent()?;
        }
        self.proxy.to_server.mode = Mode::Open;
        Ok(self.proxy.to_server.tape.len() > before)
    }

    /// Ends the programs that still run, and takes the proxy's connections down as if both had closed them;
    /// the port stays this session's.
    pub fn interval(&mut self) {
        for tested in self.client.take().into_iter().chain(self.server.take()) {
            tested.program.finish();
        }
        self.proxy.close();
    }

    /// Ends the programs that still run, and takes the proxy's connections down so that nothing of them is
    /// left in the kernel.
    pub fn clear(mut self) {
        for tested in self.client.take().into_iter().chain(self.server.take()) {
            tested.program.finish();
        }
        self.proxy.hang_up();
    }
}

/// Waits until the kernel has forgotten the closed connections of `port`, which keep it from a server that
/// cannot share it.
fn wait_until_forgotten(clock: &Clock, sockets: &Sockets, port: u16) -> Result<()> {
    let forgotten = || match sockets.winding_down(port) {
        Ok(true) => None,
        Ok(false) => Some(Ok(())),
        Err(error) => Some(Err(error)),
    };
    match clock.watch(clock.now() + FORGOTTEN, forgotten) {
        clock::Waited::Stopped => Err(stopped()),
        clock::Waited::Seen(result) => result,
        clock::Waited::TimeUp => Ok(()),
    }
}

/// Where the proxy of one session listens and connects from.
fn proxy_config() -> Result<Config> {
    let mut config = Config::local();
    config.keeps_client = true;
    // Programs may insist on a port from 10000 to 20000.
    let port = Port::free()?.number();
    for address in &mut config.listen {
        address.set_port(port);
    }
    Ok(config)
}

/// Looks at the client until it rests.
#[derive(Default)]
struct Rest {
    since: Option<Duration>,
    turns: u64,
    looks: u32,
    sent: usize,
}

impl Rest {
    fn rests(&mut self, session: &Session) -> bool {
        let now = session.clock.now();
        let Some(activity) = session.client().activity() else { return true };
        let sent = session.proxy.to_server.tape.len();
        let moves = activity.running || activity.turns != self.turns || sent != self.sent;
        (self.turns, self.sent) = (activity.turns, sent);
        if moves || self.since.is_none() {
            (self.since, self.looks) = (Some(now), 0);
            return false;
        }
        self.looks += 1;
        self.looks >= RESTED.1 && self.since.is_some_and(|since| now >= since + RESTED.0)
    }

    fn is_at_terminal(&mut self, session: &Session) -> bool {
        let at_terminal = session.client().activity().is_none_or(|activity| activity.at_terminal);
        self.rests(session) && at_terminal
    }
}

fn stopped() -> anyhow::Error {
    anyhow!("stopped")
}
