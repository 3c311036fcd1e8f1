//! Results for people: one style for both jobs.

mod check;
mod replay;
mod style;

pub use self::replay::{Cases, blessed, difference, list};
pub use self::style::Style;
use crate::escape;
use crate::results::{Job, Requirement, Results, Submission};

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

/// Requirements as they are listed; at length, if they are to be explained.
pub fn requirements(all: &[Requirement], explain: bool) -> String {
    let style = Style::of_stdout();
    let mut text = String::new();
    for requirement in all {
        let head = format!("{:4}{}", requirement.id, requirement.words);
        text += &if explain { format!("{}\n", style.bold(&head)) } else { style.wrapped("", &head) };
        if explain {
            for (lead, words) in [
                ("done", &requirement.done),
                ("expected", &requirement.expected),
                ("why", &requirement.why),
                ("try", &requirement.advice),
            ] {
                if !words.is_empty() {
                    text += &style.wrapped(&format!("    {lead}: "), words);
                }
            }
        }
    }
    text
}

/// The whole report.
pub fn report(results: &Results, style: Style) -> String {
    let mut cases = Cases::new(style, true);
    let told = match results.job {
        Job::Check => {
            let tables = results.submissions.iter().map(|one| submission(one, results, style));
            tables.collect::<Vec<_>>().join("\n")
        }
        Job::Replay => results.cases.iter().map(|case| cases.case(case)).collect(),
    };
    told + &summary(results, style)
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
