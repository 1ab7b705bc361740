//! Inputs and outputs that fit each other and the model, and the run over them.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::anyhow;
use triton_model_fn::Schema;
use triton_options::{SEQUENCE_KEY, SEQUENCE_MAX_OPEN, TritonOptions};

use super::arguments::{Interval, OnError, PredictArguments};
use super::checkpoint::Checkpoints;
use super::ending::{Ending, conclude};
use super::events::Start;
use super::files::RunFiles;
use super::keys::{KeyColumns, LastRows};
use super::model::Taken;
use super::outputs::{Outputs, Plan};
use super::rate_limit::RateLimit;
use super::reader::{self, Inputs, Together};
use super::rejections::Rejections;
use super::scheduler::{Beginning, Scheduler};
use super::selection::Selection;
use super::sorting::{self, Sorting};
use super::state::{RunIdentity, State};
use super::subtasks::Subtasks;
use super::summary::{Counts, Summary};
use super::{identity, stall};
use crate::argument_values::ColumnList;
use crate::failure::Failure;
use crate::objects::Location;
use crate::progress::{Expected, Progress, say};
use crate::signals::Signals;
use crate::table::{
    self, Added, ChunkSize, Form, Input, InputSettings, Layout, Passing, TableReader, TextSettings,
    Wanted,
};

/// What an earlier run left behind.
#[derive(Default)]
pub(super) struct Resumed {
    pub(super) checkpoints: Option<Checkpoints>,
    pub(super) state: Option<State>,
}

/// Inputs and outputs that were found to fit each other and the model.
pub(super) struct Job {
    pub(super) inputs: Vec<(Input, Wanted)>,
    /// Those that can be opened only once, by their number.
    pub(super) streams: BTreeMap<usize, Box<dyn TableReader>>,
    pub(super) plan: Plan,
    added: Added,
    sorting: Option<Sorting>,
}

impl Job {
    /// Looks at every input, so that what does not fit is found before any row is sent.
    pub(super) fn prepare(
        arguments: &PredictArguments,
        names: &[String],
        files_of: impl FnOnce(&[Input], &Plan) -> anyhow::Result<RunFiles>,
        taken: &mut Taken,
        model_inputs: usize,
        is_undeclared: bool,
    ) -> Result<Self, Failure> {
        let text = TextSettings {
            delimiter: arguments.files_options.delimiter,
            longest_cell: arguments.files_options.max_field_bytes.get(),
            has_header: !arguments.files_options.no_header,
        };
        let files = &arguments.files_options;
        let settings = InputSettings {
            format: files.input_format,
            limit: files.limit.map(NonZeroU64::get),
            passing: Passing::new(
                ColumnList::all(&files.columns),
                ColumnList::all(&files.drop),
            )?,
            text,
        };
        let found = Input::find(names, &settings)?;
        if !arguments.reports.quiet {
            found.passed_over.iter().for_each(|told| say(told));
        }
        let inputs = found.inputs;
        check_readable_again(arguments, &inputs)?;
        // Each is opened again when its turn comes, except what can be read only once.
        let mut looked_at = BTreeMap::new();
        let mut formats = Vec::new();
        for (index, input) in inputs.iter().enumerate() {
            let looked = input.look()?;
            formats.push((looked.format, looked.compression));
            if input.is_stream() {
                looked_at.insert(index, looked);
            }
        }
        let plan = Plan::new(&arguments.files_options, &inputs, &formats)?;
        let files = files_of(&inputs, &plan)?;
        files.check_resumable()?;
        files.check()?;
        let with_sequence_id = arguments.files_options.with_sequence_id;
        let added = Added::new(&taken.schema.outputs, with_sequence_id);
        let mut columns: Arc<[_]> = taken.schema.inputs.clone().into();
        let optional: Arc<[_]> = taken.optional.clone().into();
        let key: Arc<[_]> = taken.key.clone().into();
        let mut first: Option<Arc<Layout>> = None;
        let mut streams = BTreeMap::new();
        let mut wanted_inputs = Vec::new();
        for (index, input) in inputs.into_iter().enumerate() {
            let mut wanted = Wanted {
                inputs: Arc::clone(&columns),
                model_inputs,
                optional: Arc::clone(&optional),
                key: Arc::clone(&key),
                // The first input decides for all.
                is_undeclared: is_undeclared && index == 0,
                beside: first.clone().filter(|_| plan.is_one()),
                form: plan.form(index)?,
            };
            let looked = match looked_at.remove(&index) {
                Some(looked) => looked,
                None => input.look()?,
            };
            let reader = looked.open(&wanted)?;
            if let Some(decided) = reader.decided() {
                columns = Arc::clone(decided);
                wanted.inputs = Arc::clone(decided);
            }
            wanted.is_undeclared = false;
            let layout = reader.layout();
            added
                .check(layout)
                .map_err(|error| input.unusable(&error))?;
            let destinations = plan.destinations();
            if let Some(destination) = destinations.get(if plan.is_one() { 0 } else { index }) {
                let checked = table::check_types(destination.format, layout);
                checked.map_err(|error| input.unusable(&error))?;
            }
            // An input of objects without any has no columns of its own; a pipe is not opened again.
            let has_columns = wanted.form == Form::Objects
                || input.is_stream()
                || layout.names().next().is_some();
            let first = match has_columns {
                true => first.get_or_insert_with(|| Arc::clone(layout)),
                false => layout,
            };
            if plan.is_one() {
                layout.check_beside(first, wanted.form).map_err(|reason| {
                    Failure::usage(anyhow!(
                        "{}: {reason}; --output DIR/ writes one output for each input",
                        input.name()
                    ))
                })?;
            }
            if input.is_stream() {
                streams.insert(index, reader);
            }
            wanted_inputs.push((input, wanted));
        }
        for (_, wanted) in &mut wanted_inputs {
            if plan.is_one() && wanted.beside.is_none() {
                wanted.beside.clone_from(&first);
            }
        }
        taken.schema.inputs = columns.to_vec();
        Ok(Self {
            inputs: wanted_inputs,
            streams,
            plan,
            added,
            sorting: None,
        })
    }

    /// Sorts the rows if that is asked for.
    pub(super) fn sort(
        &mut self,
        arguments: &PredictArguments,
        options: &TritonOptions,
        schema: &Schema,
    ) -> Result<(), Failure> {
        let arguments = &arguments.files_options;
        sorting::check(arguments, options, &self.plan)?;
        let keys = KeyColumns::find(options, &schema.inputs).filter(|_| arguments.sort_by_key);
        self.sorting = keys.map(|keys| Sorting::new(arguments, options, keys, &self.plan));
        Ok(())
    }

    /// Where each key has its last row, if the options leave it to the input to say so and the
    /// inputs can be read twice.
    ///
    /// Refused are inputs with more open keys at once than the model keeps sequences.
    pub(super) fn last_rows(
        &self,
        options: &TritonOptions,
        schema: &Schema,
        subtasks: &Subtasks,
    ) -> Result<Option<LastRows>, Failure> {
        let is_sorted = self.sorting.is_some();
        if is_sorted || !self.streams.is_empty() || options.sequence_end_column.is_some() {
            return Ok(None);
        }
        let Some(keys) = KeyColumns::find(options, &schema.inputs) else {
            return Ok(None);
        };
        let last_rows = LastRows::find(&self.inputs, &keys, subtasks)?;
        let limit = subtasks.places().and_then(|places| places.limit);
        // Time may end sequences as well, which no input tells.
        if let Some(limit) = limit.filter(|_| options.sequence_idle_timeout.is_none()) {
            let longest = options.sequence_max_length.map(|rows| rows.get().into());
            let most = last_rows.most_open(&self.inputs, &subtasks.sendable(), longest, limit)?;
            if most.keys > limit {
                let of_subtask = match subtasks.count() {
                    1 => String::new(),
                    count => format!(" in subtask {} of {count}", most.subtask),
                };
                let sequences = match limit {
                    1 => "1 sequence".to_owned(),
                    limit => format!("{limit} sequences"),
                };
                let why = match (options.sequence_max_open, subtasks.count()) {
                    (Some(_), _) => format!(" ('{}')", SEQUENCE_MAX_OPEN.key()),
                    (None, 1) => String::new(),
                    (None, count) => format!(
                        " (the {count} subtasks divide those that the model keeps among them; with \
                         --parallelism 1 there is one, which has them all)"
                    ),
                };
                return Err(Failure::usage(anyhow!(
                    "up to {} keys are open at once{of_subtask} (past their first row and before \
                     their last), but only {sequences} of model '{}' can be{why}, so rows would \
                     wait for each other for ever: {}",
                    most.keys,
                    options.model_name,
                    stall::advice(false)
                )));
            }
        }
        Ok(Some(last_rows))
    }

    fn total_bytes(&self) -> Option<u64> {
        self.inputs.iter().map(|(input, _)| input.bytes()).sum()
    }

    pub(super) fn identity(
        &self,
        arguments: &PredictArguments,
        options: &TritonOptions,
        schema: &Schema,
    ) -> Result<RunIdentity, Failure> {
        let inputs = self.inputs.iter().map(|(input, _)| input);
        let destinations = self.plan.destinations();
        identity::of_run(arguments, options, schema, inputs, destinations).map_err(Failure::usage)
    }

    pub(super) async fn run(
        self,
        arguments: &PredictArguments,
        options: &TritonOptions,
        subtasks: &mut Subtasks,
        on_error: OnError,
        last_rows: Option<LastRows>,
        resumed: Resumed,
    ) -> Result<(Ending, ExitCode), Failure> {
        let Resumed { checkpoints, state } = resumed;
        let selection = self.selection(arguments, subtasks)?;
        let selected = selection.as_ref().map(Selection::rows);
        let total_bytes = self.total_bytes();
        let to_standard_output = self.plan.goes_to_standard_output();
        let has_streams = !self.streams.is_empty();
        let is_whole = state.is_none();
        let passing = self
            .inputs
            .first()
            .map(|(input, _)| input.passing().clone());
        let (position, counts, errors_bytes, cut) = match state {
            Some(state) => {
                let position = Start {
                    input: state.input,
                    rows: state.rows,
                };
                let bytes = Some(state.errors_bytes);
                (position, state.counts, bytes, Some(state.output))
            }
            None => (Start::default(), Counts::default(), None, None),
        };
        self.plan.create_folder().map_err(Failure::usage)?;
        let rejections = Rejections::open(arguments.failures.errors.as_deref(), errors_bytes)?;
        let mut outputs = Outputs::new(
            self.plan,
            self.added,
            arguments.files_options.with_sequence_id,
            checkpoints
                .as_ref()
                .map(|checkpoints| checkpoints.parts().clone()),
            cut,
        );
        outputs.written = counts.written;
        let limit = arguments.files_options.limit.map(NonZeroU64::get);
        let most_rows = limit.map(|rows| rows.saturating_mul(self.inputs.len() as u64));
        let mut progress = Progress::start(&Expected {
            bytes: total_bytes,
            rows: most_rows,
            counts_from_first_row: counts.settled() > 0 || self.sorting.is_some(),
            rows_to_standard_output: to_standard_output,
            quiet: arguments.reports.quiet,
        });
        let mut signals = Signals::listen()?;
        let sorting = self.sorting.as_ref().map(Sorting::progress);
        let inputs = Inputs {
            inputs: self.inputs,
            streams: self.streams,
            selection,
            sorting: self.sorting,
            sendable: subtasks.sendable(),
            together: together(arguments, options, subtasks, on_error)?,
        };
        let (mut events, reader) = reader::start(inputs, position).map_err(Failure::usage)?;
        let rows_in_flight = subtasks.rows_in_flight(options);
        let mut scheduler = Scheduler::new(Beginning {
            subtasks,
            outputs,
            rejections,
            checkpoints,
            progress: &mut progress,
            on_error,
            rows_in_flight,
            in_order: !arguments.run.unordered,
            rate: arguments.run.rate,
            counts,
            position,
            last_rows,
            max_errors: arguments.failures.max_errors,
            sorting,
            give_up_after: arguments.failures.give_up_after,
        });
        let ran = scheduler.run(&mut events, &mut signals).await;
        scheduler.rejections.conclude(scheduler.progress);
        // Whatever a run ended by, what was answered is not thrown away.
        let kept = match ran {
            Ok(Ending::Failed { .. }) | Err(_) => scheduler.outputs.abandon(),
            Ok(_) => None,
        };
        let summary = Summary {
            counts: scheduler.counts,
            resumed_after: counts.settled(),
            elapsed: scheduler.progress.elapsed(),
            subtasks: arguments.run.parallelism,
            open_sequences: scheduler.subtasks.open_sequences(),
            latencies: scheduler.latencies,
            interrupted: ran.as_ref().is_ok_and(Ending::is_interrupted),
        };
        progress.finish();
        if let Some(kept) = kept {
            say(&kept);
        }
        drop(events);
        let ending = ran?;
        // After the last row the thread has nothing more to do; before, it may wait for a pipe.
        if ending.is_complete() && reader.join().is_err() {
            return Err(Failure::internal(anyhow!(
                "the thread that reads has failed"
            )));
        }
        let found = summary.counts.read;
        // Of what an earlier run has read nobody knows.
        let is_whole = is_whole && arguments.files_options.limit.is_none();
        if is_whole && found > 0 && ending.is_complete() && !arguments.reports.quiet {
            let not_found = passing.iter().flat_map(Passing::not_found);
            not_found.for_each(|told| say(&told));
        }
        if let Some(selected) = selected.filter(|rows| ending.is_complete() && *rows > found) {
            return Err(Failure::usage(anyhow!(
                "--retry-errors names {selected} rows, of which the inputs have only {found}: they \
                 are not the inputs of that run; the rows found are in the output"
            )));
        }
        let code = conclude(arguments, &ending, &summary, has_streams)?;
        Ok((ending, code))
    }

    /// The rows that are wanted, if not all of them are.
    fn selection(
        &self,
        arguments: &PredictArguments,
        subtasks: &Subtasks,
    ) -> Result<Option<Selection>, Failure> {
        let Some(path) = &arguments.failures.retry_errors else {
            return Ok(None);
        };
        if subtasks.has_keys() {
            return Err(Failure::usage(anyhow!(
                "--retry-errors: with '{}' a row means nothing without the rows of its key before \
                 it; run the whole input again",
                SEQUENCE_KEY.key()
            )));
        }
        self.plan.check_new()?;
        let inputs = self.inputs.iter().map(|(input, _)| input);
        Ok(Some(Selection::read(path, inputs)?))
    }
}

/// The fewest rows that are handed over together: smaller requests leave side by side.
const LEAST_TOGETHER: usize = 1024;

/// How rows are handed over together, if they are.
fn together(
    arguments: &PredictArguments,
    options: &TritonOptions,
    subtasks: &Subtasks,
    on_error: OnError,
) -> Result<Option<Together>, Failure> {
    let builder = subtasks.input_rows().map_err(Failure::internal)?;
    let full = subtasks.rows_in_request(options);
    Ok(builder.map(|builder| Together {
        builder,
        size: ChunkSize {
            rows: full
                .saturating_mul((LEAST_TOGETHER / full).max(1))
                .min(RateLimit::most_together(arguments.run.rate)),
            bytes: LARGEST_CHUNK,
        },
        full,
        every: match (
            &arguments.checkpoints.checkpoint,
            arguments.checkpoints.checkpoint_every,
        ) {
            (Some(_), Interval::Rows(rows)) => Some(rows),
            _ => None,
        },
        ends_at_unusable: on_error == OnError::Fail,
    }))
}

/// About how much memory the rows take that are handed over together.
const LARGEST_CHUNK: usize = 8 * 1024 * 1024;

/// Refuses to go on after the end of the process with what can be read only once.
fn check_readable_again(arguments: &PredictArguments, inputs: &[Input]) -> Result<(), Failure> {
    let stream = inputs.iter().find(|input| input.is_stream());
    let Some(stream) = stream.filter(|_| arguments.checkpoints.checkpoint.is_some()) else {
        return Ok(());
    };
    Err(Failure::usage(match stream.location {
        Location::Standard => {
            anyhow!("--checkpoint: standard input cannot be read a second time: name a file")
        }
        Location::File(_) | Location::Object(_) => anyhow!(
            "--checkpoint: {} is no regular file, and cannot be read a second time: name a file",
            stream.name()
        ),
    }))
}
