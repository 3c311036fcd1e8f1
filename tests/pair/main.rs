//! The pair as its users meet it: two programs, their command lines, screens, errors and exit codes.
//!
//! One test program, so that what has to take its time (a cut cable, a reader who pauses) runs beside
//! everything else.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod assignment;
mod edges;
mod editor;
mod endpoints;
mod errors;
mod hostile;
mod interop;
mod keys;
mod listening;
mod options;
mod output;
mod partial;
mod patience;
mod saving;
mod screens;
mod streams;
mod two_computers;
mod typed;

fn main() {
    common::harness::main();
}
