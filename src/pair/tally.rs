//! What a log holds, told without keeping it: how many messages and bytes, and a running hash of them.
//!
//! Two tallies, of what was sent and of what came back, are equal where the bytes are the same.

use std::hash::{BuildHasher, Hasher, RandomState};

use xxhash_rust::xxh3::Xxh3;

/// The number of messages whose line feed is among `bytes` of a log.
pub fn messages_in(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// Messages and bytes counted, and a running hash of them as a log: each message with a line feed.
#[derive(Clone)]
pub struct Tally {
    /// The number of messages whose line feed was among the bytes.
    pub messages: u64,
    /// The number of bytes, line feeds included.
    pub bytes: u64,
    seed: u64,
    hash: Xxh3,
}

impl Tally {
    /// Of nothing, yet. Its hash is another every time, so that no server can aim at it.
    pub fn new() -> Self {
        Tally::seeded(RandomState::new().build_hasher().finish())
    }

    fn seeded(seed: u64) -> Self {
        Tally { messages: 0, bytes: 0, seed, hash: Xxh3::with_seed(seed) }
    }

    /// Of nothing, yet, to be compared with this one.
    pub fn anew(&self) -> Self {
        Tally::seeded(self.seed)
    }

    /// Goes on with `bytes` of the log; cheapest in large pieces.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.messages += messages_in(bytes);
    }
}

impl PartialEq for Tally {
    fn eq(&self, other: &Tally) -> bool {
        self.bytes == other.bytes && self.hash.digest() == other.hash.digest()
    }
}
