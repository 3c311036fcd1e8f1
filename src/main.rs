//! echolog: a TCP message log (server and client), and the harness that replays sessions against
//! it or against any other implementation of the same assignment.
//!
//! This file parses, runs, prints the error and exits.

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
#[cfg(test)]
#[path = "../tests/common/tools.rs"]
#[allow(dead_code, reason = "each of the test programs uses its part of this")]
mod tools;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(exit) => exit.into(),
        Err(error) => error::tell(&error).into(),
    }
}
