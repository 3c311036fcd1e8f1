//! `echolog generate`: files that are installed beside the binary, or where a class lives.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Command, ValueEnum};

use super::{classroom, man};
use crate::error::Fault;

const HELP: &str = "\
Examples:
  echolog generate man ~/.local/share/man/man1
  echolog generate gradescope autograder   then pack autograder/* as a zip file
  echolog generate github class-template";

#[derive(Debug, Args)]
#[command(after_help = super::after_options(HELP))]
pub struct GenerateArgs {
    /// What to make
    what: What,

    /// Where to put it; the directory is made if it does not exist
    directory: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// A man page for the program and for each of its commands
    Man,
    /// An autograder for Gradescope: pack what is in the directory into a zip file, and upload that
    Gradescope,
    /// A workflow for the GitHub repository that students of a class start from
    Github,
}

impl GenerateArgs {
    /// Writes the files for `command`, the whole command line.
    pub fn run(&self, command: Command) -> anyhow::Result<()> {
        let directory = &self.directory;
        let made = fs::create_dir_all(directory).and_then(|()| match self.what {
            What::Man => {
                let mut pages = man::pages(command).into_iter();
                pages.try_for_each(|(name, page)| fs::write(directory.join(name), page))
            }
            What::Gradescope => classroom::gradescope(directory),
            What::Github => classroom::github(directory),
        });
        let failed = |error| Fault::new(format!("cannot write to {}", directory.display())).because(error);
        Ok(made.map_err(failed)?)
    }
}
