//! `triton predict`: rows of files through a model, by parallel subtasks, none of them lost.

mod arguments;
mod checkpoint;
mod dry_run;
mod ending;
mod events;
mod files;
mod handing_over;
mod identity;
mod in_flight;
mod job;
mod keys;
mod model;
mod outputs;
#[cfg(test)]
mod power_failure;
mod rate_limit;
mod reader;
mod rejections;
mod rejections_file;
mod scheduler;
mod selection;
mod sendable;
mod settling;
mod sorting;
mod stall;
mod state;
mod subtasks;
mod summary;
mod taking_answers;
mod told;
mod watching;
mod work;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use triton_model_fn::ServerWait;
use triton_options::BATCH_SIZE;

pub(crate) use self::arguments::PredictArguments;
use self::checkpoint::Checkpoints;
use self::ending::code_of;
use self::files::RunFiles;
use self::job::{Job, Resumed};
use self::model::Taken;
use self::outputs::Plan;
use self::subtasks::Subtasks;
use crate::config::LayeredOptions;
use crate::failure::Failure;
use crate::progress::say;
use crate::server::start_embedded;
use crate::table::Input;

/// Runs the command.
pub(crate) fn run(arguments: &PredictArguments) -> Result<ExitCode, Failure> {
    let (model_file, inputs) = files(&arguments.files)?;
    let definition = model_file.map(model::read_definition).transpose()?;
    let written = model_file.zip(definition.as_ref());
    let mut options = LayeredOptions::collect(written, &arguments.config.sources())?;
    let on_error = model::set_arguments(&mut options, arguments);
    options.set_predict_defaults();
    if arguments.config.print_config {
        return options.print().map(|()| ExitCode::SUCCESS);
    }
    // The embedded server lives until the run is over.
    let embedded = start_embedded(&mut options)?;
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::usage)?;
    let is_undeclared = definition.is_none();
    let mut taken = match definition {
        Some(definition) => Taken::declared(definition.schema),
        None => runtime.block_on(model::look_up(&mut options, arguments.reports.quiet))?,
    };
    model::map_columns(&arguments.map, &mut taken, &mut options)?;
    let layers = options;
    let options = layers.parse()?;
    let fills_requests = !layers.is_set(BATCH_SIZE.key());
    subtasks::check_parallelism(&options, arguments.run.parallelism)?;
    subtasks::check_checkpoints(&options, arguments.checkpoints.checkpoint.is_some())?;
    let model_inputs = taken.schema.inputs.len();
    model::add_sequence_columns(&mut taken, &options);
    let files_of = |inputs: &[Input], plan: &Plan| {
        RunFiles::of_run(arguments, &layers, model_file, inputs, plan)
    };
    let mut job = Job::prepare(
        arguments,
        inputs,
        files_of,
        &mut taken,
        model_inputs,
        is_undeclared,
    )?;
    let schema = taken.schema;
    job.sort(arguments, &options, &schema)?;
    if arguments.dry_run {
        let opened = Subtasks::open(
            &options,
            &schema,
            arguments.run.parallelism,
            ServerWait::new(arguments.failures.give_up_after),
            fills_requests,
        );
        // What opens with a run opens here, too.
        return runtime.block_on(async {
            let subtasks = opened.await?;
            let tried = job.dry_run(&options, &schema, &subtasks, on_error);
            subtasks.close().await?;
            tried
        });
    }
    let resumed = match &arguments.checkpoints.checkpoint {
        Some(folder) => {
            let identity = job.identity(arguments, &options, &schema)?;
            let every = arguments.checkpoints.checkpoint_every;
            let inputs = job.inputs.len();
            let (checkpoints, state) = Checkpoints::open(folder, identity, inputs, every)?;
            if let Some(state) = &state {
                job.plan.check_left(state, checkpoints.parts())?;
            }
            Resumed {
                checkpoints: Some(checkpoints),
                state,
            }
        }
        None => Resumed::default(),
    };
    if let Some(state) = resumed.state.as_ref().filter(|state| state.finished) {
        say(&format!(
            "nothing is left to do: the run was completed before, with {} rows; remove the folder \
             of checkpoints to start over",
            state.counts.read
        ));
        return Ok(code_of(&state.counts));
    }
    let arguments = arguments.clone();
    let ran = async move {
        let parallelism = arguments.run.parallelism;
        let wait = ServerWait::new(arguments.failures.give_up_after);
        let subtasks = Subtasks::open(&options, &schema, parallelism, wait, fills_requests);
        let mut subtasks = subtasks.await?;
        if let Some(state) = &resumed.state {
            let restored = subtasks.restore(&state.sequences, state.first_free_counter);
            restored.context("the sequences of the checkpoint cannot be continued")?;
        }
        let last_rows = job.last_rows(&options, &schema, &subtasks)?;
        let ran = job.run(
            &arguments,
            &options,
            &mut subtasks,
            on_error,
            last_rows,
            resumed,
        );
        let ran = ran.await;
        // What a run has failed in, or was told to give up, is not waited for.
        match &ran {
            Ok((ending, _)) if !ending.gave_up() => subtasks.close().await?,
            _ => subtasks.abort().await,
        }
        ran.map(|(_, code)| code)
    };
    // On a worker of the runtime: whatever it waits for wakes it there without another thread.
    let code = match cfg!(test) {
        // There, what goes to the disk is recorded by thread.
        true => runtime.block_on(ran),
        false => runtime
            .block_on(async { tokio::spawn(ran).await })
            .context("the run has failed in its middle")
            .map_err(Failure::internal)?,
    };
    drop(embedded);
    code
}

/// The model file, if the first argument is one, and the inputs.
fn files(files: &[String]) -> Result<(Option<&Path>, &[String]), Failure> {
    let (model, inputs) = match files {
        [model, inputs @ ..] if is_model(model) => (Some(Path::new(model)), inputs),
        inputs => (None, inputs),
    };
    if model.is_none()
        && let Some(model) = inputs.iter().find(|name| is_model(name))
    {
        return Err(Failure::usage(anyhow!(
            "{model}: a model file stands before the inputs: triton predict {model} INPUT…"
        )));
    }
    if inputs.is_empty() {
        return Err(Failure::usage(anyhow!(
            "no input is named: give at least one file after MODEL.sql, or - for standard input"
        )));
    }
    Ok((model, inputs))
}

fn is_model(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("sql"))
}
