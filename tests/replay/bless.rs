//! Blessing: goldens are written from what was seen, keep their placeholders, and are shown.

use super::{Fixtures, Replay, Told as _};
use crate::common;

const SERVER: &str = "\
server is at address: [SERVER_ADDRESS]
server is using port: [PORT]
server connected to client at address: [CLIENT_ADDRESS]
server received message: \"hello from 127.0.0.1\"
the client has informed the server that it is quitting
";

#[apply(test)]
fn a_new_fixture_needs_only_its_messages() {
    let fixtures = Fixtures::new();
    fixtures.write("new/messages.txt", b"hello from 127.0.0.1\nquit\n");
    let ended = Replay::of(&["--bless", fixtures.path()]).run();
    ended.ends_with(0).says("blessed new").says("+server is using port: [PORT]").says("12 passed");
    assert_eq!(fixtures.read("new/server.golden"), SERVER);
    assert!(
        fixtures.read("new/client.golden").ends_with("client received message log:\nhello from 127.0.0.1\n")
    );
    Replay::of(&[fixtures.path()]).run().ends_with(0).says("12 passed");
    // And once more changes nothing.
    Replay::of(&["--bless", fixtures.path()]).run().ends_with(0).says("same new").is_silent_about("@@");
}

#[apply(test)]
fn only_what_has_changed_is_rewritten_and_shown() {
    let fixtures = Fixtures::with("one-message");
    let before = fixtures.read("one-message/server.golden");
    // A placeholder that does not stand where blessing would put it is the writer's choice.
    let changed = before.replace("hello", "hullo");
    fixtures.write("one-message/server.golden", changed.as_bytes());
    let ended = Replay::of(&["--bless", fixtures.path()]).run();
    ended
        .ends_with(0)
        .says("blessed one-message")
        .says("-server received message: \"hullo\" +server received message: \"hello\"")
        .is_silent_about("client.golden");
    assert_eq!(fixtures.read("one-message/server.golden"), before);
}

#[apply(test)]
fn sessions_that_show_different_screens_are_refused() {
    common::needs(&["python3"]);
    let fixtures = Fixtures::new();
    fixtures.write("new/messages.txt", b"hello\nquit\n");
    // A sound server, but for a first line that is different each time.
    let server = "sh -c 'date +%N; exec python3 tests/broken/server.py none {port}'";
    let ended = Replay::of(&["--bless", fixtures.path(), "--server", server]).run();
    ended.ends_with(1).says("REFUSED new: its sessions show different screens; nothing was written");
    assert!(!fixtures.dir("new").join("server.golden").exists(), "{ended}");
}

/// A server that prints its own address after that of the client.
const LATE: &str = "\
import socket, sys
listener = socket.create_server(('', int(sys.argv[1])))
client, address = listener.accept()
print('client at', address[0])
print('server at 127.0.0.1')
log = b''
for line in client.makefile('rb'):
    if line == b'quit\\n':
        break
    print('got', line.decode(), end='')
    log += line
client.sendall(log)
";

#[apply(test)]
fn an_address_that_both_programs_have_on_the_direct_wire_is_told_by_the_other_wires() {
    common::needs(&["python3"]);
    let (fixtures, programs) = (Fixtures::new(), Fixtures::new());
    fixtures.write("new/messages.txt", b"hello\nquit\n");
    programs.write("late.py", LATE.as_bytes());
    let server = format!("python3 {}/late.py {{port}}", programs.path());
    let arguments = ["--bless", fixtures.path(), "--drive", "script", "--server", &server];
    // Side by side, another session might be over first by chance.
    let ended = Replay::of(&arguments).and(&["--jobs", "1"]).run();
    ended.ends_with(0).says("4 passed").says("blessed new");
    assert_eq!(
        fixtures.read("new/server.golden"),
        "client at [CLIENT_ADDRESS]\nserver at [SERVER_ADDRESS]\ngot hello\n"
    );
}

#[apply(test)]
fn a_screen_with_a_placeholder_on_it_is_refused() {
    common::needs(&["python3"]);
    let fixtures = Fixtures::new();
    fixtures.write("new/messages.txt", b"hello\nquit\n");
    let server = "sh -c 'echo \"listening on [PORT]\"; exec python3 tests/broken/server.py none {port}'";
    let ended = Replay::of(&["--bless", fixtures.path(), "--server", server]).run();
    ended
        .ends_with(1)
        .says("REFUSED new: the server's screen has text on it that a golden takes for a placeholder");
    assert!(!fixtures.dir("new").join("server.golden").exists(), "{ended}");
}

#[apply(test)]
fn goldens_of_a_foreign_pair_hold_its_own_addresses_and_ports() {
    common::needs(&["python3"]);
    let fixtures = Fixtures::new();
    fixtures.write("new/messages.txt", b"hello\nquit\n");
    let client = "sh -c 'echo to {host} port {port}; exec python3 tests/broken/client.py none {host} {port}'";
    let arguments = [fixtures.path(), "--client", client, "--drive", "pipe,terminal"];
    Replay::of(&["--bless"]).and(&arguments).run().ends_with(0).says("blessed new");
    assert!(fixtures.read("new/client.golden").starts_with("to [SERVER_ADDRESS] port [PORT]\n"));
    Replay::of(&arguments).run().ends_with(0).says("8 passed");
}

#[apply(test)]
fn a_pair_with_other_words_that_asks_at_the_keyboard_can_be_blessed_and_replayed() {
    common::needs(&["python3"]);
    let fixtures = Fixtures::new();
    fixtures.write("new/messages.txt", b"hello\n\nquit\n");
    let programs = [
        ["--server", "python3 fixtures/submissions/sound-keyboard/server.py"],
        ["--client", "python3 fixtures/submissions/sound-keyboard/client.py"],
        ["--server-answer", "{port}"],
        ["--client-answer", "{port}"],
        ["--client-answer", "{host}"],
    ]
    .concat();
    Replay::of(&["--bless", fixtures.path()]).and(&programs).run().ends_with(0).says("4 passed");
    assert!(fixtures.read("new/server.golden").starts_with("Auf welchem Port? [PORT]\n"));
    assert!(fixtures.read("new/client.golden").starts_with("Port: [PORT]\nAdresse: [SERVER_ADDRESS]\n"));
    assert!(fixtures.read("new/client.golden").ends_with("  1. hello\n  2. \n"));
    // Said in its own words, on its screen.
    let cuts = ["--wire", "direct,cut:to-server:9:fin,cut:to-client:3:rst"];
    Replay::of(&[fixtures.path()]).and(&programs).and(&cuts).run().ends_with(0).says("3 passed");
}

#[apply(test)]
fn what_a_terminal_cannot_carry_is_blessed_from_the_other_drives() {
    let fixtures = Fixtures::new();
    fixtures.write("new/messages.txt", b"\x1b[2J\xff\nquit\n");
    let ended = Replay::of(&["--bless", fixtures.path()]).run();
    ended.ends_with(0).says("8 passed, 4 not run").says("not run: new by terminal: line 1 has bytes");
    assert!(fixtures.read("new/server.golden").contains("server received message: \"\\x1b[2J\\xff\"\n"));
    let terminal = Replay::of(&[fixtures.path(), "--drive", "terminal"]).run();
    terminal.ends_with(2).says("4 not run").says("error: nothing could be played");
}

#[apply(test)]
fn goldens_that_cannot_be_written_are_an_error() {
    common::needs(&["unshare", "mount"]);
    let fixtures = Fixtures::with("one-message");
    fixtures.write("one-message/server.golden", b"");
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\" && shift && exec \"$@\"";
    let ended = Replay::by(
        "unshare",
        &[
            "-rm",
            "sh",
            "-c",
            script,
            "sh",
            fixtures.path(),
            common::ECHOLOG,
            "replay",
            "--bless",
            fixtures.path(),
        ],
    )
    .run();
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    ended.says("error: cannot write").says("server.golden: ").says("Read-only file system");
    assert_eq!(fixtures.read("one-message/server.golden"), "");
}
