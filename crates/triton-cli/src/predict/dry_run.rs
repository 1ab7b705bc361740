//! `--dry-run`: what a run would do, and what it would make of the first rows, without one being sent.

use std::fmt::Write as _;
use std::process::ExitCode;

use triton_model_fn::{Column, Schema};
use triton_options::TritonOptions;

use super::arguments::OnError;
use super::job::Job;
use super::rejections::Reason;
use super::subtasks::Subtasks;
use crate::exit_codes::Exit;
use crate::failure::Failure;
use crate::objects::Location;
use crate::output::print;
use crate::table::ChunkSize;
use crate::wrapping::wrapped;

/// How many rows are read.
const ROWS: usize = 10;

impl Job {
    /// Reads the first rows and shows what would become of them.
    pub(super) fn dry_run(
        mut self,
        options: &TritonOptions,
        schema: &Schema,
        subtasks: &Subtasks,
        on_error: OnError,
    ) -> Result<ExitCode, Failure> {
        let mut lines = vec![format!(
            "model {} at {}: takes {}, gives {}",
            options.model_name,
            options.endpoint,
            listed(&schema.inputs),
            listed(&schema.outputs)
        )];
        let mut read = 0;
        let (mut rejected, mut unanswered) = (Vec::new(), Vec::new());
        for (index, (input, wanted)) in self.inputs.iter().enumerate() {
            let mut reader = match self.streams.remove(&index) {
                Some(reader) => reader,
                None => input.look()?.open(wanted)?,
            };
            let columns: Vec<&str> = reader.layout().names().collect();
            lines.push(format!("input {}: {}", input.name(), columns.join(", ")));
            while read < ROWS {
                let size = ChunkSize {
                    rows: ROWS - read,
                    ..ChunkSize::OF_ROWS
                };
                let chunk = reader.next_chunk(size);
                let Some(chunk) = chunk.map_err(|error| input.blame(error))? else {
                    break;
                };
                read += chunk.len();
                for row in chunk.into_rows() {
                    let (reason, stays) = match &row.values {
                        Ok(values) => match subtasks.check(values) {
                            Ok(()) => continue,
                            Err(error) => {
                                let stays = matches!(on_error, OnError::Default | OnError::Column);
                                (Reason::Function(error), stays)
                            }
                        },
                        Err(unusable) => {
                            let is_writable = unusable.writable().is_some();
                            let stays = on_error == OnError::Column && is_writable;
                            (Reason::Fault(unusable.fault.clone()), stays)
                        }
                    };
                    let became = match stays {
                        true => &mut unanswered,
                        false => &mut rejected,
                    };
                    became.push(format!("  {}", reason.described(&row)));
                }
            }
        }
        for destination in self.plan.destinations() {
            let name = match &destination.location {
                Location::Standard => "standard output".to_owned(),
                location => format!("output {location}"),
            };
            lines.push(format!("{name}: {}", destination.format));
        }
        let stay = match on_error {
            OnError::Default => "would get the default",
            _ => "would be written as failed",
        };
        let counts = [(&rejected, "would be rejected"), (&unanswered, stay)];
        let counts = counts.iter().filter(|(rows, _)| !rows.is_empty());
        let counts: Vec<_> = counts
            .map(|(rows, became)| format!("{} {became}", rows.len()))
            .collect();
        let found = match counts.is_empty() {
            true => "each can be sent".to_owned(),
            false => counts.join(", "),
        };
        let rows = if read == 1 { "row was" } else { "rows were" };
        lines.push(format!("{read} {rows} read, {found}; nothing was sent"));
        let is_well = rejected.is_empty();
        lines.extend(rejected.into_iter().chain(unanswered));
        let mut text = String::new();
        for line in lines {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", wrapped(&line));
        }
        print(&text)?;
        Ok(match is_well {
            true => Exit::Done.into(),
            false => Exit::Partial.into(),
        })
    }
}

fn listed(columns: &[Column]) -> String {
    let columns = columns.iter();
    let columns = columns.map(|column| format!("{} {}", column.name, column.data_type));
    columns.collect::<Vec<_>>().join(", ")
}
