//! `echolog generate`: files that are installed beside the binary.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Command, ValueEnum};

use super::man;
use crate::error::Fault;

#[derive(Debug, Args)]
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
}

impl GenerateArgs {
    /// Writes the files for `command`, the whole command line.
    pub fn run(&self, command: Command) -> anyhow::Result<()> {
        let GenerateArgs { what: What::Man, directory } = self;
        let write = || {
            fs::create_dir_all(directory)?;
            man::pages(command).into_iter().try_for_each(|(name, page)| fs::write(directory.join(name), page))
        };
        Ok(write()
            .map_err(|error| Fault::new(format!("cannot write to {}", directory.display())).because(error))?)
    }
}
