//! The wires of a replay as the command line names them: one wire, or one for each position.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use anyhow::Result;

use crate::proxy::Wire;

/// What lies between the programs, as it is asked for on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireChoice {
    /// One wire, one session.
    One(Wire),
    /// One session for each place between two bytes.
    EverySplit,
    /// One session for each byte position and way of ending.
    EveryCut,
}

impl fmt::Display for WireChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireChoice::One(wire) => wire.fmt(f),
            WireChoice::EverySplit => f.write_str("every-split"),
            WireChoice::EveryCut => f.write_str("every-cut"),
        }
    }
}

impl WireChoice {
    /// Every kind of wire; `seed` is that of `shuffle`.
    pub fn all(seed: u64) -> Vec<WireChoice> {
        let mut all = WireChoice::usual(seed);
        all.extend([WireChoice::EverySplit, WireChoice::EveryCut]);
        all
    }

    /// The wires of a replay that names none: one session each.
    pub fn usual(seed: u64) -> Vec<WireChoice> {
        [Wire::Direct, Wire::Drip, Wire::Lump, Wire::Shuffle(seed)].map(WireChoice::One).to_vec()
    }

    /// Reads a wire's name; `shuffle` without a seed gets this `seed`.
    pub fn parse(name: &str, seed: u64) -> Result<WireChoice> {
        Ok(match name {
            "shuffle" => WireChoice::One(Wire::Shuffle(seed)),
            "every-split" => WireChoice::EverySplit,
            "every-cut" => WireChoice::EveryCut,
            other => WireChoice::One(other.parse()?),
        })
    }

    /// Whether all that is sent arrives, so that the goldens must hold.
    pub fn is_whole(self) -> bool {
        !matches!(self, WireChoice::EveryCut | WireChoice::One(Wire::Cut { .. }))
    }
}

/// A seed for `shuffle`, different each time; short, since people will type it.
pub fn random_seed() -> u64 {
    RandomState::new().hash_one(0) % 1_000_000
}

/// Sorts the many wires of a case as they were laid out.
pub(super) fn place(wire: Wire) -> (String, u64) {
    match wire {
        Wire::Split { toward, at } => (toward.to_string(), at),
        Wire::Cut { toward, at, by } => (format!("{toward} {by:?}"), at),
        _ => (String::new(), 0),
    }
}
