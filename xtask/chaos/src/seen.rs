//! What the proxy saw of each request: when it came, whether it went on, and what came back.

use std::fmt;
use std::time::Instant;

use crate::http::Message;

/// How much of an answer went back to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Returned {
    /// Nothing, or a part.
    NotWhole,
    /// All of one that answers the row.
    Answer,
    /// All of one that proves that the request was not executed.
    Refusal,
    /// The same, because its sequence is not known to the server.
    StartMissing,
    /// All of one that proves nothing.
    Doubtful,
}

/// One inference request.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// When all of it was there.
    pub(crate) received: Instant,
    /// The sequence that it belongs to.
    pub(crate) id: Option<String>,
    pub(crate) start: bool,
    pub(crate) end: bool,
    /// Its value, where it has one row.
    pub(crate) value: Option<i32>,
    /// When all of it had been handed on.
    pub(crate) forwarded: Option<Instant>,
    /// What the server made of it.
    pub(crate) server: Option<Returned>,
    /// When the server's answer was there.
    pub(crate) answered: Option<Instant>,
    pub(crate) returned: Returned,
    /// When all of the answer had gone back.
    pub(crate) concluded: Option<Instant>,
}

impl Seen {
    pub(crate) fn read(request: &Message) -> Self {
        let parsed = request.json();
        let json = parsed.as_ref().map(|(json, _)| json);
        let parameter = |name: &str| json.and_then(|json| json["parameters"].get(name));
        let flag = |name: &str| parameter(name).and_then(|value| value.as_bool()) == Some(true);
        let input = json.map(|json| &json["inputs"][0]);
        let is_one_integer = input.is_some_and(|input| {
            input["datatype"] == "INT32" && input["shape"] == serde_json::json!([1, 1])
        });
        let value = parsed.as_ref().filter(|_| is_one_integer);
        let value = value.and_then(|(json, tensors)| match tensors.first_chunk() {
            Some(bytes) => Some(i32::from_le_bytes(*bytes)),
            None => {
                let data = &json["inputs"][0]["data"];
                let number = data[0].as_i64().or_else(|| data[0][0].as_i64());
                number.and_then(|number| number.try_into().ok())
            }
        });
        Self {
            received: Instant::now(),
            id: parameter("sequence_id").map(|id| match id.as_str() {
                Some(text) => text.to_owned(),
                None => id.to_string(),
            }),
            start: flag("sequence_start"),
            end: flag("sequence_end"),
            value,
            forwarded: None,
            server: None,
            answered: None,
            returned: Returned::NotWhole,
            concluded: None,
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = |is_set, name| if is_set { name } else { "" };
        let after = |then: Option<Instant>| {
            then.map_or("never".to_owned(), |then| {
                format!("{:?}", then.saturating_duration_since(self.received))
            })
        };
        write!(
            formatter,
            "value {:?}{}{}: forwarded {}, {:?} from the server {}, {:?} to the client {}",
            self.value,
            flag(self.start, " START"),
            flag(self.end, " END"),
            after(self.forwarded),
            self.server,
            after(self.answered),
            self.returned,
            after(self.concluded),
        )
    }
}

impl Returned {
    /// What a whole answer of the server says.
    pub(crate) fn of(answer: &Message) -> Self {
        let status = answer.status().unwrap_or_default();
        let body = String::from_utf8_lossy(&answer.body);
        match status {
            200 => Returned::Answer,
            400 if body.contains("must specify the START flag") => Returned::StartMissing,
            400..=499 => Returned::Refusal,
            _ => Returned::Doubtful,
        }
    }
}
