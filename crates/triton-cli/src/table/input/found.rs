//! Inputs as the command line names them, before they are opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{anyhow, bail};

use super::passing::Passing;
use super::pattern;
use crate::disk::Identity;
use crate::objects::{Location, Object};
use crate::table::foreign;
use crate::table::format::Format;
use crate::table::row::Place;

/// An input before it is opened.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) location: Location,
    /// The format, where something other than the first bytes tells it.
    pub(super) format: Option<Format>,
    /// Whether an argument says that it is text: then it is, whatever letters it begins with.
    pub(super) is_said_to_be_text: bool,
    /// The input's name, as the user gave it.
    name: Arc<str>,
    among_several: bool,
    /// Whether it is a pipe or a device, by whatever name: it can be opened and read only once,
    /// and nobody knows how long it is.
    pub(super) is_stream: bool,
    /// How many rows there are for this command, if it has more.
    pub(super) limit: Option<u64>,
    pub(super) passing: Passing,
    pub(super) text: TextSettings,
}

/// What the arguments of a command name.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) inputs: Vec<Input>,
    /// What is to be said of files that are in a folder and no inputs.
    pub(crate) passed_over: Vec<String>,
}

/// Which files of a folder are meant when the folder is.
struct Folder {
    format: Option<Format>,
    passed_over: Vec<String>,
}

impl Folder {
    fn of(format: Option<Format>) -> Self {
        let passed_over = Vec::new();
        Self {
            format,
            passed_over,
        }
    }

    /// Whether a file is an input: one in a compression that is not read is, and is refused when it is
    /// opened, or its rows would be missing.
    fn means(&mut self, path: &Path) -> bool {
        let is_known = self.format.is_some() || Format::of_path(path).0.is_some();
        let is_meant = is_known || foreign::is_packed_table(path);
        if !is_meant {
            let name = path.file_name().unwrap_or(path.as_os_str());
            self.passed_over.push(name.to_string_lossy().into_owned());
        }
        is_meant
    }

    /// What is to be said of the others, if there are any.
    fn told(self, folder: &str) -> Option<String> {
        /// How many are named.
        const MOST_NAMED: usize = 3;
        let names = &self.passed_over;
        let count = match names.len() {
            0 => return None,
            1 => "1 file is passed over, whose name tells no format".to_owned(),
            several => format!("{several} files are passed over, whose names tell no format"),
        };
        let named = names[..names.len().min(MOST_NAMED)].join(", ");
        let further = if names.len() > MOST_NAMED {
            ", …"
        } else {
            ""
        };
        Some(format!(
            "{folder}: {count} ({named}{further}); --input-format says it of all"
        ))
    }
}

/// What holds for every input of a command.
#[derive(Debug, Clone)]
pub(crate) struct InputSettings {
    /// The format, whatever the names say.
    pub(crate) format: Option<Format>,
    /// How many rows of each are read, from the first on.
    pub(crate) limit: Option<u64>,
    /// Which columns pass through.
    pub(crate) passing: Passing,
    pub(crate) text: TextSettings,
}

/// How text is read that its name and bytes say nothing about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextSettings {
    /// What separates cells, where that is not the format's own.
    pub(crate) delimiter: Option<u8>,
    /// The most bytes of a cell.
    pub(crate) longest_cell: usize,
    /// Whether the first record of CSV has the names of the columns.
    pub(crate) has_header: bool,
}

impl Input {
    /// What stands for standard input.
    pub(crate) const STANDARD: &str = "-";

    /// The inputs that the arguments of a command name: files, folders, patterns, or `-`.
    pub(crate) fn find(names: &[String], settings: &InputSettings) -> anyhow::Result<Found> {
        let format = settings.format;
        let mut found_at = Vec::new();
        let mut passed_over = Vec::new();
        for name in names {
            let mut folder = Folder::of(format);
            if name == Self::STANDARD {
                if found_at.contains(&Location::Standard) {
                    bail!("standard input (-) can be read only once");
                }
                found_at.push(Location::Standard);
            } else if let Some(object) = Object::at(name)? {
                let found = object.matching(|path| folder.means(path))?;
                found_at.extend(found.into_iter().map(Location::Object));
            } else if Path::new(name).is_dir() {
                let mut found = pattern::files_within(Path::new(name))?;
                found.retain(|path| folder.means(path));
                if found.is_empty() {
                    bail!(
                        "{name}: no file in this folder has a name by which its format is known, such \
                         as .csv or .parquet; --input-format says it of all"
                    );
                }
                found_at.extend(found.into_iter().map(Location::File));
            } else if Path::new(name).exists() || !name.contains(['*', '?', '[']) {
                found_at.push(Location::File(PathBuf::from(name)));
            } else {
                let found = pattern::files(name)?;
                if found.is_empty() {
                    bail!("no file matches the pattern '{name}'");
                }
                found_at.extend(found.into_iter().map(Location::File));
            }
            passed_over.extend(folder.told(name));
        }
        let among_several = found_at.len() > 1;
        let mut pipes = Vec::new();
        let inputs = found_at.into_iter().map(|location| {
            let input = Self {
                name: location.to_string().into(),
                is_said_to_be_text: format.is_some_and(Format::is_text),
                format: format.or_else(|| Format::of_path(location.named()?).0),
                is_stream: is_stream(&location)?,
                location,
                among_several,
                limit: settings.limit,
                passing: settings.passing.clone(),
                text: settings.text,
            };
            if let Some(pipe) = input.pipe() {
                if pipes.contains(&pipe) {
                    bail!("{}: a pipe can be read only once", input.described());
                }
                pipes.push(pipe);
            }
            Ok(input)
        });
        Ok(Found {
            inputs: inputs.collect::<anyhow::Result<_>>()?,
            passed_over,
        })
    }

    /// Whether it can be read only once, from its beginning to its end.
    pub(crate) fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Which pipe it is, if it is one.
    fn pipe(&self) -> Option<Identity> {
        match &self.location {
            Location::Standard => Identity::of_standard_input(),
            Location::File(path) if self.is_stream && is_pipe(path) => Identity::of(path).ok(),
            Location::File(_) | Location::Object(_) => None,
        }
    }

    /// Which of its columns pass through.
    pub(crate) fn passing(&self) -> &Passing {
        &self.passing
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The name of the file without folders and extensions that tell its format.
    pub(crate) fn stem(&self) -> String {
        let Some(path) = self.location.named() else {
            return "stdin".to_owned();
        };
        let (format, compression) = Format::of_path(path);
        let mut name = PathBuf::from(path.file_name().unwrap_or_default());
        if compression.is_some() {
            name.set_extension("");
        }
        if format.is_some() {
            name.set_extension("");
        }
        name.to_string_lossy().into_owned()
    }

    /// The number of bytes to be read, where it is known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        match &self.location {
            Location::File(path) if !self.is_stream => Some(fs_err::metadata(path).ok()?.len()),
            Location::Object(object) => object.size(),
            Location::File(_) | Location::Standard => None,
        }
    }

    /// Says of which input an error is.
    pub(crate) fn blame(&self, error: anyhow::Error) -> anyhow::Error {
        error.context(format!("{}: reading stopped", self.described()))
    }

    /// Says of which input an error is, before any row of it was read.
    pub(crate) fn unusable(&self, error: &anyhow::Error) -> anyhow::Error {
        anyhow!("{}: {error:#}", self.described())
    }

    fn described(&self) -> &str {
        match self.location {
            Location::Standard => "standard input",
            Location::File(_) | Location::Object(_) => &self.name,
        }
    }

    pub(super) fn place(&self, row: u64, line: Option<u64>) -> Place {
        Place {
            input: Arc::clone(&self.name),
            among_several: self.among_several,
            row,
            line,
            bytes: 0,
        }
    }
}

/// Whether an input is anything but a regular file. What is not there is found out when it is
/// opened.
fn is_stream(location: &Location) -> anyhow::Result<bool> {
    let path = match location {
        Location::Standard => return Ok(true),
        Location::Object(_) => return Ok(false),
        Location::File(path) => path,
    };
    match path.metadata() {
        Ok(found) if found.is_dir() => bail!(
            "{}: this is a folder; name the files in it, with a pattern such as '{}'",
            path.display(),
            path.join("*.csv").display()
        ),
        Ok(found) => Ok(!found.is_file()),
        Err(_) => Ok(false),
    }
}

#[cfg(unix)]
fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    path.metadata()
        .is_ok_and(|found| found.file_type().is_fifo() || found.file_type().is_socket())
}

#[cfg(not(unix))]
fn is_pipe(_: &Path) -> bool {
    false
}
