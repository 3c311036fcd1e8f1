//! The pair with other people's programs in the other place: nc, ncat, and servers of a few lines.

use std::io::Write;
use std::process::{Command, Stdio};

use super::errors::errors_of;
use crate::common::{Running, Server, echolog, file_with, needs, own_port, run, screens};

/// Holds a session of `client`, somebody else's program, with our server. Each message is typed when
/// the one before it has been shown; `quit` is what is typed last.
#[track_caller]
fn serves(client: &mut Command, messages: &[&str], quit: &str) {
    let server = Server::start(&[]);
    let client = Running::start(client.arg("127.0.0.1").arg(server.port.to_string()).stdin(Stdio::piped()));
    for message in messages {
        client.types(format!("{message}\n"));
        server.shows(&screens::server_received(message));
    }
    client.types(quit).input_ends();
    client.ends().shows(&messages.iter().flat_map(|message| [message, "\n"]).collect::<String>());
    let screen = server.screen(messages);
    server.ends().shows(&screen);
}

#[apply(test)]
fn netcat_of_openbsd_is_a_client() {
    needs(&["nc.openbsd"]);
    serves(&mut Command::new("nc.openbsd"), &["one", "", "Grüße"], "quit\n");
    serves(&mut Command::new("nc.openbsd"), &[], "quit\n");
}

#[apply(test)]
fn netcat_that_ends_its_input_with_the_session_is_a_client_too() {
    needs(&["nc.openbsd"]);
    // -N closes the sending half at the end of input: here together with a quit without line end.
    serves(Command::new("nc.openbsd").arg("-N"), &["one", "two"], "quit");
}

#[apply(test)]
fn ncat_is_a_client() {
    needs(&["ncat"]);
    serves(&mut Command::new("ncat"), &["one", "", "Grüße"], "quit\n");
}

#[apply(test)]
fn a_client_with_the_line_ends_of_telnet_sends_the_same_messages() {
    needs(&["ncat"]);
    serves(Command::new("ncat").arg("-C"), &["one", "", " two "], "quit\n");
}

#[apply(test)]
fn socat_is_a_client() {
    needs(&["socat"]);
    let server = Server::start(&[]);
    let mut client = Command::new("socat");
    client.args(["-", &format!("TCP:127.0.0.1:{}", server.port)]).stdin(Stdio::piped());
    let client = Running::start(&mut client);
    client.types("one\ntwo\nquit\n");
    server.shows("quitting\n");
    client.shows("one\ntwo\n");
    client.ends().shows("one\ntwo\n");
    let screen = server.screen(&["one", "two"]);
    server.ends().shows(&screen);
}

#[apply(test)]
fn a_client_that_gives_up_on_its_input_without_quit_is_told() {
    needs(&["nc.openbsd"]);
    let server = Server::start(&[]);
    let mut client = Command::new("nc.openbsd");
    client.args(["-N", "127.0.0.1", &server.port.to_string()]).stdin(Stdio::piped());
    let client = Running::start(&mut client);
    client.types("one\n").input_ends();
    let screen = screens::server_ready("127.0.0.1", server.port)
        + &screens::server_connected("127.0.0.1")
        + &screens::server_received("one");
    server.ends().is(1, &screen, "error: the client disconnected without quit, after 1 message\n");
    client.ends().shows("");
}

/// The assignment's server, as a shell writes it.
const SHELL_SERVER: &str = r#"
log=$(mktemp)
while IFS= read -r message && [ "$message" != quit ]; do
    printf '%s\n' "$message" >> "$log"
done
cat "$log"
rm "$log"
"#;

/// A session of our client with `server`, which listens at `address` and `port`.
#[track_caller]
fn is_served_by(server: &mut Command, address: &str, port: &str) {
    let server = Running::start(server.stdin(Stdio::null()));
    let messages = ["one", "", "Grüße", "  blanks  "];
    let (_kept, script) = file_with(messages.join("\n") + "\nquit\n");
    // It does not say when it is ready, and takes one connection: so the client keeps trying.
    let client = run(&mut echolog(&["client", address, port, "--wait", "20", "--script", &script]));
    assert_eq!((errors_of(&client).as_str(), client.status.code()), ("", Some(0)), "{client}");
    assert_eq!(client.out, screens::client(&messages));
    server.ends().shows("");
}

#[apply(test)]
fn a_server_of_ncat_and_a_few_lines_of_shell_serves_our_client() {
    needs(&["ncat"]);
    let port = own_port();
    let mut server = Command::new("ncat");
    server.args(["--listen", "127.0.6.1", &port, "--sh-exec", SHELL_SERVER]);
    is_served_by(&mut server, "127.0.6.1", &port);
}

#[apply(test)]
fn a_server_of_socat_and_a_few_lines_of_shell_serves_our_client() {
    needs(&["socat"]);
    let port = own_port();
    let (_kept, script) = file_with(SHELL_SERVER);
    let mut server = Command::new("socat");
    server.args([&format!("TCP-LISTEN:{port},bind=127.0.6.2,reuseaddr"), &format!("EXEC:sh {script}")]);
    is_served_by(&mut server, "127.0.6.2", &port);
}

#[apply(test)]
fn a_server_of_netcat_and_a_pipe_serves_our_client() {
    needs(&["nc.openbsd"]);
    let port = own_port();
    let (kept, script) = file_with(SHELL_SERVER);
    let mut server = Command::new("sh");
    server.args(["-c", "mkfifo back && nc.openbsd -N -l 127.0.6.3 \"$1\" < back | sh \"$2\" > back", "sh"]);
    server.args([&port, &script]).current_dir(kept.path());
    is_served_by(&mut server, "127.0.6.3", &port);
}

#[apply(test)]
fn a_server_of_a_few_lines_of_python_serves_our_client() {
    needs(&["python3"]);
    let port = own_port();
    let (_kept, script) = file_with(
        "import socket, sys\n\
         with socket.create_server((sys.argv[1], int(sys.argv[2]))) as listener:\n    \
             connection, _ = listener.accept()\n\
         with connection, connection.makefile('rwb') as peer:\n    \
             log = []\n    \
             while (line := peer.readline()) != b'quit\\n':\n        \
                 log.append(line)\n    \
             peer.writelines(log)\n",
    );
    let mut server = Command::new("python3");
    server.args([&script, "127.0.6.4", &port]);
    is_served_by(&mut server, "127.0.6.4", &port);
}

#[apply(test)]
fn a_telnet_that_types_a_character_at_a_time_is_a_client() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.set_nodelay(true).expect("it can be set");
    for byte in "hello\r\nquit\r\n".bytes() {
        client.write_all(&[byte]).expect("the server reads");
    }
    server.shows("quitting\n");
    let mut log = String::new();
    std::io::Read::read_to_string(&mut client, &mut log).expect("the log comes");
    assert_eq!(log, "hello\n");
    drop(client);
    let screen = server.screen(&["hello"]);
    server.ends().shows(&screen);
}
