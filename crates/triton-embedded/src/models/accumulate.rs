//! A running sum for each sequence: the smallest model whose answers depend on order.

use std::time::Duration;

use crate::{
    DataType, Model, ModelConfig, ModelError, ModelRequest, SequenceBatching, SequenceStrategy,
    Tensor, TensorData,
};

/// `accumulate`: adds up the INT32 input `value` of a sequence as the output `sum`, and tells as
/// `correlation_id` which sequence the server took the request for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Accumulate;

impl Model for Accumulate {
    /// Wider than the output, so that a sum can leave its range and come back.
    type State = i64;

    fn config(&self) -> ModelConfig {
        ModelConfig::new("accumulate")
            .max_batch_size(8)
            .input("value", DataType::Int32, [1])
            .output("sum", DataType::Int32, [1])
            .output("correlation_id", DataType::Bytes, [1])
            .sequence_batching(SequenceBatching {
                max_sequence_idle: Duration::from_secs(5),
                strategy: SequenceStrategy::Oldest {
                    max_candidate_sequences: 256,
                },
            })
    }

    fn execute(&self, request: &ModelRequest, sum: &mut i64) -> Result<Vec<Tensor>, ModelError> {
        add_up(request, sum)
    }
}

/// `accumulate` with a control `CORRID`, whose value is the further output `corrid` of INT64: a
/// UINT64 is read as the INT64 of the same bits.
///
/// The tests of this project run the same models on a real server.
///
/// ```
/// use triton_embedded::{DataType, EmbeddedTriton, models::AccumulateWithCorrid};
///
/// let server = EmbeddedTriton::builder()
///     .model(AccumulateWithCorrid::new(DataType::Uint64)) // `accumulate_uint64`
///     .start()
///     .unwrap();
/// # drop(server);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct AccumulateWithCorrid {
    datatype: DataType,
}

impl AccumulateWithCorrid {
    /// The types that such a control can have on a real server.
    pub const DATATYPES: [DataType; 5] = [
        DataType::Uint64,
        DataType::Int64,
        DataType::Uint32,
        DataType::Int32,
        DataType::Bytes,
    ];

    /// The model `accumulate_uint64`, `…_int64`, `…_uint32`, `…_int32` or, for BYTES, `…_string`.
    pub fn new(datatype: DataType) -> AccumulateWithCorrid {
        AccumulateWithCorrid { datatype }
    }
}

impl Model for AccumulateWithCorrid {
    type State = i64;

    fn config(&self) -> ModelConfig {
        let mut config = Accumulate.config().output("corrid", DataType::Int64, [1]);
        let datatype = self.datatype.configuration_name().to_lowercase();
        config.name = datatype.replace("type", "accumulate");
        config.correlation_id_control("CORRID", self.datatype)
    }

    fn execute(&self, request: &ModelRequest, sum: &mut i64) -> Result<Vec<Tensor>, ModelError> {
        let mut outputs = add_up(request, sum)?;
        let corrid = match &request.input("CORRID")?.data {
            TensorData::Uint64(values) => values[0].cast_signed(),
            TensorData::Int64(values) => values[0],
            TensorData::Uint32(values) => values[0].into(),
            TensorData::Int32(values) => values[0].into(),
            other => {
                return Err(ModelError::new(format!(
                    "CORRID is of {}",
                    other.datatype()
                )));
            }
        };
        outputs.push(Tensor::new("corrid", [1, 1], vec![corrid]));
        Ok(outputs)
    }
}

fn add_up(request: &ModelRequest, sum: &mut i64) -> Result<Vec<Tensor>, ModelError> {
    let sequence = request
        .sequence
        .as_ref()
        .ok_or_else(|| ModelError::new("the request belongs to no sequence"))?;
    *sum += request
        .values::<i32>("value")?
        .iter()
        .copied()
        .map(i64::from)
        .sum::<i64>();
    // NumPy wraps a sum that INT32 cannot hold, and so the Python model does.
    let shown = *sum as i32;
    Ok(vec![
        Tensor::new("sum", [1, 1], vec![shown]),
        Tensor::new("correlation_id", [1, 1], vec![sequence.id.to_string()]),
    ])
}
