//! Verdicts in words: what a replay found, as plain data that reports render.
//!
//! What always holds: every sentence is put together here, once, and is safe to print. Times stand in
//! fields of their own, so that two runs of the same thing give the same words.

use std::path::Path;
use std::time::Duration;

use super::diff::{DiffLine, Difference};
use super::session;
use super::verdict::{End, Failure, Flaw, LogFlaw, NotRun, Verdict};
use super::{BlessResult, Blessed, Change, Plan};
use crate::escape;
use crate::results::{
    self, Blessing, Case, Diff, DiffKind, Event, EventKind, Planned, Role, Sessions, Shown,
};
use crate::run::program::{Ending, Run};
use crate::run::transcript::Stream;

/// Lines of a diff that are kept.
const DIFF_LINES: usize = 80;
/// Characters of a line that are kept.
const LINE_CHARACTERS: usize = 1000;
/// Lines of a program's stderr that are kept, the last ones.
const ERROR_LINES: usize = 12;

impl From<&Verdict> for Case {
    fn from(verdict: &Verdict) -> Case {
        // What was found before a case was stopped still counts.
        let outcome = verdict.failures.first().map_or(verdict.outcome(), Failure::outcome);
        Case {
            fixture: verdict.fixture.clone(),
            drive: verdict.drive.to_string(),
            wire: verdict.wire.clone(),
            outcome,
            reason: verdict.not_run.as_ref().map(not_run),
            sessions: verdict.sessions,
            failures: verdict.failures.iter().map(failure).collect(),
            accept: verdict.is_acceptable().then(|| escape::show(verdict.accept.as_bytes())),
            measured: Sessions {
                seconds: verdict.took.as_secs_f64(),
                shown: verdict.played.iter().map(|(wire, played)| shown(wire.to_string(), played)).collect(),
            },
        }
    }
}

impl Plan {
    /// Its cases as they are listed.
    pub fn planned(&self) -> Vec<Planned> {
        let planned = |case: &super::Case| {
            let fixture = &self.fixtures[case.fixture];
            Planned {
                fixture: fixture.name.clone(),
                path: fixture.dir.to_string_lossy().into_owned(),
                drive: case.drive.to_string(),
                wire: case.wire.to_string(),
                cannot: case.cannot.clone(),
            }
        };
        self.cases.iter().map(planned).collect()
    }
}

/// What became of a fixture that was to be blessed.
pub fn blessing(blessed: &Blessed) -> Blessing {
    let refused = |why: String, diff| Blessing::Refused(format!("{why}; nothing was written"), diff);
    match &blessed.result {
        BlessResult::Same => Blessing::Same,
        BlessResult::Changed(changes) => Blessing::Written(changes.iter().map(change).collect()),
        BlessResult::Unsound(sessions) => {
            refused(format!("not sound, as told above: {}", sessions.join(", ")), None)
        }
        BlessResult::Disagree(names, difference) => {
            let why = "its sessions show different screens".to_owned();
            refused(why, Some(diff(names.clone(), difference)))
        }
        BlessResult::NoMessages => refused("the server's screen shows none of the messages".to_owned(), None),
        BlessResult::NoGolden(who) => {
            let why = format!("the {who}'s screen has text on it that a golden takes for a placeholder");
            refused(why, None)
        }
        BlessResult::NotPlayed(why) => refused(format!("no session was played ({})", not_run(why)), None),
    }
}

/// What changes in a golden.
pub fn change(change: &Change) -> Diff {
    let path = path_text(&change.path);
    diff([format!("{path} (before)"), format!("{path} (now)")], &change.difference)
}

/// Why a case was not run, or not to its end.
fn not_run(why: &NotRun) -> String {
    match why {
        NotRun::CannotCarry(why) => escape::show(why.as_bytes()),
        NotRun::Stopped => "stopped".to_owned(),
    }
}

fn failure(failure: &Failure) -> results::Failure {
    let mut ends: Vec<results::End> = failure.ends.iter().map(end).collect();
    if !failure.client_started {
        ends.push(not_started(Role::Client));
    }
    results::Failure {
        wire: failure.wire.to_string(),
        outcome: failure.outcome(),
        flaws: failure.flaws.iter().map(flaw).collect(),
        ends,
        again: escape::show(failure.again.as_bytes()),
    }
}

fn flaw(flaw: &Flaw) -> results::Flaw {
    let diff = match flaw {
        Flaw::Screen { golden, difference, .. } | Flaw::NotABeginning { golden, difference, .. } => {
            Some(diff([path_text(golden), "what was seen".to_owned()], difference))
        }
        _ => None,
    };
    results::Flaw { what: words(flaw), diff }
}

/// What is wrong, in words.
fn words(flaw: &Flaw) -> String {
    match flaw {
        Flaw::DiedAtStart => "the server ended before it listened".into(),
        Flaw::NeverListened => "the server ran, but never listened on its port".into(),
        Flaw::NotAsked(message) => {
            format!("the client did not come to ask for line {message} of the messages file")
        }
        Flaw::NotShown(message) => {
            format!("the server did not show message {message} when it arrived, before the next was typed")
        }
        Flaw::Hung(who) => format!("the {} did not end in time", who.word()),
        Flaw::Flooded(who) => format!("the {} showed more than it may, without end", who.word()),
        Flaw::Crashed(who, signal) => format!("the {} was ended by {signal}", who.word()),
        Flaw::Status(who, status) => {
            format!("the {} ended with exit code {status}, where 0 is due", who.word())
        }
        Flaw::Log(flaw) => {
            format!("the log on the client's screen is not the messages that were sent: {}", log_words(flaw))
        }
        Flaw::Unread => "the client ended as if all was well, but left unread what the server had sent: what \
                         it shows is not the server's log"
            .into(),
        Flaw::Screen { who, .. } => format!("the {}'s screen is not its golden:", who.word()),
        // Without its number, which is another one each time.
        Flaw::LeftBehind(who, left) => format!(
            "the {} left a process running, which has been killed: {}",
            who.word(),
            escape::show(left.command.as_bytes())
        ),
        Flaw::NoError(who) => {
            format!("the {} failed without a line on stderr that begins with \"error: \"", who.word())
        }
        Flaw::Silent(who) => format!("the {} failed without saying so", who.word()),
        Flaw::TookForWhole(Role::Server) => {
            "the server ended with exit code 0, as if the session had been whole, but the client's quit had not \
             reached it"
                .into()
        }
        Flaw::TookForWhole(Role::Client) => {
            "the client ended with exit code 0, as if the log had been whole, but not all of it had reached the \
             client"
                .into()
        }
        Flaw::NotABeginning { who, .. } => {
            format!("what the {} showed until the cut is not how its golden begins:", who.word())
        }
    }
}

fn log_words(flaw: &LogFlaw) -> String {
    let quoted = |text: &[u8]| {
        let text = escape::show(text.strip_suffix(b"\n").unwrap_or(text));
        format!("\"{}\"", cut_to(&text, 60))
    };
    match flaw {
        LogFlaw::None => "there is none".into(),
        LogFlaw::Short { shown, sent } => format!("it ends after {shown} of {sent}"),
        LogFlaw::Long { sent, next } => {
            format!("after all {sent} of them it goes on with {}", quoted(next))
        }
        LogFlaw::Different { number, sent, shown } => {
            format!("message {number} was {}, the log has {}", quoted(sent), quoted(shown))
        }
    }
}

fn end(end: &End) -> results::End {
    let (how, exit_code) = ended(&end.ending);
    results::End {
        program: end.who,
        how,
        exit_code,
        errors: error_lines(&end.errors),
        measured: Some(end.ran.as_secs_f64()),
    }
}

fn not_started(program: Role) -> results::End {
    results::End {
        program,
        how: "not started".to_owned(),
        exit_code: None,
        errors: Vec::new(),
        measured: None,
    }
}

/// How a program ended, so that the time it ran can follow.
fn ended(ending: &Ending) -> (String, Option<i32>) {
    match ending {
        Ending::Exited(status) => (format!("ended with exit code {status}"), Some(*status)),
        Ending::Signalled(signal) => (format!("ended by {signal}"), None),
        Ending::Hung(signal) if signal.as_str() == "SIGKILL" => {
            ("did not end and ignored SIGTERM and SIGHUP; killed".to_owned(), None)
        }
        Ending::Hung(signal) => (format!("did not end; ended by {signal}"), None),
        Ending::Flooded => ("printed too much; killed".to_owned(), None),
        Ending::Stopped => ("still running when it was no longer needed; ended".to_owned(), None),
    }
}

fn error_lines(errors: &[u8]) -> Vec<String> {
    let lines: Vec<&[u8]> = errors.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).collect();
    let skipped = lines.len().saturating_sub(ERROR_LINES);
    let note = (skipped > 0).then(|| format!("({skipped} lines before)"));
    note.into_iter()
        .chain(lines[skipped..].iter().map(|line| cut_to(&escape::show(line), LINE_CHARACTERS)))
        .collect()
}

fn diff(names: [String; 2], difference: &Difference) -> Diff {
    let mut lines = difference.unified();
    let more = lines.len().saturating_sub(DIFF_LINES);
    lines.truncate(DIFF_LINES);
    Diff { names, lines: lines.into_iter().map(diff_line).collect(), more }
}

fn diff_line(line: DiffLine) -> results::DiffLine {
    let note = |text: &str| (DiffKind::Note, text.to_owned());
    let (kind, text) = match line {
        DiffLine::Hunk(text) => (DiffKind::Hunk, text),
        DiffLine::Both(text) => (DiffKind::Both, cut_to(&text, LINE_CHARACTERS)),
        DiffLine::Golden(text) => (DiffKind::Old, cut_to(&text, LINE_CHARACTERS)),
        DiffLine::Seen(text) => (DiffKind::New, cut_to(&text, LINE_CHARACTERS)),
        DiffLine::NoLineEnd => note("no line end"),
        DiffLine::SameLook => note("alike only as shown here: one has the byte itself, the other its escape"),
        DiffLine::Revealed => {
            note("these lines look alike; the characters that differ are written as \\u{...}")
        }
        DiffLine::CrlfGolden => note(
            "every line of the golden ends in CRLF: if Git converted it, add `*.golden -text` to .gitattributes \
             and check the file out again",
        ),
    };
    results::DiffLine { kind, text }
}

/// A session that was asked for, with the lines of both screens in the order in which they were complete.
fn shown(wire: String, played: &session::Outcome) -> Shown {
    let server = Some(&played.server);
    let mut lines = Vec::new();
    let mut ends = Vec::new();
    for (role, run) in [(Role::Server, server), (Role::Client, played.client.as_ref())] {
        let Some(run) = run else {
            ends.push(not_started(role));
            continue;
        };
        lines.extend(screen_lines(role, run));
        let (how, exit_code) = ended(&run.ending);
        let ran = run.ended.saturating_sub(run.started).as_secs_f64();
        ends.push(results::End { program: role, how, exit_code, errors: Vec::new(), measured: Some(ran) });
    }
    // Stable: lines of one moment stay in the order of their own screen.
    lines.sort_by_key(|event| event.at);
    Shown { wire, session: lines, ends }
}

/// The lines of a program's screen and stderr, each with the time at which it was complete.
fn screen_lines(role: Role, run: &Run) -> Vec<Event> {
    let mut lines = Vec::new();
    let mut begun: [(Duration, Vec<u8>); 2] = Default::default();
    let event = |at: Duration, stream: Stream, line: &[u8]| Event {
        at: u64::try_from(at.as_micros()).unwrap_or(u64::MAX),
        kind: match (role, stream) {
            (Role::Server, Stream::Errors) => EventKind::ServerErrors,
            (Role::Server, _) => EventKind::ServerScreen,
            (Role::Client, Stream::Errors) => EventKind::ClientErrors,
            (Role::Client, _) => EventKind::ClientScreen,
        },
        text: escape::show(line),
    };
    for piece in run.transcript.pieces() {
        let line = match piece.stream {
            Stream::Typed => continue,
            Stream::Screen => &mut begun[0],
            Stream::Errors => &mut begun[1],
        };
        for part in piece.bytes.split_inclusive(|&byte| byte == b'\n') {
            line.0 = piece.at;
            line.1.extend_from_slice(part);
            if let Some(whole) = line.1.strip_suffix(b"\n") {
                lines.push(event(piece.at, piece.stream, whole));
                line.1.clear();
            }
        }
    }
    for (stream, (at, line)) in [Stream::Screen, Stream::Errors].into_iter().zip(begun) {
        if !line.is_empty() {
            lines.push(event(at, stream, &line));
        }
    }
    lines
}

fn path_text(path: &Path) -> String {
    escape::show(path.display().to_string().as_bytes())
}

fn cut_to(text: &str, characters: usize) -> String {
    let all = text.chars().count();
    if all <= characters {
        return text.to_owned();
    }
    let kept: String = text.chars().take(characters).collect();
    format!("{kept}... ({} more characters)", all - characters)
}
