//! The log as it comes back to the client: shown, saved, and checked against what was sent.
//!
//! A log that is short, long or different is always an error, and what is saved of one never has the
//! name that was meant for the whole. A log of any size takes no memory.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::screen::Screen;
use super::tally::Tally;
use super::wire::{LineEnd, Lines, Next};
use crate::error::Fault;

/// A log that grows this many bytes beyond twice what was sent is not read any further.
const TOO_MUCH: u64 = 1024 * 1024;

const CHUNK: usize = 256 * 1024;

/// Reads the log from `source` to its end and shows it, and tells whether it is what was `sent`.
/// Each line of it is at most `longest` bytes if it is.
pub fn read_back(
    source: impl Read,
    sent: &Tally,
    longest: usize,
    screen: &mut Screen<impl Write>,
    save: Option<Save>,
) -> Result<(), Fault> {
    let received = Received { source, tally: sent.anew(), save };
    let mut lines = Lines::new(received, LineEnd::Lf, longest);
    let ended = loop {
        if !lines.is_ready() {
            screen.flush();
        }
        let together = lines.plain_lines();
        if together.is_empty() {
            match lines.next() {
                Ok(Next::Line(line) | Next::Tail(line)) => screen.log_line(line),
                // Longer than anything that was sent: it is passed over, and the hash will tell.
                Ok(Next::TooLong) => {}
                Ok(Next::End) => break Ok(()),
                Err(error) => break Err(error),
            }
        } else {
            screen.log_lines(together);
            let shown = together.len();
            lines.pass_lines(shown);
        }
        if lines.source().tally.bytes > 2 * sent.bytes + TOO_MUCH {
            break Ok(());
        }
    };
    let Received { tally: got, save, .. } = lines.into_source();
    let judged = judge(sent, &got, ended);
    let saved = save.map_or(Ok(()), |save| save.finish(judged.is_ok()));
    judged.and(saved)
}

fn judge(sent: &Tally, got: &Tally, ended: io::Result<()>) -> Result<(), Fault> {
    let counts =
        format!("{} of {} bytes, {} of {} messages", got.bytes, sent.bytes, got.messages, sent.messages);
    let whole = got == sent;
    // A log that came whole is whole, however the connection ended then; that nothing came is a log
    // only when the server says that this was all.
    if whole && (ended.is_ok() || got.bytes > 0) {
        return Ok(());
    }
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
        Ok(()) => Err(Fault::new(format!(
            "the log that came back is not what was sent, though as long: {} bytes",
            sent.bytes
        ))),
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
    /// A file is opened when the log comes: a session that is broken off before leaves nothing behind.
    out: Option<BufWriter<Target>>,
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
        let kind = match path.metadata() {
            Err(_) if path.as_os_str().as_bytes().ends_with(b"/") => {
                return Err(cannot(io::ErrorKind::IsADirectory.into()));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            metadata => Some(metadata.map_err(cannot)?.file_type()),
        };
        let mut save = Save { path: path.to_owned(), out: None, error: None };
        if let Some(kind) = kind {
            if kind.is_dir() {
                return Err(cannot(io::ErrorKind::IsADirectory.into()));
            }
            let there = File::options().write(true).open(path).map_err(cannot)?;
            if !kind.is_file() {
                save.out = Some(BufWriter::with_capacity(CHUNK, Target::There(there)));
                return Ok(save);
            }
            // What a link leads to is replaced, not the link.
            save.path = path.canonicalize().map_err(cannot)?;
        }
        new_file(&save.path).map_err(cannot)?;
        Ok(save)
    }

    fn out(&mut self) -> io::Result<&mut BufWriter<Target>> {
        let out = match self.out.take() {
            Some(out) => out,
            None => BufWriter::with_capacity(CHUNK, Target::New(new_file(&self.path)?)),
        };
        Ok(self.out.insert(out))
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.error.is_none() {
            self.error = self.out().and_then(|out| out.write_all(bytes)).err();
        }
    }

    fn finish(mut self, whole: bool) -> Result<(), Fault> {
        let flushed = self.error.take().map_or_else(|| self.out()?.flush(), Err);
        let path = if whole && flushed.is_ok() {
            self.path.clone()
        } else {
            let mut partial = self.path.clone().into_os_string();
            partial.push(".partial");
            partial.into()
        };
        let kept = match self.out.map(|out| out.into_parts().0) {
            Some(Target::New(file)) => file.persist(&path).map(|_| ()).map_err(|error| error.error),
            Some(Target::There(_)) | None => Ok(()),
        };
        flushed.and(kept).map_err(|error| {
            Fault::new(format!("cannot save the log in {}", self.path.display())).because(error)
        })
    }
}

/// A file that may get the name `path`, beside it: whoever may read what has that name now may read
/// the file too, and nobody else.
fn new_file(path: &Path) -> io::Result<NamedTempFile> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let now = path.metadata().map(|metadata| metadata.permissions());
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix(".echolog-").suffix(".partial");
    // The umask takes its part away of a new file's permissions, and not of an older file's.
    builder.permissions(now.as_ref().map_or(PermissionsExt::from_mode(0o666), Permissions::clone));
    let file = builder.tempfile_in(directory.unwrap_or(Path::new(".")))?;
    if let Ok(now) = now {
        file.as_file().set_permissions(now)?;
    }
    Ok(file)
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
        let mut tally = Tally::new();
        for message in sent {
            tally.update(&[message, &b"\n"[..]].concat());
        }
        let mut shown = Vec::new();
        let mut screen = Screen::new(&mut shown);
        let result = read_back(log, &tally, 100, &mut screen, None);
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
    fn a_connection_that_is_lost_after_the_whole_log_costs_nothing() {
        struct Lost;
        impl Read for Lost {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        let mut sent = Tally::new();
        sent.update(b"one\n");
        let back = |log: &[u8]| {
            let mut screen = Screen::new(io::sink());
            read_back(log.chain(Lost), &sent, 100, &mut screen, None)
        };
        back(b"one\n").expect("it is what was sent");
        for log in [&b"one"[..], b"two\n", b"one\n\n"] {
            let error = back(log).expect_err("it is not what was sent");
            assert!(error.to_string().contains("went away"), "{error}");
        }
        let mut screen = Screen::new(io::sink());
        read_back(Lost, &Tally::new(), 100, &mut screen, None).expect_err("nothing says that it was all");
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
            let mut screen = Screen::new(io::sink());
            let endless = io::repeat(b'\n');
            read_back(endless, &Tally::new(), 100, &mut screen, None).expect_err("nothing was sent")
        };
        assert!(error.to_string().contains("too long"), "{error}");
    }

    #[test]
    fn only_a_whole_log_is_saved_under_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let partial = directory.path().join("log.partial");
        let mut sent = Tally::new();
        sent.update(b"one\n");
        let save = |log: &[u8]| {
            let mut screen = Screen::new(io::sink());
            read_back(log, &sent, 100, &mut screen, Some(Save::new(&path).unwrap()))
        };
        save(b"on").expect_err("it is short");
        assert!(!path.exists());
        assert_eq!(std::fs::read(&partial).unwrap(), b"on");
        save(b"one\n").expect("it is whole");
        assert_eq!(std::fs::read(&path).unwrap(), b"one\n");
    }
}
