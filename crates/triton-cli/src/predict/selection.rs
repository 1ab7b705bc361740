//! The rows of an earlier run that were rejected, to be run again.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::{Context as _, bail};
use fs_err::File;
use serde::Deserialize;

use crate::table::{Input, LONGEST_RAW, Row};

/// Which rows of which inputs are wanted, and what they were.
#[derive(Debug)]
pub(super) struct Selection(HashMap<String, HashMap<u64, String>>);

/// What is needed of a line of the file of rejected rows.
#[derive(Deserialize)]
struct Rejected {
    file: String,
    row: u64,
    raw: String,
}

impl Selection {
    /// Reads the file that an earlier run wrote to `--errors`; all its rows must be of `inputs`.
    pub(super) fn read<'a>(
        path: &Path,
        inputs: impl Iterator<Item = &'a Input>,
    ) -> anyhow::Result<Self> {
        let names: Vec<&str> = inputs.map(Input::name).collect();
        let mut rows: HashMap<String, HashMap<u64, String>> = HashMap::new();
        let lines = BufReader::new(File::open(path).context("--retry-errors")?).lines();
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
            let rows = rows.entry(rejected.file).or_default();
            rows.insert(rejected.row, rejected.raw);
        }
        Ok(Self(rows))
    }

    /// How many rows are wanted.
    pub(super) fn rows(&self) -> u64 {
        self.0.values().map(|rows| rows.len() as u64).sum()
    }

    /// Whether a row is wanted; refused is one that is not what it was.
    pub(super) fn contains(&self, row: &Row) -> anyhow::Result<bool> {
        let rows = self.0.get(&*row.place.input);
        let Some(raw) = rows.and_then(|rows| rows.get(&row.place.row)) else {
            return Ok(false);
        };
        // Rows of columns are written down in the form of the output, which may be another one.
        if row.place.line.is_some() && !is_kept(&row.raw_text(), raw) {
            bail!(
                "{} is not the row that was rejected before: --retry-errors goes by the numbers of \
                 rows, so it needs the inputs as they were",
                row.place
            );
        }
        Ok(true)
    }
}

/// Whether a row is the one that is kept: of a line that was far too long the beginning is.
fn is_kept(row: &str, raw: &str) -> bool {
    // The cut may have gone through a character.
    let beginning = raw.trim_end_matches('\u{fffd}');
    row == raw || beginning.len() > LONGEST_RAW - 4 && row.starts_with(beginning)
}
