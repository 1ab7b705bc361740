//! Rows that are not answered: named on standard error, or kept in a file with their reason.

use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use anyhow::Context as _;
use fs_err::{File, OpenOptions};
use serde::Serialize;
use triton_model_fn::{ErrorKind, Value};

use crate::progress::Progress;
use crate::table::{Fault, Row};

/// Why a row was not answered.
pub(super) enum Reason {
    /// It cannot be read, or not be written.
    Fault(Fault),
    /// The model gave no answer.
    Function(triton_model_fn::Error),
}

impl Reason {
    /// The reason and its causes in one line each.
    fn lines(&self) -> Vec<String> {
        match self {
            Reason::Fault(fault) => vec![fault.to_string()],
            Reason::Function(error) => {
                let mut lines = vec![error.to_string()];
                let mut source = std::error::Error::source(error);
                while let Some(cause) = source {
                    lines.push(cause.to_string());
                    source = cause.source();
                }
                lines
            }
        }
    }

    /// The reason in a place, for people.
    pub(super) fn described(&self, row: &Row) -> String {
        format!("{}: {}", row.place, self.lines().join("\n  caused by: "))
    }

    fn column<'a>(&'a self, row: &'a Row) -> Option<&'a str> {
        match self {
            Reason::Fault(fault) => fault.column.as_deref(),
            Reason::Function(error) if error.kind() == ErrorKind::NullInput => {
                let values = row.values.as_ref().ok()?;
                let null = values.iter().position(|value| *value == Value::Null)?;
                row.input_name(null)
            }
            Reason::Function(_) => None,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Reason::Fault(_) => "row",
            Reason::Function(error) => error.kind().name(),
        }
    }
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
}

/// Where rejected rows are kept.
pub(super) struct Rejections(Option<BufWriter<File>>);

impl Rejections {
    /// Begins the file, or goes on with it after its first `bytes`; without one, rows are named
    /// on standard error.
    pub(super) fn open(path: Option<&Path>, bytes: Option<u64>) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return Ok(Self(None));
        };
        let open = || -> io::Result<File> {
            let bytes = bytes.unwrap_or_default();
            let mut file = OpenOptions::new()
                .create(bytes == 0)
                .truncate(false)
                .write(true)
                .open(path)?;
            if file.metadata()?.len() < bytes {
                let message = "it is shorter than the checkpoint says";
                return Err(io::Error::other(message));
            }
            file.set_len(bytes)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        let file = open().context("the file of --errors cannot be written")?;
        Ok(Self(Some(BufWriter::new(file))))
    }

    pub(super) fn add(
        &mut self,
        row: &Row,
        reason: &Reason,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let Some(file) = &mut self.0 else {
            progress.say(&reason.described(row));
            return Ok(());
        };
        let text = match reason {
            Reason::Fault(fault) => fault.reason.clone(),
            Reason::Function(_) => reason.lines().join(": "),
        };
        let rejected = Rejected {
            file: &row.place.input,
            row: row.place.row,
            line: row.place.line,
            column: reason.column(row),
            kind: reason.kind(),
            reason: &text,
            raw: &row.raw_text(),
        };
        let line = serde_json::to_string(&rejected)?;
        writeln!(file, "{line}").context("the file of --errors cannot be written")
    }

    /// Brings everything to the disk; what comes back is the length of the file.
    pub(super) fn cut(&mut self) -> anyhow::Result<u64> {
        let Some(file) = &mut self.0 else {
            return Ok(0);
        };
        let mut cut = || -> io::Result<u64> {
            file.flush()?;
            file.get_mut().sync_all()?;
            file.get_mut().stream_position()
        };
        cut().context("the file of --errors cannot be written")
    }
}
