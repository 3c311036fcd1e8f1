//! The kernel's tables of sockets on both sides of the proxy.

use crate::run::sockets::Sockets;

/// The tables of TCP sockets of the two computers.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) server: Sockets,
    pub(super) client: Sockets,
}
