//! What a change of the command must not lose: right outputs, and ratios of instructions within one
//! run. Nothing here depends on the machine, nor on who else uses it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};

use super::files;
use super::predict::{self, Triton};
use super::server::ColumnServer;
use super::work::{Cells, Form, Work};
use crate::bench::callgrind;
use crate::lock;
use crate::workspace::Workspace;

/// Two works of which the first may cost at most so many times what the second does, a row.
struct Bound {
    name: &'static str,
    /// Why it is so.
    because: &'static str,
    work: Work,
    beside: Work,
    most: f64,
}

/// Timers, such as that of the progress, run more often in a run that has to wait for a processor. So
/// they only ever add to the count of a run, and the least of several is the nearest to what it costs.
/// That holds for runs, and not for the difference of two, of which what is added to the shorter one
/// takes away.
const ATTEMPTS: usize = 4;

/// Rows of the longer run of a work; the shorter one has a quarter.
const ROWS: usize = 4_000;

const CSV: Work = Work {
    name: "smoke-csv",
    rows: ROWS,
    batch: 250,
    ..Work::DEFAULT
};

/// To open a connection costs as much as several rows, and how many are opened before the first answer
/// comes depends on who else uses the machine. So there are few, which a short run opens, too.
const ONE_ROW: Work = Work {
    name: "smoke-one-row",
    rows: ROWS / 4,
    batch: 1,
    in_flight: 16,
    connections: Some(4),
    ..CSV
};

const KEYED: Work = Work {
    name: "smoke-keyed",
    keys: 10,
    in_flight: 256,
    ..ONE_ROW
};

const BOUNDS: &[Bound] = &[
    Bound {
        name: "rows",
        because: "a row costs the same in a longer file",
        work: Work {
            name: "smoke-more-rows",
            rows: 4 * ROWS,
            ..CSV
        },
        beside: CSV,
        most: 1.1,
    },
    Bound {
        name: "batch",
        because: "rows that share a request share its cost",
        work: CSV,
        beside: ONE_ROW,
        most: 0.4,
    },
    Bound {
        name: "parallelism",
        because: "a second subtask has the rows that the first has not",
        work: Work {
            name: "smoke-subtasks",
            subtasks: 2,
            ..CSV
        },
        beside: CSV,
        most: 1.15,
    },
    Bound {
        name: "ndjson",
        because: "JSON is not much more to read and to write than CSV, names and all",
        work: Work {
            name: "smoke-ndjson",
            form: Form::Ndjson,
            ..CSV
        },
        beside: CSV,
        most: 2.2,
    },
    Bound {
        name: "quotes",
        because: "cells in quotes are split, and no more than that",
        work: Work {
            name: "smoke-quotes",
            cells: Cells::Quoted,
            ..CSV
        },
        beside: CSV,
        most: 2.8,
    },
    Bound {
        name: "faults",
        because: "a row that cannot be read costs no request, and the others what they cost without it",
        work: Work {
            name: "smoke-faults",
            cells: Cells::Faulty,
            ..CSV
        },
        beside: CSV,
        most: 2.5,
    },
    Bound {
        name: "keys",
        because: "a row of a key costs no more where there are many",
        work: Work {
            name: "smoke-keys",
            keys: 100,
            ..KEYED
        },
        beside: KEYED,
        most: 1.4,
    },
    Bound {
        name: "in-flight",
        because: "a request costs no more where many are in flight",
        work: Work {
            name: "smoke-in-flight",
            in_flight: 256,
            ..ONE_ROW
        },
        beside: ONE_ROW,
        most: 1.25,
    },
];

pub(super) fn run(only: &[String], program: Option<&Path>) -> Result<ExitCode> {
    let names: Vec<_> = BOUNDS.iter().map(|bound| bound.name).collect();
    if let Some(unknown) = only.iter().find(|only| !names.contains(&only.as_str())) {
        bail!("'{unknown}' is none of {}", names.join(", "));
    }
    let workspace = Workspace::find()?;
    let folder = workspace.target_directory.join("bench");
    let _lock = lock::wait(&folder.join("lock"), "measures")?;
    let files = folder.join("command-files");
    fs_err::create_dir_all(&files)?;
    let server = ColumnServer::start(&workspace)?;
    let triton = Triton {
        // As it is used: without optimization, other things cost most.
        program: super::program(&workspace, program)?,
        folder,
        endpoint: server.endpoint().to_owned(),
    };
    round_trip(&triton, &files)?;
    let is_counted = callgrind::is_there();
    let mut counted: Vec<(&str, [f64; 2])> = Vec::new();
    let mut broken = Vec::new();
    for bound in BOUNDS {
        if !only.is_empty() && !only.iter().any(|only| only == bound.name) {
            continue;
        }
        let works = [&bound.work, &bound.beside];
        if !is_counted {
            for work in works {
                triton.run(work, &files::text_input(&files, work)?, true)?;
            }
            continue;
        }
        let mut attempt = 1;
        let line = loop {
            for work in works {
                let known = counted.iter().position(|(name, _)| *name == work.name);
                if attempt == 1 && known.is_some() {
                    continue;
                }
                let count = instructions(&triton, &files, work)
                    .with_context(|| format!("while '{}' was counted", work.name))?;
                match known.map(|known| &mut counted[known].1) {
                    Some(least) => *least = [0, 1].map(|run| least[run].min(count[run])),
                    None => counted.push((work.name, count)),
                }
            }
            let least = |work: &Work| {
                let found = counted.iter().find(|(name, _)| *name == work.name);
                let rows = work.rows - shorter(work).rows;
                found.map_or(f64::NAN, |(_, [few, many])| (many - few) / rows as f64)
            };
            let [work, beside] = works.map(least);
            let ratio = work / beside;
            let line = format!(
                "{}: {work:.0} instructions a row, {ratio:.2} × {beside:.0}, at most {}",
                bound.name, bound.most
            );
            if (0.0..=bound.most).contains(&ratio) {
                break line;
            }
            if attempt == ATTEMPTS {
                broken.push(format!("  {line}: {}", bound.because));
                break line;
            }
            attempt += 1;
        };
        println!("{line}");
    }
    ensure!(
        broken.is_empty(),
        "the command costs more than it may:\n{}",
        broken.join("\n")
    );
    match is_counted {
        true => println!("every output was right, and nothing costs more than it may"),
        false => println!("every output was right; what it costs was not counted"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Rows that go into Parquet and out of it again are those that they were, and so are their answers.
fn round_trip(triton: &Triton, folder: &Path) -> Result<()> {
    let work = Work {
        name: "smoke-parquet",
        ..CSV
    };
    let input = files::text_input(folder, &work)?;
    let into = Work {
        form: Form::Parquet,
        ..work
    };
    triton.run(&into, &input, false)?;
    let output = triton.output(&work);
    // The answers of the first run are a column like others to the second.
    let mut again = triton.predict_with(&work, ["e", "a"], &triton.output(&into), &output)?;
    again.args(["--map", "e0=v0", "--map", "a0=e0"]);
    predict::measure(&mut again, &triton.folder.join("printed.txt"), work.rows)?;
    files::check_text(&output, &work)?;
    let second = |line: &str| {
        let (first, second) = line.rsplit_once(',')?;
        Some(second == first.rsplit_once(',')?.1)
    };
    let text = fs_err::read_to_string(&output)?;
    ensure!(
        text.lines().skip(1).all(|line| second(line) == Some(true)),
        "{}: an answer is not its value",
        output.display()
    );
    Ok(())
}

/// The shorter run of a work.
fn shorter(work: &Work) -> Work {
    Work {
        rows: work.rows / 4,
        ..*work
    }
}

/// The instructions of the shorter and of the longer run; every output is compared with what it has to
/// be.
fn instructions(triton: &Triton, folder: &Path, work: &Work) -> Result<[f64; 2]> {
    let few = shorter(work);
    let inputs = [
        files::text_input(folder, &few)?,
        files::text_input(folder, work)?,
    ];
    triton.instructions_of_runs(&few, work, [&inputs[0], &inputs[1]])
}
