//! Connecting to the server.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::address;
use super::connection::Connection;
use crate::error::{self, Fault};

/// The pause between two attempts to reach a server that is not up yet.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(50);

/// How long a client tries to reach its server.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long a server may take to accept a connection.
    pub connect_timeout: Duration,
    /// How long to keep trying until there is a server.
    pub wait: Duration,
}

impl Patience {
    /// Connects to the first address of `host` that answers, trying again until the time to wait is over.
    pub fn connect(&self, host: &str, port: u16) -> Result<(Connection, SocketAddr), Fault> {
        let end = Instant::now() + self.wait;
        let mut told = false;
        loop {
            // The name as well: that of a machine or a container may be there only once it is up.
            let attempt = address::resolve(host, port).and_then(|addresses| {
                let connection = self.attempt(&addresses).and_then(|stream| {
                    let connection = Connection::new(stream)?;
                    let peer = connection.peer()?;
                    Ok((connection, peer))
                });
                connection.map_err(|error| self.not_connected(host, port, error))
            });
            let fault = match attempt {
                Ok(connection) => return Ok(connection),
                Err(fault) => fault,
            };
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(fault);
            }
            if !told {
                told = true;
                error::note(&format!(
                    "{}; trying again for {} s",
                    error::parts(&fault.into()).0,
                    self.wait.as_secs_f64()
                ));
            }
            // A server that comes up, or a name that becomes known, can only be found by trying again (as curl
            // --retry-connrefused does), and not without end or rest.
            std::thread::sleep(BETWEEN_ATTEMPTS.min(left)); // a port that opens far away tells nobody
        }
    }

    /// Tries each address once. They share the time, so that one that does not answer leaves some.
    fn attempt(&self, addresses: &[SocketAddr]) -> io::Result<TcpStream> {
        let end = Instant::now() + self.connect_timeout;
        let mut last_error = io::Error::from(io::ErrorKind::TimedOut);
        for (at, address) in addresses.iter().enumerate() {
            let rest = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
            let share = end.saturating_duration_since(Instant::now()) / rest;
            match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))).and_then(opened) {
                Ok(stream) => return Ok(stream),
                Err(error) => last_error = error,
            }
        }
        Err(last_error)
    }

    fn not_connected(&self, host: &str, port: u16, error: io::Error) -> Fault {
        let cannot = format!("cannot connect to {host} on port {port}");
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Fault::new(format!("{cannot}: nobody listens there")).hint(
                format!("start the server first (echolog server {port}), or let --wait SECONDS wait for it"),
            ),
            io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected => {
                Fault::new(format!("{cannot}: the server refused it"))
                    .hint("it may be serving another client, or allow only the addresses it was given")
            }
            io::ErrorKind::TimedOut => {
                let seconds = self.connect_timeout.as_secs_f64();
                Fault::new(format!("{cannot}: no answer within {seconds} s"))
                    .hint("check the address, and whether a firewall is in between; --connect-timeout gives more time")
            }
            _ => Fault::new(cannot).because(error).hint("check the address and this computer's network"),
        }
    }
}

/// `stream`, if there is a server at its other end.
fn opened(stream: TcpStream) -> io::Result<TcpStream> {
    match stream.peer_addr() {
        // On loopback a port that nobody listens on can be drawn for this very connection, which TCP
        // then opens to itself (RFC 9293, section 3.5).
        Ok(peer) if peer == stream.local_addr()? => Err(io::ErrorKind::ConnectionRefused.into()),
        Ok(_) => Ok(stream),
        // It was reset as soon as it was open.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => {
            Err(io::ErrorKind::ConnectionReset.into())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use socket2::SockRef;

    use super::*;

    #[apply(test)]
    fn a_connection_that_is_reset_at_once_was_refused_by_the_server() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut stream = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let (server, _) = listener.accept().expect("there is one");
        SockRef::from(&server).set_linger(Some(Duration::ZERO)).expect("a socket can linger");
        drop(server);
        stream.read(&mut [0]).expect_err("it is reset");
        let error = opened(stream).expect_err("nobody is there");

        let patience = Patience { connect_timeout: Duration::ZERO, wait: Duration::ZERO };
        assert_eq!(
            error::words(&patience.not_connected("there", 12345, error).into()),
            "error: cannot connect to there on port 12345: the server refused it\n\
             hint: it may be serving another client, or allow only the addresses it was given\n"
        );
    }
}
