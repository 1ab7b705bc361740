//! CSV with a header or without one, record by record.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, anyhow, bail};
use csv::StringRecord;
use triton_model_fn::{Column, DataType};

use super::bytes::ByteStream;
use super::csv_records::Records;
use super::csv_rows::{Cells, CsvRows, CsvShape};
use super::extent::TextExtent;
use super::found::Input;
use super::passing;
use super::table_reader::{TableReader, too_short};
use super::wanted::Wanted;
use crate::table::chunk::{Chunk, ChunkRows, ChunkSize};
use crate::table::layout::{Layout, PassedColumn, PassedKind};

/// The most columns: what is known of each takes a multiple of its place in the file.
const MOST_COLUMNS: usize = 1 << 20;

/// What else may separate cells, and how an argument names it.
const DELIMITERS: [(u8, &str); 4] = [(b';', "';'"), (b'\t', "tab"), (b'|', "'|'"), (b',', "','")];

/// Reads CSV.
pub(super) struct CsvReader {
    records: Records<Box<dyn Read + Send>>,
    shape: Arc<CsvShape>,
    rows: u64,
    extent: TextExtent,
    /// Why no more can be read, once the rows before that are handed out.
    failed: Option<io::Error>,
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
        let header = match input.text.has_header {
            true => header(&mut records, &mut cells)?,
            false => numbered(&mut records, &mut cells)?,
        };
        let names: Vec<&str> = header.iter().collect();
        let positions = wanted
            .find_columns(&names)
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
        let passing = input.passing.positions(&names)?;
        let inputs = wanted.inputs.iter();
        let keys = inputs.map(|column| wanted.key.contains(&column.name));
        let layout = Layout {
            inputs: passing::among(&positions, passing.as_deref()),
            columns: passing::chosen(columns.collect(), passing.as_deref()),
        };
        Ok(Self {
            shape: Arc::new(CsvShape {
                input: input.clone(),
                delimiter,
                reading: Mutex::new(cells),
                taking: Mutex::new(Cells::new(delimiter)),
                names: names.iter().map(|name| (*name).to_owned()).collect(),
                inputs: Arc::clone(&wanted.inputs),
                is_key: keys.collect(),
                positions,
                passing,
                layout: Arc::new(layout),
            }),
            records,
            rows: 0,
            extent,
            failed: None,
        })
    }
}

impl TableReader for CsvReader {
    fn layout(&self) -> &Arc<Layout> {
        &self.shape.layout
    }

    fn next_chunk(&mut self, most: ChunkSize) -> anyhow::Result<Option<Chunk>> {
        if let Some(error) = self.failed.take() {
            return Err(error.into());
        }
        let mut rows = CsvRows::new(&self.shape, self.rows + 1);
        while rows.len() < most.rows && rows.bytes() < most.bytes {
            // Whoever sends row by row waits for their answers.
            if self.shape.input.is_stream && rows.len() > 0 && !self.records.has_line() {
                break;
            }
            match self.records.next() {
                Ok(Some(record)) => rows.push(record),
                Ok(None) => break,
                Err(error) if rows.len() == 0 => return Err(error.into()),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        self.rows += rows.len() as u64;
        Ok((rows.len() > 0).then_some(Chunk {
            rows: ChunkRows::Csv(rows),
        }))
    }

    fn bytes_done(&self) -> u64 {
        let read = self.extent.text();
        self.extent.done(read - self.records.unread() as u64)
    }

    fn skip(&mut self, rows: u64) -> anyhow::Result<()> {
        while self.rows < rows {
            if self.records.next()?.is_none() {
                bail!(too_short(self.rows, rows));
            }
            self.rows += 1;
        }
        Ok(())
    }
}

/// Reads the first record.
fn header<R: Read>(records: &mut Records<R>, cells: &mut Cells) -> anyhow::Result<StringRecord> {
    records.cells = usize::MAX;
    let record = records.next().context("the header cannot be read")?;
    let record = record.context("it has no header: nothing but ends of lines is in it")?;
    if let Some(fault) = record.fault {
        bail!("the header cannot be read: {}", fault.reason);
    }
    let header = cells.split(record.bytes);
    check_count(header.len())?;
    let header = StringRecord::from_byte_record(header);
    header.map_err(|_| {
        anyhow!("expected a header in UTF-8, found other bytes: save the file as CSV in UTF-8")
    })
}

/// Names for as many columns as the first record has cells, where no record has the names.
fn numbered<R: Read>(records: &mut Records<R>, cells: &mut Cells) -> anyhow::Result<StringRecord> {
    records.cells = usize::MAX;
    let record = records.next().context("the first row cannot be read")?;
    let record = record.context("it has no row that tells how many columns there are")?;
    if let Some(fault) = record.fault {
        bail!("the first row cannot be read: {}", fault.reason);
    }
    let count = cells.split(record.bytes).len();
    check_count(count)?;
    records.take_back();
    Ok((1..=count)
        .map(|number| format!("column{number}"))
        .collect())
}

fn check_count(columns: usize) -> anyhow::Result<()> {
    if columns > MOST_COLUMNS {
        bail!("expected at most {MOST_COLUMNS} columns, found {columns}: is --delimiter right?");
    }
    Ok(())
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
