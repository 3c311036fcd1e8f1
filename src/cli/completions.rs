//! `echolog completions`: a shell's completions, made from the definition of the command line.

use std::io::{self, Write as _};

use anyhow::Context as _;
use clap::{Args, Command};
use clap_complete::Shell;

const HELP: &str = "\
Examples:
  echolog completions bash > ~/.local/share/bash-completion/completions/echolog
  echolog completions zsh > ~/.zfunc/_echolog      (a directory in $fpath)
  echolog completions fish > ~/.config/fish/completions/echolog.fish";

#[derive(Debug, Args)]
#[command(after_help = super::after_options(HELP))]
pub struct CompletionsArgs {
    /// Shell to complete for
    shell: Shell,
}

impl CompletionsArgs {
    /// Prints the completions for `command`, the whole command line.
    pub fn run(&self, mut command: Command) -> anyhow::Result<()> {
        // In one write: the generator itself panics when its output is closed.
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut command, "echolog", &mut text);
        io::stdout().write_all(&text).context("cannot write the completions")
    }
}
