//! A program's screen as an asciicast v2 recording, which `asciinema play` shows.
//!
//! What always holds: a recording is valid JSON lines in UTF-8, whatever a program has written; its events
//! are in time order; and both programs of a session have one clock, so that their recordings fit together.

use std::time::Duration;

use serde_json::json;

use crate::run::transcript::{Stream, Transcript};

/// The size of the terminals of programs under test, in columns and rows.
const SIZE: (u16, u16) = (80, 24);

/// The recording of what a program printed and what was typed at it, with this title. It goes on until
/// `ended`, when the program had ended.
pub(super) fn asciicast(title: &str, transcript: &Transcript, ended: Duration) -> String {
    let (width, height) = SIZE;
    let header = json!({
        "version": 2, "width": width, "height": height, "title": title, "env": {"TERM": "dumb"},
    });
    let mut cast = format!("{header}\n");
    let mut event = |at: Duration, code: &str, text: &str| {
        if !text.is_empty() {
            cast += &format!("{}\n", json!([at.as_secs_f64(), code, text]));
        }
    };
    let mut begun: [Vec<u8>; 3] = Default::default();
    for piece in transcript.pieces() {
        let begun = &mut begun[piece.stream as usize];
        begun.extend_from_slice(piece.bytes);
        let (code, text) = match piece.stream {
            Stream::Typed => ("i", take_text(begun)),
            // The terminal of a program under test adds no carriage returns; a player's needs them.
            Stream::Screen | Stream::Errors => ("o", take_text(begun).replace('\n', "\r\n")),
        };
        event(piece.at, code, &text);
    }
    for (rest, code) in begun.iter().zip(["i", "o", "o"]) {
        event(ended, code, &String::from_utf8_lossy(rest));
    }
    cast
}

/// Takes the text that `bytes` begins with. The beginning of a character stays, since its other bytes may
/// still come; other bytes that are not UTF-8 become replacement characters.
fn take_text(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    let mut taken = 0;
    for chunk in bytes.utf8_chunks() {
        text += chunk.valid();
        taken += chunk.valid().len();
        let invalid = chunk.invalid();
        let is_begun = std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
        if taken + invalid.len() == bytes.len() && is_begun {
            break;
        }
        if !invalid.is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            taken += invalid.len();
        }
    }
    bytes.drain(..taken);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast(pieces: &[(u64, Stream, &[u8])]) -> Vec<serde_json::Value> {
        let mut transcript = Transcript::default();
        for (at, stream, bytes) in pieces {
            transcript.push(Duration::from_millis(*at), *stream, bytes);
        }
        let cast = asciicast("server", &transcript, Duration::from_secs(9));
        cast.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    #[apply(test)]
    fn a_recording_has_a_header_and_an_event_for_each_piece() {
        let cast = cast(&[
            (250, Stream::Screen, b"name? "),
            (500, Stream::Typed, b"Zo\n"),
            (750, Stream::Errors, b"error: \x1b\"\n"),
        ]);
        assert_eq!(
            cast,
            [
                json!({"version": 2, "width": 80, "height": 24, "title": "server", "env": {"TERM": "dumb"}}),
                json!([0.25, "o", "name? "]),
                json!([0.5, "i", "Zo\n"]),
                json!([0.75, "o", "error: \u{1b}\"\r\n"]),
            ]
        );
    }

    #[apply(test)]
    fn a_character_that_came_in_parts_is_one_and_other_bytes_are_replaced() {
        let cast = cast(&[
            (1, Stream::Screen, b"\xe2\x82"),
            (2, Stream::Screen, b"\xac \xff\xc3"),
            (3, Stream::Screen, b"x\xc3"),
        ]);
        let texts: Vec<_> = cast[1..].iter().map(|event| event[2].as_str().unwrap()).collect();
        assert_eq!(texts, ["€ \u{fffd}", "\u{fffd}x", "\u{fffd}"]);
    }
}
