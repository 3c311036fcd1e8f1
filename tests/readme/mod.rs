//! README.md and its siblings are true: every command in them is run, and every output in them is what comes out.
//! Each section (`## `) is a test of its own:
//!
//!     cargo test Scripts
//!
//! How its code blocks are written:
//!
//! - `console`: lines that begin with `$ ` are commands (continued by lines with `> `), run one after
//!   another by one bash; the other lines are what they print. The last one succeeds.
//! - `console terminal=NAME`: such blocks that follow each other, up to a NAME that comes again, run at
//!   the same time, each at a terminal of its own. A block begins when the server in the one before is
//!   ready. What stands behind a prompt of the pair is typed.
//! - `computer=192.168.1.4`, added to one of these: it runs at that computer instead of 192.168.1.3.
//! - `LANGUAGE file=NAME`: the block is a file, for the blocks after it.
//! - `sh`: commands that a test cannot run (they install, or run this test); it looks whether they
//!   could be.
//! - `text`, `toml`: for reading only.
//!
//! A comment right before a block may declare how its last command ends, `<!-- exit: 1 -->`, programs that the
//! section needs, `<!-- needs: nc python3 -->`, and what is never twice the same, `<!-- volatile: REGEX -->`.
//! `BLESS=1 cargo test readme` rewrites the outputs.

mod blocks;
mod running;

use std::path::Path;

use crate::common::harness::Test;
use crate::common::{needs, network};
use blocks::{Section, sections};
use libtest_mimic::{Completion, Failed};
use regex::Regex;

/// The documents, each beside what it is about.
const DOCUMENTS: [&str; 5] = [
    "README.md",
    "fixtures/README.md",
    "fixtures/submissions/README.md",
    "scripts/README.md",
    "src/README.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The test of each section of each document.
pub fn tests() -> Vec<Test> {
    let of = |document| {
        read(root(), document).into_iter().map(move |section| {
            let name = format!("readme::{document}: {}", section.heading);
            Test::new(name, move || is_true(document, &section, root()))
        })
    };
    DOCUMENTS.into_iter().flat_map(of).collect()
}

fn read(root: &Path, document: &str) -> Vec<Section> {
    let text = std::fs::read_to_string(root.join(document));
    let text = text.unwrap_or_else(|error| panic!("{document}: {error}"));
    sections(&text).unwrap_or_else(|error| panic!("{document}:{error}"))
}

fn is_true(document: &str, section: &Section, root: &Path) -> Result<Completion, Failed> {
    needs(&section.needs());
    let untrue = running::check(section, root);
    let reports = untrue.iter().map(|untrue| format!("{document}:{}: {}", untrue.block.line, untrue.why));
    let reports: Vec<String> = reports.collect();
    if reports.is_empty() {
        return Ok(Completion::Completed);
    }
    Err(format!("{}\nBLESS=1 cargo test readme rewrites the outputs", reports.join("\n")).into())
}

/// Rewrites the outputs in all documents.
pub fn bless() {
    let root = root();
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(root.join(document)).expect("the document can be read");
        let mut lines: Vec<&str> = text.lines().collect();
        let sections = read(root, document);
        let untrue: Vec<_> = sections.iter().flat_map(|section| running::check(section, root)).collect();
        for untrue in untrue.iter().rev() {
            lines.splice(untrue.block.lines.clone(), untrue.seen.lines());
        }
        std::fs::write(root.join(document), lines.join("\n") + "\n").expect("the document can be written");
        println!("{document}: {} blocks were rewritten", untrue.len());
    }
}

#[apply(test)]
fn every_link_leads_to_a_file() {
    let root = root();
    let link = Regex::new(r"\]\(([^)#]+)").expect("a pattern");
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(root.join(document)).expect("the document can be read");
        let directory = root.join(document).parent().expect("it is in a directory").to_owned();
        for link in link.captures_iter(&text) {
            assert!(directory.join(&link[1]).exists(), "{document}: {}", &link[1]);
        }
    }
}

#[apply(test)]
fn every_source_file_that_is_named_exists() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let path = Regex::new("`([a-z_/]+\\.rs)`").expect("a pattern");
    for path in path.captures_iter(include_str!("../../src/README.md")) {
        assert!(source.join(&path[1]).exists() || source.join("../").join(&path[1]).exists(), "{}", &path[1]);
    }
}

#[apply(test)]
fn the_list_of_requirements_is_the_table_of_check() {
    let row = Regex::new(r"(?m)^\| ([SCR][0-9]+) \| (.*) \|$").expect("a pattern");
    let entry = Regex::new("id: Id::([A-Z0-9]+),\\s*words: \"(.*?)\",").expect("a pattern");
    let pairs = |pattern: &Regex, text: &str| -> Vec<(String, String)> {
        pattern.captures_iter(text).map(|row| (row[1].to_owned(), row[2].to_owned())).collect()
    };
    let listed = pairs(&row, include_str!("../../fixtures/submissions/README.md"));
    assert_eq!(listed, pairs(&entry, include_str!("../../src/check/requirement.rs")));
}

// ------------------------------------------------------------------------- the test of this test

/// Whether `markdown` is found to be true.
fn passes(markdown: &str) -> bool {
    let sections = sections(markdown).expect("it is well-formed");
    sections.iter().all(|section| running::check(section, Path::new(env!("CARGO_MANIFEST_DIR"))).is_empty())
}

const TWO_TERMINALS: &str = "\
```console terminal=server
$ echolog server
enter port to listen on: 12345
server is at address: 192.168.1.3
server is using port: 12345
server connected to client at address: 192.168.1.4
server received message: \"hello\"
the client has informed the server that it is quitting
```

and on the other computer

```console terminal=client computer=192.168.1.4
$ echolog client 192.168.1.3 12345
client has connected to the server!
enter a message to send to server: hello
client sending message: \"hello\"
enter a message to send to server: quit
client informing server that it is quitting.
client received message log:
hello
```
";

#[apply(test)]
fn a_true_text_is_found_true_and_one_changed_in_any_line_is_not() {
    needs(&network::TOOLS);
    assert!(passes(TWO_TERMINALS));
    for (was, changed) in [
        ("address: 192.168.1.4", "address: 192.168.1.5"),
        ("client sending message: \"hello\"", "client sends message: \"hello\""),
        ("client received message log:\nhello\n", "client received message log:\n"),
        ("received message: \"hello\"\n", "received message: \"hello\"\n\n"),
    ] {
        assert!(!passes(&TWO_TERMINALS.replace(was, changed)), "{changed}");
    }
}

#[apply(test)]
fn commands_outputs_exit_codes_and_files_are_looked_at() {
    needs(&["bash"]);
    for (markdown, verdict) in [
        ("```console\n$ echo one\none\n$ echo two \\\n> three\ntwo three\n```", true),
        ("```console\n$ echo one\ntwo\n```", false),
        ("```console\n$ echo one\n```", false),
        ("```console\n$ false\n```", false),
        ("```console\n$ false\n$ echo $?\n1\n```", true),
        ("<!-- exit: 1 -->\n```console\n$ false\n```", true),
        ("<!-- exit: 1 -->\n```console\n$ true\n```", false),
        ("```console\n$ ls no-such-file >&2 || echo no\nno\n```", false),
        ("<!-- volatile: \\d+ ms -->\n```console\n$ echo took 17 ms\ntook 23 ms\n```", true),
        ("<!-- volatile: \\d+ ms -->\n```console\n$ echo took 17 ms\ntook 23 s\n```", false),
        ("```text file=messages.txt\nhello\n```\n```console\n$ cat messages.txt\nhello\n```", true),
        ("```sh\nmake build\nsudo make install PREFIX=/usr # comment\ncargo test\n.ci/run\n```", true),
        ("```sh\necholog check DIR --format=json\n```", true),
        ("```sh\necholog check --no-such-option\n```", false),
        ("```sh\necholog no-such-command\n```", false),
        ("```sh\nmake no-such-goal\n```", false),
        ("```sh\nscripts/no-such-script\n```", false),
    ] {
        assert_eq!(passes(markdown), verdict, "{markdown}");
    }
}

#[apply(test)]
fn a_block_that_would_escape_is_an_error() {
    for markdown in [
        "```\ntext\n```",
        "```bash\nls\n```",
        "```console\nls\n```",
        "```console\n$ ls\n",
        "```console x=1\n$ ls\n```",
    ] {
        assert!(sections(markdown).is_err(), "{markdown}");
    }
}
