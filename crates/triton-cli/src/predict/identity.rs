//! What makes a run the same one as before, so that it can go on where that one ended.

use std::path::Path;
use std::time::SystemTime;

use triton_model_fn::{Column, Schema};
use triton_options::{ENDPOINT, TritonOptions};

use super::arguments::PredictArguments;
use super::checkpoint::RunIdentity;
use crate::table::{Destination, Input};

/// Everything that decides on the rows of the outputs; no secret is among it.
///
/// `endpoint` is the one the user gave: that of the embedded server is another one every time.
pub(super) fn of_run<'a>(
    arguments: &PredictArguments,
    options: &TritonOptions,
    endpoint: Option<&str>,
    schema: &Schema,
    inputs: impl Iterator<Item = &'a Input>,
    destinations: &[Destination],
) -> anyhow::Result<RunIdentity> {
    let mut run = RunIdentity::new();
    let mut set = |name: String, value: String| {
        run.insert(name, value);
    };
    set("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    for (definition, value) in options.entries() {
        if let Some(value) = value.filter(|_| !definition.is_secret()) {
            let value = match definition.key == ENDPOINT.key() {
                true => definition.loggable(endpoint.unwrap_or(&value)),
                false => value,
            };
            set(format!("option {}", definition.key), value);
        }
    }
    set("INPUT columns".to_owned(), listed(&schema.inputs));
    set("OUTPUT columns".to_owned(), listed(&schema.outputs));
    for (index, input) in inputs.enumerate() {
        set(format!("input {}", index + 1), input.name().to_owned());
        if let Some(path) = &input.path {
            let (bytes, time) = stamp(path)?;
            set(format!("size of {}", input.name()), bytes);
            set(format!("time of change of {}", input.name()), time);
        }
    }
    for (index, destination) in destinations.iter().enumerate() {
        let path = destination.path.as_deref().unwrap_or(Path::new("-"));
        set(format!("output {}", index + 1), path.display().to_string());
        set(
            format!("format of output {}", index + 1),
            destination.format.to_string(),
        );
    }
    let PredictArguments {
        run: speed,
        failures,
        files_options: files,
        ..
    } = arguments;
    set("--parallelism".to_owned(), speed.parallelism.to_string());
    set("--unordered".to_owned(), speed.unordered.to_string());
    set("--on-error".to_owned(), format!("{:?}", failures.on_error));
    set("--errors".to_owned(), format!("{:?}", failures.errors));
    set(
        "--with-sequence-id".to_owned(),
        files.with_sequence_id.to_string(),
    );
    set(
        "--input-format".to_owned(),
        format!("{:?}", files.input_format),
    );
    // These decide on what is a row, or on how one is written.
    set("--delimiter".to_owned(), format!("{:?}", files.delimiter));
    set(
        "--max-field-bytes".to_owned(),
        files.max_field_bytes.to_string(),
    );
    Ok(run)
}

fn listed(columns: &[Column]) -> String {
    let columns = columns.iter();
    let columns = columns.map(|column| format!("{} {}", column.name, column.data_type));
    columns.collect::<Vec<_>>().join(", ")
}

fn stamp(path: &Path) -> anyhow::Result<(String, String)> {
    let metadata = fs_err::metadata(path)?;
    let changed = metadata.modified()?;
    let since_1970 = changed
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let time = format!("{}.{:09}", since_1970.as_secs(), since_1970.subsec_nanos());
    Ok((format!("{} bytes", metadata.len()), time))
}
