//! How the rows of a script become those of the model function, and its answers outcomes.

use anyhow::Result;
use triton_model_fn::{
    Column, DataType, Error, InferenceFunction, Prediction, Schema, TritonOptions, Value,
};

use crate::options::Lane;
use crate::outcome::Outcome;
use crate::script::{Row, Script};

pub(crate) fn function(script: &Script, endpoint: &str) -> Result<InferenceFunction> {
    let place = [("endpoint", endpoint), ("model-name", script.model())];
    let given = script.options.iter();
    let given = given.map(|(key, value)| (key.as_str(), value.as_str()));
    let options = TritonOptions::parse(place.into_iter().chain(given))?;
    let function = InferenceFunction::new(options, schema(script))?;
    let function = match script.bounded {
        true => function.for_bounded_input(),
        false => function,
    };
    Ok(match script.without_state {
        true => function.for_engine_without_state(),
        false => function,
    })
}

fn schema(script: &Script) -> Schema {
    let value = Column::new("value", DataType::Integer);
    let mut answers = vec![Column::new("sum", DataType::Integer)];
    if script.answers_with_ids() {
        answers.push(Column::new("correlation_id", DataType::String));
    }
    match script.lane {
        Lane::Stateless => Schema {
            inputs: vec![Column::new("value", DataType::Float)],
            outputs: vec![Column::new("echo", DataType::Float)],
        },
        Lane::Static | Lane::PerRequest => Schema {
            inputs: vec![value],
            outputs: answers,
        },
        _ => {
            let mut inputs = vec![
                Column::new("key", DataType::Integer),
                value,
                Column::new("last", DataType::Boolean),
            ];
            if script.has_positions() {
                inputs.push(Column::new("n", DataType::Integer));
            }
            let outputs = answers;
            Schema { inputs, outputs }
        }
    }
}

pub(crate) fn values(script: &Script, row: Row) -> Vec<Value> {
    match script.lane {
        Lane::Stateless => vec![Value::Float(row.value as f32)],
        Lane::Static | Lane::PerRequest => vec![Value::Integer(row.value)],
        _ => {
            let mut values = vec![
                Value::Integer(row.key as i32),
                Value::Integer(row.value),
                Value::Boolean(row.last && row.key % 2 == 1),
            ];
            if script.has_positions() {
                values.push(Value::Integer(row.number));
            }
            values
        }
    }
}

pub(crate) fn outcome(result: Result<Prediction, Error>) -> Outcome {
    match result {
        Ok(prediction) => {
            let number = match prediction.row[0] {
                Value::Integer(sum) => i64::from(sum),
                Value::Float(value) => value as i64,
                _ => i64::MIN,
            };
            let seen_id = match prediction.row.get(1) {
                Some(Value::String(id)) => Some(id.clone()),
                _ => None,
            };
            Outcome::Answered {
                number,
                id: prediction.sequence_id,
                seen_id,
                marked: prediction.sequence_restarted,
            }
        }
        Err(error) => {
            let cause = error
                .client_error()
                .map_or(String::new(), |cause| format!(": {cause}"));
            Outcome::Failed {
                kind: error.kind().name().into(),
                text: format!("{error}{cause}"),
            }
        }
    }
}
