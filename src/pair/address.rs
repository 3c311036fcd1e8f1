//! Hosts and ports as users write them, and the addresses of a host.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

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

impl Ports {
    /// The first one, 0 for any.
    pub fn first(self) -> u16 {
        self.first
    }

    /// The last one.
    pub fn last(self) -> u16 {
        self.last
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
        _ => Err(format!("{text} is not a port number")),
    }
}

/// A host, a port or both, in one word: `host:port`, `[IPv6]:port`, `tcp://host:port`, or one without the
/// other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The host, without brackets; empty where there is none.
    pub host: String,
    /// What stands behind the colon.
    pub port: Option<String>,
}

impl Endpoint {
    /// Splits `text`. A colon makes a port, except among those of an IPv6 address.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let scheme = text.get(..6).filter(|scheme| scheme.eq_ignore_ascii_case("tcp://"));
        let text = scheme.map_or(text, |scheme| text[scheme.len()..].trim_end_matches('/'));
        let bracketed = || {
            let (host, rest) = text.strip_prefix('[')?.split_once(']')?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
            Some((host, port))
        };
        let (host, port) = bracketed().unwrap_or_else(|| match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (text, None),
        });
        Endpoint { host: host.to_owned(), port: port.map(str::to_owned) }
    }
}

/// The addresses of `host`: a name, IPv4, or IPv6 (with a zone or not).
pub fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Fault> {
    let unknown = |why: &str| {
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        Fault::new(format!("cannot find the address of {host}{why}"))
            .hint("give a host name that this computer knows, or an address like 192.168.1.3")
    };
    match (host, port).to_socket_addrs().map(Iterator::collect::<Vec<_>>) {
        Ok(addresses) if !addresses.is_empty() => Ok(addresses),
        Ok(_) => Err(unknown("it has none")),
        Err(error) => {
            // The standard library gives the words of getaddrinfo(3), and no number.
            let words = error.to_string();
            let words = words.strip_prefix("failed to lookup address information: ").unwrap_or(&words);
            Err(unknown(match words {
                "Name or service not known" | "No address associated with hostname" => {
                    "no such host is known"
                }
                "Temporary failure in name resolution" => "the name server does not answer",
                other => other.split(" (os error").next().unwrap_or(other),
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn a_port_is_a_number_from_1_to_65535() {
        assert_eq!(parse_port("1"), Ok(1));
        assert_eq!(parse_port(" 65535 "), Ok(65535));
        for wrong in ["0", "65536", "99999999999999999999"] {
            assert_eq!(parse_port(wrong), Err(format!("port {wrong} is not between 1 and 65535")));
        }
        for wrong in ["http", "-1", "1.5", "12 34"] {
            assert_eq!(parse_port(wrong), Err(format!("{wrong} is not a port number")));
        }
        assert!(parse_port("").unwrap_err().contains("1 to 65535"));
    }

    #[apply(test)]
    fn ports_are_one_a_range_or_any() {
        assert_eq!("80".parse(), Ok(Ports { first: 80, last: 80 }));
        assert_eq!("10000-20000".parse(), Ok(Ports { first: 10000, last: 20000 }));
        assert_eq!("0".parse(), Ok(Ports { first: 0, last: 0 }));
        for wrong in ["20000-10000", "0-5", "1-", "-", "a-b", "1-70000", ""] {
            assert!(wrong.parse::<Ports>().is_err(), "{wrong}");
        }
    }

    #[apply(test)]
    fn an_endpoint_is_a_host_a_port_or_both() {
        for (text, host, port) in [
            ("192.168.1.3", "192.168.1.3", None),
            ("192.168.1.3:12345", "192.168.1.3", Some("12345")),
            ("name:12345", "name", Some("12345")),
            (" name ", "name", None),
            (":12345", "", Some("12345")),
            ("name:", "name", Some("")),
            ("::1", "::1", None),
            ("[::1]", "::1", None),
            ("[::1]:12345", "::1", Some("12345")),
            ("[fe80::1%eth0]:12345", "fe80::1%eth0", Some("12345")),
            ("tcp://name:12345", "name", Some("12345")),
            ("TCP://[::1]:12345/", "::1", Some("12345")),
            ("localhost:10000-20000", "localhost", Some("10000-20000")),
        ] {
            let expected = Endpoint { host: host.into(), port: port.map(str::to_owned) };
            assert_eq!(Endpoint::parse(text), expected, "{text}");
        }
    }

    #[apply(test)]
    fn an_ipv6_address_may_have_a_zone() {
        use std::net::Ipv6Addr;
        assert_eq!(resolve("::1", 7).unwrap(), [SocketAddr::from((Ipv6Addr::LOCALHOST, 7))]);
        let SocketAddr::V6(address) = resolve("fe80::1%lo", 7).unwrap()[0] else { panic!("IPv6") };
        assert_ne!(address.scope_id(), 0);
    }
}
