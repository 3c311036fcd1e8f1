//! A log that is not whole ends with a reset: an orderly end would say to nc, and to every client that does
//! not count, that this was all.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::{ECHOLOG, Server, echolog, needs};

/// Sends `megabytes` of messages and quits.
fn send_and_quit(client: &mut TcpStream, megabytes: usize) {
    let message = [vec![b'x'; (1 << 20) - 1], b"\n".to_vec()].concat();
    for _ in 0..megabytes {
        client.write_all(&message).expect("the server reads");
    }
    client.write_all(b"quit\n").expect("the server reads");
}

/// Reads to the end, which must be a reset.
#[track_caller]
fn is_reset(mut client: TcpStream) {
    let mut log = Vec::new();
    match client.read_to_end(&mut log) {
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        Ok(_) => panic!("an orderly end after {} bytes", log.len()),
    }
}

#[apply(test)]
fn a_server_that_is_killed_while_it_sends_the_log_resets_the_connection() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGINT] {
        let server = Server::start(&[]);
        let mut client = server.connect();
        // More than the sockets hold.
        send_and_quit(&mut client, 32);
        client.read_exact(&mut [0; 1]).expect("the log begins");
        kill(Pid::from_raw(server.running.id().cast_signed()), signal).expect("it runs");
        server.ends().was_ended_by(signal);
        is_reset(client);
    }
}

#[apply(test)]
fn a_server_that_is_killed_before_the_log_resets_the_connection() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.write_all(b"one\n").expect("the server reads");
    server.shows("\"one\"");
    kill(Pid::from_raw(server.running.id().cast_signed()), Signal::SIGKILL).expect("it runs");
    server.ends().was_ended_by(Signal::SIGKILL);
    is_reset(client);
}

#[apply(test)]
fn a_session_over_a_limit_ends_with_a_reset() {
    for limit in ["--max-message", "--max-log"] {
        let server = Server::start(&[limit, "10"]);
        let mut client = server.connect();
        // No byte after the one that is over: unread data would reset the connection too.
        client.write_all(b"one\n0123456789ab").expect("the server reads");
        if limit == "--max-log" {
            client.write_all(b"\n").expect("the server reads");
        }
        assert_eq!(server.ends().status.code(), Some(1));
        is_reset(client);
    }
}

#[apply(test)]
fn a_log_that_cannot_be_kept_or_read_ends_with_a_reset() {
    needs(&["strace"]);
    let fails = |command: &mut Command| {
        let server = Server::starting(command.stdin(Stdio::null()));
        let mut client = server.connect();
        send_and_quit(&mut client, 2);
        is_reset(client);
        let ended = server.ends();
        assert!(ended.err.starts_with("error: cannot keep the log in "), "{ended}");
        assert_eq!(ended.status.code(), Some(1));
    };
    let server = ["server", "10000-20000", "--bind", "127.0.0.1"];
    let mut traced = Command::new("strace");
    fails(traced.args(["-f", "-o", "/dev/null", "-e", "inject=lseek:error=EIO", ECHOLOG]).args(server));
    fails(echolog(&server).env("TMPDIR", "/no/such/directory"));
}

#[apply(test)]
fn a_whole_log_ends_in_order() {
    let server = Server::starting(&mut echolog(&["server", "10000-20000", "--bind", "127.0.0.1"]));
    let mut client = server.connect();
    send_and_quit(&mut client, 8);
    let mut log = Vec::new();
    client.read_to_end(&mut log).expect("an orderly end");
    assert_eq!(log.len(), 8 << 20);
    drop(client);
    assert_eq!(server.ends().status.code(), Some(0));
}
