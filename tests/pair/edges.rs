//! Where the pair meets the system around it: files that have owners and links to them, limits on
//! what a process may use, input that comes in halves.

use predicates::prelude::*;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::SockRef;

use crate::common::tools::copy_program;
use crate::common::{ECHOLOG, Running, Server, echolog, file_with, needs, run, screens};

fn signal(program: &Running, signal: Signal) {
    kill(Pid::from_raw(program.id().try_into().expect("process ids are small")), signal).expect("it runs");
}

#[apply(test)]
fn an_answer_may_be_longer_than_a_message() {
    let server = Server::start(&[]);
    let port = server.port;
    let client = Running::start(echolog(&["client", "--max-message", "4"]).stdin(Stdio::piped()));
    client.types(format!("127.0.0.1\n{port}\nhi\nquit\n"));
    let answers = format!("enter server address: 127.0.0.1\nenter server port: {port}\n");
    client.ends().shows(&(answers + &screens::client(&["hi"])));
    assert_eq!(server.ends().status.code(), Some(0));
}

#[apply(test)]
fn a_server_that_goes_while_half_a_line_has_come_is_noticed_at_once() {
    let server = Server::start(&[]);
    let client = Running::start(server.client(&[]).stdin(Stdio::piped()));
    // Before it has accepted the connection, its end would reset none.
    server
        .shows(&(screens::server_ready("127.0.0.1", server.port) + &screens::server_connected("127.0.0.1")));
    // More than a pipe holds: it can all be written only when some of it has been read.
    client.shows(&screens::client_sending(&[])).types("x".repeat(64 * 1024 + 1));
    drop(server);
    client.complains(
        "error: the connection to the server was lost after 0 messages: Connection reset by peer\n",
    );
    client.ends().is(
        1,
        &(screens::client_sending(&[]) + "\n"),
        "error: the connection to the server was lost after 0 messages: Connection reset by peer\n\
         hint: the log is lost; the server's screen may say why\n",
    );
}

#[apply(test)]
fn a_prompt_that_cannot_be_answered_has_its_line_to_itself() {
    let directory = fs::File::open("/").expect("it is there");
    run(Command::new(ECHOLOG).arg("server").stdin(directory)).is(
        2,
        "enter port to listen on: \n",
        "error: no answer to \"enter port to listen on\": Is a directory\n",
    );
}

// ------------------------------------------------------------------------------- limits of a process

/// `command`, allowed to write files of `kilobytes` at most.
fn limited(command: &Command, kilobytes: u32) -> Command {
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("ulimit -f {kilobytes} && exec \"$@\""), "bash"]);
    shell.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    shell
}

#[apply(test)]
fn a_screen_over_the_limit_on_files_costs_the_client_nothing_but_the_screen() {
    let server = Server::start(&[]);
    let (kept, script) = file_with("a message\n".repeat(1000));
    let saved = kept.path().join("log");
    let mut client = limited(server.client(&["--script", &script, "--save-log"]).arg(&saved), 10);
    let screen = fs::File::create(kept.path().join("screen")).expect("a file for the screen");
    let out = client.stdout(screen).stderr(Stdio::piped()).output().expect("it starts");
    assert_eq!(
        String::from_utf8_lossy(&out.stderr),
        "error: cannot write the screen: File too large\n\
         hint: the session itself went on to its end; only what was to be shown is lost\n"
    );
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(fs::read(saved).expect("it was saved"), fs::read(script).expect("it is there"));
    assert_eq!(server.ends().status.code(), Some(0));
}

#[apply(test)]
fn a_log_that_cannot_be_saved_leaves_the_one_that_was_saved_before_as_it_is() {
    let server = Server::start(&[]);
    let (kept, script) = file_with("a message\n".repeat(1000));
    let saved = kept.path().join("log");
    fs::write(&saved, "older\n").expect("it is written");
    let mut client = limited(server.client(&["--script", &script, "--save-log"]).arg(&saved), 5);
    let out = client.output().expect("it starts");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(
        errors.starts_with(&format!("error: cannot save the log in {}: File too large", saved.display())),
        "{errors}"
    );
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(fs::read_to_string(&saved).expect("it is there"), "older\n");
    assert!(kept.path().join("log.partial").exists());
}

#[apply(test)]
fn a_log_over_the_limit_on_files_is_an_error_that_says_so() {
    let bind = echolog(&["server", "10000-20000", "--bind", "127.0.0.1"]);
    let server = Server::starting(&mut limited(&bind, 1500));
    let (_kept, script) = file_with("a message\n".repeat(300_000));
    assert_eq!(run(&mut server.client(&["--script", &script])).status.code(), Some(1));
    let ended = server.ends();
    let error = format!("error: cannot keep the log in {}: File too large\n", std::env::temp_dir().display());
    assert!(ended.err.starts_with(&error), "{ended}");
    assert_eq!(ended.status.code(), Some(1));
}

// --------------------------------------------------------------------------------- where logs are saved

/// Has the log of one message saved at `path`.
#[track_caller]
fn saved_at(path: &std::path::Path) {
    let server = Server::start(&[]);
    let (_kept, script) = file_with("one\n");
    let client = run(server.client(&["--script", &script, "--save-log"]).arg(path));
    assert_eq!((client.err.as_str(), client.status.code()), ("", Some(0)), "{client}");
    assert_eq!(server.ends().status.code(), Some(0));
}

#[apply(test)]
fn a_log_saved_through_a_link_replaces_the_file_and_not_the_link() {
    let (kept, file) = file_with("an older log\n");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let link = elsewhere.path().join("link");
    symlink(&file, &link).expect("a link");
    saved_at(&link);
    assert_eq!(fs::read_link(&link).expect("it is still a link"), std::path::PathBuf::from(&file));
    assert_eq!(fs::read(file).expect("it is there"), b"one\n");
    drop(kept);
}

#[apply(test)]
fn a_log_that_is_saved_can_be_read_by_whoever_could_read_the_file_before() {
    let (_kept, file) = file_with("an older log\n");
    for mode in [0o600, 0o666] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("it is ours");
        saved_at(file.as_ref());
        assert_eq!(fs::metadata(&file).expect("it is there").mode() & 0o777, mode);
    }
}

#[apply(test)]
fn a_file_that_may_not_be_written_is_not_replaced() {
    needs(&["root", "setpriv"]);
    let (kept, file) = file_with("an older log\n");
    for (path, mode) in [(kept.path(), 0o777), (file.as_ref(), 0o444)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    }
    let copy = kept.path().join("echolog");
    copy_program(ECHOLOG, &copy);
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&copy).stdin(Stdio::null());
    run(command.args(["client", "127.0.0.1", "1", "--save-log", &file])).is(
        2,
        "",
        &format!(
            "error: cannot save the log in {file}: Permission denied\n\
             hint: give --save-log a file in a directory that exists and can be written, or - for standard output\n"
        ),
    );
}

#[apply(test)]
fn a_name_that_only_a_directory_can_have_is_refused_before_a_server_is_bothered() {
    let kept = tempfile::tempdir().expect("a directory");
    let path = format!("{}/log/", kept.path().display());
    let ended = run(&mut echolog(&["client", "127.0.0.1", "1", "--save-log", &path]));
    assert!(
        ended.err.starts_with(&format!("error: cannot save the log in {path}: is a directory\n")),
        "{ended}"
    );
    assert_eq!(ended.status.code(), Some(2), "{ended}");
}

#[apply(test)]
fn a_session_that_is_broken_off_before_its_log_leaves_no_file_behind() {
    let server = Server::start(&[]);
    let kept = tempfile::tempdir().expect("a directory");
    let mut command = server.client(&["--save-log"]);
    let client = Running::start(command.arg(kept.path().join("log")).stdin(Stdio::piped()));
    client.shows(&screens::client_sending(&[]));
    signal(&client, Signal::SIGINT);
    client.ends().was_ended_by(Signal::SIGINT);
    let left: Vec<_> = fs::read_dir(kept.path()).expect("it is there").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[apply(test)]
fn a_connection_that_is_reset_at_once_is_never_an_empty_log() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    let refusing = std::thread::spawn(move || {
        for refused in listener.incoming().take(50) {
            let socket = SockRef::from(refused.as_ref().expect("a client"));
            socket.set_linger(Some(Duration::ZERO)).expect("a socket can");
        }
    });
    for _ in 0..50 {
        let client = run(&mut echolog(&["client", "127.0.0.1", &port]));
        assert_eq!(client.status.code(), Some(1), "{client}");
        client.assert().stderr(predicate::str::contains("hint: "));
    }
    refusing.join().expect("it accepts");
}
