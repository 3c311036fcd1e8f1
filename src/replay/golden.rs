//! A golden screen: its placeholders, and the comparison with what a program showed.
//!
//! What always holds: a comparison is exact, byte for byte, once the true values stand where the
//! placeholders were.

use std::ops::Range;

use anyhow::Result;
use similar::TextDiff;

use super::diff::{Difference, split_lines};
use super::values::{PLACEHOLDERS, Placeholder, Values};
use crate::error::Fault;
use crate::escape;

/// A golden screen as read from its file.
#[derive(Clone, Debug)]
pub struct Golden {
    /// Lines, each with its line end (the last may lack it).
    pub(super) lines: Vec<Line>,
}

#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) raw: Vec<u8>,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
pub(super) enum Piece {
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

    /// Compares with the screen `seen`; `None` when they are the same.
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
    pub(super) fn resolve(&self, seen: &[u8], values: &Values) -> Vec<Vec<u8>> {
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

/// Whether a bracketed word that is no placeholder was most likely meant as one. Programs write
/// `[INFO]` and `[SERVER]` on their screens; only the writer of a golden writes `[SERVER_PORT]`.
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

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::diff::DiffLine;

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

    #[apply(test)]
    fn the_true_values_fit_their_placeholders() {
        assert_eq!(diff(GOLDEN, SEEN), []);
        assert_eq!(diff(GOLDEN, &SEEN.replace("192.168.1.3", "fd00::2")), []);
        assert_eq!(diff(GOLDEN, &SEEN.replace("192.168.1.3", "127.0.0.1")), []);
    }

    #[apply(test)]
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

    #[apply(test)]
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

    #[apply(test)]
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

    #[apply(test)]
    fn a_diff_notes_that_an_escape_and_its_character_differ() {
        let lines = diff("\\x1b[2J\n", "\x1b[2J\n");
        assert_eq!(lines.last(), Some(&DiffLine::SameLook));
        assert_eq!(diff("a\n", "a").last(), Some(&DiffLine::NoLineEnd));
    }

    #[apply(test)]
    fn a_mistyped_placeholder_is_an_error_and_a_tag_is_text() {
        for word in ["[SERVER_PORT]", "[CLIENT_ADRESS]", "[ADDRESS]", "[SERVER_ADDR]", "[PORTS]"] {
            let error = Golden::parse(format!("one\nat {word}\n"), &[]).unwrap_err();
            assert_eq!(error.to_string(), format!("line 2: unknown placeholder {word}"));
        }
        for word in ["[INFO]", "[SERVER]", "[CLIENT]", "[]", "[x]", "[LOG_LEVEL]", "[PORT"] {
            golden(word);
        }
    }

    #[apply(test)]
    fn a_message_that_reads_like_a_placeholder_stands_for_itself() {
        let messages = [b"is it [PORT] or [SERVER_PORT]?".to_vec()];
        let text = b"port [PORT]\ngot is it [PORT] or [SERVER_PORT]?\n";
        let golden = Golden::parse(text, &messages).unwrap();
        let seen = b"port 12345\ngot is it [PORT] or [SERVER_PORT]?\n";
        assert_eq!(golden.compare(seen, &values()), None);
        assert!(golden.compare(b"port 12346\ngot is it [PORT] or [SERVER_PORT]?\n", &values()).is_some());
    }

    #[apply(test)]
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

    #[apply(test)]
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

    #[apply(test)]
    fn a_screen_that_lacks_lines_in_the_middle_begins_and_ends_as_the_golden_does() {
        let whole = golden("one\ntwo\nthree\nbye\n");
        let lacks = |seen: &str| whole.begins_and_ends_with(seen.as_bytes(), &values());
        assert!(lacks("one\nbye\n") && lacks("one\ntwo\nthree\nbye\n") && lacks("bye\n"));
        assert!(!lacks("one\nthree\ntwo\nbye\n") && !lacks("one\nother\nbye\n"));
        assert!(!lacks("one\ntwo\nthree\nthree\nbye\n"));
    }
}
