//! One program under test: how it is called, what bounds it, what it showed, how it ended.

use std::ffi::OsString;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::fault::Fault;

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
}

/// How a server is known to be ready. Never by a sleep, and never by a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// By a whole line of its screen that begins so.
    Line(String),
    /// By the kernel's table of listening sockets.
    Listening,
}

/// What a program under test may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For a whole session, or for a program that runs alone.
    pub time: Duration,
    /// Bytes shown, stdout and stderr together.
    pub output: usize,
    /// Bytes of address space (`RLIMIT_AS`).
    pub address_space: Option<u64>,
    /// Time on a processor, rounded up to seconds (`RLIMIT_CPU`).
    pub cpu: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { time: Duration::from_secs(10), output: 16 << 20, address_space: None, cpu: None }
    }
}

/// How a program under test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this exit status.
    Exited(i32),
    /// By a signal that the harness did not send.
    Signalled(Signal),
    /// Not by itself: time was up. It was sent SIGTERM, then SIGHUP, then SIGKILL; the one named
    /// here ended it, so SIGKILL means that it ignored the other two.
    Hung(Signal),
    /// It showed more than it may, and was killed.
    Flooded,
    /// The harness was stopped (Ctrl-C), or had no more use for it, while it still ran.
    Stopped,
}

impl Ending {
    /// Whether it ended by itself with exit status 0.
    pub fn is_success(&self) -> bool {
        *self == Ending::Exited(0)
    }
}

/// Where a piece of a transcript was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Typed at the program, or fed to its standard input. A terminal shows it on the screen too.
    Typed,
    /// Its standard output, or all that its terminal showed.
    Screen,
    /// Its standard error, where that is kept apart.
    Errors,
}

/// A stretch of a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// When, from the start of the session.
    pub at: Duration,
    /// Where.
    pub stream: Stream,
    /// What.
    pub bytes: &'a [u8],
}

/// What a program showed and what was typed at it, to the byte, in the order in which it was seen.
///
/// Lines end as the program ended them: the terminal under it does not turn `\n` into `\r\n`.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    bytes: [Vec<u8>; 3],
    marks: Vec<(Duration, Stream, Range<usize>)>,
}

impl Transcript {
    /// All of its standard output, or all that its terminal showed.
    pub fn screen(&self) -> &[u8] {
        &self.bytes[Stream::Screen as usize]
    }

    /// All of its standard error, where that is kept apart.
    pub fn errors(&self) -> &[u8] {
        &self.bytes[Stream::Errors as usize]
    }

    /// All that was typed at it.
    pub fn typed(&self) -> &[u8] {
        &self.bytes[Stream::Typed as usize]
    }

    /// Everything, in time order.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        self.marks.iter().map(|(at, stream, range)| Piece {
            at: *at,
            stream: *stream,
            bytes: &self.bytes[*stream as usize][range.clone()],
        })
    }

    /// Adds what was seen `at` a time that is not before the last one.
    pub fn push(&mut self, at: Duration, stream: Stream, bytes: &[u8]) {
        let all = &mut self.bytes[stream as usize];
        let start = all.len();
        all.extend_from_slice(bytes);
        self.marks.push((at, stream, start..all.len()));
    }
}

/// A process that was left behind by a program under test, and then killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivor {
    /// Its process id.
    pub pid: i32,
    /// Its command line, as far as it could be read.
    pub command: String,
}

/// One program's part in a session, from its start to its end.
#[derive(Clone, Debug)]
pub struct Run {
    /// The words it was called with.
    pub command: Vec<OsString>,
    /// What it showed, and what was typed.
    pub transcript: Transcript,
    /// How it ended.
    pub ending: Ending,
    /// What it left running.
    pub survivors: Vec<Survivor>,
    /// When it was started, from the start of the session.
    pub started: Duration,
    /// When it had ended, from the start of the session.
    pub ended: Duration,
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

    #[test]
    fn a_command_is_split_as_a_shell_does_and_its_placeholders_are_filled_in() {
        let template = Template::command("python3 'my client.py' {host}:{port} {script}").expect("parses");
        assert_eq!(filled(&template), ["python3", "my client.py", "127.0.0.1:12345", "/a b/messages.txt"]);
        assert!(template.mentions(Placeholder::Script));
        assert_eq!(template.to_string(), "python3 'my client.py' {host}:{port} {script}");
    }

    #[test]
    fn braces_that_hold_no_placeholder_are_left_alone() {
        let template =
            Template::command(r"sh -c 'f() { echo ${x} {1..3} {{port} {} {; }; f'").expect("parses");
        assert_eq!(filled(&template), ["sh", "-c", "f() { echo ${x} {1..3} {port} {} {; }; f"]);
    }

    #[test]
    fn an_unknown_placeholder_an_open_quote_and_an_empty_command_are_usage_faults() {
        for text in ["server {prot}", "server 'x", "", "  "] {
            let error = Template::command(text).expect_err(text);
            assert_eq!(crate::fault::exit(&error), crate::fault::Exit::Usage, "{text}");
        }
    }

    #[test]
    fn a_line_to_type_is_not_split() {
        assert_eq!(filled(&Template::line("{host} it's").expect("parses")), ["127.0.0.1 it's"]);
        assert_eq!(filled(&Template::line("").expect("parses")), [""]);
    }
}
