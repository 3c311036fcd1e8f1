//! One connection, looked after.
//!
//! What holds: a peer that is gone (closed, reset, or at the far end of a cut cable) is noticed
//! within 30 seconds; a peer that lives but takes its time to read is waited for, however long. TCP alone
//! gives only one of the two: without a time-out, unacknowledged bytes are sent again for a quarter
//! of an hour; with `TCP_USER_TIMEOUT`, Linux also ends a connection whose peer answers every probe
//! but does not read (a pager, a stopped terminal). So the time-out is on, except while the peer has
//! acknowledged all it was sent and has closed its window: a cable that is cut just then is noticed
//! only when TCP itself gives up, after up to half an hour.
//!
//! And two that only write do not wait for each other without end: where a write does not get on, what
//! the peer has sent meanwhile is taken in, and kept for who reads later; beyond [`EARLY`] the write
//! fails.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::socket::{MsgFlags, recv};
use socket2::{SockRef, TcpKeepalive};

/// An idle connection is probed after this time, and then at [`PROBE_INTERVAL`].
const IDLE: Duration = Duration::from_secs(10);
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// A peer that has not answered for this time is gone.
const UNANSWERED: Duration = Duration::from_secs(20);
/// How often a write that does not get on looks whether the peer lives.
const LOOK: Duration = Duration::from_secs(2);

/// How many bytes of a peer are kept that were not asked for yet, while it does not read.
const EARLY: usize = 1024 * 1024;

/// What a peer may still send after its session, and how long it may take to close, once
/// everything it was sent has arrived.
const DRAIN_BYTES: usize = 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// A connection to the other program.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    /// Whether the time-out is off, for a peer that lives and does not read.
    patient: Cell<bool>,
    /// What was taken in while a write did not get on.
    early: RefCell<VecDeque<u8>>,
}

/// What ended a wait.
#[derive(Debug)]
pub enum Woken {
    /// There is input, or its end.
    Input,
    /// The time is over.
    Time,
    /// The peer is gone: it closed the connection, or with the error that says how it was lost.
    Gone(Option<io::Error>),
}

impl Link {
    /// Looks after `stream` from now on.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        let socket = SockRef::from(&stream);
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(IDLE).with_interval(PROBE_INTERVAL))?;
        socket.set_tcp_user_timeout(Some(UNANSWERED))?;
        stream.set_write_timeout(Some(LOOK))?;
        Ok(Link { stream, patient: Cell::new(false), early: RefCell::default() })
    }

    /// Waits until `input` can be read, the peer is gone, or `time` is over.
    pub fn wait(&self, input: Option<BorrowedFd<'_>>, time: Option<Duration>) -> io::Result<Woken> {
        let end = time.map(|time| Instant::now() + time);
        let gone = PollFlags::from_bits_retain(libc::POLLRDHUP) | PollFlags::POLLERR | PollFlags::POLLHUP;
        loop {
            let mut waits = vec![PollFd::new(self.stream.as_fd(), gone)];
            waits.extend(input.map(|input| PollFd::new(input, PollFlags::POLLIN)));
            let woken = poll(&mut waits, timeout(end));
            let is_up = |at: usize| {
                waits.get(at).is_some_and(|wait| wait.revents().is_none_or(|events| !events.is_empty()))
            };
            match woken {
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) if is_up(0) => return Ok(Woken::Gone(self.stream.take_error()?)),
                Ok(_) if is_up(1) => return Ok(Woken::Input),
                // A timeout is rounded to milliseconds: only the clock says whether it is over.
                Ok(_) if end.is_some_and(|end| Instant::now() >= end) => return Ok(Woken::Time),
                Ok(_) => {}
            }
        }
    }

    /// Ends the sending half and waits until everything has arrived and the peer closes too: a socket
    /// that is closed with unread bytes in it is reset (RFC 2525, section 2.17), and that can destroy
    /// what is still on its way. Bounded in bytes, and in time from when everything has arrived.
    pub fn close_in_order(self) -> io::Result<()> {
        if let Err(error) = self.stream.shutdown(Shutdown::Write) {
            // A connection that was reset is no longer one; why is kept apart.
            return Err(self.stream.take_error()?.unwrap_or(error));
        }
        self.stream.set_read_timeout(Some(LOOK))?;
        let mut arrived = None;
        let mut unread = vec![0; 64 * 1024];
        let mut drained = 0;
        while drained < DRAIN_BYTES {
            match (&self.stream).read(&mut unread) {
                Ok(0) => return self.wait_until_acknowledged(),
                Ok(read) => drained += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return if self.in_flight()?.is_empty() { Ok(()) } else { Err(error) },
            }
            if self.in_flight()?.is_empty() {
                if arrived.get_or_insert_with(Instant::now).elapsed() >= DRAIN_TIME {
                    break;
                }
            } else {
                self.look_after()?;
            }
        }
        Ok(())
    }

    /// Waits until the peer, which has closed its sending half, has acknowledged all it was sent: if it
    /// has closed the other half as well, it answers with a reset instead.
    fn wait_until_acknowledged(&self) -> io::Result<()> {
        // With both halves closed, poll(2) always has something to tell. This tells of changes alone.
        let changes = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        changes.add(&self.stream, EpollEvent::new(EpollFlags::EPOLLET, 0))?;
        loop {
            match self.stream.take_error()? {
                Some(error) => return Err(error),
                None if self.in_flight()?.is_empty() => return Ok(()),
                None => self.look_after()?,
            }
            match changes.wait(&mut [EpollEvent::empty()], timeout(Some(Instant::now() + LOOK))) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes in what the peer has sent, since it may read on only when that is gone.
    fn take_in(&self) -> io::Result<()> {
        let mut early = self.early.borrow_mut();
        let mut buffer = vec![0; 64 * 1024];
        while early.len() <= EARLY {
            match recv(self.stream.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                // Its end, or its loss, is for the write to find out.
                Ok(0) | Err(_) => return Ok(()),
                Ok(count) => early.extend(&buffer[..count]),
            }
        }
        Err(io::ErrorKind::Deadlock.into())
    }

    /// Decides anew whether the peer is waited for without a time-out.
    fn look_after(&self) -> io::Result<()> {
        let InFlight { unacknowledged, unsent } = self.in_flight()?;
        self.set_patient(unsent > 0 && unacknowledged == 0)
    }

    fn set_patient(&self, patient: bool) -> io::Result<()> {
        if self.patient.replace(patient) != patient {
            SockRef::from(&self.stream).set_tcp_user_timeout(Some(if patient {
                Duration::ZERO
            } else {
                UNANSWERED
            }))?;
        }
        Ok(())
    }

    fn in_flight(&self) -> io::Result<InFlight> {
        let fd = self.stream.as_raw_fd();
        let (mut queued, mut unsent) = (0, 0);
        // SAFETY: each call writes one int to the place it is given (tcp(7), SIOCOUTQ).
        #[expect(unsafe_code, reason = "no crate here wraps these two requests")]
        unsafe {
            outgoing(fd, &raw mut queued)?;
            outgoing_unsent(fd, &raw mut unsent)?;
        }
        Ok(InFlight { unacknowledged: queued - unsent, unsent })
    }
}

/// Bytes written to a socket that the peer has not acknowledged: sent, and not yet sent.
struct InFlight {
    unacknowledged: libc::c_int,
    unsent: libc::c_int,
}

impl InFlight {
    fn is_empty(&self) -> bool {
        self.unacknowledged == 0 && self.unsent == 0
    }
}

/// `SIOCOUTQNSD` of linux/sockios.h.
const SIOCOUTQNSD: libc::Ioctl = 0x894b;

mod requests {
    nix::ioctl_read_bad!(
        /// `SIOCOUTQ`: bytes not yet acknowledged.
        outgoing, nix::libc::TIOCOUTQ, nix::libc::c_int);
    nix::ioctl_read_bad!(
        /// `SIOCOUTQNSD`: bytes not yet sent.
        outgoing_unsent, super::SIOCOUTQNSD, nix::libc::c_int);
}
use requests::{outgoing, outgoing_unsent};

fn timeout(end: Option<Instant>) -> PollTimeout {
    end.map_or(PollTimeout::NONE, |end| {
        let left = end.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    })
}

impl Read for &Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut early = self.early.borrow_mut();
        if early.is_empty() { (&self.stream).read(buffer) } else { early.read(buffer) }
    }
}

/// An error of the kind `Deadlock` means that the peer sends more than [`EARLY`] and does not read.
impl Write for &Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match (&self.stream).write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.take_in()?;
                    self.look_after()?;
                }
                written => {
                    self.set_patient(false)?;
                    return written;
                }
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
