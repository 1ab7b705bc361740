//! Arrow record batches as rows, from Arrow IPC and from Parquet.

use std::io::{Cursor, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use arrow_array::{Array as _, ArrayRef, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_schema::SchemaRef;
use triton_model_fn::Value;

use super::bytes::ByteStream;
use super::{Input, TableReader, Wanted};
use crate::table::arrow_cells;
use crate::table::format::Form;
use crate::table::row::{Fault, Layout, Original, PassedColumn, PassedKind, Row};

/// The most rows of a batch that are held as a whole.
const BATCH_ROWS: usize = 1024;

/// The magic bytes of an Arrow file are padded to a multiple of this.
const PADDING: usize = 8;

type Batches = Box<dyn Iterator<Item = anyhow::Result<RecordBatch>> + Send>;

/// Reads the rows of record batches.
pub(super) struct ArrowReader {
    input: Input,
    batches: Batches,
    wanted: Wanted,
    layout: Arc<Layout>,
    /// Rows of the batch that is being handed out.
    ready: std::vec::IntoIter<Row>,
    /// A batch of which rows are still to be made ready.
    batch: Option<RecordBatch>,
    rows: u64,
    extent: BatchExtent,
}

/// Where among the bytes of the input the rows of a batch are, which all come at once.
struct BatchExtent {
    /// Counts the bytes that are taken, of other inputs, too.
    counter: Arc<AtomicU64>,
    counted_before: u64,
    from: u64,
    to: u64,
    rows: u64,
    handed_out: u64,
}

impl BatchExtent {
    fn begin(counter: &Arc<AtomicU64>) -> Self {
        Self {
            counter: Arc::clone(counter),
            counted_before: counter.load(Ordering::Relaxed),
            from: 0,
            to: 0,
            rows: 0,
            handed_out: 0,
        }
    }

    fn next_batch(&mut self, rows: usize) {
        self.from = self.to;
        self.to = self.counter.load(Ordering::Relaxed) - self.counted_before;
        (self.rows, self.handed_out) = (rows as u64, 0);
    }

    fn done(&self) -> u64 {
        let share = self.handed_out as f64 / self.rows.max(1) as f64;
        self.from + ((self.to - self.from) as f64 * share) as u64
    }
}

/// Reads an Arrow stream, or an Arrow file as the stream that lies within it.
pub(super) fn ipc_reader(
    input: &Input,
    stream: ByteStream,
    progress: &Arc<AtomicU64>,
    wanted: &Wanted,
) -> anyhow::Result<ArrowReader> {
    let is_file = stream.start().starts_with(b"ARROW1");
    let mut bytes = stream.into_reader();
    // Writers pad the magic bytes with zeros to whatever alignment they like.
    let mut start = [0; PADDING];
    if is_file {
        bytes.read_exact(&mut start)?;
        while start.starts_with(b"ARROW1") || start == [0; PADDING] {
            bytes.read_exact(&mut start)?;
        }
    }
    let start = if is_file { &start[..] } else { &[] };
    let bytes = Cursor::new(start.to_vec()).chain(bytes);
    let reader = StreamReader::try_new(bytes, None)?;
    let schema = reader.schema();
    let batches = reader.map(|batch| Ok(batch?));
    ArrowReader::new(input, &schema, Box::new(batches), progress, wanted)
}

/// Reads a Parquet file.
#[cfg(feature = "parquet")]
pub(super) fn parquet_reader(
    input: &Input,
    path: &std::path::Path,
    progress: &Arc<AtomicU64>,
    wanted: &Wanted,
) -> anyhow::Result<ArrowReader> {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    // The reader asks for the file's length and clones it, which only the plain type can.
    let file = fs_err::File::open(path)?;
    let bytes = file.metadata()?.len();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file.into_file())?;
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default();
    let schema = Arc::clone(builder.schema());
    let reader = builder.with_batch_size(BATCH_ROWS).build()?;
    let counter = Arc::clone(progress);
    let batches = reader.map(move |batch| {
        let batch = batch?;
        // Pages are read as they lie, so the rows tell better how far it is.
        let done = bytes as f64 * batch.num_rows() as f64 / rows.max(1) as f64;
        super::count(&counter, done as usize);
        Ok(batch)
    });
    ArrowReader::new(input, &schema, Box::new(batches), progress, wanted)
}

impl ArrowReader {
    fn new(
        input: &Input,
        schema: &SchemaRef,
        batches: Batches,
        progress: &Arc<AtomicU64>,
        wanted: &Wanted,
    ) -> anyhow::Result<Self> {
        let fields = schema.fields();
        let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        let positions = input.find_columns(wanted, &names)?;
        for (index, (column, position)) in wanted.inputs.iter().zip(&positions).enumerate() {
            let found = fields[*position].data_type();
            let fits = wanted.is_key_text(index) || arrow_cells::converts(found, &column.data_type);
            if !fits {
                bail!(
                    "column '{}': expected {}, found {found}, whose values do not all fit",
                    column.name,
                    column.data_type
                );
            }
        }
        let columns = fields.iter().map(|field| PassedColumn {
            name: field.name().clone(),
            kind: PassedKind::Arrow(arrow_cells::plain_field(field)),
        });
        let layout = Layout {
            columns: columns.collect(),
            inputs: positions,
        };
        Ok(Self {
            input: input.clone(),
            batches,
            wanted: wanted.clone(),
            layout: Arc::new(layout),
            ready: Vec::new().into_iter(),
            batch: None,
            rows: 0,
            extent: BatchExtent::begin(progress),
        })
    }

    /// Fetches a batch, unless rows of one are left.
    fn fetch(&mut self) -> anyhow::Result<bool> {
        while self
            .batch
            .as_ref()
            .is_none_or(|batch| batch.num_rows() == 0)
        {
            match self.batches.next() {
                Some(batch) => {
                    let batch = batch?;
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

    fn make_ready(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        let columns = self
            .wanted
            .inputs
            .iter()
            .zip(&self.layout.inputs)
            .enumerate();
        let columns = columns.map(|(index, (column, position))| {
            let array = batch.column(*position);
            let converted = match self.wanted.is_key_text(index) {
                true => arrow_cells::texts(array),
                false => arrow_cells::convert(array, &column.data_type),
            };
            converted.with_context(|| format!("column '{}'", column.name))
        });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
        let values: Vec<_> = (0..batch.num_rows())
            .map(|index| self.values(batch, &columns, index))
            .collect();
        let originals: Vec<Original> = match self.wanted.form {
            Form::Cells => arrow_cells::records(batch)?,
            Form::Objects => arrow_cells::objects(batch)?,
            Form::Columns => {
                let batch = Arc::new(arrow_cells::plain(batch)?);
                let rows = (0..batch.num_rows()).map(|index| Original::Batch {
                    batch: Arc::clone(&batch),
                    index,
                });
                rows.collect()
            }
        };
        let rows = originals.into_iter().zip(values).zip(self.rows + 1..);
        let rows = rows.map(|((original, values), row)| Row {
            place: self.input.place(row, None),
            original,
            layout: Arc::clone(&self.layout),
            values,
        });
        let rows: Vec<Row> = rows.collect();
        self.rows += rows.len() as u64;
        self.ready = rows.into_iter();
        Ok(())
    }

    fn values(
        &self,
        batch: &RecordBatch,
        converted: &[ArrayRef],
        index: usize,
    ) -> Result<Vec<Value>, Fault> {
        let columns = self
            .wanted
            .inputs
            .iter()
            .zip(&self.layout.inputs)
            .zip(converted);
        let values = columns.map(|((column, position), converted)| {
            let original = batch.column(*position);
            // What does not fit became NULL.
            if converted.is_null(index) && original.is_valid(index) {
                let found = arrow_cells::cell_text(original, index);
                let reason = format!("expected {}, found '{found}'", column.data_type);
                return Err(Fault::of_column(&column.name, reason));
            }
            Value::from_arrow(&column.data_type, converted, index)
                .map_err(|error| Fault::of_column(&column.name, error.to_string()))
        });
        values.collect()
    }
}

impl TableReader for ArrowReader {
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn next(&mut self) -> anyhow::Result<Option<Row>> {
        let mut row = self.ready.next();
        if row.is_none() {
            self.fetch()?;
            if let Some(batch) = self.take(BATCH_ROWS) {
                self.make_ready(&batch)?;
                row = self.ready.next();
            }
        }
        self.extent.handed_out += u64::from(row.is_some());
        Ok(row)
    }

    fn bytes_done(&self) -> Option<u64> {
        Some(self.extent.done())
    }

    fn skip(&mut self, rows: u64) -> anyhow::Result<()> {
        while self.rows < rows {
            if !self.fetch()? {
                bail!(super::too_short(self.rows, rows));
            }
            let left = usize::try_from(rows - self.rows).unwrap_or(usize::MAX);
            let skipped = self.take(left);
            let skipped = skipped.map_or(0, |batch| batch.num_rows() as u64);
            self.rows += skipped;
            self.extent.handed_out += skipped;
        }
        Ok(())
    }
}
