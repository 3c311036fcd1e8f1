//! The wires: what the proxy of a replayed session does with the bytes, and the name of each.

use std::fmt;
use std::str::FromStr;

use anyhow::anyhow;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// How one direction of a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// In order, by a FIN.
    Fin,
    /// By a reset.
    Rst,
}

/// What lies between the two programs.
///
/// Its text form (`Display`, `FromStr`) names exactly one wire: `direct`, `through`, `drip`, `lump`,
/// `shuffle:7`, `split:to-server:17`, `cut:to-client:5:rst`. Positions are bytes of the session's
/// first connection; later connections are passed through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    /// Nothing: the client connects to the server itself.
    Direct,
    /// A proxy that passes everything on as it comes, and keeps a tape.
    Through,
    /// One byte a write, each delivered before the next.
    Drip,
    /// The proxy buffers until the sender is idle, then sends everything in one write.
    Lump,
    /// Random splits and joins, each piece delivered before the next; the number is the seed.
    Shuffle(u64),
    /// The bytes before position `at` are delivered before the rest is sent.
    Split {
        /// In which direction.
        toward: Direction,
        /// After how many bytes.
        at: u64,
    },
    /// The connection ends, for both programs, as soon as `at` bytes are delivered.
    Cut {
        /// In which direction the bytes are counted.
        toward: Direction,
        /// After how many bytes.
        at: u64,
        /// How it ends.
        by: End,
    },
}

impl Wire {
    /// One wire for each position between two bytes of a session in which `to_server` and `to_client`
    /// bytes were sent.
    pub fn every_split(to_server: u64, to_client: u64) -> Vec<Wire> {
        let split = |toward, length| (1..length).map(move |at| Wire::Split { toward, at });
        split(Direction::ToServer, to_server).chain(split(Direction::ToClient, to_client)).collect()
    }

    /// One wire for each position in such a session, from after the first byte to after the last, in both
    /// directions, by FIN and by reset. (A connection that ends before the first byte may be a port scan,
    /// after which a server waits for its client.)
    pub fn every_cut(to_server: u64, to_client: u64) -> Vec<Wire> {
        let mut wires = Vec::new();
        for (toward, length) in [(Direction::ToServer, to_server), (Direction::ToClient, to_client)] {
            for by in [End::Fin, End::Rst] {
                wires.extend((1..=length).map(|at| Wire::Cut { toward, at, by }));
            }
        }
        wires
    }

    /// Whether it buffers bytes for which the receiver could be waiting.
    pub fn holds_back(self) -> bool {
        matches!(self, Wire::Lump | Wire::Shuffle(_))
    }
}

impl Direction {
    /// Both directions.
    pub const BOTH: [Direction; 2] = [Direction::ToServer, Direction::ToClient];
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::ToServer => "to-server",
            Direction::ToClient => "to-client",
        })
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            End::Fin => "fin",
            End::Rst => "rst",
        })
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wire::Direct => f.write_str("direct"),
            Wire::Through => f.write_str("through"),
            Wire::Drip => f.write_str("drip"),
            Wire::Lump => f.write_str("lump"),
            Wire::Shuffle(seed) => write!(f, "shuffle:{seed}"),
            Wire::Split { toward, at } => write!(f, "split:{toward}:{at}"),
            Wire::Cut { toward, at, by } => write!(f, "cut:{toward}:{at}:{by}"),
        }
    }
}

impl FromStr for Wire {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Wire> {
        let unknown = || anyhow!("not a wire: {text}");
        let direction = |name: &str| {
            Direction::BOTH.into_iter().find(|direction| direction.to_string() == name).ok_or_else(unknown)
        };
        let number = |digits: &str| digits.parse::<u64>().map_err(|_| unknown());
        Ok(match text.split(':').collect::<Vec<_>>()[..] {
            ["direct"] => Wire::Direct,
            ["through"] => Wire::Through,
            ["drip"] => Wire::Drip,
            ["lump"] => Wire::Lump,
            ["shuffle", seed] => Wire::Shuffle(number(seed)?),
            ["split", toward, at] => Wire::Split { toward: direction(toward)?, at: number(at)? },
            ["cut", toward, at, by] => Wire::Cut {
                toward: direction(toward)?,
                at: number(at)?,
                by: match by {
                    "fin" => End::Fin,
                    "rst" => End::Rst,
                    _ => return Err(unknown()),
                },
            },
            _ => return Err(unknown()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn the_name_of_a_wire_parses_back_to_the_same_wire() {
        for name in [
            "direct",
            "through",
            "drip",
            "lump",
            "shuffle:18446744073709551615",
            "split:to-server:17",
            "split:to-client:1",
            "cut:to-client:0:rst",
            "cut:to-server:5:fin",
        ] {
            assert_eq!(name.parse::<Wire>().expect(name).to_string(), name);
        }
        for name in ["", "Direct", "shuffle", "shuffle:-1", "split:17", "cut:to-server:1", "cut:up:1:fin"] {
            assert!(name.parse::<Wire>().is_err(), "{name}");
        }
    }

    #[apply(test)]
    fn every_position_of_a_session_is_split_and_cut_once() {
        let names = |wires: Vec<Wire>| wires.iter().map(Wire::to_string).collect::<Vec<_>>();
        assert_eq!(
            names(Wire::every_split(3, 2)),
            ["split:to-server:1", "split:to-server:2", "split:to-client:1"]
        );
        assert_eq!(names(Wire::every_split(0, 1)), [""; 0]);
        assert_eq!(
            names(Wire::every_cut(2, 0)),
            ["cut:to-server:1:fin", "cut:to-server:2:fin", "cut:to-server:1:rst", "cut:to-server:2:rst"]
        );
    }
}
