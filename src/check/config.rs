//! The configuration files: `echolog.toml` of a submission, and what it has in common with a course's.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use anyhow::Result;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::untrusted;
use crate::error::Fault;

/// How a submission is built and called. Every entry is optional: what is missing is the course's, or is
/// guessed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// A shell command that builds it.
    pub build: Option<String>,
    /// How the server is called.
    pub server: Option<String>,
    /// How the client is called.
    pub client: Option<String>,
    /// What to type first at the server.
    pub server_answers: Option<Vec<String>>,
    /// What to type first at the client.
    pub client_answers: Option<Vec<String>>,
    /// The port that the server insists on.
    pub port: Option<u16>,
    /// The word that quits.
    pub quit: Option<String>,
    /// Added to the environment of both programs and of the build.
    pub environment: Option<BTreeMap<String, String>>,
}

impl Config {
    /// These entries where they are there, those of `base` elsewhere. What is typed at a program belongs
    /// to its command: answers come from `base` only where the command does.
    #[must_use]
    pub fn over(self, base: &Config) -> Config {
        let answers = |own: Option<Vec<String>>, command: &Option<String>, base: &Option<Vec<String>>| {
            own.or_else(|| command.is_none().then(|| base.clone()).flatten())
        };
        Config {
            build: self.build.or_else(|| base.build.clone()),
            server_answers: answers(self.server_answers, &self.server, &base.server_answers),
            client_answers: answers(self.client_answers, &self.client, &base.client_answers),
            server: self.server.or_else(|| base.server.clone()),
            client: self.client.or_else(|| base.client.clone()),
            port: self.port.or(base.port),
            quit: self.quit.or_else(|| base.quit.clone()),
            // Variable by variable.
            environment: match (self.environment, &base.environment) {
                (Some(own), Some(base)) => Some(base.clone().into_iter().chain(own).collect()),
                (own, base) => own.or_else(|| base.clone()),
            },
        }
    }
}

/// The file at `path`; none if there is no such file. An error names the line that is wrong.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    parse(path, fs::read_to_string(path))
}

/// The same of a file in a submission.
pub fn read_untrusted<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    parse(path, untrusted::text(path))
}

fn parse<T: DeserializeOwned>(path: &Path, text: io::Result<String>) -> Result<Option<T>> {
    let text = match text {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Fault::usage(format!("cannot read {}", path.display())).because(error).into());
        }
    };
    toml::from_str(&text).map(Some).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        // The parser's own words may have several lines; the first says what is wrong.
        let why = error.message().lines().next().unwrap_or("not TOML");
        Fault::usage(format!("{}, line {line}: {why}", path.display())).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn answers_belong_to_the_command_that_they_are_typed_at() {
        let some = |text: &str| Some(text.to_owned());
        let variables = |all: &[(&str, &str)]| {
            Some(all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        let base = Config {
            build: some("make"),
            server: some("a"),
            client: some("b"),
            server_answers: Some(vec!["{port}".into()]),
            client_answers: Some(vec!["{host}".into()]),
            port: Some(1),
            quit: some("exit"),
            environment: variables(&[("A", "1"), ("B", "1")]),
        };
        assert_eq!(Config::default().over(&base), base);
        let own = Config {
            server: some("c {port}"),
            port: Some(2),
            environment: variables(&[("B", "2")]),
            ..Config::default()
        };
        let wanted = Config {
            server: some("c {port}"),
            server_answers: None,
            port: Some(2),
            environment: variables(&[("A", "1"), ("B", "2")]),
            ..base.clone()
        };
        assert_eq!(own.over(&base), wanted);
    }

    #[apply(test)]
    fn a_file_that_is_not_there_says_nothing_and_one_that_cannot_be_read_is_an_error() {
        let dir = tempfile::tempdir().expect("a directory");
        let nothing = read_untrusted::<Config>(&dir.path().join("nothing")).expect("no error");
        assert!(nothing.is_none());
        read_untrusted::<Config>(dir.path()).expect_err("it is a directory");
    }
}
