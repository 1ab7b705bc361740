//! Writes what a work reads, and sees whether each answer is right.

use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::work::{Cells, Form, Work};

/// The input of a work in text; it is written once.
pub(super) fn text_input(folder: &Path, work: &Work) -> Result<PathBuf> {
    let path = input_path(folder, work);
    if path.exists() {
        return Ok(path);
    }
    let draft = path.with_extension("draft");
    let mut file = BufWriter::new(fs_err::File::create(&draft)?);
    if work.form == Form::Csv {
        let key = if work.keys > 0 { "key," } else { "" };
        let names: Vec<_> = (0..work.columns)
            .map(|column| format!("v{column}"))
            .collect();
        writeln!(file, "{key}{}", names.join(","))?;
    }
    for row in 0..work.rows {
        let cells = (0..work.columns).map(|column| work.value(row, column));
        match work.form {
            Form::Csv => {
                if work.keys > 0 {
                    write!(file, "k{},", key(work, row))?;
                }
                let cells = cells.enumerate().map(|(column, cell)| match work.cells {
                    Cells::Quoted => format!("\"{cell}\""),
                    _ if column == 0 && work.is_faulty(row) => "none".to_owned(),
                    _ => cell.to_string(),
                });
                let cells: Vec<_> = cells.collect();
                writeln!(file, "{}", cells.join(","))?;
            }
            _ => {
                let members: Vec<_> = cells
                    .enumerate()
                    .map(|(column, cell)| format!("\"v{column}\":{cell}"))
                    .collect();
                writeln!(file, "{{{}}}", members.join(","))?;
            }
        }
    }
    file.flush()?;
    fs_err::rename(&draft, &path)?;
    Ok(path)
}

/// The sequences that are open at once are as many as the server has places for: of more keys,
/// a group begins when the one before it has ended.
const MOST_OPEN: usize = 200;

/// Which key a row has: those of a group take turns.
fn key(work: &Work, row: usize) -> usize {
    let open = work.keys.min(MOST_OPEN);
    let rows_of_a_group = (work.rows / work.keys).max(1) * open;
    (row / rows_of_a_group * open + row % open) % work.keys
}

/// Where the input of a work lies; works that read the same share it.
pub(super) fn input_path(folder: &Path, work: &Work) -> PathBuf {
    let Work {
        rows,
        elements,
        columns,
        keys,
        form,
        cells,
        ..
    } = work;
    folder.join(format!(
        "{rows}x{columns}x{elements}-{keys}{}.{}",
        cells.name(),
        form.name()
    ))
}

/// Compares every answer of an output in text with what the model makes of its row.
pub(super) fn check_text(path: &Path, work: &Work) -> Result<()> {
    let file = BufReader::new(fs_err::File::open(path)?);
    let mut lines = file.lines();
    if work.form == Form::Csv {
        lines.next().context("there is no header")??;
    }
    let mut sums = vec![0.0; work.keys];
    let mut rows = 0;
    for (row, line) in lines.enumerate() {
        let line = line?;
        rows += 1;
        for column in 0..work.columns {
            let value = work.value(row, column);
            let expected = match work.keys {
                _ if work.is_faulty(row) => None,
                0 => Some(value),
                _ => {
                    let sum = &mut sums[key(work, row)];
                    *sum += value;
                    Some(*sum)
                }
            };
            let found = answer(&line, work, column)?;
            ensure!(
                found == expected,
                "{}: row {row} was answered {found:?} in column {column}, not {expected:?}: {line}",
                path.display()
            );
        }
    }
    ensure!(
        rows == work.rows,
        "{} has {rows} rows, not {}",
        path.display(),
        work.rows
    );
    Ok(())
}

/// What a row was answered; `None` where it failed and says so.
fn answer(line: &str, work: &Work, column: usize) -> Result<Option<f32>> {
    if work.form == Form::Csv {
        let place = usize::from(work.keys > 0) + work.columns + column;
        let cell = line.split(',').nth(place);
        let cell = cell.with_context(|| format!("no answer in '{line}'"))?;
        return match line.ends_with(",failed") {
            true if cell.is_empty() => Ok(None),
            _ => Ok(Some(cell.parse()?)),
        };
    }
    let row: Value = serde_json::from_str(line)?;
    match row[format!("e{column}")].as_f64() {
        Some(found) => Ok(Some(found as f32)),
        None => bail!("no answer in '{line}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_as_many_rows_and_few_are_open_at_once() {
        for keys in [2, 100, 1000] {
            let work = Work {
                keys,
                rows: 10_000,
                ..Work::DEFAULT
            };
            let mut rows = vec![Vec::new(); keys];
            for row in 0..work.rows {
                rows[key(&work, row)].push(row);
            }
            assert!(rows.iter().all(|rows| rows.len() == work.rows / keys));
            let open_at = |row| {
                let is_open = |rows: &&Vec<usize>| rows[0] <= row && row <= rows[rows.len() - 1];
                rows.iter().filter(is_open).count()
            };
            assert!(
                (0..work.rows)
                    .step_by(97)
                    .all(|row| open_at(row) <= MOST_OPEN)
            );
        }
    }

    #[test]
    fn a_wrong_a_missing_and_a_further_answer_are_seen() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("xtask-command-{}", std::process::id()));
        fs_err::create_dir_all(&folder)?;
        let work = Work {
            rows: 2,
            ..Work::DEFAULT
        };
        let path = folder.join("out.csv");
        let right = format!("v0,e0\n0,0\n{0},{0}\n", work.value(1, 0));
        fs_err::write(&path, &right)?;
        check_text(&path, &work)?;
        for wrong in [
            right.replace("\n0,0\n", "\n0,0.5\n"),
            right.replace("\n0,0\n", "\n"),
            format!("{right}0,0\n"),
        ] {
            fs_err::write(&path, wrong)?;
            assert!(check_text(&path, &work).is_err());
        }
        fs_err::remove_dir_all(&folder)?;
        Ok(())
    }
}
