//! Sessions typed by hand, at a terminal.

use nix::sys::signal::Signal;
use rexpect::process::WaitStatus;

use crate::common::{Server, Terminal, own_port, screens};

/// A client at its message prompt.
fn client_of(server: &Server) -> Terminal {
    let mut client = Terminal::start(&["client", "127.0.0.1", &server.port.to_string()]);
    client.shows("enter a message to send to server: ");
    client
}

#[apply(test)]
fn a_mistyped_port_is_asked_for_again_at_the_server() {
    let port = own_port();
    let mut server = Terminal::start(&["server", "--bind", "127.0.5.1"]);
    for (wrong, error) in [
        ("12a45", "error: 12a45 is not a port number"),
        ("123456", "error: port 123456 is not between 1 and 65535"),
        ("", "error: a port is needed, a number from 1 to 65535"),
    ] {
        server.shows("enter port to listen on: ").types(wrong).shows(error);
    }
    server.shows("enter port to listen on: ").types(&port);
    server.shows(&format!("server is at address: 127.0.5.1\r\nserver is using port: {port}\r\n"));
}

#[apply(test)]
fn a_mistyped_address_or_port_is_asked_for_again_at_the_client() {
    let server = Server::start(&[]);
    let mut client = Terminal::start(&["client"]);
    client.shows("enter server address: ").types("");
    client.shows("error: an address is needed: a host name, or one like 192.168.1.3");
    client.shows("enter server address: ").types("127.0.0.1");
    client.shows("enter server port: ").types("0");
    client.shows("error: port 0 is not between 1 and 65535");
    client.shows("enter server port: ").types(&server.port.to_string());
    client.shows("enter a message to send to server: ").types("quit");
    let (shown, status) = client.ends();
    assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}");
    assert!(shown.ends_with(&screens::client(&[])), "{shown}");
}

#[apply(test)]
fn a_whole_session_goes_back_and_forth_between_two_screens() {
    let server = Server::start(&[]);
    let mut client = client_of(&server);
    let messages = ["hello", "how are you?", "", "Grüße aus 東京"];
    for message in messages {
        client.types(message);
        server.shows(&screens::server_received(message));
        client.shows("enter a message to send to server: ");
    }
    client.types("quit");
    client.ends_with(0, &screens::client(&messages));
    let screen = server.screen(&messages);
    server.ends().shows(&screen);
}

#[apply(test)]
fn ctrl_d_at_the_message_prompt_quits_and_the_log_comes_back() {
    let server = Server::start(&[]);
    let mut client = client_of(&server);
    client.types("one").shows("enter a message to send to server: ").presses_ctrl('d');
    client.ends_with(0, &(screens::client_sending(&["one"]) + "\n" + &screens::client_quitting(&["one"])));
    let screen = server.screen(&["one"]);
    server.ends().shows(&screen);
}

#[apply(test)]
fn ctrl_d_at_any_other_prompt_is_a_usage_error() {
    let ended = |asked: &str| {
        format!(
            "error: the input ended at \"{asked}\"\n\
             hint: answer it, or give it on the command line (see --help)\n"
        )
    };
    for (args, answers, asked) in [
        (&["server"][..], &[][..], "enter port to listen on"),
        (&["client"], &[], "enter server address"),
        (&["client"], &[("enter server address: ", "localhost")], "enter server port"),
        (&["client", "localhost"], &[], "enter server port"),
    ] {
        let mut program = Terminal::start(args);
        let mut expected = String::new();
        for (prompt, answer) in answers {
            program.shows(prompt).types(answer);
            expected += &format!("{prompt}{answer}\n");
        }
        program.shows(&format!("{asked}: ")).presses_ctrl('d');
        program.ends_with(2, &format!("{expected}{asked}: \n{}", ended(asked)));
    }
}

#[apply(test)]
fn ctrl_c_ends_the_client_at_any_prompt_as_the_signal_does_and_the_server_tells_of_it() {
    let mut client = Terminal::start(&["client"]);
    client.shows("enter server address: ").presses_ctrl('c');
    assert_interrupted(client);

    let server = Server::start(&[]);
    let mut client = client_of(&server);
    client.types("one").shows("enter a message to send to server: ");
    server.shows("\"one\"");
    client.types_without_enter("half a mess").presses_ctrl('c');
    let shown = assert_interrupted(client);
    assert!(shown.contains("\nerror: interrupted; the log is lost\nhint: "), "{shown}");
    let screen = screens::server_ready("127.0.0.1", server.port)
        + &screens::server_connected("127.0.0.1")
        + &screens::server_received("one");
    server.ends().is(1, &screen, "error: the client disconnected without quit, after 1 message\n");
}

#[apply(test)]
fn ctrl_c_ends_the_server_at_any_time_and_the_client_tells_of_it() {
    let mut server = Terminal::start(&["server"]);
    server.shows("enter port to listen on: ").presses_ctrl('c');
    assert_interrupted(server);

    let port = own_port();
    let mut server = Terminal::start(&["server", &port, "--bind", "127.0.5.2"]);
    server.shows("server is using port: ").presses_ctrl('c');
    assert_interrupted(server);

    let mut server = Terminal::start(&["server", &port, "--bind", "127.0.5.2"]);
    server.shows("server is using port: ");
    let mut client = Terminal::start(&["client", "127.0.5.2", &port]);
    client.shows("enter a message to send to server: ");
    server.shows("connected to client").presses_ctrl('c');
    assert_interrupted(server);
    client.ends_with(
        1,
        &(screens::client_sending(&[])
            + "\nerror: the connection to the server was lost after 0 messages: Connection reset by peer\n\
               hint: the log is lost; the server's screen may say why\n"),
    );
}

#[track_caller]
fn assert_interrupted(program: Terminal) -> String {
    let (shown, status) = program.ends();
    assert!(matches!(status, WaitStatus::Signaled(_, Signal::SIGINT, _)), "{status:?}\n{shown}");
    shown
}

#[apply(test)]
fn a_server_that_goes_while_someone_types_is_told_at_once_and_a_started_line_is_dropped() {
    let server = Server::start(&[]);
    let mut client = client_of(&server);
    client.types_without_enter("half a mess").shows("half a mess");
    drop(server);
    let (shown, status) = client.ends();
    assert!(matches!(status, WaitStatus::Exited(_, 1)), "{status:?}\n{shown}");
    assert!(
        shown.contains("\nerror: the connection to the server was lost "),
        "the error has a line of its own\n{shown}"
    );
}

#[apply(test)]
fn a_message_over_the_limit_is_refused_at_the_keyboard_and_asked_for_again() {
    let server = Server::start(&[]);
    let mut client =
        Terminal::start(&["client", "127.0.0.1", &server.port.to_string(), "--max-message", "10"]);
    client.shows("enter a message to send to server: ").types("01234567890");
    client.shows("error: message 1 is longer than the limit of 10 bytes; it was not sent\r\n");
    client.shows("hint: --max-message raises the limit, here and at the server\r\n");
    client.shows("enter a message to send to server: ").types("0123456789");
    client.shows("enter a message to send to server: ").types("quit");
    let (shown, status) = client.ends();
    assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}\n{shown}");
    let screen = server.screen(&["0123456789"]);
    server.ends().shows(&screen);
}

#[apply(test)]
fn several_lines_pasted_at_once_are_several_messages() {
    let server = Server::start(&[]);
    let mut client = client_of(&server);
    client.types("one\ntwo\nthree\nquit");
    let (shown, status) = client.ends();
    assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}\n{shown}");
    assert!(shown.ends_with(&screens::client_quitting(&["one", "two", "three"])), "{shown}");
    let screen = server.screen(&["one", "two", "three"]);
    server.ends().shows(&screen);
}
