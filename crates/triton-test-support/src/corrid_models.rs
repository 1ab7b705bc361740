//! Models that are told the ID of a sequence by a CORRID control, and show what they are told.
//!
//! `accumulate_uint64`, `…_int64`, `…_uint32`, `…_int32` and `…_string` are `accumulate` with a
//! control of that type and an output more, `corrid` of INT64 and one element. Not among
//! `examples/models`, which every server of a test has: each would cost a process.

use std::path::{Path, PathBuf};

use triton_embedded::models::AccumulateWithCorrid;
use triton_embedded::{EmbeddedTriton, EmbeddedTritonBuilder};

/// The repository of these models, for [`OwnTriton::start`](crate::OwnTriton::start).
#[must_use]
pub fn corrid_models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

/// An embedded server to be, with the same models.
#[must_use]
pub fn embedded_corrid_models() -> EmbeddedTritonBuilder {
    let models = AccumulateWithCorrid::DATATYPES.map(AccumulateWithCorrid::new);
    let builder = EmbeddedTriton::builder();
    models
        .into_iter()
        .fold(builder, EmbeddedTritonBuilder::model)
}
