//! Runs the code blocks of a section, and reports those that show something else than what comes out.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rexpect::process::WaitStatus;

use super::blocks::{Block, Kind, Section};
use crate::common::network::{Network, at};
use crate::common::{ECHOLOG, Running, Terminal};

/// What shows that a server is ready.
const READY: &str = "server is using port: ";

/// Longest time for one block. Generous: it is only used up on failure.
const BLOCK: Duration = Duration::from_secs(300);

/// A block that is not true.
pub struct Untrue<'a> {
    pub block: &'a Block,
    /// What should stand there.
    pub seen: String,
    pub why: String,
}

/// Runs all blocks of `section` in a directory of their own, with copies of some directories of the repository
/// at `root`. Returns those that are not true.
pub fn check<'a>(section: &'a Section, root: &Path) -> Vec<Untrue<'a>> {
    let blocks = &section.blocks;
    let scratch = tempfile::tempdir().expect("a directory");
    for directory in ["fixtures", "scripts"] {
        let copied = Command::new("cp").arg("-r").arg(root.join(directory)).arg(scratch.path()).status();
        assert!(copied.expect("cp can be run").success(), "{directory} cannot be copied");
    }
    let network = section.has_two_computers().then(Network::ipv4);
    let place = Place { network: network.as_ref(), directory: scratch.path() };
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
    network: Option<&'a Network>,
    directory: &'a Path,
}

impl Place<'_> {
    fn command(&self, block: &Block) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let own = Path::new(ECHOLOG).parent().expect("it is in a directory").display();
        let mut command = match self.network {
            Some(network) if block.computer == "192.168.1.4" => at(network.client()),
            Some(network) => at(network.server()),
            None => Command::new("env"),
        };
        command
            .args(if self.network.is_some() { &["env", "-C"][..] } else { &["-C"] })
            .arg(self.directory)
            .arg(format!("PATH={own}:{path}"));
        command.args(["TERM=dumb", "NO_COLOR=1", "LC_ALL=C.UTF-8", "bash", "-c"]);
        command
    }

    fn run<'b>(&self, block: &'b Block) -> Option<Untrue<'b>> {
        let script = format!("exec 2>&1\n{}", block.script());
        let ended = Running::start(self.command(block).arg(script).stdin(Stdio::null()));
        let ended = ended.ends_within(BLOCK);
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
        format!("the block is not what comes out\n{}", diff.unified_diff().header("document", "seen"))
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
        ["echolog", command, ref words @ ..] => {
            let help = Command::new(ECHOLOG).args([command, "--help"]).output().expect("it runs");
            let help = String::from_utf8_lossy(&help.stdout);
            let options = words.iter().filter_map(|word| word.split('=').next()?.strip_prefix("--"));
            let mut options = options.map(|option| format!("--{option}"));
            !help.is_empty() && options.all(|option| help.contains(&option))
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
