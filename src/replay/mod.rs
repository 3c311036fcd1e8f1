//! Replay: every fixture, with every drive, over every wire, played side by side and judged.
//!
//! What always holds: each case asked for comes to exactly one verdict, also one that cannot be
//! played; events are told from one thread; when [`Replay::run`] returns, nothing of it is left running.

pub mod fixture;
pub mod golden;
pub mod judge;
pub mod record;
pub mod session;
pub mod verdict;
pub mod words;

use std::fmt;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::error::Fault;
use crate::proxy::{Direction, Tape, Wire};
use crate::replay::fixture::{Asked, CLIENT_GOLDEN, Fixture, Goldens, SERVER_GOLDEN, load_all};
use crate::replay::golden::Difference;
use crate::replay::session::{Drive, Outcome, Pair, Session};
use crate::replay::verdict::{Failure, Flaw, NotRun, Verdict};
use crate::results::Role;
use crate::run::clock::{self, lock};
use crate::run::command::{self, Ready, Spec, Template};
use crate::run::pool;
use crate::run::program::{Errors, Limits};
use crate::run::spawn;

/// What delivering one byte by itself may take on a machine with much else to do.
const DRIP: Duration = Duration::from_millis(5);

/// What lies between the programs, as it is asked for on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireChoice {
    /// One wire, one session.
    One(Wire),
    /// One session for each place between two bytes.
    EverySplit,
    /// One session for each byte position and way of ending.
    EveryCut,
}

impl fmt::Display for WireChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireChoice::One(wire) => wire.fmt(f),
            WireChoice::EverySplit => f.write_str("every-split"),
            WireChoice::EveryCut => f.write_str("every-cut"),
        }
    }
}

impl WireChoice {
    /// Every kind of wire; `seed` is that of `shuffle`.
    pub fn all(seed: u64) -> Vec<WireChoice> {
        let mut all = WireChoice::usual(seed);
        all.extend([WireChoice::EverySplit, WireChoice::EveryCut]);
        all
    }

    /// The wires of a replay that names none: one session each.
    pub fn usual(seed: u64) -> Vec<WireChoice> {
        [Wire::Direct, Wire::Drip, Wire::Lump, Wire::Shuffle(seed)].map(WireChoice::One).to_vec()
    }

    /// Reads a wire's name; `shuffle` without a seed gets this `seed`.
    pub fn parse(name: &str, seed: u64) -> Result<WireChoice> {
        Ok(match name {
            "shuffle" => WireChoice::One(Wire::Shuffle(seed)),
            "every-split" => WireChoice::EverySplit,
            "every-cut" => WireChoice::EveryCut,
            other => WireChoice::One(Wire::from_str(other)?),
        })
    }

    /// Whether all that is sent arrives, so that the goldens must hold.
    fn is_whole(self) -> bool {
        !matches!(self, WireChoice::EveryCut | WireChoice::One(Wire::Cut { .. }))
    }
}

/// A seed for `shuffle`, different each time; short, since people will type it.
pub fn random_seed() -> u64 {
    RandomState::new().hash_one(0) % 1_000_000
}

/// One part of several that a replay is divided into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1.
    pub part: usize,
    /// Of how many.
    pub of: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').map(|(part, of)| (part.parse(), of.parse()));
        match parts {
            Some((Ok(part), Ok(of))) if (1..=of).contains(&part) => Ok(Shard { part, of }),
            _ => Err("a part and how many there are is needed, like 1/4 or 4/4".into()),
        }
    }
}

/// The programs under test, as the command line names them; echolog's own where it does not.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    /// The server's command.
    pub server: Option<String>,
    /// The client's command.
    pub client: Option<String>,
    /// What to type at the server first.
    pub server_answers: Vec<String>,
    /// What to type at the client first.
    pub client_answers: Vec<String>,
}

impl Programs {
    /// Whether this program is echolog's own.
    fn is_own(&self, who: Role) -> bool {
        match who {
            Role::Server => self.server.is_none(),
            Role::Client => self.client.is_none(),
        }
    }

    /// The pair as `drive` needs it, with `echolog` for what is not named.
    fn pair(&self, echolog: &Path, drive: Drive) -> Result<Pair> {
        let mut pair = Pair::own(echolog, drive)?;
        let lines = |answers: &[String]| -> Result<Vec<Template>> {
            answers.iter().map(|answer| Template::line(answer)).collect()
        };
        let replace = |spec: &mut Spec, command: Option<&String>, option| -> Result<()> {
            if let Some(command) = command {
                spec.command = Template::command(command).context(option)?;
                spec.ready = Ready::Listening;
            }
            Ok(())
        };
        replace(&mut pair.server, self.server.as_ref(), "--server")?;
        replace(&mut pair.client, self.client.as_ref(), "--client")?;
        // A program that asks at a terminal may write the question to either.
        if !self.server_answers.is_empty() {
            pair.server_errors = Errors::Terminal;
        }
        if self.client.is_some() {
            pair.client_errors = Errors::Terminal;
        }
        pair.server.answers = lines(&self.server_answers).context("--server-answer")?;
        pair.client.answers = lines(&self.client_answers).context("--client-answer")?;
        Ok(pair)
    }
}

/// What a replay is asked to do.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Fixtures and directories of fixtures.
    pub paths: Vec<PathBuf>,
    /// The drives.
    pub drives: Vec<Drive>,
    /// The wires.
    pub wires: Vec<WireChoice>,
    /// The programs.
    pub programs: Programs,
    /// This executable.
    pub echolog: PathBuf,
    /// The first words of every command that repeats a session: this executable as the user called
    /// it, and every option that does not come from the case itself.
    pub again: Vec<String>,
    /// How many sessions run side by side.
    pub jobs: usize,
    /// What a program under test may use.
    pub limits: Limits,
    /// Which part of the cases to play.
    pub shard: Option<Shard>,
    /// Where to keep everything of failed sessions.
    pub keep: Option<PathBuf>,
    /// Whether verdicts carry the sessions themselves.
    pub show: bool,
}

/// A replay with its fixtures loaded and every case laid out.
#[derive(Debug)]
pub struct Plan {
    /// The fixtures.
    pub fixtures: Vec<Fixture>,
    /// What is to be played, in order.
    pub cases: Vec<Case>,
}

/// One fixture with one drive over one kind of wire.
#[derive(Clone, Debug)]
pub struct Case {
    /// Which of the plan's fixtures.
    pub fixture: usize,
    /// The drive.
    pub drive: Drive,
    /// The wire.
    pub wire: WireChoice,
    /// Why the drive cannot feed this fixture to this client, if it cannot.
    pub cannot: Option<String>,
}

/// What happens while a replay runs.
#[derive(Debug)]
pub enum Event {
    /// This many more sessions are to be played than was known before.
    More(usize),
    /// One session is over.
    Session,
    /// A case is judged.
    Verdict(Box<Verdict>),
}

impl Replay {
    /// Loads the fixtures and lays out every case.
    pub fn plan(&self, asked: Asked) -> Result<Plan> {
        let fixtures = load_all(&self.paths, asked)?;
        let mut cases = Vec::new();
        for (fixture, loaded) in fixtures.iter().enumerate() {
            for &drive in &self.drives {
                let client = self.programs.pair(&self.echolog, drive)?.client;
                let cannot = drive.cannot_carry(&loaded.typed, &client);
                let case = |&wire| Case { fixture, drive, wire, cannot: cannot.clone() };
                cases.extend(self.wires.iter().map(case));
            }
        }
        if let Some(Shard { part, of }) = self.shard {
            let mut index = 0;
            cases.retain(|_| {
                index += 1;
                (index - 1) % of == part - 1
            });
        }
        Ok(Plan { fixtures, cases })
    }

    /// Plays every case of `plan` and hands each event to `tell`. An error means that something could
    /// not be played at all; all that was begun has then been ended.
    pub fn run(&self, plan: &Plan, tell: &mut dyn FnMut(Event) -> Result<()>) -> Result<()> {
        let pairs = Drive::ALL
            .iter()
            .map(|&drive| Ok((drive, self.programs.pair(&self.echolog, drive)?)))
            .collect::<Result<Vec<_>>>()?;
        // Told before anything else is, rather than in the middle of a report.
        for (_, pair) in &pairs {
            for command in [&pair.server.command, &pair.client.command] {
                spawn::executable(&command.fill(&command::Values::default())[0], None)?;
            }
        }
        let player = Player { replay: self, plan, pairs };
        let tasks = (0..plan.cases.len()).map(Task::Case);
        pool::run(self.jobs, tasks, |task, worker| player.play_task(task, worker), tell)
    }

    /// What a program may use in one session. Dripping takes its time by the byte, there and back, and
    /// that is our doing, not the programs'.
    fn limits_over(&self, wire: Wire, fixture: &Fixture) -> Limits {
        let bytes = if wire == Wire::Drip { 2 * fixture.typed.len() } else { 0 };
        let more = DRIP * u32::try_from(bytes).unwrap_or(u32::MAX);
        Limits { time: self.limits.time + more, ..self.limits.clone() }
    }

    /// The command that plays one session again, to be pasted into a shell.
    fn again(&self, fixture: &Fixture, drive: Drive, wire: Wire) -> String {
        let mut words = self.again.clone();
        words.push(fixture.dir.display().to_string());
        words.extend(["--drive".into(), drive.to_string(), "--wire".into(), wire.to_string()]);
        shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
    }

    /// Keeps everything of a failed session in a directory of its own.
    fn keep(&self, fixture: &Fixture, drive: Drive, failure: &Failure, played: &Outcome) -> Result<()> {
        let Some(keep) = &self.keep else { return Ok(()) };
        let name = format!("{}-{drive}-{}", fixture.name, failure.wire).replace([':', '/'], "-");
        let dir = keep.join(name);
        let write = |name: &str, bytes: &[u8]| {
            fs::write(dir.join(name), bytes).with_context(|| format!("cannot keep {}", dir.display()))
        };
        fs::create_dir_all(&dir).with_context(|| format!("cannot keep {}", dir.display()))?;
        write("messages.txt", &fixture.typed)?;
        write("again.txt", format!("{}\n", failure.again).as_bytes())?;
        let runs = [("server", Some(&played.server)), ("client", played.client.as_ref())];
        for (who, run) in runs.iter().filter_map(|(who, run)| Some((who, (*run)?))) {
            write(&format!("{who}.screen"), run.transcript.screen())?;
            write(&format!("{who}.stderr"), run.transcript.errors())?;
        }
        if let Some(tape) = &played.tape {
            write("tape.txt", tape_lines(tape).as_bytes())?;
        }
        Ok(())
    }
}

/// A tape as text: time, connection, direction, and what came.
fn tape_lines(tape: &Tape) -> String {
    let mut lines = Vec::new();
    for (number, connection) in tape.connections.iter().enumerate() {
        lines.push((connection.at, format!("{:10.6} {number} connected\n", connection.at.as_secs_f64())));
        for (direction, flow) in
            [(Direction::ToServer, &connection.to_server), (Direction::ToClient, &connection.to_client)]
        {
            let mut line = |at: Duration, received: String| {
                lines.push((at, format!("{:10.6} {number} {direction} {received}\n", at.as_secs_f64())));
            };
            for (at, piece) in flow.pieces() {
                line(at, format!("\"{}\"", piece.escape_ascii()));
            }
            if let Some((at, end)) = flow.ended.zip(flow.end) {
                line(at, end.to_string().to_uppercase());
            }
        }
    }
    lines.sort_by_key(|(at, _)| *at);
    lines.into_iter().map(|(_, line)| line).collect()
}

/// Plays the cases of a plan.
struct Player<'a> {
    replay: &'a Replay,
    plan: &'a Plan,
    pairs: Vec<(Drive, Pair)>,
}

/// What a worker takes up.
enum Task {
    /// A case, by its index.
    Case(usize),
    /// One of the many sessions of a case.
    Session(Arc<Many>, Wire),
}

/// A case that is played as many sessions.
struct Many {
    case: usize,
    /// What was received when nothing was split or cut.
    tape: Tape,
    state: Mutex<(usize, Verdict)>,
}

type Worker<'a> = pool::Worker<'a, Task, Event>;

impl Player<'_> {
    fn play_task(&self, task: Task, worker: &Worker) -> Result<()> {
        match task {
            Task::Case(case) => self.case(case, worker),
            Task::Session(many, wire) => self.one_of_many(&many, wire, worker),
        }
    }

    fn case(&self, index: usize, worker: &Worker) -> Result<()> {
        let case = &self.plan.cases[index];
        let mut verdict = self.verdict(case);
        if let Some(why) = &case.cannot {
            verdict.not_run = Some(NotRun::CannotCarry(why.clone()));
        } else if clock::stopped() {
            verdict.not_run = Some(NotRun::Stopped);
        } else if let WireChoice::One(wire @ Wire::Cut { .. }) = case.wire {
            // What a cut session must come to follows from what is sent when nothing is cut.
            if let Some(tape) = self.measure(case, &mut verdict)? {
                self.play(case, wire, Some(&tape), &mut verdict)?;
            }
        } else if let WireChoice::One(wire) = case.wire {
            self.play(case, wire, None, &mut verdict)?;
        } else if let Some(tape) = self.measure(case, &mut verdict)? {
            let [to_server, to_client] = Direction::BOTH.map(|direction| tape.len(direction));
            let wires = if case.wire == WireChoice::EveryCut {
                Wire::every_cut(to_server, to_client)
            } else {
                Wire::every_split(to_server, to_client)
            };
            if !wires.is_empty() {
                worker.report(Event::More(wires.len()));
                worker.report(Event::Session);
                let many = Many { case: index, tape, state: Mutex::new((wires.len(), verdict)) };
                let many = Arc::new(many);
                let tasks = wires.into_iter().map(|wire| Task::Session(Arc::clone(&many), wire));
                worker.add(tasks);
                return Ok(());
            }
        }
        worker.report(Event::Session);
        worker.report(Event::Verdict(Box::new(verdict)));
        Ok(())
    }

    fn one_of_many(&self, many: &Arc<Many>, wire: Wire, worker: &Worker) -> Result<()> {
        let case = &self.plan.cases[many.case];
        let mut verdict = self.verdict(case);
        if clock::stopped() {
            verdict.not_run = Some(NotRun::Stopped);
        } else {
            self.play(case, wire, Some(&many.tape), &mut verdict)?;
        }
        worker.report(Event::Session);
        let mut state = lock(&many.state);
        let (left, all) = &mut *state;
        *left -= 1;
        all.not_run = all.not_run.take().or(verdict.not_run);
        all.sessions += verdict.sessions;
        all.failures.append(&mut verdict.failures);
        all.played.append(&mut verdict.played);
        all.took += verdict.took;
        if *left == 0 {
            all.failures.sort_by_key(|failure| place(failure.wire));
            worker.report(Event::Verdict(Box::new(all.clone())));
        }
        Ok(())
    }

    /// Plays the session whole, with nothing split or cut; its tape, if it was sound.
    fn measure(&self, case: &Case, verdict: &mut Verdict) -> Result<Option<Tape>> {
        let tape = self.play(case, Wire::Through, None, verdict)?;
        Ok(tape.filter(|_| verdict.failures.is_empty() && verdict.not_run.is_none()))
    }

    /// Plays and judges one session; `tape` is that of the same session played whole, for a cut.
    fn play(
        &self,
        case: &Case,
        wire: Wire,
        tape: Option<&Tape>,
        verdict: &mut Verdict,
    ) -> Result<Option<Tape>> {
        let fixture = &self.plan.fixtures[case.fixture];
        let pair = self.pairs.iter().find(|(drive, _)| *drive == case.drive).map(|(_, pair)| pair);
        let pair = pair.context("every drive has its pair")?;
        let script = fixture.messages_path();
        let limits = &self.replay.limits_over(wire, fixture);
        let messages = &fixture.typed;
        let session = Session { pair, script: &script, messages, drive: case.drive, wire, limits };
        let played = session::play(&session)?;
        if played.stopped {
            verdict.not_run = Some(NotRun::Stopped);
            return Ok(None);
        }
        verdict.sessions += 1;
        verdict.took += played.took;
        let flaws = match (wire, tape) {
            (Wire::Cut { .. }, Some(tape)) => {
                judge::cut(fixture, &played, wire, tape, |who| self.replay.programs.is_own(who))
            }
            _ => judge::whole(fixture, &played),
        };
        if !flaws.is_empty() {
            let failure = Failure {
                wire,
                flaws,
                ends: judge::ends(&played),
                client_started: played.client.is_some(),
                again: self.replay.again(fixture, case.drive, wire),
            };
            self.replay.keep(fixture, case.drive, &failure, &played)?;
            verdict.failures.push(failure);
        }
        let tape = played.tape.clone();
        if self.replay.show {
            verdict.played.push((wire, played));
        }
        Ok(tape)
    }

    fn verdict(&self, case: &Case) -> Verdict {
        Verdict {
            fixture: self.plan.fixtures[case.fixture].name.clone(),
            drive: case.drive,
            wire: case.wire.to_string(),
            not_run: None,
            sessions: 0,
            failures: Vec::new(),
            took: Duration::ZERO,
            played: Vec::new(),
        }
    }
}

/// Sorts the many wires of a case as they were laid out.
fn place(wire: Wire) -> (String, u64) {
    match wire {
        Wire::Split { toward, at } => (toward.to_string(), at),
        Wire::Cut { toward, at, by } => (format!("{toward} {by:?}"), at),
        _ => (String::new(), 0),
    }
}

/// What came of blessing one fixture.
#[derive(Debug)]
pub struct Blessed {
    /// The fixture.
    pub fixture: String,
    /// What became of its goldens.
    pub result: BlessResult,
}

/// What became of a fixture's goldens.
#[derive(Debug)]
pub enum BlessResult {
    /// They say what was seen already.
    Same,
    /// They were rewritten: each file with what has changed in it.
    Written(Vec<(PathBuf, Difference)>),
    /// Nothing was written, since these sessions, as their verdicts have told, are not sound.
    Unsound(Vec<String>),
    /// Nothing was written, since these two sessions showed different screens.
    Disagree([String; 2], Difference),
    /// Nothing was written, since a placeholder is written out on a screen that was seen.
    NoGolden(&'static str),
    /// Nothing was written, since no session could be played.
    NotPlayed(NotRun),
}

impl Replay {
    /// Plays every case of `plan` and writes the goldens of each fixture whose sessions are all sound
    /// and show the same screens.
    pub fn bless(&self, plan: &Plan, tell: &mut dyn FnMut(Event) -> Result<()>) -> Result<Vec<Blessed>> {
        if self.wires.iter().any(|wire| !wire.is_whole()) {
            return Err(Fault::usage("a session that is cut cannot be blessed")
                .hint("leave out every-cut and cut")
                .into());
        }
        let mut verdicts: Vec<Verdict> = Vec::new();
        let replay = Replay { show: true, ..self.clone() };
        replay.run(plan, &mut |event| match event {
            Event::Verdict(verdict) => {
                let mut told = (*verdict).clone();
                // What is only not as the golden says is no failure here.
                told.failures.retain(|failure| !failure.flaws.iter().all(Flaw::is_screen));
                told.played.clear();
                verdicts.push(*verdict);
                tell(Event::Verdict(Box::new(told)))
            }
            other => tell(other),
        })?;
        plan.fixtures
            .iter()
            .filter(|fixture| verdicts.iter().any(|verdict| verdict.fixture == fixture.name))
            .map(|fixture| {
                let own = verdicts.iter().filter(|verdict| verdict.fixture == fixture.name);
                let result = bless_one(fixture, &own.collect::<Vec<_>>())?;
                Ok(Blessed { fixture: fixture.name.clone(), result })
            })
            .collect()
    }
}

fn bless_one(fixture: &Fixture, verdicts: &[&Verdict]) -> Result<BlessResult> {
    let sound = |failure: &Failure| failure.flaws.iter().all(Flaw::is_screen);
    let unsound = verdicts.iter().filter(|verdict| !verdict.failures.iter().all(sound));
    let unsound: Vec<String> = unsound.map(|verdict| verdict.case()).collect();
    if !unsound.is_empty() {
        return Ok(BlessResult::Unsound(unsound));
    }
    let stopped = verdicts.iter().any(|verdict| verdict.not_run == Some(NotRun::Stopped));
    let sessions: Vec<(String, &Outcome)> = verdicts
        .iter()
        .flat_map(|verdict| {
            verdict.played.iter().map(|(wire, played)| (format!("{}::{wire}", verdict.drive), played))
        })
        .collect();
    let Some((first, played)) = sessions.first().filter(|_| !stopped) else {
        let why = verdicts.iter().find_map(|verdict| verdict.not_run.clone());
        return Ok(BlessResult::NotPlayed(why.unwrap_or(NotRun::Stopped)));
    };
    let (server, client) = match judge::goldens_of(fixture, played) {
        [Some(server), Some(client)] => (server, client),
        [None, _] => return Ok(BlessResult::NoGolden("server")),
        [_, None] => return Ok(BlessResult::NoGolden("client")),
    };
    let blessed = Fixture { goldens: Some(Goldens { server, client }), ..fixture.clone() };
    for (name, played) in &sessions {
        let flaws = judge::screens(&blessed, played);
        if let Some(Flaw::Screen { difference, .. }) = flaws.into_iter().next() {
            return Ok(BlessResult::Disagree([first.clone(), name.clone()], difference));
        }
    }
    let mut changed = Vec::new();
    if let Some(Goldens { server, client }) = &blessed.goldens {
        for (file, golden) in [(SERVER_GOLDEN, server), (CLIENT_GOLDEN, client)] {
            let path = fixture.dir.join(file);
            let before = fs::read(&path).unwrap_or_default();
            let now = golden.bytes();
            if before != now || !path.exists() {
                write_whole(&path, &now)?;
                changed.push((path, Difference::between(&before, &now)));
            }
        }
    }
    Ok(if changed.is_empty() { BlessResult::Same } else { BlessResult::Written(changed) })
}

/// Writes a file so that it is either the old one or the new one, whole.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(dir)
        .with_context(cannot)?;
    file.write_all(bytes).with_context(cannot)?;
    file.persist(path).map_err(|error| error.error).with_context(cannot)?;
    Ok(())
}
