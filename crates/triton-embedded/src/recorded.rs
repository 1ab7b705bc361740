//! What really arrived: the half of a test that a client's own view cannot give.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::faults::Fault;
use crate::http::Request;
use crate::model::CorrelationId;

/// A request that arrived at an `…/infer` path, whatever became of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// Its place in the order of arrival, counted from 0 over all models.
    pub order: usize,
    /// The HTTP method.
    pub method: String,
    /// The path with the query string, if it has one.
    pub path: String,
    /// The model the path names.
    pub model: String,
    /// The version the path names.
    pub version: Option<String>,
    /// The headers in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub body: Bytes,
    /// The sequence the request belongs to, as far as it could be read.
    pub sequence_id: Option<CorrelationId>,
    /// Whether it carried `sequence_start`.
    pub sequence_start: bool,
    /// Whether it carried `sequence_end`.
    pub sequence_end: bool,
    /// The status answered; `None` while there is no answer, or where nobody waited for it.
    pub status: Option<u16>,
    /// Whether the model executed, or at least began to.
    pub executed: bool,
    /// The fault the request met, if a script had one for it.
    pub fault: Option<Fault>,
}

impl RecordedRequest {
    /// What is known of a request before anyone has looked at its body.
    pub(crate) fn arriving(request: &Request, model: &str, version: Option<&str>) -> Self {
        RecordedRequest {
            order: 0,
            method: request.method.clone(),
            path: request.target.clone(),
            model: model.to_owned(),
            version: version.map(str::to_owned),
            headers: request.headers.clone(),
            body: request.body.clone(),
            sequence_id: None,
            sequence_start: false,
            sequence_end: false,
            status: None,
            executed: false,
            fault: None,
        }
    }

    /// The body as JSON; `None` where it is none in the strict sense, for instance with `NaN`.
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The first header of that name, whose case does not matter.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// The latest requests since the server started.
#[derive(Debug)]
pub(crate) struct Recorder {
    /// How many requests are kept.
    limit: usize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    arrived: usize,
    latest: VecDeque<Entry>,
}

impl Entries {
    /// The entry of that order, if it is still kept.
    fn get_mut(&mut self, order: usize) -> Option<&mut Entry> {
        let first = self.arrived - self.latest.len();
        self.latest.get_mut(order.checked_sub(first)?)
    }
}

#[derive(Debug)]
struct Entry {
    request: RecordedRequest,
    executed: Arc<AtomicBool>,
}

/// A request's place in the record.
#[derive(Debug)]
pub(crate) struct Record {
    order: usize,
    /// Set by the model's thread.
    pub(crate) executed: Arc<AtomicBool>,
}

impl Recorder {
    pub(crate) fn new(limit: usize) -> Recorder {
        Recorder {
            limit,
            entries: Mutex::default(),
        }
    }

    /// Records a request that has just arrived; its order is given here.
    pub(crate) fn arrived(&self, mut request: RecordedRequest) -> Record {
        let mut entries = self.lock();
        request.order = entries.arrived;
        entries.arrived += 1;
        let record = Record {
            order: request.order,
            executed: Arc::default(),
        };
        entries.latest.push_back(Entry {
            request,
            executed: Arc::clone(&record.executed),
        });
        if entries.latest.len() > self.limit {
            entries.latest.pop_front();
        }
        record
    }

    /// Adds to the record what became known later.
    pub(crate) fn update(&self, record: &Record, change: impl FnOnce(&mut RecordedRequest)) {
        if let Some(entry) = self.lock().get_mut(record.order) {
            change(&mut entry.request);
        }
    }

    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        let snapshot = |entry: &Entry| RecordedRequest {
            executed: entry.executed.load(Ordering::Relaxed),
            ..entry.request.clone()
        };
        self.lock().latest.iter().map(snapshot).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
