//! How the client is fed, and which messages can be fed to which client that way.

use std::fmt;
use std::str::FromStr;

use anyhow::anyhow;

use crate::escape;
use crate::run::command::{Placeholder, Spec};

/// The longest line that a terminal takes in whole, without its newline (termios(3): 4,096 with it).
pub const TYPED_LINE: usize = 4095;

/// How the client is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Drive {
    /// From a file whose path replaces `{script}` in its command.
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
            } else if escape::show(line).as_bytes() != line {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::command::{Ready, Template};

    #[apply(test)]
    fn lines_end_at_newlines_and_carriage_returns_before_them_belong_to_the_end() {
        let split = |text: &'static str| lines(text.as_bytes()).collect::<Vec<_>>();
        assert_eq!(split(""), Vec::<&[u8]>::new());
        assert_eq!(split("a\r\n\nb\rc\nquit"), [&b"a"[..], b"", b"b\rc", b"quit"]);
        assert_eq!(split("a\r"), [&b"a\r"[..]]);
    }

    #[apply(test)]
    fn a_drive_says_why_it_cannot_carry_a_message() {
        let client = |command| Spec {
            command: Template::command(command).expect("a command"),
            answers: Vec::new(),
            dir: None,
            env: Vec::new(),
            ready: Ready::Listening,
            computer: None,
        };
        let (terminal, script) = (client("client {host} {port}"), client("client {host} {port} {script}"));
        let carries = |drive: Drive, messages: &[u8], client| drive.cannot_carry(messages, client).is_none();
        for messages in [&[b'x'; TYPED_LINE][..], b"tab\there \r\n\n", "Zoë\nquit".as_bytes()] {
            assert!(carries(Drive::Terminal, messages, &terminal));
        }
        for messages in [&[b'x'; TYPED_LINE + 1][..], b"\x1b[2J", b"\xff", b"a\rb\n", "\u{9b}".as_bytes()] {
            assert!(!carries(Drive::Terminal, messages, &terminal));
            assert!(carries(Drive::Pipe, messages, &terminal) && carries(Drive::Script, messages, &script));
        }
        assert!(!carries(Drive::Script, b"", &terminal) && !carries(Drive::Pipe, b"", &script));
    }
}
