//! `echolog check`: judges any implementation of the assignment, requirement by requirement.
//!
//! What always holds: a submission is only ever touched as a copy; what one submission does cannot
//! change what is found of another; and a verdict comes from one run, never from a second try.

mod assignment;
mod baseline;
mod comparison;
mod config;
mod course;
mod evidence;
mod facts;
mod failures;
mod framing;
mod guess;
mod id;
mod isolation;
mod limits;
mod machine;
mod message;
mod recording;
mod requirement;
mod rounds;
mod segments;
mod session;
mod setup;
mod submission;
mod tested;
#[cfg(test)]
mod tests;
mod texts;
mod timeline;
mod traces;
mod untrusted;

use std::time::{Duration, Instant};

use anyhow::Result;

pub use self::config::Config;
pub use self::course::Course;
pub use self::guess::init;
pub use self::isolation::decide as decide_isolation;
pub use self::machine::{is_ready, most_jobs};
pub use self::requirement::{Id, Requirement, TABLE};
pub use self::submission::{Submission, name_of};
use crate::error::{self, Exit, Fault};
use crate::results;
use crate::run::again::Again;
use crate::run::clock;
use crate::run::limits::Limits;
use crate::run::pool::{self, Worker};

/// What is told while it happens.
#[derive(Clone, Debug)]
pub enum Event {
    /// A submission is being judged.
    Begun(String),
    /// Another requirement of some submission was judged.
    Row,
    /// All of a submission was.
    Submission(Box<results::Submission>),
}

/// A check of submissions.
#[derive(Debug)]
pub struct Check {
    /// The submissions to judge.
    pub submissions: Vec<Submission>,
    /// The requirements that are asked for; all where there are none.
    pub only: Vec<Id>,
    /// How many submissions are judged side by side.
    pub jobs: usize,
    /// What each program may use; the time is that of one wait.
    pub limits: Limits,
    /// Whether the programs run on computers of their own.
    pub isolated: bool,
    /// How long a build may take.
    pub build_time: Duration,
    /// How often each submission is judged, to find out whether it is the same every time.
    pub repeat: usize,
    /// The beginning of a command that repeats a finding.
    pub again: Again,
}

impl Check {
    /// Whether the requirement `id` is asked for.
    pub fn wants(&self, id: Id) -> bool {
        self.only.is_empty() || self.only.contains(&id)
    }

    /// Judges every submission and hands each event to `tell`. An error means that this machine could not
    /// do its part, or that all was stopped; what had been begun has then been ended.
    pub fn run(&self, tell: &mut dyn FnMut(Event) -> Result<()>) -> Result<()> {
        let judge = |submission: &Submission, worker: &Worker<&Submission, Event>| {
            // A stop leaves the rest unjudged, and the report names it.
            if clock::stopped() {
                return Ok(());
            }
            match self.judge(submission, worker) {
                Err(_) if clock::stopped() => Ok(()),
                judged => judged,
            }
        };
        let judged = pool::run(self.jobs.min(self.submissions.len()), &self.submissions, judge, tell);
        if judged.is_err() {
            clock::stop();
        }
        judged
    }

    fn judge(&self, submission: &Submission, worker: &Worker<&Submission, Event>) -> Result<()> {
        let begun = Instant::now();
        worker.report(Event::Begun(submission.name.clone()));
        let filed = || worker.report(Event::Row);
        let wanted = |id| self.wants(id);
        let play = |setup: setup::Setup| {
            (0..self.repeat).map(|_| rounds::play(&setup, &wanted, &filed)).collect::<Result<Vec<_>>>()
        };
        let rounds =
            match setup::Setup::open(submission, &self.limits, self.build_time, self.isolated).map(play) {
                // A command that cannot be run is the submission's own fault, any other that of this machine.
                Ok(Err(error)) if error::exit(&error) != Exit::Usage && !clock::stopped() => {
                    let fault = Fault::usage(format!("this machine cannot judge {}", submission.name));
                    return Err(fault.because(error).into());
                }
                Ok(rounds) => rounds,
                Err(error) => Err(error),
            };
        let mut found = results::Submission {
            name: submission.name.clone(),
            error: None,
            notes: submission.notes.clone(),
            framing: String::new(),
            findings: Vec::new(),
            measured: 0.0,
        };
        match rounds {
            Ok(rounds) => {
                found.framing = rounds.first().map_or_else(String::new, |round| round.framing.clone());
                let again = self.again.clone().and(submission.arguments.iter().map(String::as_str));
                found.findings = rounds::compared(rounds, &again);
            }
            Err(error) if clock::stopped() => return Err(error),
            Err(error) => {
                let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
                found.error = Some(chain.join(": "));
            }
        }
        found.measured = begun.elapsed().as_secs_f64();
        worker.report(Event::Submission(Box::new(found)));
        Ok(())
    }
}
