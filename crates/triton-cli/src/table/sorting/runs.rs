//! Sorted rows in a temporary file, in blocks that are read one after the other.
//!
//! The files have no name from the beginning, so that whatever ends the process removes them.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use anyhow::Context as _;

#[cfg(feature = "arrow")]
use super::batches;
use super::encoding::{Encoded, put_bytes, put_number};
use super::record::Record;

/// How many rows a block has at most, and how many bytes: when runs are merged, a block of each is
/// in memory.
const BLOCK_ROWS: usize = 1024;
const BLOCK_BYTES: usize = 256 * 1024;

/// Sorted rows that are all in their file.
#[derive(Debug)]
pub(super) struct Run {
    file: File,
    blocks: u64,
}

/// Writes sorted rows to a file.
pub(super) struct RunWriter {
    run: Run,
    block: Vec<Record>,
    bytes: usize,
}

/// Reads the rows of a file.
pub(super) struct RunReader {
    run: Run,
    block: std::vec::IntoIter<Record>,
}

impl RunWriter {
    pub(super) fn begin(folder: &Path) -> anyhow::Result<Self> {
        let file = tempfile::tempfile_in(folder)?;
        Ok(Self {
            run: Run { file, blocks: 0 },
            block: Vec::new(),
            bytes: 0,
        })
    }

    pub(super) fn push(&mut self, record: Record) -> anyhow::Result<()> {
        let size = record.size();
        let is_full = self.block.len() >= BLOCK_ROWS || self.bytes + size > BLOCK_BYTES;
        if is_full && !self.block.is_empty() {
            self.write_block()?;
        }
        self.bytes += size;
        self.block.push(record);
        Ok(())
    }

    fn write_block(&mut self) -> anyhow::Result<()> {
        let block = encoded(&self.block)?;
        self.run
            .file
            .write_all(&(block.len() as u64).to_le_bytes())?;
        self.run.file.write_all(&block)?;
        self.run.blocks += 1;
        self.block.clear();
        self.bytes = 0;
        Ok(())
    }

    pub(super) fn finish(mut self) -> anyhow::Result<Run> {
        if !self.block.is_empty() {
            self.write_block()?;
        }
        Ok(self.run)
    }
}

impl RunReader {
    pub(super) fn begin(mut run: Run) -> anyhow::Result<Self> {
        run.file.rewind()?;
        let block = Vec::new().into_iter();
        Ok(Self { run, block })
    }

    pub(super) fn next(&mut self) -> anyhow::Result<Option<Record>> {
        if self.block.len() == 0 && self.run.blocks > 0 {
            self.run.blocks -= 1;
            let mut length = [0; 8];
            self.run.file.read_exact(&mut length)?;
            let mut block = vec![0; usize::try_from(u64::from_le_bytes(length))?];
            self.run.file.read_exact(&mut block)?;
            self.block = decoded(&block)?.into_iter();
        }
        Ok(self.block.next())
    }
}

/// The bytes of a block: its rows, and behind them what is in record batches.
fn encoded(records: &[Record]) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    put_number(records.len() as u64, &mut bytes);
    for record in records {
        put_bytes(&record.key, &mut bytes);
        bytes.push(u8::from(record.is_usable) | u8::from(record.is_followed) << 1);
        put_bytes(&record.body, &mut bytes);
    }
    #[cfg(feature = "arrow")]
    batches::put(records, &mut bytes)?;
    Ok(bytes)
}

fn decoded(block: &[u8]) -> anyhow::Result<Vec<Record>> {
    let mut block = Encoded::new(block);
    let records = block.length()?;
    let records = (0..records).map(|_| {
        let key = block.bytes()?.into();
        let flags = block.byte()?;
        Ok(Record {
            key,
            is_usable: flags & 1 != 0,
            is_followed: flags & 2 != 0,
            body: block.bytes()?.into(),
            #[cfg(feature = "arrow")]
            batch: None,
        })
    });
    let records: Vec<Record> = records
        .collect::<anyhow::Result<_>>()
        .context("a block of rows cannot be read")?;
    #[cfg(feature = "arrow")]
    let records = batches::take(records, &mut block)?;
    Ok(records)
}
