//! Which formats files of rows have, and how a file's name and first bytes tell them.

use std::fmt;
use std::path::Path;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The format of a file of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Format {
    /// Comma-separated values with a header
    Csv,
    /// Tab-separated values with a header: CSV with another delimiter
    #[value(alias = "tab")]
    Tsv,
    /// One JSON object a line
    #[value(aliases = ["jsonl", "json"])]
    Ndjson,
    /// Apache Parquet
    #[value(alias = "pq")]
    Parquet,
    /// Arrow IPC, the file format
    #[value(aliases = ["feather", "ipc"])]
    Arrow,
    /// Arrow IPC, the streaming format
    #[value(alias = "arrows")]
    ArrowStream,
}

/// Whether a file begins with letters that mark a format, and not with a header that has them: behind
/// them comes, soon, what no text has.
pub(super) fn begins_no_text(start: &[u8], letters: &[u8]) -> bool {
    /// Within as many bytes every one of these formats has a zero, or another control character.
    const SOON: usize = 8;
    start.strip_prefix(letters).is_some_and(|rest| {
        let mut soon = rest.iter().take(SOON);
        rest.is_empty() || soon.any(|byte| !is_text(*byte))
    })
}

/// Whether text may have a byte.
pub(super) fn is_text(byte: u8) -> bool {
    !byte.is_ascii_control() || matches!(byte, b'\t' | b'\r' | b'\n')
}

/// How rows of a format are held while they are in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A text for each column.
    Cells,
    /// A JSON object.
    Objects,
    /// Typed columns.
    #[cfg(feature = "arrow")]
    Columns,
}

/// How the bytes of a whole file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Compression {
    Gzip,
    Zstd,
}

impl Format {
    /// The format and the compression that the name of a file tells.
    pub(crate) fn of_path(path: &Path) -> (Option<Self>, Option<Compression>) {
        let extension = |path: &Path| {
            let extension = path.extension()?.to_str()?;
            Some(extension.to_ascii_lowercase())
        };
        let (inner, compression) = match extension(path).as_deref() {
            Some("gz" | "gzip") => (path.with_extension(""), Some(Compression::Gzip)),
            Some("zst" | "zstd") => (path.with_extension(""), Some(Compression::Zstd)),
            _ => (path.to_owned(), None),
        };
        let format = match extension(&inner).as_deref() {
            Some("csv") => Some(Format::Csv),
            Some("tsv" | "tab") => Some(Format::Tsv),
            Some("ndjson" | "jsonl" | "json") => Some(Format::Ndjson),
            Some("parquet" | "pq") => Some(Format::Parquet),
            Some("arrow" | "feather" | "ipc") => Some(Format::Arrow),
            Some("arrows") => Some(Format::ArrowStream),
            _ => None,
        };
        (format, compression)
    }

    /// The format that the first bytes of a file tell.
    pub(crate) fn of_bytes(start: &[u8]) -> Self {
        let text = start.trim_ascii_start();
        let elements = text.strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
        if begins_no_text(start, b"PAR1") {
            Format::Parquet
        } else if begins_no_text(start, b"ARROW1") {
            Format::Arrow
        } else if start.starts_with(&[0xff; 4]) {
            Format::ArrowStream
        } else if text.starts_with(b"{") || elements.is_some_and(|rest| rest.starts_with(b"{")) {
            Format::Ndjson
        } else {
            Format::Csv
        }
    }

    /// The extension that a file of the format has.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Tsv => "tsv",
            Format::Ndjson => "ndjson",
            Format::Parquet => "parquet",
            Format::Arrow => "arrow",
            Format::ArrowStream => "arrows",
        }
    }

    /// Whether a file of it is text.
    pub(crate) fn is_text(self) -> bool {
        matches!(self, Format::Csv | Format::Tsv | Format::Ndjson)
    }

    /// Whether a file can be cut off anywhere between two rows and written on from there.
    pub(crate) fn can_be_continued(self) -> bool {
        self.is_text()
    }

    /// What separates the cells of a row, where the user says nothing else.
    pub(crate) fn delimiter(self) -> u8 {
        match self {
            Format::Tsv => b'\t',
            _ => b',',
        }
    }

    /// How rows on their way to the format are held; `None` where this build lacks the format.
    pub(crate) fn form(self) -> Option<Form> {
        match self {
            Format::Csv | Format::Tsv => Some(Form::Cells),
            Format::Ndjson => Some(Form::Objects),
            #[cfg(feature = "parquet")]
            Format::Parquet => Some(Form::Columns),
            #[cfg(feature = "arrow")]
            Format::Arrow | Format::ArrowStream => Some(Form::Columns),
            #[cfg(not(all(feature = "arrow", feature = "parquet")))]
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Format::Csv => "CSV",
            Format::Tsv => "TSV",
            Format::Ndjson => "NDJSON",
            Format::Parquet => "Parquet",
            Format::Arrow => "Arrow",
            Format::ArrowStream => "Arrow stream",
        })
    }
}

impl Compression {
    /// The compression that the first bytes of a file tell.
    pub(crate) fn of_bytes(start: &[u8]) -> Option<Self> {
        if start.starts_with(&[0x1f, 0x8b]) {
            Some(Compression::Gzip)
        } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
            // A frame that readers skip, as parallel and seekable writers put in front.
            || matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
        {
            Some(Compression::Zstd)
        } else {
            None
        }
    }

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }

    /// The extension that a compressed file has behind its own.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Compression::Gzip => "gz",
            Compression::Zstd => "zst",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_format_and_the_compression() {
        for (name, format, compression) in [
            ("a.csv", Some(Format::Csv), None),
            ("a.b/c.CSV.gz", Some(Format::Csv), Some(Compression::Gzip)),
            ("a.jsonl.zst", Some(Format::Ndjson), Some(Compression::Zstd)),
            ("a.parquet", Some(Format::Parquet), None),
            ("a.feather", Some(Format::Arrow), None),
            ("a.arrows", Some(Format::ArrowStream), None),
            ("a.tsv.gz", Some(Format::Tsv), Some(Compression::Gzip)),
            ("a.gz", None, Some(Compression::Gzip)),
            ("a", None, None),
        ] {
            assert_eq!(
                Format::of_path(Path::new(name)),
                (format, compression),
                "{name}"
            );
        }
    }

    #[test]
    fn the_first_bytes_tell_the_format() {
        assert_eq!(Format::of_bytes(b"a,b\n"), Format::Csv);
        assert_eq!(Format::of_bytes(b""), Format::Csv);
        assert_eq!(Format::of_bytes(b"\n {\"a\":1}"), Format::Ndjson);
        assert_eq!(Format::of_bytes(b"[\n {\"a\":1}]"), Format::Ndjson);
        assert_eq!(Format::of_bytes(b"[a],b\n"), Format::Csv);
        assert_eq!(Format::of_bytes(b"ARROW1\0\0"), Format::Arrow);
        assert_eq!(Format::of_bytes(b"PAR1\x15\x04"), Format::Parquet);
        assert_eq!(Format::of_bytes(b"PAR1,value\n"), Format::Csv);
        assert_eq!(Format::of_bytes(b"ARROW1\n1\n"), Format::Csv);
    }
}
