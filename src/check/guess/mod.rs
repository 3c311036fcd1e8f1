//! A first draft of a submission's `echolog.toml`, guessed from the files that are there.
//!
//! The server is the program that listens, the client the one that only connects, whatever they are called.
//! What cannot be told from the sources is left open, and the guess says why: a command that looks right and
//! is wrong costs more than none.

mod arguments;
mod build;
mod draft;
mod interface;
mod kind;
mod languages;
mod ports;
mod questions;
mod sources;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use self::build::{Recipe, parts, recipe};
pub use self::draft::Guess;
use self::interface::Interface;
use self::kind::Role;
use self::sources::{Source, Sources, pattern};
use crate::error::Fault;
use crate::run::command::PROFILE;

/// Writes a commented profile into `dir`, guessed from the files there, and returns the guess. A profile that
/// is there already is left alone.
pub fn init(dir: &Path) -> Result<Guess> {
    let path = dir.join(PROFILE);
    if path.exists() {
        let there = Fault::usage(format!("{} is there already", path.display()));
        return Err(there.hint("edit it, or take it away for a new draft").into());
    }
    let guess = guess(dir)?;
    fs::write(&path, guess.draft()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(guess)
}

/// Guesses how the submission in `dir` is built and called. Nothing is written.
pub fn guess(dir: &Path) -> Result<Guess> {
    let is_installed = |tool: &str| {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).any(|folder| folder.join(tool).is_file())
    };
    let sources = sources::read(dir)?;
    Ok(Guesser { dir, sources: &sources, is_installed: &is_installed, guess: Guess::default() }.run())
}

/// `text` as a shell takes it for one word.
fn quoted(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| text.to_owned(), Into::into)
}

/// A guess that is being made.
struct Guesser<'a> {
    dir: &'a Path,
    sources: &'a Sources,
    is_installed: &'a dyn Fn(&str) -> bool,
    guess: Guess,
}

/// A program that can be started, with what belongs to it.
struct Program<'a> {
    source: &'a Source,
    parts: Vec<&'a Source>,
    listens: bool,
    connects: bool,
}

impl<'a> Guesser<'a> {
    fn run(mut self) -> Guess {
        let programs = self.programs();
        let server = self.choose(Role::Server, &programs, None);
        let client = self.choose(Role::Client, &programs, server).or_else(|| {
            // One program may be both, and be told which.
            let alone = server.filter(|server| server.connects && programs.len() == 1)?;
            modes(alone.source).map(|_| alone)
        });
        if programs.is_empty() {
            self.doubt(self.nothing_found());
        } else {
            for (role, program) in [("server", server), ("client", client)] {
                if program.is_none() && !self.guess.doubts.iter().any(|doubt| doubt.starts_with(role)) {
                    self.doubt(format!("{role}: {}", missing(role, &programs)));
                }
            }
        }
        let both = match (server, client) {
            (Some(server), Some(client)) if server.source.path == client.source.path => modes(server.source),
            _ => None,
        };
        if let Some((one, other)) = &both {
            self.doubt(format!(
                "one program is both server and client; its first argument is {one} or {other}"
            ));
        }
        let mut recipes: Vec<Recipe> = Vec::new();
        let mut interfaces = Vec::new();
        for (role, program) in [(Role::Server, server), (Role::Client, client)] {
            let Some(program) = program else {
                interfaces.push(None);
                continue;
            };
            let mode = both.as_ref().map(|(server, client)| match role {
                Role::Server => (server.as_str(), client.as_str()),
                Role::Client => (client.as_str(), server.as_str()),
            });
            let recipe = recipe(self.dir, program.source, &program.parts, self.sources);
            let interface = self.call(role, program, &recipe, mode);
            self.about(program, &recipe);
            recipes.push(recipe);
            interfaces.push(interface);
        }
        self.guess.build = together(&recipes);
        if let [Some(server), Some(client)] = &interfaces[..] {
            self.guess.port = self.port(server, client);
        }
        self.guess
    }

    fn doubt(&mut self, doubt: String) {
        if !self.guess.doubts.contains(&doubt) {
            self.guess.doubts.push(doubt);
        }
    }

    /// Everything that can be started and has to do with connections.
    fn programs(&self) -> Vec<Program<'a>> {
        let sources = &self.sources.sources;
        let is_test = |source: &Source| {
            let path = source.path.to_string_lossy().to_lowercase();
            pattern(r"(?:^|[/_.-])(?:tests?|spec|conftest|setup)(?:[/_.-]|$)").is_match(&path)
                || pattern(r"[a-z](?:Tests?|Spec)$").is_match(&source.stem())
        };
        let program = |source: &'a Source| {
            let parts = parts(source, self.sources);
            let all = || std::iter::once(source).chain(parts.iter().copied());
            let listens = all().any(Source::listens);
            let connects = all().any(Source::connects);
            Program { source, parts, listens, connects }
        };
        let programs: Vec<Program> = sources
            .iter()
            .filter(|source| source.is_program && !is_test(source))
            .map(program)
            .filter(|program| program.listens || program.connects)
            .collect();
        // What another one uses is a part of it, unless it does its work by itself.
        let is_part = |source: &Source| {
            source.language.main.is_none()
                && !source.text.contains("__main__")
                && programs.iter().any(|other| other.parts.iter().any(|part| part.path == source.path))
        };
        let kept: Vec<bool> = programs.iter().map(|program| !is_part(program.source)).collect();
        programs.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(program, _)| program).collect()
    }

    /// The program that has `role`, if there is one that is more likely than all others.
    fn choose<'b>(
        &mut self,
        role: Role,
        programs: &'b [Program<'a>],
        server: Option<&Program<'a>>,
    ) -> Option<&'b Program<'a>> {
        let called = |program: &Program, name: &str| {
            program.source.path.to_string_lossy().to_lowercase().contains(name)
        };
        let fits = |program: &&Program| match role {
            Role::Server => program.listens && (called(program, "serv") || !called(program, "client")),
            Role::Client => {
                // A part that both share may listen too; then the name decides.
                let is_server = server.is_some_and(|server| server.source.path == program.source.path);
                is_client(program) || (program.connects && !is_server && called(program, "client"))
            }
        };
        let mut fitting: Vec<&Program> = programs.iter().filter(fits).collect();
        let name = if role == Role::Server { "server" } else { "client" };
        let all: Vec<String> =
            fitting.iter().map(|program| program.source.path.display().to_string()).collect();
        // A client that stands beside the server, in its language, and is called so.
        if let Some(server) = server {
            narrow(&mut fitting, |program| program.source.language.name == server.source.language.name);
            narrow(&mut fitting, |program| program.source.folder() == server.source.folder());
        }
        narrow(&mut fitting, |program| {
            !pattern(r"(?i)old|copy|backup|bak|draft|example").is_match(&program.source.stem())
        });
        narrow(&mut fitting, |program| program.source.path.to_string_lossy().to_lowercase().contains(name));
        narrow(&mut fitting, |program| program.source.stem().to_lowercase().contains(name));
        narrow(&mut fitting, |program| program.source.stem().eq_ignore_ascii_case(name));
        match fitting[..] {
            [] => None,
            [program] => {
                if all.len() > 1 {
                    let path = program.source.path.display();
                    self.doubt(format!("{name}: {path} was chosen among {}", all.join(", ")));
                }
                Some(program)
            }
            _ => {
                self.doubt(format!("{name}: could be any of {}", all.join(", ")));
                None
            }
        }
    }

    /// Puts the call of `program` into the guess, and returns its interface.
    fn call(
        &mut self,
        role: Role,
        program: &Program,
        recipe: &Recipe,
        mode: Option<(&str, &str)>,
    ) -> Option<Interface> {
        let name = if role == Role::Server { "server" } else { "client" };
        let interface = match Interface::of(role, program.source, &program.parts, mode) {
            Ok(interface) => interface,
            Err(why) => {
                self.doubt(format!("{name}: {}: {why}", program.source.path.display()));
                return None;
            }
        };
        if !interface.takes_port && interface.ports.is_empty() {
            self.doubt(format!(
                "{name}: {} takes no port, asks for no port and contains no port number",
                program.source.path.display()
            ));
            return None;
        }
        let env = (!interface.environment.is_empty()).then(|| "env".to_owned());
        let words = env.iter().chain(&interface.environment).chain([&recipe.run]).chain(&interface.arguments);
        let command = words.cloned().collect::<Vec<_>>().join(" ");
        let (to, answers) = match role {
            Role::Server => (&mut self.guess.server, &mut self.guess.server_answers),
            Role::Client => (&mut self.guess.client, &mut self.guess.client_answers),
        };
        *to = Some(command);
        answers.clone_from(&interface.answers);
        if role == Role::Client && !interface.takes_host {
            self.doubt(format!("client: {} takes no address: it is built in", program.source.path.display()));
        }
        Some(interface)
    }

    /// Says what may be wrong with how `program` is built and run.
    fn about(&mut self, program: &Program, recipe: &Recipe) {
        for doubt in &recipe.doubts {
            self.doubt(doubt.clone());
        }
        let missing: Vec<&str> =
            recipe.tools.iter().copied().filter(|tool| !(self.is_installed)(tool)).collect();
        if !missing.is_empty() {
            let language = program.source.language.name;
            self.doubt(format!("{language} is not installed here: {} is missing", missing.join(", ")));
        }
        if program.source.language.name == "Python"
            && pattern(r#"(?m)^\s*print\s+["'\w]|\braw_input\s*\("#).is_match(&program.source.text)
        {
            self.doubt(format!("{} is written for Python 2", program.source.path.display()));
        }
    }

    /// The port that is built in, where one of the two takes none.
    fn port(&mut self, server: &Interface, client: &Interface) -> Option<u16> {
        if server.takes_port && client.takes_port {
            return None;
        }
        let fixed = |interface: &Interface| (!interface.takes_port).then(|| interface.ports.clone());
        let common = match (fixed(server), fixed(client)) {
            (Some(one), Some(other)) => one.into_iter().filter(|port| other.contains(port)).collect(),
            (Some(ports), None) | (None, Some(ports)) => ports,
            (None, None) => Vec::new(),
        };
        match common[..] {
            [port] => {
                let of = match (server.takes_port, client.takes_port) {
                    (false, false) => "both programs",
                    (false, true) => "the server",
                    _ => "the client",
                };
                self.doubt(format!("port {port} is built into {of}"));
                Some(port)
            }
            [] => {
                self.doubt(format!(
                    "the programs cannot connect: the server's port is {}, the client's {}",
                    listed(&server.ports),
                    listed(&client.ports)
                ));
                None
            }
            _ => {
                self.doubt(format!("the port that is built in is one of {}", listed(&common)));
                None
            }
        }
    }

    /// Why there is no program at all.
    fn nothing_found(&self) -> String {
        let unknown = [
            "ts", "kt", "swift", "hs", "scala", "lua", "tcl", "ex", "erl", "clj", "dart", "zig", "pas", "vb",
            "jar", "class", "ipynb", "zip", "tar", "gz", "7z", "rar",
        ];
        let of_unknown = |path: &&PathBuf| {
            path.extension().is_some_and(|extension| unknown.iter().any(|known| extension == *known))
        };
        if let Some(path) = self.sources.others.iter().find(of_unknown) {
            return format!("files like {} are not supported", path.display());
        }
        if self.sources.sources.is_empty() {
            return "there is no source file in a known language".to_owned();
        }
        let datagram = pattern(r"SOCK_DGRAM|DatagramSocket|udp4|UDPSocket|UdpClient|UdpSocket|ListenUDP");
        match self.sources.sources.iter().find(|source| datagram.is_match(&source.text)) {
            Some(source) => format!("{} uses UDP, not TCP", source.path.display()),
            None => "no program here listens or connects".to_owned(),
        }
    }
}

fn is_client(program: &Program) -> bool {
    program.connects && !program.listens
}

/// Leaves in `programs` those that `are`, if any is.
fn narrow(programs: &mut Vec<&Program>, are: impl Fn(&Program) -> bool) {
    if programs.iter().any(|program| are(program)) {
        programs.retain(|program| are(program));
    }
}

fn missing(role: &str, programs: &[Program]) -> String {
    let paths: Vec<String> =
        programs.iter().map(|program| program.source.path.display().to_string()).collect();
    let does = if role == "server" { "listens for connections" } else { "only connects" };
    format!("no program {does}; found {}", paths.join(", "))
}

/// What a program that is both server and client is told to be the one or the other.
fn modes(source: &Source) -> Option<(String, String)> {
    let is_there =
        |word: &str| pattern(&format!(r#"["']{}["']"#, regex_lite::escape(word))).is_match(&source.text);
    let pairs = [
        ("server", "client"),
        ("--server", "--client"),
        ("-server", "-client"),
        ("-s", "-c"),
        ("listen", "connect"),
        ("serve", "connect"),
        ("host", "join"),
        ("s", "c"),
    ];
    let found = pairs.into_iter().find(|(one, other)| is_there(one) && is_there(other));
    found.map(|(one, other)| (one.to_owned(), other.to_owned()))
}

/// One build for all of `recipes`.
fn together(recipes: &[Recipe]) -> Option<String> {
    let mut builds: Vec<&str> = recipes.iter().filter_map(|recipe| recipe.build.as_deref()).collect();
    builds.dedup();
    (!builds.is_empty()).then(|| builds.join(" && "))
}

fn listed(ports: &[u16]) -> String {
    if ports.is_empty() {
        return "not known".to_owned();
    }
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests;
