//! Feedback: a page and a text for each student, about the own submission alone.
//!
//! What always holds: nothing of the machine that judged gets in: no absolute path, no command to run
//! there; and no row that the course hides.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::Result;

use super::{Format, write};
use crate::error::Fault;
use crate::results::{Finding, Results, Submission, Visibility};

/// Writes `NAME.md` and `NAME.html` into `directory` for each submission; how many there are.
pub fn feedback(results: &Results, directory: &Path) -> Result<usize> {
    fs::create_dir_all(directory).map_err(|error| {
        Fault::usage(format!("cannot make the directory {}", directory.display())).because(error)
    })?;
    let mut taken = HashSet::new();
    for submission in &results.submissions {
        let own = own(results, submission);
        let name = file_name(&submission.name, &mut taken);
        for (format, extension) in [(Format::Markdown, "md"), (Format::Html, "html")] {
            let path = directory.join(format!("{name}.{extension}"));
            write::whole(&path, format.render(&own)?.as_bytes())?;
        }
    }
    Ok(results.submissions.len())
}

/// What one student may read.
fn own(results: &Results, submission: &Submission) -> Results {
    let seen = |id: &str| {
        let mut requirements = results.requirements.iter();
        requirements.find(|other| other.id == id).is_none_or(|one| one.visibility != Visibility::Hidden)
    };
    let mut own = results.clone();
    own.requirements.retain(|requirement| requirement.visibility != Visibility::Hidden);
    own.stopped.clear();
    own.isolation.clear();
    let mut submission = submission.clone();
    let judged = submission.findings.len();
    submission.findings.retain(|finding| seen(&finding.requirement));
    let hidden = judged - submission.findings.len();
    if hidden > 0 {
        let rows = if hidden == 1 { "1 more row".to_owned() } else { format!("{hidden} more rows") };
        submission.notes.push(format!("{rows} of your course are not shown, and not counted here"));
    }
    let name = last_part(&submission.name).to_owned();
    submission.name = name;
    submission.notes.iter_mut().for_each(|note| *note = without_paths(note));
    submission.error = submission.error.as_deref().map(without_paths);
    submission.findings.iter_mut().for_each(clean);
    own.submissions = vec![submission];
    own
}

fn clean(finding: &mut Finding) {
    finding.again.clear();
    let evidence = &mut finding.evidence;
    for text in [&mut evidence.done, &mut evidence.expected, &mut evidence.happened, &mut finding.advice] {
        *text = without_paths(text);
    }
    for event in &mut finding.measured.session {
        event.text = without_paths(&event.text);
    }
}

/// `text` with the last part of each absolute path in the place of all of it.
fn without_paths(text: &str) -> String {
    let is_part = |character: char| character.is_alphanumeric() || "_-.+@%,=~".contains(character);
    let mut out = String::new();
    let mut rest = text;
    while let Some(slash) = rest.find('/') {
        let before = rest[..slash].chars().next_back().or(out.chars().next_back());
        let path = &rest[slash..];
        let end = path.find(|character| !is_part(character) && character != '/').unwrap_or(path.len());
        let (path, after) = path.split_at(end);
        out += &rest[..slash];
        // `and/or` and `./server` are no absolute paths, and one slash may stand for a division.
        let absolute = before.is_none_or(|before| !is_part(before) && before != ':');
        let parts = path.trim_end_matches('/');
        out += if absolute && parts.matches('/').count() > 1 {
            parts.rsplit('/').next().unwrap_or_default()
        } else {
            path
        };
        rest = after;
    }
    out + rest
}

fn last_part(name: &str) -> &str {
    let name = name.trim_end_matches('/');
    // Two bare commands are no directory.
    if name.contains(" / ") { "submission" } else { name.rsplit('/').next().unwrap_or(name) }
}

/// A file's name for `name`, with nothing in it that a shell or a file system minds, each only once.
fn file_name(name: &str, taken: &mut HashSet<String>) -> String {
    let plain = |character: char| {
        if character.is_alphanumeric() || "-_.+".contains(character) { character } else { '_' }
    };
    let base: String = last_part(name).chars().map(plain).collect();
    let base = base.trim_start_matches('.');
    let base = if base.is_empty() { "submission" } else { base };
    let mut name = base.to_owned();
    for number in 2.. {
        if taken.insert(name.clone()) {
            break;
        }
        name = format!("{base}-{number}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn absolute_paths_lose_all_but_their_last_part() {
        for (text, wanted) in [
            ("File \"/tmp/echolog-x/server.py\", line 3", "File \"server.py\", line 3"),
            ("/usr/lib/python3/socket.py:1 and /home/t/", "socket.py:1 and t"),
            ("FIN/RST, 3/4, ./a/b, a/b/c", "FIN/RST, 3/4, ./a/b, a/b/c"),
            ("http://example.org/a/b", "http://example.org/a/b"),
            ("/a", "/a"),
            ("=/x/y", "=/x/y"),
        ] {
            assert_eq!(without_paths(text), wanted);
        }
    }

    #[apply(test)]
    fn file_names_are_plain_and_unlike() {
        let mut taken = HashSet::new();
        let mut name = |of: &str| file_name(of, &mut taken);
        assert_eq!(name("class/ada/"), "ada");
        assert_eq!(name("other/ada"), "ada-2");
        assert_eq!(name("c/../.hidden; rm"), "hidden__rm");
        assert_eq!(name("python3 a / python3 b"), "submission");
        assert_eq!(name("c/Zoë"), "Zoë");
    }
}
