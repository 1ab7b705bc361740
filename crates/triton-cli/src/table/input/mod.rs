//! Inputs: files and standard input, whatever their format and compression, as rows.

#[cfg(feature = "arrow")]
mod arrow;
#[cfg(feature = "arrow")]
mod arrow_ipc;
#[cfg(feature = "arrow")]
mod arrow_rows;
mod bytes;
mod compressed;
mod csv;
mod csv_records;
mod csv_rows;
mod csv_scan;
#[cfg(feature = "arrow")]
mod damaged;
mod extent;
#[cfg(feature = "parquet")]
mod int96;
mod json_lines;
mod json_rows;
mod json_values;
mod limited;
mod ndjson;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(feature = "parquet")]
mod parquet_file;
mod passing;
mod pattern;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{anyhow, bail};
use fs_err::File;
use triton_model_fn::{Column, DataType};

#[cfg(feature = "arrow")]
pub(super) use self::arrow::ArrowRows;
use self::bytes::ByteStream;
pub(super) use self::csv_rows::CsvRows;
pub(super) use self::json_rows::JsonRows;
use self::limited::Limited;
#[cfg(feature = "parquet")]
use self::parquet_file::ParquetFile;
pub(crate) use self::passing::Passing;
use super::chunk::{Chunk, ChunkSize};
use super::foreign;
use super::format::{Compression, Form, Format};
use super::row::{Layout, Place};
use crate::disk::Identity;
use crate::objects::{Location, Object};

/// An input before it is opened.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) location: Location,
    /// The format, where something other than the first bytes tells it.
    format: Option<Format>,
    /// The input's name, as the user gave it.
    name: Arc<str>,
    among_several: bool,
    /// Whether it is a pipe or a device, by whatever name: it can be opened and read only once,
    /// and nobody knows how long it is.
    is_stream: bool,
    /// How many rows there are for this command, if it has more.
    limit: Option<u64>,
    passing: Passing,
    text: TextSettings,
}

/// What holds for every input of a command.
#[derive(Debug, Clone)]
pub(crate) struct InputSettings {
    /// The format, whatever the names say.
    pub(crate) format: Option<Format>,
    /// How many rows of each are read, from the first on.
    pub(crate) limit: Option<u64>,
    /// Which columns pass through.
    pub(crate) passing: Passing,
    pub(crate) text: TextSettings,
}

/// How text is read that its name and bytes say nothing about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextSettings {
    /// What separates cells, where that is not the format's own.
    pub(crate) delimiter: Option<u8>,
    /// The most bytes of a cell.
    pub(crate) longest_cell: usize,
    /// Whether the first record of CSV has the names of the columns.
    pub(crate) has_header: bool,
}

/// What is wanted of an input.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The columns whose values are wanted: first the model's, then those that make keys.
    pub(crate) inputs: Arc<[Column]>,
    /// How many of them are the model's. Keys are read as text, whatever they are in the input.
    pub(crate) model_inputs: usize,
    /// The names of those that may be missing; then they are NULL in every row.
    pub(crate) optional: Arc<[String]>,
    /// Whether the server alone says what the model takes. It has one type for text and bytes, so
    /// an input that knows the two apart decides.
    pub(crate) is_undeclared: bool,
    /// The form in which rows go on to the output.
    pub(crate) form: Form,
}

impl Wanted {
    /// Whether a column is only wanted as the text of a key.
    fn is_key_text(&self, index: usize) -> bool {
        index >= self.model_inputs && self.inputs[index].data_type == DataType::String
    }

    /// The one of the model's columns that is at a position of the input.
    fn model_input_at(&self, positions: &[Option<usize>], position: usize) -> Option<usize> {
        let index = positions
            .iter()
            .position(|found| *found == Some(position))?;
        (index < self.model_inputs).then_some(index)
    }

    /// Takes one of the model's columns as bytes from now on, where it was text.
    #[cfg(feature = "arrow")]
    fn declare_bytes(&mut self, index: usize) {
        fn bytes(data_type: &DataType) -> DataType {
            match data_type {
                DataType::String => DataType::Bytes,
                DataType::Array(element) => DataType::Array(Box::new(bytes(element))),
                other => other.clone(),
            }
        }
        let columns = self.inputs.iter().enumerate();
        let columns = columns.map(|(other, column)| match other == index {
            true => Column::new(&column.name, bytes(&column.data_type)),
            false => column.clone(),
        });
        self.inputs = columns.collect();
    }
}

/// An input of which the first bytes are known.
pub(crate) struct LookedAt {
    pub(crate) format: Format,
    pub(crate) compression: Option<Compression>,
    input: Input,
    stream: ByteStream,
    #[cfg(feature = "arrow")]
    taken: Arc<AtomicU64>,
}

/// The rows of an input.
pub(crate) trait TableReader: Send {
    /// The columns that pass through.
    fn layout(&self) -> &Arc<Layout>;

    /// The columns that are wanted of it, where it decided on their types.
    fn decided(&self) -> Option<&Arc<[Column]>> {
        None
    }

    /// The next rows, as many as are there, at least one and at most so many; an error means that the
    /// input cannot be read on.
    fn next_chunk(&mut self, most: ChunkSize) -> anyhow::Result<Option<Chunk>>;

    /// The bytes of the input up to the end of the row that came last, as well as that is known.
    fn bytes_done(&self) -> u64;

    /// Goes past rows that were answered already.
    fn skip(&mut self, rows: u64) -> anyhow::Result<()>;
}

fn too_short(found: u64, expected: u64) -> String {
    format!("it has only {found} rows, but {expected} were read from it before")
}

impl Input {
    /// What stands for standard input.
    pub(crate) const STANDARD: &str = "-";

    /// The inputs that the arguments of a command name: files, folders, patterns, or `-`.
    pub(crate) fn find(names: &[String], settings: &InputSettings) -> anyhow::Result<Vec<Self>> {
        let format = settings.format;
        let mut found_at = Vec::new();
        for name in names {
            if name == Self::STANDARD {
                if found_at.contains(&Location::Standard) {
                    bail!("standard input (-) can be read only once");
                }
                found_at.push(Location::Standard);
            } else if let Some(object) = Object::at(name)? {
                let is_wanted = |name: &Path| format.is_some() || Format::of_path(name).0.is_some();
                let found = object.matching(is_wanted)?;
                found_at.extend(found.into_iter().map(Location::Object));
            } else if Path::new(name).is_dir() {
                let is_wanted = |path: &Path| format.is_some() || Format::of_path(path).0.is_some();
                let mut found = pattern::files_within(Path::new(name))?;
                found.retain(|path| is_wanted(path));
                if found.is_empty() {
                    bail!(
                        "{name}: no file in this folder has a name by which its format is known, such \
                         as .csv or .parquet; --input-format says it of all"
                    );
                }
                found_at.extend(found.into_iter().map(Location::File));
            } else if Path::new(name).exists() || !name.contains(['*', '?', '[']) {
                found_at.push(Location::File(PathBuf::from(name)));
            } else {
                let found = pattern::files(name)?;
                if found.is_empty() {
                    bail!("no file matches the pattern '{name}'");
                }
                found_at.extend(found.into_iter().map(Location::File));
            }
        }
        let among_several = found_at.len() > 1;
        let mut pipes = Vec::new();
        let inputs = found_at.into_iter().map(|location| {
            let input = Self {
                name: location.to_string().into(),
                format: format.or_else(|| Format::of_path(location.named()?).0),
                is_stream: is_stream(&location)?,
                location,
                among_several,
                limit: settings.limit,
                passing: settings.passing.clone(),
                text: settings.text,
            };
            if let Some(pipe) = input.pipe() {
                if pipes.contains(&pipe) {
                    bail!("{}: a pipe can be read only once", input.described());
                }
                pipes.push(pipe);
            }
            Ok(input)
        });
        inputs.collect()
    }

    /// Whether it can be read only once, from its beginning to its end.
    pub(crate) fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Which pipe it is, if it is one.
    fn pipe(&self) -> Option<Identity> {
        match &self.location {
            Location::Standard => Identity::of_standard_input(),
            Location::File(path) if self.is_stream && is_pipe(path) => Identity::of(path).ok(),
            Location::File(_) | Location::Object(_) => None,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The name of the file without folders and extensions that tell its format.
    pub(crate) fn stem(&self) -> String {
        let Some(path) = self.location.named() else {
            return "stdin".to_owned();
        };
        let (format, compression) = Format::of_path(path);
        let mut name = PathBuf::from(path.file_name().unwrap_or_default());
        if compression.is_some() {
            name.set_extension("");
        }
        if format.is_some() {
            name.set_extension("");
        }
        name.to_string_lossy().into_owned()
    }

    /// The number of bytes to be read, where it is known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        match &self.location {
            Location::File(path) if !self.is_stream => Some(fs_err::metadata(path).ok()?.len()),
            Location::Object(object) => object.size(),
            Location::File(_) | Location::Standard => None,
        }
    }

    /// Looks at the first bytes.
    pub(crate) fn look(&self) -> anyhow::Result<LookedAt> {
        self.look_at(self.bytes_of())
    }

    /// Looks at the first of these bytes.
    pub(crate) fn look_at(&self, raw: io::Result<Box<dyn Read + Send>>) -> anyhow::Result<LookedAt> {
        // A counter for each opening: two inputs may be open at once.
        let taken = Arc::default();
        let stream = raw.and_then(|raw| ByteStream::new(raw, Arc::clone(&taken)));
        let stream = stream.map_err(|error| self.unusable(&error.into()))?;
        let named = self.location.named().and_then(foreign::told_by_name);
        if let Some(what) = named.filter(|_| self.format.is_none()) {
            return Err(self.unusable(&anyhow!(what)));
        }
        Ok(LookedAt {
            format: self
                .format
                .unwrap_or_else(|| Format::of_bytes(&stream.text_start())),
            compression: stream.compression(),
            input: self.clone(),
            stream,
            #[cfg(feature = "arrow")]
            taken,
        })
    }

    /// All its bytes, as they are there.
    fn bytes_of(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match &self.location {
            Location::Standard => Box::new(io::stdin()),
            Location::File(path) => Box::new(File::open(path)?),
            Location::Object(object) => object.open()?,
        })
    }

    /// Says of which input an error is.
    pub(crate) fn blame(&self, error: anyhow::Error) -> anyhow::Error {
        error.context(format!("{}: reading stopped", self.described()))
    }

    /// Says of which input an error is, before any row of it was read.
    pub(crate) fn unusable(&self, error: &anyhow::Error) -> anyhow::Error {
        anyhow!("{}: {error:#}", self.described())
    }

    fn described(&self) -> &str {
        match self.location {
            Location::Standard => "standard input",
            Location::File(_) | Location::Object(_) => &self.name,
        }
    }

    fn place(&self, row: u64, line: Option<u64>) -> Place {
        Place {
            input: Arc::clone(&self.name),
            among_several: self.among_several,
            row,
            line,
            bytes: 0,
        }
    }

    /// Where each of the model's input columns is among the columns of the input.
    fn find_columns(&self, wanted: &Wanted, names: &[&str]) -> anyhow::Result<Vec<Option<usize>>> {
        let found = wanted.inputs.iter().enumerate().map(|(index, column)| {
            let whose = match index < wanted.model_inputs {
                true => "the model takes",
                false => "the options of sequences name",
            };
            let mut named = names
                .iter()
                .enumerate()
                .filter(|(_, name)| **name == column.name);
            let Some((position, _)) = named.next() else {
                if wanted.optional.contains(&column.name) {
                    return Ok(None);
                }
                let plain = |name: &str| name.trim().to_lowercase();
                let alike = names.iter().find(|name| plain(name) == plain(&column.name));
                let alike = alike.map_or_else(String::new, |name| {
                    format!("; '{name}' differs from it by spaces or capital letters alone")
                });
                bail!(
                    "no column is named '{}', which {whose}; there are: {}{alike}",
                    column.name,
                    names.join(", ")
                );
            };
            if named.next().is_some() {
                bail!(
                    "two columns are named '{}', which {whose}, and nothing tells which of them is \
                     meant: rename one",
                    column.name
                );
            }
            Ok(Some(position))
        });
        found.collect()
    }
}

impl LookedAt {
    /// Reads as much as tells the columns.
    pub(crate) fn open(self, wanted: &Wanted) -> anyhow::Result<Box<dyn TableReader>> {
        let input = self.input.clone();
        let opened = self.open_unnamed(wanted).and_then(|reader| {
            if wanted.form == Form::Objects {
                reader.layout().check_members()?;
            }
            Ok(match input.limit {
                Some(rows) => Box::new(Limited::new(reader, rows)),
                None => reader,
            })
        });
        opened.map_err(|error| input.unusable(&error))
    }

    fn open_unnamed(self, wanted: &Wanted) -> anyhow::Result<Box<dyn TableReader>> {
        let Self { input, stream, .. } = self;
        if stream.start().is_empty() && self.format != Format::Ndjson {
            bail!("it is empty; expected {}", self.format);
        }
        if let Some(problem) = foreign::contradiction(self.format, &stream.text_start()) {
            bail!(problem);
        }
        Ok(match self.format {
            Format::Csv | Format::Tsv => {
                let delimiter = input.text.delimiter.unwrap_or(self.format.delimiter());
                Box::new(csv::CsvReader::new(&input, stream, delimiter, wanted)?)
            }
            Format::Ndjson => Box::new(ndjson::NdjsonReader::new(&input, stream, wanted)?),
            #[cfg(feature = "arrow")]
            Format::Arrow | Format::ArrowStream => {
                Box::new(arrow::ipc_reader(&input, stream, &self.taken, wanted)?)
            }
            #[cfg(feature = "parquet")]
            Format::Parquet => {
                let file = match &input.location {
                    _ if input.is_stream || self.compression.is_some() => None,
                    Location::File(path) => Some(ParquetFile::open(path)?),
                    Location::Object(object) => Some(ParquetFile::of_object(object)),
                    Location::Standard => None,
                };
                let Some(file) = file else {
                    bail!(
                        "Parquet is read from its end, so it must be a file, and compressed only \
                         within; pipe rows as NDJSON or as an Arrow stream"
                    );
                };
                drop(stream);
                Box::new(parquet::parquet_reader(&input, file, &self.taken, wanted)?)
            }
            #[cfg(not(all(feature = "arrow", feature = "parquet")))]
            format => bail!("this build of the command has no support for {format}"),
        })
    }
}

/// Whether an input is anything but a regular file. What is not there is found out when it is
/// opened.
fn is_stream(location: &Location) -> anyhow::Result<bool> {
    let path = match location {
        Location::Standard => return Ok(true),
        Location::Object(_) => return Ok(false),
        Location::File(path) => path,
    };
    match path.metadata() {
        Ok(found) if found.is_dir() => bail!(
            "{}: this is a folder; name the files in it, with a pattern such as '{}'",
            path.display(),
            path.join("*.csv").display()
        ),
        Ok(found) => Ok(!found.is_file()),
        Err(_) => Ok(false),
    }
}

#[cfg(unix)]
fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    path.metadata()
        .is_ok_and(|found| found.file_type().is_fifo() || found.file_type().is_socket())
}

#[cfg(not(unix))]
fn is_pipe(_: &Path) -> bool {
    false
}

/// Counts what is done with; relaxed, because only a bar on the screen depends on it.
fn count(progress: &AtomicU64, bytes: usize) {
    progress.fetch_add(bytes as u64, Ordering::Relaxed);
}
