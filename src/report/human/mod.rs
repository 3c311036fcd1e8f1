//! Results for people: one style for both jobs.

mod check;
mod replay;
mod style;

pub use self::replay::{Cases, blessed, difference, list};
pub use self::style::Style;
use crate::escape;
use crate::results::{Job, Results, Submission};

/// One submission.
pub fn submission(submission: &Submission, results: &Results, style: Style) -> String {
    check::submission(submission, results, style)
}

/// What stands below the submissions or cases.
pub fn summary(results: &Results, style: Style) -> String {
    match results.job {
        Job::Check => check::summary(results, style),
        Job::Replay => replay::summary(results, style),
    }
}

/// The whole report.
pub fn report(results: &Results, style: Style) -> String {
    let mut cases = Cases::new(style, true);
    let parts: Vec<String> = match results.job {
        Job::Check => results.submissions.iter().map(|one| submission(one, results, style) + "\n").collect(),
        Job::Replay => results.cases.iter().map(|case| cases.case(case)).collect(),
    };
    parts.concat() + &summary(results, style)
}

/// `text` from outside, safe to print.
fn shown(text: &str) -> String {
    escape::show(text.as_bytes())
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.2} s")
}

/// `count` things.
pub fn plural(count: usize, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}
