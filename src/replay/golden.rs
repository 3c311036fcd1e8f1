//! A golden screen: placeholders, exact comparison, the difference, and blessing.
//!
//! What always holds: a comparison is exact, byte for byte, once the true values stand where the
//! placeholders were; and what [`bless`] returns compares equal to the screen it was made from.

use std::net::IpAddr;
use std::ops::Range;
use std::str;
use std::time::{Duration, Instant};

use anyhow::Result;
use similar::{Algorithm, ChangeTag, DiffOp, TextDiff};

use crate::error::Fault;
use crate::escape;

/// Unchanged lines shown around a change.
const CONTEXT: usize = 3;
/// How long a difference is refined before a coarser one has to do.
const DIFF_TIME: Duration = Duration::from_millis(500);

/// A volatile part of a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// `[SERVER_ADDRESS]`: any address that this machine has.
    ServerAddress,
    /// `[PORT]`: the port this program serves or was told.
    Port,
    /// `[CLIENT_ADDRESS]`: where the server's connection came from.
    ClientAddress,
}

const PLACEHOLDERS: [(&str, Placeholder); 3] = [
    ("[SERVER_ADDRESS]", Placeholder::ServerAddress),
    ("[PORT]", Placeholder::Port),
    ("[CLIENT_ADDRESS]", Placeholder::ClientAddress),
];

/// The true values of one session, as one of its programs must show them.
#[derive(Clone, Debug)]
pub struct Values {
    /// The port that the server listens on, or that the client was told.
    pub port: u16,
    /// The address that the server's connection comes from.
    pub client: IpAddr,
    /// The addresses of this machine's interfaces; all of 127.0.0.0/8 is its own without being named.
    pub own: Vec<IpAddr>,
}

impl Values {
    fn is_own(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.own.contains(&address)
    }

    /// What `text` can begin with if `placeholder` stands there, longest first: lengths in bytes.
    fn lengths_at(&self, placeholder: Placeholder, text: &[u8]) -> Vec<usize> {
        match placeholder {
            Placeholder::Port => {
                let port = self.port.to_string();
                if text.starts_with(port.as_bytes()) { vec![port.len()] } else { Vec::new() }
            }
            Placeholder::ClientAddress => addresses_at(text, |address| address == self.client),
            Placeholder::ServerAddress => addresses_at(text, |address| self.is_own(address)),
        }
    }

    /// Whatever may stand for `placeholder`; of the loopback addresses only the usual one.
    fn all(&self, placeholder: Placeholder) -> impl Iterator<Item = String> {
        let own = self.own.iter().filter(move |_| placeholder == Placeholder::ServerAddress);
        own.map(ToString::to_string).chain([self.canonical(placeholder)])
    }

    /// What stands for `placeholder` where nothing that was seen says which value it is.
    fn canonical(&self, placeholder: Placeholder) -> String {
        match placeholder {
            Placeholder::Port => self.port.to_string(),
            Placeholder::ClientAddress => self.client.to_string(),
            Placeholder::ServerAddress => {
                let shown = self.own.iter().find(|address| !address.is_loopback());
                shown.map_or_else(|| "127.0.0.1".to_owned(), ToString::to_string)
            }
        }
    }
}

/// The lengths, longest first, of addresses that `text` begins with and that are `wanted`.
fn addresses_at(text: &[u8], wanted: impl Fn(IpAddr) -> bool) -> Vec<usize> {
    let run = text.iter().take_while(|byte| byte.is_ascii_hexdigit() || b".:".contains(byte)).count();
    let parse = |length: usize| str::from_utf8(&text[..length]).ok()?.parse::<IpAddr>().ok();
    (2..=run.min(45)).rev().filter(|&length| parse(length).is_some_and(&wanted)).collect()
}

/// A golden screen as read from its file.
#[derive(Clone, Debug)]
pub struct Golden {
    /// Lines, each with its line end (the last may lack it).
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    raw: Vec<u8>,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(Range<usize>),
    /// A placeholder at this place of the line; `or_text` where a message of the fixture contains
    /// the very same characters, so that they can stand for themselves.
    Value {
        placeholder: Placeholder,
        at: Range<usize>,
        or_text: bool,
    },
}

impl Golden {
    /// Reads a golden of a fixture with `messages`. A bracketed word that can only be a mistyped
    /// placeholder is an error.
    pub fn parse(bytes: impl AsRef<[u8]>, messages: &[Vec<u8>]) -> Result<Self> {
        let typed = |word: &[u8]| messages.iter().any(|message| contains(message, word));
        let mut lines = Vec::new();
        for (index, raw) in split_lines(bytes.as_ref()).into_iter().enumerate() {
            let mut pieces = Vec::new();
            let mut text = 0;
            for at in bracketed(raw) {
                let word = &raw[at.clone()];
                let known = PLACEHOLDERS.iter().find(|(name, _)| name.as_bytes() == word);
                if let Some(&(_, placeholder)) = known {
                    pieces.push(Piece::Text(text..at.start));
                    text = at.end;
                    pieces.push(Piece::Value { placeholder, at, or_text: typed(word) });
                } else if looks_like_a_placeholder(word) && !typed(word) {
                    let word = String::from_utf8_lossy(word);
                    return Err(Fault::usage(format!("line {}: unknown placeholder {word}", index + 1))
                        .hint("the placeholders are [SERVER_ADDRESS], [PORT] and [CLIENT_ADDRESS]")
                        .into());
                }
            }
            pieces.push(Piece::Text(text..raw.len()));
            lines.push(Line { raw: raw.to_vec(), pieces });
        }
        Ok(Golden { lines })
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.lines.iter().flat_map(|line| &line.raw).copied().collect()
    }

    /// Compares with what was `seen`; `None` when they are the same.
    pub fn compare(&self, seen: &[u8], values: &Values) -> Option<Difference> {
        let golden = self.resolve(seen, values);
        let seen: Vec<Vec<u8>> = split_lines(seen).into_iter().map(<[u8]>::to_vec).collect();
        (golden != seen).then_some(Difference { golden, seen })
    }

    /// Whether `seen` is how this screen begins. With `line_ended`, a last line that broke off may
    /// have got a line end: a program that leaves at its prompt ends the line first.
    pub fn begins_with(&self, seen: &[u8], values: &Values, line_ended: bool) -> bool {
        let seen = split_lines(seen);
        let golden = self.resolve(&seen.concat(), values);
        let whole = seen.iter().zip(&golden).take_while(|(seen, golden)| **seen == golden.as_slice()).count();
        match &seen[whole..] {
            [] => true,
            [last] => self.lines.get(whole).is_some_and(|golden| {
                let last = if line_ended { last.strip_suffix(b"\n").unwrap_or(last) } else { last };
                golden.begins_with(last, values)
            }),
            // What is typed in the moment in which the program leaves is shown on the line after.
            [prompt, echo] if line_ended => golden.get(whole).is_some_and(|golden| {
                let typed = prompt.strip_suffix(b"\n").and_then(|prompt| golden.strip_prefix(prompt));
                typed.is_some_and(|typed| typed.starts_with(echo))
            }),
            _ => false,
        }
    }

    /// Whether `seen` is this screen without some lines between its beginning and its end.
    pub fn begins_and_ends_with(&self, seen: &[u8], values: &Values) -> bool {
        let golden = self.resolve(seen, values);
        let seen = split_lines(seen);
        let same = |(seen, golden): &(&&[u8], &Vec<u8>)| **seen == golden.as_slice();
        let begin = seen.iter().zip(&golden).take_while(same).count();
        let end = seen.iter().rev().zip(golden.iter().rev()).take_while(same).count();
        seen.len() <= golden.len() && begin + end >= seen.len()
    }

    /// The golden's lines with the true values in them. Where a value can be one of several (an
    /// address of this machine), it is the one on a line that was seen and fits.
    fn resolve(&self, seen: &[u8], values: &Values) -> Vec<Vec<u8>> {
        let seen = split_lines(seen);
        let resolve = |(index, line): (usize, &Line)| {
            if line.pieces.len() == 1 {
                return line.raw.clone();
            }
            let here = seen.get(index).filter(|seen| line.fits(seen, values));
            let fitting = here.or_else(|| seen.iter().find(|seen| line.fits(seen, values)));
            fitting.map_or_else(|| line.canonical(values), |seen| seen.to_vec())
        };
        self.lines.iter().enumerate().map(resolve).collect()
    }
}

impl Line {
    fn fits(&self, seen: &[u8], values: &Values) -> bool {
        self.fits_from(0, seen, values)
    }

    fn fits_from(&self, piece: usize, seen: &[u8], values: &Values) -> bool {
        match self.pieces.get(piece) {
            None => seen.is_empty(),
            Some(Piece::Text(at)) => seen
                .strip_prefix(&self.raw[at.clone()])
                .is_some_and(|rest| self.fits_from(piece + 1, rest, values)),
            Some(Piece::Value { placeholder, at, or_text }) => {
                let literal = *or_text && seen.starts_with(&self.raw[at.clone()]);
                let mut lengths = values.lengths_at(*placeholder, seen);
                lengths.extend(literal.then_some(at.len()));
                lengths.into_iter().any(|length| self.fits_from(piece + 1, &seen[length..], values))
            }
        }
    }

    /// Whether `seen`, which may have broken off anywhere, is how this line begins.
    fn begins_with(&self, seen: &[u8], values: &Values) -> bool {
        // Of a character that broke off, the bytes are shown that came.
        let mut shown = (seen, Vec::new());
        loop {
            if self.begins_from(0, shown.0, &shown.1, values) {
                return true;
            }
            match escape::last_shown_byte(shown.0) {
                Some((before, byte)) if shown.1.len() < 3 => {
                    shown.0 = before;
                    shown.1.insert(0, byte);
                }
                _ => return false,
            }
        }
    }

    /// `part` is the beginning of a character that follows `seen`.
    fn begins_from(&self, piece: usize, seen: &[u8], part: &[u8], values: &Values) -> bool {
        let goes_on = |length: usize| self.begins_from(piece + 1, &seen[length..], part, values);
        let text_begins = |at: &Range<usize>| {
            let text = &self.raw[at.clone()];
            match text.strip_prefix(seen) {
                Some([]) => goes_on(seen.len()),
                Some(left) => part.is_empty() || escape::shows_more_of(left, part),
                None => seen.starts_with(text) && goes_on(text.len()),
            }
        };
        match self.pieces.get(piece) {
            None => seen.is_empty() && part.is_empty(),
            Some(Piece::Text(at)) => text_begins(at),
            Some(Piece::Value { placeholder, at, or_text }) => {
                let broke_off = || values.all(*placeholder).any(|value| value.as_bytes().starts_with(seen));
                (part.is_empty() && broke_off())
                    || (*or_text && text_begins(at))
                    || values.lengths_at(*placeholder, seen).into_iter().any(goes_on)
            }
        }
    }

    fn canonical(&self, values: &Values) -> Vec<u8> {
        let mut line = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(at) => line.extend(&self.raw[at.clone()]),
                Piece::Value { placeholder, .. } => line.extend(values.canonical(*placeholder).bytes()),
            }
        }
        line
    }
}

/// A screen that is not its golden: both, line by line, the golden with the true values in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    golden: Vec<Vec<u8>>,
    seen: Vec<Vec<u8>>,
}

/// One line of a unified diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiffLine {
    /// Where the lines that follow stand in both.
    Hunk(String),
    /// In both.
    Both(String),
    /// In the golden (or before) only.
    Golden(String),
    /// On the screen (or now) only.
    Seen(String),
    /// The line above has no line end.
    NoLineEnd,
    /// Both lines look the same when shown safely, but their bytes differ: one has the character,
    /// the other its escape.
    SameLook,
}

impl Difference {
    /// What has changed from one text to another.
    pub fn between(golden: &[u8], seen: &[u8]) -> Self {
        let lines = |text| split_lines(text).into_iter().map(<[u8]>::to_vec).collect();
        Difference { golden: lines(golden), seen: lines(seen) }
    }

    /// The difference as a unified diff, `-` golden and `+` seen, every line shown safely.
    pub fn unified(&self) -> Vec<DiffLine> {
        let deadline = Some(Instant::now() + DIFF_TIME);
        let ops = similar::capture_diff_slices_deadline(Algorithm::Myers, &self.golden, &self.seen, deadline);
        let mut lines = Vec::new();
        for group in similar::group_diff_ops(ops, CONTEXT) {
            lines.push(DiffLine::Hunk(hunk(&group)));
            for op in &group {
                let first = lines.len();
                for change in op.iter_changes(&self.golden, &self.seen) {
                    let line = change.value();
                    let text = escape::show(line.strip_suffix(b"\n").unwrap_or(&line));
                    lines.push(match change.tag() {
                        ChangeTag::Equal => DiffLine::Both(text),
                        ChangeTag::Delete => DiffLine::Golden(text),
                        ChangeTag::Insert => DiffLine::Seen(text),
                    });
                    if !line.ends_with(b"\n") {
                        lines.push(DiffLine::NoLineEnd);
                    }
                }
                let changed = &lines[first..];
                let same_look = changed.iter().any(|line| {
                    matches!(line, DiffLine::Golden(text) if changed.contains(&DiffLine::Seen(text.clone())))
                });
                if same_look && !changed.contains(&DiffLine::NoLineEnd) {
                    lines.push(DiffLine::SameLook);
                }
            }
        }
        lines
    }
}

fn hunk(group: &[DiffOp]) -> String {
    let span = |range: Range<usize>| match range.len() {
        0 => format!("{},0", range.start),
        1 => format!("{}", range.start + 1),
        length => format!("{},{length}", range.start + 1),
    };
    let range = |of: fn(&DiffOp) -> Range<usize>| {
        let start = group.first().map_or(0, |op| of(op).start);
        let end = group.last().map_or(0, |op| of(op).end);
        span(start..end)
    };
    format!("@@ -{} +{} @@", range(DiffOp::old_range), range(DiffOp::new_range))
}

/// Which program's screen is blessed, with what is known of it.
#[derive(Clone, Copy, Debug)]
pub enum Screen {
    /// The server's; its first `banner` bytes were there before any client was started, so that no
    /// message can stand in them and no client's address.
    Server {
        /// Length in bytes.
        banner: usize,
    },
    /// The client's.
    Client,
}

/// The golden for what was `seen`: lines that `old` already fits keep their placeholders; in all
/// others, values of the session become placeholders, but never inside the text of a message.
/// `None` when no golden says the same as this screen (a screen with a placeholder written on it).
pub fn bless(
    old: Option<&Golden>,
    seen: &[u8],
    values: &Values,
    screen: Screen,
    messages: &[Vec<u8>],
) -> Option<Golden> {
    let seen_lines = split_lines(seen);
    let kept = old.map_or_else(Vec::new, |old| kept_lines(old, seen, values));
    let shown: Vec<Vec<u8>> =
        messages.iter().flat_map(|message| [message.clone(), escape::show(message).into_bytes()]).collect();
    let mut text = Vec::new();
    let mut length = 0;
    for (index, line) in seen_lines.iter().enumerate() {
        length += line.len();
        if let Some(kept) = kept.iter().find(|(at, _)| *at == index).map(|(_, kept)| kept) {
            text.extend_from_slice(kept);
            continue;
        }
        let (order, messages) = match screen {
            Screen::Server { banner } if length <= banner => {
                (&[Placeholder::ServerAddress, Placeholder::Port][..], &[][..])
            }
            Screen::Server { .. } => (
                &[Placeholder::ClientAddress, Placeholder::ServerAddress, Placeholder::Port][..],
                shown.as_slice(),
            ),
            Screen::Client => (
                &[Placeholder::ServerAddress, Placeholder::ClientAddress, Placeholder::Port][..],
                shown.as_slice(),
            ),
        };
        text.extend(with_placeholders(line, values, order, messages));
    }
    let golden = Golden::parse(text, messages).ok()?;
    golden.compare(seen, values).is_none().then_some(golden)
}

/// The lines of `old` that still stand on the screen: index there, and the line as it was written.
fn kept_lines(old: &Golden, seen: &[u8], values: &Values) -> Vec<(usize, Vec<u8>)> {
    let resolved = old.resolve(seen, values);
    let seen: Vec<Vec<u8>> = split_lines(seen).into_iter().map(<[u8]>::to_vec).collect();
    let deadline = Some(Instant::now() + DIFF_TIME);
    similar::capture_diff_slices_deadline(Algorithm::Myers, &resolved, &seen, deadline)
        .iter()
        .filter(|op| matches!(op, DiffOp::Equal { .. }))
        .flat_map(|op| op.new_range().zip(op.old_range()))
        .map(|(new, old_index)| (new, old.lines[old_index].raw.clone()))
        .collect()
}

fn with_placeholders(line: &[u8], values: &Values, order: &[Placeholder], messages: &[Vec<u8>]) -> Vec<u8> {
    let protected = messages
        .iter()
        .filter(|message| !message.is_empty() && has_value(message, values, order))
        .flat_map(|message| occurrences(line, message))
        .collect::<Vec<_>>();
    let mut out = Vec::new();
    let mut at = 0;
    while at < line.len() {
        let found = if protected.iter().any(|range| range.contains(&at)) {
            None
        } else {
            value_at(line, at, values, order)
        };
        if let Some((placeholder, length)) = found {
            let name = PLACEHOLDERS.iter().find(|(_, known)| *known == placeholder);
            out.extend(name.map_or("", |(name, _)| name).bytes());
            at += length;
        } else {
            out.push(line[at]);
            at += 1;
        }
    }
    out
}

fn has_value(text: &[u8], values: &Values, order: &[Placeholder]) -> bool {
    (0..text.len()).any(|at| value_at(text, at, values, order).is_some())
}

/// The value that stands at `at` as a word of its own, not as a part of a longer number or address.
fn value_at(line: &[u8], at: usize, values: &Values, order: &[Placeholder]) -> Option<(Placeholder, usize)> {
    let before = at.checked_sub(1).map(|before| line[before]);
    order.iter().find_map(|&placeholder| {
        let length = values
            .lengths_at(placeholder, &line[at..])
            .into_iter()
            .find(|&length| stands_alone(before, &line[at..at + length], &line[at + length..]))?;
        Some((placeholder, length))
    })
}

fn stands_alone(before: Option<u8>, value: &[u8], after: &[u8]) -> bool {
    let colons = value.contains(&b':');
    let joins = |byte: u8| byte.is_ascii_alphanumeric() || (colons && byte == b':');
    let goes_on = match after {
        [b'.', next, ..] => next.is_ascii_digit(),
        [first, ..] => joins(*first),
        [] => false,
    };
    !goes_on && !before.is_some_and(|byte| joins(byte) || byte == b'.')
}

/// Whether a bracketed word that is no placeholder was most likely meant as one. Programs write
/// `[INFO]` and `[SERVER]` on their screens; nobody but a writer of goldens writes `[SERVER_PORT]`.
fn looks_like_a_placeholder(word: &[u8]) -> bool {
    let word = String::from_utf8_lossy(word);
    let names_one = word.contains("ADDRESS") || word.contains("PORT");
    let resembles_one =
        || PLACEHOLDERS.iter().any(|(known, _)| TextDiff::from_chars(*known, &*word).ratio() > 0.8);
    names_one || resembles_one()
}

/// Where `[WORD]` stands in `line`, brackets included.
fn bracketed(line: &[u8]) -> Vec<Range<usize>> {
    let inside = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
    let end = |start: usize| start + 1 + line[start + 1..].iter().take_while(|byte| inside(byte)).count();
    (0..line.len())
        .filter(|&start| line[start] == b'[')
        .map(|start| start..end(start))
        .filter(|word| word.len() > 1 && line.get(word.end) == Some(&b']'))
        .map(|word| word.start..word.end + 1)
        .collect()
}

/// The lines of `text`, each with its line end.
fn split_lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|&byte| byte == b'\n').collect()
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

fn occurrences(line: &[u8], word: &[u8]) -> Vec<Range<usize>> {
    line.windows(word.len())
        .enumerate()
        .filter(|(_, window)| *window == word)
        .map(|(at, _)| at..at + word.len())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = "\
server is at address: [SERVER_ADDRESS]
server is using port: [PORT]
server connected to client at address: [CLIENT_ADDRESS]
server received message: \"hello\"
";
    const SEEN: &str = "\
server is at address: 192.168.1.3
server is using port: 12345
server connected to client at address: 127.0.0.9
server received message: \"hello\"
";

    fn values() -> Values {
        Values {
            port: 12345,
            client: "127.0.0.9".parse().unwrap(),
            own: vec!["192.168.1.3".parse().unwrap(), "fd00::2".parse().unwrap()],
        }
    }

    fn golden(text: &str) -> Golden {
        Golden::parse(text, &[]).unwrap()
    }

    fn diff(text: &str, seen: &str) -> Vec<DiffLine> {
        golden(text).compare(seen.as_bytes(), &values()).map_or_else(Vec::new, |found| found.unified())
    }

    #[test]
    fn the_true_values_fit_their_placeholders() {
        assert_eq!(diff(GOLDEN, SEEN), []);
        assert_eq!(diff(GOLDEN, &SEEN.replace("192.168.1.3", "fd00::2")), []);
        assert_eq!(diff(GOLDEN, &SEEN.replace("192.168.1.3", "127.0.0.1")), []);
    }

    #[test]
    fn any_other_value_does_not() {
        for (value, other) in [
            ("192.168.1.3", "192.168.1.33"),
            ("192.168.1.3", "10.0.0.1"),
            ("192.168.1.3", "localhost"),
            ("192.168.1.3", ""),
            ("12345", "12346"),
            ("12345", "123456"),
            ("12345", "[PORT]"),
            ("127.0.0.9", "127.0.0.1"),
            ("127.0.0.9", "192.168.1.3"),
        ] {
            assert_ne!(diff(GOLDEN, &SEEN.replace(value, other)), [], "{other} for {value}");
        }
    }

    #[test]
    fn every_kind_of_change_is_a_difference() {
        let lines: Vec<&str> = SEEN.split_inclusive('\n').collect();
        let changed = [
            lines[1..].concat(),
            [&lines[..], &lines[3..]].concat().concat(),
            [lines[0], lines[1], lines[3], lines[2]].concat(),
            SEEN.replace("hello", "hullo"),
            SEEN.replace("hello", "hello "),
            SEEN.trim_end().to_owned(),
            format!("{SEEN}\n"),
            String::new(),
        ];
        for seen in changed {
            assert_ne!(diff(GOLDEN, &seen), [], "{seen}");
        }
    }

    #[test]
    fn a_difference_shows_three_lines_around_it_and_the_true_values() {
        use DiffLine::{Both, Golden, Hunk, Seen};
        let golden = format!("{GOLDEN}a\nb\nc\nd\n");
        assert_eq!(
            diff(&golden, &format!("{}a\nb\nc\nd\n", SEEN.replace("12345", "80"))),
            [
                Hunk("@@ -1,5 +1,5 @@".to_owned()),
                Both("server is at address: 192.168.1.3".to_owned()),
                Golden("server is using port: 12345".to_owned()),
                Seen("server is using port: 80".to_owned()),
                Both("server connected to client at address: 127.0.0.9".to_owned()),
                Both("server received message: \"hello\"".to_owned()),
                Both("a".to_owned()),
            ]
        );
    }

    #[test]
    fn an_escape_and_the_character_itself_are_told_apart() {
        let lines = diff("\\x1b[2J\n", "\x1b[2J\n");
        assert_eq!(lines.last(), Some(&DiffLine::SameLook));
        assert_eq!(diff("a\n", "a").last(), Some(&DiffLine::NoLineEnd));
    }

    #[test]
    fn a_mistyped_placeholder_is_an_error_and_a_tag_is_text() {
        for word in ["[SERVER_PORT]", "[CLIENT_ADRESS]", "[ADDRESS]", "[SERVER_ADDR]", "[PORTS]"] {
            let error = Golden::parse(format!("one\nat {word}\n"), &[]).unwrap_err();
            assert_eq!(error.to_string(), format!("line 2: unknown placeholder {word}"));
        }
        for word in ["[INFO]", "[SERVER]", "[CLIENT]", "[]", "[x]", "[LOG_LEVEL]", "[PORT"] {
            golden(word);
        }
    }

    #[test]
    fn a_message_that_reads_like_a_placeholder_stands_for_itself() {
        let messages = [b"is it [PORT] or [SERVER_PORT]?".to_vec()];
        let text = b"port [PORT]\ngot is it [PORT] or [SERVER_PORT]?\n";
        let golden = Golden::parse(text, &messages).unwrap();
        let seen = b"port 12345\ngot is it [PORT] or [SERVER_PORT]?\n";
        assert_eq!(golden.compare(seen, &values()), None);
        assert!(golden.compare(b"port 12346\ngot is it [PORT] or [SERVER_PORT]?\n", &values()).is_some());
    }

    #[test]
    fn a_screen_that_stopped_early_begins_the_golden_and_a_different_one_does_not() {
        let begins = |seen: &str, ended| golden(GOLDEN).begins_with(seen.as_bytes(), &values(), ended);
        for end in 0..=SEEN.len() {
            assert!(begins(&SEEN[..end], false), "{end}");
            assert!(begins(&format!("{}\n", &SEEN[..end]), true) || SEEN[..end].ends_with('\n'), "{end}");
        }
        assert!(!begins("server is at address: 192.168.1.3\nserver connected", false));
        assert!(!begins(&format!("{SEEN}more"), false));
        let asked = golden("ask: typed\nnext\n");
        let left = |seen: &str, ended| asked.begins_with(seen.as_bytes(), &values(), ended);
        assert!(left("ask: \ntyped\n", true) && left("ask: \nty", true));
        for other in ["ask: \nwritten\n", "ask: \ntyped\nnext\n", "as\ntyped\n", "ask: typed\nne\ntyped\n"] {
            assert!(!left(other, true), "{other}");
        }
        assert!(!left("ask: \ntyped\n", false));
        assert!(!begins("server is\n", false));
        assert!(!begins("server is\nserver is using", true));
    }

    #[test]
    fn a_screen_may_break_off_inside_a_character_a_placeholder_and_what_only_looks_like_one() {
        let messages = [b"use [PORT]".to_vec()];
        let shown = golden("grüße €\nx \\u{202e}y\n");
        let begins = |seen: &str| shown.begins_with(seen.as_bytes(), &values(), true);
        for seen in ["gr\\xc3", "gr\\xc3\n", "grüße \\xe2\\x82\n", "grüße €\nx \\xe2\\x80\n"] {
            assert!(begins(seen), "{seen}");
        }
        for seen in ["gr\\xc4", "g\\xc3", "gr\\xc3\\xbc", "grüße \\xe2\\x83\n", "\\xe2", "gr\\xc3e"] {
            assert!(!begins(seen), "{seen}");
        }
        let looks = Golden::parse("to [PORT]\nuse [PORT]\n", &messages).unwrap();
        let begins = |seen: &str| looks.begins_with(seen.as_bytes(), &values(), false);
        assert!(begins("to 123") && begins("to 12345\nuse [PO") && begins("to 12345\nuse 12345"));
        assert!(!begins("to 124") && !begins("to 12345\nuse [Pp"));
    }

    #[test]
    fn a_screen_that_lacks_lines_in_the_middle_begins_and_ends_as_the_golden_does() {
        let whole = golden("one\ntwo\nthree\nbye\n");
        let lacks = |seen: &str| whole.begins_and_ends_with(seen.as_bytes(), &values());
        assert!(lacks("one\nbye\n") && lacks("one\ntwo\nthree\nbye\n") && lacks("bye\n"));
        assert!(!lacks("one\nthree\ntwo\nbye\n") && !lacks("one\nother\nbye\n"));
        assert!(!lacks("one\ntwo\nthree\nthree\nbye\n"));
    }

    fn blessed(old: Option<&str>, seen: &str, screen: Screen, messages: &[&str]) -> Option<String> {
        let messages: Vec<Vec<u8>> = messages.iter().map(|message| message.as_bytes().to_vec()).collect();
        let old = old.map(golden);
        let golden = bless(old.as_ref(), seen.as_bytes(), &values(), screen, &messages)?;
        Some(String::from_utf8(golden.bytes()).unwrap())
    }

    fn server(seen: &str) -> Screen {
        Screen::Server { banner: seen.find("server connected").unwrap() }
    }

    #[test]
    fn blessing_puts_placeholders_where_the_values_stand() {
        assert_eq!(blessed(None, SEEN, server(SEEN), &["hello"]).as_deref(), Some(GOLDEN));
        let seen = SEEN.replace("192.168.1.3", "127.0.0.9");
        assert_eq!(blessed(None, &seen, server(&seen), &["hello"]).as_deref(), Some(GOLDEN));
        assert_eq!(
            blessed(None, "to 127.0.0.1:12345, id 123456\n", Screen::Client, &[]).as_deref(),
            Some("to [SERVER_ADDRESS]:[PORT], id 123456\n")
        );
    }

    #[test]
    fn blessing_leaves_the_text_of_messages_alone() {
        let message = "telnet 192.168.1.3 12345 from 127.0.0.9";
        let seen = SEEN.replace("hello", message);
        assert_eq!(blessed(None, &seen, server(&seen), &[message]), Some(GOLDEN.replace("hello", message)));
    }

    #[test]
    fn blessing_keeps_placeholders_on_lines_that_did_not_change() {
        let old = "address [CLIENT_ADDRESS] and 127.0.0.9\nold\n";
        let seen = "address 127.0.0.9 and 127.0.0.9\nnew\n";
        assert_eq!(
            blessed(Some(old), seen, Screen::Client, &[]).as_deref(),
            Some("address [CLIENT_ADDRESS] and 127.0.0.9\nnew\n")
        );
    }

    #[test]
    fn blessing_refuses_a_screen_with_a_placeholder_written_on_it() {
        assert_eq!(blessed(None, "using port [PORT]\n", Screen::Client, &[]), None);
        assert_eq!(blessed(None, "using [SERVER_PORT]\n", Screen::Client, &[]), None);
    }
}
