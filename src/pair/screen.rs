//! What the two programs write on their standard output: screens for people, one JSON object a line for
//! programs, or with `--quiet` only messages and log.
//!
//! Every phrase stands here once. A screen that cannot be written (a closed pipe, a full disk) does not stop
//! a session: the first error is kept, nothing more is written, and [`Screen::finish`] returns the error.
//! Nothing is written out before [`Screen::flush`] or a full buffer: whoever is about to block flushes.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;

use nix::sys::signal::{SigHandler, Signal, signal};

use super::event::{Content, Event};
use crate::error::{self, Fault, Patient};
use crate::escape::{self, Text};

/// The server's prompt for its port, where the command line leaves it out.
pub const ASK_PORT: &str = "enter port to listen on: ";
/// The client's prompt for the server's address.
pub const ASK_SERVER_ADDRESS: &str = "enter server address: ";
/// The client's prompt for the server's port.
pub const ASK_SERVER_PORT: &str = "enter server port: ";
/// The client's prompt for a message.
pub const ASK_MESSAGE: &str = "enter a message to send to server: ";

const SENDING: &[u8] = b"client sending message: \"";

/// The bytes written out at once.
const CHUNK: usize = 128 * 1024;

/// Standard output, without a buffer. From here on a limit on the size of files (`ulimit -f`) is an error
/// of whoever writes one, like a full disk.
fn stdout() -> io::Result<Patient<File>> {
    // SAFETY: no handler is installed that could run anywhere.
    #[expect(unsafe_code, reason = "what a signal does is changed")]
    unsafe {
        signal(Signal::SIGXFSZ, SigHandler::SigIgn)?;
    }
    Ok(Patient(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
}

/// Holds a session on standard output: shows its number of messages or its error where the form has them,
/// and tells whether all could be shown.
pub fn on_stdout(
    form: Form,
    session: impl FnOnce(&mut Screen<Patient<File>>) -> anyhow::Result<u64>,
) -> anyhow::Result<()> {
    let mut screen = Screen::new(stdout()?, form);
    let held = session(&mut screen);
    match &held {
        Ok(messages) => screen.done(*messages),
        Err(error) => screen.failed(error),
    }
    let shown = screen.finish();
    held?;
    Ok(shown?)
}

/// How many messages there were, as the errors of both programs say it.
#[derive(Clone, Copy, Debug)]
pub struct After(pub u64);

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("after 1 message"),
            count => write!(f, "after {count} messages"),
        }
    }
}

/// What is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// The screen that a person reads.
    #[default]
    Screen,
    /// Only the messages (server) or the log (client), one a line.
    Quiet,
    /// One JSON object a line for each event.
    Json,
}

/// The standard output of one of the programs.
#[derive(Debug)]
pub struct Screen<W: Write> {
    out: BufWriter<W>,
    form: Form,
    /// The log is written by someone else, where it is saved to standard output.
    hides_log: bool,
    /// How many messages were shown, and how many lines of the log.
    messages: u64,
    log_lines: u64,
    error: Option<io::Error>,
}

impl<W: Write> Screen<W> {
    /// A screen with nothing on it.
    pub fn new(out: W, form: Form) -> Self {
        let out = BufWriter::with_capacity(CHUNK, out);
        Screen { out, form, hides_log: false, messages: 0, log_lines: 0, error: None }
    }

    /// Whether it is a screen for a person, with prompts.
    pub fn is_for_people(&self) -> bool {
        self.form == Form::Screen
    }

    /// Leaves the log to someone else who writes to the same place.
    pub fn hide_log(&mut self) {
        self.hides_log = true;
    }

    /// The server listens.
    pub fn listening(&mut self, address: IpAddr, port: u16) {
        match self.form {
            Form::Screen => self.put(|out| {
                writeln!(out, "server is at address: {address}")?;
                writeln!(out, "server is using port: {port}")
            }),
            _ => self.event(&Event::Listening { address, port }),
        }
    }

    /// A client connected to the server.
    pub fn client_connected(&mut self, address: IpAddr) {
        match self.form {
            Form::Screen => self.put(|out| writeln!(out, "server connected to client at address: {address}")),
            _ => self.event(&Event::Connected { address, port: None }),
        }
    }

    /// A connection ended before it was a session; the caller tells why on standard error.
    pub fn connection_dropped(&mut self, address: IpAddr, reason: &str) {
        self.event(&Event::Dropped { address, reason });
    }

    pub fn received<'a>(&mut self, message: impl Into<Text<'a>>) {
        match self.form {
            Form::Screen => self.quoted(b"server received message: \"", message),
            Form::Quiet => self.whole_line(message),
            Form::Json => {
                self.messages += 1;
                let content = Content(message.into().bytes());
                self.event(&Event::Message { number: self.messages, content });
            }
        }
    }

    pub fn client_quits(&mut self) {
        match self.form {
            Form::Screen => {
                self.put(|out| out.write_all(b"the client has informed the server that it is quitting\n"));
            }
            _ => self.event(&Event::Quit { messages: self.messages }),
        }
    }

    /// The client connected to the server at `address`.
    pub fn connected(&mut self, address: IpAddr, port: u16) {
        match self.form {
            Form::Screen => self.put(|out| out.write_all(b"client has connected to the server!\n")),
            _ => self.event(&Event::Connected { address, port: Some(port) }),
        }
    }

    /// A prompt; the cursor stays behind it.
    pub fn ask(&mut self, prompt: &str) {
        self.put_for_people(|out| out.write_all(prompt.as_bytes()));
    }

    /// What was read behind a prompt, where no terminal has shown it already.
    pub fn typed<'a>(&mut self, text: impl Into<Text<'a>>) {
        if self.is_for_people() {
            self.whole_line(text);
        }
    }

    /// The line end that a terminal does not show when input ends behind a prompt.
    pub fn end_of_input(&mut self) {
        self.put_for_people(|out| out.write_all(b"\n"));
    }

    pub fn sending<'a>(&mut self, message: impl Into<Text<'a>>) {
        match self.form {
            Form::Screen => self.quoted(SENDING, message),
            Form::Quiet => {}
            Form::Json => {
                self.messages += 1;
                let content = Content(message.into().bytes());
                self.event(&Event::Sending { number: self.messages, content });
            }
        }
    }

    /// All that is shown of a message that comes from a file: the prompt, what would have been typed, and
    /// that it is being sent.
    pub fn exchange<'a>(&mut self, message: impl Into<Text<'a>>) {
        let message = message.into();
        if !self.is_for_people() {
            return self.sending(message);
        }
        self.put(|out| {
            out.write_all(ASK_MESSAGE.as_bytes())?;
            escape::write(out, message)?;
            out.write_all(b"\n")?;
            out.write_all(SENDING)?;
            escape::write(out, message)?;
            out.write_all(b"\"\n")
        });
    }

    pub fn quitting(&mut self) {
        match self.form {
            Form::Screen => self.put(|out| out.write_all(b"client informing server that it is quitting.\n")),
            _ => self.event(&Event::Quit { messages: self.messages }),
        }
    }

    pub fn log_follows(&mut self) {
        self.put_for_people(|out| out.write_all(b"client received message log:\n"));
    }

    pub fn log_line<'a>(&mut self, line: impl Into<Text<'a>>) {
        if self.hides_log {
            return;
        }
        match self.form {
            Form::Screen | Form::Quiet => self.whole_line(line),
            Form::Json => {
                self.log_lines += 1;
                let content = Content(line.into().bytes());
                self.event(&Event::Log { number: self.log_lines, content });
            }
        }
    }

    /// Plain lines of the log, each with its line feed.
    pub fn log_lines(&mut self, lines: &[u8]) {
        if self.form == Form::Json {
            for line in lines.split_inclusive(|&byte| byte == b'\n') {
                self.log_line(Text::plain(line.strip_suffix(b"\n").unwrap_or(line)));
            }
        } else if !self.hides_log {
            self.put(|out| escape::write(out, Text::plain(lines)));
        }
    }

    /// The session is over, and everything agrees.
    pub fn done(&mut self, messages: u64) {
        self.event(&Event::Done { messages });
    }

    /// The program fails; it tells the error on standard error as well.
    pub fn failed(&mut self, error: &anyhow::Error) {
        let (error, hint) = error::parts(error);
        self.event(&Event::Error { error: &error, hint: hint.as_deref() });
    }

    /// Writes out what has been shown so far.
    pub fn flush(&mut self) {
        self.put(Write::flush);
    }

    /// Writes out what has been shown so far, and fails where any of it could not be.
    pub fn must_show(&mut self) -> Result<(), Fault> {
        self.flush();
        self.error.take().map_or(Ok(()), |error| Err(Fault::new("cannot write the screen").because(error)))
    }

    /// Writes out the rest, and tells whether all of it could be.
    pub fn finish(mut self) -> Result<(), Fault> {
        self.flush();
        // What a broken screen did not take is not to be tried again when the buffer is dropped.
        let (_, _) = self.out.into_parts();
        match self.error {
            None => Ok(()),
            Some(error) => Err(Fault::new("cannot write the screen")
                .because(error)
                .hint("the session itself went on to its end; only what was to be shown is lost")),
        }
    }

    fn whole_line<'a>(&mut self, text: impl Into<Text<'a>>) {
        self.put(|out| {
            escape::write(out, text)?;
            out.write_all(b"\n")
        });
    }

    fn quoted<'a>(&mut self, phrase: &[u8], message: impl Into<Text<'a>>) {
        self.put(|out| {
            out.write_all(phrase)?;
            escape::write(out, message)?;
            out.write_all(b"\"\n")
        });
    }

    fn put_for_people(&mut self, write: impl FnOnce(&mut BufWriter<W>) -> io::Result<()>) {
        if self.is_for_people() {
            self.put(write);
        }
    }

    fn event(&mut self, event: &Event<'_>) {
        if self.form == Form::Json {
            self.put(|out| {
                event.write(out)?;
                out.write_all(b"\n")
            });
        }
    }

    fn put(&mut self, write: impl FnOnce(&mut BufWriter<W>) -> io::Result<()>) {
        if self.error.is_none() {
            self.error = write(&mut self.out).err();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 3));

    /// Both programs' output of one session, in `form`.
    fn session(form: Form) -> String {
        let mut shown = Vec::new();
        let mut screen = Screen::new(&mut shown, form);
        screen.listening(ADDRESS, 12345);
        screen.client_connected("192.168.1.4".parse().unwrap());
        screen.received(b"This is my first message");
        screen.client_quits();
        screen.finish().expect("a vector takes everything");
        let mut screen = Screen::new(&mut shown, form);
        screen.connected(ADDRESS, 12345);
        screen.ask(ASK_MESSAGE);
        screen.typed(b"This is my first message");
        screen.sending(b"This is my first message");
        screen.ask(ASK_MESSAGE);
        screen.end_of_input();
        screen.quitting();
        screen.log_follows();
        screen.log_line(b"This is my first message");
        screen.done(1);
        screen.finish().expect("a vector takes everything");
        String::from_utf8(shown).unwrap()
    }

    #[apply(test)]
    fn the_screens_read_as_the_assignment_words_them() {
        let expected = "\
server is at address: 192.168.1.3
server is using port: 12345
server connected to client at address: 192.168.1.4
server received message: \"This is my first message\"
the client has informed the server that it is quitting
client has connected to the server!
enter a message to send to server: This is my first message
client sending message: \"This is my first message\"
enter a message to send to server: \n\
client informing server that it is quitting.
client received message log:
This is my first message
";
        assert_eq!(session(Form::Screen), expected);
    }

    #[apply(test)]
    fn quiet_output_is_the_messages_and_the_log() {
        assert_eq!(session(Form::Quiet), "This is my first message\nThis is my first message\n");
    }

    #[apply(test)]
    fn json_output_has_one_object_a_line_for_each_event() {
        let expected = r#"{"event":"listening","address":"192.168.1.3","port":12345}
{"event":"connected","address":"192.168.1.4"}
{"event":"message","number":1,"text":"This is my first message"}
{"event":"quit","messages":1}
{"event":"connected","address":"192.168.1.3","port":12345}
{"event":"sending","number":1,"text":"This is my first message"}
{"event":"quit","messages":1}
{"event":"log","number":1,"text":"This is my first message"}
{"event":"done","messages":1}
"#;
        assert_eq!(session(Form::Json), expected);
    }

    #[apply(test)]
    fn an_exchange_is_a_prompt_what_was_typed_and_what_is_sent() {
        let mut shown = Vec::new();
        let mut screen = Screen::new(&mut shown, Form::Screen);
        screen.ask(ASK_MESSAGE);
        screen.typed(b"one\x07");
        screen.sending(b"one\x07");
        screen.exchange(b"one\x07");
        screen.finish().expect("a vector takes everything");
        let (singly, together) = shown.split_at(shown.len() / 2);
        assert_eq!(String::from_utf8_lossy(singly), String::from_utf8_lossy(together));
    }

    #[apply(test)]
    fn text_from_outside_is_escaped_wherever_it_is_shown() {
        let mut shown = Vec::new();
        let mut screen = Screen::new(&mut shown, Form::Screen);
        screen.received(b"\x1b[2J");
        screen.sending(b"\x07");
        screen.typed(b"\r");
        screen.log_line(b"\xff");
        screen.finish().expect("a vector takes everything");
        assert_eq!(
            String::from_utf8(shown).unwrap(),
            "server received message: \"\\x1b[2J\"\nclient sending message: \"\\x07\"\n\\x0d\n\\xff\n"
        );
    }

    #[apply(test)]
    fn a_broken_screen_is_told_at_the_end_and_written_to_only_once() {
        struct Full(u32);
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                self.0 += 1;
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut full = Full(0);
        let mut screen = Screen::new(&mut full, Form::Screen);
        screen.connected(ADDRESS, 1);
        screen.flush();
        screen.quitting();
        screen.flush();
        let error = screen.finish().expect_err("the disk is full");
        assert_eq!(error.to_string(), "cannot write the screen");
        assert_eq!(full.0, 1);
    }
}
