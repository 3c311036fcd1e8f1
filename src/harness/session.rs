//! One session: one pair of programs, one wire, one drive, played to its end.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::anyhow;

use super::program::{Limits, Placeholder, Ready, Run, Spec, Template};
use super::relay::{Tape, Wire};
use crate::safe;

/// The longest line that a terminal takes in whole, without its newline (termios(3): 4,096 with it).
pub const TYPED_LINE: usize = 4095;

/// How the client is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Drive {
    /// From a file that it is told of, in place of `{script}`.
    Script,
    /// Through its standard input, a pipe.
    Pipe,
    /// At a pseudo-terminal, in lockstep: the next message is typed when the server has shown the last
    /// one and the client waits for input again.
    Terminal,
}

impl Drive {
    /// All of them.
    pub const ALL: [Drive; 3] = [Drive::Script, Drive::Pipe, Drive::Terminal];

    /// Why this drive cannot feed `messages` (a whole messages file) to `client`, if it cannot.
    pub fn cannot_carry(self, messages: &[u8], client: &Spec) -> Option<String> {
        let asks_for_script = client.command.mentions(Placeholder::Script);
        match self {
            Drive::Script if !asks_for_script => {
                return Some("the client's command has no {script}".to_owned());
            }
            Drive::Script => return None,
            _ if asks_for_script => {
                return Some("the client's command takes its messages from {script}".to_owned());
            }
            Drive::Pipe => return None,
            Drive::Terminal => {}
        }
        lines(messages).enumerate().find_map(|(at, line)| {
            let number = at + 1;
            if line.len() > TYPED_LINE {
                Some(format!("line {number} has {} bytes; a terminal takes {TYPED_LINE}", line.len()))
            } else if safe::show(line).as_bytes() != line {
                Some(format!(
                    "line {number} has bytes that a terminal acts on, or that are not shown as typed"
                ))
            } else {
                None
            }
        })
    }
}

impl fmt::Display for Drive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Drive::Script => "script",
            Drive::Pipe => "pipe",
            Drive::Terminal => "terminal",
        })
    }
}

impl FromStr for Drive {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Drive> {
        Drive::ALL
            .into_iter()
            .find(|drive| drive.to_string() == text)
            .ok_or_else(|| anyhow!("not a drive: {text}"))
    }
}

/// The lines of a messages file: they end at `\n`, a `\r` before it belongs to the line end, and the last
/// one may lack its end.
pub fn lines(messages: &[u8]) -> impl Iterator<Item = &[u8]> {
    messages.split_inclusive(|&byte| byte == b'\n').map(|line| match line.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        None => line,
    })
}

/// The two programs under test.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The server.
    pub server: Spec,
    /// The client.
    pub client: Spec,
    /// The port, for a server that insists on one; else a free one is chosen for each session.
    pub port: Option<u16>,
}

impl Pair {
    /// echolog's own pair: the executable at `echolog`, twice, called as `drive` needs it.
    pub fn own(echolog: &Path, drive: Drive) -> anyhow::Result<Pair> {
        let spec = |arguments: &[&str], ready| {
            anyhow::Ok(Spec {
                command: Template::call(echolog, arguments)?,
                answers: Vec::new(),
                dir: None,
                env: Vec::new(),
                ready,
            })
        };
        let client: &[&str] = match drive {
            Drive::Script => &["client", "{host}", "{port}", "--script", "{script}"],
            Drive::Pipe | Drive::Terminal => &["client", "{host}", "{port}"],
        };
        Ok(Pair {
            server: spec(&["server", "{port}"], Ready::Line("server is using port: ".to_owned()))?,
            client: spec(client, Ready::Listening)?,
            port: None,
        })
    }
}

/// What is to be played.
#[derive(Clone, Debug)]
pub struct Session<'a> {
    /// The programs.
    pub pair: &'a Pair,
    /// The messages file's path, for `{script}`.
    pub script: &'a Path,
    /// Its contents.
    pub messages: &'a [u8],
    /// How the client is fed.
    pub drive: Drive,
    /// What lies between the programs.
    pub wire: Wire,
    /// What each program may use.
    pub limits: &'a Limits,
}

/// Whether the server became ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It did, this long after the start of the session.
    Ready(Duration),
    /// It ended first. No client was started.
    Died,
    /// It ran on until time was up without listening. No client was started.
    NeverListened,
}

/// Where the lockstep of the terminal drive came to a stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stall {
    /// The client did not wait for input (again) before this message could be typed, counted from 0.
    NotAsked(usize),
    /// The server did not show this message, counted from 0.
    NotShown(usize),
}

/// The true values of what goldens write as placeholders.
#[derive(Clone, Debug)]
pub struct Places {
    /// The addresses of this machine, any of which the server may show as its own.
    pub server_addresses: Vec<IpAddr>,
    /// The server's port.
    pub port: u16,
    /// The port that the client was told: the server's, or the relay's.
    pub client_port: u16,
    /// The address that the server sees the client come from.
    pub client_address: IpAddr,
}

/// What came of a session. Judging it is someone else's work.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The server's part.
    pub server: Run,
    /// The client's part, where it came to that.
    pub client: Option<Run>,
    /// Whether the server became ready.
    pub readiness: Readiness,
    /// Where the terminal drive's lockstep came to a stand, if it did.
    pub stall: Option<Stall>,
    /// The true values of the placeholders.
    pub places: Places,
    /// What the relay received; `None` on the direct wire.
    pub tape: Option<Tape>,
    /// How long all of it took.
    pub took: Duration,
    /// Whether the harness was told to stop (Ctrl-C) before the session was over.
    pub stopped: bool,
}

/// Plays one session to its end. When it returns, nothing of it is left running.
///
/// An error means that it could not be played: a usage fault when a command does not exist or cannot be
/// executed; otherwise that this machine had no port, terminal or process to give. What the programs do
/// is never an error here.
pub fn play(session: &Session) -> anyhow::Result<Outcome> {
    let _ = session;
    Err(anyhow!("sessions cannot be played yet"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_newlines_and_carriage_returns_before_them_belong_to_the_end() {
        let split = |text: &'static str| lines(text.as_bytes()).collect::<Vec<_>>();
        assert_eq!(split(""), Vec::<&[u8]>::new());
        assert_eq!(split("a\r\n\nb\rc\nquit"), [&b"a"[..], b"", b"b\rc", b"quit"]);
        assert_eq!(split("a\r"), [&b"a\r"[..]]);
    }
}
