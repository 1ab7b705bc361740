//! What a model is, as the planner of Flink hands it over: options and columns, all as text.

use std::time::Duration;

use triton_model_fn::{Column, FilledColumn, InferenceFunction, Schema};
use triton_options::{ON_ERROR, OnError, OptionMap, TritonOptions};

use crate::column_type;
use crate::failure::Failure;
use crate::wire::Reader;

/// A checked model.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) options: TritonOptions,
    pub(crate) schema: Schema,
    /// When Flink gives up a row.
    pub(crate) row_timeout: Option<Duration>,
}

impl Description {
    /// Reads and checks it; everything that is wrong is in the error at once.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let mut reader = Reader::new(bytes);
        let mut options = OptionMap::new();
        for _ in 0..reader.count()? {
            options.set(reader.text()?, reader.text()?);
        }
        let mut problems = Vec::new();
        let inputs = columns(&mut reader, "INPUT", &mut problems)?;
        let outputs = columns(&mut reader, "OUTPUT", &mut problems)?;
        let milliseconds = u64::from_le_bytes(reader.array()?);
        if !reader.is_empty() {
            return Err(Failure::new(
                "the description of the model is longer than it should be; \
                 do the jar and its library belong together?",
            ));
        }
        let options = options.with_flink_units().parse();
        if let Ok(options) = &options
            && options.on_error == OnError::Column
        {
            problems.extend(outputs.iter().filter_map(never_null));
        }
        let only_columns =
            |columns: Vec<Declared>| columns.into_iter().map(|it| it.column).collect();
        match options {
            Ok(options) if problems.is_empty() => Ok(Self {
                options,
                schema: Schema {
                    inputs: only_columns(inputs),
                    outputs: only_columns(outputs),
                },
                row_timeout: (milliseconds > 0).then(|| Duration::from_millis(milliseconds)),
            }),
            Ok(_) => Err(Failure::new(problems.join("\n"))),
            Err(errors) => {
                problems.insert(0, errors.to_string());
                Err(Failure::new(problems.join("\n")))
            }
        }
    }

    /// The function that is described, not open.
    pub(crate) fn function(&self) -> Result<InferenceFunction, Failure> {
        let function = InferenceFunction::new(self.options.clone(), self.schema.clone())?;
        // Flink gives the function of a model no part in its checkpoints.
        let function = function.for_engine_without_state();
        Ok(if self.tells_ends() {
            function.for_bounded_input()
        } else {
            function
        })
    }

    /// Whether rows say where sequences of keys end.
    ///
    /// Time then ends none unless it is asked to. The rows of a key may be there and wait for long
    /// behind those of others in Flink's buffers; a sequence that was over because of that would
    /// give wrong answers, and nobody would know.
    fn tells_ends(&self) -> bool {
        let options = &self.options;
        let ends = options.sequence_end_column.is_some() || options.sequence_max_length.is_some();
        ends && options.sequence_idle_timeout.is_none()
    }
}

/// A column as the planner has it.
struct Declared {
    column: Column,
    is_nullable: bool,
}

/// Why an output column has to be nullable, if it is not, where rows that fail are to be rows: Flink
/// would take what it reads there for a value.
fn never_null(
    Declared {
        column,
        is_nullable,
    }: &Declared,
) -> Option<String> {
    let name = &column.name;
    let is_always_there = FilledColumn::named(name).is_some_and(|it| !it.is_nullable());
    (!is_nullable && !is_always_there).then(|| {
        format!(
            "OUTPUT column '{name}' is NOT NULL, but it is NULL in a row that cannot be answered \
             (option '{}'): leave NOT NULL out",
            ON_ERROR.key()
        )
    })
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
                is_nullable: column_type::is_nullable(&data_type),
            }),
            Err(advice) => problems.push(format!("{side} column '{name}': {advice}")),
        }
    }
    Ok(columns)
}
