//! Options from TOML, JSON and the like, and checked options back into them, secrets hidden.

use std::fmt;

use serde::de::value::{self as serde_value, MapDeserializer};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::{Description, OptionDefinition, OptionMap, Presence, TritonOptions, value};

/// Reads a table of options; numbers and booleans need no quotes, and a table within it is a map.
///
/// ```
/// use triton_options::OptionMap;
///
/// let map: OptionMap = toml::from_str(r#"
///     endpoint = "http://localhost:8000"
///     model-name = "echo"
///     max-retries = 3
///     custom-headers = { X-Tenant = "blue, green" }
/// "#)?;
/// let options = map.parse()?;
/// assert_eq!(options.max_retries, 3);
/// assert_eq!(options.custom_headers.as_ref().map(|headers| headers.iter().count()), Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl<'de> Deserialize<'de> for OptionMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OptionsVisitor)
    }
}

struct OptionsVisitor;

impl<'de> Visitor<'de> for OptionsVisitor {
    type Value = OptionMap;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a table of options")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<OptionMap, A::Error> {
        let mut map = OptionMap::new();
        while let Some((key, Text(value))) = entries.next_entry::<String, Text>()? {
            if map.set(&key, value).is_some() {
                return Err(A::Error::custom(format_args!(
                    "option '{key}' is given twice"
                )));
            }
        }
        Ok(map)
    }
}

/// A value in the text form that a WITH clause would have.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("text, a number, true, false or a table of texts")
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Text, E> {
        Ok(Text(value.to_owned()))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Text, A::Error> {
        let mut pairs = Vec::new();
        while let Some((name, Text(value))) = entries.next_entry::<String, Text>()? {
            pairs.push((name, value));
        }
        if let [pair] = &pairs[..]
            && let Some(number) = disguised_number(pair)
        {
            return Ok(Text(number));
        }
        let pairs = pairs
            .iter()
            .map(|(name, value)| value::write_pair(name, value));
        Ok(Text(pairs.collect::<Vec<_>>().join(",")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Text, A::Error> {
        Err(A::Error::custom(
            "an option is never a list; write it as one text",
        ))
    }
}

/// The number that a map with this only entry stands for, if it does.
///
/// Where any crate of a program has `serde_json` keep numbers as they are written, its numbers look
/// like maps to all but its own types; under which name is for nobody else to know.
fn disguised_number(entry: &(String, String)) -> Option<String> {
    let (name, value) = entry;
    let map = MapDeserializer::<_, serde_value::Error>::new(std::iter::once((
        name.as_str(),
        value.as_str(),
    )));
    let serde_json::Value::Number(number) = serde_json::Value::deserialize(map).ok()? else {
        return None;
    };
    let whole = number.as_i64().map(|number| number.to_string());
    let whole = whole.or_else(|| number.as_u64().map(|number| number.to_string()));
    let number = whole.or_else(|| number.as_f64().map(|number| number.to_string()));
    Some(number.unwrap_or_else(|| value.clone()))
}

/// Writes every option that has a value, defaults included and secrets hidden.
impl Serialize for TritonOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = self
            .entries()
            .filter_map(|(definition, text)| Some((definition.key, text?)));
        serializer.collect_map(entries)
    }
}

/// Writes the facts of an option as documentation shows them, its text as Markdown.
impl Serialize for OptionDefinition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("key", self.key)?;
        map.serialize_entry("section", self.section.name())?;
        map.serialize_entry("required", &(self.presence == Presence::Required))?;
        let default = match self.presence {
            Presence::Default(text) => Some(text),
            _ => None,
        };
        map.serialize_entry("default", &default)?;
        if let Some(text) = self.with_sequence_key {
            map.serialize_entry("default_with_sequence_key", text)?;
        }
        if let Some(text) = self.in_predict {
            map.serialize_entry("default_in_predict", text)?;
        }
        map.serialize_entry("type", self.type_name)?;
        map.serialize_entry("description", &self.description())?;
        map.end()
    }
}

impl Serialize for Description {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&crate::render::markdown::Text(self))
    }
}

#[cfg(test)]
mod tests {
    use crate::OptionMap;

    #[test]
    fn values_need_no_quotes_where_the_format_has_types() {
        let json = r#"{"max-retries": 3, "sequence-start": false, "timeout": "5 s",
            "circuit-breaker-failure-threshold": 0.25,
            "retry-max-backoff": 1e3, "batch-size": 18446744073709551615,
            "custom-headers": {"X-A": "a,b", "X-B": "it's: 1"}, "other": {"X-A": 0.5}}"#;
        let map: OptionMap = serde_json::from_str(json).unwrap();
        let expected = OptionMap::new()
            .with("max-retries", "3")
            .with("sequence-start", "false")
            .with("timeout", "5 s")
            .with("circuit-breaker-failure-threshold", "0.25")
            .with("retry-max-backoff", "1000")
            .with("batch-size", "18446744073709551615")
            .with("custom-headers", "X-A:'a,b',X-B:'it''s: 1'")
            .with("other", "X-A:'0.5'");
        assert_eq!(map, expected);
    }

    #[test]
    fn lists_nulls_and_doubled_keys_are_refused() {
        for json in [
            r#"{"a": [1]}"#,
            r#"{"a": null}"#,
            r#"{"a": 1, "a": 2}"#,
            "[]",
            "1",
        ] {
            assert!(serde_json::from_str::<OptionMap>(json).is_err(), "{json}");
        }
        insta::assert_snapshot!(
            serde_json::from_str::<OptionMap>(r#"{"a": [1]}"#).unwrap_err(), @"an option is never a list; write it as one text at line 1 column 7");
    }

    #[test]
    fn the_written_form_hides_secrets() {
        let options = OptionMap::new()
            .with("endpoint", "https://triton:8000")
            .with("model-name", "m")
            .with("auth-token", "canary")
            .with("custom-headers", "X-A:canary");
        let json = serde_json::to_string_pretty(&options.parse().unwrap()).unwrap();
        assert!(!json.contains("canary"), "{json}");
        insta::assert_snapshot!(json, @r#"
        {
          "endpoint": "https://triton:8000/",
          "model-name": "m",
          "model-version": "latest",
          "timeout": "30 s",
          "endpoint-discovery": "static",
          "endpoint-refresh": "10 s",
          "endpoint-drain": "30 s",
          "flatten-batch-dim": "false",
          "sequence-id-auto-increment": "false",
          "sequence-id-counter-init-strategy": "ZERO",
          "sequence-id-scope": "subtask",
          "sequence-id-type": "auto",
          "sequence-affinity": "balance",
          "sequence-model-version": "move",
          "sequence-recovery": "fail",
          "sequence-replay-limit": "1000",
          "sequence-replay-max-bytes": "1048576",
          "sequence-replay-overflow": "fail",
          "sequence-replay-compare": "false",
          "sequence-unknown-key": "auto",
          "sequence-abandon": "wait",
          "sequence-max-lost": "100000",
          "sequence-key-redacted": "false",
          "tensor-format": "auto",
          "response-limit": "256 mb",
          "auth-token": "(hidden)",
          "custom-headers": "X-A:(hidden)",
          "decoupled": "refuse",
          "batch-size": "1",
          "batch-timeout": "0 ms",
          "max-in-flight": "32",
          "open-wait": "0 ms",
          "health-check-enabled": "false",
          "health-check-interval": "30 s",
          "circuit-breaker-enabled": "false",
          "circuit-breaker-failure-threshold": "0.5",
          "circuit-breaker-timeout": "1 min",
          "circuit-breaker-half-open-requests": "3",
          "max-retries": "0",
          "retry-initial-backoff": "100 ms",
          "retry-max-backoff": "30 s",
          "on-error": "fail",
          "connection-timeout": "10 s",
          "connection-pool-max-idle": "20",
          "connection-pool-keep-alive": "5 min",
          "connection-pool-max-total": "100",
          "connection-reuse-enabled": "true"
        }
        "#);
    }
}
