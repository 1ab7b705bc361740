//! Timestamps of Parquet's old type INT96, which holds more than any timestamp of 64 bits.
//!
//! The library reads them in a unit that is asked for, and wraps what the unit does not hold:
//! 9999-12-31 in nanoseconds becomes a day of 1816. So they are read a second time in seconds,
//! which wrap nowhere, and the two together tell the instant.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::ensure;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType as ArrowType, Field, FieldRef, Schema, TimeUnit};
use chrono::DateTime;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type as PhysicalType;

use super::batches::Batches;
use super::parquet_file::ParquetFile;
use super::parquet_metadata::{batch_rows, leaves_where};
use crate::table::arrow_text;
use crate::table::fault::Fault;
use crate::table::format::Form;

/// The columns of a file that are, or hold, such timestamps.
#[derive(Debug, Clone)]
pub(super) struct Int96Columns {
    leaves: BTreeSet<usize>,
    /// Where they are among the columns of the file. What was read in seconds stands behind all
    /// columns, in the same order.
    columns: BTreeSet<usize>,
}

/// The same columns once more, in seconds.
pub(super) struct Companions(Batches);

impl Int96Columns {
    /// Finds them; `None` where there are none.
    pub(super) fn find(metadata: &ArrowReaderMetadata) -> Option<Self> {
        let schema = metadata.metadata().file_metadata().schema_descr();
        let leaves = leaves_where(schema, |column| {
            column.physical_type() == PhysicalType::INT96
        });
        let columns: BTreeSet<usize> = leaves
            .iter()
            .map(|leaf| schema.get_column_root_idx(*leaf))
            .collect();
        (!leaves.is_empty()).then_some(Self { leaves, columns })
    }

    /// Decides on the unit, and opens the file a second time in seconds.
    pub(super) fn open(
        &self,
        file: &ParquetFile,
        metadata: &ArrowReaderMetadata,
        form: Form,
    ) -> anyhow::Result<(ArrowReaderMetadata, Option<Companions>)> {
        let metadata = match form {
            Form::Columns if self.suit_microseconds(file, metadata)? => {
                self.in_unit(metadata, TimeUnit::Microsecond)?
            }
            // As text every instant is exact, whatever the unit.
            _ => metadata.clone(),
        };
        let companions = self.read_in_seconds(file, &metadata)?;
        Ok((metadata, Some(Companions(companions))))
    }

    /// Whether the values fit microseconds, and not nanoseconds: nobody knows before all of them
    /// were looked at, unless the writer is one that has no nanoseconds.
    fn suit_microseconds(
        &self,
        file: &ParquetFile,
        metadata: &ArrowReaderMetadata,
    ) -> anyhow::Result<bool> {
        let known = metadata.metadata().file_metadata().key_value_metadata();
        let mut known = known.into_iter().flatten();
        if known.any(|entry| entry.key.starts_with("org.apache.spark")) {
            return Ok(true);
        }
        let (mut is_any_far, mut is_any_fine) = (false, false);
        let fine = self.read(file, metadata.clone())?;
        for (fine, coarse) in fine.zip(self.read_in_seconds(file, metadata)?) {
            let (fine, coarse) = (fine?, coarse?);
            for (fine, coarse) in fine.columns().iter().zip(coarse.columns()) {
                for index in 0..fine.len() {
                    visit(fine, coarse, index, &mut |instant| {
                        is_any_far |= !instant.fits();
                        is_any_fine |= instant.fraction % 1000 != 0;
                    });
                }
            }
        }
        Ok(is_any_far && !is_any_fine)
    }

    fn read_in_seconds(
        &self,
        file: &ParquetFile,
        metadata: &ArrowReaderMetadata,
    ) -> anyhow::Result<Batches> {
        self.read(file, self.in_unit(metadata, TimeUnit::Second)?)
    }

    /// Reads nothing but these columns.
    fn read(&self, file: &ParquetFile, metadata: ArrowReaderMetadata) -> anyhow::Result<Batches> {
        let rows = batch_rows(&metadata);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), metadata);
        let columns = self.columns.iter().copied();
        let mask = ProjectionMask::roots(reader.parquet_schema(), columns);
        let reader = reader.with_projection(mask).with_batch_size(rows);
        Ok(Box::new(reader.build()?.map(|batch| Ok(batch?))))
    }

    /// The same file with these timestamps in a unit.
    fn in_unit(
        &self,
        metadata: &ArrowReaderMetadata,
        unit: TimeUnit,
    ) -> anyhow::Result<ArrowReaderMetadata> {
        let mut leaf = 0;
        let fields = metadata.schema().fields().iter();
        let fields: Vec<FieldRef> = fields
            .map(|field| self.field_in_unit(field, unit, &mut leaf))
            .collect();
        let schema = Arc::new(Schema::new_with_metadata(
            fields,
            metadata.schema().metadata().clone(),
        ));
        let options = ArrowReaderOptions::new().with_schema(schema);
        Ok(ArrowReaderMetadata::try_new(
            Arc::clone(metadata.metadata()),
            options,
        )?)
    }

    /// `leaf` counts the leaves, which come in the same order in both schemas.
    fn field_in_unit(&self, field: &FieldRef, unit: TimeUnit, leaf: &mut usize) -> FieldRef {
        let mut inner = |inner: &FieldRef| self.field_in_unit(inner, unit, leaf);
        let data_type = match field.data_type() {
            ArrowType::List(field) => ArrowType::List(inner(field)),
            ArrowType::LargeList(field) => ArrowType::LargeList(inner(field)),
            ArrowType::FixedSizeList(field, size) => ArrowType::FixedSizeList(inner(field), *size),
            ArrowType::ListView(field) => ArrowType::ListView(inner(field)),
            ArrowType::LargeListView(field) => ArrowType::LargeListView(inner(field)),
            ArrowType::Map(field, sorted) => ArrowType::Map(inner(field), *sorted),
            ArrowType::Struct(fields) => ArrowType::Struct(fields.iter().map(inner).collect()),
            scalar => {
                let is_wanted = self.leaves.contains(leaf);
                *leaf += 1;
                match scalar {
                    ArrowType::Timestamp(_, zone) if is_wanted => {
                        ArrowType::Timestamp(unit, zone.clone())
                    }
                    other => other.clone(),
                }
            }
        };
        Arc::new(Field::clone(field).with_data_type(data_type))
    }

    /// Takes the columns in seconds off a batch, and says which rows hold what the unit does not.
    ///
    /// As text every instant can be written, so columns of nothing but timestamps become text.
    pub(super) fn settle(
        &self,
        batch: &RecordBatch,
        form: Form,
    ) -> anyhow::Result<(RecordBatch, Vec<Option<Fault>>)> {
        let width = batch.num_columns() - self.columns.len();
        let mut columns = batch.columns()[..width].to_vec();
        let mut fields = batch.schema_ref().fields()[..width].to_vec();
        let mut faults = vec![None; batch.num_rows()];
        for (position, coarse) in self.columns.iter().zip(&batch.columns()[width..]) {
            let array = Arc::clone(&columns[*position]);
            let field = Arc::clone(&fields[*position]);
            let is_text = form != Form::Columns && array.data_type().is_temporal();
            if is_text {
                columns[*position] = Arc::new(texts(&array, coarse));
                fields[*position] = Arc::new(Field::new(field.name(), ArrowType::Utf8, true));
            }
            for (index, fault) in faults.iter_mut().enumerate() {
                if is_text && (columns[*position].is_valid(index) || array.is_null(index)) {
                    continue;
                }
                visit(&array, coarse, index, &mut |instant| {
                    if fault.is_none() && (is_text || !instant.fits()) {
                        let reason = match form {
                            _ if is_text => instant.without_text(),
                            Form::Columns => instant.beyond_unit(),
                            _ => instant.beyond_unit_within(array.data_type()),
                        };
                        *fault = Some(Fault::of_column(field.name(), reason));
                    }
                });
            }
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        Ok((batch, faults))
    }
}

impl Companions {
    /// Puts the columns in seconds behind the others.
    pub(super) fn beside(
        self,
        batches: impl Iterator<Item = anyhow::Result<RecordBatch>>,
    ) -> impl Iterator<Item = anyhow::Result<RecordBatch>> {
        batches.zip(self.0).map(|(batch, companions)| {
            let (batch, companions) = (batch?, companions?);
            ensure!(
                batch.num_rows() == companions.num_rows(),
                "its timestamps have another number of rows than its other columns"
            );
            let fields = batch.schema_ref().fields().iter();
            let fields = fields.chain(companions.schema_ref().fields());
            let fields: Vec<FieldRef> = fields.map(Arc::clone).collect();
            let columns = batch.columns().iter().chain(companions.columns());
            let columns: Vec<ArrayRef> = columns.map(Arc::clone).collect();
            Ok(RecordBatch::try_new(
                Arc::new(Schema::new(fields)),
                columns,
            )?)
        })
    }
}

/// An instant that was read in two units.
struct Instant {
    seconds: i64,
    /// What is left of a second, in the finer unit.
    fraction: i64,
    /// How many of the finer unit make a second.
    per_second: i64,
}

impl Instant {
    fn new(unit: TimeUnit, fine: i64, seconds: i64) -> Self {
        let per_second = match unit {
            TimeUnit::Second => 1,
            TimeUnit::Millisecond => 1_000,
            TimeUnit::Microsecond => 1_000_000,
            TimeUnit::Nanosecond => 1_000_000_000,
        };
        Self {
            seconds,
            // Both wrap in the same way, so their difference is right.
            fraction: fine.wrapping_sub(seconds.wrapping_mul(per_second)),
            per_second,
        }
    }

    /// Whether the finer unit holds it.
    fn fits(&self) -> bool {
        let fine = i128::from(self.seconds) * i128::from(self.per_second);
        i64::try_from(fine + i128::from(self.fraction)).is_ok()
    }

    fn date_time(&self) -> Option<DateTime<chrono::Utc>> {
        let nanoseconds = self.fraction * (1_000_000_000 / self.per_second);
        DateTime::from_timestamp(self.seconds, u32::try_from(nanoseconds).ok()?)
    }

    fn found(&self) -> String {
        match self.date_time() {
            Some(instant) => format!("{:?}", instant.naive_utc()),
            None => format!("{} seconds after 1970", self.seconds),
        }
    }

    fn without_text(&self) -> String {
        let found = self.found();
        format!("no calendar has the timestamp {found}, so it has no text")
    }

    fn beyond_unit(&self) -> String {
        let unit = match self.per_second {
            1_000_000_000 => "nanoseconds",
            1_000_000 => "microseconds",
            _ => "its unit",
        };
        let found = self.found();
        format!(
            "the INT96 timestamp {found} is beyond what {unit} in 64 bits hold: write CSV or \
             NDJSON, where it is text, or let the input have timestamps of microseconds"
        )
    }

    fn beyond_unit_within(&self, whole: &ArrowType) -> String {
        let found = self.found();
        format!(
            "the INT96 timestamp {found} is beyond what {whole} holds: let the input have \
             timestamps of microseconds"
        )
    }
}

/// Timestamps as text, NULL where there is none.
fn texts(fine: &ArrayRef, coarse: &ArrayRef) -> StringArray {
    let zone = match fine.data_type() {
        ArrowType::Timestamp(_, zone) => zone.as_deref(),
        _ => None,
    };
    let texts = (0..fine.len()).map(|index| {
        let mut text = None;
        visit(fine, coarse, index, &mut |instant| {
            let naive = instant.date_time().map(|time| time.naive_utc());
            text = naive.map(|naive| arrow_text::timestamp(naive, zone));
        });
        text
    });
    texts.collect()
}

/// Shows every timestamp of a row, however deep it lies.
fn visit(fine: &dyn Array, coarse: &dyn Array, index: usize, each: &mut dyn FnMut(&Instant)) {
    if fine.is_null(index) {
        return;
    }
    match (fine.data_type(), coarse.data_type()) {
        (ArrowType::Timestamp(unit, _), ArrowType::Timestamp(TimeUnit::Second, _)) => {
            macro_rules! value {
                ($arrow:ident) => {
                    fine.as_primitive::<$arrow>().value(index)
                };
            }
            let fine = match unit {
                TimeUnit::Second => value!(TimestampSecondType),
                TimeUnit::Millisecond => value!(TimestampMillisecondType),
                TimeUnit::Microsecond => value!(TimestampMicrosecondType),
                TimeUnit::Nanosecond => value!(TimestampNanosecondType),
            };
            let seconds = coarse.as_primitive::<TimestampSecondType>().value(index);
            each(&Instant::new(*unit, fine, seconds));
        }
        (ArrowType::Struct(_), ArrowType::Struct(_)) => {
            let columns = fine.as_struct().columns().iter();
            for (fine, coarse) in columns.zip(coarse.as_struct().columns()) {
                visit(fine, coarse, index, each);
            }
        }
        (ArrowType::Map(..), ArrowType::Map(..)) => {
            let (fine, coarse) = (fine.as_map().value(index), coarse.as_map().value(index));
            for entry in 0..fine.len() {
                visit(&fine, &coarse, entry, each);
            }
        }
        _ => {
            let elements = arrow_text::elements(fine, index);
            let elements = elements.zip(arrow_text::elements(coarse, index));
            if let Some((fine, coarse)) = elements {
                for element in 0..fine.len() {
                    visit(&fine, &coarse, element, each);
                }
            }
        }
    }
}
