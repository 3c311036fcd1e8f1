//! The pictures in README.md are made from real output, and are up to date.
//!
//! `make pictures` (`PICTURES=1 cargo test pictures`) makes them anew.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::network::{self, Network, at};
use crate::common::{DEADLINE, ECHOLOG, Running, Server, Terminal, needs};
use regex::Regex;
use rexpect::process::WaitStatus;

/// Compares the picture of `screen`, text with colours, with the stored one; or stores it.
#[track_caller]
fn is_up_to_date(name: &str, screen: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github").join(name);
    let picture = anstyle_svg::Term::new().render_svg(screen);
    if std::env::var_os("PICTURES").is_some() {
        std::fs::write(&path, picture).expect("the picture can be written");
        return;
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == picture, "{} is stale; `make pictures` makes it anew from\n{screen}", path.display());
}

const BOLD: &str = "\u{1b}[1m";
const DIM: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

#[apply(test)]
fn the_picture_of_a_session_is_up_to_date() {
    needs(&network::TOOLS);
    let computers = Network::ipv4();
    let mut server = at(computers.server());
    server.args([ECHOLOG, "server", "12345"]).stdin(Stdio::null());
    let server = Server::starting(&mut server);
    let mut client = at(computers.client());
    client.args([ECHOLOG, "client", "192.168.1.3", "12345"]).stdin(Stdio::piped());
    let client = Running::start(&mut client);
    for message in ["hello", "and again"] {
        client.types(format!("{message}\n"));
        server.shows(&format!("\"{message}\"\n"));
    }
    client.types("quit\n");
    let (client, server) = (client.ends().out, server.ends().out);

    let prompt = "enter a message to send to server: ";
    let mut left = vec![format!("{DIM}192.168.1.3{PLAIN}"), format!("{BOLD}$ echolog server 12345{PLAIN}")];
    left.extend(server.lines().map(ToOwned::to_owned));
    let mut right =
        vec![format!("{DIM}192.168.1.4{PLAIN}"), format!("{BOLD}$ echolog client 192.168.1.3 12345{PLAIN}")];
    right.extend(client.lines().map(|line| match line.strip_prefix(prompt) {
        Some(typed) => format!("{prompt}{BOLD}{typed}{PLAIN}"),
        None => line.to_owned(),
    }));
    let colours = Regex::new("\u{1b}\\[[0-9]m").expect("a pattern");
    let width = |text: &str| colours.replace_all(text, "").chars().count();
    let column = left.iter().map(|line| width(line)).max().expect("there are lines");
    left.resize(left.len().max(right.len()), String::new());
    right.resize(left.len(), String::new());
    let row = |(left, right): (&String, &String)| {
        format!("{left}{} {DIM}│{PLAIN} {right}", " ".repeat(column - width(left)))
    };
    let rows: Vec<String> = left.iter().zip(&right).map(row).collect();
    let screen = format!("{}\n", rows.join("\n"));
    is_up_to_date("session.svg", &screen);
}

#[apply(test)]
fn the_picture_of_a_check_report_is_up_to_date() {
    needs(&["python3"]);
    let place = tempfile::tempdir().expect("a directory");
    let submission = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/submissions/own-copy-for-a-log");
    let copied = Command::new("cp").args(["-r", submission]).arg(place.path().join("ada")).status();
    assert!(copied.expect("cp can be run").success());
    // Called by its name, as a user does; the progress bar does not belong into the picture.
    let own = Path::new(ECHOLOG).parent().expect("it is in a directory").display();
    let mut command = Command::new("sh");
    command.args(["-c", "cd \"$1\" && PATH=$2:$PATH exec echolog check ada 2>/dev/null", "sh"]);
    command.arg(place.path()).arg(own.to_string()).env("TERM", "xterm-256color").env_remove("NO_COLOR");
    let (screen, status) = Terminal::starting_within(6 * DEADLINE, &command).ends();
    assert!(matches!(status, WaitStatus::Exited(_, 1)), "{status:?}\n{screen}");
    let times = Regex::new(r"\b[0-9]+\.[0-9]+ s\b").expect("a pattern");
    let screen = times.replace_all(&screen, "4.0 s");
    is_up_to_date("check.svg", &format!("{BOLD}$ echolog check ada{PLAIN}\n{screen}"));
}
