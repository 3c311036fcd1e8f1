//! The log as it comes back to the client: shown, saved, and compared with what was sent.
//!
//! A log that is short, long or different is always an error. The memory that is needed does not depend on the
//! size of the log.

use std::io::{self, Read, Write};

use super::connection;
use super::digest::Digest;
use super::save::Save;
use super::screen::Screen;
use super::wire::{LineEnd, Lines, Next};
use crate::error::{self, Fault};

/// A log that grows this many bytes beyond twice what was sent is not read any further.
const TOO_MUCH: u64 = 1024 * 1024;

/// Reads the log from `source` to its end and shows it, and tells whether it is what was `sent`.
/// Each line of it is at most `longest` bytes if it is.
pub fn read_back(
    source: impl Read,
    sent: &Digest,
    longest: usize,
    screen: &mut Screen<impl Write>,
    save: Option<Save>,
) -> Result<(), Fault> {
    let received = Received { source, sent, digest: sent.empty_like(), save, told: false };
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
        if lines.source().digest.bytes > 2 * sent.bytes + TOO_MUCH {
            break Ok(());
        }
    };
    let Received { digest: got, save, .. } = lines.into_source();
    let judged = judge(sent, &got, ended);
    let saved = save.map_or(Ok(()), |save| save.finish(judged.is_ok()));
    match (&judged, saved) {
        (Err(_), Err(not_saved)) => {
            error::tell(&not_saved.into());
            judged
        }
        (_, saved) => judged.and(saved),
    }
}

fn judge(sent: &Digest, got: &Digest, ended: io::Result<()>) -> Result<(), Fault> {
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
        Err(error) if connection::is_loss(&error) => {
            Err(Fault::new(format!("the connection was lost while the log arrived: {counts} came back"))
                .because(error)
                .hint(short))
        }
        Err(error) => Err(Fault::new(format!("cannot read the log: {counts} came back")).because(error)),
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

/// Computes the digest of what is read through it, and saves it.
struct Received<'a, R> {
    source: R,
    sent: &'a Digest,
    digest: Digest,
    save: Option<Save>,
    /// Whether the user knows what is waited for.
    told: bool,
}

impl<R: Read> Read for Received<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = loop {
            match self.source.read(buffer) {
                // Nothing came for as long as a read of the source takes at most.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.told && self.digest == *self.sent {
                        self.told = true;
                        error::note(
                            "the whole log has arrived; waiting for the server to close the connection",
                        );
                    }
                }
                read => break read?,
            }
        };
        self.digest.update(&buffer[..read]);
        if let Some(save) = &mut self.save {
            save.write(&buffer[..read]);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::screen::Form;

    fn back(sent: &[&[u8]], log: &[u8]) -> (String, Result<(), Fault>) {
        let mut digest = Digest::new();
        for message in sent {
            digest.update(&[message, &b"\n"[..]].concat());
        }
        let mut shown = Vec::new();
        let mut screen = Screen::new(&mut shown, Form::Screen);
        let result = read_back(log, &digest, 100, &mut screen, None);
        screen.finish().unwrap();
        (String::from_utf8(shown).unwrap(), result)
    }

    #[apply(test)]
    fn the_log_that_was_sent_is_shown_and_accepted() {
        let (shown, result) = back(&[b"one", b"", b"\xff\r"], b"one\n\n\xff\r\n");
        assert_eq!(shown, "one\n\n\\xff\\x0d\n");
        result.expect("it is what was sent");
    }

    #[apply(test)]
    fn a_connection_that_is_lost_after_the_whole_log_costs_nothing() {
        struct Lost;
        impl Read for Lost {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        let mut sent = Digest::new();
        sent.update(b"one\n");
        let back = |log: &[u8]| {
            let mut screen = Screen::new(io::sink(), Form::Screen);
            read_back(log.chain(Lost), &sent, 100, &mut screen, None)
        };
        back(b"one\n").expect("it is what was sent");
        for log in [&b"one"[..], b"two\n", b"one\n\n"] {
            let error = back(log).expect_err("it is not what was sent");
            assert!(error.to_string().contains("was lost"), "{error}");
        }
        let mut screen = Screen::new(io::sink(), Form::Screen);
        read_back(Lost, &Digest::new(), 100, &mut screen, None).expect_err("nothing says that it was all");
    }

    #[apply(test)]
    fn an_error_that_is_no_loss_is_told_in_its_own_words() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let mut screen = Screen::new(io::sink(), Form::Screen);
        let error = read_back(Broken, &Digest::new(), 100, &mut screen, None).expect_err("it is broken");
        assert!(error.to_string().starts_with("cannot read the log: 0 of 0 bytes"), "{error}");
    }

    #[apply(test)]
    fn what_has_come_is_on_the_screen_before_more_is_waited_for() {
        use std::cell::RefCell;
        use std::rc::Rc;

        #[derive(Clone, Default)]
        struct Shown(Rc<RefCell<Vec<u8>>>);
        impl Write for Shown {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.borrow_mut().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        /// What is on the screen at each read.
        struct Looks(Shown, Vec<String>);
        impl Read for Looks {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let shown = String::from_utf8(self.0.0.borrow().clone()).expect("UTF-8");
                self.1.push(shown);
                let pieces = [&b"one\ntwo\n"[..], b"thr", b"ee\n", b""];
                let piece = pieces[self.1.len() - 1];
                buffer[..piece.len()].copy_from_slice(piece);
                Ok(piece.len())
            }
        }
        let shown = Shown::default();
        let mut sent = Digest::new();
        sent.update(b"one\ntwo\nthree\n");
        let mut looks = Looks(shown.clone(), Vec::new());
        let mut screen = Screen::new(shown, Form::Screen);
        read_back(&mut looks, &sent, 100, &mut screen, None).expect("it is what was sent");
        assert_eq!(looks.1, ["", "one\ntwo\n", "one\ntwo\n", "one\ntwo\nthree\n"]);
    }

    #[apply(test)]
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

    #[apply(test)]
    fn a_source_with_nothing_to_read_is_read_again() {
        struct Slow(Vec<Option<&'static [u8]>>);
        impl Read for Slow {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let Some(piece) = self.0.pop() else { return Ok(0) };
                let piece = piece.ok_or(io::ErrorKind::WouldBlock)?;
                buffer[..piece.len()].copy_from_slice(piece);
                Ok(piece.len())
            }
        }
        let mut sent = Digest::new();
        sent.update(b"one\n");
        let mut screen = Screen::new(io::sink(), Form::Screen);
        read_back(Slow(vec![None, Some(b"one\n"), None]), &sent, 100, &mut screen, None)
            .expect("it is whole");
    }

    #[apply(test)]
    fn a_log_without_end_is_not_read_without_end() {
        let error = {
            let mut screen = Screen::new(io::sink(), Form::Screen);
            let endless = io::repeat(b'\n');
            read_back(endless, &Digest::new(), 100, &mut screen, None).expect_err("nothing was sent")
        };
        assert!(error.to_string().contains("too long"), "{error}");
        // It is read as far as a log may be whose messages came twice.
        let back = |length: u64| {
            let mut sent = Digest::new();
            sent.update(&vec![b'\n'; 3 << 20]);
            let mut screen = Screen::new(io::sink(), Form::Screen);
            let endless = io::repeat(b'\n').take(length);
            read_back(endless, &sent, 100, &mut screen, None).expect_err("it is too long").to_string()
        };
        assert!(back(7 << 20).contains(&format!("{} of", 7 << 20)), "{}", back(7 << 20));
        assert!(!back(9 << 20).contains(&format!("{} of", 9 << 20)), "{}", back(9 << 20));
        let mut screen = Screen::new(io::sink(), Form::Screen);
        let mut sent = Digest::new();
        sent.update(b"one\n");
        let endless = io::repeat(b'\n').take(64 << 20);
        let error = read_back(endless, &sent, 100, &mut screen, None).expect_err("it is too long");
        assert!(!error.to_string().contains(&format!("{} of", 64 << 20)), "{error}");
    }
}
