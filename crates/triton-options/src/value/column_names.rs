//! Options that name columns of the input.

use super::pairs::{quoted, unquote};
use super::{InvalidValue, OptionValue, invalid};

/// What separates names: Flink separates the elements of a list by semicolons, most other people by
/// commas.
const SEPARATORS: [char; 2] = [';', ','];

const QUOTES: [char; 2] = ['\'', '"'];

/// The names of one or more columns, in the order in which they were given; one with a separator stands
/// in quotes.
///
/// ```
/// use triton_options::{ColumnNames, OptionValue};
///
/// let names = ColumnNames::parse("site; sensor")?;
/// assert_eq!(names.iter().collect::<Vec<_>>(), ["site", "sensor"]);
/// let one = ColumnNames::parse("'width, height'")?;
/// assert_eq!(one.iter().collect::<Vec<_>>(), ["width, height"]);
/// # Ok::<(), triton_options::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnNames(Vec<String>);

impl ColumnNames {
    /// The names, of which there is at least one.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The names in a text, one of which may be there twice.
    ///
    /// # Errors
    ///
    /// When the quotes of a name do not match.
    pub fn split(text: &str) -> Result<Vec<String>, InvalidValue> {
        let mut names = Vec::new();
        let mut rest = Some(text);
        while let Some(text) = rest {
            let text = text.trim_start();
            // Quotes within a name are its own.
            let end = match text.starts_with(QUOTES) {
                true => quoted_length(text).ok_or_else(invalid::<Self>)?,
                false => text.find(SEPARATORS).unwrap_or(text.len()),
            };
            let (name, behind) = text.split_at(end);
            let name = name.trim_end();
            let behind = behind.trim_start();
            rest = behind.strip_prefix(SEPARATORS);
            if rest.is_none() && !behind.is_empty() {
                return Err(invalid::<Self>());
            }
            names.push(match name {
                // pandas writes its index under no name.
                "" => String::new(),
                name => unquote(name).ok_or_else(invalid::<Self>)?,
            });
        }
        Ok(names)
    }

    /// A name as [`split`](Self::split) reads it among others: in quotes where it has to be.
    #[must_use]
    pub fn quote(name: &str) -> String {
        let is_plain = !name.is_empty()
            && name.trim() == name
            && !name.starts_with(QUOTES)
            && !name.contains(SEPARATORS);
        match is_plain {
            true => name.to_owned(),
            false => quoted(name),
        }
    }
}

impl OptionValue for ColumnNames {
    const TYPE_NAME: &'static str = "List";
    const EXPECTED: &'static str = "column names such as 'sensor' or 'site;sensor', none twice";

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        let names = Self::split(text)?;
        for (index, name) in names.iter().enumerate() {
            if name.is_empty() || names[..index].contains(name) {
                return Err(invalid::<Self>());
            }
        }
        Ok(Self(names))
    }

    fn canonical(&self) -> String {
        let names: Vec<String> = self.iter().map(Self::quote).collect();
        names.join(";")
    }
}

/// How long the quoted text is that a text begins with; a quote within it is written twice.
fn quoted_length(text: &str) -> Option<usize> {
    let quote = text.chars().next()?;
    let mut from = quote.len_utf8();
    loop {
        let end = from + text[from..].find(quote)? + quote.len_utf8();
        if !text[end..].starts_with(quote) {
            return Some(end);
        }
        from = end + quote.len_utf8();
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

    #[test]
    fn a_name_with_a_separator_stands_in_quotes() {
        for (text, expected) in [
            ("'a,b';c", &["a,b", "c"][..]),
            (r#" "a;b" , "say ""hi""" "#, &["a;b", "say \"hi\""]),
            ("it's,'it''s'", &["it's", "it's"]),
            ("'  a',b c", &["  a", "b c"]),
            ("a'b,c'd", &["a'b", "c'd"]),
        ] {
            let names = ColumnNames::split(text).unwrap();
            assert_eq!(names, expected, "{text}");
            let again: Vec<String> = names.iter().map(|name| ColumnNames::quote(name)).collect();
            assert_eq!(ColumnNames::split(&again.join(",")), Ok(names));
        }
        assert_eq!(
            ColumnNames::parse("'a;b',c").unwrap().canonical(),
            "'a;b';c"
        );
        for text in ["'a", "'a'b", "a,'", "''", "'a' 'b'"] {
            assert!(ColumnNames::parse(text).is_err(), "{text:?}");
        }
    }
}
