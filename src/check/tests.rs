//! Small pairs with one flaw each, and what is found and said of them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::id::Id;
use super::rounds;
use super::setup::Setup;
use super::submission::Submission;
use crate::common::harness::needs;
use crate::results::Outcome::{self, Crashed, Fail, Flooded, Hung, NotRun};
use crate::run::command::Template;
use crate::run::limits::Limits;

/// The sound pair of the corpus, with changes.
struct Pair {
    server: String,
    client: String,
}

impl Pair {
    fn sound() -> Pair {
        Pair {
            server: include_str!("../../fixtures/submissions/sound-newline/server.py").to_string(),
            client: include_str!("../../fixtures/submissions/sound-newline/client.py").to_string(),
        }
    }

    #[track_caller]
    fn server(mut self, was: &str, becomes: &str) -> Pair {
        assert!(self.server.contains(was), "{was}");
        self.server = self.server.replacen(was, becomes, 1);
        self
    }

    #[track_caller]
    fn client(mut self, was: &str, becomes: &str) -> Pair {
        assert!(self.client.contains(was), "{was}");
        self.client = self.client.replacen(was, becomes, 1);
        self
    }

    /// Finds that all requirements are met.
    #[track_caller]
    fn is_sound(&self) {
        assert_eq!(self.judged(|_| true), [""; 0]);
    }

    /// Finds these requirements unmet, with this verdict and with these words as what happened.
    #[track_caller]
    fn is_found_to(&self, expected: &[(&str, Outcome, &str)]) {
        let found = self.judged(|id| expected.iter().any(|(wanted, ..)| id.to_string() == *wanted));
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (line, (id, outcome, happened)) in found.iter().zip(expected) {
            let is_it = line.starts_with(&format!("{id} {outcome:?} ")) && line.contains(happened);
            assert!(is_it, "{found:#?}");
        }
    }

    /// Judges those that are `wanted`: a line for each that is not met, with its verdict and what happened.
    fn judged(&self, wanted: impl Fn(Id) -> bool + Sync) -> Vec<String> {
        needs(&["python3"]);
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("server.py"), &self.server).expect("written");
        fs::write(dir.path().join("client.py"), &self.client).expect("written");
        let command = |text: &str| Template::command(text).expect("a command");
        let submission = Submission {
            dir: Some(dir.path().to_owned()),
            server: command("python3 -u server.py {port}"),
            client: command("python3 -u client.py {host} {port}"),
            ..Submission::own(Path::new("echolog")).expect("commands")
        };
        let limits = Limits::default();
        let setup = Setup::open(&submission, &limits, Duration::from_secs(10), false).expect("copied");
        let round = rounds::play(&setup, &wanted, &|| ()).expect("played");
        let unmet = round.rulings.into_iter().filter(|(_, ruling, _)| !ruling.passes());
        unmet.map(|(id, ruling, _)| format!("{id} {:?} {}", ruling.outcome, ruling.happened)).collect()
    }
}

/// What the server of the sound pair does to get a message, and to send its log.
const RECEIVES: &str = "            line = stream.readline()\n";
const LOG: &str = "\"\".join(f\"{message}\\n\" for message in log)";

#[apply(test)]
fn a_sound_pair_meets_all_also_where_the_client_waits_for_an_answer_to_each_message() {
    Pair::sound().is_sound();
    Pair::sound()
        .server("print(\"Got:\", message)", "print(\"Got:\", message)\n            client.sendall(b\"ok\")")
        .client("print(\"Sent:\", message)", "print(\"Sent:\", message, server.recv(2))")
        .is_sound();
}

#[apply(test)]
fn what_a_server_takes_for_a_message_is_told_from_what_was_sent() {
    let glued = "the server shows \"biposa gisobi\" and \"tedupa piveku\" as one message";
    let not_sent = "the server does not show \"mubano nevesu kavabe\" as it was sent";
    Pair::sound().server(RECEIVES, "            line = client.recv(65536)\n").is_found_to(&[
        ("R1", Fail, glued),
        ("R2", Fail, not_sent),
        ("R6", NotRun, ""),
    ]);
    Pair::sound().client("message.encode() +", "message[:2000].encode() +").is_found_to(&[(
        "R3",
        Fail,
        "of a message of 5004 bytes that was typed the client sent the first 2000 in one piece",
    )]);
    Pair::sound().server("message = line[:-1].decode()", "message = line[:-1].decode()[:2000]").is_found_to(
        &[(
            "R3",
            Fail,
            "of a message of 5004 bytes the server shows the first 2000 in one piece; its screen ends: ",
        )],
    );
    Pair::sound().server("line[:-1].decode()", "line.decode('ascii', 'ignore')[:-1]").is_found_to(&[(
        "R6",
        Fail,
        "the server does not show \"grün жизнь ",
    )]);
}

#[apply(test)]
fn a_message_on_a_connection_of_its_own_is_named() {
    let elsewhere = "socket.create_connection(server.getpeername()).sendall(message.encode() + b\"\\n\")";
    Pair::sound().client("server.sendall(message.encode() + b\"\\n\")", elsewhere).is_found_to(&[(
        "C3",
        Fail,
        "\"dogego\" was sent on another connection than the first; ",
    )]);
}

#[apply(test)]
fn a_log_that_lacks_something_is_told_from_a_client_that_does_not_read_it() {
    let receives = "while chunk := server.recv(4096):\n            log += chunk";
    let lacks = "of a log of 1050 messages, the server sent all of it; the client lacks message ";
    Pair::sound().client(receives, "log = server.recv(4096)").is_found_to(&[("R4", Fail, lacks)]);
    let lacks = "of a log of 1050 messages, the log that the server sent lacks message 1; it printed: ";
    Pair::sound().server(LOG, &LOG.replace("in log", "in log[-100:]")).is_found_to(&[("R4", Fail, lacks)]);
    // What is long, or has letters of several bytes, is looked for in the log as well.
    let cut = "of a message of 5004 bytes the client's log shows the first 1000 in one piece; it ends: ";
    Pair::sound()
        .server("log.append(message)", "log.append(message[:1000])")
        .is_found_to(&[("R3", Fail, cut)]);
    let damaged = "the client's log does not show \"grün жизнь ";
    Pair::sound()
        .client(receives, &receives.replace("log += chunk", "log += chunk.decode(errors='ignore').encode()"))
        .is_found_to(&[("R6", Fail, damaged)]);
    let nothing = "the server sent no log; after the quit it printed: The log:";
    Pair::sound().server("stream.write(", "str(").is_found_to(&[
        ("S5", Fail, nothing),
        ("C5", NotRun, ""),
        ("R4", NotRun, ""),
        ("R14", NotRun, ""),
        ("R15", NotRun, ""),
    ]);
    let own = "the log reached the client with \"ebadip\" in the place of \"pidabe\", and the client showed \"pidabe\"; \
               it printed: The log: | ginive mamami | pidabe zaviru | gikava fofubi";
    Pair::sound()
        .client("    log = b\"\"\n", "    log = b\"\"\n    own = []\n")
        .client("print(\"Sent:\", message)", "print(\"Sent:\", message, own.append(message) or '')")
        .client("print(log.decode(), end=\"\")", "print(*own, sep=\"\\n\")")
        .is_found_to(&[("C5", Fail, own), ("R4", NotRun, ""), ("R14", NotRun, ""), ("R15", NotRun, "")]);
    // One that does it only where no log came.
    let own = "it shows a log though the connection ended without one; it printed: The log: | ";
    Pair::sound()
        .client("    log = b\"\"\n", "    log = b\"\"\n    own = []\n")
        .client("print(\"Sent:\", message)", "print(\"Sent:\", message, own.append(message) or '')")
        .client("print(log.decode(), end=\"\")", "print(log.decode() or \"\\n\".join(own))")
        .is_found_to(&[("C5", Fail, own), ("R4", NotRun, ""), ("R14", NotRun, ""), ("R15", NotRun, "")]);
}

#[apply(test)]
fn a_server_that_does_not_end_keeps_its_client() {
    Pair::sound().server("    stream.close()\n", "    import signal; signal.pause()\n").is_found_to(&[
        ("S5", Hung, "the server does not end; the server's screen ends: "),
        ("C5", Hung, "; and the server sent the whole log; after the quit it printed nothing"),
        ("R4", NotRun, ""),
        ("R14", NotRun, ""),
        ("R15", NotRun, ""),
    ]);
}

#[apply(test)]
fn messages_of_every_kind_come_through() {
    Pair::sound().server("line[:-1].decode()", "line.decode().strip()").is_found_to(&[(
        "R14",
        Fail,
        "\"  two  blanks   here  \" was typed, and the server shows: Got: two  blanks   here",
    )]);
    Pair::sound().server("log.append(message)", "log += [message] * (message not in log)").is_found_to(&[(
        "R14",
        Fail,
        "\"It's 5 o'clock (really), \"OK\"?!\" was typed 2 times and is in the log once; it printed: The log: | It's 5",
    )]);
    Pair::sound().server("log.append(message)", "log.append(message.replace('%', ''))").is_found_to(&[(
        "R14",
        Fail,
        "\"100% sure: %s %d %n C:\\new\\temp\" was typed once and is not in the log like that; it printed: ",
    )]);
    let ends = "            if '%' in message: sys.exit(5)\n            server.sendall";
    Pair::sound().client("            server.sendall", ends).is_found_to(&[(
        "R14",
        Fail,
        "%n C:\\new\\temp\" was typed, and the client ended; the client's screen ends: ",
    )]);
    Pair::sound().server("if message == \"quit\"", "if message in ('', 'quit')").is_found_to(&[(
        "R5",
        Fail,
        "the server ends after an empty line; the server's screen ends: ",
    )]);
    Pair::sound()
        .client(
            "            server.sendall",
            "            if not message: continue\n            server.sendall",
        )
        .is_sound();
    // A server that dies of it is not the cause.
    let raises = "            if not message: raise ValueError(message)\n            server.sendall";
    Pair::sound()
        .client("            server.sendall", raises)
        .server("fail(\"the client went away without a quit\")", "raise KeyError(line)")
        .is_found_to(&[
            ("R5", Crashed, "the client did not catch an error: ValueError"),
            ("R7", Crashed, "the server did not catch an error: KeyError: b''"),
        ]);
    let ends = "            if not message: sys.exit(3)\n            server.sendall";
    Pair::sound().client("            server.sendall", ends).is_found_to(&[(
        "R5",
        Fail,
        "the client ends after an empty line; ",
    )]);
    let ends = "        if not log: sys.exit(4)\n        stream.write(";
    Pair::sound().server("        stream.write(", ends).is_found_to(&[(
        "R15",
        Fail,
        "the server ended with status 4; the server's screen ends: ",
    )]);
}

#[apply(test)]
fn what_only_begins_like_a_quit_is_none() {
    Pair::sound().server("if message == \"quit\"", "if message.startswith(\"quit\")").is_found_to(&[(
        "S5",
        Fail,
        "the server took the message \"quitmupasi\" for a quit; ",
    )]);
    Pair::sound().client("if message == \"quit\"", "if message.startswith(\"quit\")").is_found_to(&[(
        "C4",
        Fail,
        "after \"quitmupasi\" it sends nothing more; the client's screen ends: Connected to ",
    )]);
    let leaves = "if message.startswith(\"quit\"):\n                server.shutdown(socket.SHUT_WR)";
    Pair::sound().client("if message == \"quit\":", leaves).is_found_to(&[(
        "C4",
        Fail,
        "after \"quitmupasi\" it ends the connection; the client's screen ends: Connected to ",
    )]);
}

#[apply(test)]
fn programs_whose_partner_is_gone_say_so_and_end() {
    let check = "            if not line.endswith(b\"\\n\"):\n                fail(\"the client went away without a quit\")\n";
    Pair::sound().server(check, "            if not line: import signal; signal.pause()\n").is_found_to(&[(
        "R7",
        Hung,
        "the server neither ends nor prints anything; the server's screen ends: ",
    )]);
    Pair::sound()
        .server(check, "            if not line: print('gone'); import signal; signal.pause()\n")
        .is_sound();
    Pair::sound().server(check, "            while not line: pass\n").is_found_to(&[(
        "R7",
        Hung,
        "the server neither ends nor waits, and keeps a processor busy; ",
    )]);
    let silent =
        "the client ended with status 1 and does not say that the server is gone; it printed: Sent: ";
    let fails = "fail(f\"lost the server: {error.strerror}\")";
    Pair::sound().client(fails, "sys.exit(1)").is_found_to(&[("R9", Fail, silent)]);
    // Of a log it says so, and not of the server.
    let unaware =
        "the client ended with status 0 and does not say that the server is gone; it printed: Sent: ";
    let sends = "            server.sendall(message.encode() + b\"\\n\")\n";
    let tries = sends.replace("server", "try: server") + "            except OSError: pass\n";
    Pair::sound()
        .client(sends, &tries)
        .client("print(log.decode(), end=\"\")", "print(log.decode() or \"(empty)\")")
        .is_found_to(&[("R9", Fail, unaware)]);
    let hangs = "(print(error.strerror), __import__('signal').pause())";
    Pair::sound().client(fails, hangs).is_found_to(&[(
        "R9",
        Hung,
        "the client does not end; the client's screen ends: ",
    )]);
    Pair::sound()
        .client("message = \"quit\"\n            server", "message = \"\"\n            server")
        .is_found_to(&[(
            "R16",
            Flooded,
            "the client prints or sends without end; the client's screen ends: ",
        )]);
}

#[apply(test)]
fn a_port_that_cannot_be_had_is_an_error_in_words() {
    let fails = "fail(f\"cannot use this port: {error.strerror}\")";
    Pair::sound().server(fails, "listener.bind((\"\", 0))").is_found_to(&[(
        "R10",
        Fail,
        " is in use, and the server listens on ",
    )]);
    Pair::sound().server(fails, "sys.exit(input(\"Another port: \") and 1)").is_found_to(&[(
        "R10",
        Crashed,
        "the server did not catch an error: EOFError",
    )]);
    let reuse = "    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n";
    Pair::sound().server(reuse, "").is_found_to(&[("R12", Fail, "it never listens on port ")]);
    Pair::sound()
        .server("not sys.argv[1].isdigit()", "False")
        .server("int(sys.argv[1])", "int('0' + sys.argv[1], 36) % 65536")
        .server("port = int", "port = int(sys.argv[1]) if sys.argv[1].isdigit() else int")
        .is_found_to(&[("R13", Fail, "the server was given port abc and listens on 13368; ")]);
}
