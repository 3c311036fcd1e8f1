//! The baseline: the sessions in which all goes well, recorded as plain data.
//!
//! What always holds: nothing in here judges. S1 to C5 are functions over this record, and every other
//! requirement learns from it what the pair can do.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Result;

use super::evidence::{Seen, own_words};
use super::facts::Words;
use super::framing::Framing;
use super::id::{Id, Need};
use super::message::line;
use super::session::Waited;
use crate::results::{Event, Role};
use crate::run::outcome::Ending;

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
    /// Another address that it was given where the port is fixed, and whether it connected there: only this
    /// shows whether the client takes it.
    pub other: Option<(SocketAddr, bool)>,
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

    /// The exchanges of the first session in which the client sent what was typed.
    pub fn delivered(&self) -> Vec<&Exchange> {
        self.exchanges
            .iter()
            .filter(|exchange| !exchange.wire.is_empty() && !self.is_changed(exchange))
            .collect()
    }

    /// Whether the client sent something else for this line than what was typed.
    pub fn is_changed(&self, exchange: &Exchange) -> bool {
        self.is_readable() && !exchange.wire.is_empty() && !exchange.is_as_typed() && !exchange.is_split()
    }

    /// Whether the client sent every line as it was typed.
    pub fn sends_every_line(&self) -> bool {
        self.delivered().len() == self.exchanges.len()
    }

    /// The messages that were sent in the first session.
    pub fn sent(&self) -> Vec<String> {
        self.delivered().into_iter().map(|exchange| exchange.typed.clone()).collect()
    }

    /// Whether the server printed all messages that were sent, be it late.
    pub fn prints(&self) -> bool {
        self.flooded.is_none() && Words::of(&self.server.screen).find_all(&words_of(&self.sent())).is_ok()
    }

    /// Whether it printed each before the next one was typed.
    pub fn prints_at_once(&self) -> bool {
        self.delivered().into_iter().all(|exchange| exchange.shown)
    }

    /// Whether messages can be read on the wire: one that was sent as it was typed shows it, whatever the client
    /// makes of others.
    pub fn is_readable(&self) -> bool {
        let mut sent = self.exchanges.iter().filter(|exchange| !exchange.wire.is_empty()).peekable();
        sent.peek().is_none() || sent.any(|exchange| exchange.is_as_typed() || exchange.is_split())
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

    /// Those of them that it prints before the quit is typed.
    pub fn client_words_before_quit(&self) -> HashSet<String> {
        let Some(quit) = &self.quit else { return HashSet::new() };
        let before = self.client.screen.len().saturating_sub(quit.client.len());
        own_words(&self.client.screen[..before], &words_of(&self.sent()))
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
    /// Whether the line can be read in what the client sent for it.
    pub fn is_as_typed(&self) -> bool {
        contains(&self.wire, self.typed.as_bytes())
    }

    /// Whether the client sent the words of the line as messages of their own.
    pub fn is_split(&self) -> bool {
        let words: Vec<&str> = self.typed.split(' ').collect();
        if words.len() < 2 || self.is_as_typed() {
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

/// The messages of the session whose log is kept from the client.
pub fn withheld_messages(known: &Baseline) -> Vec<String> {
    (0..3).map(|number| known.message("withheld log", number, 2)).collect()
}
