//! What Java hands over, which may be of another version.

use std::sync::LazyLock;

use triton_flink::fuzzing::{check_description, read_row, write_row};
use triton_model_fn::{Column, DataType};

/// What a row may be made of.
static TYPES: LazyLock<Vec<DataType>> = LazyLock::new(|| {
    let scalars = [
        DataType::Boolean,
        DataType::TinyInt,
        DataType::SmallInt,
        DataType::Integer,
        DataType::BigInt,
        DataType::Float,
        DataType::Double,
        DataType::String,
        DataType::Bytes,
    ];
    let arrays = scalars.clone().map(DataType::array);
    let nested = arrays.clone().map(DataType::array);
    scalars.into_iter().chain(arrays).chain(nested).collect()
});

/// A row; the first bytes say how many columns it has, and of which types.
pub(crate) fn row(input: &[u8]) {
    let Some((count, input)) = input.split_first() else {
        return;
    };
    let Some((types, bytes)) = input.split_at_checked(usize::from(count & 7)) else {
        return;
    };
    let columns = types.iter().enumerate().map(|(number, data_type)| {
        let data_type = &TYPES[usize::from(*data_type) % TYPES.len()];
        Column::new(format!("c{number}"), data_type.clone())
    });
    let columns: Vec<_> = columns.collect();
    let Ok((values, unusable)) = read_row(bytes, &columns) else {
        return;
    };
    assert_eq!(values.len(), columns.len());
    // What is written is read as the same.
    let written = write_row(&values).expect("what Java has, Java takes");
    let again = read_row(&written, &columns).expect("what was written can be read");
    assert!(again.1.is_none() || unusable.is_some());
    assert_eq!(format!("{:?}", again.0), format!("{values:?}"));
}

/// What a model is, as the planner hands it over.
pub(crate) fn description(input: &[u8]) {
    if let Err(said) = check_description(input) {
        assert!(!said.is_empty());
    }
}
