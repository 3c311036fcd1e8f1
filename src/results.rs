//! What was found: plain data with a schema, written and read as JSON.
//!
//! What always holds: nothing in here decides or renders anything. `check` and `replay` fill it in,
//! `report` renders it, and a stored file gives the same report as the run that wrote it. Values that
//! differ between two runs of the same thing (times, and with them sessions) stand in fields named
//! `measured` only.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The version of this format. It grows when a field changes its meaning or goes away.
pub const SCHEMA: u32 = 2;

/// All that one run of `check` or `replay` found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`] of the program that wrote it.
    pub schema: u32,
    /// Which command found it.
    pub job: Job,
    /// The names of the submissions or cases that were not judged, because the run was stopped or is
    /// still going on; empty when it is complete.
    pub stopped: Vec<String>,
    /// How the programs under test were kept apart; empty where that was not recorded.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub isolation: String,
    /// The requirements that `check` judged, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub requirements: Vec<Requirement>,
    /// What `check` found, in the order in which the submissions were named.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub submissions: Vec<Submission>,
    /// What `replay` found, ordered by fixture, drive and wire.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub cases: Vec<Case>,
    /// The seed of `shuffle`, where it was played.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seed: Option<u64>,
    /// When the run began and how long it took.
    pub measured: Span,
}

impl Results {
    /// The document of a run that begins now and has found nothing yet.
    pub fn begin(job: Job) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Results {
            schema: SCHEMA,
            job,
            stopped: Vec::new(),
            isolation: String::new(),
            requirements: Vec::new(),
            submissions: Vec::new(),
            cases: Vec::new(),
            seed: None,
            measured: Span { began: now.map_or(0, |now| now.as_secs()), seconds: 0.0 },
        }
    }

    /// How the submissions or cases came out.
    pub fn count(&self) -> Count {
        let mut count = Count::default();
        for submission in &self.submissions {
            match submission.error {
                Some(_) => count.not_run += 1,
                None if submission.passes() => count.passed += 1,
                None => count.failed += 1,
            }
        }
        for case in &self.cases {
            match case.outcome {
                Outcome::Pass => count.passed += 1,
                Outcome::NotRun => count.not_run += 1,
                _ => count.failed += 1,
            }
        }
        count.sessions = self.cases.iter().map(|case| case.sessions).sum();
        count.stopped = self.stopped.len();
        count
    }
}

/// How many submissions or cases came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Everything passes.
    pub passed: usize,
    /// Something fails.
    pub failed: usize,
    /// Nothing could be run.
    pub not_run: usize,
    /// Not judged, since the run was stopped.
    pub stopped: usize,
    /// Sessions that `replay` played.
    pub sessions: usize,
}

/// The command that found something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Job {
    /// `echolog check`.
    Check,
    /// `echolog replay`.
    Replay,
}

impl Job {
    /// Its name on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Job::Check => "check",
            Job::Replay => "replay",
        }
    }
}

/// When a run took place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// When it began, in seconds since 1970-01-01 UTC.
    pub began: u64,
    /// Seconds that it took.
    pub seconds: f64,
}

/// A requirement as a reader needs it, and what it is worth in this course.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Requirement {
    /// Its id, like `R7`.
    pub id: String,
    /// What is required, in a few words.
    pub words: String,
    /// What check does to judge it.
    #[serde(default)]
    pub done: String,
    /// What a program that meets it does then.
    #[serde(default)]
    pub expected: String,
    /// Why it matters.
    #[serde(default)]
    pub why: String,
    /// How to meet it.
    #[serde(default)]
    pub advice: String,
    /// The points that it is worth.
    pub points: f64,
    /// When a student sees its row.
    #[serde(default)]
    pub visibility: Visibility,
}

/// When a student sees a row, by the names that Gradescope uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Always.
    #[default]
    Visible,
    /// Never.
    Hidden,
    /// From the due date on.
    AfterDueDate,
    /// Once the grades are published.
    AfterPublished,
}

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
    /// Whether a program did something that it must not do.
    pub fn is_failure(self) -> bool {
        !matches!(self, Outcome::Pass | Outcome::NotRun)
    }

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
    /// The server wrote to its standard error, where that is kept apart from its screen.
    ServerErrors,
    /// The client wrote to its standard error, where that is kept apart from its screen.
    ClientErrors,
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
    /// How long it took, and the session that was judged.
    pub measured: Measured,
}

/// A session as it was played: when everything happened, and how the bytes came in pieces, is not the same
/// twice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Seconds that it took.
    pub seconds: f64,
    /// Its events in time order; none for a pass.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub session: Vec<Event>,
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

impl Submission {
    /// Whether it was run, and everything that was asked for passes.
    pub fn passes(&self) -> bool {
        self.error.is_none() && self.findings.iter().all(|finding| finding.outcome == Outcome::Pass)
    }
}

/// The result for one fixture with one drive over one kind of wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The fixture's name.
    pub fixture: String,
    /// How the client was fed.
    pub drive: String,
    /// The wire as it was asked for; `every-split` and `every-cut` stand for many.
    pub wire: String,
    /// The verdict.
    pub outcome: Outcome,
    /// Why it was not run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// How many sessions were played.
    pub sessions: usize,
    /// The sessions that failed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub failures: Vec<Failure>,
    /// The command that accepts the output as the new goldens, where nothing else is wrong.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accept: Option<String>,
    /// How long its sessions took, and the sessions that were asked for.
    pub measured: Sessions,
}

/// The sessions of a case as they were played.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sessions {
    /// Seconds that they took, taken together.
    pub seconds: f64,
    /// Whole sessions, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub shown: Vec<Shown>,
}

impl Case {
    /// The same without whole sessions.
    #[must_use]
    pub fn without_sessions(&self) -> Case {
        let measured = Sessions { shown: Vec::new(), ..self.measured.clone() };
        Case { measured, ..self.clone() }
    }

    /// Its name among the cases of its fixture.
    pub fn name(&self) -> String {
        format!("{}::{}", self.drive, self.wire)
    }
}

/// A case that `replay` would play.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The fixture's name.
    pub fixture: String,
    /// Its directory.
    pub path: String,
    /// How the client would be fed.
    pub drive: String,
    /// The wire.
    pub wire: String,
    /// Why it cannot be played, if so.
    pub cannot: Option<String>,
}

/// A session that is not as it must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The wire of this one session.
    pub wire: String,
    /// The verdict.
    pub outcome: Outcome,
    /// What is wrong, the likely cause first.
    pub flaws: Vec<Flaw>,
    /// How the programs ended.
    pub ends: Vec<End>,
    /// The command that plays exactly this session again.
    pub again: String,
}

/// One thing that is wrong with a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaw {
    /// What it is, in a sentence that is safe to print.
    pub what: String,
    /// Where a screen differs from its golden: how.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub diff: Option<Diff>,
}

/// Two texts, line by line, as a unified diff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// The names of the two texts.
    pub names: [String; 2],
    /// The lines, safe to print.
    pub lines: Vec<DiffLine>,
    /// How many more lines there are, which were left out.
    pub more: usize,
}

/// One line of a [`Diff`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DiffLine {
    /// What it is.
    pub kind: DiffKind,
    /// Its text.
    pub text: String,
}

/// What a line of a diff is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiffKind {
    /// Where the lines that follow stand in both texts.
    Hunk,
    /// A line of both texts.
    Both,
    /// A line of the first text only.
    Old,
    /// A line of the second text only.
    New,
    /// A remark on the lines before it.
    Note,
}

/// How one program ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Which.
    pub program: Role,
    /// How, in words.
    pub how: String,
    /// Its exit code, if it ended by itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit_code: Option<i32>,
    /// The last lines of its standard error, where that is kept apart from its screen.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub errors: Vec<String>,
    /// Seconds that it ran; none for a program that was never started.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub measured: Option<f64>,
}

/// A whole session of a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// Its wire.
    pub wire: String,
    /// Its screens, a line an event, in time order.
    pub session: Vec<Event>,
    /// How the programs ended.
    pub ends: Vec<End>,
}

/// The outcome of accepting what the programs of one fixture printed as its goldens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blessing {
    /// The goldens were right already.
    Same,
    /// They were written; what changed.
    Written(Vec<Diff>),
    /// They were not written: why, and two sessions that contradict each other, if that is why.
    Refused(String, Option<Diff>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn a_document_is_read_back_as_it_was_written_and_older_ones_without_new_fields_too() {
        let mut results = Results::begin(Job::Check);
        results.requirements.push(Requirement { id: "S1".into(), points: 1.0, ..Default::default() });
        results.stopped.push("ada".into());
        let text = serde_json::to_string(&results).unwrap();
        assert_eq!(serde_json::from_str::<Results>(&text).unwrap(), results);
        let old = r#"{"schema":2,"job":"replay","stopped":[],"measured":{"began":0,"seconds":0.5}}"#;
        let old: Results = serde_json::from_str(old).unwrap();
        assert_eq!((old.job, old.count()), (Job::Replay, Count::default()));
    }
}
