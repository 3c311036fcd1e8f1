//! What a test needs that a machine may lack: programs, and the superuser.
//!
//! What holds: where CI runs, a lack is a failure; elsewhere what cannot run is skipped, and says so.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::thread;

/// Whether this machine has what the test that asks needs: programs by name, and `root` for the superuser.
pub fn needs(names: &[&str]) -> bool {
    allows(thread::current().name().unwrap_or("a test"), names)
}

/// Whether this machine has what `test` needs.
pub fn allows(test: &str, names: &[&str]) -> bool {
    let missing: Vec<&str> = names.iter().copied().filter(|name| !is_here(name)).collect();
    if missing.is_empty() {
        return true;
    }
    let missing = missing.join(", ");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{test} needs {missing}; .ci/run installs it");
    let skipped = format!("SKIPPED {test}: it needs {missing}, which this machine lacks (see .ci/run)\n");
    // A direct write: libtest captures only what the print macros write.
    let _ = std::io::stderr().write_all(skipped.as_bytes());
    false
}

fn is_here(name: &str) -> bool {
    if name == "root" {
        // Files of a process belong to the user it acts as.
        return std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
}
