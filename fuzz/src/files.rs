//! Files of rows that a user has.

use std::sync::LazyLock;

use triton::fuzzing::{Reading, read};
use triton_model_fn::{Column, DataType};

/// What the model takes; each may be missing in the input.
static COLUMNS: LazyLock<Vec<Column>> = LazyLock::new(|| {
    vec![
        Column::new("a", DataType::Integer),
        Column::new("b", DataType::Double),
        Column::new("c", DataType::String),
        Column::new("d", DataType::Float.array()),
        Column::new("e", DataType::Bytes),
        Column::new("f", DataType::Boolean),
    ]
});

/// CSV; the first two bytes say how it is read.
pub(crate) fn csv(input: &[u8]) {
    rows(input, false);
}

/// NDJSON; the first two bytes say how it is read.
pub(crate) fn ndjson(input: &[u8]) {
    rows(input, true);
}

fn rows(input: &[u8], is_ndjson: bool) {
    let Some(([settings, pieces], input)) = input.split_first_chunk::<2>() else {
        return;
    };
    let whole = Reading {
        is_ndjson,
        delimiter: [b',', b';', b'\t', b'|'][usize::from(settings & 3)],
        has_header: settings & 4 == 0,
        as_objects: settings & 8 != 0,
        columns: &COLUMNS,
        rows: usize::MAX,
        bytes: 1 << 16,
    };
    let in_pieces = Reading {
        rows: usize::from(pieces & 7) + 1,
        bytes: usize::from(pieces >> 3) + 1,
        ..whole
    };
    // What is read does not depend on how it comes, nor on how much is asked for.
    assert_eq!(
        format!("{:?}", read(input, whole)),
        format!("{:?}", read(input, in_pieces))
    );
}
