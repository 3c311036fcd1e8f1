//! How one program wants to be called: which arguments it takes, what it asks for at the keyboard, which port
//! is built into it.
//!
//! Nothing is made up: what cannot be told apart is a doubt, and the program then has no call.

use super::arguments::arguments;
use super::kind::{Kind, Role};
use super::ports::ports;
use super::questions::questions;
use super::sources::{Source, pattern};

/// How a program wants to be called.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// The arguments, as they stand in a command.
    pub arguments: Vec<String>,
    /// What it is to find in its environment, each as `NAME=value`.
    pub environment: Vec<String>,
    /// What to type at its questions.
    pub answers: Vec<String>,
    /// Whether it can be told a port.
    pub takes_port: bool,
    /// Whether it can be told a host.
    pub takes_host: bool,
    /// The ports that stand in it.
    pub ports: Vec<u16>,
}

impl Interface {
    /// The interface of a `role` whose program is `source`, with what else belongs to it in `parts`. An error
    /// is why it cannot be told. `mode` is the argument that makes a program one of the two, if it is
    /// both, and the one that makes it the other.
    pub fn of(
        role: Role,
        source: &Source,
        parts: &[&Source],
        mode: Option<(&str, &str)>,
    ) -> Result<Interface, String> {
        let branch = mode.map(|(own, other)| source.branch(own, other));
        let source = branch.as_ref().unwrap_or(source);
        let mode = mode.map(|(own, _)| own);
        let texts = || std::iter::once(source).chain(parts.iter().copied());
        let mut interface =
            Interface { arguments: mode.into_iter().map(str::to_owned).collect(), ..Interface::default() };
        for part in texts() {
            interface.ports.extend(ports(part));
        }
        interface.ports.sort_unstable();
        interface.ports.dedup();
        let mut told = Vec::new();
        for part in texts() {
            let arguments = arguments(part, role, mode)?;
            if !arguments.is_empty() {
                for (option, kind) in arguments {
                    told.push(kind);
                    interface.arguments.extend(option);
                    interface.arguments.push(kind.text(role).to_owned());
                }
                break;
            }
        }
        let takes = |told: &[Kind], kind: Kind| told.contains(&kind) || told.contains(&Kind::Both);
        for (name, kind) in texts().flat_map(environment) {
            if !takes(&told, kind) {
                told.push(kind);
                interface.environment.push(format!("{name}={}", kind.text(role)));
            }
        }
        for part in texts() {
            for kind in questions(part)? {
                let is_new = match kind {
                    Kind::Both => !takes(&told, Kind::Host) && !takes(&told, Kind::Port),
                    kind => !takes(&told, kind),
                };
                if is_new {
                    told.push(kind);
                    interface.answers.push(kind.text(role).to_owned());
                }
            }
        }
        interface.takes_port = takes(&told, Kind::Port);
        interface.takes_host = takes(&told, Kind::Host);
        Ok(interface)
    }
}

/// The variables of the environment in which `source` looks for an address or a port, in the order in which it does.
fn environment(source: &Source) -> Vec<(String, Kind)> {
    let one = r#"(?:environ(?:\.get\(|\[)|[gG]etenv\(|GetEnvironmentVariable\(|process\.env\.|ENV(?:\.fetch\(|\[)|\$ENV\{|env::var\()\s*["']?(\w+)"#;
    let several = r"@ENV\{([^}]+)\}|\{([^{}]+)\}\s*=\s*process\.env\b";
    let variables = pattern(&format!("{one}|{several}"));
    let texts =
        variables.captures_iter(&source.text).filter_map(|found| found.iter().skip(1).flatten().next());
    let mut found = Vec::new();
    for text in texts {
        for name in pattern(r"\b[A-Z][A-Z0-9_]*\b").find_iter(text.as_str()) {
            let kind = Kind::of(name.as_str()).filter(|kind| matches!(kind, Kind::Host | Kind::Port));
            // How the machine is called that the program runs on is no address of a server.
            if let Some(kind) = kind.filter(|_| name.as_str() != "HOSTNAME") {
                found.push((name.as_str().to_owned(), kind));
            }
        }
    }
    found
}
