//! A first draft of a submission's `echolog.toml`, guessed from the files that are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::error::Fault;
use crate::run::command::PROFILE;

/// A draft of a profile.
#[derive(Debug, Default)]
struct Draft {
    build: Option<String>,
    server: Option<Call>,
    client: Option<Call>,
}

#[derive(Debug)]
struct Call {
    command: String,
    answers: Vec<&'static str>,
}

/// `text` as a shell takes it for one word.
fn quoted(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| text.to_string(), Into::into)
}

/// Writes a commented profile into `dir`, guessed from the files there, and returns what it could not
/// guess. A profile that is there already is left alone.
pub fn init(dir: &Path) -> Result<Vec<&'static str>> {
    let path = dir.join(PROFILE);
    if path.exists() {
        let there = Fault::usage(format!("{} is there already", path.display()));
        return Err(there.hint("edit it, or take it away for a new draft").into());
    }
    let draft = guess(dir)?;
    fs::write(&path, draft.text()).with_context(|| format!("cannot write {}", path.display()))?;
    let missing = [("server", draft.server.is_none()), ("client", draft.client.is_none())];
    Ok(missing.into_iter().filter(|(_, missing)| *missing).map(|(name, _)| name).collect())
}

impl Draft {
    fn text(&self) -> String {
        // A string is written alike in JSON and in TOML.
        let toml = |text: &str| serde_json::Value::from(text).to_string();
        let mut text = String::from("# How echolog check is to build and call this submission.\n\n");
        text += "# A shell command, run once in a copy of this directory.\n";
        match &self.build {
            Some(build) => text += &format!("build = {}\n", toml(build)),
            None => text += "# build = \"make\"\n",
        }
        text += "\n# The two programs. {host} and {port} are filled in; no shell is involved.\n";
        for (name, call, example) in
            [("server", &self.server, "./server {port}"), ("client", &self.client, "./client {host} {port}")]
        {
            match call {
                Some(call) => text += &format!("{name} = {}\n", toml(&call.command)),
                None => {
                    text += &format!("{name} = {} # NOT FOUND: put the right command here\n", toml(example));
                }
            }
        }
        text += "\n# What to type first, for programs that ask at the keyboard, in the order in which they ask.\n";
        for (name, call, example) in [
            ("server-answers", &self.server, r#"["{port}"]"#),
            ("client-answers", &self.client, r#"["{host}", "{port}"]"#),
        ] {
            match call {
                Some(Call { answers, .. }) if !answers.is_empty() => {
                    let answers: Vec<String> = answers.iter().map(|answer| toml(answer)).collect();
                    text += &format!("{name} = [{}]\n", answers.join(", "));
                }
                _ => text += &format!("# {name} = {example}\n"),
            }
        }
        text += "\n# The port, if the server insists on one.\n# port = 12345\n";
        text
    }
}

/// A way of calling programs of one language.
struct Language {
    extensions: &'static [&'static str],
    /// Words that stand in a source that takes arguments.
    arguments: &'static [&'static str],
    /// Words that stand in a line that asks at the keyboard.
    asking: &'static [&'static str],
}

const LANGUAGES: [Language; 6] = [
    Language { extensions: &["py"], arguments: &["sys.argv", "argparse", "click"], asking: &["input("] },
    Language { extensions: &["java"], arguments: &["args[", "args.length"], asking: &["print(", "println("] },
    Language {
        extensions: &["c", "cpp", "cc", "cxx"],
        arguments: &["argv["],
        asking: &["printf(", "puts(", "cout"],
    },
    Language { extensions: &["rs"], arguments: &["env::args", "clap"], asking: &["print!(", "println!("] },
    Language { extensions: &["js", "mjs"], arguments: &["process.argv"], asking: &["question("] },
    Language { extensions: &["sh", "bash"], arguments: &["$1"], asking: &["read ", "echo ", "printf "] },
];

fn guess(dir: &Path) -> Result<Draft> {
    let sources = sources(dir)?;
    let is_there = |name: &str| dir.join(name).is_file();
    let find = |role: &str| {
        // The shortest name that has the role in it: Server.java rather than ServerTest.java.
        let mut fitting: Vec<&PathBuf> = sources
            .iter()
            .filter(|path| {
                path.file_stem().is_some_and(|stem| stem.to_string_lossy().to_lowercase().contains(role))
            })
            .collect();
        fitting.sort_by_key(|path| (path.as_os_str().len(), path.as_os_str().to_owned()));
        fitting.first().map(|path| (*path).clone())
    };
    let (server, client) = (find("server"), find("client"));
    let mut builds: Vec<String> = Vec::new();
    let mut call = |source: &Option<PathBuf>, places: &[&'static str]| -> Result<Option<Call>> {
        let Some(source) = source else { return Ok(None) };
        let text = String::from_utf8_lossy(
            &fs::read(dir.join(source)).with_context(|| source.display().to_string())?,
        )
        .into_owned();
        let file = source.display().to_string();
        let stem = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let extension = source.extension().unwrap_or_default().to_string_lossy().into_owned();
        let Some(language) =
            LANGUAGES.iter().find(|language| language.extensions.contains(&extension.as_str()))
        else {
            return Ok(None);
        };
        let has_makefile = ["Makefile", "makefile", "GNUmakefile"].into_iter().any(is_there);
        let (build, program) = match extension.as_str() {
            "py" => (None, format!("python3 {}", quoted(&file))),
            "js" | "mjs" => (
                is_there("package.json").then(|| "npm install".to_string()),
                format!("node {}", quoted(&file)),
            ),
            "sh" | "bash" => (None, format!("bash {}", quoted(&file))),
            "rs" => (
                Some("cargo build --release".to_string()),
                format!("target/release/{}", quoted(&rust_binary(source))),
            ),
            "java" => {
                let package =
                    text.lines().find_map(|line| line.trim().strip_prefix("package ")?.strip_suffix(';'));
                let class = package.map_or(stem.clone(), |package| format!("{package}.{stem}"));
                let folder = source.parent().filter(|folder| !folder.as_os_str().is_empty());
                let files =
                    folder.map_or("*.java".to_string(), |folder| format!("{}/*.java", folder.display()));
                (Some(format!("javac -encoding UTF-8 -d . {files}")), format!("java {class}"))
            }
            _ => {
                let compiler = if extension == "c" { "cc" } else { "c++" };
                (Some(format!("{compiler} -o {stem} {}", quoted(&file))), format!("./{stem}"))
            }
        };
        let compiled = matches!(extension.as_str(), "c" | "cpp" | "cc" | "cxx" | "java");
        let build = if has_makefile && compiled { Some("make".to_string()) } else { build };
        builds.extend(build);
        let takes_arguments = language.arguments.iter().any(|word| text.contains(word));
        let answers = if takes_arguments { Vec::new() } else { questions(&text, language.asking, places) };
        let command = if answers.is_empty() { format!("{program} {}", places.join(" ")) } else { program };
        Ok(Some(Call { command, answers }))
    };
    let (server, client) = (call(&server, &["{port}"])?, call(&client, &["{host}", "{port}"])?);
    builds.dedup();
    let build = (!builds.is_empty()).then(|| builds.join(" && "));
    Ok(Draft { build, server, client })
}

/// The source files in `dir` and the usual places under it, by their paths from there.
fn sources(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in ["", "src", "src/bin"] {
        let Ok(entries) = fs::read_dir(dir.join(folder)) else {
            if folder.is_empty() {
                fs::read_dir(dir)
                    .map_err(|error| Fault::usage(format!("cannot read {}", dir.display())).because(error))?;
            }
            continue;
        };
        for entry in entries {
            let path = Path::new(folder).join(entry.with_context(|| dir.display().to_string())?.file_name());
            let known =
                |extension: &str| LANGUAGES.iter().any(|language| language.extensions.contains(&extension));
            if path.extension().is_some_and(|extension| known(&extension.to_string_lossy())) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// What cargo calls the binary of `source`.
fn rust_binary(source: &Path) -> String {
    source.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// What a program seems to ask for, in the order of the lines that ask: of `places`, at most one each.
fn questions(text: &str, asking: &[&str], places: &[&'static str]) -> Vec<&'static str> {
    let mut answers = Vec::new();
    for line in text.lines().flat_map(|line| questions_in(line, asking)) {
        let line = line.to_lowercase();
        let asked = if line.contains("port") {
            "{port}"
        } else if ["host", "address", "addr", "ip", "server", "adresse"]
            .iter()
            .any(|word| line.contains(word))
        {
            "{host}"
        } else {
            continue;
        };
        if places.contains(&asked) && !answers.contains(&asked) {
            answers.push(asked);
        }
    }
    // Half a guess types the wrong thing at the wrong question.
    if answers.len() == places.len() { answers } else { Vec::new() }
}

/// The parts of `line` that ask: all of a statement that asks once, or what follows each time.
fn questions_in<'a>(line: &'a str, asking: &[&str]) -> Vec<&'a str> {
    let mut questions = Vec::new();
    for statement in line.split(';') {
        let places = |word: &&str| statement.match_indices(*word).map(|(at, _)| at).collect::<Vec<_>>();
        let places: BTreeSet<usize> = asking.iter().flat_map(places).collect();
        let places: Vec<usize> = places.into_iter().collect();
        match places[..] {
            [] => {}
            [_] => questions.push(statement),
            _ => {
                let ends = places[1..].iter().copied().chain([statement.len()]);
                questions.extend(places.iter().zip(ends).map(|(&from, to)| &statement[from..to]));
            }
        }
    }
    questions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drafted(files: &[(&str, &str)]) -> Draft {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        guess(dir.path()).unwrap()
    }

    fn commands(draft: &Draft) -> (Option<&str>, Option<&str>, Option<&str>) {
        let command = |call: &'_ Option<Call>| call.as_ref().map(|call| call.command.clone().leak() as &str);
        (draft.build.as_deref(), command(&draft.server), command(&draft.client))
    }

    #[test]
    fn programs_of_usual_languages_are_called_as_usual() {
        for (files, build, server, client) in [
            (
                &[("server.py", "sys.argv[1]"), ("client.py", "sys.argv")][..],
                None,
                "python3 server.py {port}",
                "python3 client.py {host} {port}",
            ),
            (
                &[("EchoServer.java", "package a.b;\nargs[0]"), ("EchoClient.java", "package a.b;\nargs[0]")],
                Some("javac -encoding UTF-8 -d . *.java"),
                "java a.b.EchoServer {port}",
                "java a.b.EchoClient {host} {port}",
            ),
            (
                &[("server.c", "argv[1]"), ("client.c", "argv[1]")],
                Some("cc -o server server.c && cc -o client client.c"),
                "./server {port}",
                "./client {host} {port}",
            ),
            (
                &[("server.c", "argv[1]"), ("client.c", "argv[1]"), ("Makefile", "all:")],
                Some("make"),
                "./server {port}",
                "./client {host} {port}",
            ),
            (
                &[("Cargo.toml", ""), ("src/bin/server.rs", "env::args"), ("src/bin/client.rs", "env::args")],
                Some("cargo build --release"),
                "target/release/server {port}",
                "target/release/client {host} {port}",
            ),
            (
                &[
                    ("tcp-server.js", "process.argv"),
                    ("tcp-client.js", "process.argv"),
                    ("package.json", "{}"),
                ],
                Some("npm install"),
                "node tcp-server.js {port}",
                "node tcp-client.js {host} {port}",
            ),
        ] {
            assert_eq!(commands(&drafted(files)), (build, Some(server), Some(client)));
        }
    }

    #[test]
    fn programs_that_ask_are_answered_in_the_order_in_which_they_ask() {
        let draft = drafted(&[
            ("server.py", "port = int(input('Port? '))"),
            (
                "client.py",
                "port = input('Which port? ')\nhost = input('server address: ')\nm = input('message for the server: ')",
            ),
        ]);
        assert_eq!(draft.server.as_ref().unwrap().answers, ["{port}"]);
        assert_eq!(draft.client.as_ref().unwrap().answers, ["{port}", "{host}"]);
        assert_eq!(commands(&draft).2, Some("python3 client.py"));
        for source in [
            "host = input('Where? address: '); port = int(input('Which port? '))",
            "host, port = input('Server: '), int(input('Port: '))",
            "print('a port; a host')\nhost = input('Host: ')\nport = input('? ')",
        ] {
            let draft = drafted(&[("client.py", source)]);
            assert_eq!(draft.client.as_ref().unwrap().answers, ["{host}", "{port}"], "{source}");
        }
    }

    #[test]
    fn a_draft_is_a_profile_that_loads() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("server.py"), "input('port: ')").unwrap();
        assert_eq!(init(dir.path()).unwrap(), ["client"]);
        let submission = crate::check::Submission::load(dir.path()).unwrap();
        assert_eq!(submission.server.to_string(), "python3 server.py");
        assert_eq!(submission.server_answers.len(), 1);
        assert!(init(dir.path()).is_err(), "a second draft must not overwrite the first");
    }
}
