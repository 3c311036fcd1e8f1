//! The baseline: the sessions in which all goes well, recorded as plain data.
//!
//! What always holds: nothing in here judges. S1 to C5 are functions over this record, and every other
//! requirement learns from it what the pair can do.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use socket2::{Domain, Protocol, Socket, Type};

use super::evidence::{Seen, own_words};
use super::facts::{self, Words};
use super::framing::{self, Framing};
use super::message::{line, word};
use super::requirement::{Id, Need};
use super::session::{Keyboard, Session, Waited};
use super::setup::Setup;
use crate::proxy::{End, Mode};
use crate::results::{Event, Role};
use crate::run::command::{Placeholder, Template};
use crate::run::outcome::Ending;
use crate::run::port::Port;

/// How many messages the first session has. Message `n` has `n + 1` words.
const MESSAGES: usize = 4;

/// Everything that later rulings build on.
#[derive(Debug)]
pub struct Baseline {
    /// The client by itself, where nothing listens; and how the wait for its end ended.
    pub alone: (Seen, Waited),
    /// How the server started.
    pub start: Start,
    /// The addresses that the server may show as its own.
    pub addresses: Vec<IpAddr>,
    /// How the client connected, if the server listened.
    pub connect: Option<Connect>,
    /// The exchange in which the client turned one typed line into several messages. The messages of all
    /// other sessions are single words then.
    pub split: Option<Exchange>,
    /// One for each message that was typed.
    pub exchanges: Vec<Exchange>,
    /// The program that printed or sent without end when messages were exchanged.
    pub flooded: Option<Role>,
    /// The quit, if it came to that.
    pub quit: Option<Quit>,
    /// The server at the end of the first session.
    pub server: Seen,
    /// The client at the end of the first session.
    pub client: Seen,
    /// Messages that look like a quit, in a session of their own.
    pub look_alikes: Option<LookAlikes>,
    /// The client's screen after a quit when the connection ended without a log.
    pub withheld: Option<Vec<u8>>,
    /// The log as the proxy changed it.
    pub altered: Option<Altered>,
    /// How the client marks the end of a message.
    pub framing: Framing,
    /// The word that quits.
    pub quit_word: String,
    /// The first session, in time order.
    pub events: Vec<Event>,
}

/// How the server started.
#[derive(Debug)]
pub struct Start {
    /// The port that it was given.
    pub given: u16,
    /// Whether its command or its answers have a place for the port.
    pub takes_port: bool,
    /// The port on which it listens.
    pub listens: Option<u16>,
    /// Another port that it was given, and the one on which it listened then: where the configuration names a
    /// port, only this shows whether the server takes it.
    pub other: Option<(u16, Option<u16>)>,
    /// How the wait for that ended.
    pub waited: Waited,
    /// The server, before a client was started.
    pub server: Seen,
}

/// How the client connected.
#[derive(Debug)]
pub struct Connect {
    /// The address that it was given.
    pub given: SocketAddr,
    /// Whether its command or its answers have a place for the host, and for the port.
    pub takes: [bool; 2],
    /// Whether it connected.
    pub connected: bool,
    /// Why the proxy could not reach the server then, if so.
    pub unreachable: Option<String>,
    /// How the wait for it ended.
    pub waited: Waited,
    /// The address from which the server sees it come.
    pub source: IpAddr,
    /// The client, before a message was typed.
    pub client: Seen,
    /// The client's screen by then without the questions that were answered.
    pub greeting: Vec<u8>,
    /// What the server had sent by then.
    pub from_server: Vec<u8>,
}

/// One message, and what came of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What was typed.
    pub typed: String,
    /// What the client sent.
    pub wire: Vec<u8>,
    /// Whether the client sent it on another connection than its first.
    pub is_elsewhere: bool,
    /// All that the client printed until it waited again.
    pub reply: Vec<u8>,
    /// What the server sent meanwhile.
    pub from_server: Vec<u8>,
    /// Whether the server printed the message before the next one was typed.
    pub shown: bool,
    /// The end of the server's screen at that moment.
    pub server_screen: String,
    /// How long the server took to print it.
    pub took: Duration,
}

/// The end of the first session.
#[derive(Debug)]
pub struct Quit {
    /// What the client sent.
    pub wire: Vec<u8>,
    /// What the server sent: the log.
    pub log: Vec<u8>,
    /// What the server printed.
    pub server: Vec<u8>,
    /// What the client printed.
    pub client: Vec<u8>,
    /// Whether the client waits for its keyboard afterwards.
    pub waits_for_keyboard: bool,
    /// How the wait for both ends ended.
    pub waited: Waited,
}

/// Messages that look like a quit.
#[derive(Debug)]
pub struct LookAlikes {
    /// Each message, and what came of it; it ends with the first that went wrong.
    pub tried: Vec<LookAlike>,
}

/// One of them.
#[derive(Debug)]
pub struct LookAlike {
    /// What was typed.
    pub typed: String,
    /// What the client sent.
    pub wire: Vec<u8>,
    /// Whether the server closed the connection or ended.
    pub closed: bool,
    /// Whether the server printed the message.
    pub shown: bool,
    /// The server.
    pub server: Seen,
    /// The client.
    pub client: Seen,
}

/// A log that was changed on its way.
#[derive(Debug)]
pub struct Altered {
    /// A word of the log as the server sent it.
    pub was: String,
    /// The same word as it reached the client.
    pub became: String,
    /// What the client printed after the quit.
    pub client: Vec<u8>,
}

impl Baseline {
    /// Plays and records.
    pub fn record(setup: &Setup) -> Result<Baseline> {
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
        let log = known.log().is_ok();
        let (look_alikes, withheld, altered) = thread::scope(|scope| {
            let look_alikes = scope.spawn(|| look_alikes(setup, known));
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

    /// The requirement that stands for the first of `needs` that the pair does not have.
    pub fn lacks(&self, needs: &[Need]) -> Option<Id> {
        needs.iter().find_map(|need| match need {
            Need::Listens => self.start.listens.is_none().then_some(Id::S1),
            Need::Connects => (!self.connects()).then_some(Id::C1),
            Need::Serves if self.flooded == Some(Role::Server) => Some(Id::S4),
            Need::Lives | Need::Serves => self.died_early().then_some(Id::S2),
            Need::Sends => (!self.sends()).then_some(Id::C3),
            Need::Prints => (!self.prints()).then_some(Id::S4),
            Need::Quits => (!self.quits()).then_some(Id::C4),
            Need::Log => match (self.log(), self.shows_own_copy()) {
                (Ok(()), false) => None,
                (Err((Blame::Server | Blame::Unknown, _)), _) => Some(Id::S5),
                _ => Some(Id::C5),
            },
        })
    }

    /// Whether the client connects.
    pub fn connects(&self) -> bool {
        self.connect.as_ref().is_some_and(|connect| connect.connected)
    }

    /// Whether the server was gone before it could serve the client.
    pub fn died_early(&self) -> bool {
        let unreachable = self.connect.as_ref().is_some_and(|connect| connect.unreachable.is_some());
        self.start.server.ending.is_some() || unreachable
    }

    /// Whether the client sends messages.
    pub fn sends(&self) -> bool {
        self.flooded != Some(Role::Client) && self.exchanges.iter().any(|exchange| !exchange.wire.is_empty())
    }

    /// The messages that were sent in the first session.
    pub fn sent(&self) -> Vec<String> {
        let sent = self.exchanges.iter().filter(|exchange| !exchange.wire.is_empty());
        sent.map(|exchange| exchange.typed.clone()).collect()
    }

    /// Whether the server printed all messages that were sent, be it late.
    pub fn prints(&self) -> bool {
        self.flooded.is_none() && Words::of(&self.server.screen).find_all(&words_of(&self.sent())).is_ok()
    }

    /// Whether it printed each before the next one was typed.
    pub fn prints_at_once(&self) -> bool {
        self.exchanges.iter().all(|exchange| exchange.shown || exchange.wire.is_empty())
    }

    /// Whether messages can be read on the wire.
    pub fn is_readable(&self) -> bool {
        self.exchanges.iter().all(|exchange| {
            exchange.wire.is_empty()
                || contains(&exchange.wire, exchange.typed.as_bytes())
                || exchange.is_split()
        })
    }

    /// Whether the client said something to the server when the quit was typed, and not just another message.
    pub fn quits(&self) -> bool {
        self.quit.as_ref().is_some_and(|quit| {
            let says_quit =
                contains(&quit.wire.to_ascii_lowercase(), self.quit_word.to_lowercase().as_bytes());
            let acts = !quit.log.is_empty() || self.server.ending.is_some();
            !quit.wire.is_empty() && (says_quit || acts)
        })
    }

    /// Whether the server ends by itself after a quit.
    pub fn server_ends(&self) -> bool {
        matches!(self.server.ending, Some(Ending::Exited(_)))
    }

    /// Whether the server prints words of its own between any two messages.
    pub fn speaks_between(&self) -> bool {
        let words = Words::of(&self.server.screen);
        words.find_all(&words_of(&self.sent())).is_ok_and(|places| {
            places.windows(2).all(|pair| words.speaks_between(pair[0].end..pair[1].start))
        })
    }

    /// Whether the log is on the client's screen after the quit; else whose fault that is, and what happened.
    pub fn log(&self) -> Result<(), (Blame, String)> {
        let Some(quit) = &self.quit else { return Err((Blame::Client, String::new())) };
        let sent = self.sent();
        let shown = Words::of(&quit.client).find_all(&words_of(&sent));
        let Err(missing) = shown else { return Ok(()) };
        let after_quit = format!("after the quit {}", super::evidence::printed(&quit.client));
        if quit.log.is_empty() {
            return Err((Blame::Server, format!("the server sent no log; {after_quit}")));
        }
        if !self.is_readable() {
            let text = format!("\"{}\" is not in the log that the client shows; {after_quit}", sent[missing]);
            return Err((Blame::Unknown, text));
        }
        let bytes = super::evidence::quoted(&quit.log);
        if sent.len() > 1 && contains(&quit.log, sent.concat().as_bytes()) {
            return Err((
                Blame::Server,
                format!("the log was sent with nothing between its messages: {bytes}"),
            ));
        }
        let wire = Words::of(&quit.log);
        match wire.find_all(&words_of(&sent)) {
            Ok(_) => Err((Blame::Client, format!("the server sent the whole log; {after_quit}"))),
            Err(at) if wire.find(&Words::of(sent[at].as_bytes()), 0).is_some() => Err((
                Blame::Server,
                format!("the messages of the log are not in the order in which they were sent: {bytes}"),
            )),
            Err(at) => Err((
                Blame::Server,
                format!("\"{}\" is not in the log that the server sent: {bytes}", sent[at]),
            )),
        }
    }

    /// Whether the client shows messages that it has remembered, and not the log.
    pub fn shows_own_copy(&self) -> bool {
        let withheld = self
            .withheld
            .as_ref()
            .is_some_and(|screen| Words::of(screen).find_all(&words_of(&withheld_messages(self))).is_ok());
        let altered = self.altered.as_ref().is_some_and(|altered| {
            contains(&altered.client, altered.was.as_bytes())
                && !contains(&altered.client, altered.became.as_bytes())
        });
        withheld || altered
    }

    /// The words that the server prints in a session that goes well; none where it did not come to one.
    pub fn server_words(&self) -> HashSet<String> {
        if self.quit.is_none() {
            return HashSet::new();
        }
        own_words(&self.server.screen, &words_of(&self.sent()))
    }

    /// The words that the client prints in a session that goes well; none where it did not come to one.
    pub fn client_words(&self) -> HashSet<String> {
        if self.quit.is_none() {
            return HashSet::new();
        }
        own_words(&self.client.screen, &words_of(&self.sent()))
    }

    /// How long the server takes to print a message: the longest time seen.
    pub fn pace(&self) -> Duration {
        self.exchanges.iter().map(|exchange| exchange.took).max().unwrap_or_default()
    }

    /// Message `number` of the session `name`: so many made-up words, or one where the client splits lines
    /// at blanks.
    pub fn message(&self, name: &str, number: usize, words: usize) -> String {
        line(name, number, if self.split.is_some() { 1 } else { words })
    }

    /// `text`, without blanks where the client splits lines at them.
    pub fn typable(&self, text: &str) -> String {
        if self.split.is_some() { text.replace(' ', "") } else { text.to_string() }
    }
}

/// Whose fault something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The server's.
    Server,
    /// The client's.
    Client,
    /// It cannot be told, since the bytes between the two cannot be read.
    Unknown,
}

impl Exchange {
    /// Whether the client sent the words of the line as messages of their own.
    pub fn is_split(&self) -> bool {
        let words: Vec<&str> = self.typed.split(' ').collect();
        if words.len() < 2 || contains(&self.wire, self.typed.as_bytes()) {
            return false;
        }
        let places: Option<Vec<usize>> =
            words.iter().map(|word| memchr::memmem::find(&self.wire, word.as_bytes())).collect();
        places.is_some_and(|places| places.windows(2).all(|pair| pair[0] < pair[1]))
    }
}

/// Whether `text` stands in `bytes`.
pub fn contains(bytes: &[u8], text: &[u8]) -> bool {
    memchr::memmem::find(bytes, text).is_some()
}

/// The words of each of `messages`.
pub fn words_of(messages: &[String]) -> Vec<Words> {
    messages.iter().map(|message| Words::of(message.as_bytes())).collect()
}

/// The client where no server is.
fn alone(setup: &Setup) -> Result<(Seen, Waited)> {
    // Bound and not listening: nobody else can listen there, and whoever connects is refused.
    let closed = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    let mut session = Session::open(setup)?;
    let host = session.proxy.address()?.ip();
    closed.bind(&SocketAddr::new(host, 0).into())?;
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
        setup.found_port(given, port);
        // The banner may come after listen(2), and is complete when the server waits.
        let shown = session.wait(|session| {
            let screen = session.server().screen();
            session.server().has_ended()
                || (facts::numbers(&screen).contains(&u64::from(port))
                    && facts::addresses(&screen).iter().any(|address| !address.is_unspecified()))
        })?;
        if shown == Waited::Met && session.server().has_ended() {
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
        .exchanges
        .iter()
        .filter(|exchange| !exchange.wire.is_empty())
        .map(|exchange| (exchange.typed.clone().into_bytes(), exchange.wire.clone()))
        .collect();
    baseline.framing = framing::guess(&seen);
    baseline.events = session.events();
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
    match session.server().ports()?.first() {
        Some(&other) if session.aim_at(other)? => Ok((waited, Some(other))),
        _ => Ok((waited, None)),
    }
}

/// The server on another port than the one in its configuration: that port, and the one on which it listens.
fn on_another_port(setup: &Setup) -> Result<(u16, Option<u16>)> {
    let mut session = Session::open_on(setup, Port::free()?)?;
    let given = session.port();
    let (_, listens) = start_server(&mut session)?;
    session.clear();
    Ok((given, listens))
}

/// The part of the first session for which a client is needed.
fn converse(session: &mut Session, baseline: &mut Baseline, single_words: bool) -> Result<()> {
    let submission = session.setup().submission();
    let mentions = |what| {
        submission.client.mentions(what)
            || submission.client_answers.iter().any(|answer| answer.mentions(what))
    };
    let takes = [mentions(Placeholder::Host), mentions(Placeholder::Port)];
    session.start_client(Keyboard::Lines)?;
    let waited = session.wait(|session| session.proxy.connected || session.client().has_ended())?;
    let connected = session.proxy.connected;
    if connected {
        session.settle()?;
    } else {
        session.last_words()?;
    }
    baseline.connect = Some(Connect {
        given: session.proxy.address()?,
        takes,
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
    session.proxy.to_server.mode = Mode::Held;
    session.client().type_line(typed);
    let mut waited = session.wait(|session| {
        let flow = &session.proxy.to_server;
        flow.tape.len() > wire.0 || flow.end.is_some() || session.client().has_ended()
    })?;
    if waited == Waited::Met {
        waited = session.settle()?;
    }
    let is_elsewhere = session.sent_elsewhere() > elsewhere;
    let sent = session.proxy.to_server.tape[wire.0..].to_vec();
    let begun = session.now();
    session.proxy.to_server.mode = Mode::Open;
    let fact = Words::of(typed.as_bytes());
    let is_shown = |session: &Session| Words::of(&session.server().since(marks.1)).find(&fact, 0).is_some();
    if !matches!(waited, Waited::Flooded(_)) && !sent.is_empty() {
        waited = session.wait(|session| is_shown(session) || session.server().has_ended())?;
    }
    let took = session.now().saturating_sub(begun);
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
        let look_alike = LookAlike {
            wire: session.proxy.to_server.tape[wire..].to_vec(),
            closed: session.proxy.to_client.end.is_some() || session.server().has_ended(),
            shown: is_shown(&session),
            server: Seen::of(session.server()),
            client: Seen::of(session.client()),
            typed,
        };
        let as_typed = !known.is_readable() || contains(&look_alike.wire, look_alike.typed.as_bytes());
        let well = as_typed && !look_alike.closed && (look_alike.shown || !known.prints_at_once());
        tried.push(look_alike);
        if !well {
            break;
        }
    }
    session.clear();
    Ok(Some(LookAlikes { tried }))
}

fn withheld_messages(known: &Baseline) -> Vec<String> {
    (0..3).map(|number| known.message("withheld log", number, 2)).collect()
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
    session.wait(|session| session.server().has_ended())?;
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
    let mut session = Session::open(setup)?;
    session.start_server()?;
    let mut opened = session.wait_until_listening()? == Waited::Met && session.is_aimed();
    if opened {
        session.start_client(keyboard)?;
        session.wait(|session| session.proxy.connected || session.client().has_ended())?;
        opened = session.proxy.connected && session.proxy.unreachable.is_none();
    }
    if !opened {
        session.clear();
        return Ok(None);
    }
    session.settle()?;
    Ok(Some(session))
}

/// Types `messages` in lockstep, until the client waits for the next one and all that was printed until
/// then was read. Whether all were sent, and whether the server printed each at once.
pub fn send_all(session: &mut Session, known: &Baseline, messages: &[String]) -> Result<(bool, bool)> {
    let mut all_shown = true;
    for text in messages {
        let mark = session.server().shown();
        let fact = Words::of(text.as_bytes());
        if !session.say(text)? {
            return Ok((false, all_shown));
        }
        if known.prints_at_once() {
            let is_shown = |session: &Session| {
                let screen = session.server().since(mark);
                screen.len() >= text.len() && Words::of(&screen).find(&fact, 0).is_some()
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
