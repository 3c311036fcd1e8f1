//! One screen for three ways of feeding a client; and screens that are closed or full, which never
//! cost anyone the session.

use std::fs::File;
use std::process::{Command, Stdio};

use rexpect::process::WaitStatus;

use super::errors::errors_of;
use crate::common::{Ended, Running, Server, Terminal, echolog, file_with, own_port, run, screens};

/// Messages that any drive can carry, with everything a line may have in it.
const MESSAGES: [&str; 7] = [
    "plain",
    "",
    "  blanks at both ends  ",
    "Grüße, 日本語, e\u{301}, 👩🚀",
    "\"quoted\" \\x1b",
    "Quit",
    "-",
];

/// The screens of a session played by `client`, the server's without its port.
fn played(client: impl FnOnce(&Server) -> String) -> (String, String) {
    let server = Server::start(&[]);
    let shown = client(&server);
    let port = server.port;
    let ended = server.ends();
    assert_eq!((ended.err.as_str(), ended.status.code()), ("", Some(0)), "{ended}");
    (shown, ended.out.replace(&format!("port: {port}\n"), "port: \n"))
}

#[track_caller]
fn screen_of(ended: &Ended) -> String {
    assert_eq!((ended.err.as_str(), ended.status.code()), ("", Some(0)), "{ended}");
    ended.out.clone()
}

#[apply(test)]
fn typed_piped_and_scripted_sessions_have_the_same_screens_byte_for_byte() {
    let lines = MESSAGES.join("\n") + "\nquit\n";
    let (_kept, script) = file_with(&lines);
    let typed = played(|server| {
        let mut client = Terminal::start(&["client", "127.0.0.1", &server.port.to_string()]);
        for message in MESSAGES {
            client.shows("enter a message to send to server: ").types(message);
            server.shows(&screens::server_received(message));
        }
        client.shows("enter a message to send to server: ").types("quit");
        let (shown, status) = client.ends();
        assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}");
        shown
    });
    let piped = played(|server| {
        let client = Running::start(server.client(&[]).stdin(Stdio::piped()));
        client.types(&lines);
        screen_of(&client.ends())
    });
    let scripted = played(|server| screen_of(&run(&mut server.client(&["--script", &script]))));
    let scripted_from_stdin = played(|server| {
        let script = File::open(&script).expect("it was written");
        screen_of(&run(server.client(&["--script", "-"]).stdin(script)))
    });
    assert_eq!(typed.0, screens::client(&MESSAGES));
    assert_eq!(typed, piped);
    assert_eq!(piped, scripted);
    assert_eq!(scripted, scripted_from_stdin);
}

#[apply(test)]
fn a_script_without_quit_ends_as_ctrl_d_does() {
    let (_kept, script) = file_with("one\ntwo\n");
    let scripted = played(|server| screen_of(&run(&mut server.client(&["--script", &script]))));
    let typed = played(|server| {
        let mut client = Terminal::start(&["client", "127.0.0.1", &server.port.to_string()]);
        for message in ["one", "two"] {
            client.shows("enter a message to send to server: ").types(message);
            client.shows("client sending message");
        }
        client.shows("enter a message to send to server: ").presses_ctrl('d');
        client.ends().0
    });
    let expected =
        screens::client_sending(&["one", "two"]) + "\n" + &screens::client_quitting(&["one", "two"]);
    assert_eq!(scripted.0, expected);
    assert_eq!(typed, scripted);
}

// ------------------------------------------------------------------------------ closed and full screens

const SCREEN_LOST: &str = "hint: the session itself went on to its end; only what was to be shown is lost\n";

/// Runs `command` with its screen to `screen`; the exit code is the command's own.
fn into(screen: &str, command: &Command) -> Running {
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("set -o pipefail; \"$@\" {screen}"), "bash"]);
    Running::start(shell.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null()))
}

/// How server and client end a session at `address`, with their screens to these places. The client
/// must have the whole log.
fn session(address: &str, server_screen: &str, client_screen: &str) -> (Ended, Ended) {
    let messages = "message\n".repeat(50_000);
    let (kept, script) = file_with(&messages);
    let saved = kept.path().join("log");
    let port = own_port();
    let server = into(server_screen, &echolog(&["server", &port, "--bind", address]));
    // A screen that nobody sees cannot say that the server is ready, so the client keeps trying.
    let mut client = echolog(&["client", address, &port, "--wait", "20", "--script", &script, "--save-log"]);
    let client = into(client_screen, client.arg(&saved)).ends();
    assert!(std::fs::read(&saved).ok() == Some(messages.into_bytes()), "the log is whole\n{}", client.err);
    (server.ends(), client)
}

#[apply(test)]
fn a_server_whose_screen_is_closed_finishes_the_session_and_then_says_so() {
    let (server, client) = session("127.0.3.1", "| head -1", "");
    assert_eq!((errors_of(&client).as_str(), client.status.code()), ("", Some(0)));
    server.is(
        1,
        "server is at address: 127.0.3.1\n",
        &format!("error: cannot write the screen: Broken pipe\n{SCREEN_LOST}"),
    );
}

#[apply(test)]
fn a_server_that_cannot_show_its_port_ends_at_once() {
    let server = into("> /dev/full", &echolog(&["server", "10000-20000", "--bind", "127.0.3.2"]));
    server.ends().is(1, "", "error: cannot write the screen: No space left on device\n");
}

#[apply(test)]
fn a_client_whose_screen_is_closed_finishes_the_session_and_then_says_so() {
    let (server, client) = session("127.0.3.3", "", "| head -1");
    assert_eq!((server.err.as_str(), server.status.code()), ("", Some(0)));
    assert_eq!(client.out, "client has connected to the server!\n");
    assert_eq!(errors_of(&client), format!("error: cannot write the screen: Broken pipe\n{SCREEN_LOST}"));
    assert_eq!(client.status.code(), Some(1));
}

#[apply(test)]
fn a_client_whose_screen_is_full_finishes_the_session_and_then_says_so() {
    let (server, client) = session("127.0.3.4", "", "> /dev/full");
    assert_eq!((server.err.as_str(), server.status.code()), ("", Some(0)));
    assert_eq!(
        errors_of(&client),
        format!("error: cannot write the screen: No space left on device\n{SCREEN_LOST}")
    );
    assert_eq!((client.out.as_str(), client.status.code()), ("", Some(1)));
}
