//! Man pages, made from the definition of the command line that the binary parses with.
//!
//! What holds: what stands behind the options in a help text becomes sections of its page, in the same order;
//! a paragraph whose first line ends in a colon is named by that line, and indented lines keep their line breaks.

use clap::{Arg, ArgAction, Command};
use roff::{Inline, Roff, bold, italic, roman};

/// When this version was released; a test compares it with the list of changes in README.md.
const RELEASED: &str = "2026-11-25";

/// A blank at which no line is broken.
const TIE: &str = "\u{a0}";

/// Environment variables, and the commands that read them.
const ENVIRONMENT: &[(&str, &[&str], &str)] = &[
    (
        "TMPDIR",
        &["echolog-server", "echolog-replay", "echolog-record", "echolog-check"],
        "Directory for temporary files; /tmp if it is not set. The server keeps there what does not fit into \
         memory; the others keep the working directories of the programs that they run there.",
    ),
    (
        "TERM",
        &["echolog-client", "echolog-replay", "echolog-record", "echolog-check"],
        "Type of the terminal. With dumb there is no line editor and no colour.",
    ),
    (
        "NO_COLOR",
        &["echolog-replay", "echolog-record", "echolog-check"],
        "If it is set and not empty, the output has no colour.",
    ),
];

/// Files, and the commands that read or write them.
const FILES: &[(&str, &[&str], &str)] = &[
    ("messages.txt", &["echolog-replay", "echolog-record"], "In a fixture: the input, one message a line."),
    (
        "server.golden, client.golden",
        &["echolog-replay", "echolog-record"],
        "In a fixture: the expected standard output of each program.",
    ),
    (
        "echolog.toml",
        &["echolog-check"],
        "In a submission: how its programs are built and started. Without it, check guesses the commands.",
    ),
];

/// The file name and the text of each page of `command`.
pub fn pages(command: Command) -> Vec<(String, String)> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    let pages: Vec<&Command> = [&command].into_iter().chain(shown).collect();
    let names: Vec<&str> = pages.iter().map(|page| name(page)).collect();
    pages.iter().map(|page| (format!("{}.1", name(page)), text(page, &names))).collect()
}

fn name(page: &Command) -> &str {
    page.get_display_name().unwrap_or_else(|| page.get_name())
}

fn text(page: &Command, names: &[&str]) -> String {
    let name = name(page);
    let version = concat!("echolog ", env!("CARGO_PKG_VERSION"));
    let about = page.get_about().map(ToString::to_string).unwrap_or_default();
    let mut roff = Roff::new();
    roff.control("TH", [&*name.to_uppercase(), "1", RELEASED, version, "echolog manual"]);
    // Neither words nor options are broken, and no blanks added.
    roff.control("nh", []).control("ad", ["l"]);
    roff.control("SH", ["NAME"]).text([roman(format!("{name} - {about}"))]);
    roff.control("SH", ["SYNOPSIS"]).text(synopsis(page));
    roff.control("SH", ["DESCRIPTION"]).text([roman(format!("{about}."))]);
    arguments(&mut roff, "ARGUMENTS", page.get_positionals());
    arguments(&mut roff, "OPTIONS", page.get_opts().chain(flags(page)));
    if page.has_subcommands() {
        roff.control("SH", ["COMMANDS"]);
        for command in page.get_subcommands().filter(|command| !command.is_hide_set()) {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            roff.control("TP", []).text([bold(command.get_name())]).text([roman(about)]);
        }
    }
    let extra = page.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (exit_status, others) = paragraphs(&extra);
    for (heading, lines) in others {
        section(&mut roff, heading, &lines);
    }
    definitions(&mut roff, "ENVIRONMENT", name, ENVIRONMENT);
    definitions(&mut roff, "FILES", name, FILES);
    if let Some(lines) = exit_status {
        section(&mut roff, "Exit status", &lines);
    }
    let others: Vec<String> =
        names.iter().filter(|&&other| other != name).map(|other| format!("{other}(1)")).collect();
    roff.control("SH", ["SEE ALSO"]).text([roman(others.join(", "))]);
    roff.to_roff().replace(TIE, "\\ ")
}

/// The whole command line: positional arguments first, then every option with its value.
fn synopsis(page: &Command) -> Vec<Inline> {
    let mut line = vec![bold(page.get_bin_name().unwrap_or_else(|| page.get_name()))];
    if page.has_subcommands() {
        line.extend([roman(" "), italic("COMMAND"), roman(" ["), italic("ARGUMENT"), roman("]...")]);
        return line;
    }
    let options = page.get_opts().chain(flags(page));
    for argument in page.get_positionals().chain(options).filter(|argument| is_shown(argument)) {
        if ["help", "version"].contains(&argument.get_id().as_str()) {
            continue;
        }
        let (open, close) = if argument.is_required_set() { ("", "") } else { ("[", "]") };
        line.push(roman(format!(" {open}")));
        line.extend(header(argument));
        line.push(roman(close));
        if matches!(argument.get_action(), ArgAction::Append) {
            line.push(roman("..."));
        }
    }
    line
}

fn flags(page: &Command) -> impl Iterator<Item = &Arg> {
    page.get_arguments().filter(|argument| {
        !argument.is_positional() && !argument.get_num_args().is_some_and(|values| values.takes_values())
    })
}

fn is_shown(argument: &Arg) -> bool {
    !argument.is_hide_set()
}

/// An argument as it is typed: `PATH`, `--jobs N`, `-h, --help`.
fn header(argument: &Arg) -> Vec<Inline> {
    let mut names = Vec::new();
    if let Some(short) = argument.get_short() {
        names.push(bold(format!("-{short}")));
    }
    if let Some(long) = argument.get_long() {
        if !names.is_empty() {
            names.push(roman(format!(",{TIE}")));
        }
        names.push(bold(format!("--{long}")));
    }
    if argument.is_positional() || argument.get_num_args().is_some_and(|values| values.takes_values()) {
        let id = argument.get_id().as_str();
        let value = argument.get_value_names().map_or(id.to_uppercase(), |values| values.join(" "));
        if !names.is_empty() {
            names.push(roman(TIE));
        }
        names.push(italic(value));
    }
    names
}

fn arguments<'a>(roff: &mut Roff, heading: &str, arguments: impl Iterator<Item = &'a Arg>) {
    let shown: Vec<&Arg> = arguments.filter(|argument| is_shown(argument)).collect();
    if shown.is_empty() {
        return;
    }
    roff.control("SH", [heading]);
    for argument in shown {
        roff.control("TP", []).text(header(argument));
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let default: Vec<_> =
            argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let takes_values = argument.get_num_args().is_some_and(|values| values.takes_values());
        if !takes_values {
            roff.text([roman(help)]);
            continue;
        }
        let default =
            if default.is_empty() { String::new() } else { format!(" [default: {}]", default.join(", ")) };
        roff.text([roman(help + &default)]);
        let values = argument.get_possible_values();
        let values: Vec<_> = values.iter().filter(|value| !value.is_hide_set()).collect();
        if !values.is_empty() {
            roff.control("RS", []);
            for value in values {
                let help = value.get_help().map(ToString::to_string).unwrap_or_default();
                roff.control("TP", ["10"]).text([bold(value.get_name())]).text([roman(help)]);
            }
            roff.control("RE", []);
        }
    }
}

type Paragraph<'a> = (&'a str, Vec<&'a str>);

/// The paragraphs behind the options of a help text, each with its heading: the exit status, and the others.
/// Those without a heading are notes.
fn paragraphs(extra: &str) -> (Option<Vec<&str>>, Vec<Paragraph<'_>>) {
    let (mut exit_status, mut others) = (None, Vec::<Paragraph>::new());
    for paragraph in extra.split("\n\n").map(str::trim_end).filter(|paragraph| !paragraph.is_empty()) {
        let (heading, lines) = match paragraph.split_once('\n') {
            Some((first, rest)) if first.ends_with(':') => (first.trim_end_matches(':'), rest),
            _ => ("Notes", paragraph),
        };
        let lines = lines.lines().collect();
        if heading == "Exit status" {
            exit_status = Some(lines);
        } else {
            others.push((heading, lines));
        }
    }
    (exit_status, others)
}

/// A section. Indented lines stay as they are: filled like running text, examples could not be read.
fn section(roff: &mut Roff, heading: &str, lines: &[&str]) {
    roff.control("SH", [heading.to_uppercase().as_str()]);
    for lines in lines.chunk_by(|line, next| line.starts_with("  ") == next.starts_with("  ")) {
        let laid_out = lines[0].starts_with("  ");
        roff.control(if laid_out { "nf" } else { "fi" }, []);
        for line in lines {
            roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
    }
    roff.control("fi", []);
}

fn definitions(roff: &mut Roff, heading: &str, name: &str, table: &[(&str, &[&str], &str)]) {
    let here: Vec<_> = table.iter().filter(|(_, pages, _)| pages.contains(&name)).collect();
    if !here.is_empty() {
        roff.control("SH", [heading]);
        for (term, _, text) in here {
            roff.control("TP", []).text([bold(*term)]).text([roman(*text)]);
        }
    }
}
