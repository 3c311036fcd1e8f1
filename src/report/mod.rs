//! Reports: results as people and programs read them.

pub mod check;
pub mod replay;
