//! One direction of a connection: everything received from the sender, and how much of it was passed
//! on to the receiver.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::libc;
use socket2::SockRef;

use super::wire::End;
use crate::run::sockets::{Connected, Sockets};

/// How many reads are made in a row before the bytes are passed on.
const READS: usize = 16;
/// How many bytes one read takes at most.
pub(super) const READ: usize = 64 << 10;
/// How many bytes may wait here to be passed on. A sender is not read from beyond that, so its own
/// writes block.
pub(super) const BACKLOG: usize = 4 << 20;
/// How many pieces are kept apart on a tape; bytes that come later extend the last piece.
const PIECES: usize = 1 << 16;

/// How a direction may pass its bytes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As they come.
    Open,
    /// Not yet. When the mode changes, the bytes that waited go on in one write.
    Held,
    /// At most so many in one write, each delivered (read by the receiver) before the next.
    Pieces(usize),
    /// The bytes before this position of the tape, as they come. The rest waits, and so does the end.
    UpTo(usize),
}

/// One direction of a connection.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Flow {
    /// Everything that was received; of a sender that does not stop, the first bytes.
    pub tape: Vec<u8>,
    /// How many bytes of the tape were passed on.
    pub passed: usize,
    /// How it may pass bytes on.
    pub mode: Mode,
    /// How the sender ended this direction, if it did.
    pub end: Option<End>,
    /// When the sender ended it, from the start of the session.
    pub ended: Option<Duration>,
    /// When and how the proxy itself ended it for the receiver.
    pub cut: Option<(Duration, End)>,
    /// Whether its end is not to be passed on for now.
    pub keep_end: bool,
    /// Whether the receiver reset the connection, which a program does that closes its socket before it
    /// has read everything that was sent to it (RFC 2525, section 2.17).
    pub refused: bool,
    /// For each piece that was received: when, and the length of the tape behind it.
    pieces: Vec<(Duration, usize)>,
    /// How long the tape may become.
    most: usize,
    /// How many bytes were passed on that are not on the tape, which was full.
    untaped: u64,
    /// How many bytes are known to have arrived at the receiver's socket.
    arrived: u64,
    /// Whether the last write found the receiver's buffer full.
    pub(super) blocked: bool,
    pub(super) end_passed: bool,
    /// Whether the receiver's end of the connection is gone: bytes are no longer passed on.
    pub(super) receiver_gone: bool,
    /// Whether the sender is known to have reset the connection. Its socket reports that only once, and
    /// then reads as if it had ended in order.
    pub(super) sender_reset: bool,
    /// Whether bytes are read only to be thrown away, since this connection was cut.
    pub(super) discards: bool,
}

impl Flow {
    /// A direction in which nothing was sent yet, with a tape of at most `most` bytes.
    pub(super) fn new(mode: Mode, most: usize) -> Self {
        Flow {
            tape: Vec::new(),
            passed: 0,
            mode,
            end: None,
            ended: None,
            cut: None,
            keep_end: false,
            refused: false,
            pieces: Vec::new(),
            most,
            untaped: 0,
            arrived: 0,
            blocked: false,
            end_passed: false,
            receiver_gone: false,
            sender_reset: false,
            discards: false,
        }
    }

    /// The pieces of the tape as they were received, each with its time from the start of the session.
    pub fn pieces(&self) -> impl Iterator<Item = (Duration, &[u8])> {
        let starts = std::iter::once(0).chain(self.pieces.iter().map(|&(_, end)| end));
        starts.zip(&self.pieces).map(|(start, &(at, end))| (at, &self.tape[start..end]))
    }

    /// How many bytes wait here.
    pub(super) fn waiting(&self) -> usize {
        self.tape.len() - self.passed
    }

    /// How many bytes the mode allows to pass on now.
    fn allowed(&self) -> usize {
        match self.mode {
            Mode::Open => self.waiting(),
            Mode::Held => 0,
            Mode::Pieces(most) => self.waiting().min(most),
            Mode::UpTo(position) => position.min(self.tape.len()).saturating_sub(self.passed),
        }
    }

    /// Whether bytes wait here that the mode does not hold back.
    pub(super) fn is_busy(&self) -> bool {
        self.allowed() > 0 && !self.receiver_gone
    }

    /// Whether the sender is read from.
    pub(super) fn reads(&self) -> bool {
        self.end.is_none() && (self.discards || self.waiting() < BACKLOG)
    }

    /// Whether nothing more will happen in it.
    pub(super) fn is_done(&self) -> bool {
        self.end_passed || (self.discards && self.end.is_some())
    }

    /// Whether something of its sender, a program that has ended, is yet to be read `from` it: bytes, or the end of
    /// the stream. Nothing is where another process has the connection and goes on with it.
    pub(super) fn is_coming(&self, from: &TcpStream, sockets: &Sockets) -> Result<bool> {
        let is_coming = |socket: Connected| socket.closing || socket.unsent > 0;
        Ok(self.reads() && other_end(from, sockets)?.is_none_or(is_coming))
    }

    /// Reads what the sender has sent; whether there was anything.
    pub(super) fn receive(&mut self, mut from: &TcpStream, buffer: &mut [u8], now: Duration) -> Result<bool> {
        let mut any = false;
        // A sender that never stops must not keep this from returning.
        for _ in 0..READS {
            if !self.reads() {
                break;
            }
            match from.read(buffer) {
                Ok(0) => self.end_at(now, if self.sender_reset { End::Rst } else { End::Fin }),
                Ok(_) if self.discards => {}
                Ok(count) => {
                    // A sender with more to come may wait for this to be acknowledged (RFC 896), which the kernel
                    // puts off; it does not fail for an open socket.
                    let _ = SockRef::from(from).set_tcp_quickack(true);
                    self.tape.extend_from_slice(&buffer[..count]);
                    if self.pieces.len() < PIECES {
                        self.pieces.push((now, self.tape.len()));
                    } else if let Some((_, end)) = self.pieces.last_mut() {
                        *end = self.tape.len();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if is_of_this_machine(&error) => {
                    return Err(error).context("the proxy cannot read");
                }
                Err(_) => {
                    self.sender_reset = true;
                    self.end_at(now, End::Rst);
                }
            }
            any = true;
        }
        Ok(any)
    }

    fn end_at(&mut self, now: Duration, end: End) {
        self.end = Some(end);
        self.ended = Some(now);
    }

    /// Passes on what the mode allows, and then an end in order; whether there was anything.
    pub(super) fn pass(&mut self, mut to: &TcpStream, sockets: &Sockets) -> Result<bool> {
        if self.discards {
            return Ok(false);
        }
        let mut any = false;
        self.blocked = false;
        while !self.receiver_gone && self.allowed() > 0 {
            if matches!(self.mode, Mode::Pieces(_)) && !self.is_delivered(to, sockets)? {
                break;
            }
            match to.write(&self.tape[self.passed..self.passed + self.allowed()]) {
                Ok(count) => self.passed += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if is_of_this_machine(&error) => {
                    return Err(error).context("the proxy cannot write");
                }
                Err(_) => self.refuse(),
            }
            any = true;
        }
        if self.receiver_gone {
            self.passed = self.tape.len();
        }
        self.shorten();
        if self.end == Some(End::Fin) && self.may_end() {
            self.end_passed = true;
            any = true;
            // A receiver that has closed its socket answered the bytes sent before with a reset.
            if to.shutdown(Shutdown::Write).is_err() || to.take_error()?.is_some() {
                self.refuse();
            }
        }
        Ok(any)
    }

    /// Whether the sender reset the connection, and this is to be passed on now.
    pub(super) fn resets(&self) -> bool {
        self.end == Some(End::Rst) && !self.discards && self.may_end()
    }

    fn may_end(&self) -> bool {
        let held = match self.mode {
            Mode::Open | Mode::Pieces(_) => false,
            Mode::Held => true,
            Mode::UpTo(position) => self.passed >= position,
        };
        !held && !self.keep_end && !self.end_passed && self.waiting() == 0
    }

    fn refuse(&mut self) {
        self.refused = true;
        self.receiver_gone = true;
    }

    /// Drops bytes that were passed on and do not fit on the tape.
    fn shorten(&mut self) {
        if self.passed > self.most {
            let last = self.pieces.partition_point(|&(_, end)| end <= self.most);
            self.pieces.truncate(last);
            let over = self.passed - self.most;
            self.tape.drain(self.most..self.passed);
            self.untaped += over as u64;
            self.passed = self.most;
            if let Mode::UpTo(position) = &mut self.mode {
                *position = position.saturating_sub(over);
            }
        }
    }

    /// Whether the program at the other end of `to` has read everything that was passed on, or has
    /// closed its socket.
    pub(super) fn is_delivered(&mut self, to: &TcpStream, sockets: &Sockets) -> Result<bool> {
        let Some(socket) = other_end(to, sockets)? else { return Ok(true) };
        let sent = self.untaped + self.passed as u64;
        // The kernel looks up the unread bytes before the arrived ones. Only an answer to a question
        // that was asked after all bytes had arrived is certain.
        let all_arrived = self.arrived == sent;
        if socket.arrived >= sent {
            self.arrived = sent;
        }
        Ok(all_arrived && socket.unread == 0)
    }
}

/// Whether the program at the other end of `stream` has written bytes that its kernel has not sent yet.
pub(super) fn has_unsent(stream: &TcpStream, sockets: &Sockets) -> Result<bool> {
    Ok(other_end(stream, sockets)?.is_some_and(|socket| socket.unsent > 0))
}

/// The socket that `stream` is connected to; `None` when it is closed.
fn other_end(stream: &TcpStream, sockets: &Sockets) -> Result<Option<Connected>> {
    let (Ok(here), Ok(there)) = (stream.local_addr(), stream.peer_addr()) else { return Ok(None) };
    let mapped = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    if let Some(socket) = sockets.connected(there, here)? {
        return Ok(Some(socket));
    }
    // A program that listens on both families has IPv4 connections in an IPv6 socket.
    sockets.connected(mapped(there), mapped(here))
}

/// Whether `error` means that this machine has no more of something to give, so that it says nothing
/// about the program at the other end.
pub(super) fn is_of_this_machine(error: &io::Error) -> bool {
    const OURS: [i32; 8] = [
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOMEM,
        libc::ENOBUFS,
        libc::EADDRNOTAVAIL,
        libc::EADDRINUSE,
        libc::EACCES,
        libc::EPERM,
    ];
    error.raw_os_error().is_some_and(|code| OURS.contains(&code))
}
