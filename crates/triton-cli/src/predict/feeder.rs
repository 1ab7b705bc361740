//! Reads the inputs in a thread of its own, one row after the other, or sorts them before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::mpsc::{self, Receiver, Sender};

use super::selection::Selection;
use super::sorting::Sorting;
use crate::table::{Input, Layout, Row, TableReader, Wanted};

/// How many rows may wait to be taken; they can be large.
const WAITING_ROWS: usize = 128;

/// What comes up while the inputs are read.
pub(super) enum Event {
    /// An input begins.
    Begin { input: usize, layout: Arc<Layout> },
    Row {
        row: Box<Row>,
        /// Its number among those of the input, or among all if they were sorted.
        number: u64,
        /// Whether it is known to be the last one of its key.
        is_last: bool,
    },
    /// An input ends, after so many rows in all.
    End { input: usize, rows: u64 },
    /// An input cannot be read on.
    Failed(anyhow::Error),
}

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
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Start {
    pub(super) input: usize,
    pub(super) rows: u64,
}

/// Begins to read. The thread ends with the inputs, or when nobody receives any more.
pub(super) fn start(
    mut inputs: Inputs,
    from: Start,
) -> std::io::Result<(Receiver<Event>, JoinHandle<()>)> {
    let (events, received) = mpsc::channel(WAITING_ROWS);
    let thread = std::thread::Builder::new().name("reader".to_owned());
    let thread = thread.spawn(move || {
        let read = match inputs.sorting.take() {
            Some(sorting) => sorting.read(inputs, from, &events),
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
        while let Some(mut row) = reader.next().map_err(|error| input.blame(error))? {
            rows += 1;
            if let Some(selection) = &all.selection
                && !selection.contains(&row)?
            {
                continue;
            }
            row.place.bytes = bytes_before + reader.bytes_done();
            let row = Event::Row {
                row: Box::new(row),
                number: rows,
                is_last: false,
            };
            if events.blocking_send(row).is_err() {
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
