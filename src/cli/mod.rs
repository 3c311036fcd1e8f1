//! The command line: arguments and dispatch. The only room that knows both wings.

mod check;
mod generate;
mod pair;
mod replay;

use std::io;

use anyhow::Context as _;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::error::Exit;
use crate::pair::{Client, Server};

/// A TCP message log: server and client, and the harness that replays sessions against any
/// implementation of them.
#[derive(Debug, Parser)]
#[command(name = "echolog", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve one client: show its messages, and send the log back when it quits
    Server(pair::ServerArgs),
    /// Connect to a server, send it messages, and show the log that comes back
    Client(pair::ClientArgs),
    /// Play fixtures with both programs, and compare their screens with the golden ones
    Replay(replay::ReplayArgs),
    /// Type a session and make a fixture of it
    Record(replay::RecordArgs),
    /// Judge any implementation of the assignment, requirement by requirement
    Check(check::CheckArgs),
    /// Write man pages or shell completions
    #[command(hide = true)]
    Generate(generate::GenerateArgs),
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done, and everything agrees
  1  it failed, or something disagrees
  2  the command line was wrong, or nothing could be run";

/// The whole command line; the exit codes stand in every help text.
fn command() -> clap::Command {
    Cli::command().mut_subcommands(|command| {
        let more = command.get_after_help().map_or(String::new(), |help| format!("{help}\n\n"));
        command.after_help(more + EXIT_CODES)
    })
}

/// Tells what the parser has to say: that the command line is wrong, or the help that was asked for.
fn told(message: &clap::Error) -> anyhow::Result<Exit> {
    match message.print() {
        _ if message.use_stderr() => Ok(Exit::Usage),
        // `--help | head` has seen what it wanted.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write the help")
        }
        _ => Ok(Exit::Done),
    }
}

/// Runs what the command line asks for.
pub fn run() -> anyhow::Result<Exit> {
    let cli = command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let asked = match cli {
        Ok(cli) => cli.command,
        Err(message) => return told(&message),
    };
    match asked {
        Command::Server(args) => Server::from(args).run()?,
        Command::Client(args) => Client::from(args).run()?,
        Command::Replay(args) => return args.run(),
        Command::Record(args) => return args.run(),
        Command::Check(args) => return args.run(),
        Command::Generate(args) => args.run(command())?,
    }
    Ok(Exit::Done)
}
