//! The changes between two runs: what passes now, what fails now, who is new.

use serde_json::json;

use super::Format;
use super::human::Style;
use super::markdown;
use crate::error::Fault;
use crate::escape;
use crate::results::{Case, Outcome, Results, Submission};

/// One change: of a requirement, a case, or a whole submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The submission, or the fixture.
    pub name: String,
    /// The requirement, or the case; empty where it is about all of them.
    pub what: String,
    /// What it was, and what it is: verdicts, or nothing where it was not there.
    pub verdicts: [Option<String>; 2],
}

/// The changes from `old` to `new`, in the order of `new`; none if the verdicts are the same. Measured
/// values do not count.
pub fn changes(old: &Results, new: &Results) -> Vec<Change> {
    let [old, new] = [old, new].map(verdicts);
    let mut changes = Vec::new();
    for (name, what, verdict) in &new {
        let before = old.iter().find(|(other, row, _)| (other, row) == (name, what)).map(|row| row.2.clone());
        if before.as_ref() != Some(verdict) {
            let verdicts = [before, Some(verdict.clone())];
            changes.push(Change { name: name.clone(), what: what.clone(), verdicts });
        }
    }
    for (name, what, verdict) in old {
        if !new.iter().any(|(other, row, _)| (other, row) == (&name, &what)) {
            changes.push(Change { name, what, verdicts: [Some(verdict), None] });
        }
    }
    changes
}

/// Each verdict with the names it stands under.
fn verdicts(results: &Results) -> Vec<(String, String, String)> {
    let of_submission = |one: &Submission| {
        let name = one.name.trim_end_matches('/').to_owned();
        if one.error.is_some() {
            return vec![(name, String::new(), "could not be run".to_owned())];
        }
        let verdict = |id: &str, outcome: Outcome| (name.clone(), id.to_owned(), outcome.word().to_owned());
        one.findings.iter().map(|finding| verdict(&finding.requirement, finding.outcome)).collect()
    };
    let of_case = |case: &Case| (case.fixture.clone(), case.name(), case.outcome.word().to_owned());
    let submissions = results.submissions.iter().flat_map(of_submission);
    submissions.chain(results.cases.iter().map(of_case)).collect()
}

/// `changes` in `format`.
pub fn render(changes: &[Change], format: Format) -> anyhow::Result<String> {
    Ok(match format {
        Format::Human => human(changes, Style::of_stdout()),
        Format::Json => {
            let change = |change: &Change| json!({ "name": change.name, "what": change.what, "verdicts": change.verdicts });
            let changes: Vec<_> = changes.iter().map(change).collect();
            format!("{:#}\n", json!({ "changes": changes }))
        }
        Format::Markdown => {
            let mut text = "| | | before | now |\n|---|---|---|---|\n".to_owned();
            for change in changes {
                let [before, now] = words(change);
                let (name, what) = (markdown::inline(&change.name), markdown::inline(&change.what));
                text += &format!("| {name} | {what} | {before} | {now} |\n");
            }
            text
        }
        _ => return Err(Fault::usage("changes are told as human, json or markdown").into()),
    })
}

fn words(change: &Change) -> [String; 2] {
    change.verdicts.clone().map(|verdict| verdict.unwrap_or_else(|| "not there".to_owned()))
}

fn human(changes: &[Change], style: Style) -> String {
    if changes.is_empty() {
        return "no verdict has changed\n".to_owned();
    }
    let mut text = String::new();
    let mut last = None;
    for change in changes {
        if last != Some(&change.name) {
            text += &format!("{}\n", style.bold(&escape::show(change.name.as_bytes())));
            last = Some(&change.name);
        }
        let [before, now] = words(change);
        let now = match now.as_str() {
            "pass" => style.green(&now),
            "not there" | "not run" => now,
            _ => style.red(&now),
        };
        let what = if change.what.is_empty() { "all" } else { change.what.as_str() };
        text += &format!("  {what:4} {before} -> {now}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Job, Sessions};

    fn run(verdicts: &[(&str, Outcome)], seconds: f64) -> Results {
        let mut results = Results::begin(Job::Replay);
        for (fixture, outcome) in verdicts {
            results.cases.push(Case {
                fixture: (*fixture).to_owned(),
                drive: "pipe".into(),
                wire: "drip".into(),
                outcome: *outcome,
                reason: None,
                sessions: 1,
                failures: Vec::new(),
                accept: None,
                measured: Sessions { seconds, shown: Vec::new() },
            });
        }
        results
    }

    #[apply(test)]
    fn only_verdicts_count_and_what_comes_and_goes_is_named() {
        let old = run(&[("a", Outcome::Pass), ("b", Outcome::Fail), ("c", Outcome::Hung)], 1.0);
        assert_eq!(
            changes(&old, &run(&[("a", Outcome::Pass), ("b", Outcome::Fail), ("c", Outcome::Hung)], 2.0)),
            []
        );
        let changes =
            changes(&old, &run(&[("a", Outcome::Crashed), ("b", Outcome::Fail), ("d", Outcome::Pass)], 1.0));
        let text = human(&changes, Style::PLAIN);
        let wanted = "a\n  pipe::drip pass -> crashed\nd\n  pipe::drip not there -> pass\n\
                      c\n  pipe::drip hung -> not there\n";
        assert_eq!(text, wanted);
    }
}
