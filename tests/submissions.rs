//! The audit of `echolog check`: every submission of the corpus as a test of its own, held row by row
//! against the verdicts that it must get. A sound pair must never be failed; a flaw must never pass.
//!
//!     cargo test --test submissions spins-at-end-of-stream
//!
//! A line of a `verdicts` file is a requirement and its verdict; `not run` names, in parentheses, the
//! requirement that it depended on. One submission tosses coins, and may get either of two verdicts.

#[macro_use]
mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use common::harness::{self, Test};
use common::needs;
use libtest_mimic::{Completion, Failed};
use serde_json::Value;

const CORPUS: &str = "fixtures/submissions";

/// What the programs of the corpus need to be built and run.
const TOOLS: [&str; 3] = ["python3", "cc", "bash"];

fn main() {
    let mut names: Vec<String> = fs::read_dir(CORPUS)
        .expect("the corpus is there")
        .map(|entry| entry.expect("it can be listed").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    assert!(names.len() > 30, "this is not the corpus: {names:?}");
    let test = |name: String| {
        let dir = format!("{CORPUS}/{name}");
        Test::new(name, move || {
            needs(&TOOLS);
            judged(&dir)
        })
    };
    harness::run(names.into_iter().map(test).collect());
}

fn judged(dir: &str) -> Result<Completion, Failed> {
    let output = Command::new(env!("CARGO_BIN_EXE_echolog"))
        .args(["check", dir, "--format", "json"])
        .output()
        .expect("the executable runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    if !errors.is_empty() {
        return Err(format!("{}: {errors}", output.status).into());
    }
    let report: Value = serde_json::from_slice(&output.stdout).expect("the report is JSON");
    let submission = &report["submissions"][0];
    let wanted = fs::read_to_string(Path::new(dir).join("verdicts")).expect("the verdicts are there");
    let wanted: BTreeMap<&str, &str> =
        wanted.lines().map(|line| line.split_once(' ').expect("a requirement and its verdict")).collect();
    let findings = submission["findings"].as_array().expect("findings");
    let mut differences = Vec::new();
    for finding in findings {
        let text = |key: &str| finding[key].as_str().unwrap_or_default();
        let happened = finding["evidence"]["happened"].as_str().unwrap_or_default();
        let got = match text("needs") {
            "" => text("outcome").to_owned(),
            needs => format!("{} ({needs})", text("outcome")),
        };
        let row = text("requirement");
        let wanted = wanted.get(row).copied().unwrap_or("no verdict");
        if !wanted.split(" or ").any(|wanted| wanted == got) {
            differences.push(format!("{row} must get {wanted}, and got {got}: {happened}"));
        }
        if happened.is_empty() {
            differences.push(format!("{row} has no evidence"));
        }
    }
    if findings.len() != wanted.len() {
        differences.push(format!("{} rows, and {} are wanted", findings.len(), wanted.len()));
    }
    let all_pass = findings.iter().all(|finding| finding["outcome"] == "pass");
    if output.status.code() != Some(i32::from(!all_pass)) {
        differences.push(format!("it ended with {}", output.status));
    }
    if differences.is_empty() { Ok(Completion::Completed) } else { Err(differences.join("\n").into()) }
}
