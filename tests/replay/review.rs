//! Reviewing goldens at a terminal before they are written, and grouping the sessions that fail alike.

use predicates::prelude::*;

use super::{Fixtures, Replay, Told as _};
use crate::common::{self, Terminal};

const FILES: [&str; 2] = ["one-message/server.golden", "one-message/client.golden"];

/// A fixture of which both goldens are wrong, and its goldens as they were and as they are.
fn wrong() -> (Fixtures, [String; 2], [String; 2]) {
    let fixtures = Fixtures::with("one-message");
    let right = FILES.map(|file| fixtures.read(file));
    let wrong = right.clone().map(|golden| golden.replace("hello", "hullo"));
    for (file, golden) in FILES.iter().zip(&wrong) {
        fixtures.write(file, golden.as_bytes());
    }
    assert_ne!(right, wrong);
    (fixtures, right, wrong)
}

fn bless(fixtures: &Fixtures, options: &[&str]) -> Terminal {
    let arguments = ["replay", "--bless", fixtures.path(), "--drive", "script", "--wire", "direct"];
    Terminal::start(&[&arguments, options].concat())
}

fn exit_code(terminal: Terminal) -> (String, i32) {
    let (screen, status) = terminal.ends();
    let rexpect::process::WaitStatus::Exited(_, code) = status else { panic!("{status:?}: {screen}") };
    (screen, code)
}

#[apply(test)]
fn each_golden_is_shown_and_written_if_it_is_accepted() {
    let (fixtures, right, wrong) = wrong();
    let mut terminal = bless(&fixtures, &[]);
    terminal.shows("golden 1 of 2:").shows("-server received message: \"hullo\"").shows("q: skip it and all");
    terminal.types("what?").shows("q: skip it and all").types("s");
    terminal.shows("golden 2 of 2:").shows("+client sending message: \"hello\"").shows("? ").types("a");
    terminal.shows("accepted ");
    let (screen, code) = exit_code(terminal);
    assert_eq!(code, 1, "one is still wrong\n{screen}");
    assert_eq!(FILES.map(|file| fixtures.read(file)), [wrong[0].clone(), right[1].clone()]);
}

#[apply(test)]
fn a_review_in_which_everything_is_accepted_succeeds() {
    let (fixtures, right, _) = wrong();
    let mut terminal = bless(&fixtures, &[]);
    terminal
        .shows("golden 1 of 2:")
        .shows("? ")
        .types("accept")
        .shows("golden 2 of 2:")
        .shows("? ")
        .types("a");
    assert_eq!(exit_code(terminal).1, 0);
    assert_eq!(FILES.map(|file| fixtures.read(file)), right);
}

#[apply(test)]
fn nothing_more_is_written_once_the_review_is_left() {
    let (fixtures, _, wrong) = wrong();
    let mut quit = bless(&fixtures, &[]);
    quit.shows("golden 1 of 2:").shows("? ").types("q");
    assert_eq!(exit_code(quit).1, 1);
    let mut stopped = bless(&fixtures, &[]);
    stopped
        .shows("golden 1 of 2:")
        .shows("? ")
        .presses_ctrl('c')
        .shows("stopped before the end of the review");
    assert_eq!(exit_code(stopped).1, 1);
    assert_eq!(FILES.map(|file| fixtures.read(file)), wrong);
}

#[apply(test)]
fn yes_accepts_all_goldens_without_a_question() {
    let (fixtures, right, _) = wrong();
    let (screen, code) = exit_code(bless(&fixtures, &["--yes"]));
    assert!(predicate::str::contains("blessed one-message").eval(&screen), "{screen}");
    assert!(predicate::str::contains("skip").not().eval(&screen), "{screen}");
    assert_eq!((code, FILES.map(|file| fixtures.read(file))), (0, right));
}

#[apply(test)]
fn a_server_that_prints_no_message_is_not_blessed() {
    common::needs(&["python3"]);
    let fixtures = Fixtures::new();
    fixtures.write("new/messages.txt", b"hello\n\nquit\n");
    let server = "sh -c 'python3 -u tests/broken/server.py none {port} | grep --line-buffered -v received'";
    let arguments = ["--bless", fixtures.path(), "--server", server, "--drive", "script"];
    let ended = Replay::of(&arguments).run();
    ended
        .ends_with(1)
        .says("REFUSED new: the server's screen shows none of the messages; nothing was written");
    assert!(!fixtures.dir("new").join("server.golden").exists(), "{ended}");
}

#[apply(test)]
fn sessions_that_fail_alike_are_grouped_and_the_command_that_accepts_them_is_given() {
    let (fixtures, right, _) = wrong();
    let ended = Replay::of(&[fixtures.path(), "--wire", "direct,drip", "--jobs", "1"]).run();
    ended
        .ends_with(1)
        .says("FAIL one-message::script::direct the server's screen is not its golden:")
        .says("FAIL one-message::terminal::drip as script::direct")
        .says(&format!("replay --bless --wire 'direct,drip' {}/one-message", fixtures.path()));
    assert_eq!(ended.out.matches("--- ").count(), 2, "one diff for each golden\n{ended}");
    // The command does what it says.
    let line =
        ended.out.lines().find_map(|line| line.strip_prefix("if the new output is right, accept it: "));
    let command = line.expect("it is there").split_once(" replay ").expect("a replay").1;
    Replay::of(&command.split(' ').map(|word| word.trim_matches('\'')).collect::<Vec<_>>())
        .run()
        .ends_with(0);
    assert_eq!(FILES.map(|file| fixtures.read(file)), right);
}

#[apply(waiting_test)]
fn a_failure_that_no_golden_can_mend_is_not_offered_for_acceptance() {
    common::needs(&["python3"]);
    let fixtures = Fixtures::with("one-message");
    let server = "python3 tests/broken/server.py loses-the-last {port}";
    let ended = Replay::of(&[fixtures.path(), "--server", server, "--wire", "direct"]).run();
    ended.ends_with(1).is_silent_about("accept it");
}

#[apply(test)]
fn lines_that_look_alike_are_shown_with_their_difference() {
    let fixtures = Fixtures::with("one-message");
    let golden = fixtures.read(FILES[0]);
    fixtures.write(FILES[0], golden.replace("hello", "hel\u{200b}lo").as_bytes());
    let arguments = [fixtures.path(), "--drive", "script", "--wire", "direct"];
    Replay::of(&arguments).run().ends_with(1).says("hel\\u{200b}lo").says("these lines look alike");
    fixtures.write(FILES[0], golden.replace('\n', "\r\n").as_bytes());
    Replay::of(&arguments)
        .run()
        .ends_with(1)
        .says("every line of the golden ends in CRLF")
        .says(".gitattributes");
}
