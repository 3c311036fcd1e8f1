//! The harness: plays fixtures against the two programs of a pair and judges what it saw.
//!
//! What always holds: it drives executables and never calls into the pair of this package, so that
//! a mistake in the framing cannot agree with itself; and jobs emit verdicts and what was seen, which
//! only the two `report` rooms put on a screen or into a file.

pub mod check;
pub mod command;
pub mod fixture;
pub mod golden;
pub mod judge;
pub mod kernel;
pub mod port;
pub mod program;
pub mod record;
pub mod relay;
pub mod replay;
pub mod report;
pub mod session;
pub mod spawn;
pub mod stage;
pub mod transcript;
pub mod verdict;
