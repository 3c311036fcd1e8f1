//! A replay for people: a line for each case, and all about those that failed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::style::{Style, padded, with_blanks_for_tabs, wrap};
use super::{plural, seconds, shown};
use crate::results::{
    Blessing, Case, Diff, DiffKind, DiffLine, End, EventKind, Failure, Flaw, Outcome, Results, Role,
};
use crate::results::{Planned, Shown};

/// Failed sessions of one case that are shown in full.
const FAILURES: usize = 3;

/// Said below failures of programs that may have missed a file.
const ISOLATED: &str = "The programs ran on two computers of their own. They found the system, the current \
                        directory, and what their commands name by absolute paths; --isolation=none runs them \
                        on this computer.";

/// Tells cases, one after the other.
pub struct Cases {
    style: Style,
    /// Whether every case gets its line; at a terminal the progress bar says enough.
    lines: bool,
    /// The differences that were shown, and in which session: one wrong golden fails many.
    told: HashMap<(String, Vec<DiffLine>), String>,
    /// The kinds of failure that were shown, and in which session.
    kinds: HashMap<Kind, String>,
}

/// What is wrong with a session, without what differs each time: two that are equal fail alike.
type Kind = (Vec<(String, Option<(String, Vec<DiffLine>)>)>, Vec<String>);

fn kind(failure: &Failure) -> Kind {
    let flaw = |flaw: &Flaw| {
        let diff = flaw.diff.as_ref().map(|diff| (diff.names[0].clone(), changes(diff)));
        (flaw.what.clone(), diff)
    };
    let end = |end: &End| format!("{}: {}", end.program.word(), end.how);
    (failure.flaws.iter().map(flaw).collect(), failure.ends.iter().map(end).collect())
}

impl Cases {
    /// In this style; a line for each case that passes only if `lines`.
    pub fn new(style: Style, lines: bool) -> Self {
        Cases { style, lines, told: HashMap::new(), kinds: HashMap::new() }
    }

    /// One case.
    pub fn case(&mut self, case: &Case) -> String {
        let style = self.style;
        let name = format!("{}::{}", shown(&case.fixture), case.name());
        let mut text = String::new();
        if case.failures.is_empty() {
            if self.lines {
                let why = match &case.reason {
                    Some(why) => format!(": {why}"),
                    None => format!(" ({})", seconds(case.measured.seconds)),
                };
                text += &format!("{:7} {name}{why}\n", case.outcome.word());
            }
        } else {
            let many = match case.sessions {
                0 | 1 => String::new(),
                all => format!(" ({} of {all} sessions)", case.failures.len()),
            };
            let label = case.outcome.word().to_uppercase();
            text += &format!("{} {}{many}", style.red(&style.bold(&label)), style.bold(&name));
            text += &self.failures(case);
        }
        for played in &case.measured.shown {
            let name = format!("{}::{}::{}", shown(&case.fixture), case.drive, played.wire);
            text += &format!("{}\n{}\n", style.bold(&name), two_columns(played, style));
        }
        text
    }

    /// The failed sessions of a case, the rest of its first line included: the first of each kind in full.
    fn failures(&mut self, case: &Case) -> String {
        let style = self.style;
        let mut full = String::new();
        let mut alike: Vec<(String, Vec<&str>)> = Vec::new();
        let mut rest: Vec<&str> = Vec::new();
        let mut in_full = 0;
        for failure in &case.failures {
            let session = format!("{}::{}::{}", shown(&case.fixture), case.drive, failure.wire);
            if let Some(first) = self.kinds.get(&kind(failure)) {
                match alike.iter_mut().find(|(other, _)| other == first) {
                    Some((_, wires)) => wires.push(&failure.wire),
                    None => alike.push((first.clone(), vec![&failure.wire])),
                }
            } else if in_full < FAILURES {
                in_full += 1;
                self.kinds.insert(kind(failure), session.clone());
                full += &self.failure(failure, &session, case.sessions > 1 || failure.wire != case.wire);
            } else {
                rest.push(&failure.wire);
            }
        }
        if let ([(first, wires)], [_]) = (alike.as_slice(), case.failures.as_slice())
            && *wires == [case.wire.as_str()]
        {
            // Mostly of the same fixture.
            let first = first.strip_prefix(&format!("{}::", shown(&case.fixture))).unwrap_or(first);
            return format!("\n{}", style.wrapped("  ", &format!("as {first}")));
        }
        let mut text = format!("\n{full}");
        for (first, wires) in &alike {
            text += &style.wrapped(&format!("  as {first}, over: "), &wires.join(", "));
        }
        if !rest.is_empty() {
            text += &style.wrapped("  and over: ", &rest.join(", "));
        }
        text + "\n"
    }

    fn failure(&mut self, failure: &Failure, session: &str, name_wire: bool) -> String {
        let style = self.style;
        let mut text = String::new();
        if name_wire {
            text += &format!("  over {}:\n", failure.wire);
        }
        for flaw in &failure.flaws {
            text += &style.wrapped("  ", &flaw.what);
            if let Some(diff) = &flaw.diff {
                match self.told.entry((diff.names[0].clone(), changes(diff))) {
                    Entry::Occupied(before) => text += &format!("    (as in {})\n", before.get()),
                    Entry::Vacant(first) => {
                        first.insert(session.to_owned());
                        text += &difference(diff, style);
                    }
                }
            }
        }
        for end in &failure.ends {
            text += &format!("  {}: {}\n", end.program.word(), ended(end));
            for line in &end.errors {
                text += &style.wrapped("    stderr: ", line);
            }
        }
        // Never wrapped: it is there to be copied.
        text + &format!("  again: {}\n", style.cyan(&failure.again))
    }
}

/// The last lines of the report.
pub fn summary(results: &Results, style: Style) -> String {
    let count = results.count();
    let cases = results.cases.len() + unplayed(results).count();
    let mut parts = vec![format!("{} passed", count.passed)];
    let mut part = |number: usize, words: &str, bad: bool| {
        if number > 0 {
            let text = format!("{number} {words}");
            parts.push(if bad { style.red(&text) } else { text });
        }
    };
    part(count.failed, "failed", true);
    part(count.not_run, "not run", false);
    part(count.stopped, "stopped", true);
    let (cases, sessions) = (plural(cases, "case"), plural(count.sessions, "session"));
    let mut text =
        format!("{cases}: {} ({sessions} in {})\n", parts.join(", "), seconds(results.measured.seconds));
    if count.failed + count.stopped == 0 && count.passed > 0 {
        text = style.green(text.trim_end()) + "\n";
    }
    for why in not_carried(&results.cases) {
        text += &style.wrapped("not run: ", &why);
    }
    if count.stopped > 0 {
        text += &style.wrapped("stopped: ", &shown(&results.stopped.join(", ")));
    }
    if let Some(seed) = results.seed {
        text += &format!("shuffle's seed: {seed}\n");
    }
    if count.failed > 0 && results.isolation == "namespaces" {
        text += &style.wrapped("", ISOLATED);
    }
    for command in acceptances(&results.cases) {
        // Never wrapped: it is there to be copied.
        text += &format!("if the new output is right, accept it: {}\n", style.cyan(command));
    }
    text
}

/// The commands that accept the output of fixtures of which nothing but a golden is wrong, each once.
fn acceptances(cases: &[Case]) -> Vec<&str> {
    let failed = || cases.iter().filter(|case| !case.failures.is_empty());
    let mut commands: Vec<&str> = Vec::new();
    for case in failed() {
        let worse = failed().any(|other| other.fixture == case.fixture && other.accept.is_none());
        if let Some(command) = case.accept.as_deref().filter(|_| !worse)
            && !commands.contains(&command)
        {
            commands.push(command);
        }
    }
    commands
}

/// The stopped cases of which no session is told.
fn unplayed(results: &Results) -> impl Iterator<Item = &String> {
    let told = |name: &String| {
        results.cases.iter().any(|case| *name == format!("{}::{}", case.fixture, case.name()))
    };
    results.stopped.iter().filter(move |name| !told(name))
}

/// Why cases were not played, each reason once with the fixtures and drive it stands for.
fn not_carried(cases: &[Case]) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    for case in cases.iter().filter(|case| case.outcome == Outcome::NotRun) {
        let why = case.reason.as_deref().unwrap_or_default();
        let reason = format!("{} by {}: {why}", shown(&case.fixture), case.drive);
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons.sort();
    reasons
}

/// How a program ended, and after how long.
fn ended(end: &End) -> String {
    match end.measured {
        Some(ran) => format!("{} after {}", end.how, seconds(ran)),
        None => end.how.clone(),
    }
}

/// What differs, without what stands around it, which has another port each time.
fn changes(diff: &Diff) -> Vec<DiffLine> {
    let changed = diff.lines.iter().filter(|line| matches!(line.kind, DiffKind::Old | DiffKind::New));
    changed.cloned().collect()
}

/// A unified diff.
pub fn difference(diff: &Diff, style: Style) -> String {
    let [old, new] = &diff.names;
    let mut text =
        format!("    {}\n    {}\n", style.red(&format!("--- {old}")), style.green(&format!("+++ {new}")));
    for DiffLine { kind, text: line } in &diff.lines {
        // Without the blanks at a line's end, a diff pasted somewhere would lie; they stay.
        let line = match kind {
            DiffKind::Hunk => style.cyan(line),
            DiffKind::Both => format!(" {line}"),
            DiffKind::Old => style.red(&format!("-{}", blank_ended(line))),
            DiffKind::New => style.green(&format!("+{}", blank_ended(line))),
            DiffKind::Note => format!("\\ {line}"),
        };
        text += &format!("    {line}\n");
    }
    if diff.more > 0 {
        text += &format!("    ({} more lines; --keep DIR keeps all)\n", diff.more);
    }
    text
}

/// `line`, with its end marked if nobody could see it otherwise.
fn blank_ended(line: &str) -> String {
    let mark = if line.ends_with([' ', '\t']) { "⏎" } else { "" };
    format!("{line}{mark}")
}

/// A session as two columns, server left and client right, in time order.
fn two_columns(played: &Shown, style: Style) -> String {
    let column = (style.columns() - 3) / 2;
    let row = |left: &str, right: &str, paint: &dyn Fn(&str) -> String| {
        let blank = padded(left, column)[left.len()..].to_owned();
        format!("{}{blank} | {}", paint(left), paint(right)).trim_end().to_owned() + "\n"
    };
    let bold = |text: &str| style.bold(text);
    let mut text =
        row("server", "client", &bold) + &row(&"-".repeat(column), &"-".repeat(column), &str::to_owned);
    for event in &played.session {
        let errors = matches!(event.kind, EventKind::ServerErrors | EventKind::ClientErrors);
        let line = with_blanks_for_tabs(&event.text);
        let line = if errors { format!("stderr: {line}") } else { line };
        let paint = |text: &str| if errors { style.red(text) } else { text.to_owned() };
        for part in hanging(&line, column) {
            text += &match event.kind {
                EventKind::ServerScreen | EventKind::ServerErrors => row(&part, "", &paint),
                _ => row("", &part, &paint),
            };
        }
    }
    let end = |role: Role| {
        let end = played.ends.iter().find(|end| end.program == role);
        wrap(&format!("({})", end.map(ended).unwrap_or_default()), column)
    };
    let ends = [end(Role::Server), end(Role::Client)];
    for at in 0..ends[0].len().max(ends[1].len()) {
        let part = |side: usize| ends[side].get(at).map_or("", String::as_str);
        text += &row(part(0), part(1), &|text| style.cyan(text));
    }
    text
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

/// What became of blessed fixtures, each with its name.
pub fn blessed(all: &[(String, Blessing)], style: Style) -> String {
    let mut text = String::new();
    for (fixture, blessing) in all {
        let name = shown(fixture);
        match blessing {
            Blessing::Same => text += &format!("same    {name}\n"),
            Blessing::Written(changes) => {
                text += &format!("blessed {}\n", style.bold(&name));
                text.extend(changes.iter().map(|diff| difference(diff, style)));
            }
            Blessing::Refused(why, diff) => {
                let refused = style.wrapped("", &format!("REFUSED {name}: {why}"));
                text += &refused.replacen("REFUSED", &style.red(&style.bold("REFUSED")), 1);
                text.extend(diff.iter().map(|diff| difference(diff, style)));
            }
        }
    }
    if all.iter().any(|(_, blessing)| matches!(blessing, Blessing::Written(_))) {
        text += "read what has changed as you would read code; nothing else checks it\n";
    }
    text
}

/// The cases of a replay, one a line.
pub fn list(cases: &[Planned]) -> String {
    let line = |case: &Planned| {
        let why = case.cannot.as_ref().map_or(String::new(), |why| format!(" (not run: {})", shown(why)));
        format!("{}::{}::{}{why}\n", shown(&case.fixture), case.drive, case.wire)
    };
    cases.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn a_line_that_goes_on_below_is_indented_there() {
        assert_eq!(hanging("one two three four", 9), ["one two", "  three", "  four"]);
        assert_eq!(hanging("short", 9), ["short"]);
        assert_eq!(hanging("", 9), [""]);
        assert_eq!(hanging("0123456789abcdef", 9), ["012345678", "  9abcdef"]);
    }
}
