//! The progress bar of a client that sends a long script.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::input::Input;

/// A bar on stderr, only where it disturbs no screen.
pub struct Progress {
    bar: Option<ProgressBar>,
    since: Instant,
}

impl Progress {
    /// A script that takes less time than this has no bar.
    const SHORT: Duration = Duration::from_millis(500);

    /// A bar for `input`, not shown yet.
    pub fn new(input: &Input) -> Self {
        let wanted = io::stderr().is_terminal() && !io::stdout().is_terminal();
        let bar = input.size.filter(|_| wanted).map(|size| {
            let style = ProgressStyle::with_template(
                "sending {bar:30} {percent:>3} %  {bytes} of {total_bytes}  {eta} left",
            );
            ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::hidden())
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Progress { bar, since: Instant::now() }
    }

    /// Shows how much of `input` has been read.
    pub fn show(&self, input: &Input) {
        if let Some(bar) = self.bar.as_ref().filter(|_| self.since.elapsed() >= Self::SHORT) {
            if bar.is_hidden() {
                bar.set_draw_target(ProgressDrawTarget::stderr());
            }
            bar.set_position(input.position());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
