//! Replays whose programs run on two computers of their own, as those of a check do.
//!
//! What always holds: the programs find the system, the current directory, the fixtures, and what their commands
//! name by absolute paths; what they change there only they see, and it is gone with them. echolog's own pair
//! was played in the same surroundings first.

use std::env;
use std::path::{Path, absolute};

use anyhow::{Context as _, Result, bail};

use super::drive::Drive;
use super::pair::Pair;
use super::plan::{Plan, Replay};
use super::session::{self, Session};
use crate::proxy::Wire;
use crate::results::Role;
use crate::run::clock;
use crate::run::command::Values;
use crate::run::computer::Files;
use crate::run::isolation::{Decision, Isolation};

/// What is said to echolog's own pair when isolation is tried out.
const TRIAL: &[u8] = b"one message\nquit\n";

impl Replay {
    /// Lets the programs of `plan` run on computers of their own, where that is asked for and works. echolog's
    /// own are trusted, unless isolation is required.
    pub fn isolate(&mut self, asked: Isolation, plan: &Plan) -> Result<Decision> {
        let is_own = [Role::Server, Role::Client].iter().all(|&role| self.programs.is_own(role));
        if is_own && asked == Isolation::Auto {
            return Ok(Decision::SHARED);
        }
        let mut found = None;
        let decision = asked.decide(|| {
            let files = self.files(plan)?;
            self.try_out(&files)?;
            found = Some(files);
            Ok(())
        });
        if clock::stopped() {
            // What is not played now is reported case by case.
            return Ok(Decision::SHARED);
        }
        self.isolated = found;
        decision
    }

    /// What the programs find of this computer's files.
    fn files(&self, plan: &Plan) -> Result<Files> {
        let mut files = Files::default();
        files.copy(&env::current_dir()?)?;
        for &drive in &self.drives {
            let pair = self.programs.pair(&self.echolog, drive)?;
            for command in [&pair.server.command, &pair.client.command] {
                files.show(&command.fill(&Values::default()))?;
            }
        }
        for fixture in &plan.fixtures {
            files.readable.push(absolute(fixture.messages_path())?);
        }
        Ok(files)
    }

    /// Plays one session of echolog's own pair.
    fn try_out(&self, files: &Files) -> Result<()> {
        let mut files = files.clone();
        files.show(&[self.echolog.clone().into()])?;
        let session = Session {
            pair: &Pair::own(&self.echolog, Drive::Pipe)?,
            script: Path::new("/dev/null"),
            messages: TRIAL,
            drive: Drive::Pipe,
            wire: Wire::Through,
            isolated: Some(&files),
            limits: &self.limits,
        };
        let played = session::play(&session).context("this program's own pair cannot be played")?;
        let client = played.client.as_ref().is_some_and(|client| client.ending.is_success());
        if !client || !played.server.ending.is_success() {
            bail!("this program's own pair does not work there");
        }
        Ok(())
    }
}
