//! The address that a server shows.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::path::Path;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// An address of this computer, and the interface that has it.
#[derive(Debug, PartialEq, Eq)]
pub struct Own {
    pub address: IpAddr,
    pub interface: String,
}

/// The addresses for someone on another computer, the first one to be shown: where `listener` is bound, or,
/// where that is every address, the source address of the default route. Without such a route they are the
/// addresses of all interfaces that are up and not loopback, physical interfaces first; 127.0.0.1 if there
/// is none.
pub fn addresses_to_show(listener: &TcpListener) -> io::Result<(IpAddr, Vec<Own>)> {
    let bound = listener.local_addr()?.ip().to_canonical();
    if !bound.is_unspecified() {
        return Ok((bound, Vec::new()));
    }
    let six = bound.is_ipv6();
    let source = route_source(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)))
        .or_else(|| route_source(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))).filter(|_| six));
    if let Some(source) = source {
        return Ok((source, Vec::new()));
    }
    let mut addresses = interface_addresses(six);
    if addresses.is_empty() {
        return Ok((IpAddr::V4(Ipv4Addr::LOCALHOST), addresses));
    }
    let first = addresses.remove(0).address;
    // Those of one link are of no use without the name that the link has on the other computer.
    addresses.retain(|own| reach(own.address) < LINK_LOCAL);
    Ok((first, addresses))
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

/// The addresses of interfaces that are up and not loopback, best first: physical interfaces before virtual
/// ones and these before bridges and tunnels, which lead to containers, virtual machines and private networks;
/// then IPv4 before IPv6, and IPv6 addresses that are valid everywhere before those of one link.
fn interface_addresses(six: bool) -> Vec<Own> {
    let mut up: Vec<Own> = getifaddrs()
        .into_iter()
        .flatten()
        .filter(|interface| {
            interface.flags.contains(InterfaceFlags::IFF_UP)
                && !interface.flags.contains(InterfaceFlags::IFF_LOOPBACK)
        })
        .filter_map(|interface| {
            let address = interface.address?;
            let four = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
            let address =
                four.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))?;
            Some(Own { address, interface: interface.interface_name })
        })
        .filter(|own| six || own.address.is_ipv4())
        .collect();
    up.sort_by_key(|own| (kind(&own.interface), reach(own.address)));
    up
}

/// 0 for a physical interface, 1 for a virtual one, 2 for a bridge or a tunnel.
fn kind(interface: &str) -> u8 {
    let has = |file: &str| Path::new("/sys/class/net").join(interface).join(file).exists();
    // Without a look at the interface, its name has to do.
    let names = ["docker", "br-", "virbr", "tun", "tap", "wg", "veth"];
    if has("bridge") || has("tun_flags") || names.iter().any(|name| interface.starts_with(name)) {
        2
    } else {
        u8::from(!has("device"))
    }
}

/// The rank of an address that is valid on one link only.
const LINK_LOCAL: u8 = 2;

fn reach(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 0,
        IpAddr::V6(address) if !address.is_unicast_link_local() => 1,
        IpAddr::V6(_) => LINK_LOCAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::listen::listen;

    #[apply(test)]
    fn the_address_shown_is_where_the_listener_is_bound() {
        for bind in ["127.0.0.2", "::ffff:127.0.0.2"] {
            let listener = listen(Some(bind), "0".parse().unwrap()).unwrap();
            let (address, others) = addresses_to_show(&listener).unwrap();
            assert_eq!(address, IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)));
            assert_eq!(others, []);
        }
    }

    #[apply(test)]
    fn bridges_and_tunnels_come_last() {
        assert_eq!(kind("docker0"), 2);
        assert_eq!(kind("tun0"), 2);
        assert_eq!(kind("virbr0"), 2);
        assert_eq!(kind("no-such-interface"), 1);
    }
}
