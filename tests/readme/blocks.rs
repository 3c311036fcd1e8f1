//! The code blocks of a document: what the test knows of each before it runs.

use std::ops::Range;

use regex::Regex;

use crate::common::network;

/// What the pair's programs ask; a person's answer stands behind it on the same line.
const PROMPTS: [&str; 4] = [
    "enter a message to send to server: ",
    "enter server address: ",
    "enter server port: ",
    "enter port to listen on: ",
];

/// A part of a document under one heading of the second level; each has a directory of its own to run in.
pub struct Section {
    pub heading: String,
    pub blocks: Vec<Block>,
}

impl Section {
    /// What its blocks need of the machine.
    pub fn needs(&self) -> Vec<&str> {
        let named = self.blocks.iter().flat_map(|block| &block.needs).map(String::as_str);
        let network: &[&str] = if self.has_two_computers() { &network::TOOLS } else { &[] };
        named.chain(["bash"]).chain(network.iter().copied()).collect()
    }

    /// Whether it shows the addresses of the two computers.
    pub fn has_two_computers(&self) -> bool {
        self.blocks.iter().any(|block| block.kind == Kind::Console && block.text.contains("192.168.1."))
    }
}

/// All sections of `markdown` with code, or the line and the words of what is wrong with a block.
pub fn sections(markdown: &str) -> Result<Vec<Section>, String> {
    let lines: Vec<&str> = markdown.lines().collect();
    let mut sections = vec![Section { heading: String::new(), blocks: Vec::new() }];
    let mut at = 0;
    while at < lines.len() {
        if let Some(heading) = lines[at].strip_prefix("## ") {
            sections.push(Section { heading: heading.to_owned(), blocks: Vec::new() });
        }
        let Some(info) = lines[at].strip_prefix("```") else {
            at += 1;
            continue;
        };
        let length = lines[at + 1..].iter().position(|line| *line == "```");
        let length = length.ok_or_else(|| format!("{}: a block without an end", at + 1))?;
        let block = block(info, at, &lines[..at], &lines[at + 1..at + 1 + length]);
        let block = block.map_err(|error| format!("{}: {error}", at + 1))?;
        sections.last_mut().expect("there is one").blocks.push(block);
        at += length + 2;
    }
    sections.retain(|section| !section.blocks.is_empty());
    Ok(sections)
}

/// What is done with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Console,
    File,
    Sh,
    Reading,
}

/// A code block.
#[derive(Debug)]
pub struct Block {
    pub kind: Kind,
    /// The line of its first line of text, from 1.
    pub line: usize,
    /// Where its text lies in the lines of the file.
    pub lines: Range<usize>,
    pub text: String,
    pub terminal: Option<String>,
    pub computer: String,
    pub file: Option<String>,
    pub exit: i32,
    needs: Vec<String>,
    volatile: Vec<Regex>,
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
        needs: Vec::new(),
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
            Some(("needs", programs)) => block.needs.extend(programs.split(' ').map(ToOwned::to_owned)),
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
    pub fn script(&self) -> String {
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
    pub fn typed(&self) -> Vec<(&'static str, &str)> {
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
    pub fn settled(&self, text: &str) -> String {
        self.volatile
            .iter()
            .fold(text.to_owned(), |text, volatile| volatile.replace_all(&text, "[volatile]").into_owned())
    }
}
