//! Saving the log (`--save-log`).
//!
//! A log gets the name that was meant for it when it has arrived whole and is on the disk. Until then it is in
//! a file with `.partial` behind the name, which stays when the session fails. A file that exists keeps its
//! owner, group and permissions, and its other names. What is not a regular file, or is already open as
//! standard output or error, is written as it is and never replaced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::error::{Fault, Patient};

/// The bytes written at once.
const CHUNK: usize = 256 * 1024;

/// Symbolic links followed, one to the next (as the kernel does).
const LINKS: usize = 40;

/// Where a log is saved.
#[derive(Debug)]
pub struct Save {
    /// The name that the user gave.
    name: PathBuf,
    to: To,
    error: Option<io::Error>,
}

#[derive(Debug)]
enum To {
    /// A stream that is open already: a pipe, a device, standard output.
    Stream(BufWriter<Patient<File>>),
    /// A regular file. It is opened when the log arrives: a session that fails before leaves no file.
    File { path: PathBuf, partial: Option<BufWriter<File>> },
}

impl Save {
    /// Prepares to save at `name`, so that what stands in the way is known before a session begins.
    pub fn new(name: &Path) -> Result<Self, Fault> {
        let to = prepare(name).map_err(|error| {
            Fault::usage(format!("cannot save the log in {}", name.display()))
                .because(error)
                .hint("give --save-log a file in a directory that exists and can be written, or - for standard output")
        })?;
        Ok(Save { name: name.to_owned(), to, error: None })
    }

    /// Whether the log is saved to standard output.
    pub fn is_stdout(&self) -> bool {
        let To::Stream(out) = &self.to else { return false };
        same_file(&out.get_ref().0.metadata(), io::stdout().as_fd())
    }

    /// Saves the next bytes of the log. The first error is kept for [`finish`](Self::finish).
    pub fn write(&mut self, bytes: &[u8]) {
        if self.error.is_none() {
            self.error = self.put(bytes).err();
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.to {
            To::Stream(out) => out.write_all(bytes),
            To::File { path, partial } => {
                let out = match partial {
                    Some(out) => out,
                    None => partial.insert(BufWriter::with_capacity(CHUNK, create(path)?)),
                };
                out.write_all(bytes)
            }
        }
    }

    /// Ends the saving of a log that is `whole` or not.
    pub fn finish(mut self, whole: bool) -> Result<(), Fault> {
        // An empty log is one as well.
        let put = if whole { self.put(b"") } else { Ok(()) };
        let done = self.error.take().map_or(put, Err).and_then(|()| match self.to {
            To::Stream(mut out) => out.flush(),
            To::File { partial: None, .. } => Ok(()),
            To::File { path, partial: Some(mut out) } => {
                out.flush()?;
                let (file, _) = out.into_parts();
                file.sync_all()?;
                if whole { publish(&path, file) } else { Ok(()) }
            }
        });
        done.map_err(|error| {
            Fault::new(format!("cannot save the log in {}", self.name.display())).because(error)
        })
    }
}

/// Finds out what `name` is, and that it can be written.
fn prepare(name: &Path) -> io::Result<To> {
    if let Some(stream) = open_stream(name)? {
        return Ok(To::Stream(BufWriter::with_capacity(CHUNK, Patient(stream))));
    }
    if name.as_os_str().as_bytes().ends_with(b"/") || name.as_os_str().is_empty() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let existing = match fs::metadata(name) {
        Ok(now) if now.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(now) => Some((OpenOptions::new().write(true).open(name)?, now.is_file())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let path = match (follow_links(name), existing) {
        (Ok(Some(path)), None | Some((_, true))) => path,
        (_, Some((stream, _))) => {
            return Ok(To::Stream(BufWriter::with_capacity(CHUNK, Patient(stream))));
        }
        (Err(error), None) => return Err(error),
        (Ok(None), None) => return Err(io::ErrorKind::NotFound.into()),
    };
    // A file without a name, which the kernel removes, shows whether the directory can be written.
    tempfile::tempfile_in(directory_of(&path))?;
    Ok(To::File { path, partial: None })
}

/// The stream that `name` stands for, if it is one that is open in this program: another open file of the
/// same name would begin again at its start.
fn open_stream(name: &Path) -> io::Result<Option<File>> {
    let standard = [io::stdout().as_fd().try_clone_to_owned()?, io::stderr().as_fd().try_clone_to_owned()?];
    let [out, err] = standard.map(File::from);
    if name.as_os_str() == "-" || same_file(&fs::metadata(name), out.as_fd()) {
        return Ok(Some(out));
    }
    Ok(same_file(&fs::metadata(name), err.as_fd()).then_some(err))
}

fn same_file(one: &io::Result<fs::Metadata>, other: BorrowedFd<'_>) -> bool {
    let (Ok(one), Ok(other)) = (one, nix::sys::stat::fstat(other)) else { return false };
    (one.dev(), one.ino()) == (other.st_dev, other.st_ino)
}

/// What `name` leads to, which need not exist. `None` for a descriptor of this program: only the kernel can
/// follow such a link.
fn follow_links(name: &Path) -> io::Result<Option<PathBuf>> {
    let mut path = name.to_owned();
    for _ in 0..LINKS {
        let directory = directory_of(&path).canonicalize()?;
        if directory.starts_with("/proc") {
            return Ok(None);
        }
        match fs::read_link(&path) {
            Ok(target) => path = directory.join(target),
            // Not a link, or nothing.
            Err(_) => return Ok(Some(path)),
        }
    }
    Err(nix::errno::Errno::ELOOP.into())
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn partial_name(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(".partial");
    name.into()
}

/// The file that holds the log while it arrives: whoever may read the file at `path` now may read it, and
/// nobody else.
fn create(path: &Path) -> io::Result<File> {
    let name = partial_name(path);
    match fs::remove_file(&name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let now = fs::metadata(path).ok();
    let mode = now.as_ref().map_or(0o666, |now| now.mode() & 0o777);
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(name)?;
    if now.is_some() {
        // The umask takes its part away of a new file's permissions, and not of an older file's.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
    }
    Ok(file)
}

/// Gives the whole log in `file` the name `path`.
fn publish(path: &Path, mut file: File) -> io::Result<()> {
    let partial = partial_name(path);
    // Another client that saves to the same name has put its own file there.
    if !same_file(&fs::symlink_metadata(&partial), file.as_fd()) {
        return Err(io::Error::other("another program has replaced the partial file"));
    }
    if let Ok(now) = fs::metadata(path) {
        let ours = file.metadata()?;
        let owned_alike = (now.uid(), now.gid()) == (ours.uid(), ours.gid())
            || fchown(&file, Some(now.uid()), Some(now.gid())).is_ok();
        let replaceable = owned_alike && now.nlink() == 1;
        if !replaceable || file.set_permissions(now.permissions()).is_err() {
            file.rewind()?;
            let mut there = OpenOptions::new().write(true).truncate(true).open(path)?;
            io::copy(&mut file, &mut there)?;
            there.sync_all()?;
            return fs::remove_file(partial);
        }
    }
    fs::rename(partial, path)?;
    // The name is on the disk when the directory is. Not every file system can do that.
    let _ = File::open(directory_of(path)).and_then(|directory| directory.sync_all());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(path: &Path, log: &[u8], whole: bool) -> Result<(), Fault> {
        let mut save = Save::new(path)?;
        save.write(log);
        save.finish(whole)
    }

    #[apply(test)]
    fn only_a_whole_log_is_saved_under_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        saved(&path, b"on", false).unwrap();
        assert!(!path.exists());
        assert_eq!(fs::read(partial_name(&path)).unwrap(), b"on");
        saved(&path, b"one\n", true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\n");
        assert!(!partial_name(&path).exists());
    }

    #[apply(test)]
    fn an_empty_log_is_an_empty_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        saved(&path, b"", true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
    }

    #[apply(test)]
    fn a_file_with_several_names_keeps_them() {
        let directory = tempfile::tempdir().unwrap();
        let [path, other] = ["log", "other"].map(|name| directory.path().join(name));
        fs::write(&path, "an older and longer log\n").unwrap();
        fs::hard_link(&path, &other).unwrap();
        saved(&path, b"new\n", true).unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"new\n");
        assert!(!partial_name(&path).exists());
    }

    #[apply(test)]
    fn a_link_to_nothing_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let [path, link] = ["log", "link"].map(|name| directory.path().join(name));
        std::os::unix::fs::symlink("log", &link).unwrap();
        saved(&link, b"one\n", true).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("log"));
        assert_eq!(fs::read(&path).unwrap(), b"one\n");
    }

    #[apply(test)]
    fn a_partial_file_of_another_program_does_not_get_the_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut first = Save::new(&path).unwrap();
        first.write(b"first");
        let mut second = Save::new(&path).unwrap();
        second.write(b"sec");
        first.finish(true).unwrap_err();
        assert!(!path.exists());
        second.write(b"ond");
        second.finish(true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
    }
}
