//! Rows of CSV as they lie in the file: cells of the model's columns are parsed, the others pass as
//! they are.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use csv::{ByteRecord, StringRecord};
use csv_core::ReadRecordResult;
use memchr::{memchr, memchr_iter};
use triton_model_fn::{Column, InputRowsBuilder, Value};

use super::Input;
use super::csv_records::{Record, RecordFault};
use crate::table::cell;
use crate::table::fault::Fault;
use crate::table::layout::Layout;
use crate::table::original::Original;
use crate::table::row::{Row, Unusable, all_values};

/// What the rows of an input have in common.
#[derive(Debug)]
pub(super) struct CsvShape {
    pub(super) input: Input,
    pub(super) delimiter: u8,
    /// What splits the records, for whoever reads chunks and for whoever takes rows out of them: to make
    /// one costs as much as reading twenty rows.
    pub(super) reading: Mutex<Cells>,
    pub(super) taking: Mutex<Cells>,
    /// The names of all columns of the file.
    pub(super) names: Vec<String>,
    pub(super) inputs: Arc<[Column]>,
    /// Where each of these is in the file.
    pub(super) positions: Vec<Option<usize>>,
    /// For each of these whether it makes the key of a row.
    pub(super) is_key: Vec<bool>,
    /// Where the columns are that pass through, if not all do.
    pub(super) passing: Option<Arc<[usize]>>,
    /// What passes through.
    pub(super) layout: Arc<Layout>,
}

impl CsvShape {
    /// The value of one of the wanted columns. Text may be empty; the key of a row is not, or all rows
    /// without one would be one sequence.
    fn value(&self, index: usize, text: &str) -> Result<Value, String> {
        match text.is_empty() && self.is_key[index] {
            true => Ok(Value::Null),
            false => cell::parse(&self.inputs[index].data_type, text),
        }
    }
}

fn lock(cells: &Mutex<Cells>) -> MutexGuard<'_, Cells> {
    cells.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records that follow each other.
#[derive(Debug)]
pub(in crate::table) struct CsvRows {
    shape: Arc<CsvShape>,
    /// The number of the first row.
    first: u64,
    /// The records, each with the end of its last line.
    text: Vec<u8>,
    records: Vec<RecordAt>,
}

/// A record among others.
#[derive(Debug)]
struct RecordAt {
    /// Where in the text it ends.
    end: usize,
    line: u64,
    fault: Option<Box<RecordFault>>,
}

impl CsvRows {
    pub(super) fn new(shape: &Arc<CsvShape>, first: u64) -> Self {
        Self {
            shape: Arc::clone(shape),
            first,
            text: Vec::new(),
            records: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, record: Record<'_>) {
        self.text.extend_from_slice(record.bytes);
        self.records.push(RecordAt {
            end: self.text.len(),
            line: record.line,
            fault: record.fault.map(Box::new),
        });
    }

    pub(in crate::table) fn len(&self) -> usize {
        self.records.len()
    }

    pub(in crate::table) fn bytes(&self) -> usize {
        self.text.len()
    }

    fn record(&self, index: usize) -> &[u8] {
        let start = match index {
            0 => 0,
            index => self.records[index - 1].end,
        };
        &self.text[start..self.records[index].end]
    }

    /// The text of a record, where its cells are written in it as they are and the delimiter is this
    /// one.
    pub(in crate::table) fn plain(&self, index: usize, delimiter: u8) -> Option<&[u8]> {
        let record = without_line_end(self.record(index));
        let is_plain = self.shape.delimiter == delimiter && memchr(b'"', record).is_none();
        (is_plain && self.shape.passing.is_none()).then_some(record)
    }

    /// The cells that pass through of a record that has no fault.
    pub(in crate::table) fn cells(&self, index: usize) -> ByteRecord {
        let cells = lock(&self.shape.taking).split(self.record(index));
        match &self.shape.passing {
            None => cells,
            Some(passing) => passing.iter().map(|position| &cells[*position]).collect(),
        }
    }

    pub(in crate::table) fn row(&self, index: usize) -> Row {
        self.row_of(index, &mut lock(&self.shape.taking))
    }

    pub(in crate::table) fn into_rows(self) -> Vec<Row> {
        self.rows(0..self.len())
    }

    pub(in crate::table) fn rows(&self, rows: Range<usize>) -> Vec<Row> {
        let mut cells = lock(&self.shape.reading);
        rows.map(|index| self.row_of(index, &mut cells)).collect()
    }

    fn row_of(&self, index: usize, cells: &mut Cells) -> Row {
        let RecordAt { line, fault, .. } = &self.records[index];
        let bytes = self.record(index);
        let as_read = || {
            let text = String::from_utf8_lossy(bytes);
            text.trim_end_matches(['\r', '\n']).to_owned()
        };
        let mut whole = None;
        let (original, values) = match fault {
            Some(fault) => {
                let fault = self.fault(fault.cell, &fault.reason);
                (Original::Text(as_read()), Err(fault.into()))
            }
            None => match StringRecord::from_byte_record(cells.split(bytes)) {
                Ok(record) => {
                    let values = self.values(&record);
                    let is_whole = record.len() == self.shape.names.len();
                    let passing = self.shape.passing.as_ref().filter(|_| is_whole);
                    // Cells without quotes tell what was read, with commas between them.
                    let is_told = self.shape.delimiter == b',' && memchr(b'"', bytes).is_none();
                    if passing.is_some() || !is_told {
                        whole = Some(Original::Text(as_read()));
                    }
                    match passing {
                        None => (Original::Cells(record), values),
                        Some(passing) => {
                            let cells = passing.iter().map(|position| &record[*position]);
                            (Original::Cells(cells.collect()), values)
                        }
                    }
                }
                Err(error) => {
                    let cell = error.utf8_error().field();
                    let fault = self.fault(cell, "expected UTF-8 text, found other bytes");
                    whole = Some(Original::Text(as_read()));
                    let cells = error.into_byte_record();
                    let cells: StringRecord = cells.iter().map(String::from_utf8_lossy).collect();
                    (Original::Cells(cells), Err(fault.into()))
                }
            },
        };
        let shape = &self.shape;
        Row {
            place: shape.input.place(self.first + index as u64, Some(*line)),
            original,
            whole,
            layout: Arc::clone(&shape.layout),
            values,
        }
    }

    fn values(&self, record: &StringRecord) -> Result<Vec<Value>, Unusable> {
        let shape = &self.shape;
        let expected = shape.names.len();
        if record.len() != expected {
            let reason = format!("expected {expected} cells, found {}", record.len());
            return Err(Fault::of_row(reason).into());
        }
        let columns = shape.inputs.iter().zip(&shape.positions).enumerate();
        let values = columns.map(|(index, (column, position))| {
            let Some(position) = *position else {
                return Ok(Value::Null);
            };
            let text = record.get(position).unwrap_or_default();
            shape
                .value(index, text)
                .map_err(|reason| Fault::of_column(&column.name, reason))
        });
        all_values(values)
    }

    /// The column of a cell, where there is one.
    fn fault(&self, cell: usize, reason: &str) -> Fault {
        let column = self.shape.names.get(cell);
        Fault {
            column: column.cloned(),
            reason: reason.to_owned(),
        }
    }

    /// Adds the values of all rows; what comes back are those that cannot be used.
    pub(in crate::table) fn encode(
        &self,
        builder: &mut InputRowsBuilder,
    ) -> Vec<(usize, Unusable)> {
        let inputs = self.shape.inputs.len();
        let mut unusable = Vec::new();
        let mut values = Vec::with_capacity(inputs);
        let mut ends = Vec::with_capacity(self.shape.names.len());
        let mut cells = lock(&self.shape.reading);
        for index in 0..self.len() {
            values.clear();
            if !self.read_plain(index, &mut ends, &mut values) {
                values.clear();
                match self.row_of(index, &mut cells).values {
                    Ok(read) => values.extend(read),
                    Err(reason) => {
                        unusable.push((index, reason));
                        values.resize(inputs, Value::Null);
                    }
                }
            }
            for (column, value) in values.iter().enumerate() {
                builder.push(column, value);
            }
        }
        unusable
    }

    /// Reads the values of a record without quotes; false where it has some, or is at fault.
    fn read_plain(&self, index: usize, ends: &mut Vec<usize>, values: &mut Vec<Value>) -> bool {
        let shape = &self.shape;
        let record = without_line_end(self.record(index));
        if self.records[index].fault.is_some() || memchr(b'"', record).is_some() {
            return false;
        }
        let Ok(text) = str::from_utf8(record) else {
            return false;
        };
        ends.clear();
        ends.extend(memchr_iter(shape.delimiter, record));
        ends.push(record.len());
        if ends.len() != shape.names.len() {
            return false;
        }
        for (index, position) in shape.positions.iter().enumerate() {
            let value = match *position {
                None => Ok(Value::Null),
                Some(position) => {
                    let start = match position {
                        0 => 0,
                        position => ends[position - 1] + 1,
                    };
                    shape.value(index, &text[start..ends[position]])
                }
            };
            match value {
                Ok(value) => values.push(value),
                Err(_) => return false,
            }
        }
        true
    }
}

/// A record without the end of its line, which is one byte.
fn without_line_end(record: &[u8]) -> &[u8] {
    match record {
        [record @ .., b'\n' | b'\r'] => record,
        record => record,
    }
}

/// Splits records, of which it is known where they end, into cells.
#[derive(Debug)]
pub(super) struct Cells {
    reader: csv_core::Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Cells {
    pub(super) fn new(delimiter: u8) -> Self {
        let mut cells = Self {
            reader: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            text: vec![0; 1024],
            ends: vec![0; 64],
        };
        // Of the first record that it reads it would drop a byte order mark. That of a file is gone by
        // now, so what is there belongs to a cell.
        cells.split(b"\n");
        cells
    }

    /// The cells of a whole record, with the end of its line.
    pub(super) fn split(&mut self, record: &[u8]) -> ByteRecord {
        let (mut read, mut written, mut cells) = (0, 0, 0);
        loop {
            let (result, more_read, more_written, more_cells) = self.reader.read_record(
                &record[read..],
                &mut self.text[written..],
                &mut self.ends[cells..],
            );
            read += more_read;
            written += more_written;
            cells += more_cells;
            match result {
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                // A whole record needs no more bytes.
                _ => break,
            }
        }
        let mut split = ByteRecord::with_capacity(written, cells);
        let mut start = 0;
        for end in &self.ends[..cells] {
            split.push_field(&self.text[start..*end]);
            start = *end;
        }
        split
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_begins_with_a_byte_order_mark_keeps_it() {
        // Only a file begins with one that is not its own, and that is gone before it is read as CSV.
        let cells = Cells::new(b',').split("\u{feff}a,b\n".as_bytes());
        assert_eq!(
            cells.iter().collect::<Vec<_>>(),
            ["\u{feff}a".as_bytes(), b"b"]
        );
    }
}
