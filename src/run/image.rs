//! What a child of this process becomes: a program with its arguments, environment and limits, in the
//! state that it would find if it had been started by hand.

use std::borrow::Cow;
use std::convert::Infallible;
use std::ffi::{CStr, CString, OsString};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use anyhow::Context as _;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction, signal};
use nix::sys::termios::{LocalFlags, OutputFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::{chdir, execvpe};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::run::command::Spec;
use crate::run::computer::{Computer, enter};
use crate::run::descriptors::close_all_on_exec;
use crate::run::environment::{c_string, environment};
use crate::run::limits::Limits;
use crate::run::listening;

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
    /// In bytes.
    file: u64,
    processes: Option<u64>,
    files: Files,
    /// Where it runs.
    pub(super) computer: Option<Arc<Computer>>,
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
            environment: environment(&spec.env, tag, spec.is_isolated())?,
            dir: spec.dir.as_ref().map(|dir| c_string(dir.as_os_str())).transpose()?,
            address_space: limits.address_space,
            files: (*FILES).context("the limit on open files")?,
            cpu: limits.cpu.map(|time| time.as_secs() + u64::from(time.subsec_nanos() > 0)),
            file: limits.file,
            processes: limits.processes.filter(|_| spec.is_isolated()),
            computer: spec.computer.clone(),
        })
    }

    /// Becomes it, in a child whose streams are set up and whose terminal is `terminal`, and whose calls
    /// of listen(2) are handed over to `calls`: it is to find what
    /// a program finds that is started by hand, whatever this process was started with.
    pub(super) fn execute(&self, terminal: &OwnedFd, calls: Option<&OwnedFd>) -> nix::Result<Infallible> {
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
        let mut settings = tcgetattr(terminal)?;
        // What is typed shows, as at any terminal (rexpect has turned that off); and what the program
        // writes comes to us as it wrote it, with no carriage returns added.
        settings.local_flags |= LocalFlags::ECHO;
        settings.output_flags -= OutputFlags::OPOST;
        tcsetattr(terminal, SetArg::TCSANOW, &settings)?;
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(terminal, size).map_err(|error| Errno::from_raw(error.raw_os_error()))?;
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        setrlimit(Resource::RLIMIT_NOFILE, self.files.0, self.files.1)?;
        lower(Resource::RLIMIT_AS, self.address_space, 0)?;
        lower(Resource::RLIMIT_CPU, self.cpu, 1)?;
        lower(Resource::RLIMIT_FSIZE, Some(self.file), 0)?;
        lower(Resource::RLIMIT_NPROC, self.processes, 0)?;
        // A kernel that cannot (before 5.11) leaves it to each file's own mark, which all but rexpect's
        // terminals have.
        let _ = close_all_on_exec();
        if self.computer.as_ref().is_some_and(|computer| computer.is_isolated()) {
            enter::give_up_privileges()?;
        }
        if let Some(calls) = calls {
            listening::hand_over(calls)?;
        }
        if let Some(dir) = &self.dir {
            chdir(dir.as_c_str())?;
        }
        execvpe(&self.path, &self.words, &self.environment)
    }
}

/// Sets a limit, and the hard one to `more` than that; never above the hard limit that there is.
fn lower(resource: Resource, limit: Option<u64>, more: u64) -> nix::Result<()> {
    let Some(limit) = limit else { return Ok(()) };
    let (_, hard) = getrlimit(resource)?;
    setrlimit(resource, limit.min(hard), limit.saturating_add(more).min(hard))
}
