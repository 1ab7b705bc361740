//! The bytes of a Parquet file, of this machine or of a store, read where they are wanted.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::{Buf as _, Bytes};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};

use crate::objects::Object;

/// How much of the end of an object is read at once: with luck all of the footer is in it.
const TAIL: u64 = 64 * 1024;

/// How many parts of an object are kept. Timestamps of the old type are read a second time, a
/// little behind or ahead of the other columns, so that two row groups may be wanted at once.
const KEPT: usize = 2;

/// A file that is read where its rows are wanted.
#[derive(Clone)]
pub(super) enum ParquetFile {
    File(Arc<File>),
    Object(Arc<ObjectParts>),
}

/// An object, of which a row group is read as a whole: page by page it would be thousands of
/// requests.
pub(super) struct ObjectParts {
    object: Object,
    size: u64,
    row_groups: OnceLock<Vec<Range<u64>>>,
    kept: Mutex<VecDeque<(Range<u64>, Bytes)>>,
}

impl ParquetFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        // The reader clones the file and asks for its length, which only the plain type can.
        let file = fs_err::File::open(path)?.into_file();
        Ok(Self::File(Arc::new(file)))
    }

    /// An object that was opened before.
    pub(super) fn of_object(object: &Object) -> Self {
        Self::Object(Arc::new(ObjectParts {
            size: object.size().unwrap_or_default(),
            object: object.clone(),
            row_groups: OnceLock::new(),
            kept: Mutex::default(),
        }))
    }

    /// Says where the row groups are, once that is known.
    pub(super) fn divide(&self, metadata: &ParquetMetaData) {
        if let Self::Object(parts) = self {
            let groups = metadata.row_groups().iter();
            let groups = groups.filter_map(|group| extent(group, parts.size));
            let _ = parts.row_groups.set(groups.collect());
        }
    }

    /// Some bytes of it.
    pub(super) fn bytes_at(&self, start: u64, length: usize) -> io::Result<Bytes> {
        match self {
            Self::File(file) => Ok(file.get_bytes(start, length)?),
            Self::Object(parts) => parts.read(start, length),
        }
    }
}

/// Where a row group is, unless its file is damaged there.
fn extent(group: &RowGroupMetaData, size: u64) -> Option<Range<u64>> {
    let mut extent: Option<Range<u64>> = None;
    for column in group.columns() {
        let first = column.data_page_offset();
        let first = column
            .dictionary_page_offset()
            .map_or(first, |dictionary| dictionary.min(first));
        let start = u64::try_from(first).ok()?;
        let end = start.checked_add(u64::try_from(column.compressed_size()).ok()?)?;
        extent = Some(match extent {
            None => start..end,
            Some(extent) => extent.start.min(start)..extent.end.max(end),
        });
    }
    extent.filter(|extent| extent.end <= size)
}

impl ObjectParts {
    fn read(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let wanted = start..start.saturating_add(length as u64);
        if wanted.end > self.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let holds = |part: &Range<u64>| part.start <= wanted.start && wanted.end <= part.end;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((part, bytes)) = kept.iter().find(|(part, _)| holds(part)) {
            let from = usize::try_from(start - part.start).unwrap_or(usize::MAX);
            return Ok(bytes.slice(from..from + length));
        }
        let tail = self.size.saturating_sub(TAIL)..self.size;
        let groups = self.row_groups.get().map_or(&[][..], Vec::as_slice);
        let mut parts = groups.iter().chain([&tail]);
        let Some(part) = parts.find(|part| holds(part)) else {
            return Ok(self.object.read_range(wanted)?.into());
        };
        let bytes = Bytes::from(self.object.read_range(part.clone())?);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        let from = usize::try_from(start - part.start).unwrap_or(usize::MAX);
        let slice = bytes.slice(from..from + length);
        kept.push_back((part.clone(), bytes));
        Ok(slice)
    }
}

impl Length for ParquetFile {
    fn len(&self) -> u64 {
        match self {
            Self::File(file) => file.len(),
            Self::Object(parts) => parts.size,
        }
    }
}

impl ChunkReader for ParquetFile {
    type T = Box<dyn Read + Send>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(match self {
            Self::File(file) => Box::new(file.get_read(start)?),
            Self::Object(parts) => Box::new(PartsReader {
                parts: Arc::clone(parts),
                at: start,
                bytes: Bytes::new(),
            }),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        match self {
            Self::File(file) => file.get_bytes(start, length),
            Self::Object(parts) => Ok(parts.read(start, length)?),
        }
    }
}

/// Reads an object on from some byte.
struct PartsReader {
    parts: Arc<ObjectParts>,
    at: u64,
    bytes: Bytes,
}

impl Read for PartsReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        /// The head of a page is rarely longer.
        const AT_ONCE: u64 = 4 * 1024;
        if self.bytes.is_empty() {
            let length = (self.parts.size.saturating_sub(self.at)).min(AT_ONCE);
            // A row group that ends sooner is still read by itself.
            let groups = self.parts.row_groups.get().into_iter().flatten();
            let mut within = groups.filter(|group| group.contains(&self.at));
            let length = within
                .next()
                .map_or(length, |group| length.min(group.end - self.at));
            self.bytes = self.parts.read(self.at, length as usize)?;
            self.at += length;
        }
        let length = buffer.len().min(self.bytes.len());
        self.bytes.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
