//! Sorts rows by a key, however many there are: what does not fit into memory goes to temporary
//! files, as runs that are sorted each by itself and merged.
//!
//! Crates that do so (`extsort`, for one) write an element after the other. Rows of record batches
//! go to the disk many at once, because one alone would take its schema with it.

#[cfg(feature = "arrow")]
mod batches;
mod encoding;
mod merge;
mod record;
mod runs;

use std::path::PathBuf;
#[cfg(feature = "arrow")]
use std::sync::Arc;

#[cfg(feature = "arrow")]
use arrow_array::RecordBatch;

use self::merge::{Merge, Rest};
#[cfg(feature = "arrow")]
use self::record::BatchRow;
use self::record::{Record, Sources};
use self::runs::{Run, RunReader, RunWriter};
#[cfg(feature = "arrow")]
use super::original::Original;
use super::row::Row;

/// How many runs become one. A block of each is in memory then, and its file open.
const FAN_IN: usize = 32;

/// Takes rows in any order.
pub(crate) struct RowSorter {
    folder: PathBuf,
    /// The most bytes of rows that are held.
    memory: usize,
    sources: Sources,
    held: Vec<Record>,
    held_bytes: usize,
    /// Runs in files. Those of a level were each merged from [`FAN_IN`] of the level before it, so
    /// their rows came earlier.
    levels: Vec<Vec<Run>>,
    rows: u64,
    /// The batch of the last row, and what is held of it.
    #[cfg(feature = "arrow")]
    batch: Option<(Arc<RecordBatch>, BatchRow)>,
}

/// All rows, in order.
pub(crate) struct SortedRows {
    sources: Sources,
    merge: Merge,
    /// How many there were to begin with.
    pub(crate) rows: u64,
}

/// A row, and where it is among those of its key.
pub(crate) struct SortedRow {
    pub(crate) row: Row,
    /// Whether it is the last one of its key that can be used.
    pub(crate) is_last: bool,
}

impl RowSorter {
    /// Holds `memory` bytes of rows, and keeps the others in files in `folder`.
    pub(crate) fn new(folder: PathBuf, memory: usize) -> Self {
        Self {
            folder,
            memory,
            sources: Sources::default(),
            held: Vec::new(),
            held_bytes: 0,
            levels: Vec::new(),
            rows: 0,
            #[cfg(feature = "arrow")]
            batch: None,
        }
    }

    /// Takes a row, and whether it can be used, so that it can be the last one of its key; one without
    /// a key comes before all others.
    pub(crate) fn push(&mut self, key: Vec<u8>, row: &Row, is_usable: bool) -> anyhow::Result<()> {
        let record = Record {
            key: key.into(),
            is_usable,
            is_followed: false,
            body: self.sources.body(row)?,
            #[cfg(feature = "arrow")]
            batch: self.batch_row(row)?,
        };
        self.held_bytes += record.size();
        self.held.push(record);
        self.rows += 1;
        if self.held_bytes > self.memory {
            self.spill()?;
        }
        Ok(())
    }

    /// A copy of a row of a batch: the batch itself may be a part of one that is much larger.
    #[cfg(feature = "arrow")]
    fn batch_row(&mut self, row: &Row) -> anyhow::Result<Option<BatchRow>> {
        let Original::Batch { batch, index } = &row.original else {
            return Ok(None);
        };
        let known = self.batch.take();
        let known = known.filter(|(known, _)| Arc::ptr_eq(known, batch));
        let (_, held) = match known {
            Some(known) => self.batch.insert(known),
            None => {
                let rows: Vec<_> = (0..batch.num_rows()).map(|index| (0, index)).collect();
                let columns = super::arrow_rows::gathered(&[batch], &rows)?;
                let copy = RecordBatch::try_new(batch.schema(), columns)?;
                self.batch.insert((Arc::clone(batch), batches::held(copy)))
            }
        };
        Ok(Some(BatchRow {
            index: *index,
            ..held.clone()
        }))
    }

    /// The rows that are held, in order.
    fn sorted(&mut self) -> std::vec::IntoIter<Record> {
        let mut held = std::mem::take(&mut self.held);
        self.held_bytes = 0;
        held.sort_by(|one, other| one.key.cmp(&other.key));
        for index in (1..held.len()).rev() {
            let (before, after) = held.split_at_mut(index);
            if let Some(before) = before.last_mut() {
                before.is_followed = after[0].follows(&before.key);
            }
        }
        held.into_iter()
    }

    /// Puts the rows that are held into a file.
    fn spill(&mut self) -> anyhow::Result<()> {
        let held = Rest::Memory(self.sorted());
        let mut run = self.written(vec![held])?;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(run);
            if self.levels[level].len() < FAN_IN {
                break;
            }
            let runs = std::mem::take(&mut self.levels[level]);
            let runs = runs.into_iter().map(Self::read);
            run = self.written(runs.collect::<anyhow::Result<_>>()?)?;
        }
        Ok(())
    }

    fn read(run: Run) -> anyhow::Result<Rest> {
        Ok(Rest::File(RunReader::begin(run)?))
    }

    fn written(&self, runs: Vec<Rest>) -> anyhow::Result<Run> {
        let mut merge = Merge::begin(runs)?;
        let mut writer = RunWriter::begin(&self.folder)?;
        while let Some(record) = merge.next()? {
            writer.push(record)?;
        }
        writer.finish()
    }

    /// Ends when all rows are there.
    pub(crate) fn finish(mut self) -> anyhow::Result<SortedRows> {
        let held = Rest::Memory(self.sorted());
        let levels = std::mem::take(&mut self.levels);
        let runs = levels.into_iter().rev().flatten();
        let mut runs = runs.map(Self::read).collect::<anyhow::Result<Vec<_>>>()?;
        runs.push(held);
        Ok(SortedRows {
            merge: Merge::begin(runs)?,
            sources: self.sources,
            rows: self.rows,
        })
    }
}

impl SortedRows {
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<SortedRow>> {
        let Some(record) = self.merge.next()? else {
            return Ok(None);
        };
        let is_last = record.is_usable && !record.is_followed && !record.key.is_empty();
        let row = self.sources.row(record)?;
        Ok(Some(SortedRow { row, is_last }))
    }

    /// Goes past rows that were answered already.
    pub(crate) fn skip(&mut self, rows: u64) -> anyhow::Result<()> {
        for _ in 0..rows {
            self.merge.next()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use csv::StringRecord;
    use proptest::prelude::*;
    use triton_model_fn::Value;

    use super::*;
    use crate::table::fault::Fault;
    use crate::table::layout::Layout;
    use crate::table::original::Original;
    use crate::table::row::Place;

    fn row(layout: &Arc<Layout>, number: usize, is_usable: bool) -> Row {
        let number = number as u64;
        Row {
            whole: None,
            place: Place {
                input: "input".into(),
                among_several: false,
                row: number,
                line: Some(number + 1),
                bytes: 0,
            },
            original: Original::Cells(StringRecord::from(vec![number.to_string()])),
            layout: Arc::clone(layout),
            values: match is_usable {
                true => Ok(vec![Value::BigInt(number as i64)]),
                false => Err(Fault::of_column("a", "it is odd").into()),
            },
        }
    }

    proptest! {
        #[test]
        fn rows_come_in_the_order_of_their_keys_and_know_which_is_the_last(
            rows in proptest::collection::vec((0_u8..8, any::<bool>()), 0..300),
            memory in 1_usize..4000,
        ) {
            let layout = Arc::new(Layout { columns: Vec::new(), inputs: Vec::new() });
            let key = |key: u8| if key == 0 { Vec::new() } else { vec![key] };
            let mut sorter = RowSorter::new(std::env::temp_dir(), memory);
            let mut expected = Vec::new();
            for (number, (of, is_usable)) in rows.iter().enumerate() {
                let row = row(&layout, number, *is_usable);
                sorter.push(key(*of), &row, *is_usable).unwrap();
                expected.push((*of, row));
            }
            expected.sort_by_key(|(of, _)| *of);
            let mut sorted = sorter.finish().unwrap();
            prop_assert_eq!(sorted.rows, rows.len() as u64);
            for (index, (of, row)) in expected.iter().enumerate() {
                let found = sorted.next().unwrap().unwrap();
                prop_assert_eq!(format!("{:?}", found.row), format!("{row:?}"));
                let mut later = expected[index + 1..].iter();
                let is_last = *of != 0
                    && row.values.is_ok()
                    && !later.any(|(other, row)| other == of && row.values.is_ok());
                prop_assert_eq!(found.is_last, is_last);
            }
            prop_assert!(sorted.next().unwrap().is_none());
        }
    }
}
