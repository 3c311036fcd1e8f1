//! What a program under test may use.

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
    /// Processes and threads on an isolated computer (`RLIMIT_NPROC`).
    pub processes: Option<u64>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            time: Duration::from_secs(10),
            output: 16 << 20,
            address_space: None,
            cpu: None,
            processes: Some(1024),
        }
    }
}
