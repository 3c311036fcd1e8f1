//! Files with reports.
//!
//! What always holds: a file is written beside its place and renamed, so that it is complete and valid at
//! any moment; what is not a regular file is written to, never replaced.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::Format;
use crate::error::Fault;
use crate::results::Results;

/// How long after a write the next one of an unfinished run may follow, at least.
const PAUSE: Duration = Duration::from_secs(1);
/// The part of its time that an unfinished run may spend on writing: one in this many.
const SHARE: u32 = 20;

/// Where reports go.
#[derive(Debug)]
pub struct Files {
    files: Vec<(Format, PathBuf)>,
    next: Instant,
}

impl Files {
    /// Reports in `formats` to `output`: a file, or a directory where there are several, or where there is
    /// one of that name, or where the name ends with a slash.
    pub fn new(formats: &[Format], output: Option<&Path>) -> Result<Self> {
        let next = Instant::now();
        let Some(output) = output else {
            if formats.len() > 1 {
                return Err(Fault::usage("several formats need a directory")
                    .hint("--output DIR gets a file for each format")
                    .into());
            }
            return Ok(Files { files: Vec::new(), next });
        };
        let slash = output.as_os_str().as_encoded_bytes().ends_with(b"/");
        let [format] = formats else {
            return Ok(Files { files: Self::in_directory(formats, output)?, next });
        };
        if slash || output.is_dir() {
            return Ok(Files { files: Self::in_directory(formats, output)?, next });
        }
        Ok(Files { files: vec![(*format, output.to_owned())], next })
    }

    fn in_directory(formats: &[Format], directory: &Path) -> Result<Vec<(Format, PathBuf)>> {
        fs::create_dir_all(directory).map_err(|error| {
            Fault::usage(format!("cannot make the directory {}", directory.display())).because(error)
        })?;
        Ok(formats.iter().map(|format| (*format, directory.join(format.file_name()))).collect())
    }

    /// Whether there is any.
    pub fn any(&self) -> bool {
        !self.files.is_empty()
    }

    /// Writes the results of a run that is still going on, if it is time to.
    pub fn interim(&mut self, results: &Results) -> Result<()> {
        let now = Instant::now();
        if now < self.next {
            return Ok(());
        }
        for (format, path) in &self.files {
            if is_regular(path) {
                whole(path, format.render(results)?.as_bytes())?;
            }
        }
        self.next = Instant::now() + PAUSE.max(now.elapsed() * SHARE);
        Ok(())
    }

    /// Writes the results of a run that is over.
    pub fn last(&self, results: &Results) -> Result<()> {
        for (format, path) in &self.files {
            whole(path, format.render(results)?.as_bytes())?;
        }
        Ok(())
    }
}

/// Whether `path` is a regular file, or can become one.
fn is_regular(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |data| data.is_file())
}

/// Writes `bytes` to `path` so that it has the old content or the new one, at any moment.
pub fn whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let cannot = |error: std::io::Error| {
        anyhow::Error::from(
            Fault::usage(format!("cannot write the report {}", path.display())).because(error),
        )
    };
    if !is_regular(path) {
        return fs::write(path, bytes).map_err(cannot);
    }
    // A link stays one; what it points at is replaced.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // As any new file: what the umask leaves of it.
    let permissions = fs::Permissions::from_mode(0o666);
    let mut file =
        tempfile::Builder::new().permissions(permissions).tempfile_in(directory).map_err(cannot)?;
    file.write_all(bytes).and_then(|()| file.flush()).map_err(cannot)?;
    file.persist(path).map_err(|error| cannot(error.error))?;
    Ok(())
}

/// Shows `text` on standard output, at once.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write the report")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Job;

    #[apply(test)]
    fn a_file_is_replaced_as_a_whole_and_a_link_to_it_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        whole(&link, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(link.is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left beside it");
        assert!(whole(Path::new("/no/such/directory/file"), b"x").is_err());
    }

    #[apply(test)]
    fn several_formats_need_a_directory_and_get_a_file_each() {
        assert!(Files::new(&[Format::Csv, Format::Json], None).is_err());
        let dir = tempfile::tempdir().unwrap();
        let into = dir.path().join("results");
        let mut files = Files::new(&[Format::Csv, Format::Json], Some(&into)).unwrap();
        files.interim(&Results::begin(Job::Check)).unwrap();
        for name in ["results.csv", "results.json"] {
            assert!(into.join(name).is_file(), "{name}");
        }
    }
}
