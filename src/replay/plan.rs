//! What a replay is asked to do, and the cases that follow from it.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Result;

use super::drive::Drive;
use super::fixture::{Asked, Fixture, load_all};
use super::pair::Programs;
use super::wires::WireChoice;
use crate::proxy::Wire;
use crate::run::again::Again;
use crate::run::computer::Files;
use crate::run::program::Limits;

/// What delivering one byte by itself may take on a machine with much else to do.
const DRIP: Duration = Duration::from_millis(5);

/// One part of several that a replay is divided into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1.
    pub part: usize,
    /// Of how many.
    pub of: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').map(|(part, of)| (part.parse(), of.parse()));
        match parts {
            Some((Ok(part), Ok(of))) if (1..=of).contains(&part) => Ok(Shard { part, of }),
            _ => Err("a part and how many there are is needed, like 1/4 or 4/4".into()),
        }
    }
}

/// What a replay is asked to do.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Fixtures and directories of fixtures.
    pub paths: Vec<PathBuf>,
    /// The drives.
    pub drives: Vec<Drive>,
    /// The wires.
    pub wires: Vec<WireChoice>,
    /// The programs.
    pub programs: Programs,
    /// What the programs find of this computer's files, if they run on two computers of their own.
    pub isolated: Option<Files>,
    /// This executable.
    pub echolog: PathBuf,
    /// The beginning of every command that repeats a session, with every option that does not come from the
    /// case itself.
    pub again: Again,
    /// The same for every command that accepts the screens of a fixture as its goldens.
    pub accept: Again,
    /// How many sessions run side by side.
    pub jobs: usize,
    /// What a program under test may use.
    pub limits: Limits,
    /// Which part of the cases to play.
    pub shard: Option<Shard>,
    /// Where to keep everything of failed sessions.
    pub keep: Option<PathBuf>,
    /// Where to write recordings of both screens of every session.
    pub record: Option<PathBuf>,
    /// Whether verdicts carry the sessions themselves.
    pub show: bool,
}

/// A replay with its fixtures loaded and every case laid out.
#[derive(Debug)]
pub struct Plan {
    /// The fixtures.
    pub fixtures: Vec<Fixture>,
    /// What is to be played, in order.
    pub cases: Vec<Case>,
}

/// One fixture with one drive over one kind of wire.
#[derive(Clone, Debug)]
pub struct Case {
    /// Which of the plan's fixtures.
    pub fixture: usize,
    /// The drive.
    pub drive: Drive,
    /// The wire.
    pub wire: WireChoice,
    /// Why the drive cannot feed this fixture to this client, if it cannot.
    pub cannot: Option<String>,
}

impl Replay {
    /// Loads the fixtures and lays out every case.
    pub fn plan(&self, asked: Asked) -> Result<Plan> {
        let fixtures = load_all(&self.paths, asked)?;
        let mut cases = Vec::new();
        for (fixture, loaded) in fixtures.iter().enumerate() {
            for &drive in &self.drives {
                let client = self.programs.pair(&self.echolog, drive)?.client;
                let cannot = drive.cannot_carry(&loaded.typed, &client);
                let case = |&wire| Case { fixture, drive, wire, cannot: cannot.clone() };
                cases.extend(self.wires.iter().map(case));
            }
        }
        if let Some(Shard { part, of }) = self.shard {
            let mut index = 0;
            cases.retain(|_| {
                index += 1;
                (index - 1) % of == part - 1
            });
        }
        Ok(Plan { fixtures, cases })
    }

    /// What a program may use in one session. Dripping takes its time by the byte, there and back, and
    /// that is our doing, not the programs'.
    pub(super) fn limits_over(&self, wire: Wire, fixture: &Fixture) -> Limits {
        let bytes = if wire == Wire::Drip { 2 * fixture.typed.len() } else { 0 };
        let more = DRIP * u32::try_from(bytes).unwrap_or(u32::MAX);
        Limits { time: self.limits.time + more, ..self.limits.clone() }
    }

    /// The command that plays one session again, to be pasted into a shell.
    pub(super) fn again(&self, fixture: &Fixture, drive: Drive, wire: Wire) -> String {
        let again = self.again.clone().and([fixture.dir.to_string_lossy().as_ref()]);
        again.option("--drive", Some(drive.to_string())).option("--wire", Some(wire.to_string())).to_string()
    }

    /// The command that makes the screens of `fixture` its goldens.
    pub(super) fn accept(&self, fixture: &Fixture) -> String {
        self.accept.clone().and([fixture.dir.to_string_lossy().as_ref()]).to_string()
    }
}
