//! `make install` and `make uninstall`, and what they put where distributions expect it: the program,
//! man pages without warnings, and completions that shells take.

use predicates::prelude::*;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::{self, ECHOLOG, echolog, needs, run};

/// Runs a goal of the Makefile with the program under test in place of an optimised one.
#[track_caller]
fn make(goal: &str, destdir: &Path, prefix: &str) {
    let mut command = Command::new("make");
    // -o: whatever its age, it is not built again.
    command.args(["-s", "-o", ECHOLOG, goal, &format!("BINARY={ECHOLOG}"), &format!("PREFIX={prefix}")]);
    command.arg(format!("DESTDIR={}", destdir.display()));
    let generated = destdir.join("generated-here");
    command.arg(format!("GENERATED={}", generated.display()));
    let ended = run(command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()));
    assert_eq!((ended.err.as_str(), ended.status.code()), ("", Some(0)), "{ended}");
    let _ = std::fs::remove_dir_all(generated);
}

/// Every file below `directory`, with its mode.
fn files(directory: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(next).expect("it can be read") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() {
                left.push(path);
            } else {
                let mode = path.metadata().expect("it is there").permissions().mode() & 0o777;
                found.push((path.strip_prefix(directory).expect("it is below").to_owned(), mode));
            }
        }
    }
    found.sort();
    found
}

#[apply(test)]
fn install_puts_everything_where_distributions_expect_it_and_uninstall_takes_all_of_it_away() {
    needs(&["make"]);
    let root = tempfile::tempdir().expect("a directory");
    make("install", root.path(), "/usr");
    let installed = files(root.path());
    for (path, mode) in [
        ("usr/bin/echolog", 0o755),
        ("usr/share/bash-completion/completions/echolog", 0o644),
        ("usr/share/fish/vendor_completions.d/echolog.fish", 0o644),
        ("usr/share/man/man1/echolog.1", 0o644),
        ("usr/share/man/man1/echolog-server.1", 0o644),
        ("usr/share/man/man1/echolog-client.1", 0o644),
        ("usr/share/man/man1/echolog-replay.1", 0o644),
        ("usr/share/man/man1/echolog-record.1", 0o644),
        ("usr/share/man/man1/echolog-check.1", 0o644),
        ("usr/share/man/man1/echolog-completions.1", 0o644),
        ("usr/share/zsh/site-functions/_echolog", 0o644),
    ] {
        assert!(installed.contains(&(path.into(), mode)), "{path} {mode:o} in {installed:#?}");
    }
    let version = run(Command::new(root.path().join("usr/bin/echolog")).arg("--version"));
    version.shows(concat!("echolog ", env!("CARGO_PKG_VERSION"), "\n"));
    make("uninstall", root.path(), "/usr");
    assert_eq!(files(root.path()), []);
}

/// The man pages, and the directory that they are in.
fn man_pages() -> (tempfile::TempDir, Vec<PathBuf>) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("temporary paths are plain");
    run(&mut echolog(&["generate", "man", path])).shows("");
    let files = files(directory.path()).into_iter().map(|(file, _)| directory.path().join(file)).collect();
    (directory, files)
}

/// The completions for `shell`, in a file, and the directory that it is in.
fn completions(shell: &str) -> (tempfile::TempDir, String) {
    let ended = run(&mut echolog(&["completions", shell]));
    assert_eq!((ended.err.as_str(), ended.status.code()), ("", Some(0)), "{ended}");
    common::file_with(ended.out)
}

/// A page as `man` shows it, 80 columns wide.
fn shown(page: &Path) -> String {
    let mut man = Command::new("man");
    man.args(["--warnings", "-l"]).arg(page).env("LC_ALL", "C.UTF-8").env("MANWIDTH", "80");
    let ended = run(man.env_remove("MANPAGER").stdin(Stdio::null()));
    assert_eq!((ended.err.as_str(), ended.status.code()), ("", Some(0)), "{} {ended}", page.display());
    ended.out
}

#[apply(test)]
fn man_shows_every_page_without_a_warning_and_with_all_sections_in_order() {
    needs(&["man", "groff"]);
    let (_kept, pages) = man_pages();
    assert_eq!(pages.len(), 9, "{pages:?}");
    for page in pages {
        let text = shown(&page);
        let has = |file: &str| page.ends_with(file);
        let mut sections = vec!["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"];
        match () {
            () if has("echolog.1") => sections.push("COMMANDS"),
            () if ["completions", "generate", "report"]
                .iter()
                .any(|one| has(&format!("echolog-{one}.1"))) =>
            {
                sections.push("EXAMPLES");
            }
            () if has("echolog-server.1") || has("echolog-client.1") => {
                sections.extend(["EXAMPLES", "ENVIRONMENT"]);
            }
            () => sections.extend(["EXAMPLES", "ENVIRONMENT", "FILES"]),
        }
        sections.extend(["EXIT STATUS", "SEE ALSO"]);
        let mut lines = text.lines();
        for section in sections {
            assert!(lines.any(|line| line == section), "{section} in {}\n{text}", page.display());
        }
        let mut groff = Command::new("groff");
        run(groff.args(["-man", "-Tutf8", "-ww", "-z"]).arg(&page).stdin(Stdio::null())).shows("");
    }
}

#[apply(test)]
fn a_synopsis_has_positional_arguments_first_and_every_value() {
    needs(&["man", "groff"]);
    let (kept, _) = man_pages();
    for (page, synopsis) in [
        (
            "server",
            "echolog server [PORT] [-p, --port PORT] [--bind ADDR] [--allow ADDR]... [--max-message BYTES]",
        ),
        ("replay", "echolog replay [PATH]... [--drive DRIVES]... [--wire WIRES]..."),
        ("record", "echolog record DIR [--force]"),
        ("", "echolog COMMAND [ARGUMENT]..."),
    ] {
        let text = shown(&kept.path().join(format!("echolog-{page}.1").replace("-.", ".")));
        let words: Vec<&str> = text.split_whitespace().collect();
        assert!(words.join(" ").contains(synopsis), "{text}");
    }
}

#[apply(test)]
fn man_pages_have_the_date_of_this_version() {
    let (kept, _) = man_pages();
    let page = std::fs::read_to_string(kept.path().join("echolog.1")).expect("there is a page");
    let title = page.lines().find_map(|line| line.strip_prefix(".TH ")).expect("it has a title");
    let date = title.split_whitespace().nth(2).expect("a date").trim_matches('"').replace("\\-", "-");
    let readme = include_str!("../README.md");
    let heading = format!("\n### {} ({date})\n", env!("CARGO_PKG_VERSION"));
    assert!(readme.contains(&heading), "{heading} in README.md, and {title}");
}

#[apply(test)]
fn completions_for_an_unknown_shell_are_a_usage_error() {
    let ended = run(&mut echolog(&["completions", "csh"]));
    ended.assert().stderr(predicate::str::contains("bash"));
    assert_eq!((ended.out.as_str(), ended.status.code()), ("", Some(2)), "{ended}");
}

#[apply(test)]
fn bash_completes_commands_and_options() {
    needs(&["bash"]);
    let (_kept, file) = completions("bash");
    for (words, completed) in [
        ("echolog se", "serve server"),
        ("echolog cl", "client"),
        ("echolog client --sa", "--save-log"),
        ("echolog server --ma", "--max-log --max-message"),
    ] {
        let script = format!(
            "source {file}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _echolog echolog \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\" | sort | xargs"
        );
        run(Command::new("bash").args(["-c", &script]).stdin(Stdio::null())).shows(&format!("{completed}\n"));
    }
}

#[apply(test)]
fn zsh_reads_its_completions() {
    needs(&["zsh"]);
    let (_kept, file) = completions("zsh");
    run(Command::new("zsh").args(["-f", "-n", &file]).stdin(Stdio::null())).shows("");
}

#[apply(test)]
fn fish_completes_commands() {
    needs(&["fish"]);
    let (kept, file) = completions("fish");
    let script = format!("source {file}; complete -C 'echolog se' | string split -f 1 \\t");
    let mut fish = Command::new("fish");
    fish.args(["--no-config", "-c", &script]).env("HOME", kept.path()).stdin(Stdio::null());
    run(&mut fish).shows("serve\nserver\n");
}
