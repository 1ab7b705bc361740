//! JSON objects, line by line.

use std::collections::{HashMap, VecDeque};
use std::io::{BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::bail;
use triton_model_fn::{Column, DataType};

use super::bytes::ByteStream;
use super::extent::TextExtent;
use super::found::Input;
use super::json_line::{LONGEST, Line};
use super::json_lines::{Chained, Objects};
use super::json_rows::{JsonRows, JsonShape};
use super::passing;
use super::table_reader::{TableReader, too_short};
use super::wanted::Wanted;
use crate::table::cell;
use crate::table::chunk::{Chunk, ChunkRows, ChunkSize};
use crate::table::fault::Fault;
use crate::table::format::Form;
use crate::table::json_object::JsonObject;
use crate::table::layout::{Layout, PassedColumn, PassedKind};
use crate::table::widening::Widening;

/// How many rows are looked at to find the columns of an output that needs them beforehand.
pub(super) const SAMPLE_ROWS: usize = 1000;

/// How many bytes are looked at at most.
const SAMPLE_BYTES: usize = 4 * 1024 * 1024;

/// Reads JSON objects.
pub(super) struct NdjsonReader {
    shape: Arc<JsonShape>,
    lines: Objects<Chained<BufReader<Box<dyn Read + Send>>>>,
    /// Lines that were read to find the columns.
    sampled: VecDeque<Line>,
    /// Where in the text each of these ends.
    ends: VecDeque<u64>,
    rows: u64,
    extent: TextExtent,
    /// Counts the bytes of text that were read.
    read: Arc<AtomicU64>,
    /// Where in the text the last row ends.
    end: u64,
    /// Why no more can be read, once the rows before that are handed out.
    failed: Option<anyhow::Error>,
}

impl NdjsonReader {
    pub(super) fn new(input: &Input, stream: ByteStream, wanted: &Wanted) -> anyhow::Result<Self> {
        let (text, extent) = stream.into_text()?;
        let read = Arc::default();
        let mut lines = Objects::new(BufReader::new(text), Arc::clone(&read))?;
        let mut sampled = VecDeque::new();
        let mut ends = VecDeque::new();
        let mut layout = Layout {
            columns: Vec::new(),
            inputs: Vec::new(),
        };
        // Objects pass through as they are; anything else needs to know its columns beforehand.
        if wanted.form != Form::Objects {
            let mut bytes = 0;
            while sampled.len() < SAMPLE_ROWS && bytes < SAMPLE_BYTES {
                let Some(line) = lines.next()? else { break };
                bytes += line.bytes.len();
                sampled.push_back(line);
                ends.push_back(read.load(Ordering::Relaxed));
            }
            let columns = columns(&sampled, &wanted.inputs[..wanted.model_inputs]);
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            // Without a row there is nothing to choose from.
            if !names.is_empty() {
                let passing = input.passing.positions(&names)?;
                layout.columns = passing::chosen(columns, passing.as_deref());
            }
        }
        let beside = wanted.beside.as_ref();
        let beside = beside.filter(|beside| layout.lies_within(beside, wanted.form));
        Ok(Self {
            shape: Arc::new(JsonShape {
                input: input.clone(),
                wanted: wanted.clone(),
                layout: beside.map_or_else(|| Arc::new(layout), Arc::clone),
            }),
            lines,
            sampled,
            ends,
            rows: 0,
            extent,
            read,
            end: 0,
            failed: None,
        })
    }

    fn line(&mut self) -> anyhow::Result<Option<Line>> {
        let line = match self.sampled.pop_front() {
            Some(line) => Some(line),
            None => self.lines.next()?,
        };
        self.rows += u64::from(line.is_some());
        let end = self.ends.pop_front();
        self.end = end.unwrap_or_else(|| self.read.load(Ordering::Relaxed));
        Ok(line)
    }
}

impl TableReader for NdjsonReader {
    fn layout(&self) -> &Arc<Layout> {
        &self.shape.layout
    }

    fn next_chunk(&mut self, most: ChunkSize) -> anyhow::Result<Option<Chunk>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut rows = JsonRows::new(&self.shape, self.rows + 1);
        while rows.len() < most.rows && rows.bytes() < most.bytes {
            let waits = self.shape.input.is_stream && self.sampled.is_empty();
            // Whoever sends row by row waits for their answers.
            if waits && rows.len() > 0 && !self.lines.has_line() {
                break;
            }
            match self.line() {
                Ok(Some(line)) => rows.push(&line),
                Ok(None) => break,
                Err(error) if rows.len() == 0 => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok((rows.len() > 0).then_some(Chunk {
            rows: ChunkRows::Json(rows),
        }))
    }

    fn bytes_done(&self) -> u64 {
        self.extent.done(self.end)
    }

    fn skip(&mut self, rows: u64) -> anyhow::Result<()> {
        while self.rows < rows {
            if self.line()?.is_none() {
                bail!(too_short(self.rows, rows));
            }
        }
        Ok(())
    }
}

impl Line {
    pub(super) fn object(&self) -> Result<JsonObject, Fault> {
        if self.is_too_long {
            return Err(Fault::of_row(format!(
                "the line has more than {LONGEST} bytes, the most that a row may have"
            )));
        }
        let text = std::str::from_utf8(&self.bytes)
            .map_err(|_| Fault::of_row("expected UTF-8 text, found other bytes"))?;
        // Files that were put behind each other may each have begun with a byte order mark.
        let text = text.trim_start_matches('\u{feff}');
        JsonObject::parse(text).map_err(|error| {
            // Its own line number is that within this one line.
            let message = error.to_string();
            let reason = message.split(" at line ").next().unwrap_or_default();
            let column = error.column();
            Fault::of_row(format!(
                "expected a JSON object: {reason} at column {column}"
            ))
        })
    }
}

/// The type that keeps what the model takes as another one: of a fraction it takes the nearest that its
/// own type has.
fn exact(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Float16 | DataType::BFloat16 | DataType::Float => DataType::Double,
        DataType::Array(element) => DataType::Array(Box::new(exact(element))),
        other => other.clone(),
    }
}

/// The columns of the rows, in the order in which they come up, and their types.
fn columns(lines: &VecDeque<Line>, inputs: &[Column]) -> Vec<PassedColumn> {
    let mut found: Vec<(String, Widening)> = Vec::new();
    let mut is_text = vec![false; inputs.len()];
    let kept: Vec<DataType> = inputs.iter().map(|it| exact(&it.data_type)).collect();
    let mut positions: HashMap<String, usize> = HashMap::new();
    for object in lines.iter().filter_map(|line| line.object().ok()) {
        for (name, text) in object.members() {
            let position = positions.get(name).copied().unwrap_or_else(|| {
                found.push((name.to_owned(), Widening::default()));
                positions.insert(name.to_owned(), found.len() - 1);
                found.len() - 1
            });
            found[position].1.add(text);
            if let Some(index) = inputs.iter().position(|column| column.name == name) {
                is_text[index] |= !cell::keeps(&inputs[index].data_type, &kept[index], text);
            }
        }
    }
    let columns = found.into_iter().map(|(name, widening)| {
        let input = inputs.iter().position(|column| column.name == name);
        let kind = match input {
            Some(index) if is_text[index] => PassedKind::Input(index, DataType::String),
            Some(index) => PassedKind::Input(index, kept[index].clone()),
            None => PassedKind::Other(widening.data_type().unwrap_or(DataType::String)),
        };
        PassedColumn { name, kind }
    });
    columns.collect()
}
