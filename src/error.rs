//! How this program ends: its exit codes, and the errors it prints.
//!
//! Every failure is an [`anyhow::Error`]. A [`Fault`] somewhere in its chain adds a hint for the user, or says
//! that the command line was wrong. Errors are printed in one style, once: `error: …`, and a line `hint: …`
//! where one is known.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::escape;

/// The exit codes, all of them; the help texts say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Done, and everything agrees.
    Done = 0,
    /// It failed, or something disagrees.
    Failed = 1,
    /// The command line was wrong, or nothing could be run.
    Usage = 2,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// An error with what the user can do about it, and the exit code it leads to.
#[derive(Debug)]
pub struct Fault {
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    exit: Exit,
    source: Option<anyhow::Error>,
}

impl Fault {
    /// A failure at work: exit code 1.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Fault { message: message.into(), hint: None, exit: Exit::Failed, source: None }
    }

    /// A mistake in how the program was called: exit code 2.
    pub fn usage(message: impl Into<Cow<'static, str>>) -> Self {
        Fault { exit: Exit::Usage, ..Fault::new(message) }
    }

    /// Adds what to do next; printed as a line of its own.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what caused it; printed behind the message, on the same line.
    #[must_use]
    pub fn because(mut self, source: impl Into<anyhow::Error>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| -> &(dyn Error + 'static) { source.as_ref() })
    }
}

/// What is printed for `error`: its whole chain on one line, then the first hint in it.
pub fn words(error: &anyhow::Error) -> String {
    // Names of files and hosts come from outside and are part of messages.
    match parts(error) {
        (error, None) => format!("error: {}\n", escape::show(error.as_bytes())),
        (error, Some(hint)) => {
            format!("error: {}\nhint: {}\n", escape::show(error.as_bytes()), escape::show(hint.as_bytes()))
        }
    }
}

/// The message of `error` with its causes, and the first hint in the chain.
pub fn parts(error: &anyhow::Error) -> (String, Option<String>) {
    let chain: Vec<String> = error.chain().map(|cause| plain(&cause.to_string())).collect();
    let hint = faults(error).find_map(|fault| fault.hint.as_deref());
    (chain.join(": "), hint.map(str::to_owned))
}

/// The words of an operating system's error without its number, which says the same to fewer people,
/// and without the name of a temporary file, which nobody gave it.
fn plain(cause: &str) -> String {
    let known = |rest: &str| {
        rest.split_once(')').is_some_and(|(number, more)| {
            number.parse::<i32>().is_ok() && (more.is_empty() || more.starts_with(" at path \""))
        })
    };
    match cause.rsplit_once(" (os error ") {
        Some((words, rest)) if known(rest) => words.to_owned(),
        _ => cause.to_owned(),
    }
}

/// The exit code that `error` leads to.
pub fn exit(error: &anyhow::Error) -> Exit {
    faults(error).map(|fault| fault.exit).max().unwrap_or(Exit::Failed)
}

/// Prints `error` on stderr and returns the exit code it leads to.
pub fn tell(error: &anyhow::Error) -> Exit {
    print(&words(error));
    exit(error)
}

/// Prints on stderr what the user should know of, though nothing failed.
pub fn note(text: &str) {
    print(&format!("note: {}\n", escape::show(text.as_bytes())));
}

fn print(text: &str) {
    // Where stderr cannot be written either, the exit code is all that is left.
    let _ = Patient(io::stderr()).write_all(text.as_bytes());
}

/// A stream that may be set to non-blocking mode by another program that has it open, as every program on a
/// terminal has: where it has no space, or no data, the call waits all the same.
#[derive(Debug)]
pub struct Patient<F>(pub F);

impl<F: AsFd> Patient<F> {
    fn wait<T>(&self, events: PollFlags, mut call: impl FnMut(&Self) -> io::Result<T>) -> io::Result<T> {
        loop {
            match call(self) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Any end of the wait is a reason to try again; the call itself tells what is wrong.
                    let _ = poll(&mut [PollFd::new(self.0.as_fd(), events)], PollTimeout::NONE);
                }
                done => return done,
            }
        }
    }
}

impl<F: AsFd> Write for Patient<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait(PollFlags::POLLOUT, |stream| Ok(nix::unistd::write(&stream.0, bytes)?))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<F: AsFd> io::Read for Patient<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait(PollFlags::POLLIN, |stream| Ok(nix::unistd::read(&stream.0, buffer)?))
    }
}

fn faults(error: &anyhow::Error) -> impl Iterator<Item = &Fault> {
    error.chain().filter_map(|cause| cause.downcast_ref::<Fault>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[apply(test)]
    fn the_chain_is_one_line_and_the_hint_the_next() {
        let cause = std::io::Error::other("disk on fire");
        let error = anyhow::Error::from(Fault::new("cannot spool").because(cause).hint("buy a new one"))
            .context("log");
        assert_eq!(words(&error), "error: log: cannot spool: disk on fire\nhint: buy a new one\n");
        assert_eq!(exit(&error), Exit::Failed);
    }

    #[apply(test)]
    fn errors_of_the_operating_system_have_no_number() {
        let cause = std::io::Error::from_raw_os_error(2);
        let error = anyhow::Error::from(cause).context("notes (os error of mine)");
        assert_eq!(words(&error), "error: notes (os error of mine): No such file or directory\n");
        let cause = tempfile::tempfile_in("/no/such/directory").expect_err("there is none");
        assert_eq!(words(&cause.into()), "error: No such file or directory\n");
        let cause = tempfile::NamedTempFile::new_in("/no/such/directory").expect_err("there is none");
        assert_eq!(words(&cause.into()), "error: No such file or directory\n");
    }

    #[apply(test)]
    fn a_usage_fault_anywhere_in_the_chain_decides_the_exit_code() {
        let error = Err::<(), _>(Fault::usage("no such port")).context("server").expect_err("it is one");
        assert_eq!(exit(&error), Exit::Usage);
    }

    #[apply(test)]
    fn text_from_outside_cannot_act_on_the_terminal() {
        let error = anyhow::anyhow!("no such host: \u{1b}]0;evil\u{7}");
        assert_eq!(words(&error), "error: no such host: \\x1b]0;evil\\x07\n");
    }
}
