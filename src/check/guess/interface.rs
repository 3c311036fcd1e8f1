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
    /// What it is to find in its environment, as `NAME=value`.
    pub environment: Option<String>,
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
        if !takes(&told, Kind::Port)
            && let Some(name) = texts().find_map(environment)
        {
            interface.environment = Some(format!("{name}={{port}}"));
            told.push(Kind::Port);
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

/// The variable of the environment in which `source` looks for the port.
fn environment(source: &Source) -> Option<String> {
    let read = r#"(?:environ(?:\.get\(|\[)|[gG]etenv\(|GetEnvironmentVariable\(|process\.env\.|ENV(?:\.fetch\(|\[)|\$ENV\{|env::var\()\s*["']?(\w*PORT\w*)"#;
    Some(pattern(read).captures(&source.text)?[1].to_owned())
}
