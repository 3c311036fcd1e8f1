//! The server: one client, its messages shown and logged as they arrive, the log sent back on `quit`.
//!
//! [`Server::run`] binds and accepts; [`serve`] speaks the protocol, over any stream.

use std::io::{Read, Write};
use std::net::IpAddr;

use super::address::Ports;
use super::connection;
use super::input::Input;
use super::interfaces;
use super::listen;
use super::log::Log;
use super::screen::{self, After, Form, Screen};
use super::wire::{self, LineEnd, Lines, Next, QUIT};
use crate::error::{self, Fault};
use crate::escape::Text;

/// What a server is to do.
#[derive(Debug)]
pub struct Server {
    /// The ports it may use; asked for where left out.
    pub ports: Option<Ports>,
    /// The address it listens at; every one where left out.
    pub bind: Option<String>,
    /// Whose connections it takes; everyone's where empty.
    pub allow: Vec<IpAddr>,
    /// The longest message, in bytes.
    pub max_message: usize,
    /// The largest log, in bytes, line ends included.
    pub max_log: u64,
    /// What it writes on standard output.
    pub form: Form,
}

impl Server {
    /// Serves one client to the end of its session.
    pub fn run(self) -> anyhow::Result<()> {
        screen::on_stdout(self.form, |screen| self.hold(screen))
    }

    /// Holds one session; returns the number of its messages.
    fn hold(&self, screen: &mut Screen<impl Write>) -> anyhow::Result<u64> {
        let ports = match self.ports {
            Some(ports) => ports,
            None => Input::stdin(screen.is_for_people())?
                .ask(screen::ASK_PORT, screen, |answer| answer.parse::<Ports>().map_err(Fault::usage))?,
        };
        let listener = listen::listen(self.bind.as_deref(), ports)?;
        let (address, others) = interfaces::addresses_to_show(&listener)?;
        screen.listening(address, listener.local_addr()?.port());
        // A server whose port nobody can learn is of no use.
        screen.must_show()?;
        if !others.is_empty() {
            let others: Vec<String> =
                others.iter().map(|own| format!("{} ({})", own.address, own.interface)).collect();
            error::note(&format!("this computer has more addresses: {}", others.join(", ")));
        }
        let client = listen::accept(listener, &self.allow, screen)?;
        let mut log = Log::new(self.max_log);
        serve(&client, screen, &mut log, self.max_message)?;
        let messages = log.messages();
        log.send_back(&mut &client)?.and_then(|()| client.close_in_order()).map_err(|error| {
            match error.kind() {
                std::io::ErrorKind::Deadlock => {
                    Fault::new("the client goes on sending after its quit, and does not read its log")
                }
                _ if connection::is_loss(&error) => {
                    Fault::new("the client disconnected before it had the whole log").because(error)
                }
                _ => Fault::new("cannot send the log").because(error),
            }
        })?;
        Ok(messages)
    }
}

/// Shows and logs what `client` sends until it quits. Any other end is an error that says how many messages
/// were logged.
fn serve(
    client: impl Read,
    screen: &mut Screen<impl Write>,
    log: &mut Log,
    max_message: usize,
) -> Result<(), Fault> {
    let mut lines = Lines::new(client, LineEnd::MaybeCrLf, max_message);
    loop {
        if !lines.is_ready() {
            screen.flush();
        }
        // The same as below, for many at once.
        let together = lines.plain_lines();
        if log.has_room(together) {
            let mut kept = 0;
            for message in wire::messages(together) {
                screen.received(Text::plain(message));
                kept += message.len() + 1;
            }
            if kept > 0 {
                log.append_lines(&together[..kept])?;
                lines.pass_lines(kept);
                continue;
            }
        }
        let after = After(log.messages());
        return Err(match lines.next() {
            // A `quit` without its line end, and then an orderly end, is what `printf quit | nc` sends.
            Ok(Next::Line(QUIT) | Next::Tail(QUIT)) => {
                screen.client_quits();
                screen.flush();
                return Ok(());
            }
            Ok(Next::Line(message)) => {
                log.append(message)?;
                screen.received(message);
                continue;
            }
            Ok(Next::TooLong) => Fault::new(format!(
                "{after}, the client sent one that is longer than the limit of {max_message} bytes"
            ))
            .hint("raise the limit with --max-message"),
            Ok(Next::End) => Fault::new(format!("the client disconnected without quit, {after}")),
            Ok(Next::Tail(cut)) => {
                let cut = discarded(cut.len());
                Fault::new(format!("the client disconnected in the middle of a message, {after}; {cut}"))
            }
            Err(error) if !connection::is_loss(&error) => {
                Fault::new(format!("cannot read from the client, {after}")).because(error)
            }
            Err(error) => Fault::new(match lines.unfinished() {
                0 => format!("the connection to the client was lost, {after}"),
                cut => format!(
                    "the connection to the client was lost in the middle of a message, {after}; {}",
                    discarded(cut)
                ),
            })
            .because(error),
        });
    }
}

fn discarded(bytes: usize) -> String {
    if bytes == 1 { "its 1 byte was discarded".into() } else { format!("its {bytes} bytes were discarded") }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Hands out its pieces one a read, and then its error, if it has one.
    struct Pieces<'a> {
        pieces: Vec<&'a [u8]>,
        error: Option<io::ErrorKind>,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.pieces.is_empty() {
                return self.error.take().map_or(Ok(0), |kind| Err(kind.into()));
            }
            let piece = self.pieces.remove(0);
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    /// The screen, the log and the error after `pieces` and an orderly end, or `error`.
    fn served(pieces: &[&[u8]], error: Option<io::ErrorKind>) -> (String, Vec<u8>, Option<String>) {
        let mut shown = Vec::new();
        let mut screen = Screen::new(&mut shown, Form::Screen);
        let mut log = Log::new(1000);
        let result = serve(Pieces { pieces: pieces.to_vec(), error }, &mut screen, &mut log, 10);
        screen.finish().unwrap();
        let mut sent = Vec::new();
        log.send_back(&mut sent).unwrap().unwrap();
        let error = result.err().map(|fault| error::words(&fault.into()));
        (String::from_utf8(shown).unwrap(), sent, error)
    }

    #[apply(test)]
    fn every_message_is_shown_and_logged_until_quit() {
        let (shown, log, error) = served(&[b"one\nt", b"wo\r\n\nQuit\n quit\nquit now\nquit\nlate\n"], None);
        assert_eq!(
            shown,
            "server received message: \"one\"\nserver received message: \"two\"\n\
             server received message: \"\"\nserver received message: \"Quit\"\n\
             server received message: \" quit\"\nserver received message: \"quit now\"\n\
             the client has informed the server that it is quitting\n"
        );
        assert_eq!(log, b"one\ntwo\n\nQuit\n quit\nquit now\n");
        assert_eq!(error, None);
    }

    #[apply(test)]
    fn quit_without_its_line_end_quits_only_when_the_end_is_orderly() {
        assert_eq!(served(&[b"one\nqu", b"it"], None).2, None);
        let (shown, _, error) = served(&[b"one\nquit"], Some(io::ErrorKind::ConnectionReset));
        assert_eq!(shown, "server received message: \"one\"\n");
        let error = error.unwrap();
        assert!(
            error.starts_with("error: the connection to the client was lost in the middle of a message"),
            "{error}"
        );
    }

    #[apply(test)]
    fn an_end_between_messages_one_inside_a_message_and_a_reset_are_told_apart() {
        let (_, log, error) = served(&[b"one\ntwo\n"], None);
        assert_eq!(error.unwrap(), "error: the client disconnected without quit, after 2 messages\n");
        assert_eq!(log, b"one\ntwo\n");
        let (shown, log, error) = served(&[b"one\ntwo"], None);
        assert_eq!(
            error.unwrap(),
            "error: the client disconnected in the middle of a message, after 1 message; its 3 bytes were discarded\n"
        );
        assert_eq!((shown.as_str(), &log[..]), ("server received message: \"one\"\n", &b"one\n"[..]));
        let (_, _, error) = served(&[b"one\n"], Some(io::ErrorKind::ConnectionReset));
        assert_eq!(
            error.unwrap(),
            "error: the connection to the client was lost, after 1 message: connection reset\n"
        );
    }

    #[apply(test)]
    fn a_message_over_the_limit_ends_the_session_and_names_the_limit() {
        assert_eq!(served(&[b"0123456789\nquit\n"], None).2, None);
        for over in [&b"0123456789x\nquit\n"[..], b"0123456789xyz"] {
            let error = served(&[b"one\n", over], None).2.unwrap();
            assert!(error.contains("longer than the limit of 10 bytes"), "{error}");
        }
    }
}
