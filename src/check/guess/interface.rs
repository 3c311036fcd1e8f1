//! How one program wants to be called: which arguments it takes, what it asks for at the keyboard, which port
//! is built into it.
//!
//! Nothing is made up: what cannot be told apart is a doubt, and the program then has no call.

use super::arguments::arguments;
use super::questions::questions;
use super::sources::{Source, pattern};

/// What an argument or an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The address of the server.
    Host,
    Port,
    /// Both in one word, with a colon between.
    Both,
    /// The name of a person.
    Name,
}

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

/// Which of the two programs it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Server,
    Client,
}

impl Kind {
    /// What `words` speak of: a question, a name of a variable.
    pub fn of(words: &str) -> Option<Kind> {
        let words = words.to_lowercase();
        if pattern(r"(?:host|ip|addr\w*)\s?:\s?port").is_match(&words) {
            return Some(Kind::Both);
        }
        let other = pattern(r"import|support|report|export|transport|opportun|portal|importante");
        let words = other.replace_all(&words, "").into_owned();
        if pattern(r"port|puerto|porta\b").is_match(&words) {
            // A question for both at once is answered in no known way.
            return (!pattern(r"(?:address|host|ip)\w* (?:and|&|und|et|y) (?:the )?port").is_match(&words))
                .then_some(Kind::Port);
        }
        if pattern(r"host|addr|adress|direcci|indirizz|server|srv|remote|machine|computer|(?:^|[^a-z])ip(?:[^a-z]|$)|ip(?:v4|str|$)|^ip|[a-z]ip\b")
            .is_match(&words)
        {
            return Some(Kind::Host);
        }
        pattern(r"name|nick|user|alias|login").is_match(&words).then_some(Kind::Name)
    }

    fn text(self, role: Role) -> &'static str {
        match (self, role) {
            // What a server is told is where it listens: everywhere.
            (Kind::Host, Role::Server) => "0.0.0.0",
            (Kind::Both, Role::Server) => "0.0.0.0:{port}",
            (Kind::Host, Role::Client) => "{host}",
            (Kind::Both, Role::Client) => "{host}:{port}",
            (Kind::Port, _) => "{port}",
            (Kind::Name, _) => "ada",
        }
    }
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

/// The ports that stand in `source` as numbers, above those that only the superuser can listen on.
pub fn ports(source: &Source) -> Vec<u16> {
    const NAMED: &str =
        r#"(?i)([\w$]*port\w*)["']?\s*(?::\s*\w+\s*)?(?:=>|:=|=|:|\s|\{|\()\s*["']?(\d{4,5})\b"#;
    const CALLS: &str = r"(?:\bbind|\blisten|ServerSocket|TcpListener|TCPServer|tcp_server|create_server|start_server|create_listen|\bconnect|create_connection|open_connection|\bSocket|TcpClient|TCPSocket|createConnection|fsockopen|\.Connect|htons|\bnc|/dev/tcp/|(?:[sS]erver|[cC]lient)\w*(?:\.new)?\s*\()[^;\n]*";
    const ALONE: &str = r"(?:^|[^\d.\w])(\d{4,5})(?:[^\d.\w]|$)";
    const AFTER_A_COLON: &str = r#":(\d{4,5})["'`]"#;
    let mut found: Vec<String> = Vec::new();
    for name in pattern(NAMED).captures_iter(&source.text) {
        let is_limit = pattern(r"(?i)min|max|low|high|first|last").is_match(&name[1]);
        found.extend((!is_limit).then(|| name[2].to_owned()));
    }
    let alone = pattern(ALONE);
    for call in pattern(CALLS).find_iter(&source.text) {
        found.extend(alone.captures_iter(call.as_str()).map(|number| number[1].to_owned()));
    }
    found.extend(pattern(AFTER_A_COLON).captures_iter(&source.text).map(|number| number[1].to_owned()));
    // Limits that a port is compared with, and sizes of buffers.
    let no_ports = [1024, 2048, 4096, 8192, 65535];
    let mut ports: Vec<u16> = found.iter().filter_map(|number| number.parse().ok()).collect();
    ports.retain(|port| *port > 1024 && !no_ports.contains(port));
    ports.sort_unstable();
    ports.dedup();
    ports
}
