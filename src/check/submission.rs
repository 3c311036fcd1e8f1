//! A submission: what is to be built and called, from its `echolog.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::config::{self, Config};
use super::guess;
use crate::error::Fault;
use crate::run::command::{PROFILE, Template};

/// One implementation to judge.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What it is called in reports: its directory as the user wrote it, or what stands for it.
    pub name: String,
    /// The directory that is copied before anything is built or run in it; none for two bare commands.
    pub dir: Option<PathBuf>,
    /// A shell command that builds it, run once.
    pub build: Option<String>,
    /// How the server is called.
    pub server: Template,
    /// How the client is called.
    pub client: Template,
    /// What to type first at the server, in order.
    pub server_answers: Vec<Template>,
    /// What to type first at the client, in order.
    pub client_answers: Vec<Template>,
    /// The port that the server insists on.
    pub port: Option<u16>,
    /// The word that quits.
    pub quit: String,
    /// Added to the environment of its programs, and of its build.
    pub environment: BTreeMap<String, String>,
    /// The arguments of `echolog check` that name this submission again.
    pub arguments: Vec<String>,
    /// What a reader of its result should know of how it is called.
    pub notes: Vec<String>,
}

/// The word that quits, unless the configuration says otherwise.
const QUIT: &str = "quit";

impl Submission {
    /// The submission in `dir`: as `given` on the command line, else as its own file says, else as `course`
    /// says, else as it is guessed from its sources.
    pub fn load(dir: &Path, given: &Config, course: &Config) -> Result<Self> {
        let path = dir.join(PROFILE);
        let own: Option<Config> = config::read_untrusted(&path)?;
        fs::read_dir(dir)
            .map_err(|error| Fault::usage(format!("cannot read {}", dir.display())).because(error))?;
        let mut notes = Vec::new();
        let mut config = given.clone().over(&own.clone().unwrap_or_default().over(course));
        if config.server.is_none() || config.client.is_none() {
            config = guessed(dir, own.is_some(), config, &mut notes)?;
        }
        let place = if own.is_some() { path.display().to_string() } else { dir.display().to_string() };
        let [server, client] = [config.server, config.client].map(Option::unwrap_or_default);
        let environment = variables(config.environment).with_context(|| place.clone())?;
        let name = name_of(dir);
        let mut words = arguments(given);
        words.push(as_written(dir));
        Self::new(name, &server, &client)
            .map(|bare| Submission {
                dir: Some(dir.to_path_buf()),
                build: config.build,
                port: config.port,
                quit: config.quit.unwrap_or_else(|| QUIT.to_string()),
                arguments: words,
                environment,
                notes,
                ..bare
            })
            .and_then(|bare| {
                bare.answering(
                    &config.server_answers.unwrap_or_default(),
                    &config.client_answers.unwrap_or_default(),
                )
            })
            .with_context(|| place)
    }

    /// The pair of this package: the executable at `echolog`, twice.
    pub fn own(echolog: &Path) -> Result<Self> {
        Ok(Submission {
            name: "echolog".to_string(),
            dir: None,
            build: None,
            server: Template::call(echolog, &["server", "{port}"])?,
            client: Template::call(echolog, &["client", "{host}", "{port}"])?,
            server_answers: Vec::new(),
            client_answers: Vec::new(),
            port: None,
            quit: QUIT.to_string(),
            environment: BTreeMap::new(),
            arguments: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// Two bare commands. They run in an empty directory; files that they name from here are found all the
    /// same.
    pub fn bare(server: &str, client: &str, given: &Config, course: &Config) -> Result<Self> {
        let bare = Self::new(format!("{server} / {client}"), &from_here(server)?, &from_here(client)?)?;
        let environment = variables(course.environment.clone())?;
        let answers =
            [&given.server_answers, &given.client_answers].map(|list| list.as_deref().unwrap_or_default());
        Submission { arguments: arguments(given), environment, ..bare }.answering(answers[0], answers[1])
    }

    fn new(name: String, server: &str, client: &str) -> Result<Self> {
        Ok(Submission {
            name,
            dir: None,
            build: None,
            server: Template::command(server).context("server")?,
            client: Template::command(client).context("client")?,
            server_answers: Vec::new(),
            client_answers: Vec::new(),
            port: None,
            quit: QUIT.to_string(),
            environment: BTreeMap::new(),
            arguments: Vec::new(),
            notes: Vec::new(),
        })
    }

    fn answering(self, server: &[String], client: &[String]) -> Result<Self> {
        let lines = |answers: &[String]| {
            answers.iter().map(|answer| Template::line(answer)).collect::<Result<Vec<_>>>()
        };
        Ok(Submission {
            server_answers: lines(server).context("server-answers")?,
            client_answers: lines(client).context("client-answers")?,
            ..self
        })
    }
}

/// `config` with what it lacks guessed from the sources in `dir`.
fn guessed(dir: &Path, has_file: bool, config: Config, notes: &mut Vec<String>) -> Result<Config> {
    let guess = guess::guess(dir)?;
    let missing: Vec<&str> =
        [("server", &config.server, &guess.server), ("client", &config.client, &guess.client)]
            .iter()
            .filter(|(_, known, guessed)| known.is_none() && guessed.is_none())
            .map(|(role, _, _)| *role)
            .collect();
    let lacks = if has_file { "echolog.toml names not both programs" } else { "there is no echolog.toml" };
    if !missing.is_empty() {
        let mut why = format!("{lacks}, and no {} was found", missing.join(" and no "));
        for doubt in &guess.doubts {
            why += &format!("; {doubt}");
        }
        let hint = format!("echolog check --init {} writes a first draft of it", as_written(dir));
        return Err(Fault::usage(why).hint(hint).into());
    }
    let some = |answers: Vec<String>| (!answers.is_empty()).then_some(answers);
    let base = Config {
        build: guess.build,
        server: guess.server,
        client: guess.client,
        server_answers: some(guess.server_answers),
        client_answers: some(guess.client_answers),
        port: guess.port,
        ..Config::default()
    };
    let commands: Vec<String> =
        [("server", &config.server, &base.server), ("client", &config.client, &base.client)]
            .into_iter()
            .filter(|(_, known, _)| known.is_none())
            .filter_map(|(role, _, guessed)| Some(format!("{role}: {}", guessed.as_deref()?)))
            .collect();
    notes.push(format!("{lacks}; guessed {}", commands.join(", ")));
    notes.extend(guess.doubts);
    Ok(config.over(&base))
}

/// What the submission in `dir` is called: its directory as the user wrote it, or the name of that where it was
/// written as `.` or the like.
pub fn name_of(dir: &Path) -> String {
    let absolute = || dir.canonicalize().ok()?.file_name().map(|name| name.to_string_lossy().into_owned());
    let unnamed = dir.file_name().is_none();
    unnamed.then(absolute).flatten().unwrap_or_else(|| as_written(dir))
}

fn as_written(dir: &Path) -> String {
    let name = dir.display().to_string();
    let short = name.trim_end_matches('/');
    if short.is_empty() { name } else { short.to_owned() }
}

/// The variables of a configuration; an error if one has no name that a program could find it by.
fn variables(all: Option<BTreeMap<String, String>>) -> Result<BTreeMap<String, String>> {
    let all = all.unwrap_or_default();
    match all.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
        Some(name) => Err(Fault::usage(format!("environment: no variable can be called {name:?}")).into()),
        None => Ok(all),
    }
}

/// The options that say what is `given`.
fn arguments(given: &Config) -> Vec<String> {
    let commands = [("--server", given.server.as_slice()), ("--client", given.client.as_slice())];
    let answers = [("--server-answer", &given.server_answers), ("--client-answer", &given.client_answers)];
    let answers = answers.map(|(option, lines)| (option, lines.as_deref().unwrap_or_default()));
    let all = commands.into_iter().chain(answers);
    all.flat_map(|(option, values)| values.iter().flat_map(move |value| [option.to_owned(), value.clone()]))
        .collect()
}

/// `command` with every file that it names from the current directory named from the root.
fn from_here(command: &str) -> Result<String> {
    let words = shlex::split(command)
        .ok_or_else(|| Fault::usage(format!("a quote is left open in the command: {command}")))?;
    let here = std::env::current_dir().context("there is no current directory")?;
    let words = words.into_iter().enumerate().map(|(at, word)| {
        // The first word without a slash is looked for in PATH, as in a shell.
        let is_file = (at > 0 || word.contains('/')) && !word.is_empty() && here.join(&word).exists();
        if is_file { here.join(&word).to_string_lossy().into_owned() } else { word }
    });
    Ok(words.map(|word| quoted(&word)).collect::<Vec<_>>().join(" "))
}

/// `text` as a shell takes it for one word.
fn quoted(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| text.to_string(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn a_submission_is_called_by_a_name_and_called_again_as_it_was_written() {
        let here = std::env::current_dir().unwrap();
        let here = here.file_name().unwrap().to_str().unwrap();
        let names = [".", "./", "class/ada/", "class/ada", "/"].map(|dir| name_of(Path::new(dir)));
        assert_eq!(names, [here, here, "class/ada", "class/ada", "/"]);
        assert_eq!(as_written(Path::new("./")), ".");
    }

    #[apply(test)]
    fn a_profile_that_is_wrong_is_a_usage_fault_that_names_its_line() {
        for (text, says) in [
            ("server = \"a\"\nclient = \"b\"\nserverr = 1\n", "line 3: unknown field `serverr`"),
            ("server = \"a\"\n", "echolog.toml names not both programs, and no client was found"),
            ("server = \"a\"\nclient = [\n", "line 2"),
            ("server = \"a {prot}\"\nclient = \"b\"\n", "unknown placeholder {prot}"),
            ("server = \"a\"\nclient = \"\"\n", "the command is empty"),
            ("server = \"a\"\nclient = \"b\"\nport = 70000\n", "line 3"),
            (
                "server = \"a\"\nclient = \"b\"\nenvironment = { \"A=\" = \"\" }\n",
                "environment: no variable can be called \"A=\"",
            ),
        ] {
            let error = load(&dir_with(&[(PROFILE, text)])).expect_err(text);
            let words = crate::error::words(&error);
            assert!(words.contains(says) && words.lines().count() <= 2, "{words}");
            assert_eq!(crate::error::exit(&error), crate::error::Exit::Usage, "{text}");
        }
    }

    /// A directory with these files.
    fn dir_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    /// The submission in `dir` where nothing else is said.
    fn load(dir: &tempfile::TempDir) -> Result<Submission> {
        Submission::load(dir.path(), &Config::default(), &Config::default())
    }

    fn strings(templates: &[Template]) -> Vec<String> {
        templates.iter().map(ToString::to_string).collect()
    }

    #[apply(test)]
    fn what_the_command_line_says_goes_before_the_file_and_that_before_the_course() {
        let profile = "build = \"make\"\nserver = \"./s {port}\"\nclient = \"./c\"\nport = 6543\nquit = \"bye\"\n\
                       client-answers = [\"{host}\", \"{port}\"]\nenvironment = { A = \"own\" }\n";
        let dir = dir_with(&[(PROFILE, profile)]);
        let course: Config =
            toml::from_str("quit = \"exit\"\nbuild = \"true\"\nenvironment = { A = \"all\", B = \"all\" }\n")
                .unwrap();
        let own = Submission::load(dir.path(), &Config::default(), &course).unwrap();
        assert_eq!(own.dir.as_deref(), Some(dir.path()));
        assert_eq!(own.build.as_deref(), Some("make"));
        assert_eq!([own.server.to_string(), own.client.to_string()], ["./s {port}", "./c"]);
        assert_eq!(strings(&own.client_answers), ["{host}", "{port}"]);
        assert_eq!(strings(&own.server_answers), [""; 0]);
        assert_eq!((own.port, own.quit.as_str()), (Some(6543), "bye"));
        let variables: Vec<(&str, &str)> =
            own.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(variables, [("A", "own"), ("B", "all")]);
        assert_eq!(own.notes, [""; 0]);
        let path = dir.path().display().to_string();
        assert_eq!(own.arguments, [path.as_str()]);

        let given = Config {
            server: Some("./other {port}".into()),
            server_answers: Some(vec!["{port}".into()]),
            ..Config::default()
        };
        let given = Submission::load(dir.path(), &given, &course).unwrap();
        assert_eq!([given.server.to_string(), given.client.to_string()], ["./other {port}", "./c"]);
        assert_eq!(
            given.arguments,
            ["--server", "./other {port}", "--server-answer", "{port}", path.as_str()],
            "what calls it again says the same"
        );
        let plain = load(&dir_with(&[(PROFILE, "server = \"s\"\nclient = \"c\"\n")])).unwrap();
        assert_eq!(plain.quit, "quit");
    }

    #[apply(test)]
    fn what_is_guessed_is_noted_and_what_is_known_is_kept() {
        // A language that is not installed is one more note.
        crate::common::harness::needs(&["python3"]);
        let server = "import socket, sys\ns.bind(('', int(sys.argv[1])))\ns.listen()\n";
        let client =
            "import socket\nhost = input('host: ')\nport = input('port: ')\ns.connect((host, port))\n";
        let files = [("server.py", server), ("client.py", client)];
        let dir = dir_with(&files);
        let all = load(&dir).unwrap();
        assert_eq!(
            [all.server.to_string(), all.client.to_string()],
            ["python3 server.py {port}", "python3 client.py"]
        );
        assert_eq!(strings(&all.client_answers), ["{host}", "{port}"]);
        assert_eq!(
            all.notes,
            ["there is no echolog.toml; guessed server: python3 server.py {port}, client: python3 client.py"]
        );
        let dir = dir_with(&[&files[..], &[(PROFILE, "server = \"./mine\"\n")]].concat());
        let half = load(&dir).unwrap();
        assert_eq!(half.server.to_string(), "./mine");
        assert_eq!(half.notes, ["echolog.toml names not both programs; guessed client: python3 client.py"]);

        let none = load(&dir_with(&[])).expect_err("nothing is there");
        let words = crate::error::words(&none);
        assert!(
            words.contains(
                "there is no echolog.toml, and no server and no client was found; there is no source file"
            ),
            "{words}"
        );
        let one = load(&dir_with(&files[..1])).expect_err("no client is there");
        let words = crate::error::words(&one);
        assert!(words.contains("and no client was found; client: no program only connects"), "{words}");
    }

    #[apply(test)]
    fn guesses_have_builds_and_ports() {
        let server = "#define PORT 6543\nint main() {\n  a.sin_port = htons(PORT);\n  listen(s, 1);\n}\n";
        let client = "#define PORT 6543\nint main() {\n  a.sin_port = htons(PORT);\n  connect(s, a, n);\n}\n";
        let dir = dir_with(&[("server.c", server), ("client.c", client)]);
        let guessed = load(&dir).unwrap();
        assert_eq!(guessed.build.as_deref(), Some("cc -o server server.c && cc -o client client.c"));
        assert_eq!(guessed.port, Some(6543));
    }

    #[apply(test)]
    fn bare_commands_find_the_files_that_they_name_from_here() {
        let here = std::env::current_dir().unwrap();
        let at = |name: &str| here.join(name).display().to_string();
        for (command, becomes) in [
            ("python3 Cargo.toml {port}", format!("python3 {} {{port}}", at("Cargo.toml"))),
            // The first word is looked for in PATH, unless it has a slash.
            ("src x", "src x".to_owned()),
            ("src/main.rs x", format!("{} x", at("src/main.rs"))),
            ("a 'no such file' ''", "a 'no such file' ''".to_owned()),
        ] {
            // How a word is quoted does not matter.
            let seen = shlex::split(&from_here(command).unwrap()).unwrap();
            assert_eq!(seen, shlex::split(&becomes).unwrap(), "{command}");
        }
        assert!(from_here("a 'b").is_err());
        let given = Config {
            server: Some("s".into()),
            client: Some("c".into()),
            client_answers: Some(vec!["{host}".into()]),
            ..Config::default()
        };
        let course: Config = toml::from_str("environment = { A = \"all\" }\n").unwrap();
        let bare = Submission::bare("s", "c", &given, &course).unwrap();
        assert_eq!((bare.name.as_str(), bare.dir), ("s / c", None));
        assert_eq!(strings(&bare.client_answers), ["{host}"]);
        assert_eq!(bare.environment.len(), 1);
        assert_eq!(bare.arguments, ["--server", "s", "--client", "c", "--client-answer", "{host}"]);
    }
}
