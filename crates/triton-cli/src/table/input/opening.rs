//! Opens an input: by its first bytes, with the reader of its format.

use std::io::{self, Read};
use std::sync::Arc;
#[cfg(feature = "arrow")]
use std::sync::atomic::AtomicU64;

use anyhow::{anyhow, bail};
use fs_err::File;

#[cfg(feature = "arrow")]
use super::arrow;
use super::bytes::ByteStream;
use super::found::Input;
use super::limited::Limited;
#[cfg(feature = "parquet")]
use super::parquet;
#[cfg(feature = "parquet")]
use super::parquet_file::ParquetFile;
use super::table_reader::TableReader;
use super::wanted::Wanted;
use super::{csv, ndjson};
use crate::objects::Location;
use crate::table::foreign;
use crate::table::format::{Compression, Form, Format};

/// An input of which the first bytes are known.
pub(crate) struct LookedAt {
    pub(crate) format: Format,
    pub(crate) compression: Option<Compression>,
    input: Input,
    stream: ByteStream,
    #[cfg(feature = "arrow")]
    taken: Arc<AtomicU64>,
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
        let problem = foreign::contradiction(self.format, &stream.text_start());
        if let Some(problem) = problem.filter(|_| !input.is_said_to_be_text) {
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

impl Input {
    /// Looks at the first bytes.
    pub(crate) fn look(&self) -> anyhow::Result<LookedAt> {
        self.look_at(self.bytes_of())
    }

    /// Looks at the first of these bytes.
    pub(crate) fn look_at(
        &self,
        raw: io::Result<Box<dyn Read + Send>>,
    ) -> anyhow::Result<LookedAt> {
        // A counter for each opening: two inputs may be open at once.
        let taken = Arc::default();
        let stream =
            raw.and_then(|raw| ByteStream::new(raw, self.is_said_to_be_text, Arc::clone(&taken)));
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
}
