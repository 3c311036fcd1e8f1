//! Listening, and the choice of the one client.
//!
//! The first connection that sends a byte is the client's. One that closes or is reset before that (a port
//! scan, a health check) is noted, and the server goes on listening. While a connection is silent, others
//! wait for at most [`GRACE`], and after that they are refused: two people who connect at once must not both
//! wait for the same server.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener};
use std::time::Duration;

use nix::errno::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::address::{self, Ports};
use super::connection::Connection;
use super::screen::Screen;
use crate::error::{self, Fault};

/// How long connections wait behind one that is silent. A port scan closes its connection sooner.
const GRACE: Duration = Duration::from_millis(500);

/// Connections that wait for their turn.
const BACKLOG: i32 = 16;

/// A failure to accept that repeats this often without a connection in between is no passing one.
const FAILURES: u32 = 100;

/// Ports tried where any free one will do: between a port that is found free and its use it may be taken.
const TRIES: u32 = 10;

/// Listens on the first free one of `ports`: at `bind`, or at every address of this computer, IPv4
/// and IPv6 on one socket where there is IPv6, and IPv4 alone where there is not.
pub fn listen(bind: Option<&str>, ports: Ports) -> Result<TcpListener, Fault> {
    let addresses = match bind {
        Some(host) => address::resolve(host, 0)?,
        None => {
            vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)), SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))]
        }
    };
    let mut last_error = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for mut address in addresses {
        for port in ports.first()..=ports.last() {
            address.set_port(port);
            let listening = if port == 0 { listen_anywhere(address) } else { listen_at(address) };
            match listening {
                Ok(listener) => return Ok(listener),
                Err(error) => last_error = error,
            }
            if !matches!(last_error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) {
                break;
            }
        }
        // Only a host without this kind of address gives reason to try the next kind.
        if matches!(last_error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) {
            break;
        }
    }
    Err(not_listening(bind, ports, last_error))
}

/// Listens on a free port. It is bound by its number, like any other: a port that the system has chosen is
/// given back whenever the socket stops listening.
fn listen_anywhere(address: SocketAddr) -> io::Result<TcpListener> {
    let mut failure = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..TRIES {
        let port = bind(address)?.local_addr()?.as_socket().map_or(0, |bound| bound.port());
        match listen_at(SocketAddr::new(address.ip(), port)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => failure = error,
            done => return done,
        }
    }
    Err(failure)
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bind(address)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let address = match address.ip().to_canonical() {
        // A socket for IPv6 alone does not take mapped addresses.
        IpAddr::V4(four) => SocketAddr::from((four, address.port())),
        IpAddr::V6(_) => address,
    };
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // So that a server can start again while connections of the one before linger in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn not_listening(bind: Option<&str>, ports: Ports, error: io::Error) -> Fault {
    let many = ports.first() != ports.last();
    let (what, hint) = match error.kind() {
        io::ErrorKind::AddrInUse if many => {
            ("every one of them is in use", "choose another range, or 0 for any free port")
        }
        io::ErrorKind::AddrInUse => (
            "it is in use",
            "choose another port, 0 for any free one, or a range like 10000-20000 for its first free one",
        ),
        io::ErrorKind::PermissionDenied => {
            ("not permitted", "ports below 1024 are for the superuser: choose one from 1024 to 65535")
        }
        io::ErrorKind::AddrNotAvailable => {
            ("this computer does not have that address", "leave --bind out to listen at every address")
        }
        _ => {
            let at = bind.map(|bind| format!(" at {bind}")).unwrap_or_default();
            return Fault::new(format!("cannot listen{at} on port {ports}")).because(error);
        }
    };
    let at = bind.map(|bind| format!(" at {bind}")).unwrap_or_default();
    let word = if many { "ports" } else { "port" };
    Fault::new(format!("cannot listen{at} on {word} {ports}: {what}")).hint(hint)
}

/// The client: the first connection, of those that are allowed, that sends something. The screen shows each.
/// Then the listener is closed, so that others are refused.
pub fn accept(
    listener: TcpListener,
    allow: &[IpAddr],
    screen: &mut Screen<impl Write>,
) -> Result<Connection, Fault> {
    let cannot = |error| Fault::new("cannot accept a client").because(error);
    let mut failures = 0;
    loop {
        let (stream, from) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if is_passing(&error) && failures < FAILURES => {
                failures += 1;
                continue;
            }
            Err(error) => return Err(cannot(error)),
        };
        failures = 0;
        let from = from.ip().to_canonical();
        if !allow.is_empty() && allow.iter().all(|allowed| allowed.to_canonical() != from) {
            error::note(&format!("refused a connection from {from}: --allow does not name it"));
            // By a reset: to a client that quits at once, an orderly end would look like an empty log.
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            screen.connection_dropped(from, "not allowed");
            screen.flush();
            continue;
        }
        let connection = Connection::new(stream).map_err(cannot)?;
        connection.end_with_reset().map_err(cannot)?;
        screen.client_connected(from);
        screen.flush();
        if has_sent(&connection, &listener).map_err(cannot)? {
            drop(listener);
            return Ok(connection);
        }
        error::note(&format!("the connection from {from} ended before it sent anything; listening again"));
        screen.connection_dropped(from, "closed before it sent anything");
        screen.flush();
    }
}

/// Waits until the connection has sent something, and returns whether it has. If not, it is gone, and
/// `listener` listens.
fn has_sent(connection: &Connection, listener: &TcpListener) -> io::Result<bool> {
    if let Some(sent) = connection.wait_for_data(Some(GRACE))? {
        return Ok(sent);
    }
    // Linux keeps the port and refuses connections, those that wait included.
    SockRef::from(listener).shutdown(Shutdown::Read)?;
    let sent = connection.wait_for_data(None)? == Some(true);
    if !sent {
        SockRef::from(listener).listen(BACKLOG)?;
    }
    Ok(sent)
}

/// Whether `error` is about one connection or one moment: accept(2) says to try again.
fn is_passing(error: &io::Error) -> bool {
    let Some(number) = error.raw_os_error() else { return false };
    matches!(
        Errno::from_raw(number),
        Errno::EAGAIN
            | Errno::ECONNABORTED
            | Errno::EHOSTDOWN
            | Errno::EHOSTUNREACH
            | Errno::EINTR
            | Errno::ENETDOWN
            | Errno::ENETUNREACH
            | Errno::ENONET
            | Errno::ENOPROTOOPT
            | Errno::EOPNOTSUPP
            | Errno::EPERM
            | Errno::EPROTO
            | Errno::ETIMEDOUT
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn the_first_free_port_of_a_range_is_taken() {
        let taken = listen(Some("127.0.0.1"), "10000-20000".parse().unwrap()).unwrap();
        let first = taken.local_addr().unwrap().port();
        let range = format!("{first}-20000").parse().unwrap();
        let second = listen(Some("127.0.0.1"), range).unwrap().local_addr().unwrap().port();
        assert!(second > first, "{first} is in use, {second} was given");
        let error = listen(Some("127.0.0.1"), first.to_string().parse().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen at 127.0.0.1 on port {first}: it is in use"));
    }
}
