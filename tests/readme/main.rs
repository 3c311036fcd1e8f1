//! README.md is true: every command in it is run, and every output in it is what comes out.
//!
//! How its code blocks are written:
//!
//! - `console`: lines that begin with `$ ` are commands (continued by lines with `> `), run one after
//!   another by one bash; the other lines are what they print. The last one succeeds.
//! - `console terminal=NAME`: such blocks that follow each other, up to a NAME that comes again, run at
//!   the same time, each at a terminal of its own. A block begins when the server in the one before is
//!   ready. What stands behind a prompt of the pair is typed.
//! - `computer=192.168.1.4`, added to one of these: it runs at that computer instead of 192.168.1.3.
//! - `LANGUAGE file=NAME`: the block is a file, for the blocks after it.
//! - `sh`: commands that a test cannot run (they install, or run this test); it looks whether they
//!   could be.
//! - `text`, `toml`: for reading only.
//!
//! A comment right before a block may declare how its last command ends, `<!-- exit: 1 -->`, and what
//! is never twice the same, `<!-- volatile: REGEX -->`. `BLESS=1` rewrites the outputs.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

use macro_rules_attribute::apply;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};

use common::network::{Network, TOOLS, at};
use common::{ECHOLOG, Running, Terminal, needs};
use regex::Regex;
use rexpect::process::WaitStatus;

fn main() {
    common::harness::main();
}

/// What the pair's programs ask; a person's answer stands behind it on the same line.
const PROMPTS: [&str; 4] = [
    "enter a message to send to server: ",
    "enter server address: ",
    "enter server port: ",
    "enter port to listen on: ",
];

/// What shows that a server is ready.
const READY: &str = "server is using port: ";

#[apply(test)]
fn every_command_and_every_output_of_the_readme_is_true() {
    needs(&TOOLS);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).expect("there is a README.md");
    let blocks = blocks(&readme).unwrap_or_else(|error| panic!("README.md:{error}"));
    assert!(blocks.iter().any(|block| block.kind == Kind::Console), "README.md shows no command");
    let untrue = check(&blocks, root);
    if std::env::var_os("BLESS").is_some() {
        let mut lines: Vec<&str> = readme.lines().collect();
        for Untrue { block, seen, .. } in untrue.iter().rev() {
            lines.splice(block.lines.clone(), seen.lines());
        }
        std::fs::write(root.join("README.md"), lines.join("\n") + "\n").expect("README.md can be written");
        panic!("README.md was rewritten in {} places: look at the diff", untrue.len());
    }
    let told: Vec<String> = untrue.iter().map(|untrue| untrue.told("README.md")).collect();
    assert!(told.is_empty(), "{}\nBLESS=1 cargo test --test readme rewrites the outputs", told.join("\n"));
}

// ------------------------------------------------------------------------------------------- blocks

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Console,
    File,
    Sh,
    Reading,
}

#[derive(Debug)]
struct Block {
    kind: Kind,
    /// The line of its first line of text, from 1.
    line: usize,
    /// Where its text lies in the lines of the file.
    lines: Range<usize>,
    text: String,
    terminal: Option<String>,
    computer: String,
    file: Option<String>,
    exit: i32,
    volatile: Vec<Regex>,
}

/// All code blocks of `markdown`, or the line and the words of what is wrong with one.
fn blocks(markdown: &str) -> Result<Vec<Block>, String> {
    let lines: Vec<&str> = markdown.lines().collect();
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let Some(info) = lines[at].strip_prefix("```") else {
            at += 1;
            continue;
        };
        let length = lines[at + 1..].iter().position(|line| *line == "```");
        let length = length.ok_or_else(|| format!("{}: a block without an end", at + 1))?;
        let block = block(info, at, &lines[..at], &lines[at + 1..at + 1 + length]);
        blocks.push(block.map_err(|error| format!("{}: {error}", at + 1))?);
        at += length + 2;
    }
    Ok(blocks)
}

fn block(info: &str, at: usize, before: &[&str], text: &[&str]) -> Result<Block, String> {
    let mut words = info.split(' ');
    let language = words.next().unwrap_or_default();
    let mut block = Block {
        kind: match language {
            "console" => Kind::Console,
            "sh" => Kind::Sh,
            "text" | "toml" => Kind::Reading,
            _ => Kind::File,
        },
        line: at + 2,
        lines: at + 1..at + 1 + text.len(),
        text: text.iter().flat_map(|line| [line, "\n"]).collect(),
        terminal: None,
        computer: "192.168.1.3".into(),
        file: None,
        exit: 0,
        volatile: Vec::new(),
    };
    for word in words {
        match word.split_once('=') {
            Some(("terminal", name)) => block.terminal = Some(name.into()),
            Some(("computer", name @ ("192.168.1.3" | "192.168.1.4"))) => block.computer = name.into(),
            Some(("file", name)) => (block.kind, block.file) = (Kind::File, Some(name.into())),
            _ => return Err(format!("what does {word} mean?")),
        }
    }
    if block.kind == Kind::File && block.file.is_none() {
        return Err(format!("a block of \"{language}\" is neither run nor a file (file=NAME)"));
    }
    if block.kind == Kind::Console && !block.text.starts_with("$ ") {
        return Err("a console block begins with a command".into());
    }
    let comment = |line: &str| Some(line.strip_prefix("<!-- ")?.strip_suffix(" -->")?.to_owned());
    for comment in before.iter().rev().map_while(|line| comment(line)) {
        match comment.split_once(": ") {
            Some(("exit", code)) => block.exit = code.parse().map_err(|_| format!("no exit code: {code}"))?,
            Some(("volatile", pattern)) => {
                block.volatile.push(Regex::new(pattern).map_err(|error| error.to_string())?);
            }
            _ => return Err(format!("what does the comment \"{comment}\" mean?")),
        }
    }
    Ok(block)
}

impl Block {
    /// A script that shows each command as it stands in the block and runs it.
    fn script(&self) -> String {
        let mut script = "status=0\n".to_owned();
        let mut lines = self.text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(first) = line.strip_prefix("$ ") else { continue };
            let (mut shown, mut command) = (vec![line], vec![first]);
            while let Some(more) = lines.next_if(|line| line.starts_with("> ")) {
                shown.push(more);
                command.push(&more[2..]);
            }
            for line in shown {
                script += &format!("printf '%s\\n' {}\n", shlex::try_quote(line).expect("no NUL"));
            }
            // So that `echo $?` tells of the command before it, and not of what showed it.
            script += &format!("(exit $status)\n{}\nstatus=$?\n", command.join("\n"));
        }
        script + "exit $status\n"
    }

    /// What is typed, with the prompt that it answers. A program that is fed by a script or a pipe
    /// shows the same, and nobody types.
    fn typed(&self) -> Vec<(&'static str, &str)> {
        let mut at_keyboard = false;
        let mut typed = Vec::new();
        for line in self.text.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                at_keyboard = !["--script", "|", "<"].iter().any(|fed| command.contains(fed));
            } else if at_keyboard {
                typed.extend(PROMPTS.iter().find_map(|&prompt| Some((prompt, line.strip_prefix(prompt)?))));
            }
        }
        typed
    }

    /// `text` with everything volatile taken for the same.
    fn settled(&self, text: &str) -> String {
        self.volatile
            .iter()
            .fold(text.to_owned(), |text, volatile| volatile.replace_all(&text, "[volatile]").into_owned())
    }
}

// ------------------------------------------------------------------------------------------ running

/// A block that is not true.
struct Untrue<'a> {
    block: &'a Block,
    seen: String,
    why: String,
}

impl Untrue<'_> {
    fn told(&self, file: &str) -> String {
        format!("{file}:{}: {}", self.block.line, self.why)
    }
}

/// Runs all `blocks`, with the repository at `root` at hand. Says which are not true.
fn check<'a>(blocks: &'a [Block], root: &Path) -> Vec<Untrue<'a>> {
    let scratch = tempfile::tempdir().expect("a directory");
    for directory in ["fixtures", "scripts"] {
        let copied = Command::new("cp").arg("-r").arg(root.join(directory)).arg(scratch.path()).status();
        assert!(copied.expect("cp can be run").success(), "{directory} cannot be copied");
    }
    let network = Network::ipv4();
    let place = Place { network: &network, directory: scratch.path() };
    let mut untrue = Vec::new();
    let mut at = 0;
    while at < blocks.len() {
        let block = &blocks[at];
        let group = at_the_same_time(&blocks[at..]);
        match block.kind {
            Kind::Console if group > 0 => untrue.extend(place.at_terminals(&blocks[at..at + group])),
            Kind::Console => untrue.extend(place.run(block)),
            Kind::File => {
                let path = scratch.path().join(block.file.as_ref().expect("it has a name"));
                std::fs::create_dir_all(path.parent().expect("it is in the directory")).expect("made");
                std::fs::write(path, &block.text).expect("it can be written");
            }
            Kind::Sh => untrue.extend(could_be_run(block, root)),
            Kind::Reading => {}
        }
        at += group.max(1);
    }
    untrue
}

/// How many of the first of `blocks` run at the same time: those with a terminal each.
fn at_the_same_time(blocks: &[Block]) -> usize {
    let mut terminals = Vec::new();
    for block in blocks {
        match &block.terminal {
            Some(terminal) if !terminals.contains(&terminal) => terminals.push(terminal),
            _ => break,
        }
    }
    terminals.len()
}

/// Where blocks run.
struct Place<'a> {
    network: &'a Network,
    directory: &'a Path,
}

impl Place<'_> {
    fn command(&self, block: &Block) -> Command {
        let computer =
            if block.computer == "192.168.1.4" { self.network.client() } else { self.network.server() };
        let mut command = at(computer);
        let path = std::env::var("PATH").unwrap_or_default();
        let own = Path::new(ECHOLOG).parent().expect("it is in a directory").display();
        command.args(["env", "-C"]).arg(self.directory).arg(format!("PATH={own}:{path}"));
        command.args(["TERM=dumb", "NO_COLOR=1", "LC_ALL=C.UTF-8", "bash", "-c"]);
        command
    }

    fn run<'b>(&self, block: &'b Block) -> Option<Untrue<'b>> {
        let script = format!("exec 2>&1\n{}", block.script());
        let ended = Running::start(self.command(block).arg(script).stdin(Stdio::null()));
        let ended = ended.ends_within(std::time::Duration::from_secs(120));
        judged(block, ended.out, ended.status.code())
    }

    /// Runs `blocks` at the same time, each at its terminal.
    fn at_terminals<'b>(&self, blocks: &'b [Block]) -> Vec<Untrue<'b>> {
        let mut running = Vec::new();
        for block in blocks {
            let mut terminal = Terminal::starting(self.command(block).arg(block.script()));
            for (prompt, answer) in block.typed() {
                terminal.shows(prompt).types(answer);
            }
            if block.text.contains(READY) {
                terminal.shows(READY);
            }
            running.push(terminal);
        }
        let ends = running.into_iter().map(|terminal| {
            let (shown, status) = terminal.ends();
            match status {
                WaitStatus::Exited(_, code) => (shown, Some(code)),
                _ => (shown, None),
            }
        });
        blocks.iter().zip(ends).filter_map(|(block, (shown, code))| judged(block, shown, code)).collect()
    }
}

fn judged(block: &Block, seen: String, code: Option<i32>) -> Option<Untrue<'_>> {
    let (stands, came) = (block.settled(&block.text), block.settled(&seen));
    let why = if stands != came {
        let diff = similar::TextDiff::from_lines(&stands, &came);
        format!("the block is not what comes out\n{}", diff.unified_diff().header("README.md", "seen"))
    } else if code != Some(block.exit) {
        format!("the last command ends with {code:?} and not with {}", block.exit)
    } else {
        return None;
    };
    Some(Untrue { block, seen, why })
}

/// Whether the commands of `block` could be run, as far as can be told without doing so.
fn could_be_run<'a>(block: &'a Block, root: &Path) -> Option<Untrue<'a>> {
    let wrong: Vec<&str> = block.text.lines().filter(|line| !is_possible(line, root)).collect();
    let why = format!("cannot be run, or a test cannot tell: {}", wrong.join("; "));
    (!wrong.is_empty()).then(|| Untrue { block, seen: block.text.clone(), why })
}

fn is_possible(line: &str, root: &Path) -> bool {
    let line = line.split(" #").next().unwrap_or_default().trim();
    let words: Vec<&str> = line.split_whitespace().filter(|&word| word != "sudo").collect();
    match words[..] {
        [] => true,
        ["make", ref goals @ ..] => {
            let make = Command::new("make").arg("-n").args(goals).current_dir(root).output();
            make.is_ok_and(|make| make.status.success())
        }
        ["cargo", goal, ..] => {
            ["build", "test", "install", "doc", "bench", "package", "clippy", "fmt"].contains(&goal)
        }
        [path, ..] if path.contains('/') => {
            use std::os::unix::fs::PermissionsExt;
            root.join(path)
                .metadata()
                .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        }
        _ => false,
    }
}

// ------------------------------------------------------------------------- the test of this test

/// Whether `markdown` is found to be true.
fn is_true(markdown: &str) -> bool {
    let blocks = blocks(markdown).expect("it is well-formed");
    check(&blocks, Path::new(env!("CARGO_MANIFEST_DIR"))).is_empty()
}

const TWO_TERMINALS: &str = "\
```console terminal=server
$ echolog server
enter port to listen on: 12345
server is at address: 192.168.1.3
server is using port: 12345
server connected to client at address: 192.168.1.4
server received message: \"hello\"
the client has informed the server that it is quitting
```

and on the other computer

```console terminal=client computer=192.168.1.4
$ echolog client 192.168.1.3 12345
client has connected to the server!
enter a message to send to server: hello
client sending message: \"hello\"
enter a message to send to server: quit
client informing server that it is quitting.
client received message log:
hello
```
";

#[apply(test)]
fn a_true_text_is_found_true_and_one_changed_in_any_line_is_not() {
    needs(&TOOLS);
    assert!(is_true(TWO_TERMINALS));
    for (was, changed) in [
        ("address: 192.168.1.4", "address: 192.168.1.5"),
        ("client sending message: \"hello\"", "client sends message: \"hello\""),
        ("client received message log:\nhello\n", "client received message log:\n"),
        ("received message: \"hello\"\n", "received message: \"hello\"\n\n"),
    ] {
        assert!(!is_true(&TWO_TERMINALS.replace(was, changed)), "{changed}");
    }
}

#[apply(test)]
fn commands_outputs_exit_codes_and_files_are_looked_at() {
    needs(&TOOLS);
    for (markdown, verdict) in [
        ("```console\n$ echo one\none\n$ echo two \\\n> three\ntwo three\n```", true),
        ("```console\n$ echo one\ntwo\n```", false),
        ("```console\n$ echo one\n```", false),
        ("```console\n$ false\n```", false),
        ("```console\n$ false\n$ echo $?\n1\n```", true),
        ("<!-- exit: 1 -->\n```console\n$ false\n```", true),
        ("<!-- exit: 1 -->\n```console\n$ true\n```", false),
        ("```console\n$ ls no-such-file >&2 || echo no\nno\n```", false),
        ("<!-- volatile: \\d+ ms -->\n```console\n$ echo took 17 ms\ntook 23 ms\n```", true),
        ("<!-- volatile: \\d+ ms -->\n```console\n$ echo took 17 ms\ntook 23 s\n```", false),
        ("```text file=messages.txt\nhello\n```\n```console\n$ cat messages.txt\nhello\n```", true),
        ("```sh\nmake build\nsudo make install PREFIX=/usr # comment\ncargo test\n.ci/run\n```", true),
        ("```sh\nmake no-such-goal\n```", false),
        ("```sh\nscripts/no-such-script\n```", false),
    ] {
        assert_eq!(is_true(markdown), verdict, "{markdown}");
    }
}

#[apply(test)]
fn a_block_that_would_escape_is_an_error() {
    for markdown in [
        "```\ntext\n```",
        "```bash\nls\n```",
        "```console\nls\n```",
        "```console\n$ ls\n",
        "```console x=1\n$ ls\n```",
    ] {
        assert!(blocks(markdown).is_err(), "{markdown}");
    }
}
