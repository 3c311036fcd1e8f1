//! Temporary directories, named `echolog-tmp-…`.
//!
//! What always holds: each is locked by the process that made it and removed when it is dropped, whatever is in
//! it. What a process that was killed left behind is removed by the next one, which finds it unlocked.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use nix::unistd::geteuid;
use rustix::fs::{FlockOperation, flock};
use tempfile::Builder;

/// Nothing else that people name after this program is called so.
const PREFIX: &str = "echolog-tmp-";
/// What a directory is called until it is locked.
const UNLOCKED: &str = "echolog-new-";
/// How long it may take from the one to the other.
const LOCKED_WITHIN: Duration = Duration::from_secs(60);

/// A directory that is removed with all that is in it.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Says that its owner lives.
    _lock: Option<File>,
}

impl Scratch {
    /// A new one.
    pub fn new() -> Result<Scratch> {
        static SWEEP: Once = Once::new();
        let place = std::env::temp_dir();
        SWEEP.call_once(|| sweep(&place));
        Scratch::new_in(&place)
    }

    fn new_in(place: &Path) -> Result<Scratch> {
        let failed = || format!("cannot make a temporary directory in {}", place.display());
        let unlocked = Builder::new().prefix(UNLOCKED).tempdir_in(place).with_context(failed)?;
        let lock = File::open(unlocked.path()).with_context(failed)?;
        // Where the file system has no locks, nothing is swept away either.
        let lock = try_lock(&lock).then_some(lock);
        let name = unlocked.path().file_name().and_then(OsStr::to_str).unwrap_or_default();
        let path = place.join(name.replacen(UNLOCKED, PREFIX, 1));
        fs::rename(unlocked.path(), &path).with_context(failed)?;
        let _ = unlocked.keep();
        Ok(Scratch { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is left to the next run.
        let _ = remove(&self.path);
    }
}

/// Locks the directory, unless another process has (`flock(2)`).
fn try_lock(directory: &File) -> bool {
    flock(directory, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Removes what was left behind in `place` by processes of this user that have ended.
fn sweep(place: &Path) {
    let user = geteuid().as_raw();
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_ours = |name: &&str| name.starts_with(PREFIX) || name.starts_with(UNLOCKED);
        let Some(name) = name.to_str().filter(is_ours) else { continue };
        let Ok(data) = entry.metadata() else { continue };
        let is_old = || {
            let age = data.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
            age.is_some_and(|age| age > LOCKED_WITHIN)
        };
        if !data.is_dir() || data.uid() != user || (name.starts_with(UNLOCKED) && !is_old()) {
            continue;
        }
        let Ok(directory) = File::open(entry.path()) else { continue };
        if try_lock(&directory) {
            let _ = remove(&entry.path());
        }
    }
}

/// Removes `top` and everything in it, without following links. However deep it is, it takes two files and a
/// short path: directories are moved up before their parent is removed.
fn remove(top: &Path) -> io::Result<()> {
    let mut moved = 0_u64;
    loop {
        let mut is_empty = true;
        for entry in fs::read_dir(top)? {
            let entry = entry?;
            is_empty = false;
            let path = entry.path();
            if !entry.file_type()?.is_dir() {
                fs::remove_file(&path)?;
                continue;
            }
            fs::set_permissions(&path, Permissions::from_mode(0o700))?;
            for child in fs::read_dir(&path)? {
                let child = child?;
                if child.file_type()?.is_dir() {
                    // Only then can it be moved.
                    fs::set_permissions(child.path(), Permissions::from_mode(0o700))?;
                    moved += 1;
                    fs::rename(child.path(), top.join(format!("{PREFIX}{moved}.")))?;
                } else {
                    fs::remove_file(child.path())?;
                }
            }
            fs::remove_dir(&path)?;
        }
        if is_empty {
            return fs::remove_dir(top);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn a_directory_is_removed_however_deep_and_closed_it_is() {
        let scratch = Scratch::new().expect("made");
        let path = scratch.path().to_owned();
        assert!(path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with("echolog-")));
        let outside = tempfile::tempdir().expect("a directory");
        fs::write(outside.path().join("kept"), "x").expect("written");
        std::os::unix::fs::symlink(outside.path(), path.join("link")).expect("linked");
        // Far deeper than a path can be long.
        let mut deep = path.clone();
        for level in 0..3000 {
            let next = path.join(format!("level-{level}"));
            fs::create_dir(&next).expect("made");
            fs::write(next.join("file"), "x").expect("written");
            if level > 0 {
                fs::rename(&deep, next.join("inner")).expect("moved");
            }
            deep = next;
        }
        fs::set_permissions(&deep, Permissions::from_mode(0o000)).expect("closed");
        drop(scratch);
        assert!(!path.exists() && outside.path().join("kept").exists());
    }

    #[apply(test)]
    fn what_a_killed_process_left_is_removed_and_what_a_living_one_uses_is_not() {
        let place = tempfile::tempdir().expect("a directory");
        let used = Scratch::new_in(place.path()).expect("made");
        let left = place.path().join("echolog-tmp-left");
        let other = place.path().join("echolog-notes");
        let fresh = place.path().join("echolog-new-fresh");
        let stale = place.path().join("echolog-new-stale");
        for path in [&left, &other, &fresh, &stale] {
            fs::create_dir_all(path.join("inner")).expect("made");
        }
        let long_ago = SystemTime::now() - 2 * LOCKED_WITHIN;
        File::open(&stale).and_then(|stale| stale.set_modified(long_ago)).expect("set");
        sweep(place.path());
        assert!(!left.exists() && other.exists() && fresh.exists() && used.path().exists());
        assert!(!stale.exists());
    }
}
