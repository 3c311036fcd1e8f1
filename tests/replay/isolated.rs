//! Programs of others on two computers of their own, as `echolog check` has them: what they find there, and what
//! is left of it.

use regex::Regex;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{Fixtures, Replay, Told as _};
use crate::common::{harness, needs};

/// A server that has its port built in, shows the address by which others reach it, and leaves a file behind.
const SERVER: &str = r#"
import socket
def address():
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.connect(("8.8.8.8", 80))
    return probe.getsockname()[0]
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("", 12345))
listener.listen()
print("at", address(), "port", 12345, flush=True)
connection, (client, _) = listener.accept()
print("from", client, flush=True)
lines = connection.makefile("rb")
log = b""
while (line := lines.readline()) not in (b"quit\n", b""):
    print("got:", line.decode().rstrip("\n"), flush=True)
    log += line
with open("log.txt", "ab") as file: file.write(log)
connection.sendall(log)
"#;

/// A client that has the server's address and port built in.
const CLIENT: &str = r#"
import socket
connection = socket.create_connection(("localhost", 12345))
print("connected to port 12345")
message = ""
while message != "quit":
    message = input("message? ")
    connection.sendall(message.encode() + b"\n")
print("log:")
print(connection.makefile().read(), end="")
"#;

/// Ends the test as ignored on a machine that cannot isolate programs.
fn needs_isolation() {
    needs(&["python3"]);
    let probe = Replay::of(&["fixtures/one-message", "--isolation=required", "--wire=direct"]).run();
    if probe.status.code() == Some(2) {
        harness::cannot_run(&probe.err);
    }
}

/// A fixture without goldens, and the two programs beside it, where everyone can read them.
fn place() -> Fixtures {
    needs_isolation();
    let place = Fixtures::open_to_all();
    place.write("server.py", SERVER.as_bytes()).write("client.py", CLIENT.as_bytes());
    place.write("fixtures/new/messages.txt", b"one\n\ntwo\nquit\n");
    place
}

/// A replay in `place` of its two programs.
fn replay(place: &Fixtures, arguments: &[&str]) -> Replay {
    let programs = ["--server", "python3 server.py", "--client", "python3 client.py", "--port", "12345"];
    let mut replay = Replay::of(arguments).and(&programs);
    replay.command.current_dir(place.path());
    replay
}

#[apply(test)]
fn programs_with_address_and_port_built_in_are_blessed_and_replayed_side_by_side() {
    let place = place();
    // On the direct wire, too, each of the two has an address of its own.
    replay(&place, &["--bless", "--wire", "direct"]).run().ends_with(0).says("blessed new");
    let golden = place.read("fixtures/new/server.golden");
    assert_eq!(golden, "at [SERVER_ADDRESS] port [PORT]\nfrom [CLIENT_ADDRESS]\ngot: one\ngot: \ngot: two\n");
    let wires = ["--wire", "direct,drip,lump,shuffle,every-split", "--jobs", "4"];
    let ended = replay(&place, &wires).and(&["--format", "json"]).run();
    ended.ends_with(0);
    let results: Value = serde_json::from_str(&ended.out).expect("JSON");
    assert_eq!(results["isolation"], "namespaces");
    assert!(
        results["cases"].as_array().expect("cases").iter().all(|case| case["outcome"] == "pass"),
        "{ended}"
    );
    assert!(!Path::new(place.path()).join("log.txt").exists(), "it was written to a copy");
}

#[apply(test)]
fn two_replays_of_the_same_programs_find_the_same_apart_from_times() {
    needs_isolation();
    let programs = [
        ["--server", "python3 tests/broken/server.py reordered-log {port}"],
        ["--client", "python3 tests/broken/client.py none {host} {port}"],
    ];
    let found = || {
        let arguments =
            ["fixtures/sample-session", "--wire", "direct,drip", "--isolation=required", "--jobs=1"];
        let ended = Replay::of(&arguments).and(&programs.concat()).run();
        ended.ends_with(1).says("--isolation required").says("--isolation=none runs them on this computer");
        let times = Regex::new(r"\d+\.\d+ s").expect("sound");
        times.replace_all(&ended.out, "").into_owned()
    };
    assert_eq!(found(), found());
}

#[apply(test)]
fn without_isolation_programs_find_what_their_user_does() {
    let place = place();
    // A client with its port built in goes round any proxy there.
    replay(&place, &["--bless", "--wire", "direct", "--isolation=none"]).run().ends_with(0);
    assert!(Path::new(place.path()).join("log.txt").exists(), "it was written where it was run");
    // A directory that only its owner can read: whoever the superuser starts programs as there owns nothing.
    needs(&["root"]);
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o700)).expect("changed");
    let ended = replay(&place, &["--wire", "direct"]).run();
    let why = "only its owner can read it, and programs run as a user who owns nothing";
    ended.assert().code(0).stderr(format!(
        "note: the programs run on this computer and not on two of their own: {}: {why}\n",
        place.path()
    ));
}
