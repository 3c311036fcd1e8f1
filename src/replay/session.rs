//! One session: one pair of programs, one wire, one drive, played to its end.
//!
//! What always holds: nothing here judges what the programs do. Readiness, a message's arrival and the end
//! of a program are observed, from the screens and the kernel, and never assumed after some time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::drive::Drive;
use super::feed::{Feed, Stall};
use super::pair::Pair;
use super::ready::{Readiness, await_ready};
use super::watched::Watched;
use crate::proxy::{Config, ProxyThread, Tape, Wire};
use crate::run::clock::{Clock, Waited, stopped};
use crate::run::command::{Spec, Values};
use crate::run::computer::{Computer, Computers, Files};
use crate::run::port::Port;
use crate::run::program::{Errors, Input, Limits, Output, Program, Run, Streams};
use crate::run::sockets::{self, Sockets};
use crate::run::spawn::executable;

/// What is to be played.
#[derive(Clone, Debug)]
pub struct Session<'a> {
    /// The programs.
    pub pair: &'a Pair,
    /// The messages file's path, for `{script}`.
    pub script: &'a Path,
    /// Its contents.
    pub messages: &'a [u8],
    /// How the client is fed.
    pub drive: Drive,
    /// What lies between the programs.
    pub wire: Wire,
    /// What they find of this computer's files, if they run on two computers of their own.
    pub isolated: Option<&'a Files>,
    /// What each program may use.
    pub limits: &'a Limits,
}

/// The true values of what goldens write as placeholders.
#[derive(Clone, Debug)]
pub struct Places {
    /// The addresses of the server's computer, any of which it may show as its own.
    pub server_addresses: Vec<IpAddr>,
    /// The server's port.
    pub port: u16,
    /// The port in the client's command: the server's, or the proxy's.
    pub client_port: u16,
    /// The address that the server sees the client come from.
    pub client_address: IpAddr,
}

impl Places {
    fn new(computers: &Computers, port: u16, client_port: u16, client_address: IpAddr) -> Self {
        let server_addresses = if computers.server.is_isolated() {
            vec![computers.server.address()]
        } else {
            sockets::addresses().into_iter().collect()
        };
        Places { server_addresses, port, client_port, client_address }
    }
}

/// What came of a session. Judging it is someone else's work.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The server's part.
    pub server: Run,
    /// The client's part, where it came to that.
    pub client: Option<Run>,
    /// Whether the server became ready.
    pub readiness: Readiness,
    /// Where the terminal drive's lockstep came to a stand, if it did.
    pub stall: Option<Stall>,
    /// The true values of the placeholders.
    pub places: Places,
    /// What the proxy received; `None` on the direct wire.
    pub tape: Option<Tape>,
    /// How long all of it took.
    pub took: Duration,
    /// Whether the harness was stopped (Ctrl-C) before the session was over.
    pub stopped: bool,
}

/// Plays one session to its end. When it returns, nothing of it is left running.
///
/// An error means that it could not be played: a usage fault when a command does not exist or cannot be
/// executed; otherwise that this machine had no port, terminal or process to give. What the programs do
/// is never an error here.
pub fn play(session: &Session) -> anyhow::Result<Outcome> {
    let Session { limits, .. } = session;
    let pair = &Placed::of(session)?;
    let computers = &pair.computers;
    let port = match (session.pair.port, session.isolated) {
        (None, None) => Port::free()?,
        (Some(number), None) => Port::fixed(number)?,
        (number, Some(_)) => {
            Port::isolated(number.unwrap_or_else(|| Port::number_for(&session.script.to_string_lossy())))
        }
    };
    let mut values = Values {
        host: Some(computers.server.address().to_string()),
        port: Some(port.number()),
        script: Some(std::path::absolute(session.script)?),
    };
    // Fails before a server is started if the client cannot be executed.
    executable(&pair.client.command.fill(&values)[0], pair.client.dir.as_deref())?;
    let clock = Clock::start();
    let until = limits.time;

    let server_streams = Streams { errors: session.pair.server_errors, ..Streams::TERMINAL };
    let server = Program::start(&pair.server, &values, server_streams, limits, &clock)?;
    let sockets = computers.server.sockets()?;
    let mut outcome = Played {
        readiness: await_ready(&server, &pair.server, &values, &sockets, until, &clock)?,
        ..Played::default()
    };
    let addresses = match outcome.readiness {
        Readiness::Ready(_) => listening_addresses(&sockets, port.number(), &computers.server)?,
        Readiness::Died | Readiness::NeverListened => {
            server.time_up();
            let places = Places::new(computers, port.number(), port.number(), computers.client.address());
            return outcome.over(&clock, server, None, places);
        }
    };

    let watched = Arc::new(Watched::default());
    let _ = watched.server.set(server.watcher());
    let (wire, config) = passage(session.wire, computers, port.number());
    let is_v4 = addresses[0].is_ipv4();
    let proxy = match wire {
        Wire::Direct => None,
        wire => {
            let looks = Watched::looks(&watched);
            Some(ProxyThread::start(wire, &config, addresses.clone(), looks, &clock)?)
        }
    };
    let (reached, client_address) = match &proxy {
        Some(proxy) => {
            let source = config.sources.iter().find(|source| source.is_ipv4() == is_v4);
            (proxy.address(), source.copied().unwrap_or(Ipv6Addr::LOCALHOST.into()))
        }
        // To an address of its own, a machine connects from the same one.
        None => (addresses[0], addresses[0].ip()),
    };
    values.host = Some(reached.ip().to_string());
    values.port = Some(reached.port());

    let client = Program::start(&pair.client, &values, client_streams(session), limits, &clock)?;
    let _ = watched.client.set(client.watcher());
    let feed = Feed {
        spec: &pair.client,
        drive: session.drive,
        messages: session.messages,
        passes_on: !session.wire.holds_back(),
        values: &values,
        client: &client,
        server: &server,
        clock: &clock,
        until,
    };
    watched.more_to_type.store(session.drive == Drive::Terminal, Ordering::SeqCst);
    outcome.stall = feed.run();
    watched.more_to_type.store(false, Ordering::SeqCst);
    let over = || (client.ending().is_some() && server.ending().is_some()).then_some(());
    match clock.wait(until, over) {
        Waited::Seen(()) => proxy.iter().for_each(ProxyThread::settle),
        Waited::TimeUp => {
            server.time_up();
            client.time_up();
        }
        Waited::Stopped => {}
    }
    let tape = proxy.map(ProxyThread::finish).transpose()?;
    outcome.tape = tape.filter(|_| session.wire != Wire::Direct);
    let places = Places::new(computers, port.number(), reached.port(), client_address);
    outcome.over(&clock, server, Some(client), places)
}

/// The programs of a session on the computers that they run on.
struct Placed {
    computers: Computers,
    server: Spec,
    client: Spec,
}

impl Placed {
    fn of(session: &Session) -> anyhow::Result<Placed> {
        let Session { pair, isolated, .. } = session;
        let (mut server, mut client) = (pair.server.clone(), pair.client.clone());
        let computers = match isolated {
            None => Computers::shared(),
            Some(files) => {
                for spec in [&mut server, &mut client] {
                    spec.dir.clone_from(&files.copied);
                }
                Computers::isolated(files)?
            }
        };
        server.computer = Some(Arc::clone(&computers.server));
        client.computer = Some(Arc::clone(&computers.client));
        Ok(Placed { computers, server, client })
    }
}

/// What lies between the programs in truth, and where its ends are.
fn passage(wire: Wire, computers: &Computers, port: u16) -> (Wire, Config) {
    if computers.server.is_isolated() {
        // There is no other way from one computer to the other.
        let wire = if wire == Wire::Direct { Wire::Through } else { wire };
        return (wire, Config::between(computers, port));
    }
    let config = Config {
        listen: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        sources: vec![proxy_source(port).into(), Ipv6Addr::LOCALHOST.into()],
        keeps_client: false,
        computers: computers.clone(),
    };
    (wire, config)
}

/// Where a proxy's connections come from: another address than any that the machine has been given, and
/// not the same in every session.
fn proxy_source(port: u16) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, u8::try_from(2 + port % 250).unwrap_or(2))
}

/// Where to connect to what listens on `port` of this computer: one address, and another one to be tried next.
fn listening_addresses(sockets: &Sockets, port: u16, computer: &Computer) -> anyhow::Result<Vec<SocketAddr>> {
    let listening = sockets.listening(port)?;
    let ip = listening.map_or(Ipv4Addr::UNSPECIFIED.into(), |address| address.ip());
    let places = match ip {
        ip if !ip.is_unspecified() => vec![ip],
        IpAddr::V6(_) if computer.is_isolated() => vec![computer.address(), Ipv6Addr::LOCALHOST.into()],
        _ => vec![computer.address()],
    };
    Ok(places.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
}

fn client_streams(session: &Session) -> Streams {
    let (input, output, errors) = match session.drive {
        Drive::Script if session.pair.client.answers.is_empty() => {
            (Input::Nothing, Output::Pipe, Errors::Apart)
        }
        Drive::Script | Drive::Pipe => (Input::Pipe, Output::Pipe, Errors::Apart),
        Drive::Terminal => (Input::Terminal, Output::Terminal, session.pair.client_errors),
    };
    Streams { input, output, errors }
}

/// What is known of a session before its programs are finished.
struct Played {
    readiness: Readiness,
    stall: Option<Stall>,
    tape: Option<Tape>,
}

impl Default for Played {
    fn default() -> Played {
        Played { readiness: Readiness::NeverListened, stall: None, tape: None }
    }
}

impl Played {
    fn over(
        self,
        clock: &Clock,
        server: Program,
        client: Option<Program>,
        places: Places,
    ) -> anyhow::Result<Outcome> {
        for program in client.iter().chain([&server]) {
            program.check_sound()?;
        }
        // Read before the programs are ended: a stop during that time does not affect the session.
        let stopped = stopped();
        let client = client.map(Program::finish);
        let server = server.finish();
        Ok(Outcome {
            server,
            client,
            readiness: self.readiness,
            stall: self.stall,
            places,
            tape: self.tape,
            took: clock.now(),
            stopped,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::harness::needs;
    use crate::proxy::{Direction, End};
    use crate::run::command::{Ready, Spec, Template};
    use crate::run::program::Ending;

    /// A server that shows what the assignment asks for, and how many bytes each read gave.
    const SERVER: &str = r#"
import socket, sys
port = int(sys.argv[1]) if len(sys.argv) > 1 else int(input("port? "))
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("", port))
listener.listen()
connection, (address, _) = listener.accept()
print("from", address, flush=True)
log = rest = b""
sizes = []
while True:
    while b"\n" not in rest:
        read = connection.recv(65536)
        if not read: sys.exit("error: gone")
        sizes.append(len(read))
        rest += read
    if rest.startswith(b"quit\n"): break
    line, rest = rest.split(b"\n", 1)
    print("got:", line.decode(), flush=True)
    log += line + b"\n"
sys.stderr.write(f"sizes: {sizes}\n")
connection.sendall(log)
"#;

    const CLIENT: &str = r#"
import socket, sys
host = sys.argv[1] if len(sys.argv) > 1 else input("host? ")
port = int(sys.argv[2]) if len(sys.argv) > 2 else int(input("port? "))
if len(sys.argv) > 3: sys.stdin = open(sys.argv[3])
connection = socket.create_connection((host, port))
message = ""
while message != "quit":
    try: message = input("message? ")
    except EOFError: message = "quit"
    connection.sendall(message.encode() + b"\n")
log = connection.makefile().read()
print("log:", repr(log), flush=True)
"#;

    /// Programs in Python, in a directory of their own.
    struct Peers {
        pair: Pair,
        dir: tempfile::TempDir,
        limits: Limits,
    }

    impl Peers {
        fn new(server: &str, client: &str, arguments: [&str; 2]) -> Peers {
            let dir = tempfile::tempdir().expect("a directory");
            let spec = |name: &str, text: &str, arguments: &str| {
                let path = dir.path().join(name);
                std::fs::write(&path, text).expect("written");
                let command = format!("python3 {} {arguments}", path.display());
                Spec {
                    command: Template::command(&command).expect("a command"),
                    answers: Vec::new(),
                    dir: None,
                    env: Vec::new(),
                    ready: Ready::Listening,
                    computer: None,
                }
            };
            let pair = Pair {
                server: spec("server.py", server, arguments[0]),
                client: spec("client.py", client, arguments[1]),
                server_errors: Errors::Terminal,
                client_errors: Errors::Terminal,
                port: None,
            };
            let limits = Limits { time: Duration::from_secs(30), ..Limits::default() };
            Peers { pair, dir, limits }
        }

        fn sound(drive: Drive) -> Peers {
            let client = if drive == Drive::Script { "{host} {port} {script}" } else { "{host} {port}" };
            Peers::new(SERVER, CLIENT, ["{port}", client])
        }

        fn play(&self, messages: &str, drive: Drive, wire: Wire) -> Outcome {
            let script = self.dir.path().join("messages.txt");
            std::fs::write(&script, messages).expect("written");
            let session = Session {
                isolated: None,
                pair: &self.pair,
                script: &script,
                messages: messages.as_bytes(),
                drive,
                wire,
                limits: &self.limits,
            };
            play(&session).expect("plays")
        }
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    const MESSAGES: &str = "one\n\nthree, Zoë\nquit\n";

    #[apply(test)]
    fn a_foreign_pair_is_played_by_every_drive_over_every_wire() {
        needs(&["python3"]);
        for drive in Drive::ALL {
            let peers = Peers::sound(drive);
            let mut cuts = 0;
            let wires = [Wire::Direct, Wire::Through, Wire::Drip, Wire::Lump, Wire::Shuffle(3)];
            for wire in wires {
                let outcome = peers.play(MESSAGES, drive, wire);
                let client = outcome.client.expect("it came to that");
                assert_eq!(outcome.stall, None, "{drive} {wire}");
                assert!(outcome.server.ending.is_success() && client.ending.is_success(), "{drive} {wire}");
                assert_eq!((outcome.server.survivors, client.survivors), (Vec::new(), Vec::new()));
                let from = outcome.places.client_address;
                let screen = text(outcome.server.transcript.screen());
                let shown = format!("from {from}\ngot: one\ngot: \ngot: three, Zoë\nsizes: ");
                assert!(screen.starts_with(&shown), "{drive} {wire}: {screen}");
                let screen = text(client.transcript.screen());
                if drive == Drive::Terminal {
                    let asked = "message? one\nmessage? \nmessage? three, Zoë\nmessage? quit\n";
                    assert_eq!(screen, format!("{asked}log: 'one\\n\\nthree, Zoë\\n'\n"), "{wire}");
                } else {
                    assert!(screen.ends_with("log: 'one\\n\\nthree, Zoë\\n'\n"), "{screen}");
                }
                if let Some(tape) = outcome.tape {
                    assert_eq!(text(tape.bytes(Direction::ToServer)), MESSAGES);
                    assert_eq!(text(tape.bytes(Direction::ToClient)), MESSAGES[..MESSAGES.len() - 5]);
                    assert_ne!(from, IpAddr::V4(Ipv4Addr::LOCALHOST));
                    cuts =
                        Wire::every_cut(tape.len(Direction::ToServer), tape.len(Direction::ToClient)).len();
                }
            }
            assert_eq!(cuts, 2 * (MESSAGES.len() + MESSAGES.len() - 5));
        }
    }

    #[apply(test)]
    fn the_server_gets_one_segment_from_a_lump_and_one_byte_a_read_from_a_drip() {
        needs(&["python3"]);
        let mut peers = Peers::sound(Drive::Terminal);
        peers.pair.server_errors = Errors::Apart;
        let sizes = |wire| text(peers.play(MESSAGES, Drive::Terminal, wire).server.transcript.errors());
        let length = MESSAGES.len();
        assert_eq!(sizes(Wire::Lump), format!("sizes: [{length}]\n"));
        assert_eq!(sizes(Wire::Drip), format!("sizes: {:?}\n", vec![1; length]));
        assert_eq!(sizes(Wire::Split { toward: Direction::ToServer, at: 2 }), "sizes: [2, 2, 1, 12, 5]\n");
    }

    #[apply(test)]
    fn programs_that_ask_are_answered_when_they_ask() {
        needs(&["python3"]);
        let mut peers = Peers::new(SERVER, CLIENT, ["", ""]);
        peers.pair.server.answers = vec![Template::line("{port}").expect("a line")];
        peers.pair.client.answers =
            ["{host}", "{port}"].map(|line| Template::line(line).expect("a line")).to_vec();
        for (drive, wire) in
            [(Drive::Terminal, Wire::Direct), (Drive::Terminal, Wire::Lump), (Drive::Pipe, Wire::Drip)]
        {
            let outcome = peers.play(MESSAGES, drive, wire);
            let port = outcome.places.port;
            let screen = text(outcome.server.transcript.screen());
            assert!(screen.starts_with(&format!("port? {port}\nfrom ")), "{drive} {wire}: {screen}");
            let client = outcome.client.expect("it came to that");
            assert!(client.ending.is_success(), "{drive} {wire}: {:?}", text(client.transcript.screen()));
            if drive == Drive::Terminal {
                let port = outcome.places.client_port;
                let asked = format!("host? 127.0.0.1\nport? {port}\nmessage? one\nmessage? \n");
                assert!(text(client.transcript.screen()).starts_with(&asked), "{wire}");
            }
        }
    }

    #[apply(test)]
    fn a_message_file_without_quit_is_ended_by_the_end_of_input() {
        needs(&["python3"]);
        for drive in Drive::ALL {
            let outcome = Peers::sound(drive).play("only", drive, Wire::Direct);
            assert!(outcome.server.ending.is_success(), "{drive}");
            let client = outcome.client.expect("it came to that");
            assert!(text(client.transcript.screen()).ends_with("log: 'only\\n'\n"), "{drive}");
        }
    }

    #[apply(test)]
    fn a_server_that_dies_at_the_start_gets_no_client() {
        needs(&["python3"]);
        let peers = Peers::new("raise SystemExit(5)", CLIENT, ["{port}", "{host} {port}"]);
        let outcome = peers.play(MESSAGES, Drive::Terminal, Wire::Through);
        assert_eq!(outcome.readiness, Readiness::Died);
        assert_eq!(outcome.server.ending, Ending::Exited(5));
        assert!(outcome.client.is_none() && outcome.took < Duration::from_secs(10));
    }

    #[apply(test)]
    fn a_server_that_never_listens_is_given_up_when_time_is_up() {
        needs(&["python3"]);
        let mut peers = Peers::new("import signal\nsignal.pause()", CLIENT, ["{port}", "{host} {port}"]);
        peers.limits.time = Duration::from_secs(1);
        let outcome = peers.play(MESSAGES, Drive::Script, Wire::Direct);
        assert_eq!(outcome.readiness, Readiness::NeverListened);
        assert!(matches!(outcome.server.ending, Ending::Hung(_)));
        assert!(outcome.client.is_none());
    }

    #[apply(test)]
    fn a_server_that_keeps_its_screen_back_stalls_the_lockstep_at_the_first_message() {
        needs(&["python3"]);
        let mut peers =
            Peers::new(&SERVER.replace(", flush=True", ", end=''"), CLIENT, ["{port}", "{host} {port}"]);
        peers.limits.time = Duration::from_secs(4);
        let outcome = peers.play(MESSAGES, Drive::Terminal, Wire::Direct);
        assert_eq!(outcome.stall, Some(Stall::NotShown(0)));
        assert!(matches!(outcome.server.ending, Ending::Hung(_)));
        assert!(matches!(outcome.client.expect("it came to that").ending, Ending::Hung(_)));
    }

    #[apply(test)]
    fn a_client_that_never_asks_stalls_before_the_first_message() {
        needs(&["python3"]);
        let client = "import socket, sys\nsocket.create_connection((sys.argv[1], int(sys.argv[2]))).recv(1)";
        let mut peers = Peers::new(SERVER, client, ["{port}", "{host} {port}"]);
        peers.limits.time = Duration::from_secs(4);
        let outcome = peers.play(MESSAGES, Drive::Terminal, Wire::Direct);
        assert_eq!(outcome.stall, Some(Stall::NotAsked(0)));
    }

    #[apply(test)]
    fn sessions_with_a_server_that_insists_on_its_port_take_turns() {
        needs(&["python3"]);
        let port = Port::free().expect("a port").number();
        let mut peers = Peers::new(SERVER, CLIENT, [&port.to_string(), "{host} {port}"]);
        peers.pair.port = Some(port);
        std::thread::scope(|scope| {
            for wire in [Wire::Direct, Wire::Through, Wire::Direct] {
                let peers = &peers;
                scope.spawn(move || {
                    let outcome = peers.play(MESSAGES, Drive::Pipe, wire);
                    assert_eq!(outcome.places.port, port);
                    assert!(outcome.client.expect("it came to that").ending.is_success());
                });
            }
        });
    }

    #[apply(test)]
    fn a_cut_ends_both_programs_and_the_server_has_seen_the_prefix() {
        needs(&["python3"]);
        let peers = Peers::sound(Drive::Pipe);
        for by in [End::Fin, End::Rst] {
            let wire = Wire::Cut { toward: Direction::ToServer, at: 5, by };
            let outcome = peers.play(MESSAGES, Drive::Pipe, wire);
            let screen = text(outcome.server.transcript.screen());
            assert!(screen.contains("\ngot: one\ngot: \n") && !screen.contains("three"), "{screen}");
            assert_eq!(outcome.server.ending, Ending::Exited(1));
            assert!(matches!(outcome.client.expect("it came to that").ending, Ending::Exited(_)));
        }
    }
}
