//! What a test needs of the machine: programs, which it may lack, copies of them, and the superuser.
//!
//! What holds: where CI runs, a lack is a failure; elsewhere it is the reason why a test does not run.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

/// Why a test that needs these cannot run on this machine, if it cannot: programs by name, and `root` for the
/// superuser. Panics where CI runs.
pub fn missing(names: &[&str]) -> Option<String> {
    let missing: Vec<&str> = names.iter().copied().filter(|name| !is_here(name)).collect();
    if missing.is_empty() {
        return None;
    }
    let reason = format!("needs {}, which this machine lacks", missing.join(", "));
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{reason}; .ci/run installs it");
    Some(reason)
}

/// Whether the program `name` is in PATH; of `root`, whether the superuser runs this.
pub fn is_here(name: &str) -> bool {
    if name == "root" {
        // Files of a process belong to the user it acts as.
        return std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
}

/// Copies a program, by a process of its own. If this process wrote the copy, a program that another thread starts
/// in that moment would hold the file open for writing until execve(2), and the copy could not be executed until
/// then (`ETXTBSY`).
pub fn copy_program(from: &str, to: impl AsRef<OsStr>) {
    assert!(Command::new("cp").arg(from).arg(to).status().expect("cp is there").success());
}
