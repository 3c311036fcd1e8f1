//! Bad input: each has a clear error, and exit code 2.

use std::fs;

use super::{Fixtures, Replay, Told as _};
use crate::common;

#[track_caller]
fn fails(arguments: &[&str], error: &str) {
    let ended = Replay::of(arguments).run();
    ended.ends_with(2).says(error);
    assert_eq!(ended.out, "", "{ended}");
    assert!(ended.err.starts_with("error: "), "{ended}");
}

#[apply(test)]
fn a_place_without_fixtures_is_an_error_and_never_a_success() {
    let empty = Fixtures::new();
    fails(&[empty.path()], &format!("error: no fixture found in {}", empty.path()));
    fails(&["src"], "error: no fixture found in src");
    fails(&["no/such/place"], "error: cannot read no/such/place: No such file or directory");
    fails(&["Cargo.toml"], "error: not a directory: Cargo.toml");
}

#[apply(test)]
fn submissions_to_check_are_no_fixtures_and_do_not_stand_in_the_way_of_fixtures() {
    let fixtures = Fixtures::with("one-message");
    fixtures.write("submissions/sound/echolog.toml", b"");
    Replay::of(&[fixtures.path(), "--drive", "script", "--wire", "direct"])
        .run()
        .ends_with(0)
        .says("1 passed");
    let submissions = format!("{}/submissions", fixtures.path());
    fails(&[&submissions], "error: no fixture found in");
    fails(&[&submissions], "`echolog check");
}

#[apply(test)]
fn a_directory_among_fixtures_with_none_of_their_files_is_an_error() {
    let fixtures = Fixtures::with("one-message");
    fixtures.write("mistyped/mesages.txt", b"hello\n");
    fails(&[fixtures.path()], "error: not a fixture: ");
}

#[apply(test)]
fn half_a_fixture_is_an_error_that_names_what_is_missing() {
    for (file, error) in [
        ("messages.txt", "one-message has no messages.txt"),
        ("server.golden", "one-message has no server.golden"),
        ("client.golden", "one-message has no client.golden"),
    ] {
        let fixtures = Fixtures::with("one-message");
        fs::remove_file(fixtures.dir("one-message").join(file)).expect("it is there");
        fails(&[fixtures.path()], "error: half a fixture: ");
        fails(&[fixtures.path()], error);
    }
    let fixtures = Fixtures::new();
    fixtures.write("new/messages.txt", b"quit\n");
    fails(&[fixtures.path()], "new has no server.golden and no client.golden");
    fails(&[fixtures.path()], "`echolog replay --bless ");
}

#[apply(test)]
fn a_file_that_cannot_be_read_is_an_error() {
    let fixtures = Fixtures::with("one-message");
    let golden = fixtures.dir("one-message").join("server.golden");
    fs::remove_file(&golden).expect("it is there");
    fs::create_dir(&golden).expect("it can be made");
    fails(&[fixtures.path()], "server.golden: Is a directory");
}

#[apply(test)]
fn an_unknown_placeholder_is_an_error_that_names_its_line() {
    let fixtures = Fixtures::with("one-message");
    let golden = fixtures.read("one-message/server.golden").replace("[PORT]", "[SERVER_PORT]");
    fixtures.write("one-message/server.golden", golden.as_bytes());
    fails(&[fixtures.path()], "server.golden: line 2: unknown placeholder [SERVER_PORT]");
    fails(&["fixtures/one-message", "--server", "x {prot}"], "error: --server: unknown placeholder {prot}");
    fails(
        &["fixtures/one-message", "--client-answer", "{prot}"],
        "--client-answer: unknown placeholder {prot}",
    );
}

#[apply(test)]
fn a_command_that_cannot_be_run_is_an_error() {
    let one = "fixtures/one-message";
    let direct = ["--wire", "direct"];
    fails(&[&[one, "--server", "no-such-program {port}"], &direct[..]].concat(), "no-such-program");
    fails(
        &[&[one, "--client", "./no/such/program {host} {port}"], &direct[..]].concat(),
        "/no/such/program: No such file or directory",
    );
    fails(
        &[&[one, "--server", "./Cargo.toml {port}"], &direct[..]].concat(),
        "/Cargo.toml: it has no permission to be executed",
    );
    fails(&[&[one, "--server", "fixtures {port}"], &direct[..]].concat(), "fixtures");
    fails(&[one, "--server", ""], "error: --server: the command is empty");
    fails(&[one, "--client", "'x"], "error: --client: a quote is left open");
}

#[apply(test)]
fn what_is_no_drive_no_wire_no_part_and_no_number_is_an_error() {
    let one = "fixtures/one-message";
    fails(&[one, "--drive", "telepathy"], "error: --drive: not a drive: telepathy");
    fails(&[one, "--wire", "barbed"], "error: --wire: not a wire: barbed");
    fails(&[one, "--wire", "shuffle:x"], "error: --wire: not a wire: shuffle:x");
    fails(&[one, "--wire", "cut:to-server:1"], "not a wire");
    for shard in ["0/3", "4/3", "1/0", "1", "a/b", "-1/2", ""] {
        fails(&[one, &format!("--shard={shard}")], "a part and how many there are is needed");
    }
    fails(&[one, "--jobs", "0"], "a number from 1 to 1024 is needed");
    fails(&[one, "--timeout=-1"], "a number of seconds");
    fails(&[one, "--timeout", "0"], "some time is needed");
    fails(&[one, "--format", "yaml"], "invalid value 'yaml'");
    fails(&[one, "--output", "no/such/place"], "error: cannot write the report no/such/place");
    fails(&["--bless", "--wire", "every-cut", one], "error: a session that is cut cannot be blessed");
    fails(&["--list", "--format", "tap", one], "error: a list is for people or JSON");
}

#[apply(test)]
fn where_no_port_is_free_nothing_can_be_played() {
    common::needs(&["python3", "unshare"]);
    // In a network of its own, where taking every port is nobody else's loss.
    let take_all = "import os, resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (12000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
taken = [socket.socket() for _ in range(10001)]
for port, one in zip(range(10000, 20001), taken):
    one.bind(('', port))
    one.listen(1)
    one.set_inheritable(True)
os.execv(sys.argv[1], sys.argv[1:])";
    let ended = Replay::by(
        "unshare",
        &[
            "-rn",
            "python3",
            "-c",
            take_all,
            common::ECHOLOG,
            "replay",
            "fixtures/one-message",
            "--wire",
            "direct",
        ],
    )
    .run();
    ended.ends_with(2).says("error: no port from 10000 to 20000 is free");
}
