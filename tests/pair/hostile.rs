//! Peers that mean harm, or only do things their own way: nothing they send acts on a terminal, takes
//! memory without bound, or is lost.

use std::io::{Read, Write};
use std::process::Stdio;

use super::errors::client_of_ours;
use crate::common::{Server, file_with, run, screens};

/// Bytes as sent, and as shown.
const HOSTILE: [(&[u8], &str); 9] = [
    (b"\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
    (b"back\x08\x08\x7f", "back\\x08\\x08\\x7f"),
    (b"over\rwritten", "over\\x0dwritten"),
    (b"nul\0", "nul\\x00"),
    ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
    ("\u{202e}txt.exe\u{2066}".as_bytes(), "\\u{202e}txt.exe\\u{2066}"),
    ("fake\u{2028}line".as_bytes(), "fake\\u{2028}line"),
    (b"\xff\xfe\xc3", "\\xff\\xfe\\xc3"),
    (b"tab\tstays", "tab\tstays"),
];

#[apply(test)]
fn nothing_a_client_sends_can_act_on_the_servers_terminal() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for (bytes, _) in HOSTILE {
        client.write_all(bytes).and_then(|()| client.write_all(b"\n")).expect("the server reads");
    }
    client.write_all(b"quit\n").expect("the server reads");
    let mut log = Vec::new();
    client.read_to_end(&mut log).expect("the log comes");
    drop(client);
    let sent: Vec<u8> = HOSTILE.iter().flat_map(|(bytes, _)| [bytes, &b"\n"[..]].concat()).collect();
    assert!(log == sent, "the log is what was sent, byte for byte");
    let shown: Vec<&str> = HOSTILE.iter().map(|&(_, shown)| shown).collect();
    let screen = server.screen(&shown);
    server.ends().shows(&screen);
}

#[apply(test)]
fn nothing_a_server_sends_can_act_on_the_clients_terminal() {
    let (mut server, client) = client_of_ours(&[], Stdio::null());
    server.read_exact(&mut [0; 5]).expect("quit comes");
    for (bytes, _) in HOSTILE {
        server.write_all(bytes).and_then(|()| server.write_all(b"\n")).expect("the client reads");
    }
    drop(server);
    let shown: String = HOSTILE.iter().flat_map(|&(_, shown)| [shown, "\n"]).collect();
    let screen = screens::client_sending(&[]) + "\n" + &screens::client_quitting(&[]) + &shown;
    let ended = client.ends();
    assert_eq!(ended.out, screen);
    assert_eq!(ended.status.code(), Some(1), "such a log was never sent: {ended}");
}

#[apply(test)]
fn a_server_that_answers_and_no_longer_reads_is_no_reason_to_wait_without_end() {
    // More than the kernel holds on both ways.
    let (_kept, script) = file_with(format!("{}\n", "m".repeat(1023)).repeat(64 << 10));
    let (server, client) = client_of_ours(&["--script", &script], Stdio::null());
    // It writes before it reads on; when the client is gone, it ends.
    let answered = std::io::copy(&mut &server, &mut &server);
    assert!(answered.is_err(), "{answered:?}");
    let ended = client.ends();
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    assert!(
        ended.err.starts_with(
            "error: the server sends before it is asked for the log, and has stopped reading after "
        ),
        "{ended}"
    );
}

#[apply(test)]
fn a_server_that_has_said_too_much_and_nothing_more_is_given_up_too() {
    let (_kept, script) = file_with(format!("{}\n", "m".repeat(1023)).repeat(64 << 10));
    let (mut server, client) = client_of_ours(&["--script", &script], Stdio::null());
    server.write_all(&vec![b'e'; (1 << 20) + 100]).expect("the client takes it in");
    let ended = client.ends();
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    assert!(ended.err.starts_with("error: the server sends before it is asked for the log"), "{ended}");
}

#[apply(waiting_test)]
fn a_server_that_answers_before_it_reads_on_is_read_and_what_it_said_stands_before_its_log() {
    let (_kept, script) = file_with(format!("{}\n", "m".repeat(1023)).repeat(16 << 10));
    let (mut server, client) = client_of_ours(&["--script", &script], Stdio::null());
    // So that it has to be read before it is all written.
    socket2::SockRef::from(&server).set_send_buffer_size(4096).expect("set");
    let answers = "answer\n".repeat(100_000);
    server.write_all(answers.as_bytes()).expect("the client takes it in");
    let mut log = vec![0; 16 << 20];
    server.read_exact(&mut log).expect("the client is still there");
    server.read_exact(&mut [0; 5]).expect("quit comes");
    server.write_all(&log).expect("the client reads");
    drop(server);
    let ended = client.ends();
    assert!(ended.err.starts_with("error: the log that came back is too long"), "{}", ended.err);
    assert!(
        ended.out.contains(&format!("client received message log:\n{answers}mmm")),
        "the answers come first"
    );
}

#[apply(test)]
fn input_that_goes_on_after_quit_is_not_waited_for() {
    let (input, mut keyboard) = std::io::pipe().expect("a pipe");
    let (mut server, client) = client_of_ours(&[], Stdio::from(input));
    keyboard.write_all(b"quit\n").expect("the client reads");
    server.read_exact(&mut [0; 5]).expect("quit comes");
    keyboard.write_all(b"half a line").expect("a pipe takes it");
    drop(server);
    client.ends().is(0, &(screens::client_sending(&[]) + "quit\n" + &screens::client_quitting(&[])), "");
    drop(keyboard);
}

#[apply(test)]
fn bytes_of_any_kind_go_through_a_session_and_come_back_as_they_were() {
    let mut script = Vec::new();
    for byte in (0..=255_u8).filter(|&byte| byte != b'\n') {
        script.extend_from_slice(&[b'<', byte, b'>', b'\n', byte, byte, b'\n']);
    }
    let (kept, path) = file_with(&script);
    let saved = kept.path().join("log");
    let server = Server::start(&[]);
    let client = run(server.client(&["--script", &path, "--save-log"]).arg(&saved));
    assert_eq!((client.err.as_str(), client.status.code()), ("", Some(0)), "{client}");
    assert_eq!(server.ends().status.code(), Some(0));
    // A carriage return before the line feed belongs to the line end, in a script as on the wire.
    let expected = String::from_utf8_lossy(&script).replace("\r\r\n", "\r\n");
    assert_eq!(String::from_utf8_lossy(&std::fs::read(saved).expect("it was saved")), expected);
}

#[apply(test)]
fn a_script_with_windows_line_ends_sends_what_one_without_them_does() {
    for script in ["one\r\n\r\ntwo\r\nquit\r\n", "one\n\ntwo\nquit\n", "one\r\n\ntwo\nquit", "one\n\r\ntwo"] {
        let server = Server::start(&[]);
        let (_kept, path) = file_with(script);
        let client = run(&mut server.client(&["--script", &path]));
        assert_eq!((client.err.as_str(), client.status.code()), ("", Some(0)), "{client}");
        assert!(client.out.ends_with(&screens::client_quitting(&["one", "", "two"])), "{client}");
        let screen = server.screen(&["one", "", "two"]);
        server.ends().shows(&screen);
    }
}

#[apply(test)]
fn an_empty_script_quits_at_once() {
    let server = Server::start(&[]);
    let (_kept, path) = file_with("");
    run(&mut server.client(&["--script", &path]))
        .shows(&(screens::client_sending(&[]) + "\n" + &screens::client_quitting(&[])));
    let screen = server.screen(&[]);
    server.ends().shows(&screen);
}

#[apply(test)]
fn a_message_in_many_pieces_is_one_and_many_in_one_piece_are_many() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.set_nodelay(true).expect("it can be set");
    for byte in "Grüße\n".bytes() {
        client.write_all(&[byte]).expect("the server reads");
    }
    server.shows("\"Grüße\"\n");
    client.write_all(b"one\ntwo\nthree\nquit\nlate\n").expect("the server reads");
    let mut log = String::new();
    client.read_to_string(&mut log).expect("the log comes");
    assert_eq!(log, "Grüße\none\ntwo\nthree\n");
    drop(client);
    let screen = server.screen(&["Grüße", "one", "two", "three"]);
    server.ends().shows(&screen);
}

#[apply(test)]
fn bytes_after_quit_do_not_cost_the_client_its_log() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    // Closing a socket with these unread in it would reset the connection and throw the log away.
    client
        .write_all(b"one\nquit\n")
        .and_then(|()| client.write_all(&vec![b'x'; 100_000]))
        .expect("the server reads");
    let mut log = String::new();
    client.read_to_string(&mut log).expect("no reset comes");
    assert_eq!(log, "one\n");
    drop(client);
    assert_eq!(server.ends().status.code(), Some(0));
}

#[apply(test)]
fn a_client_that_never_closes_does_not_keep_the_server() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.write_all(b"one\nquit\n").expect("the server reads");
    let mut log = String::new();
    client.read_to_string(&mut log).expect("the log comes");
    let screen = server.screen(&["one"]);
    server.ends().shows(&screen);
    drop(client);
}

#[apply(test)]
fn a_message_without_end_is_refused_and_takes_no_memory() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let piece = vec![b'x'; 1024 * 1024];
    // The server goes as soon as it is sure; what it did not read resets the connection.
    while client.write_all(&piece).is_ok() {}
    let ended = server.ends();
    assert_eq!(
        ended.err,
        "error: after 0 messages, the client sent one that is longer than the limit of 1048576 bytes\n\
         hint: raise the limit with --max-message\n"
    );
    assert_eq!(ended.status.code(), Some(1));
}
