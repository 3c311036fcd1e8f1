//! Streams that are closed or in non-blocking mode, byte order marks, and what is said while the client waits.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::errors::client_of_ours;
use crate::common::{ECHOLOG, Running, Server, Terminal, echolog, file_with, run, screens};

#[apply(test)]
fn a_closed_standard_output_is_an_error_for_every_command() {
    for command in ["server 0", "client 127.0.0.1 1", "replay fixtures", "--version", "--help"] {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec \"$0\" {command} >&-"), ECHOLOG]).stdin(Stdio::null());
        run(&mut shell).is(
            1,
            "",
            "error: standard output is closed\nhint: to see nothing of it, send it to /dev/null: > /dev/null\n",
        );
    }
}

#[apply(test)]
fn input_and_output_in_non_blocking_mode_lose_nothing() {
    let server = Server::start(&[]);
    let (input, mut keyboard) = std::io::pipe().expect("a pipe");
    let (mut screen, output) = std::io::pipe().expect("a pipe");
    fcntl(&input, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("it can be set");
    fcntl(&output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK | OFlag::O_WRONLY)).expect("it can be set");
    fcntl(&output, FcntlArg::F_SETPIPE_SZ(4096)).expect("it can be set");
    let mut command = server.client(&[]);
    let mut client = command.stdin(input).stdout(output).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(command);
    // More than the pipe to the screen takes at once.
    let messages: Vec<String> = (0..5000).map(|number| format!("message number {number}")).collect();
    keyboard.write_all((messages.join("\n") + "\nquit\n").as_bytes()).expect("the client reads");
    let mut shown = String::new();
    screen.read_to_string(&mut shown).expect("it is text");
    assert_eq!(client.wait().expect("it is ours").code(), Some(0));
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    assert!(shown == screens::client(&messages), "the screen is whole");
    assert_eq!(server.ends().status.code(), Some(0));
}

#[apply(test)]
fn a_byte_order_mark_at_the_start_of_a_script_is_skipped_with_a_note() {
    for script in ["\u{feff}one\nquit\n", "\u{feff}\nquit\n", "\u{feff}"] {
        let server = Server::start(&[]);
        let (_kept, path) = file_with(script);
        let client = run(&mut server.client(&["--script", &path]));
        let note = format!("note: skipped the byte order mark at the start of {path}\n");
        assert_eq!((client.err, client.status.code()), (note, Some(0)));
        let messages: &[&str] = if script.contains("one") {
            &["one"]
        } else if script.contains("quit") {
            &[""]
        } else {
            &[]
        };
        let screen = server.screen(messages);
        server.ends().shows(&screen);
    }
}

#[apply(test)]
fn a_byte_order_mark_elsewhere_is_a_part_of_the_message_and_is_seen() {
    let server = Server::start(&[]);
    let (_kept, path) = file_with("one\u{feff}\n\u{feff}two\n\u{200b}\n");
    let client = run(&mut server.client(&["--script", &path]));
    assert_eq!((client.err.as_str(), client.status.code()), ("", Some(0)));
    let screen = server.screen(&["one\\u{feff}", "\\u{feff}two", "\\u{200b}"]);
    server.ends().shows(&screen);
}

#[apply(test)]
fn a_client_that_waits_for_the_end_of_the_connection_says_so() {
    let (_kept, script) = file_with("one\nquit\n");
    let (mut server, client) = client_of_ours(&["--script", &script], Stdio::null());
    server.read_exact(&mut [0; 9]).expect("messages come");
    server.write_all(b"one\n").expect("the client reads");
    client.complains("note: the whole log has arrived; waiting for the server to close the connection\n");
    drop(server);
    assert_eq!(client.ends().status.code(), Some(0));
}

#[apply(test)]
fn a_host_that_cannot_be_found_is_asked_for_again_at_a_terminal() {
    let server = Server::start(&[]);
    let mut client = Terminal::start(&["client"]);
    client.shows("enter server address: ").types("no..host");
    client.shows("error: cannot find the address of no..host: no such host is known\r\n");
    client.shows("enter server address: ").types(&format!("127.0.0.1:{}", server.port));
    client.shows("enter a message to send to server: ").types("quit");
    let (shown, status) = client.ends();
    assert!(matches!(status, rexpect::process::WaitStatus::Exited(_, 0)), "{status:?}\n{shown}");
}

#[apply(test)]
fn a_limit_on_memory_is_an_error_with_a_message() {
    let mut shell = Command::new("bash");
    shell.args(["-c", "ulimit -v 200000; exec \"$0\" server 10000-20000 --bind 127.0.0.1 --max-message 1G"]);
    let server = Server::starting(shell.arg(ECHOLOG).stdin(Stdio::null()));
    let mut client = server.connect();
    let piece = vec![b'x'; 1 << 20];
    while client.write_all(&piece).is_ok() {}
    let ended = server.ends();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.err);
    assert!(ended.err.starts_with("error: cannot read from the client, after 0 messages: "), "{}", ended.err);
}

#[apply(test)]
fn a_client_says_what_it_waits_for() {
    let client = Running::start(echolog(&["client", "127.0.0.1", "1", "--wait", "600"]).stdin(Stdio::null()));
    client.complains(
        "note: cannot connect to 127.0.0.1 on port 1: nobody listens there; trying again for 600 s\n",
    );
}
