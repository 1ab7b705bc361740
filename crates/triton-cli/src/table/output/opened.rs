//! An output from its opening to its end: which file is written, and when it gets its name.
//!
//! A file is written beside its name and gets it when it is whole, unless a checkpoint goes on
//! with it. What is no regular file, such as a pipe, is written directly.

use std::io::{self, BufRead as _, BufReader, Seek as _};
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};
use triton_model_fn::Value;

use super::sink::{Sink, TailedFile, Target};
use super::{Added, Cut, Destination, Parts, TableWriter, Unwritten, WriteError};
use super::{csv::CsvWriter, ndjson::NdjsonWriter};
use crate::disk::{self, Place, StagedFile};
use crate::table::chunk::Answered;
use crate::table::format::Format;
use crate::table::row::{Layout, Row};

/// An output that is being written.
pub(crate) struct Output {
    /// Missing once it has been ended.
    writer: Option<Box<dyn TableWriter>>,
    added: Added,
    naming: Naming,
    row_ends: Option<RowEnds>,
    /// Whether a checkpoint keeps its rows.
    has_checkpoints: bool,
    rows: u64,
    /// Whether nothing is left to do: it is complete, or what there is of it is kept.
    is_over: bool,
}

/// How a file gets its name.
enum Naming {
    /// It has none, or it is no file that could be given one.
    None,
    /// In the end.
    Staged(StagedFile),
    /// It had it from the start, and the name is on the disk or not yet.
    InPlace { path: PathBuf, is_synced: bool },
}

/// How the end of a row looks like in a file that is cut off somewhere.
#[derive(Clone, Copy)]
enum RowEnds {
    Line,
    LineOutsideQuotes,
}

/// What an output that failed leaves behind.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) path: PathBuf,
    /// How many rows it has, where all that were written are there.
    pub(crate) rows: Option<u64>,
    /// Whether the file has what belongs behind its last row.
    pub(crate) has_end: bool,
}

/// What is shorter holds no row in any format: at most its first bytes, which are always the same.
const LEAST_BYTES: u64 = 9;

impl Output {
    /// Begins an output, or goes on with it from where it was cut.
    ///
    /// `parts` are those of a run with checkpoints, which an output may be joined from.
    pub(crate) fn begin(
        destination: &Destination,
        layout: &Layout,
        added: &Added,
        parts: Option<&Parts>,
        from: Option<&Cut>,
    ) -> anyhow::Result<Self> {
        let format = destination.format;
        let in_place = parts.is_some() && format.can_be_continued();
        let (target, naming) = open(destination, in_place, from)?;
        let row_ends = match format {
            _ if destination.compression.is_some() => None,
            Format::Csv | Format::Tsv => Some(RowEnds::LineOutsideQuotes),
            Format::Ndjson => Some(RowEnds::Line),
            _ => None,
        };
        let sink = |target| Sink::new(target, destination.compression);
        let is_new = from.is_none_or(|cut| cut.bytes == 0);
        let writer: Box<dyn TableWriter> = match format {
            Format::Csv | Format::Tsv => {
                let delimiter = destination.delimiter.unwrap_or(format.delimiter());
                let sink = sink(target)?;
                Box::new(CsvWriter::new(sink, delimiter, layout, added, is_new)?)
            }
            Format::Ndjson => Box::new(NdjsonWriter::new(sink(target)?, added)),
            #[cfg(feature = "arrow")]
            _ => super::columns::create(target, destination, layout, added, parts, from)?,
            #[cfg(not(feature = "arrow"))]
            _ => anyhow::bail!("this build of the command has no support for {format}"),
        };
        Ok(Self {
            writer: Some(writer),
            added: added.clone(),
            naming,
            row_ends,
            has_checkpoints: parts.is_some(),
            rows: 0,
            is_over: false,
        })
    }

    pub(crate) fn write(&mut self, row: &Row, added: &[Value]) -> Result<(), WriteError> {
        self.writer()?.write(row, added)?;
        self.rows += 1;
        Ok(())
    }

    /// Writes rows of a chunk; what comes back are those that do not fit the output.
    pub(crate) fn write_rows(&mut self, answered: &Answered<'_>) -> io::Result<Unwritten> {
        let Some(writer) = &mut self.writer else {
            return Err(io::Error::other("the output failed before"));
        };
        let unwritten = writer.write_rows(answered, &self.added)?;
        self.rows += (answered.rows.len() - unwritten.len()) as u64;
        Ok(unwritten)
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.writer()?.flush()
    }

    /// Brings everything written so far to the disk.
    pub(crate) fn cut(&mut self) -> io::Result<Cut> {
        let cut = self.writer()?.cut()?;
        if let Naming::InPlace { path, is_synced } = &mut self.naming
            && !*is_synced
        {
            disk::sync_folder_of(path)?;
            *is_synced = true;
        }
        Ok(cut)
    }

    /// Completes the output and gives it its name, all of it safely on the disk.
    ///
    /// Where that fails, what there is can still be [kept](Self::abandon).
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.end()?;
        match &mut self.naming {
            Naming::None => {}
            Naming::Staged(file) => file.complete()?,
            Naming::InPlace { path, .. } => disk::sync_folder_of(path)?,
        }
        self.is_over = true;
        Ok(())
    }

    /// Ends an output that will not be complete: its rows stay, under a name that says so, unless
    /// a checkpoint keeps them.
    pub(crate) fn abandon(mut self) -> io::Result<Option<Kept>> {
        self.is_over = self.has_checkpoints;
        if self.has_checkpoints {
            return Ok(None);
        }
        let ended = self.end();
        self.set_aside(ended.is_ok())
    }

    fn end(&mut self) -> io::Result<()> {
        match self.writer.take() {
            Some(writer) => writer.finish(),
            None => Err(io::Error::other("the output failed before")),
        }
    }

    fn set_aside(&mut self, is_whole: bool) -> io::Result<Option<Kept>> {
        self.is_over = true;
        let Naming::Staged(file) = &mut self.naming else {
            return Ok(None);
        };
        if self.rows == 0 {
            return Ok(None);
        }
        if let Some(row_ends) = self.row_ends.filter(|_| !is_whole) {
            cut_to_last_row(file.unfinished(), row_ends)?;
        }
        let bytes = fs_err::metadata(file.unfinished())?.len();
        if !is_whole && bytes < LEAST_BYTES {
            return Ok(None);
        }
        Ok(Some(Kept {
            path: file.set_aside()?,
            rows: is_whole.then_some(self.rows),
            has_end: is_whole || self.row_ends.is_some(),
        }))
    }

    fn writer(&mut self) -> io::Result<&mut dyn TableWriter> {
        match &mut self.writer {
            Some(writer) => Ok(writer.as_mut()),
            None => Err(io::Error::other("the output failed before")),
        }
    }
}

impl Drop for Output {
    /// After a panic: what is there is kept as it is.
    fn drop(&mut self) {
        drop(self.writer.take());
        if !self.is_over && !self.has_checkpoints {
            // There is nobody left to tell.
            let _ = self.set_aside(false);
        }
    }
}

/// Opens what a destination leads to.
fn open(
    destination: &Destination,
    in_place: bool,
    from: Option<&Cut>,
) -> io::Result<(Target, Naming)> {
    let Some(path) = &destination.path else {
        return Ok((Target::Standard(io::stdout()), Naming::None));
    };
    let real = match Place::of(path)? {
        Place::Special { file } => {
            let mut options = OpenOptions::new();
            // What a shell has opened keeps what is in it.
            let options = options.write(true).append(file.is_some());
            return Ok((Target::Direct(options.open(path)?), Naming::None));
        }
        Place::Folder { real } | Place::File { real, .. } | Place::Free { real } => real,
    };
    if in_place {
        let file = go_on(path, from)?;
        let naming = Naming::InPlace {
            path: real,
            is_synced: false,
        };
        return Ok((Target::File(file), naming));
    }
    let staged = StagedFile::create(&real)?;
    let target = Target::File(TailedFile::new(staged.file()?));
    Ok((target, Naming::Staged(staged)))
}

/// Refuses to go on with an output that is not what it was at the checkpoint; nothing is changed.
pub(crate) fn check_left(
    destination: &Destination,
    parts: &Parts,
    cut: &Cut,
) -> anyhow::Result<()> {
    match &destination.path {
        Some(path) if cut.bytes > 0 => {
            let file = open_left(path, OpenOptions::new().read(true))?;
            TailedFile::at_cut(file, cut)?;
        }
        _ => {}
    }
    parts.check_left(&cut.parts)
}

/// Opens a file that has its name from the start, and cuts it off where it is gone on with.
fn go_on(path: &Path, from: Option<&Cut>) -> io::Result<TailedFile> {
    let cut = from.cloned().unwrap_or_default();
    let is_new = cut.bytes == 0;
    let mut options = OpenOptions::new();
    let options = options.read(!is_new).write(true).truncate(false);
    let file = match is_new {
        true => options.create(true).open(path)?,
        false => open_left(path, options)?,
    };
    disk::hold(&file)?;
    let mut file = match is_new {
        true => TailedFile::new(file),
        false => TailedFile::at_cut(file, &cut)?,
    };
    file.cut_off(&cut)?;
    Ok(file)
}

/// Opens a file that must be there.
fn open_left(path: &Path, options: &OpenOptions) -> io::Result<File> {
    options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::other(format!(
            "{} is gone, which the checkpoint goes on with: put it back, or take another folder \
             for --checkpoint to begin anew",
            path.display()
        )),
        _ => error,
    })
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
