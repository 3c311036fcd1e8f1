//! How a program of each language is built and run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::quoted;
use super::sources::{Source, Sources, pattern};
use crate::check::untrusted;

/// How a program is built and run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    /// A shell command; none where nothing is built.
    pub build: Option<String>,
    /// The words before its arguments.
    pub run: String,
    /// The programs that both need.
    pub tools: Vec<&'static str>,
    /// What may be wrong with it.
    pub doubts: Vec<String>,
}

/// What else of `sources` belongs to the program `source`: what it uses, and what that uses.
pub fn parts<'a>(source: &'a Source, sources: &'a Sources) -> Vec<&'a Source> {
    let mut parts: Vec<&Source> = vec![source];
    let mut at = 0;
    while let Some(user) = parts.get(at).copied() {
        at += 1;
        for other in &sources.sources {
            let is_new = parts.iter().all(|part| part.path != other.path);
            let can_start_alone = source.language.main.is_some() && other.is_program;
            if is_new && !can_start_alone && user.uses(other) && is_nearest(user, other, sources) {
                parts.push(other);
            }
        }
    }
    parts.remove(0);
    parts
}

/// Whether no file of the same name and language is nearer to `user` than `other` is.
fn is_nearest(user: &Source, other: &Source, sources: &Sources) -> bool {
    let shared = |source: &Source| {
        let folders = user.folder().components().zip(source.folder().components());
        folders.take_while(|(one, other)| one == other).count()
    };
    sources
        .sources
        .iter()
        .all(|third| third.path.file_name() != other.path.file_name() || shared(third) <= shared(other))
}

/// How the program `source` with its `parts` in `dir` is built and run.
pub fn recipe(dir: &Path, source: &Source, parts: &[&Source], sources: &Sources) -> Recipe {
    let file = quoted(&source.path.display().to_string());
    let run = |run: String| Recipe { run, tools: source.language.tools.to_vec(), ..Recipe::default() };
    match source.language.name {
        "Python" => Recipe { run: python(source), ..run(String::new()) },
        "JavaScript" => node(dir, source),
        "Perl" if parts.is_empty() => run(format!("perl {file}")),
        // Perl looks for modules neither beside a program nor in the current directory (perlrun(1)).
        "Perl" => {
            let folder = source.folder().to_str().filter(|folder| !folder.is_empty()).unwrap_or(".");
            run(format!("perl -I{} {file}", quoted(folder)))
        }
        "Java" => java(source, parts, sources),
        "Go" => go(dir, source, parts),
        "Rust" => rust(dir, source),
        "C#" => c_sharp(dir, source, parts, sources),
        "C" | "C++" => c(dir, source, parts, sources),
        _ => run(format!("{} {file}", source.language.tools[0])),
    }
}

fn python(source: &Source) -> String {
    let file = quoted(&source.path.display().to_string());
    let folder = source.folder();
    let package = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let relative = pattern(r"(?m)^\s*from\s+\.").is_match(&source.code);
    let by_name = !package.is_empty()
        && pattern(&format!(r"(?m)^\s*(?:from|import)\s+{}\b", regex_lite::escape(&package)))
            .is_match(&source.code);
    if package.is_empty() || !(relative || by_name) {
        return format!("python3 {file}");
    }
    let module = format!("python3 -m {}", quoted(&format!("{package}.{}", source.stem())));
    match folder.parent() {
        Some(above) if !above.as_os_str().is_empty() => {
            format!("env PYTHONPATH={} {module}", quoted(&above.display().to_string()))
        }
        _ => module,
    }
}

fn node(dir: &Path, source: &Source) -> Recipe {
    let file = quoted(&source.path.display().to_string());
    let mut recipe =
        Recipe { run: format!("node {file}"), tools: source.language.tools.to_vec(), ..Recipe::default() };
    let folder =
        source.path.ancestors().skip(1).find(|folder| dir.join(folder).join("package.json").is_file());
    let described = folder.and_then(|folder| untrusted::text(&dir.join(folder).join("package.json")).ok());
    let depends = described.is_some_and(|text| {
        let package: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        package["dependencies"].as_object().is_some_and(|packages| !packages.is_empty())
    });
    if let (true, Some(folder)) = (depends, folder) {
        recipe.build = Some(in_folder(folder, "npm install"));
        recipe.tools.push("npm");
        recipe.doubts.push("npm install needs the network".to_owned());
    }
    recipe
}

fn java(source: &Source, parts: &[&Source], sources: &Sources) -> Recipe {
    let declared = pattern(r"(?m)^\s*package\s+([\w.]+)\s*;").captures(&source.code);
    let stem = source.stem();
    let class = declared.as_ref().map_or(stem.clone(), |package| format!("{}.{stem}", &package[1]));
    let files: BTreeSet<&Path> =
        std::iter::once(source).chain(parts.iter().copied()).map(|part| part.path.as_path()).collect();
    let listed: Vec<String> = files.iter().map(|file| quoted(&file.display().to_string())).collect();
    // Two classes of one name in two folders would overwrite each other.
    let has_twin = declared.is_none()
        && sources.sources.iter().any(|other| {
            let is_called_so = files.iter().any(|file| file.file_name() == other.path.file_name());
            is_called_so && !files.contains(other.path.as_path())
        });
    let folder = source.folder().display().to_string();
    let to = if has_twin && !folder.is_empty() { quoted(&folder) } else { ".".to_owned() };
    let run = if to == "." { format!("java {class}") } else { format!("java -cp {to} {class}") };
    let mut doubts = Vec::new();
    if let Some(build) = sources
        .others
        .iter()
        .find(|path| ["pom.xml", "build.gradle", "build.gradle.kts"].iter().any(|name| path.ends_with(name)))
    {
        doubts
            .push(format!("{} is not used; javac compiles the files that belong together", build.display()));
    }
    Recipe {
        build: Some(format!("javac -encoding UTF-8 -d {to} {}", listed.join(" "))),
        run,
        tools: source.language.tools.to_vec(),
        doubts,
    }
}

fn go(dir: &Path, source: &Source, parts: &[&Source]) -> Recipe {
    let module = source.path.ancestors().skip(1).find(|folder| dir.join(folder).join("go.mod").is_file());
    let name = output(dir, source);
    let folder = module.unwrap_or(source.folder());
    let files: BTreeSet<String> = std::iter::once(source)
        .chain(parts.iter().copied())
        .filter(|part| part.folder() == source.folder())
        .filter_map(|part| part.path.strip_prefix(folder).ok())
        .map(|file| quoted(&file.display().to_string()))
        .collect();
    let files: Vec<String> = files.into_iter().collect();
    let to = quoted(&format!("{}{name}", "../".repeat(folder.components().count())));
    Recipe {
        build: Some(in_folder(folder, &format!("go build -o {to} {}", files.join(" ")))),
        run: format!("./{}", quoted(&name)),
        tools: source.language.tools.to_vec(),
        doubts: Vec::new(),
    }
}

fn rust(dir: &Path, source: &Source) -> Recipe {
    let mut recipe = Recipe { tools: source.language.tools.to_vec(), ..Recipe::default() };
    let has_manifest = |folder: &&Path| dir.join(folder).join("Cargo.toml").is_file();
    let Some(folder) = source.path.ancestors().skip(1).find(has_manifest) else {
        let name = output(dir, source);
        let file = quoted(&source.path.display().to_string());
        recipe.build = Some(format!("rustc -O -o {} {file}", quoted(&name)));
        recipe.run = format!("./{}", quoted(&name));
        recipe.tools = vec!["rustc"];
        return recipe;
    };
    let manifest = untrusted::text(&dir.join(folder).join("Cargo.toml")).unwrap_or_default();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap_or_default();
    let inside = source.path.strip_prefix(folder).unwrap_or(&source.path);
    let bins = manifest.get("bin").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let declared = bins.iter().find_map(|bin| {
        let path = bin.get("path")?.as_str()?;
        (Path::new(path) == inside).then(|| bin.get("name")?.as_str().map(str::to_owned))?
    });
    let package = || manifest.get("package")?.get("name")?.as_str().map(str::to_owned);
    let is_main = inside.file_stem().is_some_and(|stem| stem == "main");
    let name = declared
        .or_else(|| (inside == Path::new("src/main.rs")).then(package).flatten())
        .or_else(|| is_main.then(|| inside.parent()?.file_name()?.to_str().map(str::to_owned)).flatten())
        .unwrap_or_else(|| source.stem());
    // The packages of a workspace share one target directory.
    let workspace = folder.ancestors().skip(1).find(|above| {
        untrusted::text(&dir.join(above).join("Cargo.toml")).is_ok_and(|text| text.contains("[workspace]"))
    });
    let root = workspace.unwrap_or(folder);
    recipe.build = Some(in_folder(root, "cargo build --release"));
    recipe.run = quoted(&root.join("target/release").join(&name).display().to_string());
    let depends =
        manifest.get("dependencies").and_then(toml::Value::as_table).is_some_and(|all| !all.is_empty());
    if depends && !dir.join(root).join("vendor").is_dir() {
        recipe.doubts.push("cargo build needs the network for the dependencies in Cargo.toml".to_owned());
    }
    recipe
}

fn c_sharp(dir: &Path, source: &Source, parts: &[&Source], sources: &Sources) -> Recipe {
    let is_project = |path: &&PathBuf| {
        path.extension().is_some_and(|extension| extension == "csproj")
            && path.parent().is_some_and(|folder| source.path.starts_with(folder))
    };
    let project = sources.others.iter().find(is_project);
    let is_new = |path: &&PathBuf| untrusted::text(&dir.join(path)).is_ok_and(|text| text.contains("Sdk="));
    if let Some(project) = project.filter(is_new) {
        let folder = project.parent().unwrap_or(Path::new(""));
        let name = project.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let out = folder.join("out");
        let project = quoted(&project.display().to_string());
        return Recipe {
            build: Some(format!("dotnet build {project} -o {}", quoted(&out.display().to_string()))),
            run: format!("dotnet {}", quoted(&out.join(format!("{name}.dll")).display().to_string())),
            tools: vec!["dotnet"],
            doubts: Vec::new(),
        };
    }
    let files: BTreeSet<String> = std::iter::once(source)
        .chain(parts.iter().copied())
        .map(|part| quoted(&part.path.display().to_string()))
        .collect();
    let files: Vec<String> = files.into_iter().collect();
    let name = quoted(&format!("{}.exe", output(dir, source)));
    Recipe {
        build: Some(format!("mcs -out:{name} {}", files.join(" "))),
        run: format!("mono {name}"),
        tools: vec!["mcs", "mono"],
        doubts: Vec::new(),
    }
}

fn c(dir: &Path, source: &Source, parts: &[&Source], sources: &Sources) -> Recipe {
    let mut recipe = Recipe { tools: source.language.tools.to_vec(), ..Recipe::default() };
    let all = || std::iter::once(source).chain(parts.iter().copied());
    let has = |what: &str| all().any(|part| pattern(what).is_match(&part.text));
    if has(r"#\s*include\s*<(?:[wW]insock2?|[wW]indows|ws2tcpip)\.h>") && !has(r"_WIN32") {
        recipe
            .doubts
            .push(format!("{} is written for Windows and cannot be built here", source.path.display()));
    }
    let names = ["Makefile", "makefile", "GNUmakefile"];
    let makefile =
        source.path.ancestors().skip(1).find_map(|folder| {
            names.iter().map(|name| folder.join(name)).find(|path| dir.join(path).is_file())
        });
    if let Some(makefile) = makefile {
        let text = untrusted::text(&dir.join(&makefile)).unwrap_or_default();
        let folder = makefile.parent().unwrap_or(Path::new(""));
        let made = made(&text, source).filter(|(_, program)| !dir.join(folder).join(program).is_dir());
        if let Some((target, program)) = made {
            recipe.build =
                Some(in_folder(folder, &format!("make {}", quoted(&target)).replace("make all", "make")));
            recipe.run = relative(&folder.join(program));
            recipe.tools.push("make");
            return recipe;
        }
        recipe.doubts.push(format!(
            "{} does not say what {} becomes; the compiler is called instead",
            makefile.display(),
            source.path.display()
        ));
    } else if let Some(cmake) = sources.others.iter().find(|path| path.ends_with("CMakeLists.txt")) {
        recipe.doubts.push(format!("{} is not used; the compiler is called instead", cmake.display()));
    }
    let name = output(dir, source);
    let files = all().filter(|part| !part.is_header());
    let files: Vec<String> = files.map(|part| quoted(&part.path.display().to_string())).collect();
    let mut command = vec![recipe.tools[0].to_owned(), "-o".to_owned(), quoted(&name)];
    command.extend(all().flat_map(|part| include_folders(part, sources)).collect::<BTreeSet<_>>());
    command.extend(files);
    for (what, option) in [
        (r"<pthread\.h>|<thread>|<future>", "-pthread"),
        (r"<math\.h>", "-lm"),
        (r"<readline/", "-lreadline"),
        (r"<n?curses\.h>", "-lncurses"),
        (r"<SFML/", "-lsfml-network -lsfml-system"),
    ] {
        if has(&format!(r"#\s*include\s*(?:{what})")) {
            command.push(option.to_owned());
        }
    }
    recipe.build = Some(command.join(" "));
    recipe.run = format!("./{}", quoted(&name));
    recipe
}

/// The options for the folders of headers that `source` includes and that are not beside it.
fn include_folders(source: &Source, sources: &Sources) -> Vec<String> {
    let include = pattern(r#"(?m)^\s*#\s*include\s*"([^"]+)""#);
    let folder = |found: regex_lite::Captures| {
        let header = &found[1];
        let paths = || sources.sources.iter().map(|source| source.path.as_path());
        if paths().any(|path| path == source.folder().join(header)) {
            return None;
        }
        let path = paths().find(|path| path.ends_with(header))?;
        let folder = path.ancestors().nth(Path::new(header).components().count())?;
        Some(format!("-I{}", quoted(&folder.display().to_string())))
    };
    include.captures_iter(&source.text).filter_map(folder).collect()
}

/// What to make for `source`, and what the program is then called: `all` where that is the first rule.
fn made(makefile: &str, source: &Source) -> Option<(String, String)> {
    let stem = source.stem();
    let file = source.path.file_name()?.to_string_lossy().into_owned();
    let head = pattern(r"(?m)^([\w./-]+(?:[ \t]+[\w./-]+)*)[ \t]*:[^=\n]*");
    let rules: Vec<(String, &str)> = head
        .find_iter(makefile)
        .map(|rule| {
            let (name, _) = rule.as_str().split_once(':').unwrap_or((rule.as_str(), ""));
            let end = makefile[rule.end()..].find("\n\n").map_or(makefile.len(), |end| rule.end() + end);
            (name.trim().to_owned(), &makefile[rule.start()..end])
        })
        .filter(|(name, _)| !name.starts_with('.'))
        .collect();
    let word = |name: &str| pattern(&format!(r"(?:^|[^\w./-]){}(?:[^\w./-]|$)", regex_lite::escape(name)));
    // The file itself or its object, in a rule of its own or behind -o.
    let mentions = |text: &str| word(&file).is_match(text) || word(&format!("{stem}.o")).is_match(text);
    let all = rules.first().is_some_and(|(name, _)| name == "all");
    let output = pattern(r"-o\s+([\w./-]+)");
    let by_option = makefile
        .lines()
        .filter(|line| word(&file).is_match(line) || word(&format!("{stem}.o")).is_match(line))
        .find_map(|line| Some(output.captures(line)?[1].to_owned()))
        .filter(|name| !is_object(name));
    let by_rule = rules
        .iter()
        .filter(|(name, _)| !is_object(name) && name != "all" && name != "clean")
        .find(|(_, text)| mentions(text.lines().next().unwrap_or_default()))
        .map(|(name, _)| name.clone());
    let mut outputs: Vec<String> = output.captures_iter(makefile).map(|found| found[1].to_owned()).collect();
    outputs.retain(|name| !is_object(name));
    outputs.dedup();
    let is_beside = word(&file).is_match(makefile) || word(&format!("./{file}")).is_match(makefile);
    let by_option = by_option.or_else(|| (is_beside && outputs.len() == 1).then(|| outputs[0].clone()));
    let by_name = word(&stem).is_match(makefile).then(|| stem.clone());
    let program = by_option.clone().or_else(|| by_rule.clone()).or(by_name)?;
    let rule =
        rules.iter().find(|(name, text)| !is_object(name) && mentions(text)).map(|(name, _)| name.clone());
    let target = if all { "all".to_owned() } else { by_rule.or(rule).unwrap_or_else(|| program.clone()) };
    Some((target, program))
}

/// Whether `name` is that of an object file.
fn is_object(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "o")
}

/// A name for what is built of `source` that nothing in `dir` has, and that tells two programs apart.
fn output(dir: &Path, source: &Source) -> String {
    let no_name = ["main", "src", "source", "app", "cmd", "program"];
    let stem = source.stem();
    let folders = source.folder().iter().rev().map(|folder| folder.to_string_lossy().into_owned());
    let mut names = std::iter::once(stem.clone()).chain(folders);
    let name = names.find(|name| !no_name.contains(&name.to_lowercase().as_str())).unwrap_or(stem);
    if dir.join(&name).exists() { format!("{name}_program") } else { name }
}

/// `command` in `folder`.
fn in_folder(folder: &Path, command: &str) -> String {
    if folder.as_os_str().is_empty() {
        return command.to_owned();
    }
    format!("(cd {} && {command})", quoted(&folder.display().to_string()))
}

/// `program` with a slash in it, so that it is not looked for in PATH.
fn relative(program: &Path) -> String {
    let text = quoted(&program.display().to_string());
    if text.contains('/') { text } else { format!("./{text}") }
}
