//! The harness as its users meet it: `echolog replay` on good fixtures, bad input, changed goldens and
//! programs that are broken on purpose, each for one reason. Both output streams are always checked,
//! and that no process is left.

mod bless;
mod broken;
mod formats;
mod goldens;
mod input;
mod isolated;
mod record;
mod review;
mod stop;

use predicates::prelude::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::common::{self, Ended, Running};

/// `echolog replay` with `arguments`. Everything that it starts inherits a mark from it.
struct Replay {
    command: Command,
    mark: String,
}

impl Replay {
    fn of(arguments: &[&str]) -> Self {
        Replay::by(common::ECHOLOG, arguments)
    }

    /// `program`, which is echolog or becomes it, with `replay` and `arguments`.
    fn by(program: &str, arguments: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let mark = format!("ECHOLOG_TEST_MARK={}.{next}", std::process::id());
        let (key, value) = mark.split_once('=').expect("it has one");
        let mut command = Command::new(program);
        if program == common::ECHOLOG {
            command.arg("replay");
        }
        command.args(arguments).env(key, value).stdin(std::process::Stdio::null());
        Replay { command, mark }
    }

    fn and(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Runs it to its end, at which nothing that it started may be left. Many sessions with broken programs
    /// take a minute on a busy machine.
    #[track_caller]
    fn run(mut self) -> Ended {
        let ended = Running::start(&mut self.command).ends_within(Duration::from_secs(180));
        assert_eq!(processes_with(&self.mark), [0; 0], "processes are left\n{ended}");
        ended
    }
}

/// The processes that have `mark` in their environment.
fn processes_with(mark: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let marked = |pid: &u32| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environment| environment.split(|&byte| byte == 0).any(|one| one == mark.as_bytes()))
    };
    pids.filter(marked).collect()
}

/// Checks on how a replay ended, for tests to chain.
trait Told {
    fn ends_with(&self, code: i32) -> &Self;
    fn says(&self, text: &str) -> &Self;
    fn is_silent_about(&self, text: &str) -> &Self;
}

impl Told for Ended {
    /// It ended with `code`, and said nothing on stderr where it did not have to.
    #[track_caller]
    fn ends_with(&self, code: i32) -> &Self {
        let silent = code != 2;
        // A machine that cannot isolate programs says so.
        let note = "note: the programs run on this computer";
        let complaint = move |err: &str| err.lines().any(|line| !line.starts_with(note));
        self.assert().code(code).stderr(predicate::function(move |err: &str| complaint(err) != silent));
        self
    }

    #[track_caller]
    fn says(&self, text: &str) -> &Self {
        if !common::words(text).eval(&self.err) {
            self.assert().stdout(common::words(text));
        }
        self
    }

    #[track_caller]
    fn is_silent_about(&self, text: &str) -> &Self {
        let text = predicate::str::contains(text);
        self.assert().stdout(text.clone().not()).stderr(text.not());
        self
    }
}

/// A directory of the test's own, for fixtures.
struct Fixtures(tempfile::TempDir);

impl Fixtures {
    fn new() -> Self {
        Fixtures(tempfile::tempdir().expect("a directory for the test"))
    }

    /// Which other users can read, too.
    fn open_to_all() -> Self {
        let fixtures = Fixtures::new();
        let all = fs::Permissions::from_mode(0o755);
        fs::set_permissions(fixtures.path(), all).expect("a directory's mode can be set");
        fixtures
    }

    /// With a copy of one of the project's own fixtures in it.
    fn with(name: &str) -> Self {
        let fixtures = Fixtures::new();
        let here = fixtures.dir(name);
        for file in ["messages.txt", "server.golden", "client.golden"] {
            fs::copy(own(name).join(file), here.join(file)).expect("it can be copied");
        }
        fixtures
    }

    /// The directory of fixture `name`, made if it is not there.
    fn dir(&self, name: &str) -> PathBuf {
        let dir = self.0.path().join(name);
        fs::create_dir_all(&dir).expect("it can be made");
        dir
    }

    fn write(&self, file: &str, content: &[u8]) -> &Self {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
        fs::write(path, content).expect("it can be written");
        self
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.path().join(file)).expect("it can be read")
    }

    fn path(&self) -> &str {
        self.0.path().to_str().expect("temporary paths are plain")
    }
}

/// The directory of one of the project's own fixtures.
fn own(name: &str) -> PathBuf {
    Path::new("fixtures").join(name)
}

/// The command of a server with a flaw.
fn server(flaw: &str) -> String {
    format!("python3 tests/broken/server.py {flaw} {{port}}")
}

/// The command of a client with a flaw.
fn client(flaw: &str) -> String {
    format!("python3 tests/broken/client.py {flaw} {{host}} {{port}}")
}
