//! What was found: plain data with a schema, written and read as JSON.
//!
//! What always holds: nothing in here decides or renders anything. `check` and `replay` fill it in,
//! `report` renders it, and a stored file gives the same report as the run that wrote it. Values that
//! differ between two runs of the same thing (times, ports) stand in fields named `measured` only.

use serde::{Deserialize, Serialize};

/// The version of this format. It grows when a field changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// How one requirement or one case came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// It is as it must be.
    #[serde(rename = "pass")]
    Pass,
    /// It is not.
    #[serde(rename = "fail")]
    Fail,
    /// A program did not end, or did not go on, in time.
    #[serde(rename = "hung")]
    Hung,
    /// A program printed or sent more than it may.
    #[serde(rename = "flooded")]
    Flooded,
    /// A program was ended by a signal, or by an error that it did not catch.
    #[serde(rename = "crashed")]
    Crashed,
    /// It was not judged.
    #[serde(rename = "not run")]
    NotRun,
}

impl Outcome {
    /// All of them, in the order in which a summary lists them.
    pub const ALL: [Outcome; 6] =
        [Outcome::Pass, Outcome::Fail, Outcome::Hung, Outcome::Flooded, Outcome::Crashed, Outcome::NotRun];

    /// What every report calls it.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Pass => "pass",
            Outcome::Fail => "fail",
            Outcome::Hung => "hung",
            Outcome::Flooded => "flooded",
            Outcome::Crashed => "crashed",
            Outcome::NotRun => "not run",
        }
    }
}

/// One of the two programs under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The server.
    Server,
    /// The client.
    Client,
}

impl Role {
    /// Its name in sentences.
    pub fn word(self) -> &'static str {
        match self {
            Role::Server => "server",
            Role::Client => "client",
        }
    }
}

/// Why a finding is what it is, in three parts. Each is one sentence or a few, safe to print.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What check did.
    pub done: String,
    /// What a program that meets the requirement does then.
    pub expected: String,
    /// What happened.
    pub happened: String,
}

/// Something that happened in a session, for its time line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Microseconds from the start of the session.
    pub at: u64,
    /// What it was.
    pub kind: EventKind,
    /// The bytes, escaped so that they are safe to print; or a few words for an end.
    pub text: String,
}

/// What an [`Event`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// The server printed text.
    ServerScreen,
    /// The client printed text.
    ClientScreen,
    /// Text was typed at the server.
    ServerTyped,
    /// Text was typed at the client.
    ClientTyped,
    /// Bytes, or the end of a connection, came from the client.
    ToServer,
    /// Bytes, or the end of a connection, came from the server.
    ToClient,
    /// The server ended.
    ServerEnd,
    /// The client ended.
    ClientEnd,
}

/// The result for one requirement of one submission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Its id, like `R7`.
    pub requirement: String,
    /// The verdict.
    pub outcome: Outcome,
    /// The requirement that it depends on, where it was not run for that reason.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub needs: Option<String>,
    /// Why.
    pub evidence: Evidence,
    /// One sentence that a beginner can act on; empty where there is nothing to advise.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub advice: String,
    /// The outcome of each round, where the rounds differ.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub differing: Vec<Outcome>,
    /// The command that judges it again.
    pub again: String,
    /// The session that was judged, in time order; empty for a pass that was not asked to keep it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub session: Vec<Event>,
    /// Seconds that it took.
    pub measured: f64,
}

/// The result for one submission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    /// Its name: its directory as the user wrote it, or its two commands.
    pub name: String,
    /// Why nothing of it could be run, if so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// What a reader should know of how it was judged: a guessed command, a setting that would help.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<String>,
    /// How its client marks the end of a message.
    pub framing: String,
    /// In the order of the requirements.
    pub findings: Vec<Finding>,
    /// Seconds that it took.
    pub measured: f64,
}
