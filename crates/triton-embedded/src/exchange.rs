//! A request and its answer, as a log of them wants to know.

use std::time::Duration;

/// A request that was answered, or whose connection was reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exchange<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path with the query string, if it has one.
    pub path: &'a str,
    /// The status of the answer; none where the connection was reset instead.
    pub status: Option<u16>,
    /// The bytes of the request's body.
    pub received: usize,
    /// The bytes of the answer's body, before a fault corrupts it.
    pub sent: usize,
    /// From when the request had arrived until its answer was ready.
    pub time: Duration,
}
