//! A fixture on disk: three plain files in a directory of their own, loaded, validated and listed.
//!
//! What always holds: a loaded fixture has a messages file, and both goldens or
//! none. None is a fixture that has not been blessed yet, and only blessing asks for such.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::error::Fault;
use crate::replay::drive::lines;
use crate::replay::golden::Golden;
use crate::run::command::PROFILE;

/// The file with the client's input, one message a line.
pub const MESSAGES: &str = "messages.txt";
/// The file of the server's whole stdout.
pub const SERVER_GOLDEN: &str = "server.golden";
/// The file of the client's whole stdout.
pub const CLIENT_GOLDEN: &str = "client.golden";

/// One fixture, as loaded.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// What it is called in lists and reports: the name of its directory, or the path where two
    /// directories have the same name.
    pub name: String,
    /// The directory, as the user wrote it (or as found under what the user wrote).
    pub dir: PathBuf,
    /// The messages file, byte for byte.
    pub typed: Vec<u8>,
    /// What it says.
    pub script: Script,
    /// The two goldens; none where the fixture has still to be blessed.
    pub goldens: Option<Goldens>,
}

/// Both screens as they must be.
#[derive(Clone, Debug)]
pub struct Goldens {
    /// The server's.
    pub server: Golden,
    /// The client's.
    pub client: Golden,
}

/// The lines of a messages file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The messages before `quit` or the end of the file, each without its line end.
    pub messages: Vec<Vec<u8>>,
    /// Whether a `quit` stands in the file; without one the end of the file quits.
    pub quits: bool,
    /// How many lines follow `quit`; they are never sent.
    pub unsent: usize,
}

impl Script {
    /// Takes the bytes of a messages file apart.
    pub fn parse(bytes: &[u8]) -> Self {
        let lines: Vec<&[u8]> = lines(bytes).collect();
        let messages: Vec<Vec<u8>> =
            lines.iter().take_while(|line| **line != b"quit").map(|line| line.to_vec()).collect();
        let after = lines.len() - messages.len();
        Script { quits: after > 0, unsent: after.saturating_sub(1), messages }
    }
}

impl Fixture {
    /// The path of the messages file.
    pub fn messages_path(&self) -> PathBuf {
        self.dir.join(MESSAGES)
    }

    fn load(dir: &Path, asked: Asked) -> Result<Self> {
        let here = |file: &str| dir.join(file).symlink_metadata().is_ok();
        let missing: Vec<&str> =
            [MESSAGES, SERVER_GOLDEN, CLIENT_GOLDEN].into_iter().filter(|file| !here(file)).collect();
        let half =
            |missing: &str| Fault::usage(format!("half a fixture: {} has no {missing}", dir.display()));
        if missing.contains(&MESSAGES) {
            return Err(half(MESSAGES)
                .hint("a fixture is messages.txt, server.golden and client.golden in one directory")
                .into());
        }
        if !missing.is_empty() && asked == Asked::Judging {
            return Err(half(&missing.join(" and no "))
                .hint(format!("`echolog replay --bless {}` writes what is missing", quoted(dir)))
                .into());
        }
        let typed = read(&dir.join(MESSAGES))?;
        let script = Script::parse(&typed);
        let goldens = if missing.is_empty() {
            let golden = |file: &str| -> Result<Golden> {
                let path = dir.join(file);
                let bytes = read(&path)?;
                Golden::parse(bytes, &script.messages).with_context(|| path.display().to_string())
            };
            Some(Goldens { server: golden(SERVER_GOLDEN)?, client: golden(CLIENT_GOLDEN)? })
        } else {
            None
        };
        let name = dir.file_name().map_or_else(|| dir.display().to_string(), lossy);
        Ok(Fixture { name, dir: dir.to_path_buf(), typed, script, goldens })
    }
}

/// What the fixtures are loaded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To be compared with: goldens must be there.
    Judging,
    /// To be blessed: goldens may be missing.
    Blessing,
}

/// Loads every fixture under `paths`, sorted by name within each path. A path is a fixture or a
/// directory of fixtures. Finding none is an error, and so is a directory among fixtures that is
/// none, unless it holds submissions to `check`.
pub fn load_all(paths: &[PathBuf], asked: Asked) -> Result<Vec<Fixture>> {
    let mut fixtures = Vec::new();
    let mut seen = Vec::new();
    for path in paths {
        for dir in find(path)? {
            // The same directory named twice is one fixture.
            let real = fs::canonicalize(&dir).map_err(|error| unreadable(&dir, error))?;
            if !seen.contains(&real) {
                seen.push(real);
                fixtures.push(Fixture::load(&dir, asked)?);
            }
        }
    }
    let names: Vec<String> = fixtures.iter().map(|fixture: &Fixture| fixture.name.clone()).collect();
    for fixture in &mut fixtures {
        if names.iter().filter(|name| **name == fixture.name).count() > 1 {
            fixture.name = fixture.dir.display().to_string();
        }
    }
    Ok(fixtures)
}

/// The fixture directories that `path` means.
fn find(path: &Path) -> Result<Vec<PathBuf>> {
    match kind(path)? {
        Kind::Fixture => return Ok(vec![path.to_path_buf()]),
        Kind::Submissions => {
            return Err(Fault::usage(format!("no fixture found in {}", path.display()))
                .hint(format!("it holds submissions: `echolog check {}/*/` judges them", quoted(path)))
                .into());
        }
        Kind::Other => {}
    }
    let mut found = Vec::new();
    let mut odd = None;
    for dir in directories(path)? {
        match kind(&dir)? {
            Kind::Fixture => found.push(dir),
            Kind::Submissions => {}
            Kind::Other => odd = odd.or(Some(dir)),
        }
    }
    let what = "a fixture is a directory with messages.txt, server.golden and client.golden; --bless writes the \
                last two";
    match odd {
        _ if found.is_empty() => {
            Err(Fault::usage(format!("no fixture found in {}", path.display())).hint(what).into())
        }
        // Among fixtures, a directory without any of their files is most likely one with a
        // mistyped name in it; passing it over would leave it out of every replay in silence.
        Some(odd) => Err(Fault::usage(format!("not a fixture: {}", odd.display())).hint(what).into()),
        None => Ok(found),
    }
}

enum Kind {
    Fixture,
    Submissions,
    Other,
}

fn kind(path: &Path) -> Result<Kind> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, error))?;
    if !metadata.is_dir() {
        return Err(Fault::usage(format!("not a directory: {}", path.display()))
            .hint("name a fixture's directory, or a directory of fixtures")
            .into());
    }
    let has = |dir: &Path, file: &str| dir.join(file).symlink_metadata().is_ok();
    if [MESSAGES, SERVER_GOLDEN, CLIENT_GOLDEN].iter().any(|file| has(path, file)) {
        return Ok(Kind::Fixture);
    }
    if has(path, PROFILE) || directories(path)?.iter().any(|dir| has(dir, PROFILE)) {
        return Ok(Kind::Submissions);
    }
    Ok(Kind::Other)
}

/// The directories in `path`, hidden ones left out, sorted.
fn directories(path: &Path) -> Result<Vec<PathBuf>> {
    let mut directories = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| unreadable(path, error))? {
        let entry = entry.map_err(|error| unreadable(path, error))?;
        if entry.path().is_dir() && !lossy(entry.file_name()).starts_with('.') {
            directories.push(entry.path());
        }
    }
    directories.sort();
    Ok(directories)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, error: io::Error) -> anyhow::Error {
    Fault::usage(format!("cannot read {}", path.display())).because(error).into()
}

fn lossy(name: impl AsRef<std::ffi::OsStr>) -> String {
    name.as_ref().to_string_lossy().into_owned()
}

fn quoted(path: &Path) -> String {
    shlex::try_quote(&path.display().to_string()).map_or_else(|_| lossy(path), std::borrow::Cow::into_owned)
}

/// Writes a file so that it is either the old one or the new one, whole.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(dir)
        .with_context(cannot)?;
    file.write_all(bytes).with_context(cannot)?;
    file.persist(path).map_err(|error| error.error).with_context(cannot)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(messages: &[&[u8]], quits: bool, unsent: usize) -> Script {
        Script { messages: messages.iter().map(|message| message.to_vec()).collect(), quits, unsent }
    }

    #[apply(test)]
    fn messages_end_at_quit_and_what_follows_is_counted() {
        assert_eq!(Script::parse(b"one\n\ntwo\nquit\nthree\nfour"), script(&[b"one", b"", b"two"], true, 2));
    }

    #[apply(test)]
    fn the_end_of_the_file_quits_where_no_line_does() {
        assert_eq!(Script::parse(b""), script(&[], false, 0));
        assert_eq!(Script::parse(b"\n"), script(&[b""], false, 0));
        assert_eq!(Script::parse(b"quit"), script(&[], true, 0));
        assert_eq!(Script::parse(b"one\n\n"), script(&[b"one", b""], false, 0));
    }

    #[apply(test)]
    fn a_carriage_return_belongs_to_the_line_end_only_there() {
        assert_eq!(Script::parse(b"a\rb\r\nquit\r\n"), script(&[b"a\rb"], true, 0));
        assert_eq!(Script::parse(b"quit \r\n Quit\n"), script(&[b"quit ", b" Quit"], false, 0));
    }
}
