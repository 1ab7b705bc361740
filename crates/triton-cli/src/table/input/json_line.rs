//! The text of what should be a JSON object.

use std::io::{self, BufRead};

/// The most bytes of an object.
pub(super) const LONGEST: usize = 256 * 1024 * 1024;

/// How much is kept of a line, of CSV as well, that is too long to be a row.
pub(crate) const LONGEST_RAW: usize = 64 * 1024;

/// What should be an object, on one line and without white space around it.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    /// The line on which it begins.
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) is_too_long: bool,
}

pub(super) fn first(bytes: &mut impl BufRead) -> io::Result<Option<u8>> {
    Ok(bytes.fill_buf()?.first().copied())
}
