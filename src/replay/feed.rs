//! Feeding the client: from a file, through a pipe, or at its terminal, one line at a time.

use std::time::Duration;

use memchr::memmem;

use super::drive::{Drive, lines};
use crate::escape;
use crate::run::clock::{Clock, Waited};
use crate::run::command::{Spec, Values};
use crate::run::program::Program;

/// How long the echo of a typed line is waited for: a program may turn it off at this very moment.
const ECHO: Duration = Duration::from_secs(1);

/// Where the lockstep of the terminal drive stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stall {
    /// The client did not wait for input (again) before this message could be typed, counted from 0.
    NotAsked(usize),
    /// The server did not show this message, counted from 0.
    NotShown(usize),
}

/// Feeds the client.
pub(super) struct Feed<'a> {
    /// How the client is started.
    pub(super) spec: &'a Spec,
    pub(super) drive: Drive,
    pub(super) messages: &'a [u8],
    /// Whether a message that was typed can be expected at the server before the next one is.
    pub(super) passes_on: bool,
    pub(super) values: &'a Values,
    pub(super) client: &'a Program,
    pub(super) server: &'a Program,
    pub(super) clock: &'a Clock,
    pub(super) until: Duration,
}

impl Feed<'_> {
    /// Feeds everything, and reports where that stopped.
    pub(super) fn run(&self) -> Option<Stall> {
        let spec = self.spec;
        match self.drive {
            Drive::Script | Drive::Pipe => {
                for answer in &spec.answers {
                    self.client.type_bytes(&answer.fill(self.values).remove(0).into_encoded_bytes());
                    self.client.type_bytes(b"\n");
                }
                if self.drive == Drive::Pipe {
                    self.client.type_bytes(self.messages);
                }
                self.client.end_input();
                None
            }
            Drive::Terminal => {
                if type_answers(self.client, spec, self.values, self.until).is_err() {
                    return self.client.ending().is_none().then_some(Stall::NotAsked(0));
                }
                self.type_messages()
            }
        }
    }

    /// Types the messages, and then the end of input if `quit` was not among them.
    fn type_messages(&self) -> Option<Stall> {
        let mut count = 0;
        for line in lines(self.messages) {
            match self.client.wait_at_terminal(self.until) {
                Waited::Seen(true) => {}
                // How it ended is in its outcome.
                Waited::Seen(false) | Waited::Stopped => return None,
                Waited::TimeUp => return Some(Stall::NotAsked(count)),
            }
            let shown = self.server.view(|seen| seen.screen().len());
            type_line(self.client, line, self.until);
            if line == b"quit" {
                return None;
            }
            if self.passes_on && !self.await_shown(line, shown) {
                return Some(Stall::NotShown(count));
            }
            count += 1;
        }
        if self.client.wait_at_terminal(self.until) == Waited::TimeUp {
            return Some(Stall::NotAsked(count));
        }
        self.client.end_input();
        None
    }

    /// Waits until the server shows `message` behind the first `shown` bytes of its screen. `false` when
    /// time was up first; when one of the two has ended there is no more to wait for.
    fn await_shown(&self, message: &[u8], shown: usize) -> bool {
        let as_shown = escape::show(message);
        let mut search = Search { texts: vec![message, as_shown.as_bytes()], from: shown };
        let waited = self.clock.wait(self.until, || {
            let over = self.server.ending().is_some() || self.client.ending().is_some();
            let seen = self.server.view(|seen| search.finds_in(seen.screen()));
            (seen || over).then_some(())
        });
        waited != Waited::TimeUp
    }
}

/// Types the answers of `spec` at `program`, each when it waits for its terminal. An error when it did
/// not ask for them all, in time or before it ended.
pub(super) fn type_answers(
    program: &Program,
    spec: &Spec,
    values: &Values,
    until: Duration,
) -> Result<(), ()> {
    for answer in &spec.answers {
        if program.wait_at_terminal(until) != Waited::Seen(true) {
            return Err(());
        }
        type_line(program, &answer.fill(values).remove(0).into_encoded_bytes(), until);
    }
    Ok(())
}

/// Types `line` at `program`, and waits until its terminal has echoed it, so that the next line is echoed
/// behind it.
fn type_line(program: &Program, line: &[u8], until: Duration) {
    let shown = program.view(|seen| seen.screen().len());
    let line = [line, b"\n"].concat();
    let echoes = program.echoes();
    program.type_bytes(&line);
    if !echoes {
        return;
    }
    let mut echo = Search { texts: vec![&line], from: shown };
    let until = until.min(program.clock().now() + ECHO);
    let _ = program.wait_for(until, |seen| echo.finds_in(seen.screen()).then_some(()));
}

/// A search for any of some texts on a screen that grows, in which no byte is looked at twice.
struct Search<'a> {
    texts: Vec<&'a [u8]>,
    /// Where on the screen the search continues.
    from: usize,
}

impl Search<'_> {
    fn finds_in(&mut self, screen: &[u8]) -> bool {
        let new = &screen[self.from..];
        let found = !new.is_empty() && self.texts.iter().any(|text| memmem::find(new, text).is_some());
        // A text may have come in part.
        let longest = self.texts.iter().map(|text| text.len()).max().unwrap_or(0);
        self.from = self.from.max(screen.len().saturating_sub(longest.saturating_sub(1)));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn a_text_is_found_wherever_the_screen_was_cut_in_between() {
        let screen = b"server received message: \"one\"\n";
        for first in 0..screen.len() {
            let mut search = Search { texts: vec![b"nothing like it", b"one"], from: 0 };
            let early = search.finds_in(&screen[..first]);
            assert_eq!(early, first >= 29, "{first}");
            assert!(early || search.finds_in(screen), "{first}");
        }
        let mut any = Search { texts: vec![b""], from: 3 };
        assert!(!any.finds_in(b"abc") && any.finds_in(b"abcd"));
    }
}
