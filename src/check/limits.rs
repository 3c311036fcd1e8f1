//! The limits that a program's own output is about: the kernel refuses what goes beyond them, and only the
//! program is told.

use std::sync::LazyLock;

use regex_lite::Regex;

use crate::run::computer;
use crate::run::limits::Limits;

/// What programs print when there is no space left on a disk.
static NO_SPACE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"No space left on device|ENOSPC").expect("it is tested"));

/// What programs print when they are given no more memory.
static NO_MEMORY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        "MemoryError|NoMemory|bad_alloc|OutOfMemory|Cannot allocate memory|ENOMEM|[Oo]ut of memory|\
         memory allocation of|llocation failed|failed to allocate memory|Allowed memory size",
    )
    .expect("it is tested")
});

/// The limit that `screen` tells of, in words.
pub fn told(screen: &[u8], limits: &Limits, is_isolated: bool) -> Option<String> {
    let text = String::from_utf8_lossy(screen);
    if is_isolated && NO_SPACE.is_match(&text) {
        return Some(format!("it may write {} MiB to its disk", computer::SPACE_MIB));
    }
    let bytes = limits.address_space.filter(|_| NO_MEMORY.is_match(&text))?;
    Some(format!("it may use {} MiB of memory", bytes >> 20))
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
}
