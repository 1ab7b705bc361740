//! What makes a run the same one as before, so that it can go on where that one ended.

use std::path::Path;
use std::time::SystemTime;

use clap::ValueEnum;
use triton_model_fn::{Column, Schema};
use triton_options::{
    AUTH_TOKEN_FILE, BATCH_SIZE, BATCH_TIMEOUT, CACHE_MAX_BYTES, CIRCUIT_BREAKER_ENABLED,
    CIRCUIT_BREAKER_FAILURE_THRESHOLD, CIRCUIT_BREAKER_HALF_OPEN_REQUESTS, CIRCUIT_BREAKER_TIMEOUT,
    COMPRESSION, CONNECTION_POOL_KEEP_ALIVE, CONNECTION_POOL_MAX_IDLE, CONNECTION_POOL_MAX_TOTAL,
    CONNECTION_REUSE_ENABLED, CONNECTION_TIMEOUT, ENDPOINT, ENDPOINT_DISCOVERY, ENDPOINT_DRAIN,
    ENDPOINT_REFRESH, HEALTH_CHECK_ENABLED, HEALTH_CHECK_INTERVAL, MAX_IN_FLIGHT, MAX_RETRIES,
    OPEN_WAIT, PRIORITY, PROXY, RESPONSE_LIMIT, RETRY_BUDGET, RETRY_INITIAL_BACKOFF,
    RETRY_MAX_BACKOFF, ROW_DEADLINE, SEQUENCE_ABANDON, SEQUENCE_AFFINITY, SEQUENCE_KEY_REDACTED,
    SEQUENCE_MAX_OPEN, SERVER_TIMEOUT, TENSOR_FORMAT, TIMEOUT, TLS_CA_FILE, TLS_CERTIFICATE_FILE,
    TLS_KEY_FILE, TLS_SERVER_NAME, TritonOptions,
};

use super::arguments::PredictArguments;
use super::state::RunIdentity;
use crate::argument_values::ColumnList;
use crate::objects::Location;
use crate::table::{Destination, Input};

/// What decides on how and where rows are sent, and not on their answers or their form: it may
/// be another one when a run goes on.
const WITHOUT_EFFECT: &[&str] = &[
    ENDPOINT.key(),
    ENDPOINT_DISCOVERY.key(),
    ENDPOINT_REFRESH.key(),
    ENDPOINT_DRAIN.key(),
    SEQUENCE_AFFINITY.key(),
    TIMEOUT.key(),
    PRIORITY.key(),
    SERVER_TIMEOUT.key(),
    ROW_DEADLINE.key(),
    COMPRESSION.key(),
    TENSOR_FORMAT.key(),
    RESPONSE_LIMIT.key(),
    AUTH_TOKEN_FILE.key(),
    TLS_CA_FILE.key(),
    TLS_CERTIFICATE_FILE.key(),
    TLS_KEY_FILE.key(),
    TLS_SERVER_NAME.key(),
    PROXY.key(),
    BATCH_SIZE.key(),
    BATCH_TIMEOUT.key(),
    MAX_IN_FLIGHT.key(),
    OPEN_WAIT.key(),
    HEALTH_CHECK_ENABLED.key(),
    HEALTH_CHECK_INTERVAL.key(),
    CIRCUIT_BREAKER_ENABLED.key(),
    CIRCUIT_BREAKER_FAILURE_THRESHOLD.key(),
    CIRCUIT_BREAKER_TIMEOUT.key(),
    CIRCUIT_BREAKER_HALF_OPEN_REQUESTS.key(),
    CACHE_MAX_BYTES.key(),
    MAX_RETRIES.key(),
    RETRY_BUDGET.key(),
    RETRY_INITIAL_BACKOFF.key(),
    RETRY_MAX_BACKOFF.key(),
    CONNECTION_TIMEOUT.key(),
    CONNECTION_POOL_MAX_IDLE.key(),
    CONNECTION_POOL_KEEP_ALIVE.key(),
    CONNECTION_POOL_MAX_TOTAL.key(),
    CONNECTION_REUSE_ENABLED.key(),
    SEQUENCE_MAX_OPEN.key(),
    SEQUENCE_ABANDON.key(),
    SEQUENCE_KEY_REDACTED.key(),
];

/// Everything that decides on the rows of the outputs; no secret is among it.
pub(super) fn of_run<'a>(
    arguments: &PredictArguments,
    options: &TritonOptions,
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
        let decides = !definition.is_secret() && !WITHOUT_EFFECT.contains(&definition.key);
        if let Some(value) = value.filter(|_| decides) {
            set(format!("option {}", definition.key), value);
        }
    }
    set("INPUT columns".to_owned(), listed(&schema.inputs));
    set("OUTPUT columns".to_owned(), listed(&schema.outputs));
    for (index, input) in inputs.enumerate() {
        set(format!("input {}", index + 1), input.name().to_owned());
        let name = input.name();
        match &input.location {
            Location::Standard => {}
            Location::File(path) => {
                let (bytes, time) = stamp(path)?;
                set(format!("size of {name}"), bytes);
                set(format!("time of change of {name}"), time);
            }
            Location::Object(object) => {
                let bytes = object.size().unwrap_or_default();
                set(format!("size of {name}"), format!("{bytes} bytes"));
                let version = object.version().unwrap_or_default();
                set(format!("version of {name}"), version);
            }
        }
    }
    for (index, destination) in destinations.iter().enumerate() {
        let location = destination.location.to_string();
        set(format!("output {}", index + 1), location);
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
    set("--unordered".to_owned(), speed.unordered.to_string());
    let on_error = failures.on_error.map(|action| named(&action));
    set("--on-error".to_owned(), shown(on_error));
    let errors = failures.errors.as_deref().map(Path::display);
    set("--errors".to_owned(), shown(errors));
    set(
        "--with-sequence-id".to_owned(),
        files.with_sequence_id.to_string(),
    );
    set("--input-format".to_owned(), shown(files.input_format));
    set("--sort-by-key".to_owned(), files.sort_by_key.to_string());
    // These decide on what is a row, or on how one is written.
    let delimiter = files.delimiter.map(char::from);
    set("--delimiter".to_owned(), shown(delimiter));
    set(
        "--max-field-bytes".to_owned(),
        files.max_field_bytes.to_string(),
    );
    set("--no-header".to_owned(), files.no_header.to_string());
    set("--limit".to_owned(), shown(files.limit));
    set("--columns".to_owned(), columns_of(&files.columns));
    set("--drop".to_owned(), columns_of(&files.drop));
    Ok(run)
}

fn columns_of(lists: &[ColumnList]) -> String {
    let names = ColumnList::all(lists);
    ColumnList::show(names.iter().map(String::as_str))
}

/// An argument as whoever gave it knows it.
fn shown(argument: Option<impl ToString>) -> String {
    argument.map_or_else(|| "not given".to_owned(), |given| given.to_string())
}

fn named(value: &impl ValueEnum) -> String {
    let name = value.to_possible_value();
    name.map_or_else(String::new, |name| name.get_name().to_owned())
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
