//! What only time can show: a live peer does not run into any timeout of a connection, and a peer that a cut
//! cable took away is noticed. Each test takes half a minute, and they run side by side (`waiting_test`); those
//! about cables stand in `two_computers`.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use super::errors::client_of_ours;
use crate::common::{Running, Server, file_with, let_pass, screens};

/// Longer than any time-out of a connection.
const LONG: Duration = Duration::from_secs(27);

#[apply(waiting_test)]
fn a_client_that_stops_reading_does_not_time_out() {
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

#[apply(waiting_test)]
fn a_server_that_stops_reading_does_not_time_out() {
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

#[apply(waiting_test)]
fn a_client_that_sends_nothing_does_not_time_out() {
    let server = Server::start(&[]);
    let client = Running::start(server.client(&[]).stdin(Stdio::piped()));
    client.shows(&screens::client_sending(&[]));
    let_pass(LONG);
    client.types("still here\nquit\n");
    client.ends().shows(&screens::client(&["still here"]));
    let screen = server.screen(&["still here"]);
    server.ends().shows(&screen);
}
