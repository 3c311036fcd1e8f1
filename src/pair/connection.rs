//! One TCP connection, and how its loss is noticed.
//!
//! A peer that is gone (closed, reset, or at the far end of a cut cable) is noticed within 30 seconds. A slow
//! peer does not time out. TCP alone gives only one of the two: without a timeout, it sends unacknowledged
//! bytes again for a quarter of an hour; with `TCP_USER_TIMEOUT`, Linux also ends a connection whose peer
//! answers every probe but does not read (a pager, a stopped terminal). So the timeout is set, except while
//! the peer has acknowledged all it was sent and has closed its window: a cable that is cut at that time is
//! noticed when TCP itself gives up, after up to half an hour.
//!
//! Two programs that both only write do not block each other forever: where a write makes no progress, what
//! the peer has sent is read and kept for a later read; beyond [`EARLY`] bytes the write fails.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
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
/// A read or a write that makes no progress for this time returns, and the peer is checked.
const LOOK: Duration = Duration::from_secs(2);

/// The bytes that a peer may send before they are read, while it does not read itself.
const EARLY: usize = 1024 * 1024;

/// The bytes that a peer may send after its session, and the time it may take to close the connection after
/// everything it was sent has arrived.
const DRAIN_BYTES: usize = 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// A connection to the other program.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Whether the timeout is off, for a peer that is alive and does not read.
    patient: Cell<bool>,
    /// Bytes that were read while a write made no progress.
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

impl Connection {
    /// Takes `stream` over.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        let socket = SockRef::from(&stream);
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(IDLE).with_interval(PROBE_INTERVAL))?;
        socket.set_tcp_user_timeout(Some(UNANSWERED))?;
        stream.set_write_timeout(Some(LOOK))?;
        Ok(Connection { stream, patient: Cell::new(false), early: RefCell::default() })
    }

    /// From now on the connection ends with a reset, however this program ends: the peer must not take what
    /// it has got by then for all there is. [`close_in_order`](Self::close_in_order) ends that.
    pub fn end_with_reset(&self) -> io::Result<()> {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
    }

    /// The peer's address and port.
    pub fn peer(&self) -> io::Result<SocketAddr> {
        let peer = self.stream.peer_addr()?;
        Ok(SocketAddr::new(peer.ip().to_canonical(), peer.port()))
    }

    /// From now on a read that gets nothing for 2 seconds fails with the kind `WouldBlock`.
    pub fn limit_reads(&self) -> io::Result<()> {
        self.stream.set_read_timeout(Some(LOOK))
    }

    /// Waits until the peer has sent something, and returns whether it has; if not, it is gone. `Ok(None)`:
    /// `time` has passed.
    pub fn wait_for_data(&self, time: Option<Duration>) -> io::Result<Option<bool>> {
        let end = time.map(|time| Instant::now() + time);
        loop {
            match poll(&mut [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)], timeout(end)) {
                Ok(0) if end.is_some_and(|end| Instant::now() >= end) => return Ok(None),
                Ok(0) | Err(Errno::EINTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            match recv(self.stream.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
                Ok(bytes) => return Ok(Some(bytes > 0)),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(error) if is_loss(&error.into()) => return Ok(Some(false)),
                Err(error) => return Err(error.into()),
            }
        }
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
        SockRef::from(&self.stream).set_linger(None)?;
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

    /// Reads what the peer has sent: it may read on only when that is gone.
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

    /// Decides whether the peer is waited for without a timeout.
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

/// Whether `error` says that the peer or the way to it is gone, rather than that this computer cannot go on.
pub fn is_loss(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::BrokenPipe
            | Kind::NotConnected
            | Kind::TimedOut
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
    ) || error.raw_os_error().is_some_and(|number| Errno::from_raw(number) == Errno::EHOSTDOWN)
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

impl Read for &Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut early = self.early.borrow_mut();
        if early.is_empty() { (&self.stream).read(buffer) } else { early.read(buffer) }
    }
}

/// An error of the kind `Deadlock` means that the peer sends more than [`EARLY`] and does not read.
impl Write for &Connection {
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
