//! A check for people: a table for each submission, then what they have in common.

use super::shown;
use super::style::{Style, padded};
use crate::report::tables::{self, Row};
use crate::results::{Finding, Outcome, Results, Submission};

/// Where evidence stands in the table.
const INDENT: &str = "               ";

/// One submission.
pub fn submission(submission: &Submission, results: &Results, style: Style) -> String {
    let mut text = format!("{}\n", style.bold(&shown(&submission.name)));
    for note in &submission.notes {
        text += &style.wrapped("  note: ", &shown(note));
    }
    if let Some(why) = &submission.error {
        return text
            + &style.wrapped("  ", &format!("{}: {}", style.red("nothing could be run"), shown(why)));
    }
    for row in tables::rows(submission) {
        match row {
            Row::One(finding) => text += &one(finding, results, style),
            Row::Folded(findings, why) => {
                let ids = tables::ids_of(&findings);
                text += &style.wrapped("  ", &format!("{ids} not run: {}", shown(&why)));
            }
        }
    }
    let framing = match submission.framing.as_str() {
        "" => String::new(),
        framing => format!("; framing seen: {}", shown(framing)),
    };
    let points = match tables::points(submission, results) {
        Some(points) if tables::is_weighted(results) => format!("; {points} points"),
        _ => String::new(),
    };
    text + &format!("  {}{points}{framing}; {:.1} s\n", tally(submission, style), submission.measured)
}

fn one(finding: &Finding, results: &Results, style: Style) -> String {
    let Finding { requirement, outcome, evidence, .. } = finding;
    let word = format!("{:8}", outcome.word());
    let word = match outcome {
        Outcome::Pass => style.green(&word),
        Outcome::NotRun => word,
        _ => style.red(&word),
    };
    let mut text = format!("  {requirement:4}{word} {}\n", tables::words(results, requirement));
    if *outcome != Outcome::Pass {
        if !evidence.done.is_empty() {
            text += &style.wrapped(&format!("{INDENT}done: "), &shown(&evidence.done));
        }
        if !evidence.expected.is_empty() {
            text += &style.wrapped(&format!("{INDENT}expected: "), &shown(&evidence.expected));
        }
        let lead = if evidence.done.is_empty() { "" } else { "happened: " };
        text += &style.wrapped(&format!("{INDENT}{lead}"), &shown(&evidence.happened));
    }
    if !finding.differing.is_empty() {
        text += &style.wrapped(INDENT, &style.red(&tables::differing(finding)));
    }
    if outcome.is_failure() {
        if !finding.advice.is_empty() {
            text += &style.wrapped(&format!("{INDENT}try: "), &shown(&finding.advice));
        }
        // Never wrapped: it is there to be copied.
        text += &format!("{INDENT}again: {}\n", style.cyan(&shown(&finding.again)));
    }
    text
}

/// A line for each of several submissions, then the requirements by how many fail them.
pub fn summary(results: &Results, style: Style) -> String {
    let (all, count) = (results.submissions.len(), results.count());
    let mut text = String::new();
    if all > 1 {
        text += "\n";
        text += &table(results, style);
    }
    if all > 1 || count.stopped > 0 {
        let mut parts = vec![format!("{} of {} pass", count.passed, all + count.stopped)];
        if count.not_run > 0 {
            parts.push(style.red(&format!("{} could not be run", count.not_run)));
        }
        if count.stopped > 0 {
            parts.push(style.red(&format!("{} not judged", count.stopped)));
        }
        text += &format!("{}; {:.1} s\n", parts.join(", "), results.measured.seconds);
    }
    if all > 1 {
        for (requirement, failures) in tables::failures(results) {
            let line = format!("{} fails in {failures} of {all}: {}", requirement.id, requirement.words);
            text += &style.wrapped("", &line);
        }
    }
    if count.stopped > 0 {
        text += &style.wrapped("not judged, since it was stopped: ", &shown(&results.stopped.join(", ")));
    }
    text
}

fn table(results: &Results, style: Style) -> String {
    use unicode_width::UnicodeWidthStr as _;
    let names: Vec<String> = results.submissions.iter().map(|submission| shown(&submission.name)).collect();
    let columns = names.iter().map(|name| name.width()).max().unwrap_or_default();
    let mut text = String::new();
    for (submission, name) in results.submissions.iter().zip(&names) {
        let name = padded(name, columns);
        if submission.error.is_some() {
            text += &format!("{name}   -  {}\n", style.red("nothing could be run"));
            continue;
        }
        let with = |wanted: &dyn Fn(Outcome) -> bool| -> Vec<&str> {
            let findings = submission.findings.iter().filter(|finding| wanted(finding.outcome));
            findings.map(|finding| finding.requirement.as_str()).collect()
        };
        let passed = with(&|outcome| outcome == Outcome::Pass).len();
        let (failed, not_run) = (with(&Outcome::is_failure), with(&|outcome| outcome == Outcome::NotRun));
        let mut rest = style.red(&tables::ids(&failed));
        if !not_run.is_empty() {
            let between = if failed.is_empty() { "" } else { "; " };
            rest += &format!("{between}not run: {}", tables::ids(&not_run));
        }
        let points = match tables::points(submission, results) {
            Some(points) if tables::is_weighted(results) => format!("  {points} points"),
            _ => String::new(),
        };
        text += format!("{name}  {passed:2}{points}  {rest}").trim_end();
        text += "\n";
    }
    text
}

fn tally(submission: &Submission, style: Style) -> String {
    let text = tables::tally(submission);
    if submission.passes() { style.green(&text) } else { text }
}
