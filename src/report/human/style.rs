//! The look of text for people: colour, width, wrapping.
//!
//! What always holds: colour goes to terminals only, and never where `NO_COLOR` is set; text is wrapped
//! by the columns that it takes, to the width of the terminal, or to 80 columns where there is none.

use std::io::{self, IsTerminal as _};

use textwrap::WordSplitter;
use unicode_width::UnicodeWidthStr as _;

/// Columns where there is no terminal, and the most that running text takes at a wide one.
const COLUMNS: usize = 80;
const WIDEST: usize = 100;
/// The fewest columns that text is wrapped to; a narrower terminal wraps by itself.
const NARROWEST: usize = 40;

/// Colours, or none, and the width of the paper.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    colour: bool,
    columns: usize,
}

impl Style {
    /// For a file: no colour, 80 columns.
    pub const PLAIN: Style = Style { colour: false, columns: COLUMNS };

    /// For standard output.
    pub fn of_stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        let columns = if terminal { textwrap::termwidth().clamp(NARROWEST, WIDEST) } else { COLUMNS };
        Style { colour: terminal && wanted && !dumb, columns }
    }

    /// The columns that a line may take.
    pub fn columns(self) -> usize {
        self.columns
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    // Only colours that can be read on a light and on a dark background.
    /// `text` in bold.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// `text` in red: what is wrong.
    pub fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// `text` in green: what is right.
    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// `text` in cyan: what to type.
    pub fn cyan(self, text: &str) -> String {
        self.paint("36", text)
    }

    /// `text` behind `lead`, wrapped; the lines that follow are indented as far.
    pub fn wrapped(self, lead: &str, text: &str) -> String {
        let indent = " ".repeat(lead.width());
        let lines = wrap(text, self.columns.saturating_sub(lead.width()));
        let leads = std::iter::once(lead).chain(std::iter::repeat(indent.as_str()));
        lines.iter().zip(leads).fold(String::new(), |text, (line, lead)| text + lead + line + "\n")
    }
}

/// `text` in lines of at most `columns`, broken at blanks where there are any.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let options = textwrap::Options::new(columns.max(1)).word_splitter(WordSplitter::NoHyphenation);
    textwrap::wrap(text, options).into_iter().map(std::borrow::Cow::into_owned).collect()
}

/// `text`, filled up with blanks to `columns`.
pub fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

/// `text` with blanks up to the next stop for each tab.
pub fn with_blanks_for_tabs(text: &str) -> String {
    let mut out = String::new();
    for part in text.split_inclusive('\t') {
        out += part.trim_end_matches('\t');
        if part.ends_with('\t') {
            out += &" ".repeat(8 - out.width() % 8);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn lines_are_wrapped_by_columns_and_indented_below_their_lead() {
        let narrow = Style { colour: false, columns: 10 };
        assert_eq!(narrow.wrapped("a: ", "one two three"), "a: one two\n   three\n");
        assert_eq!(narrow.wrapped("", "日本語日本語"), "日本語日本\n語\n");
        assert_eq!(narrow.wrapped("a: ", ""), "a: \n");
    }

    #[apply(test)]
    fn a_mark_without_a_width_stays_with_its_letter() {
        assert_eq!(wrap("e\u{301}e\u{301}e\u{301}", 2), ["e\u{301}e\u{301}", "e\u{301}"]);
    }

    #[apply(test)]
    fn tabs_reach_to_the_next_stop() {
        assert_eq!(with_blanks_for_tabs("a\tb\t\tc"), "a       b               c");
        assert_eq!(with_blanks_for_tabs("12345678\tx"), "12345678        x");
    }

    #[apply(test)]
    fn text_in_a_plain_style_has_no_colour() {
        assert_eq!(Style::PLAIN.red("x") + &Style::PLAIN.bold("y"), "xy");
        assert_eq!(Style { colour: true, columns: 80 }.green("x"), "\x1b[32mx\x1b[0m");
    }
}
