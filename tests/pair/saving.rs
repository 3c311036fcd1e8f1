//! `--save-log`: where a log is saved, and what is left when it does not arrive.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::errors::client_of_ours;
use crate::common::{ECHOLOG, Server, file_with, needs, run, screens};

/// Runs a client whose log is "one" and "two" in a shell, with `rest` behind its arguments.
#[track_caller]
fn shell(rest: &str, directory: &Path) -> crate::common::Ended {
    let server = Server::start(&[]);
    let (_kept, script) = file_with("one\n\x1b[2J\nquit\n");
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("\"$@\" {rest}"), "bash", ECHOLOG, "client", "127.0.0.1"]);
    shell.args([&server.port.to_string(), "--script", &script]);
    let ended = run(shell.current_dir(directory).stdin(Stdio::null()));
    assert_eq!(server.ends().status.code(), Some(0));
    ended
}

/// The client's screen up to the log.
fn screen() -> String {
    let log = screens::client(&["one", "\\x1b[2J"]);
    log.strip_suffix("one\n\\x1b[2J\n").expect("it ends with the log").to_owned()
}

#[apply(test)]
fn a_log_saved_to_standard_output_stands_behind_the_screen_byte_for_byte() {
    for name in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "file"] {
        let directory = tempfile::tempdir().expect("a directory");
        let ended = shell(&format!("--save-log {name} > file"), directory.path());
        assert_eq!((ended.err.as_str(), ended.status.code()), ("", Some(0)), "{name}");
        let written = fs::read_to_string(directory.path().join("file")).expect("it is there");
        assert_eq!(written, screen() + "one\n\x1b[2J\n", "{name}");
        assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 1, "{name}");
    }
}

#[apply(test)]
fn a_log_saved_to_standard_error_is_appended_to_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let ended = shell("--save-log /dev/stderr 2> file", directory.path());
    assert_eq!(ended.out, screens::client(&["one", "\\x1b[2J"]));
    assert_eq!(fs::read_to_string(directory.path().join("file")).expect("it is there"), "one\n\x1b[2J\n");
}

#[apply(test)]
fn a_special_file_is_written_to_and_not_replaced() {
    let directory = tempfile::tempdir().expect("a directory");
    nix::unistd::mkfifo(&directory.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let ended = shell("--save-log pipe > /dev/null & cat pipe; wait $!", directory.path());
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("one\n\x1b[2J\n", ""));
    assert_eq!(shell("--save-log /dev/null", directory.path()).status.code(), Some(0));
    let null = fs::metadata("/dev/null").expect("it is there");
    assert!(!null.is_file(), "/dev/null is still a device");
}

#[apply(test)]
fn a_link_to_nothing_is_followed() {
    let directory = tempfile::tempdir().expect("a directory");
    symlink("log", directory.path().join("link")).expect("a link");
    assert_eq!(shell("--save-log link", directory.path()).status.code(), Some(0));
    assert!(fs::symlink_metadata(directory.path().join("link")).expect("it is there").is_symlink());
    assert_eq!(fs::read(directory.path().join("log")).expect("it is there"), b"one\n\x1b[2J\n");
}

#[apply(test)]
fn a_signal_while_the_log_arrives_leaves_what_came_as_a_partial_file() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        let directory = tempfile::tempdir().expect("a directory");
        let log = directory.path().join("log");
        let message = format!("{}\n", "m".repeat((1 << 20) - 1));
        let (_kept, script) = file_with(&message);
        let path = log.to_str().expect("it is plain");
        let (mut server, client) = client_of_ours(&["--script", &script, "--save-log", path], Stdio::null());
        server.read_exact(&mut vec![0; message.len() + 5]).expect("message and quit come");
        server.write_all(&message.as_bytes()[..message.len() / 2]).expect("the client reads");
        // What is in the client's buffer is not in the file yet.
        let partial = directory.path().join("log.partial");
        while fs::metadata(&partial).map_or(0, |file| file.len()) < 100_000 {
            std::thread::yield_now();
        }
        kill(Pid::from_raw(client.id().cast_signed()), signal).expect("it runs");
        client.ends().was_ended_by(signal);
        let left: Vec<_> = fs::read_dir(directory.path())
            .expect("it is there")
            .map(|entry| entry.expect("it can be read").file_name())
            .collect();
        assert_eq!(left, ["log.partial"]);
        assert!(message.as_bytes().starts_with(&fs::read(partial).expect("it is there")));
    }
}

#[apply(test)]
fn a_partial_file_that_cannot_be_written_is_told_beside_the_error() {
    needs(&["mount", "root", "unshare"]);
    let directory = tempfile::tempdir().expect("a directory");
    let message = format!("{}\n", "m".repeat((1 << 20) - 1));
    let (_kept, script) = file_with(&message);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "sh",
        "-c",
        "mount -t tmpfs -o size=100k none \"$PWD\" && cd \"$PWD\" && exec \"$@\"",
        "sh",
        ECHOLOG,
    ]);
    command.args(["client", "127.0.0.1", &port, "--script", &script, "--save-log", "log"]);
    let client = crate::common::Running::start(command.current_dir(directory.path()).stdin(Stdio::null()));
    let (mut server, _) = listener.accept().expect("the client comes");
    server.read_exact(&mut vec![0; message.len() + 5]).expect("message and quit come");
    server.write_all(&message.as_bytes()[..message.len() / 2]).expect("the client reads");
    drop(server);
    let ended = client.ends();
    assert!(
        ended.err.contains("error: cannot save the log in log: No space left on device\n"),
        "{}",
        ended.err
    );
    assert!(ended.err.contains("error: the log that came back is short: "), "{}", ended.err);
    assert_eq!(ended.status.code(), Some(1));
}

#[apply(test)]
fn a_file_keeps_its_owner_group_and_permissions() {
    needs(&["root"]);
    let (kept, file) = file_with("an older log\n");
    std::os::unix::fs::chown(&file, Some(65534), Some(12345)).expect("the superuser may");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("it is ours");
    assert_eq!(shell(&format!("--save-log {file}"), kept.path()).status.code(), Some(0));
    let now = fs::metadata(&file).expect("it is there");
    assert_eq!((now.uid(), now.gid(), now.mode() & 0o7777), (65534, 12345, 0o640));
    assert_eq!(fs::read(&file).expect("it is there"), b"one\n\x1b[2J\n");
}

#[apply(test)]
fn a_log_is_on_the_disk_before_it_has_its_name() {
    needs(&["strace"]);
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(&[]);
    let (_kept, script) = file_with("one\nquit\n");
    let trace = directory.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-o"]).arg(&trace).args(["-e", "trace=fsync,rename", ECHOLOG, "client", "127.0.0.1"]);
    command.args([&server.port.to_string(), "--script", &script, "--save-log"]);
    run(command.arg(directory.path().join("log")).stdin(Stdio::null()));
    let trace = fs::read_to_string(trace).expect("it was written");
    let calls: Vec<&str> =
        trace.lines().filter_map(|line| line.split_whitespace().nth(1)?.split('(').next()).collect();
    assert_eq!(calls[..3], ["fsync", "rename", "fsync"], "{trace}");
}
