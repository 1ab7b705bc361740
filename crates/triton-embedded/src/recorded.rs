//! What really arrived: the half of a test that a client's own view cannot give.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

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
}

impl RecordedRequest {
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

/// All requests since the server started.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    entries: Mutex<Vec<Entry>>,
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
    /// Records a request that has just arrived; its order is given here.
    pub(crate) fn arrived(&self, mut request: RecordedRequest) -> Record {
        let mut entries = self.lock();
        request.order = entries.len();
        let record = Record {
            order: request.order,
            executed: Arc::default(),
        };
        entries.push(Entry {
            request,
            executed: Arc::clone(&record.executed),
        });
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
        self.lock().iter().map(snapshot).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
