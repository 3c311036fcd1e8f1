//! Output for programs: `--quiet` and `--json`.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::common::{Running, echolog, file_with, first_own_port, run};

/// Standard output of server and client after a session of two messages and `quit`, with `option` for both.
#[track_caller]
fn session(option: &str, more: &[&str]) -> (u16, String, String) {
    // A port of its own: without a screen, nothing says which one is free.
    let port = first_own_port();
    let server = Running::start(&mut echolog(&["server", &port.to_string(), "--bind", "127.0.8.1", option]));
    let (_kept, script) = file_with(b"one\ncaf\xe9 \x1b[2J\nquit\n");
    let args = ["client", "127.0.8.1", &port.to_string(), option, "--wait", "20", "--script", &script];
    let client = run(echolog(&args).args(more));
    let ended = server.ends();
    assert_eq!((client.status.code(), ended.status.code()), (Some(0), Some(0)), "{client}\n{ended}");
    (port, ended.out, client.out)
}

#[apply(test)]
fn quiet_output_is_the_messages_of_the_server_and_the_log_of_the_client() {
    let (_, server, client) = session("--quiet", &[]);
    assert_eq!(server, "one\ncaf\\xe9 \\x1b[2J\n");
    assert_eq!(client, "one\ncaf\\xe9 \\x1b[2J\n");
}

#[apply(test)]
fn json_output_is_one_object_a_line_for_each_event() {
    let (port, server, client) = session("--json", &[]);
    let events = |out: &str| -> Vec<Value> {
        out.lines().map(|line| serde_json::from_str(line).expect("each line is an object")).collect()
    };
    let hex = "636166e9201b5b324a";
    assert_eq!(
        events(&server),
        [
            json!({"event": "listening", "address": "127.0.8.1", "port": port}),
            json!({"event": "connected", "address": "127.0.0.1"}),
            json!({"event": "message", "number": 1, "text": "one"}),
            json!({"event": "message", "number": 2, "hex": hex}),
            json!({"event": "quit", "messages": 2}),
            json!({"event": "done", "messages": 2}),
        ]
    );
    assert_eq!(
        events(&client),
        [
            json!({"event": "connected", "address": "127.0.8.1", "port": port}),
            json!({"event": "sending", "number": 1, "text": "one"}),
            json!({"event": "sending", "number": 2, "hex": hex}),
            json!({"event": "quit", "messages": 2}),
            json!({"event": "log", "number": 1, "text": "one"}),
            json!({"event": "log", "number": 2, "hex": hex}),
            json!({"event": "done", "messages": 2}),
        ]
    );
}

#[apply(test)]
fn a_failure_is_an_event_and_an_error_message() {
    run(&mut echolog(&["client", "127.0.0.1", "1", "--json"])).is(
        1,
        "{\"event\":\"error\",\"error\":\"cannot connect to 127.0.0.1 on port 1: nobody listens there\",\
         \"hint\":\"start the server first (echolog server 1), or let --wait SECONDS wait for it\"}\n",
        "error: cannot connect to 127.0.0.1 on port 1: nobody listens there\n\
         hint: start the server first (echolog server 1), or let --wait SECONDS wait for it\n",
    );
}

#[apply(test)]
fn quiet_and_json_exclude_each_other_and_so_do_json_and_a_log_on_standard_output() {
    assert_eq!(run(&mut echolog(&["server", "1", "--quiet", "--json"])).status.code(), Some(2));
    let ended = run(&mut echolog(&["client", "127.0.0.1", "1", "--json", "--save-log", "-"]));
    assert_eq!(ended.err, "error: the log cannot be saved to standard output, where --json writes\n");
    assert_eq!(ended.status.code(), Some(2));
}

#[apply(test)]
fn a_dropped_connection_is_an_event() {
    let server =
        Running::start(echolog(&["server", "0", "--bind", "127.0.8.2", "--json"]).stdin(Stdio::null()));
    server.shows("\n");
    let port = serde_json::from_str::<Value>(server.shown().trim()).expect("it is an object")["port"].clone();
    let port = port.as_u64().and_then(|port| u16::try_from(port).ok()).expect("it is a port");
    drop(std::net::TcpStream::connect(("127.0.8.2", port)).expect("it listens"));
    server.shows(
        "{\"event\":\"dropped\",\"address\":\"127.0.0.1\",\"reason\":\"closed before it sent anything\"}\n",
    );
}
