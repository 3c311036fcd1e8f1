//! How a check is told: a table for people, and the formats that programs read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::check::{Check, Event, Finding, Requirement, Verdict};
use crate::error::Fault;
use crate::escape;
use crate::report::replay::{Row, Style, junit, print, tap};
use crate::results::Outcome;

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
}

/// What each requirement is worth.
#[derive(Clone, Debug)]
pub struct Points(BTreeMap<Requirement, f64>);

impl Default for Points {
    /// One point each.
    fn default() -> Self {
        Points(Requirement::ALL.into_iter().map(|requirement| (requirement, 1.0)).collect())
    }
}

impl Points {
    /// From a TOML file with lines like `S1 = 2.5`. A requirement that is not named is worth nothing.
    pub fn load(path: &Path) -> Result<Self> {
        let wrong = |why: String| {
            Fault::usage(format!("{}: {why}", path.display()))
                .hint("a line for each requirement that counts, like S1 = 2.5; the others are worth nothing")
        };
        let text = fs::read_to_string(path)
            .map_err(|error| Fault::usage(format!("cannot read {}", path.display())).because(error))?;
        let table: toml::Table = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            wrong(format!("line {line}: {}", error.message().lines().next().unwrap_or("not TOML")))
        })?;
        let mut points: BTreeMap<_, _> =
            Requirement::ALL.into_iter().map(|requirement| (requirement, 0.0)).collect();
        for (name, value) in table {
            let requirement: Requirement =
                name.parse().map_err(|error: anyhow::Error| wrong(error.to_string()))?;
            let number = match value {
                #[expect(clippy::cast_precision_loss, reason = "nobody gives 2^53 points")]
                toml::Value::Integer(number) => Some(number as f64),
                toml::Value::Float(number) => Some(number),
                _ => None,
            };
            let number = number.filter(|number| number.is_finite() && *number >= 0.0);
            let number =
                number.ok_or_else(|| wrong(format!("{name} needs a number of points, 0 or more")))?;
            points.insert(requirement, number);
        }
        Ok(Points(points))
    }

    fn of(&self, requirement: Requirement) -> f64 {
        self.0.get(&requirement).copied().unwrap_or_default()
    }
}

/// How many submissions came out how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// Everything asked for passes.
    pub passed: usize,
    /// Something does not.
    pub failed: usize,
    /// Nothing could be run.
    pub unplayable: usize,
}

/// A report in the making.
pub struct Report {
    started: Instant,
    began: SystemTime,
    format: Format,
    points: Points,
    /// The first words of a command that repeats a finding.
    again: String,
    file: Option<(PathBuf, File)>,
    /// How people are told, if they are.
    style: Option<Style>,
    bar: ProgressBar,
    verdicts: Vec<Verdict>,
    order: Vec<String>,
}

impl Report {
    /// A report of `check` in `format`, to `file` if given. What goes to a file does not keep people from
    /// being told on stdout.
    pub fn new(
        check: &Check,
        format: Format,
        points: Points,
        again: String,
        file: Option<&Path>,
    ) -> Result<Self> {
        let file = file
            .map(|path| -> Result<_> {
                let file = File::create(path).map_err(|error| {
                    Fault::usage(format!("cannot write the report {}", path.display())).because(error)
                })?;
                Ok((path.to_path_buf(), file))
            })
            .transpose()?;
        let style = (format == Format::Human || file.is_some()).then(Style::of_stdout);
        let rows = if check.only.is_empty() { Requirement::ALL.len() } else { check.only.len() };
        let bar = ProgressBar::new((check.submissions.len() * rows * check.repeat) as u64).with_style(
            ProgressStyle::with_template("{bar:30} {pos} of {len} requirements  {elapsed}  {msg}")
                .context("the bar's template")?,
        );
        Ok(Report {
            started: Instant::now(),
            began: SystemTime::now(),
            format,
            points,
            again,
            file,
            style,
            bar,
            verdicts: Vec::new(),
            order: check.submissions.iter().map(|submission| submission.name.clone()).collect(),
        })
    }

    /// Tells an event.
    pub fn tell(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Row => self.bar.inc(1),
            Event::Verdict(verdict) => {
                if let Some(style) = self.style {
                    let between = if self.verdicts.is_empty() { "" } else { "\n" };
                    let text = format!("{between}{}", self.table(&verdict, style));
                    self.bar.suspend(|| print(&text))?;
                }
                self.bar.set_message(escape::show(verdict.name.as_bytes()));
                self.verdicts.push(*verdict);
            }
        }
        Ok(())
    }

    /// Writes what is left to be written, and counts.
    pub fn finish(mut self) -> Result<Count> {
        self.bar.finish_and_clear();
        // They end in the order in which they happen to; a report has them in the one they were asked for.
        let place = |name: &String| self.order.iter().position(|other| other == name);
        self.verdicts.sort_by_key(|verdict| place(&verdict.name));
        let count = count(&self.verdicts);
        if let Some(style) = self.style {
            print(&self.summary(style))?;
        }
        let text = match self.format {
            Format::Human => {
                let tables: Vec<String> =
                    self.verdicts.iter().map(|verdict| self.table(verdict, Style::PLAIN)).collect();
                tables.join("\n") + &self.summary(Style::PLAIN)
            }
            Format::Json => format!("{:#}\n", self.json(count)),
            Format::Junit => junit("echolog check", &self.rows(), self.began),
            Format::Tap => tap(&self.rows()),
            Format::Gradescope => self
                .verdicts
                .first()
                .map_or(String::new(), |verdict| format!("{:#}\n", self.gradescope(verdict))),
        };
        match &mut self.file {
            Some((path, file)) => file
                .write_all(text.as_bytes())
                .and_then(|()| file.flush())
                .with_context(|| format!("cannot write the report {}", path.display()))?,
            None if self.format != Format::Human => print(&text)?,
            None => {}
        }
        Ok(count)
    }

    /// The command that repeats `finding`.
    fn again(&self, verdict: &Verdict, finding: &Finding) -> String {
        let arguments =
            if verdict.arguments.is_empty() { String::new() } else { format!(" {}", verdict.arguments) };
        format!("{}{arguments} --only {}", self.again, finding.requirement)
    }

    fn table(&self, verdict: &Verdict, style: Style) -> String {
        let mut text = format!("{}\n", style.bold(&escape::show(verdict.name.as_bytes())));
        if let Some(why) = &verdict.unplayable {
            return text + &wrapped("  ", &format!("{}: {}", style.red("nothing could be run"), shown(why)));
        }
        for finding in &verdict.findings {
            let Finding { requirement, outcome, .. } = finding;
            let word = format!("{:8}", outcome.word());
            let word = match outcome {
                Outcome::Pass => style.green(&word),
                Outcome::NotRun => word,
                _ => style.red(&word),
            };
            text += &format!("  {requirement:4}{word} {}\n", requirement.words());
            if *outcome != Outcome::Pass {
                text += &wrapped(INDENT, &shown(&finding.evidence));
            }
            if !finding.differing.is_empty() {
                text += &wrapped(INDENT, &style.red(&differing(finding)));
            }
            if *outcome != Outcome::Pass && *outcome != Outcome::NotRun {
                text += &format!("{INDENT}again: {}\n", style.cyan(&shown(&self.again(verdict, finding))));
            }
        }
        text + &format!(
            "  {}; framing seen: {}; {:.1} s\n",
            tally(verdict, style),
            verdict.framing,
            verdict.took.as_secs_f64()
        )
    }

    /// A line for each of several submissions.
    fn summary(&self, style: Style) -> String {
        if self.verdicts.len() < 2 {
            return String::new();
        }
        let width =
            self.verdicts.iter().map(|verdict| verdict.name.chars().count()).max().unwrap_or_default();
        let mut text = String::from("\n");
        for verdict in &self.verdicts {
            let name = shown(&verdict.name);
            let name = format!("{name}{}", " ".repeat(width.saturating_sub(name.chars().count())));
            if verdict.unplayable.is_some() {
                text += &format!("{name}   -  {}\n", style.red("nothing could be run"));
                continue;
            }
            let named = |wanted: &dyn Fn(Outcome) -> bool| -> Vec<String> {
                let findings = verdict.findings.iter().filter(|finding| wanted(finding.outcome));
                findings.map(|finding| finding.requirement.to_string()).collect()
            };
            let passed = named(&|outcome| outcome == Outcome::Pass).len();
            let failed = named(&|outcome| !matches!(outcome, Outcome::Pass | Outcome::NotRun));
            let not_run = named(&|outcome| outcome == Outcome::NotRun);
            let mut rest = style.red(&failed.join(" "));
            if !not_run.is_empty() {
                rest +=
                    &format!("{}not run: {}", if failed.is_empty() { "" } else { "; " }, not_run.join(" "));
            }
            text += format!("{name}  {passed:2}  {rest}").trim_end();
            text += "\n";
        }
        let count = count(&self.verdicts);
        let mut parts = vec![format!("{} of {} pass", count.passed, self.verdicts.len())];
        if count.unplayable > 0 {
            parts.push(style.red(&format!("{} could not be run", count.unplayable)));
        }
        text + &format!("{}; {:.1} s\n", parts.join(", "), self.started.elapsed().as_secs_f64())
    }

    fn json(&self, count: Count) -> Value {
        let row = |verdict: &Verdict, found: &Finding| {
            json!({
                "requirement": found.requirement.to_string(),
                "words": found.requirement.words(),
                "verdict": found.outcome.word(),
                "needs": found.needs.map(|needs| needs.to_string()),
                "evidence": found.evidence,
                "differing": found.differing.iter().map(|outcome| outcome.word()).collect::<Vec<_>>(),
                "seconds": found.took.as_secs_f64(),
                "again": self.again(verdict, found),
            })
        };
        let submission = |verdict: &Verdict| {
            let findings: Vec<Value> = verdict.findings.iter().map(|found| row(verdict, found)).collect();
            json!({
                "name": verdict.name,
                "could_not_be_run": verdict.unplayable,
                "framing": verdict.framing.to_string(),
                "seconds": verdict.took.as_secs_f64(),
                "findings": findings,
            })
        };
        json!({
            "job": "check",
            "summary": {
                "submissions": self.verdicts.len(),
                "passed": count.passed,
                "failed": count.failed,
                "could_not_be_run": count.unplayable,
                "seconds": self.started.elapsed().as_secs_f64(),
            },
            "submissions": self.verdicts.iter().map(submission).collect::<Vec<_>>(),
        })
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for verdict in &self.verdicts {
            let suite = shown(&verdict.name);
            if let Some(why) = &verdict.unplayable {
                rows.push(Row {
                    suite: suite.clone(),
                    case: "start".to_string(),
                    outcome: Outcome::Fail,
                    took: verdict.took,
                    message: shown(why),
                    details: format!("nothing could be run: {}\n", shown(why)),
                });
            }
            rows.extend(verdict.findings.iter().map(|finding| Row {
                suite: suite.clone(),
                case: format!("{} {}", finding.requirement, finding.requirement.words()),
                outcome: finding.outcome,
                took: finding.took,
                message: shown(&finding.evidence),
                details: self.details(verdict, finding),
            }));
        }
        rows
    }

    fn details(&self, verdict: &Verdict, finding: &Finding) -> String {
        let mut text = format!("{}: {}\n", finding.outcome.word(), shown(&finding.evidence));
        if !finding.differing.is_empty() {
            text += &format!("{}\n", differing(finding));
        }
        text + &format!("again: {}\n", shown(&self.again(verdict, finding)))
    }

    /// As the autograder specification has it ("Output format").
    fn gradescope(&self, verdict: &Verdict) -> Value {
        let test = |finding: &Finding| {
            let passed = finding.outcome == Outcome::Pass;
            let most = self.points.of(finding.requirement);
            json!({
                "name": format!("{} {}", finding.requirement, finding.requirement.words()),
                "number": finding.requirement.to_string(),
                "score": if passed { most } else { 0.0 },
                "max_score": most,
                "status": if passed { "passed" } else { "failed" },
                "output": self.details(verdict, finding),
                "output_format": "text",
                "extra_data": { "verdict": finding.outcome.word() },
            })
        };
        let output = match &verdict.unplayable {
            Some(why) => format!("nothing could be run: {}", shown(why)),
            None => format!("{}; framing seen: {}", tally(verdict, Style::PLAIN), verdict.framing),
        };
        let mut document = json!({
            "output": output,
            "output_format": "text",
            "execution_time": verdict.took.as_secs(),
            "tests": verdict.findings.iter().map(test).collect::<Vec<_>>(),
        });
        if verdict.unplayable.is_some() {
            // Without tests there is nothing to add up.
            document["score"] = json!(0);
        }
        document
    }
}

/// Where evidence stands in the table.
const INDENT: &str = "               ";
/// How wide the table may be, in characters.
const WIDTH: usize = 100;

fn shown(text: &str) -> String {
    escape::show(text.as_bytes())
}

fn differing(finding: &Finding) -> String {
    let times = |outcome: Outcome| finding.differing.iter().filter(|other| **other == outcome).count();
    let all =
        [Outcome::Pass, Outcome::Fail, Outcome::Hung, Outcome::Flooded, Outcome::Crashed, Outcome::NotRun];
    let parts: Vec<String> = all
        .into_iter()
        .filter(|outcome| times(*outcome) > 0)
        .map(|outcome| format!("{} {}", times(outcome), outcome.word()))
        .collect();
    format!("not the same every time: of {} runs, {}", finding.differing.len(), parts.join(", "))
}

fn tally(verdict: &Verdict, style: Style) -> String {
    let number =
        |wanted: Outcome| verdict.findings.iter().filter(|finding| finding.outcome == wanted).count();
    let mut parts = vec![format!("{} of {} pass", number(Outcome::Pass), verdict.findings.len())];
    for outcome in [Outcome::Fail, Outcome::Hung, Outcome::Flooded, Outcome::Crashed, Outcome::NotRun] {
        let number = number(outcome);
        if number > 0 {
            parts.push(format!("{number} {}", outcome.word()));
        }
    }
    let text = parts.join(", ");
    if parts.len() == 1 { style.green(&text) } else { text }
}

fn count(verdicts: &[Verdict]) -> Count {
    let mut count = Count::default();
    for verdict in verdicts {
        if verdict.unplayable.is_some() {
            count.unplayable += 1;
        } else if verdict.findings.iter().all(|finding| finding.outcome == Outcome::Pass) {
            count.passed += 1;
        } else {
            count.failed += 1;
        }
    }
    count
}

/// `text` in lines that begin with `lead` and are not too wide, broken at blanks.
fn wrapped(lead: &str, text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is one from the beginning");
        if !last.is_empty() && lead.len() + last.chars().count() + word.chars().count() >= WIDTH {
            lines.push(word.to_string());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines.iter().fold(String::new(), |text, line| text + lead + line + "\n")
}
