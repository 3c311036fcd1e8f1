//! The client: asks for messages, sends each and says so; on `quit` shows the log that comes back.
//!
//! A server that goes away is noticed at once, also while the client waits for input. Input that fails ends the
//! session in order: the log of what was sent before still comes back.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use super::address::{self, Endpoint};
use super::connect::Patience;
use super::connection::{self, Connection, Woken};
use super::digest::Digest;
use super::input::{Input, Typed};
use super::interrupt::Told;
use super::progress::Progress;
use super::readback::read_back;
use super::save::Save;
use super::screen::{self, After, Form, Screen};
use super::wire::{self, QUIT, Sender};
use crate::error::{self, Fault};
use crate::escape::Text;

/// What a client is to do.
#[derive(Debug)]
pub struct Client {
    /// The server's name or address; asked for where left out.
    pub host: Option<String>,
    /// The server's port; asked for where left out.
    pub port: Option<u16>,
    /// The messages, one a line; asked for on standard input where left out.
    pub script: Option<PathBuf>,
    /// How long it tries to reach the server.
    pub patience: Patience,
    /// The pause between scripted messages.
    pub pace: Duration,
    /// Where to save the log.
    pub save_log: Option<PathBuf>,
    /// The longest message to send, in bytes.
    pub max_message: usize,
    /// What it writes on standard output.
    pub form: Form,
}

impl Client {
    /// Holds one session, to its end.
    pub fn run(self) -> anyhow::Result<()> {
        screen::on_stdout(self.form, |screen| self.hold(screen))
    }

    /// Holds one session; returns the number of its messages.
    fn hold(&self, screen: &mut Screen<impl Write>) -> anyhow::Result<u64> {
        // What is wrong with files is found out before a server is contacted.
        let mut script = match &self.script {
            Some(path) if path.as_os_str() != "-" => Some(Input::script(path)?),
            _ => None,
        };
        let asks = script.is_none() || self.host.is_none() || self.port.is_none();
        let mut stdin = Input::stdin(asks && screen.is_for_people())?;
        let save = self.save_log.as_deref().map(Save::new).transpose()?;
        if save.as_ref().is_some_and(Save::is_stdout) {
            if self.form == Form::Json {
                return Err(
                    Fault::usage("the log cannot be saved to standard output, where --json writes").into()
                );
            }
            screen.hide_log();
        }
        let (host, port) = match (&self.host, self.port) {
            (Some(host), port) => (host.clone(), port),
            (None, port) => self.ask_host(&mut stdin, screen, port)?,
        };
        let port = match port {
            Some(port) => port,
            None => stdin.ask(screen::ASK_SERVER_PORT, screen, |answer| {
                address::parse_port(answer).map_err(Fault::usage)
            })?,
        };

        let (connection, peer) = self.patience.connect(&host, port)?;
        screen.connected(peer.ip(), peer.port());
        let input = script.as_mut().unwrap_or(&mut stdin);
        input.set_limit(self.max_message);
        let (sent, unsent) = self.converse(input, &connection, screen)?;
        connection.limit_reads()?;
        screen.log_follows();
        let judged = read_back(&connection, &sent, self.max_message, screen, save);
        screen.flush();
        // A session that failed did not come to a quit: its error says what was sent.
        let Some(unsent) = unsent else {
            match input.left_over() {
                (0, _) => {}
                (1, true) => error::note("1 line after quit was not sent"),
                (count, true) => error::note(&format!("{count} lines after quit were not sent")),
                (count, false) => error::note(&format!("more than {count} lines after quit were not sent")),
            }
            judged?;
            return Ok(sent.messages);
        };
        Err(unsent.into())
    }

    /// Asks for the server's address, and for one that is known where a person can be asked again. The
    /// answer may have the port in it.
    fn ask_host(
        &self,
        stdin: &mut Input,
        screen: &mut Screen<impl Write>,
        port: Option<u16>,
    ) -> anyhow::Result<(String, Option<u16>)> {
        let must_be_known = stdin.is_keyboard() && self.patience.wait.is_zero();
        stdin.ask(screen::ASK_SERVER_ADDRESS, screen, |answer| {
            let endpoint = Endpoint::parse(answer);
            if endpoint.host.is_empty() {
                return Err(Fault::usage("an address is needed: a host name, or one like 192.168.1.3"));
            }
            let port = match &endpoint.port {
                Some(port) => Some(address::parse_port(port).map_err(Fault::usage)?),
                None => port,
            };
            if must_be_known {
                address::resolve(&endpoint.host, 0)?;
            }
            Ok((endpoint.host, port))
        })
    }

    /// Asks for messages and sends them, until `quit` or the end of input, and then quits. Besides
    /// what was sent, it may come back with why not everything was.
    fn converse(
        &self,
        input: &mut Input,
        connection: &Connection,
        screen: &mut Screen<impl Write>,
    ) -> Result<(Digest, Option<Fault>), Fault> {
        let mut out = Sender::new(connection);
        let progress = Progress::new(input);
        // Without it an interrupt ends the program all the same.
        let _told = input.is_plain_keyboard().then(|| Told::new().ok());
        let lost = |error, out: &Sender<_>| gone(Some(error), out.messages());
        let unsent = loop {
            if self.pace.is_zero() {
                // The same as below, for many at once.
                let lines = input.plain_lines();
                let mut sent = 0;
                for message in wire::messages(lines) {
                    screen.exchange(Text::plain(message));
                    sent += message.len() + 1;
                }
                out.send_lines(&lines[..sent]).map_err(|error| lost(error, &out))?;
                input.pass_lines(sent);
            }
            let mut ready = input.is_ready();
            if !ready {
                // Before there is a prompt: a server that is gone by now has nothing asked for it. The screen is
                // written together with the prompt.
                out.flush().map_err(|error| lost(error, &out))?;
            }
            input.prompt(screen::ASK_MESSAGE, screen);
            let mut unreadable = None;
            while unreadable.is_none() && !ready {
                screen.flush();
                progress.show(input);
                let fault = match connection.wait(Some(input.as_fd()), None) {
                    Ok(Woken::Input | Woken::Time) => {
                        unreadable = input.take_in().err();
                        ready = input.is_ready();
                        continue;
                    }
                    Ok(Woken::Gone(error)) => gone(error, out.messages()),
                    Err(error) => Fault::new("cannot wait for input").because(error),
                };
                input.give_up(screen);
                return Err(fault);
            }
            match unreadable.map_or_else(|| input.next(screen), Err) {
                Ok(Typed::Line(QUIT) | Typed::End) => break None,
                Ok(Typed::Line(message)) => {
                    screen.sending(message);
                    out.send(message).map_err(|error| lost(error, &out))?;
                }
                Ok(Typed::TooLong) => {
                    let number = out.messages() + 1;
                    let limit = self.max_message;
                    let over = format!("message {number} is longer than the limit of {limit} bytes");
                    let hint = "--max-message raises the limit, here and at the server";
                    if !input.is_keyboard() {
                        let unsent = format!("{over}; neither it nor what follows it was sent");
                        break Some(Fault::new(unsent).hint(hint));
                    }
                    screen.flush();
                    error::tell(&Fault::new(format!("{over}; it was not sent")).hint(hint).into());
                    continue;
                }
                Ok(Typed::NotUtf8) => {
                    screen.flush();
                    let garbled = Fault::new("the input is not UTF-8; it was not sent");
                    error::tell(&garbled.hint("--script or a pipe sends bytes of any kind").into());
                    continue;
                }
                Ok(Typed::Interrupted) => {
                    screen.flush();
                    let after = After(out.messages());
                    let lost = Fault::new(format!("interrupted {after}; the log is lost"))
                        .hint("quit, or Ctrl-D at an empty line, ends the session and shows the log");
                    error::tell(&lost.into());
                    return Err(gone(Some(input.interrupt()), out.messages()));
                }
                Err(error) => {
                    screen.end_of_input();
                    break Some(Fault::new(format!("cannot read {}", input.name)).because(error));
                }
            }
            if !self.pace.is_zero() && !input.is_keyboard() {
                screen.flush();
                out.flush().map_err(|error| lost(error, &out))?;
                progress.show(input);
                if let Ok(Woken::Gone(error)) = connection.wait(None, Some(self.pace)) {
                    return Err(gone(error, out.messages()));
                }
            }
        };
        screen.quitting();
        screen.flush();
        out.quit().map_err(|error| lost(error, &out))?;
        Ok((out.into_sent(), unsent))
    }
}

/// The server closed the connection, or it was lost.
fn gone(error: Option<io::Error>, messages: u64) -> Fault {
    let after = After(messages);
    let hint = "the log is lost; the server's screen may say why";
    match error {
        Some(error) if error.kind() == io::ErrorKind::Deadlock => Fault::new(format!(
            "the server sends before it is asked for the log, and has stopped reading {after}"
        ))
        .hint(
            "a server that answers each message cannot take so many at once: send fewer, or slower (--pace)",
        ),
        None => Fault::new(format!("the server closed the connection {after}")).hint(hint),
        Some(error) if connection::is_loss(&error) => {
            Fault::new(format!("the connection to the server was lost {after}")).because(error).hint(hint)
        }
        Some(error) => Fault::new(format!("cannot go on {after}")).because(error).hint("the log is lost"),
    }
}
