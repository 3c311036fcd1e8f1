//! Judging a session: its screens against the goldens, and what must hold without any golden.
//!
//! What always holds: the log on the client's screen is judged against the messages that were sent,
//! whatever the goldens say, so that a wrong blessing cannot get past it. And the flaws of a session
//! come with the likely cause first.

use std::time::Duration;

use crate::escape;
use crate::proxy::{self, Direction, Tape, Wire};
use crate::replay::derive::{Screen, bless};
use crate::replay::feed::Stall;
use crate::replay::fixture::{CLIENT_GOLDEN, Fixture, SERVER_GOLDEN};
use crate::replay::golden::Golden;
use crate::replay::ready::Readiness;
use crate::replay::session::Outcome;
use crate::replay::values::Values;
use crate::replay::verdict::{End, Flaw, LogFlaw};
use crate::results::Role;
use crate::run::program::{Ending, Run};
use crate::run::transcript::{Stream, Transcript};

/// The line behind which a client of this assignment shows the log.
const LOG_FOLLOWS: &[u8] = b"client received message log:\n";

/// What is wrong with a session over a wire that changes nothing of what arrives.
pub fn whole(fixture: &Fixture, played: &Outcome) -> Vec<Flaw> {
    let mut flaws = running(played);
    flaws.extend(match played.stall {
        Some(Stall::NotAsked(message)) => Some(Flaw::NotAsked(message + 1)),
        Some(Stall::NotShown(message)) => Some(Flaw::NotShown(message + 1)),
        None => None,
    });
    // A program that hung because its partner did not go on is not what is wrong.
    if played.stall.is_some() {
        flaws.retain(|flaw| !matches!(flaw, Flaw::Hung(_)));
    }
    // A session that did not come to its end has no log to be judged.
    let over = flaws.is_empty();
    flaws.extend(status(Role::Server, &played.server).filter(|_| played.client.is_some()));
    if let Some(client) = &played.client {
        if over {
            flaws.extend(log(&fixture.script.messages, &client.transcript).map(Flaw::Log));
            flaws.extend(unread(client, played.tape.as_ref()));
        }
        flaws.extend(status(Role::Client, client));
        if !flaws.iter().any(|flaw| matches!(flaw, Flaw::Flooded(_))) {
            flaws.extend(screens(fixture, played));
        }
    }
    flaws.extend(left_behind(played));
    flaws
}

/// What is wrong with a session that was cut. `tape` is that of the same session played whole; `own`
/// says whether a program is echolog's own, which has its own way to say that it failed.
pub fn cut(
    fixture: &Fixture,
    played: &Outcome,
    wire: Wire,
    tape: &Tape,
    own: impl Fn(Role) -> bool,
) -> Vec<Flaw> {
    let mut flaws = running(played);
    let Wire::Cut { toward, at, by } = wire else { return flaws };
    let total = tape.len(Direction::ToClient);
    // Only from these cuts on can all of the log have come through. What the client cannot know is
    // whether the server got its `quit`; where no log is due, nothing is missing.
    let all_sent = match toward {
        Direction::ToClient => at >= total,
        Direction::ToServer => total == 0 || at >= tape.len(Direction::ToServer),
    };
    // A `quit` whose line end is still to come is one when the stream then ends in order: a message that
    // only begins like it cannot be told from it where it was cut.
    let sent = tape.bytes(Direction::ToServer);
    let sent = &sent[..usize::try_from(at).unwrap_or(usize::MAX).min(sent.len())];
    let cut_to_quit = toward == Direction::ToServer
        && by == proxy::End::Fin
        && sent.strip_suffix(b"quit").is_some_and(|before| before.is_empty() || before.ends_with(b"\n"));
    let at_the_very_end = toward == Direction::ToClient && at >= total && total > 0 && by == proxy::End::Fin;
    for (who, run) in runs(played) {
        let screen = run.transcript.screen();
        let values = values(played, who);
        let golden = fixture.goldens.as_ref().map(|goldens| match who {
            Role::Server => (&goldens.server, SERVER_GOLDEN),
            Role::Client => (&goldens.client, CLIENT_GOLDEN),
        });
        let difference = golden.and_then(|(golden, _)| golden.compare(screen, &values));
        let quit = who == Role::Server && cut_to_quit && run.ending.is_success();
        let complete = difference.is_none()
            || (quit && golden.is_some_and(|(golden, _)| golden.begins_and_ends_with(screen, &values)));
        let begins = complete
            || golden.is_none_or(|(golden, _)| golden.begins_with(screen, &values, who == Role::Client));
        // Another program may say on its screen that it failed; where it says so on stderr, its screen
        // is as strictly judged as ours.
        let mut may_add = false;
        match run.ending {
            Ending::Exited(0) => {
                // A server whose screen is complete knows that the client quit, and of the log's end
                // no more than that its own system took it.
                let deceived = match who {
                    Role::Server => !complete,
                    Role::Client => !all_sent || log(&fixture.script.messages, &run.transcript).is_some(),
                };
                if deceived {
                    flaws.push(Flaw::TookForWhole(who));
                }
            }
            Ending::Exited(status) if at_the_very_end => flaws.push(Flaw::Status(who, status)),
            Ending::Exited(_) if own(who) && !says_error(run) => flaws.push(Flaw::NoError(who)),
            Ending::Exited(_) if !own(who) && run.transcript.errors().is_empty() => {
                may_add = true;
                if begins {
                    flaws.push(Flaw::Silent(who));
                }
            }
            _ => {}
        }
        if let Some((_, file)) = golden
            && let Some(difference) = difference
            && !begins
            && !may_add
        {
            flaws.push(Flaw::NotABeginning { who, golden: fixture.dir.join(file), difference });
        }
    }
    flaws.extend(left_behind(played));
    flaws
}

/// The goldens for a session: the server's and the client's. `None` for one that no golden can say.
pub fn goldens_of(fixture: &Fixture, played: &Outcome) -> [Option<Golden>; 2] {
    let messages = &fixture.script.messages;
    let old = fixture.goldens.as_ref();
    let Some(client) = &played.client else { return [None, None] };
    let before_client = |piece: &(Duration, usize)| piece.0 < client.started;
    let banner = played
        .server
        .transcript
        .pieces()
        .filter(|piece| piece.stream == Stream::Screen)
        .map(|piece| (piece.at, piece.bytes.len()))
        .take_while(before_client)
        .map(|(_, length)| length)
        .sum();
    let seen = played.server.transcript.screen();
    let values_seen = values(played, Role::Server);
    let server = bless(old.map(|old| &old.server), seen, &values_seen, Screen::Server { banner }, messages);
    let seen = client.transcript.screen();
    let values_seen = values(played, Role::Client);
    let client = bless(old.map(|old| &old.client), seen, &values_seen, Screen::Client, messages);
    [server, client]
}

/// The screens of `played` that are not as `goldens` have them.
pub fn screens(fixture: &Fixture, played: &Outcome) -> Vec<Flaw> {
    let Some(goldens) = &fixture.goldens else { return Vec::new() };
    let differs = |who, golden: &Golden, file, run: &Run| {
        let difference = golden.compare(run.transcript.screen(), &values(played, who))?;
        Some(Flaw::Screen { who, golden: fixture.dir.join(file), difference })
    };
    let server = differs(Role::Server, &goldens.server, SERVER_GOLDEN, &played.server);
    let client = played
        .client
        .as_ref()
        .and_then(|client| differs(Role::Client, &goldens.client, CLIENT_GOLDEN, client));
    server.into_iter().chain(client).collect()
}

/// How the programs of a session ended.
pub fn ends(played: &Outcome) -> Vec<End> {
    runs(played)
        .map(|(who, run)| End {
            who,
            ending: run.ending.clone(),
            ran: run.ended.saturating_sub(run.started),
            errors: run.transcript.errors().to_vec(),
        })
        .collect()
}

/// The true values of the placeholders on one program's screen.
fn values(played: &Outcome, who: Role) -> Values {
    let places = &played.places;
    let port = match who {
        Role::Server => places.port,
        Role::Client => places.client_port,
    };
    Values { port, client: places.client_address, own: places.server_addresses.clone() }
}

fn runs(played: &Outcome) -> impl Iterator<Item = (Role, &Run)> {
    let client = played.client.as_ref().map(|client| (Role::Client, client));
    std::iter::once((Role::Server, &played.server)).chain(client)
}

/// What is wrong with how the programs ran, whatever they showed.
fn running(played: &Outcome) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let flooded = runs(played).filter(|(_, run)| run.ending == Ending::Flooded);
    flaws.extend(flooded.map(|(who, _)| Flaw::Flooded(who)));
    match played.readiness {
        Readiness::Ready(_) => {}
        Readiness::Died if flaws.is_empty() => return vec![Flaw::DiedAtStart],
        Readiness::NeverListened if flaws.is_empty() => return vec![Flaw::NeverListened],
        Readiness::Died | Readiness::NeverListened => return flaws,
    }
    for (who, run) in runs(played) {
        match run.ending {
            Ending::Signalled(signal) => flaws.push(Flaw::Crashed(who, signal)),
            Ending::Hung(_) => flaws.push(Flaw::Hung(who)),
            _ => {}
        }
    }
    // The one that crashed is most likely why the other hangs.
    flaws.sort_by_key(|flaw| matches!(flaw, Flaw::Hung(_)));
    flaws
}

fn left_behind(played: &Outcome) -> Vec<Flaw> {
    runs(played)
        .flat_map(|(who, run)| run.survivors.iter().map(move |left| Flaw::LeftBehind(who, left.clone())))
        .collect()
}

/// A client that ends with exit code 0 has read all that the server sent; one that closes its
/// connection before that resets it (RFC 2525, section 2.17).
fn unread(client: &Run, tape: Option<&Tape>) -> Option<Flaw> {
    let refused = tape.is_some_and(|tape| tape.refused(Direction::ToClient));
    (client.ending.is_success() && refused).then_some(Flaw::Unread)
}

fn status(who: Role, run: &Run) -> Option<Flaw> {
    match run.ending {
        Ending::Exited(status) if status != 0 => Some(Flaw::Status(who, status)),
        _ => None,
    }
}

fn says_error(run: &Run) -> bool {
    run.transcript.errors().split(|&byte| byte == b'\n').any(|line| line.starts_with(b"error: "))
}

/// What is wrong with the log on the screen of a client, if anything is.
///
/// Behind the line that announces it, the log is the rest of the screen. On a screen with other words,
/// it is somewhere behind what was typed last: the messages, each on a line of its own, one after the
/// other, with nothing beside them but what a list has: numbers, blanks, quotes.
fn log(messages: &[Vec<u8>], client: &Transcript) -> Option<LogFlaw> {
    let sent: Vec<Vec<u8>> = messages.iter().map(|message| escape::show(message).into_bytes()).collect();
    let lines = |screen| <[u8]>::split_inclusive(screen, |&byte| byte == b'\n').collect::<Vec<_>>();
    let all = lines(client.screen());
    let Some(start) = all.iter().position(|line| *line == LOG_FOLLOWS) else {
        return log_somewhere(messages, &sent, &lines(client.screen_after_typed()));
    };
    let lines = all;
    let shown = &lines[start + 1..];
    for (index, sent) in sent.iter().enumerate() {
        let number = index + 1;
        match shown.get(index) {
            None => return Some(LogFlaw::Short { shown: index, sent: messages.len() }),
            Some(line) if line.strip_suffix(b"\n") == Some(sent) => {}
            // The last line of a screen that broke off.
            Some(line) if !line.ends_with(b"\n") && sent.starts_with(line) => {
                return Some(LogFlaw::Short { shown: index, sent: messages.len() });
            }
            Some(line) => {
                let shown = line.strip_suffix(b"\n").unwrap_or(line).to_vec();
                return Some(LogFlaw::Different { number, sent: sent.clone(), shown });
            }
        }
    }
    shown.get(sent.len()).map(|next| LogFlaw::Long { sent: sent.len(), next: next.to_vec() })
}

fn log_somewhere(messages: &[Vec<u8>], shown: &[Vec<u8>], lines: &[&[u8]]) -> Option<LogFlaw> {
    let lines: Vec<&[u8]> = lines.iter().map(|line| line.strip_suffix(b"\n").unwrap_or(line)).collect();
    // Another program may show what it was sent as it came.
    let is = |line: &[u8], index: usize| is_listed(line, &shown[index]) || is_listed(line, &messages[index]);
    let length_at = |start: usize| {
        (0..messages.len())
            .take_while(|&index| lines.get(start + index).is_some_and(|line| is(line, index)))
            .count()
    };
    let longest = (0..lines.len()).map(length_at).max().unwrap_or(0);
    match longest {
        length if length == messages.len() => None,
        0 => Some(LogFlaw::None),
        length => Some(LogFlaw::Short { shown: length, sent: messages.len() }),
    }
}

/// Whether `line` is `message` with nothing beside it but marks and numbers.
fn is_listed(line: &[u8], message: &[u8]) -> bool {
    let marks = |text: &[u8]| !String::from_utf8_lossy(text).chars().any(char::is_alphabetic);
    memchr::memmem::find_iter(line, message)
        .any(|at| marks(&line[..at]) && marks(&line[at + message.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(messages: &[&str], screen: &str) -> Option<LogFlaw> {
        let messages: Vec<Vec<u8>> = messages.iter().map(|message| message.as_bytes().to_vec()).collect();
        let mut client = Transcript::default();
        client.push(Duration::ZERO, Stream::Screen, screen.as_bytes());
        log(&messages, &client)
    }

    fn screen(log: &str) -> String {
        format!("enter a message to send to server: quit\nclient received message log:\n{log}")
    }

    #[apply(test)]
    fn the_log_is_the_messages_and_nothing_else() {
        assert_eq!(judged(&["a", "", "a"], &screen("a\n\na\n")), None);
        assert_eq!(judged(&[], &screen("")), None);
        assert_eq!(
            judged(&["client received message log:"], &screen("client received message log:\n")),
            None
        );
        assert_eq!(judged(&["\u{1b}"], &screen("\\x1b\n")), None);
    }

    #[apply(test)]
    fn a_log_that_is_short_long_or_different_is_said_to_be_so() {
        let short = |shown, sent| Some(LogFlaw::Short { shown, sent });
        assert_eq!(judged(&["a", "b"], &screen("a\n")), short(1, 2));
        assert_eq!(judged(&["a", "bc"], &screen("a\nb")), short(1, 2));
        assert_eq!(judged(&["a", "b"], &screen("")), short(0, 2));
        assert_eq!(judged(&["a"], &screen("a\na\n")), Some(LogFlaw::Long { sent: 1, next: b"a\n".to_vec() }));
        assert_eq!(judged(&[], &screen("\n")), Some(LogFlaw::Long { sent: 0, next: b"\n".to_vec() }));
        assert_eq!(
            judged(&["a", "b"], &screen("b\na\n")),
            Some(LogFlaw::Different { number: 1, sent: b"a".to_vec(), shown: b"b".to_vec() })
        );
        assert_eq!(
            judged(&["\u{1b}"], &screen("\u{1b}\n")),
            Some(LogFlaw::Different { number: 1, sent: b"\\x1b".to_vec(), shown: b"\x1b".to_vec() })
        );
    }

    #[apply(test)]
    fn on_a_screen_with_other_words_the_log_is_looked_for() {
        assert_eq!(judged(&["a", "b"], "say a\nsay b\nsay quit\nLog:\na\nb\nbye\n"), None);
        assert_eq!(
            judged(&["a", "b"], "say a\nsay b\nsay quit\nLog:\na\n"),
            Some(LogFlaw::Short { shown: 1, sent: 2 })
        );
        assert_eq!(judged(&["a", "", "ä"], "Du: quit\n  1. a\n  2. \n  3. «ä»\nbye\n"), None);
        let sent = "Message: Sent: a\nMessage: Sent: b\nMessage: The log:\n";
        assert_eq!(judged(&["a", "b"], sent), Some(LogFlaw::None));
        assert_eq!(judged(&["a", "b"], &format!("{sent}a\nb\n")), None);
        assert_eq!(judged(&[], "bye\n"), None);
    }
}
