//! What is installed beside the binary: man pages and shell completions, made from the same
//! definition of the command line that the binary parses with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;
use roff::{Roff, roman};

use crate::error::Fault;

#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// What to make
    what: What,

    /// Where to put it; made where it does not exist
    directory: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// A man page for the program and for each of its commands
    Man,
    /// Completions for bash, zsh and fish
    Completions,
}

impl GenerateArgs {
    /// Writes the files for `command`, the whole command line.
    pub fn run(&self, command: Command) -> anyhow::Result<()> {
        let made = fs::create_dir_all(&self.directory).and_then(|()| match self.what {
            What::Man => man_pages(command, &self.directory),
            What::Completions => completions(command, &self.directory),
        });
        Ok(made.map_err(|error| {
            Fault::new(format!("cannot write to {}", self.directory.display())).because(error)
        })?)
    }
}

fn man_pages(command: Command, directory: &Path) -> io::Result<()> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let pages = command.get_subcommands().filter(|command| !command.is_hide_set()).chain([&command]);
    for page in pages {
        // What stands behind the options in the help is laid out by hand and becomes sections of its
        // own; filled like running text, examples would not be readable.
        let extra = page.get_after_help().map(ToString::to_string).unwrap_or_default();
        let man =
            Man::new(page.clone()).source(concat!("echolog ", env!("CARGO_PKG_VERSION"))).manual("echolog");
        let mut text = Vec::new();
        man.render_title(&mut text)?;
        man.render_name_section(&mut text)?;
        man.render_synopsis_section(&mut text)?;
        man.render_description_section(&mut text)?;
        man.render_options_section(&mut text)?;
        if page.has_subcommands() {
            man.render_subcommands_section(&mut text)?;
        }
        text.extend(sections(&extra).to_roff().into_bytes());
        fs::write(directory.join(man.get_filename()), text)?;
    }
    Ok(())
}

/// The paragraphs behind the options of a help text as sections of a man page. One that begins with
/// a line that ends in a colon is named by it, and stays as it was laid out; the others are notes.
fn sections(extra: &str) -> Roff {
    let mut sections = Roff::new();
    let mut notes = Vec::new();
    for paragraph in extra.split("\n\n").map(str::trim_end).filter(|paragraph| !paragraph.is_empty()) {
        match paragraph.split_once(":\n") {
            Some((name, lines)) if !name.contains('\n') => {
                sections.control("SH", [name.to_uppercase().as_str()]).control("nf", []);
                for line in lines.lines() {
                    sections.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
                }
                sections.control("fi", []);
            }
            _ => notes.push(paragraph),
        }
    }
    for (at, note) in notes.into_iter().enumerate() {
        if at == 0 {
            sections.control("SH", ["NOTES"])
        } else {
            sections.control("PP", [])
        };
        sections.text([roman(note)]);
    }
    sections
}

fn completions(mut command: Command, directory: &Path) -> io::Result<()> {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command, "echolog", directory)?;
    }
    Ok(())
}
