//! Reads the inputs in a thread of its own, some rows at a time, or sorts them before.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::mpsc::{self, Receiver, Sender};
use triton_model_fn::InputRowsBuilder;

use super::events::{Event, ReadChunk, ReadRow, Start};
use super::selection::Selection;
use super::sendable::Sendable;
use super::sorting::Sorting;
use crate::table::{Chunk, ChunkSize, Input, TableReader, Wanted};

/// How many events may wait to be taken; their rows can be large.
const WAITING_EVENTS: usize = 2;

/// The inputs of a run.
pub(super) struct Inputs {
    /// Each with what is wanted of it.
    pub(super) inputs: Vec<(Input, Wanted)>,
    /// Standard input and other pipes, by their number among the inputs: they were opened when
    /// they were looked at, and can be opened only once.
    pub(super) streams: BTreeMap<usize, Box<dyn TableReader>>,
    /// The rows that are wanted, if not all of them are.
    pub(super) selection: Option<Selection>,
    /// How the rows are sorted, if they are.
    pub(super) sorting: Option<Sorting>,
    /// Which rows can be sent: where they are sorted, the last one of a key is one of them.
    pub(super) sendable: Sendable,
    /// How rows are handed over together, if they are.
    pub(super) together: Option<Together>,
}

/// How rows are handed over together.
pub(super) struct Together {
    pub(super) builder: InputRowsBuilder,
    /// As many as the requests that they make are full.
    pub(super) size: ChunkSize,
    /// How many rows make a full request.
    pub(super) full: usize,
    /// After how many rows, from the first one on, no chunk goes on: a checkpoint is due.
    pub(super) every: Option<u64>,
    /// Whether the run ends at a row that cannot be used, so that none behind it is sent.
    pub(super) ends_at_unusable: bool,
}

impl Together {
    /// How much is read next, after so many rows of this run.
    fn next_size(&self, rows: u64) -> ChunkSize {
        let left = self.every.map(|every| every - rows % every);
        let left = left.map_or(usize::MAX, |left| {
            usize::try_from(left).unwrap_or(usize::MAX)
        });
        ChunkSize {
            rows: self.size.rows.min(left),
            ..self.size
        }
    }
}

/// Begins to read. The thread ends with the inputs, or when nobody receives any more.
pub(super) fn start(
    mut inputs: Inputs,
    from: Start,
) -> std::io::Result<(Receiver<Event>, JoinHandle<()>)> {
    let (events, received) = mpsc::channel(WAITING_EVENTS);
    let thread = std::thread::Builder::new().name("reader".to_owned());
    let thread = thread.spawn(move || {
        let read = match inputs.sorting.take() {
            Some(sorting) => {
                let Inputs {
                    inputs,
                    streams,
                    sendable,
                    ..
                } = inputs;
                sorting.read(&inputs, streams, &sendable, from, &events)
            }
            None => read(inputs, from, &events),
        };
        if let Err(error) = read {
            // Nobody receives any more: the run is over.
            let _ = events.blocking_send(Event::Failed(error));
        }
    })?;
    Ok((received, thread))
}

fn read(mut all: Inputs, from: Start, events: &Sender<Event>) -> anyhow::Result<()> {
    let inputs = all.inputs.iter().enumerate();
    let before = all.inputs.iter().take(from.input);
    let mut bytes_before: u64 = before.filter_map(|(input, _)| input.bytes()).sum();
    let mut handed_out = 0;
    let mut together = all.together.filter(|_| all.selection.is_none());
    for (index, (input, wanted)) in inputs.skip(from.input) {
        let mut reader = match all.streams.remove(&index) {
            Some(reader) => reader,
            None => input.look()?.open(wanted)?,
        };
        let layout = Arc::clone(reader.layout());
        let mut rows = 0;
        if index == from.input {
            reader.skip(from.rows).map_err(|error| input.blame(error))?;
            rows = from.rows;
        }
        let begin = Event::Begin {
            input: index,
            layout,
        };
        if events.blocking_send(begin).is_err() {
            return Ok(());
        }
        loop {
            let size = together.as_ref().map(|it| it.next_size(handed_out));
            let from = bytes_before + reader.bytes_done();
            let read = reader.next_chunk(size.unwrap_or(ChunkSize::OF_ROWS));
            let Some(chunk) = read.map_err(|error| input.blame(error))? else {
                break;
            };
            let first = rows + 1;
            rows += chunk.len() as u64;
            handed_out += chunk.len() as u64;
            let bytes = bytes_before + reader.bytes_done();
            // What comes from a pipe bit by bit still meets the rows behind it in a request.
            let is_full = |it: &&mut Together| !input.is_stream() || chunk.len() >= it.full;
            let encoded = together.as_mut().filter(is_full).map(|together| {
                let encoded = chunk.encoded(&mut together.builder);
                (encoded, together.ends_at_unusable)
            });
            let event = match encoded {
                Some(((inputs, unusable), ends)) if !ends || unusable.is_empty() => {
                    Event::Chunk(Box::new(ReadChunk {
                        chunk,
                        inputs,
                        unusable,
                        number: rows,
                        bytes,
                    }))
                }
                _ => Event::Rows(one_by_one(
                    chunk,
                    first,
                    from..bytes,
                    all.selection.as_ref(),
                )?),
            };
            if events.blocking_send(event).is_err() {
                return Ok(());
            }
        }
        bytes_before += input.bytes().unwrap_or_default();
        let end = Event::End { input: index, rows };
        if events.blocking_send(end).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// The rows of a chunk that are wanted; its first has this number, and it is these bytes of the inputs.
fn one_by_one(
    chunk: Chunk,
    first: u64,
    bytes: Range<u64>,
    selection: Option<&Selection>,
) -> anyhow::Result<Vec<ReadRow>> {
    let count = chunk.len().max(1);
    let each = chunk.bytes() / count;
    let length = bytes.end.saturating_sub(bytes.start) as f64;
    let mut rows = Vec::with_capacity(chunk.len());
    for (index, mut row) in chunk.into_rows().into_iter().enumerate() {
        if let Some(selection) = selection
            && !selection.contains(&row)?
        {
            continue;
        }
        let share = (index + 1) as f64 / count as f64;
        row.place.bytes = bytes.start + (length * share).round() as u64;
        rows.push(ReadRow {
            row,
            number: first + index as u64,
            is_last: false,
            bytes: each,
        });
    }
    Ok(rows)
}
