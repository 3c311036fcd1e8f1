//! Whether the programs of a check run on computers of their own, decided once for a run.
//!
//! What always holds: nothing is judged before this program's own pair was judged in the same surroundings, and
//! nothing was wrong. So what this machine cannot do is never a verdict on a submission.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};

use super::machine;
use super::requirement::Id;
use super::rounds;
use super::setup::Setup;
use super::submission::Submission;
use crate::error::Fault;
use crate::run::clock;
use crate::run::computer::{Computers, Files};
use crate::run::isolation::{Decision, Isolation};
use crate::run::limits::Limits;

/// Tries out, with the executable at `echolog`, what is asked for. An error where nothing can be judged on this
/// machine, isolated or not.
pub fn decide(asked: Isolation, echolog: &Path, limits: &Limits) -> Result<Decision> {
    let decision = asked.decide(|| try_out(echolog, limits, true))?;
    if decision.isolated {
        return Ok(decision);
    }
    machine::has_loopback()?;
    match try_out(echolog, limits, false) {
        Ok(()) => Ok(decision),
        Err(error) if clock::stopped() => Err(error),
        Err(error) => Err(Fault::usage("this machine cannot judge programs").because(error).into()),
    }
}

/// Plays one session of this program's own pair, on computers of their own if they are to be `isolated`.
fn try_out(echolog: &Path, limits: &Limits, isolated: bool) -> Result<()> {
    if isolated {
        // The reason is clearer than that of a session.
        drop(Computers::isolated(&Files::default())?);
    }
    let own = Submission::own(echolog)?;
    let setup = Setup::open(&own, limits, Duration::ZERO, isolated)?;
    let wanted =
        |id| [Id::S1, Id::S2, Id::S3, Id::S4, Id::S5, Id::C1, Id::C2, Id::C3, Id::C4, Id::C5].contains(&id);
    let round = rounds::play(&setup, &wanted, &|| ()).context("this program's own pair cannot be played")?;
    match round.rulings.iter().find(|(_, ruling, _)| !ruling.passes()) {
        Some((id, ..)) => bail!("this program's own pair fails {id} here"),
        None if round.rulings.is_empty() => Err(anyhow!("nothing was judged")),
        None => Ok(()),
    }
}
