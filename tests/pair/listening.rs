//! Connections that are no session (port scans, health checks), and failures of the system to accept one.

use predicates::prelude::*;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use socket2::SockRef;

use crate::common::{DEADLINE, ECHOLOG, Server, needs, run, screens};

const NOTE: &str = "note: the connection from 127.0.0.1 ended before it sent anything; listening again\n";

fn reset(connection: &TcpStream) {
    SockRef::from(connection).set_linger(Some(Duration::ZERO)).expect("a socket can linger");
}

/// Holds a session on `connection` and checks the log.
#[track_caller]
fn holds_a_session(mut connection: TcpStream) {
    connection.write_all(b"one\nquit\n").expect("the server reads");
    let mut log = String::new();
    connection.read_to_string(&mut log).expect("the log comes");
    assert_eq!(log, "one\n");
}

#[apply(test)]
fn a_connection_that_ends_without_a_byte_is_noted_and_the_server_listens_on() {
    let server = Server::start(&[]);
    drop(server.connect());
    server.running.complains(NOTE);
    let scan = server.connect();
    reset(&scan);
    drop(scan);
    server.running.complains(&NOTE.repeat(2));
    let half = server.connect();
    half.shutdown(Shutdown::Write).expect("it is open");
    server.running.complains(&NOTE.repeat(3));
    holds_a_session(server.connect());
    let connected = screens::server_connected("127.0.0.1");
    let screen = screens::server_ready("127.0.0.1", server.port)
        + &connected.repeat(4)
        + &screens::server_received("one")
        + "the client has informed the server that it is quitting\n";
    server.ends().is(0, &screen, &NOTE.repeat(3));
}

#[apply(test)]
fn a_client_behind_a_port_scan_is_served() {
    let server = Server::start(&[]);
    let scan = server.connect();
    let client = server.connect();
    drop(scan);
    holds_a_session(client);
    assert_eq!(server.ends().status.code(), Some(0));
}

#[apply(test)]
fn a_second_client_is_refused_while_the_first_says_nothing_and_taken_when_that_has_left() {
    let server = Server::start(&[]);
    let first = server.connect();
    let mut second = server.connect();
    // It waits for a moment, in case that the first one is a port scan, and is then refused.
    let error = second.read(&mut [0]).expect_err("it is refused");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let third = run(&mut server.client(&[]));
    third.assert().stderr(predicate::str::contains("nobody listens there"));
    drop(first);
    server.running.complains(NOTE);
    holds_a_session(server.connect());
    assert_eq!(server.ends().status.code(), Some(0));
}

#[apply(test)]
fn a_server_on_any_free_port_keeps_its_port_when_it_listens_again() {
    let server = Server::starting(&mut crate::common::echolog(&["server", "0", "--bind", "127.0.0.1"]));
    let first = server.connect();
    let mut second = server.connect();
    second.read(&mut [0]).expect_err("the server has stopped listening");
    drop(first);
    server.running.complains(NOTE);
    holds_a_session(server.connect());
    assert_eq!(server.ends().status.code(), Some(0));
}

/// A server in which the system call `call` fails as `fault` says.
fn with_fault(call: &str, fault: &str) -> Server {
    let mut command = Command::new("strace");
    command.args(["-f", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e"]);
    command.args([
        &format!("inject={call}:{fault}"),
        ECHOLOG,
        "server",
        "10000-20000",
        "--bind",
        "127.0.0.1",
    ]);
    Server::starting(command.stdin(Stdio::null()))
}

#[apply(test)]
fn a_failure_to_accept_that_passes_does_not_end_the_server() {
    needs(&["strace"]);
    for error in ["EPROTO", "ENETDOWN", "EHOSTUNREACH", "ECONNABORTED", "EINTR", "ENOPROTOOPT"] {
        let server = with_fault("accept4", &format!("error={error}:when=1"));
        holds_a_session(server.connect());
        assert_eq!(server.ends().status.code(), Some(0), "{error}");
    }
}

#[apply(test)]
fn a_failure_to_accept_that_stays_ends_the_server_with_its_cause() {
    needs(&["strace"]);
    let server = with_fault("accept4", "error=EMFILE");
    let ended = server.ends();
    assert_eq!(ended.err, "error: cannot accept a client: Too many open files\n");
    assert_eq!(ended.status.code(), Some(1));
}

#[apply(test)]
fn a_server_without_free_descriptors_does_not_blame_the_client() {
    needs(&["strace"]);
    let server = with_fault("epoll_create1", "error=EMFILE");
    let mut client = server.connect();
    client.set_read_timeout(Some(DEADLINE)).expect("it can be set");
    client.write_all(b"one\nquit\n").expect("the server reads");
    let mut log = [0; 4];
    client.read_exact(&mut log).expect("the log comes");
    drop(client);
    let ended = server.ends();
    assert_eq!(ended.err, "error: cannot send the log: Too many open files\n");
}
