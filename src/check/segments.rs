//! R1 to R4 and R6: what the network does to messages, and long ones.
//!
//! What always holds: each function plays a session of its own and returns its ruling; none of them builds
//! on what another one has found.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::baseline::{Baseline, contains, words_of};
use super::comparison::{as_in_lockstep, not_again, on_server, with_session, without_lines};
use super::evidence::{Ruling, Seen, fail, pass, printed, ruling};
use super::facts::Words;
use super::recording::{opened, send_all};
use super::session::{Keyboard, Session, Waited};
use super::setup::Setup;
use crate::proxy::Mode;
use crate::results::Outcome;

/// Messages and words of each in the log of R4: over 100 KB, and no message too long for a buffer of 1,024
/// bytes.
const BIG_LOG: (usize, usize) = (1_050, 15);
/// The same for a pair that takes longer for each message than [`SLOW`], which would need minutes; and for one
/// that has a buffer of 1,024 bytes as well.
const SLOW_LOGS: [(usize, usize); 2] = [(26, 570), (105, 140)];
/// See [`SLOW_LOGS`].
const SLOW: Duration = Duration::from_millis(30);
/// How many words without spaces make the message of R3: 5,000 bytes and a little more.
const LONG: usize = 834;
/// In what pieces a long log is delivered, each when the last one has been read.
const LOG_PIECE: usize = 16 << 10;
/// How many bytes of a message, and of the log, are delivered one at a time; what follows comes in larger
/// pieces. Records may be long, and are filled up with what is never shown.
const BYTE_BY_BYTE: usize = 600;
/// The size of these larger pieces, in bytes.
const LARGER: usize = 64;
/// Letters of two, three and four bytes. None of them changes its length in another case.
const LETTERS: [&str; 2] = ["grün жизнь", "日本語 𠜎𠜱 čeština"];

/// R1
pub fn one_segment(setup: &Setup, known: &Baseline) -> Result<Ruling> {
    let messages: Vec<String> = (0..4).map(|number| known.message("one segment", number, 2)).collect();
    let Some(mut session) = opened(setup, Keyboard::Lines)? else { return Ok(not_again()) };
    let mark = session.client().shown();
    session.proxy.to_server.mode = Mode::Held;
    for text in messages.iter().chain([&known.quit_word]) {
        session.client().type_line(text);
    }
    // A client that waits for an answer to each message gets it: its messages never share a segment.
    let mut waits_for_answers = false;
    for turn in 0..=2 * messages.len() {
        let waiting = session.proxy.to_server.tape.len();
        let waited = session
            .wait(|session| session.proxy.to_server.tape.len() > waiting || session.server().has_ended())?;
        session.all_sent()?;
        let flow = &session.proxy.to_server;
        if flow.tape.len() > flow.passed {
            // All of them, or the first is answered.
            waits_for_answers |= turn > 0;
            session.proxy.to_server.mode = Mode::Open;
            session.proxy.pump()?;
            session.proxy.to_server.mode = Mode::Held;
        } else if waited != Waited::Met || session.server().has_ended() {
            break;
        }
    }
    session.proxy.to_server.mode = Mode::Open;
    session.both_end()?;
    let ruling = as_in_lockstep(&session, known, &messages, (mark, true), "messages that arrived together");
    let ruling = with_session(&session, ruling);
    session.clear();
    if waits_for_answers && ruling.passes() { segment_of_our_own(setup, known) } else { Ok(ruling) }
}

/// For clients that wait for an answer to each message: the proxy itself sends two messages in one segment.
fn segment_of_our_own(setup: &Setup, known: &Baseline) -> Result<Ruling> {
    let messages: Vec<String> = (0..2).map(|number| known.message("own segment", number, 2)).collect();
    let framed: Option<Vec<Vec<u8>>> =
        messages.iter().map(|text| known.framing.frame(text.as_bytes())).collect();
    let Some(framed) = framed else {
        let why = "the client waits for an answer to each message, so that no two share a segment, and check does not \
                   know how to put two of them into one";
        return Ok(ruling(Outcome::NotRun, why));
    };
    let mut session = Session::open(setup)?;
    session.start_server()?;
    if session.wait_until_listening()? != Waited::Met {
        session.clear();
        return Ok(not_again());
    }
    let mut client = session.connect_as_client()?;
    client.write_all(&framed.concat()).context("the proxy cannot send")?;
    let facts_sent = words_of(&messages);
    session.wait(|session| {
        Words::of(&session.server().screen()).find_all(&facts_sent).is_ok() || session.server().has_ended()
    })?;
    let ruling = on_server(&session, known, &messages, "messages that arrived together")
        .after("The proxy sent two messages to the server in one TCP segment.");
    let ruling = with_session(&session, ruling);
    session.clear();
    Ok(ruling)
}

/// R2
pub fn many_segments(setup: &Setup, known: &Baseline) -> Result<Ruling> {
    let messages: Vec<String> = (0..2).map(|number| known.message("many segments", number, 3)).collect();
    let (ruling, _) = piecemeal(setup, known, &messages, Mode::Held, "messages that arrived byte by byte")?;
    Ok(ruling)
}

/// R6
pub fn split_characters(setup: &Setup, known: &Baseline) -> Result<(Ruling, Ruling)> {
    let message = |(at, letters): (usize, &&str)| {
        known.typable(&format!("{letters} {}", known.message("split", at, 1)))
    };
    let messages: Vec<String> = LETTERS.iter().enumerate().map(message).collect();
    piecemeal(setup, known, &messages, Mode::Pieces(1), "messages whose characters arrived in pieces")
}

/// A session in which messages go byte by byte, and the log by `log`. The ruling on the server's screen, and
/// the one on that and the log.
fn piecemeal(
    setup: &Setup,
    known: &Baseline,
    messages: &[String],
    log: Mode,
    what: &str,
) -> Result<(Ruling, Ruling)> {
    let Some(mut session) = opened(setup, Keyboard::Lines)? else { return Ok((not_again(), not_again())) };
    let facts_sent = words_of(messages);
    for (text, fact) in messages.iter().zip(&facts_sent) {
        let mark = session.server().shown();
        let passed = session.proxy.to_server.passed;
        session.proxy.to_server.mode = Mode::Pieces(1);
        session.client().type_line(text);
        let is_shown = |session: &Session| Words::of(&session.server().since(mark)).find(fact, 0).is_some();
        wait_in_pieces(&mut session, passed, is_shown)?;
    }
    session.settle()?;
    let mark = session.client().shown();
    session.proxy.to_client.mode = log;
    let passed = session.proxy.to_client.passed;
    session.client().type_line(&known.quit_word);
    session.wait(|session| session.server().has_ended() || session.client().has_ended())?;
    if log == Mode::Held {
        session.proxy.to_client.mode = Mode::Open;
    }
    session.wait(|session| {
        session.proxy.to_client.passed > passed + BYTE_BY_BYTE || session.client().has_ended()
    })?;
    if session.proxy.to_client.mode == Mode::Pieces(1) {
        session.proxy.to_client.mode = Mode::Pieces(LARGER);
    }
    session.both_end()?;
    let is_ascii = messages.iter().all(|text| text.is_ascii());
    let without = as_in_lockstep(&session, known, messages, (mark, is_ascii), what);
    let with = as_in_lockstep(&session, known, messages, (mark, true), what);
    let rulings = (with_session(&session, without), with_session(&session, with));
    session.clear();
    Ok(rulings)
}

/// Waits until the server has shown a message of which the first bytes are delivered one at a time.
fn wait_in_pieces(session: &mut Session, passed: usize, is_shown: impl Fn(&Session) -> bool) -> Result<()> {
    let over = |session: &Session| is_shown(session) || session.server().has_ended();
    session.wait(|session| session.proxy.to_server.passed > passed + BYTE_BY_BYTE || over(session))?;
    if session.proxy.to_server.passed > passed + BYTE_BY_BYTE {
        session.proxy.to_server.mode = Mode::Pieces(LARGER);
        session.wait(over)?;
    }
    Ok(())
}

/// R3
pub fn long_message(setup: &Setup, known: &Baseline) -> Result<(Ruling, Ruling)> {
    let typed = send_long_message(setup, known, Keyboard::LongLines)?;
    if typed.0.outcome != Outcome::Fail {
        return Ok(typed);
    }
    // A terminal holds 4,096 bytes. Who takes what one read(2) gives for a message cannot get a longer one there,
    // and reads it whole from a pipe.
    let piped = send_long_message(setup, known, Keyboard::Pipe)?;
    Ok(if piped.0.passes() { piped } else { typed })
}

fn send_long_message(setup: &Setup, known: &Baseline, keyboard: Keyboard) -> Result<(Ruling, Ruling)> {
    let what = "a message of 5,004 bytes and another";
    let messages = [super::message::line("long", 0, LONG).replace(' ', ""), known.message("long", 1, 2)];
    let Some(mut session) = opened(setup, keyboard)? else {
        return Ok((not_again(), not_again()));
    };
    let (sent, shown) = send_all(&mut session, known, &messages)?;
    if !sent {
        let client = Seen::of(session.client());
        let ruling = client.trouble().or_else(|| without_lines(known)).unwrap_or_else(|| {
            fail(format!("the client does not send the long message; {}", client.shows()))
                .advise("Read whole lines of any length at the keyboard, not into a fixed buffer.")
        });
        session.clear();
        return Ok((ruling.clone(), ruling));
    }
    let mark = session.client().shown();
    if shown {
        session.say(&known.quit_word)?;
        session.both_end()?;
    }
    let without = with_session(&session, on_server(&session, known, &messages, what));
    let with = if shown {
        with_session(&session, as_in_lockstep(&session, known, &messages, (mark, true), what))
    } else {
        without.clone()
    };
    session.clear();
    Ok((without, with))
}

/// R4
pub fn big_log(setup: &Setup, known: &Baseline) -> Result<Ruling> {
    let [first, second] = logs_for(known.pace());
    // All at once first, which takes a fraction of the time. A pair that needs each message in a segment of its
    // own is judged with that; whether messages stay apart is R1's to judge, and whether long ones come whole R3's.
    let typed = messages_of(known, first);
    if let Some(ruling) = play_big_log(setup, known, &typed, true)? {
        return Ok(ruling.after(typed_for(&typed)));
    }
    let typed = messages_of(known, second);
    Ok(play_big_log(setup, known, &typed, false)?.unwrap_or_else(not_again).after(typed_for(&typed)))
}

/// How many messages of how many words make the log for a pair of this pace: at first, and where those do not
/// arrive.
fn logs_for(pace: Duration) -> [(usize, usize); 2] {
    if pace > SLOW { SLOW_LOGS } else { [BIG_LOG; 2] }
}

/// So many messages of so many words.
fn messages_of(known: &Baseline, (count, words): (usize, usize)) -> Vec<String> {
    (0..count).map(|number| known.typable(&super::message::line("big log", number, words))).collect()
}

fn typed_for(messages: &[String]) -> String {
    let (count, size) = (messages.len(), size_of(messages));
    format!("{count} messages, {size} bytes, were typed; the log was delivered in pieces of 16 KiB.")
}

/// How many bytes `messages` have, each with its line end.
fn size_of(messages: &[String]) -> usize {
    messages.iter().map(|text| text.len() + 1).sum()
}

/// Types `messages`, lets the client quit and looks at the log; `None` where they were typed `at_once` and
/// did not all arrive so.
fn play_big_log(
    setup: &Setup,
    known: &Baseline,
    messages: &[String],
    at_once: bool,
) -> Result<Option<Ruling>> {
    let (count, size) = (messages.len(), size_of(messages));
    let Some(mut session) = opened(setup, Keyboard::Lines)? else { return Ok(Some(not_again())) };
    session.flood = usize::MAX;
    let last = messages.last().map(String::as_str).unwrap_or_default();
    let ends_with_last = |screen: &[u8]| screen.len() >= size && ends_with(screen, last);
    let (sent, shown) = if at_once {
        session.client().type_lines(messages);
        session.wait(|session| {
            let of_server = session.server().shown() >= size && ends_with_last(&session.server().screen());
            of_server || session.server().has_ended() || session.client().has_ended()
        })?;
        session.settle()?;
        (true, Words::of(&session.server().screen()).find_all(&words_of(messages)).is_ok())
    } else {
        send_all(&mut session, known, messages)?
    };
    if !sent || !shown {
        let whose = Seen::of(if sent { session.server() } else { session.client() });
        let unsent = || if sent { None } else { without_lines(known) };
        let ruling = whose.trouble().or_else(unsent).unwrap_or_else(|| {
            fail(format!("the {count} messages do not all arrive at the server; {}", whose.shows()))
        });
        session.clear();
        return Ok((!at_once).then_some(ruling));
    }
    let mark = session.client().shown();
    session.proxy.to_client.mode = Mode::Pieces(LOG_PIECE);
    session.say(&known.quit_word)?;
    let waited = session.wait(|session| {
        session.client().has_ended()
            || (session.client().shown() >= mark + size && ends_with_last(&session.client().since(mark)))
    })?;
    if waited == Waited::Met {
        session.last_words()?;
    }
    let (screen, client) = (session.client().since(mark), Seen::of(session.client()));
    let ruling = match Words::of(&screen).find_all(&words_of(messages)) {
        Ok(_) => pass(format!("a log of {size} bytes is shown whole")),
        Err(missing) => client.trouble().unwrap_or_else(|| {
            let whose = who_lacks(known, &session.proxy.to_client.tape, messages, missing);
            fail(format!("of a log of {count} messages, {whose}; {}", printed(&screen)))
        }),
    };
    session.clear();
    Ok(Some(ruling))
}

/// Whether the end of `screen` shows `last`. Looking through all of it each time would take longer than the log
/// itself.
fn ends_with(screen: &[u8], last: &str) -> bool {
    contains(&screen[screen.len().saturating_sub(last.len() + 4096)..], last.as_bytes())
}

/// Who lacks a message of the log, of which the client does not show message `missing`, counted from 0: by what the
/// server `sent`, where that can be read.
fn who_lacks(known: &Baseline, sent: &[u8], messages: &[String], missing: usize) -> String {
    match Words::of(sent).find_all(&words_of(messages)) {
        _ if !known.is_readable() => format!("the client does not show message {}", missing + 1),
        Err(missing) => format!("the log that the server sent lacks message {}", missing + 1),
        Ok(_) => format!("the server sent all of it; the client lacks message {}", missing + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::super::baseline::sample::sound;
    use super::*;

    #[apply(test)]
    fn a_big_log_is_big_whatever_the_pace_and_its_messages_fit_into_buffers_in_the_end() {
        let known = sound();
        for pace in [Duration::ZERO, SLOW, SLOW + Duration::from_millis(1)] {
            let logs = logs_for(pace).map(|log| messages_of(&known, log));
            for messages in &logs {
                let size: usize = messages.iter().map(String::len).sum();
                assert!(size > 100_000, "{pace:?}: {size}");
            }
            assert!(logs[1].iter().all(|text| text.len() < 1_024), "{pace:?}");
            assert_eq!(logs[0].len() > 1_000, pace <= SLOW, "{pace:?}");
        }
        let typed = typed_for(&["one".to_owned(), "three".to_owned()]);
        assert!(typed.starts_with("2 messages, 10 bytes, were typed; "), "{typed}");
    }

    #[apply(test)]
    fn the_last_message_is_looked_for_at_the_end() {
        let screen = |after: usize| [b"last".to_vec(), vec![b'.'; after]].concat();
        assert!(ends_with(b"last", "last") && ends_with(&screen(4096), "last"));
        assert!(!ends_with(&screen(4097), "last") && !ends_with(b"", "last"));
    }

    #[apply(test)]
    fn a_message_that_the_log_lacks_is_the_servers_fault_if_it_was_not_sent() {
        let messages = ["mogu", "tanebi"].map(str::to_owned);
        let mut known = sound();
        let lacks = |known: &Baseline, sent: &[u8]| who_lacks(known, sent, &messages, 0);
        assert_eq!(lacks(&known, b"mogu\n"), "the log that the server sent lacks message 2");
        assert_eq!(lacks(&known, b"mogu\ntanebi\n"), "the server sent all of it; the client lacks message 1");
        known.exchanges.iter_mut().for_each(|exchange| exchange.wire = vec![0x93]);
        assert_eq!(lacks(&known, b"mogu\n"), "the client does not show message 1");
    }
}
