//! What `echolog generate` writes for the places where classes live, tried as those places run it.

use predicates::prelude::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::reports::obeys_the_autograder;
use super::{Checked, Dir, sound};
use crate::common::{self, ECHOLOG};

fn generate(what: &str, directory: &Path) -> Checked {
    Checked::run(Command::new(ECHOLOG).args(["generate", what]).arg(directory))
}

/// `/autograder` as Gradescope lays it out, elsewhere, with this submission.
fn autograder(files: &[(&str, &str)]) -> Dir {
    let dir = Dir::with(&[]);
    generate("gradescope", &dir.file("source")).ends_with(0);
    fs::create_dir(dir.file("submission")).expect("a directory");
    for (name, text) in files {
        fs::write(dir.file("submission").join(name), text).expect("a file");
    }
    // Gradescope copies it there, and makes it executable.
    fs::copy(dir.file("source/run_autograder"), dir.file("run_autograder")).expect("it is there");
    dir
}

/// The results of running the autograder, which must end well.
fn graded(dir: &Dir) -> Value {
    let run = Checked::run(Command::new(dir.file("run_autograder")).env("AUTOGRADER", dir.path()));
    run.ends_with(0);
    let text = fs::read(dir.file("results/results.json")).expect("results");
    serde_json::from_slice(&text).expect("JSON")
}

#[apply(test)]
fn the_autograder_writes_valid_results_for_every_submission() {
    common::needs(&["python3"]);
    let dir = autograder(&[("server.py", &sound("server.py")), ("client.py", &sound("client.py"))]);
    let course = fs::read_to_string(dir.file("source/course.toml")).expect("a course");
    fs::write(dir.file("source/course.toml"), format!("only = [\"S1\", \"S2\"]\n{course}")).expect("a file");
    let results = graded(&dir);
    obeys_the_autograder(&results);
    let tests = results["tests"].as_array().expect("tests");
    assert_eq!(tests.len(), 2);
    assert!(tests.iter().all(|test| test["score"] == 1.0 && test["visibility"] == "visible"), "{results}");
    assert!(results["output"].as_str().expect("text").contains("there is no echolog.toml"), "{results}");

    for (files, says) in [
        (&[][..], "no server and no client was found"),
        (&[("echolog.toml", "server = [\n")], "echolog.toml, line 1: unclosed array"),
        (
            &[("echolog.toml", "build = \"echo no compiler; exit 3\"\nserver = \"x\"\nclient = \"y\"\n")],
            "the build failed with status 3: no compiler",
        ),
    ] {
        let results = graded(&autograder(files));
        obeys_the_autograder(&results);
        assert_eq!(results["score"], 0);
        assert!(results["output"].as_str().expect("text").contains(says), "{says}: {results}");
    }
}

#[apply(test)]
fn files_that_a_teacher_may_have_changed_are_not_overwritten() {
    let dir = Dir::with(&[]);
    generate("gradescope", &dir.file("a")).ends_with(0);
    for file in ["setup.sh", "run_autograder", "echolog"] {
        let mode = fs::metadata(dir.file("a").join(file)).expect(file).permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{file}");
    }
    let again = generate("gradescope", &dir.file("a"));
    assert_eq!(again.code(), Some(1), "{again}");
    again.assert().stderr(predicate::str::contains("setup.sh is there already"));
}

#[apply(test)]
fn the_steps_of_the_workflow_show_the_result() {
    common::needs(&["python3", "sh"]);
    let dir = Dir::with(&[("server.py", &sound("server.py")), ("client.py", &sound("client.py"))]);
    generate("github", Path::new(dir.path())).ends_with(0);
    let course = dir.file(".github/echolog/course.toml");
    let text = fs::read_to_string(&course).expect("a course");
    fs::write(&course, format!("only = [\"S1\"]\n{text}")).expect("a file");
    let workflow = fs::read_to_string(dir.file(".github/workflows/echolog.yml")).expect("a workflow");
    let steps: Vec<String> = workflow
        .split("        run: ")
        .skip(1)
        .map(|step| {
            let lines = step.lines().enumerate();
            let own = lines.take_while(|(at, line)| *at == 0 || line.starts_with("          "));
            own.map(|(_, line)| line.trim().trim_start_matches('>')).collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert_eq!(steps.len(), 2, "{steps:?}");
    let temp = Dir::with(&[]);
    for step in steps {
        let ran = Checked::run(
            Command::new("sh")
                .args(["-e", "-c", &step])
                .env("RUNNER_TEMP", temp.path())
                .env("GITHUB_STEP_SUMMARY", temp.file("summary.md"))
                .current_dir(dir.path()),
        );
        ran.ends_with(0);
    }
    let summary = fs::read_to_string(temp.file("summary.md")).expect("a summary");
    assert!(summary.contains("| ✅ | S1 server listens"), "{summary}");
    assert!(temp.file("echolog/results.html").is_file() && temp.file("echolog/junit.xml").is_file());
}
