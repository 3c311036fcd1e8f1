//! What framing was seen on the wire: a guess for the report, never a part of a verdict.

use std::fmt;

/// How a client marks where its messages end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The bytes of the message and nothing else: nothing says where it ends.
    Raw,
    /// A byte sequence ends each message.
    Ended(&'static str),
    /// So many bytes of binary length stand before each message.
    Length(usize),
    /// The length stands before each message in digits, in a field of so many bytes.
    Digits(usize),
    /// Every message fills a record of so many bytes.
    Record(usize),
    /// None of these.
    Unknown,
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |n: usize| if n == 1 { "byte" } else { "bytes" };
        match self {
            Framing::Raw => f.write_str("raw text, no delimiter"),
            Framing::Ended(name) => f.write_str(name),
            Framing::Length(n) => write!(f, "length prefix, {n} {}", plural(*n)),
            Framing::Digits(n) => write!(f, "length prefix in digits, {n} {}", plural(*n)),
            Framing::Record(n) => write!(f, "records of {n} bytes"),
            Framing::Unknown => f.write_str("unknown"),
        }
    }
}

impl Framing {
    /// `message` in this framing, where that can be told.
    pub fn frame(&self, message: &[u8]) -> Option<Vec<u8>> {
        let end: &[u8] = match self {
            Framing::Ended("newline") => b"\n",
            Framing::Ended("newline (with carriage return)") => b"\r\n",
            Framing::Ended("NUL") => b"\0",
            Framing::Ended("newline and NUL") => b"\n\0",
            _ => return None,
        };
        Some([message, end].concat())
    }
}

/// What framing turns each message into the bytes that were seen for it. Messages of several lengths
/// tell more; a framing is named only if it explains all of them.
pub fn guess(seen: &[(Vec<u8>, Vec<u8>)]) -> Framing {
    if seen.is_empty() {
        return Framing::Unknown;
    }
    let all = |explains: &dyn Fn(&[u8], &[u8]) -> bool| {
        seen.iter().all(|(message, bytes)| explains(message, bytes))
    };
    if all(&|message, bytes| message == bytes) {
        return Framing::Raw;
    }
    for (end, name) in [
        (&b"\n"[..], "newline"),
        (b"\r\n", "newline (with carriage return)"),
        (b"\0", "NUL"),
        (b"\n\0", "newline and NUL"),
    ] {
        if all(&|message, bytes| bytes.strip_suffix(end) == Some(message)) {
            return Framing::Ended(name);
        }
    }
    let head = prefix(&seen[0].0, &seen[0].1);
    if let Some(width) = head.map(<[u8]>::len) {
        let before = |message: &[u8], bytes: &[u8], says: &dyn Fn(&[u8]) -> Option<usize>| {
            let head = prefix(message, bytes).filter(|head| head.len() == width);
            // Some count the line end or the prefix itself.
            let counts = [message.len(), bytes.len().saturating_sub(width), bytes.len()];
            head.and_then(says).is_some_and(|length| counts.contains(&length))
        };
        if width <= 8 && (all(&|m, b| before(m, b, &big_endian)) || all(&|m, b| before(m, b, &little_endian)))
        {
            return Framing::Length(width);
        }
        if all(&|m, b| before(m, b, &digits)) {
            return Framing::Digits(width);
        }
    }
    let size = seen[0].1.len();
    let padded = |message: &[u8], bytes: &[u8]| {
        let rest = bytes.strip_prefix(message);
        bytes.len() == size
            && rest.is_some_and(|rest| rest.iter().all(|byte| matches!(byte, 0 | b' ' | b'\n')))
    };
    if seen.len() > 1 && all(&padded) { Framing::Record(size) } else { Framing::Unknown }
}

/// What stands before `message` in `bytes`.
fn prefix<'a>(message: &[u8], bytes: &'a [u8]) -> Option<&'a [u8]> {
    let at = bytes.windows(message.len().max(1)).position(|window| window == message)?;
    Some(&bytes[..at])
}

fn big_endian(head: &[u8]) -> Option<usize> {
    head.iter().try_fold(0_usize, |length, &byte| length.checked_mul(256)?.checked_add(byte.into()))
}

fn little_endian(head: &[u8]) -> Option<usize> {
    big_endian(&head.iter().rev().copied().collect::<Vec<_>>())
}

fn digits(head: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(head).ok()?;
    text.trim_matches(|character: char| !character.is_ascii_digit()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(frame: impl Fn(&str) -> Vec<u8>) -> Framing {
        let messages = ["mogu tanebi", "x", &"long ".repeat(80)];
        let pairs: Vec<_> =
            messages.iter().map(|message| (message.as_bytes().to_vec(), frame(message))).collect();
        guess(&pairs)
    }

    #[apply(test)]
    fn usual_framings_are_named() {
        let with = |head: &[u8], message: &str, end: &[u8]| [head, message.as_bytes(), end].concat();
        assert_eq!(seen(|m| with(b"", m, b"")).to_string(), "raw text, no delimiter");
        assert_eq!(seen(|m| with(b"", m, b"\n")).to_string(), "newline");
        assert_eq!(seen(|m| with(b"", m, b"\r\n")).to_string(), "newline (with carriage return)");
        assert_eq!(seen(|m| with(b"", m, b"\0")).to_string(), "NUL");
        let length = |m: &str| u16::try_from(m.len()).unwrap();
        assert_eq!(seen(|m| with(&length(m).to_be_bytes(), m, b"")).to_string(), "length prefix, 2 bytes");
        assert_eq!(
            seen(|m| with(&u32::from(length(m)).to_le_bytes(), m, b"")).to_string(),
            "length prefix, 4 bytes"
        );
        assert_eq!(
            seen(|m| with(format!("{:<64}", m.len()).as_bytes(), m, b"")).to_string(),
            "length prefix in digits, 64 bytes"
        );
        assert_eq!(seen(|m| with(b"", &format!("{m:\0<1024}"), b"")).to_string(), "records of 1024 bytes");
        assert_eq!(seen(|m| with(b"MSG ", m, b"\n")).to_string(), "unknown");
        assert_eq!(seen(|m| with(b"{\"text\": \"", m, b"\"}")).to_string(), "unknown");
        assert_eq!(seen(|m| m.bytes().rev().collect()).to_string(), "unknown");
        assert_eq!(guess(&[]).to_string(), "unknown");
    }

    #[apply(test)]
    fn a_message_is_put_into_a_framing_that_a_delimiter_makes() {
        for end in ["\n", "\r\n", "\0", "\n\0"] {
            let framed = |message: &str| [message, end].concat().into_bytes();
            let framing = seen(framed);
            assert_eq!(framing.frame(b"mogu"), Some(framed("mogu")), "{framing}");
        }
        assert_eq!(Framing::Length(4).frame(b"mogu"), None);
        assert_eq!(Framing::Raw.frame(b"mogu"), None);
    }

    #[apply(test)]
    fn one_message_alone_does_not_show_that_records_have_a_size() {
        let padded = (b"mogu".to_vec(), b"mogu\0\0\0\0".to_vec());
        assert_eq!(guess(std::slice::from_ref(&padded)), Framing::Unknown);
        let other = (b"tanebi".to_vec(), b"tanebi\0\0".to_vec());
        assert_eq!(guess(&[padded.clone(), other]), Framing::Record(8));
        let longer = (b"tanebi".to_vec(), b"tanebi\0\0\0".to_vec());
        assert_eq!(guess(&[padded, longer]), Framing::Unknown);
    }
}
