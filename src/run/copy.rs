//! Copying a submission, within bounds.
//!
//! What always holds: nothing outside the directory is copied, links stay links, and only files,
//! directories and links are made.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::run::clock;

/// The most that is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes in files.
    pub bytes: u64,
    /// Files, directories and links.
    pub entries: usize,
    /// Directories inside one another.
    pub depth: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { bytes: 1 << 30, entries: 100_000, depth: 64 }
    }
}

/// Copies what is in the directory `from` into the directory `to`; to the user and group `owner`, if given.
/// Leaves out version control's own directories, and everything that is neither file, directory nor link.
/// Ends early when everything is stopped.
pub fn copy_tree(from: &Path, to: &Path, owner: Option<(u32, u32)>, bounds: Bounds) -> Result<()> {
    let (mut bytes, mut entries) = (0_u64, 0_usize);
    let mut directories = vec![(from.to_owned(), to.to_owned(), 0)];
    while let Some((from, to, depth)) = directories.pop() {
        let unreadable = || format!("cannot read {}", from.display());
        for entry in fs::read_dir(&from).with_context(unreadable)? {
            if clock::stopped() {
                return Err(anyhow!("stopped"));
            }
            let entry = entry.with_context(unreadable)?;
            let (path, target) = (entry.path(), to.join(entry.file_name()));
            let failed = || format!("cannot copy {}", path.display());
            let data = entry.metadata().with_context(failed)?;
            let kind = data.file_type();
            if !(kind.is_file() || kind.is_dir() || kind.is_symlink()) {
                continue;
            }
            if kind.is_dir() && [".git", ".hg", ".svn"].iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            entries += 1;
            if entries > bounds.entries {
                bail!("{} files and directories are the limit, and there are more", bounds.entries);
            }
            if kind.is_symlink() {
                let link: PathBuf = fs::read_link(&path).with_context(failed)?;
                symlink(link, &target).with_context(failed)?;
            } else if kind.is_dir() {
                if depth >= bounds.depth {
                    bail!(
                        "{} directories inside one another are the limit, and there are more",
                        bounds.depth
                    );
                }
                DirBuilder::new().mode(0o700).create(&target).with_context(failed)?;
                let mode = data.permissions().mode() & 0o777 | 0o700;
                fs::set_permissions(&target, Permissions::from_mode(mode)).with_context(failed)?;
                directories.push((path.clone(), target.clone(), depth + 1));
            } else {
                bytes = bytes.saturating_add(data.len());
                if bytes > bounds.bytes {
                    bail!("{} MiB of files are the limit, and there is more", bounds.bytes >> 20);
                }
                fs::copy(&path, &target).with_context(failed)?;
                if data.permissions().mode() & 0o7000 != 0 {
                    let mode = data.permissions().mode() & 0o777;
                    fs::set_permissions(&target, Permissions::from_mode(mode)).with_context(failed)?;
                }
            }
            if let Some((user, group)) = owner {
                lchown(&target, Some(user), Some(group)).with_context(failed)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;
    use crate::run::scratch::Scratch;

    fn copied(from: &Path, bounds: Bounds) -> (Scratch, Result<()>) {
        let to = Scratch::new().expect("a directory");
        let result = copy_tree(from, to.path(), None, bounds);
        (to, result)
    }

    #[apply(test)]
    fn files_directories_and_links_are_copied_and_nothing_else() {
        let from = Scratch::new().expect("a directory");
        let at = |name: &str| from.path().join(name);
        fs::create_dir_all(at("sub/.git")).expect("made");
        fs::write(at("sub/run.sh"), "#!/bin/sh\n").expect("written");
        fs::set_permissions(at("sub/run.sh"), Permissions::from_mode(0o4755)).expect("set");
        symlink("/proc/self/pagemap", at("link")).expect("linked");
        symlink("..", at("sub/up")).expect("linked");
        mkfifo(&at("fifo"), Mode::S_IRWXU).expect("made");
        let (to, result) = copied(from.path(), Bounds::default());
        result.expect("copied");
        let at = |name: &str| to.path().join(name);
        assert_eq!(at("sub/run.sh").metadata().expect("there").permissions().mode() & 0o7777, 0o755);
        assert_eq!(fs::read_link(at("link")).expect("a link"), Path::new("/proc/self/pagemap"));
        assert_eq!(fs::read_link(at("sub/up")).expect("a link"), Path::new(".."));
        assert!(!at("fifo").exists() && !at("sub/.git").exists());
    }

    #[apply(test)]
    fn what_is_too_much_is_an_error_that_names_the_limit() {
        let from = Scratch::new().expect("a directory");
        let file = fs::File::create(from.path().join("big")).expect("made");
        file.set_len(2 << 30).expect("a hole");
        let (_to, result) = copied(from.path(), Bounds::default());
        assert_eq!(
            result.expect_err("too big").to_string(),
            "1024 MiB of files are the limit, and there is more"
        );
        fs::remove_file(from.path().join("big")).expect("removed");
        for name in 0..20 {
            fs::write(from.path().join(name.to_string()), "").expect("written");
        }
        let (_to, result) = copied(from.path(), Bounds { entries: 10, ..Bounds::default() });
        assert!(result.expect_err("too many").to_string().starts_with("10 files"));
        let deep: PathBuf = std::iter::repeat_n("d", 1900).collect();
        fs::create_dir_all(from.path().join(deep)).expect("made");
        let (_to, result) = copied(from.path(), Bounds::default());
        assert!(result.expect_err("too deep").to_string().starts_with("64 directories inside one another"));
    }

    #[apply(test)]
    fn five_thousand_files_are_all_copied() {
        let from = Scratch::new().expect("a directory");
        for directory in 0..50 {
            let directory = from.path().join(format!("module-{directory}"));
            fs::create_dir(&directory).expect("made");
            for file in 0..100 {
                fs::write(directory.join(format!("{file}.js")), "exports.x = 1\n").expect("written");
            }
        }
        let (to, result) = copied(from.path(), Bounds::default());
        result.expect("copied");
        let count = |directory: &Path| fs::read_dir(directory).expect("read").flatten().count();
        let modules = fs::read_dir(to.path()).expect("read").flatten();
        assert_eq!(modules.map(|module| count(&module.path())).sum::<usize>(), 5_000);
    }
}
