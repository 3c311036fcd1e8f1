//! The files of an isolated computer: the system and the tools read-only, the working copies writable,
//! a `/tmp` and a home directory of its own, and nothing else.
//!
//! Everything is mounted by the computer's own first process, in its own mount namespace. What always
//! holds: only the directories named as writable, and memory that is gone with the computer, can be written
//! to; set-user-ID and device files do not work.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File};
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{Gid, Uid, chdir, chown, pivot_root};

use super::privileges::ID;
use super::work::CHANGES;
use super::{Files, HOME, USER};

/// What is taken over from the root directory: the system, without anyone's data.
const SYSTEM: [&str; 13] =
    ["bin", "sbin", "lib", "lib32", "lib64", "libx32", "libexec", "usr", "opt", "etc", "nix", "gnu", "snap"];

/// The directories that are a computer's own, and the mode of each.
const OWN: [(&str, u32); 5] =
    [("/tmp", 0o1777), ("/var/tmp", 0o1777), ("/run", 0o1777), ("/dev/shm", 0o1777), (HOME, 0o700)];

/// A step that failed, and why.
pub(super) type Failure = (&'static str, Errno);

/// What is seen at which path of an isolated computer; made before its first process starts.
#[derive(Debug)]
pub(super) struct View {
    /// The empty directory at which it is put together.
    pub(super) base: PathBuf,
    /// Read-only, besides the system.
    pub(super) readable: Vec<PathBuf>,
    pub(super) writable: Vec<PathBuf>,
    /// How much the computer's own directories hold together.
    pub(super) space_mib: u64,
    /// Files of `/etc` that are replaced, with their contents.
    pub(super) etc: Vec<(&'static str, String)>,
}

impl View {
    /// For the computer `name`, whose address is `own`; the other one is at `other`.
    pub(super) fn new(
        base: &Path,
        files: &Files,
        tools: &[PathBuf],
        name: &str,
        own: Ipv4Addr,
        other: Ipv4Addr,
    ) -> View {
        let other_name = if name == "server" { "client" } else { "server" };
        let hosts =
            format!("127.0.0.1 localhost\n::1 localhost ip6-localhost\n{own} {name}\n{other} {other_name}\n");
        let users = format!(
            "root:x:0:0:root:/root:/bin/sh\n{USER}:x:{ID}:{ID}:{USER}:{HOME}:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"
        );
        let etc = vec![
            ("hosts", hosts),
            ("hostname", format!("{name}\n")),
            // Without a server that it could ask, a look-up fails at once.
            ("resolv.conf", String::new()),
            ("nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nservices: files\nprotocols: files\n".to_owned()),
            ("passwd", users),
            ("group", format!("root:x:0:\ntty:x:5:\n{USER}:x:{ID}:\nnogroup:x:65534:\n")),
        ];
        let readable = files.readable.iter().chain(&files.copied).chain(tools);
        let mut readable: Vec<PathBuf> = readable.filter(|path| !is_system(path)).cloned().collect();
        // A directory before what is in it.
        readable.sort();
        readable.dedup();
        View {
            base: base.to_owned(),
            readable,
            writable: files.writable.clone(),
            space_mib: files.space_mib,
            etc,
        }
    }

    /// Makes this process, which has a mount namespace of its own, see this view and nothing else.
    pub(super) fn enter(&self) -> Result<(), Failure> {
        let at = |step: &'static str| move |errno: Errno| (step, errno);
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
            .map_err(at("cannot separate the mounts"))?;
        self.memory(Path::new(""), "mode=755,size=1m,nr_inodes=64k").map_err(at("cannot mount a tmpfs"))?;
        self.system().map_err(at("cannot mount the system"))?;
        self.devices().map_err(at("cannot mount /dev"))?;
        self.own_directories().map_err(at("cannot make /tmp and a home directory"))?;
        self.etc().map_err(at("cannot replace files of /etc"))?;
        for path in &self.readable {
            self.bind(path, Access::Read).map_err(at("cannot mount a tool's directory"))?;
        }
        for path in &self.writable {
            self.bind(path, Access::Write).map_err(at("cannot mount a working directory"))?;
        }
        // The kernel allows a new one only where the old one is to be seen.
        self.bind(Path::new("/proc"), Access::Write).map_err(at("cannot mount /proc"))?;
        chdir(&self.base)
            .and_then(|()| pivot_root(".", "."))
            .map_err(at("cannot change the root directory"))?;
        umount2(".", MntFlags::MNT_DETACH).map_err(at("cannot leave the old root directory"))?;
        chdir("/").map_err(at("cannot change the root directory"))?;
        set_attributes(Path::new("/"), libc::MOUNT_ATTR_RDONLY, 0)
            .map_err(at("cannot make the root directory read-only"))
    }

    fn system(&self) -> nix::Result<()> {
        for name in SYSTEM {
            let path = Path::new("/").join(name);
            let Ok(data) = path.symlink_metadata() else { continue };
            if data.is_symlink() {
                let target = fs::read_link(&path).map_err(errno)?;
                symlink(target, self.place(&path)).map_err(errno)?;
            } else if data.is_dir() {
                self.bind(&path, Access::Read)?;
            }
        }
        Ok(())
    }

    fn devices(&self) -> nix::Result<()> {
        let place = self.memory(Path::new("/dev"), "mode=755,size=64k,nr_inodes=64")?;
        for name in ["null", "zero", "full", "random", "urandom", "tty"] {
            let path = Path::new("/dev").join(name);
            if path.exists() {
                self.bind(&path, Access::Device)?;
            }
        }
        for (name, target) in [
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
            ("ptmx", "pts/ptmx"),
        ] {
            symlink(target, place.join(name)).map_err(errno)?;
        }
        let terminals = self.directory(Path::new("/dev/pts"))?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        mount(Some("devpts"), &terminals, Some("devpts"), flags, Some("newinstance,ptmxmode=0666,mode=0620"))
    }

    fn own_directories(&self) -> nix::Result<()> {
        self.directory(Path::new(CHANGES))?;
        let space = format!("mode=755,size={}m,nr_inodes=256k", self.space_mib);
        let own = self.memory(Path::new("/.own"), &space)?;
        for (number, (path, mode)) in OWN.into_iter().enumerate() {
            let source = own.join(number.to_string());
            DirBuilder::new().create(&source).map_err(errno)?;
            fs::set_permissions(&source, fs::Permissions::from_mode(mode)).map_err(errno)?;
            let place = self.directory(Path::new(path))?;
            mount(Some(&source), &place, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        }
        chown(&self.place(Path::new(HOME)), Some(Uid::from_raw(ID)), Some(Gid::from_raw(ID)))?;
        umount2(&own, MntFlags::MNT_DETACH)
    }

    fn etc(&self) -> nix::Result<()> {
        let own = self.memory(Path::new("/.etc"), "mode=755,size=64k,nr_inodes=64")?;
        for (name, contents) in &self.etc {
            let target = self.place(&Path::new("/etc").join(name));
            // Nothing can be made there; what is no file of its own leads nowhere on this computer.
            if !target.symlink_metadata().is_ok_and(|data| data.is_file()) {
                continue;
            }
            let file = own.join(name);
            fs::write(&file, contents).map_err(errno)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).map_err(errno)?;
            mount(Some(&file), &target, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
            set_attributes(&target, libc::MOUNT_ATTR_RDONLY, 0)?;
        }
        Ok(())
    }

    fn place(&self, path: &Path) -> PathBuf {
        self.base.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn directory(&self, path: &Path) -> nix::Result<PathBuf> {
        let place = self.place(path);
        DirBuilder::new().recursive(true).mode(0o755).create(&place).map_err(errno)?;
        Ok(place)
    }

    fn memory(&self, path: &Path, options: &str) -> nix::Result<PathBuf> {
        let place = self.directory(path)?;
        mount(Some("tmpfs"), &place, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(options))?;
        Ok(place)
    }

    /// Shows `path` at the same place.
    fn bind(&self, path: &Path, access: Access) -> nix::Result<()> {
        let place = self.place(path);
        // It may be in a directory that is shown already.
        if place.symlink_metadata().is_err() {
            if path.is_dir() {
                self.directory(path)?;
            } else {
                self.directory(path.parent().unwrap_or(path))?;
                File::create(&place).map_err(errno)?;
            }
        }
        mount(Some(path), &place, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)?;
        let attributes = match access {
            Access::Read => libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
            Access::Write => libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
            Access::Device => return Ok(()),
        };
        set_attributes(&place, attributes, libc::AT_RECURSIVE)
    }
}

#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
    Device,
}

/// Whether `path` is in a directory that every computer has.
pub(super) fn is_system(path: &Path) -> bool {
    let first = path.strip_prefix("/").ok().and_then(|path| path.components().next());
    first.is_some_and(|first| SYSTEM.iter().any(|name| first.as_os_str() == *name))
}

/// Sets `attributes` of the mount at `path` (`mount_setattr(2)`, Linux 5.12).
fn set_attributes(path: &Path, attributes: u64, flags: i32) -> nix::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let set = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    #[expect(unsafe_code, reason = "neither nix nor rustix wraps this call")]
    // SAFETY: the path ends with a zero byte, and the call reads a mount_attr of the size that it is told.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const set,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(result).map(drop)
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn errno(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}
