//! Which tensor a column is, where the two have different names.

use super::pairs::{pairs, write_pair};
use super::{InvalidValue, OptionValue};

/// Columns and the tensors they are, in the order in which they were given.
///
/// ```
/// use triton_options::{NameMap, OptionValue};
///
/// let names = NameMap::parse("reading:INPUT__0")?;
/// assert_eq!(names.tensor("reading"), Some("INPUT__0"));
/// assert_eq!(names.tensor("other"), None);
/// # Ok::<(), triton_options::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameMap(Vec<(String, String)>);

impl NameMap {
    /// The tensor named for `column`.
    #[must_use]
    pub fn tensor(&self, column: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(other, _)| other == column)
            .map(|(_, tensor)| tensor.as_str())
    }

    /// Says which tensor a column is; what was said of either before is forgotten.
    pub fn set(&mut self, column: impl Into<String>, tensor: impl Into<String>) {
        let (column, tensor) = (column.into(), tensor.into());
        self.0
            .retain(|(other, name)| *other != column && *name != tensor);
        self.0.push((column, tensor));
    }

    /// The columns that are named.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(column, _)| column.as_str())
    }
}

impl OptionValue for NameMap {
    const TYPE_NAME: &'static str = "Map";
    const EXPECTED: &'static str =
        "names such as 'column:TENSOR,other:TENSOR', no column and no tensor twice";

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        let pairs = pairs(text).ok_or_else(InvalidValue::of::<Self>)?;
        for (index, (column, tensor)) in pairs.iter().enumerate() {
            let repeated = pairs[..index]
                .iter()
                .any(|(other, name)| other == column || name == tensor);
            if column.is_empty() || tensor.is_empty() || repeated {
                return Err(InvalidValue::of::<Self>());
            }
        }
        Ok(Self(pairs))
    }

    fn canonical(&self) -> String {
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(column, tensor)| write_pair(column, tensor))
            .collect();
        pairs.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_one_tensor_and_every_tensor_one_column() {
        let names = NameMap::parse("a:X, b : 'Y,Z'").unwrap();
        assert_eq!(
            (names.tensor("a"), names.tensor("b")),
            (Some("X"), Some("Y,Z"))
        );
        assert_eq!(NameMap::parse(&names.canonical()), Ok(names));
        let mut names = NameMap::default();
        for (column, tensor) in [("a", "X"), ("b", "Y"), ("a", "Z"), ("c", "Y")] {
            names.set(column, tensor);
        }
        assert_eq!(NameMap::parse("a:Z,c:Y"), Ok(names));
        for text in ["a", "a:", ":X", "a:X,a:Y", "a:X,b:X", "a:'X"] {
            assert!(NameMap::parse(text).is_err(), "{text:?}");
        }
    }
}
