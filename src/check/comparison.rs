//! Whether a session went as the baseline did: the messages on the server's screen, and the log on the
//! client's.
//!
//! What always holds: the server is not blamed for a message that the client did not send.

use super::baseline::{Baseline, contains, words_of};
use super::evidence::{EXCERPT, Ruling, Seen, fail, pass, printed, quoted};
use super::facts::{self, Words};
use super::id::Id;
use super::session::Session;
use super::timeline;
use crate::results::{Outcome, Role};

/// Whether `text` is too long to be quoted, and may be broken into lines on a screen.
fn is_long(text: &str) -> bool {
    text.len() > 99
}

/// Whether `screen` shows `text`: word for word, or, a long one, broken into lines.
pub fn shows_message(screen: &[u8], text: &str) -> bool {
    Words::of(screen).find(&Words::of(text.as_bytes()), 0).is_some()
        || (is_long(text) && contains(&facts::without_line_ends(screen), text.as_bytes()))
}

/// Whether the server shows `messages`, each by itself.
pub fn on_server(session: &Session, known: &Baseline, messages: &[String], what: &str) -> Ruling {
    let server = Seen::of(session.server());
    let words = Words::of(&server.screen);
    match words.find_all(&words_of(messages)) {
        Err(missing) => {
            let text = &messages[missing];
            if is_long(text) && messages.iter().all(|text| shows_message(&server.screen, text)) {
                return pass(format!("the server shows {what} as they were sent"));
            }
            if known.is_readable() && !contains(&session.proxy.to_server.tape, text.as_bytes()) {
                return not_sent(session, known, text);
            }
            server.trouble().unwrap_or_else(|| shown_otherwise(&server, text))
        }
        Ok(places) => {
            let glued = places.windows(2).position(|pair| !words.speaks_between(pair[0].end..pair[1].start));
            match glued.filter(|_| known.speaks_between()) {
                Some(at) => fail(format!(
                    "the server shows \"{}\" and \"{}\" as one message; {}",
                    messages[at],
                    messages[at + 1],
                    server.shows()
                )),
                None => pass(format!("the server shows {what} as they were sent")),
            }
        }
    }
}

/// The ruling on a server that does not show `text`, which was sent to it.
fn shown_otherwise(server: &Seen, text: &str) -> Ruling {
    if !is_long(text) {
        return fail(format!("the server does not show \"{text}\" as it was sent; {}", server.shows()));
    }
    let shown = of_a_long_message("the server shows", &server.screen, text);
    fail(format!("{shown}; its screen ends: {}", facts::tail(&server.screen, EXCERPT / 4)))
}

/// The ruling on a client that printed this as the log, without `text` as it was sent.
fn logged_otherwise(printed_log: &[u8], text: &str) -> Ruling {
    if !is_long(text) {
        return fail(format!("the client's log does not show \"{text}\"; {}", printed(printed_log)));
    }
    let shown = of_a_long_message("the client's log shows", printed_log, text);
    fail(format!("{shown}; it ends: {}", facts::tail(printed_log, EXCERPT / 4)))
}

/// How much of a long `text` stands on `screen`.
fn of_a_long_message(who_shows: &str, screen: &[u8], text: &str) -> String {
    let shown = longest_beginning(&facts::without_line_ends(screen), text.as_bytes());
    format!("of a message of {} bytes {who_shows} the first {shown} in one piece", text.len())
}

/// Why nothing follows from a line that was not sent, where the client does not send every line: that is C3's to
/// judge.
pub fn without_lines(known: &Baseline) -> Option<Ruling> {
    (!known.sends_every_line()).then(|| super::evidence::not_run(Id::C3))
}

/// The client has not sent `text` as it was typed, so that the server cannot be judged by it.
fn not_sent(session: &Session, known: &Baseline, text: &str) -> Ruling {
    if let Some(ruling) = without_lines(known) {
        return ruling;
    }
    let client = Seen::of(session.client());
    client
        .trouble()
        .or_else(|| ended_instead(session, known, text))
        .unwrap_or_else(|| sent_otherwise(text, &session.proxy.to_server.tape))
}

/// The ruling on a client that has ended where `text` was typed, and had not quit.
pub fn ended_instead(session: &Session, known: &Baseline, text: &str) -> Option<Ruling> {
    let client = Seen::of(session.client());
    (client.ending.is_some() && !has_quit(session, known)).then(|| {
        let text = if is_long(text) { "a long message".to_string() } else { format!("\"{text}\"") };
        fail(format!("{text} was typed, and the client ended; {}", client.shows()))
            .advise("Let the client send every line, and go on until the quit word is typed.")
    })
}

/// Whether the client has sent what it sends for a quit, and nothing after it.
fn has_quit(session: &Session, known: &Baseline) -> bool {
    let tape = &session.proxy.to_server.tape;
    known.quit.as_ref().is_some_and(|quit| !quit.wire.is_empty() && tape.ends_with(&quit.wire))
}

/// The ruling on a client that has sent `tape` where `text` was typed.
fn sent_otherwise(text: &str, tape: &[u8]) -> Ruling {
    if is_long(text) {
        let sent = longest_beginning(tape, text.as_bytes());
        return fail(format!(
            "of a message of {} bytes that was typed the client sent the first {sent} in one piece",
            text.len()
        ))
        .advise("Read whole lines of any length at the keyboard, not into a fixed buffer.");
    }
    let sent = quoted(&tape[tape.len().saturating_sub(EXCERPT)..]);
    fail(format!("\"{text}\" was typed, and the client sent {sent}")).advise(
        "Send the text as it was typed, encoded as UTF-8: in most languages the encoding must be named.",
    )
}

/// Whether a session that has ended went as the first one did: on the server's screen, and, where the
/// first one had a log to show and it is to be looked at, in the log on the client's after `mark`.
pub fn as_in_lockstep(
    session: &Session,
    known: &Baseline,
    messages: &[String],
    (mark, log_too): (usize, bool),
    what: &str,
) -> Ruling {
    let ruling = on_server(session, known, messages, what);
    if !ruling.passes() {
        return ruling;
    }
    let (server, client) = (Seen::of(session.server()), Seen::of(session.client()));
    if let Some(ruling) = trouble_of_either(session, known) {
        return ruling;
    }
    if known.log().is_err() || !log_too {
        return ruling;
    }
    let screen = client.since(mark);
    if let Err(missing) = Words::of(screen).find_all(&words_of(messages))
        && !messages.iter().all(|text| shows_message(screen, text))
    {
        return without_lines(known).unwrap_or_else(|| logged_otherwise(screen, &messages[missing]));
    }
    if known.server_ends() && server.ending.is_none() {
        let happened = format!("the server does not end this time; {}", server.shows());
        return super::evidence::ruling(Outcome::Hung, happened);
    }
    pass(format!("{}, and so does the log", ruling.happened))
}

/// Both programs; first the one whose end may be the cause of the other's. That is the server, unless the client
/// ended the connection first, and had not quit.
pub fn by_cause(session: &Session, known: &Baseline) -> [Seen; 2] {
    let [server, client] = [session.server(), session.client()].map(Seen::of);
    let is_client = session.first_to_end() == Some(Role::Client) && !has_quit(session, known);
    if is_client { [client, server] } else { [server, client] }
}

/// What decides by itself, whatever the requirement, of a session with both.
pub fn trouble_of_either(session: &Session, known: &Baseline) -> Option<Ruling> {
    by_cause(session, known).iter().find_map(Seen::trouble)
}

/// `ruling` with the session that it is about, unless it is a pass.
pub fn with_session(session: &Session, ruling: Ruling) -> Ruling {
    let events = if ruling.passes() { Vec::new() } else { timeline::events(session) };
    Ruling { session: events, ..ruling }
}

/// How much of the beginning of `text` stands somewhere on `screen`.
fn longest_beginning(screen: &[u8], text: &[u8]) -> usize {
    let stands = |length: usize| contains(screen, &text[..length]);
    (1..=text.len()).collect::<Vec<_>>().partition_point(|&length| stands(length))
}

pub fn not_again() -> Ruling {
    fail("this time the two did not connect, as they had before")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn only_a_long_message_may_be_broken_into_lines() {
        let broken = |text: &str| {
            let (one, other) = text.split_at(text.len() / 2);
            format!("got: {one}\r\n{other}\r\n").into_bytes()
        };
        let (long, short) = ("ab".repeat(50), format!("{}a", "ab".repeat(49)));
        assert!(shows_message(&broken(&long), &long));
        assert!(!shows_message(&broken(&short), &short));
        assert!(shows_message(b"got: one two", "one two"));
        assert!(!shows_message(b"got: one", "one two"));
        assert!(!shows_message(b"got: abab", &long));
    }

    #[apply(test)]
    fn what_was_sent_otherwise_is_quoted_and_of_a_long_message_its_length_is_told() {
        let ruling = sent_otherwise("grün", b"gr?n\n");
        assert_eq!(ruling.happened, "\"grün\" was typed, and the client sent \"gr?n\\n\"");
        assert!(ruling.advice.expect("some").contains("UTF-8"));
        let happened = sent_otherwise(&"x".repeat(99), b"?").happened;
        assert!(happened.ends_with("was typed, and the client sent \"?\""), "{happened}");
        let text = "ab".repeat(50);
        let ruling = sent_otherwise(&text, format!("{}\n{}\n", &text[..70], &text[70..]).as_bytes());
        let happened = "of a message of 100 bytes that was typed the client sent the first 70 in one piece";
        assert_eq!(ruling.happened, happened);
        assert!(ruling.advice.expect("some").contains("whole lines"));
    }

    #[apply(test)]
    fn what_the_server_shows_otherwise_is_told_and_of_a_long_message_its_length() {
        let server = |screen: &str| Seen { screen: screen.into(), ..Seen::nothing(Role::Server) };
        let happened = shown_otherwise(&server("got: gr?n\n"), "grün").happened;
        assert_eq!(
            happened,
            "the server does not show \"grün\" as it was sent; the server's screen ends: got: gr?n"
        );
        let text = "ab".repeat(50);
        let happened =
            shown_otherwise(&server(&format!("got: {}\ngot: {}\n", &text[..40], &text[..30])), &text)
                .happened;
        assert!(
            happened.starts_with("of a message of 100 bytes the server shows the first 40 in one piece"),
            "{happened}"
        );
    }

    #[apply(test)]
    fn what_the_log_shows_otherwise_is_told_alike() {
        let happened = logged_otherwise(b"log:\ngr?n\n", "grün").happened;
        assert_eq!(happened, "the client's log does not show \"grün\"; it printed: log: | gr?n");
        let text = "ab".repeat(50);
        let happened = logged_otherwise(format!("{}\n", &text[..60]).as_bytes(), &text).happened;
        let words = "of a message of 100 bytes the client's log shows the first 60 in one piece; it ends: ";
        assert!(happened.starts_with(words), "{happened}");
    }

    #[apply(test)]
    fn the_beginning_that_is_shown_is_measured() {
        assert_eq!(longest_beginning(b"got: abcd", b"abcdef"), 4);
        assert_eq!(longest_beginning(b"got: abcdef", b"abcdef"), 6);
        assert_eq!(longest_beginning(b"nothing", b"xyz"), 0);
    }
}
