//! The files of a run and what each is for: all are known before the first is written, so that
//! none of them is written over by another.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};

use super::arguments::PredictArguments;
use super::outputs::Plan;
use crate::config::LayeredOptions;
use crate::disk::{Identity, Place, StagedFile, unfinished_name};
use crate::objects::{self, Location, Object};
use crate::table::Input;

/// What a file of a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Model,
    Config,
    /// It holds the value of a secret option.
    Secret,
    /// An option names it.
    OfOption,
    Input,
    StandardInput,
    Output,
    /// The output of one of the inputs, in the folder of `--output`.
    OutputOfInput,
    /// What an output is called until it is complete.
    Unfinished,
    StandardOutput,
    StandardError,
    RetryErrors,
    Errors,
    JsonSummary,
}

/// A file that a run reads or writes.
#[derive(Debug)]
struct RunFile {
    role: Role,
    path: PathBuf,
    place: Place,
    /// Whether it is no file, but an object of a store, and the path its address.
    is_object: bool,
}

/// All files of a run.
#[derive(Debug, Default)]
pub(super) struct RunFiles {
    files: Vec<RunFile>,
    /// The folder of checkpoints, as the user named it, and what is there.
    checkpoints: Option<(PathBuf, Place)>,
}

impl Role {
    fn is_written(self) -> bool {
        match self {
            Role::Model
            | Role::Config
            | Role::Secret
            | Role::OfOption
            | Role::Input
            | Role::StandardInput
            | Role::RetryErrors => false,
            Role::Output
            | Role::OutputOfInput
            | Role::Unfinished
            | Role::StandardOutput
            | Role::StandardError
            | Role::Errors
            | Role::JsonSummary => true,
        }
    }

    /// Whether it is one of the outputs, whose messages a shell may put in the same file.
    fn is_stream_of_shell(self) -> bool {
        matches!(self, Role::StandardOutput | Role::StandardError)
    }
}

impl fmt::Display for RunFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.role {
            Role::Model => write!(formatter, "the model file {path}"),
            Role::Config => write!(formatter, "the configuration file {path}"),
            Role::OfOption => write!(formatter, "the file {path}, which an option names"),
            Role::Secret => write!(formatter, "the file {path}, which holds a secret option"),
            Role::Input => write!(formatter, "the input {path}"),
            Role::StandardInput => formatter.write_str("standard input"),
            Role::Output => write!(formatter, "--output {path}"),
            Role::OutputOfInput => write!(formatter, "the output {path} in the folder of --output"),
            Role::Unfinished => {
                write!(
                    formatter,
                    "{path}, where an output is until it is complete,"
                )
            }
            Role::StandardOutput => formatter.write_str("standard output"),
            Role::StandardError => formatter.write_str("standard error"),
            Role::RetryErrors => write!(formatter, "--retry-errors {path}"),
            Role::Errors => write!(formatter, "--errors {path}"),
            Role::JsonSummary => write!(formatter, "--json-summary={path}"),
        }
    }
}

impl RunFiles {
    /// The files of a run over `inputs`.
    pub(super) fn of_run(
        arguments: &PredictArguments,
        options: &LayeredOptions,
        model: Option<&Path>,
        inputs: &[Input],
        plan: &Plan,
    ) -> anyhow::Result<Self> {
        let mut files = Self::default();
        for (role, path) in [(Role::Model, model), (Role::Config, options.config_file())] {
            files.add(role, path)?;
        }
        for (path, is_secret) in options.files_of_options() {
            let role = if is_secret {
                Role::Secret
            } else {
                Role::OfOption
            };
            files.add(role, Some(path))?;
        }
        for input in inputs {
            match &input.location {
                Location::Standard => {
                    files.add_stream(Role::StandardInput, Identity::of_redirected_input());
                }
                Location::File(path) => files.add(Role::Input, Some(path))?,
                Location::Object(object) => files.add_object(Role::Input, object),
            }
        }
        for destination in plan.destinations() {
            let role = match plan.is_one() {
                true => Role::Output,
                false => Role::OutputOfInput,
            };
            match &destination.location {
                Location::Standard => {
                    files.add_stream(Role::StandardOutput, Identity::of_redirected_output());
                }
                Location::File(path) => files.add(role, Some(path))?,
                Location::Object(object) => files.add_object(role, object),
            }
        }
        files.add_stream(Role::StandardError, Identity::of_redirected_messages());
        let failures = &arguments.failures;
        files.add(Role::RetryErrors, failures.retry_errors.as_deref())?;
        files.add(Role::Errors, failures.errors.as_deref())?;
        let summary = arguments.reports.json_summary.as_deref();
        files.add(
            Role::JsonSummary,
            summary.filter(|path| *path != Path::new("-")),
        )?;
        if let Some(folder) = &arguments.checkpoints.checkpoint {
            files.checkpoints = Some((folder.clone(), place("--checkpoint", folder)?));
        }
        Ok(files)
    }

    fn add(&mut self, role: Role, path: Option<&Path>) -> anyhow::Result<()> {
        let Some(path) = path else { return Ok(()) };
        let mut file = RunFile {
            role,
            path: path.to_owned(),
            place: Place::Special { file: None },
            is_object: false,
        };
        if path.to_str().is_some_and(objects::is_address) {
            bail!(
                "{file}: only inputs and --output can be objects of a store; name a file of this \
                 machine"
            );
        }
        file.place = Place::of(path).with_context(|| format!("{file} cannot be used"))?;
        if matches!(role, Role::Output | Role::OutputOfInput | Role::JsonSummary)
            && let Place::File { real, .. } | Place::Free { real } = &file.place
        {
            let unfinished = unfinished_name(real);
            // Only one that is there already could be something else, too.
            if let Ok(place @ Place::File { .. }) = Place::of(&unfinished) {
                self.files.push(RunFile {
                    role: Role::Unfinished,
                    path: unfinished,
                    place,
                    is_object: false,
                });
            }
        }
        self.files.push(file);
        Ok(())
    }

    fn add_stream(&mut self, role: Role, file: Option<Identity>) {
        self.files.push(RunFile {
            role,
            path: PathBuf::new(),
            place: Place::Special { file },
            is_object: false,
        });
    }

    fn add_object(&mut self, role: Role, object: &Object) {
        self.files.push(RunFile {
            role,
            path: object.to_string().into(),
            place: Place::Special { file: None },
            is_object: true,
        });
    }

    /// Refuses files of which one would be written over another, and what cannot be written.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.check_distinct()?;
        self.check_checkpoints()?;
        self.check_writable()
    }

    /// Nothing may be written that is something else as well; reading a file twice does no harm.
    fn check_distinct(&self) -> anyhow::Result<()> {
        // Of the files with the same identity or, if they do not exist yet, the same name: the
        // first that is read, and the first that is written.
        let mut there: HashMap<&Identity, [Option<&RunFile>; 2]> = HashMap::new();
        let mut to_come: HashMap<&Path, [Option<&RunFile>; 2]> = HashMap::new();
        let mut objects: HashMap<&Path, [Option<&RunFile>; 2]> = HashMap::new();
        for file in &self.files {
            let same = match (&file.place, file.place.file()) {
                (_, Some(identity)) => there.entry(identity).or_default(),
                (Place::Free { real }, _) => to_come.entry(real).or_default(),
                _ if file.is_object => objects.entry(&file.path).or_default(),
                _ => continue,
            };
            let [read, written] = same;
            if let Some(written) = written
                && !(written.role.is_stream_of_shell() && file.role.is_stream_of_shell())
            {
                return Err(conflict(written, file));
            }
            if file.role.is_written() {
                if let Some(read) = read {
                    return Err(conflict(file, read));
                }
                written.get_or_insert(file);
            } else {
                read.get_or_insert(file);
            }
        }
        Ok(())
    }

    /// The folder of checkpoints is for nothing else.
    fn check_checkpoints(&self) -> anyhow::Result<()> {
        let Some((path, place)) = &self.checkpoints else {
            return Ok(());
        };
        let path = path.display();
        for file in &self.files {
            let (Some(folder), Some(real)) = (place.real(), file.place.real()) else {
                continue;
            };
            if real == folder {
                bail!(
                    "--checkpoint {path} is {file}: checkpoints are kept in a folder that is for \
                     them alone; name another one"
                );
            }
            if real.starts_with(folder) {
                bail!(
                    "--checkpoint {path}: {file} lies in this folder, which is for checkpoints \
                     alone; name another folder"
                );
            }
        }
        match place {
            Place::Folder { .. } | Place::Free { .. } => Ok(()),
            Place::File { .. } | Place::Special { .. } => {
                bail!(
                    "--checkpoint {path}: expected a folder, found something else; name another one"
                )
            }
        }
    }

    /// Finds out now what would only show when the run is over.
    fn check_writable(&self) -> anyhow::Result<()> {
        for file in self.files.iter().filter(|file| file.role.is_written()) {
            let folder = match &file.place {
                Place::Free { real } if file.role != Role::OutputOfInput => real.parent(),
                Place::Folder { .. } => bail!("{file}: expected a file, found a folder"),
                _ => None,
            };
            if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
                bail!(
                    "{file}: the folder {} does not exist; make it, or name another file",
                    folder.display()
                );
            }
            if let (Role::JsonSummary, Some(real)) = (file.role, file.place.real()) {
                // Others are opened before the first row; a folder may let nothing be written.
                StagedFile::create(real).with_context(|| format!("{file} cannot be written"))?;
            }
        }
        Ok(())
    }

    /// Refuses to go on after the end of the process with what would be lost with it.
    pub(super) fn check_resumable(&self) -> anyhow::Result<()> {
        if self.checkpoints.is_none() {
            return Ok(());
        }
        for file in &self.files {
            let is_special = matches!(file.place, Place::Special { .. });
            match file.role {
                Role::StandardOutput => bail!(
                    "--checkpoint: what was written to standard output cannot be taken back: add \
                     --output FILE"
                ),
                Role::Output | Role::OutputOfInput if file.is_object => bail!(
                    "--checkpoint: {} is an object of a store, which appears when it is whole and \
                     cannot be written on: name a file for --output, and copy it when the run is over",
                    file.path.display()
                ),
                Role::Output | Role::OutputOfInput if is_special => bail!(
                    "--checkpoint: what was written to {} cannot be taken back, because it is no \
                     regular file: name another --output",
                    file.path.display()
                ),
                _ => {}
            }
        }
        Ok(())
    }
}

fn place(argument: &str, path: &Path) -> anyhow::Result<Place> {
    Place::of(path).with_context(|| format!("{argument} {} cannot be used", path.display()))
}

/// What is wrong with a file that would be written although it is another one as well.
fn conflict(written: &RunFile, other: &RunFile) -> anyhow::Error {
    let by_another_name = match written.path == other.path {
        _ if written.path.as_os_str().is_empty() || other.path.as_os_str().is_empty() => "",
        true => "",
        false => ", by another name",
    };
    let harm = match other.role.is_written() {
        true => "each would destroy what the other is to hold",
        false => "the run would write over what it reads",
    };
    anyhow!("{written} is {other}{by_another_name}: {harm}; name another file")
}
