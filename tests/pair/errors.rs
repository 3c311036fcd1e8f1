//! Every way a command or a session can fail: the words, the hint, the exit code, and nothing lost.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use predicates::prelude::*;
use socket2::SockRef;

use crate::common::{
    DEADLINE, ECHOLOG, Ended, Running, Server, echolog, file_with, needs, own_port, run, screens,
};

/// What a program printed on stderr, without its notes.
pub fn errors_of(ended: &Ended) -> String {
    ended.err.split_inclusive('\n').filter(|line| !line.starts_with("note: ")).collect()
}

/// A command that ends by itself: its exit code, its error line or lines, and an empty screen.
#[track_caller]
fn fails(args: &[&str], code: i32, error: &str) {
    fails_with_input(args, "", code, "", error);
}

#[track_caller]
fn fails_with_input(args: &[&str], input: &str, code: i32, screen: &str, error: &str) {
    let mut command = assert_cmd::Command::new(ECHOLOG);
    let assert = command.args(args).write_stdin(input).timeout(DEADLINE).assert();
    assert.code(code).stdout(screen.to_owned()).stderr(error.to_owned());
}

/// A mistake on the command line: a hint follows the error.
#[track_caller]
fn is_misused(args: &[&str], error: &str) {
    let mut command = assert_cmd::Command::new(ECHOLOG);
    let assert = command.args(args).timeout(DEADLINE).assert();
    let words = predicate::str::starts_with(format!("error: {error}\nhint: "))
        .and(predicate::function(|shown: &str| shown.lines().count() == 2));
    assert.code(2).stdout("").stderr(words);
}

#[apply(test)]
fn a_port_that_is_no_port_is_a_usage_error() {
    for (port, why) in [
        ("abc", "abc is not a port number"),
        ("12a", "12a is not a port number"),
        ("1.5", "1.5 is not a port number"),
        ("65536", "port 65536 is not between 1 and 65535"),
        ("99999999999999999999", "port 99999999999999999999 is not between 1 and 65535"),
        ("", "a port is needed, a number from 1 to 65535"),
    ] {
        is_misused(&["server", port], why);
        is_misused(&["client", "127.0.0.1", port], why);
    }
    is_misused(&["client", "127.0.0.1", "0"], "port 0 is not between 1 and 65535");
    is_misused(&["server", "20000-10000"], "the range 20000-10000 is empty");
}

#[apply(test)]
fn too_many_arguments_and_unknown_ones_are_usage_errors() {
    is_misused(&["server", "10000", "10001"], "unexpected argument '10001' found");
    is_misused(&["client", "a", "1", "b"], "unexpected argument 'b' found");
    is_misused(&["server", "--no-such-option"], "unexpected argument '--no-such-option' found");
    is_misused(&["nosuch"], "unrecognized subcommand 'nosuch'");
}

#[apply(test)]
fn values_that_no_option_takes_are_usage_errors() {
    for (option, value, why) in [
        ("--max-message <BYTES>", "3", "a message needs space for the 4 bytes of quit"),
        ("--max-message <BYTES>", "2G", "a message has at most 1G bytes"),
        ("--max-log <BYTES>", "lots", "a number of bytes, like 4096, 64K or 1M, is needed"),
        ("--allow <ADDR>", "here", "invalid IP address syntax"),
    ] {
        let name = option.split(' ').next().expect("there is one");
        is_misused(&["server", name, value], &format!("invalid value '{value}' for '{option}': {why}"));
    }
    for (option, value, why) in [
        ("--wait <SECONDS>", "soon", "a number of seconds is needed"),
        ("--connect-timeout <SECONDS>", "inf", "a number of seconds between 0 and a year is needed"),
        ("--pace <MILLISECONDS>", "0.5", "a whole number of milliseconds is needed"),
    ] {
        let name = option.split(' ').next().expect("there is one");
        is_misused(&["client", name, value], &format!("invalid value '{value}' for '{option}': {why}"));
    }
}

#[apply(test)]
fn a_port_in_use_is_an_error_with_ways_out() {
    let taken = TcpListener::bind("127.0.2.1:0").expect("a free port");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    fails(
        &["server", &port, "--bind", "127.0.2.1"],
        1,
        &format!(
            "error: cannot listen at 127.0.2.1 on port {port}: it is in use\n\
             hint: choose another port, 0 for any free one, or a range like 10000-20000 for its first free one\n"
        ),
    );
    let range = format!("{port}-{port}");
    let whole = run(&mut echolog(&["server", &range, "--bind", "127.0.2.1"]));
    whole.assert().stderr(predicate::str::contains("in use"));
    assert_eq!((whole.status.code(), whole.out.as_str()), (Some(1), ""));
}

#[apply(test)]
fn a_range_in_which_every_port_is_in_use_is_an_error() {
    let (first, _second) = (10000..20000)
        .find_map(|port| {
            let first = TcpListener::bind(("127.0.2.2", port)).ok()?;
            Some((first, TcpListener::bind(("127.0.2.2", port + 1)).ok()?))
        })
        .expect("two free ports side by side");
    let port = first.local_addr().expect("it is bound").port();
    let range = format!("{port}-{}", port + 1);
    fails(
        &["server", &range, "--bind", "127.0.2.2"],
        1,
        &format!(
            "error: cannot listen at 127.0.2.2 on ports {range}: every one of them is in use\n\
             hint: choose another range, or 0 for any free port\n"
        ),
    );
}

#[apply(test)]
fn a_port_that_is_not_permitted_is_an_error_with_a_hint() {
    needs(&["root", "unshare", "setpriv"]);
    // In a network of its own the limit is what it usually is, and the superuser's right is taken away.
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c"]);
    command.arg(
        "echo 1024 > /proc/sys/net/ipv4/ip_unprivileged_port_start && \
         exec setpriv --bounding-set=-net_bind_service --inh-caps=-net_bind_service \"$0\" server 80",
    );
    run(command.arg(ECHOLOG)).is(
        1,
        "",
        "error: cannot listen on port 80: not permitted\n\
         hint: ports below 1024 are for the superuser: choose one from 1024 to 65535\n",
    );
}

#[apply(test)]
fn an_address_of_another_computer_cannot_be_listened_at() {
    fails(
        &["server", "12345", "--bind", "203.0.113.9"],
        1,
        "error: cannot listen at 203.0.113.9 on port 12345: this computer does not have that address\n\
         hint: leave --bind out to listen at every address\n",
    );
}

#[apply(test)]
fn a_name_that_does_not_resolve_is_an_error_for_both() {
    // An empty label: no resolver asks anyone about it.
    for args in [&["server", "10000", "--bind", "no..host"][..], &["client", "no..host", "10000"]] {
        let ended = run(&mut echolog(args));
        ended.is(
            1,
            "",
            "error: cannot find the address of no..host: no such host is known\n\
             hint: give a host name that this computer knows, or an address like 192.168.1.3\n",
        );
    }
}

#[apply(test)]
fn a_port_that_is_given_twice_is_a_usage_error() {
    fails(
        &["client", "127.0.0.1:12345", "12345"],
        2,
        "error: the port is given twice\n\
         hint: give it behind the address, as in echolog client 192.168.1.3 12345\n",
    );
}

#[apply(test)]
fn no_server_is_an_error_that_says_how_to_start_one() {
    fails(
        &["client", "127.0.0.1", "1"],
        1,
        "error: cannot connect to 127.0.0.1 on port 1: nobody listens there\n\
         hint: start the server first (echolog server 1), or let --wait SECONDS wait for it\n",
    );
}

#[apply(test)]
fn a_server_that_does_not_answer_is_an_error_after_the_connect_timeout() {
    // A listener whose queue is full answers nobody.
    let silent = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    silent.bind(&std::net::SocketAddr::from(([127, 0, 2, 3], 0)).into()).expect("a free port");
    silent.listen(0).expect("it can listen");
    let address = silent.local_addr().expect("it is bound").as_socket().expect("it is IPv4");
    let _first = TcpStream::connect(address).expect("the queue takes one");
    let port = address.port().to_string();

    let begun = Instant::now();
    let mut command = echolog(&["client", "127.0.2.3", &port, "--connect-timeout", "0.7"]);
    run(&mut command).is(
        1,
        "",
        &format!(
            "error: cannot connect to 127.0.2.3 on port {port}: no answer within 0.7 s\n\
             hint: check the address, and whether a firewall is in between; \
             --connect-timeout gives more time\n"
        ),
    );
    let took = begun.elapsed();
    assert!((Duration::from_millis(700)..Duration::from_secs(5)).contains(&took), "{took:?}");
}

// ------------------------------------------------------------------------ the keyboard that is not there

#[apply(test)]
fn an_empty_or_wrong_answer_that_nobody_can_correct_is_a_usage_error() {
    let no_address = "error: an address is needed: a host name, or one like 192.168.1.3\n";
    let no_port = "error: a port is needed, a number from 1 to 65535\n";
    let at_address = "enter server address: ";
    fails_with_input(&["server"], "\n", 2, "enter port to listen on: \n", no_port);
    fails_with_input(&["client"], "\n", 2, &format!("{at_address}\n"), no_address);
    let asked = format!("{at_address}localhost\nenter server port: ");
    fails_with_input(&["client"], "localhost\n\n", 2, &format!("{asked}\n"), no_port);
    let wrong = "error: twelve is not a port number\n";
    fails_with_input(&["client"], "localhost\ntwelve\n", 2, &format!("{asked}twelve\n"), wrong);
    fails_with_input(&["server"], "twelve\n", 2, "enter port to listen on: twelve\n", wrong);
}

#[apply(test)]
fn the_end_of_input_at_a_prompt_is_a_usage_error_that_names_the_prompt() {
    let ended = |asked: &str| {
        format!(
            "error: the input ended at \"{asked}\"\n\
             hint: answer it, or give it on the command line (see --help)\n"
        )
    };
    fails_with_input(&["server"], "", 2, "enter port to listen on: \n", &ended("enter port to listen on"));
    fails_with_input(&["client"], "", 2, "enter server address: \n", &ended("enter server address"));
    let asked = "enter server address: localhost\nenter server port: \n";
    fails_with_input(&["client"], "localhost\n", 2, asked, &ended("enter server port"));
    fails_with_input(&["client", "localhost"], "", 2, "enter server port: \n", &ended("enter server port"));
}

// --------------------------------------------------------------------------- a client that goes away

/// The server's end after a client that sends `bytes` and then goes by `leave`.
#[track_caller]
fn after_a_client(bytes: &[u8], shown: &[&str], leave: impl FnOnce(TcpStream)) -> (String, Ended) {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.write_all(bytes).expect("the server reads");
    let expected = screens::server_ready("127.0.0.1", server.port)
        + &screens::server_connected("127.0.0.1")
        + &shown.iter().map(|message| screens::server_received(message)).collect::<String>();
    server.shows(&expected);
    leave(client);
    (expected, server.ends())
}

fn reset(client: TcpStream) {
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("a socket can linger");
    drop(client);
}

#[apply(test)]
fn a_client_that_leaves_without_quit_is_an_error_that_counts_its_messages() {
    for (sent, shown, count) in
        [("one\n", &["one"][..], "1 message"), ("one\ntwo\n\n", &["one", "two", ""][..], "3 messages")]
    {
        let (screen, ended) = after_a_client(sent.as_bytes(), shown, drop);
        ended.is(1, &screen, &format!("error: the client disconnected without quit, after {count}\n"));
    }
}

#[apply(test)]
fn a_client_that_leaves_inside_a_message_has_that_message_neither_shown_nor_kept() {
    let (screen, ended) = after_a_client(b"one\ntwo", &["one"], drop);
    let error = "error: the client disconnected in the middle of a message, after 1 message; its 3 bytes were discarded\n";
    ended.is(1, &screen, error);
}

#[apply(test)]
fn a_client_lost_by_a_reset_is_told_apart_from_one_that_left() {
    let (screen, ended) = after_a_client(b"one\n", &["one"], reset);
    ended.is(
        1,
        &screen,
        "error: the connection to the client was lost, after 1 message: Connection reset by peer\n",
    );
}

#[apply(test)]
fn a_client_lost_by_a_reset_inside_a_message_has_that_message_neither_shown_nor_kept() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.write_all(b"one\ntwo").expect("the server reads");
    server.shows("\"one\"");
    // A reset throws away what was not read yet; the server says of what it had.
    reset(client);
    let ended = server.ends();
    ended.assert().stdout(predicate::str::contains("two").not());
    let inside = "error: the connection to the client was lost in the middle of a message, after 1 message; \
                  its 3 bytes were discarded: Connection reset by peer\n";
    assert_eq!((ended.err.as_str(), ended.status.code()), (inside, Some(1)), "{ended}");
}

#[apply(test)]
fn quit_without_its_line_end_quits_when_the_end_is_orderly() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.write_all(b"one\nquit").expect("the server reads");
    client.shutdown(Shutdown::Write).expect("it can be");
    let mut log = String::new();
    client.read_to_string(&mut log).expect("the log comes");
    assert_eq!(log, "one\n");
    drop(client);
    let screen = server.screen(&["one"]);
    server.ends().shows(&screen);
}

#[apply(test)]
fn a_client_that_is_gone_before_its_log_comes_is_an_error_however_short_the_log_is() {
    // Without its line end, quit is one only when the client has closed.
    let (screen, ended) = after_a_client(b"one\nquit", &["one"], drop);
    let error = "error: the client disconnected before it had the whole log: Broken pipe\n";
    assert_eq!(ended.err, error);
    assert_eq!(
        (ended.status.code(), ended.out.as_str()),
        (Some(1), format!("{screen}the client has informed the server that it is quitting\n").as_str())
    );
}

#[apply(test)]
fn a_client_that_closes_one_half_gets_its_whole_log() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    // More than the sockets' buffers take, so that the server has not got rid of it when the client closes.
    let message = vec![b'x'; 1024 * 1024];
    for _ in 0..32 {
        client.write_all(&message).and_then(|()| client.write_all(b"\n")).expect("the server reads");
    }
    client.write_all(b"quit\n").expect("the server reads");
    client.shutdown(Shutdown::Write).expect("it is open");
    server.shows("quitting\n");
    let mut log = Vec::new();
    client.read_to_end(&mut log).expect("the log comes");
    assert_eq!(log.len(), 32 * (message.len() + 1));
    assert_eq!(server.ends().status.code(), Some(0));
}

#[apply(test)]
fn a_client_that_does_not_wait_for_its_log_is_an_error() {
    let server = Server::start(&[]);
    let client = server.connect();
    // More than the sockets' buffers take, so that the server is sending when the client goes.
    let message = vec![b'x'; 1024 * 1024];
    for _ in 0..32 {
        (&client).write_all(&message).and_then(|()| (&client).write_all(b"\n")).expect("the server reads");
    }
    (&client).write_all(b"quit\n").expect("the server reads");
    server.shows("quitting\n");
    reset(client);
    let ended = server.ends();
    assert!(
        ended.err.starts_with("error: the client disconnected before it had the whole log: "),
        "{}",
        ended.err
    );
    assert_eq!(ended.status.code(), Some(1));
}

// --------------------------------------------------------------------------- a server that goes away

/// A client in a session with this test in the server's place.
pub fn client_of_ours(args: &[&str], input: Stdio) -> (TcpStream, Running) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    let client = Running::start(echolog(&["client", "127.0.0.1", &port]).args(args).stdin(input));
    let (server, _) = listener.accept().expect("the client comes");
    server.set_read_timeout(Some(DEADLINE)).expect("a time-out can be set");
    server.set_write_timeout(Some(DEADLINE)).expect("a time-out can be set");
    (server, client)
}

const LOST: &str = "hint: the log is lost; the server's screen may say why\n";

#[apply(test)]
fn a_server_that_closes_while_the_client_waits_at_its_prompt_is_noticed_at_once() {
    let (server, client) = client_of_ours(&[], Stdio::piped());
    client.shows(&screens::client_sending(&[]));
    drop(server);
    let error = format!("error: the server closed the connection after 0 messages\n{LOST}");
    ends_unasked(client).is(1, &(screens::client_sending(&[]) + "\n"), &error);
}

#[apply(test)]
fn a_server_that_is_lost_while_the_client_waits_at_its_prompt_is_noticed_at_once() {
    let (mut server, client) = client_of_ours(&[], Stdio::piped());
    client.shows("server: ").types("one\n").shows(&screens::client_sending(&["one"]));
    server.read_exact(&mut [0; 4]).expect("the message comes");
    reset(server);
    let error = format!(
        "error: the connection to the server was lost after 1 message: Connection reset by peer\n{LOST}"
    );
    ends_unasked(client).is(1, &(screens::client_sending(&["one"]) + "\n"), &error);
}

/// Waits for the end of a client whose input stays open.
#[track_caller]
fn ends_unasked(client: Running) -> Ended {
    client.shows("server: ");
    client.complains("error: ");
    client.ends()
}

#[apply(test)]
fn a_server_that_goes_away_while_the_client_sends_is_an_error() {
    let (_kept, script) = file_with("message\n".repeat(4_000_000));
    for leave in [drop, reset] {
        let (mut server, client) = client_of_ours(&["--script", &script], Stdio::null());
        server.read_exact(&mut [0; 1000]).expect("messages come");
        leave(server);
        let ended = client.ends();
        assert!(
            ended.err.starts_with("error: the connection to the server was lost after "),
            "{}",
            ended.err
        );
        assert!(ended.err.ends_with(LOST), "{}", ended.err);
        assert!(!ended.out.contains("client received message log:"), "no log came");
        assert_eq!(ended.status.code(), Some(1));
    }
}

#[apply(test)]
fn a_server_that_goes_away_inside_the_log_never_passes_for_one_that_sent_it_whole() {
    let short =
        "hint: what is shown above is not the whole log: the server may have failed, see its screen\n";
    for (sent, shown, counts) in [
        ("", "", "0 of 8 bytes, 0 of 2 messages"),
        ("one\n", "one\n", "4 of 8 bytes, 1 of 2 messages"),
        ("one\nt", "one\nt\n", "5 of 8 bytes, 1 of 2 messages"),
        ("one\ntwo", "one\ntwo\n", "7 of 8 bytes, 1 of 2 messages"),
    ] {
        let (_kept, script) = file_with("one\ntwo\nquit\n");
        let (mut server, client) = client_of_ours(&["--script", &script], Stdio::null());
        server.read_exact(&mut [0; 13]).expect("messages come");
        server.write_all(sent.as_bytes()).expect("the client reads");
        drop(server);
        let screen =
            screens::client_sending(&["one", "two"]) + "quit\n" + &screens::client_quitting(&[]) + shown;
        client.ends().is(1, &screen, &format!("error: the log that came back is short: {counts}\n{short}"));
    }
    let (_kept, script) = file_with("one\ntwo\nquit\n");
    let (mut server, client) = client_of_ours(&["--script", &script], Stdio::null());
    server.read_exact(&mut [0; 13]).expect("messages come");
    server.write_all(b"one\n").expect("the client reads");
    client.shows("log:\none\n");
    reset(server);
    let screen = screens::client_sending(&["one", "two"]) + "quit\n" + &screens::client_quitting(&["one"]);
    let error = "error: the connection was lost while the log arrived: 4 of 8 bytes, 1 of 2 messages came back: \
                 Connection reset by peer\n";
    client.ends().is(1, &screen, &format!("{error}{short}"));
}

#[apply(test)]
fn a_log_that_is_longer_or_other_than_what_was_sent_is_an_error() {
    for (sent, error) in [
        ("one\ntwo\n\n", "the log that came back is too long: 9 of 8 bytes, 3 of 2 messages"),
        ("two\none\n", "the log that came back is not what was sent, though as long: 8 bytes"),
    ] {
        let (_kept, script) = file_with("one\ntwo\nquit\n");
        let (mut server, client) = client_of_ours(&["--script", &script], Stdio::null());
        server.read_exact(&mut [0; 13]).expect("messages come");
        server.write_all(sent.as_bytes()).expect("the client reads");
        drop(server);
        let screen =
            screens::client_sending(&["one", "two"]) + "quit\n" + &screens::client_quitting(&[]) + sent;
        client.ends().is(1, &screen, &format!("error: {error}\n"));
    }
}

// ----------------------------------------------------------------------------------------- scripts

#[apply(test)]
fn a_script_that_cannot_be_read_is_found_out_before_a_server_is_bothered() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("it is plain").to_owned();
    let at = |script: &str, why: &str| {
        fails(
            &["client", "127.0.0.1", "1", "--script", script],
            2,
            &format!("error: cannot read the script {script}: {why}\n"),
        );
    };
    at(&path("missing"), "No such file or directory");
    at(&path(""), "is a directory");
}

#[apply(test)]
fn client_reports_a_script_that_it_may_not_read() {
    needs(&["root", "setpriv"]);
    let (_kept, secret) = file_with("message\n");
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o000))
        .expect("it can be set");
    // The superuser reads everything, unless these rights are taken away.
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]);
    command.args([ECHOLOG, "client", "127.0.0.1", "1", "--script", &secret]);
    let error = format!("error: cannot read the script {secret}: Permission denied\n");
    run(&mut command).is(2, "", &error);
}

#[apply(test)]
fn lines_after_quit_are_not_sent_and_are_counted() {
    for (rest, note) in [
        ("late\n", "note: 1 line after quit was not sent\n"),
        ("late\nlater\n\nno line end", "note: 4 lines after quit were not sent\n"),
        ("", ""),
    ] {
        let server = Server::start(&[]);
        let (_kept, script) = file_with(format!("one\nquit\n{rest}"));
        run(&mut server.client(&["--script", &script])).is(0, &screens::client(&["one"]), note);
        let screen = server.screen(&["one"]);
        server.ends().shows(&screen);
    }
}

#[apply(test)]
fn a_line_over_the_limit_ends_a_script_in_order_and_what_was_sent_comes_back() {
    let server = Server::start(&[]);
    let long = "x".repeat(101);
    let (_kept, script) = file_with(format!("one\n{long}\ntwo\nquit\n"));
    let ended = run(&mut server.client(&["--script", &script, "--max-message", "100"]));
    ended.is(
        1,
        &(screens::client_sending(&["one"]) + "\n" + &screens::client_quitting(&["one"])),
        "error: message 2 is longer than the limit of 100 bytes; neither it nor what follows it was sent\n\
         hint: --max-message raises the limit, here and at the server\n",
    );
    let screen = server.screen(&["one"]);
    server.ends().shows(&screen);
}

#[apply(test)]
fn a_log_that_cannot_be_saved_is_found_out_before_a_server_is_bothered() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("it is plain");
    fails(
        &["client", "127.0.0.1", "1", "--save-log", path],
        2,
        &format!(
            "error: cannot save the log in {path}: is a directory\n\
             hint: give --save-log a file in a directory that exists and can be written, or - for standard output\n"
        ),
    );
    let missing = format!("{path}/missing/log");
    let ended = run(&mut echolog(&["client", "127.0.0.1", "1", "--save-log", &missing]));
    let words = format!("error: cannot save the log in {missing}: No such file or directory");
    assert!(ended.err.starts_with(&words), "{ended}");
    assert_eq!((ended.status.code(), ended.out.as_str()), (Some(2), ""), "{ended}");
}

// ------------------------------------------------------------------------------------------ limits

#[apply(test)]
fn a_message_over_the_servers_limit_ends_the_session_with_an_error_that_names_it() {
    let server = Server::start(&["--max-message", "10"]);
    let mut client = server.connect();
    client.write_all(b"0123456789\n01234567890\n").expect("the server reads");
    let screen = screens::server_ready("127.0.0.1", server.port)
        + &screens::server_connected("127.0.0.1")
        + &screens::server_received("0123456789");
    server.ends().is(
        1,
        &screen,
        "error: after 1 message, the client sent one that is longer than the limit of 10 bytes\n\
         hint: raise the limit with --max-message\n",
    );
}

#[apply(test)]
fn a_log_over_the_servers_limit_ends_the_session_with_an_error_that_names_it() {
    let server = Server::start(&["--max-log", "8"]);
    let mut client = server.connect();
    client.write_all(b"one\ntwo\nthree\n").expect("the server reads");
    let screen = screens::server_ready("127.0.0.1", server.port)
        + &screens::server_connected("127.0.0.1")
        + &screens::server_received("one")
        + &screens::server_received("two");
    server.ends().is(
        1,
        &screen,
        "error: the log would grow over its limit of 8 bytes\nhint: raise the limit with --max-log\n",
    );
}

#[apply(test)]
fn the_client_says_so_when_the_server_ends_over_its_limit() {
    let server = Server::start(&["--max-message", "10"]);
    let (_kept, script) = file_with(format!("{}\n", "x".repeat(11)));
    let ended = run(&mut server.client(&["--script", &script]));
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    assert!(ended.err.starts_with("error: "), "{ended}");
    assert_eq!(server.ends().status.code(), Some(1));
}

// ------------------------------------------------------------------------------- the temporary directory

/// Enough for the log to leave memory.
fn large_script() -> (tempfile::TempDir, String) {
    file_with(format!("{}\n", "m".repeat(999)).repeat(4000))
}

#[apply(test)]
fn a_temporary_directory_that_is_missing_is_an_error_only_when_the_log_needs_it() {
    let start = || {
        let mut command = echolog(&["server", "10000-20000", "--bind", "127.0.0.1"]);
        Server::starting(command.env("TMPDIR", "/no/such/directory"))
    };
    let server = start();
    assert_eq!(run(&mut server.client(&[])).status.code(), Some(0));
    assert_eq!(server.ends().status.code(), Some(0));

    let server = start();
    let (_kept, script) = large_script();
    let client = run(&mut server.client(&["--script", &script]));
    let ended = server.ends();
    assert!(ended.err.starts_with("error: cannot keep the log in /no/such/directory: "), "{}", ended.err);
    assert!(
        ended.err.ends_with("\nhint: set TMPDIR to a directory that exists and has room\n"),
        "{}",
        ended.err
    );
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(client.status.code(), Some(1), "{}", client.err);
    assert!(client.err.starts_with("error: the connection "), "{}", client.err);
}

#[apply(test)]
fn a_temporary_directory_that_is_full_is_an_error_for_both() {
    needs(&["root", "unshare", "mount"]);
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", "mount -t tmpfs -o size=2m none \"$TMPDIR\" && exec \"$@\"", "sh"]);
    command.args([ECHOLOG, "server", "10000-20000", "--bind", "127.0.0.1"]);
    let server = Server::starting(command.env("TMPDIR", directory.path()));
    let (_kept, script) = large_script();
    let client = run(&mut server.client(&["--script", &script]));
    let ended = server.ends();
    let words =
        format!("error: cannot keep the log in {}: No space left on device\n", directory.path().display());
    assert!(ended.err.starts_with(&words), "{}", ended.err);
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(client.status.code(), Some(1), "{}", client.err);
    assert!(client.err.starts_with("error: the connection "), "{}", client.err);
}

#[apply(test)]
fn a_server_can_start_again_on_its_port_right_after_a_session() {
    let port = own_port();
    for _ in 0..3 {
        let server = Server::starting(&mut echolog(&["server", &port, "--bind", "127.0.2.4"]));
        let client = run(&mut echolog(&["client", "127.0.2.4", &port]));
        assert_eq!(client.status.code(), Some(0), "{client}");
        assert_eq!(server.ends().status.code(), Some(0));
    }
}
