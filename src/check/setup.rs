//! What is the same for all sessions of one submission: its built copy, its limits, its addresses.
//!
//! What always holds: the submission itself is never touched, only copies of it.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::{Path, PathBuf};
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
use crate::run::space::Space;
use crate::run::streams::{Input, Streams};

/// What a build may keep in its home directory and `/tmp`: compilers of some languages have large caches.
const BUILD_SPACE_MIB: u64 = 1024;

/// A submission that is built and ready to be played.
#[derive(Debug)]
pub struct Setup<'a> {
    submission: &'a Submission,
    /// Goes with all that is in it.
    _place: Scratch,
    /// The built copy of the submission; an empty directory for two bare commands.
    work: PathBuf,
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
        // Not the place itself: its owner is who may remove it.
        let place = Scratch::new()?;
        let work = place.path().join("work");
        let owner = computer::owner().filter(|_| isolated);
        make_directory(&work, owner).context("cannot make a working directory")?;
        if let Some(dir) = &submission.dir {
            let copied = copy_tree(dir, &work, owner, Bounds::default());
            copied.with_context(|| format!("cannot copy {}", dir.display()))?;
        }
        let isolated = isolated.then(|| shown_to(submission)).transpose()?;
        let setup = Setup {
            submission,
            _place: place,
            work,
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
        let Some(command) = &self.submission.build else { return Ok(()) };
        let computer = match &self.isolated {
            Some(shown) => {
                let files =
                    Files { writable: vec![self.work.clone()], space_mib: BUILD_SPACE_MIB, ..shown.clone() };
                Some(Computers::isolated(&files)?.server)
            }
            None => None,
        };
        let spec = Spec {
            // The command travels in the environment: braces in it are the shell's own.
            command: Template::command("/bin/sh -c 'eval \"$ECHOLOG_BUILD\"'")?,
            answers: Vec::new(),
            dir: Some(self.work.clone()),
            env: self.variables().chain([("ECHOLOG_BUILD".into(), command.into())]).collect(),
            ready: Ready::Listening,
            computer,
        };
        let streams = Streams { input: Input::Nothing, ..Streams::TERMINAL };
        let limits = Limits { time, ..Limits::of_a_build() };
        let clock = Clock::start();
        let bounds = Bounds::default();
        let mut space = Space::new(&self.work, bounds);
        let program = Program::start(&spec, &Values::default(), streams, &limits, &clock)?;
        let ended = clock.watch(clock.now() + time, || {
            if space.is_exceeded() { Some(Ending::Stopped) } else { program.ending() }
        });
        let run = program.finish();
        // The last that it wrote may not have been looked at.
        let too_much = space.holds_too_much();
        let screen = facts::tail(run.transcript.screen(), 300);
        match ended.seen() {
            Some(Ending::Exited(0)) => Ok(()),
            _ if too_much => Err(anyhow!(
                "while it was built its directory held more than {} MiB, or {} files, and that is the limit",
                bounds.bytes >> 20,
                bounds.entries
            )),
            _ if clock::stopped() => Err(anyhow!("stopped")),
            Some(Ending::Exited(status)) => Err(anyhow!("the build failed with status {status}: {screen}")),
            Some(_) => Err(anyhow!("the build was killed: {screen}")),
            None => Err(anyhow!("the build took longer than {} s: {screen}", time.as_secs())),
        }
    }

    /// What a program of the submission finds in its environment besides what every program finds there.
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        // The caller's environment may have no UTF-8, or messages in another language.
        let own = [("LC_ALL".into(), "C.UTF-8".into())];
        own.into_iter().chain(self.variables()).collect()
    }

    fn variables(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.submission.environment.iter().map(|(name, value)| (name.into(), value.into()))
    }

    /// The submission.
    pub fn submission(&self) -> &Submission {
        self.submission
    }

    /// The directory in which it was built; an empty one for two bare commands.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// What each program may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The addresses that the server may show as its own.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// The computers for one session. On isolated ones each program finds a copy of its own of the submission,
    /// where it was built.
    pub fn computers(&self) -> Result<Computers> {
        let Some(shown) = &self.isolated else { return Ok(Computers::shared()) };
        let files = Files { copied: Some(self.work.clone()), ..shown.clone() };
        Ok(Computers::isolated(&files)?)
    }

    /// A port for one session: the one that the submission insists on, or a free one.
    pub fn port(&self) -> Result<Port> {
        match self.fixed_port() {
            None => self.other_port("its sessions"),
            Some(number) if self.isolated.is_some() => Ok(Port::isolated(number)),
            Some(number) => Port::fixed(number),
        }
    }

    /// A port for a session of this kind, whatever the submission insists on. On isolated computers it is
    /// the same in every check of the submission, so that two checks print the same evidence.
    pub fn other_port(&self, kind: &str) -> Result<Port> {
        if self.isolated.is_none() {
            return Port::free();
        }
        let number = Port::number_for(&format!("{kind} of {}", self.submission.name));
        let is_taken = self.fixed_port() == Some(number);
        Ok(Port::isolated(if is_taken { number ^ 1 } else { number }))
    }

    /// Whether the server has its port built in.
    pub fn has_fixed_port(&self) -> bool {
        self.fixed_port().is_some()
    }

    fn fixed_port(&self) -> Option<u16> {
        self.submission.port.or(self.built_in.get().copied())
    }

    /// Tells on which port the server listens: if that is not the one that it was given, it has it built in.
    pub fn found_port(&self, given: u16, listens: u16) {
        if given != listens {
            // The first session tells, before any other begins.
            let _ = self.built_in.set(listens);
        }
    }
}

/// Makes a directory, for the user and group `owner` if given.
fn make_directory(path: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    owner.map_or(Ok(()), |(user, group)| chown(path, Some(user), Some(group)))
}

/// What programs of `submission` are to find besides their copies.
fn shown_to(submission: &Submission) -> Result<Files> {
    let mut files = Files::default();
    for command in [&submission.server, &submission.client] {
        files.show(&command.fill(&Values::default()))?;
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Submission {
        Submission::own(Path::new("echolog")).expect("commands")
    }

    fn open(submission: &Submission, isolated: bool) -> Setup<'_> {
        let time = Duration::from_secs(10);
        Setup::open(submission, &Limits::default(), time, isolated).expect("nothing is built")
    }

    #[apply(test)]
    fn a_port_is_built_in_if_the_configuration_or_the_first_session_says_so() {
        let submission = own();
        let setup = open(&submission, true);
        assert!(!setup.has_fixed_port());
        setup.found_port(5_000, 5_000);
        assert!(!setup.has_fixed_port());
        setup.found_port(5_000, 6_000);
        assert!(setup.has_fixed_port());
        assert_eq!(setup.port().expect("a port").number(), 6_000);
        let fixed = Submission { port: Some(7_000), ..own() };
        let setup = open(&fixed, true);
        assert!(setup.has_fixed_port());
        assert_eq!(setup.port().expect("a port").number(), 7_000);
    }

    #[apply(test)]
    fn ports_on_isolated_computers_follow_from_the_kind_of_session_and_leave_the_fixed_one_alone() {
        let submission = own();
        let number = |submission: &Submission, kind: &str| {
            open(submission, true).other_port(kind).expect("a port").number()
        };
        let one = number(&submission, "one");
        assert_eq!(number(&submission, "one"), one);
        assert_ne!(number(&submission, "other"), one);
        let fixed = Submission { port: Some(one), ..own() };
        assert_eq!(number(&fixed, "one"), one ^ 1);
        // On this computer no two sessions have the same.
        let setup = open(&submission, false);
        let ports = [setup.other_port("one").expect("a port"), setup.other_port("one").expect("a port")];
        assert_ne!(ports[0].number(), ports[1].number());
    }

    #[apply(test)]
    fn programs_have_the_limits_that_are_given() {
        let submission = own();
        let limits = Limits { time: Duration::from_secs(77), ..Limits::default() };
        let setup =
            Setup::open(&submission, &limits, Duration::from_secs(1), false).expect("nothing is built");
        assert_eq!(setup.limits().time, limits.time);
    }

    #[apply(test)]
    fn programs_find_a_locale_and_their_own_variables() {
        let environment = [("COLOUR".to_owned(), "red".to_owned())].into();
        let submission = Submission { environment, ..own() };
        let wanted =
            [("LC_ALL", "C.UTF-8"), ("COLOUR", "red")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(open(&submission, false).environment(), wanted);
    }

    #[apply(test)]
    fn a_build_that_does_not_succeed_says_why() {
        let built = |command: &str, time: u64| {
            let submission = Submission { build: Some(command.to_owned()), ..own() };
            let setup = Setup::open(&submission, &Limits::default(), Duration::from_millis(time), false);
            setup.map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(built("echo well", 10_000), Ok(()));
        let told = |command: &str, time, words: &str| {
            let error = built(command, time).expect_err("it does not succeed");
            assert!(error.starts_with(words), "{error}");
        };
        told("echo no such thing; exit 3", 10_000, "the build failed with status 3: no such thing");
        told("kill -9 $$", 10_000, "the build was killed: ");
        told("read x < /dev/tty", 300, "the build took longer than ");
    }
}
