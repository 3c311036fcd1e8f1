//! The difference between two texts, line by line, shown safely.

use std::ops::Range;
use std::time::{Duration, Instant};

use similar::{Algorithm, DiffOp, DiffTag};

use super::alike::{look_alike, reveal};
use crate::escape;

/// Unchanged lines shown around a change.
const CONTEXT: usize = 3;
/// How long a difference is refined before a coarser one has to do.
pub(super) const DIFF_TIME: Duration = Duration::from_millis(500);

/// A screen that is not its golden: both, line by line, the golden with the true values in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub(super) golden: Vec<Vec<u8>>,
    pub(super) seen: Vec<Vec<u8>>,
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
    /// The lines above looked alike; where they differ, their characters are written as `\u{...}`.
    Revealed,
    /// Every line of the golden ends in CRLF, and no line of the screen does.
    CrlfGolden,
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
        lines.extend(self.golden_has_crlf().then_some(DiffLine::CrlfGolden));
        for group in similar::group_diff_ops(ops, CONTEXT) {
            lines.push(DiffLine::Hunk(hunk(&group)));
            for op in &group {
                self.changes(op, &mut lines);
            }
        }
        lines
    }

    fn changes(&self, op: &DiffOp, lines: &mut Vec<DiffLine>) {
        let (golden, seen) = (&self.golden[op.old_range()], &self.seen[op.new_range()]);
        let text = |line: &[u8]| line.strip_suffix(b"\n").unwrap_or(line).to_vec();
        let mut push = |line: DiffLine, bytes: &[u8]| {
            lines.push(line);
            lines.extend((!bytes.ends_with(b"\n")).then_some(DiffLine::NoLineEnd));
        };
        if op.tag() == DiffTag::Equal {
            for line in golden {
                push(DiffLine::Both(escape::show(&text(line))), line);
            }
            return;
        }
        let alike = |at: usize| {
            let (golden, seen) = (text(golden.get(at)?), text(seen.get(at)?));
            look_alike(&golden, &seen).then(|| reveal(&golden, &seen))
        };
        let shown = |side: usize, at: usize, line: &[u8]| match alike(at) {
            Some(mut revealed) => std::mem::take(&mut revealed[side]),
            None => escape::show(&text(line)),
        };
        let both = |lines: &[Vec<u8>], side: usize| -> Vec<String> {
            lines.iter().enumerate().map(|(at, line)| shown(side, at, line)).collect()
        };
        let (old, new) = (both(golden, 0), both(seen, 1));
        let same_look = old.iter().any(|line| new.contains(line));
        let line_ends = golden.iter().chain(seen).all(|line| line.ends_with(b"\n"));
        old.into_iter().zip(golden).for_each(|(shown, line)| push(DiffLine::Golden(shown), line));
        new.into_iter().zip(seen).for_each(|(shown, line)| push(DiffLine::Seen(shown), line));
        let pairs = golden.len().min(seen.len());
        lines.extend((0..pairs).any(|at| alike(at).is_some()).then_some(DiffLine::Revealed));
        lines.extend((same_look && line_ends).then_some(DiffLine::SameLook));
    }

    /// Whether the golden's line ends look as if a checkout had converted them.
    fn golden_has_crlf(&self) -> bool {
        let crlf = |line: &Vec<u8>| line.ends_with(b"\r\n");
        !self.golden.is_empty() && self.golden.iter().all(crlf) && !self.seen.iter().any(crlf)
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

/// The lines of `text`, each with its line end.
pub(super) fn split_lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|&byte| byte == b'\n').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn lines_that_look_alike_are_shown_with_their_difference() {
        let lines = Difference::between("a\nZo\u{eb}\n".as_bytes(), "a\nZoe\u{308}\n".as_bytes()).unified();
        assert_eq!(
            lines,
            [
                DiffLine::Hunk("@@ -1,2 +1,2 @@".to_owned()),
                DiffLine::Both("a".to_owned()),
                DiffLine::Golden("Zo\\u{eb}".to_owned()),
                DiffLine::Seen("Zoe\\u{308}".to_owned()),
                DiffLine::Revealed,
            ]
        );
    }

    #[apply(test)]
    fn a_golden_with_crlf_is_named_as_such() {
        let first = |golden: &str, seen: &str| {
            Difference::between(golden.as_bytes(), seen.as_bytes()).unified().swap_remove(0)
        };
        assert_eq!(first("a\r\nb\r\n", "a\nb\n"), DiffLine::CrlfGolden);
        assert_ne!(first("a\r\nb\n", "a\nb\n"), DiffLine::CrlfGolden);
        assert_ne!(first("a\r\nb\r\n", "a\r\nc\n"), DiffLine::CrlfGolden);
    }
}
