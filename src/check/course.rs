//! A course: what is the same for all submissions of a class.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;

use super::Id;
use super::config::{self, Config};
use crate::error::Fault;
use crate::results::Visibility;

/// What `course.toml` says.
#[derive(Clone, Debug, Default)]
pub struct Course {
    /// How submissions are built and called that do not say so themselves.
    pub config: Config,
    /// The requirements that are judged; all where there are none.
    pub only: Vec<Id>,
    /// How long to wait for a program.
    pub timeout: Option<Duration>,
    /// How long a build may take.
    pub build_timeout: Option<Duration>,
    /// Address space of each program, in MiB.
    pub memory: Option<u64>,
    points: Option<BTreeMap<Id, f64>>,
    visibility: BTreeMap<Id, Visibility>,
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[derive(Default)]
struct File {
    only: Vec<String>,
    timeout: Option<f64>,
    build_timeout: Option<f64>,
    memory: Option<u64>,
    points: Option<BTreeMap<String, f64>>,
    visibility: BTreeMap<String, Visibility>,
    build: Option<String>,
    server: Option<String>,
    client: Option<String>,
    server_answers: Option<Vec<String>>,
    client_answers: Option<Vec<String>>,
    port: Option<u16>,
    quit: Option<String>,
    environment: Option<BTreeMap<String, String>>,
}

impl Course {
    /// From the file at `path`.
    pub fn load(path: &Path) -> Result<Self> {
        let file: File = config::read(path)?
            .ok_or_else(|| Fault::usage(format!("cannot read {}: no such file", path.display())))?;
        Self::of(file).map_err(|why| Fault::usage(format!("{}: {why}", path.display())).into())
    }

    fn of(file: File) -> Result<Self, String> {
        let id = |name: &String| name.parse::<Id>().map_err(|error| error.to_string());
        let points = match file.points {
            None => None,
            Some(table) => {
                let mut points = BTreeMap::new();
                for (name, number) in table {
                    if !(number.is_finite() && number >= 0.0) {
                        return Err(format!("{name} needs a number of points, 0 or more"));
                    }
                    points.insert(id(&name)?, number);
                }
                Some(points)
            }
        };
        let visibility = file.visibility.iter().map(|(name, when)| Ok((id(name)?, *when)));
        let seconds = |name: &str, value: Option<f64>| match value.map(Duration::try_from_secs_f64) {
            None => Ok(None),
            Some(Ok(time)) if !time.is_zero() => Ok(Some(time)),
            Some(_) => Err(format!("{name} needs a number of seconds, more than 0")),
        };
        if file.memory == Some(0) {
            return Err("memory needs a number of MiB, more than 0".to_owned());
        }
        Ok(Course {
            config: Config {
                build: file.build,
                server: file.server,
                client: file.client,
                server_answers: file.server_answers,
                client_answers: file.client_answers,
                port: file.port,
                quit: file.quit,
                environment: file.environment,
            },
            only: file.only.iter().map(id).collect::<Result<_, _>>()?,
            timeout: seconds("timeout", file.timeout)?,
            build_timeout: seconds("build-timeout", file.build_timeout)?,
            memory: file.memory,
            visibility: visibility.collect::<Result<_, String>>()?,
            points,
        })
    }

    /// What a requirement is worth: one point each, unless the course says otherwise; then those that it
    /// does not name are worth nothing.
    pub fn points(&self, requirement: Id) -> f64 {
        self.points.as_ref().map_or(1.0, |points| points.get(&requirement).copied().unwrap_or_default())
    }

    /// When a student sees the row of a requirement.
    pub fn visibility(&self, requirement: Id) -> Visibility {
        self.visibility.get(&requirement).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(text: &str) -> Result<Course, String> {
        Course::of(toml::from_str(text).map_err(|error| error.message().to_owned())?)
    }

    #[apply(test)]
    fn requirements_that_get_no_points_are_worth_nothing() {
        let all = course("").unwrap();
        assert_eq!((all.points(Id::S1), all.points(Id::R9)), (1.0, 1.0));
        let some = course("[points]\nS1 = 2\nr9 = 0.5\n").unwrap();
        let points = [Id::S1, Id::R9, Id::C1].map(|id| some.points(id).to_string());
        assert_eq!(points, ["2", "0.5", "0"]);
    }

    #[apply(test)]
    fn a_course_is_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("course.toml");
        std::fs::write(&path, "only = [\"S1\"]\n[visibility]\nS1 = \"hidden\"\n").unwrap();
        let course = Course::load(&path).unwrap();
        assert_eq!(course.only, [Id::S1]);
        assert!(course.visibility(Id::S1) != course.visibility(Id::S2));
        let error = Course::load(&dir.path().join("other.toml")).expect_err("there is none").to_string();
        assert!(error.ends_with("other.toml: no such file"), "{error}");
    }

    #[apply(test)]
    fn limits_are_taken_in_their_units() {
        let limits = course("timeout = 2.5\nbuild-timeout = 60\nmemory = 512\n").unwrap();
        assert_eq!(limits.timeout, Some(Duration::from_millis(2500)));
        assert_eq!(limits.build_timeout, Some(Duration::from_secs(60)));
        assert_eq!(limits.memory, Some(512));
        let none = course("").unwrap();
        assert_eq!((none.timeout, none.build_timeout, none.memory), (None, None, None));
    }

    #[apply(test)]
    fn what_is_wrong_is_named() {
        for (text, says) in [
            ("[points]\nS1 = -1\n", "S1 needs a number of points, 0 or more"),
            ("[points]\nS1 = inf\n", "S1 needs a number of points, 0 or more"),
            ("[points]\nQ1 = 1\n", "no such requirement: Q1"),
            ("only = [\"S99\"]\n", "no such requirement: S99"),
            ("timeout = 0\n", "timeout needs a number of seconds, more than 0"),
            ("memory = 0\n", "memory needs a number of MiB, more than 0"),
            ("[visibility]\nS1 = \"never\"\n", "unknown variant `never`"),
            ("prot = 1\n", "unknown field `prot`"),
        ] {
            let error = course(text).expect_err(text);
            assert!(error.starts_with(says), "{text}: {error}");
        }
    }
}
