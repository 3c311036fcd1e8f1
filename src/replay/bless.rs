//! Blessing: the goldens of a fixture are written from sound sessions that show the same screens.

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use memchr::memmem;

use super::diff::Difference;
use super::fixture::{CLIENT_GOLDEN, Fixture, Goldens, SERVER_GOLDEN, write_whole};
use super::judge;
use super::plan::{Plan, Replay};
use super::player::Event;
use super::session::Outcome;
use super::verdict::{Failure, Flaw, NotRun, Verdict};
use crate::error::Fault;
use crate::escape;

/// What came of blessing one fixture.
#[derive(Debug)]
pub struct Blessed {
    /// The fixture.
    pub fixture: String,
    /// What became of its goldens.
    pub result: BlessResult,
}

/// What became of a fixture's goldens.
#[derive(Debug)]
pub enum BlessResult {
    /// They equal the screens already.
    Same,
    /// These are to be written.
    Changed(Vec<Change>),
    /// They cannot be blessed, since these sessions are not sound, as their verdicts say.
    Unsound(Vec<String>),
    /// They cannot be blessed, since these two sessions showed different screens.
    Disagree([String; 2], Difference),
    /// They cannot be blessed, since the server printed none of the messages.
    NoMessages,
    /// They cannot be blessed, since a placeholder is written out on a screen.
    NoGolden(&'static str),
    /// They cannot be blessed, since no session could be played.
    NotPlayed(NotRun),
}

impl BlessResult {
    /// The goldens that are to be written.
    pub fn changes(&self) -> &[Change] {
        match self {
            BlessResult::Changed(changes) => changes,
            _ => &[],
        }
    }
}

/// A golden that is to be written.
#[derive(Debug)]
pub struct Change {
    /// Its file.
    pub path: PathBuf,
    /// What changes in it.
    pub difference: Difference,
    golden: Vec<u8>,
}

impl Change {
    /// Writes it.
    pub fn write(&self) -> Result<()> {
        write_whole(&self.path, &self.golden)
    }
}

impl Replay {
    /// Plays every case of `plan`, and finds the goldens of each fixture whose sessions are all sound and
    /// show the same screens. Nothing is written yet.
    pub fn bless(&self, plan: &Plan, tell: &mut dyn FnMut(Event) -> Result<()>) -> Result<Vec<Blessed>> {
        if self.wires.iter().any(|wire| !wire.is_whole()) {
            return Err(Fault::usage("a session that is cut cannot be blessed")
                .hint("leave out every-cut and cut")
                .into());
        }
        let mut verdicts: Vec<Verdict> = Vec::new();
        let replay = Replay { show: true, ..self.clone() };
        replay.run(plan, &mut |event| match event {
            Event::Verdict(verdict) => {
                let mut reported = (*verdict).clone();
                // What is only not as the golden says is no failure here.
                reported.failures.retain(|failure| !failure.flaws.iter().all(Flaw::is_screen));
                reported.played.clear();
                verdicts.push(*verdict);
                tell(Event::Verdict(Box::new(reported)))
            }
            other => tell(other),
        })?;
        plan.fixtures
            .iter()
            .filter(|fixture| verdicts.iter().any(|verdict| verdict.fixture == fixture.name))
            .map(|fixture| {
                let own = verdicts.iter().filter(|verdict| verdict.fixture == fixture.name);
                let result = bless_one(fixture, &own.collect::<Vec<_>>())?;
                Ok(Blessed { fixture: fixture.name.clone(), result })
            })
            .collect()
    }
}

fn bless_one(fixture: &Fixture, verdicts: &[&Verdict]) -> Result<BlessResult> {
    let sound = |failure: &Failure| failure.flaws.iter().all(Flaw::is_screen);
    let unsound = verdicts.iter().filter(|verdict| !verdict.failures.iter().all(sound));
    let unsound: Vec<String> = unsound.map(|verdict| verdict.case()).collect();
    if !unsound.is_empty() {
        return Ok(BlessResult::Unsound(unsound));
    }
    let stopped = verdicts.iter().any(|verdict| verdict.not_run == Some(NotRun::Stopped));
    let mut sessions: Vec<(String, &Outcome)> = verdicts
        .iter()
        .flat_map(|verdict| {
            verdict.played.iter().map(|(wire, played)| (format!("{}::{wire}", verdict.drive), played))
        })
        .collect();
    // The goldens come from a session with a proxy, if there is one: without, both programs have the same
    // address. Which session was over first decides nothing.
    sessions.sort_by_key(|(name, played)| (played.tape.is_none(), name.clone()));
    let Some((first, played)) = sessions.first().filter(|_| !stopped) else {
        let why = verdicts.iter().find_map(|verdict| verdict.not_run.clone());
        return Ok(BlessResult::NotPlayed(why.unwrap_or(NotRun::Stopped)));
    };
    if !shows_messages(fixture, played) {
        return Ok(BlessResult::NoMessages);
    }
    let (server, client) = match judge::goldens_of(fixture, played) {
        [Some(server), Some(client)] => (server, client),
        [None, _] => return Ok(BlessResult::NoGolden("server")),
        [_, None] => return Ok(BlessResult::NoGolden("client")),
    };
    let blessed = Fixture { goldens: Some(Goldens { server, client }), ..fixture.clone() };
    for (name, played) in &sessions {
        let flaws = judge::screens(&blessed, played);
        if let Some(Flaw::Screen { difference, .. }) = flaws.into_iter().next() {
            return Ok(BlessResult::Disagree([first.clone(), name.clone()], difference));
        }
    }
    let mut changed = Vec::new();
    if let Some(Goldens { server, client }) = &blessed.goldens {
        for (file, golden) in [(SERVER_GOLDEN, server), (CLIENT_GOLDEN, client)] {
            let path = fixture.dir.join(file);
            let before = match fs::read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                read => read.with_context(|| format!("cannot read {}", path.display()))?,
            };
            let now = golden.bytes();
            if before != now || !path.exists() {
                let difference = Difference::between(&before, &now);
                changed.push(Change { path, difference, golden: now });
            }
        }
    }
    Ok(if changed.is_empty() { BlessResult::Same } else { BlessResult::Changed(changed) })
}

/// Whether the server printed any of the messages. A server that prints none of them would be blessed with
/// a golden that says nothing about it.
fn shows_messages(fixture: &Fixture, played: &Outcome) -> bool {
    let screen = played.server.transcript.screen();
    let shows = |text: &[u8]| memmem::find(screen, text).is_some();
    let mut messages = fixture.script.messages.iter().filter(|message| !message.is_empty()).peekable();
    messages.peek().is_none()
        || messages.any(|message| shows(message) || shows(escape::show(message).as_bytes()))
}
