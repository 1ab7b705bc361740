//! `triton predict`: rows of a file through a model, by parallel subtasks, in order.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use csv::StringRecord;
use futures_util::stream::{self, StreamExt as _};
use triton_embedded::EmbeddedTriton;
use triton_model_fn::{InferenceFunction, ModelFunction as _, Prediction, Subtask};
use triton_options::{
    EMBEDDED_ENDPOINT, ENDPOINT, SEQUENCE_ID, SEQUENCE_ID_AUTO_INCREMENT, SequenceMode,
    TritonOptions,
};

use crate::arguments::PredictArguments;
use crate::failure::{Failure, describe};
use crate::model_sql::{self, ModelDefinition};
use crate::progress::{Progress, Summary};
use crate::table::{InputRow, TableReader, TableWriter};

/// Runs the command.
pub(crate) fn run(arguments: &PredictArguments) -> Result<Summary, Failure> {
    let mut model = read_model(arguments)?;
    // The embedded server lives until the run is over.
    let embedded = start_embedded(&mut model)?;
    let options = model.options.parse().map_err(|errors| {
        Failure::usage(anyhow!(errors).context(arguments.model.display().to_string()))
    })?;
    let in_flight = in_flight(&options, arguments.parallelism)?;
    let reader = TableReader::open(&arguments.input, &model.schema.inputs)?;
    let bytes = fs_err::metadata(&arguments.input)
        .map_err(Failure::usage)?
        .len();

    let runtime = tokio::runtime::Runtime::new().map_err(Failure::usage)?;
    let summary = runtime.block_on(async {
        let functions = open_functions(&options, &model, arguments.parallelism).await?;
        let writer = TableWriter::create(
            arguments.output.as_deref(),
            reader.header(),
            &model.schema.outputs,
            arguments.with_sequence_id,
        )?;
        let mut progress = Progress::start(bytes);
        let predicted = predict(&functions, reader, writer, in_flight, &mut progress).await;
        close_functions(&functions).await?;
        predicted?;
        Ok(progress.finish(arguments.parallelism))
    });
    drop(embedded);
    summary
}

fn read_model(arguments: &PredictArguments) -> Result<ModelDefinition, Failure> {
    let path = &arguments.model;
    let sql = fs_err::read_to_string(path).map_err(Failure::usage)?;
    let mut model = model_sql::parse(&sql)
        .map_err(|error| Failure::usage(anyhow!("{}: {error}", path.display())))?;
    for (key, value) in &arguments.option {
        model.options.set(key, value);
    }
    Ok(model)
}

/// Starts the embedded server where the model's endpoint asks for it.
fn start_embedded(model: &mut ModelDefinition) -> Result<Option<EmbeddedTriton>, Failure> {
    if model.options.get(&ENDPOINT) != Some(EMBEDDED_ENDPOINT) {
        return Ok(None);
    }
    // What it would record grows with the input, and nobody asks for it.
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .recorded_requests(0)
        .start()
        .context("the embedded server cannot be started")
        .map_err(Failure::server)?;
    model.options.set(ENDPOINT.key(), server.endpoint());
    Ok(Some(server))
}

/// How many rows may be under way at once.
///
/// Requests of one sequence must arrive one after the other, so a sequence that all rows share
/// allows no concurrency at all.
fn in_flight(options: &TritonOptions, parallelism: u32) -> Result<usize, Failure> {
    match options.sequence_mode() {
        SequenceMode::Static { start, end, .. } if !(*start && *end) => {
            if parallelism == 1 {
                return Ok(1);
            }
            Err(Failure::usage(anyhow!(
                "--parallelism {parallelism}: all subtasks would share the sequence of '{}', and \
                 the model would mix their states; use one subtask, or set '{}' to true",
                SEQUENCE_ID.key(),
                SEQUENCE_ID_AUTO_INCREMENT.key()
            )))
        }
        // As many as the functions send at once, and as many more as their batches gather.
        _ => {
            let rows = options.max_in_flight.get() as usize * options.batch_size.get() as usize;
            Ok(rows.saturating_mul(parallelism as usize))
        }
    }
}

async fn open_functions(
    options: &TritonOptions,
    model: &ModelDefinition,
    parallelism: u32,
) -> Result<Vec<Arc<InferenceFunction>>, Failure> {
    let mut functions = Vec::new();
    for index in 0..parallelism {
        let subtask = Subtask::new(index, parallelism, 0).map_err(Failure::usage)?;
        let function = InferenceFunction::new(options.clone(), model.schema.clone());
        let function = function.map_err(Failure::usage)?;
        if let Err(error) = function.open(subtask).await {
            close_functions(&functions).await?;
            return Err(Failure::server(error));
        }
        functions.push(Arc::new(function));
    }
    Ok(functions)
}

/// Closes every function, also after one that fails to.
async fn close_functions(functions: &[Arc<InferenceFunction>]) -> Result<(), Failure> {
    let mut result = Ok(());
    for function in functions {
        let closed = function.close().await.map_err(Failure::server);
        result = result.and(closed);
    }
    result
}

/// Hands rows to the subtasks in turn, and writes the answers in the order of the rows.
async fn predict(
    functions: &[Arc<InferenceFunction>],
    reader: TableReader,
    mut writer: TableWriter,
    in_flight: usize,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let in_turn = functions.iter().cycle();
    let answers = stream::iter(reader.zip(in_turn))
        .map(|(row, function)| {
            // A task of its own lets rows make use of every core.
            let task = row.map(|row| tokio::spawn(answer(Arc::clone(function), row)));
            async { Ok::<_, anyhow::Error>(task?.await?) }
        })
        .buffered(in_flight);
    let mut answers = std::pin::pin!(answers);
    while let Some(answer) = answers.next().await {
        let Answer {
            place,
            bytes_read,
            result,
        } = answer?;
        match result {
            Ok((record, prediction)) => {
                let written = writer.write(&record, &prediction);
                written.context("the output cannot be written")?;
                progress.answered(bytes_read);
            }
            Err(error) => progress.failed(bytes_read, &describe(&place, &error)),
        }
    }
    writer.finish().context("the output cannot be written")?;
    Ok(())
}

/// What became of a row.
struct Answer {
    place: String,
    bytes_read: u64,
    result: anyhow::Result<(StringRecord, Prediction)>,
}

async fn answer(function: Arc<InferenceFunction>, row: InputRow) -> Answer {
    let InputRow {
        place,
        bytes_read,
        cells,
    } = row;
    let result = match cells {
        Ok(cells) => match function.predict(&cells.values).await {
            Ok(prediction) => Ok((cells.record, prediction)),
            Err(error) => Err(error.into()),
        },
        Err(error) => Err(error),
    };
    Answer {
        place,
        bytes_read,
        result,
    }
}
