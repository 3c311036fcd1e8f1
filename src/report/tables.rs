//! What several formats say of a check: its rows, sums and names.

use std::path::Path;

use super::human::plural;
use crate::escape;
use crate::results::{Finding, Outcome, Requirement, Results, Submission};

/// A row of a submission's table.
pub enum Row<'a> {
    /// One requirement.
    One(&'a Finding),
    /// Requirements that were not run for one reason, and why.
    Folded(Vec<&'a Finding>, String),
}

impl Row<'_> {
    /// The points that it brought, of those that it is worth.
    pub fn points(&self, results: &Results) -> String {
        let findings = match self {
            Row::One(finding) => std::slice::from_ref(finding),
            Row::Folded(findings, _) => findings.as_slice(),
        };
        let worth = |all: bool| {
            let counted = findings.iter().filter(|finding| all || finding.outcome == Outcome::Pass);
            tidy(counted.map(|finding| worth(results, &finding.requirement)).sum())
        };
        if worth(true) > 0.0 { format!("{} of {}", worth(false), worth(true)) } else { "–".to_owned() }
    }
}

/// The rows of a submission: requirements that follow from one failure are folded into one row, which
/// stands where the first of them would.
pub fn rows(submission: &Submission) -> Vec<Row<'_>> {
    let reason = |finding: &Finding| {
        (finding.outcome == Outcome::NotRun && finding.differing.is_empty()).then(|| {
            (finding.needs.clone(), finding.needs.is_none().then(|| finding.evidence.happened.clone()))
        })
    };
    let mut rows = Vec::new();
    let mut folded = Vec::new();
    for finding in &submission.findings {
        let Some(why) = reason(finding) else {
            rows.push(Row::One(finding));
            continue;
        };
        if folded.contains(&why) {
            continue;
        }
        let alike: Vec<&Finding> =
            submission.findings.iter().filter(|other| reason(other).as_ref() == Some(&why)).collect();
        if alike.len() < 2 {
            rows.push(Row::One(finding));
            continue;
        }
        let words = match &why {
            (Some(needs), _) => format!("they need {needs}"),
            (None, happened) => happened.clone().unwrap_or_default(),
        };
        rows.push(Row::Folded(alike, words));
        folded.push(why);
    }
    rows
}

/// The ids of `findings` in few words.
pub fn ids_of(findings: &[&Finding]) -> String {
    ids(&findings.iter().map(|finding| finding.requirement.as_str()).collect::<Vec<_>>())
}

/// Ids in few words: three or more that follow each other become a range.
pub fn ids(ids: &[&str]) -> String {
    let number = |id: &str| Some((id.get(..1)?.to_owned(), id.get(1..)?.parse::<u32>().ok()?));
    let follows = |one: &str, next: &str| match (number(one), number(next)) {
        (Some((letter, one)), Some((other, next))) => letter == other && one + 1 == next,
        _ => false,
    };
    let mut parts: Vec<String> = Vec::new();
    let mut rest = ids;
    while !rest.is_empty() {
        let run = 1 + rest.windows(2).take_while(|pair| follows(pair[0], pair[1])).count();
        let (now, later) = rest.split_at(run);
        match now {
            [first, .., last] if run > 2 => parts.push(format!("{first}-{last}")),
            few => parts.extend(few.iter().map(|&id| id.to_owned())),
        }
        rest = later;
    }
    parts.join(" ")
}

/// What a requirement is, in words; nothing where the results do not say.
pub fn words<'a>(results: &'a Results, id: &str) -> &'a str {
    requirement(results, id).map_or("", |requirement| &requirement.words)
}

/// The requirement with this id.
pub fn requirement<'a>(results: &'a Results, id: &str) -> Option<&'a Requirement> {
    results.requirements.iter().find(|requirement| requirement.id == id)
}

/// The points of a finding.
pub fn worth(results: &Results, id: &str) -> f64 {
    requirement(results, id).map_or(1.0, |requirement| requirement.points)
}

/// What a submission gets; nothing for one that could not be run.
pub fn points(submission: &Submission, results: &Results) -> Option<f64> {
    if submission.error.is_some() {
        return None;
    }
    let passed = submission.findings.iter().filter(|finding| finding.outcome == Outcome::Pass);
    Some(tidy(passed.map(|finding| worth(results, &finding.requirement)).sum()))
}

/// What a submission can get.
pub fn total(results: &Results) -> f64 {
    tidy(results.requirements.iter().map(|requirement| requirement.points).sum())
}

/// A sum without the traces of binary fractions.
fn tidy(sum: f64) -> f64 {
    // An empty sum is -0.
    (sum * 1e6).round() / 1e6 + 0.0
}

/// Whether requirements are worth anything but a point each.
pub fn is_weighted(results: &Results) -> bool {
    results.requirements.iter().any(|requirement| (requirement.points - 1.0).abs() > f64::EPSILON)
}

/// How many submissions fail each requirement, the most frequent first.
pub fn failures(results: &Results) -> Vec<(&Requirement, usize)> {
    let fails = |requirement: &Requirement| {
        let findings = results.submissions.iter().flat_map(|submission| &submission.findings);
        findings.filter(|other| other.requirement == requirement.id && other.outcome.is_failure()).count()
    };
    let mut all: Vec<_> =
        results.requirements.iter().map(|requirement| (requirement, fails(requirement))).collect();
    all.retain(|(_, count)| *count > 0);
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    all
}

/// What a student should try next: the advice of the first requirement that fails, since others may only
/// follow from it.
pub fn next(submission: &Submission) -> Option<String> {
    let finding = submission.findings.iter().find(|finding| finding.outcome.is_failure())?;
    let evidence = &finding.evidence;
    let texts = [&finding.advice, &evidence.expected, &evidence.happened];
    let text = texts.into_iter().find(|text| !text.is_empty())?;
    Some(format!("{}: {text}", finding.requirement))
}

/// How many requirements came out how.
pub fn tally(submission: &Submission) -> String {
    let number = |wanted: Outcome| submission.findings.iter().filter(|one| one.outcome == wanted).count();
    let mut parts = vec![format!("{} of {} pass", number(Outcome::Pass), submission.findings.len())];
    for outcome in Outcome::ALL.into_iter().skip(1) {
        let number = number(outcome);
        if number > 0 {
            parts.push(format!("{number} {}", outcome.word()));
        }
    }
    parts.join(", ")
}

/// How often each verdict was reached, where the rounds differ.
pub fn differing(finding: &Finding) -> String {
    let times = |outcome: Outcome| finding.differing.iter().filter(|other| **other == outcome).count();
    let parts: Vec<String> = Outcome::ALL
        .into_iter()
        .filter(|outcome| times(*outcome) > 0)
        .map(|outcome| format!("{} {}", times(outcome), outcome.word()))
        .collect();
    format!("not the same every time: of {}, {}", plural(finding.differing.len(), "run"), parts.join(", "))
}

/// The names of the submissions without the directory that all of them lie in, safe to print.
pub fn names(submissions: &[Submission]) -> Vec<String> {
    let parent = |submission: &Submission| {
        let path = Path::new(submission.name.trim_end_matches('/'));
        Some((path.parent()?.to_owned(), path.file_name()?.to_str()?.to_owned()))
    };
    let split: Option<Vec<_>> = submissions.iter().map(parent).collect();
    match split {
        Some(split)
            if split.len() > 1
                && split.iter().all(|(parent, _)| *parent == split[0].0)
                && submissions.iter().all(|submission| !submission.name.contains(" / ")) =>
        {
            split.into_iter().map(|(_, name)| escape::show(name.as_bytes())).collect()
        }
        _ => submissions.iter().map(|submission| escape::show(submission.name.as_bytes())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Evidence, Job, Measured};

    fn finding(requirement: &str, outcome: Outcome, needs: Option<&str>) -> Finding {
        Finding {
            requirement: requirement.into(),
            outcome,
            needs: needs.map(Into::into),
            evidence: Evidence::default(),
            advice: String::new(),
            differing: Vec::new(),
            again: String::new(),
            measured: Measured::default(),
        }
    }

    fn submission(name: &str, findings: Vec<Finding>) -> Submission {
        Submission {
            name: name.into(),
            error: None,
            notes: Vec::new(),
            framing: String::new(),
            findings,
            measured: 0.0,
        }
    }

    #[apply(test)]
    fn rows_that_follow_from_one_failure_become_one() {
        let ada = submission(
            "ada",
            vec![
                finding("S1", Outcome::Fail, None),
                finding("S2", Outcome::NotRun, Some("S1")),
                finding("S3", Outcome::NotRun, Some("S1")),
                finding("C1", Outcome::Pass, None),
                finding("C2", Outcome::NotRun, Some("C1")),
                finding("R1", Outcome::NotRun, Some("S1")),
            ],
        );
        let rows: Vec<String> = rows(&ada)
            .iter()
            .map(|row| match row {
                Row::One(finding) => finding.requirement.clone(),
                Row::Folded(findings, why) => format!("{}: {why}", ids_of(findings)),
            })
            .collect();
        assert_eq!(rows, ["S1", "S2 S3 R1: they need S1", "C1", "C2"]);
    }

    #[apply(test)]
    fn ids_that_follow_each_other_become_a_range() {
        assert_eq!(ids(&["S1", "S2", "S3", "C1", "C2", "R9", "R10", "R11", "R13"]), "S1-S3 C1 C2 R9-R11 R13");
        assert_eq!(ids(&[]), "");
        assert_eq!(ids(&["ä1", "2", ""]), "ä1 2 ");
    }

    #[apply(test)]
    fn points_are_those_of_what_passes() {
        let mut results = Results::begin(Job::Check);
        for (id, points) in [("S1", 0.1), ("S2", 0.2), ("S3", 5.0)] {
            results.requirements.push(Requirement { id: id.into(), points, ..Default::default() });
        }
        let ada = submission(
            "ada",
            vec![
                finding("S1", Outcome::Pass, None),
                finding("S2", Outcome::Pass, None),
                finding("S3", Outcome::Hung, None),
            ],
        );
        assert_eq!((points(&ada, &results), total(&results)), (Some(0.3), 5.3));
        assert_eq!(points(&Submission { error: Some("x".into()), ..ada }, &results), None);
    }

    #[apply(test)]
    fn names_lose_the_directory_that_all_share() {
        let named = |names: &[&str]| {
            super::names(&names.iter().map(|name| submission(name, Vec::new())).collect::<Vec<_>>())
        };
        assert_eq!(named(&["class/ada/", "class/bob"]), ["ada", "bob"]);
        assert_eq!(named(&["class/ada", "other/ada"]), ["class/ada", "other/ada"]);
        assert_eq!(named(&["class/ada"]), ["class/ada"]);
        assert_eq!(named(&["python3 a/x / python3 a/y", "z"]), ["python3 a/x / python3 a/y", "z"]);
        assert_eq!(named(&["c/\u{1b}[2J", "c/b"]), ["\\x1b[2J", "b"]);
    }
}
