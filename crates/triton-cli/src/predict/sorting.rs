//! `--sort-by-key`: reads all inputs, and hands their rows out in the order of their keys.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context as _, anyhow, bail};
use tokio::sync::mpsc::Sender;
use triton_options::{SEQUENCE_KEY, TritonOptions};

use super::arguments::FileArguments;
use super::events::{Event, ReadRow, Start};
use super::keys::KeyColumns;
use super::outputs::Plan;
use super::sendable::Sendable;
use crate::disk::Place;
use crate::failure::Failure;
use crate::table::{ChunkSize, Input, RowSorter, SortedRow, TableReader, Wanted};

/// How rows are sorted.
pub(super) struct Sorting {
    key: KeyColumns,
    /// Whether sequences end with the last row of their key, and not where a column says so.
    ends_sequences: bool,
    memory: usize,
    folder: PathBuf,
    progress: Arc<SortProgress>,
}

/// How far it is.
#[derive(Debug, Default)]
pub(super) struct SortProgress {
    rows: AtomicU64,
    is_over: AtomicBool,
}

impl SortProgress {
    /// How many rows were read so far, until they are sorted.
    pub(super) fn rows(&self) -> Option<u64> {
        let rows = self.rows.load(Ordering::Relaxed);
        (!self.is_over.load(Ordering::Relaxed)).then_some(rows)
    }
}

/// Refuses to sort what has no keys, or would have to stay apart.
pub(super) fn check(
    arguments: &FileArguments,
    options: &TritonOptions,
    plan: &Plan,
) -> Result<(), Failure> {
    if !arguments.sort_by_key {
        return Ok(());
    }
    if options.sequence_key.is_none() {
        return Err(Failure::usage(anyhow!(
            "--sort-by-key: rows have no key, because the option '{0}' is not set: name the \
             columns that make it, as with -O {0}=COLUMN, or leave the argument out",
            SEQUENCE_KEY.key()
        )));
    }
    if !plan.is_one() {
        return Err(Failure::usage(anyhow!(
            "--sort-by-key: the rows of all inputs are sorted together, so each input cannot have \
             an output of its own: name a file for --output, or run each input by itself"
        )));
    }
    Ok(())
}

impl Sorting {
    /// What the arguments say, for inputs that were checked.
    pub(super) fn new(
        arguments: &FileArguments,
        options: &TritonOptions,
        key: KeyColumns,
        plan: &Plan,
    ) -> Self {
        Self {
            key,
            ends_sequences: options.sequence_end_column.is_none(),
            memory: arguments.sort_memory.get(),
            folder: folder(plan),
            progress: Arc::default(),
        }
    }

    pub(super) fn progress(&self) -> Arc<SortProgress> {
        Arc::clone(&self.progress)
    }

    /// Reads and sorts all rows, and hands them out from the place on where an earlier run ended.
    ///
    /// That run sorted them as well: the same rows come in the same order every time.
    pub(super) fn read(
        self,
        inputs: &[(Input, Wanted)],
        mut streams: BTreeMap<usize, Box<dyn TableReader>>,
        sendable: &Sendable,
        from: Start,
        events: &Sender<Event>,
    ) -> anyhow::Result<()> {
        let failed = format!(
            "the rows cannot be sorted with temporary files in {}, which is beside --output, or \
             where TMPDIR says if that is no file",
            self.folder.display()
        );
        let failed = || failed.clone();
        let mut sorter = RowSorter::new(self.folder, self.memory);
        for (index, (input, wanted)) in inputs.iter().enumerate() {
            let mut reader = match streams.remove(&index) {
                Some(reader) => reader,
                None => input.look()?.open(wanted)?,
            };
            if index == 0 {
                let begin = Event::Begin {
                    input: 0,
                    layout: Arc::clone(reader.layout()),
                };
                if events.blocking_send(begin).is_err() {
                    return Ok(());
                }
            }
            let mut next = || reader.next_chunk(ChunkSize::OF_ROWS);
            while let Some(chunk) = next().map_err(|error| input.blame(error))? {
                for row in chunk.into_rows() {
                    let order = self.key.order_of(&row).unwrap_or_default();
                    let is_usable = sendable.includes(&row);
                    sorter.push(order, &row, is_usable).with_context(failed)?;
                    self.progress.rows.fetch_add(1, Ordering::Relaxed);
                }
                if events.is_closed() {
                    return Ok(());
                }
            }
        }
        let bytes: u64 = inputs.iter().filter_map(|(input, _)| input.bytes()).sum();
        let mut sorted = sorter.finish().with_context(failed)?;
        self.progress.is_over.store(true, Ordering::Relaxed);
        let rows = sorted.rows;
        if rows < from.rows {
            bail!(
                "the inputs have only {rows} rows, but {} were read from them before",
                from.rows
            );
        }
        sorted.skip(from.rows).with_context(failed)?;
        let mut ready = Vec::new();
        for number in from.rows + 1.. {
            let next = sorted.next().with_context(failed)?;
            let is_over = next.is_none();
            if let Some(SortedRow { mut row, is_last }) = next {
                row.place.bytes = (bytes as f64 * number as f64 / rows as f64) as u64;
                ready.push(ReadRow {
                    row,
                    number,
                    is_last: is_last && self.ends_sequences,
                    bytes: usize::try_from(bytes / rows.max(1)).unwrap_or(usize::MAX),
                });
            }
            let is_full = ready.len() >= ChunkSize::OF_ROWS.rows;
            if (is_full || is_over)
                && events
                    .blocking_send(Event::Rows(std::mem::take(&mut ready)))
                    .is_err()
            {
                return Ok(());
            }
            if is_over {
                break;
            }
        }
        // Whoever receives it has gone, and with that the run is over.
        let _ = events.blocking_send(Event::End { input: 0, rows });
        Ok(())
    }
}

/// Where temporary files are: beside the output, where there is to be room for as many rows, or
/// where the system has its own.
fn folder(plan: &Plan) -> PathBuf {
    let output = plan.destinations().first();
    let output = output.and_then(|destination| destination.location.path());
    let place = output.and_then(|path| Place::of(path).ok());
    let folder = place.as_ref().and_then(|place| place.real()?.parent());
    folder.map_or_else(env::temp_dir, ToOwned::to_owned)
}
