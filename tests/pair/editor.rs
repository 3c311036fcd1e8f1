//! The line editor of the client, at a terminal that can do more than show characters.

use predicates::prelude::*;
use std::io::Write;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rexpect::session::{PtySession, spawn_command};

use crate::common::{DEADLINE, ECHOLOG, Server};

pub const PROMPT: &str = "enter a message to send to server: ";
const UP: &str = "\x1b[A";
pub const LEFT: &str = "\x1b[D";
pub const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const CTRL_Z: &str = "\x1a";

/// A client at a terminal, within a shell that tells the terminal's settings before and after it, and
/// whenever it is stopped, and resumes it when told to.
pub struct Terminal {
    session: PtySession,
    client: Pid,
    settings: String,
}

impl Terminal {
    /// A client of `server`, at its first prompt.
    #[track_caller]
    pub fn with_client_of(server: &Server) -> Self {
        Terminal::with_typed_ahead("", server)
    }

    /// A client of `server`, with the beginning of a message typed at its first prompt.
    #[track_caller]
    pub fn with_half_a_message(server: &Server) -> Self {
        let mut terminal = Terminal::with_client_of(server);
        terminal.types("half a mess");
        terminal.shows("mess");
        terminal
    }

    /// A client of `server`, with `text` typed before it reads its terminal.
    #[track_caller]
    fn with_typed_ahead(text: &str, server: &Server) -> Self {
        Terminal::of_client("", text, server)
    }

    /// The same, with what the shell is to do first.
    #[track_caller]
    fn of_client(first: &str, text: &str, server: &Server) -> Self {
        let script = r#"
            stty -g; echo begin
            # A job of its own can be stopped; and its interrupts are not the shell's.
            set -m
            trap : INT
            sh -c 'echo "id $$"; exec "$0" client 127.0.0.1 "$1"' "$0" "$1"
            code=$?
            while [ $code = 148 ]; do
                echo stopped; stty -g; echo resume?; read answer
                fg > /dev/null
                code=$?
            done
            echo "code $code"; stty -g; echo over"#;
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("{first}{script}"), ECHOLOG, &server.port.to_string()])
            .env("TERM", "xterm-256color");
        let deadline = u64::try_from(DEADLINE.as_millis()).expect("it is seconds");
        let mut session = spawn_command(shell, Some(deadline)).expect("a terminal");
        session.send(text).and_then(|_| session.flush()).expect("the terminal takes it");
        let settings = session.exp_string("begin").expect("the settings").trim().to_owned();
        session.exp_string("id ").expect("its process id");
        let client = session.read_line().expect("its process id").trim().parse().expect("a number");
        session.exp_string(PROMPT).expect("a prompt");
        Terminal { session, client: Pid::from_raw(client), settings }
    }

    #[track_caller]
    pub fn types(&mut self, text: &str) {
        self.session.send(text).and_then(|_| self.session.flush()).expect("the client reads its terminal");
    }

    #[track_caller]
    pub fn types_bytes(&mut self, bytes: &[u8]) {
        let mut terminal = self.session.process().get_file_handle().expect("its terminal");
        terminal.write_all(bytes).expect("the client reads its terminal");
    }

    #[track_caller]
    pub fn shows(&mut self, text: &str) -> String {
        self.session.exp_string(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
    }

    /// Waits for the client's end: its exit code as a shell tells it, and what it showed before. The
    /// terminal's settings must be what they were.
    #[track_caller]
    pub fn ends(mut self) -> (i32, String) {
        let shown = self.shows("code ");
        let code = self.session.read_line().expect("an exit code").trim().parse().expect("a number");
        assert_eq!(self.shows("over").trim(), self.settings, "the terminal's settings");
        (code, shown)
    }
}

#[apply(test)]
fn the_arrow_keys_edit_the_line_and_bring_back_earlier_ones() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::with_client_of(&server);
    terminal.types(&format!("hllo{LEFT}{LEFT}{LEFT}e\r"));
    server.running.shows("server received message: \"hello\"\n");
    terminal.shows(PROMPT);
    terminal.types(&format!("{UP} again\r"));
    server.running.shows("server received message: \"hello again\"\n");
    terminal.types(CTRL_D);
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0);
    let end = "client informing server that it is quitting.\r\nclient received message log:\r\nhello\r\nhello again\r\n";
    assert!(shown.contains(end), "{shown}");
}

#[apply(test)]
fn lines_that_are_pasted_together_are_messages_of_their_own() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::with_client_of(&server);
    terminal.types("\x1b[200~one\r\ttwo\rthree\r\x1b[201~\r");
    server
        .running
        .shows("message: \"one\"\nserver received message: \"\ttwo\"\nserver received message: \"three\"\n");
    terminal.shows("client sending message: \"three\"");
    terminal.types("quit\r");
    assert_eq!(terminal.ends().0, 0);
}

#[apply(test)]
fn the_end_of_input_that_is_typed_ahead_is_not_lost() {
    let server = Server::start(&[]);
    let terminal = Terminal::with_typed_ahead(CTRL_D, &server);
    assert_eq!(terminal.ends().0, 0);
}

#[apply(test)]
fn what_is_typed_ahead_is_not_lost() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::with_client_of(&server);
    terminal.types("one\rtwo\rthree\rquit\r");
    assert_eq!(terminal.ends().0, 0);
    let ended = server.running.ends();
    for message in ["one", "two", "three"] {
        ended.assert().stdout(predicate::str::contains(format!("server received message: \"{message}\"\n")));
    }
}

#[apply(test)]
fn a_message_longer_than_a_line_of_the_terminal_arrives_whole() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::with_client_of(&server);
    let message = "0123456789".repeat(1000);
    terminal.types(&format!("{message}\r"));
    server.running.shows(&format!("server received message: \"{message}\"\n"));
    terminal.types("quit\r");
    assert_eq!(terminal.ends().0, 0);
}

#[apply(test)]
fn ctrl_c_ends_the_client_by_its_signal_and_leaves_the_terminal_as_it_was() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::with_client_of(&server);
    terminal.types("one\r");
    terminal.shows("sending");
    terminal.shows(PROMPT);
    terminal.types(CTRL_C);
    assert_eq!(terminal.ends().0, 128 + Signal::SIGINT as i32);
    server.running.complains("error: the client disconnected without quit, after 1 message\n");
}

#[apply(test)]
fn a_server_that_goes_away_is_noticed_at_the_prompt_and_the_terminal_left_as_it_was() {
    let server = Server::start(&[]);
    let terminal = Terminal::with_half_a_message(&server);
    let id = i32::try_from(server.running.id()).expect("process ids are small");
    kill(Pid::from_raw(id), Signal::SIGKILL).expect("the server runs");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 1);
    assert!(
        shown.contains(
            "\r\nerror: the connection to the server was lost after 0 messages: Connection reset by peer\r\n"
        ),
        "{shown}"
    );
}

#[apply(test)]
fn ctrl_z_stops_the_client_with_the_terminal_as_it_was_and_later_the_line_is_there_again() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::with_half_a_message(&server);
    // What a thread too many does wrong here it does only now and then.
    for _ in 0..10 {
        terminal.types(CTRL_Z);
        terminal.shows("stopped");
        assert_eq!(terminal.shows("resume?").trim(), terminal.settings, "the terminal's settings");
        terminal.types("yes\r");
        terminal.shows(&format!("{PROMPT}half a mess"));
    }
    terminal.types("age\r");
    server.running.shows("server received message: \"half a message\"\n");
    terminal.types("quit\r");
    assert_eq!(terminal.ends().0, 0);
}

#[apply(test)]
fn an_interrupt_that_was_not_typed_ends_the_client_too() {
    let server = Server::start(&[]);
    let terminal = Terminal::with_client_of(&server);
    kill(terminal.client, Signal::SIGINT).expect("the client runs");
    assert_eq!(terminal.ends().0, 128 + Signal::SIGINT as i32);
}

#[apply(test)]
fn a_signal_that_ends_the_client_leaves_the_terminal_as_it_was() {
    for signal in
        [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGALRM, Signal::SIGABRT]
    {
        let server = Server::start(&[]);
        let terminal = Terminal::with_half_a_message(&server);
        kill(terminal.client, signal).expect("the client runs");
        assert_eq!(terminal.ends().0, 128 + signal as i32);
    }
}

#[apply(test)]
fn a_signal_that_ends_the_client_in_the_background_leaves_the_terminal_to_whoever_is_in_front() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::with_half_a_message(&server);
    terminal.types(CTRL_Z);
    terminal.shows("resume?");
    let device = std::fs::read_link(format!("/proc/{}/fd/0", terminal.client)).expect("it is at a terminal");
    let stty = |settings: &str| {
        let stty = Command::new("stty").arg("-F").arg(&device).args(settings.split(' ')).output();
        String::from_utf8(stty.expect("stty runs").stdout).expect("it is text").trim().to_owned()
    };
    // As somebody else has it who is in front now.
    stty("susp undef");
    let theirs = stty("-g");
    for signal in [Signal::SIGTERM, Signal::SIGCONT] {
        kill(terminal.client, signal).expect("the client is there");
    }
    server.running.complains("ended before it sent anything; listening again\n");
    assert_eq!(stty("-g"), theirs);
    stty(&terminal.settings);
    // There is nothing to resume.
    terminal.types("no\r");
    assert_ne!(terminal.ends().0, 0);
}

#[apply(test)]
fn a_hangup_that_is_to_be_ignored_is_ignored() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::of_client("trap '' HUP; ", "", &server);
    terminal.types("half a mess");
    terminal.shows("mess");
    kill(terminal.client, Signal::SIGHUP).expect("the client runs");
    terminal.types("age\rquit\r");
    server.running.shows("server received message: \"half a message\"\n");
    assert_eq!(terminal.ends().0, 0);
}

#[apply(test)]
fn a_line_that_is_too_wide_for_a_new_size_of_the_window_is_drawn_again_at_once() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::with_client_of(&server);
    terminal.types(&format!("{}, the end", "0123456789".repeat(6)));
    terminal.shows("end");
    let stty = Command::new("stty")
        .args(["-F", &format!("/proc/{}/fd/0", terminal.client)])
        .args(["cols", "40"])
        .status();
    assert!(stty.expect("stty is everywhere").success());
    terminal.shows(PROMPT);
    terminal.types("\rquit\r");
    assert_eq!(terminal.ends().0, 0);
}

#[apply(test)]
fn what_is_typed_and_is_not_utf_8_is_refused_and_asked_for_again() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::with_client_of(&server);
    terminal.types_bytes(b"caf\xe9 and more\r");
    terminal.shows("error: the input is not UTF-8; it was not sent\r\n");
    terminal.shows(PROMPT);
    terminal.types("coffee\r");
    server.running.shows("at address: 127.0.0.1\nserver received message: \"coffee\"\n");
    terminal.types("quit\r");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
}

#[apply(test)]
fn a_server_that_goes_away_while_the_client_is_stopped_leaves_the_terminal_as_it_was() {
    // Which thread is at the terminal first is another one now and then.
    for _ in 0..20 {
        let server = Server::start(&[]);
        let mut terminal = Terminal::with_client_of(&server);
        terminal.types(CTRL_Z);
        terminal.shows("resume?");
        let id = i32::try_from(server.running.id()).expect("process ids are small");
        kill(Pid::from_raw(id), Signal::SIGKILL).expect("the server runs");
        server.running.ends().was_ended_by(Signal::SIGKILL);
        terminal.types("yes\r");
        let (code, shown) = terminal.ends();
        assert_eq!(code, 1);
        assert!(shown.contains("error: the connection to the server was lost after 0 messages"), "{shown}");
    }
}
