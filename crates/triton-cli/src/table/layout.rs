//! The columns of an input that pass through to the output.

use std::collections::HashSet;

use anyhow::bail;
use triton_model_fn::DataType;

use super::format::Form;

/// The columns of an input that pass through to the output.
#[derive(Debug, PartialEq)]
pub(crate) struct Layout {
    pub(crate) columns: Vec<PassedColumn>,
    /// Where each of the model's input columns is, if the input has it; empty where rows find them by
    /// name.
    pub(crate) inputs: Vec<Option<usize>>,
}

/// A column of an input.
#[derive(Debug, PartialEq)]
pub(crate) struct PassedColumn {
    pub(crate) name: String,
    pub(crate) kind: PassedKind,
}

/// What is known of a column's values.
#[derive(Debug, PartialEq)]
pub(crate) enum PassedKind {
    /// The model's input column of this index, which has this type.
    Input(usize, DataType),
    /// Text, or whatever type was found in the first rows.
    Other(DataType),
    /// A typed column of the input.
    #[cfg(feature = "arrow")]
    Arrow(arrow_schema::FieldRef),
}

impl Layout {
    /// Whether rows of the two can follow each other in one output of a form; or why not.
    pub(crate) fn check_beside(&self, other: &Self, form: Form) -> Result<(), String> {
        if form == Form::Objects {
            return Ok(());
        }
        #[cfg(feature = "arrow")]
        if form == Form::Columns {
            for (place, column) in self.columns.iter().enumerate() {
                // Only the place tells columns of one name apart.
                let at_place = other.columns.get(place);
                let at_place = at_place.filter(|other| other.name == column.name);
                let Some(other) = at_place.or_else(|| other.only_one_named(&column.name)) else {
                    continue;
                };
                let (found, expected) = (column.arrow_type(), other.arrow_type());
                if found != expected {
                    return Err(format!(
                        "its column '{}' is {found}; the first input's is {expected}",
                        column.name
                    ));
                }
            }
        }
        let names: Vec<&str> = self.names().collect();
        let others: Vec<&str> = other.names().collect();
        if names != others {
            let (names, others) = (names.join(", "), others.join(", "));
            return Err(format!(
                "its columns are {names}; the first input's are {others}"
            ));
        }
        Ok(())
    }

    /// Whether rows whose values are found by name have their place in the columns of another input: each
    /// column is one of those, and the only one of its name.
    pub(super) fn lies_within(&self, other: &Self, form: Form) -> bool {
        let is_alike = |column: &PassedColumn, other: &PassedColumn| match form {
            #[cfg(feature = "arrow")]
            Form::Columns => column.arrow_type() == other.arrow_type(),
            _ => column.name == other.name,
        };
        self.columns.iter().all(|column| {
            let named = other.only_one_named(&column.name);
            named.is_some_and(|other| is_alike(column, other))
        })
    }

    /// The column of a name, unless several have it.
    fn only_one_named(&self, name: &str) -> Option<&PassedColumn> {
        let mut named = self.columns.iter().filter(|column| column.name == name);
        named.next().filter(|_| named.next().is_none())
    }

    /// Refuses two columns of one name, of which whoever reads an object finds only one.
    pub(super) fn check_members(&self) -> anyhow::Result<()> {
        let mut names = HashSet::new();
        match self.names().find(|name| !names.insert(*name)) {
            None => Ok(()),
            Some(name) => bail!(
                "two columns are named '{name}', and a JSON object holds only one of them: rename \
                 one, or write another format"
            ),
        }
    }

    /// The names of the columns, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }
}

#[cfg(feature = "arrow")]
impl PassedColumn {
    /// The type of the column in an output of typed columns.
    pub(super) fn arrow_type(&self) -> arrow_schema::DataType {
        match &self.kind {
            PassedKind::Input(_, data_type) | PassedKind::Other(data_type) => {
                data_type.arrow_type()
            }
            PassedKind::Arrow(field) => field.data_type().clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(columns: &[(&str, DataType)]) -> Layout {
        let columns = columns.iter().map(|(name, data_type)| PassedColumn {
            name: (*name).to_owned(),
            kind: PassedKind::Other(data_type.clone()),
        });
        Layout {
            columns: columns.collect(),
            inputs: Vec::new(),
        }
    }

    #[test]
    fn columns_of_one_name_are_told_by_their_places() {
        let twins = layout(&[("n", DataType::Integer), ("n", DataType::String)]);
        let turned = layout(&[("n", DataType::String), ("n", DataType::Integer)]);
        let one = layout(&[("n", DataType::Integer)]);
        let forms = [
            Form::Cells,
            #[cfg(feature = "arrow")]
            Form::Columns,
        ];
        for form in forms {
            assert_eq!(twins.check_beside(&twins, form), Ok(()));
            let is_refused = twins.check_beside(&turned, form).is_err();
            assert_eq!(is_refused, form != Form::Cells);
            // An object has one value for the two.
            assert!(one.lies_within(&one, form) && !one.lies_within(&twins, form));
        }
    }
}
