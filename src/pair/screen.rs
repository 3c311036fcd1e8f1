//! Every phrase that the two programs show, once.
//!
//! A screen that cannot be written (a closed pipe, a full disk) never stops a session: the first
//! error is kept, nothing more is written, and [`Screen::finish`] tells of it at the end. Nothing is
//! written out before [`Screen::flush`] or a full buffer: whoever is about to block flushes.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;

use nix::sys::signal::{SigHandler, Signal, signal};

use crate::error::Fault;
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

/// Standard output as a file, so that nothing is kept back in a buffer but our own. From here on a
/// limit on the size of files (`ulimit -f`) is an error of whoever writes one, like a full disk.
pub fn stdout() -> io::Result<File> {
    // SAFETY: no handler is installed that could run anywhere.
    #[expect(unsafe_code, reason = "what a signal does is changed")]
    unsafe {
        signal(Signal::SIGXFSZ, SigHandler::SigIgn)?;
    }
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
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

/// What one of the programs shows on its standard output.
#[derive(Debug)]
pub struct Screen<W: Write> {
    out: BufWriter<W>,
    error: Option<io::Error>,
}

impl<W: Write> Screen<W> {
    /// A screen with nothing on it.
    pub fn new(out: W) -> Self {
        Screen { out: BufWriter::with_capacity(CHUNK, out), error: None }
    }

    pub fn server_address(&mut self, address: IpAddr) {
        self.put(|out| writeln!(out, "server is at address: {address}"));
    }

    pub fn server_port(&mut self, port: u16) {
        self.put(|out| writeln!(out, "server is using port: {port}"));
    }

    pub fn client_address(&mut self, address: IpAddr) {
        self.put(|out| writeln!(out, "server connected to client at address: {address}"));
    }

    pub fn received<'a>(&mut self, message: impl Into<Text<'a>>) {
        self.quoted(b"server received message: \"", message);
    }

    pub fn client_quits(&mut self) {
        self.put(|out| out.write_all(b"the client has informed the server that it is quitting\n"));
    }

    pub fn connected(&mut self) {
        self.put(|out| out.write_all(b"client has connected to the server!\n"));
    }

    /// A prompt; the cursor stays behind it.
    pub fn ask(&mut self, prompt: &str) {
        self.put(|out| out.write_all(prompt.as_bytes()));
    }

    /// What was read behind a prompt, where no terminal has shown it already.
    pub fn typed<'a>(&mut self, text: impl Into<Text<'a>>) {
        self.whole_line(text);
    }

    /// The line end that a terminal does not show when input ends behind a prompt.
    pub fn end_of_input(&mut self) {
        self.put(|out| out.write_all(b"\n"));
    }

    pub fn sending<'a>(&mut self, message: impl Into<Text<'a>>) {
        self.quoted(SENDING, message);
    }

    /// All that is shown of a message that comes from a file: the prompt, what would have been typed, and
    /// that it is being sent.
    pub fn exchange<'a>(&mut self, message: impl Into<Text<'a>>) {
        let message = message.into();
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
        self.put(|out| out.write_all(b"client informing server that it is quitting.\n"));
    }

    pub fn log_follows(&mut self) {
        self.put(|out| out.write_all(b"client received message log:\n"));
    }

    pub fn log_line<'a>(&mut self, line: impl Into<Text<'a>>) {
        self.whole_line(line);
    }

    /// Plain lines of the log, each with its line feed.
    pub fn log_lines(&mut self, lines: &[u8]) {
        self.put(|out| escape::write(out, Text::plain(lines)));
    }

    /// Writes out what has been shown so far.
    pub fn flush(&mut self) {
        self.put(Write::flush);
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

    fn put(&mut self, write: impl FnOnce(&mut BufWriter<W>) -> io::Result<()>) {
        if self.error.is_none() {
            self.error = write(&mut self.out).err();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_screens_read_as_the_design_says() {
        let mut shown = Vec::new();
        let mut screen = Screen::new(&mut shown);
        screen.server_address("192.168.1.3".parse().unwrap());
        screen.server_port(12345);
        screen.client_address("192.168.1.4".parse().unwrap());
        screen.received(b"This is my first message");
        screen.client_quits();
        screen.connected();
        screen.ask(ASK_MESSAGE);
        screen.typed(b"This is my first message");
        screen.sending(b"This is my first message");
        screen.ask(ASK_MESSAGE);
        screen.end_of_input();
        screen.quitting();
        screen.log_follows();
        screen.log_line(b"This is my first message");
        screen.finish().expect("a vector takes everything");
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
        assert_eq!(String::from_utf8(shown).unwrap(), expected);
    }

    #[test]
    fn an_exchange_is_a_prompt_what_was_typed_and_what_is_sent() {
        let mut shown = Vec::new();
        let mut screen = Screen::new(&mut shown);
        screen.ask(ASK_MESSAGE);
        screen.typed(b"one\x07");
        screen.sending(b"one\x07");
        screen.exchange(b"one\x07");
        screen.finish().expect("a vector takes everything");
        let (singly, together) = shown.split_at(shown.len() / 2);
        assert_eq!(String::from_utf8_lossy(singly), String::from_utf8_lossy(together));
    }

    #[test]
    fn text_from_outside_is_escaped_wherever_it_is_shown() {
        let mut shown = Vec::new();
        let mut screen = Screen::new(&mut shown);
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

    #[test]
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
        let mut screen = Screen::new(&mut full);
        screen.connected();
        screen.flush();
        screen.quitting();
        screen.flush();
        let error = screen.finish().expect_err("the disk is full");
        assert_eq!(error.to_string(), "cannot write the screen");
        assert_eq!(full.0, 1);
    }
}
