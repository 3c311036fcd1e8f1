//! echolog: a TCP message log (server and client), and the harness that replays sessions against
//! it or against any other implementation of the same assignment.
//!
//! This file parses, runs, prints the error and exits.

#[cfg(test)]
#[macro_use(apply)]
extern crate macro_rules_attribute;

/// The harness of tests/, for the unit tests too.
#[cfg(test)]
#[macro_use]
#[path = "../tests/common"]
#[allow(dead_code, unused_macros, reason = "tests that run programs use the rest")]
mod common {
    #[macro_use]
    pub mod harness;
    pub mod tools;
}

mod check;
mod cli;
mod error;
mod escape;
mod pair;
mod proxy;
mod replay;
mod report;
mod results;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Always so; the condition keeps what follows in use, for the compiler.
    #[cfg(test)]
    if std::env::args_os().next().is_some() {
        common::harness::run(common::harness::registered());
    }
    match cli::run() {
        Ok(exit) => exit.into(),
        Err(error) => error::tell(&error).into(),
    }
}
