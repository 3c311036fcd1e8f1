//! The wire: messages in a stream of bytes.
//!
//! Client to server, a message is its bytes and a line feed; a carriage return before the line feed
//! belongs to the line end (telnet, files from Windows). A message that itself ends in a carriage
//! return is therefore sent with both, so that every message without a line feed in it arrives as
//! it was. Server to client, the log is every message and a line feed, verbatim.
//!
//! However the stream was split on its way, the same lines come out; and memory stays within the
//! limit for one line, whatever arrives.

use std::io::{self, Read, Write};

use super::digest::{Digest, messages_in};
use crate::escape;

/// The message that ends a session. Nothing else does: `Quit`, ` quit` and `quit now` are messages.
pub const QUIT: &[u8] = b"quit";

/// The bytes sent at once, and read at once while lines are short.
const CHUNK: usize = 256 * 1024;

/// Sends messages as a client does, in large pieces, and computes their digest.
pub struct Sender<W> {
    wire: W,
    /// What is to come next of the log that the messages make.
    pending: Vec<u8>,
    sent: Digest,
}

impl<W: Write> Sender<W> {
    /// To send over `wire`.
    pub fn new(wire: W) -> Self {
        Sender { wire, pending: Vec::with_capacity(CHUNK), sent: Digest::new() }
    }

    /// Sends `message`, at the latest at the next [`flush`](Self::flush).
    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.put(message)?;
        if message.ends_with(b"\r") {
            // One more, which belongs to the line end: there is none of it in the log.
            self.flush()?;
            self.wire.write_all(b"\r")?;
        }
        self.put(b"\n")
    }

    /// Sends plain messages, each with its line feed, at once.
    pub fn send_lines(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            // What is pending may wait for more.
            return Ok(());
        }
        self.flush()?;
        self.pass(lines)
    }

    /// Sends everything that is pending.
    pub fn flush(&mut self) -> io::Result<()> {
        let mut pending = std::mem::take(&mut self.pending);
        let passed = self.pass(&pending);
        pending.clear();
        self.pending = pending;
        passed
    }

    /// Sends everything that is pending, and the message that ends the session.
    pub fn quit(&mut self) -> io::Result<()> {
        self.flush()?;
        self.wire.write_all(&[QUIT, b"\n"].concat())
    }

    /// The number of messages so far.
    pub fn messages(&self) -> u64 {
        self.sent.messages + messages_in(&self.pending)
    }

    /// The digest of all that was sent.
    pub fn into_sent(self) -> Digest {
        self.sent
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.pending.len() + bytes.len() > CHUNK {
            self.flush()?;
            if bytes.len() > CHUNK {
                return self.pass(bytes);
            }
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sent.update(bytes);
        self.wire.write_all(bytes)
    }
}

/// The messages that `lines` are, each with its line feed, up to one that quits.
pub fn messages(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    let message = move |end| {
        let message = &lines[start..end];
        start = end + 1;
        message
    };
    memchr::memchr_iter(b'\n', lines).map(message).take_while(|message| *message != QUIT)
}

/// What ends a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnd {
    /// A line feed alone: a carriage return before it is part of the line.
    Lf,
    /// A line feed, or a carriage return and a line feed.
    MaybeCrLf,
}

/// What comes next in a stream of lines.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A line, without its end.
    Line(&'a [u8]),
    /// A line over the limit. It is passed over.
    TooLong,
    /// The stream ended inside a line; these are its bytes.
    Tail(&'a [u8]),
    /// The stream ended between lines.
    End,
}

/// Splits a stream into lines of at most a given length.
#[derive(Debug)]
pub struct Lines<R> {
    source: R,
    line_end: LineEnd,
    limit: usize,
    buffer: Vec<u8>,
    /// `buffer[start..end]` was read and not handed out.
    start: usize,
    end: usize,
    /// `buffer[start..scanned]` holds no line feed.
    scanned: usize,
    /// The lines up to here are not all plain text.
    mixed: usize,
    /// What comes up to the next line feed belongs to a line that was too long.
    skipping: bool,
    ended: bool,
}

impl<R: Read> Lines<R> {
    /// Lines of at most `limit` bytes, line ends not counted.
    pub fn new(source: R, line_end: LineEnd, limit: usize) -> Self {
        Lines {
            source,
            line_end,
            limit,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            scanned: 0,
            mixed: 0,
            skipping: false,
            ended: false,
        }
    }

    /// Takes lines of at most `limit` bytes from here on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Whether [`next`](Self::next) will answer without reading, and so without blocking.
    pub fn is_ready(&mut self) -> bool {
        self.skip();
        self.ended || self.find_line_feed().is_some() || self.unfinished() > self.longest()
    }

    /// The next line, or how the stream ended. An error is the source's; what was read before it is
    /// still there for [`unfinished`](Self::unfinished) to tell.
    pub fn next(&mut self) -> io::Result<Next<'_>> {
        loop {
            self.skip();
            if let Some(line_feed) = self.find_line_feed() {
                let mut line = self.start..line_feed;
                self.pass(line_feed + 1);
                if self.line_end == LineEnd::MaybeCrLf && self.buffer[line.clone()].ends_with(b"\r") {
                    line.end -= 1;
                }
                return Ok(if line.len() > self.limit {
                    Next::TooLong
                } else {
                    Next::Line(&self.buffer[line])
                });
            }
            if self.unfinished() > self.longest() {
                self.skipping = true;
                return Ok(Next::TooLong);
            }
            if self.ended {
                let tail = self.start..self.end;
                self.pass(self.end);
                return Ok(match tail.len() {
                    0 => Next::End,
                    length if length > self.limit => Next::TooLong,
                    _ => Next::Tail(&self.buffer[tail]),
                });
            }
            self.read_more()?;
        }
    }

    /// The whole lines that are there, each with its line feed, if they are plain text throughout and none
    /// can be over the limit: what comes in numbers is nearly always like that, and looked at together it
    /// is cheap. Otherwise nothing, and the lines are to be had singly. What is taken of it is to be
    /// [passed](Self::pass_lines).
    pub fn plain_lines(&mut self) -> &[u8] {
        let singly = self.skipping || self.start < self.mixed || self.unfinished() > self.limit;
        if singly || self.find_line_feed().is_none() {
            return &[];
        }
        let unread = &self.buffer[self.start..self.end];
        let lines = &unread[..=memchr::memrchr(b'\n', unread).unwrap_or_default()];
        if !escape::are_plain(lines) {
            self.mixed = self.start + lines.len();
            return &[];
        }
        lines
    }

    /// Passes over the first `bytes` of what [`plain_lines`](Self::plain_lines) gave.
    pub fn pass_lines(&mut self, bytes: usize) {
        self.pass(self.start + bytes);
    }

    /// How many bytes have been read of a line whose end has not.
    pub fn unfinished(&self) -> usize {
        self.end - self.start
    }

    /// Where the lines come from.
    pub fn source(&self) -> &R {
        &self.source
    }

    /// Gives back where the lines come from; what was read of it and not handed out is gone.
    pub fn into_source(self) -> R {
        self.source
    }

    /// The longest unfinished line that may still become one within the limit.
    fn longest(&self) -> usize {
        self.limit.saturating_add(usize::from(self.line_end == LineEnd::MaybeCrLf))
    }

    /// Passes over what is there of a line that was too long.
    fn skip(&mut self) {
        if self.skipping {
            let line_feed = self.find_line_feed();
            self.skipping = line_feed.is_none() && !self.ended;
            self.pass(line_feed.map_or(self.end, |line_feed| line_feed + 1));
        }
    }

    fn pass(&mut self, to: usize) {
        self.start = to;
        self.scanned = to;
    }

    fn find_line_feed(&mut self) -> Option<usize> {
        // Asked more than once for each line: what was found last time is there at once.
        if self.buffer[self.scanned..self.end].first() == Some(&b'\n') {
            return Some(self.scanned);
        }
        let found = memchr::memchr(b'\n', &self.buffer[self.scanned..self.end]);
        self.scanned = found.map_or(self.end, |at| self.scanned + at);
        found.map(|_| self.scanned)
    }

    /// Reads once, so that [`is_ready`](Self::is_ready) may come true.
    pub fn read_more(&mut self) -> io::Result<()> {
        // What is kept moves to the front, so that a line always lies in one piece.
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.scanned -= self.start;
        self.mixed = self.mixed.saturating_sub(self.start);
        self.start = 0;
        if self.end == self.buffer.len() {
            // Doubling, but never much beyond the longest line there may be.
            let wanted = (2 * self.buffer.len()).max(CHUNK).min(self.longest().saturating_add(CHUNK));
            // Where memory is limited, this is an error rather than the end of the program.
            self.buffer.try_reserve(wanted - self.buffer.len())?;
            self.buffer.resize(wanted, 0);
        }
        let read = loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.end += read;
        self.ended = read == 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Hands out its pieces, one a read.
    struct Pieces(Vec<Vec<u8>>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            buffer[..piece.len()].copy_from_slice(&piece);
            Ok(piece.len())
        }
    }

    #[derive(Clone, Debug, PartialEq)]
    enum Owned {
        Line(Vec<u8>),
        TooLong,
        Tail(Vec<u8>),
    }

    fn lines(pieces: Vec<Vec<u8>>, line_end: LineEnd, limit: usize) -> Vec<Owned> {
        lines_by(pieces, line_end, limit, |_| Vec::new())
    }

    /// The plain ones together where they can be had so, and the others singly.
    fn lines_together(pieces: Vec<Vec<u8>>, line_end: LineEnd, limit: usize) -> Vec<Owned> {
        lines_by(pieces, line_end, limit, |lines| {
            let together = lines.plain_lines().to_vec();
            assert!(together.iter().all(|byte| b"ab\n".contains(byte)), "{together:?}");
            lines.pass_lines(together.len());
            together
        })
    }

    /// The lines that `together` gives, and the others singly.
    fn lines_by(
        pieces: Vec<Vec<u8>>,
        line_end: LineEnd,
        limit: usize,
        together: impl Fn(&mut Lines<Pieces>) -> Vec<u8>,
    ) -> Vec<Owned> {
        let mut lines = Lines::new(Pieces(pieces), line_end, limit);
        let mut found = Vec::new();
        loop {
            for line in together(&mut lines).split_inclusive(|&byte| byte == b'\n') {
                found.push(Owned::Line(line.strip_suffix(b"\n").expect("it is whole").to_vec()));
            }
            found.push(match lines.next().unwrap() {
                Next::Line(line) => Owned::Line(line.to_vec()),
                Next::TooLong => Owned::TooLong,
                Next::Tail(tail) => Owned::Tail(tail.to_vec()),
                Next::End => return found,
            });
        }
    }

    /// What the stream means, without any buffer: the definition that [`Lines`] is held against.
    fn meant(stream: &[u8], line_end: LineEnd, limit: usize) -> Vec<Owned> {
        let mut pieces: Vec<&[u8]> = stream.split(|&byte| byte == b'\n').collect();
        let tail = pieces.pop().unwrap_or_default();
        let line = |piece: &[u8]| {
            let crlf = line_end == LineEnd::MaybeCrLf;
            let line = piece.strip_suffix(b"\r").filter(|_| crlf).unwrap_or(piece);
            if line.len() > limit { Owned::TooLong } else { Owned::Line(line.to_vec()) }
        };
        let mut meant: Vec<Owned> = pieces.into_iter().map(line).collect();
        match tail.len() {
            0 => {}
            length if length > limit => meant.push(Owned::TooLong),
            _ => meant.push(Owned::Tail(tail.to_vec())),
        }
        meant
    }

    #[apply(test)]
    fn a_carriage_return_belongs_to_the_line_end_only_where_it_may() {
        let stream = || vec![b"one\r\ntwo\n\r\r\n\r\nth\rree\n".to_vec()];
        let line = |line: &[u8]| Owned::Line(line.to_vec());
        assert_eq!(
            lines(stream(), LineEnd::MaybeCrLf, 9),
            [line(b"one"), line(b"two"), line(b"\r"), line(b""), line(b"th\rree")]
        );
        assert_eq!(
            lines(stream(), LineEnd::Lf, 9),
            [line(b"one\r"), line(b"two"), line(b"\r\r"), line(b"\r"), line(b"th\rree")]
        );
    }

    #[apply(test)]
    fn single_messages_are_sent_in_large_pieces_and_in_order() {
        let mut wire = Vec::new();
        let mut sender = Sender::new(&mut wire);
        for message in ["eins", "zwölf"] {
            sender.send_lines(b"").expect("there is none");
            sender.send(message.as_bytes()).expect("a vector takes everything");
        }
        assert!(sender.wire.is_empty());
        sender.send_lines(b"three\n").expect("a vector takes everything");
        sender.quit().expect("a vector takes everything");
        assert_eq!(String::from_utf8_lossy(&wire), "eins\nzwölf\nthree\nquit\n");
    }

    #[apply(test)]
    fn messages_wait_until_no_more_of_them_go_into_one_piece() {
        /// How long each piece is.
        struct Lengths(Vec<usize>);
        impl Write for Lengths {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.push(bytes.len());
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut sender = Sender::new(Lengths(Vec::new()));
        let message = vec![b'x'; CHUNK / 4 - 1];
        for _ in 0..4 {
            sender.send(&message).expect("it takes everything");
        }
        assert_eq!(sender.wire.0, [0; 0], "it is full, and no more");
        sender.send(b"y").expect("it takes everything");
        assert_eq!(sender.wire.0, [CHUNK]);
        // One that is longer than a piece goes by itself.
        sender.send(&vec![b'x'; CHUNK + 1]).expect("it takes everything");
        assert_eq!(sender.wire.0, [CHUNK, 2, CHUNK + 1]);
    }

    #[apply(test)]
    fn a_line_is_ready_when_it_is_whole_too_long_or_the_last() {
        let ready = |pieces: &[&str], line_end, limit| {
            let pieces = pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect();
            let mut lines = Lines::new(Pieces(pieces), line_end, limit);
            let mut ready = vec![lines.is_ready()];
            for _ in 0..2 {
                lines.read_more().unwrap();
                ready.push(lines.is_ready());
            }
            ready
        };
        assert_eq!(ready(&["on", "e\n"], LineEnd::Lf, 9), [false, false, true]);
        assert_eq!(ready(&["on"], LineEnd::Lf, 9), [false, false, true], "the end");
        assert_eq!(ready(&["one", "t"], LineEnd::Lf, 3), [false, false, true]);
        assert_eq!(ready(&["one\r", "t"], LineEnd::MaybeCrLf, 3), [false, false, true]);
        assert_eq!(ready(&["onet", "w"], LineEnd::Lf, 3), [false, true, true]);
    }

    #[apply(test)]
    fn lines_are_had_together_if_they_are_plain_and_none_is_over_the_limit() {
        let mut lines =
            Lines::new(Pieces(vec![b"a\nbc\nd".to_vec(), b"\nabcdef\n".to_vec()]), LineEnd::Lf, 6);
        assert_eq!(lines.plain_lines(), b"");
        lines.read_more().unwrap();
        assert_eq!(lines.plain_lines(), b"a\nbc\n");
        lines.pass_lines(5);
        lines.read_more().unwrap();
        assert_eq!(lines.plain_lines(), b"", "one might be too long");
        // The rest of a line that was too long is none.
        let pieces = ["abcdef", "gh\n", "ok\n"].map(|piece| piece.as_bytes().to_vec());
        let mut lines = Lines::new(Pieces(pieces.to_vec()), LineEnd::Lf, 3);
        assert_eq!(lines.next().unwrap(), Next::TooLong);
        assert!(!lines.is_ready());
        lines.read_more().unwrap();
        assert_eq!(lines.plain_lines(), b"");
        assert_eq!(lines.next().unwrap(), Next::Line(b"ok"));
    }

    #[apply(test)]
    fn a_limit_holds_from_where_it_was_set() {
        let mut lines = Lines::new(Pieces(vec![b"one\ntwo\n".to_vec()]), LineEnd::Lf, 9);
        assert_eq!(lines.next().unwrap(), Next::Line(b"one"));
        lines.set_limit(2);
        assert_eq!(lines.next().unwrap(), Next::TooLong);
    }

    #[apply(test)]
    fn a_read_that_is_interrupted_is_repeated() {
        struct Interrupted(bool);
        impl Read for Interrupted {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                if !std::mem::replace(&mut self.0, true) {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                buffer[..4].copy_from_slice(b"one\n");
                Ok(4)
            }
        }
        let mut lines = Lines::new(Interrupted(false), LineEnd::Lf, 9);
        assert_eq!(lines.next().unwrap(), Next::Line(b"one"));
    }

    #[apply(test)]
    fn a_line_over_the_limit_takes_no_memory() {
        let mut lines = Lines::new(io::repeat(b'x').take(100 << 20), LineEnd::Lf, 1000);
        assert_eq!(lines.next().unwrap(), Next::TooLong);
        assert_eq!(lines.next().unwrap(), Next::End);
        assert!(lines.buffer.len() <= 2 * CHUNK, "{}", lines.buffer.len());
    }

    proptest! {
        #[apply(test)]
        fn any_split_of_a_stream_gives_the_same_lines(
            stream in proptest::collection::vec(proptest::sample::select(&b"ab\r\n\xff"[..]), 0..60),
            cuts in proptest::collection::vec(0usize..60, 0..20),
            crlf: bool,
            limit in 1usize..8,
        ) {
            let line_end = if crlf { LineEnd::MaybeCrLf } else { LineEnd::Lf };
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|&cut| cut < stream.len()).collect();
            cuts.sort_unstable();
            cuts.dedup();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([stream.len()]).filter(|&cut| cut > 0) {
                pieces.push(stream[from..cut].to_vec());
                from = cut;
            }
            let meant = meant(&stream, line_end, limit);
            prop_assert_eq!(&lines(pieces.clone(), line_end, limit), &meant);
            prop_assert_eq!(&lines_together(pieces, line_end, limit), &meant);
        }

        #[apply(test)]
        fn every_message_without_a_line_feed_arrives_as_it_was_sent(
            messages in proptest::collection::vec(
                proptest::collection::vec(proptest::sample::select(&b"a\r\0\xff "[..]), 0..9), 0..9),
        ) {
            let mut stream = Vec::new();
            let mut sender = Sender::new(&mut stream);
            for (number, message) in (1..).zip(&messages) {
                let line = [message, &b"\n"[..]].concat();
                let alone = number % 2 == 0 || message.contains(&b'\r');
                if alone { sender.send(message) } else { sender.send_lines(&line) }.unwrap();
                prop_assert_eq!(sender.messages(), number);
            }
            sender.flush().unwrap();
            let sent = sender.into_sent();
            let mut log = sent.empty_like();
            log.update(&messages.iter().flat_map(|message| [message, &b"\n"[..]].concat()).collect::<Vec<_>>());
            prop_assert!(sent == log && sent.messages == log.messages);
            let sent: Vec<Owned> = messages.into_iter().map(Owned::Line).collect();
            prop_assert_eq!(lines(vec![stream], LineEnd::MaybeCrLf, 9), sent);
        }
    }
}
