//! The pair: a server that keeps a log of the messages a client sends, and the client.
//!
//! The two do not use each other. They share the protocol, the screens, how answers are asked for, and how
//! hosts are named and connections watched.

mod address;
mod client;
mod connect;
mod connection;
mod digest;
mod editor;
mod event;
mod input;
mod interfaces;
mod interrupt;
mod keys;
mod listen;
mod log;
mod progress;
mod readback;
mod save;
mod screen;
mod server;
mod wire;

pub use address::{Endpoint, Ports, parse_port};
pub use client::Client;
pub use connect::Patience;
pub use screen::Form;
pub use server::Server;
