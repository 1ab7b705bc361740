//! The trace that a request belongs to, as a header: W3C Trace Context.
//!
//! <https://www.w3.org/TR/trace-context/>

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;

use crate::header_provider::{HeaderProvider, HeaderProviderError};

const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");

/// Sends `traceparent`, and `tracestate` where there is one, of OpenTelemetry's current span, so
/// that the server's spans belong to the caller's trace.
///
/// The current span is that of [`opentelemetry::Context::current`]. Where spans come from
/// `tracing`, the layer of `tracing-opentelemetry` puts there the one that is entered: the span of
/// the call itself, `triton_call`, if the layer takes it, and else the caller's. Without a current
/// span nothing is sent.
///
/// ```
/// use triton_client::{Client, TraceContext};
///
/// let client = Client::builder("https://triton.example")
///     .header_provider(TraceContext)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct TraceContext;

impl HeaderProvider for TraceContext {
    fn provide(&self, headers: &mut HeaderMap) -> Result<(), HeaderProviderError> {
        let context = Context::current();
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return Ok(());
        }
        let parent = format!(
            "00-{}-{}-{:02x}",
            span.trace_id(),
            span.span_id(),
            span.trace_flags()
        );
        headers.insert(TRACE_PARENT, HeaderValue::try_from(parent)?);
        let state = span.trace_state().header();
        // A state that no header can carry is not worth the call.
        if !state.is_empty()
            && let Ok(state) = HeaderValue::try_from(state)
        {
            headers.insert(TRACE_STATE, state);
        }
        Ok(())
    }
}
