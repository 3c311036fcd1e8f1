//! The line between the two programs: a relay that the judge steers while a session runs.
//!
//! It never looks inside the bytes. Nothing happens in it but in [`Line::pump`], on the judge's own
//! thread: so when a pump has found nothing to do, nothing is on its way in here.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use socket2::{Domain, SockRef, Socket, Type};

use crate::run::sockets::{Connected, Sockets};
use crate::run::spawn::without_copies;

/// How often a sender is read from, before it is looked at what comes of it.
const READS: usize = 64;

/// How a direction may pass its bytes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As they come.
    Open,
    /// Not at all, for now; when that ends, in one write.
    Held,
    /// At most so many in one write, each delivered (read by the receiver) before the next.
    Pieces(usize),
}

/// How a direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In order.
    Fin,
    /// By a reset, or because the other side was not there to send to.
    Rst,
}

/// One direction.
#[derive(Debug)]
pub struct Flow {
    /// Everything that was received.
    pub tape: Vec<u8>,
    /// How many bytes of it were passed on.
    pub passed: usize,
    /// How many bytes of it are known to have arrived.
    arrived: usize,
    /// How it may pass bytes on.
    pub mode: Mode,
    /// How it ended, if it did.
    pub end: Option<End>,
    /// Whether its end is not to be passed on for now.
    pub keep_end: bool,
    end_passed: bool,
}

impl Flow {
    fn new() -> Self {
        Flow {
            tape: Vec::new(),
            passed: 0,
            arrived: 0,
            mode: Mode::Open,
            end: None,
            keep_end: false,
            end_passed: false,
        }
    }

    /// Reads what `from` has; whether there was anything.
    fn receive(&mut self, from: &mut TcpStream) -> bool {
        let mut buffer = [0; 1 << 14];
        let mut any = false;
        // Of one that sends without end, there is always more.
        for _ in 0..READS {
            if self.end.is_some() {
                break;
            }
            match from.read(&mut buffer) {
                Ok(0) => self.end = Some(End::Fin),
                Ok(n) => self.tape.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.end = Some(End::Rst),
            }
            any = true;
        }
        any
    }

    /// Passes on what may be passed on; whether anything was.
    fn pass(&mut self, to: &mut TcpStream, sockets: &Sockets) -> bool {
        let mut any = false;
        while self.mode != Mode::Held && self.passed < self.tape.len() {
            if matches!(self.mode, Mode::Pieces(_)) && !self.delivered(to, sockets) {
                break;
            }
            let waiting = &self.tape[self.passed..];
            let piece = match self.mode {
                Mode::Pieces(most) => &waiting[..most.min(waiting.len())],
                _ => waiting,
            };
            match to.write(piece) {
                Ok(n) => self.passed += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Nobody takes it any more: as if it had been passed on into the void.
                Err(_) => self.passed = self.tape.len(),
            }
            any = true;
        }
        let may_end = self.mode != Mode::Held && !self.keep_end && !self.end_passed;
        if let Some(end) = self.end
            && may_end
            && self.passed == self.tape.len()
        {
            self.end_passed = true;
            any = true;
            // A reset cannot be passed on for one direction alone; whoever writes finds out.
            let how = if end == End::Rst { Shutdown::Both } else { Shutdown::Write };
            let _ = to.shutdown(how);
        }
        any
    }

    /// Whether everything passed on to `to` has been read by the program at its other end.
    fn delivered(&mut self, to: &TcpStream, sockets: &Sockets) -> bool {
        let Some(socket) = other_end(to, sockets) else { return true };
        // The kernel looks at what is unread first, so only what it says after all has arrived counts.
        let all_arrived = self.arrived == self.passed;
        if socket.arrived >= self.passed as u64 {
            self.arrived = self.passed;
        }
        all_arrived && socket.unread == 0
    }
}

/// The socket that `stream` is connected to.
fn other_end(stream: &TcpStream, sockets: &Sockets) -> Option<Connected> {
    let (here, there) = (stream.local_addr().ok()?, stream.peer_addr().ok()?);
    let mapped = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    // A program that listens on both families has IPv4 connections in an IPv6 socket.
    [(there, here), (mapped(there), mapped(here))]
        .into_iter()
        .find_map(|(local, remote)| sockets.connected(local, remote).ok().flatten())
}

/// The line: it listens for the client, and calls the server when the client has called it.
#[derive(Debug)]
pub struct Line {
    listener: TcpListener,
    client: Option<TcpStream>,
    server: Option<TcpStream>,
    targets: Vec<SocketAddr>,
    sources: (Ipv4Addr, Ipv6Addr),
    sockets: Sockets,
    /// Whether the client has connected.
    pub connected: bool,
    /// Why the server could not be reached, if so.
    pub unreachable: Option<io::Error>,
    /// From the client to the server.
    pub to_server: Flow,
    /// From the server to the client.
    pub to_client: Flow,
}

/// Spreads the addresses of lines over 127.0.0.x, so that one line's are not another's.
static NEXT: AtomicU8 = AtomicU8::new(0);

/// An address for the client to connect to, and another for the server to see it come from.
fn addresses() -> (Ipv4Addr, Ipv4Addr) {
    let n = NEXT.fetch_add(1, Ordering::Relaxed) % 100;
    (Ipv4Addr::new(127, 0, 0, 20 + n), Ipv4Addr::new(127, 0, 0, 130 + n))
}

impl Line {
    /// A line that is open at an address of its own.
    pub fn open() -> Result<Self> {
        let (host, source) = addresses();
        let listener = TcpListener::bind((host, 0)).with_context(|| format!("cannot listen at {host}"))?;
        listener.set_nonblocking(true)?;
        Ok(Line {
            listener,
            client: None,
            server: None,
            targets: Vec::new(),
            sources: (source, Ipv6Addr::LOCALHOST),
            sockets: Sockets::open()?,
            connected: false,
            unreachable: None,
            to_server: Flow::new(),
            to_client: Flow::new(),
        })
    }

    /// Where the server is to be called: at the first of `targets` that does not refuse. A refusal comes
    /// from the kernel; the server does not hear of it.
    pub fn aim(&mut self, targets: Vec<SocketAddr>) {
        self.targets = targets;
    }

    /// Where the client is to connect to.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Where the server sees the client come from.
    pub fn source(&self) -> IpAddr {
        let used = self.server.as_ref().and_then(|server| server.local_addr().ok());
        used.map_or(self.sources.0.into(), |address| address.ip().to_canonical())
    }

    /// Does all that can be done without waiting; whether there was anything.
    pub fn pump(&mut self) -> bool {
        let mut any = false;
        if let Ok((client, _)) = self.listener.accept() {
            // One client, one connection; a second one is turned away.
            if !self.connected {
                any = true;
                self.connected = true;
                match self.call() {
                    Ok(server) => {
                        let _ = client.set_nonblocking(true);
                        let _ = client.set_nodelay(true);
                        (self.client, self.server) = (Some(client), Some(server));
                    }
                    Err(error) => self.unreachable = Some(error),
                }
            }
        }
        if let Some(client) = &mut self.client {
            any |= self.to_server.receive(client);
        }
        if let Some(server) = &mut self.server {
            any |= self.to_client.receive(server);
            any |= self.to_server.pass(server, &self.sockets);
        }
        if let Some(client) = &mut self.client {
            any |= self.to_client.pass(client, &self.sockets);
        }
        any
    }

    fn call(&self) -> io::Result<TcpStream> {
        let mut refused = io::Error::from(io::ErrorKind::NotConnected);
        for &target in &self.targets {
            // A server on IPv6 alone cannot be called from 127.0.0.x.
            let source =
                if target.is_ipv4() { IpAddr::from(self.sources.0) } else { IpAddr::from(self.sources.1) };
            let socket = Socket::new(Domain::for_address(target), Type::STREAM, None)?;
            socket.bind(&SocketAddr::new(source, 0).into())?;
            match socket.connect(&target.into()) {
                Ok(()) => {
                    socket.set_tcp_nodelay(true)?;
                    socket.set_nonblocking(true)?;
                    return Ok(socket.into());
                }
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// Whether bytes wait here that the present modes keep back, or whose receiver has yet to read.
    pub fn is_busy(&self) -> bool {
        let waits = |flow: &Flow| flow.mode != Mode::Held && flow.passed < flow.tape.len();
        (waits(&self.to_server) && self.server.is_some()) || (waits(&self.to_client) && self.client.is_some())
    }

    /// Ends the connection to the server as if the client had gone.
    pub fn cut_server(&mut self, by: End) {
        cut(self.server.take(), by);
    }

    /// Ends the connection to the client as if the server had gone.
    pub fn cut_client(&mut self, by: End) {
        cut(self.client.take(), by);
    }

    /// Takes the line down as programs do that have nothing more to say.
    pub fn close(&mut self) {
        self.cut_client(End::Fin);
        self.cut_server(End::Fin);
    }

    /// Takes the line down without leaving anything of it in the kernel: a server that insists on one
    /// port, and cannot share it with the remains of its last connection, can start again at once.
    pub fn hang_up(mut self) {
        self.cut_server(End::Rst);
        self.cut_client(End::Rst);
    }
}

fn cut(stream: Option<TcpStream>, by: End) {
    let Some(stream) = stream else { return };
    match by {
        End::Fin => {
            // Unread bytes would turn the orderly end into a reset.
            let mut left = [0; 1 << 12];
            while (&stream).read(&mut left).is_ok_and(|n| n > 0) {}
        }
        End::Rst => {
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
    }
    // A connection ends with its last copy. A child that is about to become a program under test elsewhere
    // has one, and on a busy machine for longer than it takes to find that nobody moves.
    let _none_left = without_copies();
    drop(stream);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    struct Ends {
        line: Line,
        client: TcpStream,
        server: TcpStream,
    }

    fn ends() -> Ends {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut line = Line::open().unwrap();
        line.aim(vec![listener.local_addr().unwrap()]);
        let client = TcpStream::connect(line.address().unwrap()).unwrap();
        while !line.connected {
            line.pump();
        }
        let (server, from) = listener.accept().unwrap();
        assert_eq!(from.ip(), line.source());
        Ends { line, client, server }
    }

    fn pump_until(line: &mut Line, done: impl Fn(&Line) -> bool) {
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !done(line) {
            line.pump();
            assert!(std::time::Instant::now() < deadline);
        }
    }

    #[test]
    fn what_was_held_arrives_in_one_piece() {
        let Ends { mut line, mut client, mut server } = ends();
        line.to_server.mode = Mode::Held;
        for piece in [b"one\n", b"two\n"] {
            client.write_all(piece).unwrap();
        }
        pump_until(&mut line, |line| line.to_server.tape.len() == 8);
        line.to_server.mode = Mode::Open;
        pump_until(&mut line, |line| line.to_server.passed == 8);
        let mut buffer = [0; 99];
        assert_eq!(server.read(&mut buffer).unwrap(), 8);
    }

    #[test]
    fn a_piece_is_not_sent_before_the_last_one_was_read() {
        let Ends { mut line, mut client, mut server } = ends();
        line.to_server.mode = Mode::Pieces(1);
        client.write_all(b"abc").unwrap();
        pump_until(&mut line, |line| line.to_server.passed == 1);
        for _ in 0..50 {
            line.pump();
        }
        assert_eq!(line.to_server.passed, 1);
        let mut buffer = [0; 99];
        for passed in 1..=3 {
            assert_eq!(server.read(&mut buffer).unwrap(), 1);
            pump_until(&mut line, |line| line.to_server.passed == 3.min(passed + 1));
        }
    }

    #[test]
    fn each_way_of_cutting_is_what_the_program_meets() {
        let Ends { mut line, client: _client, mut server } = ends();
        line.cut_server(End::Fin);
        assert_eq!(server.read(&mut [0; 9]).unwrap(), 0);
        let Ends { mut line, client: _client, mut server } = ends();
        line.cut_server(End::Rst);
        assert_eq!(server.read(&mut [0; 9]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn what_was_cut_is_cut_though_a_child_has_a_copy() {
        for by in [End::Fin, End::Rst] {
            let Ends { mut line, client: _client, mut server } = ends();
            let copy = line.server.as_ref().unwrap().try_clone().unwrap();
            let ((held, holds), (release, released), (cut, done)) = (channel(), channel(), channel());
            let child = thread::spawn(move || {
                let _becoming = without_copies();
                held.send(()).unwrap();
                released.recv().unwrap();
                drop(copy);
            });
            holds.recv().unwrap();
            let judge = thread::spawn(move || {
                line.cut_server(by);
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
}
