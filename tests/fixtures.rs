//! Every fixture, with every drive, over every wire, as a test of its own: the executable lists them
//! and plays them, this only gives each its name, so that filters work:
//!
//!     cargo test --test fixtures sample-session::terminal
//!
//! What a drive cannot carry is shown as ignored, and the reasons stand below.

use std::process::Command;

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

/// The wires that every fixture is played over. The seed is fixed: a test that fails once in a while
/// helps nobody. `echolog replay` itself draws a new one each time.
const WIRES: &str = "direct,drip,lump,shuffle:2026";

/// Wires of many sessions each, and the fixtures they are played with here: what they look for (a
/// message split or lost at each of its bytes) needs few messages, of different kinds.
const MANY: &str = "every-split,every-cut";
const FOR_MANY: [&str; 3] = ["fixtures/sample-session", "fixtures/quit-at-once", "fixtures/quit-look-alikes"];
const DRIVES_FOR_MANY: &str = "pipe,terminal";

fn main() {
    let arguments = Arguments::from_args();
    let mut cases = listed(&["fixtures", "--wire", WIRES]);
    let drives = ["--wire", MANY, "--drive", DRIVES_FOR_MANY];
    cases.extend(listed(&[&FOR_MANY[..], &drives].concat()));
    let conclusion = libtest_mimic::run(&arguments, cases.iter().map(trial).collect());
    if conclusion.num_ignored > 0 && !arguments.list {
        println!("ignored:");
        let mut reasons: Vec<String> = cases.iter().filter_map(reason).collect();
        reasons.dedup();
        for reason in reasons {
            println!("    {reason}");
        }
        println!();
    }
    conclusion.exit();
}

/// Why a case is ignored, if it is.
fn reason(case: &Value) -> Option<String> {
    let why = case["cannot"].as_str()?;
    Some(format!("{}::{}: {why}", case["fixture"].as_str()?, case["drive"].as_str()?))
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

fn trial(case: &Value) -> Trial {
    let text = |key: &str| case[key].as_str().expect(key).to_owned();
    let (path, drive, wire) = (text("path"), text("drive"), text("wire"));
    let name = format!("{}::{drive}::{wire}", text("fixture"));
    let play = move || -> (Option<i32>, String) {
        let output = echolog()
            .args(["replay", "--drive", &drive, "--wire", &wire, "--jobs", "2", &path])
            .output()
            .expect("the executable runs");
        let told = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&told).into_owned())
    };
    match case["cannot"].as_str() {
        None => Trial::test(name, move || match play() {
            (Some(0), _) => Ok(()),
            (_, told) => Err(Failed::from(told)),
        }),
        Some(_) => {
            Trial::test(name, move || match play() {
                // When it is asked for all the same, it must say itself that there is nothing to play.
                (Some(2), told) if told.contains("nothing could be played") => Ok(()),
                (_, told) => Err(Failed::from(told)),
            })
            .with_ignored_flag(true)
        }
    }
}
