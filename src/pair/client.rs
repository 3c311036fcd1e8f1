//! The client: asks for messages, sends each and says so; on `quit` shows the log that comes back.
//!
//! What holds: a server that goes away is noticed at once, also while the client waits for input;
//! and input that fails ends the session in order, so that what was sent before still comes back.

use std::io::{self, IsTerminal, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::host;
use super::input::{Input, Typed};
use super::link::{Link, Woken};
use super::readback::{Save, read_back};
use super::screen::{self, After, Screen};
use super::tally::Tally;
use super::wire::{self, QUIT, Sender};
use crate::error::{self, Fault};
use crate::escape::Text;

/// The pause between two attempts to reach a server that is not up yet.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(50);

/// What a client is to do.
#[derive(Debug)]
pub struct Client {
    /// The server's name or address; asked for where left out.
    pub host: Option<String>,
    /// The server's port; asked for where left out.
    pub port: Option<u16>,
    /// The messages, one a line; asked for on standard input where left out.
    pub script: Option<PathBuf>,
    /// How long a server may take to accept a connection.
    pub connect_timeout: Duration,
    /// How long to keep trying until there is a server.
    pub wait: Duration,
    /// The pause between scripted messages.
    pub pace: Duration,
    /// Where to save the log.
    pub save_log: Option<PathBuf>,
    /// The longest message to send, in bytes.
    pub max_message: usize,
}

impl Client {
    /// Holds one session, to its end.
    pub fn run(self) -> anyhow::Result<()> {
        let mut screen = Screen::new(screen::stdout()?);
        // What is wrong with files is found out before a server is bothered.
        let mut script = match &self.script {
            Some(path) if path.as_os_str() != "-" => Some(Input::script(path)?),
            _ => None,
        };
        let asks = script.is_none() || self.host.is_none() || self.port.is_none();
        let mut stdin = Input::stdin(asks)?;
        let save = self.save_log.as_deref().map(Save::new).transpose()?;
        let host = match &self.host {
            Some(host) => host.clone(),
            None => stdin.ask(screen::ASK_SERVER_ADDRESS, &mut screen, |answer| match answer.trim() {
                "" => Err("an address is needed: a host name, or one like 192.168.1.3".into()),
                host => Ok(host.to_owned()),
            })?,
        };
        let port = match self.port {
            Some(port) => port,
            None => stdin.ask(screen::ASK_SERVER_PORT, &mut screen, host::parse_port)?,
        };

        let link = self.connect(&host, port)?;
        screen.connected();
        let input = script.as_mut().unwrap_or(&mut stdin);
        input.set_limit(self.max_message);
        let mut quit = false;
        let held = self.converse(input, &link, &mut screen).and_then(|(sent, unsent)| {
            quit = unsent.is_none();
            screen.log_follows();
            let judged = read_back(&link, &sent, self.max_message, &mut screen, save);
            unsent.map_or(Ok(()), Err).and(judged)
        });
        let shown = screen.finish();
        // A session that failed did not come to a quit: its error says what was sent.
        if quit {
            match input.left_over() {
                (0, _) => {}
                (1, true) => error::note("1 line after quit was not sent"),
                (count, true) => error::note(&format!("{count} lines after quit were not sent")),
                (count, false) => error::note(&format!("more than {count} lines after quit were not sent")),
            }
        }
        held?;
        Ok(shown?)
    }

    /// Asks for messages and sends them, until `quit` or the end of input, and then quits. Besides
    /// what was sent, it may come back with why not everything was.
    fn converse(
        &self,
        input: &mut Input,
        link: &Link,
        screen: &mut Screen<impl Write>,
    ) -> Result<(Tally, Option<Fault>), Fault> {
        let mut out = Sender::new(link);
        let progress = Progress::new(input);
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
                // Before there is a prompt: a server that is gone by now has nothing asked for it.
                screen.flush();
                out.flush().map_err(|error| lost(error, &out))?;
            }
            input.prompt(screen::ASK_MESSAGE, screen);
            let mut unreadable = None;
            while unreadable.is_none() && !ready {
                screen.flush();
                progress.show(input);
                let fault = match link.wait(Some(input.as_fd()), None) {
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
                    let garbled = Fault::new("what was typed is not UTF-8; it was not sent");
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
                if let Ok(Woken::Gone(error)) = link.wait(None, Some(self.pace)) {
                    return Err(gone(error, out.messages()));
                }
            }
        };
        screen.quitting();
        screen.flush();
        out.quit().map_err(|error| lost(error, &out))?;
        Ok((out.into_sent(), unsent))
    }

    /// Connects to the first address of `host` that answers, trying again for as long as it should.
    fn connect(&self, host: &str, port: u16) -> Result<Link, Fault> {
        let end = Instant::now() + self.wait;
        loop {
            // The name as well: that of a machine or a container may be there only once it is up.
            let attempt = host::resolve(host, port).and_then(|addresses| {
                let link = self.attempt(&addresses).and_then(Link::new);
                link.map_err(|error| self.not_connected(host, port, error))
            });
            let fault = match attempt {
                Ok(link) => return Ok(link),
                Err(fault) => fault,
            };
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(fault);
            }
            // A server that comes up, or a name that becomes known, can only be found by trying again (as curl
            // --retry-connrefused does), and not without end or rest.
            std::thread::sleep(BETWEEN_ATTEMPTS.min(left)); // a port that opens far away tells nobody
        }
    }

    /// Tries each address once. They share the time, so that one that does not answer leaves some.
    fn attempt(&self, addresses: &[SocketAddr]) -> io::Result<TcpStream> {
        let end = Instant::now() + self.connect_timeout;
        let mut last_error = io::Error::from(io::ErrorKind::TimedOut);
        for (at, address) in addresses.iter().enumerate() {
            let rest = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
            let share = end.saturating_duration_since(Instant::now()) / rest;
            match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))).and_then(opened) {
                Ok(stream) => return Ok(stream),
                Err(error) => last_error = error,
            }
        }
        Err(last_error)
    }

    fn not_connected(&self, host: &str, port: u16, error: io::Error) -> Fault {
        let cannot = format!("cannot connect to {host} on port {port}");
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Fault::new(format!("{cannot}: nobody listens there")).hint(
                format!("start the server first (echolog server {port}), or let --wait SECONDS wait for it"),
            ),
            io::ErrorKind::ConnectionReset => Fault::new(format!("{cannot}: the server refused it"))
                .hint("it may be serving another client, or allow only the addresses it was given"),
            io::ErrorKind::TimedOut => {
                let seconds = self.connect_timeout.as_secs_f64();
                Fault::new(format!("{cannot}: no answer within {seconds} s"))
                    .hint("check the address, and whether a firewall is in between; --connect-timeout gives more time")
            }
            _ => Fault::new(cannot).because(error).hint("check the address and this computer's network"),
        }
    }
}

/// `stream`, if there is a server at its other end.
fn opened(stream: TcpStream) -> io::Result<TcpStream> {
    match stream.peer_addr() {
        // On loopback a port that nobody listens on can be drawn for this very connection, which TCP
        // then opens to itself (RFC 9293, section 3.5).
        Ok(peer) if peer == stream.local_addr()? => Err(io::ErrorKind::ConnectionRefused.into()),
        Ok(_) => Ok(stream),
        // It was reset as soon as it was open.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => {
            Err(io::ErrorKind::ConnectionReset.into())
        }
        Err(error) => Err(error),
    }
}

/// The server closed the connection, or it was lost.
fn gone(error: Option<io::Error>, messages: u64) -> Fault {
    let after = After(messages);
    let hint = "the log is lost with it; the server's screen may tell why it went";
    match error {
        Some(error) if error.kind() == io::ErrorKind::Deadlock => Fault::new(format!(
            "the server sends before it is asked for the log, and reads no further {after}"
        ))
        .hint("one that answers each message cannot take so many at once: send fewer, or slower (--pace)"),
        None => Fault::new(format!("the server closed the connection {after}")).hint(hint),
        Some(error) => Fault::new(format!("the server went away {after}")).because(error).hint(hint),
    }
}

/// A bar on stderr for a script that takes its time; only where it disturbs no screen.
struct Progress {
    bar: Option<ProgressBar>,
    since: Instant,
}

impl Progress {
    /// A script that is through before this has no bar.
    const SHORT: Duration = Duration::from_millis(500);

    fn new(input: &Input) -> Self {
        let wanted = io::stderr().is_terminal() && !io::stdout().is_terminal();
        let bar = input.size.filter(|_| wanted).map(|size| {
            let style = ProgressStyle::with_template(
                "sending {bar:30} {percent:>3} %  {bytes} of {total_bytes}  {eta} left",
            );
            ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::hidden())
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Progress { bar, since: Instant::now() }
    }

    fn show(&self, input: &Input) {
        if let Some(bar) = self.bar.as_ref().filter(|_| self.since.elapsed() >= Self::SHORT) {
            if bar.is_hidden() {
                bar.set_draw_target(ProgressDrawTarget::stderr());
            }
            bar.set_position(input.position());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use socket2::SockRef;

    use super::*;
    use crate::error;

    #[test]
    fn a_connection_that_is_reset_at_once_was_refused_by_the_server() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut stream = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let (server, _) = listener.accept().expect("there is one");
        SockRef::from(&server).set_linger(Some(Duration::ZERO)).expect("a socket can linger");
        drop(server);
        stream.read(&mut [0]).expect_err("it is reset");
        let error = opened(stream).expect_err("nobody is there");

        let client = Client {
            host: None,
            port: None,
            script: None,
            connect_timeout: Duration::ZERO,
            wait: Duration::ZERO,
            pace: Duration::ZERO,
            save_log: None,
            max_message: 0,
        };
        assert_eq!(
            error::words(&client.not_connected("there", 12345, error).into()),
            "error: cannot connect to there on port 12345: the server refused it\n\
             hint: it may be serving another client, or allow only the addresses it was given\n"
        );
    }
}
