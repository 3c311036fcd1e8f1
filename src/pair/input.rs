//! Where answers and messages come from: keyboard, pipe, script.
//!
//! The screen is the same for all three: where no terminal shows what is typed behind a prompt, this program
//! shows it. At a keyboard a mistake is reported and the question is asked again; elsewhere it is an error.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{FlushArg, tcflush};

use super::editor::{self, Edited, Editor};
use super::screen::Screen;
use super::wire::{LineEnd, Lines, Next};
use crate::error::{self, Fault, Patient};

/// Longest answer to what the command line left out, in bytes.
const ANSWER: usize = 4096;

/// The bytes read to count the lines that were left over.
const LEFT_OVER: u64 = 64 * 1024 * 1024;

/// What some editors put at the start of a file of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A source of lines.
#[derive(Debug)]
pub struct Input {
    source: Source,
    /// Where it comes from, as errors say it.
    pub name: String,
    /// Its size in bytes, where it is a regular file.
    pub size: Option<u64>,
    limit: usize,
    keyboard: bool,
}

#[derive(Debug)]
enum Source {
    /// Bytes, from wherever they come.
    Lines {
        lines: Lines<Counted>,
        /// Whether a terminal shows what is typed, behind our prompt.
        shown_by_terminal: bool,
    },
    /// A person at a terminal that can do more than show characters.
    Editor {
        editor: Box<Editor>,
        /// The line that was handed out last.
        line: String,
    },
}

/// What was typed, or fed.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed<'a> {
    /// A line.
    Line(&'a [u8]),
    /// A line over the limit; it is passed over.
    TooLong,
    /// Something that a line editor cannot read.
    NotUtf8,
    /// The end of input: end of the file, Ctrl-D.
    End,
    /// An interrupt, which a line editor has taken for a key: this program is to end by it.
    Interrupted,
}

impl Input {
    /// Standard input; where it is to be `edited`, with a line editor if a person can use one.
    pub fn stdin(edited: bool) -> io::Result<Self> {
        let stdin = io::stdin();
        let keyboard = stdin.is_terminal();
        let shown_by_terminal = keyboard && io::stdout().is_terminal();
        // Without the standard library's buffer: poll(2) then tells of all there is to read.
        let file = File::from(stdin.as_fd().try_clone_to_owned()?);
        let mut input = Input::new(file, "standard input".into(), shown_by_terminal);
        input.keyboard = keyboard;
        let blocks = |fd: BorrowedFd<'_>| {
            fcntl(fd, FcntlArg::F_GETFL).is_ok_and(|flags| flags & OFlag::O_NONBLOCK.bits() == 0)
        };
        // The editor's crate does not wait for a terminal that is set to non-blocking mode. Without the memory
        // or the descriptors for an editor, lines can still be typed.
        if edited
            && shown_by_terminal
            && editor::is_possible()
            && blocks(stdin.as_fd())
            && blocks(io::stdout().as_fd())
            && let Ok(editor) = Editor::new()
        {
            input.source = Source::Editor { editor: Box::new(editor), line: String::new() };
        }
        Ok(input)
    }

    /// The script at `path`.
    pub fn script(path: &Path) -> Result<Self, Fault> {
        let cannot =
            |error| Fault::usage(format!("cannot read the script {}", path.display())).because(error);
        let file = File::open(path).map_err(cannot)?;
        if file.metadata().map_err(cannot)?.is_dir() {
            return Err(cannot(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        Ok(Input::new(file, path.display().to_string(), false))
    }

    fn new(file: File, name: String, shown_by_terminal: bool) -> Self {
        let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
        let source = Counted { file: Patient(file), read: 0, name: name.clone() };
        let lines = Lines::new(source, LineEnd::MaybeCrLf, ANSWER);
        let source = Source::Lines { lines, shown_by_terminal };
        Input { source, name, size, limit: ANSWER, keyboard: false }
    }

    /// Takes messages of at most `limit` bytes from here on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        if let Source::Lines { lines, .. } = &mut self.source {
            lines.set_limit(limit);
        }
    }

    /// Whether a person is there who can be asked again.
    pub fn is_keyboard(&self) -> bool {
        self.keyboard
    }

    /// Whether a terminal shows what is typed and gives it line by line.
    pub fn is_plain_keyboard(&self) -> bool {
        matches!(self.source, Source::Lines { shown_by_terminal: true, .. })
    }

    /// Whether [`next`](Self::next) will answer at once.
    pub fn is_ready(&mut self) -> bool {
        match &mut self.source {
            Source::Lines { lines, .. } => lines.is_ready(),
            Source::Editor { editor, .. } => editor.is_ready(),
        }
    }

    /// Takes in what has come, so that [`is_ready`](Self::is_ready) may come true. While the
    /// [descriptor](Self::as_fd) is readable this does not block, as [`next`](Self::next) does where
    /// only a part of a line has come.
    pub fn take_in(&mut self) -> io::Result<()> {
        match &mut self.source {
            Source::Lines { lines, .. } => lines.read_more(),
            Source::Editor { editor, .. } => editor.fetch(),
        }
    }

    /// Lines that are there and need not be had singly, as [`Lines::plain_lines`] has them; none where a
    /// terminal shows what is typed.
    pub fn plain_lines(&mut self) -> &[u8] {
        match &mut self.source {
            Source::Lines { lines, shown_by_terminal: false } => lines.plain_lines(),
            Source::Lines { .. } | Source::Editor { .. } => &[],
        }
    }

    /// Passes over the first `bytes` of what [`plain_lines`](Self::plain_lines) gave.
    pub fn pass_lines(&mut self, bytes: usize) {
        if let Source::Lines { lines, .. } = &mut self.source {
            lines.pass_lines(bytes);
        }
    }

    /// How many bytes of a file have been read.
    pub fn position(&self) -> u64 {
        match &self.source {
            Source::Lines { lines, .. } => lines.source().read,
            Source::Editor { .. } => 0,
        }
    }

    /// Shows `prompt`, for a message.
    pub fn prompt(&mut self, prompt: &'static str, screen: &mut Screen<impl Write>) {
        self.show_prompt(prompt, true, screen);
    }

    fn show_prompt(&mut self, prompt: &'static str, remember: bool, screen: &mut Screen<impl Write>) {
        match &mut self.source {
            Source::Editor { editor, .. } if !editor.has_pasted() => {
                screen.flush();
                editor.prompt(prompt, remember);
            }
            _ => screen.ask(prompt),
        }
    }

    /// Shows the prompt of a question. Where the screen shows none, a person still needs it.
    fn show_question(&mut self, prompt: &'static str, screen: &mut Screen<impl Write>) {
        if self.keyboard && !screen.is_for_people() {
            // Nothing depends on it.
            let _ = io::stderr().write_all(prompt.as_bytes());
        } else {
            self.show_prompt(prompt, false, screen);
        }
    }

    /// The next line; shown on `screen` where no terminal has shown it.
    pub fn next(&mut self, screen: &mut Screen<impl Write>) -> io::Result<Typed<'_>> {
        match &mut self.source {
            Source::Lines { lines, shown_by_terminal } => {
                let shown_by_terminal = *shown_by_terminal;
                match lines.next()? {
                    Next::Line(line) => {
                        if !shown_by_terminal {
                            screen.typed(line);
                        }
                        Ok(Typed::Line(line))
                    }
                    Next::Tail(line) => {
                        if shown_by_terminal {
                            screen.end_of_input();
                        } else {
                            screen.typed(line);
                        }
                        Ok(Typed::Line(line))
                    }
                    Next::TooLong => {
                        if !shown_by_terminal {
                            screen.end_of_input();
                        }
                        Ok(Typed::TooLong)
                    }
                    Next::End => {
                        screen.end_of_input();
                        Ok(Typed::End)
                    }
                }
            }
            Source::Editor { editor, line } => {
                match editor.next()? {
                    Edited::Typed(typed) => *line = typed,
                    Edited::Pasted(pasted) => {
                        screen.typed(pasted.as_bytes());
                        *line = pasted;
                    }
                    Edited::NotUtf8 => return Ok(Typed::NotUtf8),
                    Edited::End => return Ok(Typed::End),
                    Edited::Interrupted => return Ok(Typed::Interrupted),
                }
                Ok(if line.len() > self.limit { Typed::TooLong } else { Typed::Line(line.as_bytes()) })
            }
        }
    }

    /// Stops asking, behind a prompt that is shown: what was typed there is gone, and the cursor goes
    /// to a line of its own.
    pub fn give_up(&self, screen: &mut Screen<impl Write>) {
        match &self.source {
            Source::Editor { editor, .. } => editor.give_up(),
            // Not for the shell to read and run.
            Source::Lines { .. } if self.keyboard && editor::in_foreground() => {
                _ = tcflush(io::stdin(), FlushArg::TCIFLUSH);
            }
            Source::Lines { .. } => {}
        }
        screen.end_of_input();
        screen.flush();
    }

    /// Ends the program by the interrupt that [`next`](Self::next) told of. Comes back where whoever started
    /// this program has it ignore the signal.
    pub fn interrupt(&self) -> io::Error {
        match &self.source {
            Source::Editor { editor, .. } => editor.interrupt(),
            Source::Lines { .. } => io::ErrorKind::Interrupted.into(),
        }
    }

    /// Asks for what the command line left out, until `parse` takes the answer.
    pub fn ask<T>(
        &mut self,
        prompt: &'static str,
        screen: &mut Screen<impl Write>,
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> anyhow::Result<T> {
        let keyboard = self.keyboard;
        loop {
            self.show_question(prompt, screen);
            screen.flush();
            let asked = prompt.trim_end_matches([':', ' ']);
            let answer = match self.next(screen) {
                Ok(Typed::Interrupted) => return Err(self.interrupt().into()),
                Ok(Typed::Line(line)) => parse(&String::from_utf8_lossy(line)),
                Ok(Typed::TooLong) => Err(Fault::usage("the answer is too long")),
                Ok(Typed::NotUtf8) => Err(Fault::usage("the answer is not UTF-8")),
                Ok(Typed::End) => {
                    screen.flush();
                    return Err(Fault::usage(format!("the input ended at \"{asked}\""))
                        .hint("answer it, or give it on the command line (see --help)")
                        .into());
                }
                Err(error) => {
                    screen.end_of_input();
                    screen.flush();
                    return Err(Fault::usage(format!("no answer to \"{asked}\"")).because(error).into());
                }
            };
            screen.flush();
            match answer {
                Ok(answer) => return Ok(answer),
                Err(fault) if keyboard => _ = error::tell(&fault.into()),
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    /// How many more lines there are, read without waiting for any, and whether that is all.
    pub fn left_over(&mut self) -> (u64, bool) {
        let lines = match &mut self.source {
            Source::Lines { lines, .. } => lines,
            Source::Editor { editor, .. } => return (editor.left_over(), true),
        };
        let end = lines.source().read + LEFT_OVER;
        let mut count = 0;
        while lines.source().read < end {
            if lines.is_ready() {
                match lines.next() {
                    Ok(Next::End) => return (count, true),
                    Ok(_) => count += 1,
                    Err(_) => return (count, false),
                }
            } else if self.size.is_none() && !is_readable(lines.source().file.0.as_fd()) {
                return (count, true);
            } else if lines.read_more().is_err() {
                return (count, false);
            }
        }
        (count, false)
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.source {
            Source::Lines { lines, .. } => lines.source().file.0.as_fd(),
            Source::Editor { editor, .. } => editor.as_fd(),
        }
    }
}

fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut wait = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut wait, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// A file that counts what was read of it. A byte order mark at its start is skipped.
#[derive(Debug)]
struct Counted {
    file: Patient<File>,
    read: u64,
    name: String,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = self.file.read(buffer)?;
        if self.read == 0 {
            // Only a file that begins like the mark is read further here.
            while (1..BYTE_ORDER_MARK.len()).contains(&read) && BYTE_ORDER_MARK.starts_with(&buffer[..read]) {
                match self.file.read(&mut buffer[read..])? {
                    0 => break,
                    more => read += more,
                }
            }
            if buffer[..read].starts_with(BYTE_ORDER_MARK) {
                self.read = BYTE_ORDER_MARK.len() as u64;
                error::note(&format!("skipped the byte order mark at the start of {}", self.name));
                buffer.copy_within(BYTE_ORDER_MARK.len()..read, 0);
                read -= BYTE_ORDER_MARK.len();
                if read == 0 {
                    return self.read(buffer);
                }
            }
        }
        self.read += read as u64;
        Ok(read)
    }
}
