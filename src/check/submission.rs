//! A submission: what is to be built and called, from its `echolog.toml`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::error::Fault;
use crate::run::command::{PROFILE, Template};

/// One implementation to judge.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What it is called in reports: its directory as the user wrote it, or what stands for it.
    pub name: String,
    /// The directory that is copied before anything is built or run in it; none for two bare commands.
    pub dir: Option<PathBuf>,
    /// A shell command that builds it, run once.
    pub build: Option<String>,
    /// How the server is called.
    pub server: Template,
    /// How the client is called.
    pub client: Template,
    /// What to type first at the server, in order.
    pub server_answers: Vec<Template>,
    /// What to type first at the client, in order.
    pub client_answers: Vec<Template>,
    /// The port that the server insists on.
    pub port: Option<u16>,
    /// The word that quits.
    pub quit: String,
    /// The arguments of `echolog check` that name this submission again.
    pub arguments: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Profile {
    build: Option<String>,
    server: String,
    client: String,
    #[serde(default)]
    server_answers: Vec<String>,
    #[serde(default)]
    client_answers: Vec<String>,
    port: Option<u16>,
    quit: Option<String>,
}

/// The word that quits, unless the configuration says otherwise.
const QUIT: &str = "quit";

impl Submission {
    /// The submission in `dir`, by its profile.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join(PROFILE);
        let text = fs::read_to_string(&path).map_err(|error| {
            let fault = Fault::usage(format!("cannot read {}", path.display()));
            let fault = if error.kind() == std::io::ErrorKind::NotFound {
                fault.hint(format!("echolog check --init {} writes a first draft of it", dir.display()))
            } else {
                fault
            };
            fault.because(error)
        })?;
        let profile: Profile = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            // The parser's own words may have several lines; the first says what is wrong.
            let why = error.message().lines().next().unwrap_or("not TOML").to_string();
            Fault::usage(format!("{}, line {line}: {why}", path.display()))
        })?;
        let name = dir.display().to_string();
        let arguments = quoted(&name);
        Self::new(name, &profile.server, &profile.client)
            .map(|bare| Submission {
                dir: Some(dir.to_path_buf()),
                build: profile.build,
                port: profile.port,
                quit: profile.quit.unwrap_or_else(|| QUIT.to_string()),
                arguments,
                ..bare
            })
            .and_then(|bare| bare.answering(&profile.server_answers, &profile.client_answers))
            .with_context(|| path.display().to_string())
    }

    /// The pair of this package: the executable at `echolog`, twice.
    pub fn own(echolog: &Path) -> Result<Self> {
        Ok(Submission {
            name: "echolog".to_string(),
            dir: None,
            build: None,
            server: Template::call(echolog, &["server", "{port}"])?,
            client: Template::call(echolog, &["client", "{host}", "{port}"])?,
            server_answers: Vec::new(),
            client_answers: Vec::new(),
            port: None,
            quit: QUIT.to_string(),
            arguments: String::new(),
        })
    }

    /// Two bare commands. They run in an empty directory; files that they name from here are found all the
    /// same.
    pub fn bare(
        server: &str,
        client: &str,
        server_answers: &[String],
        client_answers: &[String],
    ) -> Result<Self> {
        let mut arguments = format!("--server {} --client {}", quoted(server), quoted(client));
        for answer in server_answers {
            arguments += &format!(" --server-answer {}", quoted(answer));
        }
        for answer in client_answers {
            arguments += &format!(" --client-answer {}", quoted(answer));
        }
        let bare = Self::new(format!("{server} / {client}"), &from_here(server)?, &from_here(client)?)?;
        Submission { arguments, ..bare }.answering(server_answers, client_answers)
    }

    fn new(name: String, server: &str, client: &str) -> Result<Self> {
        Ok(Submission {
            name,
            dir: None,
            build: None,
            server: Template::command(server).context("server")?,
            client: Template::command(client).context("client")?,
            server_answers: Vec::new(),
            client_answers: Vec::new(),
            port: None,
            quit: QUIT.to_string(),
            arguments: String::new(),
        })
    }

    fn answering(self, server: &[String], client: &[String]) -> Result<Self> {
        let lines = |answers: &[String]| {
            answers.iter().map(|answer| Template::line(answer)).collect::<Result<Vec<_>>>()
        };
        Ok(Submission {
            server_answers: lines(server).context("server-answers")?,
            client_answers: lines(client).context("client-answers")?,
            ..self
        })
    }
}

/// `command` with every file that it names from the current directory named from the root.
fn from_here(command: &str) -> Result<String> {
    let words = shlex::split(command)
        .ok_or_else(|| Fault::usage(format!("a quote is left open in the command: {command}")))?;
    let here = std::env::current_dir().context("there is no current directory")?;
    let words = words.into_iter().enumerate().map(|(at, word)| {
        // The first word without a slash is looked for in PATH, as in a shell.
        let is_file = (at > 0 || word.contains('/')) && !word.is_empty() && here.join(&word).exists();
        if is_file { here.join(&word).to_string_lossy().into_owned() } else { word }
    });
    Ok(words.map(|word| quoted(&word)).collect::<Vec<_>>().join(" "))
}

/// `text` as a shell takes it for one word.
fn quoted(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| text.to_string(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_that_is_wrong_is_a_usage_fault_that_names_its_line() {
        for (text, says) in [
            ("server = \"a\"\nclient = \"b\"\nserverr = 1\n", "line 3: unknown field `serverr`"),
            ("server = \"a\"\n", "missing field `client`"),
            ("server = \"a\"\nclient = [\n", "line 2"),
            ("server = \"a {prot}\"\nclient = \"b\"\n", "unknown placeholder {prot}"),
            ("server = \"a\"\nclient = \"\"\n", "the command is empty"),
            ("server = \"a\"\nclient = \"b\"\nport = 70000\n", "line 3"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(PROFILE), text).unwrap();
            let error = Submission::load(dir.path()).expect_err(text);
            let words = crate::error::words(&error);
            assert!(words.contains(says) && words.lines().count() <= 2, "{words}");
            assert_eq!(crate::error::exit(&error), crate::error::Exit::Usage, "{text}");
        }
    }
}
