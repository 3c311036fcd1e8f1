//! Lines that differ in characters which look alike or cannot be seen, shown so that the difference is seen.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_width::UnicodeWidthChar as _;

use crate::escape;

/// Whether `one` and `other` differ, and a reader could not tell them apart: by letters of another script in the
/// place of Latin ones, composed and decomposed ones, blanks of other kinds, characters without width, or a
/// carriage return.
///
/// A table of all pairs of letters that look alike (UTS 39) would be a tenth of the program, for this alone.
pub(super) fn look_alike(one: &[u8], other: &[u8]) -> bool {
    // Of two such lines the reader sees every character; `1` and `l` differ enough.
    let plain = |text: &[u8]| text.iter().all(|byte| (b' '..=b'~').contains(byte));
    if one == other || (plain(one) && plain(other)) {
        return false;
    }
    let (Ok(one), Ok(other)) = (str::from_utf8(one), str::from_utf8(other)) else { return false };
    let [one, other] = [one, other].map(|text| text.nfkd().filter(|&it| is_seen(it)).collect::<Vec<char>>());
    let is_latin_in_one = |(one, other): (&char, &char)| {
        one == other || (one.is_alphabetic() && other.is_alphabetic() && one.is_ascii() != other.is_ascii())
    };
    one.len() == other.len() && one.iter().zip(&other).all(is_latin_in_one)
}

/// Whether `character` changes what a reader sees. (Other control characters are shown escaped anyway.)
fn is_seen(character: char) -> bool {
    character != '\r' && (character.width() != Some(0) || is_combining_mark(character))
}

/// Both lines, in which all but printable ASCII is escaped between the first and the last difference.
pub(super) fn reveal(one: &[u8], other: &[u8]) -> [String; 2] {
    let [one, other] = [one, other].map(String::from_utf8_lossy);
    let begin: usize = same(one.chars().zip(other.chars()));
    let shorter = one.chars().count().min(other.chars().count()) - begin;
    let end = same(one.chars().rev().zip(other.chars().rev())).min(shorter);
    [one, other].map(|line| {
        let differ = begin..line.chars().count() - end;
        let show = |(at, character): (usize, char)| {
            if differ.contains(&at) && !(' '..='~').contains(&character) {
                format!("\\u{{{:x}}}", u32::from(character))
            } else {
                escape::show(character.encode_utf8(&mut [0; 4]).as_bytes())
            }
        };
        line.chars().enumerate().map(show).collect()
    })
}

/// How many pairs are of equal characters before the first that is not.
fn same(pairs: impl Iterator<Item = (char, char)>) -> usize {
    pairs.take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn lines_that_look_alike_are_revealed() {
        for (one, other, shown) in [
            ("\u{feff}hello", "hello", ["\\u{feff}hello", "hello"]),
            ("zero\u{200b}width", "zerowidth", ["zero\\u{200b}width", "zerowidth"]),
            ("no\u{a0}break", "no break", ["no\\u{a0}break", "no break"]),
            ("Zo\u{eb}", "Zoe\u{308}", ["Zo\\u{eb}", "Zoe\\u{308}"]),
            ("p\u{430}ss \u{e9}", "pass \u{e9}", ["p\\u{430}ss \u{e9}", "pass \u{e9}"]),
            ("line\r", "line", ["line\\u{d}", "line"]),
        ] {
            assert!(look_alike(one.as_bytes(), other.as_bytes()), "{one}");
            assert_eq!(reveal(one.as_bytes(), other.as_bytes()), shown);
        }
    }

    #[apply(test)]
    fn lines_that_look_different_are_left_as_they_are() {
        for (one, other) in [
            ("hello", "hello"),
            ("Zo\u{eb}", "Zoe"),
            ("I1", "l1"),
            ("a\u{a0}b", "ab"),
            ("\u{434}\u{430}", "\u{434}\u{43e}"),
            ("\u{434}a", "?a"),
        ] {
            assert!(!look_alike(one.as_bytes(), other.as_bytes()), "{one}");
        }
        assert!(!look_alike(b"\xff", b"\xfe"));
    }
}
