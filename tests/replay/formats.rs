//! Reports: for people, and for programs as those programs themselves read them.

use predicates::prelude::*;
use std::fs;
use std::process::Command;

use serde_json::Value;

use super::{Fixtures, Replay, Told as _};
use crate::common::{self, Terminal};

/// Three fixtures: one that passes, one with a golden that is not so, and one with text that a format
/// could stumble over, part of which a terminal cannot carry.
fn mixed() -> Fixtures {
    let fixtures = Fixtures::with("one-message");
    for name in ["quotes-and-backslashes", "control-characters"] {
        for file in ["messages.txt", "server.golden", "client.golden"] {
            let content = fs::read(super::own(name).join(file)).expect("it is there");
            fixtures.write(&format!("{name}/{file}"), &content);
        }
    }
    let golden = fixtures.read("quotes-and-backslashes/client.golden").replace("&amp;", "&lt;");
    fixtures.write("quotes-and-backslashes/client.golden", golden.as_bytes());
    fixtures
}

const DIRECT: [&str; 2] = ["--wire", "direct"];

#[apply(test)]
fn a_log_gets_a_line_for_each_case_and_no_colour() {
    let fixtures = mixed();
    let ended = Replay::of(&[fixtures.path()]).and(&DIRECT).run();
    ended
        .ends_with(1)
        .says("pass one-message::script::direct (")
        .says("FAIL quotes-and-backslashes::pipe::direct")
        .says("quotes-and-backslashes/client.golden +++ what was seen @@")
        .says("not run control-characters::terminal::direct: line 1 has bytes")
        .says("9 cases: 5 passed, 3 failed, 1 not run (8 sessions in ")
        .is_silent_about("\x1b");
}

#[apply(test)]
fn a_report_for_people_fits_in_80_columns() {
    let fixtures = mixed();
    for arguments in [
        &[][..],
        &[
            "--server",
            "sh -c 'echo error: this is quite a long line about what went wrong, longer than a terminal is wide >&2; exit 3'",
        ],
    ] {
        let ended = Replay::of(&[fixtures.path()]).and(&DIRECT).and(arguments).run();
        ended.ends_with(1);
        // Commands are there to be copied, and diffs are as long as the screens are.
        let free = [
            "  again: ",
            "if the new output is right, accept it: ",
            "    ---",
            "    +++",
            "    -",
            "    +",
            "not run",
        ];
        for line in ended.out.lines().filter(|line| !free.iter().any(|start| line.starts_with(start))) {
            assert!(line.chars().count() <= 80, "{line}\n{ended}");
        }
    }
}

#[apply(test)]
fn the_command_that_repeats_a_session_can_be_pasted() {
    common::needs(&["python3"]);
    let fixtures = Fixtures::with("one-message");
    let named = "it's mine";
    fs::rename(fixtures.dir("one-message"), fixtures.dir("x").with_file_name(named))
        .expect("it can be renamed");
    fs::remove_dir(fixtures.dir("x")).expect("it is empty");
    let server = "python3 tests/broken/server.py exit-1 {port}";
    let arguments =
        [fixtures.path(), "--server", server, "--drive", "pipe", "--wire", "shuffle:7", "--timeout", "5"];
    let ended = Replay::of(&arguments).run();
    ended.ends_with(1);
    let again = ended.out.lines().find_map(|line| line.strip_prefix("  again: ")).expect("it says so");
    let pasted = common::run(Command::new("sh").args(["-c", again]));
    pasted
        .ends_with(1)
        .says("FAIL it's mine::pipe::shuffle:7")
        .says("the server ended with exit code 1, where 0 is due")
        .says(again)
        .says("1 case: 0 passed, 1 failed (1 session in");
}

#[apply(test)]
fn json_says_everything_that_people_are_told() {
    let fixtures = mixed();
    let ended = Replay::of(&[fixtures.path(), "--format", "json"]).and(&DIRECT).run();
    ended.ends_with(1);
    let document: Value = serde_json::from_str(&ended.out).expect("it is JSON");
    let summary = &document["summary"];
    assert_eq!(
        ["cases", "passed", "failed", "not_run", "stopped", "sessions"].map(|key| summary[key].as_u64()),
        [9, 5, 3, 1, 0, 8].map(Some)
    );
    let cases = document["cases"].as_array().expect("a list");
    let case = |fixture: &str, drive: &str| {
        cases.iter().find(|case| case["fixture"] == fixture && case["drive"] == drive).expect("it is there")
    };
    let failed = case("quotes-and-backslashes", "pipe");
    assert_eq!((&failed["outcome"], &failed["wire"]), (&Value::from("fail"), &Value::from("direct")));
    let failure = &failed["failures"][0];
    assert!(failure["again"].as_str().expect("a command").contains("--drive pipe --wire direct"));
    assert_eq!(failure["flaws"][0]["what"], "the client's screen is not its golden:");
    let diff = failure["flaws"][0]["diff"]["lines"].as_array().expect("lines");
    let old = serde_json::json!({ "kind": "old", "text": "<b>&lt;</b> ]]> <!--" });
    assert!(diff.contains(&old), "{diff:?}");
    assert_eq!(failure["ends"][1]["program"], "client");
    assert_eq!(failure["ends"][1]["exit_code"], 0);
    let not_run = case("control-characters", "terminal");
    assert_eq!(not_run["outcome"], "not run");
    assert!(not_run["reason"].as_str().expect("a reason").starts_with("line 1 has bytes"));
}

#[apply(test)]
fn junit_xml_keeps_to_its_schema_and_is_read_by_a_consumer() {
    common::needs(&["xmllint", "python3"]);
    let fixtures = mixed();
    let report = format!("{}/report.xml", fixtures.path());
    let arguments = [fixtures.path(), "--format", "junit", "--output", &report];
    let ended = Replay::of(&arguments).and(&DIRECT).run();
    // What goes to a file does not keep people from being told.
    ended
        .ends_with(1)
        .says("FAIL quotes-and-backslashes::pipe::direct")
        .says("5 passed, 3 failed, 1 not run");
    let checked =
        common::run(Command::new("xmllint").args(["--noout", "--schema", "tests/replay/junit.xsd", &report]));
    assert_eq!(checked.status.code(), Some(0), "{checked}");

    // Read with Python's own XML, the counts must be what the cases say.
    let read = "import sys, xml.etree.ElementTree as tree
for suite in tree.parse(sys.argv[1]).getroot():
    cases = suite.findall('testcase')
    for name, kind in (('failures', 'failure'), ('errors', 'error'), ('skipped', 'skipped')):
        assert int(suite.get(name)) == len(suite.findall('testcase/' + kind)), (suite.attrib, kind)
    assert int(suite.get('tests')) == len(cases)
    for case in cases:
        what = [(child.tag, child.get('message')) for child in case]
        print(case.get('classname'), case.get('name'), *(what[0] if what else ('passed', '')), sep=' | ')
    for failure in suite.iter('failure'):
        assert '-<b>&lt;</b> ]]> <!--' in failure.text, failure.text";
    let read = common::run(Command::new("python3").args(["-c", read, &report]));
    let failed = "quotes-and-backslashes | pipe::direct | failure | the client's screen is not its golden";
    assert_eq!((read.status.code(), read.err.as_str()), (Some(0), ""), "{read}");
    read.assert().stdout(predicate::str::contains(failed));
    read.assert().stdout(predicate::str::contains("one-message | script::direct | passed | "));
    assert!(
        read.out.contains("control-characters | terminal::direct | skipped | line 1 has bytes"),
        "{read}"
    );
}

#[apply(test)]
fn tap_is_read_by_prove() {
    common::needs(&["prove"]);
    let fixtures = mixed();
    let report = format!("{}/report.tap", fixtures.path());
    let arguments = [fixtures.path(), "--format", "tap", "--output", &report];
    Replay::of(&arguments).and(&DIRECT).run().ends_with(1);
    let proved = common::run(Command::new("prove").args(["--exec", "cat", &report]));
    assert_eq!(proved.status.code(), Some(1), "{proved}");
    proved
        .says("Failed 3/9 subtests")
        .says("(less 1 skipped subtest: 5 okay)")
        .is_silent_about("Parse errors");

    let passing = Replay::of(&["fixtures/one-message", "--format", "tap"]).and(&DIRECT).run();
    passing.ends_with(0);
    fs::write(&report, &passing.out).expect("it can be written");
    let proved = common::run(Command::new("prove").args(["--exec", "cat", &report]));
    assert_eq!(proved.status.code(), Some(0), "{proved}");
    proved.says("Tests=3").says("Result: PASS");
}

#[apply(test)]
fn parts_are_disjoint_and_together_all_there_is() {
    let list = |shard: &[&str]| {
        let ended = Replay::of(&["--list", "--wire", "direct,drip,every-cut"]).and(shard).run();
        ended.ends_with(0);
        ended.out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut parts = ["1/3", "2/3", "3/3"].map(|part| list(&["--shard", part])).concat();
    let mut all = list(&[]);
    assert!(all.len() >= 21 * 3 * 3, "{}", all.len());
    parts.sort();
    all.sort();
    assert_eq!(parts, all);
}

#[apply(test)]
fn a_session_is_shown_as_two_columns_in_time_order() {
    let ended = Replay::of(&["fixtures/sample-session", "--show"]).run();
    ended.ends_with(0).says("sample-session::terminal::direct");
    let lines: Vec<&str> = ended.out.lines().collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{ended}");
    let at = |text: &str| {
        lines.iter().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}\n{ended}"))
    };
    // What came after something else because it was waited for; of the rest, a busy machine may show us
    // one program's words before the other's that led to them.
    let order = [
        "server is using port: ",
        "client has connected to the server!",
        "|   This is my second message",
        "|   this is the last one",
        "client received message log:",
        "(ended with exit code 0 after ",
    ];
    let places = order.map(at);
    assert!(places.is_sorted(), "{places:?}\n{ended}");
    assert!(at("server received message: \"This is my") < places[2], "{ended}");
    assert!(at("server received message: \"And this is") < at("|   quit"), "{ended}");
    assert!(lines[places[0]].find("server is").expect("it is there") < 38, "{ended}");
    assert!(lines[places[1]].find("client has").expect("it is there") > 38, "{ended}");
}

#[apply(test)]
fn a_terminal_gets_colour_and_only_what_failed_and_no_colour_where_that_is_asked_for() {
    let fixtures = mixed();
    let run = |no_colour: &str| {
        let mut command =
            common::echolog(&["replay", fixtures.path(), "--wire", "direct", "--drive", "pipe"]);
        command.env("TERM", "xterm").env("NO_COLOR", no_colour);
        Terminal::starting(&command).ends().0
    };
    let (colour, plain) = (run(""), run("1"));
    assert!(colour.contains("\x1b[31m") && colour.contains("FAIL"), "{colour}");
    assert!(
        !plain.contains("\x1b[31m") && plain.contains("FAIL quotes-and-backslashes::pipe::direct"),
        "{plain}"
    );
    assert!(!plain.contains("pass    one-message"), "{plain}");
    assert!(plain.contains("3 cases: 2 passed, 1 failed (3 sessions in "), "{plain}");
}

#[apply(test)]
fn everything_of_a_failed_session_is_kept() {
    let fixtures = mixed();
    let keep = format!("{}/kept", fixtures.path());
    let arguments = ["--keep", &keep, "--drive", "pipe", "--wire", "drip"];
    let path = format!("{}/quotes-and-backslashes", fixtures.path());
    Replay::of(&[&path]).and(&arguments).run().ends_with(1);
    let kept = |file: &str| {
        fs::read_to_string(format!("{keep}/quotes-and-backslashes-pipe-drip/{file}"))
            .unwrap_or_else(|error| panic!("{file}: {error}"))
    };
    assert!(kept("client.screen").contains("<b>&amp;</b>"));
    assert!(kept("server.screen").contains("server is using port: "));
    assert_eq!((kept("server.stderr").as_str(), kept("client.stderr").as_str()), ("", ""));
    assert_eq!(kept("messages.txt"), fixtures.read("quotes-and-backslashes/messages.txt"));
    assert!(kept("again.txt").contains("--drive pipe --wire drip"));
    assert!(kept("tape.txt").contains("to-server"));
    assert!(kept("server.cast").contains("server received message: "));
    assert!(kept("client.cast").starts_with('{'));
}

#[apply(test)]
fn both_screens_of_every_session_are_recorded_for_asciinema() {
    common::needs(&["asciinema"]);
    let fixtures = Fixtures::with("one-message");
    let record = format!("{}/recorded", fixtures.path());
    let path = format!("{}/one-message", fixtures.path());
    let arguments = ["--record", &record, "--drive", "terminal", "--wire", "direct,drip"];
    Replay::of(&[&path]).and(&arguments).run().ends_with(0);
    for wire in ["direct", "drip"] {
        for (role, text) in
            [("server", "server received message: "), ("client", "client received message log:")]
        {
            let cast = format!("{record}/one-message-terminal-{wire}/{role}.cast");
            let mut play = Command::new("asciinema");
            play.args(["play", "--speed", "1000", &cast]).env("TERM", "xterm");
            let (screen, status) = Terminal::starting(&play).ends();
            assert!(screen.contains(text), "{cast}: {status:?}: {screen}");
        }
    }
}
