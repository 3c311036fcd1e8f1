//! The placeholders of goldens, and the true values that stand for them in one session.

use std::net::IpAddr;
use std::str;

/// A volatile part of a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// `[SERVER_ADDRESS]`: any address that this machine has.
    ServerAddress,
    /// `[PORT]`: the port in this program's command.
    Port,
    /// `[CLIENT_ADDRESS]`: where the server's connection came from.
    ClientAddress,
}

pub(super) const PLACEHOLDERS: [(&str, Placeholder); 3] = [
    ("[SERVER_ADDRESS]", Placeholder::ServerAddress),
    ("[PORT]", Placeholder::Port),
    ("[CLIENT_ADDRESS]", Placeholder::ClientAddress),
];

/// The true values of one session, as one of its programs must show them.
#[derive(Clone, Debug)]
pub struct Values {
    /// The port that the server listens on, or the one in the client's command.
    pub port: u16,
    /// The address that the server's connection comes from.
    pub client: IpAddr,
    /// The addresses of this machine's interfaces; all of 127.0.0.0/8 is its own without being named.
    pub own: Vec<IpAddr>,
}

impl Values {
    fn is_own(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.own.contains(&address)
    }

    /// What `text` can begin with if `placeholder` stands there, longest first: lengths in bytes.
    pub(super) fn lengths_at(&self, placeholder: Placeholder, text: &[u8]) -> Vec<usize> {
        match placeholder {
            Placeholder::Port => {
                let port = self.port.to_string();
                if text.starts_with(port.as_bytes()) { vec![port.len()] } else { Vec::new() }
            }
            Placeholder::ClientAddress => addresses_at(text, |address| address == self.client),
            Placeholder::ServerAddress => addresses_at(text, |address| self.is_own(address)),
        }
    }

    /// Whatever may stand for `placeholder`; of the loopback addresses only the usual one.
    pub(super) fn all(&self, placeholder: Placeholder) -> impl Iterator<Item = String> {
        let own = self.own.iter().filter(move |_| placeholder == Placeholder::ServerAddress);
        own.map(ToString::to_string).chain([self.canonical(placeholder)])
    }

    /// What stands for `placeholder` where nothing that was seen says which value it is.
    pub(super) fn canonical(&self, placeholder: Placeholder) -> String {
        match placeholder {
            Placeholder::Port => self.port.to_string(),
            Placeholder::ClientAddress => self.client.to_string(),
            Placeholder::ServerAddress => {
                let shown = self.own.iter().find(|address| !address.is_loopback());
                shown.map_or_else(|| "127.0.0.1".to_owned(), ToString::to_string)
            }
        }
    }
}

/// The lengths, longest first, of addresses that `text` begins with and that are `wanted`.
fn addresses_at(text: &[u8], wanted: impl Fn(IpAddr) -> bool) -> Vec<usize> {
    let run = text.iter().take_while(|byte| byte.is_ascii_hexdigit() || b".:".contains(byte)).count();
    let parse = |length: usize| str::from_utf8(&text[..length]).ok()?.parse::<IpAddr>().ok();
    (2..=run.min(45)).rev().filter(|&length| parse(length).is_some_and(&wanted)).collect()
}
