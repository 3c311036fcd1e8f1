//! The messages that are typed: made-up words that no banner has, the same in every run.

/// Line `number` of the session `name`, of so many words.
pub fn line(name: &str, number: usize, words: usize) -> String {
    (0..words).map(|at| word(&format!("{name} {number} {at}"))).collect::<Vec<_>>().join(" ")
}

/// A word of six letters, made from the hash (FNV-1a) of `seed`.
pub fn word(seed: &str) -> String {
    let hash = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut hash = hash ^ (hash >> 29);
    let mut letter = |letters: &str| {
        let count = letters.len() as u64;
        let at = usize::try_from(hash % count).unwrap_or_default();
        hash /= count;
        letters[at..=at].to_string()
    };
    (0..3).map(|_| letter("bdfgklmnprstvz") + &letter("aeiou")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[apply(test)]
    fn messages_are_the_same_every_time_and_none_like_another() {
        assert_eq!(line("session", 1, 2), "pagefu talema");
        let words: HashSet<String> = (0..1_000).map(|number| line("big log", number, 3)).collect();
        assert_eq!(words.len(), 1_000);
        assert!(line("x", 0, 3).split(' ').all(|word| word.len() == 6));
    }
}
