//! A JSON object that is a row: its text stays as it is, and its members are found in it.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::cell;
use super::fault::Fault;
use super::json_text;
use super::layout::Layout;

/// A JSON object, and where the values of its members are in its text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonObject {
    text: String,
    members: Vec<(String, Range<usize>)>,
}

impl JsonObject {
    /// Reads an object; nothing but white space may stand around it.
    pub(crate) fn parse(text: &str) -> serde_json::Result<Self> {
        let text = text.trim();
        let copy = json_text::without_literals(text);
        let json = copy.as_deref().unwrap_or(text);
        let Members(members) = serde_json::from_str(json)?;
        let start = json.as_ptr() as usize;
        let members = members.into_iter().map(|(name, value)| {
            // The value borrows from the text, so it begins within it.
            let value_start = value.get().as_ptr() as usize - start;
            (name, value_start..value_start + value.get().len())
        });
        let members = members.collect();
        Ok(Self {
            members,
            text: text.to_owned(),
        })
    }

    /// An object whose members nobody will ask for.
    pub(crate) fn of_columns(text: String) -> Self {
        let members = Vec::new();
        Self { text, members }
    }

    /// The whole object as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether somebody may ask for its members.
    pub(super) fn has_members(&self) -> bool {
        !self.members.is_empty()
    }

    /// Whether more than one member has a name.
    pub(crate) fn repeats(&self, name: &str) -> bool {
        let named = self.members.iter().filter(|(other, _)| other == name);
        named.count() > 1
    }

    /// The text of the value for each column of an output, if there is one. Refused is a member that
    /// none of the columns is, and one that is not the only one of its name.
    pub(crate) fn by_column(&self, layout: &Layout) -> Result<Vec<Option<&str>>, Fault> {
        let mut values = vec![None; layout.columns.len()];
        let (mut places, mut next, mut unknown) = (None, 0, None);
        for (name, text) in self.members() {
            // Mostly the members of all rows have one order.
            let follows = layout.columns.get(next);
            let place = match follows.is_some_and(|column| column.name == name) {
                true => Some(next),
                false => {
                    let places: &mut HashMap<_, _> =
                        places.get_or_insert_with(|| layout.names().zip(0..).collect());
                    places.get(name).copied()
                }
            };
            let Some(place) = place else {
                unknown.get_or_insert(name);
                continue;
            };
            if values[place].replace(text).is_some() {
                return Err(Fault::of_column(name, super::TWICE));
            }
            next = place + 1;
        }
        match unknown {
            None => Ok(values),
            Some(name) => {
                let reason = "it comes up only after the first rows, from which the output's \
                              columns were taken: write NDJSON, or name it in an earlier row";
                Err(Fault::of_column(name, reason))
            }
        }
    }

    /// The object with only those of its members whose names pass.
    pub(super) fn narrowed(&self, passes: impl Fn(&str) -> bool) -> Self {
        let mut text = "{".to_owned();
        let mut members = Vec::new();
        for (name, value) in self.members().filter(|(name, _)| passes(name)) {
            if !members.is_empty() {
                text.push(',');
            }
            cell::write_json_text(name, &mut text);
            text.push(':');
            let start = text.len();
            text.push_str(value);
            members.push((name.to_owned(), start..text.len()));
        }
        text.push('}');
        Self { text, members }
    }

    /// The names of the members and the texts of their values, in order.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members
            .iter()
            .map(|(name, range)| (name.as_str(), &self.text[range.clone()]))
    }

    /// The text of a member's value; of a repeated name the last one counts.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut named = self.members.iter().rev().filter(|(other, _)| other == name);
        named.next().map(|(_, range)| &self.text[range.clone()])
    }
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(map.size_hint().unwrap_or_default());
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Object).map(Members)
    }
}

#[cfg(test)]
mod tests {
    use triton_model_fn::DataType;

    use super::*;
    use crate::table::layout::{PassedColumn, PassedKind};

    #[test]
    fn members_keep_their_text_and_order() {
        let object = JsonObject::parse(" {\"b\" : 1.50, \"a\\n\":[1, 2], \"b\": null}\n").unwrap();
        let members: Vec<_> = object.members().collect();
        assert_eq!(members, [("b", "1.50"), ("a\n", "[1, 2]"), ("b", "null")]);
        assert_eq!(object.get("b"), Some("null"));
        assert_eq!(object.get("c"), None);
        assert_eq!(
            object.text(),
            "{\"b\" : 1.50, \"a\\n\":[1, 2], \"b\": null}"
        );
    }

    #[test]
    fn literals_that_json_lacks_pass_as_they_are() {
        let text = "{\"a\": NaN, \"b\":[1,-Infinity],\"c\":\"NaN\"}";
        let object = JsonObject::parse(text).unwrap();
        let members: Vec<_> = object.members().collect();
        let expected = [("a", "NaN"), ("b", "[1,-Infinity]"), ("c", "\"NaN\"")];
        assert_eq!(members, expected);
        assert_eq!(object.text(), text);
    }

    fn layout(names: &[&str]) -> Layout {
        let columns = names.iter().map(|name| PassedColumn {
            name: (*name).to_owned(),
            kind: PassedKind::Other(DataType::String),
        });
        Layout {
            columns: columns.collect(),
            inputs: Vec::new(),
        }
    }

    #[test]
    fn members_are_found_by_the_columns_of_an_output() {
        let layout = layout(&["a", "b", "c"]);
        let found = |text: &str| {
            let object = JsonObject::parse(text).unwrap();
            let values = object.by_column(&layout);
            values
                .map(|values| {
                    values
                        .into_iter()
                        .map(|it| it.map(str::to_owned))
                        .collect::<Vec<_>>()
                })
                .map_err(|fault| fault.to_string())
        };
        let texts = |texts: [Option<&str>; 3]| Ok(texts.map(|it| it.map(str::to_owned)).to_vec());
        assert_eq!(
            found("{\"a\":1,\"b\":2,\"c\":3}"),
            texts([Some("1"), Some("2"), Some("3")])
        );
        assert_eq!(
            found("{\"c\":3,\"a\":1}"),
            texts([Some("1"), None, Some("3")])
        );
        assert_eq!(found("{}"), texts([None, None, None]));
        for twice in [
            "{\"b\":1,\"b\":2}",
            "{\"a\":1,\"c\":1,\"a\":2}",
            "{\"x\":1,\"b\":1,\"b\":2}",
        ] {
            assert!(found(twice).unwrap_err().ends_with(super::super::TWICE));
        }
        assert!(
            found("{\"a\":1,\"x\":2}")
                .unwrap_err()
                .starts_with("column 'x': it comes up only after")
        );
    }

    #[test]
    fn an_object_of_many_members_is_not_gone_through_for_each() {
        // In the order of the columns, and in none.
        let names: Vec<String> = (0..50_000).map(|number| format!("c{number}")).collect();
        let layout = layout(&names.iter().map(String::as_str).collect::<Vec<_>>());
        for order in [1, 7] {
            let members = (0..names.len()).map(|place| {
                let name = &names[place * order % names.len()];
                format!("\"{name}\":1")
            });
            let text = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
            let object = JsonObject::parse(&text).unwrap();
            let values = object.by_column(&layout).unwrap();
            assert!(values.iter().all(Option::is_some));
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in [
            "[1]",
            "{\"a\":1",
            "{\"a\":1} {}",
            "5",
            "{\"a\":}",
            "{NaN:1}",
            "{-Infinity : 1}",
        ] {
            assert!(JsonObject::parse(text).is_err(), "{text}");
        }
    }
}
