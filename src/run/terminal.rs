//! This process's side of a program's terminal: what the kernel has of it for the program.

use std::fs::File;
use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::OFlags;
use rustix::pty::OpenptFlags;

/// The terminal as its program has it open. It does not come to its end before this is closed.
pub(super) fn as_program(terminal: &File) -> anyhow::Result<File> {
    let at_once = OpenptFlags::from_bits_retain(OFlags::NONBLOCK.bits());
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC | at_once;
    Ok(File::from(rustix::pty::ioctl_tiocgptpeer(terminal, flags)?))
}

/// Brings what was typed to whoever reads the terminal, and tells whether there is something that nobody has read
/// yet. A thread of the kernel brings it, on a busy machine not at once; who polls a terminal waits for that
/// (Linux, `drivers/tty/n_tty.c`, `n_tty_poll`). So a program that waits for its terminal is awake when this returns.
pub(super) fn has_unread(terminal: &File) -> bool {
    let Ok(terminal) = as_program(terminal) else { return false };
    poll(&mut [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO)
        .is_ok_and(|count| count > 0)
}
