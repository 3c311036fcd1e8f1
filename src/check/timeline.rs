//! The time line of a session: both screens, what was typed, and the bytes between.

use super::session::Session;
use super::tested::Tested;
use crate::escape;
use crate::proxy::End;
use crate::results::{Event, EventKind, Role};
use crate::run::outcome::Ending;
use crate::run::transcript::Stream;

/// How many events of a session are kept, and how many bytes of each.
const EVENTS: usize = 400;
/// See [`EVENTS`].
const BYTES: usize = 600;

/// All that has happened in `session`, in time order: the last of it where there is much.
pub fn events(session: &Session) -> Vec<Event> {
    let mut events = Vec::new();
    for tested in session.server.iter().chain(&session.client) {
        events.extend(of_program(tested));
    }
    let flows =
        [(EventKind::ToServer, &session.proxy.to_server), (EventKind::ToClient, &session.proxy.to_client)];
    for (kind, flow) in flows {
        let event = |(at, bytes): (std::time::Duration, &[u8])| Event {
            at: micros(at),
            kind,
            text: text(bytes, "\\n"),
        };
        events.extend(flow.pieces().map(event));
        if let Some((at, end)) = flow.cut.or(flow.ended.zip(flow.end)) {
            events.push(Event {
                at: micros(at),
                kind,
                text: if end == End::Fin { "[FIN]" } else { "[RST]" }.to_string(),
            });
        }
    }
    events.sort_by_key(|event| event.at);
    let left_out = events.len().saturating_sub(EVENTS);
    events.split_off(left_out)
}

fn of_program(tested: &Tested) -> Vec<Event> {
    let (screen, typed, end) = match tested.role {
        Role::Server => (EventKind::ServerScreen, EventKind::ServerTyped, EventKind::ServerEnd),
        Role::Client => (EventKind::ClientScreen, EventKind::ClientTyped, EventKind::ClientEnd),
    };
    let mut events = tested.view(|transcript| {
        let event = |piece: crate::run::transcript::Piece| {
            let kind = if piece.stream == Stream::Typed { typed } else { screen };
            let text = text(&super::facts::without_escapes(piece.bytes), "\n");
            (!text.is_empty()).then(|| Event { at: micros(piece.at), kind, text })
        };
        transcript.pieces().filter_map(event).collect::<Vec<_>>()
    });
    if let Some((ending, at)) = tested.ending().zip(tested.ended_at()) {
        // Its last output may be read after it has ended.
        let printed = events.last().map_or(0, |event| event.at);
        let text = match ending {
            Ending::Exited(status) => format!("ended with status {status}"),
            Ending::Signalled(signal) => format!("ended by {signal}"),
            _ => "was ended".to_string(),
        };
        events.push(Event { at: micros(at).max(printed), kind: end, text });
    }
    events
}

fn micros(at: std::time::Duration) -> u64 {
    u64::try_from(at.as_micros()).unwrap_or(u64::MAX)
}

/// `bytes`, safe to print, with `line_end` for each line end.
fn text(bytes: &[u8], line_end: &str) -> String {
    let kept = &bytes[..bytes.len().min(BYTES)];
    let lines: Vec<String> = kept.split(|&byte| byte == b'\n').map(escape::show).collect();
    let shown = lines.join(line_end);
    if bytes.len() > BYTES { format!("{shown}… ({} bytes more)", bytes.len() - BYTES) } else { shown }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[apply(test)]
    fn text_is_safe_to_print_and_what_is_left_out_of_it_is_counted() {
        assert_eq!(text(b"one\ntwo\x1b[1m", "\\n"), "one\\ntwo\\x1b[1m");
        assert_eq!(text(&[b'a'; BYTES], "\n"), "a".repeat(BYTES));
        assert_eq!(text(&[b'a'; BYTES + 2], "\n"), format!("{}… (2 bytes more)", "a".repeat(BYTES)));
        assert_eq!(micros(Duration::from_millis(3)), 3000);
    }
}
