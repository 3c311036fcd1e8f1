//! Ports for servers under test: each session has one of its own.
//!
//! A port is reserved against every other harness on this machine by a name in the kernel (an abstract
//! unix socket), which is gone with the process that holds it, however it ends. Reserving never listens
//! on the port and never connects to it.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as Name, UnixDatagram};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use socket2::{Domain, Protocol, Socket, Type};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::Fault;
use crate::run::clock::{Clock, Waited};
use crate::run::spawn::without_copies;

/// Where ports are taken from.
const RANGE: RangeInclusive<u16> = 10_000..=20_000;

/// How long a session waits for a port that its server insists on.
const FIXED: Duration = Duration::from_secs(120);

/// The place in the range at which the next search begins. Harnesses that start at the same time begin at
/// different places.
static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
    let place = RandomState::new().hash_one(std::process::id()) % RANGE.len() as u64;
    AtomicU16::new(u16::try_from(place).unwrap_or_default())
});

/// A port that no one else uses, for as long as this value lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Holds the name; a port of an isolated computer needs none.
    _name: Option<UnixDatagram>,
}

impl Port {
    /// A free port that no session has used within the last minute, so that a server which cannot listen
    /// on a port with connections still winding down (no `SO_REUSEADDR`) can listen on it; when there is
    /// none, one that is free otherwise.
    pub fn free() -> anyhow::Result<Port> {
        for reuse in [false, true] {
            for _ in RANGE {
                let place = usize::from(NEXT.fetch_add(1, Ordering::Relaxed)) % RANGE.len();
                let Some(number) = RANGE.clone().nth(place) else { continue };
                if let Some(port) = Port::reserve(number)?
                    && is_free(number, reuse)
                {
                    return Ok(port);
                }
            }
        }
        let (first, last) = (RANGE.start(), RANGE.end());
        Err(Fault::usage(format!("no port from {first} to {last} is free")).into())
    }

    /// A port of an isolated computer, where nothing else uses any.
    pub fn isolated(number: u16) -> Port {
        Port { number, _name: None }
    }

    /// A number of the range that follows from `name`, and from nothing else.
    pub fn number_for(name: &str) -> u16 {
        let place = xxh3_64(name.as_bytes()) % RANGE.len() as u64;
        RANGE.start() + u16::try_from(place).unwrap_or_default()
    }

    /// The port `number`, for a server that insists on it; waits while another session has it, or
    /// something else listens on it.
    pub fn fixed(number: u16) -> anyhow::Result<Port> {
        match Clock::start().watch(FIXED, || Port::fixed_now(number).transpose()) {
            Waited::Seen(port) => port,
            Waited::TimeUp => {
                let taken = Fault::new(format!("port {number} is in use"));
                Err(taken.hint("the server insists on this port").into())
            }
            Waited::Stopped => Err(anyhow!("stopped before port {number} was free")),
        }
    }

    fn fixed_now(number: u16) -> anyhow::Result<Option<Port>> {
        Ok(Port::reserve(number)?.filter(|_| is_free(number, true)))
    }

    /// The port.
    pub fn number(&self) -> u16 {
        self.number
    }

    fn reserve(number: u16) -> anyhow::Result<Option<Port>> {
        let name = Name::from_abstract_name(format!("echolog-port-{number}"));
        match name.and_then(|name| UnixDatagram::bind_addr(&name)) {
            Ok(name) => Ok(Some(Port { number, _name: Some(name) })),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
            Err(error) => Err(error).context(format!("port {number} cannot be reserved")),
        }
    }
}

/// Whether a server could listen on `port` now: on every interface, IPv4 and IPv6, with or without
/// `SO_REUSEADDR`.
fn is_free(port: u16, reuse: bool) -> bool {
    // A child that has not become its program yet would hold a copy of what is bound here.
    let _alone = without_copies();
    let bind = |domain, address: SocketAddr| -> io::Result<()> {
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(reuse)?;
        socket.bind(&address.into())
    };
    let taken = |result: io::Result<()>| result.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse);
    !taken(bind(Domain::IPV4, (Ipv4Addr::UNSPECIFIED, port).into()))
        && !taken(bind(Domain::IPV6, (Ipv6Addr::UNSPECIFIED, port).into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::clock::Clock;
    use crate::run::command::{Ready, Spec, Template, Values};
    use crate::run::program::{Limits, Program, Streams};
    use std::net::{TcpListener, TcpStream};
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    #[apply(test)]
    fn no_port_is_given_twice_while_it_is_held() {
        let ports: Vec<_> = (0..200).map(|_| Port::free().expect("a port")).collect();
        let mut numbers: Vec<_> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), ports.len());
        assert!(numbers.iter().all(|number| RANGE.contains(number)));
        assert!(Port::fixed_now(numbers[0]).expect("no error").is_none());
        drop(ports);
        // A child that was just being started has a copy of everything until it becomes its program.
        let again = || Port::fixed_now(numbers[0]).expect("no error");
        assert!(Clock::start().watch(Duration::from_secs(20), again).seen().is_some());
    }

    #[apply(test)]
    fn a_port_can_be_listened_on_also_while_programs_are_started() {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let starter = scope.spawn(|| {
                let spec = Spec {
                    command: Template::command("true").expect("a command"),
                    answers: Vec::new(),
                    dir: None,
                    env: Vec::new(),
                    ready: Ready::Listening,
                    computer: None,
                };
                let (values, limits, clock) = (Values::default(), Limits::default(), Clock::start());
                while !over.load(Ordering::SeqCst) {
                    let program = Program::start(&spec, &values, Streams::TERMINAL, &limits, &clock);
                    let program = program.expect("it starts");
                    assert!(program.wait_end(Duration::MAX).seen().is_some());
                    program.finish();
                }
            });
            for _ in 0..3000 {
                let port = Port::free().expect("a port");
                // As a server does that sets SO_REUSEADDR: what winds down is not in its way, but
                // whatever is bound is.
                let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port.number()));
                if let Err(error) = listener {
                    over.store(true, Ordering::SeqCst);
                    panic!("port {}: {error}", port.number());
                }
            }
            over.store(true, Ordering::SeqCst);
            starter.join().expect("it ends");
        });
    }

    #[apply(test)]
    fn a_port_is_not_free_while_something_listens_on_it_or_winds_down_on_it() {
        for address in ["127.0.0.1", "0.0.0.0", "::1", "::"] {
            let reserved = Port::free().expect("a port");
            let port = reserved.number();
            assert!(is_free(port, false) && is_free(port, true));
            let ip: std::net::IpAddr = address.parse().expect("an address");
            let listener = TcpListener::bind((ip, port)).expect("bind");
            assert!(!is_free(port, false) && !is_free(port, true), "{address}");
            // The server closes first, so its side is the one that winds down.
            let client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
            drop(listener.accept().expect("accept"));
            drop((client, listener));
            // As above, a copy of the listener may live on for an instant.
            let free = || is_free(port, true).then_some(());
            assert!(Clock::start().watch(Duration::from_secs(20), free).seen().is_some(), "{address}");
            assert!(!is_free(port, false), "{address}");
        }
    }
}
