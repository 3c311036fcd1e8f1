//! Standard output that was closed when the program was started (`>&-`).
//!
//! The standard library opens /dev/null in its place before `main`: all that is shown would be lost, and the
//! program would report success. So this looks before the standard library does.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc;

use crate::error::Fault;

static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Runs when the program is loaded.
#[used]
// SAFETY: the loader calls the functions of this section in order, before main.
#[expect(unsafe_code, reason = "nothing of the standard library comes before its own look")]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = {
    extern "C" fn look() {
        // SAFETY: the request has no argument and changes nothing.
        #[expect(unsafe_code, reason = "the descriptor may be closed, so that it cannot be borrowed")]
        let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
        WAS_CLOSED.store(flags == -1, Ordering::Relaxed);
    }
    look
};

/// Fails where standard output was closed.
pub fn must_be_open() -> Result<(), Fault> {
    if WAS_CLOSED.load(Ordering::Relaxed) {
        return Err(Fault::new("standard output is closed")
            .hint("to see nothing of it, send it to /dev/null: > /dev/null"));
    }
    Ok(())
}
