//! Closing many file descriptors at once (`close_range(2)`), and watching processes through one.

use std::os::fd::{OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use rustix::process::PidfdFlags;

/// Closes every file of this process but `kept`.
pub(super) fn close_all_but(kept: RawFd) -> nix::Result<()> {
    let kept = u32::try_from(kept).map_err(|_| Errno::EBADF)?;
    if kept > 0 {
        close_range(0, kept - 1, 0)?;
    }
    close_range(kept + 1, u32::MAX, 0)
}

/// Marks every file above standard error to be closed in the program that is executed next.
pub(super) fn close_all_on_exec() -> nix::Result<()> {
    close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC)
}

fn close_range(first: u32, last: u32, flags: u32) -> nix::Result<()> {
    #[expect(unsafe_code, reason = "nix has no function for this call")]
    // SAFETY: whoever calls this owns the process, a fresh child, and uses none of its files any more.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    Errno::result(result).map(drop)
}

/// A file that becomes readable when the process ends (`pidfd_open(2)`).
pub(super) fn pidfd(pid: Pid) -> rustix::io::Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid.as_raw()).ok_or(rustix::io::Errno::SRCH)?;
    rustix::process::pidfd_open(pid, PidfdFlags::empty())
}
