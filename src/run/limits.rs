//! What a program under test may use.

use std::fmt;
use std::time::Duration;

/// What a program under test may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For a whole session, or for a program that runs alone.
    pub time: Duration,
    /// Bytes shown, stdout and stderr together.
    pub output: usize,
    /// Bytes of address space (`RLIMIT_AS`).
    pub address_space: Option<u64>,
    /// Time on a processor, rounded up to seconds (`RLIMIT_CPU`).
    pub cpu: Option<Duration>,
    /// Bytes in one file (`RLIMIT_FSIZE`).
    pub file: u64,
    /// Processes and threads on an isolated computer. A program that reaches three quarters of them is
    /// ended; until that is noticed, the kernel holds it (`RLIMIT_NPROC`).
    pub processes: Option<u64>,
}

impl Limits {
    /// For a build: compilers take much, and run beside one another.
    pub fn of_a_build() -> Limits {
        Limits { processes: Some(8192), ..Limits::default() }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            time: Duration::from_secs(10),
            output: 16 << 20,
            address_space: None,
            cpu: None,
            file: 1 << 30,
            processes: Some(512),
        }
    }
}

/// A limit that a program has reached, as the kernel tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// So many processes and threads at once, and how many may be.
    Processes(u64, u64),
    /// Seconds on a processor.
    Cpu(u64),
    /// Bytes in one file.
    File(u64),
    /// Bytes of memory used, and how many may be reserved.
    Memory(u64, u64),
    /// Bytes of memory used when this machine had no more to give.
    Machine(u64),
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes >> 20;
        match *self {
            Reached::Processes(count, limit) => {
                write!(f, "it ran {count} processes and threads at once, and {limit} is the limit")
            }
            Reached::Cpu(seconds) => write!(f, "it reached the limit of {seconds} s of processor time"),
            Reached::File(bytes) => write!(f, "it reached the limit of {} MiB in one file", mib(bytes)),
            Reached::Memory(used, limit) => {
                write!(f, "it used {} MiB of memory, and {} MiB is the limit", mib(used), mib(limit))
            }
            Reached::Machine(used) => {
                write!(f, "it used {} MiB, and this machine had no more memory", mib(used))
            }
        }
    }
}
