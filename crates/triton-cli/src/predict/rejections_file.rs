//! The file of rejected rows: opened with the run, begun with its first row, cut back where a checkpoint
//! goes on with it.

use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use fs_err::{File, OpenOptions};

use crate::disk::{self, LEFT_ADVICE, Place};

/// The file, opened.
pub(super) struct RejectionsFile {
    file: BufWriter<File>,
    /// Where writing begins, until something is written: a run that ends before leaves the file
    /// of an earlier one alone.
    begins_at: Option<u64>,
    /// A pipe or a device keeps nothing that could be cut off or brought to a disk.
    is_regular: bool,
}

impl RejectionsFile {
    pub(super) fn open(path: &Path, bytes: u64) -> io::Result<Self> {
        let place = Place::of(path)?;
        let is_regular = !matches!(place, Place::Special { .. });
        let mut options = OpenOptions::new();
        options.write(true).truncate(false);
        match place {
            // What a shell has opened keeps what is in it.
            Place::Special { file } => options.append(file.is_some()),
            _ => options.read(bytes > 0).create(bytes == 0),
        };
        if is_regular {
            disk::check_unused(path)?;
        }
        let mut file = match is_regular && bytes > 0 {
            true => disk::open_left(path, &options, bytes)?,
            false => options.open(path)?,
        };
        if is_regular {
            disk::hold(&file)?;
        }
        if is_regular && bytes > 0 {
            let mut last = [0];
            file.seek(SeekFrom::Start(bytes - 1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                return Err(io::Error::other(format!(
                    "{} is not the file that the checkpoint recorded: no line ends at byte \
                     {bytes}; {LEFT_ADVICE}",
                    path.display()
                )));
            }
        }
        Ok(Self {
            file: BufWriter::new(file),
            begins_at: Some(bytes),
            is_regular,
        })
    }

    /// Cuts off what an earlier run wrote, before the first use.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        let Some(bytes) = self.begins_at.take().filter(|_| self.is_regular) else {
            return Ok(());
        };
        let file = self.file.get_mut();
        file.set_len(bytes)?;
        file.seek(SeekFrom::End(0))?;
        disk::sync_folder_of(file.path())
    }

    pub(super) fn add(&mut self, line: &str) -> io::Result<()> {
        self.begin()?;
        writeln!(self.file, "{line}")
    }

    pub(super) fn cut(&mut self) -> io::Result<u64> {
        if let Some(bytes) = self.begins_at {
            return Ok(bytes);
        }
        self.file.flush()?;
        if !self.is_regular {
            return Ok(0);
        }
        let file = self.file.get_mut();
        disk::sync_file(file)?;
        file.stream_position()
    }
}
