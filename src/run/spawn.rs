//! How a program under test comes to run: at a pseudo-terminal, as the leader of a session (setsid(2)),
//! in the world that it would find if it had been started by hand.
//!
//! What always holds: between fork and exec nothing runs that could wait for another thread, and a child
//! that cannot become its program ends there and then.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, Pid, access, getpid, pipe2, write};
use rexpect::process::PtyProcess;

use crate::error::Fault;
use crate::run::computer::enter::{Inside, Lifeline, enter, settle};
use crate::run::fork::exit_now;
pub use crate::run::fork::without_copies;
use crate::run::image::Image;
use crate::run::listening::{self, Listened};

/// A process that rexpect started, at its terminal. Reaps it when dropped, so its number stays taken until
/// then.
pub struct Process {
    terminal: PtyProcess,
    /// The processes in its place on an isolated computer; rexpect's own has ended then.
    pub inside: Option<Inside>,
    /// Where it has listened, on an isolated computer.
    pub listened: Listened,
}

impl Process {
    /// This side of its terminal.
    pub fn terminal(&self) -> anyhow::Result<File> {
        let terminal = self.terminal.get_file_handle().context("this machine has no more files to give")?;
        fcntl(&terminal, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        Ok(terminal)
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("inside", &self.inside).finish_non_exhaustive()
    }
}

/// The executable that `word` names: a path (seen from `dir`), or a name to be looked for in `PATH`.
pub fn executable(word: &OsStr, dir: Option<&Path>) -> anyhow::Result<PathBuf> {
    let name = || word.to_string_lossy().into_owned();
    let is_executable = |path: &Path| path.is_file() && access(path, AccessFlags::X_OK).is_ok();
    if word.as_bytes().contains(&b'/') {
        let path = std::path::absolute(dir.unwrap_or(Path::new("")).join(word))
            .with_context(|| format!("cannot find {}", name()))?;
        if is_executable(&path) {
            return Ok(path);
        }
        let why = match path.metadata() {
            Err(error) => anyhow::Error::from(error),
            Ok(data) if data.is_dir() => anyhow::anyhow!("it is a directory"),
            Ok(_) => anyhow::anyhow!("it has no permission to be executed"),
        };
        return Err(Fault::usage(format!("cannot execute {}", path.display())).because(why).into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        // A place may be named from here, and the program runs elsewhere.
        .filter_map(|place| std::path::absolute(place.join(word)).ok())
        .find(|path| !word.is_empty() && is_executable(path))
        .ok_or_else(|| Fault::usage(format!("no such command: {}", name())).into())
}

/// Starts `image`, with the streams that `command` was given, on a pseudo-terminal, as the leader of a
/// session, and waits until it runs.
pub fn spawn(mut command: Command, image: Image) -> anyhow::Result<(Process, Pid)> {
    // rexpect uses it in the child, where no other thread is left that could finish making it.
    let _ = io::stdin();
    let parent = getpid();
    let (mut news, teller) = pipe2(OFlag::O_CLOEXEC).map(|(news, teller)| (File::from(news), teller))?;
    let ours = teller.try_clone()?;
    let isolated = image.computer.as_ref().is_some_and(|computer| computer.is_isolated());
    let (calls, their_calls) = isolated.then(listening::channel).transpose()?.unzip();
    let (lifeline, their_line) = isolated.then(Lifeline::pair).transpose()?.unzip();
    let before_exec = move || {
        let tell = |number: i32| {
            let _ = write(&ours, &number.to_ne_bytes());
        };
        let computer = image.computer.as_ref();
        let namespaces = computer.and_then(|computer| Some((computer, computer.namespaces()?)));
        let errno = if let (Some((computer, namespaces)), Some(lifeline)) = (namespaces, &their_line) {
            let become_program = |terminal: &OwnedFd| {
                let Err(errno) =
                    settle(terminal, computer).and_then(|()| image.execute(terminal, their_calls.as_ref()));
                give_up(&ours, errno)
            };
            match enter(namespaces, lifeline, tell, become_program) {
                Ok(()) => exit_now(0),
                Err(errno) => errno,
            }
        } else {
            // The number first, an error only if there is one.
            tell(getpid().as_raw());
            let terminal = open(c"/dev/tty", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty());
            let Err(errno) = terminal.and_then(|terminal| image.execute(&terminal, None));
            errno
        };
        give_up(&ours, errno)
    };
    #[expect(unsafe_code, reason = "the only way to run something between fork and exec")]
    // SAFETY: it makes system calls, takes no lock of ours, and allocates only as rexpect itself does
    // there: the C libraries of Linux keep their allocators usable after fork.
    unsafe {
        command.pre_exec(before_exec);
    }
    // One at a time, also because rexpect's terminal is not close-on-exec from the first, and a program
    // that inherited another's terminal would keep it from being hung up.
    let turn = without_copies();
    let terminal = match PtyProcess::new(command) {
        Ok(process) => process,
        Err(error) if getpid() == parent => return Err(error).context("no pseudo-terminal or process"),
        // This is the child, which did not get as far as `before_exec`: rexpect returns here, too.
        Err(rexpect::error::Error::Nix(errno)) => give_up(&teller, errno),
        Err(_) => give_up(&teller, Errno::UnknownErrno),
    };
    drop(teller);
    let mut told = Vec::new();
    // It has become its program, or has failed to, when its end of the pipe is closed.
    news.read_to_end(&mut told)?;
    drop(turn);
    fcntl(terminal.get_file_handle()?, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK))?;
    let numbers =
        told.chunks_exact(4).map(|bytes| i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    // Both kinds are written by different processes, in any order.
    let (pids, errors): (Vec<i32>, Vec<i32>) = numbers.partition(|number| *number > 0);
    let inside = match (lifeline, pids.as_slice()) {
        (Some(lifeline), [init, rest @ ..]) => {
            Some(Inside::new(Pid::from_raw(*init), rest.first().copied().map(Pid::from_raw), lifeline))
        }
        _ => None,
    };
    let listened = calls.as_ref().map(listening::watch).transpose()?.unwrap_or_default();
    let process = Process { terminal, inside, listened };
    match (pids.last(), errors.first()) {
        (Some(&pid), None) if !isolated || pids.len() == 2 => Ok((process, Pid::from_raw(pid))),
        (_, error) => {
            let _ = process.terminal.wait();
            let errno = error.map_or(Errno::UnknownErrno, |number| Errno::from_raw(-number));
            Err(Fault::usage("it cannot be executed").because(errno).into())
        }
    }
}

/// Ends a child that could not become what it should: nothing of the parent's may run in it.
fn give_up(teller: &OwnedFd, errno: Errno) -> ! {
    let _ = write(teller, &(-(errno as i32)).to_ne_bytes());
    exit_now(127)
}
