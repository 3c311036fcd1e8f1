//! A session of a submission while it is played: a server, a client, the proxy between them, and the waiting
//! for what they do.
//!
//! What always holds: a wait ends when the thing itself has happened, or when the programs are quiet
//! ([`crate::run::quiet`]), and never because a guessed time is over. A wait that ends in any other way than
//! by the thing itself names the program that it is about. What came before a wait cannot change how it ends.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use socket2::Domain;

use super::setup::Setup;
pub use super::tested::Keyboard;
use super::tested::Tested;
use crate::error::{self, Exit, Fault};
use crate::proxy::{Config, Mode, Proxy};
use crate::results::Role;
use crate::run::clock::{self, Clock};
use crate::run::command::{PROFILE, Ready, Spec, Template, Values};
use crate::run::computer::{Computer, Computers};
use crate::run::copy::{Bounds, copy_tree};
use crate::run::port::Port;
use crate::run::program::Program;
use crate::run::scratch::Scratch;
use crate::run::sockets::Sockets;
use crate::run::streams::{Input, Streams};

/// For how long the kernel remembers a closed connection (`TCP_TIMEWAIT_LEN`), and some more.
const FORGOTTEN: Duration = Duration::from_secs(65);
/// How much a program may print or send within one wait, in bytes, when hardly anything is asked of it.
const FLOOD: usize = 256 << 10;

#[cfg(test)]
mod tests;
mod waiting;

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
    /// Where the working copies of programs on this computer are.
    copies: Option<Scratch>,
    computers: Computers,
    /// How many bytes a program may print or send within one wait.
    pub flood: usize,
    /// The programs that were last seen to wake by themselves again and again without effect.
    restless: Vec<Role>,
    /// The program whose flood does not end a wait any more.
    ignored: Option<Role>,
    /// Whether something came, or was still to be sent by a kernel, when it was last looked.
    is_on_its_way: bool,
    /// For how long server and client were seen asleep in waits.
    asleep: [Duration; 2],
}

impl<'a> Session<'a> {
    /// A session with no program in it yet.
    pub fn open(setup: &'a Setup) -> Result<Session<'a>> {
        Session::open_on(setup, setup.port()?)
    }

    /// A session whose server is given this port.
    pub fn open_on(setup: &'a Setup, port: Port) -> Result<Session<'a>> {
        let clock = Clock::start();
        let computers = setup.computers()?;
        let is_isolated = computers.server.is_isolated();
        let copies = if is_isolated { None } else { Some(Scratch::new()?) };
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
            copies,
            computers,
            flood: FLOOD,
            ignored: None,
            restless: Vec::new(),
            is_on_its_way: false,
            asleep: [Duration::ZERO; 2],
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

    /// Whether the proxy knows where the server listens.
    pub fn is_aimed(&self) -> bool {
        self.is_aimed
    }

    /// From here on a flood of the client does not end a wait: it is no longer part of the session.
    pub fn leave_client_out(&mut self) {
        if let Some(client) = self.client.take() {
            drop(client.program);
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
        let folder = match &self.copies {
            Some(copies) => {
                let folder = tempfile::Builder::new().prefix("copy-").tempdir_in(copies.path());
                // It is removed with the others.
                let folder = folder.context("cannot make a working directory")?.keep();
                copy_tree(self.setup.work(), &folder, None, Bounds::default())
                    .context("cannot copy the built submission")?;
                folder
            }
            None => self.setup.work().to_owned(),
        };
        let computer = match role {
            Role::Server => &self.computers.server,
            Role::Client => &self.computers.client,
        };
        let spec = Spec {
            command: command.clone(),
            answers: Vec::new(),
            dir: Some(folder.clone()),
            env: self.setup.environment(),
            ready: Ready::Listening,
            computer: Some(Arc::clone(computer)),
        };
        let place = format!("{}/", folder.display());
        let input = if keyboard == Keyboard::Pipe { Input::Pipe } else { Input::Terminal };
        let streams = Streams { input, ..Streams::TERMINAL };
        let program = Program::start(&spec, values, streams, self.setup.limits(), &self.clock);
        let program = program.with_context(|| role.word()).map_err(|error| {
            if error::exit(&error) != Exit::Usage {
                return error;
            }
            // The copy that it was looked for in is gone when this is read.
            let why: Vec<String> = error.chain().map(ToString::to_string).collect();
            let hint = if self.setup.submission().dir.is_some() {
                format!(" (see {PROFILE})")
            } else {
                String::new()
            };
            Fault::usage(format!("{}{hint}", why.join(": ").replace(&place, "./"))).into()
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
        match found.or_else(|| self.listened_on(port)) {
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
        let address = self.sockets.listening(port)?.or_else(|| self.listened_on(port));
        if let Some(address) = address {
            self.aim(address);
        }
        Ok(address.is_some())
    }

    /// Where the server has listened on `port`: it may have ended before anyone looked.
    fn listened_on(&self, port: u16) -> Option<SocketAddr> {
        self.server().program.listened().into_iter().find(|address| address.port() == port)
    }

    fn aim(&mut self, listening: SocketAddr) {
        self.is_aimed = true;
        self.proxy.aim(reachable_at(listening, self.computers.server.address()));
    }

    /// Connects to the proxy in the place of the client.
    pub fn connect_as_client(&mut self) -> Result<TcpStream> {
        let address = self.proxy.address()?;
        let failed = "cannot connect to the proxy";
        let socket = self.computers.client.socket(Domain::for_address(address)).context(failed)?;
        socket.connect(&address.into()).context(failed)?;
        Ok(socket.into())
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

    /// The program that ended the connection, or itself, before the other one did, if one has. Where one end is the
    /// answer to the other, their order is certain: an end goes on to the other program only after it was noted.
    pub fn first_to_end(&self) -> Option<Role> {
        match (self.proxy.to_server.ended, self.proxy.to_client.ended) {
            (Some(client), Some(server)) if client <= server => Some(Role::Client),
            (Some(_), None) => Some(Role::Client),
            (_, Some(_)) => Some(Role::Server),
            (None, None) => self.server().has_ended().then_some(Role::Server),
        }
    }

    fn programs(&self) -> impl Iterator<Item = &Tested> {
        self.server.iter().chain(&self.client)
    }

    fn roles(&self) -> Vec<Role> {
        self.programs().map(|tested| tested.role).collect()
    }

    /// Waits until the client has connected, or ended: whether it has connected, and how the wait ended.
    pub fn connects(&mut self) -> Result<(bool, Waited)> {
        let waited = self.wait(|session| session.proxy.connected || session.client().has_ended())?;
        Ok((self.proxy.connected, waited))
    }

    /// Types `line` at the client, and waits until it sends something, or ends. What it sends is held.
    pub fn type_line(&mut self, line: &str) -> Result<Waited> {
        let before = self.proxy.to_server.tape.len();
        self.proxy.to_server.mode = Mode::Held;
        self.client().type_line(line);
        self.wait(|session| {
            let flow = &session.proxy.to_server;
            flow.tape.len() > before || flow.end.is_some() || session.client().has_ended()
        })
    }

    /// Types `line` at the client and passes on all that it sends for it as one segment. Whether it sent
    /// anything.
    pub fn say(&mut self, line: &str) -> Result<bool> {
        let before = self.proxy.to_server.tape.len();
        if self.type_line(line)? == Waited::Met {
            self.all_sent()?;
        }
        self.proxy.to_server.mode = Mode::Open;
        Ok(self.proxy.to_server.tape.len() > before)
    }

    /// Ends the programs that still run, and takes the proxy's connections down as if both had closed them;
    /// the port stays this session's.
    pub fn interval(&mut self) {
        for tested in self.client.take().into_iter().chain(self.server.take()) {
            drop(tested.program);
        }
        self.proxy.close();
    }

    /// Ends the programs that still run, and takes the proxy's connections down so that nothing of them is
    /// left in the kernel.
    pub fn clear(mut self) {
        for tested in self.client.take().into_iter().chain(self.server.take()) {
            drop(tested.program);
        }
        self.proxy.hang_up();
    }
}

/// Where a server that is `listening` there can be reached on its computer, whose address is `own`.
fn reachable_at(listening: SocketAddr, own: IpAddr) -> Vec<SocketAddr> {
    let at = |ip: IpAddr| SocketAddr::new(ip, listening.port());
    match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => vec![at(own)],
        // Both families on one socket, as a rule.
        IpAddr::V6(ip) if ip.is_unspecified() => vec![at(own), at(Ipv6Addr::LOCALHOST.into())],
        ip => vec![at(ip.to_canonical())],
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

fn stopped() -> anyhow::Error {
    anyhow!("stopped")
}
