//! One round over a submission: the baseline, then every requirement that is asked for, side by side.
//!
//! What always holds: a verdict depends on the baseline, which is always played, and on the requirement's own
//! session; not on which other requirements are asked for, nor on what was judged before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::baseline::Baseline;
use super::evidence::{self, Ruling};
use super::recording;
use super::requirement::{Id, Judge, Requirement, TABLE};
use super::setup::Setup;
use crate::escape;
use crate::results::{Evidence, Finding, Measured, Outcome};
use crate::run::again::Again;
use crate::run::pool::{self, Worker};

/// How many sessions of one submission are played side by side.
const SIDE_BY_SIDE: usize = 6;

/// What came of one round.
#[derive(Debug)]
pub struct Round {
    /// In the order of the requirements: each ruling, and how many seconds it took.
    pub rulings: Vec<(Id, Ruling, f64)>,
    /// How the client marks the end of a message.
    pub framing: String,
}

/// What came of the session of a requirement.
enum Played {
    One(Ruling),
    /// Without the log, and with it.
    Two(Ruling, Ruling),
}

impl Played {
    /// The ruling where the client reads long logs, or does not: that is R4's to judge.
    fn ruling(self, reads_long_logs: bool) -> Ruling {
        match self {
            Played::One(ruling) => ruling,
            Played::Two(without, with) if without.passes() && reads_long_logs => with,
            Played::Two(without, _) => without,
        }
    }
}

/// Plays one round; judges what is `wanted` and calls `filed` for each.
pub fn play(setup: &Setup, wanted: &(dyn Fn(Id) -> bool + Sync), filed: &dyn Fn()) -> Result<Round> {
    let begun = Instant::now();
    let needed = with_what_they_need(TABLE.iter().filter(|entry| wanted(entry.id)));
    let baseline = recording::record(setup, Requirement::looks(&in_order(&needed)))?;
    let took = begun.elapsed().as_secs_f64();
    let mut played = play_sessions(setup, &baseline, &needed)?;
    let mut rulings: BTreeMap<Id, (Ruling, f64)> = BTreeMap::new();
    for entry in in_order(&needed) {
        let passes = |id: Id| rulings.get(&id).is_some_and(|(ruling, _)| ruling.passes());
        let lacking = entry.after.iter().copied().find(|&id| !passes(id));
        let (ruling, seconds) = match (baseline.lacks(entry.needs), lacking, entry.judge) {
            (Some(id), ..) | (None, Some(id), _) => (evidence::not_run(first_cause(id, &rulings)), 0.0),
            (None, None, Judge::Baseline(judge)) => {
                (with_baseline(judge(&baseline), entry.id, &baseline), took)
            }
            (None, None, Judge::Session(_) | Judge::WithLog(_)) => {
                let (played, seconds) = played.remove(&entry.id).context("a session was not played")?;
                (played.ruling(passes(Id::R4)), seconds)
            }
        };
        rulings.insert(entry.id, (ruling, seconds));
        if wanted(entry.id) {
            filed();
        }
    }
    let rulings = rulings.into_iter().filter(|(id, _)| wanted(*id));
    Ok(Round {
        rulings: rulings.map(|(id, (ruling, seconds))| (id, ruling, seconds)).collect(),
        framing: baseline.framing.to_string(),
    })
}

/// The requirements `needed` in the order in which they are judged: what builds on another one comes after it.
fn in_order(needed: &BTreeSet<Id>) -> Vec<&'static Requirement> {
    let mut entries: Vec<_> = TABLE.iter().filter(|entry| needed.contains(&entry.id)).collect();
    entries.sort_by_key(|entry| matches!(entry.judge, Judge::WithLog(_)));
    entries
}

/// `ruling` with the first session, unless it is a pass, or about the client where no server is (R11).
fn with_baseline(mut ruling: Ruling, id: Id, baseline: &Baseline) -> Ruling {
    if ruling.outcome.is_failure() && id != Id::R11 {
        ruling.session.clone_from(&baseline.events);
    }
    ruling
}

/// What stands behind a requirement that was itself not judged.
fn first_cause(id: Id, rulings: &BTreeMap<Id, (Ruling, f64)>) -> Id {
    rulings.get(&id).and_then(|(ruling, _)| ruling.needs).unwrap_or(id)
}

/// The requirements, and those that their rulings build on.
fn with_what_they_need(wanted: impl Iterator<Item = &'static Requirement>) -> BTreeSet<Id> {
    let mut needed = BTreeSet::new();
    for entry in wanted {
        needed.insert(entry.id);
        needed.extend(entry.after);
        if matches!(entry.judge, Judge::WithLog(_)) {
            needed.insert(Id::R4);
        }
    }
    needed
}

/// Plays the sessions of the requirements `needed`, as far as the pair has what they need.
fn play_sessions(
    setup: &Setup,
    baseline: &Baseline,
    needed: &BTreeSet<Id>,
) -> Result<BTreeMap<Id, (Played, f64)>> {
    let mut to_play: Vec<&'static Requirement> = TABLE
        .iter()
        .filter(|entry| {
            needed.contains(&entry.id)
                && !matches!(entry.judge, Judge::Baseline(_))
                && baseline.lacks(entry.needs).is_none()
        })
        .collect();
    to_play.sort_by_key(|entry| turn(entry.id));
    let play = |entry: &'static Requirement, worker: &Worker<&'static Requirement, (Id, Played, f64)>| {
        let (played, seconds) = play_one(entry, setup, baseline).with_context(|| entry.id.to_string())?;
        worker.report((entry.id, played, seconds));
        Ok(())
    };
    let mut all = BTreeMap::new();
    pool::run(SIDE_BY_SIDE, to_play, play, &mut |(id, played, seconds)| {
        all.insert(id, (played, seconds));
        Ok(())
    })?;
    Ok(all)
}

/// When a requirement's session is played: the longest first, and last the one that leaves its port behind as a
/// session leaves it.
fn turn(id: Id) -> u8 {
    match id {
        Id::R4 => 0,
        Id::R12 => 2,
        _ => 1,
    }
}

fn play_one(entry: &Requirement, setup: &Setup, baseline: &Baseline) -> Result<(Played, f64)> {
    let begun = Instant::now();
    let played = match entry.judge {
        Judge::Session(judge) => Played::One(judge(setup, baseline)?),
        Judge::WithLog(judge) => {
            let (without, with) = judge(setup, baseline)?;
            Played::Two(without, with)
        }
        Judge::Baseline(judge) => Played::One(judge(baseline)),
    };
    Ok((played, begun.elapsed().as_secs_f64()))
}

/// One finding for each requirement out of several rounds: the worst, and whether it was the same every time.
pub fn compared(rounds: Vec<Round>, again: &Again) -> Vec<Finding> {
    let mut rounds = rounds.into_iter().map(|round| round.rulings);
    let mut first = rounds.next().unwrap_or_default();
    let mut outcomes: Vec<Vec<Outcome>> = first.iter().map(|(_, ruling, _)| vec![ruling.outcome]).collect();
    for round in rounds {
        for ((row, outcomes), other) in first.iter_mut().zip(&mut outcomes).zip(round) {
            outcomes.push(other.1.outcome);
            if row.1.passes() && !other.1.passes() {
                *row = other;
            }
        }
    }
    let findings = first.into_iter().zip(outcomes).map(|((id, ruling, seconds), outcomes)| Finding {
        differing: if outcomes.iter().any(|outcome| *outcome != outcomes[0]) { outcomes } else { Vec::new() },
        ..finding(id, ruling, seconds, again)
    });
    findings.collect()
}

fn finding(id: Id, ruling: Ruling, seconds: f64, again: &Again) -> Finding {
    let entry = id.entry();
    let is_judged = ruling.outcome != Outcome::NotRun;
    let done = if ruling.done.is_empty() { entry.done.to_string() } else { ruling.done };
    let advice = match ruling.advice {
        Some(advice) => advice,
        None if ruling.outcome == Outcome::Pass || !is_judged => String::new(),
        None => entry.advice.to_string(),
    };
    let happened = match ruling.needs {
        Some(needs) => format!("{needs} is not met: {}", needs.entry().words),
        None => ruling.happened,
    };
    let safe = |text: String| escape::show(text.as_bytes());
    Finding {
        requirement: id.to_string(),
        outcome: ruling.outcome,
        needs: ruling.needs.map(|needs| needs.to_string()),
        evidence: Evidence {
            done: if is_judged { safe(done) } else { String::new() },
            expected: if is_judged { entry.expected.to_string() } else { String::new() },
            happened: safe(happened),
        },
        advice: safe(advice),
        differing: Vec::new(),
        again: again.clone().option("--only", Some(id.to_string())).to_string(),
        measured: Measured { seconds, session: ruling.session },
    }
}

#[cfg(test)]
mod tests {
    use super::super::baseline::sample;
    use super::super::evidence::{fail, not_run, pass};
    use super::*;

    fn round(rulings: Vec<(Id, Ruling)>) -> Round {
        Round {
            rulings: rulings.into_iter().map(|(id, ruling)| (id, ruling, 1.5)).collect(),
            framing: String::new(),
        }
    }

    fn findings(rounds: Vec<Round>) -> Vec<Finding> {
        compared(rounds, &Again::new("check"))
    }

    #[apply(test)]
    fn what_builds_on_a_ruling_is_judged_after_it() {
        let all = with_what_they_need([Id::R3, Id::R6, Id::S1].into_iter().map(Id::entry));
        let order: Vec<Id> = in_order(&all).into_iter().map(|entry| entry.id).collect();
        assert_eq!(order, [Id::S1, Id::R2, Id::R4, Id::R3, Id::R6]);
    }

    #[apply(test)]
    fn the_longest_session_is_played_first_and_the_one_that_leaves_a_port_last() {
        let mut ids: Vec<Id> = TABLE.iter().map(|entry| entry.id).collect();
        ids.sort_by_key(|id| turn(*id));
        assert_eq!((ids.first(), ids.last()), (Some(&Id::R4), Some(&Id::R12)));
    }

    #[apply(test)]
    fn a_log_counts_where_the_client_reads_long_ones() {
        let happened = |without: Ruling, reads| Played::Two(without, fail("with")).ruling(reads).happened;
        assert_eq!(happened(pass("without"), true), "with");
        assert_eq!(happened(pass("without"), false), "without");
        assert_eq!(happened(fail("without"), true), "without");
        assert_eq!(Played::One(pass("one")).ruling(true).happened, "one");
    }

    #[apply(test)]
    fn a_finding_says_what_the_table_says_unless_the_ruling_knows_better() {
        let rulings = vec![
            (Id::S1, pass("it listens")),
            (Id::S2, fail("no\x1b[1m address")),
            (Id::S3, fail("none").advise("better").after("done otherwise")),
            (Id::S4, not_run(Id::C3)),
        ];
        let found = findings(vec![round(rulings)]);
        let table = |id: Id| id.entry();
        assert_eq!(found[0].advice, "");
        assert_eq!(found[0].evidence.done, table(Id::S1).done);
        assert_eq!(found[0].evidence.expected, table(Id::S1).expected);
        assert_eq!(found[1].advice, table(Id::S2).advice);
        assert_eq!(found[1].evidence.happened, "no\\x1b[1m address");
        assert_eq!((found[2].advice.as_str(), found[2].evidence.done.as_str()), ("better", "done otherwise"));
        assert_eq!(found[3].needs.as_deref(), Some("C3"));
        assert_eq!(found[3].evidence.happened, format!("C3 is not met: {}", table(Id::C3).words));
        let said = [&found[3].advice, &found[3].evidence.done, &found[3].evidence.expected];
        assert!(said.iter().all(|text| text.is_empty()), "{said:?}");
        assert!(found.iter().all(|finding| finding.differing.is_empty()));
    }

    #[apply(test)]
    fn of_several_rounds_the_first_that_does_not_pass_is_kept_with_all_outcomes() {
        let of = |ruling: Ruling| round(vec![(Id::S3, ruling), (Id::S4, pass("shown"))]);
        let found = findings(vec![of(pass("1")), of(fail("2")), of(fail("3"))]);
        assert_eq!(found[0].evidence.happened, "2");
        assert_eq!(found[0].differing, [Outcome::Pass, Outcome::Fail, Outcome::Fail]);
        assert_eq!(found[1].outcome, Outcome::Pass);
        assert!(found[1].differing.is_empty());
        let found = findings(vec![of(fail("1")), of(pass("2"))]);
        assert_eq!(found[0].evidence.happened, "1");
    }

    #[apply(test)]
    fn a_failing_row_of_the_baseline_comes_with_the_first_session_but_for_the_client_by_itself() {
        let mut baseline = sample::sound();
        let kind = crate::results::EventKind::ServerScreen;
        baseline.events = vec![crate::results::Event { at: 0, kind, text: "hello".to_string() }];
        let events = |ruling, id| with_baseline(ruling, id, &baseline).session.len();
        assert_eq!(events(fail(""), Id::S3), 1);
        assert_eq!(events(fail(""), Id::R11), 0);
        assert_eq!(events(pass(""), Id::S3), 0);
        assert_eq!(events(pass(""), Id::R11), 0);
    }

    #[apply(test)]
    fn what_a_requirement_builds_on_is_judged_as_well() {
        let needed = |id: Id| with_what_they_need(std::iter::once(id.entry()));
        assert_eq!(needed(Id::S1), BTreeSet::from([Id::S1]));
        let with_log = TABLE.iter().find(|entry| matches!(entry.judge, Judge::WithLog(_))).expect("one").id;
        assert!(needed(with_log).contains(&Id::R4) && needed(with_log).contains(&with_log));
    }
}
