//! Objects of a store as inputs and outputs: the same rows as with files, and nothing half written.
//!
//! The store is a real one, but for what no store would be brought to.

mod addresses;
mod ends;
mod rows;
mod store;

use std::fmt::Write as _;

/// A model that gives back what it gets.
const ECHO: &str = "
    CREATE MODEL echo INPUT (`value` ARRAY<FLOAT>) OUTPUT (echo ARRAY<FLOAT>)
    WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'echo')";

/// So many rows of about 10 kB, of which some hundred fill a part of an upload.
fn long_rows(count: usize) -> String {
    let mut text = "value,note\n".to_owned();
    for row in 0..count {
        let _ = writeln!(text, "[{row}.5],{row}{}", "x".repeat(10_000));
    }
    text
}
