//! The pair as its users meet it: two programs, their command lines, screens, errors and exit codes.

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
