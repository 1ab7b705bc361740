//! The columns of a record batch in the binary form of tensors.

mod column;
pub(super) mod lists;

use arrow_array::{ArrayRef, RecordBatch};

use crate::rows::EncodedRows;
use crate::tensor_plan::TensorPlan;
use crate::{Column, Error, ErrorKind};

pub(crate) use column::encoded;

/// The array of each input column.
pub(super) fn columns(inputs: &[Column], batch: &RecordBatch) -> Result<Vec<ArrayRef>, Error> {
    let columns = inputs.iter().map(|column| {
        let array = batch.column_by_name(&column.name).ok_or_else(|| {
            let fields: Vec<&str> = batch
                .schema_ref()
                .fields()
                .iter()
                .map(|field| field.name().as_str())
                .collect();
            let message = format!(
                "the record batch has no column '{}'; it has: {}",
                column.name,
                fields.join(", ")
            );
            Error::new(ErrorKind::Schema, message)
        })?;
        if super::values::is_of(&column.data_type, array.data_type()) {
            return Ok(ArrayRef::clone(array));
        }
        let message = format!(
            "column '{}': expected {}, found an Arrow array of {}",
            column.name,
            column.data_type,
            array.data_type()
        );
        Err(Error::new(ErrorKind::Schema, message))
    });
    columns.collect()
}

/// Encodes the model's inputs, each the array of the same place.
pub(super) fn encoded_rows(plan: &TensorPlan, arrays: &[&ArrayRef], rows: usize) -> EncodedRows {
    let columns = plan.inputs.iter().zip(arrays);
    let columns = columns.map(|(planned, array)| encoded(planned, array));
    EncodedRows::new(columns.collect(), rows)
}
