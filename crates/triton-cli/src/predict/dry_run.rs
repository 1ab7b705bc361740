//! `--dry-run`: what a run would do, and what it would make of the first rows, without one being sent.

use std::fmt::Write as _;
use std::process::ExitCode;

use triton_model_fn::{Column, Schema};
use triton_options::TritonOptions;

use super::job::Job;
use crate::exit_codes::Exit;
use crate::failure::Failure;
use crate::output::{print, wrapped};
use crate::table::ChunkSize;

/// How many rows are read.
const ROWS: usize = 10;

impl Job {
    /// Reads the first rows and shows what would become of them.
    pub(super) fn dry_run(
        mut self,
        options: &TritonOptions,
        schema: &Schema,
    ) -> Result<ExitCode, Failure> {
        let mut lines = vec![format!(
            "model {} at {}: takes {}, gives {}",
            options.model_name,
            options.endpoint,
            listed(&schema.inputs),
            listed(&schema.outputs)
        )];
        let mut read = 0;
        let mut faults = Vec::new();
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
                    if let Err(unusable) = &row.values {
                        faults.push(format!("  {}: {}", row.place, unusable.fault));
                    }
                }
            }
        }
        for destination in self.plan.destinations() {
            let name = match &destination.path {
                Some(path) => format!("output {}", path.display()),
                None => "standard output".to_owned(),
            };
            lines.push(format!("{name}: {}", destination.format));
        }
        let rejected = match faults.len() {
            0 => "each can be sent".to_owned(),
            count => format!("{count} would be rejected"),
        };
        let rows = if read == 1 { "row was" } else { "rows were" };
        lines.push(format!("{read} {rows} read, {rejected}; nothing was sent"));
        let is_well = faults.is_empty();
        lines.extend(faults);
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
