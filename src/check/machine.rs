//! What this machine must be able to do before anything is judged on it. What it lacks is named, and is an error
//! of the run: it would be found as a fault of every submission otherwise.

use std::fs::{self, OpenOptions};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::{Context as _, Result};
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::getpid;
use rustix::fs::{StatVfsMountFlags, statvfs};

use crate::error::Fault;
use crate::run::scratch::Scratch;

/// How many files a check has open besides those of the submissions that it judges.
const FILES: u64 = 64;
/// How many files it has open for each submission that it judges; all sessions side by side took 147.
const FILES_EACH: u64 = 160;

/// How many submissions can be judged side by side with the files that this process may have open.
pub fn most_jobs() -> usize {
    usize::try_from(jobs_with(open_files())).unwrap_or(usize::MAX).max(1)
}

/// For how many submissions so many open files suffice.
fn jobs_with(files: u64) -> u64 {
    files.saturating_sub(FILES) / FILES_EACH
}

fn open_files() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(_, hard)| hard)
}

/// An error that names what this machine lacks for judging `jobs` submissions side by side.
pub fn is_ready(jobs: usize) -> Result<()> {
    open_files_suffice(open_files(), jobs as u64)?;
    processes_are_seen()?;
    terminals_are_there()?;
    files_can_be_executed()
}

fn open_files_suffice(limit: u64, jobs: u64) -> Result<()> {
    let fewer = jobs_with(limit);
    if fewer >= jobs {
        return Ok(());
    }
    let needed = FILES + FILES_EACH * jobs;
    let hint = match fewer {
        0 => "raise the limit (ulimit -Hn)".to_owned(),
        _ => format!("--jobs {fewer}, or a higher limit (ulimit -Hn)"),
    };
    Err(Fault::usage(format!("a check needs {needed} open files, and {limit} are the limit"))
        .hint(hint)
        .into())
}

fn processes_are_seen() -> Result<()> {
    let own = fs::read_link("/proc/self")
        .map_err(|error| Fault::usage("a check needs /proc, which cannot be read").because(error))?;
    if own.to_str().and_then(|own| own.parse().ok()) == Some(getpid().as_raw()) {
        return Ok(());
    }
    let fault = Fault::usage("/proc is that of another PID namespace");
    Err(fault.hint("mount the one of this namespace: unshare --mount-proc, or mount -t proc").into())
}

fn terminals_are_there() -> Result<()> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let open = || -> Result<()> {
        let terminal = posix_openpt(flags)?;
        grantpt(&terminal)?;
        unlockpt(&terminal)?;
        let name = ptsname_r(&terminal)?;
        let other_side = OpenOptions::new().read(true).write(true).custom_flags(flags.bits()).open(&name);
        other_side.context(name).map(drop)
    };
    open().map_err(|error| {
        let fault = Fault::usage("there are no pseudo-terminals, which programs are run at");
        fault.hint("a devpts file system belongs at /dev/pts").because(error).into()
    })
}

fn files_can_be_executed() -> Result<()> {
    let elsewhere = "name another directory in TMPDIR";
    let place = Scratch::new()
        .map_err(|error| Fault::usage("there is no place for copies").hint(elsewhere).because(error))?;
    let mount = statvfs(place.path()).context("cannot look at the directory for temporary files")?;
    if !mount.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        return Ok(());
    }
    let parent = place.path().parent().unwrap_or(place.path()).display();
    Err(Fault::usage(format!("no program can be executed in {parent}: it is mounted noexec"))
        .hint(elsewhere)
        .into())
}

/// An error where nothing can connect to a server on this computer; isolated ones have a network of their own.
pub fn has_loopback() -> Result<()> {
    let connect = || {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        TcpStream::connect(server.local_addr()?).map(drop)
    };
    connect().map_err(|error| {
        let fault = Fault::usage("there is no loopback network, over which programs talk");
        fault.hint("switch it on: ip link set lo up").because(error).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error;

    #[apply(test)]
    fn too_few_open_files_are_told_with_what_they_suffice_for() {
        let complains = |limit, jobs| open_files_suffice(limit, jobs).err().map(|error| error::words(&error));
        assert_eq!((complains(224, 1), complains(1_024, 6)), (None, None));
        let told = complains(1_023, 6).expect("too few");
        assert!(told.contains("needs 1024 open files, and 1023 are the limit"), "{told}");
        assert!(told.contains("--jobs 5, or"), "{told}");
        assert!(complains(224, 2).expect("too few").contains("--jobs 1, or"));
        let told = complains(223, 2).expect("too few");
        assert!(told.contains("raise the limit") && !told.contains("--jobs"), "{told}");
    }
}
