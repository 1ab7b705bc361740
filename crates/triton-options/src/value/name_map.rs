//! Which other name a column has: that of the tensor it is, or of the column with its history.

use super::pairs::{pairs, write_pair};
use super::{InvalidValue, OptionValue, invalid};

/// Columns and a name for each of them, in the order in which they were given.
///
/// ```
/// use triton_options::{NameMap, OptionValue};
///
/// let names = NameMap::parse("reading:INPUT__0")?;
/// assert_eq!(names.get("reading"), Some("INPUT__0"));
/// assert_eq!(names.get("other"), None);
/// # Ok::<(), triton_options::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameMap(Vec<(String, String)>);

impl NameMap {
    /// The name given for `column`.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(other, _)| other == column)
            .map(|(_, name)| name.as_str())
    }

    /// Gives a column a name; what was said of either before is forgotten.
    pub fn set(&mut self, column: impl Into<String>, name: impl Into<String>) {
        let (column, name) = (column.into(), name.into());
        self.0
            .retain(|(other, before)| *other != column && *before != name);
        self.0.push((column, name));
    }

    /// Every column and its name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(column, name)| (column.as_str(), name.as_str()))
    }

    /// The columns that are named.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(column, _)| column.as_str())
    }
}

impl OptionValue for NameMap {
    const TYPE_NAME: &'static str = "Map";
    const EXPECTED: &'static str =
        "pairs of names such as 'column:NAME,other:NAME', no name twice on either side";

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        let pairs = pairs(text).ok_or_else(invalid::<Self>)?;
        for (index, (column, name)) in pairs.iter().enumerate() {
            if column.is_empty() || name.is_empty() {
                return Err(invalid::<Self>());
            }
            let before = &pairs[..index];
            let repeated = if before.iter().any(|(other, _)| other == column) {
                column
            } else if before.iter().any(|(_, other)| other == name) {
                name
            } else {
                continue;
            };
            return Err(InvalidValue {
                expected: format!("{}; '{repeated}' is given twice", Self::EXPECTED),
            });
        }
        Ok(Self(pairs))
    }

    fn canonical(&self) -> String {
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(column, name)| write_pair(column, name))
            .collect();
        pairs.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_one_name_and_every_name_one_column() {
        let names = NameMap::parse("a:X, b : 'Y,Z'").unwrap();
        assert_eq!((names.get("a"), names.get("b")), (Some("X"), Some("Y,Z")));
        assert_eq!(NameMap::parse(&names.canonical()), Ok(names));
        let mut names = NameMap::default();
        for (column, tensor) in [("a", "X"), ("b", "Y"), ("a", "Z"), ("c", "Y")] {
            names.set(column, tensor);
        }
        assert_eq!(NameMap::parse("a:Z,c:Y"), Ok(names));
        for text in ["a", "a:", ":X", "a:'X"] {
            assert!(NameMap::parse(text).is_err(), "{text:?}");
        }
        for (text, repeated) in [("a:X,a:Y", "'a'"), ("a:X,b:X", "'X'")] {
            let invalid = NameMap::parse(text).unwrap_err().to_string();
            let end = format!("; {repeated} is given twice");
            assert!(invalid.ends_with(&end), "{invalid}");
        }
    }
}
