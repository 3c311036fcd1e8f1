//! What every key does at the client's prompt: what is sent is what the terminal shows.

use std::time::{Duration, Instant};

use super::editor::{CTRL_C, LEFT, PROMPT, Terminal};
use crate::common::{Server, screens};

const SENDING: &str = "client sending message: ";

/// Keys as terminals send them, pressed between two words and the next.
const KEYS: &[(&str, &str)] = &[
    ("Tab", "\t"),
    ("Left", "\x1b[D"),
    ("Right", "\x1b[C"),
    ("Up", "\x1b[A"),
    ("Down", "\x1b[B"),
    ("Home", "\x1b[H"),
    ("Home, application mode", "\x1bOH"),
    ("Home, Linux console", "\x1b[1~"),
    ("End", "\x1b[F"),
    ("End, Linux console", "\x1b[4~"),
    ("Insert", "\x1b[2~"),
    ("Delete", "\x1b[3~"),
    ("Page Up", "\x1b[5~"),
    ("Page Down", "\x1b[6~"),
    ("Backspace", "\x7f"),
    ("Shift-Tab", "\x1b[Z"),
    ("F1", "\x1bOP"),
    ("F1, Linux console", "\x1b[[A"),
    ("F5", "\x1b[15~"),
    ("F12", "\x1b[24~"),
    ("Ctrl-Left", "\x1b[1;5D"),
    ("Ctrl-Right", "\x1b[1;5C"),
    ("Shift-Up", "\x1b[1;2A"),
    ("Alt-Backspace", "\x1b\x7f"),
    ("Ctrl-A", "\x01"),
    ("Ctrl-B", "\x02"),
    ("Ctrl-D", "\x04"),
    ("Ctrl-E", "\x05"),
    ("Ctrl-F", "\x06"),
    ("Ctrl-G", "\x07"),
    ("Ctrl-H", "\x08"),
    ("Ctrl-K", "\x0b"),
    ("Ctrl-L", "\x0c"),
    ("Ctrl-N", "\x0e"),
    ("Ctrl-O", "\x0f"),
    ("Ctrl-P", "\x10"),
    ("Ctrl-Q", "\x11"),
    ("Ctrl-R", "\x12"),
    ("Ctrl-S", "\x13"),
    ("Ctrl-T", "\x14"),
    ("Ctrl-U", "\x15"),
    ("Ctrl-V", "\x16"),
    ("Ctrl-V and an escape", "\x16\x1b[D"),
    ("Ctrl-W", "\x17"),
    ("Ctrl-X Ctrl-U", "\x18\x15"),
    ("Ctrl-W and Ctrl-Y", "\x17\x19"),
    ("Ctrl-W, Ctrl-Y and Alt-Y", "\x17\x19\x1by"),
    ("Ctrl-]", "\x1d"),
    ("Ctrl-^", "\x1e"),
    ("Ctrl-_", "\x1f"),
    ("Ctrl-@", "\0"),
    ("Alt-3", "\x1b3"),
    ("Alt-minus", "\x1b-"),
    ("Alt-A", "\x1ba"),
    ("Alt-B", "\x1bb"),
    ("Alt-C", "\x1bc"),
    ("Alt-D", "\x1bd"),
    ("Alt-F", "\x1bf"),
    ("Alt-L", "\x1bl"),
    ("Alt-T", "\x1bt"),
    ("Alt-U", "\x1bu"),
    ("Alt-Y", "\x1by"),
    ("Alt-Z", "\x1bz"),
    ("Alt-<", "\x1b<"),
    ("Alt->", "\x1b>"),
    ("Escape twice", "\x1b\x1b[C"),
    ("é", "é"),
    ("東", "東"),
];

/// The messages that a server received, as its screen shows them.
fn received(screen: &str) -> Vec<&str> {
    let message = |line: &'_ str| -> Option<(usize, usize)> {
        let start = "server received message: \"".len();
        line.starts_with("server received message: \"").then(|| (start, line.len() - 1))
    };
    screen.lines().filter_map(|line| message(line).map(|(start, end)| &line[start..end])).collect()
}

#[apply(test)]
fn every_key_leaves_the_screen_as_what_is_sent() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::with_client_of(&server);
    let mut shown = PROMPT.to_owned();
    terminal.types("an earlier message\r");
    shown += &(terminal.shows(SENDING) + SENDING);
    for (_, key) in KEYS {
        shown += &(terminal.shows(PROMPT) + PROMPT);
        terminal.types(&format!("alpha beta{key}.gamma\r"));
        shown += &(terminal.shows(SENDING) + SENDING);
    }
    terminal.shows(PROMPT);
    terminal.types("quit\r");
    assert_eq!(terminal.ends().0, 0);
    let ended = server.running.ends();
    let messages = received(&ended.out);
    assert_eq!(messages.len(), 1 + KEYS.len(), "one message a key\n{ended}");

    // What a person saw behind each prompt when it was entered.
    let bytes: Vec<u8> =
        shown.chars().map(|character| u8::try_from(u32::from(character)).expect("a byte")).collect();
    let mut screen = vt100::Parser::new(24, 80, 0);
    let mut at_entry = Vec::new();
    for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
        let (line, end) = piece.split_at(piece.len() - 1);
        screen.process(line);
        let (row, _) = screen.screen().cursor_position();
        let row = screen.screen().rows(0, 80).nth(row.into()).expect("the cursor is on the screen");
        if let Some((_, typed)) = row.split_once(PROMPT) {
            at_entry.push(typed.trim_end().to_owned());
        }
        screen.process(end);
    }
    let keys = [("none", "")].into_iter().chain(KEYS.iter().copied());
    for ((name, _), (typed, message)) in keys.zip(at_entry.iter().zip(&messages)) {
        if name == "Tab" {
            assert_eq!(*message, "alpha beta\t.gamma");
            assert_eq!(*typed, "alpha beta   .gamma", "to the next tab stop");
        } else {
            assert_eq!(typed, message.trim_end(), "{name}");
        }
    }
    assert_eq!(at_entry.len(), messages.len());
}

#[apply(test)]
fn a_tab_is_a_character_of_the_message_and_repeats_nothing() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::with_client_of(&server);
    terminal.types("ab\tcd\t\r");
    server.shows(&screens::server_received("ab\tcd\t"));
    terminal.shows(PROMPT);
    terminal.types(&format!("ab{LEFT}\tx\r"));
    server.shows(&screens::server_received("a\txb"));
    terminal.types("quit\r");
    assert_eq!(terminal.ends().0, 0);
}

#[apply(test)]
fn a_long_paste_without_brackets_takes_time_linear_in_its_length() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::with_client_of(&server);
    // It is written anew where the terminal has run empty. One holds 4,095 bytes, so that the shorter paste is there at
    // once; how often it runs empty in the longer one depends on who pastes. Once a row would be 25 and 312 times.
    for (tens, times) in [(400, 10), (5_000, 100)] {
        let line = "0123456789".repeat(tens);
        let begun = Instant::now();
        terminal.types(&format!("{line}\r"));
        server.shows(&screens::server_received(&line));
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(5), "{} bytes took {took:?}", line.len());
        let shown = terminal.shows(SENDING).len();
        assert!(shown < times * line.len(), "{shown} bytes are written for {}", line.len());
        terminal.shows(PROMPT);
    }
    terminal.types("quit\r");
    assert_eq!(terminal.ends().0, 0);
}

#[apply(test)]
fn lines_pasted_without_brackets_are_messages_of_their_own() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::with_client_of(&server);
    let lines: Vec<String> = (0..100).map(|number| format!("{number} {}", "word ".repeat(number))).collect();
    terminal.types(&(lines.join("\r") + "\r"));
    server.shows(&screens::server_received(lines.last().expect("there are lines")));
    terminal.types("quit\r");
    assert_eq!(terminal.ends().0, 0);
    assert_eq!(received(&server.ends().out), lines);
}

#[apply(test)]
fn ctrl_c_clears_a_line_and_ends_the_client_at_an_empty_one() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::with_half_a_message(&server);
    terminal.types(&format!("{CTRL_C}whole\r"));
    server.shows(&screens::server_received("whole"));
    // Not the prompt of the cleared line, but the one after the message.
    terminal.shows(SENDING);
    terminal.shows(PROMPT);
    terminal.types(CTRL_C);
    let (code, shown) = terminal.ends();
    assert_eq!(code, 130);
    assert!(shown.contains("error: interrupted after 1 message; the log is lost"), "{shown}");
}
