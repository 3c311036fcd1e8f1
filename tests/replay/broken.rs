//! Programs that are broken on purpose: each is caught, for the right reason, in time, and nothing of
//! it is left running.

use regex::Regex;
use std::time::Instant;

use super::{Fixtures, Replay, Told as _, client, server};
use crate::common;

const SAMPLE: &str = "fixtures/sample-session";

/// The seconds that a session may take in which something does not come: they are waited for to the end.
const TIMEOUT: &str = "4";
/// The seconds that any other may take, on a machine that is busy with other things.
const LONG_TIMEOUT: &str = "60";

/// Plays the sample session with `drive` over `wire` and these programs; besides the time that a session
/// may take, a replay takes little to clean up.
#[track_caller]
fn play(drive: &str, wire: &str, programs: &[&str], waits: bool) -> common::Ended {
    let begun = Instant::now();
    let timeout = if waits { TIMEOUT } else { LONG_TIMEOUT };
    let arguments = [SAMPLE, "--drive", drive, "--wire", wire, "--timeout", timeout];
    let ended = Replay::of(&arguments).and(programs).run();
    assert!(begun.elapsed().as_secs() < 15, "{:?}\n{ended}", begun.elapsed());
    ended
}

#[track_caller]
fn is_caught(drive: &str, wire: &str, programs: &[&str], outcome: &str, reason: &str) -> common::Ended {
    let ended = play(drive, wire, programs, outcome == "HUNG" || reason.contains(" did not show "));
    ended
        .ends_with(1)
        .says(&format!("{outcome} sample-session::{drive}::{wire}"))
        .says(reason)
        .says(&format!("{SAMPLE} --drive {drive} --wire {wire}"));
    ended
}

/// The server with `flaw` and echolog's own client.
#[track_caller]
fn server_is_caught(drive: &str, wire: &str, flaw: &str, outcome: &str, reason: &str) -> common::Ended {
    is_caught(drive, wire, &["--server", &server(flaw)], outcome, reason)
}

#[apply(test)]
fn the_same_programs_without_a_flaw_pass_everything() {
    common::needs(&["python3"]);
    let wires = "direct,drip,lump,shuffle:1,split:to-server:5,split:to-client:9";
    for [option, program] in
        [["--server".to_owned(), server("none")], ["--client".to_owned(), client("none")]]
    {
        Replay::of(&[SAMPLE, "--wire", wires]).and(&[&option, &program]).run().ends_with(0).says(" passed");
    }
}

#[apply(test)]
fn a_server_that_keeps_its_screen_back_until_the_end() {
    common::needs(&["python3"]);
    let reason = "the server did not show message 1 when it arrived, before the next was typed";
    server_is_caught("terminal", "direct", "held-back", "FAIL", reason);
    // Only the lockstep of a terminal can tell.
    play("script", "direct", &["--server", &server("held-back")], false).ends_with(0);
}

#[apply(test)]
fn a_server_that_loses_the_last_message() {
    common::needs(&["python3"]);
    server_is_caught("script", "direct", "loses-the-last", "FAIL", "it ends after 2 of 3")
        .says("-server received message: \"And this is the last one\"");
}

#[apply(test)]
fn a_server_that_sends_the_log_short() {
    common::needs(&["python3"]);
    let reason = "the log on the client's screen is not the messages that were sent: it ends after 2 of 3";
    server_is_caught("pipe", "direct", "short-log", "FAIL", reason)
        .is_silent_about("the server's screen is not its golden");
}

#[apply(test)]
fn a_server_that_reorders_the_log() {
    common::needs(&["python3"]);
    let reason = "message 1 was \"This is my first message\", the log has \"This is my second message\"";
    server_is_caught("pipe", "direct", "reordered-log", "FAIL", reason);
}

#[apply(test)]
fn a_server_that_takes_one_read_for_one_message() {
    common::needs(&["python3"]);
    // What it takes for one message is three and the quit, so it goes on waiting.
    server_is_caught("script", "lump", "one-read-one-message", "HUNG", "the server did not end in time")
        .says("+server received message: \"This is my first message\n+This is my second message");
    server_is_caught(
        "terminal",
        "split:to-server:4",
        "one-read-one-message",
        "FAIL",
        "the server did not show message 1",
    )
    .says("+server received message: \"This\"");
    // When every message comes alone, it is right by luck.
    play("terminal", "direct", &["--server", &server("one-read-one-message")], false).ends_with(0);
}

#[apply(test)]
fn a_program_that_ends_with_exit_code_1() {
    common::needs(&["python3"]);
    server_is_caught("pipe", "drip", "exit-1", "FAIL", "the server ended with exit code 1, where 0 is due")
        .is_silent_about("golden");
    let programs = ["--client", &client("exit-1")];
    is_caught("pipe", "direct", &programs, "FAIL", "the client ended with exit code 1, where 0 is due");
}

#[apply(test)]
fn a_client_that_prints_the_log_without_reading_it() {
    common::needs(&["python3"]);
    let programs = ["--client", &client("own-log")];
    let read = "left unread what the server had sent: what it shows is not the server's log";
    is_caught("pipe", "drip", &programs, "FAIL", read);
    is_caught("terminal", "lump", &programs, "FAIL", read);
}

#[apply(test)]
fn a_client_that_takes_any_log_for_the_whole() {
    common::needs(&["python3"]);
    let whole = "the client ended with exit code 0, as if the log had been whole";
    is_caught("pipe", "cut:to-client:9:fin", &["--client", &client("none")], "FAIL", whole);
}

#[apply(test)]
fn a_program_that_says_nothing_of_a_cut() {
    common::needs(&["python3"]);
    let silent = "the client failed without saying so";
    is_caught("pipe", "cut:to-client:9:rst", &["--client", &client("silent")], "FAIL", silent);
    play("pipe", "cut:to-client:9:rst", &["--client", &client("none")], false).ends_with(0);
}

#[apply(test)]
fn a_server_that_takes_the_end_of_the_connection_for_quit() {
    common::needs(&["python3"]);
    let reason = "the server ended with exit code 0, as if the session had been whole, but the client's quit";
    server_is_caught("pipe", "cut:to-server:30:fin", "takes-an-end-for-quit", "FAIL", reason)
        .says("-server received message: \"And this is the last one\"");
}

#[apply(test)]
fn a_server_that_shows_half_a_message() {
    common::needs(&["python3"]);
    let reason = "what the server showed until the cut is not how its golden begins:";
    server_is_caught("pipe", "cut:to-server:30:fin", "shows-half-a-message", "FAIL", reason)
        .says("+server received message: \"This \"");
    play("pipe", "cut:to-server:30:fin", &["--server", &server("none")], false).ends_with(0);
}

#[apply(test)]
fn a_server_that_dies_at_start() {
    common::needs(&["python3"]);
    server_is_caught("pipe", "direct", "dies-at-start", "CRASHED", "the server ended before it listened")
        .says("server: ended with exit code 1 after")
        .says("stderr: error: nothing works today")
        .says("client: not started");
}

#[apply(test)]
fn a_server_that_never_listens() {
    common::needs(&["python3"]);
    let reason = "the server ran, but never listened on its port";
    server_is_caught("pipe", "direct", "never-listens", "HUNG", reason).says("client: not started");
}

#[apply(test)]
fn a_program_that_crashes() {
    common::needs(&["python3"]);
    server_is_caught("pipe", "direct", "crashes", "CRASHED", "the server was ended by SIGSEGV");
}

#[apply(test)]
fn a_program_that_never_ends() {
    common::needs(&["python3"]);
    let ended = server_is_caught("pipe", "direct", "never-ends", "HUNG", "the server did not end in time");
    ended.says("server: did not end; ended by SIGTERM after").is_silent_about("golden");
    // The session has four seconds; the server's own time begins when it has its computer.
    let time = Regex::new(r"ended by SIGTERM after (3\.9\d|4\.\d+) s").expect("sound");
    assert!(time.is_match(&ended.out), "{ended}");
    let programs = ["--client", &client("never-ends")];
    is_caught("pipe", "direct", &programs, "HUNG", "the client did not end in time");
}

#[apply(waiting_test)]
fn a_program_that_ignores_sigterm_and_sighup() {
    common::needs(&["python3"]);
    server_is_caught("pipe", "direct", "ignores-signals", "HUNG", "the server did not end in time")
        .says("ignored SIGTERM and SIGHUP; killed after");
    let programs = ["--client", &client("ignores-signals")];
    is_caught("terminal", "direct", &programs, "HUNG", "the client did not end in time")
        .says("ignored SIGTERM and SIGHUP; killed after");
}

#[apply(test)]
fn a_program_that_floods_its_screen() {
    common::needs(&["python3"]);
    server_is_caught("pipe", "direct", "floods", "FLOODED", "the server showed more than it may")
        .is_silent_about("golden");
}

#[apply(test)]
fn a_program_that_leaves_a_grandchild_in_a_session_of_its_own() {
    common::needs(&["python3"]);
    let reason = "the server left a process running, which has been killed:";
    server_is_caught("pipe", "direct", "leaves-a-grandchild", "FAIL", reason)
        .says("sleep 987")
        .is_silent_about("golden");
}

#[apply(waiting_test)]
fn blessing_any_of_them_is_refused_and_changes_nothing() {
    common::needs(&["python3"]);
    let flaws = [
        ("--server", server("held-back")),
        ("--server", server("loses-the-last")),
        ("--server", server("short-log")),
        ("--server", server("reordered-log")),
        ("--server", server("one-read-one-message")),
        ("--server", server("exit-1")),
        ("--client", client("own-log")),
        ("--server", server("dies-at-start")),
        ("--server", server("never-listens")),
        ("--server", server("never-ends")),
        ("--server", server("floods")),
        ("--server", server("leaves-a-grandchild")),
    ];
    for (option, program) in flaws {
        let fixtures = Fixtures::with("sample-session");
        let files = ["sample-session/server.golden", "sample-session/client.golden"];
        fixtures.write(files[0], b"server is using port: [PORT]\n");
        let before = files.map(|file| fixtures.read(file));
        let arguments =
            ["--bless", fixtures.path(), "--wire", "direct,lump", "--timeout", TIMEOUT, "--jobs", "6"];
        let ended = Replay::of(&arguments).and(&[option, &program]).run();
        ended
            .ends_with(1)
            .says("REFUSED sample-session: not sound, as told above: ")
            .says("nothing was written");
        assert_eq!(files.map(|file| fixtures.read(file)), before, "{program}\n{ended}");
    }
}
