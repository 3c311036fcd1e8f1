//! Reading the files of a submission, which may be anything: a pipe that nobody writes to, a device, a file of
//! the kernel's that has no end.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::libc;

/// The most that is read, in bytes.
const MOST: u64 = 1 << 20;

/// The text of the file at `path`, which must be a file, and not a large one.
pub fn text(path: &Path) -> io::Result<String> {
    // Opening a pipe waits for its other end otherwise.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::other("it has more than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[apply(test)]
    fn only_small_files_are_read_and_nothing_is_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "text\n").expect("written");
        fs::write(at("full"), vec![b'x'; 1 << 20]).expect("written");
        fs::write(at("large"), vec![b'x'; (1 << 20) + 1]).expect("written");
        mkfifo(&at("pipe"), Mode::S_IRWXU).expect("made");
        for (name, target) in [("zero", "/dev/zero"), ("link", "file"), ("pages", "/proc/self/pagemap")] {
            symlink(target, at(name)).expect("linked");
        }
        let read = |name: &str| text(&at(name)).map_err(|error| error.to_string());
        assert_eq!(read("file"), Ok("text\n".to_owned()));
        assert_eq!(read("link"), Ok("text\n".to_owned()));
        assert_eq!(read("full").map(|text| text.len()), Ok(1 << 20));
        assert_eq!(read("large"), Err("it has more than 1 MiB".to_owned()));
        assert_eq!(read("pipe"), Err("it is not a file".to_owned()));
        assert_eq!(read("zero"), Err("it is not a file".to_owned()));
        assert!(read("pages").is_err());
        assert!(text(&at("nothing")).is_err_and(|error| error.kind() == io::ErrorKind::NotFound));
    }
}
