//! Every word of a replay's reports: for people, and as JSON, JUnit XML and TAP for programs.
//!
//! What always holds: text that came from the programs under test is shown safely, whatever the
//! format; colour goes to terminals only, and never where `NO_COLOR` is set; and a report is written
//! whole, also when the replay was stopped half-way.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthChar as _;

use crate::error::Fault;
use crate::escape;
use crate::replay::golden::{DiffLine, Difference};
use crate::replay::session;
use crate::replay::verdict::{End, Failure, Flaw, LogFlaw, NotRun, Verdict};
use crate::replay::{BlessResult, Blessed, Event, Plan};
use crate::results::{Outcome, Role};
use crate::run::program::{Ending, Run};
use crate::run::transcript::Stream;

/// The widest report for people, in columns.
const WIDTH: usize = 80;
/// Lines of a diff that are shown.
const DIFF_LINES: usize = 80;
/// Characters of a line that are shown.
const LINE_CHARACTERS: usize = 1000;
/// Lines of a program's stderr that are shown, the last ones.
const ERROR_LINES: usize = 12;
/// Failed sessions of one case that are shown in full.
const FAILURES: usize = 3;

/// For whom a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// People
    Human,
    /// One JSON document
    Json,
    /// JUnit XML, as CI systems read it
    Junit,
    /// Test Anything Protocol, as `prove` reads it
    Tap,
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    colour: bool,
}

impl Style {
    /// No colour at all.
    pub const PLAIN: Style = Style { colour: false };

    /// What suits standard output.
    pub fn of_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Style { colour: wanted && !dumb && io::stdout().is_terminal() }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    // Only colours that can be read on a light and on a dark background.
    /// `text` in bold.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// `text` in red: what is wrong.
    pub fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// `text` in green: what is right.
    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// `text` in cyan: what to type.
    pub fn cyan(self, text: &str) -> String {
        self.paint("36", text)
    }
}

/// A report in the making.
pub struct Report {
    started: Instant,
    began: SystemTime,
    format: Format,
    file: Option<(PathBuf, File)>,
    human: Option<Human>,
    bar: ProgressBar,
    verdicts: Vec<Verdict>,
    seed: Option<u64>,
}

/// What is told to people while it happens.
struct Human {
    style: Style,
    /// Whether every case gets its line; at a terminal the bar says enough.
    lines: bool,
    /// The differences that were shown, and in which session: one wrong golden fails many.
    told: HashMap<(PathBuf, Vec<String>), String>,
}

/// How many cases came out how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// As they must be.
    pub passed: usize,
    /// Not so.
    pub failed: usize,
    /// Not played, since the drive cannot carry the messages.
    pub not_carried: usize,
    /// Not played, or not to the end, since the replay was stopped.
    pub stopped: usize,
    /// Sessions played.
    pub sessions: usize,
}

impl Report {
    /// A report in `format`, to `file` if given. What goes to a file does not keep people from being
    /// told on stdout. `seed` is that of `shuffle`, where it is played.
    pub fn new(format: Format, file: Option<&Path>, seed: Option<u64>) -> Result<Self> {
        let file = file
            .map(|path| -> Result<_> {
                let file = File::create(path).map_err(|error| {
                    Fault::usage(format!("cannot write the report {}", path.display())).because(error)
                })?;
                Ok((path.to_path_buf(), file))
            })
            .transpose()?;
        let style = Style::of_stdout();
        let human = (format == Format::Human || file.is_some())
            .then(|| Human::new(style, !io::stdout().is_terminal()));
        let bar = ProgressBar::new(0).with_style(
            ProgressStyle::with_template("{bar:30} {pos} of {len} sessions  {elapsed}  {msg}")
                .context("the bar's template")?,
        );
        Ok(Report {
            started: Instant::now(),
            began: SystemTime::now(),
            format,
            file,
            human,
            bar,
            verdicts: Vec::new(),
            seed,
        })
    }

    /// Tells how many cases there will be.
    pub fn begin(&mut self, plan: &Plan) {
        self.bar.set_length(plan.cases.len() as u64);
    }

    /// Tells an event.
    pub fn tell(&mut self, event: Event) -> Result<()> {
        match event {
            Event::More(sessions) => self.bar.inc_length(sessions as u64),
            Event::Session => self.bar.inc(1),
            Event::Verdict(verdict) => {
                if let Some(human) = &mut self.human {
                    let text = human.verdict(&verdict);
                    self.bar.suspend(|| print(&text))?;
                }
                self.verdicts.push(*verdict);
                let failed = self.verdicts.iter().filter(|verdict| is_failure(verdict)).count();
                if failed > 0 {
                    self.bar.set_message(format!("{failed} failed"));
                }
            }
        }
        Ok(())
    }

    /// Writes what is left to be written, and counts.
    pub fn finish(mut self) -> Result<Count> {
        self.bar.finish_and_clear();
        let count = count(&self.verdicts);
        if let Some(human) = &self.human {
            print(&self.summary(human.style, count))?;
        }
        // Cases end in the order in which their sessions do; a report has them in a fixed one.
        self.verdicts.sort_by(|one, other| {
            (&one.fixture, one.drive as u8, &one.wire).cmp(&(&other.fixture, other.drive as u8, &other.wire))
        });
        let rows: Vec<Row> = self.verdicts.iter().map(Row::from).collect();
        let text = match self.format {
            Format::Human => {
                let mut human = Human::new(Style::PLAIN, true);
                let cases: String = self.verdicts.iter().map(|verdict| human.verdict(verdict)).collect();
                cases + &self.summary(Style::PLAIN, count)
            }
            Format::Json => self.json(count),
            Format::Junit => junit("echolog replay", &rows, self.began),
            Format::Tap if count.stopped > 0 => tap(&rows) + "Bail out! stopped\n",
            Format::Tap => tap(&rows),
        };
        match &mut self.file {
            Some((path, file)) => {
                file.write_all(text.as_bytes())
                    .and_then(|()| file.flush())
                    .with_context(|| format!("cannot write the report {}", path.display()))?;
            }
            None if self.format != Format::Human => print(&text)?,
            None => {}
        }
        Ok(count)
    }

    fn summary(&self, style: Style, count: Count) -> String {
        let cases = self.verdicts.len();
        let took = seconds(self.started.elapsed());
        let mut parts = vec![format!("{} passed", count.passed)];
        let mut part = |number: usize, words: &str, bad: bool| {
            if number > 0 {
                let text = format!("{number} {words}");
                parts.push(if bad { style.red(&text) } else { text });
            }
        };
        part(count.failed, "failed", true);
        part(count.not_carried, "not run", false);
        part(count.stopped, "stopped", true);
        let parts = parts.join(", ");
        let (cases, sessions) = (plural(cases, "case"), plural(count.sessions, "session"));
        let mut text = format!("{cases}: {parts} ({sessions} in {took})\n");
        if count.failed + count.stopped == 0 && count.passed > 0 {
            text = style.green(text.trim_end()) + "\n";
        }
        for why in not_carried(&self.verdicts) {
            text += &wrapped("not run: ", &why);
        }
        if let Some(seed) = self.seed {
            text += &format!("shuffle's seed: {seed}\n");
        }
        let flaws =
            || self.verdicts.iter().flat_map(|verdict| &verdict.failures).flat_map(|failure| &failure.flaws);
        if flaws().any(|flaw| matches!(flaw, Flaw::Screen { .. })) {
            text += "where what was seen is right, replay --bless makes it the golden\n";
        }
        text
    }

    fn json(&self, count: Count) -> String {
        let cases: Vec<Value> = self.verdicts.iter().map(json_case).collect();
        let document = json!({
            "job": "replay",
            "shuffle_seed": self.seed,
            "summary": {
                "cases": self.verdicts.len(),
                "passed": count.passed,
                "failed": count.failed,
                "not_run": count.not_carried,
                "stopped": count.stopped,
                "sessions": count.sessions,
                "seconds": self.started.elapsed().as_secs_f64(),
            },
            "cases": cases,
        });
        format!("{document:#}\n")
    }
}

fn is_failure(verdict: &Verdict) -> bool {
    !matches!(verdict.outcome(), Outcome::Pass | Outcome::NotRun)
}

fn count(verdicts: &[Verdict]) -> Count {
    let mut count = Count::default();
    for verdict in verdicts {
        count.sessions += verdict.sessions;
        match (verdict.outcome(), &verdict.not_run) {
            (Outcome::Pass, _) => count.passed += 1,
            (_, Some(NotRun::CannotCarry(_))) => count.not_carried += 1,
            // What was found before the replay was stopped still counts.
            (_, Some(NotRun::Stopped)) if verdict.failures.is_empty() => count.stopped += 1,
            _ => count.failed += 1,
        }
    }
    count
}

/// Why cases were not played, each reason once with the fixtures and drive it stands for.
fn not_carried(verdicts: &[Verdict]) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    for verdict in verdicts {
        if let Some(NotRun::CannotCarry(why)) = &verdict.not_run {
            let reason =
                format!("{} by {}: {}", escape::show(verdict.fixture.as_bytes()), verdict.drive, shown(why));
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
    }
    reasons.sort();
    reasons
}

impl Human {
    fn new(style: Style, lines: bool) -> Human {
        Human { style, lines, told: HashMap::new() }
    }

    fn verdict(&mut self, verdict: &Verdict) -> String {
        let style = self.style;
        let outcome = verdict.outcome();
        let name = format!("{}::{}", escape::show(verdict.fixture.as_bytes()), verdict.case());
        let mut text = String::new();
        if is_failure(verdict) || !verdict.failures.is_empty() {
            let many = match verdict.sessions {
                0 | 1 => String::new(),
                all => format!(" ({} of {all} sessions)", verdict.failures.len()),
            };
            let label = verdict.failures.first().map_or(outcome, Failure::outcome);
            text += &format!(
                "{} {}{many}\n",
                style.red(&style.bold(&label.word().to_uppercase())),
                style.bold(&name)
            );
            for failure in verdict.failures.iter().take(FAILURES) {
                let other = verdict.sessions > 1 || failure.wire.to_string() != verdict.wire;
                let session = format!("{}::{}::{}", shown(&verdict.fixture), verdict.drive, failure.wire);
                text += &self.failure(failure, &session, other);
            }
            let rest: Vec<&Failure> = verdict.failures.iter().skip(FAILURES).collect();
            if !rest.is_empty() {
                let wires: Vec<String> = rest.iter().map(|failure| failure.wire.to_string()).collect();
                text += &wrapped("  and over: ", &wires.join(", "));
            }
            text += "\n";
        } else if self.lines {
            let why = match &verdict.not_run {
                Some(NotRun::CannotCarry(why)) => format!(": {}", shown(why)),
                Some(NotRun::Stopped) => ": stopped".to_owned(),
                None => format!(" ({})", seconds(verdict.took)),
            };
            text += &format!("{:7} {name}{why}\n", outcome.word());
        }
        for (wire, played) in &verdict.played {
            let name = format!("{}::{}::{wire}", escape::show(verdict.fixture.as_bytes()), verdict.drive);
            text += &format!("{}\n{}\n", style.bold(&name), two_columns(played, style));
        }
        text
    }

    fn failure(&mut self, failure: &Failure, session: &str, name_wire: bool) -> String {
        let mut text = String::new();
        if name_wire {
            text += &format!("  over {}:\n", failure.wire);
        }
        for flaw in &failure.flaws {
            text += &wrapped("  ", &words(flaw));
            if let Some((golden, difference)) = diff_of(flaw) {
                match self.told.entry((golden.to_owned(), changes(difference))) {
                    Entry::Occupied(before) => text += &format!("    (as in {})\n", before.get()),
                    Entry::Vacant(first) => {
                        first.insert(session.to_owned());
                        text += &diff(golden, difference, self.style);
                    }
                }
            }
        }
        for end in &failure.ends {
            text += &format!("  {}: {}\n", who(end.who), ended(&end.ending, end.ran));
            for line in error_lines(&end.errors) {
                text += &wrapped("    stderr: ", &line);
            }
        }
        if !failure.client_started {
            text += "  client: not started\n";
        }
        // Never wrapped: it is there to be copied.
        text + &format!("  again: {}\n", self.style.cyan(&shown(&failure.again)))
    }
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
        Flaw::Hung(who) => format!("the {} did not end in time", self::who(*who)),
        Flaw::Flooded(who) => format!("the {} showed more than it may, without end", self::who(*who)),
        Flaw::Crashed(who, signal) => format!("the {} was ended by {signal}", self::who(*who)),
        Flaw::Status(who, status) => {
            format!("the {} ended with exit code {status}, where 0 is due", self::who(*who))
        }
        Flaw::Log(flaw) => format!("the log on the client's screen is not the messages that were sent: {}", log_words(flaw)),
        Flaw::Unread => "the client ended as if all was well, but left unread what the server had sent: what \
                         it shows is not the server's log"
            .into(),
        Flaw::Screen { who, .. } => format!("the {}'s screen is not its golden:", self::who(*who)),
        Flaw::LeftBehind(who, left) => format!(
            "the {} left a process running, which has been killed: {} {}",
            self::who(*who),
            left.pid,
            shown(&left.command)
        ),
        Flaw::NoError(who) => {
            format!("the {} failed without a line on stderr that begins with \"error: \"", self::who(*who))
        }
        Flaw::Silent(who) => format!("the {} failed without saying so", self::who(*who)),
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
            format!("what the {} showed until the cut is not how its golden begins:", self::who(*who))
        }
    }
}

fn log_words(flaw: &LogFlaw) -> String {
    let quoted = |text: &[u8]| {
        let text = shown_bytes(text.strip_suffix(b"\n").unwrap_or(text));
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

fn ended(ending: &Ending, ran: Duration) -> String {
    let after = seconds(ran);
    match ending {
        Ending::Exited(status) => format!("ended with exit code {status} after {after}"),
        Ending::Signalled(signal) => format!("ended by {signal} after {after}"),
        Ending::Hung(signal) if signal.as_str() == "SIGKILL" => {
            format!("did not end; killed after {after}, since it ignored SIGTERM and SIGHUP")
        }
        Ending::Hung(signal) => format!("did not end; ended by {signal} after {after}"),
        Ending::Flooded => format!("killed after {after}, for showing too much"),
        Ending::Stopped => format!("still running when it was no longer needed; ended after {after}"),
    }
}

fn error_lines(errors: &[u8]) -> Vec<String> {
    let lines: Vec<&[u8]> = errors.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).collect();
    let skipped = lines.len().saturating_sub(ERROR_LINES);
    let note = (skipped > 0).then(|| format!("({skipped} lines before)"));
    note.into_iter()
        .chain(lines[skipped..].iter().map(|line| cut_to(&shown_bytes(line), LINE_CHARACTERS)))
        .collect()
}

fn who(who: Role) -> &'static str {
    match who {
        Role::Server => "server",
        Role::Client => "client",
    }
}

fn diff_of(flaw: &Flaw) -> Option<(&Path, &Difference)> {
    match flaw {
        Flaw::Screen { golden, difference, .. } | Flaw::NotABeginning { golden, difference, .. } => {
            Some((golden, difference))
        }
        _ => None,
    }
}

/// What differs, without what stands around it, which has another port each time.
fn changes(difference: &Difference) -> Vec<String> {
    let changed = |line| match line {
        DiffLine::Golden(line) => Some(format!("-{line}")),
        DiffLine::Seen(line) => Some(format!("+{line}")),
        _ => None,
    };
    difference.unified().into_iter().filter_map(changed).collect()
}

/// A unified diff, `-` golden and `+` seen.
fn diff(golden: &Path, difference: &Difference, style: Style) -> String {
    let name = shown(&golden.display().to_string());
    diff_lines([&name, "what was seen"], difference, style)
}

fn diff_lines(names: [&str; 2], difference: &Difference, style: Style) -> String {
    let lines = difference.unified();
    let mut text = format!(
        "    {}\n    {}\n",
        style.red(&format!("--- {}", names[0])),
        style.green(&format!("+++ {}", names[1]))
    );
    for line in lines.iter().take(DIFF_LINES) {
        let line = match line {
            DiffLine::Hunk(line) => style.cyan(line),
            DiffLine::Both(line) => cut_to(&format!(" {line}"), LINE_CHARACTERS),
            DiffLine::Golden(line) => style.red(&cut_to(&format!("-{}", blank_ended(line)), LINE_CHARACTERS)),
            DiffLine::Seen(line) => style.green(&cut_to(&format!("+{}", blank_ended(line)), LINE_CHARACTERS)),
            DiffLine::NoLineEnd => "\\ no line end".to_owned(),
            DiffLine::SameLook => {
                "\\ alike only as shown here: one has the byte itself, the other its escape".to_owned()
            }
        };
        // Without the blanks at a line's end, a diff pasted somewhere would lie; they stay.
        text += &format!("    {line}\n");
    }
    if lines.len() > DIFF_LINES {
        text += &format!("    ({} more lines; --keep DIR keeps all)\n", lines.len() - DIFF_LINES);
    }
    text
}

/// `line`, with its end marked if nobody could see it otherwise.
fn blank_ended(line: &str) -> String {
    let mark = if line.ends_with([' ', '\t']) { "⏎" } else { "" };
    format!("{line}{mark}")
}

/// A session as two columns, server left and client right, in time order.
pub fn two_columns(played: &session::Outcome, style: Style) -> String {
    two_columns_of(&played.server, played.client.as_ref(), style)
}

fn two_columns_of(server: &Run, client: Option<&Run>, style: Style) -> String {
    const COLUMN: usize = (WIDTH - 3) / 2;
    let mut lines: Vec<(Duration, Role, Stream, String)> = screen_lines(Role::Server, server);
    lines.extend(client.map(|client| screen_lines(Role::Client, client)).unwrap_or_default());
    // Stable: lines of one moment stay in the order of their own screen.
    lines.sort_by_key(|line| line.0);
    let row = |left: &str, right: &str, paint: &dyn Fn(&str) -> String| {
        let blank = COLUMN.saturating_sub(width(left));
        let left = format!("{}{:blank$}", paint(left), "");
        format!("{left} | {}", paint(right)).trim_end().to_owned() + "\n"
    };
    let bold = |text: &str| style.bold(text);
    let mut text =
        row("server", "client", &bold) + &row(&"-".repeat(COLUMN), &"-".repeat(COLUMN), &str::to_owned);
    for (_, who, stream, line) in &lines {
        let paint = |text: &str| if *stream == Stream::Errors { style.red(text) } else { text.to_owned() };
        for part in hanging(line, COLUMN) {
            text += &match who {
                Role::Server => row(&part, "", &paint),
                Role::Client => row("", &part, &paint),
            };
        }
    }
    let ends: Vec<Vec<String>> = [Some(server), client]
        .iter()
        .map(|run| {
            let end = run.map_or("not started".to_owned(), |run| {
                ended(&run.ending, run.ended.saturating_sub(run.started))
            });
            wrap(&format!("({end})"), COLUMN)
        })
        .collect();
    for index in 0..ends[0].len().max(ends[1].len()) {
        let part = |side: usize| ends[side].get(index).map_or("", String::as_str);
        text += &row(part(0), part(1), &|text| style.cyan(text));
    }
    text
}

/// The lines of a program's screen and stderr, each with the time at which it was complete.
fn screen_lines(who: Role, run: &Run) -> Vec<(Duration, Role, Stream, String)> {
    let mut lines = Vec::new();
    let mut begun: [(Duration, Vec<u8>); 2] = Default::default();
    let show = |stream: Stream, line: &[u8]| {
        let line = with_blanks_for_tabs(&shown_bytes(line));
        if stream == Stream::Errors { format!("stderr: {line}") } else { line }
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
                lines.push((piece.at, who, piece.stream, show(piece.stream, whole)));
                line.1.clear();
            }
        }
    }
    for (stream, (at, line)) in [Stream::Screen, Stream::Errors].into_iter().zip(begun) {
        if !line.is_empty() {
            lines.push((at, who, stream, show(stream, &line)));
        }
    }
    lines
}

fn with_blanks_for_tabs(line: &str) -> String {
    let mut text = String::new();
    for part in line.split_inclusive('\t') {
        text += part.trim_end_matches('\t');
        if part.ends_with('\t') {
            let blanks = 8 - width(&text) % 8;
            text += &" ".repeat(blanks);
        }
    }
    text
}

/// `text` in lines of at most `columns`, broken at blanks where there are any.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    loop {
        let mut used = 0;
        let mut blank = None;
        let mut end = None;
        for (at, character) in rest.char_indices() {
            let wide = character.width().unwrap_or(0);
            if used + wide > columns {
                end = Some(at);
                break;
            }
            used += wide;
            if character == ' ' {
                blank = Some(at + 1);
            }
        }
        let Some(end) = end else {
            lines.push(rest.to_owned());
            return lines;
        };
        // Joined to what came before: a mark of no width stays with its letter.
        let at = blank.filter(|&at| at > 0).unwrap_or(end).max(1);
        let at = (at..=rest.len()).find(|&at| rest.is_char_boundary(at)).unwrap_or(rest.len());
        lines.push(rest[..at].trim_end().to_owned());
        rest = &rest[at..];
        if rest.is_empty() {
            return lines;
        }
    }
}

/// `text` in lines of at most `columns`, those that follow the first indented.
fn hanging(text: &str, columns: usize) -> Vec<String> {
    const INDENT: &str = "  ";
    let first = wrap(text, columns).swap_remove(0);
    let rest = text[first.len()..].trim_start();
    let mut lines = vec![first];
    if !rest.is_empty() {
        lines.extend(wrap(rest, columns - INDENT.len()).iter().map(|line| format!("{INDENT}{line}")));
    }
    lines
}

fn width(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// `text` behind `lead`, in lines of at most 80 columns, those that follow indented as far.
fn wrapped(lead: &str, text: &str) -> String {
    let indent = " ".repeat(width(lead));
    let lines = wrap(text, WIDTH.saturating_sub(width(lead)));
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        out += &format!("{}{line}\n", if index == 0 { lead } else { &indent });
    }
    out
}

fn shown(text: &str) -> String {
    escape::show(text.as_bytes())
}

fn shown_bytes(text: &[u8]) -> String {
    escape::show(text)
}

fn cut_to(text: &str, characters: usize) -> String {
    let all = text.chars().count();
    if all <= characters {
        return text.to_owned();
    }
    let kept: String = text.chars().take(characters).collect();
    format!("{kept}... ({} more characters)", all - characters)
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

fn plural(count: usize, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}

/// Shows `text` on standard output, at once.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write the report")
}

// --- lists -----------------------------------------------------------------------------------

/// Every case of a plan, for people or as JSON.
pub fn list(plan: &Plan, format: Format) -> Result<()> {
    let case = |case: &crate::replay::Case| {
        let fixture = &plan.fixtures[case.fixture];
        json!({
            "fixture": fixture.name,
            "path": fixture.dir.to_string_lossy(),
            "drive": case.drive.to_string(),
            "wire": case.wire.to_string(),
            "cannot": case.cannot,
        })
    };
    match format {
        Format::Json => {
            let cases: Vec<Value> = plan.cases.iter().map(case).collect();
            print(&format!("{:#}\n", Value::from(cases)))
        }
        Format::Human => {
            let mut text = String::new();
            for case in &plan.cases {
                let name = escape::show(plan.fixtures[case.fixture].name.as_bytes());
                text += &format!("{name}::{}::{}", case.drive, case.wire);
                if let Some(why) = &case.cannot {
                    text += &format!(" (not run: {})", shown(why));
                }
                text += "\n";
            }
            print(&text)
        }
        Format::Junit | Format::Tap => Err(Fault::usage("a list is for people or JSON")
            .hint("--list with --format human or json")
            .into()),
    }
}

// --- recording -------------------------------------------------------------------------------

/// Tells someone who is about to type what will come of it; on stderr, since the screen is the
/// client's.
pub fn recording(dir: &Path) {
    let dir = shown(&dir.display().to_string());
    let line = wrapped("", &format!("recording {dir}: type messages, then quit; Ctrl-C records nothing"));
    // Where that cannot be written, the session itself says what there is to say.
    let _ = io::stderr().write_all(line.as_bytes());
}

// --- blessing --------------------------------------------------------------------------------

/// Tells what became of blessed fixtures; whether all could be.
pub fn blessed(all: &[Blessed]) -> Result<bool> {
    let style = Style::of_stdout();
    let mut text = String::new();
    let mut done = true;
    for Blessed { fixture, result, .. } in all {
        let name = escape::show(fixture.as_bytes());
        let refused = |why: &str| {
            let text = wrapped("", &format!("REFUSED {name}: {why}"));
            text.replacen("REFUSED", &style.red(&style.bold("REFUSED")), 1)
        };
        match result {
            BlessResult::Same => text += &format!("same    {name}\n"),
            BlessResult::Written(changes) => {
                text += &format!("blessed {}\n", style.bold(&name));
                for (path, difference) in changes {
                    let path = shown(&path.display().to_string());
                    text += &diff_lines(
                        [&format!("{path} (before)"), &format!("{path} (now)")],
                        difference,
                        style,
                    );
                }
            }
            BlessResult::Unsound(sessions) => {
                let sessions = sessions.join(", ");
                text += &refused(&format!("not sound, as told above: {sessions}; nothing was written"));
            }
            BlessResult::Disagree([one, other], difference) => {
                text += &refused("its sessions show different screens; nothing was written");
                text += &diff_lines([one, other], difference, style);
            }
            BlessResult::NoGolden(who) => {
                let why = format!(
                    "the {who}'s screen has text on it that a golden takes for a placeholder; nothing was written"
                );
                text += &refused(&why);
            }
            BlessResult::NotPlayed(why) => {
                let why = match why {
                    NotRun::CannotCarry(why) => shown(why),
                    NotRun::Stopped => "stopped".to_owned(),
                };
                text += &refused(&format!("no session was played ({why}); nothing was written"));
            }
        }
        done &= matches!(result, BlessResult::Same | BlessResult::Written(_));
    }
    let written = all.iter().filter(|one| matches!(one.result, BlessResult::Written(_))).count();
    if written > 0 {
        text += "read what has changed as you would read code; nothing else checks it\n";
    }
    print(&text)?;
    Ok(done)
}

// --- for programs ----------------------------------------------------------------------------

fn json_case(verdict: &Verdict) -> Value {
    let failure = |failure: &Failure| {
        let flaws: Vec<Value> = failure
            .flaws
            .iter()
            .map(|flaw| {
                let lines = diff_of(flaw).map(|(golden, difference)| diff(golden, difference, Style::PLAIN));
                let lines =
                    lines.map(|lines| lines.lines().map(|line| line[4..].to_owned()).collect::<Vec<_>>());
                json!({ "what": words(flaw), "diff": lines })
            })
            .collect();
        let end = |end: &End| {
            let status = if let Ending::Exited(status) = end.ending { Some(status) } else { None };
            json!({
                "program": who(end.who),
                "ended": ended(&end.ending, end.ran),
                "exit_code": status,
                "seconds": end.ran.as_secs_f64(),
                "stderr": error_lines(&end.errors),
            })
        };
        json!({
            "wire": failure.wire.to_string(),
            "outcome": failure.outcome().word(),
            "flaws": flaws,
            "ends": failure.ends.iter().map(end).collect::<Vec<_>>(),
            "again": failure.again,
        })
    };
    json!({
        "fixture": verdict.fixture,
        "drive": verdict.drive.to_string(),
        "wire": verdict.wire,
        "outcome": verdict.outcome().word(),
        "reason": verdict.not_run.as_ref().map(not_run_words),
        "sessions": verdict.sessions,
        "seconds": verdict.took.as_secs_f64(),
        "failures": verdict.failures.iter().map(failure).collect::<Vec<_>>(),
    })
}

fn not_run_words(why: &NotRun) -> String {
    match why {
        NotRun::CannotCarry(why) => shown(why),
        NotRun::Stopped => "stopped".to_owned(),
    }
}

/// One result, as the formats for programs have it.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is about.
    pub suite: String,
    /// Which of its results.
    pub case: String,
    /// How it came out.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// In one line, why.
    pub message: String,
    /// All that is to be told, in lines.
    pub details: String,
}

impl From<&Verdict> for Row {
    fn from(verdict: &Verdict) -> Self {
        let mut human = Human::new(Style::PLAIN, false);
        let first = verdict.failures.first().and_then(|failure| failure.flaws.first());
        Row {
            suite: shown(&verdict.fixture),
            case: verdict.case(),
            outcome: verdict.outcome(),
            took: verdict.took,
            message: match (&verdict.not_run, first) {
                (Some(why), _) => not_run_words(why),
                (None, Some(flaw)) => words(flaw).trim_end_matches(':').to_owned(),
                (None, None) => String::new(),
            },
            details: human.verdict(&Verdict { played: Vec::new(), ..verdict.clone() }),
        }
    }
}

/// JUnit XML: a suite for each subject, a case for each result. What a program did wrong is a
/// failure; that it hung, flooded its screen or crashed, an error.
pub fn junit(name: &str, rows: &[Row], began: SystemTime) -> String {
    let mut suites: Vec<(&str, Vec<&Row>)> = Vec::new();
    for row in rows {
        match suites.iter_mut().find(|(suite, _)| *suite == row.suite) {
            Some((_, rows)) => rows.push(row),
            None => suites.push((&row.suite, vec![row])),
        }
    }
    let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok());
    let host = host.filter(|host| !host.is_empty()).unwrap_or_else(|| "localhost".into());
    let (host, name) = (xml(&host), xml(name));
    let time = |rows: &mut dyn Iterator<Item = &Row>| rows.map(|row| row.took.as_secs_f64()).sum::<f64>();
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    for (id, (suite, rows)) in suites.iter().enumerate() {
        let number = |kind: Kind| rows.iter().filter(|row| kind_of(row.outcome) == kind).count();
        text += &format!(
            "  <testsuite id=\"{id}\" package=\"{name}\" name=\"{}\" timestamp=\"{}\" hostname=\"{host}\" \
             tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\">\n    <properties/>\n",
            xml(suite),
            date_and_time(began),
            rows.len(),
            number(Kind::Failure),
            number(Kind::Error),
            number(Kind::Skipped),
            time(&mut rows.iter().copied()),
        );
        for row in rows {
            text += &format!(
                "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
                xml(suite),
                xml(&row.case),
                row.took.as_secs_f64()
            );
            let element = match kind_of(row.outcome) {
                Kind::Passed => {
                    text += "/>\n";
                    continue;
                }
                Kind::Skipped => {
                    text +=
                        &format!(">\n      <skipped message=\"{}\"/>\n    </testcase>\n", xml(&row.message));
                    continue;
                }
                Kind::Failure => "failure",
                Kind::Error => "error",
            };
            let (kind, message, details) = (row.outcome.word(), xml(&row.message), xml_text(&row.details));
            text += &format!(
                ">\n      <{element} type=\"{kind}\" message=\"{message}\">{details}</{element}>\n    </testcase>\n"
            );
        }
        text += "    <system-out/>\n    <system-err/>\n  </testsuite>\n";
    }
    text + "</testsuites>\n"
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Passed,
    Failure,
    Error,
    Skipped,
}

fn kind_of(outcome: Outcome) -> Kind {
    match outcome {
        Outcome::Pass => Kind::Passed,
        Outcome::Fail => Kind::Failure,
        Outcome::Hung | Outcome::Flooded | Outcome::Crashed => Kind::Error,
        Outcome::NotRun => Kind::Skipped,
    }
}

/// `text` inside an attribute.
fn xml(text: &str) -> String {
    xml_text(text).replace('"', "&quot;").replace('\n', "&#10;").replace('\t', "&#9;")
}

/// `text` between tags. Of what XML cannot say (XML 1.0, section 2.2), control characters have been
/// made visible before; two code points are left.
fn xml_text(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\u{fffe}', "\\u{fffe}")
        .replace('\u{ffff}', "\\u{ffff}")
}

/// Date and time in UTC, as ISO 8601 has it, without a zone.
fn date_and_time(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Counted in years that begin with March, so that the leap day is their last.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + next;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// TAP: a line for each result, and what is to be told of it in comments.
pub fn tap(rows: &[Row]) -> String {
    let mut text = format!("1..{}\n", rows.len());
    for (index, row) in rows.iter().enumerate() {
        let number = index + 1;
        // In a description, # would begin a directive.
        let name = format!("{}::{}", row.suite, row.case).replace('\\', "\\\\").replace('#', "\\#");
        match row.outcome {
            Outcome::Pass => text += &format!("ok {number} - {name}\n"),
            Outcome::NotRun => text += &format!("ok {number} - {name} # SKIP {}\n", row.message),
            _ => {
                text += &format!("not ok {number} - {name}\n");
                for line in row.details.lines() {
                    text += &format!("# {line}\n");
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days_and_centuries() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (951_868_800, "2000-03-01T00:00:00"),
            (1_704_067_199, "2023-12-31T23:59:59"),
            (1_709_210_096, "2024-02-29T12:34:56"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            assert_eq!(date_and_time(UNIX_EPOCH + Duration::from_secs(seconds)), date);
        }
    }

    #[test]
    fn lines_are_wrapped_at_blanks_and_nothing_is_lost() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("日本語", 4), ["日本", "語"]);
        assert_eq!(wrap("e\u{301}e\u{301}e\u{301}", 2), ["e\u{301}e\u{301}", "e\u{301}"]);
        assert_eq!(wrap("日", 1), ["日"]);
    }

    #[test]
    fn a_line_that_goes_on_below_is_indented_there() {
        assert_eq!(hanging("one two three four", 9), ["one two", "  three", "  four"]);
        assert_eq!(hanging("short", 9), ["short"]);
        assert_eq!(hanging("", 9), [""]);
        assert_eq!(hanging("0123456789abcdef", 9), ["012345678", "  9abcdef"]);
    }

    #[test]
    fn no_text_can_leave_its_attribute_or_its_element() {
        assert_eq!(xml("<a b=\"c\">&\n\u{ffff}"), "&lt;a b=&quot;c&quot;&gt;&amp;&#10;\\u{ffff}");
        assert_eq!(xml_text("]]>\n"), "]]&gt;\n");
    }

    #[test]
    fn a_name_cannot_be_taken_for_a_tap_directive() {
        let row = Row {
            suite: "a # TODO".into(),
            case: "b".into(),
            outcome: Outcome::Fail,
            took: Duration::ZERO,
            message: String::new(),
            details: "one\ntwo\n".into(),
        };
        assert_eq!(tap(&[row]), "1..1\nnot ok 1 - a \\# TODO::b\n# one\n# two\n");
    }

    #[test]
    fn tabs_reach_to_the_next_stop() {
        assert_eq!(with_blanks_for_tabs("a\tb\t\tc"), "a       b               c");
        assert_eq!(with_blanks_for_tabs("12345678\tx"), "12345678        x");
    }
}
