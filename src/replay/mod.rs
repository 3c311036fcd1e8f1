//! Replay: every fixture, with every drive, over every wire, played side by side and judged.
//!
//! A replay's plan lists its cases; the player plays each case as one session or many; a session is judged
//! against the goldens and against what always holds; a verdict is put into words as a result.

mod alike;
mod bless;
mod cast;
mod derive;
mod diff;
pub mod drive;
mod feed;
pub mod fixture;
mod golden;
mod isolated;
mod judge;
mod keep;
mod pair;
mod plan;
mod player;
mod ready;
pub mod record;
mod session;
mod values;
pub mod verdict;
mod watched;
mod wires;
pub mod words;

pub use bless::{BlessResult, Blessed, Change};
pub use pair::Programs;
pub use plan::{Case, Plan, Replay, Shard};
pub use player::Event;
pub use wires::{WireChoice, random_seed};
