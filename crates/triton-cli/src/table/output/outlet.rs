//! What an output is written to, and how that ends: which file or object is written, when it gets its
//! name, and what is left of it where the run fails. Nothing else decides on that.
//!
//! | | While it is written | When it is whole | When the run fails |
//! | --- | --- | --- | --- |
//! | a file | beside its name | is renamed | is renamed to `.partial` if it has rows, else removed |
//! | a file that a checkpoint goes on with | has its name | stays | stays, for the next run |
//! | an object | parts that nobody sees | becomes one | the parts are given up |
//! | a pipe, a device, standard output | is written directly | | |

use std::io::{self, BufRead as _, BufReader, Seek as _};
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};

use super::sink::{TailedFile, Target};
use super::{Cut, Destination, Parts};
use crate::disk::{self, Place, StagedFile};
use crate::objects::{Location, Upload};
use crate::pipe;
use crate::table::format::Format;

/// What an output is written to.
pub(super) enum Outlet {
    /// Nothing can take its place, and nothing can be taken back.
    Direct,
    /// A file that gets its name in the end.
    Staged(StagedFile),
    /// A file that had its name from the start, and whether the name is on the disk.
    InPlace { path: PathBuf, is_synced: bool },
    /// An object, which is there in the end.
    Upload(Upload),
}

/// What an output that failed leaves behind.
#[derive(Debug)]
pub(crate) enum Kept {
    /// A file that says by its name that it is not whole.
    File {
        path: PathBuf,
        /// How many rows it has, where all that were written are there.
        rows: Option<u64>,
        /// Whether the file has what belongs behind its last row.
        has_end: bool,
    },
    /// Nothing: an object is there as a whole or not at all.
    NoObject {
        name: String,
        rows: u64,
        /// Why the store still has what it was given.
        leftover: Option<io::Error>,
    },
}

/// How the end of a row looks like in a file that is cut off somewhere.
#[derive(Clone, Copy)]
pub(super) enum RowEnds {
    Line,
    LineOutsideQuotes,
}

impl RowEnds {
    /// Nothing where half a file is of no use.
    pub(super) fn of(destination: &Destination) -> Option<Self> {
        match destination.format {
            _ if destination.compression.is_some() => None,
            Format::Csv | Format::Tsv => Some(Self::LineOutsideQuotes),
            Format::Ndjson => Some(Self::Line),
            _ => None,
        }
    }
}

/// What is shorter holds no row in any format: at most its first bytes, which are always the same.
const LEAST_BYTES: u64 = 9;

impl Outlet {
    /// Opens what a destination leads to. With `in_place` a file has its name from the start, and is
    /// continued from where it was cut.
    pub(super) fn open(
        destination: &Destination,
        in_place: bool,
        from: Option<&Cut>,
    ) -> io::Result<(Target, Self)> {
        let path = match &destination.location {
            Location::Standard => {
                return Ok((Target::Standard(pipe::standard_output()?), Self::Direct));
            }
            Location::Object(object) => {
                let upload = object.upload()?;
                return Ok((Target::Object(upload.writer()), Self::Upload(upload)));
            }
            Location::File(path) => path,
        };
        let real = match Place::of(path)? {
            Place::Special { file } => {
                let mut options = OpenOptions::new();
                // What a shell has opened keeps what is in it.
                let options = options.write(true).append(file.is_some());
                return Ok((Target::Direct(pipe::open(path, options)?), Self::Direct));
            }
            Place::Folder { real } | Place::File { real, .. } | Place::Free { real } => real,
        };
        if in_place {
            let file = go_on(path, from)?;
            let outlet = Self::InPlace {
                path: real,
                is_synced: false,
            };
            return Ok((Target::File(file), outlet));
        }
        let staged = StagedFile::create(&real)?;
        let target = Target::File(TailedFile::new(staged.file()?));
        Ok((target, Self::Staged(staged)))
    }

    /// Brings the name to the disk, if it has one already.
    pub(super) fn sync_name(&mut self) -> io::Result<()> {
        match self {
            Self::InPlace { path, is_synced } if !*is_synced => {
                disk::sync_folder_of(path)?;
                *is_synced = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Gives what is whole its name, all of it safely where it belongs.
    pub(super) fn complete(&mut self) -> io::Result<()> {
        match self {
            Self::Direct => Ok(()),
            Self::Staged(file) => file.complete(),
            Self::InPlace { path, .. } => disk::sync_folder_of(path),
            Self::Upload(upload) => upload.complete(),
        }
    }

    /// Ends what will not be whole, after so many rows. `is_ended` says whether what belongs behind the
    /// last row could be written.
    pub(super) fn give_up(
        &mut self,
        destination: &Destination,
        rows: u64,
        is_ended: bool,
    ) -> io::Result<Option<Kept>> {
        let file = match self {
            Self::Direct | Self::InPlace { .. } => return Ok(None),
            Self::Upload(upload) => {
                let leftover = upload.abort().err();
                let is_told = rows > 0 || leftover.is_some();
                return Ok(is_told.then(|| Kept::NoObject {
                    name: destination.location.to_string(),
                    rows,
                    leftover,
                }));
            }
            Self::Staged(file) => file,
        };
        if rows == 0 {
            return Ok(None);
        }
        let row_ends = RowEnds::of(destination);
        if let Some(row_ends) = row_ends.filter(|_| !is_ended) {
            cut_to_last_row(file.unfinished(), row_ends)?;
        }
        let bytes = fs_err::metadata(file.unfinished())?.len();
        if !is_ended && bytes < LEAST_BYTES {
            return Ok(None);
        }
        Ok(Some(Kept::File {
            path: file.set_aside()?,
            rows: is_ended.then_some(rows),
            has_end: is_ended || row_ends.is_some(),
        }))
    }
}

/// Refuses to go on with an output that is not what it was at the checkpoint; nothing is changed.
pub(crate) fn check_left(
    destination: &Destination,
    parts: &Parts,
    cut: &Cut,
) -> anyhow::Result<()> {
    match destination.location.path() {
        Some(path) if cut.bytes > 0 => {
            let file = disk::open_left(path, OpenOptions::new().read(true), cut.bytes)?;
            TailedFile::at_cut(file, cut)?;
        }
        _ => {}
    }
    parts.check_left(&cut.parts)
}

/// Opens a file that has its name from the start, and cuts it off where it is continued.
fn go_on(path: &Path, from: Option<&Cut>) -> io::Result<TailedFile> {
    // Before a file is made that another one would replace.
    disk::check_unused(path)?;
    let cut = from.cloned().unwrap_or_default();
    let is_new = cut.bytes == 0;
    let mut options = OpenOptions::new();
    let options = options.read(!is_new).write(true).truncate(false);
    let file: File = match is_new {
        true => options.create(true).open(path)?,
        false => disk::open_left(path, options, cut.bytes)?,
    };
    disk::hold(&file)?;
    let mut file = match is_new {
        true => TailedFile::new(file),
        false => TailedFile::at_cut(file, &cut)?,
    };
    file.cut_off(&cut)?;
    Ok(file)
}

/// Cuts off what is no whole row: half a number could be taken for another one.
fn cut_to_last_row(path: &Path, row_ends: RowEnds) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut reader = BufReader::new(&file);
    reader.rewind()?;
    let (mut whole, mut read, mut in_quotes) = (0, 0, false);
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            break;
        }
        for byte in bytes {
            read += 1;
            match (byte, row_ends) {
                (b'"', RowEnds::LineOutsideQuotes) => in_quotes = !in_quotes,
                (b'\n', _) if !in_quotes => whole = read,
                _ => {}
            }
        }
        let length = bytes.len();
        reader.consume(length);
    }
    file.set_len(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_row_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for (text, row_ends, whole) in [
            ("a,b\n1,\"x\ny\"\n2,\"z\n", RowEnds::LineOutsideQuotes, 12),
            ("a,b\n1,\"\"\"\n\"\n20", RowEnds::LineOutsideQuotes, 12),
            ("{\"a\":\"\\\"\"}\n{\"a\":", RowEnds::Line, 11),
            ("a,", RowEnds::LineOutsideQuotes, 0),
        ] {
            std::fs::write(&path, text).unwrap();
            cut_to_last_row(&path, row_ends).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text[..whole]);
        }
    }
}
