//! The pair on two computers.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::errors::errors_of;
use crate::common::network::{Network, TOOLS, at, ip};
use crate::common::{ECHOLOG, Ended, Running, Server, needs, run, screens};

/// `echolog server` with `args` at the one computer.
fn server(network: &Network, args: &[&str]) -> Server {
    Server::starting(at(network.server()).args([ECHOLOG, "server"]).args(args).stdin(Stdio::null()))
}

/// `echolog client` with `args` at the other.
fn client(network: &Network, args: &[&str]) -> Command {
    let mut command = at(network.client());
    command.args([ECHOLOG, "client"]).args(args).stdin(Stdio::null());
    command
}

/// Holds a session in which the server shows itself at one address, is called by `host`, and shows
/// the client at another.
#[track_caller]
fn is_held(network: &Network, args: &[&str], host: &str, shown_server: &str, shown_client: &str) {
    let server = server(network, args);
    let port = server.port;
    let client = Running::start(client(network, &[host, &port.to_string()]).stdin(Stdio::piped()));
    client.types("This is my first message\n");
    server.shows(&screens::server_received("This is my first message"));
    client.types("quit\n");
    client.ends().shows(&screens::client(&["This is my first message"]));
    let ended = server.ends();
    assert_eq!((errors_of(&ended).as_str(), ended.status.code()), ("", Some(0)), "{ended}");
    assert_eq!(ended.out, screens::server(shown_server, port, shown_client, &["This is my first message"]));
}

#[apply(test)]
fn the_screens_of_two_computers_show_the_addresses_that_the_assignment_shows() {
    needs(&TOOLS);
    is_held(&Network::ipv4(), &["12345"], "192.168.1.3", "192.168.1.3", "192.168.1.4");
}

#[apply(test)]
fn a_server_with_both_kinds_of_address_is_reached_by_either() {
    needs(&TOOLS);
    let network = Network::joined(&[("192.168.1.3/24", "192.168.1.4/24"), ("fd00:1::3/64", "fd00:1::4/64")]);
    is_held(&network, &["12345"], "192.168.1.3", "192.168.1.3", "192.168.1.4");
    is_held(&network, &["12345"], "fd00:1::3", "192.168.1.3", "fd00:1::4");
}

#[apply(test)]
fn two_computers_with_ipv6_alone_show_their_ipv6_addresses() {
    needs(&TOOLS);
    let network = Network::joined(&[("fd00:1::3/64", "fd00:1::4/64")]);
    is_held(&network, &["12345"], "fd00:1::3", "fd00:1::3", "fd00:1::4");
    is_held(&network, &["12345"], "[fd00:1::3]", "fd00:1::3", "fd00:1::4");
}

#[apply(test)]
fn two_computers_with_nothing_but_link_local_addresses_need_a_zone() {
    needs(&TOOLS);
    let network = Network::joined(&[("fe80::3/64", "fe80::4/64")]);
    is_held(&network, &["12345"], "fe80::3%cable", "fe80::3", "fe80::4");
    is_held(&network, &["12345", "--bind", "fe80::3%cable"], "fe80::3%cable", "fe80::3", "fe80::4");
}

#[apply(test)]
fn the_address_of_the_default_route_is_shown_before_any_other() {
    needs(&TOOLS);
    let network = Network::joined(&[("10.9.9.3/24", "10.9.9.4/24"), ("192.168.1.3/24", "192.168.1.4/24")]);
    ip(&["-n", network.server(), "route", "add", "default", "via", "192.168.1.4"]);
    is_held(&network, &["12345"], "10.9.9.3", "192.168.1.3", "10.9.9.4");
}

#[apply(test)]
fn a_computer_without_a_network_shows_the_loopback_address() {
    needs(&TOOLS);
    let network = Network::joined(&[]);
    let server = server(&network, &["12345"]);
    assert_eq!(server.running.shown(), screens::server_ready("127.0.0.1", 12345));
}

#[apply(test)]
fn a_host_without_ipv6_is_served_over_ipv4() {
    needs(&TOOLS);
    let network = Network::joined(&[]);
    for end in [network.server(), network.client()] {
        let off = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6";
        run(at(end).args(["sh", "-c", off])).shows("");
    }
    for (end, address) in [(network.server(), "192.168.1.3/24"), (network.client(), "192.168.1.4/24")] {
        ip(&["-n", end, "address", "add", address, "dev", "cable"]);
    }
    is_held(&network, &["12345"], "192.168.1.3", "192.168.1.3", "192.168.1.4");
}

#[apply(test)]
fn only_a_client_that_allow_names_is_taken() {
    needs(&TOOLS);
    let network = Network::joined(&[("192.168.1.3/24", "192.168.1.4/24"), ("fd00:1::3/64", "fd00:1::4/64")]);
    let server = server(&network, &["12345", "--allow", "fd00:1::4", "--allow", "192.0.2.1"]);
    let refused = run(&mut client(&network, &["192.168.1.3", "12345"]));
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    // Whether it notices while it connects or after is a matter of time.
    assert!(refused.err.starts_with("error: "), "{refused}");
    let words = [": Connection reset by peer\n", ": the server refused it\n"];
    assert!(words.iter().any(|words| refused.err.contains(words)), "{refused}");
    let taken = run(&mut client(&network, &["fd00:1::3", "12345"]));
    assert_eq!((taken.err.as_str(), taken.status.code()), ("", Some(0)), "{taken}");
    server.ends().is(
        0,
        &screens::server("192.168.1.3", 12345, "fd00:1::4", &[]),
        "note: this computer has more addresses: fd00:1::3 (cable)\n\
         note: refused a connection from 192.168.1.4: --allow does not name it\n",
    );
}

// ----------------------------------------------------------------------- for the tests of patience

/// Within which a lost connection must be told.
const NOTICED: Duration = Duration::from_secs(35);

/// Both ends of a session that lost its connection: neither waits for ever, or says that all is well.
fn told_by_both(server: Server, client: Running) {
    let (server, client): (Ended, Ended) = std::thread::scope(|both| {
        let server = both.spawn(|| server.running.ends_within(NOTICED));
        // Its input stays open, as a keyboard's would.
        client.complains_within(NOTICED, "error: ");
        (server.join().expect("the server ends in time"), client.ends())
    });
    assert!(server.err.starts_with("error: the connection to the client was lost"), "{server}");
    assert!(
        client.err.contains("the connection to the server was lost")
            || client.err.contains("the connection was lost while"),
        "{client}"
    );
    assert_eq!((server.status.code(), client.status.code()), (Some(1), Some(1)), "{server}\n{client}");
}

fn in_mid_session(network: &Network) -> (Server, Running) {
    let server = server(network, &["12345"]);
    let client = Running::start(client(network, &["192.168.1.3", "12345"]).stdin(Stdio::piped()));
    client.types("one\n");
    server.shows("\"one\"\n");
    client.shows(&screens::client_sending(&["one"]));
    (server, client)
}

#[apply(waiting_test)]
fn a_cable_pulled_in_an_idle_session_is_noticed() {
    needs(&TOOLS);
    let network = Network::ipv4();
    let (server, client) = in_mid_session(&network);
    network.pull_the_cable();
    told_by_both(server, client);
}

#[apply(waiting_test)]
fn a_loss_that_no_interface_sees_in_an_idle_session_is_noticed() {
    needs(&TOOLS);
    let network = Network::ipv4();
    let (server, client) = in_mid_session(&network);
    network.lose_everything();
    told_by_both(server, client);
}

#[apply(waiting_test)]
fn a_loss_while_messages_are_typed_is_noticed() {
    needs(&TOOLS);
    let network = Network::ipv4();
    let (server, client) = in_mid_session(&network);
    network.lose_everything();
    client.types("two\n").shows(&screens::client_sending(&["one", "two"]));
    told_by_both(server, client);
}

#[apply(waiting_test)]
fn a_loss_after_quit_before_the_log_is_noticed() {
    needs(&TOOLS);
    let network = Network::ipv4();
    let (server, client) = in_mid_session(&network);
    network.lose_everything();
    client.types("quit\n");
    client.shows("client received message log:\n");
    told_by_both(server, client);
}

/// A client that has closed both halves has told so of one only; that it did not get its log shows when
/// what it is sent is never acknowledged.
#[apply(waiting_test)]
fn a_log_that_never_reaches_a_client_that_has_closed_is_an_error() {
    needs(&[&TOOLS[..], &["bash"]].concat());
    let network = Network::ipv4();
    let server = server(&network, &["12345"]);
    let session = "exec 3<>/dev/tcp/192.168.1.3/12345; echo one >&3; read; printf quit >&3";
    let client = Running::start(at(network.client()).args(["bash", "-c", session]).stdin(Stdio::piped()));
    server.shows("\"one\"\n");
    network.lose_what_the_server_sends();
    client.types("\n");
    assert_eq!(client.ends().status.code(), Some(0));
    let ended = server.running.ends_within(NOTICED);
    let error = "error: the client disconnected before it had the whole log: ";
    assert!(ended.err.starts_with(error), "{ended}");
    assert_eq!(ended.status.code(), Some(1), "{ended}");
}
