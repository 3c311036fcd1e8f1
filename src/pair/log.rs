//! The message log: appended to, counted, sent back.
//!
//! It stays in memory while it is small and in an unnamed temporary file when it is not, so memory
//! is bounded and nothing is left behind, however the program ends. What is sent back is every
//! message with a line feed, in order, verbatim.

use std::io::{self, BufWriter, Read, Seek, Write};

use tempfile::SpooledTempFile;

use super::digest::messages_in;
use crate::error::Fault;

/// The bytes of log kept in memory before it moves to a file.
const IN_MEMORY: usize = 1024 * 1024;

/// The bytes of messages that are gathered before they are written to the file; more than that at once is
/// not gathered, and so not copied.
const BUFFER: usize = 64 * 1024;

/// The bytes sent back at once.
const CHUNK: usize = 256 * 1024;

/// The log of one session.
#[derive(Debug)]
pub struct Log {
    spool: BufWriter<SpooledTempFile>,
    messages: u64,
    bytes: u64,
    limit: u64,
}

impl Log {
    /// An empty log that will take up to `limit` bytes, line ends included.
    pub fn new(limit: u64) -> Self {
        let spool = BufWriter::with_capacity(BUFFER, SpooledTempFile::new(IN_MEMORY));
        Log { spool, messages: 0, bytes: 0, limit }
    }

    /// Appends `message`. Fails when the log would grow over its limit, or cannot be stored.
    pub fn append(&mut self, message: &[u8]) -> Result<(), Fault> {
        let bytes = self.bytes + message.len() as u64 + 1;
        if bytes > self.limit {
            let error = format!("the log would grow over its limit of {} bytes", self.limit);
            return Err(Fault::new(error).hint("raise the limit with --max-log"));
        }
        self.spool.write_all(message).and_then(|()| self.spool.write_all(b"\n")).map_err(not_kept)?;
        self.bytes = bytes;
        self.messages += 1;
        Ok(())
    }

    /// Whether `lines` can be appended without growing over the limit.
    pub fn has_room(&self, lines: &[u8]) -> bool {
        self.bytes + lines.len() as u64 <= self.limit
    }

    /// Appends messages, each with its line feed, for which there [is room](Self::has_room).
    pub fn append_lines(&mut self, lines: &[u8]) -> Result<(), Fault> {
        self.spool.write_all(lines).map_err(not_kept)?;
        self.bytes += lines.len() as u64;
        self.messages += messages_in(lines);
        Ok(())
    }

    /// The number of messages in it.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Writes the whole log to `out`. The outer error is the log's own, the inner one is `out`'s.
    pub fn send_back(mut self, out: &mut impl Write) -> Result<io::Result<()>, Fault> {
        self.spool.rewind().map_err(not_kept)?;
        let mut spool = self.spool.into_inner().map_err(|error| not_kept(error.into_error()))?;
        let mut chunk = vec![0; CHUNK];
        loop {
            match spool.read(&mut chunk) {
                Ok(0) => return Ok(out.flush()),
                Ok(read) => {
                    if let Err(error) = out.write_all(&chunk[..read]) {
                        return Ok(Err(error));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(not_kept(error)),
            }
        }
    }
}

fn not_kept(error: io::Error) -> Fault {
    Fault::new(format!("cannot keep the log in {}", std::env::temp_dir().display()))
        .because(error)
        .hint("set TMPDIR to a directory that exists and has room")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent_back(log: Log) -> Vec<u8> {
        let mut out = Vec::new();
        log.send_back(&mut out).expect("the log is there").expect("a vector takes it");
        out
    }

    #[apply(test)]
    fn every_message_comes_back_verbatim_and_in_order() {
        let mut log = Log::new(100);
        for message in [&b"first"[..], b"", b"\xff\r", b" last "] {
            log.append(message).expect("there is room");
        }
        assert_eq!(log.messages(), 4);
        assert_eq!(sent_back(log), b"first\n\n\xff\r\n last \n");
    }

    #[apply(test)]
    fn an_empty_log_comes_back_as_nothing() {
        assert_eq!(sent_back(Log::new(0)), b"");
    }

    #[apply(test)]
    fn a_log_larger_than_memory_allows_comes_back_whole() {
        let mut log = Log::new(u64::MAX);
        let mut all = Vec::new();
        for number in 0..3 * IN_MEMORY / 1000 {
            let message = format!("{number:0>999}");
            log.append(message.as_bytes()).expect("there is room");
            all.extend_from_slice(message.as_bytes());
            all.push(b'\n');
        }
        assert!(sent_back(log) == all);
    }

    #[apply(test)]
    fn messages_are_kept_together_as_they_are_singly() {
        let mut log = Log::new(100);
        log.append(b"first").expect("there is room");
        for (lines, room) in [(&[b'x'; 94][..], true), (&[b'x'; 95], false)] {
            assert_eq!(log.has_room(lines), room, "{} bytes", lines.len());
        }
        log.append_lines(b"second\n\nfourth\n").expect("there is room");
        log.append(b"last").expect("there is room");
        assert_eq!((log.messages(), log.bytes), (5, 26));
        assert_eq!(sent_back(log), b"first\nsecond\n\nfourth\nlast\n");
    }

    #[apply(test)]
    fn a_log_takes_its_limit_exactly_and_not_a_byte_more() {
        let mut log = Log::new(4);
        log.append(b"abc").expect("four bytes with its line end");
        let error = log.append(b"").expect_err("that would be five");
        assert!(error.to_string().contains("limit of 4 bytes"), "{error}");
        assert_eq!(log.messages(), 1);
    }
}
