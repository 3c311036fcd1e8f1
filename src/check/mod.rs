//! `echolog check`: judges any implementation of the assignment, requirement by requirement.
//!
//! What always holds: a submission is only ever touched as a copy; what one submission does cannot
//! change what is found of another; and a verdict comes from one run, never from a second try.

mod course;
mod facts;
mod framing;
mod guess;
mod judge;
mod requirement;
mod session;
mod submission;
mod traces;

use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

pub use self::course::Points;
pub use self::framing::Framing;
pub use self::guess::init;
pub use self::requirement::Requirement;
use self::session::Theatre;
pub use self::submission::Submission;
use crate::results::Outcome;
use crate::run::clock;
use crate::run::program::Limits;

/// What was found for one requirement.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which.
    pub requirement: Requirement,
    /// How it came out.
    pub outcome: Outcome,
    /// The requirement that it depended on, where it was not run.
    pub needs: Option<Requirement>,
    /// What was seen, in a line.
    pub evidence: String,
    /// How long it took.
    pub took: Duration,
    /// How it came out each time, where that was not the same.
    pub differing: Vec<Outcome>,
}

/// What was found of one submission.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What the submission is called.
    pub name: String,
    /// The arguments that name it to `echolog check` again.
    pub arguments: String,
    /// Why nothing of it could be run, if so.
    pub unplayable: Option<String>,
    /// What framing was seen.
    pub framing: Framing,
    /// In the order of the requirements.
    pub findings: Vec<Finding>,
    /// How long all of it took.
    pub took: Duration,
}

/// What is told while it happens.
#[derive(Clone, Debug)]
pub enum Event {
    /// A submission is being judged.
    Begun(String),
    /// Another requirement of some submission was judged.
    Row,
    /// All of a submission was.
    Verdict(Box<Verdict>),
}

/// A check of submissions.
#[derive(Debug)]
pub struct Check {
    /// What is judged.
    pub submissions: Vec<Submission>,
    /// The requirements that are asked for; all where there are none.
    pub only: Vec<Requirement>,
    /// How many submissions are judged side by side.
    pub jobs: usize,
    /// What each program may use; the time is that of one wait.
    pub limits: Limits,
    /// How long a build may take.
    pub build_time: Duration,
    /// How often each submission is judged, to find out whether it is the same every time.
    pub repeat: usize,
}

impl Check {
    /// Whether `requirement` is asked for.
    pub fn wants(&self, requirement: Requirement) -> bool {
        self.only.is_empty() || self.only.contains(&requirement)
    }

    /// Judges every submission and hands each event to `tell`. An error means that this machine could not
    /// do its part, or that all was stopped; what had been begun has then been ended.
    pub fn run(&self, tell: &mut dyn FnMut(Event) -> Result<()>) -> Result<()> {
        let (events, told) = mpsc::channel();
        let next = Mutex::new(self.submissions.iter());
        thread::scope(|scope| {
            for _ in 0..self.jobs.min(self.submissions.len()) {
                let (next, events) = (&next, events.clone());
                scope.spawn(move || {
                    loop {
                        let submission =
                            next.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
                        let Some(submission) = submission else { return };
                        let verdict = self.judge(submission, &events);
                        if clock::stopped() || events.send(verdict.map(Event::Verdict)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(events);
            for event in told {
                if let Err(error) = event.and_then(&mut *tell) {
                    clock::stop();
                    return Err(error);
                }
            }
            Ok(())
        })
    }

    fn judge(&self, submission: &Submission, events: &Sender<Result<Event>>) -> Result<Box<Verdict>> {
        let begun = Instant::now();
        let mut verdict = Verdict {
            name: submission.name.clone(),
            arguments: submission.arguments.clone(),
            unplayable: None,
            framing: Framing::Unknown,
            findings: Vec::new(),
            took: Duration::ZERO,
        };
        _ = events.send(Ok(Event::Begun(submission.name.clone())));
        let filed = || _ = events.send(Ok(Event::Row));
        let theatre = Theatre::open(submission, &self.limits, self.build_time);
        let rounds: Result<Vec<judge::Judged>> = theatre.and_then(|theatre| {
            (0..self.repeat)
                .map(|_| judge::judge(&theatre, &|requirement| self.wants(requirement), &filed))
                .collect()
        });
        match rounds {
            Ok(rounds) => {
                verdict.framing = rounds.first().map_or(Framing::Unknown, |round| round.framing.clone());
                verdict.findings = compared(rounds);
            }
            Err(error) if clock::stopped() => return Err(error),
            Err(error) => {
                let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
                verdict.unplayable = Some(chain.join(": "));
            }
        }
        verdict.took = begun.elapsed();
        Ok(Box::new(verdict))
    }
}

/// One finding for each requirement out of several rounds: the worst that was seen, and whether it was
/// the same every time.
fn compared(rounds: Vec<judge::Judged>) -> Vec<Finding> {
    let mut rounds = rounds.into_iter().map(|round| round.findings);
    let mut findings = rounds.next().unwrap_or_default();
    let mut outcomes: Vec<Vec<Outcome>> = findings.iter().map(|finding| vec![finding.outcome]).collect();
    for round in rounds {
        for ((finding, outcomes), again) in findings.iter_mut().zip(&mut outcomes).zip(round) {
            outcomes.push(again.outcome);
            if finding.outcome == Outcome::Pass && again.outcome != Outcome::Pass {
                *finding = again;
            }
        }
    }
    for (finding, outcomes) in findings.iter_mut().zip(outcomes) {
        if outcomes.iter().any(|outcome| *outcome != outcomes[0]) {
            finding.differing = outcomes;
        }
    }
    findings
}
