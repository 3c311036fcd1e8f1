//! A report while the run that it is about goes on: a progress bar, results as they come, and files that
//! are complete at any moment.

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};

use super::human::{self, Cases, Style};
use super::{Files, Format, fits, print};
use crate::escape;
use crate::results::{Case, Job, Outcome, Results, Submission};

/// Names of running submissions beside the bar, in columns.
const RUNNING: usize = 30;

/// A report in the making.
pub struct Report {
    started: Instant,
    formats: Vec<Format>,
    files: Files,
    results: Results,
    /// The names that are to be judged, in order; those whose turn on the screen has come are gone.
    order: Vec<String>,
    /// How people are told, if they are.
    human: Option<Human>,
    bar: ProgressBar,
    running: Vec<String>,
}

struct Human {
    style: Style,
    cases: Cases,
    /// How many submissions were shown.
    shown: usize,
}

impl Report {
    /// A report of a run that begins now and is to judge `names`. It goes to standard output, or to
    /// `output`; then people are told on standard output all the same.
    pub fn new(
        mut results: Results,
        names: Vec<String>,
        formats: &[Format],
        output: Option<&Path>,
    ) -> Result<Self> {
        fits(formats, results.job, names.len())?;
        results.stopped.clone_from(&names);
        let mut files = Files::new(formats, output)?;
        files.interim(&results)?;
        let style = Style::of_stdout();
        let human = (formats == [Format::Human] || files.any()).then(|| Human {
            style,
            cases: Cases::new(style, !io::stdout().is_terminal()),
            shown: 0,
        });
        let what = match results.job {
            Job::Check => "requirements",
            Job::Replay => "sessions",
        };
        let bar = ProgressBar::new(0).with_style(
            ProgressStyle::with_template(&format!(
                "{{bar:20}} {{pos}} of {{len}} {what}  {{elapsed}}  {{msg}}"
            ))
            .context("the bar's template")?,
        );
        Ok(Report {
            started: Instant::now(),
            formats: formats.to_vec(),
            files,
            results,
            order: names,
            human,
            bar,
            running: Vec::new(),
        })
    }

    /// So many more steps are to be done than was known before.
    pub fn expect(&mut self, steps: usize) {
        self.bar.inc_length(steps as u64);
    }

    /// A step is done.
    pub fn step(&mut self) {
        self.bar.inc(1);
    }

    /// A submission is being judged.
    pub fn begun(&mut self, name: &str) {
        self.running.push(escape::show(name.as_bytes()));
        self.tell_running();
    }

    /// A submission is judged. They end in any order, and are told in the one they were named in.
    pub fn submission(&mut self, submission: Submission) -> Result<()> {
        let name = escape::show(submission.name.as_bytes());
        if let Some(at) = self.running.iter().position(|running| *running == name) {
            self.running.remove(at);
        }
        self.tell_running();
        judged(&mut self.results.stopped, &submission.name);
        let place = |name: &String| self.order.iter().position(|other| other == name);
        let own = place(&submission.name);
        let before = |other: &Submission| place(&other.name) <= own;
        let at = self.results.submissions.partition_point(before);
        self.results.submissions.insert(at, submission);
        self.show_submissions(false)?;
        self.files.interim(&self.results)
    }

    /// Shows the submissions whose turn has come; all of them, if no more will follow.
    fn show_submissions(&mut self, all: bool) -> Result<()> {
        let Some(human) = &mut self.human else { return Ok(()) };
        while let Some(next) = self.results.submissions.get(human.shown) {
            if !all && self.order.get(human.shown) != Some(&next.name) {
                break;
            }
            let between = if human.shown == 0 { "" } else { "\n" };
            let text = format!("{between}{}", human::submission(next, &self.results, human.style));
            self.bar.suspend(|| print(&text))?;
            human.shown += 1;
        }
        Ok(())
    }

    fn tell_running(&self) {
        let mut names = self.running.join(", ");
        if let Some((at, _)) = names.char_indices().nth(RUNNING) {
            names.truncate(at);
            names += "...";
        }
        self.bar.set_message(names);
    }

    /// A case is judged.
    pub fn case(&mut self, case: Case) -> Result<()> {
        if let Some(human) = &mut self.human {
            let text = human.cases.case(&case);
            self.bar.suspend(|| print(&text))?;
        }
        judged(&mut self.results.stopped, &format!("{}::{}", case.fixture, case.name()));
        self.results.cases.push(case);
        let failed = self.results.cases.iter().filter(|case| case.outcome.is_failure()).count();
        if failed > 0 {
            self.bar.set_message(format!("{failed} failed"));
        }
        self.files.interim(&self.results)
    }

    /// What a case came to until the run was stopped.
    pub fn unfinished(&mut self, case: Case) -> Result<()> {
        let name = format!("{}::{}", case.fixture, case.name());
        if case.outcome != Outcome::NotRun {
            self.case(case)?;
            self.results.stopped.push(name);
        }
        Ok(())
    }

    /// Writes what is left to be written; the results of the whole run.
    pub fn finish(mut self) -> Result<Results> {
        self.bar.finish_and_clear();
        self.results.measured.seconds = self.started.elapsed().as_secs_f64();
        self.show_submissions(true)?;
        // Cases end in the order in which their sessions do; a report has them in the one they were planned.
        let order = &self.order;
        self.results.cases.sort_by_key(|case| {
            let name = format!("{}::{}", case.fixture, case.name());
            order.iter().position(|other| *other == name)
        });
        if let Some(human) = &self.human {
            print(&human::summary(&self.results, human.style))?;
        }
        self.files.last(&self.results)?;
        if let (None, [format]) = (&self.human, self.formats.as_slice()) {
            print(&format.render(&self.results)?)?;
        }
        Ok(self.results)
    }
}

/// Takes `name` once from those that are not judged.
fn judged(stopped: &mut Vec<String>, name: &str) {
    if let Some(at) = stopped.iter().position(|other| other == name) {
        stopped.remove(at);
    }
}
