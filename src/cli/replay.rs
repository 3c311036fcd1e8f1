//! The arguments of `echolog replay` and `echolog record`.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::review;
use super::values::{AnswerArgs, IsolationArg, seconds, tell};
use crate::error::{Exit, Fault, note};
use crate::proxy::Wire;
use crate::replay::drive::Drive;
use crate::replay::fixture::Asked;
use crate::replay::record;
use crate::replay::verdict::NotRun;
use crate::replay::{Blessed, Event, Plan, Programs, Replay, Shard, WireChoice, random_seed};
use crate::report::{self, Format, Report};
use crate::results::{Case, Job, Planned, Results};
use crate::run::again::Again;
use crate::run::clock;
use crate::run::program::Limits;

const HELP: &str = "\
Examples:
  echolog replay                                all of fixtures/
  echolog replay fixtures/one-message --wire all
  echolog replay fixtures/one-message --show    what the two programs showed
  echolog replay --drive terminal --wire direct,every-split
  echolog replay --format junit --output report.xml
  echolog replay mine --server 'python3 server.py {port}' \\
                      --client 'python3 client.py {host} {port}'

A fixture is a directory with three plain files:
  messages.txt     what is typed, one message a line
  server.golden    the server's whole stdout
  client.golden    the client's whole stdout, as seen at a terminal
What is different each time is written [SERVER_ADDRESS], [PORT] and
[CLIENT_ADDRESS] in the goldens; all else must be the same to the byte.

Drives (how the client is fed; all three unless told otherwise, but of another
client than echolog's own just terminal, or script where its command has
{script}, since not every program shows what it is fed through a pipe):
  script           by its --script option
  pipe             through its standard input
  terminal         at a terminal, one line at a time, each typed when the server
                   has shown the one before

Wires (what lies between the programs; the first four unless told otherwise):
  direct           nothing
  drip             one byte at a time
  lump             many messages in one piece
  shuffle[:SEED]   pieces of random sizes
  every-split      one session for each place at which the stream can be split
  every-cut        one session for each place at which the connection can end,
                   by FIN and by RST; both programs must then say so in time,
                   and no log that is not whole may pass for whole (echolog's
                   own say it by \"error: ...\" on stderr, others in their own
                   words)
A failure names its session exactly (split:to-client:7, cut:to-server:12:rst);
those names can be given to --wire too.

Programs other than echolog's own run on two computers of their own where this
machine can do that. They find the system, the current directory, and what
their commands name by absolute paths; what they change is gone with them.
--isolation=none runs them on this computer.

To add a fixture, write its messages.txt, let --bless write the goldens, and
read them as you would read code:
  mkdir fixtures/my-case
  printf 'first\\nsecond\\nquit\\n' > fixtures/my-case/messages.txt
  echolog replay --bless fixtures/my-case
Or type it yourself: echolog record fixtures/my-case";

#[derive(Debug, Args)]
#[command(after_help = super::after_options(HELP))]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct ReplayArgs {
    /// Fixtures, or directories of fixtures
    #[arg(value_name = "PATH", default_value = "fixtures")]
    paths: Vec<PathBuf>,

    /// How the client is fed: script, pipe, terminal, or all; several with commas between
    #[arg(long, value_name = "DRIVES", value_delimiter = ',')]
    drive: Vec<String>,

    /// What lies between the programs: direct, drip, lump, shuffle, shuffle:SEED, every-split,
    /// every-cut, or all; several with commas between
    #[arg(long, value_name = "WIRES", value_delimiter = ',')]
    wire: Vec<String>,

    /// Write the goldens from what the programs print, and show what changes; at a terminal, each one is
    /// shown first, to accept or to skip. Refused when a session is not sound
    #[arg(long, conflicts_with_all = ["list", "show", "shard"])]
    bless: bool,

    /// Accept all goldens without asking
    #[arg(long, requires = "bless")]
    yes: bool,

    /// Show each session as two columns, server and client, in time order; one session (terminal,
    /// direct) unless told otherwise
    #[arg(long)]
    show: bool,

    /// List what would be played, and play nothing
    #[arg(long)]
    list: bool,

    /// Another server than echolog's own; {port} is filled in
    #[arg(long, value_name = "CMD")]
    server: Option<String>,

    /// Another client than echolog's own; {host}, {port} and {script} are filled in
    #[arg(long, value_name = "CMD")]
    client: Option<String>,

    #[command(flatten)]
    answers: AnswerArgs,

    /// The port, for programs that have one built in
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,

    #[command(flatten)]
    isolation: IsolationArg,

    /// How many sessions run side by side; as many as there are processors by default
    #[arg(long, value_name = "N", value_parser = jobs)]
    jobs: Option<usize>,

    /// How long one session may take; over drip, 10 milliseconds more for each byte typed
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = some_seconds)]
    timeout: Duration,

    /// Play only part I of N, for N machines that share the work
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,

    /// Keep everything of failed sessions in this directory: screens, stderr, the bytes between the
    /// programs, and recordings as --record writes them
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// Record both screens of every session in this directory, as asciicast files that asciinema plays
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,

    /// How to report; several with commas between
    #[arg(long, value_name = "FORMATS", value_enum, value_delimiter = ',', default_value = "human")]
    format: Vec<Format>,

    /// Write the report to this file, or to this directory if there are several formats; the screen then
    /// shows the human format as well
    #[arg(long, value_name = "PATH")]
    output: Option<PathBuf>,
}

const RECORD_HELP: &str = "\
You type, a real pair answers; what you typed becomes messages.txt (with quit
for Ctrl-D or the end of a pipe, since that is what is sent then), and the
goldens are written from replaying it with every drive over the usual wires.
Read them as you would read code: nothing else checks them.

Examples:
  echolog record fixtures/my-case
  printf 'first\\nquit\\n' | echolog record fixtures/my-case";

#[derive(Debug, Args)]
#[command(after_help = super::after_options(RECORD_HELP))]
pub struct RecordArgs {
    /// Where the fixture is to be; made if it is not there
    dir: PathBuf,

    /// Overwrite a fixture that is there already
    #[arg(long)]
    force: bool,
}

impl RecordArgs {
    /// Records a session, and replays it at once.
    pub fn run(self) -> anyhow::Result<Exit> {
        let RecordArgs { dir, force } = self;
        record::check(&dir, force)?;
        clock::stop_on_signals()?;
        note(&format!("recording {}: type messages, then quit; Ctrl-C records nothing", dir.display()));
        let recording = record::record(&env::current_exe()?)?;
        recording.write(&dir, force)?;
        let args = ReplayArgs { bless: true, yes: true, ..ReplayArgs::of(dir.clone()) };
        let exit = args.play()?;
        if exit == Exit::Done {
            recording.agrees(&dir)?;
        }
        Ok(exit)
    }
}

impl ReplayArgs {
    /// A replay of one fixture, with nothing else said.
    fn of(path: PathBuf) -> Self {
        ReplayArgs {
            paths: vec![path],
            drive: Vec::new(),
            wire: Vec::new(),
            bless: false,
            yes: false,
            show: false,
            list: false,
            server: None,
            client: None,
            answers: AnswerArgs::default(),
            port: None,
            isolation: IsolationArg::default(),
            jobs: None,
            timeout: Limits::default().time,
            shard: None,
            keep: None,
            record: None,
            format: vec![Format::Human],
            output: None,
        }
    }

    /// Does what was asked for.
    pub fn run(self) -> anyhow::Result<Exit> {
        if self.list {
            let plan = self.replay(random_seed())?.plan(Asked::Judging)?;
            report::list(&plan.planned(), &self.format)?;
            return Ok(Exit::Done);
        }
        clock::stop_on_signals()?;
        self.play()
    }

    fn play(self) -> anyhow::Result<Exit> {
        let mut replay = self.replay(random_seed())?;
        let asked = if self.bless { Asked::Blessing } else { Asked::Judging };
        let plan = replay.plan(asked)?;
        let decision = replay.isolate(self.isolation.isolation, &plan)?;
        tell(&decision);
        let shuffled = replay.wires.iter().find_map(|wire| match wire {
            WireChoice::One(Wire::Shuffle(seed)) => Some(*seed),
            _ => None,
        });
        let mut results = Results::begin(Job::Replay);
        results.seed = shuffled;
        decision.word().clone_into(&mut results.isolation);
        let name = |case: Planned| format!("{}::{}::{}", case.fixture, case.drive, case.wire);
        let names = plan.planned().into_iter().map(name).collect();
        let mut report = Report::new(results, names, &self.format, self.output.as_deref())?;
        let blessed = self.play_plan(&replay, &plan, &mut report)?;
        let count = report.finish()?.count();
        let done = review::write(&blessed, !self.yes && review::is_possible())?;
        if count.stopped > 0 {
            return Err(Fault::new("stopped before the end").into());
        }
        if count.passed + count.failed == 0 {
            return Err(Fault::usage("nothing could be played").into());
        }
        Ok(if count.failed == 0 && done { Exit::Done } else { Exit::Failed })
    }

    /// Plays, and blesses if that is asked for.
    fn play_plan(&self, replay: &Replay, plan: &Plan, report: &mut Report) -> anyhow::Result<Vec<Blessed>> {
        report.expect(plan.cases.len());
        let mut tell = |event| {
            match event {
                Event::More(sessions) => report.expect(sessions),
                Event::Session => report.step(),
                Event::Verdict(verdict) if verdict.not_run == Some(NotRun::Stopped) => {
                    report.unfinished(Case::from(&*verdict))?;
                }
                Event::Verdict(verdict) => report.case(Case::from(&*verdict))?,
            }
            Ok(())
        };
        if !self.bless {
            replay.run(plan, &mut tell)?;
            return Ok(Vec::new());
        }
        replay.bless(plan, &mut tell)
    }

    fn replay(&self, seed: u64) -> anyhow::Result<Replay> {
        let one = self.show;
        // Another client need not show on its screen what comes through a pipe, so that its screen is as
        // the golden has it at a terminal alone.
        let scripted = self.client.as_ref().is_some_and(|client| client.contains("{script}"));
        let drives = match self.drive.as_slice() {
            [] if self.client.is_some() => vec![if scripted { Drive::Script } else { Drive::Terminal }],
            [] if one => vec![Drive::Terminal],
            [] => Drive::ALL.to_vec(),
            names => drives(names)?,
        };
        let wires = match self.wire.as_slice() {
            [] if one => vec![WireChoice::One(Wire::Direct)],
            [] => WireChoice::usual(seed),
            names => wires(names, seed)?,
        };
        let programs = Programs {
            server: self.server.clone(),
            client: self.client.clone(),
            server_answers: self.answers.server_answer.clone(),
            client_answers: self.answers.client_answer.clone(),
            port: self.port,
        };
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Replay {
            paths: self.paths.clone(),
            drives,
            accept: self.accept(&wires),
            wires,
            programs,
            isolated: None,
            echolog: env::current_exe()?,
            again: self.again(),
            jobs: self.jobs.unwrap_or_else(processors),
            limits: Limits { time: self.timeout, ..Limits::default() },
            shard: self.shard,
            keep: self.keep.clone(),
            record: self.record.clone(),
            show: self.show,
        })
    }

    /// The beginning of a command that repeats a session of this replay.
    fn again(&self) -> Again {
        let time = (self.timeout != Limits::default().time).then(|| self.timeout.as_secs_f64().to_string());
        Again::new("replay")
            .option("--server", self.server.as_ref())
            .option("--client", self.client.as_ref())
            .options("--server-answer", &self.answers.server_answer)
            .options("--client-answer", &self.answers.client_answer)
            .option("--port", self.port.map(|port| port.to_string()))
            .option("--isolation", self.isolation.again())
            .option("--timeout", time)
    }

    /// The beginning of a command that accepts screens of this replay.
    fn accept(&self, wires: &[WireChoice]) -> Again {
        // A session that is cut has no golden of its own.
        let whole: Vec<String> =
            wires.iter().filter(|wire| wire.is_whole()).map(ToString::to_string).collect();
        let names_wires = !self.wire.is_empty() && !whole.is_empty();
        self.again()
            .and(["--bless"])
            .option("--drive", (!self.drive.is_empty()).then(|| self.drive.join(",")))
            .option("--wire", names_wires.then(|| whole.join(",")))
    }
}

fn drives(names: &[String]) -> anyhow::Result<Vec<Drive>> {
    let mut drives = Vec::new();
    for name in names {
        if name == "all" {
            drives.extend(Drive::ALL);
            continue;
        }
        drives.push(name.parse().map_err(|error| {
            Fault::usage("--drive")
                .because(error)
                .hint("the drives are script, pipe and terminal; all stands for all of them")
        })?);
    }
    Ok(each_once(drives))
}

fn wires(names: &[String], seed: u64) -> anyhow::Result<Vec<WireChoice>> {
    let mut wires = Vec::new();
    for name in names {
        if name == "all" {
            wires.extend(WireChoice::all(seed));
            continue;
        }
        wires.push(WireChoice::parse(name, seed).map_err(|error| {
            Fault::usage("--wire").because(error).hint(
                "the wires are direct, drip, lump, shuffle[:SEED], every-split and every-cut; \
                 all stands for all of them",
            )
        })?);
    }
    Ok(each_once(wires))
}

fn each_once<T: PartialEq>(list: Vec<T>) -> Vec<T> {
    let mut once = Vec::new();
    for item in list {
        if !once.contains(&item) {
            once.push(item);
        }
    }
    once
}

pub(super) fn some_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("some time is needed".into()),
        time => Ok(time),
    }
}

pub(super) fn jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(jobs @ 1..=1024) => Ok(jobs),
        _ => Err("a number from 1 to 1024 is needed".into()),
    }
}
