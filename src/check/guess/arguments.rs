//! Which arguments a program takes, in the order in which it takes them.
//!
//! Three ways are known: options (`--port`), parameters with names (`add_argument("host")`), and places in a
//! list (`argv[2]`), where the words around each place say what it is.

use std::collections::BTreeMap;

use super::kind::{Kind, Role};
use super::ports::ports;
use super::sources::{Source, pattern};

/// One argument: the option before it, if any, and what it is.
pub type Argument = (Option<String>, Kind);

/// Numbers are made of it, so it is a port.
const NUMBER_BEFORE: &str = r"(?:\bint|atoi|atol|strtou?ll?|strtoul|sto[iul]+|Number|[pP]arse\w*|valueOf|htons|Atoi|intval|Integer|ToU?Int\d*)\s*\(\s*[&*]?$|=\s*\+\s*$|\(int\)\s*$|\bint\.Parse\(\s*$";
const NUMBER_AFTER: &str =
    r"^\)?\s*(?:\.to_i\b|\|\s*0\b|(?:\.\w+\([^()]*\))*\??\s*\.parse\b|\+\s*0\b)|^\s*:\s*[^=]*int\(";
const HOST_BEFORE: &str = r#"(?:inet_\w+|gethostby\w+|getByName|IPAddress\.(?:Try)?Parse|Dns\.\w+|getaddrinfo|\b[cC]onnect\w*|TCPSocket\.\w+|TcpClient)\s*\((?:\s*AF_INET6?\s*,)?\s*[&*]?$|\(\s*\($|\btcp://(?:\{?|["']\s*\.\s*\(?\s*)$"#;
const PORT_BEFORE: &str = r#"\btcp://[^"']*:\{?$|(?:getaddrinfo|\b[cC]onnect\w*|TCPSocket\.\w+)\s*\([^,()]*,\s*$|["']:["']\s*[.+]\s*(?:\w+\()?$|:[$#]?\{$|TCPServer\.\w+\s*\(\s*$"#;
/// The same for the tools that a shell makes connections with.
const SHELL_HOST_BEFORE: &str = r#"/dev/tcp/["']?$|(?i)\btcp4?:$|\b(?:nc|ncat|netcat|telnet)(?:\s+-[a-km-zA-Z]*[IOPTVXiqswx]\s+\S+|\s+-[a-km-z]\w*)*\s+["']?$"#;
const SHELL_PORT_BEFORE: &str = r#"/dev/tcp/[^/\s]+/["']?$|\bTCP4?-LISTEN:$|(?i)\btcp4?:[^:\s]+:$|\s-\w*[lp]\w*\s+["']?$|\b(?:nc|ncat|netcat|telnet)(?:\s+-\w+)*\s+[^-\s]\S*\s+["']?$"#;
const BOTH_BEFORE: &str =
    r"\bnet\.(?:Dial|Listen)\w*\([^()]*,\s*$|\bTcp(?:Stream::connect|Listener::bind)\(\s*&?$";
/// A URL that ends with the argument, which is both then.
const WHOLE_URL_BEFORE: &str = r#"\btcp://(?:\{?|["']\s*\.\s*\(?\s*)$"#;
const WHOLE_URL_AFTER: &str = r#"^(?:\}?["']|(?:\s*\?\?\s*['"]{2})?\)*\s*[,;)])"#;
const SHELL_BOTH_AFTER: &str = r"^(?:%%?:\*|##?\*:)\}";
const HOST_AFTER: &str = r#"^\s*[.+]\s*["']:["']|^\}:"#;
const COPIED: &str = r"(?:str\w*cpy|s\w*printf)\s*\(\s*(\w+)\s*,[^()]*$";
const ASSIGNED: &str = r"([\w$]+)\s*(?:\[\d*\]\s*)?(?::\s*[^=,]+?)?\s*(?:\|\|=|:=|=>|=)\s*[^=]*$";
const ASSIGNED_TOGETHER: &str = r"^\s*(?:\w+\s+)?[\[(]?([$\w]+(?:\s*,\s*[$\w]+)+)[\])]?\s*:?=\s*(.*)$";

/// The arguments that `source` takes, but for `mode`, which tells a program which of the two it is.
/// An error is why they cannot be told.
pub fn arguments(source: &Source, role: Role, mode: Option<&str>) -> Result<Vec<Argument>, String> {
    let mut found: Vec<Argument> = Vec::new();
    let options = options(source, mode);
    let has_port = options.iter().any(|(_, kind)| *kind == Kind::Port);
    let parameters = parameters(source, mode)?;
    let of_options = options.into_iter().map(|(option, kind)| (Some(option), kind));
    if has_port {
        found.extend(of_options);
    }
    for kind in parameters {
        if found.iter().all(|(_, other)| *other != kind) {
            found.push((None, kind));
        }
    }
    if found.is_empty() { indexed(source, role, mode) } else { Ok(found) }
}

/// Options that take a host, a port or a name; of several spellings of one the longest.
fn options(source: &Source, mode: Option<&str>) -> Vec<(String, Kind)> {
    let text = &source.text;
    let mut spelled: Vec<(String, String)> = Vec::new();
    let mut add = |how: &str, dashes: &str| {
        for found in pattern(how).captures_iter(text) {
            let name = found[1].to_owned();
            // A letter that asks for help is no host.
            let line = line_around(text, found.get(1).map_or(0, |name| name.start())).0;
            if name == "h" && line.contains("help") {
                continue;
            }
            spelled.push((format!("{dashes}{name}"), name));
        }
    };
    if source.language.name == "the shell" {
        add(r"(?m)^\s*(?:-\w\s*\|\s*)?--([a-z]+)\)", "--");
        add(r"(?m)^\s*-(\w)\)", "-");
    } else {
        add(r#"["'](?:-\w,?\s*)?--([a-zA-Z][\w-]*)"#, "--");
        add(r#"["']-(\w)(?:["'\s,=:<]|[A-Z]+["'\s])"#, "-");
        add(r#"\bflag\.\w+\(\s*(?:&\w+,\s*)?"([\w-]+)""#, "-");
        add(r#"["'](?:\w\|)?([a-z]+)(?:\|\w)?=[is]["']"#, "--");
        add(r#"\.long\("([\w-]+)"\)"#, "--");
        add(r"#\[(?:arg|clap)\([^\]]*long[^\]]*\)\]\s*(?:pub\s+)?(\w+)\s*:", "--");
        add(r"\bargv\.(\w+)", "--");
        add(r#"["']([a-z]+):["']"#, "--");
        add(r#"\b([a-z][\w-]*)["']?\s*:\s*\{\s*type\s*:\s*["']string["']"#, "--");
    }
    let letters =
        pattern(r#"\bgetopts?\s*\(?[^"'\n]*["'][:+]?([A-Za-z:]+)["']|\bgetopts\s+:?([A-Za-z:]+)\s"#);
    if let Some(found) = letters.captures(text) {
        let taking = pattern("([A-Za-z]):");
        let letters = found.get(1).or(found.get(2)).map_or("", |letters| letters.as_str());
        for letter in taking.captures_iter(letters) {
            spelled.push((format!("-{}", &letter[1]), letter[1].to_owned()));
        }
    }
    let kind = |name: &str| match name {
        "p" | "P" => Some(Kind::Port),
        "h" | "H" | "a" | "s" | "i" | "c" => Some(Kind::Host),
        "n" | "u" => Some(Kind::Name),
        name => Kind::of(name),
    };
    let mut found: Vec<(String, Kind)> = Vec::new();
    for (option, name) in spelled {
        let is_mode = mode == Some(option.as_str());
        if let Some(kind) = kind(&name).filter(|_| !is_mode)
            && found.iter().all(|(_, other)| *other != kind)
        {
            found.push((option, kind));
        }
    }
    found
}

/// Parameters with names, as argparse and click have them.
fn parameters(source: &Source, mode: Option<&str>) -> Result<Vec<Kind>, String> {
    let declared = pattern(r#"(?:add_argument|\.argument|add_parameter)\s*\(\s*["']<?([A-Za-z][\w-]*)"#);
    let names = declared.captures_iter(&source.text).map(|found| found[1].to_owned());
    let mut kinds = Vec::new();
    for (at, name) in names.enumerate() {
        match Kind::of(&name) {
            Some(kind) => kinds.push(kind),
            None if at == 0 && mode.is_some() => {}
            None => {
                return Err(format!("it takes an argument {name:?}, which is neither an address nor a port"));
            }
        }
    }
    Ok(kinds)
}

/// Arguments that are taken out of a list by their places.
fn indexed(source: &Source, role: Role, mode: Option<&str>) -> Result<Vec<Argument>, String> {
    let mut places: BTreeMap<usize, Vec<Option<Kind>>> = BTreeMap::new();
    for (name, first) in lists(source) {
        for (place, kind) in taken(source, &name) {
            // The name of the program itself is no argument.
            if place >= first || kind.is_some() {
                places.entry(place).or_default().push(kind);
            }
        }
    }
    if mode.is_some() {
        // Where it is told which of the two it is.
        places.remove(&source.language.arguments.first);
    }
    let mut kinds: Vec<Option<Kind>> = Vec::new();
    for seen in places.values() {
        let mut known: Vec<Kind> = seen.iter().copied().flatten().collect();
        known.dedup();
        kinds.push(match known[..] {
            [] => None,
            [kind] => Some(kind),
            // A number that is made of it says more than a name does.
            _ if known.contains(&Kind::Port) && !known.contains(&Kind::Both) => Some(Kind::Port),
            _ => return Err("it uses one argument for several things".to_owned()),
        });
    }
    // What a program tells its users counts more than how it calls its variables.
    if let Some(usage) = usage(source)
        && usage.len() == kinds.len()
    {
        kinds = usage.into_iter().map(Some).collect();
    }
    let missing: Vec<Kind> = match role {
        Role::Server => vec![Kind::Port],
        Role::Client => vec![Kind::Host, Kind::Port],
    };
    let missing: Vec<Kind> = missing.into_iter().filter(|kind| !kinds.contains(&Some(*kind))).collect();
    let unknown = kinds.iter().filter(|kind| kind.is_none()).count();
    if let ([missing], 1) = (&missing[..], unknown) {
        kinds.iter_mut().filter(|kind| kind.is_none()).for_each(|kind| *kind = Some(*missing));
    }
    let kinds: Option<Vec<Kind>> = kinds.iter().copied().collect();
    let kinds = kinds.ok_or_else(|| match places.len() {
        1 => "it takes one argument, and its name does not say what it is".to_owned(),
        places => format!("it takes {places} arguments, and their names do not say which is the port"),
    })?;
    if [Kind::Port, Kind::Host].iter().any(|kind| kinds.iter().filter(|other| *other == kind).count() > 1) {
        return Err(format!("it takes {} arguments, and two of them look alike", places.len()));
    }
    // Where an address is one word of host and port, one argument is both.
    let in_one_word = matches!(source.language.name, "Go" | "Rust") && !source.code.contains("JoinHostPort");
    if in_one_word && kinds == [Kind::Host] && ports(source).is_empty() {
        return Ok(vec![(None, Kind::Both)]);
    }
    Ok(kinds.into_iter().map(|kind| (None, kind)).collect())
}

/// The names of the lists of arguments in `source`, as patterns, and where the first argument is in each.
fn lists(source: &Source) -> Vec<(String, usize)> {
    let arguments = &source.language.arguments;
    let name = if arguments.is_parameter {
        let found = pattern(arguments.name).captures(&source.code);
        match found {
            Some(found) => format!(r"\b{}", &found[1]),
            None if source.language.name == "C#" => r"\bargs".to_owned(),
            None => return Vec::new(),
        }
    } else {
        format!("(?:{})", arguments.name)
    };
    let mut lists = vec![(name.clone(), arguments.first)];
    if source.language.name == "the shell" {
        return lists;
    }
    let other = format!(r"(?m)([\w$]+)\s*(?::\s*[^=\n;]+?)?\s*:?=\s*&?(?:std::)?{name}([^\n]*)");
    for found in pattern(&other).captures_iter(&source.code) {
        let rest = found[2].trim_start();
        let is_element =
            pattern(r"^(?:\[\s*\d+\s*\]|\.(?:nth|get|at|fetch|shift|next|first|last)\b)").is_match(rest);
        if !is_element {
            let is_cut =
                pattern(r"^(?:\[\s*\d\s*(?::|\.\.)|\.slice\(\s*\d|\.(?:into_iter\(\)\.)?skip\(\s*1)")
                    .is_match(rest);
            let variable = regex_lite::escape(&found[1]);
            lists.push((format!(r"(?:^|[^\w$]){variable}\b"), if is_cut { 0 } else { arguments.first }));
        }
    }
    lists
}

/// Every place that is taken out of the list `name`, with what the words around say that it is.
fn taken(source: &Source, name: &str) -> Vec<(usize, Option<Kind>)> {
    let text = &source.text;
    let mut found = Vec::new();
    let is_shell = source.language.name == "the shell";
    let place = if is_shell {
        r"\$\{?(\d)".to_owned()
    } else {
        format!(r"{name}(?:\(\))?\s*(?:\[\s*|\.(?:get|nth|at|fetch)\(\s*)(\d+)\s*[\])]")
    };
    for place in pattern(&place).captures_iter(text) {
        let (Some(whole), Ok(index)) = (place.get(0), place[1].parse()) else { continue };
        found.push((index, kind_at(source, whole.start(), whole.end())));
    }
    let next = match source.language.name {
        "Perl" => {
            r"(?m)^(?:my|our)?\s*\$\w+\s*=\s*shift\b(?:\s*\(?\s*@ARGV)?|\bshift\s*\(?\s*@ARGV".to_owned()
        }
        "PHP" => format!(r"array_shift\(\s*{name}"),
        _ => format!(r"{name}\.(?:next|shift)\b(?:\(\))?"),
    };
    for (index, place) in pattern(&next).find_iter(text).enumerate() {
        found.push((index, kind_at(source, place.end(), place.end())));
    }
    let together = format!(
        r"(?m)^[ \t]*(?:my|our|local|const|let|var|list)?\s*[\[(]?([$@\w \t,*]*,[$@\w \t,*]*)[\])]?\s*:?=\s*(?:\w+::)*{name}([^\n]*)"
    );
    for line in pattern(&together).captures_iter(text) {
        if pattern(r"^\s*\[\s*\d+\s*\]").is_match(&line[2]) {
            continue;
        }
        for (index, variable) in line[1].split(',').enumerate() {
            let variable = variable.trim().trim_start_matches('$');
            let placeholder = ["", "_", "__", "node", "undef", "script", "program", "prog", "self", "exe"];
            // What is cut off at the front moves the places; their order is all that counts.
            if !placeholder.contains(&variable) {
                found.push((index + source.language.arguments.first, Kind::of(variable)));
            }
        }
    }
    found
}

/// What the argument in `start..end` of the text is, by the words around it.
fn kind_at(source: &Source, start: usize, end: usize) -> Option<Kind> {
    let (line, from) = line_around(&source.text, start);
    let (before, after) = (&line[..start - from], line.get(end - from..).unwrap_or_default());
    let is = |what: &str, text: &str| pattern(what).is_match(text);
    let variable = || Some(pattern(ASSIGNED).captures(behind_condition(before)?)?[1].to_owned());
    let is_split =
        is_split(source, &source.text[start..end]) || variable().is_some_and(|it| is_split(source, &it));
    if is_split || is(WHOLE_URL_BEFORE, before) && is(WHOLE_URL_AFTER, after) {
        return Some(Kind::Both);
    }
    if let Some(kind) = together(line, before) {
        return Some(kind);
    }
    if source.language.name == "the shell" {
        if is(SHELL_BOTH_AFTER, after) {
            return Some(Kind::Both);
        }
        if is(SHELL_HOST_BEFORE, before) {
            return Some(Kind::Host);
        }
        if is(SHELL_PORT_BEFORE, before) {
            return Some(Kind::Port);
        }
    }
    if is(NUMBER_AFTER, after) || is(PORT_BEFORE, before) {
        return Some(Kind::Port);
    }
    // Addresses are parsed as numbers are.
    if is(HOST_BEFORE, before) {
        return Some(Kind::Host);
    }
    if is(NUMBER_BEFORE, before) {
        return Some(Kind::Port);
    }
    if is(BOTH_BEFORE, before) && !is(HOST_AFTER, after) {
        return Some(Kind::Both);
    }
    if is(HOST_AFTER, after) {
        return Some(Kind::Host);
    }
    let copied = pattern(COPIED).captures(before).and_then(|found| Kind::of(&found[1]));
    copied.or_else(|| Kind::of(&variable()?))
}

/// Whether `source` takes what `expression` stands for apart at a colon, as `host:port` is.
fn is_split(source: &Source, expression: &str) -> bool {
    if expression.is_empty() {
        return false;
    }
    let it = regex_lite::escape(expression);
    [
        format!(
            r#"(?m)(?:^|[^\w$]){it}(?:[!?]?\.\w+\([^()]*\))*[!?]?\.(?:r?split\w*|r?partition|Split)\(\s*["'/]:["'/]"#
        ),
        format!(r#"(?:\bexplode|\bsplit)\s*\(?\s*["'/]:["'/]\s*,\s*{it}"#),
        format!(r#"(?:\bstrr?chr|\bstrtok(?:_r)?|\bstrings\.\w+)\(\s*{it}\s*,\s*["']:["']"#),
        format!(r#"\bsscanf\(\s*{it}\s*,\s*"%\d*\[\^:\]:"#),
        format!(r"\bSplitHostPort\(\s*{it}"),
    ]
    .iter()
    .any(|how| pattern(how).is_match(&source.text))
}

/// What stands in `before` behind a condition; nothing where it ends in one, which compares and does not assign.
fn behind_condition(before: &str) -> Option<&str> {
    let keyword = pattern(r"(?:^|[^\w])(?:if|while|unless|elif)\b").find_iter(before).last();
    let Some(condition) = keyword.map(|keyword| &before[keyword.end()..]) else { return Some(before) };
    let mut depth = 0;
    let mut closed = None;
    for (at, character) in condition.char_indices() {
        match character {
            '(' | '[' => depth += 1,
            ')' | ']' => {
                depth -= 1;
                closed = closed.or((depth == 0).then_some(at + 1));
            }
            ':' if depth == 0 => return Some(&condition[at + 1..]),
            _ => {}
        }
    }
    let is_in_parentheses = condition.trim_start().starts_with('(');
    closed.filter(|_| is_in_parentheses).map(|end| &condition[end..])
}

/// What the argument after `before` is in a line that assigns several at once.
fn together(line: &str, before: &str) -> Option<Kind> {
    let found = pattern(ASSIGNED_TOGETHER).captures(line)?;
    let values = found.get(2)?.start();
    let names: Vec<&str> = found[1].split(',').map(str::trim).collect();
    let mut depth = 0;
    let mut at = 0;
    for character in before.get(values..)?.chars() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => at += 1,
            _ => {}
        }
    }
    names.get(at).and_then(|name| Kind::of(name))
}

/// What a message on how to call the program says that its arguments are.
fn usage(source: &Source) -> Option<Vec<Kind>> {
    let found = pattern(r#"(?i)usage:?\s*([^"'\n\\]*)"#).captures(&source.text)?;
    let words: Vec<&str> = found[1].split_whitespace().collect();
    let begins = |word: &&str| word.starts_with(['<', '[', '{', '('].as_slice());
    let from = words.iter().position(begins).unwrap_or_else(|| {
        let tools = [
            "java", "python3", "python", "node", "ruby", "perl", "php", "bash", "mono", "dotnet", "run", "go",
        ];
        words.iter().position(|word| !tools.contains(word)).map_or(words.len(), |program| program + 1)
    });
    Some(words.get(from..)?.iter().map_while(|word| Kind::of(word)).collect())
}

/// The line of `text` that `at` is in, and where it begins.
fn line_around(text: &str, at: usize) -> (&str, usize) {
    let before = text[..at].rsplit('\n').next().unwrap_or_default();
    let after = text[at..].split('\n').next().unwrap_or_default();
    let from = at - before.len();
    (&text[from..at + after.len()], from)
}
