//! Options that name columns of the input.

use super::{InvalidValue, OptionValue, invalid};

/// The names of one or more columns, in the order in which they were given.
///
/// ```
/// use triton_options::{ColumnNames, OptionValue};
///
/// let names = ColumnNames::parse("site; sensor")?;
/// assert_eq!(names.iter().collect::<Vec<_>>(), ["site", "sensor"]);
/// # Ok::<(), triton_options::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnNames(Vec<String>);

impl ColumnNames {
    /// The names, of which there is at least one.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl OptionValue for ColumnNames {
    const TYPE_NAME: &'static str = "List";
    const EXPECTED: &'static str = "column names such as 'sensor' or 'site;sensor', none twice";

    // Flink separates the elements of a list by semicolons, most other people by commas.
    fn parse(text: &str) -> Result<Self, InvalidValue> {
        let names: Vec<String> = text
            .split([';', ','])
            .map(|name| name.trim().to_owned())
            .collect();
        for (index, name) in names.iter().enumerate() {
            if name.is_empty() || names[..index].contains(name) {
                return Err(invalid::<Self>());
            }
        }
        Ok(Self(names))
    }

    fn canonical(&self) -> String {
        self.0.join(";")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_separated_by_semicolons_or_commas() {
        let names = ColumnNames::parse(" site, sensor ").unwrap();
        assert_eq!(names.canonical(), "site;sensor");
        assert_eq!(ColumnNames::parse(&names.canonical()), Ok(names));
        for text in ["", ";", "a;", "a;;b", "a;a"] {
            assert!(ColumnNames::parse(text).is_err(), "{text:?}");
        }
    }
}
