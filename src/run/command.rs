//! How a program under test is called: its command line and what is typed at it first, both with holes
//! that a session fills in.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Fault;
use crate::run::computer::Computer;

/// The file in which a submission says how its programs are built and called.
pub const PROFILE: &str = "echolog.toml";

/// What a template leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// `{host}`: the address a client is to connect to.
    Host,
    /// `{port}`: the port to listen on, or to connect to.
    Port,
    /// `{script}`: the path of the file with the messages, one a line.
    Script,
}

impl Placeholder {
    const ALL: [Placeholder; 3] = [Placeholder::Host, Placeholder::Port, Placeholder::Script];

    fn name(self) -> &'static str {
        match self {
            Placeholder::Host => "{host}",
            Placeholder::Port => "{port}",
            Placeholder::Script => "{script}",
        }
    }
}

/// What the placeholders stand for in one session. One that is `None` is left as it is written.
#[derive(Clone, Debug, Default)]
pub struct Values {
    /// For `{host}`.
    pub host: Option<String>,
    /// For `{port}`.
    pub port: Option<u16>,
    /// For `{script}`.
    pub script: Option<PathBuf>,
}

/// A command line, or a line to type, with placeholders in it.
///
/// `{host}`, `{port}` and `{script}` are filled in; `{{host}` stands for the text `{host}`; any other
/// lower-case word in braces is an error; all other braces, and a shell's `${name}`, are left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    words: Vec<Vec<Part>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(OsString),
    Hole(Placeholder),
}

impl Template {
    /// A command line, split into words as a shell splits them (quotes and backslashes; nothing else of
    /// a shell). A usage fault when it is empty, a quote is left open, or a placeholder is unknown.
    pub fn command(text: &str) -> anyhow::Result<Template> {
        let words = shlex::split(text)
            .ok_or_else(|| Fault::usage(format!("a quote is left open in the command: {text}")))?;
        if words.is_empty() {
            return Err(Fault::usage("the command is empty").into());
        }
        let words = words.iter().map(|word| parts(word)).collect::<anyhow::Result<_>>()?;
        Ok(Template { text: text.to_owned(), words })
    }

    /// One line to type, taken as it is but for its placeholders.
    pub fn line(text: &str) -> anyhow::Result<Template> {
        Ok(Template { text: text.to_owned(), words: vec![parts(text)?] })
    }

    /// A command that calls the executable `program` with `arguments`, in which placeholders count.
    pub fn call(program: &Path, arguments: &[&str]) -> anyhow::Result<Template> {
        let name = program.to_string_lossy();
        let mut text = shlex::try_quote(&name)
            .map_err(|_| Fault::usage(format!("a path cannot be quoted: {name}")))?
            .into_owned();
        let mut words = vec![vec![Part::Text(program.as_os_str().to_owned())]];
        for argument in arguments {
            text = format!("{text} {argument}");
            words.push(parts(argument)?);
        }
        Ok(Template { text, words })
    }

    /// The same with `text` in the place of every `{port}`.
    #[must_use]
    pub fn with_port_text(&self, text: &str) -> Template {
        let put = |part: &Part| match part {
            Part::Hole(Placeholder::Port) => Part::Text(text.into()),
            other => other.clone(),
        };
        let words = self.words.iter().map(|word| word.iter().map(put).collect()).collect();
        Template { text: self.text.replace(Placeholder::Port.name(), text), words }
    }

    /// Whether `placeholder` occurs in it.
    pub fn mentions(&self, placeholder: Placeholder) -> bool {
        self.words.iter().flatten().any(|part| *part == Part::Hole(placeholder))
    }

    /// Its words, with `values` filled in.
    pub fn fill(&self, values: &Values) -> Vec<OsString> {
        self.words.iter().map(|word| fill(word, values)).collect()
    }
}

impl fmt::Display for Template {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parts(word: &str) -> anyhow::Result<Vec<Part>> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = word;
    while let Some(character) = rest.chars().next() {
        // A shell's ${name} is no placeholder.
        let name = if text.ends_with('$') { None } else { braced(rest) };
        if let Some(name) = rest.strip_prefix('{').and_then(braced) {
            text += name;
            rest = &rest[1 + name.len()..];
        } else if let Some(name) = name {
            let Some(hole) = Placeholder::ALL.into_iter().find(|known| known.name() == name) else {
                return Err(Fault::usage(format!("unknown placeholder {name}"))
                    .hint(format!(
                        "{{host}}, {{port}} and {{script}} are filled in; write {{{name} for the text itself"
                    ))
                    .into());
            };
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text).into()));
            }
            parts.push(Part::Hole(hole));
            rest = &rest[name.len()..];
        } else {
            text.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
    if !text.is_empty() || parts.is_empty() {
        parts.push(Part::Text(text.into()));
    }
    Ok(parts)
}

/// The `{word}` that `text` begins with.
fn braced(text: &str) -> Option<&str> {
    let end = text.find('}')?;
    let word = text.strip_prefix('{')?.get(..end - 1)?;
    (!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
        .then(|| &text[..=end])
}

fn fill(word: &[Part], values: &Values) -> OsString {
    let mut filled = OsString::new();
    for part in word {
        match part {
            Part::Text(text) => filled.push(text),
            Part::Hole(hole) => match (hole, values) {
                (Placeholder::Host, Values { host: Some(host), .. }) => filled.push(host),
                (Placeholder::Port, Values { port: Some(port), .. }) => filled.push(port.to_string()),
                (Placeholder::Script, Values { script: Some(script), .. }) => filled.push(script),
                (hole, _) => filled.push(hole.name()),
            },
        }
    }
    filled
}

/// A program under test.
#[derive(Clone, Debug)]
pub struct Spec {
    /// How it is called.
    pub command: Template,
    /// Lines to type first, in order, for a program that asks at the keyboard.
    pub answers: Vec<Template>,
    /// Where it runs; the harness's own directory when not given.
    pub dir: Option<PathBuf>,
    /// Added to its environment.
    pub env: Vec<(OsString, OsString)>,
    /// How it is known to be ready (of a server; a client's is never asked).
    pub ready: Ready,
    /// The computer it runs on; this one when not given.
    pub computer: Option<Arc<Computer>>,
}

impl Spec {
    /// Whether it runs on a computer of its own.
    pub fn is_isolated(&self) -> bool {
        self.computer.as_ref().is_some_and(|computer| computer.is_isolated())
    }
}

/// How a server is known to be ready. Never by a sleep, and never by a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// By a whole line of its screen that begins so.
    Line(String),
    /// By the kernel's table of listening sockets.
    Listening,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &Template) -> Vec<String> {
        let values = Values {
            host: Some("127.0.0.1".into()),
            port: Some(12345),
            script: Some("/a b/messages.txt".into()),
        };
        template.fill(&values).into_iter().map(|word| word.into_string().expect("UTF-8")).collect()
    }

    #[apply(test)]
    fn a_command_is_split_as_a_shell_does_and_its_placeholders_are_filled_in() {
        let template = Template::command("python3 'my client.py' {host}:{port} {script}").expect("parses");
        assert_eq!(filled(&template), ["python3", "my client.py", "127.0.0.1:12345", "/a b/messages.txt"]);
        assert!(template.mentions(Placeholder::Script));
        assert_eq!(template.to_string(), "python3 'my client.py' {host}:{port} {script}");
    }

    #[apply(test)]
    fn braces_that_hold_no_placeholder_are_left_alone() {
        let template =
            Template::command(r"sh -c 'f() { echo ${x} {1..3} {{port} {} {; }; f'").expect("parses");
        assert_eq!(filled(&template), ["sh", "-c", "f() { echo ${x} {1..3} {port} {} {; }; f"]);
    }

    #[apply(test)]
    fn an_unknown_placeholder_an_open_quote_and_an_empty_command_are_usage_faults() {
        for text in ["server {prot}", "server 'x", "", "  "] {
            let error = Template::command(text).expect_err(text);
            assert_eq!(crate::error::exit(&error), crate::error::Exit::Usage, "{text}");
        }
    }

    #[apply(test)]
    fn a_line_to_type_is_not_split() {
        assert_eq!(filled(&Template::line("{host} it's").expect("parses")), ["127.0.0.1 it's"]);
        assert_eq!(filled(&Template::line("").expect("parses")), [""]);
    }
}
