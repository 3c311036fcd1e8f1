//! The pair: a server that keeps a log of the messages a client sends, and the client.
//!
//! The two never see each other; what they share is the wire, the screens, how answers are asked for,
//! and how hosts are named and connections looked after.

mod client;
mod editor;
mod host;
mod input;
mod keys;
mod link;
mod log;
mod readback;
mod screen;
mod server;
mod tally;
mod wire;

pub use client::Client;
pub use host::{Ports, parse_port};
pub use server::Server;
