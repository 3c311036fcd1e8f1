//! A course: what is the same for all submissions of a class.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Result;

use super::{Id, TABLE};
use crate::error::Fault;

/// What each requirement is worth.
#[derive(Clone, Debug)]
pub struct Points(BTreeMap<Id, f64>);

impl Default for Points {
    /// One point each.
    fn default() -> Self {
        Points(TABLE.iter().map(|requirement| (requirement.id, 1.0)).collect())
    }
}

impl Points {
    /// From a TOML file with lines like `S1 = 2.5`. A requirement that is not named is worth nothing.
    pub fn load(path: &Path) -> Result<Self> {
        let wrong = |why: String| {
            Fault::usage(format!("{}: {why}", path.display()))
                .hint("a line for each requirement that counts, like S1 = 2.5; the others are worth nothing")
        };
        let text = fs::read_to_string(path)
            .map_err(|error| Fault::usage(format!("cannot read {}", path.display())).because(error))?;
        let table: toml::Table = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            wrong(format!("line {line}: {}", error.message().lines().next().unwrap_or("not TOML")))
        })?;
        let mut points: BTreeMap<_, _> = TABLE.iter().map(|requirement| (requirement.id, 0.0)).collect();
        for (name, value) in table {
            let requirement: Id = name.parse().map_err(|error: anyhow::Error| wrong(error.to_string()))?;
            let number = match value {
                #[expect(clippy::cast_precision_loss, reason = "nobody gives 2^53 points")]
                toml::Value::Integer(number) => Some(number as f64),
                toml::Value::Float(number) => Some(number),
                _ => None,
            };
            let number = number.filter(|number| number.is_finite() && *number >= 0.0);
            let number =
                number.ok_or_else(|| wrong(format!("{name} needs a number of points, 0 or more")))?;
            points.insert(requirement, number);
        }
        Ok(Points(points))
    }

    /// Those of one requirement.
    pub fn of(&self, requirement: Id) -> f64 {
        self.0.get(&requirement).copied().unwrap_or_default()
    }
}
