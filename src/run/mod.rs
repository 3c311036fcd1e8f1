//! Running programs under test: how they are called, started, fed, read, ended, and what the kernel
//! knows of them.
//!
//! What always holds: nothing in here judges what a program does, and when a [`program::Program`] is
//! gone, so is everything that it started.

pub mod again;
pub mod clock;
pub mod command;
pub mod computer;
pub mod copy;
mod descriptors;
mod environment;
mod fork;
mod image;
pub mod isolation;
pub mod limits;
mod listening;
pub mod outcome;
pub mod pool;
pub mod port;
pub mod processes;
pub mod program;
pub mod quiet;
pub mod scratch;
pub mod sockets;
pub mod space;
pub mod spawn;
pub mod streams;
mod terminal;
pub mod transcript;
