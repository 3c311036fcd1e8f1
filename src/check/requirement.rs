//! The requirements that are judged, and nothing about how.

use std::fmt;
use std::str::FromStr;

use anyhow::anyhow;

/// What is required of a pair: S of the server, C of the client, R of both when things go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "words() says what each of them is")]
#[rustfmt::skip]
pub enum Requirement {
    S1, S2, S3, S4, S5,
    C1, C2, C3, C4, C5,
    R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, R11, R12, R13,
}

use Requirement as R;

impl Requirement {
    /// All of them, in the order in which they are told.
    #[rustfmt::skip]
    pub const ALL: [Requirement; 23] = [
        R::S1, R::S2, R::S3, R::S4, R::S5,
        R::C1, R::C2, R::C3, R::C4, R::C5,
        R::R1, R::R2, R::R3, R::R4, R::R5, R::R6, R::R7, R::R8, R::R9, R::R10, R::R11, R::R12, R::R13,
    ];

    /// What is required, in a few words.
    pub fn words(self) -> &'static str {
        match self {
            R::S1 => "server listens on the port it is given",
            R::S2 => "server shows its address and port before a client comes",
            R::S3 => "server shows the client's address",
            R::S4 => "server shows each message as it arrives",
            R::S5 => "server says that the client quits, sends the log, ends with status 0",
            R::C1 => "client connects to the address and port it is given",
            R::C2 => "client says that it has connected",
            R::C3 => "client asks for a message, sends it, says so",
            R::C4 => "client goes on until quit, and sends that",
            R::C5 => "client shows the whole log, ends with status 0",
            R::R1 => "messages that arrive in one segment stay apart",
            R::R2 => "a message in many segments stays one",
            R::R3 => "a message of 5,000 bytes arrives whole",
            R::R4 => "a log of over 100 KB comes back whole",
            R::R5 => "an empty message does no harm",
            R::R6 => "a character that is split between segments stays one",
            R::R7 => "client gone (FIN): server ends or says so",
            R::R8 => "client gone (RST): server ends or says so",
            R::R9 => "server gone: client ends and says so",
            R::R10 => "port in use: server says so, status not 0",
            R::R11 => "no server: client says so, status not 0",
            R::R12 => "server starts again on the same port right after a session",
            R::R13 => "a port that is no number: an error in words",
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The names of the variants are the names that are printed.
        f.pad(&format!("{self:?}"))
    }
}

impl FromStr for Requirement {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        Requirement::ALL
            .into_iter()
            .find(|requirement| requirement.to_string().eq_ignore_ascii_case(name))
            .ok_or_else(|| anyhow!("no such requirement: {name} (there are S1 to S5, C1 to C5, R1 to R13)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_is_listed_once_under_its_own_name() {
        for requirement in Requirement::ALL {
            assert_eq!(requirement.to_string().parse::<Requirement>().unwrap(), requirement);
            assert_eq!(Requirement::ALL.iter().filter(|&&other| other == requirement).count(), 1);
        }
        assert_eq!("r13".parse::<Requirement>().unwrap(), Requirement::R13);
        assert!("R14".parse::<Requirement>().is_err());
    }
}
