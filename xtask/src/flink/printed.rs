//! What the tasks of a cluster print, which is in the logs of its TaskManagers.

use std::collections::btree_map::{BTreeMap, Entry};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::cluster::Instance;

/// What the connector `print` writes goes to the logs with this in its line.
const PRINTED: &str = "SystemOutRedirection";

/// What tasks print from now on.
pub(super) struct Printed {
    folder: PathBuf,
    logs: BTreeMap<PathBuf, Log>,
    /// Whether it was told that something cannot be shown.
    is_told: bool,
}

impl Printed {
    pub(super) fn from_now_on(instance: &Instance) -> Result<Self> {
        Self::in_folder(instance.part("log"))
    }

    fn in_folder(folder: PathBuf) -> Result<Self> {
        let mut logs = BTreeMap::new();
        for path in paths(&folder)? {
            if let Some(mut log) = Log::open(&path)? {
                log.read = log.file.metadata()?.len();
                logs.insert(path, log);
            }
        }
        Ok(Self {
            folder,
            logs,
            is_told: false,
        })
    }

    /// Shows what came since the last time. The jobs go on where that fails, and it is told once.
    pub(super) fn show(&mut self) {
        let mut rows = Vec::new();
        let mut outcome = self.read(&mut rows);
        let mut out = std::io::stdout().lock();
        for row in rows {
            if let Err(error) = writeln!(out, "{row}") {
                outcome = outcome.and(Err(error.into()));
                break;
            }
        }
        if let Err(error) = outcome
            && !self.is_told
        {
            self.is_told = true;
            // Not `eprintln!`, which panics where nobody reads.
            let _ = writeln!(
                std::io::stderr(),
                "rows that the connector `print` writes may be missing here: {error:#}; the jobs \
                 go on, and all rows are in {}",
                self.folder.display()
            );
        }
    }

    /// Adds the rows that came since the last time; a failure leaves out one log.
    fn read(&mut self, rows: &mut Vec<String>) -> Result<()> {
        let mut outcome = Ok(());
        for path in paths(&self.folder)? {
            let Entry::Vacant(place) = self.logs.entry(path) else {
                continue;
            };
            match Log::open(place.key()) {
                Ok(Some(log)) => drop(place.insert(log)),
                Ok(None) => {}
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        for (path, log) in &mut self.logs {
            outcome = outcome.and(log.follow(path, rows));
        }
        outcome
    }
}

/// A log that is open: when it is full it gets another name, and a new one takes its place.
struct Log {
    file: fs_err::File,
    /// How far it was read.
    read: u64,
}

impl Log {
    /// `None` where there is no file.
    fn open(path: &Path) -> Result<Option<Self>> {
        match fs_err::File::open(path) {
            Ok(file) => Ok(Some(Self { file, read: 0 })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds the rows that came since the last time, in this file and in one that took its place.
    fn follow(&mut self, path: &Path, rows: &mut Vec<String>) -> Result<()> {
        // Before the rest is read: nothing is written any more to a file that was replaced.
        let next = match Self::open(path)? {
            Some(next) if !next.is(self)? => Some(next),
            _ => None,
        };
        self.add_rows(rows)?;
        if let Some(next) = next {
            *self = next;
            self.add_rows(rows)?;
        }
        Ok(())
    }

    fn is(&self, other: &Self) -> Result<bool> {
        let (this, other) = (self.file.metadata()?, other.file.metadata()?);
        Ok((this.dev(), this.ino()) == (other.dev(), other.ino()))
    }

    fn add_rows(&mut self, rows: &mut Vec<String>) -> Result<()> {
        if self.file.metadata()?.len() < self.read {
            // It was emptied.
            self.read = 0;
        }
        let mut text = Vec::new();
        self.file.seek(SeekFrom::Start(self.read))?;
        self.file.read_to_end(&mut text)?;
        // The last line may not be whole yet.
        let whole = text.iter().rposition(|byte| *byte == b'\n');
        let text = &text[..whole.map_or(0, |end| end + 1)];
        self.read += text.len() as u64;
        let text = String::from_utf8_lossy(text);
        rows.extend(text.lines().filter_map(row).map(str::to_owned));
        Ok(())
    }
}

/// The logs of the TaskManagers, without those that were full.
fn paths(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut logs = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy());
        if name.is_some_and(|name| name.contains("taskexecutor") && name.ends_with(".log")) {
            logs.push(path);
        }
    }
    Ok(logs)
}

/// The row in a line of the log.
fn row(line: &str) -> Option<&str> {
    let (head, row) = line.split_once(" - ")?;
    head.contains(PRINTED).then_some(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(path: &Path, text: &str) {
        let mut options = fs_err::OpenOptions::new();
        let mut file = options.create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn line(row: &str) -> String {
        format!("INFO SystemOutRedirection [] - {row}\n")
    }

    fn rows(printed: &mut Printed) -> Vec<String> {
        let mut rows = Vec::new();
        printed.read(&mut rows).unwrap();
        rows
    }

    #[test]
    fn rows_are_read_across_the_replacement_of_a_log() {
        let folder = std::env::temp_dir().join(format!("xtask-printed-{}", std::process::id()));
        fs_err::create_dir_all(&folder).unwrap();
        let log = folder.join("flink--taskexecutor-0-vm.log");
        let full = folder.join("flink--taskexecutor-0-vm.log.1");
        append(&log, &line("before"));
        let mut printed = Printed::in_folder(folder.clone()).unwrap();
        assert!(rows(&mut printed).is_empty());

        append(&log, "INFO SomethingElse [] - no row\n");
        append(&log, &line("a"));
        append(&log, "INFO SystemOut");
        assert_eq!(rows(&mut printed), ["a"]);

        append(&log, "Redirection [] - b\n");
        fs_err::rename(&log, &full).unwrap();
        assert_eq!(rows(&mut printed), ["b"]);

        append(&full, &line("c"));
        append(&log, &line("d"));
        assert_eq!(rows(&mut printed), ["c", "d"]);

        fs_err::write(&log, line("")).unwrap();
        append(&folder.join("flink--taskexecutor-1-vm.log"), &line("e"));
        assert_eq!(rows(&mut printed), ["", "e"]);

        fs_err::write(&log, "").unwrap();
        assert!(rows(&mut printed).is_empty());
        append(&log, &line("f"));
        assert_eq!(rows(&mut printed), ["f"]);
        fs_err::remove_dir_all(&folder).unwrap();
        assert!(printed.read(&mut Vec::new()).is_err());
    }
}
