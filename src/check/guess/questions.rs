//! What a program asks for at the keyboard before it asks for messages.

use std::collections::BTreeSet;

use super::kind::Kind;
use super::sources::{Source, pattern};

/// How far before it reads a program says what it asks for, in lines.
const LINES_BEFORE: usize = 4;
const PRINTS: &str = r"\b(?:print|println|printf|fprintf|puts|fputs|cout|write|Write|WriteLine|echo|say|print!|println!|Print|Println|Printf|log)\b|<<";
const MESSAGES: &str = r"messag|msg|mensaje|nachricht|\btext|\bsend\b|\bquit\b|\bexit\b|\bline\b|\bsay\b";
/// What an answer is put into.
const VARIABLES: [&str; 4] =
    [r"([\w$]+)\s*(?::\s*[^=]+?)?\s*:?=[^=]", r"&(?:mut\s+)?(\w+)", r">>\s*(\w+)", r"\(\s*(\w+)\s*,"];

/// What `source` asks for, but for messages, in the order in which it stands there. An error is why that
/// cannot be told.
pub fn questions(source: &Source) -> Result<Vec<Kind>, String> {
    let mut asked = Vec::new();
    let mut since = 0;
    let mut unknown = None;
    for (start, end) in reads(source) {
        let question = question(source, start, end, since);
        let variable = variable(source, start);
        since = end;
        let speaks_of = |words: &str| pattern(MESSAGES).is_match(&words.to_lowercase());
        let kind = match Kind::of(&question) {
            _ if speaks_of(&question)
                || pattern(r"(?i)^(?:msg|message|mensaje|nachricht)").is_match(&variable) =>
            {
                break;
            }
            None if speaks_of(&variable) => continue,
            None => Kind::of(&variable),
            kind => kind,
        };
        match kind {
            Some(kind) if unknown.is_none() => {
                if !asked.contains(&kind) {
                    asked.push(kind);
                }
            }
            Some(Kind::Port | Kind::Host | Kind::Both) => {
                return Err(format!(
                    "it asks {:?} at the keyboard, and what to answer is not known",
                    unknown.unwrap_or_default()
                ));
            }
            _ => unknown = unknown.or(Some(question)),
        }
    }
    Ok(asked)
}

/// Where `source` reads from the keyboard. A function that is given its question reads where it is called.
fn reads(source: &Source) -> BTreeSet<(usize, usize)> {
    const HEADS: &str = r"(?m)(?:\b(?:def|function|sub|func|fn)\s+(\w+)\s*\(|\b(?:const|let|var)\s+(\w+)\s*=\s*(?:async\s*)?(?:function\b|\(?[\w, ]*\)?\s*=>)|^[ \t]*(?:[\w<>*]+[ \t]+)+\*?(\w+)\s*\([^()]*\w[^()]*\)[^;{\n]*\{?[ \t]*$)";
    let heads = pattern(HEADS);
    let mut reads = BTreeSet::new();
    for read in pattern(source.language.reads).find_iter(&source.code) {
        if !is_keyboard(source, read.start(), read.end()) {
            continue;
        }
        reads.insert((read.start(), read.end()));
        let names = heads.captures_iter(&source.code).filter_map(|head| head.iter().skip(1).flatten().next());
        let name =
            names.take_while(|name| name.start() < read.start()).filter(|name| name.as_str() != "if").last();
        let Some(name) = name else { continue };
        if !is_inside(&source.code, name.start(), read.start()) {
            continue;
        }
        let call = format!(r#"(?:^|[^\w.]){}\s*\(\s*["'`]"#, regex_lite::escape(name.as_str()));
        let calls = pattern(&call);
        let calls: Vec<(usize, usize)> =
            calls.find_iter(&source.text).map(|call| (call.start(), call.end() - 1)).collect();
        if !calls.is_empty() {
            reads.remove(&(read.start(), read.end()));
            reads.extend(calls);
        }
    }
    reads
}

/// Whether `at` is in the body of the function whose name is at `head`: indented, as all lines between are.
fn is_inside(code: &str, head: usize, at: usize) -> bool {
    let line = |at: usize| code[..at].rfind('\n').map_or(0, |end| end + 1);
    let indent = |text: &str| text.len() - text.trim_start().len();
    let outer = indent(&code[line(head)..]);
    let between = code[head..at].lines().skip(1);
    between.filter(|line| !line.trim().is_empty() && line.trim() != "{").all(|line| indent(line) > outer)
}

/// Whether what is read at `start..end` comes from the keyboard, rather than from a connection.
fn is_keyboard(source: &Source, start: usize, end: usize) -> bool {
    let statement = statement(&source.code, start, end);
    let named = |names: &str| pattern(names).is_match(statement);
    match source.language.name {
        "C" => {
            named(r"\bstdin\b|\bf?scanf\s*\(|(?:^|[^f\w])gets\s*\(|\breadline\s*\(")
                && !named(r"\bfscanf\s*\([^s]")
        }
        "C++" => named(r"\bstdin\b|\bcin\b|\bscanf\s*\("),
        "Java" | "Go" | "Rust" => {
            if named(r"System\s*\.\s*in\b|os\.Stdin|\bstdin\b|fmt\.Scan|showInputDialog") {
                return true;
            }
            let until = if source.language.name == "Go" { "[^\\n]" } else { "[^;]" };
            let readers = format!(
                r"(\w+)\s*(?::\s*[\w<>]+)?\s*:?=\s*{until}*?(?:System\s*\.\s*in\b|os\.Stdin|\bstdin\(\)|System\.console\(\))"
            );
            let readers: BTreeSet<String> =
                pattern(&readers).captures_iter(&source.code).map(|found| found[1].to_owned()).collect();
            let receiver = source.code[..start].rsplit(|c: char| !c.is_alphanumeric() && c != '_').next();
            receiver.is_some_and(|receiver| readers.contains(receiver))
        }
        _ => true,
    }
}

/// What is said before the answer is read at `start..end`: in the call itself, or else on the screen.
fn question(source: &Source, start: usize, end: usize, since: usize) -> String {
    let text = &source.text;
    let in_call = pattern(r#"^\s*(?:-\w+\s+)*\w?("[^"\n]*"|'[^'\n]*'|`[^`]*`)"#);
    let asked = in_call.captures(&text[end..]).map(|found| trimmed(&found[1]));
    // What is read up to, a newline in quotes, is no question.
    if let Some(asked) = asked.filter(|asked| !asked.is_empty()) {
        return asked;
    }
    // Some hand the question to the call as the last of several arguments.
    let mut from = start;
    for _ in 0..=LINES_BEFORE {
        from = text[..from].rfind('\n').unwrap_or(0);
    }
    let before = &text[from.max(since)..start];
    let strings = pattern(r#""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'"#);
    let prints = pattern(PRINTS);
    let last = before.split([';', '\n']).rfind(|piece| prints.is_match(piece) && strings.is_match(piece));
    let said =
        |piece: &str| strings.find_iter(piece).map(|found| trimmed(found.as_str())).collect::<Vec<_>>();
    last.map(|piece| said(piece).join(" ")).unwrap_or_default()
}

fn trimmed(string: &str) -> String {
    string.trim_matches(['"', '\'', '`', '\n']).replace("\\n", " ").trim().to_owned()
}

/// The name of what the answer is put into.
fn variable(source: &Source, start: usize) -> String {
    let statement = statement(&source.code, start, start);
    if source.language.name == "the shell" {
        return statement.split_whitespace().next_back().unwrap_or_default().to_owned();
    }
    VARIABLES
        .iter()
        .find_map(|variable| Some(pattern(variable).captures(statement)?[1].to_owned()))
        .unwrap_or_default()
}

/// The statement around `start..end`.
fn statement(code: &str, start: usize, end: usize) -> &str {
    let before = code[..start].rsplit([';', '\n', '{', '}']).next().unwrap_or_default();
    let after = code[end..].split([';', '\n']).next().unwrap_or_default();
    &code[start - before.len()..end + after.len()]
}
