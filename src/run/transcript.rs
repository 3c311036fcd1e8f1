//! What a program showed and what was typed at it, to the byte and with its times.

use std::ops::Range;
use std::time::Duration;

/// Where a piece of a transcript was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Typed at the program, or fed to its standard input. A terminal shows it on the screen too.
    Typed,
    /// Its standard output, or all that its terminal showed.
    Screen,
    /// Its standard error, where that is kept apart.
    Errors,
}

/// A stretch of a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// When, from the start of the session.
    pub at: Duration,
    /// Where.
    pub stream: Stream,
    /// What.
    pub bytes: &'a [u8],
}

/// What a program showed and what was typed at it, to the byte, in the order in which it was seen.
///
/// Lines end as the program ended them: the terminal under it does not turn `\n` into `\r\n`.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    bytes: [Vec<u8>; 3],
    marks: Vec<(Duration, Stream, Range<usize>)>,
}

impl Transcript {
    /// All of its standard output, or all that its terminal showed.
    pub fn screen(&self) -> &[u8] {
        &self.bytes[Stream::Screen as usize]
    }

    /// What its standard output, or its terminal, showed after the last that was typed.
    pub fn screen_after_typed(&self) -> &[u8] {
        let typed = self.marks.iter().rposition(|(_, stream, _)| *stream == Stream::Typed).unwrap_or(0);
        let before = self.marks[..typed].iter().rev().find(|(_, stream, _)| *stream == Stream::Screen);
        &self.screen()[before.map_or(0, |(_, _, range)| range.end)..]
    }

    /// All of its standard error, where that is kept apart.
    pub fn errors(&self) -> &[u8] {
        &self.bytes[Stream::Errors as usize]
    }

    /// All that was typed at it.
    #[cfg(test)]
    pub fn typed(&self) -> &[u8] {
        &self.bytes[Stream::Typed as usize]
    }

    /// Everything, in time order.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        self.marks.iter().map(|(at, stream, range)| Piece {
            at: *at,
            stream: *stream,
            bytes: &self.bytes[*stream as usize][range.clone()],
        })
    }

    /// Adds what was seen `at` a time that is not before the last one.
    pub fn push(&mut self, at: Duration, stream: Stream, bytes: &[u8]) {
        let all = &mut self.bytes[stream as usize];
        let start = all.len();
        all.extend_from_slice(bytes);
        self.marks.push((at, stream, start..all.len()));
    }
}
