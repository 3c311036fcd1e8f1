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

/// Plays one round; judges what is `wanted` and calls `filed` for each.
pub fn play(setup: &Setup, wanted: &(dyn Fn(Id) -> bool + Sync), filed: &dyn Fn()) -> Result<Round> {
    let begun = Instant::now();
    let baseline = recording::record(setup)?;
    let took = begun.elapsed().as_secs_f64();
    let needed = with_what_they_need(TABLE.iter().filter(|entry| wanted(entry.id)));
    let mut played = play_sessions(setup, &baseline, &needed)?;
    let mut rulings: BTreeMap<Id, (Ruling, f64)> = BTreeMap::new();
    for entry in TABLE.iter().filter(|entry| needed.contains(&entry.id)) {
        let passes = |id: Id| rulings.get(&id).is_some_and(|(ruling, _)| ruling.passes());
        let lacking = entry.after.iter().copied().find(|&id| !passes(id));
        let (ruling, seconds) = match (baseline.lacks(entry.needs), lacking, entry.judge) {
            (Some(id), ..) | (None, Some(id), _) => (evidence::not_run(first_cause(id, &rulings)), 0.0),
            (None, None, Judge::Baseline(judge)) => {
                (with_baseline(judge(&baseline), entry.id, &baseline), took)
            }
            (None, None, Judge::Session(_) | Judge::WithLog(_)) => {
                let (played, seconds) = played.remove(&entry.id).context("a session was not played")?;
                let ruling = match played {
                    Played::One(ruling) => ruling,
                    // Where the client does not read long logs, that is R4's to judge.
                    Played::Two(without, with) if without.passes() && passes(Id::R4) => with,
                    Played::Two(without, _) => without,
                };
                (ruling, seconds)
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
    // The longest first, and last the one that leaves its port behind as a session leaves it.
    to_play.sort_by_key(|entry| (entry.id == Id::R12, entry.id != Id::R4));
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
