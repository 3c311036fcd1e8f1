//! The editor's own key bindings.
//!
//! rustyline draws the whole line again whenever a character reaches the edge of the window. A long text
//! that is pasted without brackets, as one key after another, would be drawn once a row: the time grows
//! with the square of its length. So while many more keys are waiting to be read, the text of the keys is
//! collected and inserted in one piece. Only text and Enter are taken from such a burst; no keyboard is
//! that fast, and a paste has no other keys.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};

use nix::unistd::write;
use rustyline::{Cmd, ConditionalEventHandler, Event, EventContext, KeyCode, KeyEvent, Modifiers, Movement};

/// A burst begins when this many bytes are waiting to be read.
const BURST: usize = 512;

/// While nothing waits there, the terminal is asked again after this many keys. Otherwise text that a program
/// writes at once would take one more system call for each character.
const UNASKED: u32 = 16;

/// What every key does, where it is not what rustyline has it do.
#[derive(Clone, Debug, Default)]
pub struct Keys(Arc<Mutex<Burst>>);

#[derive(Debug, Default)]
struct Burst {
    /// Text of keys that is not in the line yet.
    text: String,
    /// Bytes that the terminal held when the last key came.
    waiting: usize,
    /// Keys that may come before the terminal is asked again.
    unasked: u32,
    /// Bytes that rustyline has certainly read from the terminal and not yet taken for keys.
    read: usize,
    /// Text that was shown behind the line when it was entered, without having been inserted.
    shown: String,
}

impl Keys {
    /// Begins a new line.
    pub fn begin(&self) {
        *self.lock() = Burst::default();
    }

    /// Text that belongs to the end of the line that was entered last.
    pub fn take_rest(&self) -> String {
        std::mem::take(&mut self.lock().shown)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Burst> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConditionalEventHandler for Keys {
    fn handle(&self, event: &Event, count: u16, positive: bool, line: &EventContext) -> Option<Cmd> {
        let &KeyEvent(code, modifiers) = event.get(0)?;
        let mut burst = self.lock();
        match (code, modifiers) {
            (KeyCode::Char(character), Modifiers::NONE) if count == 1 && positive => {
                burst.took(character.len_utf8(), terminal_holds);
                burst.insert(character)
            }
            // A tab is a character of a message like any other. (As a `SelfInsert`, rustyline would repeat
            // all that was inserted before: it takes a bound `SelfInsert` for the command to repeat.)
            (KeyCode::Tab, Modifiers::NONE) => {
                burst.took(1, terminal_holds);
                burst.text.push('\t');
                burst.flush_unless_more_follows()
            }
            (KeyCode::Enter, Modifiers::NONE) | (KeyCode::Char('J' | 'M'), Modifiers::CTRL) => {
                burst.took(1, terminal_holds);
                burst.enter(line.pos() == line.line().len())
            }
            // Clears the line. On an empty one it is what the terminal has it be: an interrupt.
            (KeyCode::Char('C'), Modifiers::CTRL) => {
                let dropped = std::mem::take(&mut burst.text);
                (!dropped.is_empty() || !line.line().is_empty()).then_some(Cmd::Kill(Movement::WholeBuffer))
            }
            // rustyline would insert the control character that is typed next, and show it as it is.
            (KeyCode::Char('V' | 'Q'), Modifiers::CTRL) => Some(burst.flush().unwrap_or(Cmd::Noop)),
            // What Linux makes of a Ctrl-D that is typed while no line is being read.
            (KeyCode::Char('@'), Modifiers::CTRL) => Some(burst.flush().unwrap_or(Cmd::EndOfFile)),
            _ => {
                burst.took(usize::MAX, terminal_holds);
                burst.flush()
            }
        }
    }
}

impl Burst {
    /// A key of `length` bytes came, and the terminal holds `waiting()` bytes more.
    fn took(&mut self, length: usize, waiting: impl FnOnce() -> usize) {
        let is_quiet = self.waiting == 0 && self.read == 0;
        if is_quiet && self.unasked > 0 {
            self.unasked -= 1;
            return;
        }
        let waiting = waiting();
        self.unasked = if is_quiet && waiting == 0 { UNASKED } else { 0 };
        // The bytes that are missing there were read; more may have come meanwhile.
        let read = self.waiting.saturating_sub(waiting);
        self.read = self.read.max(read).saturating_sub(length);
        self.waiting = waiting;
    }

    fn insert(&mut self, character: char) -> Option<Cmd> {
        if self.text.is_empty() && self.waiting < BURST {
            return None;
        }
        self.text.push(character);
        self.flush_unless_more_follows()
    }

    fn flush_unless_more_follows(&mut self) -> Option<Cmd> {
        let more = self.waiting + self.read;
        // Once collected, text waits only for keys that are certain to come.
        if more >= BURST || (more > 0 && self.text.len() > 1) { Some(Cmd::Noop) } else { self.flush() }
    }

    fn flush(&mut self) -> Option<Cmd> {
        (!self.text.is_empty()).then(|| Cmd::Insert(1, std::mem::take(&mut self.text)))
    }

    /// Enters the line. A handler has one command to give: where there is text to insert as well, that is
    /// only shown, behind the line, and added to it afterwards.
    fn enter(&mut self, at_the_end: bool) -> Option<Cmd> {
        if self.text.is_empty() {
            return None;
        }
        if !at_the_end {
            // As a line end that is pasted in brackets.
            self.text.push('\n');
            return self.flush();
        }
        self.shown = std::mem::take(&mut self.text);
        let mut rest = self.shown.as_bytes();
        while let Ok(written @ 1..) = write(io::stdout(), rest) {
            rest = &rest[written..];
        }
        Some(Cmd::AcceptLine)
    }
}

/// How many bytes the terminal holds that were typed and not read.
fn terminal_holds() -> usize {
    let mut count = 0;
    // SAFETY: it writes one int to the place it is given (ioctl_tty(2), FIONREAD).
    #[expect(unsafe_code, reason = "no crate here wraps this request")]
    let answer = unsafe { waiting(io::stdin().as_raw_fd(), &raw mut count) };
    answer.ok().and_then(|_| usize::try_from(count).ok()).unwrap_or(0)
}

mod request {
    nix::ioctl_read_bad!(
        /// `FIONREAD`: bytes that can be read.
        waiting, nix::libc::FIONREAD, nix::libc::c_int);
}
use request::waiting;

#[cfg(test)]
mod tests {
    use super::*;

    /// What `burst` does with the characters of `text`, of which the terminal holds those that follow.
    fn typed(text: &str, burst: &mut Burst) -> Vec<Option<Cmd>> {
        let keys = text.char_indices().map(|(at, character)| {
            burst.took(character.len_utf8(), || text.len() - at - character.len_utf8());
            burst.insert(character)
        });
        keys.collect()
    }

    #[apply(test)]
    fn keys_of_a_person_are_left_to_the_editor() {
        let mut burst = Burst::default();
        assert_eq!(typed("grüße", &mut burst), [None, None, None, None, None]);
    }

    #[apply(test)]
    fn a_burst_is_inserted_in_one_piece_at_its_end() {
        let mut burst = Burst::default();
        let text = "é".repeat(1000);
        let mut done = typed(&text, &mut burst);
        assert_eq!(done.pop(), Some(Some(Cmd::Insert(1, text))));
        assert!(done.iter().all(|command| *command == Some(Cmd::Noop)), "{done:?}");
    }

    #[apply(test)]
    fn what_the_editor_has_read_ahead_belongs_to_the_burst() {
        let mut burst = Burst::default();
        burst.took(1, || 999);
        assert_eq!(burst.insert('x'), Some(Cmd::Noop));
        // The next key comes with all the others.
        for _ in 1..999 {
            burst.took(1, || 0);
            assert_eq!(burst.insert('x'), Some(Cmd::Noop));
        }
        burst.took(1, || 0);
        assert_eq!(burst.insert('x'), Some(Cmd::Insert(1, "x".repeat(1000))));
    }

    #[apply(test)]
    fn a_terminal_that_has_nothing_is_not_asked_at_every_key() {
        let mut burst = Burst::default();
        let mut asked = 0;
        for _ in 0..100 {
            burst.took(1, || {
                asked += 1;
                0
            });
        }
        assert_eq!(asked, 6);
        // A burst is noticed all the same, and from then on it is asked at every key.
        assert!(typed(&"x".repeat(1000), &mut burst).contains(&Some(Cmd::Noop)));
    }

    #[apply(test)]
    fn another_key_ends_a_burst() {
        let mut burst = Burst::default();
        burst.took(1, || 999);
        assert_eq!(burst.insert('x'), Some(Cmd::Noop));
        assert_eq!(burst.enter(false), Some(Cmd::Insert(1, "x\n".into())));
        assert_eq!(burst.flush(), None);
    }
}
