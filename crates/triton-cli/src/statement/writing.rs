//! The CREATE MODEL statement of a model, made from what the server says of it.

use std::fmt::Write as _;

use anyhow::{anyhow, bail};
use triton_client::{ModelMetadata, TensorMetadata};
use triton_model_fn::{Column, FilledColumn, ModelFacts};
use triton_options::{
    DECOUPLED, Decoupled, ENDPOINT, ENDPOINT_DISCOVERY, EndpointDiscovery, MODEL_MAX_BATCH_SIZE,
    MODEL_NAME, MODEL_VERSION, ModelVersion, ON_ERROR, OUTPUT_NAMES, OnError, OptionValue as _,
    SEQUENCE_ID, SEQUENCE_ID_AUTO_INCREMENT, SEQUENCE_ID_SCOPE, SEQUENCE_ID_TYPE, SEQUENCE_KEY,
    SequenceBase, SequenceIdScope, SequenceIdType,
};

/// The most bytes of a model's name that a sequence ID begins with.
const LONGEST_BASE: usize = SequenceBase::MAX_BYTES_IN_RUN;

/// What a statement says of a model.
pub(crate) struct Statement<'a> {
    pub(crate) endpoint: &'a str,
    /// How the servers of the endpoint are found.
    pub(crate) discovery: EndpointDiscovery,
    pub(crate) version: ModelVersion,
    pub(crate) facts: &'a ModelFacts,
    /// What the option `model-max-batch-size` says, if it is set.
    pub(crate) max_batch_size: Option<u32>,
    /// What the option `sequence-id-type` says, if anything.
    pub(crate) sequence_id_type: SequenceIdType,
    /// What the option `on-error` says.
    pub(crate) on_error: OnError,
    /// What the option `decoupled` says.
    pub(crate) decoupled: Decoupled,
}

/// What says of a row that it failed, and why.
const TOLD: [FilledColumn; 2] = [
    FilledColumn::PredictionStatus,
    FilledColumn::PredictionError,
];

/// What tells apart the rows that are answers to one input row.
const NUMBERED: [FilledColumn; 2] = [FilledColumn::PredictionIndex, FilledColumn::PredictionLast];

impl Statement<'_> {
    /// The statement as text.
    ///
    /// # Errors
    ///
    /// When the server does not tell the model's tensors, or an input's datatype is none that a
    /// column can have.
    pub(crate) fn to_sql(&self) -> anyhow::Result<String> {
        let ModelMetadata {
            name,
            inputs,
            outputs,
            ..
        } = &self.facts.metadata;
        let untold = match (inputs.is_empty(), outputs.is_empty()) {
            (true, true) => Some("takes and gives"),
            (true, false) => Some("takes"),
            (false, true) => Some("gives"),
            (false, false) => None,
        };
        if let Some(untold) = untold {
            bail!(
                "the server does not say which tensors the model {untold}: write a MODEL.sql that \
                 names them and their types"
            );
        }
        let (optional, required): (Vec<_>, Vec<_>) = inputs
            .iter()
            .partition(|input| self.facts.config.is_optional(&input.name));
        let required = self.columns(&required)?;
        let (optional, unsendable) = self.split(&optional)?;
        let (outputs, unreadable): (Vec<_>, Vec<_>) = outputs
            .iter()
            .partition(|output| self.facts.column(output).is_some());
        if outputs.is_empty() {
            // Without any output left there is no statement, and this says of which type they are.
            self.columns(&unreadable)?;
        }
        let outputs = self.columns(&outputs)?;
        // Rows may have a column for an optional input as well.
        let inputs = [&required[..], &optional].concat();
        let (mut outputs, renamed) = apart(&inputs, &outputs);
        let numbered = NUMBERED
            .into_iter()
            .filter(|_| self.decoupled == Decoupled::Stream);
        let told = TOLD
            .into_iter()
            .filter(|_| self.on_error == OnError::Column);
        for filled in numbered.chain(told) {
            if outputs.iter().all(|it| it.name != filled.name()) {
                outputs.push(filled.column());
            }
        }
        let mut sql = String::new();
        for TensorMetadata { name, datatype, .. } in unreadable {
            // Writing to a String cannot fail.
            let _ = writeln!(
                sql,
                "-- An output of a type that no column has is left out: {} {datatype}",
                identifier(name)
            );
        }
        for Column {
            name, data_type, ..
        } in &optional
        {
            let _ = writeln!(
                sql,
                "-- An optional input is left out: {} {data_type}",
                identifier(name)
            );
        }
        for TensorMetadata { name, datatype, .. } in unsendable {
            let _ = writeln!(
                sql,
                "-- An optional input of a type that no column has is left out: {} {datatype}",
                identifier(name)
            );
        }
        if self.facts.config.sequence_batching.is_some() {
            let key = SEQUENCE_KEY.key();
            let _ = writeln!(
                sql,
                "-- The model keeps a state for each sequence. Here every row is a sequence\n\
                 -- of its own; '{key}' = 'COLUMN' gives each value of a column one."
            );
        }
        let _ = writeln!(sql, "CREATE MODEL {}", identifier(name));
        let _ = writeln!(sql, "INPUT (\n{}\n)", listed(&required));
        let _ = writeln!(sql, "OUTPUT (\n{}\n)", listed(&outputs));
        let options = self.options(&renamed);
        let options = options
            .iter()
            .map(|(key, value)| format!("  {} = {}", string(key), string(value)));
        let _ = writeln!(
            sql,
            "WITH (\n{}\n);",
            options.collect::<Vec<_>>().join(",\n")
        );
        Ok(sql)
    }

    /// The inputs that a row may lack, as columns, and those of a type that no column has.
    ///
    /// # Errors
    ///
    /// Never where [`to_sql`](Self::to_sql) has none.
    pub(crate) fn optional_inputs(&self) -> anyhow::Result<(Vec<Column>, Vec<&TensorMetadata>)> {
        let inputs = self.facts.metadata.inputs.iter();
        let optional = inputs.filter(|input| self.facts.config.is_optional(&input.name));
        self.split(&optional.collect::<Vec<_>>())
    }

    fn split<'t>(
        &self,
        tensors: &[&'t TensorMetadata],
    ) -> anyhow::Result<(Vec<Column>, Vec<&'t TensorMetadata>)> {
        let is_known = |tensor: &&&TensorMetadata| self.facts.column(tensor).is_some();
        let (known, unknown): (Vec<_>, Vec<_>) = tensors.iter().partition(is_known);
        Ok((self.columns(&known)?, unknown))
    }

    fn columns(&self, tensors: &[&TensorMetadata]) -> anyhow::Result<Vec<Column>> {
        tensors.iter().map(|tensor| self.column(tensor)).collect()
    }

    fn column(&self, tensor: &TensorMetadata) -> anyhow::Result<Column> {
        self.facts.column(tensor).ok_or_else(|| {
            let TensorMetadata { name, datatype, .. } = tensor;
            anyhow!("tensor '{name}' is {datatype}, which is the type of no column")
        })
    }

    fn options(&self, renamed: &[(String, String)]) -> Vec<(&'static str, String)> {
        let name = &self.facts.metadata.name;
        let mut options = vec![
            ("provider", "triton".to_owned()),
            (ENDPOINT.key(), self.endpoint.to_owned()),
            (MODEL_NAME.key(), name.clone()),
        ];
        // Without it the address is one server.
        if self.discovery == EndpointDiscovery::Dns {
            options.push((ENDPOINT_DISCOVERY.key(), self.discovery.canonical()));
        }
        if self.version != ModelVersion::Latest {
            options.push((MODEL_VERSION.key(), self.version.canonical()));
        }
        if let Some(rows) = self.max_batch_size {
            options.push((MODEL_MAX_BATCH_SIZE.key(), rows.canonical()));
        }
        if self.on_error == OnError::Column {
            options.push((ON_ERROR.key(), self.on_error.canonical()));
        }
        if self.decoupled == Decoupled::Stream {
            options.push((DECOUPLED.key(), self.decoupled.canonical()));
        }
        if self.facts.config.sequence_batching.is_some() {
            options.push((SEQUENCE_ID.key(), base_of(name)));
            options.push((SEQUENCE_ID_AUTO_INCREMENT.key(), "true".to_owned()));
            // Else two runs at the same time would use the same IDs.
            options.push((SEQUENCE_ID_SCOPE.key(), SequenceIdScope::Run.canonical()));
            if self.sequence_id_type != SequenceIdType::Auto {
                options.push((SEQUENCE_ID_TYPE.key(), self.sequence_id_type.canonical()));
            }
        }
        if !renamed.is_empty() {
            let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
            let pairs = renamed
                .iter()
                .map(|(column, tensor)| format!("{}:{}", quoted(column), quoted(tensor)));
            options.push((OUTPUT_NAMES.key(), pairs.collect::<Vec<_>>().join(",")));
        }
        options
    }
}

/// What the IDs of a model's sequences begin with.
pub(crate) fn base_of(name: &str) -> String {
    name[..name.floor_char_boundary(LONGEST_BASE)].to_owned()
}

/// The outputs, with another name where an input has theirs, because scored rows hold both; and
/// the tensors of those that were renamed.
fn apart(inputs: &[Column], outputs: &[Column]) -> (Vec<Column>, Vec<(String, String)>) {
    let taken: Vec<&str> = inputs
        .iter()
        .chain(outputs)
        .map(|column| column.name.as_str())
        .collect();
    let mut renamed = Vec::new();
    let columns = outputs.iter().map(|output| {
        let Column {
            name, data_type, ..
        } = output;
        if inputs.iter().all(|input| input.name != *name) {
            return output.clone();
        }
        let mut other = format!("{name}_output");
        while taken.contains(&other.as_str()) {
            other.push('_');
        }
        renamed.push((other.clone(), name.clone()));
        Column::new(other, data_type.clone())
    });
    (columns.collect(), renamed)
}

fn listed(columns: &[Column]) -> String {
    let columns = columns.iter().map(
        |Column {
             name, data_type, ..
         }| format!("  {} {data_type}", identifier(name)),
    );
    columns.collect::<Vec<_>>().join(",\n")
}

fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::statement::parse;

    fn sql(metadata: serde_json::Value, config: serde_json::Value) -> anyhow::Result<String> {
        sql_with(OnError::Fail, metadata, config)
    }

    fn sql_with(
        on_error: OnError,
        metadata: serde_json::Value,
        config: serde_json::Value,
    ) -> anyhow::Result<String> {
        let facts = ModelFacts::configured(
            serde_json::from_value(metadata).unwrap(),
            serde_json::from_value(config).unwrap(),
        );
        let statement = Statement {
            endpoint: "localhost:8000",
            discovery: EndpointDiscovery::Static,
            version: "3".parse().unwrap(),
            facts: &facts,
            max_batch_size: None,
            sequence_id_type: SequenceIdType::Auto,
            on_error,
            decoupled: Decoupled::Refuse,
        };
        statement.to_sql()
    }

    #[test]
    fn odd_names_and_shapes_are_read_back() {
        let metadata = json!({
            "name": "it's",
            "inputs": [
                {"name": "a`b", "datatype": "INT64", "shape": [-1, 1]},
                {"name": "x:0", "datatype": "FP16", "shape": [-1, 3, -1]},
                {"name": "mask", "datatype": "BOOL", "shape": [-1, 2]},
            ],
            "outputs": [
                {"name": "x:0", "datatype": "BYTES", "shape": [-1, 2]},
                {"name": "x:0_output", "datatype": "UINT8", "shape": [-1]},
            ],
        });
        let config = json!({
            "name": "it's",
            "max_batch_size": 4,
            "sequence_batching": {"direct": {}},
            "input": [{"name": "mask", "optional": true}],
        });
        let sql = sql(metadata, config).unwrap();
        insta::assert_snapshot!(sql, @"
        -- An optional input is left out: `mask` ARRAY<BOOLEAN>
        -- The model keeps a state for each sequence. Here every row is a sequence
        -- of its own; 'sequence-key' = 'COLUMN' gives each value of a column one.
        CREATE MODEL `it's`
        INPUT (
          `a``b` BIGINT,
          `x:0` ARRAY<ARRAY<FLOAT16>>
        )
        OUTPUT (
          `x:0_output_` ARRAY<STRING>,
          `x:0_output` TINYINT UNSIGNED
        )
        WITH (
          'provider' = 'triton',
          'endpoint' = 'localhost:8000',
          'model-name' = 'it''s',
          'model-version' = '3',
          'sequence-id' = 'it''s',
          'sequence-id-auto-increment' = 'true',
          'sequence-id-scope' = 'run',
          'output-names' = '''x:0_output_'':''x:0'''
        );
        ");
        let model = parse(&sql).unwrap();
        let name = |column: &Column| column.name.clone();
        let inputs: Vec<_> = model.schema.inputs.iter().map(name).collect();
        assert_eq!(inputs, ["a`b", "x:0"]);
        let options = model.options.parse().unwrap();
        assert_eq!(options.model_name.as_str(), "it's");
        let names = options.output_names.as_ref().unwrap();
        assert_eq!(names.get("x:0_output_"), Some("x:0"));
    }

    #[test]
    fn rows_that_fail_are_told_in_columns_where_that_is_asked_for() {
        let tensor = |name: &str| json!({"name": name, "datatype": "FP32", "shape": [1]});
        let metadata = json!({
            "name": "m",
            "inputs": [tensor("x")],
            "outputs": [tensor("prediction_error"), tensor("y")],
        });
        let sql = sql_with(OnError::Column, metadata, json!({"name": "m"})).unwrap();
        insta::assert_snapshot!(sql, @"
        CREATE MODEL `m`
        INPUT (
          `x` FLOAT
        )
        OUTPUT (
          `prediction_error` FLOAT,
          `y` FLOAT,
          `prediction_status` STRING
        )
        WITH (
          'provider' = 'triton',
          'endpoint' = 'localhost:8000',
          'model-name' = 'm',
          'model-version' = '3',
          'on-error' = 'column'
        );
        ");
    }

    #[test]
    fn a_datatype_without_a_column_type_is_refused() {
        let tensor = json!([{"name": "x", "datatype": "FP8", "shape": [1]}]);
        let metadata = json!({"name": "m", "inputs": tensor, "outputs": tensor});
        let refused = sql(metadata, json!({"name": "m"})).unwrap_err();
        insta::assert_snapshot!(refused, @"tensor 'x' is FP8, which is the type of no column");
    }

    #[test]
    fn an_optional_input_without_a_column_type_is_left_out() {
        let input =
            |name: &str, datatype: &str| json!({"name": name, "datatype": datatype, "shape": [1]});
        let metadata = json!({
            "name": "m",
            "inputs": [input("x", "FP32"), input("small", "FP8"), input("y", "FP32")],
            "outputs": [input("y", "FP32")],
        });
        let optional = ["small", "y"].map(|name| json!({"name": name, "optional": true}));
        let sql = sql(metadata, json!({"name": "m", "input": optional})).unwrap();
        insta::assert_snapshot!(sql, @"
        -- An optional input is left out: `y` FLOAT
        -- An optional input of a type that no column has is left out: `small` FP8
        CREATE MODEL `m`
        INPUT (
          `x` FLOAT
        )
        OUTPUT (
          `y_output` FLOAT
        )
        WITH (
          'provider' = 'triton',
          'endpoint' = 'localhost:8000',
          'model-name' = 'm',
          'model-version' = '3',
          'output-names' = '''y_output'':''y'''
        );
        ");
    }
}
