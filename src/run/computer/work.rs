//! The directory that a program works in on an isolated computer: it finds everything that is in the directory
//! of the submission, and whatever it changes there only it sees.
//!
//! What always holds: changes are kept in memory, of which there is a limited amount, and are gone when the
//! program's last process has ended.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::chdir;
use rustix::fs::{XattrFlags, setxattr};

use super::SPACE_MIB;
use super::privileges::ID;
use crate::run::copy::{Bounds, copy_tree};

/// Where changes are kept until they are shown in their place.
pub(super) const CHANGES: &str = "/.changes";

/// In a process that has a mount namespace of its own: puts a directory with the contents of `original`, which
/// is shown read-only, in its place.
pub(super) fn set_up(original: &Path) -> nix::Result<()> {
    let changes = Path::new(CHANGES);
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let space = format!("mode=755,size={SPACE_MIB}m,nr_inodes=64k");
    mount(Some("tmpfs"), changes, Some("tmpfs"), flags, Some(space.as_str()))?;
    let data = original.metadata().map_err(errno)?;
    let make = |name: &str| -> nix::Result<PathBuf> {
        let path = changes.join(name);
        DirBuilder::new().mode(0o700).create(&path).map_err(errno)?;
        // The original may belong to anyone.
        chown(&path, Some(ID), Some(ID)).map_err(errno)?;
        fs::set_permissions(&path, data.permissions()).map_err(errno)?;
        Ok(path)
    };
    let upper = make("upper")?;
    make("work")?;
    if overlay(original, &upper).is_err() {
        copy(original, &upper)?;
    }
    // It stays where it is shown.
    umount2(changes, MntFlags::MNT_DETACH)
}

/// Shows what is in `upper` over `original` (overlayfs in a user namespace, Linux 5.11).
fn overlay(original: &Path, upper: &Path) -> nix::Result<()> {
    // Without extended attributes (tmpfs, before Linux 6.6) a directory could not be removed and made anew.
    setxattr(upper, "user.echolog", b"", XattrFlags::empty()).map_err(super::privileges::errno)?;
    chdir(original)?;
    let options = format!("lowerdir=.,upperdir={CHANGES}/upper,workdir={CHANGES}/work,userxattr");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("overlay"), original, Some("overlay"), flags, Some(options.as_str()))
}

/// Shows a copy of `original` in its place.
fn copy(original: &Path, upper: &Path) -> nix::Result<()> {
    let data = original.metadata().map_err(errno)?;
    let bounds = Bounds::default();
    let space = format!("size={}m,nr_inodes=0", SPACE_MIB + (bounds.bytes >> 20));
    mount(None::<&str>, CHANGES, None::<&str>, MsFlags::MS_REMOUNT, Some(space.as_str()))?;
    copy_tree(original, upper, Some((data.uid(), data.gid())), bounds).map_err(|error| {
        let cause = error.root_cause().downcast_ref::<std::io::Error>();
        cause.and_then(std::io::Error::raw_os_error).map_or(Errno::EFBIG, Errno::from_raw)
    })?;
    mount(Some(upper), original, None::<&str>, MsFlags::MS_BIND, None::<&str>)
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn errno(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}
