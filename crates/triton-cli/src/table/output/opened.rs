//! An output from its opening to its end: a writer of its format, and the outlet that it writes to.

use std::io;

use triton_model_fn::Value;

use super::outlet::{Kept, Outlet};
use super::sink::Sink;
use super::{Added, Cut, Destination, Parts, TableWriter, Unwritten, WriteError};
use super::{csv::CsvWriter, ndjson::NdjsonWriter};
use crate::table::chunk::Answered;
use crate::table::format::Format;
use crate::table::layout::Layout;
use crate::table::row::Row;

/// An output that is being written.
pub(crate) struct Output {
    /// Missing once it has been ended.
    writer: Option<Box<dyn TableWriter>>,
    added: Added,
    destination: Destination,
    outlet: Outlet,
    /// Whether a checkpoint keeps its rows.
    has_checkpoints: bool,
    rows: u64,
    /// Whether nothing is left to do: it is complete, or what there is of it is kept.
    is_over: bool,
}

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
        let (target, outlet) = Outlet::open(destination, in_place, from)?;
        // From here on whatever fails ends the outlet, too.
        let mut output = Self {
            writer: None,
            added: added.clone(),
            destination: destination.clone(),
            outlet,
            has_checkpoints: parts.is_some(),
            rows: 0,
            is_over: false,
        };
        let sink = |target| Sink::new(target, destination.compression);
        let is_new = from.is_none_or(|cut| cut.bytes == 0);
        output.writer = Some(match format {
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
        });
        Ok(output)
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
        self.outlet.sync_name()?;
        Ok(cut)
    }

    /// Completes the output and gives it its name, all of it safely where it belongs.
    ///
    /// Where that fails, what there is can still be [kept](Self::abandon).
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.end()?;
        self.outlet.complete()?;
        self.is_over = true;
        Ok(())
    }

    /// Ends an output that will not be complete: what is left of it comes back, unless a checkpoint
    /// keeps its rows.
    pub(crate) fn abandon(mut self) -> io::Result<Option<Kept>> {
        self.is_over = true;
        if self.has_checkpoints {
            return Ok(None);
        }
        let is_ended = self.end().is_ok();
        self.outlet.give_up(&self.destination, self.rows, is_ended)
    }

    fn end(&mut self) -> io::Result<()> {
        match self.writer.take() {
            Some(writer) => writer.finish(),
            None => Err(io::Error::other("the output failed before")),
        }
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
            let _ = self.outlet.give_up(&self.destination, self.rows, false);
        }
    }
}
