//! The arguments of `echolog check`.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::replay::{jobs, some_seconds};
use crate::check::{self, Check, Event, Id, Points, Submission, TABLE};
use crate::error::{Exit, Fault};
use crate::replay::Shard;
use crate::report::{self, Format, Report};
use crate::results::{self, Job, Results};
use crate::run::clock;
use crate::run::command::PROFILE;
use crate::run::program::Limits;

const HELP: &str = "\
A submission is a directory with a file echolog.toml:
  build = \"cc -o server server.c && cc -o client client.c\"   # optional
  server = \"./server {port}\"
  client = \"./client {host} {port}\"
  server-answers = [\"{port}\"]             # what to type first, for programs
  client-answers = [\"{host}\", \"{port}\"]   # that ask at the keyboard
  port = 12345                            # if the server insists on one
It is copied, built in the copy, and every program runs in a fresh copy of that.

Verdicts: pass, fail, hung (does not end), flooded (shows without end), crashed
(a signal, or an error that nobody caught), not run (needs another requirement).

Examples:
  echolog check                           echolog itself
  echolog check --init submissions/ada    write a draft of its echolog.toml
  echolog check submissions/ada
  echolog check submissions/*/ --jobs 4 --format json --output results.json
  echolog check submissions/ada --only R6 --repeat 10
  echolog check submissions/ada --format gradescope --points points.toml
  echolog check --server 'python3 server.py {port}' \\
                --client 'python3 client.py {host} {port}'

What is run here can read and write your files, use the network, and outlive its
limits on purpose; put a container around what you do not trust.";

/// The defaults that the command which repeats a finding leaves out.
const BUILD_TIME: Duration = Duration::from_secs(120);
const MEMORY: u64 = 16384;

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct CheckArgs {
    /// Submissions: directories with an echolog.toml each; echolog itself where there are none
    #[arg(value_name = "DIR")]
    dirs: Vec<PathBuf>,

    /// Write a commented echolog.toml into each of these directories, guessed from the files there
    #[arg(long, value_name = "DIR", exclusive = true, num_args = 1..)]
    init: Vec<PathBuf>,

    /// The server to judge; {port} is filled in; files are named from here, and it runs elsewhere
    #[arg(long, value_name = "CMD", requires = "client", conflicts_with = "dirs")]
    server: Option<String>,

    /// The client to judge; {host} and {port} are filled in
    #[arg(long, value_name = "CMD", requires = "server")]
    client: Option<String>,

    /// A line to type first at a server that asks; {port} is filled in; may be given several times
    #[arg(long, value_name = "LINE", allow_hyphen_values = true, requires = "server")]
    server_answer: Vec<String>,

    /// A line to type first at a client that asks; {host} and {port} are filled in; may be given
    /// several times
    #[arg(long, value_name = "LINE", allow_hyphen_values = true, requires = "server")]
    client_answer: Vec<String>,

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
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = some_seconds)]
    timeout: Duration,

    /// How long a build may take
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = some_seconds)]
    build_timeout: Duration,

    /// Address space of each program, in MiB; the virtual machines of some languages reserve far more
    /// than they use
    #[arg(long, value_name = "MIB", default_value_t = MEMORY, value_parser = clap::value_parser!(u64).range(1..=u64::MAX >> 20))]
    memory: u64,

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

    /// What each requirement is worth, for gradescope: a file with lines like S1 = 2.5; those it leaves
    /// out are worth nothing; one point each without it
    #[arg(long, value_name = "FILE")]
    points: Option<PathBuf>,
}

impl CheckArgs {
    /// Does what was asked for.
    pub fn run(self) -> anyhow::Result<Exit> {
        if !self.init.is_empty() {
            return self.init();
        }
        let points = self.points.as_deref().map(Points::load).transpose()?.unwrap_or_default();
        let (formats, output) = (self.format.clone(), self.output.clone());
        let check = self.check()?;
        report::fits(&formats, Job::Check, check.submissions.len())?;
        clock::stop_on_signals()?;
        let mut results = Results::begin(Job::Check);
        let wanted = TABLE.iter().filter(|requirement| check.wants(requirement.id));
        results.requirements = wanted
            .map(|requirement| results::Requirement {
                id: requirement.id.to_string(),
                words: requirement.words.to_owned(),
                points: points.of(requirement.id),
                ..Default::default()
            })
            .collect();
        let names = check.submissions.iter().map(|submission| submission.name.clone()).collect();
        let steps = check.submissions.len() * results.requirements.len() * check.repeat;
        let mut report = Report::new(results, names, &formats, output.as_deref())?;
        report.expect(steps);
        let run = check.run(&mut |event| {
            match event {
                Event::Begun(name) => report.begun(&name),
                Event::Row => report.step(),
                Event::Submission(found) => report.submission(*found)?,
            }
            Ok(())
        });
        let count = report.finish()?.count();
        run?;
        if clock::stopped() {
            return Err(Fault::new("stopped before the end").into());
        }
        Ok(match (count.passed + count.failed, count.failed + count.not_run) {
            // The file says why; a script that ends with an error would keep it from the student.
            _ if formats.contains(&Format::Gradescope) => Exit::Done,
            (0, _) => Exit::Usage,
            (_, 0) => Exit::Done,
            _ => Exit::Failed,
        })
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

    fn check(self) -> anyhow::Result<Check> {
        let again = self.again();
        let submissions = match (&self.server, &self.client) {
            (Some(server), Some(client)) => {
                vec![Submission::bare(server, client, &self.server_answer, &self.client_answer)?]
            }
            _ if self.dirs.is_empty() => vec![Submission::own(&env::current_exe()?)?],
            _ => self.dirs.iter().map(|dir| Submission::load(dir)).collect::<anyhow::Result<_>>()?,
        };
        let submissions = match self.shard {
            // Every so-many-th, so that no part has all the slow ones of a group.
            Some(Shard { part, of }) => submissions.into_iter().skip(part - 1).step_by(of).collect(),
            None => submissions,
        };
        if submissions.is_empty() {
            return Err(Fault::usage("no submission is in this part").into());
        }
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        let limits = Limits {
            time: self.timeout,
            output: 8 << 20,
            address_space: Some(self.memory << 20),
            cpu: Some(Duration::from_secs(30)),
            ..Limits::default()
        };
        Ok(Check {
            submissions,
            only: self.only,
            jobs: self.jobs.unwrap_or_else(processors),
            limits,
            build_time: self.build_timeout,
            repeat: self.repeat,
            again,
        })
    }

    /// The first words of a command that repeats a finding of this check.
    fn again(&self) -> String {
        let called = env::args_os().next().unwrap_or_else(|| OsString::from("echolog"));
        let mut words = vec![called.to_string_lossy().into_owned(), "check".to_owned()];
        if self.timeout != Limits::default().time {
            words.extend(["--timeout".to_owned(), self.timeout.as_secs_f64().to_string()]);
        }
        if self.build_timeout != BUILD_TIME {
            words.extend(["--build-timeout".to_owned(), self.build_timeout.as_secs_f64().to_string()]);
        }
        if self.memory != MEMORY {
            words.extend(["--memory".to_owned(), self.memory.to_string()]);
        }
        shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
    }
}
