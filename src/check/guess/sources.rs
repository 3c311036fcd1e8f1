//! The source files of a submission: where they are, what is code in them, and what each is for.
//!
//! `text` and `code` of a source have the length of the file: comments are blanked in both, the contents of
//! strings in `code` as well, so that a place in one is the same place in the other.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use regex_lite::Regex;

use super::languages::{Comments, LANGUAGES, Language};
use crate::error::Fault;

/// How many folders deep sources are looked for: a zip's own folder, then `src/main/java` and a package.
const DEPTH: usize = 7;
/// How many files are looked at, and how long each may be, in bytes.
const MOST_FILES: usize = 2_000;
const MOST_BYTES: u64 = 1 << 20;
/// Folders that hold no sources of the submission.
const NO_SOURCES: [&str; 11] = [
    "node_modules",
    "target",
    "venv",
    "env",
    "bin",
    "obj",
    "build",
    "dist",
    "vendor",
    "__MACOSX",
    "__pycache__",
];

/// One source file.
#[derive(Debug)]
pub struct Source {
    /// From the submission's directory.
    pub path: PathBuf,
    pub language: &'static Language,
    /// Without comments.
    pub text: String,
    /// Without comments and the contents of strings.
    pub code: String,
    /// Whether it can be started.
    pub is_program: bool,
}

/// All files below a directory that a guess is made from.
#[derive(Debug, Default)]
pub struct Sources {
    pub sources: Vec<Source>,
    /// Other files, which say how something is built (`Makefile`) or that it cannot be (`Main.kt`).
    pub others: Vec<PathBuf>,
}

impl Source {
    /// Reads `bytes` as the file at `path`; nothing if it is in no known language.
    pub fn new(path: &Path, bytes: &[u8]) -> Option<Self> {
        let raw = String::from_utf8_lossy(bytes);
        let language = language(path, &raw)?;
        let (text, code) = blanked(&raw, language);
        // A shell's strings are where its connections are made.
        let code = if language.name == "the shell" { text.clone() } else { code };
        // A module of Perl is used by programs.
        let is_module = path.extension().is_some_and(|extension| extension == "pm");
        let is_program = !is_module && language.main.is_none_or(|main| pattern(main).is_match(&code));
        Some(Source { path: path.to_path_buf(), language, text, code, is_program })
    }

    /// Whether it calls what a server calls.
    pub fn listens(&self) -> bool {
        pattern(self.language.listens).is_match(&self.code)
    }

    /// Whether it calls what a client calls.
    pub fn connects(&self) -> bool {
        pattern(self.language.connects).is_match(&self.code)
    }

    /// Its name without folder and extension.
    pub fn stem(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The folder that it is in, empty at the top.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// It without what stands between the word `other` in quotes and the word `own`: what a program does that
    /// is told `own` and not `other`.
    pub fn branch(&self, own: &str, other: &str) -> Source {
        let word = |word: &str| format!(r#"["']{}["']"#, regex_lite::escape(word));
        let places = |word: &str| pattern(word).find_iter(&self.text).map(|found| found.start()).collect();
        let (owns, others): (Vec<usize>, Vec<usize>) = (places(&word(own)), places(&word(other)));
        let is_in = |at: usize| {
            let last = |places: &[usize]| places.iter().rev().find(|place| **place <= at).copied();
            last(&others).is_none_or(|other| last(&owns).is_some_and(|own| own > other))
        };
        let kept = |text: &str| -> String {
            let keep = |(at, c): (usize, char)| {
                let c = if is_in(at) || c == '\n' { c } else { ' ' };
                std::iter::repeat_n(
                    c,
                    if c == ' ' { text[at..].chars().next().map_or(1, char::len_utf8) } else { 1 },
                )
            };
            text.char_indices().flat_map(keep).collect()
        };
        Source {
            path: self.path.clone(),
            language: self.language,
            text: kept(&self.text),
            code: kept(&self.code),
            is_program: self.is_program,
        }
    }

    /// Whether it is a header, which is not compiled by itself.
    pub fn is_header(&self) -> bool {
        self.path.extension().is_some_and(|extension| ["h", "hpp", "hh"].iter().any(|end| extension == *end))
    }

    /// Whether both can be parts of one program.
    pub fn is_like(&self, other: &Source) -> bool {
        let c = |source: &Source| matches!(source.language.name, "C" | "C++");
        self.language.name == other.language.name || (c(self) && c(other))
    }

    /// Whether it uses `other`, by its name.
    pub fn uses(&self, other: &Source) -> bool {
        let stem = other.stem();
        let word = |text: &str| {
            let is_letter = |c: char| c.is_alphanumeric() || c == '_';
            text.match_indices(&stem).any(|(at, _)| {
                !text[..at].ends_with(is_letter) && !text[at + stem.len()..].starts_with(is_letter)
            })
        };
        if !self.is_like(other) || self.path == other.path {
            return false;
        }
        match self.language.name {
            // One package: every file of the folder that cannot be started belongs to it.
            "Go" if self.folder() == other.folder() => !other.is_program,
            "Go" => {
                let package = other.folder().file_name().unwrap_or_default().to_string_lossy().into_owned();
                let import = format!(
                    r#"(?m)^\s*(?:import\s+)?(?:\w+\s+)?"[^"\n]*/{}"\s*$"#,
                    regex_lite::escape(&package)
                );
                !package.is_empty() && pattern(&import).is_match(&self.text)
            }
            "Java" | "C#" => word(&self.code),
            _ => {
                let uses = pattern(self.language.uses);
                self.text.lines().any(|line| uses.is_match(line) && word(line))
            }
        }
    }
}

/// The pattern `text`, which is made here and compiles. Each is compiled once.
pub fn pattern(text: &str) -> Regex {
    thread_local! {
        static COMPILED: RefCell<HashMap<String, Regex>> = RefCell::default();
    }
    COMPILED.with_borrow_mut(|compiled| {
        if let Some(pattern) = compiled.get(text) {
            return pattern.clone();
        }
        let pattern = Regex::new(text).expect("the patterns compile, which a test shows");
        compiled.insert(text.to_owned(), pattern.clone());
        pattern
    })
}

/// Reads what is below `dir`.
pub fn read(dir: &Path) -> Result<Sources> {
    let mut found = Sources::default();
    fs::read_dir(dir)
        .map_err(|error| Fault::usage(format!("cannot read {}", dir.display())).because(error))?;
    let mut files = BTreeSet::new();
    walk(dir, Path::new(""), DEPTH, &mut files);
    for path in files {
        let whole = dir.join(&path);
        let is_short = whole.metadata().is_ok_and(|about| about.len() <= MOST_BYTES);
        let bytes = if is_short { fs::read(&whole).unwrap_or_default() } else { Vec::new() };
        match Source::new(&path, &bytes) {
            Some(source) => found.sources.push(source),
            None => found.others.push(path),
        }
    }
    Ok(found)
}

fn walk(dir: &Path, folder: &Path, depth: usize, files: &mut BTreeSet<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir.join(folder)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_hidden = name.to_string_lossy().starts_with('.');
        // Links are not followed: they may lead out of the submission, or round in a circle.
        let Ok(kind) = entry.file_type() else { continue };
        let path = folder.join(&name);
        if kind.is_file() && !is_hidden && files.len() < MOST_FILES {
            files.insert(path);
        } else if kind.is_dir() && !is_hidden && depth > 0 && !holds_no_sources(&dir.join(&path)) {
            walk(dir, &path, depth - 1, files);
        }
    }
}

/// Rust's programs are in `src/bin`; a `bin` beside sources holds what was built from them.
fn holds_no_sources(folder: &Path) -> bool {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    NO_SOURCES.contains(&name(folder).as_str()) && !folder.ends_with("src/bin")
}

fn language(path: &Path, text: &str) -> Option<&'static Language> {
    if let Some(extension) = path.extension() {
        let extension = extension.to_string_lossy();
        return LANGUAGES.iter().find(|language| language.extensions.contains(&extension.as_ref()));
    }
    let first = text.lines().next()?.strip_prefix("#!")?;
    LANGUAGES.iter().find(|language| {
        let called = match language.name {
            "the shell" => &["sh", "bash", "dash"][..],
            _ => language.tools,
        };
        let word = |word: &str| {
            word.rsplit('/').next().is_some_and(|name| {
                called.iter().any(|tool| name == *tool || name == tool.trim_end_matches('3'))
            })
        };
        first.split_whitespace().any(word)
    })
}

/// `text` with its comments blanked, and with the contents of its strings blanked as well.
fn blanked(text: &str, language: &Language) -> (String, String) {
    let comments = language.comments;
    let hash = comments != Comments::Slashes;
    let slashes = matches!(comments, Comments::Slashes | Comments::Both);
    let (mut plain, mut code) = (String::with_capacity(text.len()), String::with_capacity(text.len()));
    let blank = |into: &mut String, piece: &str| {
        into.extend(
            piece.chars().flat_map(|c| std::iter::repeat_n(if c == '\n' { '\n' } else { ' ' }, c.len_utf8())),
        );
    };
    let mut rest = text;
    let mut before = '\n';
    while let Some(first) = rest.chars().next() {
        let comment = if slashes && rest.starts_with("/*") {
            rest[2..].find("*/").map_or(rest.len(), |end| end + 4)
        } else if (slashes && rest.starts_with("//")) || (hash && first == '#' && before.is_whitespace()) {
            rest.find('\n').unwrap_or(rest.len())
        } else if comments == Comments::HashAndPod && before == '\n' && pod(rest) {
            let end = ["\n=cut", "\n=end"].iter().filter_map(|end| rest.find(end)).min();
            end.map_or(rest.len(), |end| end + 5)
        } else {
            0
        };
        let string = quoted(rest, language);
        let length = comment.max(string).max(first.len_utf8());
        let piece = &rest[..length];
        if comment > 0 {
            blank(&mut plain, piece);
            blank(&mut code, piece);
        } else if string > 0 {
            plain.push_str(piece);
            let quotes = if piece.starts_with("\"\"\"") || piece.starts_with("'''") { 3 } else { 1 };
            code.push_str(&piece[..quotes]);
            blank(&mut code, &piece[quotes..length - quotes]);
            code.push_str(&piece[length - quotes..]);
        } else {
            plain.push_str(piece);
            code.push_str(piece);
        }
        before = piece.chars().next_back().unwrap_or('\n');
        rest = &rest[length..];
    }
    (plain, code)
}

fn pod(text: &str) -> bool {
    text.starts_with('=') && text[1..].starts_with(|c: char| c.is_ascii_lowercase())
}

/// How long the string is that `text` begins with, its quotes included; 0 if it begins with none. Only
/// strings in three quotes and in backquotes go over the end of a line.
fn quoted(text: &str, language: &Language) -> usize {
    for quotes in ["\"\"\"", "'''"] {
        if language.name == "Python" && text.starts_with(quotes) {
            return text[3..].find(quotes).map_or(0, |end| end + 6);
        }
    }
    let Some(quote @ ('"' | '\'' | '`')) = text.chars().next() else { return 0 };
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            '\n' if quote != '`' => return 0,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            // Rust's lifetimes begin with the quote of its characters.
            _ if character == quote && quote == '\'' && language.name == "Rust" && at > 3 => return 0,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, text: &str) -> Source {
        Source::new(Path::new(name), text.as_bytes()).expect("a known language")
    }

    #[apply(test)]
    fn comments_and_strings_are_no_code() {
        for (name, text, code) in [
            ("a.py", "s.listen(1) # s.connect()", "s.listen(1)              "),
            ("a.c", "/* listen( */ f(\"accept(\");", "              f(\"       \");"),
            ("a.js", "a(`b\n(`) // 'c", "a(` \n `)      "),
            ("a.pl", "a();\n=pod\nlisten(\n=cut\nb('#');", "a();\n    \n       \n    \nb(' ');"),
            ("a.py", "'''connect(\n'''x", "'''        \n'''x"),
            ("a.rs", "fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
            ("a.php", "x('é'); # y", "x('  ');    "),
            // Beginnings of what is neither comment nor string.
            ("a.c", "x\n=a;", "x\n=a;"),
            ("a.pl", "$x =f();", "$x =f();"),
            ("a.py", "x = 'oops\nlisten('", "x = 'oops\nlisten('"),
            // Quotes within strings.
            ("a.js", r#"f("a\"listen(");"#, r#"f("          ");"#),
            ("a.js", "f('listen(');", "f('       ');"),
            ("a.rs", r#"f('\n', "it's 'listen('")"#, r#"f('  ', "              ")"#),
        ] {
            assert_eq!(source(name, text).code, code, "{name}");
            assert_eq!(source(name, text).text.len(), text.len());
        }
    }

    #[apply(test)]
    fn what_is_for_the_other_role_is_blanked_to_its_length() {
        let both = source("a.py", "f('é')\nif m == 'server': s.bind('é')\nif m == 'client': s.connect(a)\n");
        let blank = |text: &str| " ".repeat(text.len());
        let server =
            format!("f('é')\nif m == 'server': s.bind('é')\nif m == {}\n", blank("'client': s.connect(a)"));
        assert_eq!(both.branch("server", "client").text, server);
        let (listens, condition) = (blank("'server': s.bind('é')"), blank("if m == "));
        let client = format!("f('é')\nif m == {listens}\n{condition}'client': s.connect(a)\n");
        assert_eq!(both.branch("client", "server").text, client);
    }

    #[apply(test)]
    fn a_source_uses_what_it_names_in_its_language() {
        for (user, text, other, uses) in [
            ("main.py", "import tools\n", "tools.py", true),
            ("main.py", "import toolshed\ntools = 1\n", "tools.py", false),
            ("main.py", "import tools\n", "tools.rb", false),
            ("main.py", "import main\n", "main.py", false),
            ("main.c", "#include \"net.h\"\n", "net.cpp", true),
            ("main.c", "#include \"net.h\"\n", "net.rb", false),
            ("Main.java", "class Main { Tools tools; }\n", "Tools.java", true),
            ("Main.java", "class Main { String s = \"Tools\"; }\n", "Tools.java", false),
            ("a/main.go", "package main\n", "a/net.go", true),
            ("a/main.go", "package main\n", "b/net.go", false),
            ("main.go", "package main\n\nimport \"chat/wire\"\n", "wire/frame.go", true),
            ("main.go", "package main\n\nimport (\n\t\"chat/wire\"\n)\n", "wire/frame.go", true),
            ("main.go", "package main\n\nimport \"chat/wires\"\n", "wire/frame.go", false),
            ("cmd/main.go", "package main\n\nimport \"chat/\"\n", "frame.go", false),
        ] {
            let other = source(other, "x\n");
            assert_eq!(source(user, text).uses(&other), uses, "{text}{}", other.path.display());
        }
    }

    #[apply(test)]
    fn folders_are_looked_through_to_a_depth_and_those_without_sources_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let found = ["1/2/3/4/5/6/7/a.py", "a.py", "src/bin/a.rs"];
        let not = ["1/2/3/4/5/6/7/8/a.py", ".a.py", ".git/a.py", "bin/a.rs", "node_modules/a/a.js"];
        for path in found.iter().chain(&not) {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let paths = |found: Sources| found.sources.into_iter().map(|source| source.path).collect::<Vec<_>>();
        assert_eq!(paths(read(dir.path()).unwrap()), found.map(PathBuf::from));

        let many = tempfile::tempdir().unwrap();
        for number in 0..=MOST_FILES {
            fs::write(many.path().join(format!("{number}.py")), "").unwrap();
        }
        assert_eq!(read(many.path()).unwrap().sources.len(), MOST_FILES);
    }

    #[apply(test)]
    fn a_file_without_extension_is_known_by_its_first_line() {
        for (line, language) in
            [("#!/usr/bin/env python3", "Python"), ("#!/bin/sh -e", "the shell"), ("#!/usr/bin/perl", "Perl")]
        {
            assert_eq!(source("server", &format!("{line}\n")).language.name, language);
        }
        assert!(Source::new(Path::new("notes"), b"#!/bin/false\n").is_none());
        assert!(Source::new(Path::new("notes.txt"), b"#!/usr/bin/env python3\n").is_none());
    }

    #[apply(test)]
    fn all_patterns_compile() {
        for language in &LANGUAGES {
            for text in
                [language.listens, language.connects, language.arguments.name, language.reads, language.uses]
            {
                assert!(Regex::new(text).is_ok(), "{text}");
            }
            assert!(language.main.is_none_or(|main| Regex::new(main).is_ok()), "{}", language.name);
        }
    }
}
