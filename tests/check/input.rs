//! Mistakes in how `echolog check` is called, and in what it is pointed at.

use predicates::prelude::*;
use std::fs;
use std::process::Command;

use super::{Checked, Dir, PROFILE, corpus, sound};
use crate::common::{self, ECHOLOG, Running};

#[apply(test)]
fn a_directory_that_cannot_be_judged_is_one_line_and_the_rest_is_judged() {
    common::needs(&["python3"]);
    let empty = Dir::with(&[]);
    let wrong = Dir::with(&[("echolog.toml", "server = \"x\"\nclient = \"y\"\nprot = 1\n")]);
    let absent = format!("{}/nowhere", empty.path());
    let alone = Checked::with(&[empty.path()]);
    alone.says("nothing could be run: there is no echolog.toml, and no server and no client was found");
    assert_eq!((alone.code(), alone.err.as_str()), (Some(2), ""), "{alone}");
    let all = [empty.path(), wrong.path(), &absent, &corpus("sound-newline"), "--only", "S1"];
    Checked::with(&all)
        .ends_with(1)
        .says(&format!("nothing could be run: {}/echolog.toml, line 3: unknown field `prot`", wrong.path()))
        .says(&format!("nothing could be run: cannot read {absent}: No such file or directory"))
        .says("1 of 1 pass; framing seen")
        .says("1 of 4 pass, 3 could not be run");
}

#[apply(test)]
fn commands_are_guessed_where_there_is_no_profile_and_the_report_says_so() {
    common::needs(&["python3"]);
    let dir = Dir::with(&[("server.py", &sound("server.py")), ("client.py", &sound("client.py"))]);
    Checked::with(&[dir.path(), "--only", "S1,C1"]).ends_with(0).says("2 of 2 pass").says(
        "note: there is no echolog.toml; guessed server: python3 server.py {port}, client: python3 client.py \
         {host} {port}",
    );
}

#[apply(test)]
fn commands_come_from_the_command_line_then_the_profile_then_the_course() {
    common::needs(&["python3"]);
    let files = [("a.py", &*sound("server.py")), ("b.py", &*sound("client.py"))];
    let course = "server = \"python3 a.py {port}\"\nclient = \"python3 nothing.py\"\nonly = [\"S1\", \"C1\"]\n\
                  [points]\nS1 = 2\n";
    let dir = Dir::with(&[files[0], files[1], ("echolog.toml", "client = \"python3 b.py {host} {port}\"\n")]);
    let place = Dir::with(&[("course.toml", course)]);
    let course = place.file("course.toml");
    let course = course.to_str().expect("UTF-8");
    Checked::with(&[dir.path(), "--course", course]).ends_with(0).says("2 of 2 pass; 2 points");
    let broken = "python3 nothing.py {host}";
    let checked = Checked::with(&[dir.path(), "--course", course, "--client", broken]);
    checked.ends_with(1).says(&format!("--course {course} --client '{broken}' {} --only C1", dir.path()));
}

#[apply(test)]
fn programs_and_builds_find_the_environment_of_the_profile_and_of_the_course() {
    common::needs(&["python3"]);
    let profile = r#"
        build = "test \"$ONE $TWO\" = 'own course'"
        server = "sh -c 'test \"$ONE $TWO\" = \"own course\" && exec python3 a.py {port}'"
        client = "python3 b.py {host} {port}"
        environment = { ONE = "own" }
    "#;
    let dir =
        Dir::with(&[("a.py", &sound("server.py")), ("b.py", &sound("client.py")), ("echolog.toml", profile)]);
    let place = Dir::with(&[("course.toml", "[environment]\nONE = \"course\"\nTWO = \"course\"\n")]);
    let course = place.file("course.toml");
    let course = course.to_str().expect("UTF-8");
    Checked::with(&[dir.path(), "--course", course, "--only", "S1"]).ends_with(0).says("1 of 1 pass");
    Checked::with(&[dir.path(), "--only", "S1"]).ends_with(2).says("the build failed with status 1");
}

#[apply(test)]
fn an_unknown_requirement_a_bad_shard_and_half_a_pair_are_usage_errors() {
    for (args, says) in [
        (&["--only", "R17"][..], "no such requirement: R17"),
        (&["--shard", "3/2"], "a part and how many there are is needed"),
        (&["--server", "x {port}"], "--server and --client are needed both"),
        (&["--jobs", "0"], "a number from 1 to 1024 is needed"),
        (&["--init"], "--init <DIR>..."),
        (&["--format", "xml"], "gradescope"),
    ] {
        let checked = Checked::with(args);
        checked.ends_with(2);
        assert!(checked.out.is_empty() && checked.err.contains(says), "{args:?}: {checked}");
    }
}

#[apply(test)]
fn an_empty_part_of_the_submissions_is_an_error_and_not_a_success() {
    Checked::with(&[&corpus("sound-newline"), "--shard", "2/2"])
        .complains("error: no submission is in this part\n");
}

#[apply(test)]
fn a_course_that_is_wrong_is_named() {
    for (text, says) in [
        ("[points]\nS1 = -1\n", "S1 needs a number of points, 0 or more"),
        ("[points]\nQ1 = 1\n", "no such requirement: Q1"),
        ("[points]\nS1 = 1\nS2 = two\n", "line 3: "),
        ("prot = 1\n", "line 1: unknown field `prot`"),
    ] {
        let dir = Dir::with(&[("course.toml", text)]);
        let file = dir.file("course.toml");
        let file = file.to_str().expect("UTF-8");
        let checked = Checked::with(&["--course", file]);
        checked.ends_with(2);
        let errors = checked.err.replace(", line", ": line");
        assert!(errors.starts_with(&format!("error: {file}: {says}")), "{checked}");
    }
}

#[apply(test)]
fn requirements_are_listed_and_explained() {
    let list = Checked::with(&["--list"]);
    list.ends_with(0).says("S1 server listens on the port it is given").says("R13 ");
    assert!(list.out.lines().all(|line| line.chars().count() <= 80), "{list}");
    let one = Checked::with(&["--explain", "R8,s1"]);
    one.ends_with(0).says("S1 server listens").says("R8 client gone (RST)");
    one.assert().stdout(predicate::str::contains("R7").not());
}

#[apply(test)]
fn a_results_json_is_for_one_submission() {
    Checked::with(&[&corpus("sound-newline"), &corpus("sound-keyboard"), "--format", "gradescope"])
        .complains("error: a results.json is for one submission\n");
}

#[apply(test)]
fn a_build_that_fails_and_a_command_that_is_not_there_are_told_of_the_one_submission() {
    common::needs(&["python3"]);
    let broken =
        Dir::with(&[("echolog.toml", &format!("build = \"echo no such thing; exit 3\"\n{PROFILE}"))]);
    let checked = Checked::with(&[broken.path()]);
    assert_eq!((checked.code(), checked.err.as_str()), (Some(2), ""), "{checked}");
    checked.says("nothing could be run: the build failed with status 3: no such thing");

    let absent =
        Dir::with(&[("echolog.toml", "server = \"./server {port}\"\nclient = \"./client {host}\"\n")]);
    // Another one is judged all the same.
    let checked = Checked::with(&[absent.path(), &corpus("sound-newline"), "--only", "S1"]);
    checked
        .ends_with(1)
        .says("nothing could be run: client: cannot execute")
        .says("1 of 2 pass, 1 could not be run");
}

#[apply(test)]
fn a_first_draft_is_written_once_and_works() {
    common::needs(&["python3"]);
    let dir = Dir::with(&[("server.py", &sound("server.py")), ("client.py", &sound("client.py"))]);
    let path = dir.path();
    let written = Checked::with(&["--init", path]);
    written.is(0, "", &format!("wrote {path}/echolog.toml; look whether the guesses are right\n"));
    Checked::with(&[path, "--only", "S1,C1"]).ends_with(0);
    let before = fs::read(dir.file("echolog.toml")).expect("it was written");
    Checked::with(&["--init", path]).complains(&format!(
        "error: {path}/echolog.toml is there already\nhint: edit it, or take it away for a new draft\n"
    ));
    assert_eq!(fs::read(dir.file("echolog.toml")).expect("it is still there"), before);
}

#[apply(test)]
fn drafts_are_written_into_many_directories_and_those_that_are_there_stay() {
    // Elsewhere the draft says that the language is not installed.
    common::needs(&["python3"]);
    let program = "import socket\nsocket.create_server(('', int(__import__('sys').argv[1])))\n";
    let [one, two] = [Dir::with(&[("a.py", program)]), Dir::with(&[("echolog.toml", "# mine\n")])];
    let written = Checked::with(&["--init", one.path(), two.path()]);
    assert_eq!(written.code(), Some(0), "{written}");
    assert_eq!(
        written.err,
        format!(
            "wrote {0}/echolog.toml; no client was found, fill it in\n  \
             client: no program only connects; found a.py\n\
             {1}/echolog.toml is there already and stays as it is\n",
            one.path(),
            two.path()
        )
    );
    let draft = fs::read_to_string(one.file("echolog.toml")).expect("it was written");
    assert!(draft.contains("server = \"python3 a.py {port}\"\n"), "{draft}");
    assert_eq!(fs::read_to_string(two.file("echolog.toml")).expect("it is still there"), "# mine\n");
}

#[apply(test)]
fn a_draft_for_files_that_say_nothing_names_what_is_missing() {
    let dir = Dir::with(&[("notes.txt", "hello")]);
    let path = dir.path();
    let written = Checked::with(&["--init", path]);
    assert_eq!(
        written.err,
        format!(
            "wrote {path}/echolog.toml; no server and no client was found, fill it in\n  \
             there is no source file in a known language\n"
        )
    );
    Checked::with(&["--init", &format!("{path}/nowhere")])
        .complains(&format!("error: cannot read {path}/nowhere: No such file or directory\n"));
}

#[apply(test)]
fn an_interrupt_stops_it_at_once_and_leaves_nothing_running() {
    common::needs(&["python3"]);
    let mark = format!("interrupted-{}", std::process::id());
    let profile = PROFILE.replace("server.py", &format!("server.py {mark}"));
    let server = "while True:\n    pass\n";
    let dir = Dir::with(&[("server.py", server), ("client.py", "input()\n"), ("echolog.toml", &profile)]);
    let results = dir.file("results");
    let mut command = Command::new(ECHOLOG);
    command.args(["check", dir.path(), "--format", "json,tap,gradescope", "--output"]);
    let running = Running::start(command.arg(&results));
    let of_it = |pid: &std::path::Path| {
        let line = fs::read(pid.join("cmdline")).unwrap_or_default();
        line.windows(mark.len()).any(|window| window == mark.as_bytes())
    };
    let any = || fs::read_dir("/proc").expect("proc").flatten().any(|process| of_it(&process.path()));
    let begun = std::time::Instant::now();
    while !any() {
        assert!(begun.elapsed() < common::DEADLINE, "the server was never started");
    }
    let pid = nix::unistd::Pid::from_raw(running.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("it can be interrupted");
    let ended = running.ends();
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    assert!(!any(), "a server is left");
    let text = |file: &str| fs::read_to_string(results.join(file)).expect(file);
    let json: serde_json::Value = serde_json::from_str(&text("results.json")).expect("JSON");
    assert_eq!(json["stopped"], serde_json::json!([dir.path()]));
    assert_eq!(
        text("results.tap"),
        format!("Bail out! stopped, so that these were not judged: {}\n", dir.path())
    );
    let grade: serde_json::Value = serde_json::from_str(&text("gradescope.json")).expect("JSON");
    super::reports::obeys_the_autograder(&grade);
    assert_eq!(grade["score"], 0);
}
