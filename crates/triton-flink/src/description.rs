//! What a model is, as the planner of Flink hands it over: options and columns, all as text.

use std::time::Duration;

use serde_json::Value as Json;
use triton_model_fn::{Column, FilledColumn, InferenceFunction, Schema};
use triton_options::{
    AUTH_TOKEN, AUTH_TOKEN_FILE, ConfigOption, CounterInitStrategy, DEFAULT_VALUE, Decoupled,
    ON_ERROR, OnError, OptionDefinition, OptionMap, OwnOptions, PositiveDuration, Presence,
    ROW_DEADLINE, SEQUENCE_ID, SEQUENCE_ID_SCOPE, SequenceIdScope, SequenceMode, SequenceRecovery,
    TIMEOUT, TritonOptions,
};

use crate::column_type::{self, NullAt};
use crate::failure::Failure;
use crate::pointed::{Pointed, addresses, as_written, is_about};
use crate::pointers::{self, Followed, Place};
use crate::wire::Reader;

/// Whether errors keep the values of their row to themselves.
pub(crate) const ROW_VALUES_REDACTED: ConfigOption<bool> = ConfigOption::declare(
    "row-values-redacted",
    Presence::Default("false"),
    "Leaves the values of a row out of the error that fails the job, for values that others must \
     not read. The error then has the number of the row in its subtask alone.",
);

/// The options that only this provider has.
static OWN: &[&OptionDefinition] = &[ROW_VALUES_REDACTED.definition()];

/// A checked model.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) options: TritonOptions,
    pub(crate) schema: Schema,
    /// When Flink gives up a row.
    pub(crate) row_timeout: Option<Duration>,
    /// Whether an error may say what is in its row.
    pub(crate) shows_values: bool,
}

impl Description {
    /// Reads and checks it; everything that is wrong is in the error at once.
    pub(crate) fn read(bytes: &[u8], place: Place<'_>) -> Result<Self, Failure> {
        let read = Self::read_known(bytes, place)?;
        read.ok_or_else(|| Failure::new("what options point to is not known while planning"))
    }

    /// Checks what can be checked while a query is planned.
    pub(crate) fn check(bytes: &[u8]) -> Result<(), Failure> {
        match Self::read_known(bytes, Place::Planning)? {
            Some(description) => description.function().map(drop),
            None => Ok(()),
        }
    }

    /// Nothing where nothing is wrong but what depends on values that are not known yet.
    fn read_known(bytes: &[u8], place: Place<'_>) -> Result<Option<Self>, Failure> {
        let mut reader = Reader::new(bytes);
        let mut options = OptionMap::new();
        let mut pointed = Pointed::new();
        let mut problems = Vec::new();
        for _ in 0..reader.count()? {
            let (key, value) = (reader.text()?, reader.text()?);
            if key == "error-handling-strategy" {
                problems.push(format!(
                    "option '{key}' is that of another provider: '{}' says what happens to a row \
                     that fails",
                    ON_ERROR.key()
                ));
                continue;
            }
            match pointers::follow(key, value, place) {
                Ok(followed) => {
                    let Followed {
                        key,
                        value,
                        written,
                    } = followed;
                    if let Some(written) = written {
                        pointed.insert(key.clone(), (written, value.clone()));
                    }
                    // Java has each key once, so one of the two is written otherwise.
                    if options.set(key, value).is_some() {
                        problems.push(format!(
                            "option '{}' names a file, and option '{}' is given as well: leave one \
                             of them out",
                            AUTH_TOKEN.key(),
                            AUTH_TOKEN_FILE.key()
                        ));
                    }
                }
                Err(problem) => problems.push(problem),
            }
        }
        let inputs = columns(&mut reader, "INPUT", &mut problems)?;
        let outputs = columns(&mut reader, "OUTPUT", &mut problems)?;
        let milliseconds = u64::from_le_bytes(reader.array()?);
        if !reader.is_empty() {
            return Err(Failure::new(
                "the description of the model is longer than it should be; \
                 do the jar and its library belong together?",
            ));
        }
        if !problems.is_empty() && matches!(place, Place::Subtask(_)) {
            // The rest was checked while the query was planned.
            return Err(Failure::new(problems.join("\n")));
        }
        let row_timeout = (milliseconds > 0).then(|| Duration::from_millis(milliseconds));
        let map = options.with_flink_units();
        let mut options = map.parse_known(OWN);
        if let (Ok((parsed, _)), Some(time)) = (&options, row_timeout)
            && let Some(earlier) = before_flink(&map, parsed, time)
        {
            options = Ok(earlier);
        }
        if let (Err(errors), Place::Planning) = (&options, place)
            && errors.iter().all(|error| is_about(error, &pointed))
        {
            // Nobody knows yet what they point to.
            let tried = addresses(&map, &pointed).find_map(|map| map.parse_known(OWN).ok());
            match tried {
                Some(parsed) => options = Ok(parsed),
                None if problems.is_empty() => return Ok(None),
                None => return Err(Failure::new(problems.join("\n"))),
            }
        }
        if let Ok((options, _)) = &options {
            let outputs = outputs.iter();
            problems.extend(outputs.filter_map(|output| never_null(output, options)));
        }
        let only_columns =
            |columns: Vec<Declared>| columns.into_iter().map(|it| it.column).collect();
        match options {
            Ok((options, own)) if problems.is_empty() => Ok(Some(Self {
                shows_values: own.get(&ROW_VALUES_REDACTED) != Some(true)
                    && !options.sequence_key_redacted,
                options,
                schema: Schema {
                    inputs: only_columns(inputs),
                    outputs: only_columns(outputs),
                },
                row_timeout,
            })),
            Ok(_) => Err(Failure::new(problems.join("\n"))),
            Err(errors) => {
                problems.insert(0, as_written(&errors, &pointed, place));
                Err(Failure::new(problems.join("\n")))
            }
        }
    }

    /// The function that is described, not open.
    pub(crate) fn function(&self) -> Result<InferenceFunction, Failure> {
        let function = InferenceFunction::new(self.options.clone(), self.schema.clone())?;
        // Flink gives the function of a model no part in its checkpoints.
        let function = function.for_engine_without_state();
        Ok(if self.time_ends_nothing() {
            function.keeping_idle_sequences()
        } else {
            function
        })
    }

    /// Whether time ends no sequence of a key unless an option asks for it.
    ///
    /// The rows of a key may be there and wait for long behind those of others in Flink's buffers; a
    /// sequence that was over because of that would give wrong answers, and nobody would know. Where
    /// rows say when a sequence ends, nothing else has to. Where lost sequences are rebuilt, or begun
    /// again and marked, one that the server has dropped meanwhile is a loss like any other. Where a
    /// loss fails the job it is none, so time ends it, and the next row is marked.
    fn time_ends_nothing(&self) -> bool {
        let options = &self.options;
        let ends = options.sequence_end_column.is_some() || options.sequence_max_length.is_some();
        let is_made_good = options.sequence_recovery != SequenceRecovery::Fail;
        (ends || is_made_good) && options.sequence_idle_timeout.is_none()
    }

    /// The name of the model.
    pub(crate) fn model(&self) -> &str {
        self.options.model_name.as_str()
    }

    /// The input columns in which rows carry the earlier ones of their key, and nothing for the model:
    /// what is wrong in them is not wrong with the row.
    pub(crate) fn histories(&self) -> Vec<usize> {
        let Some(histories) = &self.options.sequence_history_columns else {
            return Vec::new();
        };
        let tensors = self.options.input_names.as_ref();
        let is_history = |column: &Column| {
            histories.iter().any(|(_, array)| array == column.name)
                && tensors.is_none_or(|names| names.get(&column.name).is_none())
        };
        let inputs = self.schema.inputs.iter().enumerate();
        let found = inputs.filter(|(_, column)| is_history(column));
        found.map(|(index, _)| index).collect()
    }

    /// Whether rows share requests, so that their answers come in groups.
    pub(crate) fn gathers(&self) -> bool {
        gathers(&self.options)
    }

    /// The sequence IDs of a subtask, if nothing keeps them apart from those of another operator or job.
    pub(crate) fn shared_ids(&self, subtask: u32) -> Option<SharedIds> {
        let options = &self.options;
        let (endpoint, model) = (&options.endpoint, &options.model_name);
        let (beginning, advice) = match options.sequence_mode() {
            // No scope changes an ID that is sent as it is.
            SequenceMode::Static { id, .. } => (
                id.clone(),
                format!("Give each of them a '{}' of its own", SEQUENCE_ID.key()),
            ),
            mode => {
                let ids = mode.ids()?;
                let repeats = ids.scope == SequenceIdScope::Subtask
                    && ids.counter == CounterInitStrategy::Zero;
                let advice = format!(
                    "Set '{}' to 'run', or give each of them a '{}' of its own",
                    SEQUENCE_ID_SCOPE.key(),
                    SEQUENCE_ID.key()
                );
                repeats.then(|| (format!("{}-{subtask}", ids.base), advice))?
            }
        };
        Some(SharedIds {
            ids: format!("{endpoint} {model} {beginning}"),
            advice,
        })
    }
}

/// Sequence IDs that others may send as well.
#[derive(Debug)]
pub(crate) struct SharedIds {
    /// What names them: the server, the model, and what they begin with.
    pub(crate) ids: String,
    /// What to do where others do send them.
    pub(crate) advice: String,
}

/// When a row is given up that Flink gives up after `limit`: so that the error of this library comes
/// first, which names the row.
pub(crate) fn shortly_before(limit: Duration) -> Duration {
    let millisecond = Duration::from_millis(1);
    let margin = (limit / 10).clamp(millisecond, 500 * millisecond);
    // Options have whole milliseconds.
    let left = limit.saturating_sub(margin).as_millis();
    u64::try_from(left)
        .map_or(limit, Duration::from_millis)
        .max(millisecond)
}

/// The options where the model function gives a row up by itself shortly before Flink does, which is
/// after `time`.
///
/// Rows that share requests are then neither sent nor counted once they are given up, and a request
/// keeps others from being sent no longer than that. Of a stream, the answers that have come are kept.
/// A row of a sequence with others is a loss there: its request may be executed, and whoever just stopped
/// to wait for it would let it into the answers to the next rows. And whoever gives a row up there knows
/// the ID that it was sent with.
fn before_flink(
    map: &OptionMap,
    parsed: &TritonOptions,
    time: Duration,
) -> Option<(TritonOptions, OwnOptions)> {
    let (gathers, streams) = (gathers(parsed), parsed.decoupled == Decoupled::Stream);
    let most = shortly_before(time);
    let most_text = format!("{} ms", most.as_millis());
    let is_later = |it: PositiveDuration| it.get() > most;
    let changed = [
        // That of a stream is for each of its answers, and a row of a sequence keeps its deadline anyway.
        (
            TIMEOUT.key(),
            gathers && !streams && is_later(parsed.timeout),
        ),
        (ROW_DEADLINE.key(), parsed.row_deadline.is_none_or(is_later)),
    ];
    let changed = changed.into_iter().filter(|(_, is_changed)| *is_changed);
    let map = changed.fold(map.clone(), |map, (key, _)| map.with(key, &most_text));
    // A rule between these options and those that were given is no mistake of the user.
    map.parse_known(OWN).ok()
}

fn gathers(options: &TritonOptions) -> bool {
    options.batch_size.get() > 1 && *options.sequence_mode() == SequenceMode::None
}

/// A column as the planner has it.
struct Declared {
    column: Column,
    /// The type in Flink's words, which say of a column and of elements that they are never NULL.
    words: String,
}

/// Why an output column has to be nullable, if it is not: Flink would take what it reads where it is
/// NULL for a value. Those of the model are NULL where rows that fail are to be rows; those that the
/// function fills may be at any time.
fn never_null(declared: &Declared, options: &TritonOptions) -> Option<String> {
    let (name, on_error) = (&declared.column.name, options.on_error);
    let filled = filled(name, options);
    if on_error == OnError::Default
        && filled.is_none()
        && let Some(default) = by_default(name, options)
        && let Some(null) = column_type::null_at(&declared.words, &default)
    {
        let key = DEFAULT_VALUE.key();
        return Some(match null {
            NullAt::Top => format!(
                "OUTPUT column '{name}' is NOT NULL, but it is NULL in a row that is answered with \
                 the option '{key}': give it a value there, or leave NOT NULL out"
            ),
            NullAt::Element => format!(
                "OUTPUT column '{name}' has elements that are NOT NULL, but one is NULL in a row \
                 that is answered with the option '{key}': give it a value there, or leave NOT NULL \
                 out"
            ),
        });
    }
    if column_type::is_nullable(&declared.words) {
        return None;
    }
    let has_id = *options.sequence_mode() != SequenceMode::None && options.default_value.is_none();
    match filled {
        Some(filled) if !filled.is_nullable() => None,
        Some(FilledColumn::SequenceId) if on_error != OnError::Column && has_id => None,
        Some(_) if on_error != OnError::Column => Some(format!(
            "OUTPUT column '{name}' is NOT NULL, but the function leaves it NULL where it has \
             nothing to say: leave NOT NULL out"
        )),
        None if on_error != OnError::Column => None,
        _ => Some(format!(
            "OUTPUT column '{name}' is NOT NULL, but it is NULL in a row that cannot be answered \
             (option '{}'): leave NOT NULL out",
            ON_ERROR.key()
        )),
    }
}

/// What the function fills into a column of that name, unless an option says that it is the model's.
fn filled(name: &str, options: &TritonOptions) -> Option<FilledColumn> {
    let names = options.output_names.as_ref();
    match names.and_then(|names| names.get(name)) {
        Some(_) => None,
        None => FilledColumn::named(name),
    }
}

/// What a column of the model is where the default stands in for an answer; `None` where the default
/// does not say so, which is told elsewhere.
fn by_default(name: &str, options: &TritonOptions) -> Option<Json> {
    let default = serde_json::from_str(options.default_value.as_deref()?).ok()?;
    match default {
        // It stands for a row of several columns.
        Json::Object(mut by_column) => by_column.remove(name),
        // Of one column, or NULL for all of them.
        only => Some(only),
    }
}

fn columns(
    reader: &mut Reader<'_>,
    side: &str,
    problems: &mut Vec<String>,
) -> Result<Vec<Declared>, Failure> {
    let mut columns = Vec::new();
    for _ in 0..reader.count()? {
        let (name, data_type) = (reader.text()?, reader.text()?);
        match column_type::parse(&data_type) {
            Ok(parsed) => columns.push(Declared {
                column: Column::new(&name, parsed),
                words: data_type,
            }),
            Err(advice) => problems.push(format!("{side} column '{name}': {advice}")),
        }
    }
    Ok(columns)
}
