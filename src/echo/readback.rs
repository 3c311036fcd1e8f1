//! The log as it comes back to the client: shown, saved, and checked against what was sent.
//!
//! What was sent is remembered as counts and a running hash, never as a copy, so a log of any size
//! takes no memory. A log that is short, long or different is always an error, and what is saved of
//! one never has the name that was meant for the whole.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use xxhash_rust::xxh3::Xxh3;

use super::screen::Screen;
use super::wire::{LineEnd, Lines, Next};
use crate::fault::Fault;

/// A log that grows this many bytes beyond twice what was sent is not read any further.
const TOO_MUCH: u64 = 1024 * 1024;

const CHUNK: usize = 256 * 1024;

/// Messages and bytes counted, and a running hash of them as a log: each with a line feed.
#[derive(Clone)]
pub struct Tally {
    messages: u64,
    bytes: u64,
    hash: Xxh3,
}

impl Tally {
    /// Of nothing, yet. Its hash is another every time, so that no server can aim at it.
    pub fn new() -> Self {
        let seed = RandomState::new().build_hasher().finish();
        Tally { messages: 0, bytes: 0, hash: Xxh3::with_seed(seed) }
    }

    /// Adds a message.
    pub fn add(&mut self, message: &[u8]) {
        self.update(message);
        self.update(b"\n");
        self.messages += 1;
    }

    /// The number of messages.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

/// Reads the log from `source` to its end and shows it, and tells whether it is what was `sent`.
/// Each line of it is at most `longest` bytes if it is.
pub fn read_back(
    source: impl Read,
    sent: &Tally,
    empty: Tally,
    longest: usize,
    screen: &mut Screen<impl Write>,
    save: Option<Save>,
) -> Result<(), Fault> {
    let received = Received { source, tally: empty, save };
    let mut lines = Lines::new(received, LineEnd::Lf, longest);
    let mut whole_lines = 0;
    let ended = loop {
        if !lines.is_ready() {
            screen.flush();
        }
        match lines.next() {
            Ok(Next::Line(line)) => {
                screen.log_line(line);
                whole_lines += 1;
            }
            Ok(Next::Tail(line)) => screen.log_line(line),
            // Longer than anything that was sent: it is passed over, and the hash will tell.
            Ok(Next::TooLong) => {}
            Ok(Next::End) => break Ok(()),
            Err(error) => break Err(error),
        }
        if lines.source().tally.bytes > 2 * sent.bytes + TOO_MUCH {
            break Ok(());
        }
    };
    let Received { tally: got, save, .. } = lines.into_source();
    let judged = judge(sent, &got, whole_lines, ended);
    let saved = save.map_or(Ok(()), |save| save.finish(judged.is_ok()));
    judged.and(saved)
}

fn judge(sent: &Tally, got: &Tally, lines: u64, ended: io::Result<()>) -> Result<(), Fault> {
    let counts = format!("{} of {} bytes, {lines} of {} messages", got.bytes, sent.bytes, sent.messages);
    let short = "what is shown above is not the whole log: the server may have failed, see its screen";
    match ended {
        Err(error) => Err(Fault::new(format!("the server went away inside the log: {counts} came back"))
            .because(error)
            .hint(short)),
        Ok(()) if got.bytes < sent.bytes => {
            Err(Fault::new(format!("the log that came back is short: {counts}")).hint(short))
        }
        Ok(()) if got.bytes > sent.bytes => {
            Err(Fault::new(format!("the log that came back is too long: {counts}")))
        }
        Ok(()) if got.hash.digest() != sent.hash.digest() => Err(Fault::new(format!(
            "the log that came back is not what was sent, though as long: {} bytes",
            sent.bytes
        ))),
        Ok(()) => Ok(()),
    }
}

/// Counts, hashes and saves what is read through it.
struct Received<R> {
    source: R,
    tally: Tally,
    save: Option<Save>,
}

impl<R: Read> Read for Received<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.tally.update(&buffer[..read]);
        if let Some(save) = &mut self.save {
            save.write(&buffer[..read]);
        }
        Ok(read)
    }
}

/// A file that the log is saved to. It gets its name when it is whole; a log that is not keeps the
/// name with `.partial` behind it.
#[derive(Debug)]
pub struct Save {
    path: PathBuf,
    out: BufWriter<Target>,
    error: Option<io::Error>,
}

#[derive(Debug)]
enum Target {
    /// A regular file, not yet under its name.
    New(NamedTempFile),
    /// Something that is there already and is not a file: a pipe, a device.
    There(File),
}

impl Save {
    /// Prepares to save at `path`, so that what stands in the way is known before a session begins.
    pub fn new(path: &Path) -> Result<Self, Fault> {
        let cannot = |error| {
            Fault::usage(format!("cannot save the log in {}", path.display()))
                .because(error)
                .hint("give --save-log a file in a directory that exists and can be written")
        };
        let target = match path.metadata() {
            Ok(metadata) if metadata.is_dir() => return Err(cannot(io::ErrorKind::IsADirectory.into())),
            Ok(metadata) if !metadata.is_file() => {
                Target::There(File::options().write(true).open(path).map_err(cannot)?)
            }
            _ => {
                let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                let mut builder = tempfile::Builder::new();
                let builder = builder.prefix(".echolog-").permissions(readable());
                Target::New(builder.tempfile_in(directory.unwrap_or(Path::new("."))).map_err(cannot)?)
            }
        };
        Ok(Save { path: path.to_owned(), out: BufWriter::with_capacity(CHUNK, target), error: None })
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.error.is_none() {
            self.error = self.out.write_all(bytes).err();
        }
    }

    fn finish(mut self, whole: bool) -> Result<(), Fault> {
        let path = if whole && self.error.is_none() {
            self.path.clone()
        } else {
            let mut partial = self.path.clone().into_os_string();
            partial.push(".partial");
            partial.into()
        };
        let flushed = self.error.map_or_else(|| self.out.flush(), Err);
        let (target, _) = self.out.into_parts();
        let kept = match target {
            Target::New(file) => file.persist(&path).map(|_| ()).map_err(|error| error.error),
            Target::There(_) => Ok(()),
        };
        flushed.and(kept).map_err(|error| {
            Fault::new(format!("cannot save the log in {}", self.path.display())).because(error)
        })
    }
}

/// What a new file may be by default; the umask takes its part away.
fn readable() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Target::New(file) => file.write(bytes),
            Target::There(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Target::New(file) => file.flush(),
            Target::There(file) => file.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(sent: &[&[u8]], log: &[u8]) -> (String, Result<(), Fault>) {
        let empty = Tally::new();
        let mut tally = empty.clone();
        for message in sent {
            tally.add(message);
        }
        let mut shown = Vec::new();
        let mut screen = Screen::new(&mut shown);
        let result = read_back(log, &tally, empty, 100, &mut screen, None);
        screen.finish().unwrap();
        (String::from_utf8(shown).unwrap(), result)
    }

    #[test]
    fn the_log_that_was_sent_is_shown_and_accepted() {
        let (shown, result) = back(&[b"one", b"", b"\xff\r"], b"one\n\n\xff\r\n");
        assert_eq!(shown, "one\n\n\\xff\\x0d\n");
        result.expect("it is what was sent");
    }

    #[test]
    fn no_other_log_is_accepted() {
        for (log, words) in [
            (&b""[..], "short: 0 of 8 bytes, 0 of 2 messages"),
            (b"one\n", "short: 4 of 8 bytes, 1 of 2 messages"),
            (b"one\ntw", "short: 6 of 8 bytes, 1 of 2 messages"),
            (b"one\ntwo", "short: 7 of 8 bytes, 1 of 2 messages"),
            (b"one\ntwo\n\n", "too long: 9 of 8 bytes, 3 of 2 messages"),
            (b"two\none\n", "not what was sent"),
            (b"one\ntwO\n", "not what was sent"),
        ] {
            let error = back(&[b"one", b"two"], log).1.expect_err("it is not what was sent").to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_log_without_end_is_not_read_without_end() {
        let error = {
            let empty = Tally::new();
            let mut screen = Screen::new(io::sink());
            let endless = io::repeat(b'\n');
            read_back(endless, &empty.clone(), empty, 100, &mut screen, None).expect_err("nothing was sent")
        };
        assert!(error.to_string().contains("too long"), "{error}");
    }

    #[test]
    fn only_a_whole_log_is_saved_under_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let partial = directory.path().join("log.partial");
        let mut sent = Tally::new();
        let empty = sent.clone();
        sent.add(b"one");
        let save = |log: &[u8]| {
            let mut screen = Screen::new(io::sink());
            read_back(log, &sent, empty.clone(), 100, &mut screen, Some(Save::new(&path).unwrap()))
        };
        save(b"on").expect_err("it is short");
        assert!(!path.exists());
        assert_eq!(std::fs::read(&partial).unwrap(), b"on");
        save(b"one\n").expect("it is whole");
        assert_eq!(std::fs::read(&path).unwrap(), b"one\n");
    }
}
