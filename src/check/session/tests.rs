//! Sessions with small programs: how each kind of wait ends, and what is kept of what they did.

use std::fs;
use std::path::Path;

use super::*;
use crate::check::facts;
use crate::check::submission::Submission;
use crate::common::harness::needs;
use crate::proxy::End;
use crate::run::limits::Limits;
use crate::run::outcome::Ending;

/// Listens on the port that it is given, and accepts a client.
const ACCEPTS: &str = "
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(('127.0.0.1', int(sys.argv[1])))
listener.listen()
peer = listener.accept()[0]
print('accepted', flush=True)
";
/// Connects to the address and port that it is given.
const CONNECTS: &str = "
peer = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print('connected', flush=True)
";
const SHOWS_ALL: &str = "
while data := peer.recv(65536): print('got', data.decode(), flush=True)
print('over', flush=True)
";
const WAITS: &str = "
while peer.recv(65536): pass
";
const SENDS_LINES: &str = "
while True:
    line = input('next? ')
    peer.sendall(line.encode())
";

/// Plays a session of two Python programs, with these lines to answer the client's questions.
fn play_answering(server: &str, client: &str, answers: &[&str], test: impl FnOnce(&mut Session)) {
    needs(&["python3"]);
    let dir = tempfile::tempdir().expect("a directory");
    for (name, code) in [("server.py", server), ("client.py", client)] {
        fs::write(dir.path().join(name), format!("import os, signal, socket, sys, threading, time\n{code}"))
            .expect("written");
    }
    let command = |text: &str| Template::command(text).expect("a command");
    let submission = Submission {
        dir: Some(dir.path().to_owned()),
        server: command("python3 server.py {port}"),
        client: command("python3 client.py {host} {port}"),
        client_answers: answers.iter().map(|line| Template::line(line).expect("a line")).collect(),
        ..Submission::own(Path::new("echolog")).expect("commands")
    };
    let limits = Limits::default();
    let setup = Setup::open(&submission, &limits, Duration::from_secs(10), false).expect("copied");
    let mut session = Session::open(&setup).expect("a session");
    test(&mut session);
    session.clear();
}

/// The same, with both connected.
fn play(server: &str, client: &str, test: impl FnOnce(&mut Session)) {
    let (server, client) = (format!("{ACCEPTS}{server}"), format!("{CONNECTS}{client}"));
    play_answering(&server, &client, &[], |session| {
        connect(session, Keyboard::Lines);
        test(session);
    });
}

fn connect(session: &mut Session, keyboard: Keyboard) {
    session.start_server().expect("started");
    assert_eq!(session.wait_until_listening().expect("waited"), Waited::Met);
    session.start_client(keyboard).expect("started");
    let both = |session: &Session| {
        shows(session.server(), "accepted")
            && (keyboard == Keyboard::Pipe || shows(session.client(), "connected"))
    };
    assert_eq!(session.wait(both).expect("waited"), Waited::Met);
}

fn shows(tested: &Tested, text: &str) -> bool {
    memchr::memmem::find(&facts::without_escapes(&tested.screen()), text.as_bytes()).is_some()
}

/// Without the marks that tell when everything was read.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&facts::without_escapes(bytes)).into_owned()
}

fn wait(session: &mut Session, met: impl FnMut(&Session) -> bool) -> Waited {
    session.wait(met).expect("waited")
}

#[apply(test)]
fn a_server_is_reached_where_it_listens_or_at_its_computers_address() {
    let own = IpAddr::from([192, 168, 1, 3]);
    let reached = |listening: &str| {
        let at = reachable_at(listening.parse().expect("an address"), own);
        at.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(reached("0.0.0.0:7000"), "192.168.1.3:7000");
    assert_eq!(reached("[::]:7000"), "192.168.1.3:7000 [::1]:7000");
    assert_eq!(reached("127.0.0.1:7000"), "127.0.0.1:7000");
    assert_eq!(reached("[::1]:7000"), "[::1]:7000");
    assert_eq!(reached("[::ffff:127.0.0.2]:7000"), "127.0.0.2:7000");
}

#[apply(test)]
fn a_line_that_was_read_by_a_client_that_did_not_run_again_is_no_work_to_be_done() {
    play(SHOWS_ALL, SENDS_LINES, |session| {
        assert_eq!(session.settle().expect("waited"), Waited::Met);
        let client = session.client();
        client.typed_at.set(client.activity().expect("it runs").turns);
        let activity = client.activity().expect("it runs");
        assert!(activity.at_terminal && !activity.running, "{activity:?}");
    });
}

#[apply(test)]
fn what_a_clients_kernel_keeps_for_a_moment_is_waited_for() {
    // 200 ms here; it does the same where it waits for an acknowledgement that is put off.
    let keeps = format!("peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)\n{SENDS_LINES}");
    play(SHOWS_ALL, &keeps, |session| {
        session.settle().expect("waited");
        assert!(session.say("one").expect("waited"));
        assert_eq!(session.proxy.to_server.tape, b"one");
        assert_eq!(wait(session, |session| shows(session.server(), "got one")), Waited::Met);
    });
}

#[apply(test)]
fn a_wait_for_what_a_program_does_after_a_sleep_ends_by_the_thing_itself() {
    // It is the program that sleeps, for long enough to be seen asleep; the test waits for what it does then.
    play(WAITS, "time.sleep(0.4)\nprint('awake')\nsignal.pause()", |session| {
        assert_eq!(wait(session, |session| shows(session.client(), "awake")), Waited::Met);
    });
}

#[apply(test)]
fn what_a_program_sent_before_it_ended_is_read_with_the_end_of_its_connection() {
    play(WAITS, "input('next? ')\npeer.sendall(b'bye')", |session| {
        session.client().type_line("go");
        // The proxy reads nothing meanwhile.
        assert!(session.client().program.wait_end(Duration::from_secs(20)).seen().is_some());
        assert_eq!(session.proxy.to_server.end, None);
        assert_eq!(session.last_words().expect("waited"), Waited::Met);
        assert_eq!(session.proxy.to_server.tape, b"bye");
        assert_eq!(session.proxy.to_server.end, Some(End::Fin));
        assert_eq!(session.proxy.to_client.end, None);
    });
}

#[apply(test)]
fn a_wait_for_what_does_not_come_ends_when_both_programs_wait() {
    play(WAITS, WAITS, |session| {
        assert_eq!(wait(session, |_| false), Waited::Quiet);
        assert!(session.clock.now() < Duration::from_secs(5), "{:?}", session.clock.now());
        assert!(!session.server().has_ended() && !session.client().has_ended());
        assert_eq!(session.client().ended_at(), None);
    });
}

#[apply(test)]
fn a_thread_that_ticks_does_not_keep_a_wait_from_its_end() {
    // A program that sleeps again and again is what this is about; the test itself does not.
    let ticks = "
def tick():
    while True: time.sleep(0.05)
threading.Thread(target=tick, daemon=True).start()
";
    play(WAITS, &format!("{ticks}{WAITS}"), |session| {
        assert_eq!(wait(session, |_| false), Waited::Quiet);
        assert!(session.clock.now() < Duration::from_secs(5), "{:?}", session.clock.now());
        // It ticks on, and is known to by now.
        assert_eq!(wait(session, |_| false), Waited::Quiet);
    });
}

/// How a wait ends when the program with this role has begun to do this for ever.
fn wait_while(role: Role, does: &str, then: impl FnOnce(&mut Session)) -> Waited {
    let (server, client) = match role {
        Role::Server => (format!("peer.recv(1)\n{does}"), SENDS_LINES.to_string()),
        Role::Client => (WAITS.to_string(), format!("input()\n{does}")),
    };
    let mut waited = None;
    play(&server, &client, |session| {
        session.client().type_line("go on");
        waited = Some(wait(session, |_| false));
        then(session);
    });
    waited.expect("it waited")
}

#[apply(test)]
fn a_program_that_keeps_a_processor_busy_is_named() {
    for role in [Role::Server, Role::Client] {
        assert_eq!(wait_while(role, "while True: pass", |_| ()), Waited::Busy(role));
    }
}

#[apply(test)]
fn a_program_that_prints_or_sends_without_end_is_named_and_then_can_be_left_out() {
    for role in [Role::Server, Role::Client] {
        assert_eq!(wait_while(role, "while True: print('x' * 1000)", |_| ()), Waited::Flooded(role));
        let waited = wait_while(role, "while True: peer.sendall(b'x' * 1000)", |session| {
            session.ignore_flood_of(role);
            assert_eq!(wait(session, |_| false), Waited::Quiet);
        });
        assert_eq!(waited, Waited::Flooded(role));
    }
}

#[apply(test)]
fn as_much_as_a_wait_allows_is_no_flood() {
    let prints = "input()\nprint('x' * 4999, flush=True)\ninput()";
    for (flood, ends) in [(4999, Waited::Flooded(Role::Client)), (5100, Waited::Quiet)] {
        play(WAITS, prints, |session| {
            session.settle().expect("waited");
            session.flood = flood;
            let mut typed = false;
            let waited = wait(session, |session| {
                // Not before the wait has begun.
                if !typed {
                    session.client().type_line("");
                    typed = true;
                }
                false
            });
            assert_eq!(waited, ends);
        });
    }
}

#[apply(test)]
fn all_that_a_program_printed_is_there_once_it_has_ended() {
    let prints = "for number in range(2000): print('line', number)";
    play(WAITS, prints, |session| {
        assert_eq!(session.both_end().expect("waited"), Waited::Met);
        assert!(shows(session.client(), "line 1999\n"));
        assert_eq!(session.client().ending(), Some(Ending::Exited(0)));
        assert!(session.client().ended_at().is_some_and(|at| at <= session.clock.now()));
    });
    play(WAITS, &format!("{prints}\nsignal.pause()"), |session| {
        assert_eq!(session.both_end().expect("waited"), Waited::Quiet);
        assert_eq!(session.ends(Role::Server).expect("waited"), Waited::Quiet);
        session.leave_client_out();
        assert_eq!(session.ends(Role::Server).expect("waited"), Waited::Met);
    });
}

#[apply(test)]
fn a_client_has_settled_when_it_asks_again_however_long_it_computes() {
    let computes = "
while True:
    line = input('next? ')
    peer.sendall(line.encode())
    end = time.process_time() + 0.15
    while time.process_time() < end: pass
    print('done with', line, flush=True)
";
    play(SHOWS_ALL, computes, |session| {
        assert_eq!(session.settle().expect("waited"), Waited::Met);
        assert!(shows(session.client(), "next? "));
        for line in ["one", "two"] {
            session.client().type_line(line);
            assert_eq!(session.settle().expect("waited"), Waited::Met);
            assert!(text(&session.client().screen()).ends_with(&format!("done with {line}\nnext? ")));
        }
        assert!(shows(session.server(), "got one") && shows(session.server(), "got two"));
    });
    play(WAITS, WAITS, |session| assert_eq!(session.settle().expect("waited"), Waited::Quiet));
    play(WAITS, "", |session| assert_eq!(session.settle().expect("waited"), Waited::Met));
}

#[apply(test)]
fn what_is_sent_for_a_line_goes_on_as_one_segment() {
    let in_parts = "
while True:
    for word in input('next? ').split('-'):
        peer.sendall(word.encode())
        end = time.process_time() + 0.03
        while time.process_time() < end: pass
";
    play(SHOWS_ALL, in_parts, |session| {
        assert!(session.say("a-b-c").expect("said"));
        assert_eq!(wait(session, |session| shows(session.server(), "got abc\n")), Waited::Met);
        assert!(!session.say("").expect("said"));
        assert_eq!(session.proxy.to_server.tape, b"abc");
        assert_eq!(session.proxy.to_server.mode, Mode::Open);
    });
}

#[apply(test)]
fn a_server_works_where_it_sleeps_and_not_where_it_waits() {
    // What it counts is how long a program sleeps.
    let sleeps = "
while data := peer.recv(65536):
    time.sleep(0.2)
    print('got', data.decode(), flush=True)
";
    for (server, works) in [(sleeps, true), (SHOWS_ALL, false)] {
        play(server, SENDS_LINES, |session| {
            let before = session.effort(Role::Server);
            assert!(session.say("one").expect("said"));
            assert_eq!(wait(session, |session| shows(session.server(), "got one")), Waited::Met);
            // Nothing more comes, and finding that out takes its time.
            assert_eq!(wait(session, |_| false), Waited::Quiet);
            let effort = session.effort(Role::Server).saturating_sub(before);
            assert_eq!(effort >= Duration::from_millis(150), works, "{effort:?}");
        });
    }
}

#[apply(test)]
fn what_goes_over_another_connection_is_counted() {
    let again = format!("{SHOWS_ALL}other = listener.accept()[0]\n{WAITS}");
    let client = "
input()
other = socket.create_connection((sys.argv[1], int(sys.argv[2])))
other.sendall(b'12345')
signal.pause()";
    play(&again, client, |session| {
        assert_eq!(session.sent_elsewhere(), 0);
        session.client().type_line("");
        assert_eq!(wait(session, |session| session.sent_elsewhere() == 5), Waited::Met);
        assert_eq!(session.proxy.to_server.tape, b"");
    });
}

#[apply(test)]
fn answers_are_typed_when_they_are_asked_for_and_questions_are_no_statements() {
    let client = format!(
        "print('Welcome')\nname = input('name? ')\n{CONNECTS}print('hello', name, input('colour? '))\n{SENDS_LINES}"
    );
    let server = format!("{ACCEPTS}{SHOWS_ALL}");
    play_answering(&server, &client, &["Ada", "red"], |session| {
        connect(session, Keyboard::Lines);
        assert_eq!(session.settle().expect("waited"), Waited::Met);
        let client = session.client();
        assert_eq!(text(&client.screen()), "Welcome\nname? connected\ncolour? hello Ada red\nnext? ");
        assert_eq!(text(&client.statements()), "Welcome\nconnected\nhello Ada red\nnext? ");
        assert!(client.is_answered && client.answers.is_empty());
        assert!(session.say("mine").expect("said"));
        assert_eq!(session.proxy.to_server.tape, b"mine");
        assert_eq!(
            text(&session.client().since("Welcome\n".len())),
            "name? connected\ncolour? hello Ada red\nnext? next? "
        );
    });
}

#[apply(test)]
fn answers_are_in_a_pipe_from_the_first_and_its_end_is_told() {
    let client =
        format!("name = input()\n{CONNECTS}peer.sendall(sys.stdin.read().encode())\nprint(name, 'ends')");
    play_answering(&format!("{ACCEPTS}{SHOWS_ALL}"), &client, &["Ada"], |session| {
        connect(session, Keyboard::Pipe);
        session.client().type_line("one");
        session.client().end_input();
        assert_eq!(session.both_end().expect("waited"), Waited::Met);
        assert!(shows(session.client(), "Ada ends\n"));
        assert_eq!(session.proxy.to_server.tape, b"one\n");
        assert!(shows(session.server(), "got one\n") && shows(session.server(), "over\n"));
    });
}

#[apply(test)]
fn a_long_line_arrives_whole_where_the_terminal_passes_on_all_it_gets() {
    let client = format!("{CONNECTS}{SENDS_LINES}");
    play_answering(&format!("{ACCEPTS}{SHOWS_ALL}"), &client, &[], |session| {
        connect(session, Keyboard::LongLines);
        let line = "x".repeat(5000);
        assert!(session.say(&line).expect("said"));
        assert_eq!(text(&session.proxy.to_server.tape), line);
    });
}

#[apply(test)]
fn several_lines_are_typed_without_waiting() {
    play(SHOWS_ALL, SENDS_LINES, |session| {
        session.client().type_lines(&["one".to_string(), "two".to_string()]);
        assert_eq!(wait(session, |session| session.proxy.to_server.tape == b"onetwo"), Waited::Met);
        assert_eq!(wait(session, |session| session.proxy.to_server.passed == 6), Waited::Met);
    });
}

#[apply(test)]
fn an_end_that_was_kept_back_is_passed_on_when_nothing_else_happens() {
    play(SHOWS_ALL, "input()\npeer.shutdown(socket.SHUT_WR)\nsignal.pause()", |session| {
        session.proxy.to_server.keep_end = true;
        session.client().type_line("");
        assert_eq!(wait(session, |session| session.proxy.to_server.end.is_some()), Waited::Met);
        assert_eq!(wait(session, |session| shows(session.server(), "over")), Waited::Met);
        assert!(!session.proxy.to_server.keep_end);
    });
}

#[apply(test)]
fn who_ended_the_connection_first_is_known_whatever_the_other_one_does_then() {
    let closes = "peer.close()\nsignal.pause()";
    let leaves = "input()\npeer.close()\nsignal.pause()";
    play("signal.pause()", leaves, |session| {
        assert_eq!(session.first_to_end(), None);
        session.client().type_line("");
        assert_eq!(wait(session, |session| session.proxy.to_server.end.is_some()), Waited::Met);
        assert_eq!(session.first_to_end(), Some(Role::Client));
    });
    play(&format!("{WAITS}{closes}"), leaves, |session| {
        session.client().type_line("");
        assert_eq!(wait(session, |session| session.proxy.to_client.end.is_some()), Waited::Met);
        assert_eq!(session.first_to_end(), Some(Role::Client));
    });
    play(&format!("peer.recv(1)\n{closes}"), &format!("peer.sendall(b'x')\n{WAITS}{closes}"), |session| {
        assert_eq!(wait(session, |session| session.proxy.to_server.end.is_some()), Waited::Met);
        assert_eq!(session.first_to_end(), Some(Role::Server));
    });
}

#[apply(test)]
fn where_the_server_listens_is_found_and_that_it_does_not_is_told() {
    play_answering(&format!("{ACCEPTS}{WAITS}"), "", &[], |session| {
        session.start_server().expect("started");
        assert_eq!(session.wait_until_listening().expect("waited"), Waited::Met);
        assert!(session.is_aimed());
        assert_eq!(session.server().ports().expect("a table"), [session.port()]);
        // Somebody connects in the place of the client.
        let mut client = session.connect_as_client().expect("connected");
        std::io::Write::write_all(&mut client, b"hello").expect("sent");
        assert_eq!(wait(session, |session| session.proxy.to_server.tape == b"hello"), Waited::Met);
    });
    let elsewhere = ACCEPTS.replace("int(sys.argv[1])", "0");
    play_answering(&elsewhere, "", &[], |session| {
        session.start_server().expect("started");
        assert_eq!(session.wait_until_listening().expect("waited"), Waited::Quiet);
        assert!(!session.is_aimed());
        let ports = session.server().ports().expect("a table");
        assert_eq!(ports.len(), 1);
        assert!(session.aim_at(ports[0]).expect("a table") && session.is_aimed());
    });
    play_answering("sys.exit(3)", "", &[], |session| {
        session.start_server().expect("started");
        assert_eq!(session.wait_until_listening().expect("waited"), Waited::Met);
        assert!(!session.is_aimed());
        assert_eq!(session.server().ending(), Some(Ending::Exited(3)));
    });
}

#[apply(test)]
fn after_an_interval_the_programs_are_gone_and_the_port_is_the_same() {
    play(&format!("{SHOWS_ALL}signal.pause()"), SENDS_LINES, |session| {
        let port = session.port();
        session.interval();
        assert!(session.server.is_none() && session.client.is_none());
        session.start_server().expect("started");
        assert_eq!(session.wait_until_listening().expect("waited"), Waited::Met);
        assert_eq!(session.server().ports().expect("a table"), [port]);
    });
}
