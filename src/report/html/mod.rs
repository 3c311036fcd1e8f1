//! One page that needs nothing else: no network, no other file.
//!
//! What always holds: text from outside is text on the page, never markup or script; without scripts all
//! of the content is there; and a page of 200 submissions stays under 5 MB.

mod session;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::human::{self, Style, plural};
use super::tables::{self, Row};
use crate::escape;
use crate::results::{Case, Event, Finding, Job, Outcome, Requirement, Results, Submission};

/// Bytes that all time lines of a page may take together, and the least and most that one may.
const SESSIONS: usize = 2 << 20;
const SESSION: (usize, usize) = (1 << 10, 40 << 10);

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The whole page.
pub fn render(results: &Results) -> String {
    let title = match (results.job, results.submissions.as_slice()) {
        (Job::Check, [one]) => format!("echolog check: {}", shown(&one.name)),
        (Job::Check, all) => format!("echolog check: {}", plural(all.len(), "submission")),
        (Job::Replay, _) => "echolog replay".to_owned(),
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
                title { (title) }
                // Laid out once and not again with each piece that is read: half the time, for a large class.
                link rel="expect" href="#end" blocking="render";
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { h1 { (title) } (stopped(results)) }
                main {
                    @match results.job {
                        Job::Check => (check(results)),
                        Job::Replay => (replay(results)),
                    }
                    div id="end" {}
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn stopped(results: &Results) -> Markup {
    html! {
        @if !results.stopped.is_empty() {
            p role="status" {
                strong { "Not complete. " }
                "The run was stopped, or is still going on. Not judged: " (shown(&results.stopped.join(", ")))
            }
        }
        @match results.isolation.as_str() {
            "" => {},
            "namespaces" => p.faint {
                "Server and client ran on two computers of their own, at 192.168.1.3 and 192.168.1.4 (Linux namespaces)."
            },
            "none" => p.faint { "Server and client ran on this computer, without isolation." },
            other => p.faint { (shown(other)) },
        }
    }
}

fn check(results: &Results) -> Markup {
    let budget = budget(results);
    html! {
        @if let [one] = results.submissions.as_slice() {
            p {
                "A server and a client that belong together were run, and checked requirement by requirement: "
                "S is about the server, C about the client, R about what either does when the network or the "
                "other program behaves unusually. Below are the verdicts, and for each failure what was done, what "
                "was expected, and what happened."
            }
            p { strong { (outcome(one, results)) } }
            @if let Some(next) = tables::next(one) { p { strong { "What to try next: " } (shown(&next)) } }
            (submission(one, results, "s0", budget))
        } @else {
            (matrix(results))
            (failures(results))
            section aria-labelledby="each" {
                h2 id="each" { "Each submission" }
                div.tools {
                    button id="open-all" type="button" { "Open all" }
                    button id="close-all" type="button" { "Close all" }
                }
                @for (at, (one, name)) in
                    results.submissions.iter().zip(tables::names(&results.submissions)).enumerate()
                {
                    details.one id=(format!("s{at}")) {
                        summary { h3 { (name) ": " (outcome(one, results)) } }
                        (submission(one, results, &format!("s{at}"), budget))
                    }
                }
            }
        }
        (requirements(&results.requirements))
    }
}

fn outcome(submission: &Submission, results: &Results) -> Markup {
    let points = tables::points(submission, results).unwrap_or_default();
    html! {
        @if submission.error.is_some() { "could not be run" } @else { (tables::tally(submission)) }
        @if tables::is_weighted(results) { ", " (points) " of " (tables::total(results)) " points" }
    }
}

/// The bytes that each time line of a page may take.
fn budget(results: &Results) -> usize {
    let findings = results.submissions.iter().flat_map(|submission| &submission.findings);
    let sessions = findings.filter(|finding| !finding.measured.session.is_empty()).count();
    (SESSIONS / sessions.max(1)).clamp(SESSION.0, SESSION.1)
}

fn sign(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Pass => ("v-pass", "✓"),
        Outcome::Fail => ("v-fail", "✗"),
        Outcome::Hung => ("v-hung", "…"),
        Outcome::Flooded => ("v-flooded", "≈"),
        Outcome::Crashed => ("v-crashed", "!"),
        Outcome::NotRun => ("v-none", "–"),
    }
}

fn matrix(results: &Results) -> Markup {
    let count = results.count();
    let names = tables::names(&results.submissions);
    let weighted = tables::is_weighted(results);
    html! {
        section aria-labelledby="matrix" {
            h2 id="matrix" { "Submissions by requirements" }
            p {
                (count.passed) " of " (results.submissions.len() + count.stopped) " pass everything."
                @if count.not_run > 0 { " " (count.not_run) " could not be run." }
                span.no-print { " A click on a heading sorts; a click on a sign shows why." }
            }
            p.legend {
                @for outcome in Outcome::ALL {
                    @let (class, sign) = sign(outcome);
                    span class=(class) { (sign) " " (outcome.word()) }
                }
            }
            div.tools {
                label { "Show " select id="filter" {
                    option value="" { "all" }
                    option value="all-pass" { "those that pass everything" }
                    @for outcome in Outcome::ALL.into_iter().skip(1) {
                        option value=(key(outcome)) { "those with: " (outcome.word()) }
                    }
                    option value="error" { "those that could not be run" }
                } }
                label { "Name " input id="search" type="search"; }
                output id="told" aria-live="polite" { (results.submissions.len()) " shown" }
            }
            div.scroll tabindex="0" role="region" aria-labelledby="matrix" {
                table.matrix {
                    colgroup {
                        col.name;
                        @for _ in 0..=usize::from(weighted) { col.sum; }
                        @for _ in &results.requirements { col.verdict; }
                    }
                    thead { tr {
                        th scope="col" aria-sort="none" { button type="button" { "Submission" } }
                        th scope="col" aria-sort="none" { button type="button" { "Passed" } }
                        @if weighted { th scope="col" aria-sort="none" { button type="button" { "Points" } } }
                        @for requirement in &results.requirements {
                            th scope="col" aria-sort="none" title=(requirement.words) {
                                button type="button" { (requirement.id) }
                            }
                        }
                    } }
                    tbody {
                        @for (at, (submission, name)) in results.submissions.iter().zip(&names).enumerate() {
                            (matrix_row(at, submission, name, results, weighted))
                        }
                    }
                }
            }
        }
    }
}

fn matrix_row(at: usize, one: &Submission, name: &str, results: &Results, weighted: bool) -> Markup {
    let mut has: Vec<&str> = Outcome::ALL
        .into_iter()
        .filter(|outcome| one.findings.iter().any(|f| f.outcome == *outcome))
        .map(key)
        .collect();
    if one.error.is_some() {
        has.push("error");
    } else if one.passes() {
        has.push("all-pass");
    }
    let passed = one.findings.iter().filter(|finding| finding.outcome == Outcome::Pass).count();
    let find = |id: &str| one.findings.iter().find(|finding| finding.requirement == id);
    html! {
        tr data-has=(has.join(" ")) data-one=(format!("s{at}")) {
            th scope="row" title=(name) { a href=(format!("#s{at}")) { (name) } }
            @if one.error.is_some() {
                td.number data-key="-1" { "–" }
            } @else { td.number { (passed) } }
            @if weighted { td.number { (tables::points(one, results).unwrap_or_default()) } }
            @if one.error.is_some() {
                td.v-none colspan=(results.requirements.len()) { "could not be run" }
            }
            @for requirement in results.requirements.iter().filter(|_| one.error.is_none()) {
                @match find(&requirement.id) {
                    None => td.v-none data-key="9" { span.sr { "not judged" } },
                    Some(finding) => {
                        @let (class, sign) = sign(finding.outcome);
                        td class=(class) data-key=(finding.outcome as u8) {
                            @if finding.outcome.is_failure() {
                                a href=(format!("#s{at}-{}", requirement.id)) aria-label=(finding.outcome.word()) {
                                    (sign)
                                }
                            } @else { span role="img" aria-label=(finding.outcome.word()) { (sign) } }
                        }
                    }
                }
            }
        }
    }
}

/// A verdict as one word, for the filter.
fn key(outcome: Outcome) -> &'static str {
    if outcome == Outcome::NotRun { "not-run" } else { outcome.word() }
}

fn failures(results: &Results) -> Markup {
    let failures = tables::failures(results);
    let all = results.submissions.len();
    html! {
        @if !failures.is_empty() {
            section aria-labelledby="failures" {
                h2 id="failures" { "What fails most" }
                ul {
                    @for (requirement, number) in failures {
                        li { strong { (requirement.id) } " fails in " (number) " of " (all) ": " (requirement.words) }
                    }
                }
            }
        }
    }
}

/// Everything about one submission but its name.
fn submission(one: &Submission, results: &Results, id: &str, budget: usize) -> Markup {
    let mut told: Vec<(&[Event], &str)> = Vec::new();
    let weighted = tables::is_weighted(results);
    html! {
        @for note in &one.notes { p { "Note: " (shown(note)) } }
        @if let Some(why) = &one.error {
            p { strong { "Nothing could be run: " } }
            pre { (lines(why)) }
        } @else {
            table {
                thead { tr {
                    th scope="col" { "verdict" } th scope="col" { "requirement" }
                    @if weighted { th scope="col" { "points" } }
                } }
                tbody {
                    @for row in tables::rows(one) {
                        @let points = row.points(results);
                        @match row {
                            Row::One(finding) => {
                                @let (class, sign) = sign(finding.outcome);
                                tr {
                                    td class=(class) {
                                        span aria-hidden="true" { (sign) " " } (finding.outcome.word())
                                    }
                                    td {
                                        @if finding.outcome.is_failure() {
                                            a href=(format!("#{id}-{}", finding.requirement)) { (finding.requirement) }
                                        } @else { (finding.requirement) }
                                        " " (tables::words(results, &finding.requirement))
                                        @if finding.outcome == Outcome::NotRun {
                                            " (" (shown(&finding.evidence.happened)) ")"
                                        }
                                    }
                                    @if weighted {
                                        td.number { (points) }
                                    }
                                }
                            }
                            Row::Folded(findings, why) => {
                                @let (class, sign) = sign(Outcome::NotRun);
                                tr {
                                    td class=(class) { span aria-hidden="true" { (sign) " " } "not run" }
                                    td { (tables::ids_of(&findings)) ": " (shown(&why)) }
                                    @if weighted { td.number { (points) } }
                                }
                            }
                        }
                    }
                }
            }
            @if !one.passes() {
                p.faint { "In texts that a program printed, | stands for the end of a line." }
            }
            @for finding in one.findings.iter().filter(|finding| finding.outcome.is_failure()) {
                (self::finding(finding, results, id, budget, &mut told))
            }
        }
        @if !one.framing.is_empty() {
            p.faint { "How the client marks where a message ends (its framing): " (shown(&one.framing)) }
        }
    }
}

fn finding<'a>(
    finding: &'a Finding,
    results: &Results,
    id: &str,
    budget: usize,
    told: &mut Vec<(&'a [Event], &'a str)>,
) -> Markup {
    let (class, sign) = sign(finding.outcome);
    let evidence = &finding.evidence;
    html! {
        section.finding id=(format!("{id}-{}", finding.requirement)) tabindex="-1" {
            h4 {
                (finding.requirement) " " (tables::words(results, &finding.requirement)) ": "
                span class=(class) { span aria-hidden="true" { (sign) " " } (finding.outcome.word()) }
            }
            dl {
                @for (term, text) in [
                    ("Done", &evidence.done),
                    ("Expected", &evidence.expected),
                    ("Happened", &evidence.happened),
                    ("Try", &finding.advice),
                ] {
                    @if !text.is_empty() { dt { (term) } dd { (lines(text)) } }
                }
                @if !finding.differing.is_empty() { dt { "Rounds" } dd { (tables::differing(finding)) } }
                @if !finding.again.is_empty() { dt { "Again" } dd { code { (shown(&finding.again)) } } }
            }
            (session_of(finding, id, budget, told))
        }
    }
}

/// The session of a finding, unless another finding of the submission has shown the same one.
fn session_of<'a>(
    finding: &'a Finding,
    id: &str,
    budget: usize,
    told: &mut Vec<(&'a [Event], &'a str)>,
) -> Markup {
    let events = finding.measured.session.as_slice();
    let before = told.iter().find(|(other, _)| *other == events).map(|(_, requirement)| *requirement);
    told.push((events, &finding.requirement));
    html! {
        @if events.is_empty() {
        } @else if before.is_none() {
            details {
                summary { "The session: both screens, and what passed between" }
                (session::time_line(events, budget))
            }
        } @else if let Some(before) = before {
            p.faint { "The session is the one under " a href=(format!("#{id}-{before}")) { (before) } "." }
        }
    }
}

/// What each requirement asks for.
fn requirements(all: &[Requirement]) -> Markup {
    html! {
        @if !all.is_empty() {
            section aria-labelledby="requirements" {
                h2 id="requirements" { "The requirements" }
                @for requirement in all {
                    details.one {
                        summary { h3 { (requirement.id) " " (requirement.words) } }
                        dl {
                            @for (term, text) in [
                                ("Done", &requirement.done),
                                ("Expected", &requirement.expected),
                                ("Why", &requirement.why),
                                ("Advice", &requirement.advice),
                            ] {
                                @if !text.is_empty() { dt { (term) } dd { (text) } }
                            }
                            dt { "Points" } dd { (requirement.points) }
                        }
                    }
                }
            }
        }
    }
}

fn replay(results: &Results) -> Markup {
    let count = results.count();
    html! {
        p { (count.passed) " of " (plural(results.cases.len() + count.stopped, "case")) " pass." }
        table {
            thead { tr {
                th scope="col" { "verdict" } th scope="col" { "case" } th scope="col" { "sessions" }
            } }
            tbody {
                @for (at, case) in results.cases.iter().enumerate() {
                    @let (class, sign) = sign(case.outcome);
                    tr {
                        td class=(class) { span aria-hidden="true" { (sign) " " } (case.outcome.word()) }
                        td {
                            @if case.failures.is_empty() { (name(case)) } @else {
                                a href=(format!("#c{at}")) { (name(case)) }
                            }
                            @if let Some(why) = &case.reason { " (" (shown(why)) ")" }
                        }
                        td { (case.sessions) }
                    }
                }
            }
        }
        @for (at, case) in results.cases.iter().enumerate().filter(|(_, case)| !case.failures.is_empty()) {
            details.one id=(format!("c{at}")) {
                summary { h3 { (name(case)) } }
                pre { (human::Cases::new(Style::PLAIN, false).case(&case.without_sessions())) }
            }
        }
        @for case in results.cases.iter().filter(|case| !case.measured.shown.is_empty()) {
            @for played in &case.measured.shown {
                h2 { (name(case)) ", " (played.wire) }
                (session::time_line(&played.session, SESSION.1))
            }
        }
    }
}

fn name(case: &Case) -> String {
    shown(&format!("{}::{}", case.fixture, case.name()))
}

/// `text` from outside on one line, safe to show.
fn shown(text: &str) -> String {
    escape::show(text.as_bytes())
}

/// `text` from outside, each of its lines safe to show.
fn lines(text: &str) -> String {
    text.lines().map(shown).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{EventKind, Evidence, Measured};

    fn class(submissions: usize, hostile: &str) -> Results {
        let mut results = Results::begin(Job::Check);
        for number in 1..=26 {
            let words = "something that is required of a program".to_owned();
            results.requirements.push(Requirement { id: format!("R{number}"), words, ..Default::default() });
        }
        let event = |at: usize| Event {
            at: at as u64 * 1_000,
            kind: if at.is_multiple_of(2) { EventKind::ClientScreen } else { EventKind::ToServer },
            text: format!("{hostile} {}", "a message that is shown ".repeat(10)),
        };
        let finding = |number: usize| Finding {
            requirement: format!("R{number}"),
            outcome: if number.is_multiple_of(3) { Outcome::Fail } else { Outcome::Pass },
            needs: None,
            evidence: Evidence { happened: format!("{hostile} happened"), ..Evidence::default() },
            advice: "Read until the end of the line.".into(),
            differing: Vec::new(),
            again: format!("echolog check '{hostile}' --only R{number}"),
            measured: Measured {
                seconds: 0.1,
                session: if number.is_multiple_of(3) {
                    (number..number + 200).map(event).collect()
                } else {
                    Vec::new()
                },
            },
        };
        for number in 0..submissions {
            results.submissions.push(Submission {
                name: format!("class/student-{number}{hostile}"),
                error: None,
                notes: Vec::new(),
                framing: "newline".into(),
                findings: (1..=26).map(finding).collect(),
                measured: 3.0,
            });
        }
        results
    }

    #[apply(test)]
    fn a_page_of_200_submissions_is_smaller_than_5_mb() {
        let page = render(&class(200, ""));
        assert!(page.len() < 5_000_000, "{}", page.len());
        assert!(page.contains("student-199") && page.contains("#s199-R24"));
    }

    #[apply(test)]
    fn hostile_text_stays_text() {
        let hostile = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>\u{1b}[2J\u{202e}";
        for submissions in [1, 2] {
            let page = render(&class(submissions, hostile));
            assert_eq!(page.matches("<script").count(), 1);
            assert!(!page.contains("<img") && !page.contains('\u{1b}') && !page.contains('\u{202e}'));
        }
    }
}
