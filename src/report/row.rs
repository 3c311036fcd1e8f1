//! Results as one list of rows, for the formats that know nothing but test cases.

use super::human::{self, Style};
use super::tables;
use crate::escape;
use crate::results::{Case, Finding, Job, Outcome, Results, Submission};

/// One result.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is about.
    pub suite: String,
    /// Which of its results.
    pub case: String,
    /// How it came out; nothing if it was not judged, since the run was stopped.
    pub outcome: Option<Outcome>,
    /// Seconds that it took.
    pub seconds: f64,
    /// In one line, why.
    pub message: String,
    /// All that is to be told, in lines.
    pub details: String,
}

/// All rows of `results`; what was not judged, since the run was stopped, comes last.
pub fn rows(results: &Results) -> Vec<Row> {
    let mut rows: Vec<Row> = match results.job {
        Job::Check => results.submissions.iter().flat_map(|one| of_submission(one, results)).collect(),
        Job::Replay => results.cases.iter().map(of_case).collect(),
    };
    rows.extend(results.stopped.iter().map(|name| Row {
        suite: shown(name),
        case: "stopped".to_owned(),
        outcome: None,
        seconds: 0.0,
        message: "not judged, since the run was stopped".to_owned(),
        details: String::new(),
    }));
    rows
}

fn of_submission(submission: &Submission, results: &Results) -> Vec<Row> {
    let suite = shown(&submission.name);
    if let Some(why) = &submission.error {
        return vec![Row {
            suite,
            case: "start".to_owned(),
            outcome: Some(Outcome::Fail),
            seconds: submission.measured,
            message: shown(why),
            details: format!("nothing could be run: {}\n", shown(why)),
        }];
    }
    let row = |finding: &Finding| Row {
        suite: suite.clone(),
        case: format!("{} {}", finding.requirement, tables::words(results, &finding.requirement)),
        outcome: Some(finding.outcome),
        seconds: finding.measured.seconds,
        message: shown(&finding.evidence.happened),
        details: details(finding) + &format!("again: {}\n", shown(&finding.again)),
    };
    submission.findings.iter().map(row).collect()
}

/// All that is known of a finding but the command that repeats it, in lines.
pub fn details(finding: &Finding) -> String {
    let evidence = &finding.evidence;
    let mut text = String::new();
    let mut line = |lead: &str, words: &str| {
        if !words.is_empty() {
            text += &format!("{lead}{}\n", shown(words));
        }
    };
    line("done: ", &evidence.done);
    line("expected: ", &evidence.expected);
    line(&format!("{}: ", finding.outcome.word()), &evidence.happened);
    if !finding.differing.is_empty() {
        line("", &tables::differing(finding));
    }
    line("try: ", &finding.advice);
    text
}

fn of_case(case: &Case) -> Row {
    let first = case.failures.first().and_then(|failure| failure.flaws.first());
    let message = match (&case.reason, first) {
        (_, Some(flaw)) => flaw.what.trim_end_matches(':').to_owned(),
        (Some(why), None) => why.clone(),
        (None, None) => String::new(),
    };
    Row {
        suite: shown(&case.fixture),
        case: case.name(),
        outcome: Some(case.outcome),
        seconds: case.measured.seconds,
        message,
        details: human::Cases::new(Style::PLAIN, false).case(&case.without_sessions()),
    }
}

fn shown(text: &str) -> String {
    escape::show(text.as_bytes())
}
