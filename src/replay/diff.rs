//! The difference between two texts, line by line, shown safely.

use std::ops::Range;
use std::time::{Duration, Instant};

use similar::{Algorithm, ChangeTag, DiffOp};

use super::golden::split_lines;
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
