//! JUnit XML: a suite for each submission or fixture, a case for each result.
//!
//! What a program did wrong is a failure; that it hung, flooded its screen or crashed, or that it was not
//! judged because the run was stopped, is an error.

use std::time::{Duration, UNIX_EPOCH};

use super::row::{Row, rows};
use crate::results::{Outcome, Results};

/// The whole report.
pub fn render(results: &Results) -> String {
    let rows = rows(results);
    let mut suites: Vec<(&str, Vec<&Row>)> = Vec::new();
    for row in &rows {
        match suites.iter_mut().find(|(suite, _)| *suite == row.suite) {
            Some((_, rows)) => rows.push(row),
            None => suites.push((&row.suite, vec![row])),
        }
    }
    let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok());
    let host = attribute(&host.filter(|host| !host.is_empty()).unwrap_or_else(|| "localhost".into()));
    let package = format!("echolog {}", results.job.word());
    let began = UNIX_EPOCH + Duration::from_secs(results.measured.began);
    // The schema wants a time without a zone.
    let began = humantime::format_rfc3339_seconds(began).to_string();
    let began = began.trim_end_matches('Z');
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    for (id, (suite, rows)) in suites.iter().enumerate() {
        let number = |kind: Kind| rows.iter().filter(|row| kind_of(row.outcome) == kind).count();
        text += &format!(
            "  <testsuite id=\"{id}\" package=\"{package}\" name=\"{}\" timestamp=\"{began}\" hostname=\"{host}\" \
             tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\">\n    <properties/>\n",
            attribute(suite),
            rows.len(),
            number(Kind::Failure),
            number(Kind::Error),
            number(Kind::Skipped),
            rows.iter().map(|row| row.seconds).sum::<f64>(),
        );
        for row in rows {
            text += &test_case(suite, row);
        }
        text += "    <system-out/>\n    <system-err/>\n  </testsuite>\n";
    }
    text + "</testsuites>\n"
}

fn test_case(suite: &str, row: &Row) -> String {
    let begin = format!(
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
        attribute(suite),
        attribute(&row.case),
        row.seconds
    );
    let message = attribute(&row.message);
    let element = match kind_of(row.outcome) {
        Kind::Passed => return begin + "/>\n",
        Kind::Skipped => {
            return format!("{begin}>\n      <skipped message=\"{message}\"/>\n    </testcase>\n");
        }
        Kind::Failure => "failure",
        Kind::Error => "error",
    };
    let kind = row.outcome.map_or("stopped", Outcome::word);
    let details = content(&row.details);
    format!(
        "{begin}>\n      <{element} type=\"{kind}\" message=\"{message}\">{details}</{element}>\n    </testcase>\n"
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Passed,
    Failure,
    Error,
    Skipped,
}

fn kind_of(outcome: Option<Outcome>) -> Kind {
    match outcome {
        Some(Outcome::Pass) => Kind::Passed,
        Some(Outcome::Fail) => Kind::Failure,
        Some(Outcome::Hung | Outcome::Flooded | Outcome::Crashed) | None => Kind::Error,
        Some(Outcome::NotRun) => Kind::Skipped,
    }
}

/// `text` inside an attribute.
fn attribute(text: &str) -> String {
    content(text).replace('"', "&quot;").replace('\n', "&#10;").replace('\t', "&#9;")
}

/// `text` between tags. Of what XML cannot say (XML 1.0, section 2.2), control characters have been
/// made visible before; two code points are left.
fn content(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\u{fffe}', "\\u{fffe}")
        .replace('\u{ffff}', "\\u{ffff}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Job;

    #[apply(test)]
    fn no_text_can_leave_its_attribute_or_its_element() {
        assert_eq!(attribute("<a b=\"c\">&\n\u{ffff}"), "&lt;a b=&quot;c&quot;&gt;&amp;&#10;\\u{ffff}");
        assert_eq!(content("]]>\n"), "]]&gt;\n");
    }

    #[apply(test)]
    fn what_was_not_judged_is_an_error() {
        let mut results = Results::begin(Job::Check);
        results.measured.began = 1_709_210_096;
        results.stopped.push("ada".into());
        let text = render(&results);
        assert!(text.contains("name=\"ada\" timestamp=\"2024-02-29T12:34:56\""), "{text}");
        assert!(text.contains("errors=\"1\"") && text.contains("<error type=\"stopped\""), "{text}");
    }
}
