//! The judge of one submission: what is played for each requirement, and what is made of it.
//!
//! Every verdict comes from one run. A requirement that cannot be judged because another one failed is
//! not run, and says which. What is looked for are facts; how a program words them is its own affair.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use socket2::{Domain, Protocol, Socket, Type};

use super::Finding;
use super::facts::{self, Words};
use super::framing::{self, Framing};
use super::traces;
use crate::proxy::{End, Mode};
#[rustfmt::skip]
use super::requirement::Requirement::{
    self, C1, C2, C3, C4, C5, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, R11, R12, R13, S1, S2, S3, S4, S5,
};
use super::session::{Actor, Keyboard, Scene, Theatre, Waited};
use crate::results::Outcome;
use crate::run::command::{Placeholder, Template};
use crate::run::program::Ending;

/// How much of a screen an excerpt shows, in characters.
const EXCERPT: usize = 200;
/// How many messages, of how many words each, make the log of R4: over 100 KB, with no message too long
/// for a buffer of 1,024 bytes.
const BIG_LOG: (usize, usize) = (120, 128);
/// How many words without spaces make the message of R3: 5,000 bytes and a little more.
const LONG: usize = 834;
/// In what pieces a long log is delivered, each when the last one has been read.
const LOG_PIECE: usize = 16 << 10;
/// How many messages are tried on a client whose server is gone: the first may still go out.
const INTO_THE_VOID: usize = 3;
/// Letters of two, three and four bytes.
const LETTERS: [&str; 2] = ["grüße жизнь", "日本語 𠜎𠜱 čeština"];

/// A verdict and its evidence.
type Ruling = (Outcome, String);

fn pass(evidence: impl Into<String>) -> Ruling {
    (Outcome::Pass, evidence.into())
}

fn fail(evidence: impl Into<String>) -> Ruling {
    (Outcome::Fail, evidence.into())
}

/// Message `number` of the run `run`: so many made-up words that no banner has, the same every time.
fn message(run: &str, number: usize, words: usize) -> String {
    (0..words).map(|word| made_up(&format!("{run} {number} {word}"))).collect::<Vec<_>>().join(" ")
}

/// A word of six letters, made from the hash (FNV-1a) of `seed`.
fn made_up(seed: &str) -> String {
    let hash = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut hash = hash ^ (hash >> 29);
    let mut letter = |letters: &str| {
        let count = letters.len() as u64;
        let at = usize::try_from(hash % count).unwrap_or_default();
        hash /= count;
        letters[at..=at].to_string()
    };
    (0..3).map(|_| letter("bdfgklmnprstvz") + &letter("aeiou")).collect()
}

fn words_of(messages: &[String]) -> Vec<Words> {
    messages.iter().map(|message| Words::of(message.as_bytes())).collect()
}

/// What later runs may count on, because the first session has shown it.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Known {
    /// The server listens where it is told to.
    listens: bool,
    /// The client connects.
    connects: bool,
    /// The client sends messages.
    sends: bool,
    /// The server shows them, be it late.
    shows: bool,
    /// The client sends a quit.
    quits: bool,
    /// The log is on the client's screen after a quit.
    log: bool,
    /// The server ends after a quit.
    server_ends: bool,
    /// Whether the server says something of its own between any two messages.
    speaks_between: bool,
    /// Whether messages can be read on the wire.
    readable: bool,
    /// What the server says of its own in a session that goes well.
    server_words: HashSet<String>,
    /// What the client says of its own in a session that goes well.
    client_words: HashSet<String>,
}

/// What came of one submission.
#[derive(Debug)]
pub struct Judged {
    /// In the order of the requirements.
    pub findings: Vec<Finding>,
    /// What framing was seen.
    pub framing: Framing,
}

/// Judges what `theatre` plays, as far as it is `wanted`, and calls `filed` for each finding. The first
/// session is played in any case: the others need to know what it shows.
pub fn judge(theatre: &Theatre, wanted: &dyn Fn(Requirement) -> bool, filed: &dyn Fn()) -> Result<Judged> {
    let mut judge = Judge {
        theatre,
        wanted,
        filed,
        known: Known::default(),
        findings: BTreeMap::new(),
        framing: Framing::Unknown,
    };
    judge.run()?;
    let findings = judge.findings.into_values().filter(|finding| wanted(finding.requirement)).collect();
    Ok(Judged { findings, framing: judge.framing })
}

struct Judge<'a> {
    theatre: &'a Theatre<'a>,
    wanted: &'a dyn Fn(Requirement) -> bool,
    filed: &'a dyn Fn(),
    known: Known,
    findings: BTreeMap<Requirement, Finding>,
    framing: Framing,
}

/// How a program that had to end came out of it.
enum Ended {
    /// By itself, with this status.
    With(i32),
    /// In a way that decides by itself.
    Badly(Ruling),
}

impl Judge<'_> {
    fn run(&mut self) -> Result<()> {
        let begun = Instant::now();
        let alone = self.without_server()?;
        let took = begun.elapsed();
        self.session(&alone)?;
        let came_to = |judge: &Self, requirement, outcome| {
            judge.findings.get(&requirement).is_some_and(|finding| finding.outcome == outcome)
        };
        let passed = |judge: &Self, requirement| came_to(judge, requirement, Outcome::Pass);
        let ruling = self.no_server(&alone);
        // Of a client that does not come to connecting, words or an end tell nothing about that; where
        // there was no server for it to connect to, only one that has ended has told an error.
        let connects = passed(self, C1) || (came_to(self, C1, Outcome::NotRun) && alone.ending.is_some());
        let needs = (ruling.0 == Outcome::Pass && !connects).then_some(C1);
        self.file(R11, needs, ruling, took);

        if (passed(self, C4) || passed(self, S5)) && ((self.wanted)(C4) || (self.wanted)(S5)) {
            self.look_alikes()?;
        }
        if passed(self, C4) && (self.wanted)(C4) {
            self.end_of_input()?;
        }
        if self.known.log && ((self.wanted)(C5) || (self.wanted)(R4)) {
            self.own_copy()?;
        }
        let needs = |known: bool, requirement: Requirement| (!known).then_some(requirement);
        let shows = needs(self.known.shows, S4);
        self.row(R1, shows, Self::one_segment)?;
        self.row(R2, shows, Self::many_segments)?;
        // Without R4 it would be the length of the log, and without R2 the pieces, that go wrong.
        if (self.wanted)(R3) || (self.wanted)(R4) || (self.wanted)(R6) {
            self.silently(R4, needs(self.known.log, C5), Self::big_log)?;
        }
        if (self.wanted)(R6) {
            self.silently(R2, shows, Self::many_segments)?;
        }
        self.row(R3, shows, Self::long_message)?;
        self.row(R5, shows, Self::empty_message)?;
        let whole = shows.or(needs(passed(self, R2), R2));
        self.row(R6, whole, Self::split_characters)?;
        self.row(R7, shows, |judge| judge.client_gone(End::Fin))?;
        self.row(R8, shows, |judge| judge.client_gone(End::Rst))?;
        self.row(R9, needs(self.known.sends, C3), Self::server_gone)?;
        self.row(R10, needs(self.known.listens, S1), Self::port_in_use)?;
        let connects = needs(self.known.listens, S1).or(needs(self.known.connects, C1));
        self.row(R13, connects, Self::no_number)?;
        // Last: it leaves the port behind as a session leaves it.
        self.row(R12, needs(self.known.server_ends, S5), Self::again)
    }

    /// Judges `requirement`, if that is wanted, by `ruling`; or says what it would have needed.
    fn row(
        &mut self,
        requirement: Requirement,
        needs: Option<Requirement>,
        ruling: impl FnOnce(&Self) -> Result<Ruling>,
    ) -> Result<()> {
        if (self.wanted)(requirement) { self.silently(requirement, needs, ruling) } else { Ok(()) }
    }

    /// The same, whether it is wanted or only needed; once.
    fn silently(
        &mut self,
        requirement: Requirement,
        needs: Option<Requirement>,
        ruling: impl FnOnce(&Self) -> Result<Ruling>,
    ) -> Result<()> {
        if self.findings.contains_key(&requirement) {
            return Ok(());
        }
        let begun = Instant::now();
        let ruling = match needs {
            Some(_) => pass(""),
            None => ruling(self).with_context(|| requirement.to_string())?,
        };
        self.file(requirement, needs, ruling, begun.elapsed());
        Ok(())
    }

    fn file(
        &mut self,
        requirement: Requirement,
        mut needs: Option<Requirement>,
        ruling: Ruling,
        took: Duration,
    ) {
        // What is needed may itself not have been run: the first that failed is the one to name.
        while let Some(deeper) = needs.and_then(|needs| self.findings.get(&needs)?.needs) {
            needs = Some(deeper);
        }
        let (outcome, evidence) = match needs {
            Some(needs) => (Outcome::NotRun, format!("it needs {needs}: {}", needs.words())),
            None => ruling,
        };
        if (self.wanted)(requirement) {
            (self.filed)();
        }
        let differing = Vec::new();
        self.findings.insert(requirement, Finding { requirement, outcome, needs, evidence, took, differing });
    }

    /// Lets a later run speak against `requirement`, which has passed so far.
    fn against(&mut self, requirement: Requirement, ruling: Ruling, took: Duration) {
        if let Some(finding) = self.findings.get_mut(&requirement)
            && finding.outcome == Outcome::Pass
        {
            (finding.outcome, finding.evidence) = ruling;
            finding.took += took;
        }
    }

    // --- the first session ------------------------------------------------------------------------

    /// The client where no server is.
    fn without_server(&self) -> Result<Alone> {
        // Bound and not listening: nobody else can listen there, and whoever connects is refused.
        let closed = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        let mut scene = self.theatre.scene()?;
        let host = scene.line.address()?.ip();
        closed.bind(&SocketAddr::new(host, 0).into())?;
        let address = closed.local_addr()?.as_socket().context("a socket without an address")?;
        let submission = self.theatre.submission();
        scene.start_client_as(&submission.client, &submission.client_answers, address, Keyboard::Lines)?;
        let waited = scene.wait(|scene| scene.client().ending().is_some())?;
        let waited = if waited == Waited::Met { scene.last_words()? } else { waited };
        let alone = Alone { screen: scene.client().screen(), ending: scene.client().ending(), waited };
        scene.clear();
        Ok(alone)
    }

    fn no_server(&self, alone: &Alone) -> Ruling {
        error_told(
            "client",
            &alone.screen,
            alone.ending.as_ref(),
            alone.waited,
            &self.known.client_words,
            true,
        )
    }

    /// The session that goes well, in lockstep: S1 to S5 and C1 to C5.
    #[expect(clippy::too_many_lines, reason = "one session, told from its beginning to its end")]
    fn session(&mut self, alone: &Alone) -> Result<()> {
        let begun = Instant::now();
        let lap = |since: &mut Instant| std::mem::replace(since, Instant::now()).elapsed();
        let mut since = begun;
        let mut scene = self.theatre.scene()?;

        // S1. Servers that listen on a port of their own choice must not meet each other.
        let own_port = only_one()?;
        scene.start_server()?;
        let port = scene.port();
        let waited = scene.wait_until_listening()?;
        let listens = waited == Waited::Met;
        let ruling =
            if listens { pass(format!("it listens on {port}")) } else { not_listening(&scene, waited) };
        drop(own_port);
        self.known.listens = listens;
        self.file(S1, None, ruling, lap(&mut since));
        if !listens {
            for requirement in [S2, S3, S4, S5, C1, C2, C3, C4, C5] {
                self.file(requirement, Some(S1), pass(""), Duration::ZERO);
            }
            scene.clear();
            return Ok(());
        }

        // S2, before a client comes.
        let addresses = &self.theatre.addresses;
        scene.wait(|scene| {
            let screen = scene.server().screen();
            shows_address(&screen, addresses) && facts::numbers(&screen).contains(&u64::from(port))
        })?;
        let ruling = banner(&scene.server().screen(), addresses, port);
        let ruling = trouble(scene.server()).unwrap_or(ruling);
        self.file(S2, None, ruling, lap(&mut since));

        // C1 and C2.
        scene.start_client(Keyboard::Lines)?;
        let waited = scene.wait(|scene| scene.line.connected || scene.client().ending().is_some())?;
        self.known.connects = scene.line.connected && scene.line.unreachable.is_none();
        let ruling = if self.known.connects {
            pass(format!("it has connected to {}", scene.line.address()?))
        } else if let Some(error) = &scene.line.unreachable {
            fail(format!("the server could not be reached: {error}"))
        } else {
            never(scene.client(), waited, &format!("connects to {}", scene.line.address()?))
        };
        self.file(C1, None, ruling, lap(&mut since));
        if !self.known.connects {
            for requirement in [S3, S4, S5, C2, C3, C4, C5] {
                self.file(requirement, Some(C1), pass(""), Duration::ZERO);
            }
            scene.clear();
            return Ok(());
        }
        scene.settle()?;
        let greeting = scene.client().screen();

        // C3, S4: message by message.
        let messages: Vec<String> = (0..4).map(|number| message("session", number, number + 1)).collect();
        let mut seen: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut replies: Vec<Vec<u8>> = Vec::new();
        let mut late = None;
        let mut unsent = None;
        for text in &messages {
            let client_mark = scene.client().shown();
            let server_mark = scene.server().shown();
            let wire_mark = scene.line.to_server.tape.len();
            if !scene.say(text)? {
                unsent = Some(text);
                break;
            }
            if scene.flooded {
                break;
            }
            seen.push((text.clone().into_bytes(), scene.line.to_server.tape[wire_mark..].to_vec()));
            let fact = Words::of(text.as_bytes());
            let shown = scene.wait(|scene| {
                Words::of(&scene.server().since(server_mark)).find(&fact, 0).is_some()
                    || scene.server().ending().is_some()
            })?;
            let shown = shown == Waited::Met
                && Words::of(&scene.server().since(server_mark)).find(&fact, 0).is_some();
            if !shown && late.is_none() {
                late = Some((text, facts::tail(&scene.server().screen(), EXCERPT)));
            }
            scene.settle()?;
            replies.push(scene.client().since(client_mark));
        }
        self.known.sends = !seen.is_empty() && !scene.flooded;
        self.framing = framing::guess(&seen);
        let contains = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        self.known.readable = seen.iter().all(|(text, bytes)| contains(bytes, text));
        let asking_took = lap(&mut since);

        // C2 and C3, from what the client has shown of its own.
        let (c2, c3) = small_talk(&greeting, &alone.screen, &replies, &messages);
        let trouble_here = trouble(scene.client());
        self.file(C2, None, c2, Duration::ZERO);
        let ruling = match (unsent, trouble_here) {
            (_, Some(ruling)) => ruling,
            _ if scene.flooded => (
                Outcome::Flooded,
                format!("one message was typed, and it sends without end; {}", shows(scene.client())),
            ),
            (Some(text), None) => {
                fail(format!("\"{text}\" was typed and nothing was sent; {}", shows(scene.client())))
            }
            (None, None) => c3,
        };
        self.file(C3, None, ruling, asking_took);
        if !self.known.sends {
            let server_screen = scene.server().screen();
            self.file(S3, None, client_address(&server_screen, scene.line.source()), Duration::ZERO);
            for requirement in [S4, S5, C4, C5] {
                self.file(requirement, Some(C3), pass(""), Duration::ZERO);
            }
            scene.clear();
            return Ok(());
        }

        // C4, S5 and C5: quit.
        let sent: Vec<String> = messages[..seen.len()].to_vec();
        let facts_sent = words_of(&sent);
        let (quit_client, quit_server) = (scene.client().shown(), scene.server().shown());
        let quit_wire = scene.line.to_server.tape.len();
        // The log waits until all of it is there: this is about the log, and R4 about how it is read.
        scene.line.to_client.mode = Mode::Held;
        let quits = unsent.is_none() && scene.say("quit")? || scene.line.to_server.end.is_some();
        scene.wait(|scene| scene.server().ending().is_some() || scene.client().ending().is_some())?;
        scene.line.to_client.mode = Mode::Open;
        let waited =
            scene.wait(|scene| scene.server().ending().is_some() && scene.client().ending().is_some())?;
        let waited = if waited == Waited::Met { scene.last_words()? } else { waited };

        let after = &scene.line.to_server.tape[quit_wire..];
        let says_quit = contains(&after.to_ascii_lowercase(), b"quit");
        self.known.quits = quits && (says_quit || !self.known.readable) && unsent.is_none();
        let ruling = if self.known.quits {
            pass("it has sent quit")
        } else if let Some(ruling) = trouble(scene.client()) {
            ruling
        } else if let Some(text) = unsent {
            fail(format!("it has not sent \"{text}\"; {}", shows(scene.client())))
        } else if after.is_empty() {
            fail(format!("quit was typed and nothing was sent; {}", shows(scene.client())))
        } else {
            fail(format!("quit was typed, and this was sent: \"{}\"", facts::tail(after, EXCERPT)))
        };
        self.file(C4, None, ruling, lap(&mut since));

        // S3 and S4, from the whole screen.
        let screen = scene.server().screen();
        self.file(S3, None, client_address(&screen, scene.line.source()), Duration::ZERO);
        let places = Words::of(&screen).find_all(&facts_sent);
        self.known.shows = places.is_ok();
        if let Ok(places) = &places {
            let words = Words::of(&screen);
            self.known.speaks_between =
                places.windows(2).all(|pair| words.speaks_between(pair[0].end..pair[1].start));
        }
        let ruling = match (&places, &late) {
            (Ok(_), None) => pass(format!("shown: \"{}\"", sent.join("\", \""))),
            (Ok(_), Some((text, screen))) => fail(format!(
                "\"{text}\" was not shown before the next message was typed, only later; until then the screen \
                 ended: {screen}"
            )),
            (Err(missing), _) => {
                fail(format!("\"{}\" is not shown; {}", sent[*missing], shows(scene.server())))
            }
        };
        let ruling = if places.is_err() { trouble(scene.server()).unwrap_or(ruling) } else { ruling };
        self.file(S4, None, ruling, Duration::ZERO);
        self.known.server_words = own(&screen, &facts_sent);
        self.known.client_words = own(&scene.client().screen(), &facts_sent);

        if !self.known.quits {
            self.file(S5, Some(C4), pass(""), Duration::ZERO);
            self.file(C5, Some(C4), pass(""), Duration::ZERO);
            scene.clear();
            return Ok(());
        }
        self.known.server_ends = matches!(scene.server().ending(), Some(Ending::Exited(_)));
        let shown_log = scene.client().since(quit_client);
        self.known.log = Words::of(&shown_log).find_all(&facts_sent).is_ok();
        let log = if self.known.log {
            None
        } else {
            Some(self.whose_log(&scene.line.to_client.tape, &sent, &shown_log))
        };
        let said = !Words::of(&scene.server().since(quit_server)).is_empty();
        let server_log = match &log {
            Some((Who::Server | Who::Unknown, why)) => Some(fail(why.clone())),
            _ => None,
        };
        let s5 = match ended(scene.server(), waited) {
            Ended::Badly(ruling) => ruling,
            Ended::With(status) if status != 0 => {
                fail(format!("it has ended with status {status}; {}", shows(scene.server())))
            }
            Ended::With(_) if !said => {
                fail(format!("it says nothing when the client quits; {}", shows(scene.server())))
            }
            Ended::With(_) => server_log.unwrap_or_else(|| {
                pass(format!("{}; status 0", shows_bytes(&scene.server().since(quit_server))))
            }),
        };
        self.file(S5, None, s5, lap(&mut since));
        let c5_needs = matches!(log, Some((Who::Server, _))).then_some(S5);
        let c5 = match (ended(scene.client(), waited), log) {
            (Ended::Badly(ruling), _) => ruling,
            (Ended::With(_), Some((_, why))) => fail(why),
            (Ended::With(status), None) if status != 0 => {
                fail(format!("it has ended with status {status}; {}", shows(scene.client())))
            }
            (Ended::With(_), None) => pass(format!("all of the log is shown: {}", shows_bytes(&shown_log))),
        };
        self.file(C5, c5_needs, c5, Duration::ZERO);
        scene.clear();
        Ok(())
    }

    /// Who is to blame for a log that is not shown as it must be, and why.
    fn whose_log(&self, wire: &[u8], sent: &[String], shown: &[u8]) -> (Who, String) {
        let shown = shows_bytes(shown);
        if !self.known.readable {
            return (Who::Unknown, format!("the log is not shown whole; after quit {shown}"));
        }
        let on_wire = Words::of(wire);
        let missing = on_wire.find_all(&words_of(sent)).err();
        let joined: String = sent.concat();
        if wire.windows(joined.len()).any(|window| window == joined.as_bytes()) {
            return (
                Who::Server,
                format!("the log is sent with nothing between its messages: {}", shows_bytes(wire)),
            );
        }
        match missing {
            Some(missing) => (
                Who::Server,
                format!("\"{}\" is missing in the log that is sent: {}", sent[missing], shows_bytes(wire)),
            ),
            None => (Who::Client, format!("the whole log was sent to it; after quit {shown}")),
        }
    }

    // --- more runs for S5, C4 and C5 --------------------------------------------------------------

    /// Messages that look like a quit, for who matches it carelessly.
    fn look_alikes(&mut self) -> Result<()> {
        let begun = Instant::now();
        let messages = [
            format!("quit{}", message("look-alikes", 0, 2)),
            format!("quit {}", message("look-alikes", 1, 1)),
            format!("{} quit", message("look-alikes", 2, 1)),
            message("look-alikes", 3, 2),
        ];
        let Some(mut scene) = self.opened(Keyboard::Lines)? else { return Ok(()) };
        let mut ruling = None;
        for (number, text) in messages.iter().enumerate() {
            let mark = scene.server().shown();
            let wire_mark = scene.line.to_server.tape.len();
            let sent = scene.say(text)?;
            let bytes = &scene.line.to_server.tape[wire_mark..];
            let as_typed = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            let before = if number > 0 { messages[number - 1].as_str() } else { "" };
            if !sent {
                ruling = Some((C4, format!("after \"{before}\" it sends nothing more")));
                break;
            }
            if self.known.readable && !as_typed {
                ruling = Some((
                    C4,
                    format!("\"{text}\" was typed, and this was sent: \"{}\"", facts::tail(bytes, EXCERPT)),
                ));
                break;
            }
            let fact = Words::of(text.as_bytes());
            let shown = |scene: &Scene| Words::of(&scene.server().since(mark)).find(&fact, 0).is_some();
            scene.wait(|scene| shown(scene) || scene.server().ending().is_some())?;
            let closed = scene.line.to_client.end.is_some() || scene.server().ending().is_some();
            if closed || (!shown(&scene) && self.shows_at_once()) {
                ruling = Some((
                    S5,
                    format!("the message \"{text}\" is taken for a quit; {}", shows(scene.server())),
                ));
                break;
            }
        }
        scene.clear();
        if let Some((requirement, evidence)) = ruling {
            self.against(requirement, fail(evidence), begun.elapsed());
        }
        Ok(())
    }

    /// The keyboard comes to its end: the client must come to one as well.
    fn end_of_input(&mut self) -> Result<()> {
        let begun = Instant::now();
        let Some(mut scene) = self.opened(Keyboard::Pipe)? else { return Ok(()) };
        scene.say(&message("end of input", 0, 2))?;
        // What it sends without end must not reach the server, whose end would be the client's.
        scene.line.to_server.mode = Mode::Held;
        scene.client().end_input();
        let over = |scene: &Scene| scene.client().ending().is_some();
        let mut waited = scene.wait(over)?;
        if waited == Waited::Still {
            // It may have quit, and wait for the log.
            scene.line.to_server.mode = Mode::Open;
            waited = scene.wait(over)?;
        }
        if waited == Waited::Still {
            scene.line.cut_client(End::Fin);
            waited = scene.wait(over)?;
        }
        let ruling = match (waited, scene.client().ending()) {
            (Waited::Flooded, _) | (_, Some(Ending::Flooded)) => Some((
                Outcome::Flooded,
                format!(
                    "when the keyboard comes to its end it goes on without one; {}",
                    shows(scene.client())
                ),
            )),
            (_, Some(_)) => None,
            (_, None) => Some((
                Outcome::Hung,
                format!("when the keyboard comes to its end it does not; {}", shows(scene.client())),
            )),
        };
        scene.clear();
        if let Some(ruling) = ruling {
            self.against(C4, ruling, begun.elapsed());
        }
        Ok(())
    }

    /// A session whose log is kept from the client: it has nothing to show.
    fn own_copy(&mut self) -> Result<()> {
        let begun = Instant::now();
        let messages: Vec<String> = (0..3).map(|number| message("own copy", number, 2)).collect();
        let Some(mut scene) = self.opened(Keyboard::Lines)? else { return Ok(()) };
        self.exchange(&mut scene, &messages)?;
        let mark = scene.client().shown();
        let facts_sent = words_of(&messages);
        scene.line.to_client.mode = Mode::Held;
        scene.say("quit")?;
        scene.wait(|scene| scene.server().ending().is_some())?;
        let shown = |scene: &Scene| Words::of(&scene.client().since(mark)).find_all(&facts_sent).is_ok();
        scene.line.cut_client(End::Fin);
        scene.wait(|scene| shown(scene) || scene.client().ending().is_some())?;
        let copied = shown(&scene);
        let screen = shows_bytes(&scene.client().since(mark));
        scene.clear();
        if copied {
            self.known.log = false;
            self.against(
                C5,
                fail(format!("it shows a log though the connection has ended without one: {screen}")),
                begun.elapsed(),
            );
        }
        Ok(())
    }

    // --- R1 to R6: what the wire does -----------------------------------------------------------

    /// R1
    fn one_segment(&self) -> Result<Ruling> {
        let messages: Vec<String> = (0..4).map(|number| message("one segment", number, 2)).collect();
        let Some(mut scene) = self.opened(Keyboard::Lines)? else { return Ok(not_again()) };
        let mark = scene.client().shown();
        scene.line.to_server.mode = Mode::Held;
        for text in &messages {
            scene.client().type_line(text);
        }
        scene.client().type_line("quit");
        // Whoever waits for an answer to each message gets it: its messages never share a segment.
        for _ in 0..=2 * messages.len() {
            let waiting = scene.line.to_server.tape.len();
            let waited = scene.wait(|scene| {
                scene.line.to_server.tape.len() > waiting || scene.server().ending().is_some()
            })?;
            scene.all_sent()?;
            let flow = &scene.line.to_server;
            if flow.tape.len() > flow.passed {
                scene.line.to_server.mode = Mode::Open;
                scene.line.pump()?;
                scene.line.to_server.mode = Mode::Held;
            } else if waited != Waited::Met || scene.server().ending().is_some() {
                break;
            }
        }
        scene.line.to_server.mode = Mode::Open;
        scene.both_end()?;
        let ruling = self.as_in_lockstep(&scene, &messages, (mark, true), "messages that arrived together");
        scene.clear();
        Ok(ruling)
    }

    /// R2
    fn many_segments(&self) -> Result<Ruling> {
        let messages: Vec<String> = (0..2).map(|number| message("many segments", number, 3)).collect();
        self.piecemeal(&messages, false, "messages that arrived byte by byte")
    }

    /// R6
    fn split_characters(&self) -> Result<Ruling> {
        let messages: Vec<String> = LETTERS
            .iter()
            .enumerate()
            .map(|(at, letters)| format!("{letters} {}", message("split", at, 1)))
            .collect();
        self.piecemeal(&messages, self.reads_logs(), "messages whose characters arrived in pieces")
    }

    /// A session in which messages, and the log if `log_too`, go byte by byte.
    fn piecemeal(&self, messages: &[String], log_too: bool, what: &str) -> Result<Ruling> {
        let Some(mut scene) = self.opened(Keyboard::Lines)? else { return Ok(not_again()) };
        scene.line.to_server.mode = Mode::Pieces(1);
        let facts_sent = words_of(messages);
        for (text, fact) in messages.iter().zip(&facts_sent) {
            let mark = scene.server().shown();
            scene.client().type_line(text);
            scene.wait(|scene| {
                Words::of(&scene.server().since(mark)).find(fact, 0).is_some()
                    || scene.server().ending().is_some()
            })?;
        }
        scene.settle()?;
        let mark = scene.client().shown();
        scene.line.to_client.mode = if log_too { Mode::Pieces(1) } else { Mode::Held };
        scene.client().type_line("quit");
        scene.wait(|scene| scene.server().ending().is_some() || scene.client().ending().is_some())?;
        if !log_too {
            scene.line.to_client.mode = Mode::Open;
        }
        scene.both_end()?;
        let is_ascii = messages.iter().all(|text| text.is_ascii());
        let ruling = self.as_in_lockstep(&scene, messages, (mark, log_too || is_ascii), what);
        scene.clear();
        Ok(ruling)
    }

    /// R3
    fn long_message(&self) -> Result<Ruling> {
        let messages = [message("long", 0, LONG).replace(' ', ""), message("long", 1, 2)];
        let Some(mut scene) = self.opened(Keyboard::LongLines)? else { return Ok(not_again()) };
        let (sent, shown) = self.exchange(&mut scene, &messages)?;
        if !sent {
            let client = scene.client();
            let ruling =
                trouble(client).unwrap_or_else(|| fail(format!("it is not sent; {}", shows(client))));
            scene.clear();
            return Ok(ruling);
        }
        let mark = scene.client().shown();
        let ruling = if shown {
            scene.say("quit")?;
            scene.both_end()?;
            self.as_in_lockstep(
                &scene,
                &messages,
                (mark, self.reads_logs()),
                "a message of 5,004 bytes and another",
            )
        } else {
            self.on_server(&scene, &messages, "a message of 5,004 bytes and another")
        };
        scene.clear();
        Ok(ruling)
    }

    /// R4
    fn big_log(&self) -> Result<Ruling> {
        let (count, words) = BIG_LOG;
        let messages: Vec<String> = (0..count).map(|number| message("big log", number, words)).collect();
        let size: usize = messages.iter().map(|text| text.len() + 1).sum();
        let Some(mut scene) = self.opened(Keyboard::Lines)? else { return Ok(not_again()) };
        scene.flood = usize::MAX;
        let (sent, shown) = self.exchange(&mut scene, &messages)?;
        if !sent || !shown {
            let what = if sent { scene.server() } else { scene.client() };
            let ruling = trouble(what).unwrap_or_else(|| {
                fail(format!("{count} messages of 900 bytes do not all arrive; {}", shows(what)))
            });
            scene.clear();
            return Ok(ruling);
        }
        let mark = scene.client().shown();
        scene.line.to_client.mode = Mode::Pieces(LOG_PIECE);
        scene.say("quit")?;
        let facts_sent = words_of(&messages);
        // Looking through all of it each time would take longer than the log itself.
        let last = &messages[count - 1];
        let is_whole = |scene: &Scene| {
            let screen = scene.client().since(mark);
            screen.len() >= size
                && String::from_utf8_lossy(&screen[screen.len().saturating_sub(4096)..])
                    .contains(last.as_str())
        };
        let waited = scene.wait(|scene| scene.client().ending().is_some() || is_whole(scene))?;
        if waited == Waited::Met && scene.client().ending().is_some() {
            scene.last_words()?;
        }
        let screen = scene.client().since(mark);
        let ruling = match Words::of(&screen).find_all(&facts_sent) {
            Ok(_) => pass(format!("a log of {size} bytes is shown whole")),
            Err(missing) => trouble(scene.client()).unwrap_or_else(|| {
                fail(format!(
                    "of a log of {size} bytes the client shows the first {missing} of {count} messages; {}",
                    shows_bytes(&screen)
                ))
            }),
        };
        scene.clear();
        Ok(ruling)
    }

    /// R5
    fn empty_message(&self) -> Result<Ruling> {
        let messages: Vec<String> = (0..2).map(|number| message("empty", number, 2)).collect();
        let Some(mut scene) = self.opened(Keyboard::Lines)? else { return Ok(not_again()) };
        self.exchange(&mut scene, &messages[..1])?;
        let harm = |scene: &Scene| -> Option<Ruling> {
            trouble(scene.server()).or_else(|| trouble(scene.client())).or_else(|| {
                let gone =
                    [scene.server(), scene.client()].into_iter().find(|actor| actor.ending().is_some())?;
                Some(fail(format!("the {} ends; {}", gone.role, shows(gone))))
            })
        };
        // A client may well send nothing for it.
        scene.say("")?;
        scene.settle()?;
        if let Some(ruling) = harm(&scene) {
            scene.clear();
            return Ok(ruling);
        }
        let (sent, shown) = self.exchange(&mut scene, &messages[1..])?;
        if !sent || !shown {
            let whose = if sent { scene.server() } else { scene.client() };
            let ruling = harm(&scene).unwrap_or_else(|| {
                fail(format!("the next message, \"{}\", does not arrive; {}", messages[1], shows(whose)))
            });
            scene.clear();
            return Ok(ruling);
        }
        let mark = scene.client().shown();
        scene.say("quit")?;
        scene.both_end()?;
        let ruling = self.as_in_lockstep(&scene, &messages, (mark, true), "the messages around an empty one");
        scene.clear();
        Ok(ruling)
    }

    // --- R7 to R13: what goes wrong ---------------------------------------------------------------

    /// R7 and R8
    fn client_gone(&self, by: End) -> Result<Ruling> {
        let messages: Vec<String> = (0..2).map(|number| message("client gone", number, 2)).collect();
        let Some(mut scene) = self.opened(Keyboard::Lines)? else { return Ok(not_again()) };
        self.exchange(&mut scene, &messages)?;
        let mark = scene.server().shown();
        scene.line.cut_server(by);
        let waited = scene.wait(|scene| scene.server().ending().is_some())?;
        let waited = if waited == Waited::Met { scene.last_words()? } else { waited };
        let said = scene.server().since(mark);
        let server = scene.server();
        let ruling = match (trouble(server), server.ending(), waited) {
            (Some(ruling), ..) => ruling,
            (None, Some(Ending::Exited(status)), _) => {
                pass(format!("it ends with status {status}; {}", shows_bytes(&said)))
            }
            (None, _, Waited::Flooded) => (Outcome::Flooded, shows_bytes(&said)),
            (None, _, Waited::Still | Waited::Late) if !Words::of(&said).is_empty() => {
                pass(format!("it says so: {}", shows_bytes(&said)))
            }
            (None, _, Waited::Busy) => (Outcome::Hung, format!("it goes round and round; {}", shows(server))),
            (None, ..) => (Outcome::Hung, format!("it neither ends nor says anything; {}", shows(server))),
        };
        scene.clear();
        Ok(ruling)
    }

    /// R9
    fn server_gone(&self) -> Result<Ruling> {
        let messages: Vec<String> =
            (0..=INTO_THE_VOID).map(|number| message("server gone", number, 2)).collect();
        let Some(mut scene) = self.opened(Keyboard::Lines)? else { return Ok(not_again()) };
        self.exchange(&mut scene, &messages[..1])?;
        let mark = scene.client().shown();
        scene.line.cut_client(End::Fin);
        scene.settle()?;
        let typed = messages[1..].iter().map(String::as_str).chain(["quit"]);
        for text in typed {
            if scene.client().ending().is_some() {
                break;
            }
            scene.client().type_line(text);
            if !scene.settle()? {
                break;
            }
        }
        let waited = scene.wait(|scene| scene.client().ending().is_some())?;
        let waited = if waited == Waited::Met { scene.last_words()? } else { waited };
        let said = scene.client().since(mark);
        let ruling = match ended(scene.client(), waited) {
            Ended::Badly(ruling) => ruling,
            Ended::With(status) => {
                let facts_typed = words_of(&messages);
                let new = Words::of(&said)
                    .own_words(&facts_typed)
                    .into_iter()
                    .any(|word| !self.known.client_words.contains(word));
                if new {
                    pass(format!("it ends with status {status}; {}", shows_bytes(&said)))
                } else {
                    fail(format!(
                        "it ends with status {status} and does not say that the server is gone; {}",
                        shows_bytes(&said)
                    ))
                }
            }
        };
        scene.clear();
        Ok(ruling)
    }

    /// R10
    fn port_in_use(&self) -> Result<Ruling> {
        let mut scene = self.theatre.scene()?;
        let port = scene.port();
        // A machine without IPv6 has no server on it either.
        let _taken = (
            listen((Ipv4Addr::UNSPECIFIED, port).into()).context("cannot take the port")?,
            listen((Ipv6Addr::UNSPECIFIED, port).into()).ok(),
        );
        scene.start_server()?;
        let waited = scene.wait(|scene| scene.server().ending().is_some())?;
        let mut waited = if waited == Waited::Met { scene.last_words()? } else { waited };
        let mut others = scene.server().ports();
        others.retain(|other| *other != port);
        if scene.server().ending().is_none() && others.is_empty() && waited == Waited::Still {
            // It may ask for another port; there is none.
            scene.server().end_input();
            waited = scene.wait(|scene| scene.server().ending().is_some())?;
        }
        let server = scene.server();
        let ruling = match (server.ending(), others.first()) {
            (None, Some(other)) => fail(format!("it listens on {other} instead; {}", shows(server))),
            (ending, _) => error_told(
                "server",
                &server.screen(),
                ending.as_ref(),
                waited,
                &self.known.server_words,
                true,
            ),
        };
        scene.clear();
        Ok(ruling)
    }

    /// R12
    fn again(&self) -> Result<Ruling> {
        let messages = [message("again", 0, 2)];
        let Some(mut scene) = self.opened(Keyboard::Lines)? else { return Ok(not_again()) };
        self.exchange(&mut scene, &messages)?;
        // The client's end waits, so that the server is the one that closes first wherever it may.
        scene.say("quit")?;
        scene.line.to_server.mode = Mode::Held;
        scene.wait(|scene| scene.server().ending().is_some())?;
        scene.line.to_server.mode = Mode::Open;
        scene.wait(|scene| scene.server().ending().is_some() && scene.client().ending().is_some())?;
        scene.interval();
        let lingers = scene.port_lingers()?;
        scene.start_server()?;
        let waited = scene.wait_until_listening()?;
        let port = scene.port();
        let ruling = if waited == Waited::Met {
            let remains = if lingers { "with" } else { "without" };
            pass(format!("it listens on {port} again, {remains} remains of the last session in the kernel"))
        } else {
            not_listening(&scene, waited)
        };
        scene.clear();
        Ok(ruling)
    }

    /// R13
    fn no_number(&self) -> Result<Ruling> {
        let submission = self.theatre.submission();
        let with_abc = |command: &Template, answers: &[Template]| {
            let asks = |template: &Template| template.mentions(Placeholder::Port);
            let put = |template: &Template| template.with_port_text("abc");
            (asks(command) || answers.iter().any(asks))
                .then(|| (put(command), answers.iter().map(put).collect::<Vec<_>>()))
        };
        let mut evidence = Vec::new();
        if let Some((command, answers)) = with_abc(&submission.server, &submission.server_answers) {
            let mut scene = self.theatre.scene()?;
            scene.start_server_as(&command, &answers)?;
            let (outcome, why) = self.wrong_port(&mut scene, "server")?;
            scene.clear();
            if outcome != Outcome::Pass {
                return Ok((outcome, why));
            }
            evidence.push(why);
        }
        if let Some((command, answers)) = with_abc(&submission.client, &submission.client_answers) {
            let mut scene = self.theatre.scene()?;
            let address = scene.line.address()?;
            scene.start_client_as(&command, &answers, address, Keyboard::Lines)?;
            let (outcome, why) = self.wrong_port(&mut scene, "client")?;
            scene.clear();
            if outcome != Outcome::Pass {
                return Ok((outcome, why));
            }
            evidence.push(why);
        }
        if evidence.is_empty() {
            evidence.push("neither program takes a port".to_string());
        }
        Ok(pass(evidence.join("; ")))
    }

    fn wrong_port(&self, scene: &mut Scene, role: &'static str) -> Result<Ruling> {
        let over =
            |scene: &Scene| scene.server.iter().chain(&scene.client).all(|actor| actor.ending().is_some());
        let waited = scene.wait(over)?;
        let waited = if waited == Waited::Met { scene.last_words()? } else { waited };
        let (actor, usual) = match &scene.server {
            Some(server) => (server, &self.known.server_words),
            None => (scene.client(), &self.known.client_words),
        };
        let (outcome, why) = match (actor.ending(), actor.ports().first()) {
            (None, Some(port)) => {
                fail(format!("it is told port abc and listens on {port}; {}", shows(actor)))
            }
            (ending, _) => error_told(role, &actor.screen(), ending.as_ref(), waited, usual, false),
        };
        Ok((outcome, format!("{role}: {why}")))
    }

    // --- what several of them do ------------------------------------------------------------------

    /// A server, a line and a client that has connected and waits for its first message; `None` when it
    /// does not come to that, as it did in the first session.
    fn opened(&self, keyboard: Keyboard) -> Result<Option<Scene<'_>>> {
        let mut scene = self.theatre.scene()?;
        scene.start_server()?;
        if scene.wait_until_listening()? != Waited::Met {
            scene.clear();
            return Ok(None);
        }
        scene.start_client(keyboard)?;
        let waited = scene.wait(|scene| scene.line.connected || scene.client().ending().is_some())?;
        if waited != Waited::Met || scene.line.unreachable.is_some() {
            scene.clear();
            return Ok(None);
        }
        scene.settle()?;
        Ok(Some(scene))
    }

    /// Sends `messages` in lockstep, until the client asks for the next and all that was shown until then
    /// was seen: what is seen later is about what comes later. Whether all were sent, and whether all were
    /// shown at once.
    fn exchange(&self, scene: &mut Scene, messages: &[String]) -> Result<(bool, bool)> {
        let mut all_shown = true;
        for text in messages {
            let mark = scene.server().shown();
            let fact = Words::of(text.as_bytes());
            if !scene.say(text)? {
                return Ok((false, all_shown));
            }
            let shown = |scene: &Scene| {
                let screen = scene.server().since(mark);
                screen.len() >= text.len() && Words::of(&screen).find(&fact, 0).is_some()
            };
            if self.shows_at_once() {
                scene.wait(|scene| shown(scene) || scene.server().ending().is_some())?;
                all_shown &= shown(scene);
            } else {
                scene.all_sent()?;
            }
            if scene.server().ending().is_some() {
                return Ok((true, all_shown));
            }
        }
        scene.settle()?;
        Ok((true, all_shown))
    }

    /// Whether the server shows messages as they arrive.
    fn shows_at_once(&self) -> bool {
        self.findings.get(&S4).is_none_or(|finding| finding.outcome == Outcome::Pass)
    }

    /// Whether the client reads a log that comes in pieces. Where it does not, that is R4's to say.
    fn reads_logs(&self) -> bool {
        self.findings.get(&R4).is_some_and(|finding| finding.outcome == Outcome::Pass)
    }

    /// Whether the server shows `messages`, each by itself.
    fn on_server(&self, scene: &Scene, messages: &[String], what: &str) -> Ruling {
        let words = Words::of(&scene.server().screen());
        let server = scene.server();
        match words.find_all(&words_of(messages)) {
            Err(missing) => trouble(server).unwrap_or_else(|| {
                let text = &messages[missing];
                if text.len() <= 99 {
                    return fail(format!(
                        "\"{text}\" is not shown by the server as it was sent; {}",
                        shows(server)
                    ));
                }
                let (length, shown) = (text.len(), longest_beginning(&server.screen(), text.as_bytes()));
                fail(format!(
                    "of a message of {length} bytes the server shows the first {shown} in one piece; its screen \
                     ends: {}",
                    facts::tail(&server.screen(), EXCERPT / 4)
                ))
            }),
            Ok(places) => {
                let glued =
                    places.windows(2).position(|pair| !words.speaks_between(pair[0].end..pair[1].start));
                match glued.filter(|_| self.known.speaks_between) {
                    Some(at) => fail(format!(
                        "\"{}\" and \"{}\" are shown as one; {}",
                        messages[at],
                        messages[at + 1],
                        shows(server)
                    )),
                    None => pass(format!("the server shows {what} as they were sent")),
                }
            }
        }
    }

    /// Whether a session that has ended went as the first one did: on the server's screen, and, where the
    /// first one had a log to show and it is to be looked at, in the log on the client's after `mark`.
    fn as_in_lockstep(
        &self,
        scene: &Scene,
        messages: &[String],
        (mark, log_too): (usize, bool),
        what: &str,
    ) -> Ruling {
        let (outcome, why) = self.on_server(scene, messages, what);
        if outcome != Outcome::Pass {
            return (outcome, why);
        }
        if let Some(ruling) = trouble(scene.server()).or_else(|| trouble(scene.client())) {
            return ruling;
        }
        if !(self.known.log && log_too) {
            return (outcome, why);
        }
        let screen = scene.client().since(mark);
        if let Err(missing) = Words::of(&screen).find_all(&words_of(messages)) {
            let text = &messages[missing];
            let name = if text.len() > 99 { "the long message".to_string() } else { format!("\"{text}\"") };
            return fail(format!(
                "{name} is not in the log as the client shows it; {}",
                shows_bytes(&screen)
            ));
        }
        if self.known.server_ends && scene.server().ending().is_none() {
            return (Outcome::Hung, format!("the server does not end this time; {}", shows(scene.server())));
        }
        (outcome, format!("{why}, and so does the log"))
    }
}

/// How much of the beginning of `text` stands somewhere on `screen`.
fn longest_beginning(screen: &[u8], text: &[u8]) -> usize {
    let stands = |length: usize| memchr::memmem::find(screen, &text[..length]).is_some();
    (1..=text.len()).collect::<Vec<_>>().partition_point(|&length| stands(length))
}

/// The client by itself, with nobody to connect to.
struct Alone {
    screen: Vec<u8>,
    ending: Option<Ending>,
    waited: Waited,
}

/// Whose log it is that went wrong.
enum Who {
    Server,
    Client,
    Unknown,
}

fn not_again() -> Ruling {
    fail("this time the two did not connect, as they had before")
}

/// What `actor` shows, for evidence.
fn shows(actor: &Actor) -> String {
    let screen = actor.screen();
    let ended = match actor.ending() {
        Some(Ending::Exited(status)) => format!(" (ended with status {status})"),
        Some(Ending::Signalled(signal)) => format!(" (ended by {signal})"),
        _ => String::new(),
    };
    let tail = facts::tail(&screen, EXCERPT);
    if tail.is_empty() {
        format!("the {} shows nothing{ended}", actor.role)
    } else {
        format!("the {}'s screen ends: {tail}{ended}", actor.role)
    }
}

fn shows_bytes(screen: &[u8]) -> String {
    let tail = facts::tail(screen, EXCERPT);
    if tail.is_empty() { "nothing is shown".to_string() } else { format!("shown: {tail}") }
}

/// What decides by itself, whatever was being looked for: a crash, or a flood.
fn trouble(actor: &Actor) -> Option<Ruling> {
    let crashed = |why: String| Some((Outcome::Crashed, format!("the {} {why}", actor.role)));
    match actor.ending() {
        Some(Ending::Flooded) => Some((Outcome::Flooded, shows(actor))),
        Some(Ending::Signalled(signal)) => {
            crashed(format!("was ended by {signal}; {}", shows_bytes(&actor.screen())))
        }
        // What a shell makes of a child that was ended by SIGILL, SIGABRT, SIGBUS, SIGFPE or SIGSEGV.
        Some(Ending::Exited(status @ (132 | 134..=136 | 139))) => {
            crashed(format!("ended with status {status}, as of signal {}", status - 128))
        }
        Some(Ending::Exited(_)) => traces::stack_trace(&actor.screen())
            .and_then(|line| crashed(format!("did not catch its error: {line}"))),
        _ => None,
    }
}

/// How a program that had to end came out of it, when the wait for it ended as `waited`.
fn ended(actor: &Actor, waited: Waited) -> Ended {
    if let Some(ruling) = trouble(actor) {
        return Ended::Badly(ruling);
    }
    match actor.ending() {
        Some(Ending::Exited(status)) => Ended::With(status),
        _ if waited == Waited::Flooded => Ended::Badly((Outcome::Flooded, shows(actor))),
        _ => Ended::Badly((Outcome::Hung, format!("it does not end; {}", shows(actor)))),
    }
}

/// What is made of a program that did not do what it had to before anything else.
fn never(actor: &Actor, waited: Waited, what: &str) -> Ruling {
    if let Some(ruling) = trouble(actor) {
        return ruling;
    }
    match actor.ending() {
        Some(Ending::Exited(_)) => fail(format!("it never {what}; {}", shows(actor))),
        _ if waited == Waited::Flooded => (Outcome::Flooded, shows(actor)),
        _ if actor.was_answered => (Outcome::Hung, format!("it never {what}; {}", shows(actor))),
        _ => (
            Outcome::Hung,
            format!(
                "it never {what} (if it asks for something first, give it {}-answers); {}",
                actor.role,
                shows(actor)
            ),
        ),
    }
}

fn not_listening(scene: &Scene, waited: Waited) -> Ruling {
    let (server, port) = (scene.server(), scene.port());
    match server.ports().first() {
        Some(other) => fail(format!("it is told port {port} and listens on {other}; {}", shows(server))),
        None => never(server, waited, &format!("listens on {port}")),
    }
}

/// What is made of a program that has to tell an error: in words of its own that it does not use when
/// all goes well, and, if `with_status`, with a status that is not 0.
fn error_told(
    role: &'static str,
    screen: &[u8],
    ending: Option<&Ending>,
    waited: Waited,
    usual: &HashSet<String>,
    with_status: bool,
) -> Ruling {
    let shown = shows_bytes(screen);
    if let Some(line) = traces::stack_trace(screen) {
        return (Outcome::Crashed, format!("the {role} did not catch its error: {line}"));
    }
    let in_words = Words::of(screen).own_words(&[]).into_iter().any(|word| !usual.contains(word));
    match ending {
        Some(Ending::Signalled(signal)) => {
            (Outcome::Crashed, format!("the {role} was ended by {signal}; {shown}"))
        }
        Some(Ending::Exited(status @ (132 | 134..=136 | 139))) => (
            Outcome::Crashed,
            format!("the {role} ended with status {status}, as of signal {}", status - 128),
        ),
        Some(Ending::Flooded) => (Outcome::Flooded, shown),
        Some(Ending::Exited(0)) if with_status => fail(format!("it ends with status 0; {shown}")),
        Some(Ending::Exited(status)) if in_words && traces::is_traced(screen) => {
            fail(format!("a stack trace is no error in words (status {status}); {shown}"))
        }
        Some(Ending::Exited(status)) if in_words => pass(format!("status {status}; {shown}")),
        Some(Ending::Exited(status)) => {
            fail(format!("it ends with status {status} and says nothing of why; {shown}"))
        }
        // It asks again.
        _ if in_words && waited == Waited::Still => pass(shown),
        _ if waited == Waited::Flooded => (Outcome::Flooded, shown),
        _ if waited == Waited::Still && !with_status => {
            fail(format!("it goes on as if all were well; {shown}"))
        }
        _ => (Outcome::Hung, format!("it neither ends nor says anything; {shown}")),
    }
}

fn own(screen: &[u8], messages: &[Words]) -> HashSet<String> {
    Words::of(screen).own_words(messages).into_iter().map(str::to_string).collect()
}

/// Whether `screen` shows an address at which this machine can be reached.
fn shows_address(screen: &[u8], own: &[IpAddr]) -> bool {
    facts::addresses(screen).into_iter().any(|address| is_ours(address, own))
}

/// Every loopback address is this machine's, whether an interface has it or not. The unspecified address
/// is nobody's: no client could be told to connect to it.
fn is_ours(address: IpAddr, own: &[IpAddr]) -> bool {
    !address.is_unspecified() && (address.is_loopback() || own.contains(&address))
}

fn banner(screen: &[u8], own: &[IpAddr], port: u16) -> Ruling {
    let shown = shows_bytes(screen);
    let addresses = facts::addresses(screen);
    if !shows_address(screen, own) {
        return match addresses.first() {
            Some(address) if address.is_unspecified() => {
                fail(format!("{address} is no address that a client could connect to; {shown}"))
            }
            Some(address) => fail(format!("{address} is no address of this machine; {shown}")),
            None => fail(format!("no IP address is shown before a client comes; {shown}")),
        };
    }
    if !facts::numbers(screen).contains(&u64::from(port)) {
        return fail(format!("it listens on port {port} and does not show it; {shown}"));
    }
    pass(shown)
}

fn client_address(screen: &[u8], client: IpAddr) -> Ruling {
    let shown = facts::tail(screen, EXCERPT);
    if facts::addresses(screen).contains(&client) {
        pass(format!("it shows {client}"))
    } else {
        fail(format!("the client came from {client}, which is not shown; the screen ends: {shown}"))
    }
}

/// C2 and C3, from what the client showed: before the first message (`greeting`), where there is no
/// server (`alone`), and after each message (`replies`). What stands at the end of all of them is its
/// prompt.
fn small_talk(greeting: &[u8], alone: &[u8], replies: &[Vec<u8>], messages: &[String]) -> (Ruling, Ruling) {
    let first = facts::pieces(greeting, "");
    let replies: Vec<Vec<String>> =
        replies.iter().zip(messages).map(|(reply, text)| facts::pieces(reply, text)).collect();
    let prompt = replies.iter().map(|reply| facts::common_end(&first, reply)).min().unwrap_or(0);
    let shown = shows_bytes(greeting);

    // What is said in either case is not said of having connected.
    let anyway = facts::pieces(alone, "");
    let before = first.iter().zip(&anyway).take_while(|(one, other)| one == other).count();
    let statement = &first[before.min(first.len() - prompt)..first.len() - prompt];
    let speaks = |pieces: &[String]| pieces.iter().any(|piece| piece.chars().any(char::is_alphabetic));
    let in_prompt = first.iter().any(|piece| piece.to_lowercase().contains("connected"));
    let c2 = if speaks(statement)
        || (in_prompt && !anyway.iter().any(|piece| piece.to_lowercase().contains("connected")))
    {
        pass(shown.clone())
    } else {
        fail(format!("once connected it says nothing of it; {shown}"))
    };

    let said = replies.iter().all(|reply| reply.len() > prompt);
    // Some ask once for all messages.
    let asks = prompt > 0 || statement.len() > 2;
    let c3 = match (asks, said) {
        (true, true) => pass(shows_pieces(&replies)),
        (false, _) => fail(format!("it does not ask for a message; {shown}")),
        (true, false) => {
            fail(format!("a message was sent and it does not say so; {}", shows_pieces(&replies)))
        }
    };
    (c2, c3)
}

fn shows_pieces(replies: &[Vec<String>]) -> String {
    let reply = replies.first().map(|reply| reply.join(" ")).unwrap_or_default();
    format!("after a message: {}", facts::tail(reply.as_bytes(), EXCERPT))
}

/// Listens at `address` so that nobody else can.
fn listen(address: SocketAddr) -> Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Remains of an earlier session do not count; whoever else would listen there is refused all the same.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1)?;
    Ok(socket)
}

/// Keeps other checks on this machine from starting a first session, for as long as it is held: two
/// servers that both ignore their port would get in each other's way, and only one of them would be seen
/// to do so.
fn only_one() -> Result<Flock<File>> {
    let path = std::env::temp_dir().join(format!("echolog-check-{}.lock", nix::unistd::getuid()));
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, errno)| errno)
        .with_context(|| format!("cannot lock {}", path.display()))
}
