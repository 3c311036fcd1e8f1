//! `results.json` of a Gradescope autograder, as its documentation has it ("Output format").
//!
//! What always holds: the file is valid and has a score, whatever became of the submission, so that a
//! student reads why instead of "the autograder failed to execute correctly".

use serde_json::{Value, json};

use super::{row, tables};
use crate::escape;
use crate::results::{Finding, Outcome, Results, Submission};

/// The file for the one submission of `results`.
pub fn render(results: &Results) -> String {
    let document = match results.submissions.first() {
        Some(submission) if submission.error.is_none() => judged(submission, results),
        Some(submission) => {
            let why = escape::show(submission.error.as_deref().unwrap_or_default().as_bytes());
            without_tests(&format!("nothing could be run: {why}"), submission.measured)
        }
        None => without_tests("The check was stopped before it ended. Please try again.", 0.0),
    };
    format!("{document:#}\n")
}

/// Without tests there is nothing to add up, and the score is required.
fn without_tests(why: &str, seconds: f64) -> Value {
    json!({
        "score": 0,
        "output": why,
        "output_format": "text",
        "execution_time": whole(seconds),
        "tests": [],
    })
}

fn judged(submission: &Submission, results: &Results) -> Value {
    let test = |finding: &Finding| {
        let passed = finding.outcome == Outcome::Pass;
        let most = tables::worth(results, &finding.requirement);
        let requirement = tables::requirement(results, &finding.requirement);
        json!({
            "name": format!("{} {}", finding.requirement, tables::words(results, &finding.requirement)),
            "number": finding.requirement,
            "score": if passed { most } else { 0.0 },
            "max_score": most,
            "status": if passed { "passed" } else { "failed" },
            "output": row::details(finding),
            "output_format": "text",
            "visibility": requirement.map(|requirement| requirement.visibility).unwrap_or_default(),
            "extra_data": { "verdict": finding.outcome.word() },
        })
    };
    let mut output = tables::tally(submission);
    for note in &submission.notes {
        output += &format!("\n{}", escape::show(note.as_bytes()));
    }
    json!({
        "output": output,
        "output_format": "text",
        "execution_time": whole(submission.measured),
        "tests": submission.findings.iter().map(test).collect::<Vec<_>>(),
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time of seconds to hours")]
fn whole(seconds: f64) -> u64 {
    seconds.max(0.0).round() as u64
}
