//! How far a run is, in a folder: after the end of the process, however it came about, the same
//! command goes on from there.
//!
//! A checkpoint is a consistent cut: no row is in flight, every output is on the disk up to a
//! known length, and only then the new state takes the place of the old one, at once.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};
use fs_err::{File, OpenOptions};

use super::arguments::Interval;
use super::state::{RunIdentity, State};
use super::summary::Counts;
use crate::disk;
use crate::table::{Cut, Parts};

const STATE_FILE: &str = "checkpoint.json";
const NEW_STATE_FILE: &str = "checkpoint.json.new";
const LOCK_FILE: &str = "lock";

/// How many hexadecimal digits the mark of a folder has.
const MARK_LENGTH: usize = 16;

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
    parts: Parts,
    /// Held for as long as the process lives.
    _lock: File,
    run: RunIdentity,
    every: Interval,
    last: (Instant, u64),
}

impl Checkpoints {
    /// Takes hold of the folder; what an earlier run left there, over as many `inputs`, is where this one
    /// goes on.
    pub(super) fn open(
        folder: &Path,
        run: RunIdentity,
        inputs: usize,
        every: Interval,
    ) -> anyhow::Result<(Self, Option<State>)> {
        disk::create_private_folder(folder)
            .with_context(|| format!("--checkpoint {}: it cannot be a folder", folder.display()))?;
        if read(&folder.join(STATE_FILE))?.is_none() {
            refuse_foreign(folder)?;
        }
        let (lock, mark) = take_hold(folder)?;
        let state = read(&folder.join(STATE_FILE))?;
        if let Some(state) = &state {
            check_same(folder, &state.run, &run)?;
            state.check(inputs, &folder.join(STATE_FILE))?;
        }
        let rows = state.as_ref().map_or(0, |state| state.counts.read);
        let checkpoints = Self {
            folder: folder.to_owned(),
            parts: Parts::new(folder, &mark),
            _lock: lock,
            run,
            every,
            last: (Instant::now(), rows),
        };
        checkpoints.sweep(state.as_ref().map(|state| &state.output))?;
        Ok((checkpoints, state))
    }

    /// Where outputs that cannot be continued keep their parts.
    pub(super) fn parts(&self) -> &Parts {
        &self.parts
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
        let new = self.folder.join(NEW_STATE_FILE);
        disk::replace(&self.folder.join(STATE_FILE), &new, &state.to_bytes()?)?;
        self.last = (Instant::now(), counts.read);
        self.sweep(Some(&state.output))
    }

    /// Removes the parts of outputs that no checkpoint speaks of.
    fn sweep(&self, kept: Option<&Cut>) -> anyhow::Result<()> {
        for name in names(&self.folder)? {
            let is_kept = kept.is_some_and(|cut| cut.parts.contains(&PathBuf::from(&name)));
            if self.parts.contain(&name) && !is_kept {
                fs_err::remove_file(self.folder.join(name))?;
            }
        }
        Ok(())
    }
}

/// The names of what is in a folder, as far as they are text.
fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = fs_err::read_dir(folder)?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

/// Refuses a folder without a checkpoint that holds what no run has put there.
fn refuse_foreign(folder: &Path) -> anyhow::Result<()> {
    let mark = mark_in(&folder.join(LOCK_FILE));
    let parts = mark.as_deref().map(|mark| Parts::new(folder, mark));
    let foreign = names(folder)?.into_iter().filter(|name| {
        let is_part = parts.as_ref().is_some_and(|parts| parts.contain(name));
        let is_lock = name == LOCK_FILE && mark.is_some();
        !(is_part || is_lock || name == NEW_STATE_FILE)
    });
    let foreign: Vec<String> = foreign.collect();
    let listed = match foreign.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [one, two, others @ ..] => format!("{one}, {two} and {} more", others.len()),
    };
    bail!(
        "--checkpoint {}: expected a new or empty folder, or one with a checkpoint, found one that \
         holds {listed}; name a folder that is for this run alone",
        folder.display()
    )
}

/// The mark in the file that a run locks; none in one that no run has made.
fn mark_in(lock: &Path) -> Option<String> {
    let is_file = lock.symlink_metadata().is_ok_and(|found| found.is_file());
    let text = is_file
        .then(|| fs_err::read_to_string(lock).ok())
        .flatten()?;
    let is_mark = text.len() == MARK_LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    // Before there were marks, or when the process ended before it had written one.
    (is_mark || text.is_empty()).then_some(text)
}

/// Locks the folder for as long as the process lives, and finds the mark by which the run's
/// files are told from others.
fn take_hold(folder: &Path) -> anyhow::Result<(File, String)> {
    let path = folder.join(LOCK_FILE);
    if mark_in(&path).is_none() && path.symlink_metadata().is_ok() {
        bail!(
            "{}: this is not the file by which runs of the command lock their folder of \
             checkpoints; take another folder",
            path.display()
        );
    }
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false);
    let mut lock = options.open(&path)?;
    // The lock ends with the process that has it.
    if !disk::lock(&lock) {
        bail!(
            "{}: another run of the command is using this folder of checkpoints",
            folder.display()
        );
    }
    let mark = mark_in(&path).filter(|mark| !mark.is_empty());
    let mark = match mark {
        Some(mark) => mark,
        None => {
            let mark = format!("{:0MARK_LENGTH$x}", fastrand::u64(..));
            lock.write_all(mark.as_bytes())?;
            disk::sync_file(&lock)?;
            mark
        }
    };
    Ok((lock, mark))
}

fn read(path: &Path) -> anyhow::Result<Option<State>> {
    if !path.exists() {
        return Ok(None);
    }
    State::from_bytes(&fs_err::read(path)?, path).map(Some)
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
         before to go on, or take another folder to start over",
        folder.display(),
        differences.concat()
    )
}
