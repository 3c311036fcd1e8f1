//! An interrupt at a terminal without an editor. The terminal has dropped the line that was being typed by
//! then, and the signal ends the program, as in any other; here it says first what is lost.

use std::io;

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};
use nix::unistd::write;

const LOST: &[u8] = b"\nerror: interrupted; the log is lost\n\
    hint: quit, or Ctrl-D at an empty line, ends the session and shows the log\n";

/// While there is one, an interrupt that ends this program says that the log is lost.
#[derive(Debug)]
pub struct Told {
    before: SigAction,
}

impl Told {
    /// Changes nothing where whoever started this program has it ignore the signal.
    pub fn new() -> io::Result<Self> {
        let tells = SigAction::new(SigHandler::Handler(tell_and_end), SaFlags::SA_RESETHAND, SigSet::all());
        let told = Told { before: set(&tells)? };
        if matches!(told.before.handler(), SigHandler::SigIgn) {
            set(&told.before)?;
        }
        Ok(told)
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        _ = set(&self.before);
    }
}

fn set(action: &SigAction) -> nix::Result<SigAction> {
    // SAFETY: the handler does only what signal-safety(7) allows.
    #[expect(unsafe_code, reason = "what a signal does is changed")]
    unsafe {
        sigaction(Signal::SIGINT, action)
    }
}

/// The handler: two system calls, no more.
extern "C" fn tell_and_end(signal: libc::c_int) {
    _ = write(io::stderr(), LOST);
    // The default action is back, and happens when this returns: until then the signal is blocked.
    _ = Signal::try_from(signal).and_then(raise);
}
