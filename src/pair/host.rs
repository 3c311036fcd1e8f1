//! Addresses and ports: parsing, resolving, binding, and the address to show.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};
use std::str::FromStr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use socket2::{Domain, Protocol, Socket, Type};

use crate::error::Fault;

/// The ports a server may use: one, the first free one of a range, or any (`0`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    first: u16,
    last: u16,
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "0" {
            return Ok(Ports { first: 0, last: 0 });
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (parse_port(first)?, parse_port(last)?);
        if first > last {
            return Err(format!("the range {first}-{last} is empty"));
        }
        Ok(Ports { first, last })
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// A port that can be connected to: 1 to 65535.
pub fn parse_port(text: &str) -> Result<u16, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("a port is needed, a number from 1 to 65535".into());
    }
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(format!("port {text} is not between 1 and 65535"))
        }
        _ => Err(format!("\"{text}\" is not a port number")),
    }
}

/// The addresses of `host`: a name, IPv4, or IPv6 (in brackets or not, with a zone or not).
pub fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Fault> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let unknown = || Fault::new(format!("cannot find the address of \"{host}\""));
    match (bare, port).to_socket_addrs().map(Iterator::collect::<Vec<_>>) {
        Ok(addresses) if !addresses.is_empty() => Ok(addresses),
        Ok(_) => Err(unknown()),
        Err(_) if host.parse::<SocketAddr>().is_ok() => {
            Err(unknown().hint("give the address and the port as two words, with a space between them"))
        }
        Err(error) => {
            let known = "give a host name that this computer knows, or an address like 192.168.1.3";
            Err(unknown().because(error).hint(known))
        }
    }
}

/// Listens on the first free one of `ports`: at `bind`, or at every address of this computer, IPv4
/// and IPv6 on one socket where there is IPv6, and IPv4 alone where there is not.
pub fn listen(bind: Option<&str>, ports: Ports) -> Result<TcpListener, Fault> {
    let addresses = match bind {
        Some(host) => resolve(host, 0)?,
        None => {
            vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)), SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))]
        }
    };
    let mut last_error = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for mut address in addresses {
        for port in ports.first..=ports.last {
            address.set_port(port);
            match listen_at(address) {
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

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let address = match address.ip().to_canonical() {
        // Sockets for IPv6 alone do not take IPv4 in its clothes.
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
    socket.listen(16)?;
    Ok(socket.into())
}

fn not_listening(bind: Option<&str>, ports: Ports, error: io::Error) -> Fault {
    let many = ports.first != ports.last;
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

/// The address to give to someone on another computer: where `listener` is bound, or, where that is
/// every address, the source address of the default route, else the first address of an interface
/// that is up and not loopback, else 127.0.0.1.
pub fn address_to_show(listener: &TcpListener) -> io::Result<IpAddr> {
    let bound = listener.local_addr()?.ip().to_canonical();
    if !bound.is_unspecified() {
        return Ok(bound);
    }
    let six = listener.local_addr()?.is_ipv6();
    Ok(route_source(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)))
        .or_else(|| route_source(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))).filter(|_| six))
        .or_else(|| interface_address(six))
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)))
}

/// The source address of packets to `far`, an address reserved for documentation (RFC 5737, RFC
/// 3849) and so reached by the default route. Connecting a UDP socket sends nothing.
fn route_source(far: IpAddr) -> Option<IpAddr> {
    let any =
        if far.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((far, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|source| !source.is_loopback() && !source.is_unspecified())
}

/// The first address of an interface that is up and not loopback; IPv4 before IPv6, and IPv6
/// addresses that are valid everywhere before those of one link.
fn interface_address(six: bool) -> Option<IpAddr> {
    let up: Vec<IpAddr> = getifaddrs()
        .ok()?
        .filter(|interface| {
            interface.flags.contains(InterfaceFlags::IFF_UP)
                && !interface.flags.contains(InterfaceFlags::IFF_LOOPBACK)
        })
        .filter_map(|interface| {
            let address = interface.address?;
            let four = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
            four.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
        })
        .filter(|address| six || address.is_ipv4())
        .collect();
    let rank = |address: &IpAddr| match address {
        IpAddr::V4(_) => 0,
        IpAddr::V6(address) if !address.is_unicast_link_local() => 1,
        IpAddr::V6(_) => 2,
    };
    up.into_iter().min_by_key(rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_a_number_from_1_to_65535() {
        assert_eq!(parse_port("1"), Ok(1));
        assert_eq!(parse_port(" 65535 "), Ok(65535));
        for wrong in ["0", "65536", "99999999999999999999"] {
            assert_eq!(parse_port(wrong), Err(format!("port {wrong} is not between 1 and 65535")));
        }
        for wrong in ["http", "-1", "1.5", "12 34"] {
            assert_eq!(parse_port(wrong), Err(format!("\"{wrong}\" is not a port number")));
        }
        assert!(parse_port("").unwrap_err().contains("1 to 65535"));
    }

    #[test]
    fn ports_are_one_a_range_or_any() {
        assert_eq!("80".parse(), Ok(Ports { first: 80, last: 80 }));
        assert_eq!("10000-20000".parse(), Ok(Ports { first: 10000, last: 20000 }));
        assert_eq!("0".parse(), Ok(Ports { first: 0, last: 0 }));
        for wrong in ["20000-10000", "0-5", "1-", "-", "a-b", "1-70000", ""] {
            assert!(wrong.parse::<Ports>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_free_port_of_a_range_is_taken() {
        let taken = listen(Some("127.0.0.1"), "10000-20000".parse().unwrap()).unwrap();
        let first = taken.local_addr().unwrap().port();
        let range = format!("{first}-20000").parse().unwrap();
        let second = listen(Some("127.0.0.1"), range).unwrap().local_addr().unwrap().port();
        assert!(second > first, "{first} is in use, {second} was given");
        let error = listen(Some("127.0.0.1"), Ports { first, last: first }).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen at 127.0.0.1 on port {first}: it is in use"));
    }

    #[test]
    fn addresses_come_with_brackets_and_zones_too() {
        for host in ["::1", "[::1]"] {
            assert_eq!(resolve(host, 7).unwrap(), [SocketAddr::from((Ipv6Addr::LOCALHOST, 7))]);
        }
        let SocketAddr::V6(address) = resolve("fe80::1%lo", 7).unwrap()[0] else { panic!("IPv6") };
        assert_ne!(address.scope_id(), 0);
    }

    #[test]
    fn the_address_shown_is_where_the_listener_is_bound() {
        let listener = listen(Some("127.0.0.2"), "0".parse().unwrap()).unwrap();
        assert_eq!(address_to_show(&listener).unwrap(), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)));
        let listener = listen(Some("::ffff:127.0.0.2"), "0".parse().unwrap()).unwrap();
        assert_eq!(address_to_show(&listener).unwrap(), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)));
    }
}
