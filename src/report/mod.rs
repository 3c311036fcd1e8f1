//! Reports: results as people and programs read them, one file for each format.
//!
//! What always holds: a report follows from [`Results`] alone, so that a stored file gives the same report
//! as the run that wrote it; and text that came from the programs under test is shown safely, whatever
//! the format.

mod compare;
mod csv;
mod feedback;
mod gradescope;
mod html;
pub mod human;
mod json;
mod junit;
mod markdown;
mod progress;
mod row;
mod tables;
mod tap;
mod write;

use anyhow::Result;
use clap::ValueEnum;

pub use self::compare::{changes, render as render_changes};
pub use self::feedback::feedback;
use self::human::Style;
pub use self::progress::Report;
pub use self::write::{Files, print};
use crate::error::Fault;
use crate::results::{Job, Planned, Results};

/// For whom a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// People
    Human,
    /// One JSON document
    Json,
    /// JUnit XML, as CI systems read it
    Junit,
    /// Test Anything Protocol, as `prove` reads it
    Tap,
    /// results.json of a Gradescope autograder, for one submission
    Gradescope,
    /// A table for grade books and spreadsheet programs
    Csv,
    /// A table and details, as GitHub shows them
    Markdown,
    /// One page for a browser
    Html,
}

impl Format {
    /// The report of `results` in this format.
    pub fn render(self, results: &Results) -> Result<String> {
        Ok(match self {
            Format::Human => human::report(results, Style::PLAIN),
            Format::Json => json::render(results),
            Format::Junit => junit::render(results),
            Format::Tap => tap::render(results),
            Format::Gradescope => gradescope::render(results),
            Format::Csv => csv::render(results)?,
            Format::Markdown => markdown::render(results),
            Format::Html => html::render(results),
        })
    }

    /// The name of its file in a directory with several.
    fn file_name(self) -> &'static str {
        match self {
            Format::Human => "results.txt",
            Format::Json => "results.json",
            Format::Junit => "junit.xml",
            Format::Tap => "results.tap",
            Format::Gradescope => "gradescope.json",
            Format::Csv => "results.csv",
            Format::Markdown => "results.md",
            Format::Html => "results.html",
        }
    }
}

/// Shows the report of `results` on standard output.
pub fn show(results: &Results, format: Format) -> Result<()> {
    print(&match format {
        Format::Human => human::report(results, Style::of_stdout()),
        other => other.render(results)?,
    })
}

/// Refuses formats that cannot tell what a run of `job` on `submissions` submissions finds.
pub fn fits(formats: &[Format], job: Job, submissions: usize) -> Result<()> {
    if formats.contains(&Format::Gradescope) && (job == Job::Replay || submissions > 1) {
        return Err(Fault::usage("a results.json is for one submission").into());
    }
    Ok(())
}

/// The cases of a replay that is not played, for people or as JSON.
pub fn list(cases: &[Planned], formats: &[Format]) -> Result<()> {
    match formats {
        [Format::Human] => print(&human::list(cases)),
        [Format::Json] => print(&format!("{}\n", serde_json::to_string_pretty(cases)?)),
        _ => Err(Fault::usage("a list is for people or JSON")
            .hint("--list with --format human or json")
            .into()),
    }
}
