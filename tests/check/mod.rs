//! `echolog check` as its users meet it: what it says of pairs, in which forms, and of mistakes in how
//! it is called. What its verdicts are worth is the business of the corpus (`tests/submissions.rs`).

mod classroom;
mod hostile;
mod input;
mod machine;
mod reports;
mod stored;

use predicates::prelude::*;
use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{self, ECHOLOG, Ended, Running};
use serde_json::Value;

/// A submission of the corpus.
fn corpus(name: &str) -> String {
    format!("fixtures/submissions/{name}")
}

/// One run of `echolog check`, over.
struct Checked(Ended);

impl Checked {
    /// Runs `echolog check` with `args`.
    #[track_caller]
    fn with(args: &[&str]) -> Self {
        Self::run(Command::new(ECHOLOG).arg("check").args(args))
    }

    /// Runs `command` to its end. Checks of many pairs take a minute on a busy machine.
    #[track_caller]
    fn run(command: &mut Command) -> Self {
        Checked(Running::start(command.stdin(Stdio::null())).ends_within(Duration::from_secs(300)))
    }

    fn code(&self) -> Option<i32> {
        self.status.code()
    }

    #[track_caller]
    fn ends_with(&self, code: i32) -> &Self {
        // A check that could be run has nothing to complain of.
        let may_complain = code == 2;
        let complains = predicate::function(move |err: &str| may_complain || err.is_empty());
        self.assert().code(code).stderr(complains);
        self
    }

    /// It says `text` on stdout, line ends and runs of blanks aside.
    #[track_caller]
    fn says(&self, text: &str) -> &Self {
        self.assert().stdout(common::words(text));
        self
    }

    /// It complains of exactly this, and says nothing else.
    #[track_caller]
    fn complains(&self, text: &str) {
        self.is(2, "", text);
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self}"))
    }
}

impl Deref for Checked {
    type Target = Ended;

    fn deref(&self) -> &Ended {
        &self.0
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A directory with these files in it.
struct Dir(tempfile::TempDir);

impl Dir {
    fn with(files: &[(&str, &str)]) -> Self {
        let dir = Dir(tempfile::tempdir().expect("a directory"));
        for (name, text) in files {
            std::fs::write(dir.file(name), text).expect("a file");
        }
        dir
    }

    fn path(&self) -> &str {
        self.0.path().to_str().expect("UTF-8")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// A file of the sound pair that most of the corpus was made from.
fn sound(name: &str) -> String {
    std::fs::read_to_string(corpus("sound-newline/") + name).expect("it is there")
}

const PROFILE: &str = "server = \"python3 server.py {port}\"\nclient = \"python3 client.py {host} {port}\"\n";

#[apply(test)]
fn echolog_itself_passes() {
    Checked::with(&[]).ends_with(0).says("26 of 26 pass; framing seen: newline");
}

#[apply(test)]
fn two_bare_commands_are_judged_wherever_their_files_are() {
    common::needs(&["python3"]);
    let (server, client) = (corpus("sound-newline/server.py"), corpus("sound-newline/client.py"));
    Checked::with(&[
        "--server",
        &format!("python3 {server} {{port}}"),
        "--client",
        &format!("python3 {client} {{host}} {{port}}"),
        "--only",
        "S1,C5",
    ])
    .ends_with(0)
    .says("2 of 2 pass");
}

#[apply(test)]
fn a_fixed_port_is_used_again_and_again_though_the_server_cannot_share_it() {
    common::needs(&["python3"]);
    // Without SO_REUSEADDR the port is lost for a minute after each session that ends in order.
    let port = std::process::id() % 10_000 + 21_000;
    let server = sound("server.py")
        .replace("listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)", "pass")
        .replace("port = int(sys.argv[1])", &format!("port = {port}"));
    let profile = format!("{PROFILE}port = {port}\n");
    let dir =
        Dir::with(&[("server.py", &server), ("client.py", &sound("client.py")), ("echolog.toml", &profile)]);
    let checked = Checked::with(&[dir.path()]);
    checked.ends_with(1).says("24 of 26 pass, 2 fail").says("S1 fail").says("R12 fail");
}

#[apply(test)]
fn a_program_that_is_not_the_same_every_time_is_named() {
    common::needs(&["python3"]);
    // One in 2^29 runs of this test sees the same side 30 times.
    let checked = Checked::with(&[&corpus("coin-toss"), "--only", "S3", "--repeat", "30"]);
    checked.ends_with(1).says("S3 fail").says("not the same every time: of 30 runs,");
    let steady = Checked::with(&[&corpus("server-shows-no-client-address"), "--only", "S3", "--repeat", "2"]);
    steady.ends_with(1).says("0 of 1 pass, 1 fail");
    steady.assert().stdout(predicate::str::contains("not the same").not());
}

#[apply(test)]
fn the_command_that_a_finding_names_repeats_it() {
    common::needs(&["python3", "sh"]);
    let first = Checked::with(&[&corpus("dies-of-a-reset"), "--only", "R7,R8", "--format", "json"]);
    let again =
        first.json()["submissions"][0]["findings"][1]["again"].as_str().expect("a command").to_owned();
    let second = Checked::run(Command::new("sh").args(["-c", &again]));
    second.ends_with(1).says("R8 crashed").says("ConnectionResetError").says("0 of 1 pass");
}

#[apply(test)]
fn a_row_of_the_first_session_that_fails_shows_that_session() {
    common::needs(&["python3"]);
    let checked = Checked::with(&[&corpus("output-only-at-the-end"), "--only", "S3,S4", "--format", "json"]);
    let session =
        |row: usize| checked.json()["submissions"][0]["findings"][row]["measured"]["session"].clone();
    assert!(session(0).is_null(), "a row that passes has none");
    let kinds: Vec<String> = session(1)
        .as_array()
        .expect("events")
        .iter()
        .map(|event| event["kind"].as_str().expect("a kind").to_owned())
        .collect();
    for kind in ["server-screen", "client-screen", "client-typed", "to-server", "to-client", "server-end"] {
        assert!(kinds.iter().any(|other| other == kind), "no {kind}: {kinds:?}");
    }
}

#[apply(test)]
fn the_time_line_tells_what_was_typed_sent_and_shown_and_how_each_end_ended() {
    common::needs(&["python3"]);
    let events = |pair: &str, row: &str| {
        let checked = Checked::with(&[&corpus(pair), "--only", row, "--format", "json"]);
        let session = checked.json()["submissions"][0]["findings"][0]["measured"]["session"].clone();
        let text = |event: &Value| {
            format!(
                "{}: {}",
                event["kind"].as_str().expect("a kind"),
                event["text"].as_str().expect("a text")
            )
        };
        session.as_array().expect("events").iter().map(text).collect::<Vec<_>>()
    };
    let whole = events("output-only-at-the-end", "S4");
    for text in [
        "client-typed: quit\n",
        "to-server: quit\\n",
        "to-server: [FIN]",
        "to-client: [FIN]",
        "server-end: ended with status 0",
        "client-end: ended with status 0",
    ] {
        assert!(whole.iter().any(|event| event == text), "no {text}: {whole:?}");
    }
    assert!(
        whole.iter().all(|event| event.split_once(": ").is_some_and(|(_, text)| !text.is_empty())),
        "{whole:?}"
    );
    let resets = events("dies-of-a-reset", "R8");
    assert!(resets.iter().any(|event| event == "to-server: [RST]"), "{resets:?}");
}

#[apply(test)]
fn a_row_asked_for_alone_brings_what_it_depends_on_and_does_not_tell_it() {
    common::needs(&["python3"]);
    let checked = Checked::with(&[&corpus("one-read-is-one-message"), "--only", "R6"]);
    checked.ends_with(1).says("R6 not run").says("R2 is not met").says("0 of 1 pass, 1 not run");
    checked.assert().stdout(predicate::str::contains("R2  ").not());
}

#[apply(test)]
fn what_a_program_leaves_behind_is_gone_afterwards() {
    common::needs(&["python3"]);
    let mark = format!("left-behind-{}", std::process::id());
    let server = format!(
        "import subprocess\nsubprocess.Popen(['sleep', '4242', '{mark}'][:2], start_new_session=True, \
         env={{**__import__('os').environ, 'MARK': '{mark}'}})\n{}",
        sound("server.py")
    );
    let dir =
        Dir::with(&[("server.py", &server), ("client.py", &sound("client.py")), ("echolog.toml", PROFILE)]);
    Checked::with(&[dir.path(), "--only", "S1,R7"]).ends_with(0);
    let left = std::fs::read_dir("/proc").expect("proc").flatten().any(|process| {
        let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
        environment.windows(mark.len()).any(|window| window == mark.as_bytes())
    });
    assert!(!left, "a process with {mark} in its environment is still there");
}

#[apply(test)]
fn a_submission_is_never_written_to_and_starts_afresh_each_time() {
    common::needs(&["python3"]);
    // It refuses to start where it has been before.
    let server = format!(
        "import os\nif os.path.exists('been-here'):\n    raise SystemExit('I have been here before')\n\
         open('been-here', 'w').close()\n{}",
        sound("server.py")
    );
    let dir =
        Dir::with(&[("server.py", &server), ("client.py", &sound("client.py")), ("echolog.toml", PROFILE)]);
    Checked::with(&[dir.path(), "--only", "S1,S5,R1,R12"]).ends_with(0).says("4 of 4 pass");
    let mut files: Vec<_> =
        std::fs::read_dir(dir.path()).expect("it is there").flatten().map(|file| file.file_name()).collect();
    files.sort();
    assert_eq!(files, ["client.py", "echolog.toml", "server.py"]);
}

#[apply(test)]
fn limits_hold_what_is_run() {
    common::needs(&["python3"]);
    let greedy = format!("x = bytearray(300 << 20)\n{}", sound("server.py"));
    let dir =
        Dir::with(&[("server.py", &greedy), ("client.py", &sound("client.py")), ("echolog.toml", PROFILE)]);
    Checked::with(&[dir.path(), "--only", "S1", "--memory", "200"])
        .ends_with(1)
        .says("S1 crashed")
        .says("did not catch an error: MemoryError");
    Checked::with(&[dir.path(), "--only", "S1"]).ends_with(0);
    // Nothing of the caller's is open in it but its terminal.
    let nosy = format!("import os\nprint(sorted(os.listdir('/proc/self/fd')))\n{}", sound("server.py"));
    let nosy = nosy.replace("{socket.gethostbyname(socket.gethostname())}, port", "nowhere, port");
    let dir =
        Dir::with(&[("server.py", &nosy), ("client.py", &sound("client.py")), ("echolog.toml", PROFILE)]);
    // The fourth is the listing's own.
    Checked::with(&[dir.path(), "--only", "S2"])
        .ends_with(1)
        .says("it printed: ['0', '1', '2', '3'] | Server runs");
}
