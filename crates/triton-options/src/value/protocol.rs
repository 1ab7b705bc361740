//! Options whose types are those of the protocol.

use triton_protocol::{
    BearerToken, Compression, Endpoint, Endpoints, HIDDEN, InvalidValue, ModelName, ModelVersion,
    Secret, TensorFormat,
};

use super::{OptionValue, invalid};

/// The endpoint that asks a caller to start its own server in the process.
///
/// Only callers that can do so (the `triton` command, for one) understand it; they put the real
/// address in its place before the options are parsed.
pub const EMBEDDED_ENDPOINT: &str = "embedded";

/// What is added to the expectation of an address where `@FILE` was given.
pub(super) const NO_FILE: &str =
    ", and no '@FILE': only options whose whole value is secret can be read from a file so";

impl OptionValue for Endpoints {
    const TYPE_NAME: &'static str = "String";
    const EXPECTED: &'static str = Endpoint::EXPECTED;

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        match text.trim() {
            EMBEDDED_ENDPOINT => Err(invalid::<Self>()),
            text if text.starts_with('@') => Err(InvalidValue::new(format!(
                "{}{NO_FILE}",
                Endpoint::EXPECTED
            ))),
            text => text.parse(),
        }
    }

    fn canonical(&self) -> String {
        self.to_string()
    }

    fn loggable(text: &str) -> String {
        Endpoints::loggable(text)
    }
}

impl OptionValue for ModelName {
    const TYPE_NAME: &'static str = "String";
    const EXPECTED: &'static str = ModelName::EXPECTED;

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        text.parse()
    }

    fn canonical(&self) -> String {
        self.as_str().to_owned()
    }
}

impl OptionValue for ModelVersion {
    const TYPE_NAME: &'static str = "String";
    const EXPECTED: &'static str = ModelVersion::EXPECTED;

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        text.parse()
    }

    fn canonical(&self) -> String {
        self.to_string()
    }
}

impl OptionValue for Compression {
    const TYPE_NAME: &'static str = "Enum: gzip, deflate";
    const EXPECTED: &'static str = "'gzip' or 'deflate'";

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        Compression::named(text.trim().as_bytes()).ok_or_else(invalid::<Self>)
    }

    fn canonical(&self) -> String {
        self.name().to_owned()
    }
}

impl OptionValue for TensorFormat {
    const TYPE_NAME: &'static str = "Enum: auto, binary, json";
    const EXPECTED: &'static str = "'auto', 'binary' or 'json'";

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        let text = text.trim();
        let found = TENSOR_FORMATS
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(text));
        found.map(|(_, format)| *format).ok_or_else(invalid::<Self>)
    }

    fn canonical(&self) -> String {
        let found = TENSOR_FORMATS.iter().find(|(_, format)| format == self);
        found.map_or("auto", |(word, _)| word).to_owned()
    }
}

const TENSOR_FORMATS: &[(&str, TensorFormat)] = &[
    ("auto", TensorFormat::Auto),
    ("binary", TensorFormat::Binary),
    ("json", TensorFormat::Json),
];

impl OptionValue for BearerToken {
    const TYPE_NAME: &'static str = Secret::TYPE_NAME;
    const EXPECTED: &'static str = BearerToken::EXPECTED;

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        text.parse()
    }

    fn canonical(&self) -> String {
        HIDDEN.to_owned()
    }

    fn loggable(_: &str) -> String {
        HIDDEN.to_owned()
    }
}

impl OptionValue for Secret {
    const TYPE_NAME: &'static str = "String";
    const EXPECTED: &'static str = "a text of printable ASCII, not empty";

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        // It travels in an HTTP header, which takes nothing else.
        if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
            return Err(invalid::<Self>());
        }
        Ok(Self::new(text))
    }

    fn canonical(&self) -> String {
        HIDDEN.to_owned()
    }

    fn loggable(_: &str) -> String {
        HIDDEN.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_of_the_process_is_no_address() {
        assert!(Endpoints::parse(" embedded ").is_err());
        assert!(Endpoints::parse("triton:8000").is_ok());
        insta::assert_snapshot!(Endpoints::parse("@file").unwrap_err(), @"expected the http or https address of a Triton server, such as 'http://localhost:8000', and no '@FILE': only options whose whole value is secret can be read from a file so");
    }

    #[test]
    fn what_a_header_cannot_carry_is_refused_without_being_shown() {
        for text in ["", "canary\n", "canary\0", "canäry"] {
            let invalid = Secret::parse(text).unwrap_err();
            assert!(!invalid.to_string().contains("can"), "{invalid}");
            assert_eq!(Secret::loggable(text), HIDDEN);
        }
    }
}
