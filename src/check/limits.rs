//! The limits that a program has reached: as the kernel tells, or as its own output does, where the kernel refuses
//! what goes beyond them and only the program is told.

use memchr::memmem;

use super::tested::Tested;
use crate::run::computer;
use crate::run::limits::{Limits, Reached};

/// What programs print when there is no space left on a disk.
const NO_SPACE: &[&str] = &["No space left on device", "ENOSPC"];

/// What programs print when they are given no more memory.
const NO_MEMORY: &[&str] = &[
    "MemoryError",
    "NoMemory",
    "bad_alloc",
    "OutOfMemory",
    "Cannot allocate memory",
    "ENOMEM",
    "Out of memory",
    "out of memory",
    "memory allocation of",
    "llocation failed",
    "failed to allocate memory",
    "Allowed memory size",
];

/// What programs print when they are given no more processes or threads, and at times for other reasons.
const NO_PROCESS: &[&str] = &[
    "Resource temporarily unavailable",
    "resource temporarily unavailable",
    "EAGAIN",
    "Errno 11",
    "errno 11",
    "Errno=11",
    "errno=11",
    "Cannot fork",
    "can't start new thread",
    "can't create Thread",
    "native thread",
    "pthread_create",
    "failed to create new OS thread",
];

/// No program starts so many processes or threads for each line that it takes or prints.
const MANY_A_LINE: u64 = 16;

/// A limit that a program has reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// In words.
    pub words: String,
    /// Whether it is that of processes and threads.
    pub is_of_processes: bool,
}

/// The limit that `tested` has reached, of which `screen` shows all that it has printed.
pub fn reached(tested: &Tested, screen: &[u8]) -> Option<Limit> {
    if let Some(reached) = tested.program.reached() {
        let is_of_processes = matches!(reached, Reached::Processes(..));
        return Some(Limit { words: reached.to_string(), is_of_processes });
    }
    let newlines = |bytes: &[u8]| memchr::memchr_iter(b'\n', bytes).count() as u64;
    let lines = tested.view(|transcript| transcript.pieces().map(|piece| newlines(piece.bytes)).sum());
    if let Some((started, limit)) =
        tested.program.swarm().filter(|(started, _)| swarms(*started, lines, screen))
    {
        let words = format!(
            "it ran too many of its {started} processes and threads at once, and {limit} is the limit"
        );
        return Some(Limit { words, is_of_processes: true });
    }
    let words = told(screen, tested.program.limits(), tested.is_isolated())?;
    Some(Limit { words, is_of_processes: false })
}

/// Whether a program that has ended, and started as many processes and threads as it may not run at once, did run
/// them at once: where it says that it was refused one, or has taken and printed few `lines`. One may start a
/// process for each message, one after another.
fn swarms(started: u64, lines: u64, screen: &[u8]) -> bool {
    started > lines * MANY_A_LINE || has_any(screen, NO_PROCESS)
}

/// The limit that `screen` tells of, in words.
fn told(screen: &[u8], limits: &Limits, is_isolated: bool) -> Option<String> {
    if is_isolated && has_any(screen, NO_SPACE) {
        return Some(format!("it may write {} MiB to its disk", computer::SPACE_MIB));
    }
    let bytes = limits.address_space.filter(|_| has_any(screen, NO_MEMORY))?;
    Some(format!("it may use {} MiB of memory", bytes >> 20))
}

fn has_any(screen: &[u8], words: &[&str]) -> bool {
    words.iter().any(|words| memmem::find(screen, words.as_bytes()).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn a_limit_is_named_where_the_output_tells_of_it_and_nowhere_else() {
        let limits = Limits { address_space: Some(200 << 20), ..Limits::default() };
        let told = |screen: &str| told(screen.as_bytes(), &limits, true).unwrap_or_default();
        for screen in [
            "MemoryError",
            "what():  std::bad_alloc",
            "java.lang.OutOfMemoryError: Java heap space",
            "fatal error: runtime: out of memory",
            "memory allocation of 4 bytes failed",
            "malloc: Cannot allocate memory",
        ] {
            assert_eq!(told(screen), "it may use 200 MiB of memory", "{screen}");
        }
        assert_eq!(
            told("OSError: [Errno 28] No space left on device"),
            format!("it may write {} MiB to its disk", computer::SPACE_MIB)
        );
        assert_eq!(told("in memory of space; Resource temporarily unavailable"), "");
        assert_eq!(super::told(b"MemoryError", &Limits::default(), true), None);
        assert_eq!(super::told(b"No space left on device", &limits, false), None);
    }

    #[apply(test)]
    fn a_process_for_each_message_is_no_swarm_unless_one_was_refused() {
        assert!(swarms(1020, 0, b""));
        assert!(swarms(513, 32, b"ready\n"));
        assert!(!swarms(512, 32, b"ready\n"));
        assert!(!swarms(3000, 2000, b"hello\nhello\n"));
        for screen in [
            "    if os.fork() == 0:\nBlockingIOError: [Errno 11] Resource temporarily unavailable",
            "RuntimeError: can't start new thread",
            "sh: 1: Cannot fork",
            "bash: fork: retry: Resource temporarily unavailable",
            "fork: Resource temporarily unavailable",
            "java.lang.OutOfMemoryError: unable to create native thread: possibly out of memory",
            "[warning] Failed to start thread: pthread_create failed (EAGAIN) for attributes",
            "runtime: failed to create new OS thread (have 378 already; errno=11)",
            "fork/exec /bin/date: resource temporarily unavailable",
            "Error: spawn date EAGAIN",
            "can't create Thread: Resource temporarily unavailable (ThreadError)",
            "Could not fork: error 11 Errno=11",
            "failed to spawn thread: Os { code: 11, kind: WouldBlock, message: \"Resource temporarily unavailable\" }",
        ] {
            assert!(swarms(512, 2000, screen.as_bytes()), "{screen}");
        }
    }
}
