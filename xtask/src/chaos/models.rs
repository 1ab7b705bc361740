//! Models for servers that things happen to: the examples, which then write down every row that arrives.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// What is written behind a model's program, so that it writes down what it is asked.
const WRITES_DOWN: &str = r#"

import os

_Model = TritonPythonModel


class TritonPythonModel(_Model):
    """The same, and writes down every row that arrives."""

    def initialize(self, args):
        getattr(super(), "initialize", lambda _: None)(args)
        path = os.path.join(args["model_repository"], "arrived.log")
        self.arrived = open(path, "a", encoding="utf-8")

    def execute(self, requests):
        for request in requests:
            value = pb_utils.get_input_tensor_by_name(request, "value").as_numpy()
            about = f"{request.correlation_id()} {request.flags()}"
            for row in value.reshape(-1):
                self.arrived.write(f"{about} {int(row)}\n")
        self.arrived.flush()
        return super().execute(requests)
"#;

/// The models that rows go to.
pub(crate) const MODELS: [&str; 2] = ["accumulate", "echo"];

/// A stateful step, and one whose queue has one place.
const ENSEMBLE: [&str; 2] = ["queue_of_one", "sum_then_queue"];

/// Limits that runs of seconds meet: they are what `xtask/chaos/src/script.rs` counts on.
const LIMITS: [(&str, &str); 2] = [
    (
        "max_sequence_idle_microseconds: 5000000",
        "max_sequence_idle_microseconds: 1500000",
    ),
    (
        "max_candidate_sequences: 256",
        "max_candidate_sequences: 12",
    ),
];

/// The text of a model's program, with what writes down every row behind it.
pub(crate) fn that_writes_down(program: &Path) -> Result<String> {
    Ok(fs_err::read_to_string(program)? + WRITES_DOWN)
}

/// The example models of a soak, with limits that runs of seconds meet.
pub(super) fn write_for_soak(examples: &Path, models: &Path) -> Result<()> {
    for model in MODELS {
        let (from, to) = (examples.join(model), models.join(model));
        fs_err::create_dir_all(to.join("1"))?;
        let program = that_writes_down(&from.join("1/model.py"))?;
        fs_err::write(to.join("1/model.py"), program)?;
        let mut config = fs_err::read_to_string(from.join("config.pbtxt"))?;
        if model == "accumulate" {
            for (usual, here) in LIMITS {
                if !config.contains(usual) {
                    bail!("the configuration of '{model}' has no `{usual}` any more");
                }
                config = config.replace(usual, here);
            }
        }
        fs_err::write(to.join("config.pbtxt"), config).context("writing the models of the soak")?;
        // The server that runs since another time appends to it.
        let arrived = to.join("arrived.log");
        if !arrived.exists() {
            fs_err::write(arrived, "")?;
        }
    }
    Ok(())
}

/// The ensemble of the client's tests, beside the models of a soak.
pub(super) fn write_ensemble(tests: &Path, models: &Path) -> Result<()> {
    for model in ENSEMBLE {
        let (from, to) = (tests.join(model), models.join(model));
        fs_err::create_dir_all(to.join("1"))?;
        for folder in ["", "1"] {
            for entry in fs_err::read_dir(from.join(folder))? {
                let path = entry?.path();
                if let Some(name) = path.file_name().filter(|_| path.is_file()) {
                    fs_err::copy(&path, to.join(folder).join(name))?;
                }
            }
        }
    }
    Ok(())
}

/// The example models as they are.
pub(super) fn write_for_load(examples: &Path, models: &Path) -> Result<()> {
    for model in MODELS {
        let (from, to) = (examples.join(model), models.join(model));
        fs_err::create_dir_all(to.join("1"))?;
        for file in ["1/model.py", "config.pbtxt"] {
            fs_err::copy(from.join(file), to.join(file))?;
        }
    }
    Ok(())
}
