//! CSV as rows: cells of the model's columns are parsed, the others pass as they are.

use std::io::Read;
use std::sync::Arc;

use anyhow::Context as _;
use csv::{ByteRecord, StringRecord};
use triton_model_fn::{Column, DataType, Value};

use super::bytes::ByteStream;
use super::{Input, TableReader, Wanted};
use crate::table::cell;
use crate::table::row::{Fault, Layout, Original, PassedColumn, PassedKind, Row};

/// Reads CSV with a header.
pub(super) struct CsvReader {
    input: Input,
    reader: csv::Reader<Box<dyn Read + Send>>,
    inputs: Arc<[Column]>,
    layout: Arc<Layout>,
    rows: u64,
    /// Whether the bytes that are read here are those of the file.
    plain: bool,
}

impl CsvReader {
    pub(super) fn new(input: &Input, stream: ByteStream, wanted: &Wanted) -> anyhow::Result<Self> {
        let plain = stream.compression().is_none();
        let bytes: Box<dyn Read + Send> = Box::new(stream.into_reader());
        // Rows of another length are found here, where they can be named.
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
        let header = reader.headers().context("the header cannot be read")?;
        let names: Vec<&str> = header.iter().collect();
        let positions = input.find_columns(wanted, &names)?;
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
            reader,
            rows: 0,
            plain,
        })
    }

    fn values(&self, record: &StringRecord) -> Result<Vec<Value>, Fault> {
        let expected = self.layout.columns.len();
        if record.len() != expected {
            let reason = format!("expected {expected} cells, found {}", record.len());
            return Err(Fault::of_row(reason));
        }
        let columns = self.inputs.iter().zip(&self.layout.inputs);
        let values = columns.map(|(column, position)| {
            let text = record.get(*position).unwrap_or_default();
            cell::parse(&column.data_type, text)
                .map_err(|reason| Fault::of_column(&column.name, reason))
        });
        values.collect()
    }
}

impl TableReader for CsvReader {
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn next(&mut self) -> anyhow::Result<Option<Row>> {
        let mut record = ByteRecord::new();
        if !self.reader.read_byte_record(&mut record)? {
            return Ok(None);
        }
        self.rows += 1;
        let line = record.position().map(csv::Position::line);
        let (original, values) = match StringRecord::from_byte_record(record) {
            Ok(record) => {
                let values = self.values(&record);
                (Original::Cells(record), values)
            }
            Err(error) => {
                let column = self.layout.names().nth(error.utf8_error().field());
                let fault = Fault {
                    column: column.map(str::to_owned),
                    reason: "expected UTF-8 text, found other bytes".to_owned(),
                };
                let cells = error.into_byte_record();
                let cells: StringRecord = cells.iter().map(String::from_utf8_lossy).collect();
                (Original::Cells(cells), Err(fault))
            }
        };
        Ok(Some(Row {
            place: self.input.place(self.rows, line),
            original,
            layout: Arc::clone(&self.layout),
            values,
        }))
    }

    fn bytes_done(&self) -> Option<u64> {
        self.plain.then(|| self.reader.position().byte())
    }

    fn skip(&mut self, rows: u64) -> anyhow::Result<()> {
        let mut record = ByteRecord::new();
        while self.rows < rows {
            if !self.reader.read_byte_record(&mut record)? {
                anyhow::bail!(super::too_short(self.rows, rows));
            }
            self.rows += 1;
        }
        Ok(())
    }
}
