//! Arrow record batches, from Arrow IPC and from Parquet.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::bail;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use fs_err::File;
use triton_model_fn::{Column, DataType};

use super::arrow_ipc::{END_BYTES, IpcBatches};
use super::arrow_rows::{ArrowRows, ArrowShape};
use super::batches::{BATCH_ROWS, Batches};
use super::bytes::ByteStream;
use super::damaged::caught;
use super::extent::BatchExtent;
use super::found::Input;
#[cfg(feature = "parquet")]
use super::int96::Int96Columns;
use super::passing;
use super::table_reader::{TableReader, too_short};
use super::wanted::Wanted;
use crate::objects::Location;
use crate::table::chunk::{Chunk, ChunkRows, ChunkSize};
use crate::table::fault::Fault;
use crate::table::layout::{Layout, PassedColumn, PassedKind};
use crate::table::{arrow_plain, arrow_values};

/// A file of which the schema is known.
pub(super) struct Opened {
    pub(super) schema: SchemaRef,
    /// Each may have more columns than the schema.
    pub(super) batches: Batches,
    /// What those columns are for.
    #[cfg(feature = "parquet")]
    pub(super) times: Option<Int96Columns>,
}

/// Reads the rows of record batches.
pub(super) struct ArrowReader {
    shape: Arc<ArrowShape>,
    batches: Batches,
    #[cfg(feature = "parquet")]
    times: Option<Int96Columns>,
    /// A batch of which rows are still to be handed out.
    batch: Option<RecordBatch>,
    rows: u64,
    extent: BatchExtent,
}

/// Reads an Arrow stream, or an Arrow file as the stream that lies within it.
pub(super) fn ipc_reader(
    input: &Input,
    stream: ByteStream,
    progress: &Arc<AtomicU64>,
    wanted: &Wanted,
) -> anyhow::Result<ArrowReader> {
    let extent = BatchExtent::begin(progress);
    // A file shows at once whether it is whole, a pipe at its end.
    let is_plain = stream.compression().is_none();
    let (mut batches, schema) = caught(|| IpcBatches::open(stream.into_reader()))?;
    match &input.location {
        Location::File(path) if is_plain && path.is_file() => {
            let size = fs_err::metadata(path)?.len();
            let read = |at, length| range_of(path, at, length);
            batches.check_file(|| read(size.saturating_sub(END_BYTES), END_BYTES))?;
            caught(|| batches.find_dictionaries(size, read))?;
        }
        Location::Object(object) if is_plain => {
            let size = object.size().unwrap_or_default();
            let read = |at, length| object.read_range(at..at + length);
            batches.check_file(|| read(size.saturating_sub(END_BYTES), END_BYTES.min(size)))?;
            caught(|| batches.find_dictionaries(size, read))?;
        }
        _ => {}
    }
    let opened = Opened {
        schema: Arc::new(schema),
        batches: Box::new(batches),
        #[cfg(feature = "parquet")]
        times: None,
    };
    ArrowReader::new(input, opened, extent, wanted)
}

/// So many bytes of a file, from a place on.
fn range_of(path: &Path, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl ArrowReader {
    pub(super) fn new(
        input: &Input,
        opened: Opened,
        extent: BatchExtent,
        wanted: &Wanted,
    ) -> anyhow::Result<Self> {
        let fields = opened.schema.fields();
        let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        let positions = wanted.find_columns(&names)?;
        let mut wanted = wanted.clone();
        for (index, position) in positions.iter().enumerate() {
            let Some(position) = position.filter(|_| !wanted.is_key_text(index)) else {
                continue;
            };
            let found = fields[position].data_type();
            let is_model_input = index < wanted.model_inputs;
            if wanted.is_undeclared && is_model_input && arrow_values::holds_binary(found) {
                wanted.declare_bytes(index);
            }
            let column = &wanted.inputs[index];
            if !arrow_values::converts(found, &column.data_type) {
                let why = match &column.data_type {
                    DataType::Array(element) if arrow_values::converts(found, element) => {
                        format!("; declare it {element} in a MODEL.sql where a row has one value")
                    }
                    _ if arrow_values::holds_binary(found) => {
                        ", whose values do not all fit; declare it BYTES in a MODEL.sql if the \
                         model takes bytes"
                            .to_owned()
                    }
                    _ => ", whose values do not all fit".to_owned(),
                };
                bail!(
                    "column '{}': expected {}, found {found}{why}",
                    column.name,
                    column.data_type
                );
            }
        }
        let columns = fields.iter().map(|field| PassedColumn {
            name: field.name().clone(),
            kind: PassedKind::Arrow(arrow_plain::plain_field(field)),
        });
        let passing = input.passing.positions(&names)?;
        let layout = Layout {
            inputs: passing::among(&positions, passing.as_deref()),
            columns: passing::chosen(columns.collect(), passing.as_deref()),
        };
        Ok(Self {
            shape: Arc::new(ArrowShape {
                input: input.clone(),
                wanted,
                positions,
                passing,
                layout: Arc::new(layout),
            }),
            batches: opened.batches,
            #[cfg(feature = "parquet")]
            times: opened.times,
            batch: None,
            rows: 0,
            extent,
        })
    }

    /// Fetches a batch, unless rows of one are left.
    fn fetch(&mut self) -> anyhow::Result<bool> {
        while self
            .batch
            .as_ref()
            .is_none_or(|batch| batch.num_rows() == 0)
        {
            match caught(|| self.batches.next().transpose())? {
                Some(batch) => {
                    self.extent.next_batch(batch.num_rows());
                    self.batch = Some(batch);
                }
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// The next rows, of at most [`BATCH_ROWS`].
    fn take(&mut self, rows: usize) -> Option<RecordBatch> {
        let batch = self.batch.take()?;
        let rows = rows.min(batch.num_rows());
        if rows < batch.num_rows() {
            self.batch = Some(batch.slice(rows, batch.num_rows() - rows));
        }
        Some(batch.slice(0, rows))
    }

    /// The columns of the file alone, and which rows hold a time that their column cannot.
    fn settle_times(
        &self,
        batch: RecordBatch,
    ) -> anyhow::Result<(RecordBatch, Vec<Option<Fault>>)> {
        #[cfg(feature = "parquet")]
        if let Some(times) = &self.times {
            return times.settle(&batch, self.shape.wanted.form);
        }
        let faults = vec![None; batch.num_rows()];
        Ok((batch, faults))
    }
}

impl TableReader for ArrowReader {
    fn layout(&self) -> &Arc<Layout> {
        &self.shape.layout
    }

    fn decided(&self) -> Option<&Arc<[Column]>> {
        Some(&self.shape.wanted.inputs)
    }

    fn next_chunk(&mut self, most: ChunkSize) -> anyhow::Result<Option<Chunk>> {
        let rows = most.rows.min(BATCH_ROWS);
        let batch = match self.fetch()? {
            true => self.take(rows),
            false => None,
        };
        let Some(batch) = batch else {
            return Ok(None);
        };
        let rows = caught(|| {
            let batch = arrow_plain::plain_batch(&batch)?;
            let (batch, faults) = self.settle_times(batch)?;
            ArrowRows::new(&self.shape, self.rows + 1, batch, faults)
        })?;
        self.rows += rows.len() as u64;
        self.extent.hand_out(rows.len() as u64);
        Ok(Some(Chunk {
            rows: ChunkRows::Arrow(rows),
        }))
    }

    fn bytes_done(&self) -> u64 {
        self.extent.done()
    }

    fn skip(&mut self, rows: u64) -> anyhow::Result<()> {
        while self.rows < rows {
            if !self.fetch()? {
                bail!(too_short(self.rows, rows));
            }
            let left = usize::try_from(rows - self.rows).unwrap_or(usize::MAX);
            let skipped = self.take(left);
            let skipped = skipped.map_or(0, |batch| batch.num_rows() as u64);
            self.rows += skipped;
            self.extent.hand_out(skipped);
        }
        Ok(())
    }
}
