//! The golden that follows from a screen: placeholders are put where the values of the session stand.
//!
//! What always holds: the golden compares equal to the screen that it was made from.

use std::ops::Range;
use std::time::Instant;

use similar::{Algorithm, DiffOp};

use super::diff::DIFF_TIME;
use super::diff::split_lines;
use super::golden::Golden;
use super::values::{PLACEHOLDERS, Placeholder, Values};
use crate::escape;

/// Which program's screen is blessed, with what is known of it.
#[derive(Clone, Copy, Debug)]
pub enum Screen {
    /// The server's; its first `banner` bytes were there before any client was started, so that no
    /// message can stand in them and no client's address.
    Server {
        /// Length in bytes.
        banner: usize,
    },
    /// The client's.
    Client,
}

/// The golden for what was `seen`: lines that `old` already fits keep their placeholders; in all
/// others, values of the session become placeholders, but never inside the text of a message.
/// `None` when no golden says the same as this screen (a screen with a placeholder written on it).
pub fn bless(
    old: Option<&Golden>,
    seen: &[u8],
    values: &Values,
    screen: Screen,
    messages: &[Vec<u8>],
) -> Option<Golden> {
    let seen_lines = split_lines(seen);
    let kept = old.map_or_else(Vec::new, |old| kept_lines(old, seen, values));
    let shown: Vec<Vec<u8>> =
        messages.iter().flat_map(|message| [message.clone(), escape::show(message).into_bytes()]).collect();
    let mut text = Vec::new();
    let mut length = 0;
    for (index, line) in seen_lines.iter().enumerate() {
        length += line.len();
        if let Some(kept) = kept.iter().find(|(at, _)| *at == index).map(|(_, kept)| kept) {
            text.extend_from_slice(kept);
            continue;
        }
        let (order, messages) = match screen {
            Screen::Server { banner } if length <= banner => {
                (&[Placeholder::ServerAddress, Placeholder::Port][..], &[][..])
            }
            Screen::Server { .. } => (
                &[Placeholder::ClientAddress, Placeholder::ServerAddress, Placeholder::Port][..],
                shown.as_slice(),
            ),
            Screen::Client => (
                &[Placeholder::ServerAddress, Placeholder::ClientAddress, Placeholder::Port][..],
                shown.as_slice(),
            ),
        };
        text.extend(with_placeholders(line, values, order, messages));
    }
    let golden = Golden::parse(text, messages).ok()?;
    golden.compare(seen, values).is_none().then_some(golden)
}

/// The lines of `old` that still stand on the screen: index there, and the line as it was written.
fn kept_lines(old: &Golden, seen: &[u8], values: &Values) -> Vec<(usize, Vec<u8>)> {
    let resolved = old.resolve(seen, values);
    let seen: Vec<Vec<u8>> = split_lines(seen).into_iter().map(<[u8]>::to_vec).collect();
    let deadline = Some(Instant::now() + DIFF_TIME);
    similar::capture_diff_slices_deadline(Algorithm::Myers, &resolved, &seen, deadline)
        .iter()
        .filter(|op| matches!(op, DiffOp::Equal { .. }))
        .flat_map(|op| op.new_range().zip(op.old_range()))
        .map(|(new, old_index)| (new, old.lines[old_index].raw.clone()))
        .collect()
}

fn with_placeholders(line: &[u8], values: &Values, order: &[Placeholder], messages: &[Vec<u8>]) -> Vec<u8> {
    let protected = messages
        .iter()
        .filter(|message| !message.is_empty() && has_value(message, values, order))
        .flat_map(|message| occurrences(line, message))
        .collect::<Vec<_>>();
    let mut out = Vec::new();
    let mut at = 0;
    while at < line.len() {
        let found = if protected.iter().any(|range| range.contains(&at)) {
            None
        } else {
            value_at(line, at, values, order)
        };
        if let Some((placeholder, length)) = found {
            let name = PLACEHOLDERS.iter().find(|(_, known)| *known == placeholder);
            out.extend(name.map_or("", |(name, _)| name).bytes());
            at += length;
        } else {
            out.push(line[at]);
            at += 1;
        }
    }
    out
}

fn has_value(text: &[u8], values: &Values, order: &[Placeholder]) -> bool {
    (0..text.len()).any(|at| value_at(text, at, values, order).is_some())
}

/// The value that stands at `at` as a word of its own, not as a part of a longer number or address.
fn value_at(line: &[u8], at: usize, values: &Values, order: &[Placeholder]) -> Option<(Placeholder, usize)> {
    let before = at.checked_sub(1).map(|before| line[before]);
    order.iter().find_map(|&placeholder| {
        let length = values
            .lengths_at(placeholder, &line[at..])
            .into_iter()
            .find(|&length| stands_alone(before, &line[at..at + length], &line[at + length..]))?;
        Some((placeholder, length))
    })
}

fn stands_alone(before: Option<u8>, value: &[u8], after: &[u8]) -> bool {
    let colons = value.contains(&b':');
    let joins = |byte: u8| byte.is_ascii_alphanumeric() || (colons && byte == b':');
    let goes_on = match after {
        [b'.', next, ..] => next.is_ascii_digit(),
        [first, ..] => joins(*first),
        [] => false,
    };
    !goes_on && !before.is_some_and(|byte| joins(byte) || byte == b'.')
}

fn occurrences(line: &[u8], word: &[u8]) -> Vec<Range<usize>> {
    line.windows(word.len())
        .enumerate()
        .filter(|(_, window)| *window == word)
        .map(|(at, _)| at..at + word.len())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = "\
server is at address: [SERVER_ADDRESS]
server is using port: [PORT]
server connected to client at address: [CLIENT_ADDRESS]
server received message: \"hello\"
";
    const SEEN: &str = "\
server is at address: 192.168.1.3
server is using port: 12345
server connected to client at address: 127.0.0.9
server received message: \"hello\"
";

    fn values() -> Values {
        let own = vec!["192.168.1.3".parse().unwrap(), "fd00::2".parse().unwrap()];
        Values { port: 12345, client: "127.0.0.9".parse().unwrap(), own }
    }

    fn blessed(old: Option<&str>, seen: &str, screen: Screen, messages: &[&str]) -> Option<String> {
        let messages: Vec<Vec<u8>> = messages.iter().map(|message| message.as_bytes().to_vec()).collect();
        let old = old.map(|old| Golden::parse(old, &[]).unwrap());
        let golden = bless(old.as_ref(), seen.as_bytes(), &values(), screen, &messages)?;
        Some(String::from_utf8(golden.bytes()).unwrap())
    }

    fn server(seen: &str) -> Screen {
        Screen::Server { banner: seen.find("server connected").unwrap() }
    }

    #[apply(test)]
    fn blessing_puts_placeholders_where_the_values_stand() {
        assert_eq!(blessed(None, SEEN, server(SEEN), &["hello"]).as_deref(), Some(GOLDEN));
        let seen = SEEN.replace("192.168.1.3", "127.0.0.9");
        assert_eq!(blessed(None, &seen, server(&seen), &["hello"]).as_deref(), Some(GOLDEN));
        assert_eq!(
            blessed(None, "to 127.0.0.1:12345, id 123456\n", Screen::Client, &[]).as_deref(),
            Some("to [SERVER_ADDRESS]:[PORT], id 123456\n")
        );
    }

    #[apply(test)]
    fn blessing_leaves_the_text_of_messages_alone() {
        let message = "telnet 192.168.1.3 12345 from 127.0.0.9";
        let seen = SEEN.replace("hello", message);
        assert_eq!(blessed(None, &seen, server(&seen), &[message]), Some(GOLDEN.replace("hello", message)));
    }

    #[apply(test)]
    fn blessing_keeps_placeholders_on_lines_that_did_not_change() {
        let old = "address [CLIENT_ADDRESS] and 127.0.0.9\nold\n";
        let seen = "address 127.0.0.9 and 127.0.0.9\nnew\n";
        assert_eq!(
            blessed(Some(old), seen, Screen::Client, &[]).as_deref(),
            Some("address [CLIENT_ADDRESS] and 127.0.0.9\nnew\n")
        );
    }

    #[apply(test)]
    fn blessing_refuses_a_screen_with_a_placeholder_written_on_it() {
        assert_eq!(blessed(None, "using port [PORT]\n", Screen::Client, &[]), None);
        assert_eq!(blessed(None, "using [SERVER_PORT]\n", Screen::Client, &[]), None);
    }
}
