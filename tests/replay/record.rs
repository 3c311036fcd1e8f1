//! Recording a fixture: what is typed becomes one, and the terminal is left as it was.

use std::process::{Command, Stdio};

use super::{Fixtures, Replay, Told as _};
use crate::common::{self, Running, Terminal};

/// `echolog record` at a terminal, in a shell that shows the terminal's settings before and after.
fn recording(fixture: &str) -> Terminal {
    let mut shell = Command::new("sh");
    shell.args(["-c", "stty -g; \"$0\" record \"$1\"; echo exit code $?; stty -g", common::ECHOLOG, fixture]);
    shell.env("TERM", "xterm").env("NO_COLOR", "1");
    Terminal::starting(&shell)
}

#[track_caller]
fn left_as_it_was(shown: &str) {
    // Only stty writes such lines.
    let settings: Vec<&str> =
        shown.lines().map(str::trim).filter(|line| line.split(':').count() > 20).collect();
    assert!(settings.len() == 2 && settings[0] == settings[1], "{shown}");
}

#[apply(test)]
fn what_is_typed_becomes_a_fixture_that_is_replayed_at_once() {
    let fixtures = Fixtures::new();
    let dir = format!("{}/mine", fixtures.path());
    let mut terminal = recording(&dir);
    for line in ["first", "", "größer", "quit"] {
        terminal.shows("enter a message to send to server: ").types(line);
    }
    let (shown, _) = terminal.ends();
    assert!(shown.contains("blessed mine") && shown.contains("exit code 0"), "{shown}");
    left_as_it_was(&shown);
    assert_eq!(fixtures.read("mine/messages.txt"), "first\n\ngrößer\nquit\n");
    assert!(fixtures.read("mine/server.golden").starts_with(
        "server is at address: [SERVER_ADDRESS]\nserver is using port: [PORT]\n\
         server connected to client at address: [CLIENT_ADDRESS]\nserver received message: \"first\"\n"
    ));
    Replay::of(&[fixtures.path()]).run().ends_with(0).says("12 passed");
}

#[apply(test)]
fn ctrl_c_records_nothing_and_leaves_the_terminal_as_it_was() {
    let fixtures = Fixtures::new();
    let dir = format!("{}/mine", fixtures.path());
    let mut terminal = recording(&dir);
    terminal.shows("enter a message to send to server: ").types("first");
    terminal.shows("enter a message to send to server: ").presses_ctrl('c');
    let (shown, _) = terminal.ends();
    assert!(
        shown.contains("error: stopped; nothing was recorded") && shown.contains("exit code 1"),
        "{shown}"
    );
    // The client reports its own end, and the recording its.
    assert!(shown.contains("error: interrupted after 1 message"), "{shown}");
    assert_eq!(shown.matches("error: stopped").count(), 1, "{shown}");
    left_as_it_was(&shown);
    assert!(!fixtures.dir("").join("mine").exists(), "{shown}");
}

#[apply(test)]
fn ctrl_c_at_a_plain_prompt_ends_the_client_too() {
    let fixtures = Fixtures::new();
    let dir = format!("{}/mine", fixtures.path());
    let mut shell = Command::new(common::ECHOLOG);
    shell.args(["record", &dir]).env("TERM", "dumb");
    let mut terminal = Terminal::starting(&shell);
    terminal.shows("enter a message to send to server: ").presses_ctrl('c');
    let (shown, _) = terminal.ends();
    assert!(shown.contains("error: stopped; nothing was recorded"), "{shown}");
}

#[apply(test)]
fn a_session_that_is_piped_in_is_recorded_too() {
    let fixtures = Fixtures::new();
    let dir = format!("{}/mine", fixtures.path());
    let run = |arguments: &[&str], typed: &str| {
        let mut command = Command::new(common::ECHOLOG);
        command.arg("record").args(arguments).stdin(Stdio::piped());
        let running = Running::start(&mut command);
        running.types(typed);
        running.ends()
    };
    let ended = run(&[&dir], "\x1b[2J\nlast");
    assert_eq!(ended.status.code(), Some(0), "{ended}");
    ended.says("blessed mine").says("recording ");
    assert_eq!(fixtures.read("mine/messages.txt"), "\x1b[2J\nlast\nquit\n");

    // What is there is not overwritten by accident.
    let refused = run(&[&dir], "");
    refused.ends_with(2).says("mine/messages.txt is there already").says("--force");
    let forced = run(&[&dir, "--force"], "other\n");
    assert_eq!(forced.status.code(), Some(0), "{forced}");
    assert_eq!(fixtures.read("mine/messages.txt"), "other\nquit\n");
    assert!(fixtures.read("mine/client.golden").ends_with("client received message log:\nother\n"));
}

#[apply(test)]
fn a_place_that_is_no_directory_is_an_error() {
    let mut command = Command::new(common::ECHOLOG);
    let ended = common::run(command.args(["record", "Cargo.toml"]).stdin(Stdio::null()));
    ended.ends_with(2).says("error: not a directory: Cargo.toml");
}
