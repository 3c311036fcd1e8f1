//! Starting a program: its streams, its process, and the thread that reads its output.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::SystemTime;

use anyhow::Context as _;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{getpid, pipe2};

use super::Program;
use super::pump::Pump;
use super::state::Shared;
use super::usage::kills_for_memory;
use crate::run::clock::Clock;
use crate::run::command::{Spec, Values};
use crate::run::descriptors::pidfd;
use crate::run::image::Image;
use crate::run::limits::Limits;
use crate::run::processes;
use crate::run::spawn::{executable, spawn};
use crate::run::streams::{Errors, Input, Output, Streams};
use crate::run::transcript::Stream;

const NO_MORE_FILES: &str = "this machine has no more files to give";

impl Program {
    /// Starts the program of `spec`, its placeholders filled in with `values`. Its answers are not typed.
    ///
    /// A usage fault when there is no such program or it cannot be executed.
    pub fn start(
        spec: &Spec,
        values: &Values,
        streams: Streams,
        limits: &Limits,
        clock: &Clock,
    ) -> anyhow::Result<Program> {
        let words = spec.command.fill(values);
        let path = executable(&words[0], spec.dir.as_deref())?;
        let tag = new_tag();
        let image = Image::new(&path, &words, spec, &tag, limits)?;
        // What is executed stands in the image; this holds the streams.
        let mut command = Command::new(&path);
        let mut outputs = Vec::new();
        let mut input = None;
        match streams.input {
            Input::Terminal => {}
            Input::Nothing => drop(command.stdin(Stdio::null())),
            Input::Pipe => {
                let (theirs, ours) = pipe()?;
                command.stdin(theirs);
                input = Some(unblocked(ours)?);
            }
        }
        if streams.output == Output::Pipe {
            let (ours, theirs) = pipe()?;
            command.stdout(theirs);
            outputs.push((Stream::Screen, unblocked(ours)?));
        }
        if streams.errors == Errors::Apart {
            let (ours, theirs) = pipe()?;
            command.stderr(theirs);
            outputs.push((Stream::Errors, unblocked(ours)?));
        }

        let started = clock.now();
        let (process, pid) =
            spawn(command, image).with_context(|| format!("cannot start {}", words[0].to_string_lossy()))?;
        let terminal = process.terminal()?;
        if streams.input == Input::Terminal {
            input = Some(terminal.try_clone()?);
        }
        outputs.push((Stream::Screen, terminal));

        let shared = Arc::new(Shared::new(input)?);
        let mut program = Program {
            pid,
            tag,
            input: streams.input,
            started,
            clock: clock.clone(),
            shared: Arc::clone(&shared),
            pump: None,
            process: Some(process),
            computer: spec.computer.clone(),
            finished: false,
            limits: limits.clone(),
            counted: Mutex::new((pid.as_raw(), 0)),
            session: Arc::new(Mutex::new(processes::Session::of(pid.as_raw()))),
        };
        let inside = program.process.as_ref().and_then(|process| process.inside.as_ref());
        let death = pidfd(pid).context("the process cannot be watched")?;
        let pump = Pump {
            pid,
            death,
            streams: outputs,
            shared,
            clock: clock.clone(),
            limit: limits.output,
            kills: kills_for_memory(),
            lifeline: inside.map(|inside| inside.lifeline.clone()),
        };
        program.pump = Some(thread::Builder::new().name("pump".to_owned()).spawn(move || pump.run())?);
        Ok(program)
    }
}

/// A tag that no other program under test has, here or in another harness.
fn new_tag() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    static BIRTH: LazyLock<u128> =
        LazyLock::new(|| SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos());
    format!("{}-{:x}-{};", getpid(), *BIRTH, NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn pipe() -> anyhow::Result<(OwnedFd, OwnedFd)> {
    pipe2(OFlag::O_CLOEXEC).context(NO_MORE_FILES)
}

fn unblocked(file: OwnedFd) -> anyhow::Result<File> {
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(File::from(file))
}
