//! `echolog report`: stored results rendered again, put together and compared, and read by those for whom the
//! formats are meant.

use predicates::prelude::*;
use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Checked, Dir};
use crate::common::{self, ECHOLOG};

/// A name, and a screen, that would do harm if they were taken for anything but text.
const HOSTILE: &str = "=<img src=x onerror=\"document.title='owned'\"> | `x` \u{202e}";

fn finding(requirement: &str, outcome: &str) -> Value {
    let mut finding = json!({
        "requirement": requirement,
        "outcome": outcome,
        "evidence": {
            "done": "The server was started in /tmp/echolog-1/bob.",
            "expected": "It listens.",
            "happened": format!("it shows: {HOSTILE}"),
        },
        "advice": "Call listen() after bind().",
        "again": format!("/opt/bin/echolog check class/bob --only {requirement}"),
        "measured": { "seconds": 0.25 },
    });
    if outcome == "fail" {
        finding["measured"]["session"] = json!([
            { "at": 1000, "kind": "client-typed", "text": "hello\n" },
            { "at": 2000, "kind": "to-server", "text": "hello\\n" },
            { "at": 3000, "kind": "server-screen", "text": HOSTILE },
            { "at": 4000, "kind": "server-end", "text": "ended with status 1" },
        ]);
    }
    finding
}

fn submission(name: &str, outcomes: [&str; 3]) -> Value {
    let findings: Vec<Value> =
        ["S1", "S2", "R7"].iter().zip(outcomes).map(|(id, outcome)| finding(id, outcome)).collect();
    json!({ "name": name, "framing": "newline", "findings": findings, "measured": 1.5 })
}

/// The results of a class of four: one passes, one fails, one could not be run, one has a hostile name.
fn class() -> Value {
    let requirement =
        |id: &str, points: f64| json!({ "id": id, "words": format!("{id} words"), "points": points });
    json!({
        "schema": 2,
        "job": "check",
        "stopped": [],
        "requirements": [requirement("S1", 1.0), requirement("S2", 2.5), requirement("R7", 0.5)],
        "submissions": [
            submission("class/bob", ["pass", "fail", "hung"]),
            submission("class/ada", ["pass", "pass", "pass"]),
            { "name": "class/cyd", "error": "the build failed: /usr/bin/cc: no", "framing": "", "findings": [],
              "measured": 0.1 },
            submission(&format!("class/{}", HOSTILE.replace('/', "")), ["pass", "pass", "crashed"]),
        ],
        "measured": { "began": 1_709_210_096, "seconds": 4.0 },
    })
}

/// A directory with results in files of these names.
fn stored(results: &[(&str, Value)]) -> Dir {
    let texts: Vec<String> = results.iter().map(|(_, value)| value.to_string()).collect();
    let files: Vec<(&str, &str)> =
        results.iter().zip(&texts).map(|((name, _), text)| (*name, text.as_str())).collect();
    Dir::with(&files)
}

/// Runs `echolog report` in `dir`.
fn report(dir: &Dir, args: &[&str]) -> Checked {
    Checked::run(Command::new(ECHOLOG).arg("report").args(args).current_dir(dir.path()))
}

/// Runs `program` in `dir`.
fn run(dir: &Dir, program: &str, args: &[&str]) -> Checked {
    Checked::run(Command::new(program).args(args).current_dir(dir.path()))
}

#[apply(test)]
fn a_stored_file_is_rendered_as_the_same_document() {
    let dir = stored(&[("a.json", class())]);
    let again = report(&dir, &["a.json", "--format", "json"]);
    again.ends_with(0);
    let mut document = again.json();
    let summary = document.as_object_mut().expect("an object").remove("summary").expect("a summary");
    assert_eq!(summary, json!({ "submissions": 4, "passed": 1, "failed": 2, "not_run": 1, "stopped": 0 }));
    let dir = stored(&[("a.json", class()), ("b.json", again.json())]);
    report(&dir, &["b.json", "--compare", "a.json"]).ends_with(0).says("no verdict has changed");
    let human = report(&dir, &["b.json"]);
    human
        .ends_with(0)
        .says("S2 fail S2 words done: The server was started")
        .says("try: Call listen() after bind().")
        .says("again: /opt/bin/echolog check class/bob --only S2")
        .says("1 points; framing seen: newline")
        .says("1 of 4 pass, 1 could not be run")
        .says("R7 fails in 2 of 4: R7 words");
}

#[apply(test)]
fn python_reads_the_csv() {
    common::needs(&["python3"]);
    let dir = stored(&[("a.json", class())]);
    report(&dir, &["a.json", "--format", "csv", "--output", "a.csv"]).ends_with(0);
    let read = "import csv\nfor row in csv.DictReader(open('a.csv', newline='')):\n    \
                print(row['name'][:5], row['S2'], row['R7'], row['points'], row['total'], row['note'], sep=';')";
    let read = run(&dir, "python3", &["-c", read]);
    let rows: Vec<&str> = read.out.lines().collect();
    assert_eq!(
        rows,
        [
            "bob;fail;hung;1;4;",
            "ada;pass;pass;4;4;",
            "cyd;;;0;4;nothing could be run: the build failed: /usr/bin/cc: no",
            "'=<im;pass;crashed;3.5;4;",
        ],
        "{read}"
    );
}

#[apply(test)]
fn the_parts_of_a_class_are_put_together_in_their_order() {
    let part = |which: usize| {
        let mut part = class();
        let all = part["submissions"].as_array().expect("a list").clone();
        part["submissions"] = all.into_iter().skip(which).step_by(2).collect();
        part
    };
    let dir = stored(&[("1.json", part(0)), ("2.json", part(1)), ("all.json", class())]);
    let merged = report(&dir, &["1.json", "2.json", "--format", "json"]);
    assert_eq!(merged.json()["submissions"], class()["submissions"]);
    let twice = report(&dir, &["1.json", "all.json"]);
    twice.ends_with(2);
    assert!(twice.err.starts_with("error: all.json: class/bob is in another file too"), "{twice}");
}

#[apply(test)]
fn a_comparison_names_what_has_changed_and_ignores_times() {
    let mut old = class();
    old["measured"]["seconds"] = 99.0.into();
    old["submissions"][0]["findings"][1]["measured"]["seconds"] = 7.0.into();
    let dir = stored(&[("old.json", old.clone()), ("new.json", class())]);
    report(&dir, &["new.json", "--compare", "old.json"]).ends_with(0).says("no verdict has changed");
    old["submissions"][0]["findings"][0]["outcome"] = "fail".into();
    old["submissions"][1]["name"] = "class/eve".into();
    let dir = stored(&[("old.json", old), ("new.json", class())]);
    let changed = report(&dir, &["new.json", "--compare", "old.json"]);
    changed.ends_with(1).says("class/bob S1 fail -> pass").says("class/ada S1 not there -> pass");
    let json = report(&dir, &["new.json", "--compare", "old.json", "--format", "json"]).json();
    assert_eq!(
        json["changes"][0],
        json!({ "name": "class/bob", "what": "S1", "verdicts": ["fail", "pass"] })
    );
}

#[apply(test)]
fn what_is_not_a_file_of_results_is_named() {
    let dir = stored(&[("future.json", json!({ "schema": 99 })), ("other.json", json!({ "a": 1 }))]);
    fs::write(dir.file("text.json"), "hello").expect("a file");
    for (file, says) in [
        ("future.json", "error: future.json: its schema is 99, and this echolog reads 2\n"),
        ("other.json", "error: other.json: no results of echolog\n"),
        ("text.json", "error: text.json: not JSON: expected value at line 1 column 1\n"),
        ("absent.json", "error: cannot read absent.json: No such file or directory\n"),
    ] {
        let wrong = report(&dir, &[file]);
        wrong.ends_with(2);
        assert!(wrong.err.starts_with(says), "{wrong}");
    }
    let dir = stored(&[("a.json", class())]);
    let several = report(&dir, &["a.json", "--format", "csv,json"]);
    several.ends_with(2);
    assert!(several.err.starts_with("error: several formats need a directory\n"), "{several}");
}

#[apply(test)]
fn a_stopped_run_names_what_was_not_judged_in_every_format() {
    let mut stopped = class();
    stopped["stopped"] = json!(["class/dan"]);
    let dir = stored(&[("a.json", stopped)]);
    let formats = "human,json,junit,tap,csv,markdown,html";
    report(&dir, &["a.json", "--format", formats, "--output", "out/"]).ends_with(0);
    for (file, says) in [
        ("results.txt", "not judged, since it was stopped: class/dan"),
        ("results.json", "\"stopped\": [\n    \"class/dan\"\n  ]"),
        ("junit.xml", "<error type=\"stopped\""),
        ("results.tap", "\nBail out! stopped, so that these were not judged: class/dan\n"),
        ("results.csv", "class/dan,,,,,4,not judged: stopped\n"),
        ("results.md", "Not judged: class/dan"),
        ("results.html", "Not judged: class/dan"),
    ] {
        let text = fs::read_to_string(dir.file("out").join(file)).expect(file);
        assert!(text.contains(says), "{file}: {text}");
    }
}

#[apply(test)]
fn a_schema_accepts_the_junit_of_a_stopped_run_and_prove_fails_it() {
    common::needs(&["xmllint", "prove"]);
    let mut stopped = class();
    stopped["stopped"] = json!(["class/dan"]);
    let dir = stored(&[("a.json", stopped)]);
    report(&dir, &["a.json", "--format", "junit,tap", "--output", "."]).ends_with(0);
    let schema = format!("{}/tests/replay/junit.xsd", env!("CARGO_MANIFEST_DIR"));
    let valid = run(&dir, "xmllint", &["--noout", "--schema", &schema, "junit.xml"]);
    assert_eq!(valid.code(), Some(0), "{valid}");
    let proved = run(&dir, "prove", &["--exec", "cat", "results.tap"]);
    assert_ne!(proved.code(), Some(0), "{proved}");
    let bails_out = predicate::str::contains("Bailout called");
    assert!(bails_out.eval(&proved.err) || bails_out.eval(&proved.out), "{proved}");
}

#[apply(test)]
fn feedback_is_about_the_student_and_nothing_of_the_machine() {
    let mut results = class();
    results["requirements"][2]["visibility"] = "hidden".into();
    let dir = stored(&[("a.json", results)]);
    report(&dir, &["a.json", "--feedback", "feedback"]).ends_with(0);
    let names = fs::read_dir(dir.file("feedback")).expect("it was made").count();
    assert_eq!(names, 8);
    for file in ["bob.md", "bob.html"] {
        let text = fs::read_to_string(dir.file("feedback").join(file)).expect(file);
        for absent in ["/tmp", "/opt", "class/", "ada", "--only", "R7", "<img"] {
            assert!(!text.contains(absent), "{absent} in {file}: {text}");
        }
        for present in [
            "What to try next",
            "Call listen() after bind().",
            "was started in bob.",
            "1 more row of your course",
        ] {
            assert!(text.contains(present), "{present} is missing in {file}: {text}");
        }
    }
    let text = fs::read_to_string(dir.file("feedback/cyd.md")).expect("it was written");
    assert!(text.contains("the build failed: cc: no"), "{text}");
}

/// The page `html` as a browser has it after running `script` in it.
fn in_browser(dir: &Dir, html: &str, script: &str) -> String {
    let page = dir.file("page.html");
    // The script of the page stands before it.
    fs::write(&page, html.replace("</body>", &format!("<script>{script}</script></body>"))).expect("a page");
    let profile = format!("--user-data-dir={}/profile", dir.path());
    let browser = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args([profile.as_str(), "--dump-dom"])
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .output()
        .expect("a browser");
    String::from_utf8(browser.stdout).expect("UTF-8")
}

#[apply(test)]
fn a_browser_sorts_and_filters_the_page_and_runs_nothing_of_a_submission() {
    common::needs(&["chromium"]);
    let dir = stored(&[("a.json", class())]);
    let html = report(&dir, &["a.json", "--format", "html"]).0.out;
    let script = "
        const names = () => [...document.querySelectorAll('.matrix tbody tr')]
            .filter(row => !row.hidden).map(row => row.cells[0].textContent.slice(0, 4)).join(' ');
        const heads = document.querySelectorAll('.matrix thead button');
        const told = [names()];
        heads[0].click(); told.push(names());
        heads[2].click(); told.push(names());
        heads[2].click(); told.push(names());
        const closed = () => document.querySelectorAll('details.one:not([open])').length;
        for (const event of ['beforeprint', 'afterprint']) {
            dispatchEvent(new Event(event)); told.push(String(closed() === 0));
        }
        const filter = document.getElementById('filter');
        filter.value = 'hung'; filter.dispatchEvent(new Event('change')); told.push(names());
        filter.value = 'error'; filter.dispatchEvent(new Event('change')); told.push(names());
        location.hash = '#s0-S2';
        addEventListener('hashchange', () => told.push(String(document.getElementById('s0').open)));
        setTimeout(() => {
            const result = document.createElement('p');
            result.textContent = 'RESULT ' + told.join('; ') + '; ' + document.images.length + ' ' + document.title;
            document.body.append(result);
        }, 0);";
    let dom = in_browser(&dir, &html, script);
    let at = dom.find("<p>RESULT ").unwrap_or_else(|| panic!("no result in {dom}"));
    let result = dom[at..].split("</p>").next().expect("a paragraph");
    let wanted = "<p>RESULT bob ada cyd =&lt;im; =&lt;im ada bob cyd; cyd bob =&lt;im ada; ada =&lt;im bob cyd; true; false; bob; cyd; \
                  true; 0 echolog check: 4 submissions";
    assert_eq!(result, wanted);
}
