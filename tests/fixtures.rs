//! Every fixture, with every drive, over every wire, as a test of its own: the executable lists them
//! and plays them, this only gives each its name, so that filters work:
//!
//!     cargo test fixtures::sample-session::terminal
//!
//! What a drive cannot carry is ignored, and the reason stands at the end.

use std::process::Command;

use crate::common::harness::Test;
use libtest_mimic::{Completion, Failed};
use serde_json::Value;

/// The wires that every fixture is played over. The seed is fixed: a test that fails once in a while
/// helps nobody. `echolog replay` itself draws a new one each time.
const WIRES: &str = "direct,drip,lump,shuffle:2026";

/// Wires of many sessions each, and the fixtures they are played with here: what they look for (a
/// message split or lost at each of its bytes) needs few messages, of different kinds.
const MANY: &str = "every-split,every-cut";
const FOR_MANY: [&str; 3] = ["fixtures/sample-session", "fixtures/quit-at-once", "fixtures/quit-look-alikes"];
const DRIVES_FOR_MANY: &str = "pipe,terminal";

/// The test of each fixture, drive and wire.
pub fn tests() -> Vec<Test> {
    let mut cases = listed(&["fixtures", "--wire", WIRES]);
    let drives = ["--wire", MANY, "--drive", DRIVES_FOR_MANY];
    cases.extend(listed(&[&FOR_MANY[..], &drives].concat()));
    cases.iter().map(test).collect()
}

fn echolog() -> Command {
    Command::new(env!("CARGO_BIN_EXE_echolog"))
}

fn listed(arguments: &[&str]) -> Vec<Value> {
    let output = echolog()
        .args(["replay", "--list", "--format", "json"])
        .args(arguments)
        .output()
        .expect("the executable runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{arguments:?}: {}: {errors}", output.status);
    serde_json::from_slice(&output.stdout).expect("the list is JSON")
}

fn test(case: &Value) -> Test {
    let text = |key: &str| case[key].as_str().expect(key).to_owned();
    let (path, drive, wire) = (text("path"), text("drive"), text("wire"));
    let cannot = case["cannot"].as_str().map(ToOwned::to_owned);
    Test::new(format!("fixtures::{}::{drive}::{wire}", text("fixture")), move || {
        let output = echolog()
            .args(["replay", "--drive", &drive, "--wire", &wire, "--jobs", "2", &path])
            .output()
            .expect("the executable runs");
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        match (output.status.code(), cannot) {
            (Some(0), None) => Ok(Completion::Completed),
            (Some(2), Some(why)) if told.contains("nothing could be played") => {
                Ok(Completion::ignored_with(why))
            }
            _ => Err(Failed::from(told)),
        }
    })
}
