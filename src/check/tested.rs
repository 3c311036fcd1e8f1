//! One program in a session: its screen, its keyboard, its end.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Duration;

use anyhow::Result;

use crate::results::Role;
use crate::run::outcome::Ending;
use crate::run::processes::Activity;
use crate::run::program::Program;
use crate::run::transcript::Transcript;

/// How a program is to be fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyboard {
    /// At its terminal, line by line; what is typed is not shown there, so that all that is shown is its
    /// own.
    Lines,
    /// The same without the terminal's limit of 4,095 bytes a line.
    LongLines,
    /// Through a pipe, which can come to an end that lasts.
    Pipe,
}

/// One program in a session.
#[derive(Debug)]
pub struct Tested {
    pub(super) program: Program,
    /// How often it had been on a processor when a line was last typed.
    pub(super) typed_at: Cell<u64>,
    /// Lines to type when it waits for its keyboard, before anything else.
    pub(super) answers: VecDeque<String>,
    /// Which of the two it is.
    pub role: Role,
    /// Whether answers are typed at it.
    pub is_answered: bool,
    /// How much it had printed when each answer was typed.
    pub(super) answered_at: Vec<usize>,
}

impl Tested {
    /// All that it has printed.
    pub fn screen(&self) -> Vec<u8> {
        self.since(0)
    }

    /// What it has printed after the first `mark` bytes.
    pub fn since(&self, mark: usize) -> Vec<u8> {
        self.program.view(|transcript| transcript.screen().get(mark..).unwrap_or_default().to_vec())
    }

    /// How many bytes it has printed.
    pub fn shown(&self) -> usize {
        self.program.view(|transcript| transcript.screen().len())
    }

    /// How it ended, if it has.
    pub fn ending(&self) -> Option<Ending> {
        self.program.ending()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.ending().is_some()
    }

    /// When it ended, from the start of the session.
    pub fn ended_at(&self) -> Option<Duration> {
        self.program.ended_at()
    }

    /// Types a line.
    pub fn type_line(&self, line: &str) {
        self.typed_at.set(self.program.activity().turns);
        self.program.type_bytes(format!("{line}\n").as_bytes());
    }

    /// Ends its input.
    pub fn end_input(&self) {
        self.program.end_input();
    }

    /// The ports on which it listens.
    pub fn ports(&self) -> Result<Vec<u16>> {
        Ok(self.program.listens_on()?.into_iter().collect())
    }

    /// Whether it runs on a computer of its own.
    pub fn is_isolated(&self) -> bool {
        self.program.is_isolated()
    }

    /// Looks at its transcript.
    pub fn view<T>(&self, look: impl FnOnce(&Transcript) -> T) -> T {
        self.program.view(look)
    }

    /// What it is doing; `None` once it has ended. A line that was typed and is still on its way counts as
    /// work to be done.
    pub(super) fn activity(&self) -> Option<Activity> {
        if self.has_ended() {
            return None;
        }
        let mut activity = self.program.activity();
        let unheard = activity.unread && activity.at_terminal && activity.turns == self.typed_at.get();
        activity.running |= unheard || !self.program.took_all();
        Some(activity)
    }

    /// Whether it is about to have ended: nothing follows from what it does not do.
    pub(super) fn is_ending(&self) -> bool {
        !self.has_ended() && self.program.is_ending()
    }

    /// Types lines, without waiting for it to ask.
    pub fn type_lines(&self, lines: &[String]) {
        self.type_line(&lines.join("\n"));
    }

    /// What it has printed, without the questions that were answered: of each, the line that it ends with.
    pub fn statements(&self) -> Vec<u8> {
        let screen = self.screen();
        let mut statements = Vec::new();
        let mut from = 0;
        for &until in &self.answered_at {
            let part = screen[from..until].trim_ascii_end();
            let line = part.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            statements.extend_from_slice(&part[..line]);
            from = until;
        }
        statements.extend_from_slice(&screen[from..]);
        statements
    }

    /// Types the next answer, if there is one left.
    pub(super) fn answer(&mut self) -> bool {
        let next = self.answers.pop_front();
        if let Some(line) = &next {
            self.answered_at.push(self.shown());
            self.type_line(line);
        }
        next.is_some()
    }
}
