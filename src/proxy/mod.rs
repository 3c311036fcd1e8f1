//! The proxy: what stands between client and server.

pub mod line;
pub mod relay;
