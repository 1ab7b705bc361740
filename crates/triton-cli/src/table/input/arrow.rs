//! Arrow record batches as rows, from Arrow IPC and from Parquet.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::bail;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use triton_model_fn::{Column, Value};

use super::arrow_ipc::IpcBatches;
use super::bytes::ByteStream;
use super::damaged::caught;
use super::extent::BatchExtent;
#[cfg(feature = "parquet")]
use super::int96::Int96Columns;
use super::{Input, TableReader, Wanted};
use crate::table::format::Form;
use crate::table::row::{
    Fault, Layout, Original, PassedColumn, PassedKind, Row, Unusable, all_values,
};
use crate::table::{arrow_cells, arrow_decimals, arrow_plain, arrow_text, arrow_values};

/// The most rows of a batch that are held as a whole.
pub(super) const BATCH_ROWS: usize = 1024;

pub(super) type Batches = Box<dyn Iterator<Item = anyhow::Result<RecordBatch>> + Send>;

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
    input: Input,
    batches: Batches,
    #[cfg(feature = "parquet")]
    times: Option<Int96Columns>,
    wanted: Wanted,
    layout: Arc<Layout>,
    /// Rows of the batch that is being handed out.
    ready: std::vec::IntoIter<Row>,
    /// A batch of which rows are still to be made ready.
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
    let whole_file = input.path.as_deref();
    let whole_file = whole_file.filter(|path| stream.compression().is_none() && path.is_file());
    let (batches, schema) = caught(|| IpcBatches::open(stream.into_reader()))?;
    if let Some(path) = whole_file {
        batches.check_file(path)?;
    }
    let opened = Opened {
        schema: Arc::new(schema),
        batches: Box::new(batches),
        #[cfg(feature = "parquet")]
        times: None,
    };
    ArrowReader::new(input, opened, extent, wanted)
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
        let positions = input.find_columns(wanted, &names)?;
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
                let advice = match arrow_values::holds_binary(found) {
                    true => "; declare it BYTES in a MODEL.sql if the model takes bytes",
                    false => "",
                };
                bail!(
                    "column '{}': expected {}, found {found}, whose values do not all fit{advice}",
                    column.name,
                    column.data_type
                );
            }
        }
        let columns = fields.iter().map(|field| PassedColumn {
            name: field.name().clone(),
            kind: PassedKind::Arrow(arrow_plain::plain_field(field)),
        });
        let layout = Layout {
            columns: columns.collect(),
            inputs: positions,
        };
        Ok(Self {
            input: input.clone(),
            batches: opened.batches,
            #[cfg(feature = "parquet")]
            times: opened.times,
            wanted,
            layout: Arc::new(layout),
            ready: Vec::new().into_iter(),
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

    fn make_ready(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        let batch = arrow_plain::plain_batch(batch)?;
        let (batch, faults) = self.settle_times(batch)?;
        let values: Vec<_> = (0..batch.num_rows())
            .map(|index| self.values(&batch, index))
            .collect();
        let written = match self.wanted.form {
            Form::Cells => arrow_cells::records(&batch),
            Form::Objects => arrow_cells::objects(&batch),
            Form::Columns => {
                let faults = arrow_decimals::faults(&batch);
                let batch = Arc::new(batch);
                let rows = faults.into_iter().enumerate().map(|(index, fault)| {
                    let batch = Arc::clone(&batch);
                    (Original::Batch { batch, index }, fault)
                });
                rows.collect()
            }
        };
        let rows = written.into_iter().zip(faults).zip(values);
        let rows = rows.zip(self.rows + 1..);
        let rows = rows.map(|((((original, unwritable), fault), values), row)| Row {
            place: self.input.place(row, None),
            original,
            layout: Arc::clone(&self.layout),
            // What cannot be written is not asked of the model either.
            values: match (values, fault.or(unwritable)) {
                (Ok(values), None) => Ok(values),
                (Ok(values), Some(fault)) => Err(Unusable {
                    fault,
                    readable: Some(values),
                    is_writable: false,
                }),
                (Err(unusable), unwritable) => Err(Unusable {
                    is_writable: unusable.is_writable && unwritable.is_none(),
                    ..unusable
                }),
            },
        });
        let rows: Vec<Row> = rows.collect();
        self.rows += rows.len() as u64;
        self.ready = rows.into_iter();
        Ok(())
    }

    /// The columns of the file alone, and which rows hold a time that their column cannot.
    fn settle_times(
        &self,
        batch: RecordBatch,
    ) -> anyhow::Result<(RecordBatch, Vec<Option<Fault>>)> {
        #[cfg(feature = "parquet")]
        if let Some(times) = &self.times {
            return times.settle(&batch, self.wanted.form);
        }
        let faults = vec![None; batch.num_rows()];
        Ok((batch, faults))
    }

    fn values(&self, batch: &RecordBatch, index: usize) -> Result<Vec<Value>, Unusable> {
        let columns = self.wanted.inputs.iter().zip(&self.layout.inputs);
        let values = columns.enumerate().map(|(input, (column, position))| {
            let Some(position) = *position else {
                return Ok(Value::Null);
            };
            let array = batch.column(position);
            let value = match self.wanted.is_key_text(input) {
                true if arrow_text::is_null(array, index) => Ok(Value::Null),
                true => arrow_text::cell(array, index).map(Value::String),
                false => arrow_values::value(&column.data_type, array, index),
            };
            value.map_err(|reason| Fault::of_column(&column.name, reason))
        });
        all_values(values)
    }
}

impl TableReader for ArrowReader {
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn decided(&self) -> Option<&Arc<[Column]>> {
        Some(&self.wanted.inputs)
    }

    fn next(&mut self) -> anyhow::Result<Option<Row>> {
        let mut row = self.ready.next();
        if row.is_none() {
            self.fetch()?;
            if let Some(batch) = self.take(BATCH_ROWS) {
                caught(|| self.make_ready(&batch))?;
                row = self.ready.next();
            }
        }
        self.extent.hand_out(u64::from(row.is_some()));
        Ok(row)
    }

    fn bytes_done(&self) -> u64 {
        self.extent.done()
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
            self.extent.hand_out(skipped);
        }
        Ok(())
    }
}
