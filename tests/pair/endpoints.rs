//! How addresses and ports may be written on the command line, and which address a server shows.

use std::process::Command;

use crate::common::{ECHOLOG, Server, echolog, needs, run};

#[apply(test)]
fn a_client_takes_host_and_port_in_one_word_or_two_or_with_an_option() {
    for (bind, args) in [
        ("127.0.0.1", &["client", "127.0.0.1:{port}"][..]),
        ("127.0.0.1", &["client", "tcp://127.0.0.1:{port}"]),
        ("127.0.0.1", &["client", "localhost:{port}"]),
        ("::1", &["client", "[::1]:{port}"]),
        ("::1", &["client", "::1", "{port}"]),
        ("127.0.0.1", &["client", "127.0.0.1", "-p", "{port}"]),
        ("127.0.0.1", &["connect", "--port", "{port}", "127.0.0.1"]),
    ] {
        let server = Server::starting(&mut echolog(&["server", "10000-20000", "--bind", bind]));
        let args: Vec<String> =
            args.iter().map(|word| word.replace("{port}", &server.port.to_string())).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let client = run(&mut echolog(&args));
        assert_eq!((client.err.as_str(), client.status.code()), ("", Some(0)), "{client}");
        assert_eq!(server.ends().status.code(), Some(0));
    }
}

#[apply(test)]
fn a_server_takes_the_address_before_the_port() {
    for (args, address) in [
        (&["server", "127.0.9.1:10000-20000"][..], "127.0.9.1"),
        (&["serve", "localhost:0"], "127.0.0.1"),
        (&["listen", "-p", "0", "--bind", "127.0.9.1"], "127.0.9.1"),
        (&["server", "--port", "[::1]:0"], "::1"),
    ] {
        let server = Server::starting(&mut echolog(args));
        assert!(
            server.running.shown().starts_with(&format!("server is at address: {address}\n")),
            "{args:?}"
        );
    }
    // Every address: the one that is shown is another computer's way to it.
    let server = Server::starting(&mut echolog(&["server", "0.0.0.0:0"]));
    server.connect();
    Server::starting(&mut echolog(&["server", ":0"])).connect();
}

#[apply(test)]
fn port_and_host_in_the_wrong_order_get_a_hint() {
    run(&mut echolog(&["client", "12345", "192.168.1.3"])).is(
        2,
        "",
        "error: 12345 is a port, not the address of a server\n\
         hint: the address comes first: echolog client 192.168.1.3 12345\n",
    );
    run(&mut echolog(&["client", "12345"])).is(
        2,
        "",
        "error: 12345 is a port, not the address of a server\n\
         hint: the address comes first: echolog client HOST 12345\n",
    );
    run(&mut echolog(&["server", "192.168.1.3"])).is(
        2,
        "",
        "error: 192.168.1.3 is not a port number\n\
         hint: the server takes a port, as in: echolog server 12345 --bind 192.168.1.3\n",
    );
}

#[apply(test)]
fn without_a_default_route_bridges_and_tunnels_come_after_other_interfaces() {
    needs(&["root", "unshare", "ip"]);
    let setup = "ip link add docker0 type bridge && ip link add cable type veth peer name other && \
         ip address add 172.17.0.1/16 dev docker0 && ip address add 192.168.1.3/24 dev cable && \
         ip link set docker0 up && ip link set cable up && ip link set other up && exec \"$0\" server 0";
    let server = Server::starting(Command::new("unshare").args(["--net", "sh", "-c", setup, ECHOLOG]));
    assert!(server.running.shown().starts_with("server is at address: 192.168.1.3\n"));
    server.running.complains("note: this computer has more addresses: 172.17.0.1 (docker0)\n");
}
