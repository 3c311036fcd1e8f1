//! The proxy between the client and the server under test.
//!
//! What always holds: the proxy never interprets the bytes, so it works with every framing. Each byte
//! is passed on once and in order, unless a connection was cut. A FIN is passed on as a FIN (also a
//! half-close) and a reset as a reset, each after the bytes that came before it. A fault of this
//! machine, such as a full file table, is an error of the run: it never counts as the behaviour of a
//! program under test.
//!
//! The proxy keeps a tape of everything it received. It is steered in one of two ways: step by step by
//! the thread that calls [`Proxy::pump`], or by a thread of its own that follows a [`Wire`].

mod connection;
mod flow;
mod plan;
mod pump;
mod tables;
mod thread;
mod wire;

pub use flow::Mode;
pub use plan::{Look, Seen};
pub use pump::{Config, Proxy, Tape};
pub use thread::ProxyThread;
pub use wire::{Direction, End, Wire};
