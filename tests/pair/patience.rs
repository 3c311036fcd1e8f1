//! What only time can show: a peer that lives is waited for longer than any time-out of a connection,
//! and one that a cut cable took away is noticed all the same. These run at once, in one test, so that
//! they take half a minute together.

use std::io::{Read, Write};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::common::{Running, Server, file_with, let_pass, screens};
use crate::errors::client_of_ours;
use crate::two_computers;

#[test]
fn peers_that_live_are_waited_for_and_peers_that_are_gone_are_noticed() {
    let claims: [(&str, fn()); 8] = [
        ("a client that stops reading its log for a while is waited for", a_client_that_stops_reading),
        ("a server that stops reading for a while is waited for", a_server_that_stops_reading),
        ("a client that says nothing for a while is waited for", a_client_that_says_nothing),
        ("a cable pulled in an idle session is noticed", two_computers::a_cable_pulled_in_an_idle_session),
        (
            "a loss that no interface sees is noticed",
            two_computers::a_loss_that_no_interface_sees_in_an_idle_session,
        ),
        ("a loss while messages are typed is noticed", two_computers::a_loss_while_messages_are_typed),
        ("a loss after quit, before the log, is noticed", two_computers::a_loss_after_quit_before_the_log),
        (
            "a log that never reaches a client that has closed is an error",
            two_computers::a_log_that_never_reaches_a_client_that_has_closed,
        ),
    ];
    let running = claims.map(|(claim, check)| {
        let check = thread::Builder::new().name(claim.to_owned()).spawn(check);
        (claim, check.expect("a thread"))
    });
    let failed = running.map(|(claim, check)| check.join().err().map(|_| claim));
    let failed: Vec<&str> = failed.into_iter().flatten().collect();
    assert!(failed.is_empty(), "not true: {failed:?}");
}

/// Longer than any time-out of a connection.
const LONG: Duration = Duration::from_secs(27);

fn a_client_that_stops_reading() {
    let server = Server::start(&[]);
    let client = server.connect();
    let message = vec![b'x'; 1024 * 1024 - 1];
    for _ in 0..16 {
        (&client).write_all(&message).and_then(|()| (&client).write_all(b"\n")).expect("the server reads");
    }
    (&client).write_all(b"quit\n").expect("the server reads");
    server.shows("quitting\n");
    let_pass(LONG);
    let mut log = Vec::new();
    (&client).read_to_end(&mut log).expect("the server is still there");
    assert_eq!(log.len(), 16 << 20);
    drop(client);
    let ended = server.ends();
    assert_eq!((ended.err.as_str(), ended.status.code()), ("", Some(0)));
}

fn a_server_that_stops_reading() {
    let (_kept, script) = file_with(format!("{}\n", "m".repeat(1023)).repeat(16 << 10));
    let (mut server, client) = client_of_ours(&["--script", &script], Stdio::null());
    let_pass(LONG);
    let mut log = vec![0; 16 << 20];
    server.read_exact(&mut log).expect("the client is still there");
    server.read_exact(&mut [0; 5]).expect("quit comes");
    server.write_all(&log).expect("the client reads");
    drop(server);
    let ended = client.ends();
    assert_eq!((ended.err.as_str(), ended.status.code()), ("", Some(0)));
}

fn a_client_that_says_nothing() {
    let server = Server::start(&[]);
    let client = Running::start(server.client(&[]).stdin(Stdio::piped()));
    client.shows(&screens::client_sending(&[]));
    let_pass(LONG);
    client.types("still here\nquit\n");
    client.ends().shows(&screens::client(&["still here"]));
    let screen = server.screen(&["still here"]);
    server.ends().shows(&screen);
}
