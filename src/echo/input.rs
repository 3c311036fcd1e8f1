//! Where answers and messages come from: keyboard, pipe, script.
//!
//! The screen is the same whichever it is: what a terminal would have shown behind a prompt is shown
//! by us where there is no terminal. At a keyboard a mistake is told and asked again; elsewhere it is
//! an error, since nobody is there to answer.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::screen::Screen;
use super::wire::{LineEnd, Lines, Next};
use crate::fault::{self, Fault};

/// How much is read to count the lines that were left over.
const LEFT_OVER: u64 = 64 * 1024 * 1024;

/// A source of lines, with the screen they are asked on.
#[derive(Debug)]
pub struct Input {
    lines: Lines<Counted>,
    /// Where it comes from, as errors say it.
    pub name: String,
    /// Its size in bytes, where it is a regular file.
    pub size: Option<u64>,
    keyboard: bool,
    shown_by_terminal: bool,
}

/// What was typed, or fed.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed<'a> {
    /// A line.
    Line(&'a [u8]),
    /// A line over the limit; it is passed over.
    TooLong,
    /// The end of input: end of the file, Ctrl-D.
    End,
}

impl Input {
    /// Standard input.
    pub fn stdin(limit: usize) -> io::Result<Self> {
        let stdin = io::stdin();
        let keyboard = stdin.is_terminal();
        // A file of our own, without a buffer between: what `poll` says of it is then all there is.
        let file = File::from(stdin.as_fd().try_clone_to_owned()?);
        let shown_by_terminal = keyboard && io::stdout().is_terminal();
        Ok(Input::new(file, "standard input".into(), limit, keyboard, shown_by_terminal))
    }

    /// The script at `path`.
    pub fn script(path: &Path, limit: usize) -> Result<Self, Fault> {
        let cannot =
            |error| Fault::usage(format!("cannot read the script {}", path.display())).because(error);
        let file = File::open(path).map_err(cannot)?;
        if file.metadata().map_err(cannot)?.is_dir() {
            return Err(cannot(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        Ok(Input::new(file, path.display().to_string(), limit, false, false))
    }

    fn new(file: File, name: String, limit: usize, keyboard: bool, shown_by_terminal: bool) -> Self {
        let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
        let lines = Lines::new(Counted { file, read: 0 }, LineEnd::MaybeCrLf, limit);
        Input { lines, name, size, keyboard, shown_by_terminal }
    }

    /// Whether a person is there who can be asked again.
    pub fn is_keyboard(&self) -> bool {
        self.keyboard
    }

    /// Whether [`next`](Self::next) will answer at once.
    pub fn is_ready(&mut self) -> bool {
        self.lines.is_ready()
    }

    /// How many bytes have been read.
    pub fn position(&self) -> u64 {
        self.lines.source().read
    }

    /// The next line; shown on `screen` where no terminal has shown it.
    pub fn next(&mut self, screen: &mut Screen<impl Write>) -> io::Result<Typed<'_>> {
        match self.lines.next()? {
            Next::Line(line) => {
                if !self.shown_by_terminal {
                    screen.typed(line);
                }
                Ok(Typed::Line(line))
            }
            Next::Tail(line) => {
                if self.shown_by_terminal {
                    screen.end_of_input();
                } else {
                    screen.typed(line);
                }
                Ok(Typed::Line(line))
            }
            Next::TooLong => {
                if !self.shown_by_terminal {
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

    /// Asks for what the command line left out, until `parse` takes the answer.
    pub fn ask<T>(
        &mut self,
        prompt: &str,
        screen: &mut Screen<impl Write>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> anyhow::Result<T> {
        let keyboard = self.keyboard;
        loop {
            screen.ask(prompt);
            screen.flush();
            let asked = prompt.trim_end_matches([':', ' ']);
            let answer = match self.next(screen) {
                Ok(Typed::Line(line)) => parse(&String::from_utf8_lossy(line)),
                Ok(Typed::TooLong) => Err("that is too long".into()),
                Ok(Typed::End) => {
                    screen.flush();
                    return Err(Fault::usage(format!("the input ended at \"{asked}\""))
                        .hint("answer it, or give it on the command line (see --help)")
                        .into());
                }
                Err(error) => {
                    return Err(Fault::usage(format!("no answer to \"{asked}\"")).because(error).into());
                }
            };
            screen.flush();
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) if keyboard => _ = fault::tell(&Fault::usage(error).into()),
                Err(error) => return Err(Fault::usage(error).into()),
            }
        }
    }

    /// How many more lines there are, read without waiting for any, and whether that is all.
    pub fn left_over(&mut self) -> (u64, bool) {
        let end = self.position() + LEFT_OVER;
        let mut count = 0;
        while self.position() < end {
            if !self.lines.is_ready() && self.size.is_none() && !is_readable(self.as_fd()) {
                return (count, true);
            }
            match self.lines.next() {
                Ok(Next::End) => return (count, true),
                Ok(_) => count += 1,
                Err(_) => return (count, false),
            }
        }
        (count, false)
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.lines.source().file.as_fd()
    }
}

fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut wait = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut wait, PollTimeout::try_from(Duration::ZERO).unwrap_or(PollTimeout::ZERO))
        .is_ok_and(|ready| ready > 0)
}

/// A file that counts what was read of it.
#[derive(Debug)]
struct Counted {
    file: File,
    read: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read += read as u64;
        Ok(read)
    }
}
