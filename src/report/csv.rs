//! Comma-separated values (RFC 4180): a row for each submission or case, as grade books and spreadsheet
//! programs read them.

use anyhow::{Context as _, Result};

use super::tables;
use crate::escape;
use crate::results::{Job, Results};

/// The whole table. A name that a spreadsheet program would take for a formula begins with `'`.
pub fn render(results: &Results) -> Result<String> {
    let rows = match results.job {
        Job::Check => check(results),
        Job::Replay => replay(results),
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row.iter().map(|field| inert(field)))?;
    }
    let bytes = writer.into_inner().context("the table cannot be written")?;
    Ok(String::from_utf8(bytes)?)
}

fn check(results: &Results) -> Vec<Vec<String>> {
    let ids = results.requirements.iter().map(|requirement| requirement.id.as_str());
    let row = |name: &str, cells: Vec<&str>, points: String, note: &str| {
        let mut row = vec![name.to_owned()];
        row.extend(cells.into_iter().map(str::to_owned));
        row.extend([points, tables::total(results).to_string(), note.to_owned()]);
        row
    };
    let mut head = vec!["name"];
    head.extend(ids.clone());
    head.extend(["points", "total", "note"]);
    let mut rows = vec![head.into_iter().map(str::to_owned).collect()];
    for (submission, name) in results.submissions.iter().zip(tables::names(&results.submissions)) {
        let cell = |id: &str| {
            let finding = submission.findings.iter().find(|finding| finding.requirement == id);
            finding.map_or("", |finding| finding.outcome.word())
        };
        let points = tables::points(submission, results).unwrap_or_default().to_string();
        let note = submission
            .error
            .as_ref()
            .map_or(String::new(), |why| format!("nothing could be run: {}", escape::show(why.as_bytes())));
        rows.push(row(&name, ids.clone().map(cell).collect(), points, &note));
    }
    for name in &results.stopped {
        // No points at all: a grade book must not take an unfinished run for a zero.
        let name = escape::show(name.as_bytes());
        rows.push(row(&name, ids.clone().map(|_| "").collect(), String::new(), "not judged: stopped"));
    }
    rows
}

fn replay(results: &Results) -> Vec<Vec<String>> {
    let head = ["fixture", "drive", "wire", "verdict", "sessions", "failed", "note"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for case in &results.cases {
        rows.push(vec![
            escape::show(case.fixture.as_bytes()),
            case.drive.clone(),
            case.wire.clone(),
            case.outcome.word().to_owned(),
            case.sessions.to_string(),
            case.failures.len().to_string(),
            case.reason.clone().unwrap_or_default(),
        ]);
    }
    for name in &results.stopped {
        let name = escape::show(name.as_bytes());
        let cells = [&name, "", "", "not run", "0", "0", "not judged: stopped"];
        rows.push(cells.map(str::to_owned).to_vec());
    }
    rows
}

/// `field` as text: what begins like a formula gets an apostrophe in front.
fn inert(field: &str) -> String {
    let apostrophe = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("{apostrophe}{field}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn a_name_is_never_a_formula_and_quotes_are_doubled() {
        let mut results = Results::begin(Job::Check);
        results.stopped.extend(["=1+1".into(), "a,\"b\"".into()]);
        let wanted = "name,points,total,note\n'=1+1,,0,not judged: stopped\n\
                      \"a,\"\"b\"\"\",,0,not judged: stopped\n";
        assert_eq!(render(&results).unwrap(), wanted);
    }
}
