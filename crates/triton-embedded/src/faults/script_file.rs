//! Fault scripts as JSON.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Applies, Fault, FaultScript};

/// Why a fault script cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaultScriptError {
    /// It is no JSON.
    #[error("the fault script is no JSON")]
    Json(#[from] serde_json::Error),
    /// A part of it makes no sense.
    #[error("{place}: {problem}")]
    #[non_exhaustive]
    Content {
        /// Which part, for instance `faults[2]`.
        place: String,
        /// What is wrong and what is expected.
        problem: String,
    },
}

/// Editors write it in front of UTF-8, where it is no part of the text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

const NAMES: &str = "delay, status, status-after, reset-before, reset-after, truncate, garbage, wrong-length, \
                     slow-bytes, duplicate-headers, refuse or crash";

impl FaultScript {
    /// A script from JSON, as `triton serve --faults FILE` reads it:
    ///
    /// ```
    /// use triton_embedded::{Fault, FaultScript};
    ///
    /// let script = FaultScript::from_json(
    ///     br#"{
    ///         "seed": 7,
    ///         "faults": [
    ///             {"fault": "reset-after", "request": 3},
    ///             {"fault": "status", "status": 503, "rate": 0.01, "model": "echo"}
    ///         ]
    ///     }"#,
    /// )?;
    /// # drop(script);
    /// # Ok::<(), triton_embedded::FaultScriptError>(())
    /// ```
    ///
    /// # Errors
    /// When it is no JSON, or something in it is unknown, missing or out of range.
    pub fn from_json(document: &[u8]) -> Result<FaultScript, FaultScriptError> {
        read(document)
    }
}

fn read(document: &[u8]) -> Result<FaultScript, FaultScriptError> {
    let document = document.strip_prefix(BYTE_ORDER_MARK).unwrap_or(document);
    let document: Value = serde_json::from_slice(document)?;
    let mut fields = Fields::of(document, "the fault script")?;
    let seed = fields.take("seed", "a number", Value::as_u64)?;
    let list = fields.take("faults", "a list", |value| value.as_array().cloned())?;
    fields.finish()?;
    let mut script = FaultScript::new(seed.unwrap_or_default());
    for (index, entry) in list.unwrap_or_default().into_iter().enumerate() {
        let mut fields = Fields::of(entry, &format!("faults[{index}]"))?;
        let fault = read_fault(&mut fields)?;
        let model = fields.take("model", "a name", |value| value.as_str().map(str::to_owned))?;
        let number = fields.take("request", "a number from 1", |value| {
            value.as_u64().filter(|number| *number > 0)
        })?;
        let rate = fields.take("rate", "a number from 0 to 1", |value| {
            value.as_f64().filter(|rate| (0.0..=1.0).contains(rate))
        })?;
        let applies = match (number, rate) {
            (Some(number), None) => Applies::Request(number),
            (None, Some(rate)) => Applies::Rate(rate),
            _ => return Err(fields.problem("give either 'request' or 'rate'")),
        };
        fields.finish()?;
        script = script.rule(model, applies, fault);
    }
    Ok(script)
}

fn read_fault(fields: &mut Fields) -> Result<Fault, FaultScriptError> {
    let name = fields.need("fault", NAMES, |value| value.as_str().map(str::to_owned))?;
    Ok(match name.as_str() {
        "delay" => Fault::Delay {
            time: fields.time("milliseconds")?,
        },
        "status" => Fault::Status {
            status: fields.status()?,
            text: fields.text()?,
        },
        "status-after" => Fault::StatusAfter {
            status: fields.status()?,
            text: fields.text()?,
        },
        "reset-before" => Fault::ResetBefore,
        "reset-after" => Fault::ResetAfter,
        "truncate" => Fault::Truncate {
            bytes: fields.need("bytes", "a number", |value| {
                usize::try_from(value.as_u64()?).ok()
            })?,
        },
        "garbage" => Fault::Garbage,
        "wrong-length" => Fault::WrongLength {
            off_by: fields.need("off_by", "a number", Value::as_i64)?,
        },
        "slow-bytes" => Fault::SlowBytes {
            pause: fields.time("milliseconds")?,
        },
        "duplicate-headers" => Fault::DuplicateHeaders,
        "refuse" => Fault::Refuse {
            time: fields.time("milliseconds")?,
        },
        "crash" => Fault::Crash {
            restart_after: fields.time("milliseconds")?,
        },
        other => {
            return Err(fields.problem(format!("there is no fault '{other}'; use {NAMES}")));
        }
    })
}

/// The fields of an object that nobody has asked for yet.
struct Fields {
    place: String,
    left: Map<String, Value>,
}

impl Fields {
    fn of(value: Value, place: &str) -> Result<Fields, FaultScriptError> {
        let place = place.to_owned();
        match value {
            Value::Object(left) => Ok(Fields { place, left }),
            _ => Err(FaultScriptError::Content {
                place,
                problem: "expected an object".to_owned(),
            }),
        }
    }

    fn status(&mut self) -> Result<u16, FaultScriptError> {
        self.need("status", "a status from 200 to 599", |value| {
            let status = u16::try_from(value.as_u64()?).ok()?;
            (200..600).contains(&status).then_some(status)
        })
    }

    fn text(&mut self) -> Result<String, FaultScriptError> {
        let text = self.take("text", "a text", |value| value.as_str().map(str::to_owned))?;
        Ok(text.unwrap_or_else(|| "a fault of the script".to_owned()))
    }

    fn take<T>(
        &mut self,
        field: &str,
        expected: &str,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, FaultScriptError> {
        let Some(value) = self.left.remove(field) else {
            return Ok(None);
        };
        match convert(&value) {
            Some(value) => Ok(Some(value)),
            None => Err(self.problem(format!("'{field}' is {value}; expected {expected}"))),
        }
    }

    fn need<T>(
        &mut self,
        field: &str,
        expected: &str,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, FaultScriptError> {
        self.take(field, expected, convert)?
            .ok_or_else(|| self.problem(format!("'{field}' is missing; expected {expected}")))
    }

    fn time(&mut self, field: &str) -> Result<Duration, FaultScriptError> {
        self.need(field, "a number of milliseconds", Value::as_u64)
            .map(Duration::from_millis)
    }

    /// Refuses fields that mean nothing, which are misspelt more often than not.
    fn finish(&self) -> Result<(), FaultScriptError> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(unknown) => Err(self.problem(format!("'{unknown}' means nothing here"))),
        }
    }

    fn problem(&self, problem: impl Into<String>) -> FaultScriptError {
        FaultScriptError::Content {
            place: self.place.clone(),
            problem: problem.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_can_be_written_down() {
        let text = br#"{"seed": 3, "faults": [
            {"fault": "delay", "milliseconds": 5, "request": 1},
            {"fault": "status", "status": 503, "text": "later", "rate": 0.5, "model": "echo"},
            {"fault": "reset-before", "request": 1},
            {"fault": "reset-after", "request": 1},
            {"fault": "truncate", "bytes": 9, "request": 1},
            {"fault": "garbage", "request": 1},
            {"fault": "wrong-length", "off_by": -2, "request": 1},
            {"fault": "slow-bytes", "milliseconds": 1, "request": 1},
            {"fault": "duplicate-headers", "request": 1},
            {"fault": "refuse", "milliseconds": 1, "request": 1},
            {"fault": "crash", "milliseconds": 1, "request": 1}
        ]}"#;
        let script = read(text).expect("a script");
        assert_eq!(script.rules.len(), 11);
        let marked = [BYTE_ORDER_MARK, text].concat();
        assert_eq!(read(&marked).expect("a script").rules.len(), 11);
        assert_eq!(script.rules[1].model.as_deref(), Some("echo"));
        assert_eq!(script.rules[6].fault, Fault::WrongLength { off_by: -2 });
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("{", "the fault script is no JSON"),
            ("[]", "the fault script: expected an object"),
            (
                r#"{"sed": 1}"#,
                "the fault script: 'sed' means nothing here",
            ),
            (
                r#"{"faults":[{"fault":"garbage"}]}"#,
                "faults[0]: give either 'request' or 'rate'",
            ),
            (
                r#"{"faults":[{"fault":"delay","request":1}]}"#,
                "faults[0]: 'milliseconds' is missing; expected a number of milliseconds",
            ),
            (
                r#"{"faults":[{"fault":"garbage","rate":2}]}"#,
                "faults[0]: 'rate' is 2; expected a number from 0 to 1",
            ),
        ];
        for (text, message) in cases {
            let error = read(text.as_bytes()).expect_err(text);
            assert_eq!(error.to_string(), message, "{text}");
        }
    }
}
