//! Reviewing new goldens at a terminal, one after the other, before they are written.

use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::Fault;
use crate::replay::{BlessResult, Blessed, Change, words};
use crate::report::{human, print};
use crate::results::Blessing;
use crate::run::clock;

/// How often, in milliseconds, an unanswered question checks whether everything was stopped.
const CHECK: u8 = 100;

/// What the reviewer decides about one golden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Accept,
    Skip,
    Quit,
}

/// Whether someone is there to review.
pub fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Writes the goldens that changed, with `review` only those that the user accepts. Whether all that was
/// to be blessed is blessed.
pub fn write(blessed: &[Blessed], review: bool) -> Result<bool> {
    let style = human::Style::of_stdout();
    let (reviewed, others): (Vec<_>, Vec<_>) =
        blessed.iter().partition(|one| review && matches!(one.result, BlessResult::Changed(_)));
    for change in others.iter().flat_map(|one| one.result.changes()) {
        change.write()?;
    }
    let told: Vec<_> = others.iter().map(|one| (one.fixture.clone(), words::blessing(one))).collect();
    print(&human::blessed(&told, style))?;
    let mut done = !told.iter().any(|(_, blessing)| matches!(blessing, Blessing::Refused(..)));
    let changes: Vec<&Change> = reviewed.iter().flat_map(|one| one.result.changes()).collect();
    for (number, change) in changes.iter().enumerate() {
        let difference = human::difference(&words::change(change), style);
        print(&format!("golden {} of {}:\n{difference}", number + 1, changes.len()))?;
        match ask()? {
            Answer::Accept => {
                change.write()?;
                print(&format!("accepted {}\n", change.path.display()))?;
            }
            Answer::Skip => done = false,
            Answer::Quit => return Ok(false),
        }
    }
    Ok(done)
}

fn ask() -> Result<Answer> {
    loop {
        print("a: accept it, s: skip it, q: skip it and all that follow? ")?;
        match read_line()?.as_deref().map(str::trim) {
            Some("a" | "accept") => return Ok(Answer::Accept),
            Some("s" | "skip") => return Ok(Answer::Skip),
            Some("q" | "quit") | None => return Ok(Answer::Quit),
            Some(_) => {}
        }
    }
}

/// A line from the terminal; `None` at the end of input. Signals do not end this process, so a stop is
/// checked for while nothing is typed.
fn read_line() -> Result<Option<String>> {
    loop {
        if clock::stopped() {
            return Err(Fault::new("stopped before the end of the review").into());
        }
        let input = io::stdin();
        match poll(&mut [PollFd::new(input.as_fd(), PollFlags::POLLIN)], PollTimeout::from(CHECK)) {
            Ok(0) | Err(Errno::EINTR) => continue,
            ready => ready.context("cannot wait for the terminal")?,
        };
        // A terminal gives whole lines, so this does not wait.
        let mut line = String::new();
        let count = input.read_line(&mut line).context("cannot read from the terminal")?;
        return Ok((count > 0).then_some(line));
    }
}
