//! Children of this process that have not become their programs yet: they come one at a time, as each has
//! copies of all our files, and run nothing of the parent's when they end.

use std::sync::{Mutex, MutexGuard};

use nix::libc;

use crate::run::clock::lock;

/// Held while a child is about to become its program: until then it has copies of all our files, also
/// of those that are closed on exec.
static BECOMING: Mutex<()> = Mutex::new(());

/// While this is held, nobody has a copy of a file that this process closes on exec: a socket that is
/// closed is closed, and a port that is free is free.
pub fn without_copies() -> MutexGuard<'static, ()> {
    lock(&BECOMING)
}

/// Ends this process at once, a child that is to run nothing of the parent's.
pub(super) fn exit_now(status: i32) -> ! {
    #[expect(unsafe_code, reason = "std has no exit that leaves out what the parent wants done at its own")]
    // SAFETY: it only ends the process.
    unsafe {
        libc::_exit(status)
    }
}
