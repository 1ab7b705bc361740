//! Options that are plain text or true and false.

use super::{InvalidValue, OptionValue, invalid};

impl OptionValue for String {
    const TYPE_NAME: &'static str = "String";
    const EXPECTED: &'static str = "text";

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        Ok(text.to_owned())
    }

    fn canonical(&self) -> String {
        self.clone()
    }
}

impl OptionValue for bool {
    const TYPE_NAME: &'static str = "Boolean";
    const EXPECTED: &'static str = "true or false";

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("true") {
            Ok(true)
        } else if text.eq_ignore_ascii_case("false") {
            Ok(false)
        } else {
            Err(invalid::<Self>())
        }
    }

    fn canonical(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_take_any_case_and_nothing_else() {
        assert_eq!(bool::parse(" TRUE "), Ok(true));
        assert_eq!(bool::parse("False"), Ok(false));
        for text in ["", "1", "0", "yes", "no", "on", "t", "truee"] {
            assert!(bool::parse(text).is_err(), "{text:?}");
        }
    }
}
