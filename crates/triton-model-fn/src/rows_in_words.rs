//! Numbers of rows as errors say them.

/// So many rows, in words.
pub(crate) fn rows_in_words(count: u64) -> String {
    match count {
        1 => "1 row".to_owned(),
        count => format!("{count} rows"),
    }
}
