//! What the machine wants done, and for whom.

use super::report::Report;
use super::request::Request;
use crate::Error;
use crate::ending::Ended;
use crate::sequences::Answered;

/// Whoever handed a row over.
pub(in crate::sequences) trait Asker {
    /// Whether the answer is of no use to anybody any more.
    fn is_gone(&self) -> bool;
}

/// Something to be done, in this order.
#[derive(Debug)]
pub(in crate::sequences) enum Effect<A> {
    Send(Request),
    /// The request of this number is not sent any more if nobody has begun to.
    Cancel(u64),
    Answer(A, Result<Answered, Error>),
    Report(Report),
}

/// A row that was not sent before the time to close was up.
pub(super) fn closed() -> Error {
    Ended::Closed.error("before the row was answered")
}
