//! The arguments of `triton predict`.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, ValueEnum, ValueHint};
use serde::{Deserialize, Serialize};
use triton_options::{OptionValue as _, PositiveDuration};

use crate::argument_values::{ColumnList, at_least_one};
use crate::completion;
use crate::config_arguments::ConfigArguments;
use crate::exit_codes::Exit;
use crate::failure::exit_codes;
use crate::table::Format;

/// Score every row of files with a model.
///
/// The output holds the columns of the input, then those of the model, in the order of the input.
/// Files are CSV, NDJSON, Parquet or Arrow IPC, told apart by their names; CSV and NDJSON may be
/// compressed with gzip or zstd, which is seen by itself.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = exit_codes(Exit::of_rows),
    after_long_help = format!("{EXAMPLES}\n\n{}", exit_codes(Exit::of_rows)),
    override_usage = "triton predict [OPTIONS] [MODEL.sql] <INPUT>..."
)]
pub(crate) struct PredictArguments {
    /// The inputs, after a file with a CREATE MODEL statement if the first one ends in .sql.
    ///
    /// Without MODEL.sql the server says which tensors the model has: see --model. Inputs are
    /// files, folders, patterns such as 'data/*.parquet', or - for standard input; with the feature
    /// object-store also s3://BUCKET/KEY, gs://, az:// and http(s)://.
    #[arg(value_name = "INPUT", required = true, value_hint = ValueHint::AnyPath)]
    pub(crate) files: Vec<String>,

    /// The model's name on the server, over the option model-name.
    #[arg(long, value_name = "NAME", add = completion::models())]
    pub(crate) model: Option<String>,

    /// Say which tensor a column is, where it is not the one of its name; may be repeated.
    #[arg(long, value_name = "COLUMN=TENSOR", value_parser = column_and_tensor, add = completion::columns())]
    pub(crate) map: Vec<(String, String)>,

    /// Give each value of this column a sequence of its own; several columns as a,b.
    ///
    /// It sets the option sequence-key, and where nothing else does, sequence-id to the model's name,
    /// sequence-id-auto-increment and sequence-id-scope=run.
    #[arg(long, value_name = "COLUMN", add = completion::column_lists())]
    pub(crate) key: Option<String>,

    /// Try everything out without a row being sent: the model is opened, ten rows are read, and it is
    /// shown what would become of them.
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) files_options: FileArguments,

    #[command(flatten)]
    pub(crate) run: RunArguments,

    #[command(flatten)]
    pub(crate) failures: FailureArguments,

    #[command(flatten)]
    pub(crate) checkpoints: CheckpointArguments,

    #[command(flatten)]
    pub(crate) reports: ReportArguments,

    #[command(flatten)]
    pub(crate) config: ConfigArguments,
}

/// Where rows come from and go to.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Input and output")]
pub(crate) struct FileArguments {
    /// Write here instead of to standard output; into a folder, one output for each input.
    ///
    /// It is a folder if it is one already or ends in a slash.
    #[arg(short, long, value_name = "FILE|DIR")]
    pub(crate) output: Option<PathBuf>,

    /// The format of every input, whatever the names say.
    #[arg(long, value_name = "FORMAT", value_enum, hide_possible_values = true)]
    pub(crate) input_format: Option<Format>,

    /// The format of the output: csv, tsv, ndjson, parquet, arrow or arrow-stream.
    ///
    /// Without it the name of the output tells, then the format of the first input; on standard
    /// output Parquet and Arrow are only written if they are asked for.
    #[arg(long, value_name = "FORMAT", value_enum, hide_possible_values = true)]
    pub(crate) output_format: Option<Format>,

    /// What separates the cells of CSV, in and out: a character such as ';', or tab.
    ///
    /// Without it that is a comma, and a tab in files named .tsv. An output that is named .tsv has
    /// tabs all the same.
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    pub(crate) delimiter: Option<u8>,

    /// The columns of the input that pass through to the output, in this order [default: all].
    ///
    /// The model gets its own all the same, and what it gives is behind them. A name with a comma
    /// stands in quotes, as in "'a,b',c".
    #[arg(long, value_name = "COLUMN,…", value_parser = ColumnList::parse, add = completion::column_lists())]
    pub(crate) columns: Vec<ColumnList>,

    /// The columns of the input that do not pass through to the output.
    #[arg(long, value_name = "COLUMN,…", value_parser = ColumnList::parse, conflicts_with = "columns", add = completion::column_lists())]
    pub(crate) drop: Vec<ColumnList>,

    /// The first record of CSV is a row, and the columns are called column1, column2 and so on.
    #[arg(long)]
    pub(crate) no_header: bool,

    /// Read only the first rows of each input, as if there were no more.
    #[arg(long, value_name = "ROWS", value_parser = at_least_one::<NonZeroU64>, allow_negative_numbers = true)]
    pub(crate) limit: Option<NonZeroU64>,

    /// The most bytes of a cell of CSV; a row with a longer one is rejected.
    ///
    /// So a quote that is never closed ends after as many bytes, and the rows behind it are read.
    #[arg(long, value_name = "BYTES", default_value_t = LONGEST_CELL, value_parser = at_least_one::<NonZeroUsize>)]
    pub(crate) max_field_bytes: NonZeroUsize,

    /// Sort the rows of all inputs by their key, the option sequence-key, before they are sent.
    ///
    /// So a model that keeps few sequences has one open at a time, and each ends with the last row
    /// of its key. Keys come in the order of their text, rows of one key in the order of the
    /// input; the output has that order, too.
    #[arg(long)]
    pub(crate) sort_by_key: bool,

    /// How much memory rows take while they are sorted; further ones go to temporary files.
    #[arg(long, value_name = "BYTES", default_value_t = SORT_MEMORY, value_parser = at_least_one::<NonZeroUsize>, requires = "sort_by_key")]
    pub(crate) sort_memory: NonZeroUsize,

    /// Add a column `sequence_id` with the sequence ID that each row took, as it was sent.
    #[arg(long)]
    pub(crate) with_sequence_id: bool,
}

/// Large enough for the pixels of an image in text.
const LONGEST_CELL: NonZeroUsize = NonZeroUsize::new(16 * 1024 * 1024).expect("it is not zero");

const SORT_MEMORY: NonZeroUsize = NonZeroUsize::new(64 * 1024 * 1024).expect("it is not zero");

/// How fast rows go.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Speed")]
pub(crate) struct RunArguments {
    /// The number of parallel subtasks, each with its own function and sequence IDs.
    ///
    /// Rows go to them by their key where the option sequence-key is set, else in turn.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) parallelism: u32,

    /// Write each answer when it is there, not in the order of the input.
    #[arg(long)]
    pub(crate) unordered: bool,

    /// The most rows in a request, over the option batch-size.
    #[arg(long, value_name = "ROWS")]
    pub(crate) batch_size: Option<String>,

    /// The most requests that a subtask has in flight, or auto: the option max-in-flight.
    #[arg(long, value_name = "N")]
    pub(crate) max_in_flight: Option<String>,

    /// Begin at most so many rows a second.
    #[arg(long, value_name = "ROWS", value_parser = rate)]
    pub(crate) rate: Option<f64>,
}

/// What happens to rows that cannot be answered.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rows that fail")]
pub(crate) struct FailureArguments {
    /// What is done with a row that cannot be answered [default: skip, or what the options on-error
    /// and default-value say].
    #[arg(long, value_name = "ACTION", value_enum)]
    pub(crate) on_error: Option<OnError>,

    /// Write rows that are rejected, or are in the output as failed, here as NDJSON with their reason,
    /// instead of naming them on standard error.
    #[arg(long, value_name = "FILE", value_parser = file_of_errors())]
    pub(crate) errors: Option<PathBuf>,

    /// End the run once more rows than this are rejected: a number, or a share of the rows such as
    /// 1% (of at least 100).
    #[arg(long, value_name = "N|P%", value_parser = max_errors)]
    pub(crate) max_errors: Option<MaxErrors>,

    /// Run only the rows again that an earlier run named in its file of --errors.
    ///
    /// The inputs must be those of that run. Not for a model with sequence-key, where a row means
    /// nothing without those before it.
    #[arg(long, value_name = "FILE", conflicts_with = "checkpoint")]
    pub(crate) retry_errors: Option<PathBuf>,

    /// How often a request is sent again that may be, over the option max-retries.
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<String>,

    /// How long the server may be away (no connection, 502 to 504, a model that is being reloaded)
    /// before the run ends with exit code 3; until then it waits.
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = time)]
    pub(crate) give_up_after: Duration,
}

/// How many rows may be rejected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum MaxErrors {
    Rows(u64),
    /// Of the rows that something became of, in percent.
    Percent(f64),
}

impl MaxErrors {
    /// The rows of which a share is first taken: of a few rows it says little.
    const LEAST_ROWS: u64 = 100;

    /// Whether so many rejected rows, of so many in all, are too many.
    pub(crate) fn exceeded(self, rejected: u64, settled: u64) -> bool {
        match self {
            Self::Rows(most) => rejected > most,
            Self::Percent(most) => {
                settled >= Self::LEAST_ROWS && rejected as f64 * 100.0 > most * settled as f64
            }
        }
    }
}

impl std::fmt::Display for MaxErrors {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rows(most) => write!(formatter, "{most}"),
            Self::Percent(most) => write!(formatter, "{most}%"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum OnError {
    /// End the run at the first one
    Fail,
    /// Leave it out of the output, say why, and go on
    Skip,
    /// Write the option default-value, or NULL without it, if the model gives no answer;
    /// a row that cannot be read is left out all the same
    Default,
    /// Write NULL, and say why in the output columns prediction_status and prediction_error;
    /// only a line that is no row at all is left out
    Column,
}

/// Going on after the end of the process.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Checkpoints")]
pub(crate) struct CheckpointArguments {
    /// Keep in this folder how far the run is: the same command goes on from there, after
    /// SIGKILL too, and the output is as if it had never ended.
    #[arg(long, value_name = "DIR")]
    pub(crate) checkpoint: Option<PathBuf>,

    /// How often: after so many rows, or after a time such as 30s.
    #[arg(long, value_name = "ROWS|TIME", default_value = "10s", value_parser = interval)]
    pub(crate) checkpoint_every: Interval,
}

/// The way from one checkpoint to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Interval {
    Rows(u64),
    Time(Duration),
}

/// What the run says about itself.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Reports")]
pub(crate) struct ReportArguments {
    /// Say nothing on standard error but what is wrong.
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Write what the run did as a JSON object: to FILE, or without it to standard error, in
    /// place of the summary for people.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    pub(crate) json_summary: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  Score a file, and see the result
    triton predict model.sql input.csv
  Score Parquet files on eight subtasks, one output for each
    triton predict model.sql 'data/*.parquet' --output scored/ --parallelism 8
  Without a model file, in a pipe
    zcat in.ndjson.gz | triton predict --model echo -e host:8000 - > out.ndjson
  Lose nothing: keep what fails apart, and be able to go on after a crash
    triton predict model.sql in.csv.zst -o out.parquet --errors bad.ndjson \\
      --checkpoint state/";

fn column_and_tensor(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((column, tensor)) if !column.is_empty() && !tensor.is_empty() => {
            Ok((column.to_owned(), tensor.to_owned()))
        }
        _ => Err("expected COLUMN=TENSOR, for example reading=INPUT__0".to_owned()),
    }
}

fn file_of_errors() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match path.as_os_str() == "-" {
        true => Err("expected a file; without this option they are named on standard error"),
        false => Ok(path),
    })
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        _ if text == "tab" || text == "\\t" => Ok(b'\t'),
        [b'"' | b'\r' | b'\n'] => Err("quotes and line ends mean something else in CSV".to_owned()),
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err("expected one ASCII character, for example ';' or '|', or tab".to_owned()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("expected a number of rows a second above 0, for example 500".to_owned()),
    }
}

fn max_errors(text: &str) -> Result<MaxErrors, String> {
    let parsed = match text.strip_suffix('%') {
        Some(share) => share.trim().parse().ok().map(MaxErrors::Percent),
        None => text.parse().ok().map(MaxErrors::Rows),
    };
    match parsed {
        Some(MaxErrors::Percent(share)) if !(0.0..=100.0).contains(&share) => None,
        parsed => parsed,
    }
    .ok_or_else(|| "expected a number of rows, or a share such as 1%".to_owned())
}

fn time(text: &str) -> Result<Duration, String> {
    let duration = PositiveDuration::parse(text).map_err(|invalid| invalid.to_string());
    duration.map(PositiveDuration::get)
}

fn interval(text: &str) -> Result<Interval, String> {
    if let Ok(rows) = text.parse::<u64>() {
        return match rows {
            0 => Err("expected at least 1 row".to_owned()),
            rows => Ok(Interval::Rows(rows)),
        };
    }
    let duration = PositiveDuration::parse(text)
        .map_err(|_| "expected a number of rows, or a time such as 30s".to_owned())?;
    Ok(Interval::Time(duration.get()))
}
