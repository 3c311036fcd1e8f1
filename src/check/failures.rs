//! R7 to R13 and R16: what programs do when something goes wrong.
//!
//! What always holds: each function plays a session of its own and returns its ruling; none of them builds
//! on what another one has found.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context as _, Result};
use socket2::{Domain, Socket};

use super::baseline::{Baseline, words_of};
use super::comparison::not_again;
use super::evidence::{Ruling, Seen, fail, pass, printed, ruling};
use super::facts::Words;
use super::id::Id;
use super::recording::{opened, opened_or_alone, send_all};
use super::session::{Keyboard, Session, Waited};
use super::setup::Setup;
use super::timeline;
use crate::proxy::{End, Mode};
use crate::results::{Outcome, Role};
use crate::run::command::{Placeholder, Template};
use crate::run::computer::Computer;
use crate::run::outcome::Ending;

/// How many messages are typed at a client whose server is gone: the first may still go out.
const AFTER_THE_END: usize = 3;

/// R7
pub fn client_closed(setup: &Setup, known: &Baseline) -> Result<Ruling> {
    client_gone(setup, known, End::Fin)
}

/// R8
pub fn client_reset(setup: &Setup, known: &Baseline) -> Result<Ruling> {
    client_gone(setup, known, End::Rst)
}

fn client_gone(setup: &Setup, known: &Baseline, by: End) -> Result<Ruling> {
    let messages: Vec<String> = (0..2).map(|number| known.message("client gone", number, 2)).collect();
    let Some(mut session) = opened(setup, Keyboard::Lines)? else { return Ok(not_again()) };
    send_all(&mut session, known, &messages)?;
    let mark = session.server().shown();
    // The client is no longer part of it, and what it does then is not looked at.
    session.leave_client_out();
    session.proxy.cut_server(by);
    let waited = session.ends(Role::Server)?;
    let server = Seen::of(session.server());
    let said = server.since(mark).to_vec();
    Ok(finish(session, noticed(&server, &said, waited)))
}

/// The ruling on a server that has `said` this since its client was gone.
fn noticed(server: &Seen, said: &[u8], waited: Waited) -> Ruling {
    match (server.trouble(), &server.ending, waited) {
        (Some(ruling), ..) => ruling,
        (None, Some(Ending::Exited(status)), _) => {
            pass(format!("the server ended with status {status}; {}", printed(said)))
        }
        (None, _, Waited::Flooded(_)) => server.flooded(),
        (None, _, Waited::Busy(_)) => ruling(
            Outcome::Hung,
            format!("the server neither ends nor waits, and keeps a processor busy; {}", server.shows()),
        ),
        (None, ..) if !Words::of(said).is_empty() => pass(format!("the server says so: {}", printed(said))),
        (None, ..) => {
            ruling(Outcome::Hung, format!("the server neither ends nor prints anything; {}", server.shows()))
        }
    }
}

/// R9
pub fn server_gone(setup: &Setup, known: &Baseline) -> Result<Ruling> {
    let messages: Vec<String> =
        (0..=AFTER_THE_END).map(|number| known.message("server gone", number, 2)).collect();
    let Some(mut session) = opened_or_alone(setup)? else { return Ok(not_again()) };
    if known.lacks(&[super::id::Need::Serves]).is_none() {
        send_all(&mut session, known, &messages[..1])?;
    }
    let mark = session.client().shown();
    session.proxy.cut_client(End::Fin);
    let mut waited = session.settle()?;
    let mut before_quit = usize::MAX;
    let typed = messages[1..].iter().chain([&known.quit_word]);
    for text in typed {
        if session.client().has_ended() {
            break;
        }
        if text == &known.quit_word {
            before_quit = session.client().shown();
        }
        session.client().type_line(text);
        waited = session.settle()?;
    }
    if !matches!(waited, Waited::Flooded(_)) {
        waited = session.ends(Role::Client)?;
    }
    let client = Seen::of(session.client());
    let said = client.since(mark).to_vec();
    let early = &client.screen[mark..before_quit.clamp(mark, client.screen.len())];
    let ruling = match client.status(waited) {
        Err(ruling) => ruling,
        Ok(status) if says_that_it_is_gone(known, &words_of(&messages), &said, early) => {
            pass(format!("the client ended with status {status}; {}", printed(&said)))
        }
        Ok(status) => fail(format!(
            "the client ended with status {status} and does not say that the server is gone; {}",
            printed(&said)
        )),
    };
    Ok(finish(session, ruling))
}

/// Whether a client that has `said` this since its server was gone says so: in words that it does not use in the
/// first session, or, in what came `early`, before a quit was typed, by a word for an end. Many print "connection
/// closed" in a good session, too, when the log has come.
fn says_that_it_is_gone(known: &Baseline, typed: &[Words], said: &[u8], early: &[u8]) -> bool {
    let (said, early) = (Words::of(said), Words::of(early));
    let (usual, usual_early) = (known.client_words(), known.client_words_before_quit());
    let is_new = |word: &str| !usual.contains(word) && !is_of_an_empty_log(word);
    let is_new_early = |word: &str| !usual_early.contains(word) && is_of_an_end(word);
    said.own_words(typed).into_iter().any(is_new) || early.own_words(typed).into_iter().any(is_new_early)
}

/// Whether a program that prints this word may mean no more than that a log has no messages.
fn is_of_an_empty_log(word: &str) -> bool {
    ["empty", "none", "nothing"].contains(&word)
}

/// Whether a program that prints this word may mean that a connection has ended.
fn is_of_an_end(word: &str) -> bool {
    const BEGINNINGS: [&str; 14] = [
        "abort",
        "broke",
        "clos",
        "crash",
        "disconnect",
        "down",
        "drop",
        "end",
        "fail",
        "gone",
        "left",
        "lost",
        "shut",
        "terminat",
    ];
    BEGINNINGS.iter().any(|beginning| word.starts_with(beginning))
}

/// R10
pub fn port_in_use(setup: &Setup, known: &Baseline) -> Result<Ruling> {
    let mut session = Session::open(setup)?;
    let port = session.port();
    // A machine without IPv6 has no server on it either.
    let _taken = (
        listen(session.server_computer(), (Ipv4Addr::UNSPECIFIED, port).into())
            .context("cannot take the port")?,
        listen(session.server_computer(), (Ipv6Addr::UNSPECIFIED, port).into()).ok(),
    );
    session.start_server()?;
    let mut waited = session.ends(Role::Server)?;
    let mut others = session.server().ports()?;
    others.retain(|other| *other != port);
    if !session.server().has_ended() && others.is_empty() && waited == Waited::Quiet {
        // It may ask for another port; there is none.
        session.server().end_input();
        waited = session.ends(Role::Server)?;
    }
    let server = Seen::of(session.server());
    let told = |other| format!("port {port} is in use, and the server listens on {other} instead");
    let ruling =
        listens(&server, &others, told).unwrap_or_else(|| server.error(waited, &known.server_words(), true));
    Ok(finish(session, ruling))
}

/// R11
pub fn no_server(known: &Baseline) -> Ruling {
    let (client, waited) = &known.alone;
    let ruling = client.error(*waited, &known.client_words(), true);
    // Words of a client that does not come to connecting are not about that. Where there is no server for
    // it to connect to, only one that has ended has printed an error.
    let connects = known.connects() || (known.start.listens.is_none() && client.ending.is_some());
    if ruling.passes() && !connects { super::evidence::not_run(Id::C1) } else { ruling }
}

/// R12
pub fn started_again(setup: &Setup, known: &Baseline) -> Result<Ruling> {
    let messages = [known.message("again", 0, 2)];
    let Some(mut session) = opened(setup, Keyboard::Lines)? else { return Ok(not_again()) };
    send_all(&mut session, known, &messages)?;
    // The client's end waits, so that the server is the one that closes first wherever it may.
    session.say(&known.quit_word)?;
    session.proxy.to_server.mode = Mode::Held;
    session.wait(|session| session.server().has_ended())?;
    session.proxy.to_server.mode = Mode::Open;
    session.both_end()?;
    let by_itself = session.server().has_ended();
    session.interval();
    let lingers = session.port_lingers()?;
    session.start_server()?;
    let waited = session.wait_until_listening()?;
    let port = session.port();
    let server = Seen::of(session.server());
    let ruling = if waited == Waited::Met && session.is_aimed() {
        let remains = if lingers { "with" } else { "without" };
        let ended = if by_itself { "" } else { " (it had to be ended first)" };
        pass(format!(
            "it listens on {port} again, {remains} remains of the last session in the kernel{ended}"
        ))
    } else {
        server.never(waited, &format!("listens on port {port} again"))
    };
    Ok(finish(session, ruling))
}

/// R13
pub fn port_is_no_number(setup: &Setup, known: &Baseline) -> Result<Ruling> {
    let submission = setup.submission();
    let mut evidence = Vec::new();
    let programs = [
        (Role::Server, &submission.server, &submission.server_answers),
        (Role::Client, &submission.client, &submission.client_answers),
    ];
    for (role, command, answers) in programs {
        let Some((command, answers)) = with_abc(command, answers) else {
            return Ok(fail(format!("the {} takes no port", role.word())).advise(
                "Take the port from the command line or the keyboard, and check that it is a number.",
            ));
        };
        let mut session = Session::open(setup)?;
        let address = session.proxy.address()?;
        let usual = match role {
            Role::Server => {
                session.start_server_as(&command, &answers)?;
                known.server_words()
            }
            Role::Client => {
                session.start_client_as(&command, &answers, address, Keyboard::Lines)?;
                known.client_words()
            }
        };
        let ruling = wrong_port(&mut session, role, &usual)?;
        let ruling = finish(session, ruling);
        if !ruling.passes() {
            return Ok(ruling.after(format!("The {} was started with the port \"abc\".", role.word())));
        }
        evidence.push(ruling.happened);
    }
    Ok(pass(evidence.join("; ")))
}

/// The same with `abc` where the port is; `None` where there is no place for it.
fn with_abc(command: &Template, answers: &[Template]) -> Option<(Template, Vec<Template>)> {
    let asks = |template: &Template| template.mentions(Placeholder::Port);
    let put = |template: &Template| template.with_port_text("abc");
    (asks(command) || answers.iter().any(asks)).then(|| (put(command), answers.iter().map(put).collect()))
}

fn wrong_port(session: &mut Session, role: Role, usual: &HashSet<String>) -> Result<Ruling> {
    let waited = session.ends(role)?;
    let tested = session.of(role);
    let seen = Seen::of(tested);
    let told = |port| format!("the {} was given port abc and listens on {port}", role.word());
    let ruling = listens(&seen, &tested.ports()?, told);
    Ok(ruling.unwrap_or_else(|| seen.error(waited, usual, false)))
}

/// The ruling, as it is `told`, on a program that goes on and listens on one of `ports`.
fn listens(seen: &Seen, ports: &[u16], told: impl FnOnce(u16) -> String) -> Option<Ruling> {
    let port = *ports.first().filter(|_| seen.ending.is_none())?;
    Some(fail(format!("{}; {}", told(port), seen.shows())))
}

/// R16
pub fn end_of_input(setup: &Setup, known: &Baseline) -> Result<Ruling> {
    let Some(mut session) = opened(setup, Keyboard::Pipe)? else { return Ok(not_again()) };
    session.say(&known.message("end of input", 0, 2))?;
    // What it sends without end must not reach the server, whose end would be the client's.
    session.proxy.to_server.mode = Mode::Held;
    session.client().end_input();
    let mut waited = session.ends(Role::Client)?;
    if !session.client().has_ended() && !matches!(waited, Waited::Flooded(_)) {
        // It may have quit, and wait for the log.
        session.proxy.to_server.mode = Mode::Open;
        waited = session.ends(Role::Client)?;
    }
    if !session.client().has_ended() && !matches!(waited, Waited::Flooded(_)) {
        session.proxy.cut_client(End::Fin);
        waited = session.ends(Role::Client)?;
    }
    let client = Seen::of(session.client());
    let ruling = match client.status(waited) {
        Ok(status) => pass(format!("the client ended with status {status}")),
        Err(ruling) => ruling,
    };
    Ok(finish(session, ruling))
}

/// Ends a session; its ruling has the session with it, unless it is a pass.
fn finish(session: Session, ruling: Ruling) -> Ruling {
    let events = if ruling.passes() { Vec::new() } else { timeline::events(&session) };
    session.clear();
    Ruling { session: events, ..ruling }
}

/// Listens at `address` of `computer` so that nobody else can.
fn listen(computer: &Computer, address: SocketAddr) -> Result<Socket> {
    let socket = computer.socket(Domain::for_address(address))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Remains of an earlier session do not count; whoever else would listen there is refused all the same.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::super::baseline::sample::sound;
    use super::*;

    fn server(screen: &str, ending: Option<Ending>) -> Seen {
        Seen { screen: screen.into(), ending, ..Seen::nothing(Role::Server) }
    }

    #[apply(test)]
    fn a_server_notices_that_its_client_is_gone_by_ending_or_by_saying_so() {
        let judged = |ending, said: &str, waited| {
            noticed(&server("got one\n", ending), said.as_bytes(), waited).outcome
        };
        let quiet = Waited::Quiet;
        assert_eq!(judged(Some(Ending::Exited(0)), "", quiet), Outcome::Pass);
        assert_eq!(judged(Some(Ending::Exited(3)), "", quiet), Outcome::Pass);
        assert_eq!(judged(Some(Ending::Exited(139)), "", quiet), Outcome::Crashed);
        assert_eq!(judged(None, "the client is gone\n", quiet), Outcome::Pass);
        assert_eq!(judged(None, "", quiet), Outcome::Hung);
        assert_eq!(judged(None, "--\n", quiet), Outcome::Hung);
        assert_eq!(judged(None, "gone\n", Waited::Busy(Role::Server)), Outcome::Hung);
        assert_eq!(judged(None, "gone\n", Waited::Flooded(Role::Server)), Outcome::Flooded);
    }

    #[apply(test)]
    fn a_client_says_that_its_server_is_gone_in_new_words_or_before_its_quit() {
        let (known, typed) = (sound(), words_of(&["mogu".to_owned()]));
        let says =
            |said: &str, early: &str| says_that_it_is_gone(&known, &typed, said.as_bytes(), early.as_bytes());
        assert!(says("server vanished\n", ""));
        // What it says in a good session, what was typed, and an empty log.
        assert!(!says("connected\nmessage: sent mogu\nlog:\n", ""));
        assert!(!says("log: (empty)\n", "") && !says("nothing\n", "") && !says("none\n", ""));
        // Words for an end, where it has not quit; others there say nothing of it.
        let mut closes = sound();
        closes.client.screen.extend_from_slice(b"connection closed\n");
        let early =
            |early: &str| says_that_it_is_gone(&closes, &typed, b"connection closed\n", early.as_bytes());
        assert!(early("connection closed\n"));
        assert!(!early("") && !early("connection open\n"));
        for word in
            ["aborted", "broken", "closed", "crashed", "disconnected", "down", "dropped", "ended", "failed"]
        {
            assert!(early(word), "{word}");
        }
        for word in ["gone", "left", "lost", "shutdown", "terminated"] {
            assert!(early(word), "{word}");
        }
    }

    #[apply(test)]
    fn a_client_without_a_server_is_judged_where_it_comes_to_connecting() {
        let judged = |change: fn(&mut Baseline)| {
            let mut known = sound();
            change(&mut known);
            no_server(&known).outcome
        };
        assert_eq!(judged(|_| ()), Outcome::Pass);
        assert_eq!(judged(|it| it.alone.0.screen.clear()), Outcome::Fail);
        assert_eq!(judged(|it| it.connect = None), Outcome::NotRun);
        let no_server_at_all = |it: &mut Baseline| {
            it.connect = None;
            it.start.listens = None;
        };
        assert_eq!(judged(no_server_at_all), Outcome::Pass);
        let goes_on = |it: &mut Baseline| {
            it.connect = None;
            it.start.listens = None;
            (it.alone.0.ending, it.alone.1) = (None, Waited::Quiet);
        };
        assert_eq!(judged(goes_on), Outcome::NotRun);
    }

    #[apply(test)]
    fn only_a_program_that_goes_on_listens_instead() {
        let ruling =
            |ending, ports: &[u16]| listens(&server("", ending), ports, |port| format!("it has {port}"));
        assert_eq!(
            ruling(None, &[7, 8]).expect("it listens").happened,
            "it has 7; the server printed nothing"
        );
        assert!(ruling(None, &[]).is_none());
        assert!(ruling(Some(Ending::Exited(0)), &[7]).is_none());
    }
}
