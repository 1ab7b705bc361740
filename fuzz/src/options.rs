//! What a user writes to say which model is meant: options, durations, CREATE MODEL.

use std::time::Duration;

use triton_options::{CATALOG, OptionMap, OptionValue as _, TritonOptions};

/// A line for each option: a key, or the number of one in the catalog, `=`, and its value.
pub(crate) fn map(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let mut options = OptionMap::new();
    for line in text.lines() {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let number = key.parse::<usize>().ok();
        let key = number.map_or(key, |number| CATALOG[number % CATALOG.len()].key);
        options.set(key, value);
    }
    check(&options);
    check(&options.with_flink_units());
}

fn check(options: &OptionMap) {
    match options.parse() {
        Ok(parsed) => {
            // What was checked once is so again, and is written and read as the same.
            assert!(TritonOptions::parse(options.iter()).is_ok());
            for warning in parsed.warnings() {
                assert!(!warning.to_string().is_empty());
            }
        }
        Err(errors) => {
            for error in errors.iter() {
                let said = error.to_string();
                assert!(!said.is_empty() && !said.contains('\n'), "{said:?}");
            }
        }
    }
}

/// A duration in the grammar of Flink.
pub(crate) fn duration(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    if let Ok(read) = Duration::parse(text) {
        assert_eq!(Duration::parse(&read.canonical()), Ok(read));
    }
}

/// A CREATE MODEL statement.
pub(crate) fn statement(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    match triton::fuzzing::statement(text) {
        Ok((inputs, options)) => {
            assert!(!inputs.is_empty());
            check(&options);
        }
        Err(said) => assert!(said.starts_with("line "), "{said:?}"),
    }
}
