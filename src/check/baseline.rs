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
    /// What the client printed before the server got the message, and so before the server could answer.
    pub own: Vec<u8>,
    /// All that the client printed until it waited again.
    pub reply: Vec<u8>,
    /// What the server sent meanwhile.
    pub from_server: Vec<u8>,
    /// Whether the server printed the message before the next one was typed.
    pub shown: bool,
    /// The end of the server's screen at that moment.
    pub server_screen: String,
    /// How long the client and then the server slept and computed until it was printed. The time that went by is no
    /// measure: on a busy machine any program takes long.
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
    /// Who ended the connection first, or itself, if anybody did.
    pub closed: Option<Role>,
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

    /// How long the pair sleeps and computes for a message: the median, since some compute for their first one.
    pub fn pace(&self) -> Duration {
        let mut times: Vec<Duration> = self.exchanges.iter().map(|exchange| exchange.took).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
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
        if self.is_as_typed() {
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

/// The record of a sound pair, for tests to change.
#[cfg(test)]
pub mod sample {
    use std::net::Ipv4Addr;

    use super::*;

    /// The port of the sound pair.
    pub const PORT: u16 = 12_345;
    /// Where its server is.
    pub const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 3);
    /// Where its client comes from.
    pub const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 4);

    fn seen(role: Role, screen: &str, ending: Option<Ending>) -> Seen {
        Seen { screen: screen.as_bytes().to_vec(), ending, ..Seen::nothing(role) }
    }

    /// A message that was sent and shown.
    pub fn exchange(typed: &str) -> Exchange {
        Exchange {
            typed: typed.to_string(),
            wire: format!("{typed}\n").into_bytes(),
            is_elsewhere: false,
            own: Vec::new(),
            reply: format!("sent {typed}\nmessage: ").into_bytes(),
            from_server: Vec::new(),
            shown: true,
            server_screen: String::new(),
            took: Duration::ZERO,
        }
    }

    /// The record of a sound pair.
    pub fn sound() -> Baseline {
        let banner = format!("address {SERVER}, port {PORT}\n");
        let server = format!("{banner}client from {CLIENT}\ngot one\ngot two three\nthe client quits\n");
        let greeting = "connected\nmessage: ";
        let done = Some(Ending::Exited(0));
        Baseline {
            alone: (seen(Role::Client, "cannot connect\n", Some(Ending::Exited(1))), Waited::Met),
            start: Start {
                given: PORT,
                takes_port: true,
                listens: Some(PORT),
                other: None,
                waited: Waited::Met,
                server: seen(Role::Server, &banner, None),
            },
            addresses: vec![SERVER.into()],
            connect: Some(Connect {
                given: (SERVER, PORT).into(),
                takes: [true, true],
                other: None,
                connected: true,
                unreachable: None,
                waited: Waited::Met,
                source: IpAddr::from(CLIENT),
                client: seen(Role::Client, greeting, None),
                greeting: greeting.into(),
                from_server: Vec::new(),
            }),
            split: None,
            exchanges: vec![exchange("one"), exchange("two three")],
            flooded: None,
            quit: Some(Quit {
                wire: b"quit\n".to_vec(),
                log: b"one\ntwo three\n".to_vec(),
                server: b"the client quits\n".to_vec(),
                client: b"log:\none\ntwo three\n".to_vec(),
                waits_for_keyboard: false,
                waited: Waited::Met,
            }),
            server: seen(Role::Server, &server, done.clone()),
            client: seen(Role::Client, "connected\nmessage: sent one\nlog:\none\ntwo three\n", done),
            look_alikes: None,
            withheld: None,
            altered: None,
            framing: Framing::Unknown,
            quit_word: "quit".to_string(),
            events: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sample::{exchange, sound};
    use super::*;

    /// What a sound pair says to `ask` after `change`.
    fn says<T>(change: impl FnOnce(&mut Baseline), ask: impl FnOnce(&Baseline) -> T) -> T {
        let mut baseline = sound();
        change(&mut baseline);
        ask(&baseline)
    }

    const ALL: [Need; 8] = [
        Need::Listens,
        Need::Connects,
        Need::Lives,
        Need::Serves,
        Need::Sends,
        Need::Prints,
        Need::Quits,
        Need::Log,
    ];

    /// The needs that the pair lacks after `change`, with the requirement that stands for each.
    fn lacks(change: impl FnOnce(&mut Baseline)) -> String {
        let lacking = says(change, |it| ALL.map(|need| it.lacks(&[need]).map(|id| format!("{need:?} {id}"))));
        lacking.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    #[apply(test)]
    fn what_the_pair_lacks_is_told_by_the_requirement_that_stands_for_it() {
        let quit = |it: &mut Baseline, change: fn(&mut Quit)| change(it.quit.as_mut().expect("a quit"));
        assert_eq!(lacks(|_| ()), "");
        assert_eq!(lacks(|it| it.start.listens = None), "Listens S1");
        assert_eq!(lacks(|it| it.connect = None), "Connects C1");
        assert_eq!(lacks(|it| it.connect.as_mut().expect("it").connected = false), "Connects C1");
        let ended = |it: &mut Baseline| it.start.server.ending = Some(Ending::Exited(1));
        assert_eq!(lacks(ended), "Lives S2, Serves S2");
        let unreachable = |it: &mut Baseline| {
            it.connect.as_mut().expect("it connected").unreachable = Some("reset".to_string());
        };
        assert_eq!(lacks(unreachable), "Lives S2, Serves S2");
        assert_eq!(lacks(|it| it.flooded = Some(Role::Server)), "Serves S4, Prints S4");
        assert_eq!(lacks(|it| it.flooded = Some(Role::Client)), "Sends C3, Prints S4");
        let lost = |it: &mut Baseline| it.server.screen = b"got one\n".to_vec();
        assert_eq!(lacks(lost), "Prints S4");
        assert_eq!(lacks(|it| quit(it, |quit| quit.wire.clear())), "Quits C4");
        assert_eq!(lacks(|it| quit(it, |quit| quit.client.clear())), "Log C5");
        let without_log = |quit: &mut Quit| {
            quit.client.clear();
            quit.log.clear();
        };
        assert_eq!(lacks(|it| quit(it, without_log)), "Log S5");
        let own_copy = |it: &mut Baseline| {
            it.withheld = Some(withheld_messages(it).join("\n").into_bytes());
        };
        assert_eq!(lacks(own_copy), "Log C5");
        assert_eq!(lacks(|it| it.withheld = Some(b"log:\n".to_vec())), "");
    }

    #[apply(test)]
    fn a_client_sends_what_was_typed_or_something_else_or_nothing() {
        let silent = |it: &mut Baseline| it.exchanges.iter_mut().for_each(|one| one.wire.clear());
        assert!(says(|_| (), Baseline::sends) && says(|_| (), Baseline::sends_every_line));
        assert!(!says(silent, Baseline::sends));
        assert!(says(silent, Baseline::is_readable), "nothing speaks against it");
        assert!(!says(|it| it.exchanges[0].wire.clear(), Baseline::sends_every_line));
        let changed = |it: &mut Baseline| it.exchanges[1].wire = b"TWO\n".to_vec();
        assert_eq!(says(changed, Baseline::sent), ["one"]);
        assert!(!says(changed, Baseline::sends_every_line));
        // Bytes that cannot be read do not show that something else was sent.
        let unreadable = |it: &mut Baseline| {
            it.exchanges.iter_mut().for_each(|one| one.wire = vec![0x93]);
        };
        assert!(!says(unreadable, Baseline::is_readable));
        assert_eq!(says(unreadable, Baseline::sent), ["one", "two three"]);
    }

    #[apply(test)]
    fn a_line_is_split_if_its_words_were_sent_apart_and_in_their_order() {
        let split = |wire: &str| Exchange { wire: wire.into(), ..exchange("two three") }.is_split();
        assert!(split("two\nthree\n"));
        assert!(!split("two three\n") && !split("three\ntwo\n") && !split("two\n"));
        assert_eq!(withheld_messages(&sound()).len(), 3);
    }

    #[apply(test)]
    fn a_quit_is_the_word_on_the_wire_or_what_the_server_makes_of_it() {
        let quits = |wire: &str, log: &str, ending| {
            says(
                |it| {
                    let quit = it.quit.as_mut().expect("a quit");
                    (quit.wire, quit.log) = (wire.into(), log.into());
                    it.server.ending = ending;
                },
                Baseline::quits,
            )
        };
        let ended = || Some(Ending::Exited(0));
        assert!(quits("QUIT", "", None));
        assert!(quits("bye", "one", None) && quits("bye", "", ended()));
        assert!(!quits("bye", "", None));
        assert!(!quits("", "one", ended()));
        assert!(!says(|it| it.quit = None, Baseline::quits));
    }

    #[apply(test)]
    fn a_server_ends_by_itself_speaks_between_messages_and_prints_each_at_once() {
        assert!(says(|_| (), Baseline::server_ends));
        assert!(!says(|it| it.server.ending = None, Baseline::server_ends));
        assert!(!says(|it| it.server.ending = Some(Ending::Flooded), Baseline::server_ends));
        assert!(says(|_| (), Baseline::speaks_between));
        assert!(!says(|it| it.server.screen = b"one\ntwo three\n".to_vec(), Baseline::speaks_between));
        assert!(says(|_| (), Baseline::prints_at_once));
        assert!(!says(|it| it.exchanges[1].shown = false, Baseline::prints_at_once));
        let slow = |it: &mut Baseline| it.exchanges[1].took = Duration::from_secs(3);
        assert_eq!(says(slow, Baseline::pace), Duration::from_secs(3));
    }

    #[apply(test)]
    fn what_is_wrong_with_a_log_is_told_by_what_the_server_sent() {
        let wrong = |log: &str| {
            says(
                |it| {
                    let quit = it.quit.as_mut().expect("a quit");
                    (quit.log, quit.client) = (log.into(), Vec::new());
                },
                |it| it.log().expect_err("nothing is shown"),
            )
        };
        let told = |log: &str, blame, words: &str| {
            let (whose, why) = wrong(log);
            assert!(whose == blame && why.contains(words), "{log}: {whose:?}, {why}");
        };
        told("", Blame::Server, "sent no log");
        told("onetwo three", Blame::Server, "nothing between its messages");
        let alone = |it: &mut Baseline| {
            it.exchanges.truncate(1);
            let quit = it.quit.as_mut().expect("a quit");
            (quit.log, quit.client) = (b"xonex".to_vec(), Vec::new());
        };
        let (_, why) = says(alone, |it| it.log().expect_err("nothing is shown"));
        assert!(why.contains("\"one\" is not in the log that the server sent"), "{why}");
        told("one\ntwo three\n", Blame::Client, "the server sent the whole log");
        told("two three\none\n", Blame::Server, "not in the order");
        told("one\n", Blame::Server, "\"two three\" is not in the log that the server sent");
    }

    #[apply(test)]
    fn the_words_of_a_good_session_are_those_of_the_programs_and_not_of_the_messages() {
        let words = |words: HashSet<String>| {
            let mut words: Vec<String> = words.into_iter().collect();
            words.sort();
            words.join(" ")
        };
        let screen = |it: &mut Baseline| {
            it.client.screen = b"connected\nsent one\nsent two three\nlog:\none\ntwo three\n".to_vec();
        };
        assert!(words(says(screen, Baseline::server_words)).contains("the"));
        assert!(!words(says(screen, Baseline::server_words)).contains("two"));
        assert_eq!(words(says(screen, Baseline::client_words)), "connected log sent");
        assert_eq!(words(says(screen, Baseline::client_words_before_quit)), "connected sent");
        for ask in [Baseline::server_words, Baseline::client_words, Baseline::client_words_before_quit] {
            assert!(says(|it| it.quit = None, ask).is_empty());
        }
    }

    #[apply(test)]
    fn a_client_that_splits_lines_gets_messages_without_blanks() {
        let split = |it: &mut Baseline| it.split = Some(exchange("two three"));
        assert_eq!(says(|_| (), |it| it.typable("a b")), "a b");
        assert_eq!(says(split, |it| it.typable("a b")), "ab");
        assert_eq!(says(|_| (), |it| it.message("name", 1, 3)).split(' ').count(), 3);
        assert_eq!(says(split, |it| it.message("name", 1, 3)).split(' ').count(), 1);
    }
}
