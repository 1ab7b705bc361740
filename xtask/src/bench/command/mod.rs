//! What the `triton` command costs beside other programs that do the same work, measured in one run:
//! a table, and a page with plots of how its cost grows.

mod files;
mod growth;
mod machine;
mod page;
mod peers;
mod plot;
mod predict;
mod rounds;
mod server;
mod smoke;
mod table;
mod work;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use self::growth::Growth;
pub(super) use self::peers::PACKAGES;
use self::peers::PythonPeers;
use self::predict::Triton;
use self::server::ColumnServer;
use self::table::Row;
use self::work::{Form, WORKS, Work};
use crate::workspace::Workspace;
use crate::{command, lock};

pub(super) use self::predict::Cost;

/// Rounds take longer here than those of the client, and their ratios spread less.
const ROUNDS: usize = 5;

pub(super) struct Wanted<'a> {
    pub(super) rounds: Option<usize>,
    /// Names of works and of growths; all of them where there are none.
    pub(super) only: &'a [String],
    pub(super) times_only: bool,
    /// Growth up to where a point takes minutes.
    pub(super) large: bool,
    /// Of the rows of a work only one in so many is taken.
    pub(super) share: usize,
    /// A program to measure instead of the one of this workspace, such as an earlier one.
    pub(super) program: Option<&'a Path>,
}

impl Wanted<'_> {
    fn has(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    fn check_names(&self) -> Result<()> {
        let mut known: Vec<_> = WORKS.iter().map(|work| work.name).collect();
        known.extend(growth::ALL.map(Growth::name));
        match self
            .only
            .iter()
            .find(|only| !known.contains(&only.as_str()))
        {
            Some(unknown) => bail!("'{unknown}' is none of {}", known.join(", ")),
            None => Ok(()),
        }
    }
}

pub(super) fn run(wanted: &Wanted<'_>) -> Result<ExitCode> {
    wanted.check_names()?;
    let workspace = Workspace::find()?;
    let folder = workspace.target_directory.join("bench");
    let _lock = lock::wait(&folder.join("lock"), "measures")?;
    let files = folder.join("command-files");
    fs_err::create_dir_all(&files)?;
    let server = ColumnServer::start(&workspace)?;
    let triton = Triton {
        program: program(&workspace, wanted.program)?,
        folder: folder.clone(),
        endpoint: server.endpoint().to_owned(),
    };
    let mut python = PythonPeers::start(&workspace.root.join("xtask/bench"), &folder)?;
    super::warn_of_a_busy_machine();

    let mut rows: Vec<Row> = Vec::new();
    for work in WORKS.iter().filter(|work| wanted.has(work.name)) {
        let work = &Work {
            rows: work.rows / wanted.share,
            ..*work
        };
        let input = input(&files, work, &mut python)?;
        let count = wanted.rounds.unwrap_or(ROUNDS);
        let rounds = rounds::measure(
            work,
            &input,
            &triton,
            &mut python,
            &workspace,
            count,
            &server,
        )
        .with_context(|| format!("while '{}' was measured", work.name))?;
        let instructions = match wanted.times_only || work.name == work::KEYED {
            true => None,
            false => Some(instructions(work, &files, &triton, &mut python)?),
        };
        rows.extend(rounds.rows(work, instructions));
        eprint!("{}", table::text(&rows[rows.len() - work.peers.len()..]));
    }
    let mut curves = Vec::new();
    for growth in growth::ALL {
        if wanted.has(growth.name()) {
            curves.push(growth.measure(&triton, &files, &mut python, wanted.large)?);
        }
    }

    let machine = machine::describe(&triton.program, wanted.program.is_some(), wanted.share)?;
    let text = table::page(&rows, &curves, &machine);
    let [markdown, html] = ["command.md", "command.html"].map(|name| folder.join(name));
    fs_err::write(&markdown, &text)?;
    fs_err::write(&html, page::page(&rows, &curves, &machine))?;
    print!("\n{text}");
    println!("\nthe table is {}", markdown.display());
    println!("the page is {}", html.display());
    Ok(ExitCode::SUCCESS)
}

/// The part that needs nothing from PyPI, and no quiet machine.
pub(super) fn check(only: &[String], program: Option<&Path>) -> Result<ExitCode> {
    smoke::run(only, program)
}

/// The command of this workspace, unless another is asked for.
fn program(workspace: &Workspace, other: Option<&Path>) -> Result<PathBuf> {
    match other {
        Some(program) => Ok(fs_err::canonicalize(program)?),
        None => Ok(build(workspace, "triton-cli")?.with_file_name("triton")),
    }
}

/// A program of this workspace; each is built by itself, so that no feature that one needs is in
/// another.
fn build(workspace: &Workspace, package: &str) -> Result<PathBuf> {
    let mut cargo = command::cargo();
    cargo.args(["build", "--locked", "--release", "--package", package]);
    command::run_successfully(cargo.current_dir(&workspace.root))?;
    Ok(workspace.target_directory.join("release").join(package))
}

/// The input of a work; it is written once.
fn input(folder: &Path, work: &Work, python: &mut PythonPeers) -> Result<PathBuf> {
    if work.form != Form::Parquet {
        return files::text_input(folder, work);
    }
    let path = files::input_path(folder, work);
    if !path.exists() {
        let draft = path.with_extension("draft");
        python.ask(&json!({
            "job": "parquet",
            "rows": work.rows,
            "elements": work.elements,
            "output": draft,
        }))?;
        fs_err::rename(&draft, &path)?;
    }
    Ok(path)
}

/// Fifty times slower than a run; so much less is done.
const SHARE_TO_COUNT: usize = 20;

fn instructions(
    work: &Work,
    folder: &Path,
    triton: &Triton,
    python: &mut PythonPeers,
) -> Result<f64> {
    eprintln!("{}: instructions", work.name);
    let many = Work {
        rows: (work.rows / SHARE_TO_COUNT).max(2 * work.batch),
        ..*work
    };
    let few = Work {
        rows: (many.rows / 5).max(1),
        ..*work
    };
    let inputs = [input(folder, &few, python)?, input(folder, &many, python)?];
    triton.instructions(&few, &many, [&inputs[0], &inputs[1]])
}
