//! How much a directory has grown, while something writes to it.
//!
//! What always holds: no file in it is opened, and no link followed.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use nix::sys::statvfs::statvfs;

use super::copy::Bounds;

/// What part of the most that it may hold a disk must have lost before a directory on it is looked through.
const STEPS: u64 = 8;
/// The size of the blocks that stat(2) counts, in bytes.
const BLOCK: u64 = 512;

/// Watches a directory that may hold no more than so many bytes, and files, directories and links.
#[derive(Debug)]
pub struct Space {
    directory: PathBuf,
    most: Bounds,
    /// What was free on its disk at first, and when it was last looked through.
    first: Option<Free>,
    last: Option<Free>,
}

#[derive(Clone, Copy, Debug)]
struct Free {
    bytes: u64,
    entries: u64,
}

impl Free {
    /// Nothing where the file system does not tell.
    fn on_disk_of(directory: &Path) -> Option<Free> {
        let disk = statvfs(directory).ok()?;
        Some(Free { bytes: disk.blocks_available() * disk.fragment_size(), entries: disk.files_available() })
    }
}

impl Space {
    /// Of `directory`, which may hold `most`.
    pub fn new(directory: &Path, most: Bounds) -> Space {
        let free = Free::on_disk_of(directory);
        Space { directory: directory.to_owned(), most, first: free, last: free }
    }

    /// Whether it was seen to hold more than it may. Costs next to nothing while its disk loses nothing, and is told
    /// when its disk has lost an eighth of that.
    pub fn is_exceeded(&mut self) -> bool {
        let free = Free::on_disk_of(&self.directory);
        let (Some(free), Some(last)) = (free, self.last) else { return false };
        let bytes = self.most.bytes / STEPS;
        let entries = self.most.entries as u64 / STEPS;
        if free.bytes + bytes > last.bytes && free.entries + entries > last.entries {
            return false;
        }
        self.last = Some(free);
        self.holds_too_much()
    }

    /// Whether it holds more than it may now.
    pub fn holds_too_much(&self) -> bool {
        let lost = || {
            let free = Free::on_disk_of(&self.directory)?;
            Some(self.first?.bytes.saturating_sub(free.bytes))
        };
        let (mut bytes, mut entries) = (0, 0);
        let mut directories = vec![self.directory.clone()];
        while let Some(directory) = directories.pop() {
            let listing = match fs::read_dir(directory) {
                Ok(listing) => listing,
                // All that its disk has lost may be in there.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    bytes += lost().unwrap_or_default();
                    continue;
                }
                // It is gone by now.
                Err(_) => continue,
            };
            for entry in listing.flatten() {
                let Ok(data) = entry.metadata() else { continue };
                bytes += data.blocks() * BLOCK;
                entries += 1;
                if data.is_dir() {
                    directories.push(entry.path());
                }
            }
            if bytes > self.most.bytes || entries > self.most.entries {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::scratch::Scratch;

    /// What was free on a disk that has lost everything since, and on one that has lost nothing. Tests beside this one
    /// write to the same disk, and remove what they have written.
    const LOST: Option<Free> = Some(Free { bytes: u64::MAX, entries: u64::MAX });
    const KEPT: Option<Free> = Some(Free { bytes: 0, entries: 0 });

    #[apply(test)]
    fn a_directory_that_holds_too_much_is_noticed_when_its_disk_has_lost_something() {
        let place = Scratch::new().expect("a directory");
        let most = Bounds { bytes: 1 << 20, entries: 80, depth: 8 };
        let write =
            |name: &str, count: usize| fs::write(place.path().join(name), vec![1; count]).expect("written");
        let mut space = Space::new(place.path(), most);
        assert!(space.first.is_some() && space.last.is_some());
        write("part", 512 << 10);
        space.last = LOST;
        assert!(!space.is_exceeded());
        fs::create_dir(place.path().join("inner")).expect("made");
        write("inner/rest", 768 << 10);
        space.last = KEPT;
        assert!(!space.is_exceeded(), "nothing was looked through");
        space.last = LOST;
        assert!(space.is_exceeded());
        assert!(space.last.is_some_and(|last| last.bytes < u64::MAX), "it is known what was free then");
        // What it holds is known also where its disk has lost nothing since.
        let space = Space::new(place.path(), most);
        assert!(space.holds_too_much());
        fs::remove_file(place.path().join("inner/rest")).expect("removed");
        assert!(!space.holds_too_much());
    }

    #[apply(test)]
    fn many_small_files_are_too_much_as_well() {
        let place = Scratch::new().expect("a directory");
        let mut space = Space::new(place.path(), Bounds { bytes: 1 << 40, entries: 80, depth: 8 });
        for number in 0..81 {
            assert!(!space.holds_too_much());
            fs::write(place.path().join(number.to_string()), "").expect("written");
        }
        space.last = LOST.map(|free| Free { bytes: 0, ..free });
        assert!(space.is_exceeded());
        assert!(space.holds_too_much());
    }
}
