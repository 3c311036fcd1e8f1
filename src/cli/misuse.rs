//! Mistakes on the command line, in the style of all other errors: `error: …` and `hint: …`.

use crate::error::Fault;

/// The error that the parser's `message` describes.
pub fn fault(message: &clap::Error) -> Fault {
    let message = message.render().to_string();
    let mut paragraphs = message.split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let words: Vec<&str> = first.strip_prefix("error: ").unwrap_or(first).split_whitespace().collect();
    let lines: Vec<&str> = paragraphs.flat_map(str::lines).map(str::trim).collect();
    let tips: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("tip: ")).collect();
    let usage = lines.iter().find_map(|line| line.strip_prefix("Usage: ")).unwrap_or("echolog <COMMAND>");
    let command: Vec<&str> = usage.split(' ').take_while(|word| !word.starts_with(['[', '<', '-'])).collect();
    let hint = if tips.is_empty() { format!("usage: {usage}") } else { tips.join("; ") };
    Fault::usage(words.join(" ")).hint(format!("{hint} (see {} --help)", command.join(" ")))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Cli;
    use crate::error;

    fn told(args: &[&str]) -> String {
        let message = Cli::try_parse_from([&["echolog"], args].concat()).unwrap_err();
        error::words(&super::fault(&message).into())
    }

    #[apply(test)]
    fn a_mistake_is_one_line_and_the_hint_another() {
        assert_eq!(
            told(&["server", "1", "2"]),
            "error: unexpected argument '2' found\n\
             hint: usage: echolog server [OPTIONS] [PORT] (see echolog server --help)\n"
        );
        assert_eq!(
            told(&["client", "--sript", "file"]),
            "error: unexpected argument '--sript' found\n\
             hint: a similar argument exists: '--script' (see echolog client --help)\n"
        );
        assert_eq!(
            told(&["server", "--max-log", "lots"]),
            "error: invalid value 'lots' for '--max-log <BYTES>': a number of bytes, like 4096, 64K or 1M, is needed\n\
             hint: usage: echolog <COMMAND> (see echolog --help)\n"
        );
    }
}
