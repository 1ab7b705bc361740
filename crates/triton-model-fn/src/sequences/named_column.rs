//! Finds the columns that options name.

use crate::{Column, DataType, Error, ErrorKind};

/// The place of a column that an option names, which must have one of some types.
pub(super) fn find_of(
    option: &str,
    name: &str,
    columns: &[Column],
    types: &[DataType],
) -> Result<usize, Error> {
    let index = find(option, name, columns)?;
    let found = &columns[index].data_type;
    if types.contains(found) {
        return Ok(index);
    }
    let types: Vec<String> = types.iter().map(ToString::to_string).collect();
    let message = format!(
        "option '{option}': column '{name}' is {found}, expected {}",
        types.join(" or ")
    );
    Err(Error::new(ErrorKind::Schema, message))
}

/// The place of a column that an option names.
pub(super) fn find(option: &str, name: &str, columns: &[Column]) -> Result<usize, Error> {
    let place = columns.iter().position(|column| column.name == name);
    place.ok_or_else(|| {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let message = format!(
            "option '{option}' names the column '{name}', which is no input column: there are {}",
            names.join(", ")
        );
        Error::new(ErrorKind::Schema, message)
    })
}
