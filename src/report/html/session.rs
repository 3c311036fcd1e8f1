//! The time line of a session as a table: when, the client, what passes between, the server.

use std::borrow::Cow;

use maud::{Markup, html};

use crate::escape;
use crate::results::{Event, EventKind};

/// The time line of `events`, the last of them if they do not fit into `budget` bytes.
pub fn time_line(events: &[Event], budget: usize) -> Markup {
    let merged = merged(events);
    let mut size = 0;
    let fits = |event: &&Event| {
        size += event.text.len() + 100;
        size <= budget
    };
    let kept = merged.iter().rev().take_while(fits).count().max(1).min(merged.len());
    let left_out = merged.len() - kept;
    html! {
        p.faint {
            "Time runs downwards. In the outer columns stands what each program printed, and what was typed at it; "
            "in the middle, with → and ←, the bytes between them."
        }
        table.session {
            thead { tr {
                th scope="col" { "seconds" }
                th scope="col" { "client" }
                th scope="col" { "between" }
                th scope="col" { "server" }
            } }
            tbody {
                @if left_out > 0 {
                    tr { td {} td colspan="3" .faint { (left_out) " earlier events left out" } }
                }
                @for event in &merged[left_out..] { (row(event, budget)) }
            }
        }
    }
}

/// Events of one kind that follow each other, as one: a screen comes in many pieces.
fn merged(events: &[Event]) -> Vec<Event> {
    let mut merged: Vec<Event> = Vec::new();
    for event in events {
        match merged.last_mut() {
            Some(last) if last.kind == event.kind && is_text(event.kind) => last.text += &event.text,
            _ => merged.push(event.clone()),
        }
    }
    merged
}

fn is_text(kind: EventKind) -> bool {
    use EventKind::{ClientErrors, ClientScreen, ClientTyped, ServerErrors, ServerScreen, ServerTyped};
    matches!(kind, ClientErrors | ClientScreen | ClientTyped | ServerErrors | ServerScreen | ServerTyped)
}

fn row(event: &Event, most: usize) -> Markup {
    #[expect(clippy::cast_precision_loss, reason = "a time of seconds to hours")]
    let at = event.at as f64 / 1e6;
    let text = cut(&event.text, most);
    let lines: Vec<String> = text.lines().map(|line| escape::show(line.as_bytes())).collect();
    let text = lines.join("\n");
    let (column, class, lead, word) = match event.kind {
        EventKind::ClientScreen => (0, "screen", "", "client's screen: "),
        EventKind::ClientErrors => (0, "screen", "stderr: ", "client's "),
        EventKind::ClientTyped => (0, "screen typed", "typed: ", "at the client "),
        EventKind::ClientEnd => (0, "end", "", "the client "),
        EventKind::ToServer => (1, "bytes", "→ ", "client to server "),
        EventKind::ToClient => (1, "bytes", "← ", "server to client "),
        EventKind::ServerScreen => (2, "screen", "", "server's screen: "),
        EventKind::ServerErrors => (2, "screen", "stderr: ", "server's "),
        EventKind::ServerTyped => (2, "screen typed", "typed: ", "at the server "),
        EventKind::ServerEnd => (2, "end", "", "the server "),
    };
    html! {
        tr {
            td { (format!("{at:.3}")) }
            @for at in 0..3 {
                @if at == column {
                    td class=(class) {
                        span.sr { (word) }
                        @if !lead.is_empty() { span.lead { (lead) } }
                        (text)
                    }
                } @else { td {} }
            }
        }
    }
}

/// The end of a text that does not fit, which tells most.
fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return text.into();
    }
    let from = (text.len() - most..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
    format!("...{}", &text[from..]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: u64, kind: EventKind, text: &str) -> Event {
        Event { at, kind, text: text.into() }
    }

    #[apply(test)]
    fn pieces_of_a_screen_are_one_row_and_hostile_text_stays_text() {
        let events = [
            event(1_000, EventKind::ClientScreen, "Mess"),
            event(2_000, EventKind::ClientScreen, "age: \u{1b}[2J<script>"),
            event(3_000, EventKind::ToServer, "hi\\n"),
        ];
        let text = time_line(&events, 10_000).into_string();
        assert!(text.contains("Message: \\x1b[2J&lt;script&gt;"), "{text}");
        assert_eq!(text.matches("<tr>").count(), 3, "{text}");
    }

    #[apply(test)]
    fn a_long_session_keeps_its_end() {
        let events: Vec<Event> =
            (0..100).map(|at| event(at, EventKind::ToServer, &format!("message {at}."))).collect();
        let text = time_line(&events, 1_000).into_string();
        assert!(text.contains("message 99.") && !text.contains("message 1."), "{text}");
        assert!(text.contains("earlier events left out"), "{text}");
        let one = time_line(&[event(0, EventKind::ClientScreen, &"é".repeat(600))], 1_000).into_string();
        assert!(one.len() < 2_000, "{}", one.len());
    }
}
