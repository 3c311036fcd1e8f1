//! Recording: someone types, a real pair answers, and a fixture comes of it.
//!
//! What always holds: the client has the person's own terminal, and nothing of ours stands between,
//! so that there is nothing to put back when it ends, however it ends. The messages are what went
//! over the wire; the goldens come from replaying them, and must agree with what the server showed
//! while they were typed.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::SigSet;

use crate::error::Fault;
use crate::proxy::{Config, Direction, Look, ProxyThread, Seen, Tape, Wire};
use crate::replay::drive::Drive;
use crate::replay::fixture::{CLIENT_GOLDEN, MESSAGES, SERVER_GOLDEN, write_whole};
use crate::replay::pair::Pair;
use crate::run::clock::{self, Clock};
use crate::run::command::Values;
use crate::run::computer::Computers;
use crate::run::port::Port;
use crate::run::program::{Ending, Errors, Input, Limits, Output, Program, Run, Streams};
use crate::run::sockets::Sockets;

/// How long the server may take to listen.
const START: Duration = Duration::from_secs(10);
/// How long it may take to end once the client has ended.
const END: Duration = Duration::from_secs(10);

/// What was recorded, not yet a fixture.
#[derive(Debug)]
pub struct Recording {
    /// What was typed, as it went over the wire.
    pub typed: Vec<u8>,
    /// The server's part.
    pub server: Run,
}

/// Whether a fixture can be recorded in `dir`: it must hold no file of one, unless `force`d.
pub fn check(dir: &Path, force: bool) -> Result<()> {
    if dir.exists() && !dir.is_dir() {
        return Err(Fault::usage(format!("not a directory: {}", dir.display())).into());
    }
    let taken = [MESSAGES, SERVER_GOLDEN, CLIENT_GOLDEN].into_iter().find(|file| dir.join(file).exists());
    match taken {
        Some(file) if !force => Err(Fault::usage(format!("{} is there already", dir.join(file).display()))
            .hint("name another directory, or let --force overwrite the fixture")
            .into()),
        _ => Ok(()),
    }
}

/// Plays one session of echolog's own pair, the client at the caller's terminal.
pub fn record(echolog: &Path) -> Result<Recording> {
    let pair = Pair::own(echolog, Drive::Terminal)?;
    let clock = Clock::start();
    let port = Port::free()?;
    let values = Values { port: Some(port.number()), ..Values::default() };
    let streams = Streams { input: Input::Nothing, output: Output::Pipe, errors: Errors::Apart };
    // A person may take a day to think of a message: nothing here looks at the time.
    let limits = Limits::default();
    let server = Program::start(&pair.server, &values, streams, &limits, &clock)?;
    let sockets = Sockets::open()?;
    let listening = clock.watch(START, || match sockets.listening(port.number()) {
        _ if server.ending().is_some() => Some(None),
        Ok(found) => found.map(Some),
        Err(_) => Some(None),
    });
    let Some(Some(address)) = listening.seen() else {
        return Err(ended_badly("the server did not come up", &server.finish()));
    };
    let fed = || -> Look { Arc::new(|| Seen::Fed) };
    // As without a proxy, both programs see the other one at 127.0.0.1.
    let local = Config {
        listen: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        sources: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        keeps_client: false,
        computers: Computers::shared(),
    };
    let proxy = ProxyThread::start(Wire::Through, &local, vec![address], [fed(), fed()], &clock)?;
    let address = proxy.address();
    let mut client = Command::new(echolog);
    client.args(["client", &address.ip().to_string(), &address.port().to_string()]);
    #[expect(unsafe_code, reason = "the only way to run something between fork and exec")]
    // SAFETY: it makes one system call. The signals that stop us are blocked here; the client is to have
    // them as any program at a terminal does.
    unsafe {
        client.pre_exec(|| Ok(SigSet::empty().thread_set_mask()?));
    }
    let client = client.status().context("cannot start the client");
    let ended = server.wait_end(clock.now() + END).seen();
    let tape = proxy.finish();
    if ended.is_none() {
        server.time_up();
    }
    let server = server.finish();
    let tape = tape?;
    judge(client?, &server, &tape)?;
    Ok(Recording { typed: tape.bytes(Direction::ToServer).to_vec(), server })
}

/// Only a session that went well becomes a fixture.
fn judge(client: ExitStatus, server: &Run, tape: &Tape) -> Result<()> {
    if clock::stopped() || client.signal().is_some() {
        return Err(Fault::new("stopped; nothing was recorded").into());
    }
    if !client.success() {
        return Err(Fault::new(format!("the client failed ({client}); nothing was recorded")).into());
    }
    if !server.ending.is_success() {
        return Err(ended_badly("the server failed; nothing was recorded", server));
    }
    if tape.connections.len() != 1 {
        return Err(Fault::new("the client did not connect once; nothing was recorded").into());
    }
    Ok(())
}

fn ended_badly(what: &'static str, server: &Run) -> anyhow::Error {
    let errors = String::from_utf8_lossy(server.transcript.errors()).trim().to_owned();
    let cause = match &server.ending {
        Ending::Exited(status) => format!("exit code {status}: {errors}"),
        _ => errors,
    };
    Fault::new(what).because(anyhow::anyhow!(cause)).into()
}

impl Recording {
    /// Writes the messages into `dir`, which is made if it is not there. With `force`, goldens of an
    /// older recording are removed, so that none of them is kept in part.
    pub fn write(&self, dir: &Path, force: bool) -> Result<PathBuf> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        if force {
            for golden in [SERVER_GOLDEN, CLIENT_GOLDEN] {
                let path = dir.join(golden);
                if path.exists() {
                    fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
                }
            }
        }
        let path = dir.join(MESSAGES);
        write_whole(&path, &self.typed)?;
        Ok(path)
    }

    /// Whether the blessed golden in `dir` is what the server showed while the messages were typed.
    pub fn agrees(&self, dir: &Path) -> Result<()> {
        let golden = fs::read(dir.join(SERVER_GOLDEN)).context("the golden was written just now")?;
        // The addresses and the port differ; all else must not.
        let after = |screen: &[u8]| -> Vec<u8> {
            screen.split_inclusive(|&byte| byte == b'\n').skip(3).collect::<Vec<_>>().concat()
        };
        if after(&golden) == after(self.server.transcript.screen()) {
            return Ok(());
        }
        Err(Fault::new("the server showed something else while you typed than it does when that is replayed")
            .hint(format!("compare {} with what you expect", dir.join(SERVER_GOLDEN).display()))
            .into())
    }
}
