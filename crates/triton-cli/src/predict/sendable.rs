//! Which rows can be sent: only the function that was opened knows, as NULL is a value to some inputs
//! of a model and none to others.

use std::sync::Arc;

use triton_model_fn::InferenceFunction;

use crate::table::Row;

/// Asks the function of a run which rows it would send.
pub(super) struct Sendable(Arc<InferenceFunction>);

impl Sendable {
    pub(super) fn to(function: &Arc<InferenceFunction>) -> Self {
        Self(Arc::clone(function))
    }

    /// Whether a row is one of them. No other can end the sequence of its key, as it never arrives.
    pub(super) fn includes(&self, row: &Row) -> bool {
        let values = row.values.as_ref();
        values.is_ok_and(|values| self.0.check_row(values).is_ok())
    }
}
