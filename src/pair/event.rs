//! What the two programs tell other programs (`--json`): one object a line for each event.
//!
//! The README lists the events; a program that reads them ignores events and fields that it does not know.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::IpAddr;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;

use crate::escape;

/// Something that happened.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event<'a> {
    /// The server listens.
    Listening { address: IpAddr, port: u16 },
    /// Client and server are connected; the address is the other one's.
    Connected {
        address: IpAddr,
        #[serde(skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
    },
    /// The server has dropped a connection and goes on listening.
    Dropped { address: IpAddr, reason: &'a str },
    /// The server received a message.
    Message {
        number: u64,
        #[serde(flatten)]
        content: Content<'a>,
    },
    /// The client sends a message.
    Sending {
        number: u64,
        #[serde(flatten)]
        content: Content<'a>,
    },
    /// The client quits.
    Quit { messages: u64 },
    /// A message of the log that came back to the client.
    Log {
        number: u64,
        #[serde(flatten)]
        content: Content<'a>,
    },
    /// The session is over, and everything agrees.
    Done { messages: u64 },
    /// The program failed.
    Error {
        error: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<&'a str>,
    },
}

impl Event<'_> {
    /// Writes it to `out`, without a line end.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        Ok(self.serialize(&mut serde_json::Serializer::with_formatter(out, Safe))?)
    }
}

/// Escapes what could act on the terminal of a person who looks at the output.
struct Safe;

impl Formatter for Safe {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, character)) =
            rest.char_indices().find(|&(_, character)| escape::is_unsafe(character))
        {
            out.write_all(&rest.as_bytes()[..at])?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[at + character.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

/// The bytes of a message: the field `text` where they are UTF-8, and else `hex`, two digits a byte.
#[derive(Debug)]
pub struct Content<'a>(pub &'a [u8]);

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        if let Ok(text) = str::from_utf8(self.0) {
            map.serialize_entry("text", text)?;
        } else {
            let mut digits = String::with_capacity(2 * self.0.len());
            for byte in self.0 {
                _ = write!(digits, "{byte:02x}");
            }
            map.serialize_entry("hex", &digits)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn a_message_is_text_or_its_bytes_in_hexadecimal() {
        let shown = |bytes| {
            let mut line = Vec::new();
            Event::Message { number: 7, content: Content(bytes) }.write(&mut line).unwrap();
            String::from_utf8(line).unwrap()
        };
        let text = "Grüße \"\u{1b}\u{202e}\u{e0041}";
        let line = shown(text.as_bytes());
        assert_eq!(line, r#"{"event":"message","number":7,"text":"Grüße \"\u001b\u202e\udb40\udc41"}"#);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["text"], text);
        assert_eq!(shown(b"caf\xe9"), r#"{"event":"message","number":7,"hex":"636166e9"}"#);
    }
}
