//! The table of requirements: for each its id, what it says, what it needs, what to advise, and the function
//! that judges it.
//!
//! What always holds: a new requirement is an id, an entry here, one function and its test.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, anyhow};

use super::baseline::Baseline;
use super::evidence::Ruling;
pub use super::id::{Id, Need};
use super::recording::Looks;
use super::setup::Setup;
use super::{assignment, failures, segments, texts};

/// How a requirement is judged.
#[derive(Clone, Copy)]
pub enum Judge {
    /// From the baseline alone.
    Baseline(fn(&Baseline) -> Ruling),
    /// By a session of its own.
    Session(fn(&Setup, &Baseline) -> Result<Ruling>),
    /// By a session of its own, whose ruling on the log counts only where the client reads long logs, which
    /// is R4's to judge: without the log, and with it.
    WithLog(fn(&Setup, &Baseline) -> Result<(Ruling, Ruling)>),
}

/// One requirement.
pub struct Requirement {
    /// Its id.
    pub id: Id,
    /// What is required, in a few words.
    pub words: &'static str,
    /// What check does.
    pub done: &'static str,
    /// What a program that meets it does then.
    pub expected: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do where it is not met.
    pub advice: &'static str,
    /// What its session needs of the pair.
    pub needs: &'static [Need],
    /// Other requirements that must pass; where one does not, this one cannot be judged.
    pub after: &'static [Id],
    /// The function that judges it.
    pub judge: Judge,
}

use Need::{Connects, Listens, Lives, Log, Prints, Quits, Sends, Serves};

/// What a session with messages on the server's screen needs.
const MESSAGES: &[Need] = &[Listens, Connects, Serves, Sends, Prints];

/// All requirements, in the order in which they are reported.
pub const TABLE: &[Requirement] = &[
    Requirement {
        id: Id::S1,
        words: "server listens on the port it is given",
        done: "The server was started with a port number.",
        expected: "It listens for TCP connections on that port.",
        why: "The user chooses the port; another one may be taken, or closed in a firewall.",
        advice: "Take the port from the command line or the keyboard, and give that number to bind().",
        needs: &[],
        after: &[],
        judge: Judge::Baseline(assignment::s1),
    },
    Requirement {
        id: Id::S2,
        words: "server shows its address and port before a client comes",
        done: "The server was started, and its screen was read before any client connected.",
        expected: "The screen shows an IP address at which another computer can reach the server, and the port.",
        why: "The user at the other computer has to type both into the client.",
        advice: "Print the computer's own address and the port right after listen(), and flush the output.",
        needs: &[Listens],
        after: &[],
        judge: Judge::Baseline(assignment::s2),
    },
    Requirement {
        id: Id::S3,
        words: "server shows the client's address",
        done: "A client connected from an address of its own.",
        expected: "The server prints that IP address.",
        why: "The user at the server sees who is connected.",
        advice: "Print the address that accept() returns for the client.",
        needs: &[Listens, Connects, Lives],
        after: &[],
        judge: Judge::Baseline(assignment::s3),
    },
    Requirement {
        id: Id::S4,
        words: "server shows each message as it arrives",
        done: "Messages were typed at the client, each after the server had the one before.",
        expected: "The server prints each message before the next one is typed.",
        why: "A conversation is read while it happens, not afterwards.",
        advice: "Print each message when it has been received, and flush the output after it.",
        needs: &[Listens, Connects, Lives, Sends],
        after: &[],
        judge: Judge::Baseline(assignment::s4),
    },
    Requirement {
        id: Id::S5,
        words: "server says that the client quits, sends the log, ends with status 0",
        done: "The quit word was typed at the client after some messages.",
        expected: "The server prints that the client quits, sends every message back, each one apart, and ends with \
                   status 0.",
        why: "The log is what the client came for, and status 0 tells scripts that all went well.",
        advice: "When the quit message arrives: print it, send every message of the log with a delimiter, close, end \
                 with status 0.",
        needs: &[Listens, Connects, Serves, Sends, Prints, Quits],
        after: &[],
        judge: Judge::Baseline(assignment::s5),
    },
    Requirement {
        id: Id::C1,
        words: "client connects to the address and port it is given",
        done: "The client was started with the server's address and port.",
        expected: "It connects to that address and port.",
        why: "The server runs on another computer, at an address that only its user knows.",
        advice: "Take address and port from the command line or the keyboard, and give them to connect().",
        needs: &[Listens],
        after: &[],
        judge: Judge::Baseline(assignment::c1),
    },
    Requirement {
        id: Id::C2,
        words: "client says that it has connected",
        done: "The client connected, and its screen was read before anything else was typed.",
        expected: "It prints a statement of its own that it is connected.",
        why: "Without it the user cannot tell whether the connection stands.",
        advice: "Print a line such as \"connected to the server\" after connect() has succeeded.",
        needs: &[Listens, Connects],
        after: &[],
        judge: Judge::Baseline(assignment::c2),
    },
    Requirement {
        id: Id::C3,
        words: "client asks for a message, sends it, says so",
        done: "Messages were typed at the client, one line each.",
        expected: "It asks for each message, sends what was typed as one message, and prints that it has sent it.",
        why: "The user knows when to type, and what has gone out.",
        advice: "Prompt, read one whole line, send it, and print that it was sent.",
        needs: &[Listens, Connects],
        after: &[],
        judge: Judge::Baseline(assignment::c3),
    },
    Requirement {
        id: Id::C4,
        words: "client goes on until quit, and sends that",
        done: "The quit word was typed after some messages; in another session, messages that look like it.",
        expected: "Only the quit word alone quits; the client tells the server, and asks for nothing more.",
        why: "A message that begins with the quit word is still a message.",
        advice: "Compare the whole line with the quit word, send it to the server, and leave the loop.",
        needs: &[Listens, Connects, Sends],
        after: &[],
        judge: Judge::Baseline(assignment::c4),
    },
    Requirement {
        id: Id::C5,
        words: "client shows the whole log, ends with status 0",
        done: "The quit word was typed after some messages; in another session the proxy changed letters of the log.",
        expected: "The client prints the log that came from the server, all of it, and ends with status 0.",
        why: "The log is what the server has kept, not what the client remembers.",
        advice: "Read from the server until it closes the connection, and print what was read.",
        needs: &[Listens, Connects, Serves, Sends, Prints, Quits],
        after: &[],
        judge: Judge::Baseline(assignment::c5),
    },
    Requirement {
        id: Id::R1,
        words: "messages that arrive in one segment stay apart",
        done: "Several messages and the quit reached the server in one TCP segment.",
        expected: "The server prints each of them as a message of its own.",
        why: "TCP is a stream of bytes: it may deliver several messages together.",
        advice: "TCP may deliver several messages together: collect what arrives, and split it at your delimiter or \
                 length.",
        needs: MESSAGES,
        after: &[],
        judge: Judge::Session(segments::one_segment),
    },
    Requirement {
        id: Id::R2,
        words: "a message in many segments stays one",
        done: "Messages reached the server byte by byte.",
        expected: "The server prints each of them whole.",
        why: "TCP is a stream of bytes: it may deliver a message in pieces.",
        advice: "TCP may deliver a message in pieces: read on until the whole message is there.",
        needs: MESSAGES,
        after: &[],
        judge: Judge::Session(segments::many_segments),
    },
    Requirement {
        id: Id::R3,
        words: "a message of 5,000 bytes arrives whole",
        done: "A message of 5,004 bytes and a short one were typed.",
        expected: "Both are printed whole by the server, and stand in the log.",
        why: "A fixed buffer of 1,024 or 4,096 bytes cuts long messages.",
        advice: "Read in a loop until the end of the message, not just once into a buffer.",
        needs: MESSAGES,
        after: &[],
        judge: Judge::WithLog(segments::long_message),
    },
    Requirement {
        id: Id::R4,
        words: "a log of over 100 KB comes back whole",
        done: "Over 1,000 messages, more than 100 KB, were typed; the log was delivered in pieces of 16 KiB.",
        expected: "The client prints every message of the log.",
        why: "A long log does not fit into one buffer, and does not arrive in one piece.",
        advice: "The server keeps every message and sends all bytes (look at what send() returns); the client reads in \
                 a loop until the connection is closed.",
        needs: &[Listens, Connects, Serves, Sends, Prints, Quits, Log],
        after: &[],
        judge: Judge::Session(segments::big_log),
    },
    Requirement {
        id: Id::R5,
        words: "an empty message does no harm",
        done: "An empty line was typed between two messages.",
        expected: "Both programs go on, and the messages around it arrive.",
        why: "Everybody presses Enter once too often.",
        advice: "Treat an empty line like any other message, or do not send it; do not take it for the end.",
        needs: MESSAGES,
        after: &[],
        judge: Judge::Session(texts::empty_message),
    },
    Requirement {
        id: Id::R6,
        words: "a character that is split between segments stays one",
        done: "Messages with characters of two, three and four bytes travelled byte by byte, in both directions.",
        expected: "The server and the log show them undamaged.",
        why: "A read may end in the middle of a UTF-8 character.",
        advice: "Collect bytes until the message is whole, and decode it then.",
        needs: MESSAGES,
        after: &[Id::R2],
        judge: Judge::WithLog(segments::split_characters),
    },
    Requirement {
        id: Id::R7,
        words: "client gone (FIN): server ends or says so",
        done: "The connection to the server was closed without a quit.",
        expected: "The server ends, or prints that the client is gone.",
        why: "Clients crash, and users close windows.",
        advice: "recv() returning 0 bytes, or an empty line, means that the client is gone: leave the loop.",
        needs: MESSAGES,
        after: &[],
        judge: Judge::Session(failures::client_closed),
    },
    Requirement {
        id: Id::R8,
        words: "client gone (RST): server ends or says so",
        done: "The connection to the server was reset without a quit.",
        expected: "The server ends, or prints that the client is gone.",
        why: "A client that crashes may reset the connection.",
        advice: "Catch the error that reading or writing gives then (\"connection reset\"), print it, and end.",
        needs: MESSAGES,
        after: &[],
        judge: Judge::Session(failures::client_reset),
    },
    Requirement {
        id: Id::R9,
        words: "server gone: client ends and says so",
        done: "The connection to the client was closed, and then messages were typed.",
        expected: "The client prints that the server is gone, and ends.",
        why: "A user must not type into a connection that is gone.",
        advice: "Check what send() and recv() return; when the server is gone, print that and end.",
        needs: &[Listens, Connects, Sends],
        after: &[],
        judge: Judge::Session(failures::server_gone),
    },
    Requirement {
        id: Id::R10,
        words: "port in use: server says so, status not 0",
        done: "The server was started on a port on which another program listens.",
        expected: "It prints an error and ends with a status that is not 0.",
        why: "A port that is taken is the most frequent error of all.",
        advice: "Check what bind() returns, print the error, and end with status 1.",
        needs: &[Listens],
        after: &[],
        judge: Judge::Session(failures::port_in_use),
    },
    Requirement {
        id: Id::R11,
        words: "no server: client says so, status not 0",
        done: "The client was started with an address and port at which nothing listens.",
        expected: "It prints an error and ends with a status that is not 0.",
        why: "The server may not be up yet, or the address may be mistyped.",
        advice: "Check what connect() returns, print the error, and end with status 1.",
        needs: &[],
        after: &[],
        judge: Judge::Baseline(failures::no_server),
    },
    Requirement {
        id: Id::R12,
        words: "server starts again on the same port right after a session",
        done: "The server was started again on the same port right after a session.",
        expected: "It listens on that port again.",
        why: "The kernel remembers a closed connection for a minute, and refuses the port without SO_REUSEADDR.",
        advice: "Set SO_REUSEADDR on the listening socket before bind().",
        needs: &[Listens, Connects, Serves, Sends, Prints, Quits],
        after: &[],
        judge: Judge::Session(failures::started_again),
    },
    Requirement {
        id: Id::R13,
        words: "a port that is no number: an error in words",
        done: "The programs were started with the port \"abc\".",
        expected: "Each prints an error in words, or asks again.",
        why: "Users mistype.",
        advice: "Check that the whole argument is a number from 1 to 65535 before using it.",
        needs: &[Listens, Connects],
        after: &[],
        judge: Judge::Session(failures::port_is_no_number),
    },
    Requirement {
        id: Id::R14,
        words: "a message comes through to the letter",
        done: "Messages with capitals, digits, punctuation, quotes, %, backslashes and blanks were typed, and one twice.",
        expected: "The server's screen and the log show every one of them as it was typed.",
        why: "A message is the user's text: nothing in it is a command, a format or noise.",
        advice: "Pass the text on unchanged: never as a format string, not trimmed, not filtered, and log repeated \
                 messages too.",
        needs: &[Listens, Connects, Serves, Sends, Prints, Quits, Log],
        after: &[],
        judge: Judge::Session(texts::to_the_letter),
    },
    Requirement {
        id: Id::R15,
        words: "a session without a message ends well",
        done: "The quit word was typed at once, with no message before it.",
        expected: "Both programs end with status 0.",
        why: "An empty log is a log.",
        advice: "An empty log is no error: send nothing, close, and end with status 0; the client accepts that.",
        needs: &[Listens, Connects, Serves, Sends, Prints, Quits, Log],
        after: &[],
        judge: Judge::Session(texts::no_message),
    },
    Requirement {
        id: Id::R16,
        words: "the keyboard comes to its end: client ends",
        done: "The client's standard input was closed after one message.",
        expected: "The client ends.",
        why: "Ctrl-D and scripts end the input without a quit.",
        advice: "Check for the end of input where you read a line (EOF, null, None), and leave the loop.",
        needs: &[Listens, Connects, Serves, Sends],
        after: &[],
        judge: Judge::Session(failures::end_of_input),
    },
];

impl Id {
    /// Its entry in the table.
    pub fn entry(self) -> &'static Requirement {
        TABLE.iter().find(|requirement| requirement.id == self).expect("every id has its entry")
    }
}

impl Requirement {
    /// Which sessions of the baseline `all` of these look at.
    pub fn looks(all: &[&Requirement]) -> Looks {
        let is_any = |ids: &[Id]| all.iter().any(|requirement| ids.contains(&requirement.id));
        let needs_log = all.iter().any(|requirement| requirement.needs.contains(&Log));
        Looks { at_look_alikes: is_any(&[Id::S5, Id::C4]), at_changed_logs: needs_log || is_any(&[Id::C5]) }
    }
}

impl FromStr for Id {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let entry = TABLE.iter().find(|requirement| requirement.id.to_string().eq_ignore_ascii_case(name));
        entry
            .map(|requirement| requirement.id)
            .ok_or_else(|| anyhow!("no such requirement: {name} (there are S1 to S5, C1 to C5, R1 to R16)"))
    }
}

impl fmt::Debug for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requirement").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn the_table_has_every_id_once_and_in_order() {
        assert!(TABLE.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert_eq!((TABLE[0].id, TABLE[TABLE.len() - 1].id, TABLE.len()), (Id::S1, Id::R16, 26));
        for requirement in TABLE {
            assert_eq!(requirement.id.to_string().parse::<Id>().unwrap(), requirement.id);
        }
        assert_eq!("r13".parse::<Id>().unwrap(), Id::R13);
        assert!("R17".parse::<Id>().is_err());
    }

    #[apply(test)]
    fn only_what_is_looked_at_is_played() {
        let looks = |ids: &[Id]| {
            let looks = Requirement::looks(&ids.iter().map(|id| id.entry()).collect::<Vec<_>>());
            (looks.at_look_alikes, looks.at_changed_logs)
        };
        assert_eq!(looks(&[Id::S1, Id::R9]), (false, false));
        assert_eq!((looks(&[Id::S5]), looks(&[Id::C4])), ((true, false), (true, false)));
        assert_eq!((looks(&[Id::C5]), looks(&[Id::R9, Id::R4])), ((false, true), (false, true)));
    }

    #[apply(test)]
    fn what_a_requirement_comes_after_is_judged_before_it() {
        assert!(
            TABLE.iter().all(|requirement| requirement.after.iter().all(|&other| other < requirement.id))
        );
    }

    #[apply(test)]
    fn every_text_of_the_table_is_a_sentence() {
        for requirement in TABLE {
            for text in [requirement.done, requirement.expected, requirement.why, requirement.advice] {
                assert!(text.ends_with('.') && !text.contains("  "), "{}: {text}", requirement.id);
            }
        }
    }
}
