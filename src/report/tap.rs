//! Test Anything Protocol, version 12: a line for each result, and the evidence in comments.

use super::row::rows;
use crate::escape;
use crate::results::{Outcome, Results};

/// The whole report. One that was stopped ends with `Bail out!`, which no consumer takes for a success.
pub fn render(results: &Results) -> String {
    let rows: Vec<_> = rows(results).into_iter().filter(|row| row.outcome.is_some()).collect();
    // A plan of no tests would count as a success.
    let mut text = if rows.is_empty() { String::new() } else { format!("1..{}\n", rows.len()) };
    for (index, row) in rows.iter().enumerate() {
        let number = index + 1;
        // In a description, # would begin a directive.
        let name = format!("{}::{}", row.suite, row.case).replace('\\', "\\\\").replace('#', "\\#");
        match row.outcome {
            Some(Outcome::Pass) | None => text += &format!("ok {number} - {name}\n"),
            Some(Outcome::NotRun) => text += &format!("ok {number} - {name} # SKIP {}\n", row.message),
            Some(_) => {
                text += &format!("not ok {number} - {name}\n");
                for line in row.details.lines() {
                    text += &format!("# {line}\n");
                }
            }
        }
    }
    if !results.stopped.is_empty() {
        let names = escape::show(results.stopped.join(", ").as_bytes());
        text += &format!("Bail out! stopped, so that these were not judged: {names}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Case, Job, Sessions};

    fn case(fixture: &str, outcome: Outcome) -> Case {
        Case {
            fixture: fixture.into(),
            drive: "pipe".into(),
            wire: "direct".into(),
            outcome,
            reason: Some("why".into()),
            sessions: 0,
            failures: Vec::new(),
            accept: None,
            measured: Sessions::default(),
        }
    }

    #[apply(test)]
    fn a_name_cannot_be_taken_for_a_directive() {
        let mut results = Results::begin(Job::Replay);
        results.cases.extend([case("a # TODO", Outcome::Pass), case("b", Outcome::NotRun)]);
        let wanted = "1..2\nok 1 - a \\# TODO::pipe::direct\nok 2 - b::pipe::direct # SKIP why\n";
        assert_eq!(render(&results), wanted);
    }

    #[apply(test)]
    fn a_stopped_run_without_any_result_is_no_empty_plan() {
        let mut results = Results::begin(Job::Replay);
        results.stopped.push("ada\n".into());
        assert_eq!(render(&results), "Bail out! stopped, so that these were not judged: ada\\x0a\n");
    }
}
