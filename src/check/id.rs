//! The names of requirements, and of what their sessions need of a pair.

use std::fmt;

/// The id of a requirement: S of the server, C of the client, R of both in less usual situations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the table says what each of them is")]
#[rustfmt::skip]
pub enum Id {
    S1, S2, S3, S4, S5,
    C1, C2, C3, C4, C5,
    R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, R11, R12, R13, R14, R15, R16,
}

/// What a session of a requirement needs of the pair; each is shown by the baseline, and belongs to one
/// requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The server listens.
    Listens,
    /// The client connects.
    Connects,
    /// The server still runs when the client has connected.
    Lives,
    /// The same, and it does not flood.
    Serves,
    /// The client sends messages.
    Sends,
    /// The server prints them, be it late.
    Prints,
    /// The client sends a quit.
    Quits,
    /// The log is on the client's screen after a quit.
    Log,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The names of the variants are the names that are printed.
        f.pad(&format!("{self:?}"))
    }
}
