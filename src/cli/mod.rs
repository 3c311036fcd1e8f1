//! The command line: arguments and dispatch. The only module that uses both the pair and the harness.

mod check;
mod classroom;
mod client;
mod completions;
mod generate;
mod man;
mod misuse;
mod replay;
mod report;
mod review;
mod server;
mod standard_output;
mod values;

use std::io;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::error::Exit;
use crate::pair::{Client, Server};

/// A TCP message log: server and client, and the harness that replays sessions against any
/// implementation of them.
#[derive(Debug, Parser)]
#[command(name = "echolog", version, after_help = EXIT_STATUS, max_term_width = 80)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

// Deferred: only the command that is asked for is defined, which is a part of the time that a start takes.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Command {
    /// Serve one client: show its messages, and send the log back when it quits
    #[command(visible_aliases = ["serve", "listen"])]
    Server(server::ServerArgs),
    /// Connect to a server, send it messages, and show the log that comes back
    #[command(visible_alias = "connect")]
    Client(client::ClientArgs),
    /// Play fixtures with both programs, and compare their screens with the golden ones
    Replay(replay::ReplayArgs),
    /// Type a session and make a fixture of it
    Record(replay::RecordArgs),
    /// Judge any implementation of the assignment, requirement by requirement
    Check(check::CheckArgs),
    /// Render stored results again, put parts together, or compare two runs
    Report(report::ReportArgs),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
    /// Write man pages, an autograder for Gradescope, or a workflow for GitHub
    Generate(generate::GenerateArgs),
}

const EXIT_STATUS: &str = "\
Exit status:
  0  done, and everything agrees
  1  it failed, or something disagrees
  2  the command line was wrong, or nothing could be run";

/// What stands behind the options of a command: `help`, and the exit status.
fn after_options(help: &str) -> String {
    format!("{help}\n\n{EXIT_STATUS}")
}

/// Returns the parser's error, or prints the help that was asked for.
fn print(message: &clap::Error) -> anyhow::Result<Exit> {
    use clap::error::ErrorKind;
    let is_help = matches!(
        message.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if !is_help {
        return Err(misuse::fault(message).into());
    }
    match message.print() {
        _ if message.use_stderr() => Ok(Exit::Usage),
        // `--help | head` has read all that it wants.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write the help")
        }
        _ => Ok(Exit::Done),
    }
}

/// Runs what the command line asks for.
pub fn run() -> anyhow::Result<Exit> {
    standard_output::must_be_open()?;
    let asked = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(message) => return print(&message),
    };
    match asked {
        Command::Server(args) => Server::try_from(args)?.run()?,
        Command::Client(args) => Client::try_from(args)?.run()?,
        Command::Replay(args) => return args.run(),
        Command::Record(args) => return args.run(),
        Command::Check(args) => return args.run(),
        Command::Completions(args) => args.run(Cli::command())?,
        Command::Report(args) => return args.run(),
        Command::Generate(args) => args.run(Cli::command())?,
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn no_line_of_a_help_text_is_longer_than_80_columns() {
        let mut command = Cli::command();
        command.build();
        let subcommands: Vec<_> = command.get_subcommands().cloned().collect();
        for mut command in subcommands.into_iter().chain([command]) {
            // What is laid out by hand must not be wrapped by the parser.
            let laid_out = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let texts = [laid_out, command.render_help().to_string(), command.render_long_help().to_string()];
            for line in texts.iter().flat_map(|text| text.lines()) {
                assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            }
        }
    }

    #[apply(test)]
    fn a_command_is_described_alike_in_the_list_and_in_its_own_help() {
        let listed = Cli::command();
        let mut built = listed.clone();
        built.build();
        for command in listed.get_subcommands() {
            let own = built.find_subcommand(command.get_name()).expect("the same commands");
            assert_eq!(
                own.get_about().map(ToString::to_string),
                command.get_about().map(ToString::to_string)
            );
        }
    }
}
