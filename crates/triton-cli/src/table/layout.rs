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
            for column in &self.columns {
                let named = other.columns.iter().find(|other| other.name == column.name);
                let Some(other) = named else { continue };
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
    /// column is one of those.
    pub(super) fn lies_within(&self, other: &Self, form: Form) -> bool {
        let is_alike = |column: &PassedColumn, other: &PassedColumn| match form {
            #[cfg(feature = "arrow")]
            Form::Columns => column.arrow_type() == other.arrow_type(),
            _ => column.name == other.name,
        };
        self.columns.iter().all(|column| {
            let mut others = other.columns.iter();
            let named = others.find(|other| other.name == column.name);
            named.is_some_and(|other| is_alike(column, other))
        })
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
