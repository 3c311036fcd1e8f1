//! Whether programs run on computers of their own: what is asked for, and what this machine can do.
//!
//! What always holds: a run is isolated only if that was tried out, and worked.

use anyhow::Result;
use clap::ValueEnum;

use super::clock;
use crate::error::Fault;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Isolation {
    /// Computers of their own where this machine can do that.
    #[default]
    Auto,
    /// An error where it cannot.
    Required,
    /// This computer.
    None,
}

/// Whether programs are isolated, and why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether they are.
    pub isolated: bool,
    /// Why not, where that was not asked for.
    pub why_not: Option<String>,
}

impl Decision {
    /// Programs that run on this computer, as was asked for.
    pub const SHARED: Decision = Decision { isolated: false, why_not: None };

    /// The word for it in stored results.
    pub fn word(&self) -> &'static str {
        if self.isolated { "namespaces" } else { "none" }
    }
}

impl Isolation {
    /// Does what is asked for, if that works when it is tried out.
    pub fn decide(self, try_out: impl FnOnce() -> Result<()>) -> Result<Decision> {
        if self == Isolation::None {
            return Ok(Decision::SHARED);
        }
        match try_out() {
            Ok(()) => Ok(Decision { isolated: true, why_not: None }),
            Err(error) if clock::stopped() => Err(error),
            Err(error) if self == Isolation::Required => {
                let fault = Fault::usage("the programs cannot be isolated");
                let hint = "--isolation=auto judges what can be judged without";
                Err(fault.hint(hint).because(error).into())
            }
            Err(error) => Ok(Decision { isolated: false, why_not: Some(format!("{error:#}")) }),
        }
    }
}
