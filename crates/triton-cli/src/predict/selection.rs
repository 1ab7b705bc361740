//! The rows of an earlier run that were rejected, to be run again.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::{Context as _, bail};
use fs_err::File;
use serde::Deserialize;

use crate::table::{Input, Row};

/// Which rows of which inputs are wanted.
#[derive(Debug)]
pub(super) struct Selection(HashMap<String, HashSet<u64>>);

/// What is needed of a line of the file of rejected rows.
#[derive(Deserialize)]
struct Rejected {
    file: String,
    row: u64,
}

impl Selection {
    /// Reads the file that an earlier run wrote to `--errors`; all its rows must be of `inputs`.
    pub(super) fn read<'a>(
        path: &Path,
        inputs: impl Iterator<Item = &'a Input>,
    ) -> anyhow::Result<Self> {
        let names: Vec<&str> = inputs.map(Input::name).collect();
        let mut rows: HashMap<String, HashSet<u64>> = HashMap::new();
        let lines = BufReader::new(File::open(path)?).lines();
        for (number, line) in (1..).zip(lines) {
            let place = || format!("--retry-errors {}, line {number}", path.display());
            let line = line.with_context(place)?;
            if line.trim().is_empty() {
                continue;
            }
            let rejected: Rejected = serde_json::from_str(&line)
                .with_context(|| format!("{}: expected a line as --errors writes it", place()))?;
            if !names.contains(&rejected.file.as_str()) {
                bail!(
                    "{}: the row is of the input '{}', which is none of this run's: {}",
                    place(),
                    rejected.file,
                    names.join(", ")
                );
            }
            rows.entry(rejected.file).or_default().insert(rejected.row);
        }
        Ok(Self(rows))
    }

    /// How many rows are wanted.
    pub(super) fn rows(&self) -> u64 {
        self.0.values().map(|rows| rows.len() as u64).sum()
    }

    pub(super) fn contains(&self, row: &Row) -> bool {
        let rows = self.0.get(&*row.place.input);
        rows.is_some_and(|rows| rows.contains(&row.place.row))
    }
}
