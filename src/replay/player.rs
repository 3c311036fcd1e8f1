//! Playing the cases of a plan, several side by side.
//!
//! What always holds: each case comes to exactly one verdict, also a case that cannot be played; events
//! are delivered on one thread; when [`Replay::run`] returns, nothing that it started is left running.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::drive::Drive;
use super::judge;
use super::keep::{keep, record};
use super::pair::Pair;
use super::plan::{Case, Plan, Replay};
use super::session::{self, Session};
use super::verdict::{Failure, NotRun, Verdict};
use super::wires::{WireChoice, place};
use crate::proxy::{Direction, Tape, Wire};
use crate::run::clock::{self, lock};
use crate::run::command;
use crate::run::pool;
use crate::run::spawn;

/// What happens while a replay runs.
#[derive(Debug)]
pub enum Event {
    /// This many more sessions are to be played than was known before.
    More(usize),
    /// One session is over.
    Session,
    /// A case is judged.
    Verdict(Box<Verdict>),
}

impl Replay {
    /// Plays every case of `plan` and hands each event to `tell`. An error means that something could
    /// not be played at all; all that was begun has then been ended.
    pub fn run(&self, plan: &Plan, tell: &mut dyn FnMut(Event) -> Result<()>) -> Result<()> {
        let pairs = Drive::ALL
            .iter()
            .map(|&drive| Ok((drive, self.programs.pair(&self.echolog, drive)?)))
            .collect::<Result<Vec<_>>>()?;
        // Told before anything else is, rather than in the middle of a report.
        for (_, pair) in &pairs {
            for command in [&pair.server.command, &pair.client.command] {
                spawn::executable(&command.fill(&command::Values::default())[0], None)?;
            }
        }
        let player = Player { replay: self, plan, pairs };
        let tasks = (0..plan.cases.len()).map(Task::Case);
        pool::run(self.jobs, tasks, |task, worker| player.play_task(task, worker), tell)
    }
}

/// Plays the cases of a plan.
struct Player<'a> {
    replay: &'a Replay,
    plan: &'a Plan,
    pairs: Vec<(Drive, Pair)>,
}

/// What a worker takes up.
enum Task {
    /// A case, by its index.
    Case(usize),
    /// One of the many sessions of a case.
    Session(Arc<Many>, Wire),
}

/// A case that is played as many sessions.
struct Many {
    case: usize,
    /// What was received when nothing was split or cut.
    tape: Tape,
    state: Mutex<(usize, Verdict)>,
}

type Worker<'a> = pool::Worker<'a, Task, Event>;

impl Player<'_> {
    fn play_task(&self, task: Task, worker: &Worker) -> Result<()> {
        match task {
            Task::Case(case) => self.case(case, worker),
            Task::Session(many, wire) => self.one_of_many(&many, wire, worker),
        }
    }

    fn case(&self, index: usize, worker: &Worker) -> Result<()> {
        let case = &self.plan.cases[index];
        let mut verdict = self.verdict(case);
        if let Some(why) = &case.cannot {
            verdict.not_run = Some(NotRun::CannotCarry(why.clone()));
        } else if clock::stopped() {
            verdict.not_run = Some(NotRun::Stopped);
        } else if let WireChoice::One(wire @ Wire::Cut { .. }) = case.wire {
            // What a cut session must come to follows from what is sent when nothing is cut.
            if let Some(tape) = self.measure(case, &mut verdict)? {
                self.play(case, wire, Some(&tape), &mut verdict)?;
            }
        } else if let WireChoice::One(wire) = case.wire {
            self.play(case, wire, None, &mut verdict)?;
        } else if let Some(tape) = self.measure(case, &mut verdict)? {
            let [to_server, to_client] = Direction::BOTH.map(|direction| tape.len(direction));
            let wires = if case.wire == WireChoice::EveryCut {
                Wire::every_cut(to_server, to_client)
            } else {
                Wire::every_split(to_server, to_client)
            };
            if !wires.is_empty() {
                worker.report(Event::More(wires.len()));
                worker.report(Event::Session);
                let many = Many { case: index, tape, state: Mutex::new((wires.len(), verdict)) };
                let many = Arc::new(many);
                let tasks = wires.into_iter().map(|wire| Task::Session(Arc::clone(&many), wire));
                worker.add(tasks);
                return Ok(());
            }
        }
        worker.report(Event::Session);
        worker.report(Event::Verdict(Box::new(verdict)));
        Ok(())
    }

    fn one_of_many(&self, many: &Arc<Many>, wire: Wire, worker: &Worker) -> Result<()> {
        let case = &self.plan.cases[many.case];
        let mut verdict = self.verdict(case);
        if clock::stopped() {
            verdict.not_run = Some(NotRun::Stopped);
        } else {
            self.play(case, wire, Some(&many.tape), &mut verdict)?;
        }
        worker.report(Event::Session);
        let mut state = lock(&many.state);
        let (left, all) = &mut *state;
        *left -= 1;
        all.not_run = all.not_run.take().or(verdict.not_run);
        all.sessions += verdict.sessions;
        all.failures.append(&mut verdict.failures);
        all.played.append(&mut verdict.played);
        all.took += verdict.took;
        if *left == 0 {
            all.failures.sort_by_key(|failure| place(failure.wire));
            worker.report(Event::Verdict(Box::new(all.clone())));
        }
        Ok(())
    }

    /// Plays the session whole, with nothing split or cut; its tape, if it was sound.
    fn measure(&self, case: &Case, verdict: &mut Verdict) -> Result<Option<Tape>> {
        let tape = self.play(case, Wire::Through, None, verdict)?;
        Ok(tape.filter(|_| verdict.failures.is_empty() && verdict.not_run.is_none()))
    }

    /// Plays and judges one session; `tape` is that of the same session played whole, for a cut.
    fn play(
        &self,
        case: &Case,
        wire: Wire,
        tape: Option<&Tape>,
        verdict: &mut Verdict,
    ) -> Result<Option<Tape>> {
        let fixture = &self.plan.fixtures[case.fixture];
        let pair = self.pairs.iter().find(|(drive, _)| *drive == case.drive).map(|(_, pair)| pair);
        let pair = pair.context("every drive has its pair")?;
        let script = fixture.messages_path();
        let limits = &self.replay.limits_over(wire, fixture);
        let messages = &fixture.typed;
        let isolated = self.replay.isolated.as_ref();
        let session = Session { pair, script: &script, messages, drive: case.drive, wire, isolated, limits };
        let played = session::play(&session)?;
        if played.stopped {
            verdict.not_run = Some(NotRun::Stopped);
            return Ok(None);
        }
        verdict.sessions += 1;
        verdict.took += played.took;
        if let Some(dir) = &self.replay.record {
            record(dir, fixture, case.drive, wire, &played)?;
        }
        let flaws = match (wire, tape) {
            (Wire::Cut { .. }, Some(tape)) => {
                judge::cut(fixture, &played, wire, tape, |who| self.replay.programs.is_own(who))
            }
            _ => judge::whole(fixture, &played),
        };
        if !flaws.is_empty() {
            let failure = Failure {
                wire,
                flaws,
                ends: judge::ends(&played),
                client_started: played.client.is_some(),
                again: self.replay.again(fixture, case.drive, wire),
            };
            if let Some(dir) = &self.replay.keep {
                keep(dir, fixture, case.drive, &failure, &played)?;
            }
            verdict.failures.push(failure);
        }
        let tape = played.tape.clone();
        if self.replay.show {
            verdict.played.push((wire, played));
        }
        Ok(tape)
    }

    fn verdict(&self, case: &Case) -> Verdict {
        Verdict {
            fixture: self.plan.fixtures[case.fixture].name.clone(),
            drive: case.drive,
            wire: case.wire.to_string(),
            not_run: None,
            sessions: 0,
            failures: Vec::new(),
            accept: self.replay.accept(&self.plan.fixtures[case.fixture]),
            took: Duration::ZERO,
            played: Vec::new(),
        }
    }
}
