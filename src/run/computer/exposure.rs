//! Which directories outside the system hold the tools that programs need: interpreters and virtual machines
//! that were installed into a home directory, for one.
//!
//! A directory in `PATH` is shown. So is what was installed with it: the directory above, if that is a
//! tool's own (hidden, like `~/.pyenv`, or with a `lib` beside its `bin`), but never a home directory.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::files::is_system;

/// Variables that name where a tool is installed; they are passed on, and what they name is shown.
pub(in crate::run) const PLACES: [&str; 16] = [
    "JAVA_HOME",
    "PYENV_ROOT",
    "RBENV_ROOT",
    "NVM_DIR",
    "NODE_PATH",
    "RUSTUP_HOME",
    "GOROOT",
    "DOTNET_ROOT",
    "SDKMAN_DIR",
    "CONDA_PREFIX",
    "VIRTUAL_ENV",
    "PYTHONHOME",
    "PYTHONPATH",
    "GEM_PATH",
    "PERL5LIB",
    "LD_LIBRARY_PATH",
];

/// The directories that hold the tools of this process's environment.
pub(super) static TOOLS: LazyLock<Vec<PathBuf>> = LazyLock::new(tools);

fn tools() -> Vec<PathBuf> {
    let mut shown = BTreeSet::new();
    let path = env::var_os("PATH").unwrap_or_default();
    for directory in env::split_paths(&path) {
        add_tool(&directory, &mut shown);
        let entries = if is_system(&directory) { None } else { fs::read_dir(&directory).ok() };
        for entry in entries.into_iter().flatten().flatten() {
            // What is a link leads to where its tool was installed.
            if let Some(installed) = entry.path().canonicalize().ok().as_deref().and_then(Path::parent) {
                add_tool(installed, &mut shown);
            }
        }
    }
    for name in PLACES {
        let value = env::var_os(name).unwrap_or_default();
        shown.extend(
            env::split_paths(&value).filter(|path| path.is_absolute() && !is_system(path) && path.exists()),
        );
    }
    // The proxies of rustup find it in the home directory.
    if let Some(rustup) = rustup() {
        shown.insert(rustup);
    }
    shown.retain(|path| !is_home(path));
    shown.into_iter().collect()
}

/// Where rustup keeps its toolchains, if that is not named by the environment.
pub(super) fn rustup() -> Option<PathBuf> {
    let home = env::home_dir()?;
    Some(home.join(".rustup")).filter(|path| env::var_os("RUSTUP_HOME").is_none() && path.is_dir())
}

/// The directories that the program at `path` needs: its own, and that of the tool it belongs to.
pub(super) fn around(path: &Path) -> Vec<PathBuf> {
    let mut shown = BTreeSet::new();
    for path in [Some(path.to_owned()), path.canonicalize().ok()].into_iter().flatten() {
        if let Some(directory) = path.parent() {
            add_tool(directory, &mut shown);
            if is_home(directory) {
                shown.insert(path);
            }
        }
    }
    shown.retain(|path| !is_home(path));
    shown.into_iter().collect()
}

fn add_tool(directory: &Path, shown: &mut BTreeSet<PathBuf>) {
    if !directory.is_absolute() || is_system(directory) || !directory.is_dir() {
        return;
    }
    shown.insert(directory.to_owned());
    let (Some(name), Some(above)) = (directory.file_name(), directory.parent()) else { return };
    if !["bin", "sbin", "shims", "libexec"].iter().any(|known| name == *known) || is_home(above) {
        return;
    }
    match above.file_name().and_then(OsStr::to_str) {
        // Much besides tools is kept there: keys and tokens, for example.
        Some(".local" | ".cargo") => shown.extend(Some(above.join("lib")).filter(|lib| lib.is_dir())),
        _ if is_hidden(above) || above.join("lib").is_dir() || above.join("lib64").is_dir() => {
            shown.insert(above.to_owned());
        }
        _ => {}
    }
}

/// Whether a part of `path` has a name that begins with a dot.
fn is_hidden(path: &Path) -> bool {
    path.iter().any(|part| part.as_encoded_bytes().starts_with(b"."))
}

/// Whether `path` is a home directory, holds some, or is no directory of its own.
fn is_home(path: &Path) -> bool {
    let homes = [env::home_dir(), Some("/root".into()), Some("/home".into()), Some("/tmp".into())];
    path.parent().is_none_or(|above| above == Path::new("/home"))
        || homes.iter().flatten().any(|home| home.starts_with(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[apply(test)]
    fn a_tool_is_shown_with_what_was_installed_with_it_and_a_home_is_not() {
        let dir = tempfile::Builder::new().prefix("echolog-").tempdir().expect("a directory");
        let make = |path: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(&path).expect("made");
            path
        };
        let shown = |directory: &Path| {
            let mut shown = BTreeSet::new();
            add_tool(directory, &mut shown);
            shown.into_iter().collect::<Vec<_>>()
        };
        make("jdk/lib");
        for (bin, whole) in [
            ("jdk/bin", Some("jdk")),
            (".pyenv/shims", Some(".pyenv")),
            (".local/bin", None),
            ("own/bin", None),
        ] {
            let bin = make(bin);
            let whole = whole.map(|whole| dir.path().join(whole));
            assert_eq!(shown(&bin), whole.into_iter().chain([bin.clone()]).collect::<Vec<_>>());
        }
        assert!(is_home(Path::new("/")) && is_home(Path::new("/home/ada")) && is_home(Path::new("/root")));
        assert!(!is_home(Path::new("/home/ada/.pyenv")));
    }
}
