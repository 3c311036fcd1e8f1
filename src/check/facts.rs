//! Facts on a screen: messages, addresses, ports, statements.
//!
//! What always holds: the wording of a program does not matter. A screen is a row of words: letters and
//! digits in lower case, without quotes, punctuation, colours and line ends. A prompt may share its line with
//! output, and a message may be quoted in any way. A damaged character is not a letter, so that a damaged
//! message is not found. Only [`shows_exactly`] compares to the letter.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;

use crate::escape;

/// What a screen (or a message) says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    /// The words of `text`. Bytes that are not UTF-8 separate words, as punctuation does.
    pub fn of(text: &[u8]) -> Self {
        let plain = with_letters(without_escapes(text));
        let text = String::from_utf8_lossy(&plain);
        Words(
            text.split(|character: char| !character.is_alphanumeric())
                .filter(|word| !word.is_empty())
                .map(str::to_lowercase)
                .collect(),
        )
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first place at or after word number `from` where `message` stands, word for word.
    pub fn find(&self, message: &Words, from: usize) -> Option<Range<usize>> {
        if message.is_empty() {
            return None;
        }
        let at = self.0.get(from..)?.windows(message.0.len()).position(|window| window == message.0)?;
        Some(from + at..from + at + message.0.len())
    }

    /// Where each of `messages` stands, one after the other; or which of them is the first missing.
    pub fn find_all(&self, messages: &[Words]) -> Result<Vec<Range<usize>>, usize> {
        let mut from = 0;
        let mut places = Vec::with_capacity(messages.len());
        for (index, message) in messages.iter().enumerate() {
            let place = self.find(message, from).ok_or(index)?;
            from = place.end;
            places.push(place);
        }
        Ok(places)
    }

    /// Whether there are words in `range`.
    pub fn speaks_between(&self, range: Range<usize>) -> bool {
        range.start < range.end && range.end <= self.0.len()
    }

    /// The words without those that `message` is made of, and without numbers: what a program says of
    /// its own.
    pub fn own_words<'a>(&'a self, messages: &[Words]) -> HashSet<&'a str> {
        let foreign: HashSet<&String> = messages.iter().flat_map(|message| &message.0).collect();
        self.0
            .iter()
            .filter(|word| !foreign.contains(word) && word.chars().any(char::is_alphabetic))
            .map(String::as_str)
            .collect()
    }
}

/// `text` cut at white space, with numbers made equal and `message` put aside: for telling what a
/// program says again and again (its prompt) from what it says once. Signs count here, since a prompt
/// may be nothing but `>`.
pub fn pieces(text: &[u8], message: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(&without_escapes(text)).into_owned();
    let text = if message.is_empty() { text } else { text.replace(message, "@") };
    text.split_whitespace()
        .map(|piece| {
            let mut same = String::new();
            for character in piece.chars() {
                match character {
                    '0'..='9' if same.ends_with('#') => {}
                    '0'..='9' => same.push('#'),
                    other => same.push(other),
                }
            }
            same
        })
        .collect()
}

/// How words begin by which a client says that it has connected, or that it has sent something.
const STATEMENTS: [&str; 5] = ["connect", "deliver", "send", "sent", "transmit"];

/// `text` without the lines that repeat what `other` has sent: a program that prints what it is told says
/// nothing of its own by it, whatever it calls it. It does where the line also has the `message` that it is about,
/// or says in the program's own words what it has done. Lines of `other` without a letter count for nothing.
pub fn without_lines_of(text: &[u8], other: &[u8], message: &str) -> Vec<u8> {
    let said: Vec<Words> =
        other.split(|&byte| byte == b'\n').map(Words::of).filter(|words| !words.is_empty()).collect();
    let message = Words::of(message.as_bytes());
    let repeats = |line: &[u8]| {
        let line = Words::of(line);
        let own = line.own_words(&said);
        let is_own = |word: &&str| {
            message.0.iter().any(|other| other == word)
                || STATEMENTS.iter().any(|beginning| word.starts_with(beginning))
        };
        said.iter().any(|said| line.find(said, 0).is_some()) && !own.iter().any(is_own)
    };
    text.split_inclusive(|&byte| byte == b'\n').filter(|line| !repeats(line)).flatten().copied().collect()
}

/// `text` without line ends, and without terminal escapes: for a long message that was broken into lines.
pub fn without_line_ends(text: &[u8]) -> Vec<u8> {
    without_escapes(text).into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect()
}

/// Whether `text` stands on `screen` to the letter, or as a string of some programming language would be
/// written: with backslashes before quotes, backslashes and what cannot be printed.
pub fn shows_exactly(screen: &[u8], text: &str) -> bool {
    let plain = without_escapes(screen);
    memchr::memmem::find(&plain, text.as_bytes()).is_some()
        || memchr::memmem::find(&unescaped(&plain), text.as_bytes()).is_some()
}

/// How often `text` stands there so.
pub fn count_exactly(screen: &[u8], text: &str) -> usize {
    let plain = without_escapes(screen);
    let count = |bytes: &[u8]| memchr::memmem::find_iter(bytes, text.as_bytes()).count();
    count(&plain).max(count(&unescaped(&plain)))
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match (byte, bytes.as_slice()) {
            (b'\\', [next @ (b'"' | b'\'' | b'\\' | b'/'), ..]) => {
                plain.push(*next);
                bytes.next();
            }
            _ => plain.push(byte),
        }
    }
    plain
}

/// `text` with the letters that JSON writes as `\u00fc` put in: a log may be printed as it came.
fn with_letters(text: Vec<u8>) -> Vec<u8> {
    if memchr::memmem::find(&text, b"\\u").is_none() {
        return text;
    }
    let unit = |text: &[u8]| {
        let digits =
            text.strip_prefix(b"\\u")?.get(..4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_slice();
    while let [byte, after @ ..] = rest {
        let Some(first) = unit(rest) else {
            plain.push(*byte);
            rest = after;
            continue;
        };
        // What lies outside of the first 65,536 characters is written as two.
        let units = [first, rest.get(6..).and_then(unit).unwrap_or_default()];
        let length = if matches!(first, 0xd800..=0xdbff) { 2 } else { 1 };
        plain.extend(String::from_utf16_lossy(&units[..length]).into_bytes());
        rest = rest.get(6 * length..).unwrap_or_default();
    }
    plain
}

/// How many pieces at the end of `one` are also at the end of `other`.
pub fn common_end(one: &[String], other: &[String]) -> usize {
    one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count()
}

/// Every IP address that `text` shows. A v4-mapped address counts as the IPv4 address in it.
pub fn addresses(text: &[u8]) -> Vec<IpAddr> {
    let text = String::from_utf8_lossy(&without_escapes(text)).into_owned();
    let mut found: Vec<IpAddr> = Vec::new();
    for piece in
        text.split(|character: char| character.is_whitespace() || "\"'`()<>,;=|«»".contains(character))
    {
        let bare = piece.trim_matches(|character: char| !character.is_ascii_hexdigit() && character != ':');
        let bare = bare.strip_suffix(':').filter(|rest| !rest.ends_with(':')).unwrap_or(bare);
        let whole = piece.parse::<SocketAddr>().map(|address| address.ip());
        let name = bare.split('%').next().unwrap_or(bare);
        if let Ok(address) = whole.or_else(|_| name.parse::<IpAddr>()) {
            found.push(address.to_canonical());
        }
    }
    for piece in text.split(|character: char| !character.is_ascii_digit() && character != '.') {
        if let Ok(address) = piece.trim_matches('.').parse::<Ipv4Addr>() {
            found.push(address.into());
        }
    }
    let mut seen = HashSet::new();
    found.retain(|address| seen.insert(*address));
    found
}

/// Every number that `text` shows outside of addresses and longer words.
pub fn numbers(text: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(&without_escapes(text)).into_owned();
    text.split(|character: char| !character.is_alphanumeric() && character != '.')
        .map(|piece| piece.trim_matches('.'))
        .filter_map(|piece| piece.parse().ok())
        .collect()
}

/// `text` without terminal escapes (colours, titles) and carriage returns.
pub fn without_escapes(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        match (byte, after) {
            (0x1b, [b'[', sequence @ ..]) => {
                let end = sequence.iter().position(|byte| (0x40..=0x7e).contains(byte));
                rest = end.map_or(&[], |end| &sequence[end + 1..]);
            }
            (0x1b, [b']', sequence @ ..]) => {
                let end = sequence.iter().position(|byte| matches!(byte, 0x07 | 0x1b | b'\n'));
                rest = end.map_or(&[], |end| &sequence[end + 1..]);
            }
            (0x1b, [_, sequence @ ..]) => rest = sequence,
            (b'\r', _) => {}
            _ => plain.push(*byte),
        }
    }
    plain
}

/// The end of what `text` shows, on one line and safe to print: at most `most` characters.
pub fn tail(text: &[u8], most: usize) -> String {
    let plain = without_escapes(text);
    let lines: Vec<String> = plain
        .split(|&byte| byte == b'\n')
        .map(|line| escape::show(line).trim().to_string())
        .filter(|line| !line.is_empty())
        .collect();
    let shown = lines.join(" | ");
    let length = shown.chars().count();
    if length <= most {
        return shown;
    }
    format!("…{}", shown.chars().skip(length - most + 1).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Words {
        Words::of(text.as_bytes())
    }

    #[apply(test)]
    fn a_message_is_found_however_it_is_quoted_and_whatever_shares_its_line() {
        let message = words("Mogu tanebi");
        for screen in [
            "got: mogu tanebi",
            "Received \"MOGU TANEBI\"\r\n",
            "message? server received b'Mogu tanebi\\n'",
            "\x1b[32mMogu\x1b[0m tanebi",
            "1. «Mogu, tanebi»",
        ] {
            assert!(words(screen).find(&message, 0).is_some(), "{screen}");
        }
    }

    #[apply(test)]
    fn a_message_that_is_damaged_split_or_run_together_is_not_found() {
        let message = words("mogu tänebi");
        for screen in [
            "mogu tnebi",
            "mogu t\u{fffd}\u{fffd}nebi",
            "mogu\ngot: tänebi",
            "xmogu tänebi",
            "mogu tänebix",
            "",
        ] {
            assert_eq!(words(screen).find(&message, 0), None, "{screen}");
        }
        assert_eq!(Words::of(b"mogu t\xc3 \xa4nebi").find(&message, 0), None);
        // Nothing stands nowhere, and nothing stands behind the end.
        let screen = words("mogu");
        assert_eq!(screen.find(&words("--"), 0), None);
        assert_eq!((screen.find(&screen, 1), screen.find(&screen, 2)), (None, None));
    }

    #[apply(test)]
    fn messages_must_stand_in_their_order() {
        let messages = [words("one"), words("two"), words("three")];
        assert_eq!(words("one, two, three").find_all(&messages), Ok(vec![0..1, 1..2, 2..3]));
        assert_eq!(words("one three two").find_all(&messages), Err(2));
        assert_eq!(words("two three").find_all(&messages), Err(0));
        assert_eq!(words("onetwothree").find_all(&messages), Err(0));
    }

    #[apply(test)]
    fn addresses_are_read_out_of_any_wording() {
        let all = |text: &str| addresses(text.as_bytes()).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(all("listening on 127.0.0.1:8080."), ["127.0.0.1"]);
        assert_eq!(all("('192.0.2.7', 5000)"), ["192.0.2.7"]);
        assert_eq!(all("address: ::1, port 5"), ["::1"]);
        assert_eq!(all("[fe80::1%eth0]:80"), ["fe80::1"]);
        assert_eq!(all("from ::ffff:10.0.0.7"), ["10.0.0.7"]);
        assert_eq!(all("at fd00::2: waiting"), ["fd00::2"]);
        assert_eq!(all("version 1.2.3, port 10017, added bad cafe"), Vec::<String>::new());
        assert_eq!(all("127.0.0.1271"), Vec::<String>::new());
    }

    #[apply(test)]
    fn numbers_are_whole_and_stand_outside_of_addresses() {
        assert_eq!(numbers(b"127.0.0.1:10017, port 10018. x10019 1.5"), [10017, 10018]);
    }

    #[apply(test)]
    fn a_prompt_is_what_stands_at_the_end_every_time() {
        let first = pieces(b"Connected to 127.0.0.5\r\nmessage 1> ", "");
        let second = pieces(b"sent: mogu\r\nmessage 12> ", "mogu");
        assert_eq!(second, ["sent:", "@", "message", "#>"]);
        assert_eq!(common_end(&first, &second), 2);
    }

    #[apply(test)]
    fn what_another_program_said_is_taken_out_line_by_line() {
        let own = |text: &str, other: &str| {
            String::from_utf8(without_lines_of(text.as_bytes(), other.as_bytes(), "mogu")).unwrap()
        };
        assert_eq!(own("welcome!\nmessage: ", "Welcome!\n"), "message: ");
        assert_eq!(own("server: welcome!\nsent\n", "Welcome!\n"), "sent\n");
        assert_eq!(own("connected\nmessage: ", "\n--\n"), "connected\nmessage: ");
        // What it says itself on the same line is its own.
        for line in ["Sent: mogu (ok)\n", "sent, ok\n", "mogu: ok\n", "Connected, it says: ok\n"] {
            assert_eq!(own(line, "OK\n"), line);
        }
        for line in ["server: ok\n", "disconnected: ok\n", "answer: ok mogu\n"] {
            assert_eq!(own(line, "ok mogu\nok\n"), "", "{line}");
        }
        assert_eq!(own("> message sent\n", "Message sent\n"), "");
    }

    #[apply(test)]
    fn letters_that_json_writes_as_numbers_are_read() {
        let words = |text: &str| Words::of(text.as_bytes());
        assert_eq!(words(r#"["gr\u00fcn \u65e5\ud841\udf0e", "C:\unit"]"#), words("grün 日𠜎 c unit"));
        assert_ne!(words(r"\ud841 alone"), words("alone"));
        assert_eq!(words(r"\u12"), words("u12"));
    }

    #[apply(test)]
    fn a_text_is_found_to_the_letter_also_in_a_string_literal() {
        let text = r#"It's 5 o'clock: "OK" \n"#;
        for screen in
            [format!("got {text}."), format!("{text:?}"), r#"'It\'s 5 o\'clock: "OK" \\n'"#.to_string()]
        {
            assert!(shows_exactly(screen.as_bytes(), text), "{screen}");
        }
        assert!(!shows_exactly(b"got it's 5 o'clock: \"OK\" \\n", text));
        assert_eq!(count_exactly(b"ab ab\nabc", "ab"), 3);
    }

    #[apply(test)]
    fn escapes_of_all_kinds_are_left_out() {
        assert_eq!(
            without_escapes(b"\x1b7one\x1b[1;31mtwo\x1b]0;title\x07three\r\n\x1b[2"),
            b"onetwothree\n"
        );
    }

    #[apply(test)]
    fn the_tail_of_a_screen_is_one_safe_line() {
        assert_eq!(tail(b"one\r\n\r\ntwo \x07\r\n", 99), "one | two \\x07");
        assert_eq!(tail(b"abcdefgh", 4), "…fgh");
    }
}
