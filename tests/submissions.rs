//! The audit of `echolog check`: every submission of the corpus as a test of its own, held row by row
//! against the verdicts that it must get. A sound pair must never be failed; a flaw must never pass.
//!
//!     cargo test --test submissions spins-at-end-of-stream
//!
//! A line of a `verdicts` file is a requirement and the verdicts that it may get, with `|` between them; `not run`
//! may name, in parentheses, the requirement that it depends on. A requirement without a line may get any
//! verdict, but where the first line begins with `# some row fails`, at least one of those must not pass. Other
//! lines that begin with `#` say why.

#[macro_use]
mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::harness::{self, Test};
use common::{needs, tools};
use libtest_mimic::{Completion, Failed};
use serde_json::Value;

const CORPUS: &str = "fixtures/submissions";
const PROFILE: &str = "echolog.toml";

/// What builds and runs the programs of the corpus. `.ci/run` installs these,
const TOOLS: [&str; 9] = ["python3", "cc", "c++", "bash", "perl", "node", "ruby", "php", "rustc"];
/// and leaves out these, which are large.
const LARGE_TOOLS: [&str; 5] = ["go", "javac", "java", "mcs", "mono"];

/// Pairs whose failing rows are judged once more, each by the command that its finding names. Among them are rows of
/// every verdict, and rows that are judged from the first session and from one of their own.
const AGAIN: [&str; 5] = [
    "aborts-after-listening",
    "perl-dies-at-a-line",
    "server-floods-the-client",
    "spins-at-end-of-stream",
    "words-split-by-client",
];

type Judged = fn(&str) -> Result<Completion, Failed>;

fn main() {
    let mut names: Vec<String> = fs::read_dir(CORPUS)
        .expect("the corpus is there")
        .map(|entry| entry.expect("it can be listed"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    assert!(names.len() > 30, "this is not the corpus: {names:?}");
    let test = |(name, judged): (String, Judged)| {
        let dir = format!("{CORPUS}/{}", name.trim_end_matches(" again"));
        Test::new(name, move || {
            let configuration = read(&dir, PROFILE);
            let words = |tools: &[&'static str]| -> Vec<&'static str> {
                let is_word = |tool: &&str| configuration.split([' ', '"']).any(|word| word == *tool);
                tools.iter().copied().filter(is_word).collect()
            };
            needs(&words(&TOOLS));
            let missing: Vec<&str> =
                words(&LARGE_TOOLS).into_iter().filter(|tool| !tools::is_here(tool)).collect();
            if !missing.is_empty() {
                return Ok(Completion::ignored_with(format!(
                    "needs {}, which this machine lacks and .ci/run does not install",
                    missing.join(", ")
                )));
            }
            judged(&dir)
        })
    };
    let again = AGAIN.map(|name| (format!("{name} again"), judged_again as Judged));
    let whole = names.into_iter().map(|name| (name, judged as Judged));
    harness::run(whole.chain(again).map(test).collect());
}

/// Every row that fails must fail in the same way when it is judged by itself.
fn judged_again(dir: &str) -> Result<Completion, Failed> {
    let findings = |output: Output| -> Result<Vec<Value>, Failed> {
        let report: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&output.stderr)))?;
        Ok(report["submissions"][0]["findings"].as_array().expect("findings").clone())
    };
    let whole = Command::new(env!("CARGO_BIN_EXE_echolog")).args(["check", dir, "--format", "json"]).output();
    let whole = findings(whole.expect("the executable runs"))?;
    let failing: Vec<&Value> = whole
        .iter()
        .filter(|finding| finding["outcome"] != "pass" && finding["outcome"] != "not run")
        .collect();
    assert!(!failing.is_empty(), "{dir}: no row fails");
    for finding in failing {
        let command = finding["again"].as_str().expect("a command");
        let again = Command::new("sh").args(["-c", &format!("{command} --format json")]).output();
        let again = findings(again.expect("sh runs"))?;
        let verdicts = |findings: &[Value]| -> Vec<Value> {
            findings.iter().flat_map(|one| [one["requirement"].clone(), one["outcome"].clone()]).collect()
        };
        if verdicts(&again) != verdicts(std::slice::from_ref(finding)) {
            return Err(format!("{command}: {:?} became {:?}", finding["outcome"], verdicts(&again)).into());
        }
    }
    Ok(Completion::Completed)
}

fn judged(dir: &str) -> Result<Completion, Failed> {
    let output = Command::new(env!("CARGO_BIN_EXE_echolog"))
        .args(["check", dir, "--format", "json"])
        .output()
        .expect("the executable runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    // A machine without namespaces says so, and judges all the same.
    let errors: Vec<&str> =
        errors.lines().filter(|line| !line.starts_with("note: the programs run on this computer")).collect();
    let errors = errors.join("\n");
    if !errors.is_empty() {
        return Err(format!("{}: {errors}", output.status).into());
    }
    let report: Value = serde_json::from_slice(&output.stdout).expect("the report is JSON");
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
        let Some(wanted) = wanted.remove(row) else {
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
    if output.status.code() != Some(i32::from(!all_pass)) {
        differences.push(format!("it ended with {}", output.status));
    }
    if differences.is_empty() { Ok(Completion::Completed) } else { Err(differences.join("\n").into()) }
}

fn read(dir: &str, name: &str) -> String {
    let path = Path::new(dir).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
