//! The safe display of text that came from outside.
//!
//! The output is printable UTF-8 and tabs, on one line: control characters, DEL, C1 controls, line and
//! paragraph separators, characters that are invisible or change the direction of the text, and bytes that
//! are not UTF-8 become visible escapes. Text shown this way cannot move the cursor, set a title, fake a line
//! or hide a difference.

use std::io::{self, Write};

/// The search for something to escape looks at this many bytes in one step, and at fewer in a short text:
/// as many as fit into the vector registers that every machine has.
const STEP: usize = 32;
const SMALL_STEP: usize = 8;

/// A text that came from outside, and whether it can be shown as it is.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    bytes: &'a [u8],
    plain: bool,
}

impl<'a> Text<'a> {
    /// A text out of `bytes` that [`are_plain`].
    pub fn plain(text: &'a [u8]) -> Self {
        debug_assert!(are_plain(text));
        Text { bytes: text, plain: true }
    }

    /// The text itself.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a, T: AsRef<[u8]> + ?Sized> From<&'a T> for Text<'a> {
    fn from(text: &'a T) -> Self {
        let bytes = text.as_ref();
        Text { bytes, plain: all(bytes, is_plain) }
    }
}

/// Whether lines that consist of `bytes` can all be shown as they are. One pass without a branch for each
/// byte finds that out, and nearly every message is plain.
pub fn are_plain(bytes: &[u8]) -> bool {
    all(bytes, |byte| is_plain(byte) | (byte == b'\n'))
}

/// Writes `text` to `out`, escaped where it must be.
pub fn write<'a>(out: &mut impl Write, text: impl Into<Text<'a>>) -> io::Result<()> {
    let text = text.into();
    if text.plain {
        return out.write_all(text.bytes);
    }
    for chunk in text.bytes.utf8_chunks() {
        let valid = chunk.valid();
        let mut written = 0;
        for (at, character) in valid.char_indices().filter(|&(_, character)| is_unsafe(character)) {
            out.write_all(&valid.as_bytes()[written..at])?;
            written = at + character.len_utf8();
            if character.is_ascii() {
                write!(out, "\\x{:02x}", u32::from(character))?;
            } else {
                write!(out, "\\u{{{:x}}}", u32::from(character))?;
            }
        }
        out.write_all(&valid.as_bytes()[written..])?;
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}")?;
        }
    }
    Ok(())
}

/// `text` as [`write()`] shows it.
pub fn show(text: &[u8]) -> String {
    let mut shown = Vec::with_capacity(text.len());
    write(&mut shown, text).expect("writing to a Vec does not fail");
    String::from_utf8(shown).expect("what is shown is UTF-8")
}

/// The byte that the end of `shown` stands for, if it is the escape of one, and what is before it.
pub fn last_shown_byte(shown: &[u8]) -> Option<(&[u8], u8)> {
    let (before, escape) = shown.split_last_chunk::<4>()?;
    let digits = str::from_utf8(escape.strip_prefix(b"\\x")?).ok()?;
    Some((before, u8::from_str_radix(digits, 16).ok()?))
}

/// Whether `shown` begins with a character, as it is or escaped, that begins with the bytes of `part`
/// and has more.
pub fn shows_more_of(shown: &[u8], part: &[u8]) -> bool {
    let escaped = || {
        let digits = shown.strip_prefix(b"\\u{")?.split(|&byte| byte == b'}').next()?;
        char::from_u32(u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?)
    };
    let valid = shown.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
    [valid, escaped()].into_iter().flatten().any(|character| {
        let mut bytes = [0; 4];
        let bytes = character.encode_utf8(&mut bytes).as_bytes();
        bytes.len() > part.len() && bytes.starts_with(part)
    })
}

/// Whether `byte` is printable ASCII or a tab, so that it can be shown as it is.
fn is_plain(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) | (byte == b'\t')
}

/// Whether every byte of `text` is `plain`.
fn all(text: &[u8], plain: impl Fn(u8) -> bool) -> bool {
    let plain = |bytes: &[u8]| bytes.iter().fold(true, |all, &byte| all & plain(byte));
    // The last step overlaps the one before it rather than leaving a rest to go through singly.
    if let Some(last) = text.last_chunk::<STEP>() {
        return text.chunks_exact(STEP).all(plain) && plain(last);
    }
    match text.last_chunk::<SMALL_STEP>() {
        Some(last) => text.chunks_exact(SMALL_STEP).all(plain) && plain(last),
        None => plain(text),
    }
}

/// Whether `character` must be escaped.
pub fn is_unsafe(character: char) -> bool {
    match character {
        '\t' => false,
        // Soft hyphen, combining grapheme joiner, Arabic letter mark, Hangul fillers, Khmer inherent vowels,
        // Mongolian vowel separator.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
        | '\u{3164}' | '\u{ffa0}'
        // Zero-width space, joiner and non-joiner; directional marks.
        | '\u{200b}'..='\u{200f}'
        // Line and paragraph separators; embeddings and overrides (UAX #9).
        | '\u{2028}'..='\u{202e}'
        // Word joiner, invisible operators, isolates, deprecated format characters.
        | '\u{2060}'..='\u{206f}'
        // Byte order mark; interlinear annotation.
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        // Tags.
        | '\u{e0000}'..='\u{e007f}' => true,
        _ => character.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn printable_text_in_any_script_is_left_as_it_is() {
        for text in
            ["", "plain", "tab\there", "Grüße", "日本語", "e\u{301}", "👩🚀", "שלום", "\\x1b \"quoted\""]
        {
            assert_eq!(show(text.as_bytes()), text);
        }
    }

    #[apply(test)]
    fn controls_invisible_characters_and_bytes_that_are_not_utf8_become_visible() {
        for (text, shown) in [
            (&b"\x1b[2J"[..], "\\x1b[2J"),
            (b"a\rb\nc\0", "a\\x0db\\x0ac\\x00"),
            (b"\x7f", "\\x7f"),
            ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
            ("\u{202e}abc\u{2066}".as_bytes(), "\\u{202e}abc\\u{2066}"),
            ("\u{2028}".as_bytes(), "\\u{2028}"),
            ("\u{feff}BOM".as_bytes(), "\\u{feff}BOM"),
            ("pay\u{200b}pal\u{200d}\u{200f}".as_bytes(), "pay\\u{200b}pal\\u{200d}\\u{200f}"),
            ("\u{2060}\u{ad}\u{61c}\u{e0041}".as_bytes(), "\\u{2060}\\u{ad}\\u{61c}\\u{e0041}"),
            (b"\xff\xfe", "\\xff\\xfe"),
            (b"ok\xc3", "ok\\xc3"),
            (b"\xe2\x82 then \xe2\x82\xac", "\\xe2\\x82 then \u{20ac}"),
            (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
        ] {
            assert_eq!(show(text), shown);
        }
    }

    #[apply(test)]
    fn a_control_character_is_found_at_every_place() {
        for length in 1..=3 * STEP {
            for at in 0..length {
                let mut text = vec![b'x'; length];
                text[at] = 7;
                assert!(!are_plain(&text), "{at} of {length}");
                assert_eq!(show(&text).matches("\\x07").count(), 1);
            }
            assert!(are_plain(&vec![b'~'; length]));
        }
    }
}
