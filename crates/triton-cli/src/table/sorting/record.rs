//! A row as it is held while it is sorted: its key, and all that makes it a row again.

use std::sync::Arc;

use anyhow::{Context as _, bail};
#[cfg(feature = "arrow")]
use arrow_array::RecordBatch;
use csv::StringRecord;

use super::encoding::{Encoded, put_bytes, put_number, put_optional, put_values};
use crate::table::fault::Fault;
use crate::table::json_object::JsonObject;
use crate::table::layout::Layout;
use crate::table::original::Original;
use crate::table::row::{Place, Row, Unusable};

/// What a record takes beside its bytes: itself, what its allocations take more, and its part in
/// the memory that sorting needs.
const OVERHEAD: usize = 160;

/// A row that is being sorted.
#[derive(Debug)]
pub(super) struct Record {
    /// What it is sorted by; empty where the row has no key that could be read.
    pub(super) key: Box<[u8]>,
    /// Whether the model will be asked for it.
    pub(super) is_usable: bool,
    /// Whether a row of its key follows, among those it was sorted with, that can be used.
    pub(super) is_followed: bool,
    /// The row without its key and what is in the batch.
    pub(super) body: Box<[u8]>,
    #[cfg(feature = "arrow")]
    pub(super) batch: Option<BatchRow>,
}

/// A row of a record batch.
#[cfg(feature = "arrow")]
#[derive(Debug, Clone)]
pub(super) struct BatchRow {
    pub(super) batch: Arc<RecordBatch>,
    pub(super) index: usize,
    /// Its share of what the batch takes.
    pub(super) bytes: usize,
}

impl Record {
    /// Whether a row before this one, of the same key, is followed by it or by one behind it.
    pub(super) fn follows(&self, key: &[u8]) -> bool {
        (self.is_usable || self.is_followed) && *self.key == *key
    }

    /// The bytes that it takes in memory, and about as many on the disk.
    pub(super) fn size(&self) -> usize {
        #[cfg(feature = "arrow")]
        let batch = self.batch.as_ref().map_or(0, |row| row.bytes);
        #[cfg(not(feature = "arrow"))]
        let batch = 0;
        OVERHEAD + self.key.len() + self.body.len() + batch
    }
}

/// What all rows of an input have in common.
#[derive(Debug)]
struct Source {
    layout: Arc<Layout>,
    input: Arc<str>,
    among_several: bool,
}

/// The inputs that rows come from.
#[derive(Debug, Default)]
pub(super) struct Sources(Vec<Source>);

/// The forms that rows have.
mod form {
    pub(super) const CELLS: u8 = 0;
    pub(super) const OBJECT: u8 = 1;
    /// An object whose members nobody will ask for.
    pub(super) const COLUMNS: u8 = 2;
    pub(super) const TEXT: u8 = 3;
    #[cfg(feature = "arrow")]
    pub(super) const BATCH: u8 = 4;
}

impl Sources {
    /// The bytes of a row that comes up, but for what is in a batch.
    pub(super) fn body(&mut self, row: &Row) -> anyhow::Result<Box<[u8]>> {
        let mut body = Vec::new();
        put_number(self.number_of(row), &mut body);
        put_number(row.place.row, &mut body);
        put_optional(row.place.line, &mut body, put_number);
        put_original(&row.original, &mut body);
        // One of columns is in no batch that is held, and is shown as what passes through of it.
        #[cfg(feature = "arrow")]
        let whole = row.whole.as_ref();
        #[cfg(feature = "arrow")]
        let whole = whole.filter(|whole| !matches!(whole, Original::Batch { .. }));
        #[cfg(not(feature = "arrow"))]
        let whole = row.whole.as_ref();
        put_optional(whole, &mut body, put_original);
        match &row.values {
            Ok(values) => {
                body.push(1);
                put_values(values, &mut body)?;
            }
            Err(Unusable {
                fault,
                readable,
                is_writable,
            }) => {
                body.push(0);
                put_optional(fault.column.as_ref(), &mut body, |column, body| {
                    put_bytes(column.as_bytes(), body);
                });
                put_bytes(fault.reason.as_bytes(), &mut body);
                body.push(u8::from(*is_writable));
                body.push(u8::from(readable.is_some()));
                if let Some(values) = readable {
                    put_values(values, &mut body)?;
                }
            }
        }
        Ok(body.into())
    }

    /// Inputs come one after the other, so it is the last one or a new one.
    fn number_of(&mut self, row: &Row) -> u64 {
        let last = self.0.last();
        if last.is_none_or(|source| !Arc::ptr_eq(&source.layout, &row.layout)) {
            self.0.push(Source {
                layout: Arc::clone(&row.layout),
                input: Arc::clone(&row.place.input),
                among_several: row.place.among_several,
            });
        }
        self.0.len() as u64 - 1
    }

    /// The row that a record was made of.
    #[cfg_attr(
        not(feature = "arrow"),
        expect(
            clippy::needless_pass_by_value,
            reason = "only a row of Arrow keeps parts of its record"
        )
    )]
    pub(super) fn row(&self, record: Record) -> anyhow::Result<Row> {
        let mut body = Encoded::new(&record.body);
        let source = self.0.get(body.length()?);
        let source = source.context("a row is of none of the inputs")?;
        let place = Place {
            input: Arc::clone(&source.input),
            among_several: source.among_several,
            row: body.number()?,
            line: body.optional(Encoded::number)?,
            bytes: 0,
        };
        let original = match body.byte()? {
            #[cfg(feature = "arrow")]
            form::BATCH => {
                let row = record.batch.context("a row has lost its columns")?;
                let (batch, index) = (row.batch, row.index);
                Original::Batch { batch, index }
            }
            form => original(form, &mut body)?,
        };
        let whole = body.optional(|body| {
            let form = body.byte()?;
            self::original(form, body)
        })?;
        let values = match body.byte()? {
            0 => Err(Unusable {
                fault: Fault {
                    column: body.optional(|body| Ok(body.text()?.to_owned()))?,
                    reason: body.text()?.to_owned(),
                },
                is_writable: body.byte()? == 1,
                readable: body.optional(Encoded::values)?,
            }),
            _ => Ok(body.values()?),
        };
        Ok(Row {
            place,
            original,
            whole,
            layout: Arc::clone(&source.layout),
            values,
        })
    }
}

fn put_original(original: &Original, body: &mut Vec<u8>) {
    match original {
        Original::Cells(cells) => {
            body.push(form::CELLS);
            put_number(cells.len() as u64, body);
            for cell in cells {
                put_bytes(cell.as_bytes(), body);
            }
        }
        Original::Object(object) => {
            body.push(match object.has_members() {
                true => form::OBJECT,
                false => form::COLUMNS,
            });
            put_bytes(object.text().as_bytes(), body);
        }
        Original::Text(text) => {
            body.push(form::TEXT);
            put_bytes(text.as_bytes(), body);
        }
        #[cfg(feature = "arrow")]
        Original::Batch { .. } => body.push(form::BATCH),
    }
}

/// A row of a form that is in its record as a whole.
fn original(form: u8, body: &mut Encoded<'_>) -> anyhow::Result<Original> {
    Ok(match form {
        form::CELLS => {
            let cells = body.length()?;
            let cells = (0..cells).map(|_| body.text());
            Original::Cells(cells.collect::<anyhow::Result<StringRecord>>()?)
        }
        form::OBJECT => Original::Object(JsonObject::parse(body.text()?)?),
        form::COLUMNS => Original::Object(JsonObject::of_columns(body.text()?.to_owned())),
        form::TEXT => Original::Text(body.text()?.to_owned()),
        other => bail!("a row has an unknown form, {other}"),
    })
}
