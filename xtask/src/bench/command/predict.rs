//! Runs `triton predict` and `triton bench`, and says what they cost.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::files;
use super::work::{Cells, Form, KEYED, Work};
use crate::bench::callgrind;
use crate::command;
use crate::files::write_whole;
use crate::processor_time::processor_seconds_of_children;

/// What a run took, of the processes that were run alone.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::bench) struct Cost {
    /// Of processors, in user mode and in the kernel.
    pub(in crate::bench) seconds: f64,
    pub(in crate::bench) elapsed: f64,
    pub(in crate::bench) rows: usize,
}

impl Cost {
    pub(super) fn microseconds_a_row(self) -> f64 {
        1e6 * self.seconds / self.rows as f64
    }

    /// Without what a run of few rows takes, which is the start and the end.
    pub(in crate::bench) fn without(self, short: Cost) -> Self {
        Self {
            seconds: (self.seconds - short.seconds).max(0.0),
            elapsed: (self.elapsed - short.elapsed).max(0.0),
            rows: self.rows.saturating_sub(short.rows).max(1),
        }
    }
}

/// Runs a program, whose work is for so many rows.
pub(super) fn measure(program: &mut Command, printed: &Path, rows: usize) -> Result<Cost> {
    let before = processor_seconds_of_children()?;
    let begin = Instant::now();
    command::output_within(program, printed, LIMIT, || Ok(()))?;
    Ok(Cost {
        elapsed: begin.elapsed().as_secs_f64(),
        seconds: processor_seconds_of_children()? - before,
        rows,
    })
}

/// Nothing that is measured takes as long on a machine that is not far too slow for it.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(1200);

/// The `triton` command with a server.
pub(super) struct Triton {
    pub(super) program: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) endpoint: String,
}

impl Triton {
    /// `triton predict` for a work whose input is there.
    pub(super) fn predict(&self, work: &Work, input: &Path, output: &Path) -> Result<Command> {
        self.predict_with(work, ["v", "e"], input, output)
    }

    /// The same with other names of the columns that the model takes and gives.
    pub(super) fn predict_with(
        &self,
        work: &Work,
        names: [&str; 2],
        input: &Path,
        output: &Path,
    ) -> Result<Command> {
        let model = self.folder.join(format!("{}.sql", work.name));
        write_whole(&model, self.statement(work, names).as_bytes())?;
        let mut predict = Command::new(&self.program);
        predict
            .arg("predict")
            .arg(model)
            .arg(input)
            .args(["--quiet", "--parallelism", &work.subtasks.to_string()])
            .args(["--max-in-flight", &work.in_flight.to_string()])
            .arg("--output")
            .arg(output);
        if work.keys == 0 {
            predict.args(["-O", &format!("batch-size={}", work.batch)]);
        }
        if let Some(connections) = work.connections {
            predict.args(["-O", &format!("connection-pool-max-total={connections}")]);
        }
        if work.cells == Cells::Faulty {
            predict.args(["--on-error", "column"]);
        }
        if work.name == KEYED {
            predict.args(["--map", "v0=value", "--map", "e0=sum"]);
        }
        // So that the environment of whoever measures has no say.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TRITON_")) {
            predict.env_remove(name);
        }
        Ok(predict)
    }

    fn statement(&self, work: &Work, [given, answered]: [&str; 2]) -> String {
        let float = match (work.name == KEYED, work.elements > 1) {
            (true, _) => "INT",
            (false, true) => "ARRAY<FLOAT>",
            (false, false) => "FLOAT",
        };
        let columns = |letter: &str| {
            let columns = (0..work.columns).map(|column| format!("{letter}{column} {float}"));
            columns.collect::<Vec<_>>().join(", ")
        };
        let model = match work.name == KEYED {
            true => "accumulate".to_owned(),
            false => work.model(),
        };
        let mut options = format!(
            "'provider' = 'triton', 'endpoint' = '{}', 'model-name' = '{model}'",
            self.endpoint
        );
        if work.keys > 0 {
            options.push_str(
                ", 'sequence-id' = 'bench', 'sequence-id-auto-increment' = 'true', \
                 'sequence-key' = 'key'",
            );
        }
        let mut outputs = columns(answered);
        if work.cells == Cells::Faulty {
            outputs.push_str(", prediction_status STRING");
        }
        format!(
            "CREATE MODEL bench INPUT ({}) OUTPUT ({outputs}) WITH ({options});\n",
            columns(given)
        )
    }

    pub(super) fn output(&self, work: &Work) -> PathBuf {
        self.folder
            .join(format!("{}.out.{}", work.name, work.form.name()))
    }

    /// What a run costs; text is compared with what it has to be unless it was before.
    pub(super) fn run(&self, work: &Work, input: &Path, checks: bool) -> Result<Cost> {
        let output = self.output(work);
        let mut predict = self.predict(work, input, &output)?;
        let cost = measure(&mut predict, &self.folder.join("printed.txt"), work.rows)?;
        if checks && work.form != Form::Parquet {
            files::check_text(&output, work)?;
        }
        Ok(cost)
    }

    /// What so many rows cost `triton bench`, which has them in memory.
    pub(super) fn bench(&self, work: &Work) -> Result<Cost> {
        let mut bench = Command::new(&self.program);
        bench
            .args(["bench", &work.model(), "--json"])
            .args(["-O", &format!("endpoint={}", self.endpoint)])
            .args(["--batch-size", &work.batch.to_string()])
            .args(["--concurrency", &work.in_flight.to_string()])
            .args(["--warm-up", "300 ms", "--duration", "2 s"]);
        let printed = self.folder.join("printed.json");
        let found = command::output_within(&mut bench, &printed, LIMIT, || Ok(()))?;
        // Progress may stand before the object.
        let begin = found
            .find('{')
            .context("`triton bench` printed no object")?;
        let mut found = serde_json::Deserializer::from_str(&found[begin..]).into_iter::<Value>();
        let report = found.next().context("`triton bench` printed nothing")??;
        let Some(nanoseconds) = report["client_cpu"]["ns_per_request"].as_f64() else {
            bail!("`triton bench` does not say what a request costs: {report}");
        };
        Ok(Cost {
            seconds: nanoseconds / 1e9,
            elapsed: 1.0 / report["requests_per_second"].as_f64().unwrap_or(f64::NAN),
            rows: work.batch,
        })
    }

    /// The instructions of a row: those of a long run without those of a short one. A profile of
    /// the longer one is left.
    pub(super) fn instructions(&self, few: &Work, many: &Work, inputs: [&Path; 2]) -> Result<f64> {
        let counts = self.instructions_of_runs(few, many, inputs)?;
        Ok((counts[1] - counts[0]) / (many.rows - few.rows) as f64)
    }

    /// All instructions of a short and of a long run.
    pub(super) fn instructions_of_runs(
        &self,
        few: &Work,
        many: &Work,
        inputs: [&Path; 2],
    ) -> Result<[f64; 2]> {
        let profile = callgrind::profile(&self.folder, &format!("command-{}", many.name))?;
        let mut counts = [0.0; 2];
        for ((work, input), count) in [few, many].into_iter().zip(inputs).zip(&mut counts) {
            let output = self.output(work);
            let predict = self.predict(work, input, &output)?;
            *count = callgrind::of_whole(&predict, &profile, &self.folder.join("printed.txt"))?;
            if work.form != Form::Parquet {
                files::check_text(&output, work)?;
            }
        }
        Ok(counts)
    }
}
