//! The arguments of `echolog check`.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::replay::{jobs, some_seconds};
use super::values::{AnswerArgs, IsolationArg, tell};
use crate::check::{self, Check, Config, Course, Event, Id, Requirement, Submission, TABLE};
use crate::error::{self, Exit, Fault};
use crate::replay::Shard;
use crate::report::{self, Format, Report};
use crate::results::{self, Job, Results};
use crate::run::again::Again;
use crate::run::clock;
use crate::run::command::PROFILE;
use crate::run::program::Limits;

const HELP: &str = "\
Examples:
  echolog check                           echolog itself
  echolog check --init submissions/ada    write a draft of its echolog.toml
  echolog check submissions/ada
  echolog check submissions/*/ --jobs 4 --format json --output results.json
  echolog check submissions/ada --only R6 --repeat 10
  echolog check submissions/*/ --course course.toml --format html,csv,json \\
                --output results/ --feedback feedback/
  echolog check --explain R8              what is done, expected, and why
  echolog check --server 'python3 server.py {port}' \\
                --client 'python3 client.py {host} {port}'

A submission is a directory with a file echolog.toml:
  build = \"cc -o server server.c && cc -o client client.c\"   # optional
  server = \"./server {port}\"
  client = \"./client {host} {port}\"
  server-answers = [\"{port}\"]             # what to type first, for programs
  client-answers = [\"{host}\", \"{port}\"]   # that ask at the keyboard
  port = 12345                            # if the server insists on one
  quit = \"exit\"                           # if another word ends the session
What it does not say is guessed from the sources; the report then says so. It is
copied, built in the copy, and every program runs in a fresh copy of that.

--course names a file that says the same for a whole class, and more:
  only = [\"S1\", \"S2\", \"C1\"]               # the requirements that are judged
  timeout = 10                            # seconds; build-timeout, too
  memory = 16384                          # MiB
  [points]                                # what is not named is worth nothing
  S1 = 2.5
  [visibility]                            # of rows in feedback and Gradescope
  R7 = \"hidden\"                           # after_due_date, after_published
  [environment]                           # what programs find in theirs; in an
  LANG = \"de_DE.UTF-8\"                    # echolog.toml, too

Verdicts: pass, fail, hung (does not end), flooded (shows without end), crashed
(a signal, or an error that nobody caught), not run (needs another requirement).

Where this machine cannot isolate programs, and with --isolation=none, what is
run can read and write your files, use the network, and outlive its limits.";

/// The defaults that the command which repeats a finding leaves out.
const BUILD_TIME: Duration = Duration::from_secs(120);
const MEMORY: u64 = 16384;

#[derive(Debug, Args)]
#[command(after_help = super::after_options(HELP))]
pub struct CheckArgs {
    /// Submissions: directories with an echolog.toml each; echolog itself where there are none
    #[arg(value_name = "DIR")]
    dirs: Vec<PathBuf>,

    /// Write a commented echolog.toml into each of these directories, guessed from the files there
    #[arg(long, value_name = "DIR", exclusive = true, num_args = 1..)]
    init: Vec<PathBuf>,

    /// The server to judge; {port} is filled in. Without a directory, files are named from here; with
    /// directories, from inside each, and it takes precedence over echolog.toml
    #[arg(long, value_name = "CMD")]
    server: Option<String>,

    /// The client to judge; {host} and {port} are filled in; files as for --server
    #[arg(long, value_name = "CMD")]
    client: Option<String>,

    #[command(flatten)]
    answers: AnswerArgs,

    /// Judge these requirements only, and what they depend on; several with commas between
    #[arg(long, value_name = "R1,R2", value_delimiter = ',')]
    only: Vec<Id>,

    /// Judge each submission so often, and name what is not the same every time
    #[arg(long, value_name = "N", default_value = "1", value_parser = jobs)]
    repeat: usize,

    /// How many submissions are judged side by side; as many as there are processors by default
    #[arg(long, value_name = "N", value_parser = jobs)]
    jobs: Option<usize>,

    /// How long to wait for a program that sleeps for times of its own
    /// [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = some_seconds)]
    timeout: Option<Duration>,

    /// How long a build may take [default: 120]
    #[arg(long, value_name = "SECONDS", value_parser = some_seconds)]
    build_timeout: Option<Duration>,

    /// Address space of each program, in MiB; the virtual machines of some languages reserve far more
    /// than they use [default: 16384]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=u64::MAX >> 20))]
    memory: Option<u64>,

    #[command(flatten)]
    isolation: IsolationArg,

    /// Judge only part I of N, for N machines that share the work
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,

    /// How to report; several with commas between
    #[arg(long, value_name = "FORMATS", value_enum, value_delimiter = ',', default_value = "human")]
    format: Vec<Format>,

    /// Write the report to this file, or to this directory if there are several formats; the screen then
    /// shows the human format as well
    #[arg(long, value_name = "PATH")]
    output: Option<PathBuf>,

    /// What is the same for a whole class: points, the requirements that are judged, commands, time limits;
    /// a submission's echolog.toml takes precedence
    #[arg(long, value_name = "FILE")]
    course: Option<PathBuf>,

    /// Write feedback for each student into this directory, as Markdown and as HTML
    #[arg(long, value_name = "DIR")]
    feedback: Option<PathBuf>,

    /// List the requirements, and judge nothing
    #[arg(long, conflicts_with = "explain")]
    list: bool,

    /// Explain these requirements, and judge nothing; several with commas between
    #[arg(long, value_name = "R1,R2", value_delimiter = ',')]
    explain: Vec<Id>,
}

impl CheckArgs {
    /// Does what was asked for.
    pub fn run(&self) -> anyhow::Result<Exit> {
        if !self.init.is_empty() {
            return self.init();
        }
        let course = self.course.as_deref().map(Course::load).transpose()?.unwrap_or_default();
        if self.list || !self.explain.is_empty() {
            return self.tell_requirements(&course);
        }
        let loaded = self.submissions(&course)?;
        report::fits(&self.format, Job::Check, loaded.len())?;
        clock::stop_on_signals()?;
        let names = loaded.iter().map(|(name, _)| name.clone()).collect();
        let mut errors = Vec::new();
        let mut submissions = Vec::new();
        for (name, loaded) in loaded {
            match loaded {
                Ok(submission) => submissions.push(submission),
                Err(error) => errors.push(without_findings(name, &error)),
            }
        }
        let mut check = self.check(submissions, &course);
        check::is_ready(check.jobs.min(check.submissions.len()).max(1))?;
        let decision =
            check::decide_isolation(self.isolation.isolation, &env::current_exe()?, &check.limits)?;
        check.isolated = decision.isolated;
        tell(&decision);
        let mut results = Results::begin(Job::Check);
        decision.word().clone_into(&mut results.isolation);
        let wanted = TABLE.iter().filter(|requirement| check.wants(requirement.id));
        results.requirements = wanted.map(|one| requirement(one, &course)).collect();
        let steps = check.submissions.len() * results.requirements.len() * check.repeat;
        let mut report = Report::new(results, names, &self.format, self.output.as_deref())?;
        report.expect(steps);
        for error in errors {
            report.submission(error)?;
        }
        let run = check.run(&mut |event| {
            match event {
                Event::Begun(name) => report.begun(&name),
                Event::Row => report.step(),
                Event::Submission(found) => report.submission(*found)?,
            }
            Ok(())
        });
        let results = report.finish()?;
        run?;
        if let Some(directory) = &self.feedback {
            report::feedback(&results, directory)?;
        }
        if clock::stopped() {
            return Err(Fault::new("stopped before the end").into());
        }
        let count = results.count();
        Ok(match (count.passed + count.failed, count.failed + count.not_run) {
            // The file says why; a script that ends with an error would keep it from the student.
            _ if self.format.contains(&Format::Gradescope) => Exit::Done,
            (0, _) => Exit::Usage,
            (_, 0) => Exit::Done,
            _ => Exit::Failed,
        })
    }

    /// Lists or explains requirements.
    fn tell_requirements(&self, course: &Course) -> anyhow::Result<Exit> {
        let all = TABLE.iter().filter(|one| self.list || self.explain.contains(&one.id));
        let all: Vec<_> = all.map(|one| requirement(one, course)).collect();
        report::print(&report::human::requirements(&all, !self.list))?;
        Ok(Exit::Done)
    }

    /// Writes a draft into every directory; of several, one that has a profile is left out.
    fn init(&self) -> anyhow::Result<Exit> {
        for dir in &self.init {
            let path = dir.join(PROFILE);
            if self.init.len() > 1 && path.exists() {
                eprintln!("{} is there already and stays as it is", path.display());
                continue;
            }
            let guess = check::init(dir)?;
            let missing = guess.missing();
            if missing.is_empty() {
                eprintln!("wrote {}; look whether the guesses are right", path.display());
            } else {
                eprintln!("wrote {}; no {} was found, fill it in", path.display(), missing.join(" and no "));
            }
            for doubt in guess.doubts {
                eprintln!("  {doubt}");
            }
        }
        Ok(Exit::Done)
    }

    /// The submissions to judge, each with its name; one that cannot be loaded does not keep others from
    /// being judged.
    fn submissions(&self, course: &Course) -> anyhow::Result<Vec<(String, anyhow::Result<Submission>)>> {
        let some = |answers: &Vec<String>| (!answers.is_empty()).then(|| answers.clone());
        let given = Config {
            server: self.server.clone(),
            client: self.client.clone(),
            server_answers: some(&self.answers.server_answer),
            client_answers: some(&self.answers.client_answer),
            ..Config::default()
        };
        let load = |dir: &PathBuf| (check::name_of(dir), Submission::load(dir, &given, &course.config));
        let all = match (&self.server, &self.client) {
            _ if !self.dirs.is_empty() => self.dirs.iter().map(load).collect(),
            (Some(server), Some(client)) => {
                let bare = Submission::bare(server, client, &given, &course.config)?;
                vec![(bare.name.clone(), Ok(bare))]
            }
            (None, None) if given == Config::default() => {
                let own = Submission::own(&env::current_exe()?)?;
                vec![(own.name.clone(), Ok(own))]
            }
            _ => {
                return Err(Fault::usage("without a directory, --server and --client are needed both").into());
            }
        };
        let part: Vec<_> = match self.shard {
            // Every so-many-th, so that no part has all the slow ones of a group.
            Some(Shard { part, of }) => all.into_iter().skip(part - 1).step_by(of).collect(),
            None => all,
        };
        if part.is_empty() {
            return Err(Fault::usage("no submission is in this part").into());
        }
        Ok(part)
    }

    fn check(&self, submissions: Vec<Submission>, course: &Course) -> Check {
        let processors =
            || std::thread::available_parallelism().map_or(1, usize::from).min(check::most_jobs());
        let memory = self.memory.or(course.memory).unwrap_or(MEMORY);
        let limits = Limits {
            time: self.timeout.or(course.timeout).unwrap_or(Limits::default().time),
            output: 8 << 20,
            address_space: Some(memory.saturating_mul(1 << 20)),
            cpu: Some(Duration::from_secs(30)),
            ..Limits::default()
        };
        Check {
            isolated: false,
            submissions,
            only: if self.only.is_empty() { course.only.clone() } else { self.only.clone() },
            jobs: self.jobs.unwrap_or_else(processors),
            limits,
            build_time: self.build_timeout.or(course.build_timeout).unwrap_or(BUILD_TIME),
            repeat: self.repeat,
            again: self.again(),
        }
    }

    /// The beginning of a command that repeats a finding of this check.
    fn again(&self) -> Again {
        let seconds = |time: &Duration| time.as_secs_f64().to_string();
        Again::new("check")
            .option("--timeout", self.timeout.as_ref().map(seconds))
            .option("--build-timeout", self.build_timeout.as_ref().map(seconds))
            .option("--memory", self.memory.map(|memory| memory.to_string()))
            .option("--course", self.course.as_ref().map(|path| path.display().to_string()))
            .option("--isolation", self.isolation.again())
    }
}

/// A requirement as reports need it.
fn requirement(one: &Requirement, course: &Course) -> results::Requirement {
    results::Requirement {
        id: one.id.to_string(),
        words: one.words.to_owned(),
        done: one.done.to_owned(),
        expected: one.expected.to_owned(),
        why: one.why.to_owned(),
        advice: one.advice.to_owned(),
        points: course.points(one.id),
        visibility: course.visibility(one.id),
    }
}

/// The result of a submission that could not be loaded.
fn without_findings(name: String, error: &anyhow::Error) -> results::Submission {
    let words = error::words(error);
    let why = words.trim_end().strip_prefix("error: ").unwrap_or(&words).replace("\nhint: ", "; ");
    results::Submission {
        name,
        error: Some(why),
        notes: Vec::new(),
        framing: String::new(),
        findings: Vec::new(),
        measured: 0.0,
    }
}
