//! The output columns that the function fills in by itself: what happened to a row, and in which
//! sequence.

use triton_options::{ON_ERROR, OnError, TritonOptions};

use crate::{Column, DataType, Error, ErrorKind, Prediction, Schema, Value};

/// What a function fills into an output column of a certain name, unless the model has an output
/// of that name, which wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FilledColumn {
    /// `sequence_restarted`: whether the key's earlier rows are missing in what the model knows. It is
    /// for models with sequences of several rows alone.
    SequenceRestarted,
    /// `prediction_status`: the [name](crate::PredictionStatus::name) of what happened to the row.
    PredictionStatus,
    /// `prediction_error`: the text of the error with its causes; NULL where the model answered.
    PredictionError,
    /// `prediction_http_status`: the status of the server's last answer; NULL where none could be
    /// read.
    PredictionHttpStatus,
    /// `sequence_id`: the sequence ID that the request took, a number as its digits; NULL where it
    /// took none.
    SequenceId,
    /// `prediction_index`: the number of the row among the answers to its input row, from 0 on.
    PredictionIndex,
    /// `prediction_last`: whether the row is the last answer to its input row.
    PredictionLast,
}

impl FilledColumn {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        FilledColumn::SequenceRestarted,
        FilledColumn::PredictionStatus,
        FilledColumn::PredictionError,
        FilledColumn::PredictionHttpStatus,
        FilledColumn::SequenceId,
        FilledColumn::PredictionIndex,
        FilledColumn::PredictionLast,
    ];

    /// The name of the column.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FilledColumn::SequenceRestarted => "sequence_restarted",
            FilledColumn::PredictionStatus => "prediction_status",
            FilledColumn::PredictionError => "prediction_error",
            FilledColumn::PredictionHttpStatus => "prediction_http_status",
            FilledColumn::SequenceId => "sequence_id",
            FilledColumn::PredictionIndex => "prediction_index",
            FilledColumn::PredictionLast => "prediction_last",
        }
    }

    /// The one of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.name() == name)
    }

    /// The types that the column can have.
    #[must_use]
    pub fn data_types(self) -> &'static [DataType] {
        match self {
            FilledColumn::SequenceRestarted | FilledColumn::PredictionLast => &[DataType::Boolean],
            FilledColumn::PredictionHttpStatus | FilledColumn::PredictionIndex => {
                &[DataType::Integer, DataType::BigInt]
            }
            FilledColumn::PredictionStatus
            | FilledColumn::PredictionError
            | FilledColumn::SequenceId => &[DataType::String],
        }
    }

    /// The column, in the first of its types.
    #[must_use]
    pub fn column(self) -> Column {
        Column::new(self.name(), self.data_types()[0].clone())
    }

    /// Whether there are rows in which it is NULL.
    #[must_use]
    pub fn is_nullable(self) -> bool {
        !matches!(
            self,
            FilledColumn::SequenceRestarted
                | FilledColumn::PredictionStatus
                | FilledColumn::PredictionIndex
                | FilledColumn::PredictionLast
        )
    }

    /// Whether it tells rows that failed from others, in whose columns NULL may mean something else.
    fn tells_failures(self) -> bool {
        matches!(
            self,
            FilledColumn::PredictionStatus | FilledColumn::PredictionError
        )
    }

    fn value(self, data_type: &DataType, prediction: &Prediction) -> Value {
        let text = |text: &str| Value::String(text.to_owned());
        match self {
            FilledColumn::SequenceRestarted => Value::Boolean(prediction.sequence_restarted),
            FilledColumn::PredictionStatus => text(prediction.status.name()),
            FilledColumn::PredictionError => match prediction.status.error() {
                Some(error) => Value::String(error.with_causes()),
                None => Value::Null,
            },
            FilledColumn::PredictionHttpStatus => {
                match (prediction.status.http_status(), data_type) {
                    (None, _) => Value::Null,
                    (Some(status), DataType::BigInt) => Value::BigInt(status.into()),
                    (Some(status), _) => Value::Integer(status.into()),
                }
            }
            FilledColumn::SequenceId => match &prediction.sequence_id {
                Some(id) => text(id),
                None => Value::Null,
            },
            FilledColumn::PredictionIndex => match data_type {
                DataType::BigInt => {
                    Value::BigInt(i64::try_from(prediction.part).unwrap_or(i64::MAX))
                }
                _ => Value::Integer(i32::try_from(prediction.part).unwrap_or(i32::MAX)),
            },
            FilledColumn::PredictionLast => Value::Boolean(prediction.is_last),
        }
    }
}

/// Refuses a schema in which nothing would say which rows failed, although they are no errors.
pub(crate) fn check(options: &TritonOptions, schema: &Schema) -> Result<(), Error> {
    let mut named = schema
        .outputs
        .iter()
        .filter_map(|column| FilledColumn::named(&column.name));
    if options.on_error != OnError::Column || named.any(FilledColumn::tells_failures) {
        return Ok(());
    }
    let message = format!(
        "option '{}' is 'column', but no output column says which rows failed: add {}",
        ON_ERROR.key(),
        one_to_add(|_| false)
    );
    Err(Error::new(ErrorKind::Schema, message))
}

/// The columns of which one is missing, of those whose names are not taken.
fn one_to_add(is_taken: impl Fn(&str) -> bool) -> String {
    let all = FilledColumn::ALL.iter().filter(|it| it.tells_failures());
    let free = all.filter(|it| !is_taken(it.name()));
    let declared = free.map(|it| format!("'{} {}'", it.name(), it.data_types()[0]));
    declared.collect::<Vec<_>>().join(" or ")
}

/// Where the columns of a schema are that the function fills in.
#[derive(Debug, Default)]
pub(crate) struct FilledColumns(Vec<Place>);

#[derive(Debug)]
struct Place {
    index: usize,
    column: FilledColumn,
    data_type: DataType,
}

impl FilledColumns {
    /// Finds those of a schema.
    ///
    /// `has_state` says whether the model keeps sequences of several rows, and `is_models` whether a
    /// name is one of the model's outputs.
    pub(crate) fn find(
        options: &TritonOptions,
        schema: &Schema,
        has_state: bool,
        is_models: impl Fn(&str) -> bool,
    ) -> Result<Self, Error> {
        let mut places = Vec::new();
        let (mut wrong, mut taken) = (Vec::new(), Vec::new());
        for (index, Column { name, data_type }) in schema.outputs.iter().enumerate() {
            let Some(column) = FilledColumn::named(name) else {
                continue;
            };
            if is_models(name) {
                taken.push(format!("'{name}'"));
                continue;
            }
            // Without such a state nothing can start over, and asking for it is a mistake.
            if column == FilledColumn::SequenceRestarted && !has_state {
                continue;
            }
            let types = column.data_types();
            if !types.contains(data_type) {
                let types: Vec<String> = types.iter().map(ToString::to_string).collect();
                wrong.push(format!(
                    "output column '{name}' is {data_type}, but the function fills it in and needs \
                     {}: the model has no output of that name",
                    types.join(" or ")
                ));
            }
            places.push(Place {
                index,
                column,
                data_type: data_type.clone(),
            });
        }
        let mut filled = places.iter().map(|place| place.column);
        if options.on_error == OnError::Column && !filled.any(FilledColumn::tells_failures) {
            let missing = one_to_add(&is_models);
            let advice = match missing.is_empty() {
                true => "leave the option out".to_owned(),
                false => format!("add {missing}"),
            };
            wrong.push(format!(
                "option '{}' is 'column', but nothing would say which rows failed, because the model \
                 itself has an output {}: {advice}",
                ON_ERROR.key(),
                taken.join(" and "),
            ));
        }
        if !places.is_empty() && places.len() == schema.outputs.len() {
            wrong.push("OUTPUT has no column of the model: name at least one tensor".to_owned());
        }
        match wrong.is_empty() {
            true => Ok(Self(places)),
            false => Err(Error::new(ErrorKind::Schema, wrong.join("; "))),
        }
    }

    /// The columns of a schema that are the model's own.
    pub(crate) fn others(&self, outputs: &[Column]) -> Vec<Column> {
        let is_filled = |index| self.0.iter().any(|place| place.index == index);
        let others = outputs.iter().enumerate();
        let others = others.filter(|(index, _)| !is_filled(*index));
        others.map(|(_, column)| column.clone()).collect()
    }

    /// Puts these columns among those of the model.
    pub(crate) fn fill(&self, prediction: &mut Prediction) {
        for place in &self.0 {
            let value = place.column.value(&place.data_type, prediction);
            prediction.row.insert(place.index, value);
        }
    }

    /// Puts these columns among those of the model, for so many rows without a sequence that the model
    /// has answered.
    pub(crate) fn fill_columns(&self, columns: &mut Vec<Vec<Value>>, rows: usize) {
        let answered = Prediction::new(Vec::new(), None);
        for place in &self.0 {
            let value = place.column.value(&place.data_type, &answered);
            columns.insert(place.index, vec![value; rows]);
        }
    }

    /// The value of a column of the schema for a prediction; `None` for a column of the model.
    #[cfg(feature = "arrow")]
    pub(crate) fn value(&self, index: usize, prediction: &Prediction) -> Option<Value> {
        let place = self.0.iter().find(|place| place.index == index)?;
        Some(place.column.value(&place.data_type, prediction))
    }
}
