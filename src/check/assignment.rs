//! S1 to S5 and C1 to C5: what the assignment asks for, judged from the baseline.
//!
//! What always holds: these are functions over a record. Who is at fault is decided from both ends and from
//! the bytes between them: the server is not blamed for what the client did not send.

use std::net::IpAddr;

use super::baseline::{Baseline, Blame, Connect, Exchange, Quit, contains, words_of};
use super::evidence::{EXCERPT, Ruling, fail, not_run, pass, printed, quoted, ruling};
use super::facts::{self, Words};
use super::id::Id;
use super::session::Waited;
use crate::results::{Outcome, Role};

/// S1
pub fn s1(baseline: &Baseline) -> Ruling {
    let start = &baseline.start;
    let shows = start.server.shows();
    match start.listens {
        Some(port) if !start.takes_port => {
            fail(format!("the command has no place for a port; the server listens on {port}"))
                .advise("Let the server take its port from the command line or ask for it; then write {port} there.")
        }
        Some(_) if start.other.is_some_and(|(given, listens)| listens.is_some_and(|port| port != given)) => {
            let (given, listens) = start.other.unwrap_or_default();
            fail(format!("it was given port {given} and listens on {}", listens.unwrap_or_default()))
        }
        Some(port) if port == start.given => pass(format!("it listens on {port}")),
        Some(port) => fail(format!("it was given port {} and listens on {port}; {shows}", start.given)).advise(format!(
            "Use the port from the command line or the keyboard. To have the rest judged at the port that is built \
             in, write port = {port} into echolog.toml."
        )),
        None => start.server.never(start.waited, &format!("listens on port {}", start.given)),
    }
}

/// S2
pub fn s2(baseline: &Baseline) -> Ruling {
    let server = &baseline.start.server;
    if let Some(ruling) = server.trouble() {
        return ruling;
    }
    if server.ending.is_some() {
        return fail(format!("it ended before a client came; {}", server.shows()));
    }
    let port = baseline.start.listens.unwrap_or(baseline.start.given);
    banner(&server.screen, &baseline.addresses, port)
}

fn banner(screen: &[u8], own: &[IpAddr], port: u16) -> Ruling {
    let shown = printed(screen);
    let addresses = facts::addresses(screen);
    // Every loopback address is this machine's, whether an interface has it or not. The unspecified address
    // is nobody's: no client could be told to connect to it.
    let has_loopback = own.iter().any(IpAddr::is_loopback);
    let is_ours = |address: &IpAddr| {
        !address.is_unspecified() && (address.is_loopback() && has_loopback || own.contains(address))
    };
    if !addresses.iter().any(is_ours) {
        return match addresses.first() {
            Some(address) if address.is_unspecified() => {
                fail(format!("{address} is not an address that a client can connect to; {shown}"))
            }
            Some(address) if address.is_loopback() => fail(format!(
                "{address} leads every computer to itself: a client on another one cannot connect to it; {shown}"
            )),
            Some(address) => fail(format!("{address} is not an address of this computer; {shown}")),
            None => fail(format!("the screen shows no IP address before a client comes; {shown}")),
        };
    }
    if !facts::numbers(screen).contains(&u64::from(port)) {
        return fail(format!("the server listens on port {port} and does not show it; {shown}"));
    }
    pass(shown)
}

/// S3
pub fn s3(baseline: &Baseline) -> Ruling {
    let Some(connect) = &baseline.connect else { return not_played(baseline) };
    let banner = baseline.start.server.screen.len();
    // The server's own address, in its banner, is not the client's.
    let screen = baseline.server.since(banner);
    let client = connect.source;
    if facts::addresses(screen).contains(&client) {
        return pass(format!("it shows {client}"));
    }
    let shown = facts::tail(screen, EXCERPT);
    baseline.server.trouble().unwrap_or_else(|| {
        let shown = if shown.is_empty() { "nothing".to_string() } else { shown };
        fail(format!("the client came from {client}; after that the server printed: {shown}"))
    })
}

/// S4
pub fn s4(baseline: &Baseline) -> Ruling {
    if baseline.flooded == Some(Role::Server) {
        return baseline.server.flooded();
    }
    let sent = baseline.delivered();
    let messages = baseline.sent();
    if let Err(missing) = Words::of(&baseline.server.screen).find_all(&words_of(&messages)) {
        let exchange = sent[missing];
        return baseline.server.trouble().unwrap_or_else(|| {
            fail(format!(
                "\"{}\" was sent as {} and is not on the server's screen; {}",
                exchange.typed,
                quoted(&exchange.wire),
                baseline.server.shows()
            ))
        });
    }
    if let Some(late) = sent.iter().find(|exchange| !exchange.shown) {
        return fail(format!(
            "\"{}\" was not printed before the next message was typed, only later; until then the screen ended: {}",
            late.typed, late.server_screen
        ));
    }
    pass(format!("it printed: \"{}\"", messages.join("\", \"")))
}

/// S5
pub fn s5(baseline: &Baseline) -> Ruling {
    let Some(quit) = &baseline.quit else { return not_played(baseline) };
    let server = &baseline.server;
    let log = match baseline.log() {
        Err((Blame::Server | Blame::Unknown, why)) => Some(why),
        _ => None,
    };
    let status = match server.status(quit.waited) {
        Ok(status) => status,
        Err(mut ruling) => {
            if ruling.outcome == Outcome::Hung {
                let advice = "End the server when the client has quit.";
                // A server that sends its log has understood the word.
                ruling.advice = Some(match log {
                    Some(why) => {
                        ruling.happened = format!("{}; and {why}", ruling.happened);
                        quit_word_advice(baseline, advice)
                    }
                    None => advice.to_owned(),
                });
            }
            return ruling;
        }
    };
    let says_something = !Words::of(&quit.server).is_empty();
    if status != 0 {
        return fail(format!("the server ended with status {status}; {}", server.shows()));
    }
    if !says_something {
        return fail(format!("the server printed nothing when the client quit; {}", server.shows()));
    }
    if let Some(why) = log {
        return fail(why);
    }
    if let Some(how) = joined(quit.log.as_slice(), &baseline.sent()) {
        return fail(format!(
            "the messages of the log were sent with nothing but {how} between them, which a message may hold too: {}",
            quoted(&quit.log)
        ));
    }
    if let Some(ruling) = taken_for_quit(baseline) {
        return ruling;
    }
    pass(format!("{}; status 0", printed(&quit.server)))
}

/// What stands between the messages of a log where that is nothing but commas and blanks.
fn joined(log: &[u8], messages: &[String]) -> Option<&'static str> {
    let mut from = 0;
    let mut gaps = Vec::new();
    for message in messages {
        let at = from + memchr::memmem::find(&log[from..], message.as_bytes())?;
        gaps.push(&log[from..at]);
        from = at + message.len();
    }
    let gaps = gaps.get(1..)?;
    let only =
        |signs: &[u8]| !gaps.is_empty() && gaps.iter().all(|gap| gap.iter().all(|byte| signs.contains(byte)));
    if only(b"") {
        None
    } else if only(b" ") {
        Some("a blank")
    } else if only(b", ") {
        Some("a comma")
    } else if only(b"; ") {
        Some("a semicolon")
    } else {
        None
    }
}

/// The server took a message for a quit, though the client sent it as it was typed.
fn taken_for_quit(baseline: &Baseline) -> Option<Ruling> {
    let look_alike = baseline.look_alikes.as_ref()?.tried.last()?;
    let as_typed = contains(&look_alike.wire, look_alike.typed.as_bytes());
    let is_quit = baseline.quit.as_ref().is_some_and(|quit| quit.wire == look_alike.wire);
    let by_client = if baseline.is_readable() { !as_typed } else { is_quit || look_alike.wire.is_empty() };
    let unshown = !look_alike.shown && baseline.prints_at_once();
    let closed = look_alike.closed == Some(Role::Server) || (look_alike.closed.is_none() && unshown);
    (closed && !by_client).then(|| {
        fail(format!(
            "the server took the message \"{}\" for a quit; {}",
            look_alike.typed,
            look_alike.server.shows()
        ))
        .advise("Compare the whole message with the quit word, not its beginning.")
    })
}

/// C1
pub fn c1(baseline: &Baseline) -> Ruling {
    let Some(connect) = &baseline.connect else { return not_played(baseline) };
    let missing: Vec<&str> = ["address", "port"]
        .into_iter()
        .zip(connect.takes)
        .filter(|(_, takes)| !takes)
        .map(|(name, _)| name)
        .collect();
    if !connect.connected {
        let ruling = connect.client.never(connect.waited, &format!("connects to {}", connect.given));
        return if missing.is_empty() { ruling } else { ruling.advise(BUILT_IN) };
    }
    if let Some((other, _)) = connect.other.filter(|(_, connected)| missing.is_empty() && !connected) {
        return fail(format!("it connects to {}, and not to {other} when it is given that", connect.given))
            .advise(BUILT_IN);
    }
    if missing.is_empty() {
        return pass(format!("it connected to {}", connect.given));
    }
    fail(format!(
        "the command has no place for the {}; the client connects to what is built in",
        missing.join(" and the ")
    ))
    .advise(BUILT_IN)
}

const BUILT_IN: &str = "Let the client take the address and the port from the command line or ask for them. To have \
                        the rest judged at a port that is built in, write it into echolog.toml: port = 12345.";

/// C2
pub fn c2(baseline: &Baseline) -> Ruling {
    let Some(connect) = &baseline.connect else { return not_played(baseline) };
    if let Some(ruling) = connect.client.trouble() {
        return ruling;
    }
    let shown = printed(&connect.client.screen);
    let statement = Greeting::of(baseline, connect);
    if statement.says_connected {
        pass(shown)
    } else {
        fail(format!("it printed no statement of its own after it had connected; {shown}"))
    }
}

/// What the client printed before the first message, taken apart.
struct Greeting {
    /// How many pieces at its end are the prompt.
    prompt: usize,
    /// How many pieces stand before it that are not printed without a server too.
    statement: usize,
    /// Whether these say something.
    says_connected: bool,
}

impl Greeting {
    fn of(baseline: &Baseline, connect: &Connect) -> Greeting {
        let own = facts::without_lines_of(&connect.greeting, &connect.from_server, "");
        let first = facts::pieces(&own, "");
        let last_line = own.rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
        let last_line = facts::pieces(last_line, "").len();
        // Where nothing was typed, the last line is the prompt.
        let prompt = ends_like_every_reply(baseline, &first).unwrap_or(last_line);
        // After an answer that was sent, the greeting ends as a reply does: only its last line is the prompt.
        let most = if connect.client.is_answered && last_line > 0 { last_line } else { first.len() };
        let prompt = prompt.min(most);
        // What is printed in either case does not say that the client is connected.
        let anyway = facts::pieces(&baseline.alone.0.screen, "");
        let before = first.iter().zip(&anyway).take_while(|(one, other)| one == other).count();
        let statement = &first[before.min(first.len() - prompt)..first.len() - prompt];
        // A question may say it, too.
        let all = facts::without_lines_of(&connect.client.screen, &connect.from_server, "");
        let all = facts::pieces(&all, "");
        let names_it = |piece: &String| {
            let piece = piece.to_lowercase();
            piece.contains("connect") && !piece.contains("disconnect")
        };
        let connected = all.iter().any(|piece| names_it(piece) && !anyway.contains(piece));
        Greeting { prompt, statement: statement.len(), says_connected: says(statement) || connected }
    }
}

/// The pieces of what the client printed after a message: until the server got it, and all of it without what the
/// server said. What a thread prints may stand on the line of the prompt, and hide that in the latter.
fn replies(exchange: &Exchange) -> [Vec<String>; 2] {
    let whole = facts::without_lines_of(&exchange.reply, &exchange.from_server, &exchange.typed);
    [exchange.own.as_slice(), &whole].map(|text| facts::pieces(text, &exchange.typed))
}

/// How many pieces at the end of `text` stand at the end of every reply, too; nothing where nothing was typed.
fn ends_like_every_reply(baseline: &Baseline, text: &[String]) -> Option<usize> {
    let ends_alike = |exchange: &Exchange| {
        replies(exchange).iter().map(|reply| facts::common_end(text, reply)).max().unwrap_or_default()
    };
    baseline.exchanges.iter().map(ends_alike).min()
}

/// Whether there is a word, or the message itself, among `pieces`.
fn says(pieces: &[String]) -> bool {
    pieces.iter().any(|piece| piece.contains('@') || piece.chars().any(char::is_alphabetic))
}

/// C3
pub fn c3(baseline: &Baseline) -> Ruling {
    let Some(connect) = &baseline.connect else { return not_played(baseline) };
    if let Some(split) = &baseline.split {
        return fail(format!(
            "\"{}\" was typed, and its words were sent as messages of their own: {}",
            split.typed,
            quoted(&split.wire)
        ))
        .advise(
            "Read the whole line, not one word: getline() instead of >>, fgets() instead of scanf(\"%s\").",
        );
    }
    if baseline.flooded == Some(Role::Client) {
        return ruling(
            Outcome::Flooded,
            format!("one message was typed, and {}", baseline.client.flooded().happened),
        );
    }
    if let Some(unsent) = baseline.exchanges.iter().find(|exchange| exchange.wire.is_empty()) {
        return baseline.client.trouble().unwrap_or_else(|| {
            let reply = printed(&unsent.reply);
            if unsent.is_elsewhere {
                return fail(format!(
                    "\"{}\" was sent on another connection than the first; {reply}",
                    unsent.typed
                ))
                .advise("Connect once, and send all messages on that connection.");
            }
            fail(format!(
                "\"{}\" was typed and nothing was sent on the connection; after that {reply}",
                unsent.typed
            ))
        });
    }
    if let Some(changed) = baseline.exchanges.iter().find(|exchange| baseline.is_changed(exchange)) {
        return fail(format!("\"{}\" was typed, and {} was sent", changed.typed, quoted(&changed.wire)));
    }
    if let Some(ruling) = baseline.client.trouble().filter(|_| baseline.quit.is_none()) {
        return ruling;
    }
    let greeting = Greeting::of(baseline, connect);
    let shown =
        baseline.exchanges.first().map(|exchange| facts::tail(&exchange.reply, EXCERPT)).unwrap_or_default();
    // Some ask once for all messages.
    if greeting.prompt == 0 && greeting.statement <= 2 {
        return fail(format!("it does not ask for a message; {}", printed(&connect.client.screen)));
    }
    let is_said = |reply: &Vec<String>| says(&reply[..reply.len() - greeting.prompt.min(reply.len())]);
    if baseline.exchanges.iter().all(|exchange| replies(exchange).iter().any(is_said)) {
        pass(format!("after a message: {shown}"))
    } else {
        fail(format!("a message was sent, and the client does not say so; after it: {shown}"))
    }
}

/// C4
pub fn c4(baseline: &Baseline) -> Ruling {
    let word = &baseline.quit_word;
    let client = &baseline.client;
    let Some(quit) = &baseline.quit else { return not_played(baseline) };
    if quit.waited == Waited::Flooded(Role::Client) {
        return client.flooded();
    }
    if quit.wire.is_empty() {
        return client.trouble().unwrap_or_else(|| {
            fail(format!("\"{word}\" was typed and nothing was sent; {}", client.shows()))
        });
    }
    if !baseline.quits() {
        return fail(format!(
            "\"{word}\" was typed, {} was sent, and the server goes on",
            quoted(&quit.wire)
        ))
        .advise(quit_word_advice(baseline, "Tell the server that the client quits, and leave the loop."));
    }
    if asks_again(baseline, quit) {
        return fail(format!("after \"{word}\" the client asks for another message; {}", client.shows()))
            .advise(quit_word_advice(baseline, "Leave the loop when the user has typed the quit word."));
    }
    if let Some(ruling) = careless_client(baseline) {
        return ruling;
    }
    pass(format!("it sent {}", quoted(&quit.wire)))
}

/// Whether the client waits for its keyboard behind the prompt that it shows for each message.
fn asks_again(baseline: &Baseline, quit: &Quit) -> bool {
    let prompt = baseline.connect.as_ref().map_or(0, |connect| Greeting::of(baseline, connect).prompt);
    let last = facts::pieces(&quit.client, "");
    quit.waits_for_keyboard
        && prompt > 0
        && ends_like_every_reply(baseline, &last).unwrap_or_default() >= prompt
}

/// The client took a message for a quit, or changed it.
fn careless_client(baseline: &Baseline) -> Option<Ruling> {
    let look_alikes = &baseline.look_alikes.as_ref()?.tried;
    let last = look_alikes.last()?;
    let before = look_alikes.len().checked_sub(2).map_or("", |at| &look_alikes[at].typed);
    let advice = "Compare the whole line with the quit word, not its beginning.";
    if last.wire.is_empty() {
        return Some(
            fail(format!("after \"{before}\" it sends nothing more; {}", last.client.shows())).advise(advice),
        );
    }
    if last.closed == Some(Role::Client) {
        return Some(last.client.trouble().unwrap_or_else(|| {
            let happened =
                format!("after \"{}\" it ends the connection; {}", last.typed, last.client.shows());
            fail(happened).advise(advice)
        }));
    }
    let as_typed = contains(&last.wire, last.typed.as_bytes());
    let is_quit = baseline.quit.as_ref().is_some_and(|quit| quit.wire == last.wire);
    ((baseline.is_readable() && !as_typed) || (!baseline.is_readable() && is_quit)).then(|| {
        fail(format!("\"{}\" was typed, and {} was sent", last.typed, quoted(&last.wire))).advise(advice)
    })
}

/// Words that programs use for quitting.
const QUIT_WORDS: [&str; 10] =
    ["exit", "bye", "end", "stop", "done", "close", "disconnect", "logout", "goodbye", "q"];

/// `advice`, with the word that the pair itself names for quitting where it names another.
fn quit_word_advice(baseline: &Baseline, advice: &str) -> String {
    let screens = [&baseline.client.screen, &baseline.server.screen];
    let shown: Vec<Words> = screens.iter().map(|screen| Words::of(screen)).collect();
    let named = QUIT_WORDS.into_iter().filter(|word| *word != baseline.quit_word).find(|word| {
        let word = Words::of(word.as_bytes());
        shown.iter().any(|shown| shown.find(&word, 0).is_some())
    });
    match named {
        Some(word) => format!(
            "{advice} The screens name the word \"{word}\": if that is the word for quitting here, write quit = \
             \"{word}\" into echolog.toml."
        ),
        None => format!("{advice} If another word quits here, write it into echolog.toml: quit = \"…\"."),
    }
}

/// C5
pub fn c5(baseline: &Baseline) -> Ruling {
    let Some(quit) = &baseline.quit else { return not_played(baseline) };
    let client = &baseline.client;
    let log = baseline.log();
    if let (None, Err((Blame::Server, _))) = (client.trouble(), &log) {
        return not_run(Id::S5);
    }
    let status = match client.status(quit.waited) {
        Ok(status) => status,
        Err(mut ruling) => {
            if let (Outcome::Hung, Err((_, why))) = (ruling.outcome, &log) {
                ruling.happened = format!("{}; and {why}", ruling.happened);
            }
            return ruling;
        }
    };
    if let Err((_, why)) = log {
        return fail(why);
    }
    if status != 0 {
        return fail(format!("the client ended with status {status}; {}", client.shows()));
    }
    own_copy(baseline).unwrap_or_else(|| pass(format!("the whole log is shown: {}", printed(&quit.client))))
}

fn own_copy(baseline: &Baseline) -> Option<Ruling> {
    if !baseline.shows_own_copy() {
        return None;
    }
    let happened = match &baseline.altered {
        Some(altered) if !contains(&altered.client, altered.became.as_bytes()) => format!(
            "the log reached the client with \"{}\" in the place of \"{}\", and the client showed \"{}\"; {}",
            altered.became,
            altered.was,
            altered.was,
            printed(&altered.client)
        ),
        _ => {
            let screen = baseline.withheld.as_deref().unwrap_or_default();
            format!("it shows a log though the connection ended without one; {}", printed(screen))
        }
    };
    Some(fail(happened).advise("Print what the server sends, not a list that the client has kept."))
}

/// The first session ended before this could be judged.
fn not_played(baseline: &Baseline) -> Ruling {
    let cause = match (baseline.start.listens, baseline.connects(), baseline.flooded) {
        (None, ..) => Id::S1,
        (_, false, _) => Id::C1,
        (.., Some(Role::Server)) => Id::S4,
        _ => Id::C3,
    };
    not_run(cause)
}

#[cfg(test)]
mod tests {
    use super::super::baseline::sample::{PORT, SERVER, exchange, sound};
    use super::super::baseline::{Altered, LookAlike, LookAlikes};
    use super::super::evidence::Seen;
    use super::*;
    use crate::run::outcome::Ending;

    type Rule = fn(&Baseline) -> Ruling;

    fn outcomes(baseline: &Baseline) -> String {
        let rows: [(&str, Rule); 10] = [
            ("S1", s1),
            ("S2", s2),
            ("S3", s3),
            ("S4", s4),
            ("S5", s5),
            ("C1", c1),
            ("C2", c2),
            ("C3", c3),
            ("C4", c4),
            ("C5", c5),
        ];
        let failed = rows.iter().filter_map(|(id, judge)| {
            let ruling = judge(baseline);
            (!ruling.passes()).then(|| format!("{id} {}", ruling.outcome.word()))
        });
        failed.collect::<Vec<_>>().join(", ")
    }

    /// What fails when `change` is made to the record of a sound pair.
    fn fails(change: impl FnOnce(&mut Baseline)) -> String {
        let mut baseline = sound();
        change(&mut baseline);
        outcomes(&baseline)
    }

    fn quit(baseline: &mut Baseline) -> &mut Quit {
        baseline.quit.as_mut().expect("there is a quit")
    }

    #[apply(test)]
    fn a_sound_pair_passes_every_row() {
        assert_eq!(outcomes(&sound()), "");
    }

    #[apply(test)]
    fn a_port_that_is_not_taken_fails_s1_and_nothing_else() {
        assert_eq!(fails(|it| it.start.given = 10_000), "S1 fail");
        assert_eq!(fails(|it| it.start.takes_port = false), "S1 fail");
        assert_eq!(fails(|it| it.start.other = Some((10_000, Some(PORT)))), "S1 fail");
        assert_eq!(fails(|it| it.start.other = Some((10_000, Some(10_000)))), "");
    }

    #[apply(test)]
    fn a_banner_must_name_an_address_of_this_computer_and_the_port() {
        let banner = |text: &str| {
            let screen = text.as_bytes().to_vec();
            fails(move |it| it.start.server.screen = screen)
        };
        assert!(banner("address 192.168.1.9, port 12345\n").starts_with("S2 fail"));
        assert!(banner("address 0.0.0.0, port 12345\n").starts_with("S2 fail"));
        assert!(banner("address 192.168.1.3, port 12346\n").starts_with("S2 fail"));
        assert!(banner("").starts_with("S2 fail"));
    }

    #[apply(test)]
    fn the_servers_own_address_is_not_the_clients() {
        let own = |it: &mut Baseline| {
            it.connect.as_mut().expect("it connected").source = SERVER.into();
        };
        assert_eq!(fails(own), "S3 fail");
    }

    #[apply(test)]
    fn a_message_must_be_on_the_servers_screen_before_the_next_is_typed() {
        assert_eq!(fails(|it| it.exchanges[0].shown = false), "S4 fail");
        let lost = |it: &mut Baseline| {
            let screen = String::from_utf8_lossy(&it.server.screen).replace("got one\n", "");
            it.server.screen = screen.into_bytes();
        };
        assert_eq!(fails(lost), "S4 fail");
    }

    #[apply(test)]
    fn the_client_is_blamed_for_what_it_did_not_send() {
        let unsent = |it: &mut Baseline| {
            it.exchanges[1].wire.clear();
            it.exchanges[1].shown = false;
        };
        assert!(fails(unsent).contains("C3 fail") && !fails(unsent).contains("S4"));
        let mut baseline = sound();
        baseline.exchanges[1].wire.clear();
        baseline.exchanges[1].is_elsewhere = true;
        assert!(c3(&baseline).happened.contains("on another connection"));
        let answers = |it: &mut Baseline| {
            it.exchanges[1].wire = b"quit\n".to_vec();
            it.exchanges[1].shown = false;
        };
        assert!(fails(answers).contains("C3 fail") && !fails(answers).contains("S4"));
    }

    #[apply(test)]
    fn a_client_that_connects_to_one_port_only_fails_c1() {
        let other = |connected| {
            fails(move |it| {
                let connect = it.connect.as_mut().expect("it connected");
                connect.other = Some((connect.given, connected));
            })
        };
        assert_eq!(other(false), "C1 fail");
        assert_eq!(other(true), "");
    }

    #[apply(test)]
    fn a_client_that_says_nothing_of_its_own_fails_c2_or_c3() {
        let greeting = |text: &str| {
            let (text, last) = (text.as_bytes().to_vec(), "message: ");
            fails(move |it| {
                let connect = it.connect.as_mut().expect("it connected");
                connect.greeting = last.into();
                connect.client.screen = text;
            })
        };
        assert_eq!(greeting("message: "), "C2 fail");
        assert_eq!(greeting("your name? message: "), "C2 fail");
        assert_eq!(greeting("quit disconnects. message: "), "C2 fail");
        assert_eq!(greeting("connected! your name? message: "), "");
        // Where nothing was typed, its last line is the prompt.
        let untyped = |text: &str| {
            let mut baseline = sound();
            baseline.exchanges.clear();
            let connect = baseline.connect.as_mut().expect("it connected");
            (connect.greeting, connect.client.screen) = (text.into(), text.into());
            c2(&baseline).passes()
        };
        assert!(untyped("you are in\nmessage: ") && !untyped("message: "));
        // What it prints without a server, too.
        let anyway = fails(|it| {
            it.alone.0.screen = b"welcome\nmessage: cannot go on\n".to_vec();
            let connect = it.connect.as_mut().expect("it connected");
            connect.greeting = b"welcome\nmessage: ".to_vec();
            connect.client.screen.clone_from(&connect.greeting);
        });
        assert_eq!(anyway, "C2 fail");
        // A reply is no greeting, but where an answer was sent, it stands in one.
        let replies = |is_answered| {
            fails(move |it| {
                for exchange in &mut it.exchanges {
                    exchange.reply = b"sent\nmessage: ".to_vec();
                }
                let connect = it.connect.as_mut().expect("it connected");
                connect.greeting = b"sent\nmessage: ".to_vec();
                connect.client.screen.clone_from(&connect.greeting);
                connect.client.is_answered = is_answered;
            })
        };
        assert_eq!((replies(false).as_str(), replies(true).as_str()), ("C2 fail, C3 fail", ""));
        let quiet = |it: &mut Baseline| {
            for exchange in &mut it.exchanges {
                exchange.reply = b"message: ".to_vec();
            }
        };
        assert_eq!(fails(quiet), "C3 fail");
        // What a thread prints of the server stands on the line of the prompt.
        let answered = |own: &'static str| {
            fails(move |it| {
                for exchange in &mut it.exchanges {
                    exchange.own = own.replace('@', &exchange.typed).into_bytes();
                    exchange.from_server = b"thanks\n".to_vec();
                    exchange.reply = [exchange.own.as_slice(), b"<< thanks\n"].concat();
                }
            })
        };
        assert_eq!(answered("sent @\nmessage: "), "");
        assert_eq!(answered("message: "), "C3 fail");
        // What the server said is not the client's own.
        let repeats = |it: &mut Baseline| {
            for exchange in &mut it.exchanges {
                exchange.reply = b"thank you\nmessage: ".to_vec();
                exchange.from_server = b"Thank you!\n".to_vec();
            }
        };
        assert_eq!(fails(repeats), "C3 fail");
    }

    #[apply(test)]
    fn a_client_without_a_prompt_has_to_say_before_that_it_takes_messages() {
        let greets = |greeting: &str| {
            let greeting = greeting.as_bytes().to_vec();
            fails(move |it| {
                for exchange in &mut it.exchanges {
                    exchange.reply = b"sent\n".to_vec();
                }
                it.connect.as_mut().expect("it connected").greeting = greeting;
            })
        };
        assert_eq!(greets("connected\n"), "C3 fail");
        assert_eq!(greets("now connected\n"), "C3 fail");
        assert_eq!(greets("connected: type messages\n"), "");
    }

    #[apply(test)]
    fn what_was_not_played_names_what_it_needs() {
        let needs = |change: fn(&mut Baseline)| {
            let mut baseline = sound();
            baseline.quit = None;
            change(&mut baseline);
            [s5(&baseline).needs, c5(&baseline).needs]
        };
        assert_eq!(needs(|it| it.start.listens = None), [Some(Id::S1); 2]);
        assert_eq!(needs(|it| it.connect = None), [Some(Id::C1); 2]);
        assert_eq!(needs(|it| it.flooded = Some(Role::Server)), [Some(Id::S4); 2]);
        assert_eq!(needs(|_| ()), [Some(Id::C3); 2]);
    }

    #[apply(test)]
    fn a_line_that_is_sent_word_by_word_fails_c3() {
        let mut split = exchange("two three");
        split.wire = b"two\nthree\n".to_vec();
        assert!(split.is_split());
        assert_eq!(fails(|it| it.split = Some(split)), "C3 fail");
    }

    #[apply(test)]
    fn a_quit_is_judged_by_its_effect() {
        // A record type instead of the word.
        assert_eq!(fails(|it| quit(it).wire = vec![0, 0, 0, 2]), "");
        let ignored = |it: &mut Baseline| {
            quit(it).wire = b"bye\n".to_vec();
            quit(it).log.clear();
            it.server.ending = None;
        };
        assert!(fails(ignored).contains("C4 fail"));
        assert!(fails(|it| quit(it).wire.clear()).contains("C4 fail"));
        let asks = |it: &mut Baseline| {
            quit(it).client = b"log:\none\ntwo three\nmessage: ".to_vec();
            quit(it).waits_for_keyboard = true;
        };
        assert_eq!(fails(asks), "C4 fail");
    }

    #[apply(test)]
    fn the_log_is_judged_at_both_ends() {
        let log = |wire: &str, screen: &str| {
            let (wire, screen) = (wire.as_bytes().to_vec(), screen.as_bytes().to_vec());
            fails(move |it| (quit(it).log, quit(it).client) = (wire, screen))
        };
        assert_eq!(log("one\n", "log:\none\n"), "S5 fail, C5 not run");
        assert_eq!(log("one\ntwo three\n", "log:\none\n"), "C5 fail");
        assert_eq!(log("onetwo three", "log:\nonetwo three\n"), "S5 fail, C5 not run");
        assert_eq!(log("one,two three\n", "log:\none,two three\n"), "S5 fail");
        assert_eq!(log("[\"one\", \"two three\"]\n", "[\"one\", \"two three\"]\n"), "");
        let mut baseline = sound();
        quit(&mut baseline).log = b"two three\none\n".to_vec();
        quit(&mut baseline).client = b"two three\none\n".to_vec();
        assert!(s5(&baseline).happened.contains("order"), "{}", s5(&baseline).happened);
    }

    #[apply(test)]
    fn a_client_that_shows_what_it_remembers_fails_c5() {
        let altered = |client: &str| Altered {
            was: "kopa".to_string(),
            became: "apok".to_string(),
            client: client.as_bytes().to_vec(),
        };
        assert_eq!(fails(|it| it.altered = Some(altered("log: kopa\n"))), "C5 fail");
        assert_eq!(fails(|it| it.altered = Some(altered("log: apok\n"))), "");
        // A client that shows neither word has not remembered this one.
        assert_eq!(fails(|it| it.altered = Some(altered("log:\n"))), "");
        let mut baseline = sound();
        baseline.altered = Some(altered("log: kopa\n"));
        let happened = c5(&baseline).happened;
        assert!(happened.contains("\"apok\" in the place of \"kopa\""), "{happened}");
        let withheld = super::super::baseline::withheld_messages(&baseline).join("\n");
        baseline.withheld = Some(withheld.into_bytes());
        for altered in [None, Some(altered("log: apok\n"))] {
            baseline.altered = altered;
            let happened = c5(&baseline).happened;
            assert!(happened.contains("though the connection ended without one"), "{happened}");
        }
    }

    #[apply(test)]
    fn a_look_alike_is_blamed_on_the_program_that_took_it_for_a_quit() {
        let look_alike = |wire: &str, closed| LookAlike {
            typed: "quit now".to_string(),
            wire: wire.as_bytes().to_vec(),
            closed,
            shown: closed.is_none(),
            server: Seen::nothing(Role::Server),
            client: Seen::nothing(Role::Client),
        };
        let tried = |look_alike| fails(|it| it.look_alikes = Some(LookAlikes { tried: vec![look_alike] }));
        assert_eq!(tried(look_alike("quit now\n", Some(Role::Server))), "S5 fail");
        assert_eq!(tried(look_alike("quit now\n", Some(Role::Client))), "C4 fail");
        assert_eq!(tried(look_alike("quit\n", Some(Role::Server))), "C4 fail");
        assert_eq!(tried(look_alike("quit now\n", None)), "");
    }

    #[apply(test)]
    fn an_address_that_no_other_computer_can_use_is_named_as_such() {
        let happened = |text: &str| banner(text.as_bytes(), &[SERVER.into()], PORT).happened;
        let own = |text: &str, own: &str| {
            banner(text.as_bytes(), &[own.parse().expect("an address")], PORT).passes()
        };
        assert!(happened("0.0.0.0, port 12345").contains("not an address that a client can connect to"));
        assert!(happened("127.0.0.1, port 12345").contains("leads every computer to itself"));
        assert!(happened("192.168.1.9, port 12345").contains("not an address of this computer"));
        assert!(happened("port 12345").contains("shows no IP address"));
        // Where there is nothing but loopback, each of its addresses is this computer's.
        assert!(own("127.0.0.1, port 12345", "127.0.0.2"));
        assert!(!own("192.168.1.9, port 12345", "127.0.0.2"));
    }

    #[apply(test)]
    fn a_server_that_does_not_end_is_also_told_what_its_log_lacks() {
        let judged = |log: &str, ending| {
            let mut baseline = sound();
            quit(&mut baseline).log = log.into();
            quit(&mut baseline).client = log.into();
            quit(&mut baseline).waited = Waited::Quiet;
            baseline.server.ending = ending;
            s5(&baseline).happened
        };
        let lacks = "\"two three\" is not in the log";
        assert!(judged("one\n", None).contains(lacks));
        assert!(!judged("one\ntwo three\n", None).contains(lacks));
        let flooded = judged("one\n", Some(Ending::Flooded));
        assert!(flooded.contains("without end") && !flooded.contains(lacks), "{flooded}");
    }

    #[apply(test)]
    fn only_a_client_that_waits_behind_its_prompt_asks_again() {
        let after = |screen: &str, waits| {
            let screen = screen.as_bytes().to_vec();
            fails(move |it| {
                quit(it).client = screen;
                quit(it).waits_for_keyboard = waits;
            })
        };
        assert_eq!(after("log:\none\ntwo three\nmessage: ", true), "C4 fail");
        assert_eq!(after("log:\none\ntwo three\nmessage: ", false), "");
        assert_eq!(after("log:\none\ntwo three\npress a key ", true), "");
        // Without a prompt it cannot be told.
        let mut baseline = sound();
        baseline.connect.as_mut().expect("it connected").greeting = b"connected\n".to_vec();
        for exchange in &mut baseline.exchanges {
            exchange.reply = b"sent\n".to_vec();
        }
        quit(&mut baseline).waits_for_keyboard = true;
        assert!(c4(&baseline).passes(), "{:?}", c4(&baseline));
    }

    #[apply(test)]
    fn on_a_wire_that_cannot_be_read_a_look_alike_is_compared_with_the_quit_itself() {
        let tried = |wire: &[u8]| {
            let last = LookAlike {
                typed: "quit now".to_string(),
                wire: wire.to_vec(),
                closed: Some(Role::Server),
                shown: false,
                server: Seen::nothing(Role::Server),
                client: Seen::nothing(Role::Client),
            };
            fails(move |it| {
                for exchange in &mut it.exchanges {
                    exchange.wire = b"\x93\x01".to_vec();
                }
                quit(it).wire = b"\x80".to_vec();
                it.look_alikes = Some(LookAlikes { tried: vec![last] });
            })
        };
        assert_eq!(tried(b"\x80"), "C4 fail");
        assert_eq!(tried(b"\x99"), "S5 fail");
        assert_eq!(tried(b""), "C4 fail");
    }

    #[apply(test)]
    fn another_word_for_quitting_is_named_in_the_advice() {
        let mut baseline = sound();
        baseline.client.screen = b"message (exit to leave): ".to_vec();
        baseline.server.ending = None;
        quit(&mut baseline).log.clear();
        quit(&mut baseline).client = b"message (exit to leave): ".to_vec();
        quit(&mut baseline).waited = Waited::Quiet;
        let advice = s5(&baseline).advice.expect("advice");
        assert!(advice.contains("quit = \"exit\""), "{advice}");

        // The word was the right one where the log came back.
        let mut baseline = sound();
        baseline.client.screen = b"message (exit to leave): ".to_vec();
        baseline.server.ending = None;
        quit(&mut baseline).waited = Waited::Quiet;
        assert_eq!(s5(&baseline).advice.as_deref(), Some("End the server when the client has quit."));
    }
}
