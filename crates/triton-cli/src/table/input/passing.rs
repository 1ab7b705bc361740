//! Which columns of an input pass through to the output: all, unless arguments choose some.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use triton_options::ColumnNames;

use crate::argument_values::ColumnList;

/// Columns that are chosen by their names, whether or not the model takes them.
#[derive(Debug, Clone, Default)]
pub(crate) enum Passing {
    #[default]
    All,
    /// These, in this order.
    Only(Arc<[Named]>),
    /// All but these.
    Without(Arc<[Named]>),
}

/// A column that an argument names.
#[derive(Debug)]
pub(crate) struct Named {
    name: String,
    /// Whether an input had it: of objects only the last row tells that none did.
    is_found: AtomicBool,
}

impl Named {
    fn all(names: Vec<String>) -> Arc<[Self]> {
        let names = names.into_iter();
        let named = names.map(|name| Self {
            name,
            is_found: AtomicBool::new(false),
        });
        named.collect()
    }

    fn is(&self, name: &str) -> bool {
        let is_it = self.name == name;
        if is_it {
            self.is_found.store(true, Ordering::Relaxed);
        }
        is_it
    }
}

impl Passing {
    /// What `--columns` and `--drop` say, of which there is one at most.
    pub(crate) fn new(columns: Vec<String>, dropped: Vec<String>) -> anyhow::Result<Self> {
        if columns.is_empty() {
            return Ok(match dropped.is_empty() {
                true => Self::All,
                false => Self::Without(Named::all(dropped)),
            });
        }
        let mut names = HashSet::new();
        match columns.iter().find(|name| !names.insert(*name)) {
            None => Ok(Self::Only(Named::all(columns))),
            Some(name) => bail!(
                "--columns: '{name}' is named twice, and a column is in the output once: leave one out"
            ),
        }
    }

    fn argument(&self) -> &'static str {
        match self {
            Self::Only(_) => "--columns",
            _ => "--drop",
        }
    }

    /// What is to be said of each name that no column or member has had so far.
    pub(crate) fn not_found(&self) -> Vec<String> {
        let named = match self {
            Self::All => &[][..],
            Self::Only(names) | Self::Without(names) => names,
        };
        let missing = named.iter();
        let missing = missing.filter(|named| !named.is_found.load(Ordering::Relaxed));
        let told = missing.map(|named| {
            let (argument, name) = (self.argument(), ColumnNames::quote(&named.name));
            format!("{argument} {name}: no row has a member of this name")
        });
        told.collect()
    }

    /// Whether a member of an object passes.
    pub(super) fn passes(&self, name: &str) -> bool {
        let is_among = |names: &[Named]| {
            // One that is named twice is found twice.
            names.iter().filter(|other| other.is(name)).count() > 0
        };
        match self {
            Self::All => true,
            Self::Only(names) => is_among(names),
            Self::Without(names) => !is_among(names),
        }
    }

    /// The positions of the columns that pass, if not all do; a name that no column has is refused.
    pub(super) fn positions(&self, columns: &[&str]) -> anyhow::Result<Option<Arc<[usize]>>> {
        let named = match self {
            Self::All => return Ok(None),
            // An empty file of objects has none.
            _ if columns.is_empty() => return Ok(None),
            Self::Only(names) | Self::Without(names) => names,
        };
        let argument = self.argument();
        // A name means each column that has it.
        let mut positions = Vec::new();
        for name in named.iter() {
            let of_name = |position: &usize| name.is(columns[*position]);
            let found = positions.len();
            positions.extend((0..columns.len()).filter(of_name));
            if positions.len() == found {
                bail!(
                    "{argument} {}: no column has this name; there are: {}",
                    ColumnNames::quote(&name.name),
                    ColumnList::show(columns.iter().copied())
                );
            }
        }
        if let Self::Without(_) = self {
            positions = (0..columns.len())
                .filter(|position| !positions.contains(position))
                .collect();
        }
        if positions.is_empty() {
            bail!("{argument} leaves no column of the input");
        }
        Ok(Some(positions.into()))
    }
}

/// What is at the positions that pass, in their order.
pub(super) fn chosen<T>(all: Vec<T>, positions: Option<&[usize]>) -> Vec<T> {
    let Some(positions) = positions else {
        return all;
    };
    let mut all: Vec<Option<T>> = all.into_iter().map(Some).collect();
    let chosen = positions.iter();
    chosen
        .filter_map(|position| all[*position].take())
        .collect()
}

/// Where columns of the whole input are among those that pass.
pub(super) fn among(all: &[Option<usize>], passing: Option<&[usize]>) -> Vec<Option<usize>> {
    let Some(passing) = passing else {
        return all.to_vec();
    };
    let place = |position: &usize| passing.iter().position(|passed| passed == position);
    all.iter()
        .map(|position| position.as_ref().and_then(place))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_chosen_or_left_out() {
        let names = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned());
            Named::all(names.collect())
        };
        let positions = |passing: &Passing| {
            let positions = passing
                .positions(&["a", "b", "c"])
                .map_err(|it| it.to_string());
            positions.map(|it| it.map(|it| it.to_vec()))
        };
        assert_eq!(positions(&Passing::All), Ok(None));
        let only = Passing::Only(names(&["c", "a"]));
        assert_eq!(positions(&only), Ok(Some(vec![2, 0])));
        assert!(only.passes("a") && !only.passes("b"));
        assert!(only.not_found().is_empty());
        let dropped = Passing::Without(names(&["a,b", "c"]));
        assert!(dropped.passes("a") && !dropped.passes("c"));
        assert_eq!(
            dropped.not_found(),
            ["--drop 'a,b': no row has a member of this name"]
        );
        assert_eq!(
            positions(&Passing::Without(names(&["b"]))),
            Ok(Some(vec![0, 2]))
        );
        insta::assert_snapshot!(positions(&Passing::Without(names(&["x"]))).unwrap_err(), @"--drop x: no column has this name; there are: a, b, c");
        insta::assert_snapshot!(positions(&Passing::Without(names(&["a", "b", "c"]))).unwrap_err(), @"--drop leaves no column of the input");
        // A name that two columns have means both.
        let twins = |passing: Passing| passing.positions(&["n", "a", "n"]).unwrap().unwrap();
        assert_eq!(*twins(Passing::Only(names(&["n"]))), [0, 2]);
        assert_eq!(*twins(Passing::Without(names(&["n"]))), [1]);
        assert_eq!(chosen(vec!["a", "b", "c"], Some(&[2, 0])), ["c", "a"]);
    }
}
