//! What the command line offers beyond the assignment.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use predicates::prelude::*;

use crate::common::{
    DEADLINE, ECHOLOG, Running, Server, Terminal, echolog, file_with, own_port, run, screens,
};

fn assert_of(args: &[&str]) -> assert_cmd::assert::Assert {
    assert_cmd::Command::new(ECHOLOG).args(args).timeout(DEADLINE).assert()
}

#[apply(test)]
fn version_names_the_program_and_its_version() {
    assert_of(&["--version"]).code(0).stderr("").stdout(concat!("echolog ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[apply(test)]
fn help_lists_the_exit_status_and_each_command_has_examples() {
    for code in ["0  done", "1  it failed", "2  the command line was wrong"] {
        assert_of(&["--help"]).code(0).stderr("").stdout(predicate::str::contains(code));
    }
    for (command, example) in
        [("server", "echolog server 10000-20000"), ("client", "echolog client 192.168.1.3 12345 --script")]
    {
        let examples = predicate::str::contains("Examples:").and(predicate::str::contains(example));
        assert_of(&[command, "--help"]).code(0).stderr("").stdout(examples);
    }
}

#[apply(test)]
fn port_0_is_any_free_port_and_the_real_one_is_shown() {
    let server = Server::starting(&mut echolog(&["server", "0", "--bind", "127.0.0.1"]));
    assert_ne!(server.port, 0);
    server.connect();
}

#[apply(test)]
fn a_range_gives_its_first_free_port() {
    let first: u16 = own_port().parse().expect("it is a number");
    let range = format!("{first}-{}", first + 2);
    let start = || Server::starting(&mut echolog(&["server", &range, "--bind", "127.0.7.1"]));
    let servers = [start(), start(), start()];
    assert_eq!(servers.each_ref().map(|server| server.port), [first, first + 1, first + 2]);
    // The port is free at once, since the server itself is gone; of a listener of this process, a program that
    // another test is just starting would hold a copy for an instant.
    let [server, _others @ ..] = servers;
    drop(server);
    assert_eq!(start().port, first);
}

#[apply(test)]
fn without_bind_a_server_is_reached_over_ipv4_and_ipv6_and_shows_each_as_what_it_is() {
    for (host, shown) in
        [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("[::1]", "::1"), ("127.0.7.2", "127.0.0.1")]
    {
        let server = Server::starting(&mut echolog(&["server", "10000-20000"]));
        let client = run(&mut echolog(&["client", host, &server.port.to_string()]));
        assert_eq!((client.err.as_str(), client.status.code()), ("", Some(0)), "{client}");
        server.shows(&screens::server_connected(shown));
        assert_eq!(server.ends().status.code(), Some(0));
    }
}

#[apply(test)]
fn a_second_client_is_refused_at_once() {
    let server = Server::start(&[]);
    let mut first = server.connect();
    first.write_all(b"one\n").expect("the server reads");
    server.shows("\"one\"");
    let second = run(&mut server.client(&[]));
    second.assert().stderr(predicate::str::contains("nobody listens there"));
    assert_eq!((second.status.code(), second.out.as_str()), (Some(1), ""), "{second}");
}

#[apply(test)]
fn a_client_that_allow_does_not_name_is_refused_and_the_server_goes_on_waiting() {
    let server = Server::start(&["--allow", "127.0.7.3"]);
    let refused = run(&mut server.client(&[]));
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    server.running.complains("note: refused a connection from 127.0.0.1: --allow does not name it\n");
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket
        .bind(&std::net::SocketAddr::from(([127, 0, 7, 3], 0)).into())
        .expect("all of 127/8 is this computer");
    socket.connect(&std::net::SocketAddr::from(([127, 0, 0, 1], server.port)).into()).expect("it waits");
    server.shows(&screens::server_connected("127.0.7.3"));
}

#[apply(test)]
fn wait_lets_the_client_start_before_its_server() {
    let port = own_port();
    let client = Running::start(&mut echolog(&["client", "127.0.7.4", &port, "--wait", "20"]));
    client.complains("trying again for 20 s\n");
    let server = Server::starting(&mut echolog(&["server", &port, "--bind", "127.0.7.4"]));
    client.ends().is(
        0,
        &(screens::client_sending(&[]) + "\n" + &screens::client_quitting(&[])),
        &format!(
            "note: cannot connect to 127.0.7.4 on port {port}: nobody listens there; trying again for 20 s\n"
        ),
    );
    assert_eq!(server.ends().status.code(), Some(0));
}

#[apply(test)]
fn wait_gives_up_when_its_time_is_over() {
    // A server that is not up, and a name that is not known.
    for (host, words) in [("127.0.0.1", "nobody listens there"), ("no..host", "cannot find the address")] {
        let begun = Instant::now();
        let ended = run(&mut echolog(&["client", host, "1", "--wait", "0.5"]));
        assert!((Duration::from_millis(500)..Duration::from_secs(5)).contains(&begun.elapsed()), "{ended}");
        ended.assert().stderr(predicate::str::contains(words));
        assert_eq!(ended.status.code(), Some(1), "{ended}");
    }
}

#[apply(test)]
fn pace_pauses_between_messages_and_each_is_on_its_way_before_the_pause() {
    let server = Server::start(&[]);
    let (_kept, script) = file_with("one\ntwo\nthree\nquit\n");
    let begun = Instant::now();
    let client = Running::start(&mut server.client(&["--script", &script, "--pace", "300"]));
    for (number, message) in (0..).zip(["one", "two", "three"]) {
        server.shows(&screens::server_received(message));
        client.shows(&format!("client sending message: \"{message}\"\n"));
        assert!(begun.elapsed() >= number * Duration::from_millis(300), "{message}");
    }
    client.ends().shows(&screens::client(&["one", "two", "three"]));
    assert!((Duration::from_millis(900)..Duration::from_secs(10)).contains(&begun.elapsed()));
}

#[apply(test)]
fn a_server_that_goes_away_during_a_pause_is_noticed_at_once() {
    let server = Server::start(&[]);
    let (_kept, script) = file_with("one\ntwo\n");
    let client = Running::start(&mut server.client(&["--script", &script, "--pace", "600000"]));
    server.shows("\"one\"");
    client.shows("client sending message: \"one\"\n");
    drop(server);
    let ended = client.ends();
    assert!(
        ended.err.starts_with(
            "error: the connection to the server was lost after 1 message: Connection reset by peer\n"
        ),
        "{ended}"
    );
    assert_eq!(ended.status.code(), Some(1), "{ended}");
}

#[apply(test)]
fn save_log_writes_the_exact_bytes_and_only_a_whole_log_gets_the_name() {
    let (kept, script) = file_with(b"one\n\xff\x1b[2J\n\nquit\n");
    let saved = kept.path().join("log");
    std::fs::write(&saved, "an older log\n").expect("it can be written");
    let server = Server::start(&[]);
    let client = run(server.client(&["--script", &script, "--save-log"]).arg(&saved));
    assert_eq!((client.err.as_str(), client.status.code()), ("", Some(0)), "{client}");
    assert_eq!(std::fs::read(&saved).expect("it was saved"), b"one\n\xff\x1b[2J\n\n");
    assert_eq!(server.ends().status.code(), Some(0));

    let server = Server::start(&["--max-log", "4"]);
    let client = run(server.client(&["--script", &script, "--save-log"]).arg(&saved));
    assert_eq!(client.status.code(), Some(1), "{client}");
    assert_eq!(std::fs::read(&saved).expect("it is still there"), b"one\n\xff\x1b[2J\n\n");
    assert_eq!(server.ends().status.code(), Some(1));
}

#[apply(test)]
fn a_log_can_be_saved_to_a_pipe_or_a_device() {
    let server = Server::start(&[]);
    let (_kept, script) = file_with("one\ntwo\nquit\n");
    let mut shell = Command::new("bash");
    shell.args(["-c", "\"$@\" --save-log /dev/fd/3 3>&1 >/dev/null | tr a-z A-Z", "bash", ECHOLOG]);
    shell.args(server.client(&["--script", &script]).get_args()).stdin(Stdio::null());
    run(&mut shell).shows("ONE\nTWO\n");
    assert_eq!(server.ends().status.code(), Some(0));
}

#[apply(test)]
fn messages_at_the_limits_pass() {
    let server = Server::start(&["--max-message", "10", "--max-log", "22"]);
    let (_kept, script) = file_with("0123456789\n0123456789\nquit\n");
    let client = run(&mut server.client(&["--script", &script, "--max-message", "10"]));
    client.shows(&screens::client(&["0123456789", "0123456789"]));
    assert_eq!(server.ends().status.code(), Some(0));
}

#[apply(test)]
fn a_long_script_has_a_progress_bar_on_stderr_only_where_that_is_a_terminal_and_stdout_is_not() {
    let server = Server::start(&[]);
    let (_kept, script) = file_with("message\n".repeat(200));
    let port = server.port.to_string();
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" > /dev/null", "sh", ECHOLOG, "client", "127.0.0.1", &port]);
    shell.args(["--script", &script, "--pace", "10"]).env("TERM", "xterm");
    let mut terminal = Terminal::starting(&shell);
    terminal.shows("sending ").shows("%");
    let (_, status) = terminal.ends();
    assert!(matches!(status, rexpect::process::WaitStatus::Exited(_, 0)), "{status:?}");

    let server = Server::start(&[]);
    let client = run(&mut server.client(&["--script", &script, "--pace", "5"]));
    assert_eq!((client.err.as_str(), client.status.code()), ("", Some(0)));
}

#[apply(test)]
fn names_resolve_to_addresses() {
    let server = Server::start(&[]);
    let client = run(&mut echolog(&["client", "localhost", &server.port.to_string()]));
    assert_eq!((client.err.as_str(), client.status.code()), ("", Some(0)), "{client}");
    assert_eq!(server.ends().status.code(), Some(0));
}
