//! Values of arguments that several commands have.

use std::str::FromStr;
use std::time::Duration;

use triton_options::{ColumnNames, OptionValue as _};

/// Reads a duration in the grammar of the options.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    Duration::parse(text).map_err(|error| error.to_string())
}

/// Names of columns, in the grammar of the options.
#[derive(Debug, Clone)]
pub(crate) struct ColumnList(Vec<String>);

impl ColumnList {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let names = ColumnNames::split(text);
        names.map(Self).map_err(|_| {
            "expected names such as a,b, of which one with a comma or semicolon stands in quotes, \
             as in 'a,b',c"
                .to_owned()
        })
    }

    /// Names as they could be given, so that no two lists look alike.
    pub(crate) fn show<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
        let names: Vec<String> = names.into_iter().map(ColumnNames::quote).collect();
        names.join(", ")
    }

    /// The names of an argument that may be given several times.
    pub(crate) fn all(lists: &[Self]) -> Vec<String> {
        lists.iter().flat_map(|list| list.0.clone()).collect()
    }
}

/// A number of something, of which there has to be one.
pub(crate) fn at_least_one<T: FromStr>(text: &str) -> Result<T, String> {
    let is_positive = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
    let is_zero = text.bytes().all(|byte| byte == b'0');
    text.parse().map_err(|_| match is_positive && !is_zero {
        true => "it is too large".to_owned(),
        false => "expected a whole number, 1 at least".to_owned(),
    })
}
