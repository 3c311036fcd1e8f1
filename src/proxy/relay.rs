//! The wires: a relay that stands between a client and a server.
//!
//! What always holds: the relay never looks inside the bytes, so it needs no knowledge of anyone's
//! framing; every byte goes on once, in order; and except where a wire is cut, the two programs see each
//! other's ends as they were meant, FIN as FIN (also a half-close) and RST as RST, after all the bytes
//! that came before.
//!
//! *Delivered* means that the receiver has read it: the kernel says of the receiver's socket that so
//! many bytes arrived and that none of them is unread.
//!
//! A wire that holds bytes back does so until their sender has nothing more to say for now: until it has
//! closed, or it *rests*: all its threads sleep, it has taken everything that was typed at it, it does
//! not wait for something that is still to be typed, and it did not run at all between two looks
//! ([`LOOK`] apart). A sender at rest waits for a reply or for time to pass; as every sender that waits
//! for a reply rests, holding back cannot come to a deadlock. A sender that never sleeps (it polls in a
//! loop) is held back for [`HOLD`] after its last byte.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::run::clock::{Clock, lock};
use crate::run::sockets::Sockets;

/// Between two looks at a sender that may be at rest.
const LOOK: Duration = Duration::from_millis(2);

/// How long bytes are held back after the last one of a sender that never rests.
const HOLD: Duration = Duration::from_millis(250);

/// How much is held back at most.
const HELD: usize = 4 << 20;

/// How many bytes a tape takes.
const TAPE: usize = 256 << 20;

/// How long the relay tries to connect to a server that listens.
const CONNECT: Duration = Duration::from_secs(5);

/// How long the relay may take to pass on the rest when both programs have ended. Nobody is left then
/// to be waited for, unless something that they started holds a connection open.
const SETTLE: Duration = Duration::from_secs(1);

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// How a cut connection ends, for both programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cut {
    /// In order, as if the other program had closed it.
    Fin,
    /// By a reset.
    Rst,
}

/// What lies between the two programs.
///
/// Its text form (`Display`, `FromStr`) names exactly one wire: `direct`, `through`, `drip`, `lump`,
/// `shuffle:7`, `split:to-server:17`, `cut:to-client:5:rst`. Positions are bytes of the session's
/// first connection; later ones are passed through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    /// Nothing: they talk to each other.
    Direct,
    /// A relay that passes everything on as it comes; there to keep a tape.
    Through,
    /// One byte a write, each delivered before the next.
    Drip,
    /// Bytes are held back until the sender has nothing more to say for now, and go on in one write.
    Lump,
    /// Random splits and joins, each piece delivered before the next; this is the seed.
    Shuffle(u64),
    /// Passed on as they come, but the bytes before position `at` are delivered before the rest.
    Split {
        /// In which direction.
        toward: Direction,
        /// After how many bytes.
        at: u64,
    },
    /// The connection ends, for both programs, as soon as `at` bytes were delivered.
    Cut {
        /// In which direction the bytes are counted.
        toward: Direction,
        /// After how many bytes.
        at: u64,
        /// How it ends.
        by: Cut,
    },
}

impl Wire {
    /// One wire for each place between two bytes of the session on `tape`, both directions.
    pub fn every_split(tape: &Tape) -> Vec<Wire> {
        let mut wires = Vec::new();
        for toward in [Direction::ToServer, Direction::ToClient] {
            wires.extend((1..tape.len(toward)).map(|at| Wire::Split { toward, at }));
        }
        wires
    }

    /// One wire for each byte position of the session on `tape`, from before the first byte to after the
    /// last, both directions, FIN and RST.
    pub fn every_cut(tape: &Tape) -> Vec<Wire> {
        let mut wires = Vec::new();
        for toward in [Direction::ToServer, Direction::ToClient] {
            for by in [Cut::Fin, Cut::Rst] {
                wires.extend((0..=tape.len(toward)).map(|at| Wire::Cut { toward, at, by }));
            }
        }
        wires
    }

    /// Whether it holds bytes back that the other side could wait for.
    pub fn holds_back(self) -> bool {
        matches!(self, Wire::Lump | Wire::Shuffle(_))
    }
}

impl Direction {
    /// The other one.
    pub fn other(self) -> Direction {
        match self {
            Direction::ToServer => Direction::ToClient,
            Direction::ToClient => Direction::ToServer,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::ToServer => "to-server",
            Direction::ToClient => "to-client",
        })
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wire::Direct => f.write_str("direct"),
            Wire::Through => f.write_str("through"),
            Wire::Drip => f.write_str("drip"),
            Wire::Lump => f.write_str("lump"),
            Wire::Shuffle(seed) => write!(f, "shuffle:{seed}"),
            Wire::Split { toward, at } => write!(f, "split:{toward}:{at}"),
            Wire::Cut { toward, at, by } => {
                let by = match by {
                    Cut::Fin => "fin",
                    Cut::Rst => "rst",
                };
                write!(f, "cut:{toward}:{at}:{by}")
            }
        }
    }
}

impl FromStr for Wire {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Wire> {
        let unknown = || anyhow!("not a wire: {text}");
        let direction = |name: &str| match name {
            "to-server" => Ok(Direction::ToServer),
            "to-client" => Ok(Direction::ToClient),
            _ => Err(unknown()),
        };
        let number = |digits: &str| digits.parse::<u64>().map_err(|_| unknown());
        Ok(match text.split(':').collect::<Vec<_>>()[..] {
            ["direct"] => Wire::Direct,
            ["through"] => Wire::Through,
            ["drip"] => Wire::Drip,
            ["lump"] => Wire::Lump,
            ["shuffle", seed] => Wire::Shuffle(number(seed)?),
            ["split", toward, at] => Wire::Split { toward: direction(toward)?, at: number(at)? },
            ["cut", toward, at, by] => Wire::Cut {
                toward: direction(toward)?,
                at: number(at)?,
                by: match by {
                    "fin" => Cut::Fin,
                    "rst" => Cut::Rst,
                    _ => return Err(unknown()),
                },
            },
            _ => return Err(unknown()),
        })
    }
}

/// Something that a relay received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Bytes, as one read gave them.
    Bytes(Vec<u8>),
    /// The orderly end of this direction.
    Fin,
    /// A reset by the program that sends in this direction.
    Rst,
}

/// One entry of a tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When, from the start of the session.
    pub at: Duration,
    /// On which of the client's connections, the first being 0.
    pub connection: usize,
    /// In which direction.
    pub direction: Direction,
    /// What.
    pub received: Received,
}

/// All that a relay received, in the order in which it came; of a program that does not stop sending,
/// the first 256 MiB.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    /// The entries, in time order.
    pub entries: Vec<Entry>,
    /// When the client's connections were accepted, from the start of the session.
    pub connections: Vec<Duration>,
    /// For each direction: whether the receiver reset the first connection, which a program does that
    /// closes its socket before it has read all that was sent to it (RFC 2525, section 2.17).
    pub refused: [bool; 2],
    /// How many bytes are on it.
    length: usize,
}

impl Tape {
    fn record(&mut self, entry: Entry) {
        let length = match &entry.received {
            Received::Bytes(bytes) => bytes.len(),
            Received::Fin | Received::Rst => 0,
        };
        if self.length + length <= TAPE {
            self.length += length;
            self.entries.push(entry);
        }
    }

    /// The bytes that went in `direction` on the first connection.
    pub fn bytes(&self, direction: Direction) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.connection == 0 && entry.direction == direction)
        {
            if let Received::Bytes(piece) = &entry.received {
                bytes.extend_from_slice(piece);
            }
        }
        bytes
    }

    /// How many bytes went in `direction` on the first connection.
    pub fn len(&self, direction: Direction) -> u64 {
        self.bytes(direction).len() as u64
    }
}

/// Tells whether a sender has nothing more to say until it hears something: `None` while it has; else a
/// number that changes whenever one of its threads runs (see [`crate::run::processes::Activity::turns`]).
pub type Rest = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// A relay in front of a server.
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    wire: Wire,
    /// Where the server listens.
    server: SocketAddr,
    /// Where connections to it come from.
    from: Ipv4Addr,
    /// The client's rest, and the server's.
    rests: [Rest; 2],
    clock: Clock,
    tape: Mutex<Tape>,
    /// How many directions of connections have not come to their end.
    passing: AtomicUsize,
    over: AtomicBool,
    /// Readable once it is over.
    end: EventFd,
}

impl Relay {
    /// Puts a relay in front of the server that listens at `server`. It waits for clients at an address
    /// of its own, and its connections to the server come from the address `from` (of 127.0.0.0/8; of no
    /// effect where the server listens on IPv6 only). `client` and `server_rest` tell of the two senders.
    pub fn start(
        wire: Wire,
        server: SocketAddr,
        from: Ipv4Addr,
        client_rest: Rest,
        server_rest: Rest,
        clock: &Clock,
    ) -> anyhow::Result<Relay> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("the relay cannot listen")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            wire,
            server,
            from,
            rests: [client_rest, server_rest],
            clock: clock.clone(),
            tape: Mutex::default(),
            passing: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            end: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
        });
        // Found out before anything depends on it.
        drop(Sockets::open()?);
        let accepting = Arc::clone(&shared);
        let acceptor =
            thread::Builder::new().name("relay".to_owned()).spawn(move || accept(&accepting, &listener))?;
        Ok(Relay { address, shared, acceptor: Some(acceptor) })
    }

    /// Where clients are to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Looks at what was received so far.
    #[cfg(test)]
    fn view<T>(&self, look: impl FnOnce(&Tape) -> T) -> T {
        look(&lock(&self.shared.tape))
    }

    /// Waits until all that was sent has gone through, for [`SETTLE`] at most: what a program sent before
    /// it ended may still be on its way, and only then is it known whether it was read.
    pub fn settle(&self) {
        let gone = || (self.shared.passing.load(Ordering::SeqCst) == 0).then_some(());
        let _ = self.shared.clock.wait(self.shared.clock.now() + SETTLE, gone);
    }

    /// Ends it, with whatever still goes through it, and gives its tape.
    pub fn finish(mut self) -> Tape {
        self.end();
        std::mem::take(&mut lock(&self.shared.tape))
    }

    fn end(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        let _ = self.shared.end.write(1);
        self.shared.clock.ring();
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.end();
    }
}

/// The acceptor's thread: every client's connection gets one of its own to the server.
fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    let mut threads = Vec::new();
    let mut number = 0;
    while !shared.over.load(Ordering::SeqCst) {
        let mut files = [
            PollFd::new(shared.end.as_fd(), PollFlags::POLLIN),
            PollFd::new(listener.as_fd(), PollFlags::POLLIN),
        ];
        if !matches!(poll(&mut files, PollTimeout::NONE), Ok(_) | Err(nix::Error::EINTR)) {
            break;
        }
        let client = match listener.accept() {
            Ok((client, _)) => client,
            Err(error) if PASSING.contains(&error.kind()) => continue,
            // No more files to give; who still connects is reset, with the listener.
            Err(_) => break,
        };
        lock(&shared.tape).connections.push(shared.clock.now());
        shared.clock.ring();
        // A client that the server does not take in is turned away as the server would.
        let Ok(server) = connect(shared) else {
            reset(&client);
            continue;
        };
        if let Ok(connection) = Connection::new(shared, number, client, server) {
            let connection = Arc::new(connection);
            for direction in [Direction::ToServer, Direction::ToClient] {
                let connection = Arc::clone(&connection);
                let name = format!("relay {direction}");
                shared.passing.fetch_add(1, Ordering::SeqCst);
                let pass = move || {
                    connection.pass(direction);
                    connection.shared.passing.fetch_sub(1, Ordering::SeqCst);
                    connection.shared.clock.ring();
                };
                match thread::Builder::new().name(name).spawn(pass) {
                    Ok(thread) => threads.push(thread),
                    Err(_) => drop(shared.passing.fetch_sub(1, Ordering::SeqCst)),
                }
            }
        }
        number += 1;
    }
    for thread in threads {
        let _ = thread.join();
    }
}

/// Errors of accept(2) that say nothing about the next call.
const PASSING: [io::ErrorKind; 3] =
    [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted, io::ErrorKind::ConnectionAborted];

fn connect(shared: &Shared) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(shared.server), Type::STREAM, Some(Protocol::TCP))?;
    if shared.server.is_ipv4() {
        socket.bind(&SocketAddr::new(IpAddr::V4(shared.from), 0).into())?;
    }
    socket.connect_timeout(&shared.server.into(), CONNECT)?;
    Ok(socket.into())
}

/// From now on, closing `socket` resets its connection.
fn reset(socket: &TcpStream) {
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

/// One client's connection, and the one to the server that belongs to it.
struct Connection {
    shared: Arc<Shared>,
    number: usize,
    client: TcpStream,
    server: TcpStream,
    /// Whether the wire was cut: what still comes is read and thrown away.
    cut: AtomicBool,
    /// Whether nothing more is passed on, and both sockets are to be closed.
    over: AtomicBool,
    /// Readable once it is over.
    end: EventFd,
    /// For each direction: whether its sender was found to be gone otherwise than by reading from it.
    gone: [AtomicBool; 2],
    /// For each direction: whether it has come to its end.
    done: [AtomicBool; 2],
}

/// How one direction of a connection came to its end.
enum End {
    Fin,
    Rst,
    /// The wire was cut, or the session is over.
    None,
}

impl Connection {
    fn new(
        shared: &Arc<Shared>,
        number: usize,
        client: TcpStream,
        server: TcpStream,
    ) -> anyhow::Result<Connection> {
        for socket in [&client, &server] {
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
        }
        Ok(Connection {
            shared: Arc::clone(shared),
            number,
            client,
            server,
            cut: AtomicBool::new(false),
            over: AtomicBool::new(false),
            end: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
            gone: Default::default(),
            done: Default::default(),
        })
    }

    /// One direction's thread.
    fn pass(&self, direction: Direction) {
        let (from, to) = match direction {
            Direction::ToServer => (&self.client, &self.server),
            Direction::ToClient => (&self.server, &self.client),
        };
        let end = self.pass_bytes(direction, from, to);
        self.done[direction as usize].store(true, Ordering::SeqCst);
        match end {
            Ok(End::Fin) => {
                // A receiver that has closed its socket answers what comes later with a reset.
                if to.shutdown(Shutdown::Write).is_err() || !matches!(to.take_error(), Ok(None)) {
                    self.refused(direction);
                    self.gone[direction.other() as usize].store(true, Ordering::SeqCst);
                }
            }
            Ok(End::Rst) => self.reset(),
            Ok(End::None) => {}
            Err(_) => {
                self.refused(direction);
                // Writing failed: the receiver is gone, and what it sent before it went is passed on
                // first, by the thread of the other direction, if that is still at it.
                self.gone[direction.other() as usize].store(true, Ordering::SeqCst);
                if self.done[direction.other() as usize].load(Ordering::SeqCst) {
                    self.reset();
                }
            }
        }
    }

    /// Takes down that what went in `direction` was not read to its end, unless it was we who ended it.
    fn refused(&self, direction: Direction) {
        if self.number == 0 && !self.cut.load(Ordering::SeqCst) && !self.is_over() {
            lock(&self.shared.tape).refused[direction as usize] = true;
        }
    }

    /// Resets both connections, as soon as both threads have ended.
    fn reset(&self) {
        reset(&self.client);
        reset(&self.server);
        self.over.store(true, Ordering::SeqCst);
        let _ = self.end.write(1);
        self.shared.clock.ring();
    }

    /// Passes bytes on until the end of this direction. An error is one of writing.
    fn pass_bytes(&self, direction: Direction, mut from: &TcpStream, to: &TcpStream) -> io::Result<End> {
        let first = self.number == 0;
        let mut plan = Plan::new(self.shared.wire, direction, first);
        let sockets = Sockets::open().map_err(io::Error::other)?;
        let (mut held, mut sent, mut end) = (Vec::new(), 0, None);
        let mut buffer = vec![0; 1 << 16];
        loop {
            if let Plan::Cut { at, by } = plan
                && sent == at
            {
                self.delivered(&sockets, to, sent);
                return Ok(self.cut(by, from, &mut buffer));
            }
            let exhausted = end.is_some() || held.len() >= HELD || self.rests(direction, &plan, &held, from);
            while let Some(count) = plan.next(held.len(), sent, exhausted) {
                self.write(to, &held[..count])?;
                held.drain(..count);
                sent += count as u64;
                if plan.waits(sent) {
                    self.delivered(&sockets, to, sent);
                }
                if self.is_over() {
                    return Ok(End::None);
                }
            }
            if matches!(plan, Plan::Cut { at, .. } if sent == at) {
                continue;
            }
            if let Some(end) = end {
                return Ok(end);
            }
            self.wait(from, PollFlags::POLLIN, if held.is_empty() { None } else { Some(LOOK) });
            if self.is_over() {
                return Ok(End::None);
            }
            let received = match from.read(&mut buffer) {
                Ok(0) if self.gone[direction as usize].load(Ordering::SeqCst) => Received::Rst,
                Ok(0) => Received::Fin,
                Ok(count) => Received::Bytes(buffer[..count].to_vec()),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) =>
                {
                    continue;
                }
                Err(_) => {
                    self.refused(direction.other());
                    Received::Rst
                }
            };
            match &received {
                Received::Bytes(bytes) => held.extend_from_slice(bytes),
                Received::Fin => end = Some(End::Fin),
                Received::Rst => end = Some(End::Rst),
            }
            if self.cut.load(Ordering::SeqCst) {
                // Its sender may have more to say before it ends; no one hears it.
                held.clear();
                if end.is_some() {
                    return Ok(End::None);
                }
                continue;
            }
            let at = self.shared.clock.now();
            lock(&self.shared.tape).record(Entry { at, connection: self.number, direction, received });
            self.shared.clock.ring();
        }
    }

    /// Ends the connection for both programs.
    fn cut(&self, by: Cut, mut from: &TcpStream, buffer: &mut [u8]) -> End {
        self.cut.store(true, Ordering::SeqCst);
        if by == Cut::Rst {
            return End::Rst;
        }
        for socket in [&self.client, &self.server] {
            let _ = socket.shutdown(Shutdown::Write);
        }
        // To close with bytes unread would reset the connection.
        loop {
            self.wait(from, PollFlags::POLLIN, None);
            match from.read(buffer) {
                _ if self.is_over() => return End::None,
                Ok(0) => return End::None,
                Ok(_) => {}
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(_) => return End::None,
            }
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst) || self.shared.over.load(Ordering::SeqCst)
    }

    /// Waits until `socket` is ready, `timeout` has passed, or it is over.
    fn wait(&self, socket: &TcpStream, ready: PollFlags, timeout: Option<Duration>) {
        let mut files = [
            PollFd::new(self.end.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.shared.end.as_fd(), PollFlags::POLLIN),
            PollFd::new(socket.as_fd(), ready),
        ];
        let timeout = timeout.and_then(|timeout| timeout.try_into().ok()).unwrap_or(PollTimeout::NONE);
        let _ = poll(&mut files, timeout);
    }

    fn write(&self, mut to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() && !self.is_over() && !self.cut.load(Ordering::SeqCst) {
            match to.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(to, PollFlags::POLLOUT, None);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits until the program at the other end of `to` has read all `sent` bytes, or has closed its
    /// socket.
    fn delivered(&self, sockets: &Sockets, to: &TcpStream, sent: u64) {
        let (Ok(theirs), Ok(ours)) = (to.peer_addr(), to.local_addr()) else { return };
        let mut arrived = false;
        let mut look = || {
            let Ok(Some(socket)) = sockets.connected(theirs, ours) else { return Some(()) };
            // The kernel looks at what is unread first, so only what it says after all has arrived counts.
            if (arrived && socket.unread == 0) || self.is_over() {
                return Some(());
            }
            arrived |= socket.arrived >= sent;
            None
        };
        // It is mostly a matter of microseconds.
        for _ in 0..YIELDS {
            if look().is_some() {
                return;
            }
            thread::yield_now();
        }
        let _ = self.shared.clock.watch(Duration::MAX, look);
    }

    /// Whether the sender of this direction rests, so that what is held back from it is to go on; asked
    /// only where bytes are held back.
    fn rests(&self, direction: Direction, plan: &Plan, held: &[u8], from: &TcpStream) -> bool {
        if held.is_empty() || !plan.holds_back() {
            return false;
        }
        let rest = &self.shared.rests[direction as usize];
        let until = Instant::now() + HOLD;
        let mut last = None;
        while Instant::now() < until && !self.is_over() {
            let now = rest();
            if now.is_some() && now == last {
                return true;
            }
            last = now;
            self.wait(from, PollFlags::POLLIN, Some(LOOK));
            match from.peek(&mut [0]) {
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                // It has more to say after all.
                Ok(_) => return false,
                // The socket tells of a reset only once.
                Err(_) => {
                    self.refused(direction.other());
                    self.gone[direction as usize].store(true, Ordering::SeqCst);
                    return false;
                }
            }
        }
        true
    }
}

/// How often the kernel is asked in a row whether a piece was delivered before we pause in between.
const YIELDS: u32 = 40;

/// How one direction of a connection is cut into pieces.
enum Plan {
    Through,
    Drip,
    Lump,
    Shuffle { random: Random, piece: usize },
    Split { at: u64 },
    Cut { at: u64, by: Cut },
}

impl Plan {
    fn new(wire: Wire, direction: Direction, first: bool) -> Plan {
        match wire {
            Wire::Drip => Plan::Drip,
            Wire::Lump => Plan::Lump,
            Wire::Shuffle(seed) => {
                let mut random = Random(seed ^ (direction as u64) << 63);
                let piece = random.piece();
                Plan::Shuffle { random, piece }
            }
            Wire::Split { toward, at } if first && toward == direction => Plan::Split { at },
            Wire::Cut { toward, at, by } if first && toward == direction => Plan::Cut { at, by },
            Wire::Direct | Wire::Through | Wire::Split { .. } | Wire::Cut { .. } => Plan::Through,
        }
    }

    fn holds_back(&self) -> bool {
        matches!(self, Plan::Lump | Plan::Shuffle { .. })
    }

    /// How many of the `held` bytes go on now, after the `sent` ones; `exhausted` says that no more come
    /// for now.
    fn next(&mut self, held: usize, sent: u64, exhausted: bool) -> Option<usize> {
        let before = |at: u64| usize::try_from(at.saturating_sub(sent)).unwrap_or(usize::MAX);
        let count = match self {
            Plan::Split { at } if sent < *at => held.min(before(*at)),
            Plan::Through | Plan::Split { .. } => held,
            Plan::Drip => held.min(1),
            Plan::Lump if exhausted => held,
            Plan::Lump => 0,
            Plan::Shuffle { random, piece } => {
                if held < *piece && !exhausted {
                    return None;
                }
                let count = held.min(*piece);
                *piece -= count;
                if *piece == 0 {
                    *piece = random.piece();
                }
                count
            }
            Plan::Cut { at, .. } => held.min(before(*at)),
        };
        (count > 0).then_some(count)
    }

    /// Whether the `sent` bytes are to be delivered before any more.
    fn waits(&self, sent: u64) -> bool {
        match self {
            Plan::Drip | Plan::Shuffle { .. } => true,
            Plan::Split { at } => sent == *at,
            // A cut waits by itself.
            Plan::Through | Plan::Lump | Plan::Cut { .. } => false,
        }
    }
}

/// Random numbers that are the same everywhere for the same seed (`SplitMix64`, by Sebastiano Vigna).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// The length of a piece: one byte, a few, a message's worth, or many messages, equally often.
    fn piece(&mut self) -> usize {
        let number = self.next();
        let span = |low: u64, high: u64| low + (number >> 2) % (high - low + 1);
        let length = match number % 4 {
            0 => 1,
            1 => span(2, 8),
            2 => span(9, 64),
            _ => span(65, 1024),
        };
        usize::try_from(length).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wire_is_named_so_that_it_can_be_asked_for_again() {
        for name in [
            "direct",
            "through",
            "drip",
            "lump",
            "shuffle:18446744073709551615",
            "split:to-server:17",
            "split:to-client:1",
            "cut:to-client:0:rst",
            "cut:to-server:5:fin",
        ] {
            assert_eq!(name.parse::<Wire>().expect(name).to_string(), name);
        }
        for name in ["", "Direct", "shuffle", "shuffle:-1", "split:17", "cut:to-server:1", "cut:up:1:fin"] {
            assert!(name.parse::<Wire>().is_err(), "{name}");
        }
    }

    /// A client and a server in this process, and a relay between them.
    struct Peers {
        relay: Relay,
        client: TcpStream,
        server: TcpStream,
        /// Whether the client rests, and the server.
        rests: [Arc<AtomicBool>; 2],
    }

    fn peers(wire: Wire) -> Peers {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let rests = [true, true].map(|rests| Arc::new(AtomicBool::new(rests)));
        let [client_rest, server_rest] = rests
            .clone()
            .map(|rests| -> Rest { Arc::new(move || rests.load(Ordering::SeqCst).then_some(0)) });
        let from = Ipv4Addr::new(127, 0, 0, 77);
        let to = listener.local_addr().expect("address");
        let relay = Relay::start(wire, to, from, client_rest, server_rest, &Clock::start()).expect("starts");
        let client = TcpStream::connect(relay.address()).expect("connect");
        let (server, address) = listener.accept().expect("accept");
        assert_eq!(address.ip(), IpAddr::V4(from));
        for socket in [&client, &server] {
            socket.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        }
        Peers { relay, client, server, rests }
    }

    /// Everything that can be read, as the single reads gave it, and how it ended.
    fn reads(mut socket: &TcpStream) -> (Vec<Vec<u8>>, Received) {
        let (mut pieces, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        loop {
            match socket.read(&mut buffer) {
                Ok(0) => return (pieces, Received::Fin),
                Ok(count) => pieces.push(buffer[..count].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return (pieces, Received::Rst);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Sends `sent` from both ends at once, in random chunks, each closed after it; gives what was read.
    fn exchange(wire: Wire, sent: [&[u8]; 2], random: &mut Random) -> ([Vec<Vec<u8>>; 2], Tape) {
        let Peers { relay, client, server, .. } = peers(wire);
        let ends = [(&client, sent[0], Random(random.next())), (&server, sent[1], Random(random.next()))];
        let (to_client, to_server) = thread::scope(|scope| {
            for (mut socket, mut bytes, mut random) in ends {
                scope.spawn(move || {
                    while !bytes.is_empty() {
                        let (chunk, rest) = bytes.split_at(random.piece().min(bytes.len()));
                        socket.write_all(chunk).expect("write");
                        bytes = rest;
                    }
                    socket.shutdown(Shutdown::Write).expect("shutdown");
                });
            }
            let readers = [scope.spawn(|| reads(&client)), scope.spawn(|| reads(&server))];
            let [client, server] = readers.map(|reader| reader.join().expect("reads"));
            assert_eq!((&client.1, &server.1), (&Received::Fin, &Received::Fin), "{wire}");
            (client.0, server.0)
        });
        ([to_server, to_client], relay.finish())
    }

    #[test]
    fn every_wire_carries_all_bytes_unchanged_in_both_directions() {
        let mut random = Random(1);
        let [to_server, to_client] = [Direction::ToServer, Direction::ToClient];
        for round in 0..6 {
            let mut bytes = || -> Vec<u8> {
                let length = random.next() % [1, 10, 300, 3000, 9000, 100][round];
                (0..length).map(|_| random.next().to_le_bytes()[0]).collect()
            };
            let sent = [bytes(), bytes()];
            for wire in [
                Wire::Through,
                Wire::Drip,
                Wire::Lump,
                Wire::Shuffle(random.next()),
                Wire::Split { toward: to_server, at: random.next() % 3000 },
                Wire::Split { toward: to_client, at: random.next() % 3000 },
            ] {
                let (read, tape) = exchange(wire, [&sent[0], &sent[1]], &mut random);
                for direction in [to_server, to_client] {
                    let sent = &sent[direction as usize];
                    assert!(read[direction as usize].concat() == *sent, "{wire}");
                    assert!(tape.bytes(direction) == *sent, "{wire}");
                    let ends =
                        |entry: &&Entry| entry.direction == direction && entry.received == Received::Fin;
                    assert_eq!(tape.entries.iter().filter(ends).count(), 1);
                }
            }
        }
    }

    #[test]
    fn dripping_delivers_every_byte_before_the_next() {
        let text = b"one byte at a time, whatever the reader's buffer";
        let ([to_server, to_client], _) = exchange(Wire::Drip, [text, text], &mut Random(2));
        for pieces in [to_server, to_client] {
            assert!(pieces.iter().all(|piece| piece.len() == 1));
        }
    }

    #[test]
    fn shuffling_makes_the_same_pieces_for_the_same_seed_and_others_for_another() {
        let text: Vec<u8> = (0..5000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let pieces = |seed| {
            let ([to_server, to_client], _) =
                exchange(Wire::Shuffle(seed), [&text, &text], &mut Random(seed));
            assert_ne!(to_server, to_client);
            to_server
        };
        let (first, again, other) = (pieces(7), pieces(7), pieces(8));
        assert_eq!(first, again);
        assert_ne!(first, other);
        assert!(first.iter().any(|piece| piece.len() == 1) && first.iter().any(|piece| piece.len() > 64));
    }

    #[test]
    fn a_split_keeps_the_bytes_before_it_apart_from_the_rest() {
        for at in 1..6 {
            let Peers { relay: _relay, mut client, mut server, .. } =
                peers(Wire::Split { toward: Direction::ToServer, at });
            client.write_all(b"abcdef").expect("write");
            let mut buffer = [0; 16];
            let count = server.read(&mut buffer).expect("read");
            assert_eq!(count as u64, at);
            server.read_exact(&mut buffer[count..6]).expect("read");
            assert_eq!(&buffer[..6], b"abcdef");
        }
    }

    #[test]
    fn a_lump_is_held_back_until_its_sender_rests_and_then_comes_in_one_piece() {
        let Peers { relay, mut client, mut server, rests } = peers(Wire::Lump);
        rests[0].store(false, Ordering::SeqCst);
        for sent in 1..=10 {
            client.write_all(b"0123456789").expect("write");
            relay.shared.clock.wait(Duration::MAX, || {
                (relay.view(|tape| tape.len(Direction::ToServer)) == 10 * sent).then_some(())
            });
        }
        server.set_nonblocking(true).expect("set");
        assert_eq!(server.read(&mut [0]).expect_err("nothing yet").kind(), io::ErrorKind::WouldBlock);
        server.set_nonblocking(false).expect("set");
        rests[0].store(true, Ordering::SeqCst);
        assert_eq!(server.read(&mut [0; 1000]).expect("read"), 100);
    }

    #[test]
    fn a_lump_of_a_sender_that_never_rests_goes_on_in_the_end() {
        let Peers { relay: _relay, mut client, mut server, rests } = peers(Wire::Lump);
        rests[0].store(false, Ordering::SeqCst);
        client.write_all(b"anyone there?").expect("write");
        assert_eq!(server.read(&mut [0; 1000]).expect("read"), 13);
    }

    #[test]
    fn a_cut_lets_exactly_the_prefix_through_and_ends_both_sides_the_same_way() {
        let text = b"a message\nquit\n";
        for toward in [Direction::ToServer, Direction::ToClient] {
            for (by, end) in [(Cut::Fin, Received::Fin), (Cut::Rst, Received::Rst)] {
                for at in 0..=text.len() {
                    let wire = Wire::Cut { toward, at: at as u64, by };
                    let Peers { relay: _relay, client, server, .. } = peers(wire);
                    let (mut from, to) = match toward {
                        Direction::ToServer => (&client, &server),
                        Direction::ToClient => (&server, &client),
                    };
                    // A wire that is cut at once may be gone before anything is written.
                    let _ = from.write_all(text);
                    let (pieces, seen) = reads(to);
                    assert_eq!(pieces.concat(), &text[..at], "{wire}");
                    assert_eq!(seen, end, "{wire}");
                    assert_eq!(reads(from), (Vec::new(), end.clone()), "{wire}");
                }
            }
        }
    }

    #[test]
    fn a_half_close_passes_and_the_other_direction_stays_open() {
        for wire in [Wire::Through, Wire::Drip, Wire::Lump, Wire::Shuffle(1)] {
            let Peers { relay: _relay, mut client, mut server, .. } = peers(wire);
            client.write_all(b"question").expect("write");
            client.shutdown(Shutdown::Write).expect("shutdown");
            let (pieces, end) = reads(&server);
            assert_eq!((pieces.concat(), end), (b"question".to_vec(), Received::Fin), "{wire}");
            server.write_all(b"answer").expect("write");
            drop(server);
            let (pieces, end) = reads(&client);
            assert_eq!((pieces.concat(), end), (b"answer".to_vec(), Received::Fin), "{wire}");
        }
    }

    #[test]
    fn a_reset_passes_as_a_reset_after_the_bytes_before_it() {
        for wire in [Wire::Through, Wire::Drip, Wire::Lump, Wire::Shuffle(1)] {
            for toward in [Direction::ToServer, Direction::ToClient] {
                let Peers { relay, client, server, .. } = peers(wire);
                let (mut from, to) = match toward {
                    Direction::ToServer => (client, server),
                    Direction::ToClient => (server, client),
                };
                from.write_all(b"last words").expect("write");
                relay
                    .shared
                    .clock
                    .wait(Duration::MAX, || (relay.view(|tape| tape.len(toward)) == 10).then_some(()));
                reset(&from);
                drop(from);
                let (pieces, end) = reads(&to);
                assert_eq!(
                    (pieces.concat(), end),
                    (b"last words".to_vec(), Received::Rst),
                    "{wire} {toward}"
                );
            }
        }
    }

    #[test]
    fn a_client_of_a_server_that_is_gone_is_reset_when_it_writes() {
        let Peers { relay: _relay, mut client, server, .. } = peers(Wire::Through);
        drop(server);
        assert_eq!(reads(&client), (Vec::new(), Received::Fin));
        // The first write finds out, and a later one is told.
        while client.write_all(b"hello?").is_ok() {
            thread::yield_now();
        }
    }

    #[test]
    fn a_client_that_the_server_refuses_is_reset() {
        let Peers { relay, .. } = peers(Wire::Through);
        // The listener is gone by now.
        let client = TcpStream::connect(relay.address()).expect("connect");
        assert_eq!(reads(&client), (Vec::new(), Received::Rst));
    }

    #[test]
    fn what_nobody_read_is_known_however_soon_both_are_gone() {
        let text = [b'x'; 300];
        for wire in [Wire::Through, Wire::Drip, Wire::Lump, Wire::Shuffle(1)] {
            for read in [false, true] {
                for _ in 0..20 {
                    let Peers { relay, mut client, mut server, .. } = peers(wire);
                    client.write_all(b"quit\n").expect("write");
                    server.read_exact(&mut [0; 5]).expect("read");
                    let client = read.then_some(client);
                    server.write_all(&text).expect("write");
                    drop(server);
                    if let Some(client) = client {
                        assert_eq!(reads(&client).0.concat(), text);
                    }
                    relay.settle();
                    let tape = relay.finish();
                    assert_eq!(tape.refused[Direction::ToClient as usize], !read, "{wire}");
                    assert_eq!(tape.bytes(Direction::ToClient), text, "{wire}");
                }
            }
        }
    }

    #[test]
    fn a_relay_ends_at_once_whatever_goes_on_in_it() {
        for wire in [Wire::Through, Wire::Drip, Wire::Lump] {
            let Peers { relay, mut client, rests, server } = peers(wire);
            rests[0].store(false, Ordering::SeqCst);
            client.write_all(&[0; 10_000]).expect("write");
            let begin = Instant::now();
            drop(relay);
            assert!(begin.elapsed() < Duration::from_secs(1), "{wire}");
            drop(server);
        }
    }
}
