//! The server that the command is measured against: the embedded one, with models that return what
//! they take, in any number of columns and in batches as large as anybody asks for.
//!
//! It is a process of its own, so that the processor time of a measured one is its own alone.

use std::io::Read as _;
use std::process::ExitCode;
use std::time::Duration;

use triton_embedded::{
    DataType, EmbeddedTriton, Model, ModelConfig, ModelError, ModelRequest, SequenceBatching,
    SequenceStrategy, Tensor,
};

/// No request of a measurement has more rows.
const MOST_ROWS: usize = 16_384;

/// Places for as many sequences as a measurement has open at once.
const MOST_SEQUENCES: usize = 4_096;

/// `columns-N` takes `v0` … and returns them as `e0` …, FP32 of any length.
struct Columns(usize);

impl Model for Columns {
    type State = ();

    fn config(&self) -> ModelConfig {
        let config = ModelConfig::new(format!("columns-{}", self.0)).max_batch_size(MOST_ROWS);
        (0..self.0).fold(config, |config, column| {
            config
                .input(format!("v{column}"), DataType::Fp32, [-1])
                .output(format!("e{column}"), DataType::Fp32, [-1])
        })
    }

    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let echo = |column| {
            let value = request.input(&format!("v{column}"))?;
            Ok(Tensor {
                name: format!("e{column}"),
                ..value.clone()
            })
        };
        (0..self.0).map(echo).collect()
    }
}

/// `running-sum` adds up the FP32 `v0` of a sequence as `e0`.
struct RunningSum;

impl Model for RunningSum {
    type State = f32;

    fn config(&self) -> ModelConfig {
        ModelConfig::new("running-sum")
            .max_batch_size(1)
            .input("v0", DataType::Fp32, [1])
            .output("e0", DataType::Fp32, [1])
            .sequence_batching(SequenceBatching {
                strategy: SequenceStrategy::Oldest {
                    max_candidate_sequences: MOST_SEQUENCES,
                },
                // However slowly a client is run to be counted, none of its sequences is forgotten: it
                // would send their rows again, and that would be counted, too.
                max_sequence_idle: Duration::from_secs(600),
            })
    }

    fn execute(&self, request: &ModelRequest, sum: &mut f32) -> Result<Vec<Tensor>, ModelError> {
        let added: f32 = request.values::<f32>("v0")?.iter().sum();
        *sum += added;
        Ok(vec![Tensor::new("e0", [1, 1], vec![*sum])])
    }
}

/// Prints the endpoint and serves until the standard input ends.
fn main() -> ExitCode {
    let mut server = EmbeddedTriton::builder()
        .recorded_requests(0)
        .model(RunningSum);
    for columns in [1, 4, 16, 64, 256] {
        server = server.model(Columns(columns));
    }
    match server.start() {
        Ok(server) => {
            println!("{}", server.endpoint());
            // It ends with its input, and so even where whoever started it is killed.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
