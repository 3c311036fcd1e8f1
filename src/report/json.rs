//! The results themselves as one JSON document, which `echolog report` reads again.

use serde_json::{Value, json};

use crate::results::{Job, Results};

/// The whole document. Its `summary` repeats what follows from the rest, for scripts.
pub fn render(results: &Results) -> String {
    let mut document = json!(results);
    let count = results.count();
    let what = match results.job {
        Job::Check => "submissions",
        Job::Replay => "cases",
    };
    let all = results.submissions.len() + results.cases.len();
    let mut summary = json!(count);
    if let Value::Object(summary) = &mut summary {
        summary.insert(what.to_owned(), all.into());
        if results.job == Job::Check {
            summary.remove("sessions");
        }
    }
    document["summary"] = summary;
    format!("{document:#}\n")
}
