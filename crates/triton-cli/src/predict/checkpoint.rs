//! How far a run is, in a folder: after the end of the process, however it came about, the same
//! command goes on from there.
//!
//! A checkpoint is a consistent cut: no row is under way, every output is on the disk up to a
//! known length, and only then the new state takes the place of the old one, at once.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};
use fs_err::File;
use serde::{Deserialize, Serialize};

use super::arguments::Interval;
use super::summary::Counts;
use crate::table::Cut;

const STATE_FILE: &str = "checkpoint.json";
const LOCK_FILE: &str = "lock";

/// What must be the same for a run to go on: a name for each thing, and its value.
pub(super) type RunIdentity = BTreeMap<String, String>;

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    run: RunIdentity,
    /// The input that was being read, and how many of its rows were.
    pub(super) input: usize,
    pub(super) rows: u64,
    pub(super) counts: Counts,
    /// How much of the output of that input is written.
    pub(super) output: Cut,
    /// How much of the file of rejected rows is.
    pub(super) errors_bytes: u64,
    /// The open sequences of each subtask.
    pub(super) sequences: Vec<String>,
    /// Sequence IDs with numbers from here on were certainly not taken before the next checkpoint.
    #[serde(default)]
    pub(super) first_free_counter: u64,
    /// Whether all rows are answered and the outputs complete.
    pub(super) finished: bool,
}

/// The position of a run that is not over.
#[derive(Debug, Clone)]
pub(super) struct Position {
    pub(super) input: usize,
    pub(super) rows: u64,
    pub(super) counts: Counts,
    pub(super) output: Cut,
    pub(super) errors_bytes: u64,
    pub(super) sequences: Vec<String>,
    pub(super) first_free_counter: u64,
}

/// The folder of a run.
#[derive(Debug)]
pub(super) struct Checkpoints {
    folder: PathBuf,
    /// Held for as long as the process lives.
    _lock: File,
    run: RunIdentity,
    every: Interval,
    last: (Instant, u64),
}

impl Checkpoints {
    /// Takes hold of the folder; what an earlier run left there is where this one goes on.
    pub(super) fn open(
        folder: &Path,
        run: RunIdentity,
        every: Interval,
    ) -> anyhow::Result<(Self, Option<State>)> {
        fs_err::create_dir_all(folder)?;
        let lock = File::create(folder.join(LOCK_FILE))?;
        if lock.file().try_lock().is_err() {
            bail!(
                "{}: another run of the command is using this folder of checkpoints",
                folder.display()
            );
        }
        let state = read(&folder.join(STATE_FILE))?;
        if let Some(state) = &state {
            check_same(folder, &state.run, &run)?;
        }
        let rows = state.as_ref().map_or(0, |state| state.counts.read);
        let checkpoints = Self {
            folder: folder.to_owned(),
            _lock: lock,
            run,
            every,
            last: (Instant::now(), rows),
        };
        checkpoints.sweep(state.as_ref().map(|state| &state.output))?;
        Ok((checkpoints, state))
    }

    /// Where outputs that cannot be gone on with keep their parts.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether it is time for a checkpoint, after so many rows in all.
    pub(super) fn is_due(&self, rows: u64) -> bool {
        let (time, last_rows) = self.last;
        match self.every {
            Interval::Rows(every) => rows >= last_rows.saturating_add(every),
            Interval::Time(every) => rows > last_rows && time.elapsed() >= every,
        }
    }

    /// Makes a checkpoint of a run whose outputs are on the disk.
    pub(super) fn write(&mut self, position: Position, finished: bool) -> anyhow::Result<()> {
        let Position {
            input,
            rows,
            counts,
            output,
            errors_bytes,
            sequences,
            first_free_counter,
        } = position;
        let state = State {
            run: self.run.clone(),
            input,
            rows,
            counts,
            output,
            errors_bytes,
            sequences,
            first_free_counter,
            finished,
        };
        let text = serde_json::to_vec_pretty(&state)?;
        let new = self.folder.join(format!("{STATE_FILE}.new"));
        let mut file = File::create(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs_err::rename(&new, self.folder.join(STATE_FILE))?;
        // The new name itself is only safe with the folder.
        File::open(&self.folder)?.sync_all()?;
        self.last = (Instant::now(), counts.read);
        self.sweep(Some(&state.output))
    }

    /// Removes the parts of outputs that no checkpoint speaks of.
    fn sweep(&self, kept: Option<&Cut>) -> anyhow::Result<()> {
        for entry in fs_err::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().map(PathBuf::from).unwrap_or_default();
            let is_part = path
                .extension()
                .is_some_and(|extension| extension == "part");
            if is_part && !kept.is_some_and(|cut| cut.parts.contains(&name)) {
                fs_err::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> anyhow::Result<Option<State>> {
    if !path.exists() {
        return Ok(None);
    }
    let text = fs_err::read(path)?;
    let state = serde_json::from_slice(&text).with_context(|| {
        format!(
            "{}: this is no checkpoint of this version of the command",
            path.display()
        )
    })?;
    Ok(Some(state))
}

/// Refuses to go on with a run that was another one, saying what differs.
fn check_same(folder: &Path, before: &RunIdentity, now: &RunIdentity) -> anyhow::Result<()> {
    let mut names: Vec<&String> = before.keys().chain(now.keys()).collect();
    names.sort();
    names.dedup();
    let differences: Vec<String> = names
        .into_iter()
        .filter(|name| before.get(*name) != now.get(*name))
        .map(|name| {
            let shown = |run: &RunIdentity| match run.get(name) {
                Some(value) => format!("'{value}'"),
                None => "not given".to_owned(),
            };
            format!("\n  - {name}: was {}, is {}", shown(before), shown(now))
        })
        .collect();
    if differences.is_empty() {
        return Ok(());
    }
    bail!(
        "{}: the checkpoint is of another run, which differs in:{}\nRun the same command as \
         before to go on, or take another folder to begin anew",
        folder.display(),
        differences.concat()
    )
}
