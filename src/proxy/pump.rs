//! The proxy itself: it waits for the client, connects to the server when the client has connected,
//! and passes bytes between the two.
//!
//! Everything happens in [`Proxy::pump`], on the thread that calls it and without waiting. When a pump
//! has found nothing to do, no data is in flight inside the proxy.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::poll::{PollFd, PollFlags};
use socket2::Domain;

use super::connection::{Called, Link};
use super::flow::{Flow, Mode, READ};
use super::tables::Tables;
use super::wire::{Direction, End};
use crate::run::clock::Clock;
use crate::run::computer::{Computer, Computers};

/// How many bytes the tape of the first connection takes, in each direction.
const TAPE: usize = 256 << 20;
/// How many bytes the tape of a later connection takes.
const LATER_TAPE: usize = 1 << 20;
/// How many of a client's connections are open at the same time; others wait to be accepted, so that no
/// client can use up the files that this process may open.
const CONNECTIONS: usize = 64;
/// How many connections wait to be accepted, as std has it.
const BACKLOG: i32 = 128;

/// Where the proxy stands.
#[derive(Clone, Debug)]
pub struct Config {
    /// The addresses at which clients connect. A port 0 is a free one, the same at all of them.
    pub listen: Vec<SocketAddr>,
    /// The addresses from which the proxy connects to the server, at most one of a family.
    pub sources: Vec<IpAddr>,
    /// Whether a client stays connected when the server cannot be reached: what it does until then can be
    /// judged without a server.
    pub keeps_client: bool,
    /// The computers: it listens on the client's, and connects on the server's.
    pub computers: Computers,
}

/// Spreads the addresses of proxies over 127.0.0.x, so that no two that run side by side share one.
static NEXT: AtomicU8 = AtomicU8::new(0);

impl Config {
    /// On this machine alone: an address for the client to connect to, and another one for the server to
    /// see it come from.
    pub fn local() -> Self {
        let n = NEXT.fetch_add(1, Ordering::Relaxed) % 100;
        Config {
            listen: vec![SocketAddr::new(Ipv4Addr::new(127, 0, 0, 20 + n).into(), 0)],
            // A server that listens on IPv6 alone cannot be reached from 127.0.0.x.
            sources: vec![Ipv4Addr::new(127, 0, 0, 130 + n).into(), Ipv6Addr::LOCALHOST.into()],
            computers: Computers::shared(),
            keeps_client: false,
        }
    }

    /// Between two isolated computers: on the client's it is the server, at the server's address and at
    /// every loopback address, on `port`; on the server's it is the client.
    pub fn between(computers: &Computers, port: u16) -> Self {
        let places = [computers.server.address(), Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        Config {
            listen: places.map(|ip| SocketAddr::new(ip, port)).into(),
            sources: vec![computers.client.address(), Ipv6Addr::LOCALHOST.into()],
            computers: computers.clone(),
            keeps_client: false,
        }
    }
}

/// The first of the ports from which a proxy connects on an isolated computer.
const FIRST_SOURCE: u16 = 41_000;

/// Where connection `number` of a proxy comes from. On an isolated computer, where nothing else uses ports,
/// it is the same in every session: a server may well print it.
fn sources(addresses: &[IpAddr], computer: &Computer, number: usize) -> Vec<SocketAddr> {
    let nth = u16::try_from(number).ok().filter(|_| computer.is_isolated());
    let port = nth.and_then(|nth| FIRST_SOURCE.checked_add(nth)).unwrap_or(0);
    addresses.iter().map(|&address| SocketAddr::new(address, port)).collect()
}

/// What was received on one of a client's connections.
#[derive(Clone, Debug)]
pub struct Connection {
    /// When it was accepted, from the start of the session.
    pub at: Duration,
    /// From the client to the server.
    pub to_server: Flow,
    /// From the server to the client.
    pub to_client: Flow,
}

/// The proxy between the two programs of a session.
#[derive(Debug)]
pub struct Proxy {
    listeners: Vec<TcpListener>,
    sources: Vec<IpAddr>,
    keeps_client: bool,
    targets: Vec<SocketAddr>,
    sockets: Tables,
    server_computer: Arc<Computer>,
    clock: Clock,
    buffer: Vec<u8>,
    link: Link,
    accepted: Option<Duration>,
    source: Option<IpAddr>,
    further: Vec<(Link, Connection)>,
    /// The modes of a connection after the first, to begin with: to the server, and to the client.
    pub(super) further_modes: [Mode; 2],
    /// Whether the client has connected, and it is known whether the server could be reached.
    pub connected: bool,
    /// Why the server could not be reached, if so.
    pub unreachable: Option<io::Error>,
    /// From the client to the server, on the client's first connection.
    pub to_server: Flow,
    /// From the server to the client, on the client's first connection.
    pub to_client: Flow,
}

impl Proxy {
    /// A proxy that listens where `config` says.
    pub fn open(config: &Config, clock: &Clock) -> Result<Self> {
        let mut listeners: Vec<TcpListener> = Vec::new();
        for &address in &config.listen {
            let mut address = address;
            if let Some(first) = listeners.first().filter(|_| address.port() == 0) {
                address.set_port(first.local_addr()?.port());
            }
            let failed = || format!("the proxy cannot listen at {address}");
            let socket = config.computers.client.socket(Domain::for_address(address)).with_context(failed)?;
            socket.set_reuse_address(true).with_context(failed)?;
            match socket.bind(&address.into()) {
                // A computer may have no IPv6.
                Err(_) if address.is_ipv6() && config.computers.client.is_isolated() => continue,
                bound => bound.with_context(failed)?,
            }
            socket.listen(BACKLOG).with_context(failed)?;
            let listener = TcpListener::from(socket);
            listener.set_nonblocking(true).with_context(failed)?;
            listeners.push(listener);
        }
        Ok(Proxy {
            listeners,
            sources: config.sources.clone(),
            keeps_client: config.keeps_client,
            targets: Vec::new(),
            sockets: Tables {
                server: config.computers.server.sockets()?,
                client: config.computers.client.sockets()?,
            },
            server_computer: Arc::clone(&config.computers.server),
            clock: clock.clone(),
            buffer: vec![0; READ],
            link: Link::none(),
            accepted: None,
            source: None,
            further: Vec::new(),
            further_modes: [Mode::Open; 2],
            connected: false,
            unreachable: None,
            to_server: Flow::new(Mode::Open, TAPE),
            to_client: Flow::new(Mode::Open, TAPE),
        })
    }

    /// Where the server is: at the first of `targets` that does not refuse. A refusal comes from the
    /// kernel; the server does not notice it.
    pub fn aim(&mut self, targets: Vec<SocketAddr>) {
        self.targets = targets;
    }

    /// Where the client is to connect to: the first of the addresses.
    pub fn address(&self) -> Result<SocketAddr> {
        let first = self.listeners.first().context("the proxy listens nowhere")?;
        Ok(first.local_addr()?)
    }

    /// Where the server sees the client come from.
    pub fn source(&self) -> IpAddr {
        let first = self.sources.first().copied();
        self.source.or(first).unwrap_or(Ipv4Addr::LOCALHOST.into())
    }

    /// The connections that the client opened after the first, in order.
    pub fn further(&self) -> impl ExactSizeIterator<Item = &Connection> {
        self.further.iter().map(|(_, connection)| connection)
    }

    /// Does all that can be done without waiting; whether there was anything. An error is a fault of this
    /// machine.
    pub fn pump(&mut self) -> Result<bool> {
        let now = self.clock.now();
        let mut any = self.accept(now)?;
        if let Some(called) = self.link.call(now, self.keeps_client)? {
            any = true;
            self.connected = true;
            match called {
                Called::From(source) => self.source = Some(source),
                Called::Unreachable(error) => self.unreachable = Some(error),
            }
        }
        let Proxy { link, to_server, to_client, sockets, buffer, .. } = self;
        any |= link.pump(to_server, to_client, sockets, buffer, now)?;
        for (link, connection) in &mut self.further {
            any |= link.call(now, self.keeps_client)?.is_some();
            let Connection { to_server, to_client, .. } = connection;
            any |= link.pump(to_server, to_client, sockets, buffer, now)?;
            // Both sides have ended in order, so nothing is left to reset.
            if to_server.is_done() && to_client.is_done() {
                *link = Link::none();
            }
        }
        Ok(any)
    }

    fn accept(&mut self, now: Duration) -> Result<bool> {
        let mut any = false;
        for listener in &self.listeners {
            while accepts(&self.further) {
                let client = match listener.accept() {
                    Ok((client, _)) => client,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // The client has gone again, or a signal came.
                    Err(error)
                        if matches!(
                            error.kind(),
                            io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted
                        ) =>
                    {
                        continue;
                    }
                    Err(error) => return Err(error).context("the proxy cannot accept a connection"),
                };
                any = true;
                let number = self.further.len() + usize::from(self.accepted.is_some());
                let sources = sources(&self.sources, &self.server_computer, number);
                let link = Link::open(client, &self.targets, sources, &self.server_computer, now)?;
                if self.accepted.is_none() {
                    (self.accepted, self.link) = (Some(now), link);
                } else {
                    let [to_server, to_client] = self.further_modes.map(|mode| Flow::new(mode, LATER_TAPE));
                    self.further.push((link, Connection { at: now, to_server, to_client }));
                }
            }
        }
        Ok(any)
    }

    /// Whether bytes wait here that the present modes do not hold back: their receiver has yet to read.
    pub fn is_busy(&self) -> bool {
        self.links().any(|(link, to_server, to_client)| link.is_busy(to_server, to_client))
    }

    /// Every connection, with its flow to the server and its flow to the client.
    fn links(&self) -> impl Iterator<Item = (&Link, &Flow, &Flow)> {
        let further = self.further.iter().map(|(link, flows)| (link, &flows.to_server, &flows.to_client));
        std::iter::once((&self.link, &self.to_server, &self.to_client)).chain(further)
    }

    /// Whether bytes that a program has written are yet to be sent by its kernel.
    pub fn is_sending(&self) -> Result<bool> {
        for (link, to_server, to_client) in self.links() {
            if link.is_sending(to_server, to_client, &self.sockets)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether something is yet to be read of the program that sends in `direction` and has ended: bytes, or the end
    /// of a stream.
    pub fn is_coming(&self, direction: Direction) -> Result<bool> {
        for (link, to_server, to_client) in self.links() {
            let flow = if direction == Direction::ToServer { to_server } else { to_client };
            if link.is_coming(direction, flow, &self.sockets)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Ends the connection to the server as if the client had gone.
    pub fn cut_server(&mut self, by: End) {
        self.to_server.cut = Some((self.clock.now(), by));
        self.link.cut_server(by);
    }

    /// Ends the connection to the client as if the server had gone.
    pub fn cut_client(&mut self, by: End) {
        self.to_client.cut = Some((self.clock.now(), by));
        self.link.cut_client(by);
    }

    /// Ends all connections in order, as if each program's partner had closed them.
    pub fn close(&mut self) {
        self.end(End::Fin);
    }

    /// Ends all connections without leaving anything of them in the kernel: a server that insists on one
    /// port, and does not share it with the remains of its last connection, can start again at once.
    pub fn hang_up(mut self) {
        self.end(End::Rst);
    }

    fn end(&mut self, by: End) {
        for link in std::iter::once(&mut self.link).chain(self.further.iter_mut().map(|(link, _)| link)) {
            link.cut_client(by);
            link.cut_server(by);
        }
    }

    /// Every connection, the first one first, for a thread that steers them.
    pub(super) fn connections(&mut self) -> impl Iterator<Item = Steered<'_>> {
        let Proxy { link, to_server, to_client, sockets, .. } = self;
        let sockets = &*sockets;
        let first = self.accepted.map(|_| Steered { link, to_server, to_client, sockets });
        first.into_iter().chain(self.further.iter_mut().map(move |(link, connection)| Steered {
            link,
            to_server: &mut connection.to_server,
            to_client: &mut connection.to_client,
            sockets,
        }))
    }

    /// Whether every connection that was accepted has come to its end.
    pub(super) fn is_over(&self) -> bool {
        let over = |link: &Link, to_server: &Flow, to_client: &Flow| {
            !link.is_open() || (to_server.is_done() && to_client.is_done())
        };
        over(&self.link, &self.to_server, &self.to_client)
            && self.further.iter().all(|(link, one)| over(link, &one.to_server, &one.to_client))
    }

    /// The events that allow the next pump to do something.
    pub(super) fn events<'a>(&'a self, all: &mut Vec<PollFd<'a>>) {
        let listeners = self.listeners.iter().filter(|_| accepts(&self.further));
        all.extend(listeners.map(|listener| PollFd::new(listener.as_fd(), PollFlags::POLLIN)));
        self.link.events(&self.to_server, &self.to_client, all);
        for (link, connection) in &self.further {
            link.events(&connection.to_server, &connection.to_client, all);
        }
    }

    /// Closes all sockets, and returns everything that was received.
    pub(super) fn into_tape(self) -> Tape {
        let Proxy { accepted, to_server, to_client, further, .. } = self;
        let first = accepted.map(|at| Connection { at, to_server, to_client });
        let further = further.into_iter().map(|(_, connection)| connection);
        Tape { connections: first.into_iter().chain(further).collect() }
    }
}

/// Whether another connection may be open beside these.
fn accepts(further: &[(Link, Connection)]) -> bool {
    further.iter().filter(|(link, _)| link.is_open()).count() < CONNECTIONS
}

/// A connection as the thread sees it that steers it.
pub(super) struct Steered<'a> {
    pub(super) link: &'a mut Link,
    pub(super) to_server: &'a mut Flow,
    pub(super) to_client: &'a mut Flow,
    pub(super) sockets: &'a Tables,
}

/// All that a proxy received.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    /// The client's connections, in the order in which they were accepted.
    pub connections: Vec<Connection>,
}

impl Tape {
    fn first(&self, direction: Direction) -> Option<&Flow> {
        let first = self.connections.first()?;
        Some(match direction {
            Direction::ToServer => &first.to_server,
            Direction::ToClient => &first.to_client,
        })
    }

    /// The bytes that were sent in `direction` on the first connection.
    pub fn bytes(&self, direction: Direction) -> &[u8] {
        self.first(direction).map_or(&[], |flow| &flow.tape)
    }

    /// How many bytes were sent in `direction` on the first connection.
    pub fn len(&self, direction: Direction) -> u64 {
        self.bytes(direction).len() as u64
    }

    /// Whether the receiver reset the first connection before it had read all that was sent to it.
    pub fn refused(&self, direction: Direction) -> bool {
        self.first(direction).is_some_and(|flow| flow.refused)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Shutdown, TcpStream};
    use std::sync::mpsc::channel;
    use std::thread;

    use socket2::{Socket, Type};

    use super::*;
    use crate::run::spawn::without_copies;

    struct Ends {
        proxy: Proxy,
        client: TcpStream,
        server: TcpStream,
    }

    fn ends() -> Ends {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut proxy = Proxy::open(&Config::local(), &Clock::start()).unwrap();
        proxy.aim(vec![listener.local_addr().unwrap()]);
        let client = TcpStream::connect(proxy.address().unwrap()).unwrap();
        while !proxy.connected {
            proxy.pump().unwrap();
        }
        let (server, from) = listener.accept().unwrap();
        assert_eq!(from.ip(), proxy.source());
        Ends { proxy, client, server }
    }

    fn pump_until(proxy: &mut Proxy, done: impl Fn(&Proxy) -> bool) {
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !done(proxy) {
            proxy.pump().unwrap();
            assert!(std::time::Instant::now() < deadline);
        }
    }

    #[apply(test)]
    fn held_bytes_arrive_in_one_piece() {
        let Ends { mut proxy, mut client, mut server } = ends();
        proxy.to_server.mode = Mode::Held;
        for piece in [b"one\n", b"two\n"] {
            client.write_all(piece).unwrap();
        }
        pump_until(&mut proxy, |proxy| proxy.to_server.tape.len() == 8);
        proxy.to_server.mode = Mode::Open;
        pump_until(&mut proxy, |proxy| proxy.to_server.passed == 8);
        let mut buffer = [0; 99];
        assert_eq!(server.read(&mut buffer).unwrap(), 8);
    }

    #[apply(test)]
    fn a_piece_is_not_sent_before_the_last_one_was_read() {
        let Ends { mut proxy, mut client, mut server } = ends();
        proxy.to_server.mode = Mode::Pieces(1);
        client.write_all(b"abc").unwrap();
        pump_until(&mut proxy, |proxy| proxy.to_server.passed == 1);
        for _ in 0..50 {
            proxy.pump().unwrap();
        }
        assert_eq!(proxy.to_server.passed, 1);
        let mut buffer = [0; 99];
        for passed in 1..=3 {
            assert_eq!(server.read(&mut buffer).unwrap(), 1);
            pump_until(&mut proxy, |proxy| proxy.to_server.passed == 3.min(passed + 1));
        }
    }

    #[apply(test)]
    fn what_a_program_that_has_ended_sent_is_coming_until_it_was_read() {
        let Ends { mut proxy, mut client, server } = ends();
        let is_coming = |proxy: &Proxy| Direction::BOTH.map(|direction| proxy.is_coming(direction).unwrap());
        // Both could go on, as a child of a program that has ended does.
        assert_eq!(is_coming(&proxy), [false, false]);
        client.write_all(b"one\n").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(is_coming(&proxy), [true, false]);
        pump_until(&mut proxy, |proxy| proxy.to_server.end.is_some());
        assert_eq!(is_coming(&proxy), [false, false]);
        server.shutdown(Shutdown::Write).unwrap();
        assert_eq!(is_coming(&proxy), [false, true]);
        pump_until(&mut proxy, |proxy| proxy.to_client.end.is_some());
        assert_eq!(is_coming(&proxy), [false, false]);
    }

    #[apply(test)]
    fn a_cut_reaches_the_program_as_a_fin_or_a_reset() {
        let Ends { mut proxy, client: _client, mut server } = ends();
        proxy.cut_server(End::Fin);
        assert_eq!(server.read(&mut [0; 9]).unwrap(), 0);
        let Ends { mut proxy, client: _client, mut server } = ends();
        proxy.cut_server(End::Rst);
        assert_eq!(server.read(&mut [0; 9]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[apply(test)]
    fn a_cut_waits_until_no_child_has_a_copy_of_the_socket() {
        for by in [End::Fin, End::Rst] {
            let Ends { mut proxy, client: _client, mut server } = ends();
            let copy = proxy.link.server_copy();
            let ((held, holds), (release, released), (cut, done)) = (channel(), channel(), channel());
            let child = thread::spawn(move || {
                let _becoming = without_copies();
                held.send(()).unwrap();
                released.recv().unwrap();
                drop(copy);
            });
            holds.recv().unwrap();
            let judge = thread::spawn(move || {
                proxy.cut_server(by);
                cut.send(()).unwrap();
            });
            // It must not come back while the copy is there.
            let early = done.recv_timeout(Duration::from_millis(100)).is_ok();
            server.set_nonblocking(true).unwrap();
            let seen = server.read(&mut [0; 9]).map_err(|error| error.kind());
            assert!(!early || seen != Err(io::ErrorKind::WouldBlock), "{by:?}");
            release.send(()).unwrap();
            child.join().unwrap();
            judge.join().unwrap();
            let end = if by == End::Fin { Ok(0) } else { Err(io::ErrorKind::ConnectionReset) };
            assert_eq!(server.read(&mut [0; 9]).map_err(|error| error.kind()), end);
        }
    }

    #[apply(test)]
    fn a_piece_of_the_tape_has_the_time_at_which_it_was_received() {
        let Ends { mut proxy, mut client, server: _server } = ends();
        for (length, piece) in [(3, b"one"), (6, b"two")] {
            client.write_all(piece).unwrap();
            pump_until(&mut proxy, |proxy| proxy.to_server.tape.len() == length);
        }
        let pieces: Vec<_> = proxy.to_server.pieces().collect();
        assert_eq!([pieces[0].1, pieces[1].1], [b"one", b"two"]);
        assert!(pieces[0].0 < pieces[1].0 && pieces[1].0 <= proxy.clock.now());
    }

    #[apply(test)]
    fn a_second_connection_of_the_client_is_recorded_and_passed_on() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut proxy = Proxy::open(&Config::local(), &Clock::start()).unwrap();
        proxy.aim(vec![listener.local_addr().unwrap()]);
        for message in [&b"first"[..], b"second"] {
            let mut client = TcpStream::connect(proxy.address().unwrap()).unwrap();
            client.write_all(message).unwrap();
        }
        pump_until(&mut proxy, |proxy| {
            proxy.to_server.is_done() && proxy.further().any(|later| later.to_server.is_done())
        });
        assert_eq!(proxy.to_server.tape, b"first");
        assert_eq!(proxy.further().len(), 1);
        for message in ["first", "second"] {
            let mut received = String::new();
            let (mut server, _) = listener.accept().unwrap();
            server.read_to_string(&mut received).unwrap();
            assert_eq!(received, message);
        }
        assert_eq!(proxy.further().next().unwrap().to_server.tape, b"second");
    }

    #[apply(test)]
    fn a_proxy_listens_at_every_address_with_one_port() {
        let addresses = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 19)];
        let config = Config { listen: addresses.map(|ip| (ip, 0).into()).to_vec(), ..Config::local() };
        let mut proxy = Proxy::open(&config, &Clock::start()).unwrap();
        let port = proxy.address().unwrap().port();
        let _clients = addresses.map(|ip| TcpStream::connect((ip, port)).unwrap());
        pump_until(&mut proxy, |proxy| proxy.further().len() == 1);
    }

    #[apply(test)]
    fn a_server_that_is_not_there_is_unreachable_and_its_client_is_reset() {
        // A port that is taken, and that nothing listens on.
        let taken = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        taken.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let mut proxy = Proxy::open(&Config::local(), &Clock::start()).unwrap();
        proxy.aim(vec![taken.local_addr().unwrap().as_socket().unwrap()]);
        let mut client = TcpStream::connect(proxy.address().unwrap()).unwrap();
        pump_until(&mut proxy, |proxy| proxy.connected);
        assert_eq!(proxy.unreachable.unwrap().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(client.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}
