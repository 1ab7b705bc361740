//! What monitoring sees of a call: one span, two counters of bytes, one of calls, one histogram.

use std::time::Instant;

use http::StatusCode;
use tracing::{Span, field};

use super::{Call, metrics};
use crate::{Error, ModelVersion};

/// A call in flight; one that is dropped before its end counts as cancelled.
#[derive(Debug)]
pub(crate) struct Observation {
    operation: &'static str,
    start: Instant,
    span: Span,
    bytes_in: usize,
    ended: bool,
}

impl Observation {
    pub(crate) fn begin(call: &Call<'_>) -> Self {
        let operation = call.operation.name;
        let bytes_out = call.payload.as_ref().map_or(0, super::Payload::len);
        let span = tracing::debug_span!(
            "triton_call",
            operation,
            model = field::Empty,
            version = field::Empty,
            sequence_id = field::Empty,
            request_id = field::Empty,
            bytes_out,
            bytes_in = field::Empty,
            status = field::Empty,
            error = field::Empty,
        );
        if !span.is_disabled() {
            let (model, version) = call.operation.model();
            if !model.is_empty() {
                span.record("model", model);
            }
            match version {
                ModelVersion::Latest => {}
                ModelVersion::Number(version) => drop(span.record("version", version)),
                version => drop(span.record("version", field::display(version))),
            }
            if let Some(id) = call.sequence {
                span.record("sequence_id", field::display(id));
            }
            if let Some(id) = call.id {
                span.record("request_id", id);
            }
        }
        metrics::begun(operation, bytes_out);
        Self {
            operation,
            start: Instant::now(),
            span,
            bytes_in: 0,
            ended: false,
        }
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    pub(crate) fn answered(&mut self, status: StatusCode, bytes: usize) {
        self.span.record("status", status.as_u16());
        self.bytes_in += bytes;
    }

    /// A piece of an answer that comes in pieces.
    pub(crate) fn received(&mut self, bytes: usize) {
        self.bytes_in += bytes;
    }

    pub(crate) fn end(mut self, error: Option<&Error>) {
        if let Some(error) = error {
            self.span.record("error", error.kind().name());
            if let Some(status) = error.status() {
                self.span.record("status", status);
            }
        }
        self.report(error.map_or("ok", |error| error.kind().name()));
    }

    fn report(&mut self, outcome: &'static str) {
        self.ended = true;
        let operation = self.operation;
        self.span.record("bytes_in", self.bytes_in);
        metrics::ended(operation, outcome, self.bytes_in, self.start.elapsed());
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if !self.ended {
            self.report("cancelled");
        }
    }
}
