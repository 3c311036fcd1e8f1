//! The two sockets of one client's connection: the client's own, and the one to the server.

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, SockRef, Socket};

use super::flow::{Flow, has_unsent, is_of_this_machine};
use super::tables::Tables;
use super::wire::{Direction, End};
use crate::run::computer::Computer;
use crate::run::spawn::without_copies;

/// How long the proxy tries to connect to a server that listens and does not accept.
const CONNECT: Duration = Duration::from_secs(5);

/// The two sockets of one client's connection.
#[derive(Debug)]
pub(super) struct Link {
    client: Option<TcpStream>,
    server: Server,
}

#[derive(Debug)]
enum Server {
    /// The proxy connects to it.
    Called(Call),
    Connected(TcpStream),
    Gone,
}

/// What became of connecting to the server.
#[derive(Debug)]
pub(super) enum Called {
    /// The server sees the client at this address.
    From(IpAddr),
    /// It could not be reached.
    Unreachable(io::Error),
}

impl Link {
    /// One without sockets.
    pub(super) fn none() -> Self {
        Link { client: None, server: Server::Gone }
    }

    /// A connection that `client` has opened, for which the first of `targets` that does not refuse is
    /// connected to, from the one of `sources` that is of the same family.
    pub(super) fn open(
        client: TcpStream,
        targets: &[SocketAddr],
        sources: Vec<SocketAddr>,
        computer: &Arc<Computer>,
        now: Duration,
    ) -> Result<Self> {
        client.set_nonblocking(true)?;
        client.set_nodelay(true)?;
        let targets = targets.iter().rev().copied().collect();
        let computer = Arc::clone(computer);
        let call = Call { targets, sources, computer, socket: None, refused: None, until: now + CONNECT };
        Ok(Link { client: Some(client), server: Server::Called(call) })
    }

    /// Goes on connecting to the server; what came of it, once. A client whose server cannot be reached is
    /// reset, unless it is to be kept.
    pub(super) fn call(&mut self, now: Duration, keeps_client: bool) -> Result<Option<Called>> {
        let Server::Called(call) = &mut self.server else { return Ok(None) };
        let Some(result) = call.step(now)? else { return Ok(None) };
        Ok(Some(match result {
            Ok(server) => {
                let source = server.local_addr()?.ip().to_canonical();
                self.server = Server::Connected(server);
                Called::From(source)
            }
            Err(error) => {
                self.server = Server::Gone;
                if !keeps_client {
                    // A server that is not there would have refused the client in the same way.
                    self.reset();
                }
                Called::Unreachable(error)
            }
        }))
    }

    /// Passes on all that can be passed on without waiting; whether there was anything.
    pub(super) fn pump(
        &mut self,
        to_server: &mut Flow,
        to_client: &mut Flow,
        sockets: &Tables,
        buffer: &mut [u8],
        now: Duration,
    ) -> Result<bool> {
        let mut any = false;
        if let Some(client) = &self.client {
            any |= to_server.receive(client, buffer, now)?;
        }
        if let Server::Connected(server) = &self.server {
            any |= to_client.receive(server, buffer, now)?;
            any |= to_server.pass(server, &sockets.server)?;
        }
        if let Some(client) = &self.client {
            any |= to_client.pass(client, &sockets.client)?;
        }
        // A program that reset the connection did not read everything that was sent to it.
        let notice = |one: &mut Flow, other: &mut Flow| {
            one.sender_reset |= other.receiver_gone;
            other.refused |= one.sender_reset && !other.discards;
        };
        notice(to_server, to_client);
        notice(to_client, to_server);
        let nobody_left = (to_server.receiver_gone && to_client.end_passed)
            || (to_client.receiver_gone && to_server.end_passed);
        if self.is_open() && (to_server.resets() || to_client.resets() || nobody_left) {
            self.reset();
            any = true;
        }
        Ok(any)
    }

    /// Whether the receiver of `flow`, which goes in `direction`, has read all that was passed on.
    pub(super) fn is_delivered(
        &self,
        direction: Direction,
        flow: &mut Flow,
        sockets: &Tables,
    ) -> Result<bool> {
        let (to, table) = match (direction, &self.server) {
            (Direction::ToClient, _) => (self.client.as_ref(), &sockets.client),
            (Direction::ToServer, Server::Connected(server)) => (Some(server), &sockets.server),
            (Direction::ToServer, _) => (None, &sockets.server),
        };
        to.map_or(Ok(true), |to| flow.is_delivered(to, table))
    }

    /// Whether there is a connection, or soon will be.
    pub(super) fn is_open(&self) -> bool {
        self.client.is_some() || !matches!(self.server, Server::Gone)
    }

    /// Whether the proxy is connecting to the server.
    pub(super) fn is_calling(&self) -> bool {
        matches!(self.server, Server::Called(_))
    }

    /// Whether bytes wait that can still be passed on.
    pub(super) fn is_busy(&self, to_server: &Flow, to_client: &Flow) -> bool {
        let server = matches!(self.server, Server::Connected(_));
        self.is_calling() || (server && to_server.is_busy()) || (self.client.is_some() && to_client.is_busy())
    }

    /// Whether bytes that a program has written are yet to be sent by its kernel, which keeps small ones until those
    /// before them are acknowledged (Nagle's algorithm, RFC 896). They come without anybody doing anything.
    pub(super) fn is_sending(&self, to_server: &Flow, to_client: &Flow, sockets: &Tables) -> Result<bool> {
        if let Some(client) = &self.client
            && to_server.reads()
            && has_unsent(client, &sockets.client)?
        {
            return Ok(true);
        }
        match &self.server {
            Server::Connected(server) if to_client.reads() => has_unsent(server, &sockets.server),
            _ => Ok(false),
        }
    }

    /// Whether something is yet to be read of the program that sends into `flow` and has ended.
    pub(super) fn is_coming(&self, direction: Direction, flow: &Flow, sockets: &Tables) -> Result<bool> {
        match (direction, &self.client, &self.server) {
            (Direction::ToServer, Some(client), _) => flow.is_coming(client, &sockets.client),
            (Direction::ToClient, _, Server::Connected(server)) => flow.is_coming(server, &sockets.server),
            _ => Ok(false),
        }
    }

    /// The events that allow the next [`Link::pump`] to do something.
    pub(super) fn events<'a>(&'a self, to_server: &Flow, to_client: &Flow, all: &mut Vec<PollFd<'a>>) {
        let flags = |read: bool, write: bool| match (read, write) {
            (true, true) => PollFlags::POLLIN | PollFlags::POLLOUT,
            (true, false) => PollFlags::POLLIN,
            (false, true) => PollFlags::POLLOUT,
            (false, false) => PollFlags::empty(),
        };
        // The kernel reports a hang-up even where no event is asked for, and would do so for ever.
        let mut add = |socket: BorrowedFd<'a>, flags: PollFlags| {
            if !flags.is_empty() {
                all.push(PollFd::new(socket, flags));
            }
        };
        if let Some(client) = &self.client {
            add(client.as_fd(), flags(to_server.reads(), to_client.blocked));
        }
        match &self.server {
            Server::Connected(server) => add(server.as_fd(), flags(to_client.reads(), to_server.blocked)),
            Server::Called(Call { socket: Some(socket), .. }) => add(socket.as_fd(), PollFlags::POLLOUT),
            _ => {}
        }
    }

    /// A copy of the socket to the server, as a child has one.
    #[cfg(test)]
    pub(super) fn server_copy(&self) -> TcpStream {
        let Server::Connected(server) = &self.server else { panic!("there is a server") };
        server.try_clone().expect("a copy")
    }

    /// Ends the connection to the server as if the client had gone.
    pub(super) fn cut_server(&mut self, by: End) {
        if let Server::Connected(server) = std::mem::replace(&mut self.server, Server::Gone) {
            close(server, by);
        }
    }

    /// Ends the connection to the client as if the server had gone.
    pub(super) fn cut_client(&mut self, by: End) {
        if let Some(client) = self.client.take() {
            close(client, by);
        }
    }

    /// Ends the connection for both programs, as if each one's partner had ended it. What they still
    /// send is read and thrown away: a socket that is closed with unread bytes resets its connection.
    pub(super) fn cut(&mut self, by: End, to_server: &mut Flow, to_client: &mut Flow) {
        to_server.discards = true;
        to_client.discards = true;
        if by == End::Rst {
            return self.reset();
        }
        let server = if let Server::Connected(server) = &self.server { Some(server) } else { None };
        for socket in self.client.iter().chain(server) {
            // A program that has gone already has no use for it.
            let _ = socket.shutdown(Shutdown::Write);
        }
    }

    /// Resets the connection for both programs.
    pub(super) fn reset(&mut self) {
        self.cut_client(End::Rst);
        self.cut_server(End::Rst);
    }
}

fn close(socket: TcpStream, by: End) {
    match by {
        End::Fin => {
            // Unread bytes would turn the orderly end into a reset.
            let mut left = [0; 1 << 12];
            while io::Read::read(&mut &socket, &mut left).is_ok_and(|count| count > 0) {}
        }
        End::Rst => {
            // It does not fail for an open socket.
            let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
        }
    }
    // A connection ends with its last copy. A child that is about to become another program under test
    // has one, on a busy machine for long enough that a session could be judged in the meantime.
    let _none_left = without_copies();
    drop(socket);
}

/// Connecting to the server, without waiting.
#[derive(Debug)]
struct Call {
    /// The addresses that are left to try, the next one last.
    targets: Vec<SocketAddr>,
    sources: Vec<SocketAddr>,
    computer: Arc<Computer>,
    /// The attempt that is under way.
    socket: Option<Socket>,
    refused: Option<io::Error>,
    until: Duration,
}

impl Call {
    /// The connection, or the reason why there is none, as soon as either is known.
    fn step(&mut self, now: Duration) -> Result<Option<io::Result<TcpStream>>> {
        loop {
            let Some(socket) = &self.socket else {
                let Some(target) = self.targets.pop() else {
                    let none = || io::Error::from(io::ErrorKind::NotConnected);
                    return Ok(Some(Err(self.refused.take().unwrap_or_else(none))));
                };
                match self.begin(target) {
                    Ok(socket) => self.socket = Some(socket),
                    Err(error) => self.refuse(error)?,
                }
                continue;
            };
            match outcome(socket)? {
                Some(Ok(())) => return Ok(self.socket.take().map(|socket| Ok(socket.into()))),
                Some(Err(error)) => self.refuse(error)?,
                None if now < self.until => return Ok(None),
                None => self.refuse(io::ErrorKind::TimedOut.into())?,
            }
        }
    }

    fn begin(&self, target: SocketAddr) -> io::Result<Socket> {
        let socket = self.computer.socket(Domain::for_address(target))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        let source = self.sources.iter().find(|source| source.is_ipv4() == target.is_ipv4());
        if let Some(&source) = source {
            match socket.bind(&source.into()) {
                // A server may listen on this very port.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    socket.bind(&SocketAddr::new(source.ip(), 0).into())?;
                }
                bound => bound?,
            }
        }
        match socket.connect(&target.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => Err(error),
            _ => Ok(socket),
        }
    }

    fn refuse(&mut self, error: io::Error) -> Result<()> {
        if is_of_this_machine(&error) {
            return Err(error).context("the proxy cannot connect to the server");
        }
        self.socket = None;
        self.refused = Some(error);
        Ok(())
    }
}

/// What came of the attempt to connect `socket`; `None` while it is under way.
fn outcome(socket: &Socket) -> Result<Option<io::Result<()>>> {
    let mut files = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    match poll(&mut files, PollTimeout::ZERO) {
        Ok(0) | Err(Errno::EINTR) => Ok(None),
        Ok(_) => Ok(Some(socket.take_error()?.map_or(Ok(()), Err))),
        Err(errno) => Err(errno).context("the proxy cannot poll"),
    }
}
