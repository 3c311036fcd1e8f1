//! How a program under test comes to run: at a pseudo-terminal, as the leader of a session (setsid(2)),
//! in the world that it would find if it had been started by hand.
//!
//! What always holds: between fork and exec nothing runs that could wait for another thread, and a child
//! that cannot become its program ends there and then.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, MutexGuard};

use anyhow::Context as _;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction, signal};
use nix::sys::stat::Mode;
use nix::sys::termios::{LocalFlags, OutputFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::{AccessFlags, Pid, access, chdir, execvpe, getpid, pipe2, write};
use rexpect::process::PtyProcess;
use rustix::termios::{Winsize, tcsetwinsize};

use crate::error::Fault;
use crate::run::clock::lock;
use crate::run::command::Spec;
use crate::run::limits::Limits;

/// The variable that every program under test carries in its environment, and whatever it starts.
const TAG: &str = "ECHOLOG_UNDER_TEST";

/// rexpect's process; it has no `Debug` of its own.
pub struct Process(pub PtyProcess);

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Process")
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

/// Marks `file` to be closed in whatever program is executed.
pub fn close_on_exec(file: &File) -> anyhow::Result<()> {
    fcntl(file, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(())
}

fn c_string(text: &OsStr) -> anyhow::Result<CString> {
    CString::new(text.as_bytes())
        .map_err(|_| Fault::usage(format!("a zero byte in {}", text.to_string_lossy())).into())
}

/// What this process passes on of its own environment: by name, the entry.
static OURS: LazyLock<Vec<(OsString, CString)>> = LazyLock::new(|| {
    let passed_on = std::env::vars_os()
        // Whoever runs this must not hide the buffering that a user would meet.
        .filter(|(name, _)| name != "PYTHONUNBUFFERED")
        // No variable has a zero byte in it.
        .filter_map(|(name, value)| entry(&name, &value).ok().map(|entry| (name, entry)));
    passed_on.collect()
});

fn entry(name: &OsStr, value: &OsStr) -> anyhow::Result<CString> {
    let mut entry = name.to_owned();
    entry.push("=");
    entry.push(value);
    c_string(&entry)
}

/// The environment of a program under test: ours, and what its spec adds. Ours is shared: what is copied
/// for each program and freed again costs most just after a fork, when each page of memory that is touched
/// is copied as well.
fn environment(added: &[(OsString, OsString)], tag: &str) -> anyhow::Result<Vec<Cow<'static, CStr>>> {
    // A harness may run under a harness, so there may be tags already.
    let mut tags = std::env::var_os(TAG).unwrap_or_default();
    tags.push(tag);
    // A plain terminal.
    let mut own = BTreeMap::from([(OsStr::new("TERM"), OsStr::new("dumb"))]);
    own.extend(added.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())));
    own.insert(OsStr::new(TAG), &tags);
    let ours = OURS.iter().filter(|(name, _)| !own.contains_key(name.as_os_str()));
    ours.map(|(_, entry)| Ok(Cow::Borrowed(entry.as_c_str())))
        .chain(own.iter().map(|(name, value)| Ok(Cow::Owned(entry(name, value)?))))
        .collect()
}

/// Soft and hard limit on open files.
type Files = (rlim_t, rlim_t);

/// The limit on open files that this process was started with, and so has a program under test; a session
/// takes some twenty here, so from the first program on this process has all that it may have. Nor does
/// it matter then whether its starter had it ignore the ends of children, which it has to hear of.
pub(super) static FILES: LazyLock<nix::Result<Files>> = LazyLock::new(|| {
    // SAFETY: no handler is installed that could run anywhere.
    #[expect(unsafe_code, reason = "what a signal does is changed")]
    unsafe {
        signal(Signal::SIGCHLD, SigHandler::SigDfl)?;
    }
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok((soft, hard))
});

/// What a child becomes.
#[derive(Debug)]
pub struct Image {
    path: CString,
    words: Vec<CString>,
    environment: Vec<Cow<'static, CStr>>,
    dir: Option<CString>,
    address_space: Option<u64>,
    /// In seconds.
    cpu: Option<u64>,
    files: Files,
}

/// Held while a child is about to become its program: until then it has copies of all our files, also
/// of those that are closed on exec.
static BECOMING: Mutex<()> = Mutex::new(());

/// While this is held, nobody has a copy of a file that this process closes on exec: a socket that is
/// closed is closed, and a port that is free is free.
pub fn without_copies() -> MutexGuard<'static, ()> {
    lock(&BECOMING)
}

/// Starts `image`, with the streams that `command` was given, on a pseudo-terminal, as the leader of a
/// session, and waits until it runs.
pub fn spawn(mut command: Command, image: Image) -> anyhow::Result<(Process, Pid)> {
    // rexpect uses it in the child, where no other thread is left that could finish making it.
    let _ = io::stdin();
    let parent = getpid();
    let (mut news, teller) = pipe2(OFlag::O_CLOEXEC).map(|(news, teller)| (File::from(news), teller))?;
    let ours = teller.try_clone()?;
    let before_exec = move || {
        // The number first, an error only if there is one.
        let _ = write(&ours, &getpid().as_raw().to_ne_bytes());
        let Err(errno) = image.execute();
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
    let turn = lock(&BECOMING);
    let process = match PtyProcess::new(command) {
        Ok(process) => {
            let terminal = process.get_file_handle()?;
            fcntl(&terminal, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK))?;
            Process(process)
        }
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
    let mut numbers =
        told.chunks_exact(4).map(|bytes| i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    match (numbers.next(), numbers.next()) {
        (Some(pid), None) if pid > 0 => Ok((process, Pid::from_raw(pid))),
        (first, second) => {
            let _ = process.0.wait();
            let errno = second.or(first).map_or(Errno::UnknownErrno, |number| Errno::from_raw(-number));
            Err(Fault::usage("it cannot be executed").because(errno).into())
        }
    }
}

/// Ends a child that could not become what it should: nothing of the parent's may run in it.
fn give_up(teller: &OwnedFd, errno: Errno) -> ! {
    let _ = write(teller, &(-(errno as i32)).to_ne_bytes());
    #[expect(unsafe_code, reason = "std has no exit that leaves out what the parent wants done at its own")]
    // SAFETY: it only ends the process.
    unsafe {
        libc::_exit(127)
    }
}

impl Image {
    /// The executable at `path`, called with `words`, as `spec` and `limits` have it, and carrying `tag`.
    /// A usage fault when there is a zero byte in any of it.
    pub fn new(
        path: &Path,
        words: &[OsString],
        spec: &Spec,
        tag: &str,
        limits: &Limits,
    ) -> anyhow::Result<Image> {
        Ok(Image {
            path: c_string(path.as_os_str())?,
            words: words.iter().map(|word| c_string(word)).collect::<anyhow::Result<_>>()?,
            environment: environment(&spec.env, tag)?,
            dir: spec.dir.as_ref().map(|dir| c_string(dir.as_os_str())).transpose()?,
            address_space: limits.address_space,
            files: (*FILES).context("the limit on open files")?,
            cpu: limits.cpu.map(|time| time.as_secs() + u64::from(time.subsec_nanos() > 0)),
        })
    }

    /// Becomes it, in a child whose streams are set up: it is to find what a program finds that is started
    /// by hand at a terminal, whatever this process was started with.
    fn execute(&self) -> nix::Result<Infallible> {
        SigSet::empty().thread_set_mask()?;
        let usual = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        for signal in Signal::iterator().filter(|signal| ![Signal::SIGKILL, Signal::SIGSTOP].contains(signal))
        {
            #[expect(unsafe_code, reason = "sigaction(2) is unsafe for the handlers it can install")]
            // SAFETY: the default action is no handler.
            unsafe {
                sigaction(signal, &usual)?;
            }
        }
        let terminal = open(c"/dev/tty", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
        let mut settings = tcgetattr(&terminal)?;
        // What is typed shows, as at any terminal (rexpect has turned that off); and what the program
        // writes comes to us as it wrote it, with no carriage returns added.
        settings.local_flags |= LocalFlags::ECHO;
        settings.output_flags -= OutputFlags::OPOST;
        tcsetattr(&terminal, SetArg::TCSANOW, &settings)?;
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size).map_err(|error| Errno::from_raw(error.raw_os_error()))?;
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        setrlimit(Resource::RLIMIT_NOFILE, self.files.0, self.files.1)?;
        if let Some(bytes) = self.address_space {
            setrlimit(Resource::RLIMIT_AS, bytes, bytes)?;
        }
        if let Some(seconds) = self.cpu {
            setrlimit(Resource::RLIMIT_CPU, seconds, seconds + 1)?;
        }
        #[expect(unsafe_code, reason = "nix has no function for this call")]
        // SAFETY: it marks files to be closed at exec. A kernel that cannot (before 5.11) leaves it to
        // each file's own mark, which all but rexpect's terminals have.
        unsafe {
            libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        }
        if let Some(dir) = &self.dir {
            chdir(dir.as_c_str())?;
        }
        execvpe(&self.path, &self.words, &self.environment)
    }
}
