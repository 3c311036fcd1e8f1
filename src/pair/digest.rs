//! The digest of a log: the number of its messages and bytes, and a running hash of them.
//!
//! The client compares the digest of what it sent with that of what came back, and keeps neither.

use std::hash::{BuildHasher, Hasher, RandomState};

use xxhash_rust::xxh3::Xxh3;

/// The number of messages whose line feed is among `bytes` of a log.
pub fn messages_in(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// The digest of a log, in which each message ends with a line feed.
#[derive(Clone)]
pub struct Digest {
    /// The number of messages whose line feed was among the bytes.
    pub messages: u64,
    /// The number of bytes, line feeds included.
    pub bytes: u64,
    seed: u64,
    hash: Xxh3,
}

impl Digest {
    /// The digest of an empty log. The hash has a random seed: no server can make another log to match it.
    pub fn new() -> Self {
        Digest::seeded(RandomState::new().build_hasher().finish())
    }

    fn seeded(seed: u64) -> Self {
        Digest { messages: 0, bytes: 0, seed, hash: Xxh3::with_seed(seed) }
    }

    /// The digest of an empty log, comparable with this one.
    pub fn empty_like(&self) -> Self {
        Digest::seeded(self.seed)
    }

    /// Adds `bytes` of the log; large pieces are cheapest.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.messages += messages_in(bytes);
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Digest) -> bool {
        self.bytes == other.bytes && self.hash.digest() == other.hash.digest()
    }
}
