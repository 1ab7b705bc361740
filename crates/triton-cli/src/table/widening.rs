//! The type of a column of JSON values: the narrowest that holds all of them exactly. Where none
//! does, it is `STRING`, which keeps the text of each.

use triton_model_fn::DataType;

use super::json_text;

/// Lists that are nested deeper are kept as text.
const DEEPEST: usize = 16;

/// More significant digits than any double has.
const MOST_DIGITS: usize = 800;

/// What was found of a column so far.
#[derive(Debug, Default)]
pub(super) struct Widening(Option<Shape>);

#[derive(Debug)]
enum Shape {
    Boolean,
    Number(Numbers),
    List(Box<Widening>),
    Strings,
    /// Whatever no one type holds: the JSON of each value as text.
    Text,
}

/// What the numbers of a column need.
#[derive(Debug, Default)]
struct Numbers {
    negative: bool,
    /// Beyond the signed, and beyond the unsigned whole numbers of 64 bits.
    large: bool,
    huge: bool,
    /// A fraction, an exponent, a negative zero, or none of the numbers.
    fraction: bool,
    /// A value that no double is.
    inexact: bool,
}

impl Widening {
    /// Takes a further value into account.
    pub(super) fn add(&mut self, text: &str) {
        self.add_within(text, DEEPEST);
    }

    fn add_within(&mut self, text: &str, depth: usize) {
        let shape = self.0.take();
        self.0 = Some(match (text.as_bytes().first(), shape) {
            (Some(b'n'), shape) => {
                self.0 = shape;
                return;
            }
            (Some(b't' | b'f'), None | Some(Shape::Boolean)) => Shape::Boolean,
            (Some(b'"'), None | Some(Shape::Strings)) => Shape::Strings,
            (Some(b'['), None) => Self::list(Box::default(), text, depth),
            (Some(b'['), Some(Shape::List(element))) => Self::list(element, text, depth),
            (Some(b'-' | b'0'..=b'9' | b'N' | b'I'), None) => {
                let mut numbers = Numbers::default();
                numbers.add(text);
                Shape::Number(numbers)
            }
            (Some(b'-' | b'0'..=b'9' | b'N' | b'I'), Some(Shape::Number(mut numbers))) => {
                numbers.add(text);
                Shape::Number(numbers)
            }
            _ => Shape::Text,
        });
    }

    fn list(mut element: Box<Self>, text: &str, depth: usize) -> Shape {
        match json_text::elements(text) {
            Some(elements) if depth > 0 => {
                for text in elements {
                    element.add_within(text, depth - 1);
                }
                Shape::List(element)
            }
            _ => Shape::Text,
        }
    }

    /// The type, if any value tells one.
    pub(super) fn data_type(&self) -> Option<DataType> {
        match self.0.as_ref()? {
            Shape::Boolean => Some(DataType::Boolean),
            Shape::Number(numbers) => Some(numbers.data_type()),
            Shape::Strings | Shape::Text => Some(DataType::String),
            // No list of texts says which of them are none.
            Shape::List(element) if element.is_text() => Some(DataType::String),
            Shape::List(element) => Some(DataType::Array(Box::new(element.data_type()?))),
        }
    }

    /// Whether only the JSON of the values says what they are.
    fn is_text(&self) -> bool {
        match &self.0 {
            Some(Shape::Text) => true,
            Some(Shape::Number(numbers)) => numbers.data_type() == DataType::String,
            Some(Shape::List(element)) => element.is_text(),
            Some(Shape::Boolean | Shape::Strings) | None => false,
        }
    }
}

impl Numbers {
    fn add(&mut self, text: &str) {
        self.negative |= text.starts_with('-');
        self.inexact |= !json_text::is_literal(text) && !is_kept_by_double(text);
        if !is_whole(text) || is_negative_zero(text) {
            self.fraction = true;
        } else if text.parse::<i64>().is_err() {
            match text.parse::<u64>() {
                Ok(_) => self.large = true,
                Err(_) => self.huge = true,
            }
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Numbers { fraction: true, .. } if self.inexact => DataType::String,
            Numbers { fraction: true, .. } => DataType::Double,
            Numbers { huge: true, .. } => DataType::String,
            Numbers { large: true, .. } if self.negative => DataType::String,
            Numbers { large: true, .. } => DataType::UnsignedBigInt,
            _ => DataType::BigInt,
        }
    }
}

fn is_whole(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whole numbers have no such thing.
pub(super) fn is_negative_zero(number: &str) -> bool {
    let digits = number.strip_prefix('-');
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte == b'0'))
}

/// Whether a double says the same as the text of a number: rounded to as many digits as the text
/// has, it gives these digits again, or they are the fewest that mean this double and no other.
pub(super) fn is_kept_by_double(number: &str) -> bool {
    let Ok(value) = number.parse::<f64>() else {
        return false;
    };
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits = significant(number);
    if digits.is_empty() {
        return value == 0.0;
    }
    if digits.len() > MOST_DIGITS || !value.is_finite() {
        return false;
    }
    let rounded = format!("{:.*e}", digits.len() - 1, value.abs());
    if significant(&rounded) == digits {
        return true;
    }
    let fewest = format!("{:e}", value.abs());
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0');
    let zeros = if mantissa.contains('.') {
        zeros.count()
    } else {
        0
    };
    significant(&fewest) == digits[..digits.len() - zeros]
}

/// The digits of a number from the first that is no zero, without those of its exponent.
fn significant(number: &str) -> Vec<u8> {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit);
    digits.skip_while(|digit| *digit == b'0').collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn array(element: DataType) -> DataType {
        DataType::Array(Box::new(element))
    }

    fn widened(values: &str) -> Option<DataType> {
        let mut widening = Widening::default();
        for text in json_text::elements(values).unwrap() {
            widening.add(text);
        }
        widening.data_type()
    }

    #[test]
    fn the_type_of_a_column_holds_all_its_values() {
        for (values, data_type) in [
            ("[null, true]", Some(DataType::Boolean)),
            ("[1, -2]", Some(DataType::BigInt)),
            ("[1, 18446744073709551615]", Some(DataType::UnsignedBigInt)),
            ("[-1, 18446744073709551615]", Some(DataType::String)),
            ("[1, 18446744073709551616]", Some(DataType::String)),
            ("[1, 2.5, null]", Some(DataType::Double)),
            ("[1, -0]", Some(DataType::Double)),
            ("[1, NaN, -Infinity]", Some(DataType::Double)),
            ("[9007199254740992, 0.5]", Some(DataType::Double)),
            ("[9007199254740993, 0.5]", Some(DataType::String)),
            ("[0.5, 9007199254740993]", Some(DataType::String)),
            ("[0.1234567890123456789012]", Some(DataType::String)),
            ("[1E400]", Some(DataType::String)),
            ("[1, \"a\"]", Some(DataType::String)),
            ("[true, 1]", Some(DataType::String)),
            ("[{\"a\": 1}]", Some(DataType::String)),
            ("[[], [1], [2.5]]", Some(array(DataType::Double))),
            ("[[1], [9007199254740993, 0.5]]", Some(DataType::String)),
            ("[[\"a\"], [\"b\", null]]", Some(array(DataType::String))),
            ("[[\"a\"], [1]]", Some(DataType::String)),
            ("[[{\"k\": 1}]]", Some(DataType::String)),
            ("[[[true], [1]]]", Some(DataType::String)),
            ("[[1], 2]", Some(DataType::String)),
            ("[[], 2]", Some(DataType::String)),
            ("[1, [2]]", Some(DataType::String)),
            ("[[]]", None),
            ("[null]", None),
        ] {
            assert_eq!(widened(values), data_type, "{values:?}");
        }
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        assert!(widened(&deep).is_some());
    }

    #[test]
    fn a_double_keeps_what_it_can_say() {
        for kept in [
            "0.1",
            "1.50",
            "-0.0",
            "0.10000000000000001",
            "1e23",
            "100e-2",
            "5e-324",
            "1.7976931348623157e308",
            "0e999",
            "26494099651365.563",
            "26494099651365.56300",
            "0.1000000000000000055511151231257827021181583404541015625",
        ] {
            assert!(is_kept_by_double(kept), "{kept}");
        }
        for lost in [
            "9007199254740993",
            "1e-400",
            "1e400",
            "123456789012345680000",
            "123456789012345678901234567890e-29",
            "0.30000000000000000001",
        ] {
            assert!(!is_kept_by_double(lost), "{lost}");
        }
        assert!(!is_kept_by_double(&"1".repeat(100_000)));
    }

    proptest! {
        #[test]
        fn a_double_keeps_what_was_written_from_one(value: f64, digits in 0_usize..40) {
            prop_assume!(value.is_finite());
            let shortest = [format!("{value:?}"), format!("{value:e}")];
            let longer = format!("{value:.*e}", 17 + digits);
            for text in shortest.iter().chain([&longer]) {
                prop_assert!(is_kept_by_double(text), "{}", text);
            }
        }
    }
}
