//! Where answered rows go: one output for all inputs, or one for each.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use anyhow::{Context as _, bail};
use triton_model_fn::{Prediction, Value};

use super::arguments::FileArguments;
use super::state::State;
use crate::disk::{self, LEFT_ADVICE};
use crate::objects::{Location, Object};
use crate::table::{
    self, Added, Answered, Cut, Destination, Form, Format, Input, Kept, Layout, Output, Parts, Row,
    Unwritten, WriteError,
};

/// The destinations of a run.
#[derive(Debug)]
pub(super) enum Plan {
    One(Destination),
    /// One for each input, in their order.
    Each(Vec<Destination>),
}

impl Plan {
    /// The destinations that the command line asks for.
    ///
    /// `formats` are those of the inputs.
    pub(super) fn new(
        arguments: &FileArguments,
        inputs: &[Input],
        formats: &[(Format, Option<table::Compression>)],
    ) -> anyhow::Result<Self> {
        let asked = arguments.output_format;
        let first = formats.first().map_or(Format::Csv, |(format, _)| *format);
        let output = arguments.output.as_deref();
        match output.filter(|path| path.as_os_str() != Input::STANDARD) {
            None => Ok(Plan::One(Destination {
                location: Location::Standard,
                // Nobody wants to see the bytes of a binary format who has not asked for them.
                format: asked.unwrap_or(match first {
                    Format::Csv => Format::Csv,
                    Format::Tsv => Format::Tsv,
                    _ => Format::Ndjson,
                }),
                compression: None,
                delimiter: delimiter(arguments, None),
            })),
            Some(path) => {
                let location = location(path)?;
                if is_folder(&location) {
                    return Self::each(&location, arguments, inputs, formats);
                }
                let path = location.named().unwrap_or(path);
                let (named, compression) = Format::of_path(path);
                let format = asked.or(named).unwrap_or(first);
                if let Some(other) = table::promised_by_name(path).filter(|_| asked.is_none()) {
                    bail!(
                        "{location}: the name promises {other}, which is not written: name it .csv, \
                         .ndjson, .parquet, .arrow or .arrows (text also .gz or .zst), or say \
                         --output-format"
                    );
                }
                if compression.is_some() && !format.can_be_continued() {
                    bail!(
                        "{location}: a file of the format {format} is compressed within, not as a whole; \
                         leave the last extension out"
                    );
                }
                Ok(Plan::One(Destination {
                    location,
                    format,
                    compression,
                    delimiter: delimiter(arguments, named),
                }))
            }
        }
    }

    fn each(
        folder: &Location,
        arguments: &FileArguments,
        inputs: &[Input],
        formats: &[(Format, Option<table::Compression>)],
    ) -> anyhow::Result<Self> {
        let mut taken: BTreeMap<String, &str> = BTreeMap::new();
        let mut destinations = Vec::new();
        for (input, (format, compression)) in inputs.iter().zip(formats) {
            let format = arguments.output_format.unwrap_or(*format);
            let compression = compression.filter(|_| format.can_be_continued());
            let mut name = input.stem();
            name.push('.');
            name.push_str(format.extension());
            if let Some(compression) = compression {
                name.push('.');
                name.push_str(compression.extension());
            }
            let location = match folder {
                Location::Object(folder) => Location::Object(folder.within(&name)?),
                folder => Location::File(folder.path().unwrap_or(Path::new("")).join(&name)),
            };
            if let Some(other) = taken.insert(name, input.name()) {
                bail!(
                    "the inputs {other} and {} would both be written to {}: rename one, or write \
                     them into folders of their own",
                    input.name(),
                    location
                );
            }
            destinations.push(Destination {
                location,
                format,
                compression,
                delimiter: delimiter(arguments, None),
            });
        }
        Ok(Plan::Each(destinations))
    }

    /// Refuses to go on with outputs that are not what they were at a checkpoint, before anything
    /// is written.
    pub(super) fn check_left(&self, state: &State, parts: &Parts) -> anyhow::Result<()> {
        let all = self.destinations();
        let complete = match self {
            _ if state.finished => all,
            Plan::One(_) => &[],
            Plan::Each(_) => all.get(..state.input).unwrap_or(all),
        };
        let paths = complete
            .iter()
            .filter_map(|destination| destination.location.path());
        for path in paths {
            if !path.try_exists()? {
                bail!(
                    "{} is gone, which was completed before: {LEFT_ADVICE}",
                    path.display()
                );
            }
        }
        match self.of(state.input).filter(|_| !state.finished) {
            Some(destination) => table::check_left(destination, parts, &state.output),
            None => Ok(()),
        }
    }

    /// Creates the folder that outputs go to.
    pub(super) fn create_folder(&self) -> io::Result<()> {
        let folder = match self {
            Plan::One(_) => None,
            Plan::Each(destinations) => destinations.first(),
        };
        let folder = folder.and_then(|destination| destination.location.path()?.parent());
        match folder.filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => disk::create_folder(folder),
            None => Ok(()),
        }
    }

    /// The destination of an input.
    fn of(&self, input: usize) -> Option<&Destination> {
        match self {
            Plan::One(destination) => Some(destination),
            Plan::Each(destinations) => destinations.get(input),
        }
    }

    pub(super) fn destinations(&self) -> &[Destination] {
        match self {
            Plan::One(destination) => std::slice::from_ref(destination),
            Plan::Each(destinations) => destinations,
        }
    }

    pub(super) fn goes_to_standard_output(&self) -> bool {
        matches!(self, Plan::One(destination) if destination.location == Location::Standard)
    }

    /// Refuses to write over what there is: rows that are run again are not all rows.
    pub(super) fn check_new(&self) -> anyhow::Result<()> {
        for destination in self.destinations() {
            let location = &destination.location;
            let is_there = match location {
                Location::Standard => false,
                Location::File(path) => path.is_file(),
                Location::Object(object) => object.exists()?,
            };
            if is_there {
                bail!(
                    "--retry-errors: the output {location} is there already, and the rows that are \
                     run again would take the place of all others: give them an output of their own"
                );
            }
        }
        Ok(())
    }

    pub(super) fn is_one(&self) -> bool {
        matches!(self, Plan::One(_))
    }

    /// The form in which rows of an input go on.
    pub(super) fn form(&self, input: usize) -> anyhow::Result<Form> {
        let destination = self.of(input).context("an input has no output")?;
        let form = destination.format.form();
        form.with_context(|| {
            format!(
                "this build of the command has no support for {}",
                destination.format
            )
        })
    }
}

/// What `--delimiter` says, unless the output is to be TSV by its name or `--output-format`.
fn delimiter(arguments: &FileArguments, named: Option<Format>) -> Option<u8> {
    let told = arguments.output_format.or(named);
    arguments.delimiter.filter(|_| told != Some(Format::Tsv))
}

/// What `--output` names.
fn location(output: &Path) -> anyhow::Result<Location> {
    let object = output.to_str().map(Object::at).transpose()?.flatten();
    Ok(match object {
        Some(object) => {
            object.check_writable()?;
            Location::Object(object)
        }
        None => Location::File(output.to_owned()),
    })
}

fn is_folder(location: &Location) -> bool {
    match location {
        Location::Standard => false,
        Location::File(path) => {
            path.is_dir() || path.as_os_str().to_string_lossy().ends_with(['/', '\\'])
        }
        Location::Object(object) => object.is_folder(),
    }
}

/// The output that is being written.
pub(super) struct Outputs {
    plan: Plan,
    added: Added,
    with_sequence_id: bool,
    /// Where parts of outputs are kept, if the run has checkpoints.
    parts: Option<Parts>,
    /// Where the first output is continued.
    from: Option<Cut>,
    current: Option<Output>,
    /// Rows that were written.
    pub(super) written: u64,
}

impl Outputs {
    pub(super) fn new(
        plan: Plan,
        added: Added,
        with_sequence_id: bool,
        parts: Option<Parts>,
        from: Option<Cut>,
    ) -> Self {
        Self {
            plan,
            added,
            with_sequence_id,
            parts,
            from,
            current: None,
            written: 0,
        }
    }

    /// Whether every input has an output of its own.
    pub(super) fn has_one_each(&self) -> bool {
        !self.plan.is_one()
    }

    /// Begins the output of an input, unless it is the one that is being written.
    pub(super) fn begin(&mut self, input: usize, layout: &Layout) -> anyhow::Result<()> {
        if self.plan.is_one() && self.current.is_some() {
            return Ok(());
        }
        self.finish().context("the output cannot be written")?;
        let destination = self.plan.of(input).context("an input has no output")?;
        let from = self.from.take();
        let output = Output::begin(
            destination,
            layout,
            &self.added,
            self.parts.as_ref(),
            from.as_ref(),
        );
        self.current = Some(output.context("the output cannot be written")?);
        Ok(())
    }

    pub(super) fn write(&mut self, row: &Row, prediction: Prediction) -> Result<(), WriteError> {
        let mut added = prediction.row;
        if self.with_sequence_id {
            added.push(prediction.sequence_id.map_or(Value::Null, Value::String));
        }
        let current = self.current.as_mut();
        let output = current.ok_or_else(|| io::Error::other("a row came before its input"))?;
        output.write(row, &added)?;
        self.written += 1;
        Ok(())
    }

    /// Writes rows of a chunk; what comes back are those that do not fit the output.
    pub(super) fn write_rows(&mut self, answered: &Answered<'_>) -> io::Result<Unwritten> {
        let current = self.current.as_mut();
        let output = current.ok_or_else(|| io::Error::other("a row came before its input"))?;
        let unwritten = output.write_rows(answered)?;
        self.written += (answered.rows.len() - unwritten.len()) as u64;
        Ok(unwritten)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        match &mut self.current {
            Some(writer) => writer.flush(),
            None => Ok(()),
        }
    }

    /// Brings the current output to the disk.
    pub(super) fn cut(&mut self) -> io::Result<Cut> {
        match &mut self.current {
            Some(writer) => writer.cut(),
            // Nothing was begun, so nothing was continued either.
            None => Ok(self.from.clone().unwrap_or_default()),
        }
    }

    /// Completes the current output and gives it its name.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if let Some(output) = &mut self.current {
            output.finish()?;
        }
        self.current = None;
        Ok(())
    }

    /// Ends the current output of a run that failed. What was written to it stays, under a name
    /// that says that it is not complete; what comes back says so.
    pub(super) fn abandon(&mut self) -> Option<String> {
        let output = self.current.take()?;
        let described = match output.abandon() {
            Ok(None) => return None,
            Ok(Some(Kept::NoObject {
                name,
                rows,
                leftover,
            })) => {
                let rows = match rows {
                    1 => "the row answered so far is".to_owned(),
                    rows => format!("the {rows} rows answered so far are"),
                };
                let leftover = leftover.map_or_else(String::new, |error| format!("; {error}"));
                format!("{rows} not kept: {name} is there as a whole or not at all{leftover}")
            }
            Ok(Some(Kept::File {
                path,
                rows,
                has_end,
            })) => {
                let what = match rows {
                    Some(1) => "the row answered so far is".to_owned(),
                    Some(rows) => format!("the {rows} rows answered so far are"),
                    None => "what could be written of the output is".to_owned(),
                };
                let flaw = match has_end {
                    true => "",
                    false => ", which breaks off",
                };
                format!("{what} kept in {}{flaw}", path.display())
            }
            Err(error) => format!("what was answered so far cannot be kept: {error}"),
        };
        Some(described)
    }
}

/// An error of writing, with what was to be written.
pub(super) fn not_written(error: io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context("the output cannot be written")
}
