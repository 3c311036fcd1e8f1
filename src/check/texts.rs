//! R5, R14 and R15: messages of every kind, and none.
//!
//! What always holds: each function plays a session of its own and returns its ruling; none of them builds
//! on what another one has found.

use anyhow::Result;

use super::baseline::{Baseline, contains};
use super::comparison::{
    as_in_lockstep, by_cause, ended_instead, not_again, trouble_of_either, with_session, without_lines,
};
use super::evidence::{EXCERPT, Ruling, Seen, fail, pass, printed, quoted};
use super::facts;
use super::recording::{opened, send_all};
use super::session::{Keyboard, Session, Waited};
use super::setup::Setup;
use crate::results::Role;
use crate::run::outcome::Ending;

/// R5
pub fn empty_message(setup: &Setup, known: &Baseline) -> Result<Ruling> {
    let messages: Vec<String> = (0..2).map(|number| known.message("empty", number, 2)).collect();
    let Some(mut session) = opened(setup, Keyboard::Lines)? else { return Ok(not_again()) };
    send_all(&mut session, known, &messages[..1])?;
    // A client may well send nothing for it.
    session.say("")?;
    session.settle()?;
    if let Some(ruling) = harm(&mut session, known)? {
        let ruling = with_session(&session, ruling);
        session.clear();
        return Ok(ruling);
    }
    let (sent, shown) = send_all(&mut session, known, &messages[1..])?;
    if !sent || !shown {
        let whose = Seen::of(if sent { session.server() } else { session.client() });
        let unsent = || if sent { None } else { without_lines(known) };
        let ruling = harm(&mut session, known)?.or_else(unsent).unwrap_or_else(|| {
            fail(format!("after an empty line \"{}\" does not arrive; {}", messages[1], whose.shows()))
        });
        let ruling = with_session(&session, ruling);
        session.clear();
        return Ok(ruling);
    }
    let mark = session.client().shown();
    session.say(&known.quit_word)?;
    session.both_end()?;
    let ruling = as_in_lockstep(&session, known, &messages, (mark, true), "the messages around an empty one");
    let ruling = with_session(&session, ruling);
    session.clear();
    Ok(ruling)
}

/// What an empty line has done to one of them, if that has ended by it; the other may have ended only after it.
fn harm(session: &mut Session, known: &Baseline) -> Result<Option<Ruling>> {
    if !session.server().has_ended() && !session.client().has_ended() {
        return Ok(None);
    }
    session.both_end()?;
    let ends = |seen: &Seen| {
        let does = if seen.ending.is_some() { "ends" } else { "closes the connection" };
        fail(format!("the {} {does} after an empty line; {}", seen.role.word(), seen.shows()))
    };
    let first = || ends(&by_cause(session, known)[0]);
    Ok(trouble_of_either(session, known).or_else(|| without_lines(known)).or_else(|| Some(first())))
}

/// R14: two equal messages stand side by side, and two more apart.
pub fn to_the_letter(setup: &Setup, known: &Baseline) -> Result<Ruling> {
    let lines = [
        r#"It's 5 o'clock (really), "OK"?!"#,
        r"100% sure: %s %d %n C:\new\temp",
        "  two  blanks   here  ",
        "<b>A&B</b>; a_1*b=[x,y]",
        "Same AGAIN",
        "Same AGAIN",
        r#"It's 5 o'clock (really), "OK"?!"#,
    ];
    let messages: Vec<String> = lines.iter().map(|line| known.typable(line)).collect();
    let Some(mut session) = opened(setup, Keyboard::Lines)? else { return Ok(not_again()) };
    for text in &messages {
        let mark = session.server().shown();
        let wire = session.proxy.to_server.tape.len();
        session.say(text)?;
        let is_shown = |session: &Session| facts::shows_exactly(&session.server().since(mark), text);
        if known.prints_at_once() {
            session.wait(|session| is_shown(session) || session.server().has_ended())?;
        } else {
            session.all_sent()?;
            continue;
        }
        if is_shown(&session) {
            continue;
        }
        if session.first_to_end().is_some() {
            session.both_end()?;
        }
        let sent = &session.proxy.to_server.tape[wire..];
        let is_unsent = known.is_readable() && !contains(sent, text.as_bytes());
        let unsent = || if is_unsent { without_lines(known) } else { None };
        let ended = || if is_unsent { ended_instead(&session, known, text) } else { None };
        let ruling = trouble_of_either(&session, known).or_else(unsent).or_else(ended).unwrap_or_else(|| {
            if is_unsent {
                return fail(format!("\"{text}\" was typed, and the client sent: {}", quoted(sent)));
            }
            let shown = facts::tail(&session.server().since(mark), EXCERPT);
            fail(format!("\"{text}\" was typed, and the server shows: {shown}"))
        });
        let ruling = with_session(&session, ruling);
        session.clear();
        return Ok(ruling);
    }
    session.settle()?;
    let mark = session.client().shown();
    session.say(&known.quit_word)?;
    session.both_end()?;
    let (server, client) = (Seen::of(session.server()), Seen::of(session.client()));
    let ruling = trouble_of_either(&session, known)
        .unwrap_or_else(|| shown_to_the_letter(&messages, &server, client.since(mark)));
    let ruling = with_session(&session, ruling);
    session.clear();
    Ok(ruling)
}

/// Whether the server's screen and the `log` show each of `messages` as often as it was typed.
fn shown_to_the_letter(messages: &[String], server: &Seen, log: &[u8]) -> Ruling {
    let typed = |text: &str| messages.iter().filter(|other| *other == text).count();
    let lacks = |screen: &[u8]| messages.iter().find(|text| facts::count_exactly(screen, text) < typed(text));
    if let Some(text) = lacks(&server.screen) {
        return fail(format!(
            "the server does not show \"{text}\" as often as it was typed; {}",
            server.shows()
        ));
    }
    let Some(text) = lacks(log) else {
        return pass("the server's screen and the log show every message to the letter");
    };
    let times = |count: usize| if count == 1 { "once".to_owned() } else { format!("{count} times") };
    let logged = match facts::count_exactly(log, text) {
        0 => "is not in the log like that".to_owned(),
        count => format!("is in the log {}", times(count)),
    };
    fail(format!("\"{text}\" was typed {} and {logged}; {}", times(typed(text)), printed(log)))
}

/// R15
pub fn no_message(setup: &Setup, known: &Baseline) -> Result<Ruling> {
    let Some(mut session) = opened(setup, Keyboard::Lines)? else { return Ok(not_again()) };
    session.say(&known.quit_word)?;
    let waited = session.both_end()?;
    let usual = |role| if role == Role::Server { &known.server } else { &known.client };
    let ruling = by_cause(&session, known)
        .iter()
        .find_map(|seen| ends_otherwise(seen, waited, usual(seen.role).ending.as_ref()))
        .unwrap_or_else(|| pass("both ended as after a session with messages"));
    let ruling = with_session(&session, ruling);
    session.clear();
    Ok(ruling)
}

/// The ruling on a program that does not end as in the first session. One that goes on there, or ends with another
/// status each time, is S5's or C5's to judge.
fn ends_otherwise(seen: &Seen, waited: Waited, usual: Option<&Ending>) -> Option<Ruling> {
    match (seen.status(waited), usual) {
        (Err(ruling), Some(_)) => Some(ruling),
        (Ok(status), Some(Ending::Exited(usual))) if status != 0 && status != *usual => {
            Some(fail(format!("the {} ended with status {status}; {}", seen.role.word(), seen.shows())))
        }
        _ => seen.trouble(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Outcome;

    #[apply(test)]
    fn every_message_is_on_the_screen_and_in_the_log_as_often_as_it_was_typed() {
        let messages = ["one", "Two!", "Two!"].map(str::to_owned);
        let judged = |screen: &str, log: &str| {
            let server = Seen { screen: screen.into(), ..Seen::nothing(Role::Server) };
            shown_to_the_letter(&messages, &server, log.as_bytes())
        };
        let whole = "one\nTwo!\nTwo!\n";
        assert!(judged(whole, whole).passes());
        let told = |screen: &str, log: &str, words: &str| {
            let ruling = judged(screen, log);
            assert!(!ruling.passes() && ruling.happened.starts_with(words), "{}", ruling.happened);
        };
        told("one\nTwo!\n", whole, "the server does not show \"Two!\" as often as it was typed");
        told(whole, "one\nTwo!\n", "\"Two!\" was typed 2 times and is in the log once; ");
        told(whole, "one\nTwo\nTwo\n", "\"Two!\" was typed 2 times and is not in the log like that; ");
        told(whole, "ONE\nTwo!\nTwo!\n", "\"one\" was typed once and is not in the log like that; ");
    }

    #[apply(test)]
    fn a_program_ends_otherwise_if_its_status_is_new_and_an_error() {
        let judged = |ending, usual: Option<i32>| {
            let seen = Seen { ending, ..Seen::nothing(Role::Client) };
            let usual = usual.map(Ending::Exited);
            ends_otherwise(&seen, Waited::Quiet, usual.as_ref()).map(|ruling| ruling.outcome)
        };
        let status = |status| Some(Ending::Exited(status));
        assert_eq!((judged(status(0), Some(0)), judged(status(0), Some(3))), (None, None));
        assert_eq!((judged(status(3), Some(3)), judged(status(3), Some(0))), (None, Some(Outcome::Fail)));
        assert_eq!((judged(None, Some(0)), judged(None, None)), (Some(Outcome::Hung), None));
        assert_eq!(judged(status(139), None), Some(Outcome::Crashed));
        assert_eq!(judged(status(3), None), None);
    }
}
