//! Rows that are not answered, in the output or not: named on standard error, or kept in a file with their reason.

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;
use triton_model_fn::{ErrorKind, Value};

use super::rejections_file::RejectionsFile;
use super::told::Told;
use crate::progress::Progress;
use crate::table::{Fault, Row};

/// Why a row was not answered.
pub(super) enum Reason {
    /// It cannot be read, or not be written.
    Fault(Fault),
    /// The model gave no answer.
    Function(triton_model_fn::Error),
    /// The run was told to end, and the row could not be finished.
    GivenUp,
}

impl Reason {
    /// The reason and its causes, in one line.
    fn line(&self) -> String {
        match self {
            Reason::Fault(fault) => one_line(&fault.reason),
            Reason::Function(error) => described(error),
            Reason::GivenUp => "the run was told to end before it was answered".to_owned(),
        }
    }

    /// The reason in a place, for people.
    pub(super) fn described(&self, row: &Row) -> String {
        match self {
            Reason::Fault(fault) => format!("{}: {}", row.place, one_line(&fault.to_string())),
            _ => format!("{}: {}{}", row.place, self.line(), self.hint(row)),
        }
    }

    /// What more is to be said of a value that is missing: the object may have it by another name.
    fn hint(&self, row: &Row) -> String {
        match self {
            Reason::Function(error) if error.kind() == ErrorKind::NullInput => {
                let named = error.message().strip_prefix("column '");
                let name = named.and_then(|named| named.split('\'').next());
                let hint = name.and_then(|name| row.instead_of_member(name));
                hint.unwrap_or_default()
            }
            _ => String::new(),
        }
    }

    /// What rows that are rejected for the same reason have in common.
    fn group(&self) -> String {
        match self {
            Reason::Fault(Fault {
                column: Some(column),
                ..
            }) => format!("what is in column '{column}'"),
            Reason::Fault(_) => "rows that cannot be read".to_owned(),
            Reason::GivenUp => "the end of the run".to_owned(),
            Reason::Function(error) => match error.client_error() {
                Some(cause) => match cause.status() {
                    Some(status) => format!("status {status}"),
                    None => cause.kind().name().replace('_', " "),
                },
                None => error.kind().name().replace('_', " "),
            },
        }
    }

    fn column<'a>(&'a self, row: &'a Row) -> Option<&'a str> {
        match self {
            Reason::Fault(fault) => fault.column.as_deref(),
            Reason::Function(error) if error.kind() == ErrorKind::NullInput => {
                let values = row.values.as_ref().ok()?;
                // An input may lack optional columns, which are NULL as well.
                let mut nulls = (0..)
                    .zip(values)
                    .filter(|(_, value)| **value == Value::Null);
                nulls.find_map(|(index, _)| row.input_name(index))
            }
            // The function was told of what cannot be read in the row.
            Reason::Function(_) | Reason::GivenUp => {
                row.values.as_ref().err()?.fault.column.as_deref()
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Reason::Fault(_) => "row",
            Reason::Function(error) => error.kind().name(),
            Reason::GivenUp => "given_up",
        }
    }
}

/// An error of the model function and its causes, in one line; the subtask only where there are
/// several.
fn described(error: &triton_model_fn::Error) -> String {
    let mut parts = Vec::new();
    if let Some(subtask) = error.subtask().filter(|subtask| subtask.parallelism() > 1) {
        parts.push(format!("subtask {}", subtask.index()));
    }
    if let Some(key) = error.sequence_key() {
        parts.push(format!("key '{key}'"));
    }
    if let Some(id) = error.sequence_id() {
        let number = error.sequence_number();
        let number = number.map_or_else(String::new, |number| format!(" = {number}"));
        parts.push(format!("sequence '{id}'{number}"));
    }
    let place = parts.join(", ");
    let mut lines: Vec<String> = (!place.is_empty()).then_some(place).into_iter().collect();
    lines.push(error.message().to_owned());
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        lines.push(cause.to_string());
        source = cause.source();
    }
    one_line(&lines.join(": "))
}

/// A text without line ends and whatever else a terminal would obey.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let mut words = text.split(|character: char| character.is_control() || character == ' ');
    line.push_str(words.next().unwrap_or_default());
    for word in words.filter(|word| !word.is_empty()) {
        line.push(' ');
        line.push_str(word);
    }
    line
}

/// A line of the file of rejected rows.
#[derive(Serialize)]
struct Rejected<'a> {
    file: &'a str,
    row: u64,
    line: Option<u64>,
    column: Option<&'a str>,
    kind: &'static str,
    reason: &'a str,
    raw: &'a str,
    /// Whether the row is in the output all the same, and says there that it failed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    in_output: bool,
}

/// Where rejected rows are kept, or told of.
pub(super) struct Rejections {
    file: Option<RejectionsFile>,
    told: Told,
    /// Of rows that are in the output, and say there that they failed.
    told_failed: Told,
}

impl Rejections {
    /// Opens the file, to be begun or continued after its first `bytes`.
    pub(super) fn open(path: Option<&Path>, bytes: Option<u64>) -> anyhow::Result<Self> {
        let file = path.map(|path| RejectionsFile::open(path, bytes.unwrap_or_default()));
        Ok(Self {
            file: file.transpose().context(CANNOT_BE_WRITTEN)?,
            told: Told::of("rejected"),
            told_failed: Told::of("written as failed"),
        })
    }

    /// A row that is not in the output.
    pub(super) fn add(
        &mut self,
        row: &Row,
        reason: &Reason,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        self.keep(row, reason, false, progress)
    }

    /// A row that is in the output and says there that it failed: where it is in the inputs only this
    /// tells, and whoever wants it once more needs it here.
    pub(super) fn add_written(
        &mut self,
        row: &Row,
        error: triton_model_fn::Error,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        self.keep(row, &Reason::Function(error), true, progress)
    }

    fn keep(
        &mut self,
        row: &Row,
        reason: &Reason,
        in_output: bool,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let Some(file) = &mut self.file else {
            let told = match in_output {
                true => &mut self.told_failed,
                false => &mut self.told,
            };
            if told.in_full(|| reason.group()) {
                progress.say(&reason.described(row));
            }
            return Ok(());
        };
        let text = reason.line() + &reason.hint(row);
        let rejected = Rejected {
            file: &row.place.input,
            row: row.place.row,
            line: row.place.line,
            column: reason.column(row),
            kind: reason.kind(),
            reason: &text,
            raw: &row.raw_text(),
            in_output,
        };
        let line = serde_json::to_string(&rejected)?;
        file.add(&line).context(CANNOT_BE_WRITTEN)
    }

    /// Says how many rows were rejected lately, if it is time to say so.
    pub(super) fn tick(&mut self, progress: &Progress) {
        for told in [&mut self.told, &mut self.told_failed] {
            if let Some(count) = told.due() {
                progress.say(&count);
            }
        }
    }

    /// Says what has not been said of rejected rows.
    pub(super) fn conclude(&mut self, progress: &Progress) {
        for told in [&mut self.told, &mut self.told_failed] {
            if let Some(count) = told.count() {
                progress.say(&count);
            }
        }
    }

    /// Begins the file, if no row was rejected so far: a run that is over has one of its own.
    pub(super) fn begin(&mut self) -> anyhow::Result<()> {
        match &mut self.file {
            Some(file) => file.begin().context(CANNOT_BE_WRITTEN),
            None => Ok(()),
        }
    }

    /// Brings everything to the disk; what comes back is the length of the file.
    pub(super) fn cut(&mut self) -> anyhow::Result<u64> {
        let Some(file) = &mut self.file else {
            return Ok(0);
        };
        file.cut().context(CANNOT_BE_WRITTEN)
    }
}

const CANNOT_BE_WRITTEN: &str = "the file of --errors cannot be written";
