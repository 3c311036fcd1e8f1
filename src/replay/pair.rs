//! The two programs under test: which they are, and how each drive calls them.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::drive::Drive;
use crate::results::Role;
use crate::run::command::{Ready, Spec, Template};
use crate::run::program::Errors;

/// The programs under test, as the command line names them; echolog's own where it does not.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    /// The server's command.
    pub server: Option<String>,
    /// The client's command.
    pub client: Option<String>,
    /// What to type at the server first.
    pub server_answers: Vec<String>,
    /// What to type at the client first.
    pub client_answers: Vec<String>,
    /// The port, for programs that insist on one.
    pub port: Option<u16>,
}

impl Programs {
    /// Whether this program is echolog's own.
    pub(super) fn is_own(&self, who: Role) -> bool {
        match who {
            Role::Server => self.server.is_none(),
            Role::Client => self.client.is_none(),
        }
    }

    /// The pair as `drive` needs it, with `echolog` for what is not named.
    pub(super) fn pair(&self, echolog: &Path, drive: Drive) -> Result<Pair> {
        let mut pair = Pair::own(echolog, drive)?;
        let lines = |answers: &[String]| -> Result<Vec<Template>> {
            answers.iter().map(|answer| Template::line(answer)).collect()
        };
        let replace = |spec: &mut Spec, command: Option<&String>, option| -> Result<()> {
            if let Some(command) = command {
                spec.command = Template::command(command).context(option)?;
                spec.ready = Ready::Listening;
            }
            Ok(())
        };
        replace(&mut pair.server, self.server.as_ref(), "--server")?;
        replace(&mut pair.client, self.client.as_ref(), "--client")?;
        // A program that asks at a terminal may write the question to either.
        if !self.server_answers.is_empty() {
            pair.server_errors = Errors::Terminal;
        }
        if self.client.is_some() {
            pair.client_errors = Errors::Terminal;
        }
        pair.port = self.port;
        pair.server.answers = lines(&self.server_answers).context("--server-answer")?;
        pair.client.answers = lines(&self.client_answers).context("--client-answer")?;
        Ok(pair)
    }
}

/// The two programs under test.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The server.
    pub server: Spec,
    /// The client.
    pub client: Spec,
    /// Where the server's standard error goes.
    pub server_errors: Errors,
    /// Where the client's standard error goes when its output goes to a terminal; else it is kept apart.
    /// Some languages (Python) write the question there when they ask at a terminal, so of a program
    /// that is not known better a screen is complete only with both.
    pub client_errors: Errors,
    /// The port, for programs that insist on one.
    pub port: Option<u16>,
}

impl Pair {
    /// echolog's own pair: the executable at `echolog`, twice, called as `drive` needs it.
    pub fn own(echolog: &Path, drive: Drive) -> anyhow::Result<Pair> {
        let spec = |arguments: &[&str], ready| {
            anyhow::Ok(Spec {
                command: Template::call(echolog, arguments)?,
                answers: Vec::new(),
                dir: None,
                env: Vec::new(),
                ready,
                computer: None,
            })
        };
        let client: &[&str] = match drive {
            Drive::Script => &["client", "{host}", "{port}", "--script", "{script}"],
            Drive::Pipe | Drive::Terminal => &["client", "{host}", "{port}"],
        };
        Ok(Pair {
            server: spec(&["server", "{port}"], Ready::Line("server is using port: ".to_owned()))?,
            client: spec(client, Ready::Listening)?,
            server_errors: Errors::Apart,
            client_errors: Errors::Apart,
            port: None,
        })
    }
}
