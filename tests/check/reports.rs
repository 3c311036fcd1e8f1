//! The reports, read by whom they are meant for: `prove`, `xmllint` with the schema, and the rules of the
//! autograder's documentation.

use std::process::Command;

use serde_json::Value;

use super::{Checked, Dir, corpus, hostile};
use crate::common::{self, ECHOLOG};

/// A pair with passes, failures, crashes and rows that are not run, and one that hangs.
fn mixed() -> [String; 2] {
    [corpus("log-without-separators"), corpus("no-error-is-caught")]
}

#[apply(test)]
fn people_get_a_table_for_each_a_line_for_each_and_the_evidence() {
    common::needs(&["python3"]);
    let [one, other] = mixed();
    let checked = Checked::with(&[&one, &other, "--jobs", "2"]);
    checked
        .ends_with(1)
        .says("S5 fail server says that the client quits, sends the log, ends with status 0")
        .says("the log was sent with nothing between its messages:")
        .says(&format!("again: {ECHOLOG} check {one} --only S5"))
        .says("C5 R4 R14 R15 not run: they need S5")
        .says("R13 crashed a port that is no number: an error in words")
        .says("ValueError: invalid literal for int() with base 10: 'abc'")
        .says(&format!("{one} 21 S5; not run: C5 R4 R14 R15"))
        .says(&format!("{other} 21 R8-R11 R13"))
        .says("0 of 2 pass;");
    assert!(checked.out.lines().all(|line| line.chars().count() <= 130), "{checked}");
}

#[apply(test)]
fn two_checks_of_one_pair_differ_in_measured_values_only() {
    common::needs(&["python3"]);
    hostile::needs_isolation();
    // Its errors name the port.
    let pair = corpus("no-error-is-caught");
    let only = ["--isolation=required", "--only", "S1,S2,S3,C1,R8,R10,R12", "--format", "json"];
    let [one, other] = [0, 1].map(|_| {
        let checked = Checked::with(&[&[pair.as_str()], &only[..]].concat());
        let mut results = checked.ends_with(1).json();
        remove_measured(&mut results);
        results
    });
    let crashed = &one["submissions"][0]["findings"][5];
    let happened = crashed["evidence"]["happened"].as_str().unwrap_or_default();
    assert!(crashed["requirement"] == "R10" && happened.contains("bind on address ('', 1"), "{crashed}");
    assert_eq!(one, other);
}

fn remove_measured(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("measured");
            fields.values_mut().for_each(remove_measured);
        }
        Value::Array(values) => values.iter_mut().for_each(remove_measured),
        _ => {}
    }
}

#[apply(test)]
fn prove_reads_the_tap() {
    common::needs(&["python3", "prove"]);
    let [one, _] = mixed();
    let tap = Checked::with(&[&one, "--format", "tap"]);
    tap.ends_with(1);
    let dir = Dir::with(&[("report.tap", &tap.out)]);
    let file = dir.file("report.tap");
    let prove = Checked::run(Command::new("prove").args(["--exec", "cat"]).arg(&file));
    assert_ne!(prove.code(), Some(0), "{prove}");
    prove.says("Failed 1/26 subtests").says("(less 4 skipped subtests: 21 okay)").says("Failed test: 5");
}

#[apply(test)]
fn the_schema_accepts_the_junit() {
    common::needs(&["python3", "xmllint"]);
    let [one, other] = mixed();
    let junit = Checked::with(&[&one, &other, "--format", "junit"]);
    let dir = Dir::with(&[("report.xml", &junit.ends_with(1).out)]);
    let file = dir.file("report.xml");
    let lint = |args: &[&str]| Checked::run(Command::new("xmllint").args(args).arg(&file));
    let valid = lint(&["--noout", "--schema", "tests/replay/junit.xsd"]);
    assert_eq!(valid.code(), Some(0), "{valid}");
    let count = |path: &str| lint(&["--xpath", &format!("count({path})")]).out.trim().to_owned();
    let counts = ["//testcase", "//failure", "//error", "//skipped"].map(count);
    assert_eq!(counts, ["52", "1", "5", "4"]);
}

#[apply(test)]
fn json_goes_to_a_file_and_people_are_told_all_the_same() {
    common::needs(&["python3"]);
    let dir = Dir::with(&[]);
    let file = dir.file("report.json");
    let path = file.to_str().expect("UTF-8");
    let [one, _] = mixed();
    let checked = Checked::with(&[&one, "--only", "S5,C5", "--format", "json", "--output", path]);
    checked.ends_with(1).says("S5 fail").says("0 of 2 pass, 1 fail, 1 not run");
    let report: Value = serde_json::from_slice(&std::fs::read(&file).expect("it was written")).expect("JSON");
    assert_eq!(report["summary"]["failed"], 1);
    let findings = &report["submissions"][0]["findings"];
    assert_eq!((&findings[0]["requirement"], &findings[0]["outcome"]), (&"S5".into(), &"fail".into()));
    assert_eq!((&findings[1]["outcome"], &findings[1]["needs"]), (&"not run".into(), &"S5".into()));
    assert_eq!(report["submissions"][0]["framing"], "newline");
}

/// The rules of the autograder's documentation ("Output format"): which keys there are, at the top and
/// in a test, and what may stand there.
pub fn obeys_the_autograder(results: &Value) {
    let top = results.as_object().expect("an object");
    for key in top.keys() {
        let known = [
            "score",
            "execution_time",
            "output",
            "output_format",
            "test_output_format",
            "test_name_format",
            "visibility",
            "stdout_visibility",
            "extra_data",
            "tests",
            "leaderboard",
        ];
        assert!(known.contains(&key.as_str()), "{key} is not a key of results.json");
    }
    let tests = top["tests"].as_array().expect("tests");
    // "optional, but required if not on each test case"
    assert!(
        top.contains_key("score")
            || (!tests.is_empty() && tests.iter().all(|test| test["score"].is_number()))
    );
    assert!(top["execution_time"].is_u64() && top["output"].is_string());
    for test in tests {
        for key in test.as_object().expect("an object").keys() {
            let known = [
                "score",
                "max_score",
                "status",
                "name",
                "name_format",
                "number",
                "output",
                "output_format",
                "tags",
                "visibility",
                "extra_data",
            ];
            assert!(known.contains(&key.as_str()), "{key} is not a key of a test");
        }
        assert!(["passed", "failed"].contains(&test["status"].as_str().expect("a status")));
        assert!(
            ["text", "html", "simple_format", "md", "ansi"]
                .contains(&test["output_format"].as_str().expect("a format"))
        );
        assert!(test["name"].is_string() && test["number"].is_string() && test["output"].is_string());
        let (score, most) =
            (test["score"].as_f64().expect("a score"), test["max_score"].as_f64().expect("a score"));
        assert!((score - if test["status"] == "passed" { most } else { 0.0 }).abs() < 1e-9);
    }
}

#[apply(test)]
fn the_autograder_gets_its_points() {
    common::needs(&["python3"]);
    let dir = Dir::with(&[("course.toml", "[points]\nS1 = 2\nS5 = 2.5\nR1 = 0.5\n")]);
    let points = dir.file("course.toml");
    let points = points.to_str().expect("UTF-8");
    let [one, _] = mixed();
    let results = Checked::with(&[&one, "--format", "gradescope", "--course", points]).json();
    obeys_the_autograder(&results);
    let sum = |key: &str| {
        results["tests"]
            .as_array()
            .expect("tests")
            .iter()
            .map(|test| test[key].as_f64().expect(key))
            .sum::<f64>()
    };
    assert_eq!((sum("score"), sum("max_score")), (2.5, 5.0));
    assert_eq!(results["tests"].as_array().map(Vec::len), Some(26));
    assert!(results["tests"][4]["output"].as_str().expect("output").contains("nothing between its messages"));
    // One point each where nothing else is said; and nothing for what could not be built.
    let broken = Dir::with(&[("echolog.toml", "build = \"false\"\nserver = \"x\"\nclient = \"y\"\n")]);
    let results = Checked::with(&[broken.path(), "--format", "gradescope"]).ends_with(0).json();
    obeys_the_autograder(&results);
    assert_eq!(results["score"], 0);
}
