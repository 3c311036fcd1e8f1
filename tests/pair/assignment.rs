//! What the assignment asks, point by point: S1 to S6 of the server, C1 to C5 of the client.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;

use socket2::{Domain, Socket, Type};

use crate::common::{Running, Server, Terminal, echolog, file_with, own_port, run, screens};

/// The session of the assignment's text.
const SAMPLE: &str = "This is my first message";

#[apply(test)]
fn s1_the_server_takes_its_port_from_the_command_line() {
    let port = own_port();
    let server = Server::starting(&mut echolog(&["server", &port, "--bind", "127.0.1.1"]));
    assert_eq!(server.port.to_string(), port);
    TcpStream::connect(("127.0.1.1", server.port)).expect("it listens there");
}

#[apply(test)]
fn s1_the_server_asks_for_the_port_that_was_left_out() {
    let mut command = echolog(&["server", "--bind", "127.0.1.2"]);
    let server = Running::start(command.stdin(Stdio::piped()));
    let port = own_port();
    server.shows("enter port to listen on: ").types(format!("{port}\n"));
    server.shows(&format!(
        "enter port to listen on: {port}\nserver is at address: 127.0.1.2\nserver is using port: {port}\n"
    ));
    TcpStream::connect(format!("127.0.1.2:{port}")).expect("it listens there");
}

#[apply(test)]
fn s2_the_server_prints_its_address_and_port_and_then_listens() {
    let server = Server::starting(&mut echolog(&["server", "10000-20000", "--bind", "127.0.1.5"]));
    assert!((10000..=20000).contains(&server.port));
    assert_eq!(server.running.shown(), screens::server_ready("127.0.1.5", server.port));
    TcpStream::connect(("127.0.1.5", server.port)).expect("it listens there");
}

#[apply(test)]
fn s3_the_server_prints_the_address_of_the_client() {
    let server = Server::start(&[]);
    let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    client.bind(&SocketAddr::from(([127, 0, 0, 44], 0)).into()).expect("all of 127/8 is this computer");
    client.connect(&SocketAddr::from(([127, 0, 0, 1], server.port)).into()).expect("it listens");
    server.shows("server connected to client at address: 127.0.0.44\n");
}

#[apply(test)]
fn s4_the_server_prints_each_message_before_the_next_is_sent() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut expected =
        screens::server_ready("127.0.0.1", server.port) + &screens::server_connected("127.0.0.1");
    for message in ["one", "two", "", "four"] {
        client.write_all(format!("{message}\n").as_bytes()).expect("it reads");
        expected += &screens::server_received(message);
        server.shows(&expected);
    }
    assert_eq!(server.running.shown(), expected);
}

#[apply(test)]
fn s5_on_quit_the_server_says_so_sends_every_prior_message_and_ends_with_0() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.write_all(b"one\ntwo\n\nquit\n").expect("it reads");
    let mut log = Vec::new();
    client.read_to_end(&mut log).expect("the log comes and ends");
    assert_eq!(String::from_utf8_lossy(&log), "one\ntwo\n\n");
    drop(client);
    let screen = server.screen(&["one", "two", ""]);
    server.ends().shows(&screen);
}

#[apply(test)]
fn s5_nothing_is_sent_to_the_client_before_it_quits() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.write_all(b"one\n").expect("it reads");
    server.shows("\"one\"");
    client.set_nonblocking(true).expect("a socket can be");
    let error = client.read(&mut [0]).expect_err("nothing is there to read");
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}

#[apply(test)]
fn s6_the_server_starts_first_and_both_screens_read_as_the_assignment_shows_them() {
    let port = own_port();
    let server = Server::starting(&mut echolog(&["server", &port, "--bind", "127.0.1.3"]));
    let (_kept, script) = file_with(format!("{SAMPLE}\nquit\n"));
    let client = run(&mut echolog(&["client", "127.0.1.3", &port, "--script", &script]));
    client.shows(
        "client has connected to the server!\n\
         enter a message to send to server: This is my first message\n\
         client sending message: \"This is my first message\"\n\
         enter a message to send to server: quit\n\
         client informing server that it is quitting.\n\
         client received message log:\n\
         This is my first message\n",
    );
    server.ends().shows(&format!(
        "server is at address: 127.0.1.3\n\
         server is using port: {port}\n\
         server connected to client at address: 127.0.0.1\n\
         server received message: \"This is my first message\"\n\
         the client has informed the server that it is quitting\n",
    ));
}

#[apply(test)]
fn c1_the_client_takes_address_and_port_from_the_command_line() {
    let server = Server::start(&[]);
    run(&mut server.client(&[]))
        .shows(&(screens::client_sending(&[]) + "\n" + &screens::client_quitting(&[])));
    let screen = server.screen(&[]);
    server.ends().shows(&screen);
}

#[apply(test)]
fn c1_the_client_asks_for_the_address_and_the_port_that_were_left_out() {
    let server = Server::start(&[]);
    let port = server.port;
    let client = Running::start(echolog(&["client"]).stdin(Stdio::piped()));
    client.shows("enter server address: ").types("127.0.0.1\n");
    client.shows("enter server port: ").types(format!("{port}\n"));
    client.shows("enter a message to send to server: ").types("quit\n");
    client.ends().shows(&format!(
        "enter server address: 127.0.0.1\nenter server port: {port}\n{}",
        screens::client(&[])
    ));
}

#[apply(test)]
fn c1_the_client_asks_for_the_port_alone_when_only_that_was_left_out() {
    let server = Server::start(&[]);
    let port = server.port;
    let client = Running::start(echolog(&["client", "127.0.0.1"]).stdin(Stdio::piped()));
    client.shows("enter server port: ").types(format!("{port}\nquit\n"));
    client.ends().shows(&format!("enter server port: {port}\n{}", screens::client(&[])));
}

#[apply(test)]
fn c2_the_client_says_that_it_has_connected_before_anything_is_typed() {
    let server = Server::start(&[]);
    let client = Running::start(server.client(&[]).stdin(Stdio::piped()));
    client.shows("client has connected to the server!\nenter a message to send to server: ");
    server.shows("server connected to client at address: 127.0.0.1\n");
}

#[apply(test)]
fn c3_each_message_is_asked_for_sent_and_said_to_be_sent() {
    let server = Server::start(&[]);
    let client = Running::start(server.client(&[]).stdin(Stdio::piped()));
    let mut sent = Vec::new();
    for message in ["first", "second"] {
        client.shows(&screens::client_sending(&sent)).types(format!("{message}\n"));
        server.shows(&format!("server received message: \"{message}\"\n"));
        sent.push(message);
    }
    client.shows(&screens::client_sending(&sent));
}

#[apply(test)]
fn c4_only_quit_itself_quits() {
    let server = Server::start(&[]);
    let messages = ["Quit", " quit", "quit ", "quit now", "QUIT", "\"quit\"", "quitquit"];
    let (_kept, script) = file_with(messages.join("\n") + "\nquit\n");
    run(&mut server.client(&["--script", &script])).shows(&screens::client(&messages));
    let screen = server.screen(&messages);
    server.ends().shows(&screen);
}

#[apply(test)]
fn c4_what_the_client_sends_is_each_message_and_quit_a_line_each() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    let (_kept, script) = file_with("one\n\n  two \nquit\n");
    let client = Running::start(&mut echolog(&["client", "127.0.0.1", &port, "--script", &script]));
    let (mut server, _) = listener.accept().expect("the client comes");
    let mut received = [0; 17];
    server.read_exact(&mut received).expect("the client sends");
    assert_eq!(String::from_utf8_lossy(&received), "one\n\n  two \nquit\n");
    server.write_all(b"one\n\n  two \n").expect("the client reads");
    drop(server);
    client.ends().shows(&screens::client(&["one", "", "  two "]));
}

#[apply(test)]
fn c5_the_log_shown_is_what_the_server_sent_and_not_a_copy_of_the_clients_own() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    let (_kept, script) = file_with("one\nquit\n");
    let client = Running::start(&mut echolog(&["client", "127.0.0.1", &port, "--script", &script]));
    let (mut server, _) = listener.accept().expect("the client comes");
    server.read_exact(&mut [0; 9]).expect("the client sends");
    client.shows("client informing server that it is quitting.\n");
    assert!(!client.shown().contains("\none\n"), "{}", client.shown());
    server.write_all(b"other\n").expect("the client reads");
    drop(server);
    let ended = client.ends();
    assert!(ended.out.ends_with("client received message log:\nother\n"), "{ended}");
    assert_eq!(ended.status.code(), Some(1), "{ended}");
}

#[apply(test)]
fn c5_a_log_of_many_megabytes_comes_back_whole() {
    let server = Server::start(&[]);
    let messages: Vec<String> = (0..60_000).map(|number| format!("{number:>99}")).collect();
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    let (kept, script) = file_with(messages.join("\n") + "\n");
    let saved = kept.path().join("log");
    let client = run(server.client(&["--script", &script, "--save-log"]).arg(&saved));
    assert_eq!((client.err.as_str(), client.status.code()), ("", Some(0)), "{}", client.err);
    assert!(client.out.ends_with(&screens::client_quitting(&messages)), "the log on the screen");
    assert!(std::fs::read(saved).ok() == std::fs::read(script).ok(), "the log that was saved");
    assert_eq!(server.ends().status.code(), Some(0));
}

#[apply(test)]
fn a_whole_session_at_two_terminals_reads_as_the_assignment_shows_it() {
    let port = own_port();
    let mut server = Terminal::start(&["server", "--bind", "127.0.1.4"]);
    server.shows("enter port to listen on: ").types(&port).shows(&format!("using port: {port}"));
    let mut client = Terminal::start(&["client"]);
    client.shows("enter server address: ").types("127.0.1.4");
    client.shows("enter server port: ").types(&port);
    client.shows("enter a message to send to server: ").types(SAMPLE);
    server.shows(&format!("server received message: \"{SAMPLE}\""));
    client.shows("enter a message to send to server: ").types("quit");
    let asked = format!("enter server address: 127.0.1.4\nenter server port: {port}\n");
    client.ends_with(0, &(asked + &screens::client(&[SAMPLE])));
    let port = port.parse().expect("it is a number");
    let screen = screens::server("127.0.1.4", port, "127.0.0.1", &[SAMPLE]);
    server.ends_with(0, &format!("enter port to listen on: {port}\n{screen}"));
}
