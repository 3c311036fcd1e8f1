//! What is the same for all sessions of one submission: its built copy, its limits, its addresses.
//!
//! What always holds: the submission itself is never touched, only copies of it.

use std::net::IpAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use super::facts;
use super::submission::Submission;
use crate::run::clock::{self, Clock};
use crate::run::command::{Ready, Spec, Template, Values};
use crate::run::computer::{self, Computers, Files};
use crate::run::copy::{Bounds, copy_tree};
use crate::run::limits::Limits;
use crate::run::outcome::Ending;
use crate::run::port::Port;
use crate::run::program::Program;
use crate::run::scratch::Scratch;
use crate::run::sockets;
use crate::run::streams::{Input, Streams};

/// A submission that is built and ready to be played.
#[derive(Debug)]
pub struct Setup<'a> {
    submission: &'a Submission,
    built: Option<Scratch>,
    /// What programs on isolated computers may read; `None` where they run on this computer.
    isolated: Option<Files>,
    limits: Limits,
    addresses: Vec<IpAddr>,
    /// The port that is built into the server, once that is known.
    built_in: OnceLock<u16>,
}

impl<'a> Setup<'a> {
    /// Copies and builds `submission`. An error that is not this machine's is the submission's own.
    /// Where `isolated`, each session has computers of its own.
    pub fn open(
        submission: &'a Submission,
        limits: &Limits,
        build_time: Duration,
        isolated: bool,
    ) -> Result<Self> {
        let built = match &submission.dir {
            Some(dir) => {
                let copy = Scratch::new()?;
                let copied = copy_tree(dir, copy.path(), None, Bounds::default());
                copied.with_context(|| format!("cannot copy {}", dir.display()))?;
                Some(copy)
            }
            None => None,
        };
        let isolated = isolated.then(|| shown_to(submission)).transpose()?;
        let setup = Setup {
            submission,
            built,
            addresses: match isolated {
                Some(_) => vec![computer::SERVER.into()],
                None => sockets::addresses().into_iter().collect(),
            },
            isolated,
            limits: limits.clone(),
            built_in: OnceLock::new(),
        };
        setup.build(build_time)?;
        Ok(setup)
    }

    fn build(&self, time: Duration) -> Result<()> {
        let (Some(command), Some(dir)) = (&self.submission.build, &self.built) else { return Ok(()) };
        let spec = Spec {
            // The command travels in the environment: braces in it are the shell's own.
            command: Template::command("/bin/sh -c 'eval \"$ECHOLOG_BUILD\"'")?,
            answers: Vec::new(),
            dir: Some(dir.path().to_path_buf()),
            env: vec![("ECHOLOG_BUILD".into(), command.into())],
            ready: Ready::Listening,
            computer: None,
        };
        let streams = Streams { input: Input::Nothing, ..Streams::TERMINAL };
        let limits = Limits { time, address_space: None, cpu: None, ..self.limits.clone() };
        let clock = Clock::start();
        let program = Program::start(&spec, &Values::default(), streams, &limits, &clock)?;
        let ended = program.wait_end(clock.now() + time).seen();
        let run = program.finish();
        let screen = facts::tail(run.transcript.screen(), 300);
        match ended {
            Some(Ending::Exited(0)) => Ok(()),
            _ if clock::stopped() => Err(anyhow!("stopped")),
            Some(Ending::Exited(status)) => Err(anyhow!("the build failed with status {status}: {screen}")),
            Some(_) => Err(anyhow!("the build was killed: {screen}")),
            None => Err(anyhow!("the build took longer than {} s: {screen}", time.as_secs())),
        }
    }

    /// The submission.
    pub fn submission(&self) -> &Submission {
        self.submission
    }

    /// The folder in which it was built; none for two bare commands.
    pub fn built(&self) -> Option<&Path> {
        self.built.as_ref().map(Scratch::path)
    }

    /// What each program may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The addresses that the server may show as its own.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// The computers for one session, whose programs run in copies that are made in `place`.
    pub fn computers(&self, place: &Path) -> Result<Computers> {
        let Some(shown) = &self.isolated else { return Ok(Computers::shared()) };
        let files = Files { writable: vec![place.to_owned()], ..shown.clone() };
        Ok(Computers::isolated(&files)?)
    }

    /// A port for one session: the one that the submission insists on, or a free one.
    pub fn port(&self) -> Result<Port> {
        match self.submission.port.or(self.built_in.get().copied()) {
            number if self.isolated.is_some() => Ok(Port::isolated(number)),
            Some(port) => Port::fixed(port),
            None => Port::free(),
        }
    }

    /// Whether the server has its port built in.
    pub fn has_fixed_port(&self) -> bool {
        self.submission.port.or(self.built_in.get().copied()).is_some()
    }

    /// Tells on which port the server listens: if that is not the one that it was given, it has it built in.
    pub fn found_port(&self, given: u16, listens: u16) {
        if given != listens {
            // The first session tells, before any other begins.
            let _ = self.built_in.set(listens);
        }
    }
}

/// What programs of `submission` are to find besides their copies.
fn shown_to(submission: &Submission) -> Result<Files> {
    let mut files = Files::default();
    for command in [&submission.server, &submission.client] {
        files.show(&command.fill(&Values::default()))?;
    }
    Ok(files)
}
