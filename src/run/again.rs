//! A command that repeats something, to be pasted into a shell. All of them are put together here.

use std::env;
use std::ffi::OsString;
use std::fmt;

/// This program as the user called it, a command of it, and what that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again(Vec<String>);

impl Again {
    /// `command` of this program, with nothing else said.
    pub fn new(command: &str) -> Again {
        let called = env::args_os().next().unwrap_or_else(|| OsString::from("echolog"));
        Again(vec![called.to_string_lossy().into_owned(), command.to_owned()])
    }

    /// The same with an option, if there is a value for it.
    #[must_use]
    pub fn option(mut self, name: &str, value: Option<impl Into<String>>) -> Again {
        self.0.extend(value.into_iter().flat_map(|value| [name.to_owned(), value.into()]));
        self
    }

    /// The same with an option for each of `values`.
    #[must_use]
    pub fn options(self, name: &str, values: &[String]) -> Again {
        values.iter().fold(self, |again, value| again.option(name, Some(value)))
    }

    /// The same with more words.
    #[must_use]
    pub fn and<'a>(mut self, words: impl IntoIterator<Item = &'a str>) -> Again {
        self.0.extend(words.into_iter().map(str::to_owned));
        self
    }
}

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = || self.0.iter().map(String::as_str);
        match shlex::try_join(words()) {
            Ok(line) => f.write_str(&line),
            // A zero byte, which no shell can pass on.
            Err(_) => f.write_str(&self.0.join(" ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn words_are_quoted_for_a_shell() {
        let again = Again::new("check").option("--server", Some("a {port}")).option("--port", None::<String>);
        let line = again.options("--answer", &["it's".into()]).and(["--only", "R1"]).to_string();
        assert!(line.ends_with(r#" check --server 'a {port}' --answer "it's" --only R1"#), "{line}");
    }
}
