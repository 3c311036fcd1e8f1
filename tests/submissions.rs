//! The audit of `echolog check`: every submission of the corpus as a test of its own, held row by row
//! against the verdicts that it must get. A sound pair must never be failed; a flaw must never pass. A row that
//! fails must fail in the same way when it is judged by itself, unless its line allows a pass as well (chance).
//!
//!     cargo test submissions::spins-at-end-of-stream
//!
//! A line of a `verdicts` file is a requirement and the verdicts that it may get, with `|` between them; `not run`
//! may name, in parentheses, the requirement that it depends on. A requirement without a line may get any
//! verdict, but where the first line begins with `# some row fails`, at least one of those must not pass. Other
//! lines that begin with `#` say why.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus};

use crate::common::harness::Test;
use crate::common::{ECHOLOG, needs};
use libtest_mimic::{Completion, Failed};
use serde_json::Value;

const CORPUS: &str = "fixtures/submissions";
const PROFILE: &str = "echolog.toml";

/// What builds and runs the programs of the corpus; `.ci/run` installs it.
const TOOLS: [&str; 14] = [
    "python3", "cc", "c++", "bash", "perl", "node", "ruby", "php", "rustc", "go", "javac", "java", "mcs",
    "mono",
];

/// The test of each submission.
pub fn tests() -> Vec<Test> {
    let mut names: Vec<String> = fs::read_dir(CORPUS)
        .expect("the corpus is there")
        .map(|entry| entry.expect("it can be listed"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    assert!(names.len() > 30, "this is not the corpus: {names:?}");
    let test = |name: String| {
        let dir = format!("{CORPUS}/{name}");
        Test::new(format!("submissions::{name}"), move || {
            let configuration = read(&dir, PROFILE);
            let is_word = |tool: &&str| configuration.split([' ', '"']).any(|word| word == *tool);
            needs(&TOOLS.into_iter().filter(is_word).collect::<Vec<_>>());
            judged(&dir)
        })
    };
    names.into_iter().map(test).collect()
}

fn judged(dir: &str) -> Result<Completion, Failed> {
    let mut whole = Command::new(ECHOLOG);
    let (report, status) = check(whole.args(["check", dir, "--format", "json"]))?;
    if report["isolation"] == "none" && dir.ends_with("fixed-port-both") {
        return Ok(Completion::ignored_with("needs namespaces, which this machine does not allow"));
    }
    let submission = &report["submissions"][0];
    let text = read(dir, "verdicts");
    let some_fails = text.starts_with("# some row fails");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut wanted: BTreeMap<&str, &str> =
        lines.map(|line| line.split_once(' ').expect("a requirement and its verdict")).collect();
    let findings = submission["findings"].as_array().expect("findings");
    let mut differences = Vec::new();
    let mut unpinned = Vec::new();
    for finding in findings {
        let text = |key: &str| finding[key].as_str().unwrap_or_default();
        let happened = finding["evidence"]["happened"].as_str().unwrap_or_default();
        let (row, outcome) = (text("requirement"), text("outcome"));
        if happened.is_empty() {
            differences.push(format!("{row} has no evidence"));
        }
        let pinned = wanted.remove(row);
        let by_chance = pinned.is_some_and(|wanted| wanted.split('|').any(|wanted| wanted == "pass"));
        if !["pass", "not run"].contains(&outcome) && !by_chance {
            differences.extend(differs_again(finding)?);
        }
        let Some(wanted) = pinned else {
            unpinned.push(outcome);
            continue;
        };
        let with_need = format!("{outcome} ({})", text("needs"));
        if !wanted.split('|').any(|wanted| wanted == outcome || wanted == with_need) {
            let got = if text("needs").is_empty() { outcome } else { &with_need };
            differences.push(format!("{row} must get {wanted}, and got {got}: {happened}"));
        }
    }
    differences.extend(wanted.keys().map(|row| format!("there is no {row}")));
    if some_fails && unpinned.iter().all(|outcome| *outcome == "pass") {
        differences.push("some row must fail, and none of those without a line does".to_owned());
    }
    let all_pass = findings.iter().all(|finding| finding["outcome"] == "pass");
    if status.code() != Some(i32::from(!all_pass)) {
        differences.push(format!("it ended with {status}"));
    }
    if differences.is_empty() { Ok(Completion::Completed) } else { Err(differences.join("\n").into()) }
}

/// How a row that fails is judged by itself, by the command that its finding names, where that is not the same.
fn differs_again(finding: &Value) -> Result<Option<String>, Failed> {
    let command = finding["again"].as_str().expect("a command");
    let (report, _) = check(Command::new("sh").args(["-c", &format!("{command} --format json")]))?;
    let again = &report["submissions"][0]["findings"];
    let same = again.as_array().is_some_and(|rows| {
        rows.len() == 1 && ["requirement", "outcome"].iter().all(|key| rows[0][key] == finding[key])
    });
    Ok((!same).then(|| format!("{command}: {} became {again}", finding["outcome"])))
}

/// The report of `command`, which may print nothing else, and its status.
fn check(command: &mut Command) -> Result<(Value, ExitStatus), Failed> {
    let output = command.output().expect("the command runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    // A machine without namespaces says so, and judges all the same.
    let errors: Vec<&str> =
        errors.lines().filter(|line| !line.starts_with("note: the programs run on this computer")).collect();
    if !errors.is_empty() {
        return Err(format!("{command:?}: {}: {}", output.status, errors.join("\n")).into());
    }
    let report = serde_json::from_slice(&output.stdout).map_err(|error| format!("{command:?}: {error}"))?;
    Ok((report, output.status))
}

fn read(dir: &str, name: &str) -> String {
    let path = Path::new(dir).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
