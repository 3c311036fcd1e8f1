//! The arguments of `echolog report`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::error::{Exit, Fault};
use crate::report::{self, Files, Format};
use crate::results::{Results, SCHEMA};

const HELP: &str = "\
Examples:
  echolog report results.json --format html --output results.html
  echolog report part-1.json part-2.json --format csv,html --output results/
  echolog report monday.json --compare friday.json
  echolog report results.json --feedback feedback/";

#[derive(Debug, Args)]
#[command(after_help = super::after_options(HELP))]
pub struct ReportArgs {
    /// Results that check or replay wrote with --format json; the parts of --shard are put together
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// How to report; several with commas between
    #[arg(long, value_name = "FORMATS", value_enum, value_delimiter = ',', default_value = "human")]
    format: Vec<Format>,

    /// Write the report to this file, or to this directory if there are several formats
    #[arg(long, value_name = "PATH")]
    output: Option<PathBuf>,

    /// Tell what has changed since these older results, and nothing else; the exit code is 1 if anything has
    #[arg(long, value_name = "FILE", conflicts_with_all = ["output", "feedback"])]
    compare: Option<PathBuf>,

    /// Write feedback for each student into this directory, as Markdown and as HTML
    #[arg(long, value_name = "DIR")]
    feedback: Option<PathBuf>,
}

impl ReportArgs {
    /// Does what was asked for.
    pub fn run(&self) -> anyhow::Result<Exit> {
        let parts = self.files.iter().map(|path| Ok((path.as_path(), load(path)?)));
        let results = merged(parts.collect::<anyhow::Result<_>>()?)?;
        if let Some(old) = &self.compare {
            let [format] = self.format[..] else {
                return Err(Fault::usage("changes are told in one format").into());
            };
            let changes = report::changes(&load(old)?, &results);
            report::print(&report::render_changes(&changes, format)?)?;
            return Ok(if changes.is_empty() { Exit::Done } else { Exit::Failed });
        }
        report::fits(&self.format, results.job, results.submissions.len() + results.stopped.len())?;
        if let Some(directory) = &self.feedback {
            report::feedback(&results, directory)?;
        }
        let files = Files::new(&self.format, self.output.as_deref())?;
        if files.any() {
            files.last(&results)?;
        } else if let [format] = self.format[..] {
            report::show(&results, format)?;
        }
        Ok(Exit::Done)
    }
}

/// The results in `path`.
fn load(path: &Path) -> anyhow::Result<Results> {
    let name = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| Fault::usage(format!("cannot read {name}")).because(error))?;
    let foreign = |why: String| {
        Fault::usage(format!("{name}: {why}")).hint("echolog check --format json writes such a file")
    };
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| foreign(format!("not JSON: {error}")))?;
    match value["schema"].as_u64() {
        Some(schema) if schema == u64::from(SCHEMA) => {}
        Some(schema) => {
            return Err(foreign(format!("its schema is {schema}, and this echolog reads {SCHEMA}")).into());
        }
        None => return Err(foreign("no results of echolog".to_owned()).into()),
    }
    serde_json::from_value(value).map_err(|error| foreign(error.to_string()).into())
}

/// The parts of one run as one. `--shard I/N` takes every N-th submission, so that they are put together in
/// turns.
fn merged(mut parts: Vec<(&Path, Results)>) -> anyhow::Result<Results> {
    let (first, mut all) = parts.remove(0);
    if parts.is_empty() {
        return Ok(all);
    }
    let mut lists = vec![(first, std::mem::take(&mut all.submissions))];
    for (path, part) in parts {
        if part.job != all.job {
            return Err(Fault::usage(format!("{} is of echolog {}", path.display(), part.job.word())).into());
        }
        for requirement in part.requirements {
            if !all.requirements.iter().any(|other| other.id == requirement.id) {
                all.requirements.push(requirement);
            }
        }
        all.stopped.extend(part.stopped);
        all.cases.extend(part.cases);
        all.measured.began = all.measured.began.min(part.measured.began);
        all.measured.seconds = all.measured.seconds.max(part.measured.seconds);
        lists.push((path, part.submissions));
    }
    let longest = lists.iter().map(|(_, list)| list.len()).max().unwrap_or_default();
    for at in 0..longest {
        for (path, list) in &lists {
            let Some(submission) = list.get(at) else { continue };
            if all.submissions.iter().any(|other| other.name == submission.name) {
                let twice = format!("{}: {} is in another file too", path.display(), submission.name);
                return Err(Fault::usage(twice).into());
            }
            all.submissions.push(submission.clone());
        }
    }
    all.cases.sort_by(|one, other| {
        (&one.fixture, &one.drive, &one.wire).cmp(&(&other.fixture, &other.drive, &other.wire))
    });
    Ok(all)
}
