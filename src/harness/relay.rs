//! The wires: a relay that stands between a client and a server and never looks inside the bytes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::anyhow;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// How a cut connection ends, for both programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cut {
    /// In order, as if the other program had closed it.
    Fin,
    /// By a reset.
    Rst,
}

/// What lies between the two programs.
///
/// Its text form (`Display`, `FromStr`) names exactly one wire: `direct`, `through`, `drip`, `lump`,
/// `shuffle:7`, `split:to-server:17`, `cut:to-client:5:rst`. Positions are bytes of the session's
/// first connection; later ones are passed through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    /// Nothing: they talk to each other.
    Direct,
    /// A relay that passes everything on as it comes; there to keep a tape.
    Through,
    /// One byte a write, each delivered before the next.
    Drip,
    /// Bytes are held back until the sender has nothing more to say for now, and go on in one write.
    Lump,
    /// Random splits and joins, each piece delivered before the next; this is the seed.
    Shuffle(u64),
    /// Passed on as they come, but the bytes before position `at` are delivered before the rest.
    Split {
        /// In which direction.
        toward: Direction,
        /// After how many bytes.
        at: u64,
    },
    /// The connection ends, for both programs, as soon as `at` bytes were delivered.
    Cut {
        /// In which direction the bytes are counted.
        toward: Direction,
        /// After how many bytes.
        at: u64,
        /// How it ends.
        by: Cut,
    },
}

impl Wire {
    /// One wire for each place between two bytes of the session on `tape`, both directions.
    pub fn every_split(tape: &Tape) -> Vec<Wire> {
        let mut wires = Vec::new();
        for toward in [Direction::ToServer, Direction::ToClient] {
            wires.extend((1..tape.len(toward)).map(|at| Wire::Split { toward, at }));
        }
        wires
    }

    /// One wire for each byte position of the session on `tape`, from before the first byte to after the
    /// last, both directions, FIN and RST.
    pub fn every_cut(tape: &Tape) -> Vec<Wire> {
        let mut wires = Vec::new();
        for toward in [Direction::ToServer, Direction::ToClient] {
            for by in [Cut::Fin, Cut::Rst] {
                wires.extend((0..=tape.len(toward)).map(|at| Wire::Cut { toward, at, by }));
            }
        }
        wires
    }

    /// Whether it holds bytes back that the other side could wait for.
    pub fn holds_back(self) -> bool {
        matches!(self, Wire::Lump | Wire::Shuffle(_))
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::ToServer => "to-server",
            Direction::ToClient => "to-client",
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
            Wire::Cut { toward, at, by } => {
                let by = match by {
                    Cut::Fin => "fin",
                    Cut::Rst => "rst",
                };
                write!(f, "cut:{toward}:{at}:{by}")
            }
        }
    }
}

impl FromStr for Wire {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Wire> {
        let unknown = || anyhow!("not a wire: {text}");
        let direction = |name: &str| match name {
            "to-server" => Ok(Direction::ToServer),
            "to-client" => Ok(Direction::ToClient),
            _ => Err(unknown()),
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
                    "fin" => Cut::Fin,
                    "rst" => Cut::Rst,
                    _ => return Err(unknown()),
                },
            },
            _ => return Err(unknown()),
        })
    }
}

/// Something that a relay received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Bytes, as one read gave them.
    Bytes(Vec<u8>),
    /// The orderly end of this direction.
    Fin,
    /// A reset by the program that sends in this direction.
    Rst,
}

/// One entry of a tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When, from the start of the session.
    pub at: Duration,
    /// On which of the client's connections, the first being 0.
    pub connection: usize,
    /// In which direction.
    pub direction: Direction,
    /// What.
    pub received: Received,
}

/// All that a relay received, in the order in which it came.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    /// The entries, in time order.
    pub entries: Vec<Entry>,
    /// When the client's connections were accepted, from the start of the session.
    pub connections: Vec<Duration>,
}

impl Tape {
    /// The bytes that went in `direction` on the first connection.
    pub fn bytes(&self, direction: Direction) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.connection == 0 && entry.direction == direction)
        {
            if let Received::Bytes(piece) = &entry.received {
                bytes.extend_from_slice(piece);
            }
        }
        bytes
    }

    /// How many bytes went in `direction` on the first connection.
    pub fn len(&self, direction: Direction) -> u64 {
        self.bytes(direction).len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wire_is_named_so_that_it_can_be_asked_for_again() {
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
}
