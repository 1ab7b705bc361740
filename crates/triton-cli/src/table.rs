//! CSV files as rows for a model, and answered rows as a CSV file.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use csv::StringRecord;
use fs_err::File;
use triton_model_fn::{Column, Prediction, Value};

use crate::cell;

/// The name of the column that `--with-sequence-id` adds.
const SEQUENCE_ID_COLUMN: &str = "sequence_id";

/// A row of the input, or why it cannot be used.
pub(crate) struct InputRow {
    /// Where the row is, for messages: "row 3 (line 4)".
    pub(crate) place: String,
    /// How many bytes of the file have been read up to here.
    pub(crate) bytes_read: u64,
    pub(crate) cells: anyhow::Result<InputCells>,
}

/// The cells of a row: as they were, and as values of the model's input columns.
pub(crate) struct InputCells {
    pub(crate) record: StringRecord,
    pub(crate) values: Vec<Value>,
}

/// Reads rows from a CSV file.
pub(crate) struct TableReader {
    reader: csv::Reader<File>,
    header: StringRecord,
    /// The model's input columns, and where the file has each of them.
    columns: Vec<(usize, Column)>,
    rows: u64,
    path: PathBuf,
}

impl TableReader {
    /// Opens a file and finds the model's input columns in its header.
    pub(crate) fn open(path: &Path, inputs: &[Column]) -> anyhow::Result<Self> {
        let file = File::open(path)?;
        // Rows of another length are found here, where they can be named.
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
        let header = reader
            .headers()
            .with_context(|| format!("{}: the header cannot be read", path.display()))?
            .clone();
        let mut columns = Vec::with_capacity(inputs.len());
        for column in inputs {
            let position = header.iter().position(|name| name == column.name);
            let position = position.ok_or_else(|| {
                anyhow!(
                    "{}: no column is named '{}', which the model takes; the header has: {}",
                    path.display(),
                    column.name,
                    header.iter().collect::<Vec<_>>().join(", ")
                )
            })?;
            columns.push((position, column.clone()));
        }
        Ok(Self {
            reader,
            header,
            columns,
            rows: 0,
            path: path.to_owned(),
        })
    }

    pub(crate) fn header(&self) -> &StringRecord {
        &self.header
    }

    fn cells(&self, record: StringRecord) -> anyhow::Result<InputCells> {
        if record.len() != self.header.len() {
            bail!(
                "expected {} cells, found {}",
                self.header.len(),
                record.len()
            );
        }
        let values = self.columns.iter().map(|(position, column)| {
            let text = record.get(*position).unwrap_or_default();
            cell::parse(&column.data_type, text)
                .map_err(|message| anyhow!("column '{}': {message}", column.name))
        });
        let values = values.collect::<Result<_, _>>()?;
        Ok(InputCells { record, values })
    }
}

impl Iterator for TableReader {
    /// An error means that the file itself cannot be read on.
    type Item = anyhow::Result<InputRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut record = StringRecord::new();
        let line = self.reader.position().line();
        let cells = match self.reader.read_record(&mut record) {
            Ok(false) => return None,
            Ok(true) => self.cells(record),
            Err(error) if error.is_io_error() => {
                let context = format!("{}: reading stopped", self.path.display());
                return Some(Err(anyhow::Error::new(error).context(context)));
            }
            Err(error) => Err(error.into()),
        };
        self.rows += 1;
        Some(Ok(InputRow {
            place: format!("row {} (line {line})", self.rows),
            bytes_read: self.reader.position().byte(),
            cells,
        }))
    }
}

/// Writes answered rows.
pub(crate) struct TableWriter {
    writer: csv::Writer<Box<dyn Write>>,
    with_sequence_id: bool,
}

impl TableWriter {
    /// Begins the output: to a file, or to standard output without one.
    pub(crate) fn create(
        path: Option<&Path>,
        header: &StringRecord,
        outputs: &[Column],
        with_sequence_id: bool,
    ) -> anyhow::Result<Self> {
        let added = outputs.iter().map(|column| column.name.as_str());
        let added: Vec<&str> = added
            .chain(with_sequence_id.then_some(SEQUENCE_ID_COLUMN))
            .collect();
        for (index, name) in added.iter().enumerate() {
            if header
                .iter()
                .chain(added[..index].iter().copied())
                .any(|taken| taken == *name)
            {
                bail!("the output would have two columns named '{name}': rename the input's");
            }
        }
        let sink: Box<dyn Write> = match path {
            Some(path) => Box::new(File::create(path)?),
            None => Box::new(std::io::stdout().lock()),
        };
        let mut writer = csv::Writer::from_writer(sink);
        writer.write_record(header.iter().chain(added))?;
        Ok(Self {
            writer,
            with_sequence_id,
        })
    }

    pub(crate) fn write(&mut self, input: &StringRecord, answer: &Prediction) -> csv::Result<()> {
        for field in input {
            self.writer.write_field(field)?;
        }
        for value in &answer.row {
            self.writer.write_field(cell::format(value))?;
        }
        if self.with_sequence_id {
            self.writer
                .write_field(answer.sequence_id.as_deref().unwrap_or_default())?;
        }
        self.writer.write_record(None::<&[u8]>)
    }

    pub(crate) fn finish(mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}
