//! What places where classes live run: an autograder for Gradescope, a workflow for GitHub.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::check::TABLE;

/// A course file with everything in it, most of it as comments.
fn course() -> String {
    let mut text = include_str!("classroom/course.toml").to_owned();
    for requirement in TABLE {
        text += &format!("{:3} = 1   # {}\n", requirement.id.to_string(), requirement.words);
    }
    text
}

/// Writes an autograder: `setup.sh`, `run_autograder`, `course.toml` and this very program, to be packed
/// into a zip file.
pub fn gradescope(directory: &Path) -> io::Result<()> {
    write(&directory.join("setup.sh"), include_str!("classroom/setup.sh").as_bytes(), 0o755)?;
    write(&directory.join("run_autograder"), include_str!("classroom/run_autograder").as_bytes(), 0o755)?;
    write(&directory.join("course.toml"), course().as_bytes(), 0o644)?;
    copy_program(&directory.join("echolog"))
}

/// Writes a workflow for a repository that students start from, with `course.toml` and this very program.
pub fn github(directory: &Path) -> io::Result<()> {
    let workflows = directory.join(".github/workflows");
    let own = directory.join(".github/echolog");
    fs::create_dir_all(&workflows)?;
    fs::create_dir_all(&own)?;
    write(&workflows.join("echolog.yml"), include_str!("classroom/workflow.yml").as_bytes(), 0o644)?;
    write(&own.join("course.toml"), course().as_bytes(), 0o644)?;
    copy_program(&own.join("echolog"))
}

fn copy_program(to: &Path) -> io::Result<()> {
    fs::copy(env::current_exe()?, to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))
}

/// Writes a file that is not there yet: what a teacher has changed stays.
fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    if path.exists() {
        let name = path.display();
        return Err(io::Error::other(format!("{name} is there already; it may have been changed")));
    }
    fs::write(path, bytes)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}
