//! What the proxy saw of each request: when it came, whether it went on, and what came back.

use std::fmt;
use std::time::Instant;

use serde_json::Value;

use crate::fault::Fault;
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
    /// The server it was for.
    pub(crate) at: usize,
    /// The value of its row, or of the first one; none where its body was not read.
    pub(crate) value: Option<i32>,
    /// What it met.
    pub(crate) fault: Option<Fault>,
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
    pub(super) fn read(request: &Message, at: usize) -> Self {
        let parsed = request.json();
        let json = parsed.as_ref().map(|(json, _)| json);
        let parameter = |name: &str| json.and_then(|json| json["parameters"].get(name));
        let flag = |name: &str| parameter(name).and_then(|value| value.as_bool()) == Some(true);
        let value = parsed
            .as_ref()
            .and_then(|(json, tensors)| first_value(&json["inputs"][0], tensors));
        Self {
            id: parameter("sequence_id").map(|id| match id.as_str() {
                Some(text) => text.to_owned(),
                None => id.to_string(),
            }),
            start: flag("sequence_start"),
            end: flag("sequence_end"),
            value,
            ..Self::unread(at)
        }
    }

    /// One whose body nobody read.
    pub(super) fn unread(at: usize) -> Self {
        Self {
            received: Instant::now(),
            id: None,
            start: false,
            end: false,
            at,
            value: None,
            fault: None,
            forwarded: None,
            server: None,
            answered: None,
            returned: Returned::NotWhole,
            concluded: None,
        }
    }

    /// One that was handed on at once, and whose answer has not come.
    #[cfg(test)]
    pub(crate) fn of_test(id: &str, value: i32, received: Instant) -> Self {
        Self {
            received,
            id: Some(id.to_owned()),
            value: Some(value),
            forwarded: Some(received),
            ..Self::unread(0)
        }
    }

    /// The same, answered so much later.
    #[cfg(test)]
    pub(crate) fn answered_after(self, time: std::time::Duration) -> Self {
        let answered = Some(self.received + time);
        Self {
            server: Some(Returned::Answer),
            answered,
            returned: Returned::Answer,
            concluded: answered,
            ..self
        }
    }
}

/// The first element of an input, in JSON or behind it.
fn first_value(input: &Value, tensors: &[u8]) -> Option<i32> {
    let mut data = &input["data"];
    while let Some(first) = data.get(0) {
        data = first;
    }
    if let Some(number) = data.as_f64() {
        return Some(number as i32);
    }
    let bytes = *tensors.first_chunk()?;
    match input["datatype"].as_str()? {
        "INT32" => Some(i32::from_le_bytes(bytes)),
        "FP32" => Some(f32::from_le_bytes(bytes) as i32),
        _ => None,
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
            "server {}, value {:?}{}{}: forwarded {}, {:?} from the server {}, {:?} to the client {}",
            self.at,
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

impl Seen {
    pub(super) fn is_answered(&mut self, answer: &Message) {
        self.server = Some(Returned::of(answer));
        self.answered = Some(Instant::now());
    }
}

impl Returned {
    /// What a whole answer of the server says.
    pub(super) fn of(answer: &Message) -> Self {
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
