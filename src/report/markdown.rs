//! Markdown as GitHub shows it: a table, and details that fold, for a step summary or an issue.
//!
//! What always holds: text from outside cannot form markup, a link, a mention or a table cell.

use super::human::{self, Style, plural};
use super::tables::{self, Row};
use crate::escape;
use crate::results::{Finding, Job, Outcome, Results, Submission};

/// The whole report.
pub fn render(results: &Results) -> String {
    let mut text = match results.job {
        Job::Check => check(results),
        Job::Replay => replay(results),
    };
    if !results.stopped.is_empty() {
        text +=
            &format!("\n**Stopped before the end.** Not judged: {}\n", inline(&results.stopped.join(", ")));
    }
    text
}

/// The sign of a verdict.
pub fn sign(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "✅",
        Outcome::Fail => "❌",
        Outcome::Hung => "⏳",
        Outcome::Flooded => "🌊",
        Outcome::Crashed => "💥",
        Outcome::NotRun => "➖",
    }
}

fn check(results: &Results) -> String {
    if let ([one], true) = (results.submissions.as_slice(), results.stopped.is_empty()) {
        return single(one, results);
    }
    let count = results.count();
    let all = results.submissions.len() + count.stopped;
    let mut text =
        format!("# echolog check\n\n{} of {} pass everything.\n\n", count.passed, plural(all, "submission"));
    let total = tables::total(results);
    text +=
        &format!("| submission | passed | points of {total} | failed | not run |\n|---|---:|---:|---|---|\n");
    let names = tables::names(&results.submissions);
    for (submission, name) in results.submissions.iter().zip(&names) {
        let ids = |wanted: &dyn Fn(Outcome) -> bool| {
            let findings = submission.findings.iter().filter(|finding| wanted(finding.outcome));
            findings.map(|finding| finding.requirement.as_str()).collect::<Vec<_>>()
        };
        let (passed, points, failed) = match tables::points(submission, results) {
            Some(points) => (
                ids(&|outcome| outcome == Outcome::Pass).len().to_string(),
                points.to_string(),
                tables::ids(&ids(&Outcome::is_failure)),
            ),
            None => ("-".to_owned(), "0".to_owned(), "nothing could be run".to_owned()),
        };
        let not_run = tables::ids(&ids(&|outcome| outcome == Outcome::NotRun));
        text += &format!("| {} | {passed} | {points} | {failed} | {not_run} |\n", inline(name));
    }
    let failures = tables::failures(results);
    if results.submissions.len() > 1 && !failures.is_empty() {
        text += "\n| requirement | fails in |\n|---|---:|\n";
        for (requirement, number) in failures {
            text += &format!("| {} {} | {number} of {all} |\n", requirement.id, inline(&requirement.words));
        }
    }
    for (one, name) in results.submissions.iter().zip(&names) {
        text += &format!("\n<details><summary>{}: {}</summary>\n\n", inline(name), tables::tally(one));
        text += &submission(one, results);
        text += "\n</details>\n";
    }
    text
}

/// The report on one submission alone.
fn single(one: &Submission, results: &Results) -> String {
    let about = "A server and a client that belong together were run, and checked requirement by requirement: S is \
                 about the server, C about the client, R about what either does when the network or the other \
                 program behaves unusually.";
    let outcome = if one.error.is_some() { "Could not be run".to_owned() } else { tables::tally(one) };
    let mut text = format!("# {}\n\n{about}\n\n{outcome}", inline(&one.name));
    if tables::is_weighted(results) {
        let points = tables::points(one, results).unwrap_or_default();
        text += &format!(", {points} of {} points", tables::total(results));
    }
    text += ".\n\n";
    if let Some(next) = tables::next(one) {
        text += &format!("**What to try next.** {}\n\n", inline(&next));
    }
    text + &submission(one, results)
}

/// One submission, without its name.
pub fn submission(submission: &Submission, results: &Results) -> String {
    let mut text = String::new();
    for note in &submission.notes {
        text += &format!("Note: {}\n\n", inline(note));
    }
    if let Some(why) = &submission.error {
        return text + &format!("Nothing could be run:\n\n{}", block(why));
    }
    let weighted = tables::is_weighted(results);
    text += if weighted {
        "| | requirement | verdict | points |\n|---|---|---|---:|\n"
    } else {
        "| | requirement | verdict |\n|---|---|---|\n"
    };
    for row in tables::rows(submission) {
        let points = if weighted { format!(" {} |", row.points(results)) } else { String::new() };
        text += &match row {
            Row::One(finding) => format!(
                "| {} | {} {} | {} |{points}\n",
                sign(finding.outcome),
                finding.requirement,
                inline(tables::words(results, &finding.requirement)),
                finding.outcome.word()
            ),
            Row::Folded(findings, why) => {
                let ids = tables::ids_of(&findings);
                format!("| {} | {ids} | not run: {} |{points}\n", sign(Outcome::NotRun), inline(&why))
            }
        };
    }
    if !submission.passes() {
        text += "\nIn texts that a program printed, \\| stands for the end of a line.\n";
    }
    for finding in submission.findings.iter().filter(|finding| finding.outcome.is_failure()) {
        text += &details(finding, results);
        if !finding.again.is_empty() {
            text += &format!("- Again:\n\n{}", block(&finding.again));
        }
    }
    text
}

/// Why one finding is what it is.
pub fn details(finding: &Finding, results: &Results) -> String {
    let words = inline(tables::words(results, &finding.requirement));
    let mut text = format!("\n**{} {words}: {}**\n\n", finding.requirement, finding.outcome.word());
    let mut item = |lead: &str, words: &str| {
        if !words.is_empty() {
            text += &format!("- {lead}: {}\n", inline(words));
        }
    };
    item("Done", &finding.evidence.done);
    item("Expected", &finding.evidence.expected);
    item("Happened", &finding.evidence.happened);
    if !finding.differing.is_empty() {
        item("Rounds", &tables::differing(finding));
    }
    item("Try", &finding.advice);
    text
}

fn replay(results: &Results) -> String {
    let count = results.count();
    let all = plural(results.cases.len() + count.stopped, "case");
    let mut text = format!("# echolog replay\n\n{} of {all} pass.\n\n", count.passed);
    text += "| | case | verdict | sessions |\n|---|---|---|---:|\n";
    for case in &results.cases {
        let name = inline(&format!("{}::{}", case.fixture, case.name()));
        let why = case.reason.as_ref().map_or(String::new(), |why| format!(": {}", inline(why)));
        let (sign, word) = (sign(case.outcome), case.outcome.word());
        text += &format!("| {sign} | {name} | {word}{why} | {} |\n", case.sessions);
    }
    for case in results.cases.iter().filter(|case| !case.failures.is_empty()) {
        let name = inline(&format!("{}::{}", case.fixture, case.name()));
        let told = case.without_sessions();
        let words = human::Cases::new(Style::PLAIN, false).case(&told);
        text += &format!("\n<details><summary>{name}</summary>\n\n{}\n</details>\n", block(&words));
    }
    text
}

/// `text` inside a line: with nothing that Markdown or HTML would act on.
pub fn inline(text: &str) -> String {
    let mut out = String::new();
    let shown = escape::show(text.as_bytes());
    let mut characters = shown.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            // A mention, an issue's number, a link's scheme, a named picture.
            '@' => out += "&#64;",
            '#' => out += "&#35;",
            ':' if characters.peek().is_some_and(|next| !next.is_whitespace()) => out += "&#58;",
            '\t' => out += "&#9;",
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
    }
    // GitHub makes links of these without any markup.
    out.replace("www.", "www&#46;")
}

/// `text` as a block of code that nothing in it can end.
pub fn block(text: &str) -> String {
    let shown: Vec<String> = text.lines().map(|line| escape::show(line.as_bytes())).collect();
    let longest = shown.iter().flat_map(|line| line.split(|character| character != '`')).map(str::len).max();
    let fence = "`".repeat(longest.unwrap_or_default().max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", shown.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn hostile_text_forms_no_markup() {
        let text = inline("<img src=x> **b** [a](http://x) @me #1 a|b `c` www.x.org\n\u{1b}[2J");
        for forbidden in ["<", " **", "@", "http:", "www.x", "\n", "\u{1b}", " |"] {
            assert!(!text.contains(forbidden), "{forbidden:?} in {text}");
        }
        assert!(
            !text.replace("\\|", "").contains('|')
                && !text.replace("\\]", "").contains(']')
                && !text.replace("\\`", "").contains('`'),
            "{text}"
        );
    }

    #[apply(test)]
    fn a_block_ends_where_it_must_and_not_before() {
        assert_eq!(block("a\n````\nb"), "`````text\na\n````\nb\n`````\n");
        assert_eq!(block("plain"), "```text\nplain\n```\n");
    }
}
