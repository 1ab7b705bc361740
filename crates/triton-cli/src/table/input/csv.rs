//! CSV as rows: cells of the model's columns are parsed, the others pass as they are.

use std::io::Read;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use csv::{ByteRecord, StringRecord};
use csv_core::ReadRecordResult;
use triton_model_fn::{Column, DataType, Value};

use super::bytes::ByteStream;
use super::csv_records::Records;
use super::extent::TextExtent;
use super::{Input, TableReader, Wanted};
use crate::table::cell;
use crate::table::row::{
    Fault, Layout, Original, PassedColumn, PassedKind, Row, Unusable, all_values,
};

/// What else may separate cells, and how an argument names it.
const DELIMITERS: [(u8, &str); 4] = [(b';', "';'"), (b'\t', "tab"), (b'|', "'|'"), (b',', "','")];

/// Reads CSV with a header.
pub(super) struct CsvReader {
    input: Input,
    records: Records<Box<dyn Read + Send>>,
    cells: Cells,
    inputs: Arc<[Column]>,
    layout: Arc<Layout>,
    rows: u64,
    extent: TextExtent,
}

impl CsvReader {
    pub(super) fn new(
        input: &Input,
        stream: ByteStream,
        delimiter: u8,
        wanted: &Wanted,
    ) -> anyhow::Result<Self> {
        let (text, extent) = stream.into_text()?;
        let mut records = Records::new(text, delimiter, input.text.longest_cell);
        let mut cells = Cells::new(delimiter);
        let header = header(&mut records, &mut cells)?;
        let names: Vec<&str> = header.iter().collect();
        let positions = input
            .find_columns(wanted, &names)
            .map_err(|error| hinted(&error, &header, delimiter, wanted))?;
        records.cells = names.len();
        let columns = names.iter().enumerate().map(|(position, name)| {
            let kind = match wanted.model_input_at(&positions, position) {
                Some(index) => PassedKind::Input(index, wanted.inputs[index].data_type.clone()),
                None => PassedKind::Other(DataType::String),
            };
            PassedColumn {
                name: (*name).to_owned(),
                kind,
            }
        });
        let layout = Layout {
            columns: columns.collect(),
            inputs: positions,
        };
        Ok(Self {
            layout: Arc::new(layout),
            input: input.clone(),
            inputs: Arc::clone(&wanted.inputs),
            records,
            cells,
            rows: 0,
            extent,
        })
    }

    fn values(&self, record: &StringRecord) -> Result<Vec<Value>, Unusable> {
        let expected = self.layout.columns.len();
        if record.len() != expected {
            let reason = format!("expected {expected} cells, found {}", record.len());
            return Err(Fault::of_row(reason).into());
        }
        let columns = self.inputs.iter().zip(&self.layout.inputs);
        let values = columns.map(|(column, position)| {
            let Some(position) = *position else {
                return Ok(Value::Null);
            };
            let text = record.get(position).unwrap_or_default();
            cell::parse(&column.data_type, text)
                .map_err(|reason| Fault::of_column(&column.name, reason))
        });
        all_values(values)
    }

    /// The column of a cell, where there is one.
    fn fault(&self, cell: usize, reason: &str) -> Fault {
        let column = self.layout.names().nth(cell);
        Fault {
            column: column.map(str::to_owned),
            reason: reason.to_owned(),
        }
    }
}

impl TableReader for CsvReader {
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn next(&mut self) -> anyhow::Result<Option<Row>> {
        let Some(record) = self.records.next()? else {
            return Ok(None);
        };
        self.rows += 1;
        let line = record.line;
        let (original, values) = match record.fault {
            Some(fault) => {
                let text = String::from_utf8_lossy(record.bytes);
                let text = text.trim_end_matches(['\r', '\n']).to_owned();
                let fault = self.fault(fault.cell, &fault.reason);
                (Original::Text(text), Err(fault.into()))
            }
            None => match StringRecord::from_byte_record(self.cells.split(record.bytes)) {
                Ok(record) => {
                    let values = self.values(&record);
                    (Original::Cells(record), values)
                }
                Err(error) => {
                    let cell = error.utf8_error().field();
                    let fault = self.fault(cell, "expected UTF-8 text, found other bytes");
                    let cells = error.into_byte_record();
                    let cells: StringRecord = cells.iter().map(String::from_utf8_lossy).collect();
                    (Original::Cells(cells), Err(fault.into()))
                }
            },
        };
        Ok(Some(Row {
            place: self.input.place(self.rows, Some(line)),
            original,
            layout: Arc::clone(&self.layout),
            values,
        }))
    }

    fn bytes_done(&self) -> u64 {
        let read = self.extent.text();
        self.extent.done(read - self.records.unread() as u64)
    }

    fn skip(&mut self, rows: u64) -> anyhow::Result<()> {
        while self.rows < rows {
            if self.records.next()?.is_none() {
                bail!(super::too_short(self.rows, rows));
            }
            self.rows += 1;
        }
        Ok(())
    }
}

/// Reads the first record.
fn header<R: Read>(records: &mut Records<R>, cells: &mut Cells) -> anyhow::Result<StringRecord> {
    let record = records.next().context("the header cannot be read")?;
    let record = record.context("it has no header: nothing but ends of lines is in it")?;
    if let Some(fault) = record.fault {
        bail!("the header cannot be read: {}", fault.reason);
    }
    let header = StringRecord::from_byte_record(cells.split(record.bytes));
    header.map_err(|_| {
        anyhow!("expected a header in UTF-8, found other bytes: save the file as CSV in UTF-8")
    })
}

/// Adds what a header looks like that lacks a column.
fn hinted(
    error: &anyhow::Error,
    header: &StringRecord,
    delimiter: u8,
    wanted: &Wanted,
) -> anyhow::Error {
    let first = header.get(0).unwrap_or_default().trim_start();
    let hint = if first.starts_with('<') {
        Some("it begins like HTML or XML".to_owned())
    } else if first.starts_with(['{', '[']) {
        Some("it begins like JSON: see --input-format ndjson".to_owned())
    } else {
        other_delimiter(header, delimiter, wanted)
    };
    match hint {
        Some(hint) => anyhow!("{error:#}; {hint}"),
        None => anyhow!("{error:#}"),
    }
}

/// The delimiter that would give the names that are wanted, or the only one in the header.
fn other_delimiter(header: &StringRecord, delimiter: u8, wanted: &Wanted) -> Option<String> {
    let line = header.iter().collect::<Vec<_>>().join("");
    if let Some(separator) = line.strip_prefix("sep=") {
        return Some(format!(
            "its first line, 'sep={separator}', is one of Excel's: take it out and say --delimiter"
        ));
    }
    let others = DELIMITERS.iter().filter(|(byte, _)| *byte != delimiter);
    let found = others.filter(|(byte, _)| {
        let names = line.split(char::from(*byte));
        let names: Vec<&str> = names.map(|name| name.trim_matches('"')).collect();
        let gives = |column: &Column| names.contains(&column.name.as_str());
        names.len() > 1 && (header.len() == 1 || wanted.inputs.iter().any(gives))
    });
    let (_, name) = found.into_iter().next()?;
    Some(format!(
        "its cells seem to be separated otherwise: say --delimiter {name}"
    ))
}

/// Splits records, of which it is known where they end, into cells.
struct Cells {
    reader: csv_core::Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Cells {
    fn new(delimiter: u8) -> Self {
        Self {
            reader: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            text: vec![0; 1024],
            ends: vec![0; 64],
        }
    }

    /// The cells of a whole record, with the end of its line.
    fn split(&mut self, record: &[u8]) -> ByteRecord {
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
