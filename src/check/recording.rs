//! The recording of the baseline: which sessions are played, and what is kept of them.
//!
//! What always holds: nothing in here judges. A message reaches the server only when the client waits again,
//! so that what the client prints until then is its own.

use std::net::SocketAddr;
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use socket2::Domain;

use super::baseline::{
    Altered, Baseline, Connect, Exchange, LookAlike, LookAlikes, Quit, Start, contains, withheld_messages,
    words_of,
};
use super::comparison::shows_message;
use super::evidence::Seen;
use super::facts::{self, Words};
use super::framing::{self, Framing};
use super::id::Need;
use super::message::{line, word};
use super::session::{Keyboard, Session, Waited};
use super::setup::Setup;
use super::timeline;
use crate::proxy::{End, Mode};
use crate::results::Role;
use crate::run::command::{Placeholder, Template};

/// How many messages the first session has. Message `n` has `n + 1` words.
const MESSAGES: usize = 4;

/// Which sessions after the first one are looked at by what is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looks {
    /// The one with messages that look like a quit.
    pub at_look_alikes: bool,
    /// Those whose log does not reach the client as it was sent.
    pub at_changed_logs: bool,
}

/// Plays the sessions of the baseline that what is judged looks at, and records them.
pub fn record(setup: &Setup, looks: Looks) -> Result<Baseline> {
    let alone = alone(setup)?;
    let mut baseline = first(setup, alone.clone(), false)?;
    if let Some(split) = baseline.exchanges.iter().find(|exchange| exchange.is_split()).cloned() {
        baseline = first(setup, alone, true)?;
        baseline.split = Some(split);
    }
    if baseline.lacks(&[Need::Prints, Need::Quits]).is_some() {
        return Ok(baseline);
    }
    let known = &baseline;
    let log = looks.at_changed_logs && known.log().is_ok();
    let (look_alikes, withheld, altered) = thread::scope(|scope| {
        let look_alikes =
            scope.spawn(|| if looks.at_look_alikes { look_alikes(setup, known) } else { Ok(None) });
        let withheld = scope.spawn(|| if log { withheld(setup, known) } else { Ok(None) });
        let altered = scope.spawn(|| if log { altered(setup, known) } else { Ok(None) });
        let gone = |_| anyhow!("a session of the baseline panicked");
        anyhow::Ok((
            look_alikes.join().map_err(gone)??,
            withheld.join().map_err(gone)??,
            altered.join().map_err(gone)??,
        ))
    })?;
    (baseline.look_alikes, baseline.withheld, baseline.altered) = (look_alikes, withheld, altered);
    Ok(baseline)
}

/// The client where no server is.
fn alone(setup: &Setup) -> Result<(Seen, Waited)> {
    // Bound and not listening: nobody else can listen there, and whoever connects is refused. A port of its
    // own, so that the proxy does not listen where a client connects that has its port built in.
    let mut session = Session::open_on(setup, setup.other_port("the client alone")?)?;
    let closed = session.client_computer().socket(Domain::IPV4)?;
    let host = session.proxy.address()?.ip();
    let number = if session.client_computer().is_isolated() { session.port() ^ 1 } else { 0 };
    closed.bind(&SocketAddr::new(host, number).into())?;
    let address = closed.local_addr()?.as_socket().context("a socket without an address")?;
    let submission = setup.submission();
    session.start_client_as(&submission.client, &submission.client_answers, address, Keyboard::Lines)?;
    let waited = session.ends(Role::Client)?;
    let seen = Seen::of(session.client());
    session.clear();
    Ok((seen, waited))
}

/// The session that goes well, in lockstep.
fn first(setup: &Setup, alone: (Seen, Waited), single_words: bool) -> Result<Baseline> {
    let submission = setup.submission();
    let mentions = |command: &Template, answers: &[Template], what| {
        command.mentions(what) || answers.iter().any(|answer| answer.mentions(what))
    };
    let takes_port = mentions(&submission.server, &submission.server_answers, Placeholder::Port);
    let other = match submission.port {
        Some(_) if takes_port => Some(on_another_port(setup)?),
        _ => None,
    };
    let mut session = Session::open(setup)?;
    let given = session.port();
    let (waited, listens) = start_server(&mut session)?;
    if let Some(port) = listens.filter(|&port| port != given) {
        // The rest is judged at the port that is built in, which the client may have built in as well.
        setup.found_port(given, port);
        session.clear();
        session = Session::open(setup)?;
        start_server(&mut session)?;
    }
    let mut baseline = Baseline {
        alone,
        start: Start { given, takes_port, listens, other, waited, server: Seen::of(session.server()) },
        addresses: setup.addresses().to_vec(),
        connect: None,
        split: None,
        exchanges: Vec::new(),
        flooded: None,
        quit: None,
        server: Seen::of(session.server()),
        client: Seen::nothing(Role::Client),
        look_alikes: None,
        withheld: None,
        altered: None,
        framing: Framing::Unknown,
        quit_word: submission.quit.clone(),
        events: Vec::new(),
    };
    if let Some(port) = listens {
        // The banner may come after listen(2), and is complete when the server waits.
        let shown = session.wait(|session| {
            let screen = session.server().screen();
            session.server().has_ended()
                || (facts::numbers(&screen).contains(&u64::from(port))
                    && facts::addresses(&screen).iter().any(|address| setup.addresses().contains(address)))
        })?;
        if shown == Waited::Met {
            // Some end as soon as they have shown it.
            session.wait(|session| session.server().has_ended())?;
            session.last_words()?;
        }
        baseline.start.server = Seen::of(session.server());
        converse(&mut session, &mut baseline, single_words)?;
    }
    baseline.server = Seen::of(session.server());
    if session.client.is_some() {
        baseline.client = Seen::of(session.client());
    }
    let seen: Vec<(Vec<u8>, Vec<u8>)> = baseline
        .delivered()
        .into_iter()
        .map(|exchange| (exchange.typed.clone().into_bytes(), exchange.wire.clone()))
        .collect();
    baseline.framing = framing::guess(&seen);
    baseline.events = timeline::events(&session);
    session.clear();
    Ok(baseline)
}

/// Starts the server: how the wait for it ended, and the port on which it listens.
fn start_server(session: &mut Session) -> Result<(Waited, Option<u16>)> {
    session.start_server()?;
    let waited = session.wait_until_listening()?;
    if session.is_aimed() {
        return Ok((waited, Some(session.port())));
    }
    let listened = session.server().program.listened();
    let other = session.server().ports()?.first().copied().or(listened.first().map(SocketAddr::port));
    match other {
        Some(other) if session.aim_at(other)? => Ok((waited, Some(other))),
        _ => Ok((waited, None)),
    }
}

/// The server on another port than the one in its configuration: that port, and the one on which it listens.
fn on_another_port(setup: &Setup) -> Result<(u16, Option<u16>)> {
    let mut session = Session::open_on(setup, setup.other_port("another port")?)?;
    let given = session.port();
    let (_, listens) = start_server(&mut session)?;
    session.clear();
    Ok((given, listens))
}

/// The client with another port than the one that is fixed: that address, and whether it connected there.
fn client_on_another_port(setup: &Setup) -> Result<(SocketAddr, bool)> {
    let mut session = Session::open_on(setup, setup.other_port("another port")?)?;
    let given = session.proxy.address()?;
    session.start_client(Keyboard::Lines)?;
    let (connected, _) = session.connects()?;
    session.clear();
    Ok((given, connected))
}

/// The part of the first session for which a client is needed.
fn converse(session: &mut Session, baseline: &mut Baseline, single_words: bool) -> Result<()> {
    let submission = session.setup().submission();
    let mentions = |what| {
        submission.client.mentions(what)
            || submission.client_answers.iter().any(|answer| answer.mentions(what))
    };
    let takes = [mentions(Placeholder::Host), mentions(Placeholder::Port)];
    let setup = session.setup();
    let other = if setup.has_fixed_port() && takes[1] { Some(client_on_another_port(setup)?) } else { None };
    session.start_client(Keyboard::Lines)?;
    let (connected, waited) = session.connects()?;
    if connected {
        session.settle()?;
    } else {
        session.last_words()?;
    }
    baseline.connect = Some(Connect {
        given: session.proxy.address()?,
        takes,
        other,
        connected,
        unreachable: session.proxy.unreachable.as_ref().map(ToString::to_string),
        waited,
        source: session.proxy.source(),
        client: Seen::of(session.client()),
        greeting: session.client().statements(),
        from_server: session.proxy.to_client.tape.clone(),
    });
    if !connected {
        return Ok(());
    }
    for number in 0..MESSAGES {
        let typed = line("session", number, if single_words { 1 } else { number + 1 });
        let exchange = exchange(session, &typed, &mut baseline.flooded)?;
        baseline.exchanges.push(exchange);
        if baseline.flooded.is_some() || session.client().has_ended() {
            break;
        }
    }
    if baseline.sends() && baseline.flooded.is_none() {
        baseline.quit = Some(quit(session, &baseline.quit_word)?);
    }
    Ok(())
}

/// Types one message. The server gets it only when the client waits again, so that what the client prints
/// until then cannot come from the server.
fn exchange(session: &mut Session, typed: &str, flooded: &mut Option<Role>) -> Result<Exchange> {
    let marks = (session.client().shown(), session.server().shown());
    let wire = (session.proxy.to_server.tape.len(), session.proxy.to_client.tape.len());
    let elsewhere = session.sent_elsewhere();
    let before = session.effort(Role::Client);
    let mut waited = session.type_line(typed)?;
    if waited == Waited::Met {
        waited = session.settle()?;
    }
    let is_elsewhere = session.sent_elsewhere() > elsewhere;
    let sent = session.proxy.to_server.tape[wire.0..].to_vec();
    let own = session.client().since(marks.0);
    let of_client = session.effort(Role::Client).saturating_sub(before);
    let before = session.effort(Role::Server);
    session.proxy.to_server.mode = Mode::Open;
    let fact = Words::of(typed.as_bytes());
    let is_shown = |session: &Session| Words::of(&session.server().since(marks.1)).find(&fact, 0).is_some();
    if !matches!(waited, Waited::Flooded(_)) && !sent.is_empty() {
        waited = session.wait(|session| is_shown(session) || session.server().has_ended())?;
    }
    let took = of_client + session.effort(Role::Server).saturating_sub(before);
    let shown = is_shown(session);
    let server_screen = facts::tail(&session.server().screen(), super::evidence::EXCERPT);
    if !matches!(waited, Waited::Flooded(_)) {
        waited = session.settle()?;
    }
    if let Waited::Flooded(role) = waited {
        *flooded = Some(role);
    }
    Ok(Exchange {
        typed: typed.to_string(),
        wire: sent,
        is_elsewhere,
        own,
        reply: session.client().since(marks.0),
        from_server: session.proxy.to_client.tape[wire.1..].to_vec(),
        shown,
        server_screen,
        took,
    })
}

/// Types the quit. The log waits in the proxy until all of it is there: how it is read is R4's to judge.
fn quit(session: &mut Session, word: &str) -> Result<Quit> {
    let marks = (session.client().shown(), session.server().shown());
    let wire = (session.proxy.to_server.tape.len(), session.proxy.to_client.tape.len());
    session.proxy.to_client.mode = Mode::Held;
    session.say(word)?;
    session.wait(|session| session.server().has_ended() || session.client().has_ended())?;
    session.proxy.to_client.mode = Mode::Open;
    let waited = session.both_end()?;
    if let Waited::Flooded(role) = waited {
        session.ignore_flood_of(role);
        session.ends(if role == Role::Client { Role::Server } else { Role::Client })?;
    }
    let waits_for_keyboard =
        !session.client().has_ended() && session.settle()? == Waited::Met && !session.client().has_ended();
    Ok(Quit {
        wire: session.proxy.to_server.tape[wire.0..].to_vec(),
        log: session.proxy.to_client.tape[wire.1..].to_vec(),
        server: session.server().since(marks.1),
        client: session.client().since(marks.0),
        waits_for_keyboard,
        waited,
    })
}

/// Messages that look like a quit, for a program that compares carelessly.
fn look_alikes(setup: &Setup, known: &Baseline) -> Result<Option<LookAlikes>> {
    let quit = &known.quit_word;
    let other = |number| word(&format!("look-alike {number}"));
    let messages = [
        format!("{quit}{}", other(0)),
        format!("{quit} {}", other(1)),
        format!("{} {quit}", other(2)),
        other(3),
    ];
    let Some(mut session) = opened(setup, Keyboard::Lines)? else { return Ok(None) };
    let mut tried = Vec::new();
    for typed in messages {
        let mark = session.server().shown();
        let wire = session.proxy.to_server.tape.len();
        session.say(&typed)?;
        let fact = Words::of(typed.as_bytes());
        let is_shown = |session: &Session| Words::of(&session.server().since(mark)).find(&fact, 0).is_some();
        if known.prints_at_once() {
            session.wait(|session| is_shown(session) || session.server().has_ended())?;
        }
        session.settle()?;
        let closed = session.first_to_end();
        if closed.is_some() {
            session.both_end()?;
        }
        let look_alike = LookAlike {
            wire: session.proxy.to_server.tape[wire..].to_vec(),
            closed,
            shown: is_shown(&session),
            server: Seen::of(session.server()),
            client: Seen::of(session.client()),
            typed,
        };
        let as_typed = !known.is_readable() || contains(&look_alike.wire, look_alike.typed.as_bytes());
        let well = as_typed && look_alike.closed.is_none() && (look_alike.shown || !known.prints_at_once());
        tried.push(look_alike);
        if !well {
            break;
        }
    }
    session.clear();
    Ok(Some(LookAlikes { tried }))
}

/// A session whose log is kept from the client: it has nothing to show.
fn withheld(setup: &Setup, known: &Baseline) -> Result<Option<Vec<u8>>> {
    let messages = withheld_messages(known);
    let Some(mut session) = opened(setup, Keyboard::Lines)? else { return Ok(None) };
    send_all(&mut session, known, &messages)?;
    let mark = session.client().shown();
    let facts_sent = words_of(&messages);
    session.proxy.to_client.mode = Mode::Held;
    session.say(&known.quit_word)?;
    session.wait(|session| session.server().has_ended())?;
    session.proxy.cut_client(End::Fin);
    session.wait(|session| {
        Words::of(&session.client().since(mark)).find_all(&facts_sent).is_ok() || session.client().has_ended()
    })?;
    session.last_words()?;
    let screen = session.client().since(mark);
    session.clear();
    Ok(Some(screen))
}

/// A session in whose log the proxy changes a few letters: the client must show them.
fn altered(setup: &Setup, known: &Baseline) -> Result<Option<Altered>> {
    let messages: Vec<String> = (0..3).map(|number| known.message("altered log", number, 2)).collect();
    let Some(mut session) = opened(setup, Keyboard::Lines)? else { return Ok(None) };
    send_all(&mut session, known, &messages)?;
    let mark = session.client().shown();
    let wire = session.proxy.to_client.tape.len();
    session.proxy.to_client.mode = Mode::Held;
    session.say(&known.quit_word)?;
    // The end of the stream, too: what a server sends right before it ends may come here after that.
    session.wait(|session| session.server().has_ended() && session.proxy.to_client.end.is_some())?;
    let was = messages[1].split(' ').next().unwrap_or_default().to_string();
    let became: String = was.chars().rev().collect();
    let is_held = session.proxy.to_client.passed <= wire;
    let at = memchr::memmem::find(&session.proxy.to_client.tape[wire..], was.as_bytes()).filter(|_| is_held);
    if let Some(at) = at {
        let place = wire + at..wire + at + was.len();
        session.proxy.to_client.tape[place].copy_from_slice(became.as_bytes());
    }
    session.proxy.to_client.mode = Mode::Open;
    session.ends(Role::Client)?;
    let client = session.client().since(mark);
    session.clear();
    Ok(at.map(|_| Altered { was, became, client }))
}

/// A session with both programs, in which the client has connected and waits for its first message; `None`
/// when it does not come to that, as it did in the first session.
pub fn opened<'a>(setup: &'a Setup, keyboard: Keyboard) -> Result<Option<Session<'a>>> {
    connected(setup, keyboard, true)
}

/// The same with a server behind the proxy or without one: some die as soon as they listen, and the client is
/// judged all the same.
pub fn opened_or_alone<'a>(setup: &'a Setup) -> Result<Option<Session<'a>>> {
    connected(setup, Keyboard::Lines, false)
}

fn connected<'a>(setup: &'a Setup, keyboard: Keyboard, to_server: bool) -> Result<Option<Session<'a>>> {
    let mut session = Session::open(setup)?;
    session.start_server()?;
    session.wait_until_listening()?;
    if session.is_aimed() || !to_server {
        session.start_client(keyboard)?;
        if session.connects()?.0 && (session.proxy.unreachable.is_none() || !to_server) {
            session.settle()?;
            return Ok(Some(session));
        }
    }
    session.clear();
    Ok(None)
}

/// Types `messages` in lockstep, until the client waits for the next one and all that was printed until
/// then was read. Whether all were sent, and whether the server printed each at once.
pub fn send_all(session: &mut Session, known: &Baseline, messages: &[String]) -> Result<(bool, bool)> {
    let mut all_shown = true;
    for text in messages {
        let mark = session.server().shown();
        if !session.say(text)? {
            return Ok((false, all_shown));
        }
        if known.prints_at_once() {
            let is_shown = |session: &Session| {
                let screen = session.server().since(mark);
                screen.len() >= text.len() && shows_message(&screen, text)
            };
            session.wait(|session| is_shown(session) || session.server().has_ended())?;
            all_shown &= is_shown(session);
        } else {
            session.all_sent()?;
        }
        if session.server().has_ended() {
            return Ok((true, all_shown));
        }
    }
    session.settle()?;
    Ok((true, all_shown))
}
