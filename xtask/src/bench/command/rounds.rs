//! Lets the command and its peers take turns, so that what disturbs the machine disturbs all alike.

use std::path::Path;

use anyhow::{Result, ensure};

use super::peers::{MlServer, PythonPeers};
use super::predict::{Cost, Triton};
use super::server::ColumnServer;
use super::table::Row;
use super::work::{Beside, Form, KEYED, Work};
use crate::bench::perf_analyzer::PerfAnalyzer;
use crate::bench::ratio::Ratio;
use crate::interrupt;
use crate::other_servers::OtherServers;
use crate::triton::{ServerVersion, Triton as RealTriton};
use crate::workspace::Workspace;

/// A real Triton for the one work that needs it.
const INSTANCE: &str = "bench-command";

/// The rows of a sequence of `perf_analyzer`, as many as a key has.
fn rows_of_a_key(work: &Work) -> usize {
    work.rows / work.keys
}

/// What each cost, round by round: the command first, then its peers.
pub(super) struct Rounds {
    costs: Vec<Vec<Cost>>,
    /// How many processors were at work in each round, those of the server included.
    busy: Vec<f64>,
    /// What is said of the outputs, such as their sizes.
    note: String,
}

impl Rounds {
    pub(super) fn rows(&self, work: &Work, instructions: Option<f64>) -> Vec<Row> {
        let each = |cost: &Cost| cost.microseconds_a_row();
        let elapsed = |cost: &Cost| cost.elapsed / cost.rows as f64;
        let all = |costs: &[Cost], part: &dyn Fn(&Cost) -> f64| {
            costs.iter().map(part).collect::<Vec<_>>()
        };
        let [ours, theirs @ ..] = &self.costs[..] else {
            return Vec::new();
        };
        let peers = work.peers.iter().zip(theirs).enumerate();
        let rows = peers.map(|(place, ((beside, most), theirs))| Row {
            work: work.title,
            microseconds: Ratio::of(&all(ours, &each), &vec![1.0; ours.len()]),
            target: work.target,
            beside: *beside,
            ratio: Ratio::of(&all(ours, &each), &all(theirs, &each)),
            most: *most,
            rate: Ratio::of(&all(theirs, &elapsed), &all(ours, &elapsed)),
            busy: Ratio::of(&self.busy, &vec![1.0; self.busy.len()]),
            instructions,
            note: match place {
                0 => self.note.clone(),
                _ => String::new(),
            },
        });
        rows.collect()
    }
}

pub(super) fn measure(
    work: &Work,
    input: &Path,
    triton: &Triton,
    python: &mut PythonPeers,
    workspace: &Workspace,
    count: usize,
    server: &ColumnServer,
) -> Result<Rounds> {
    let real = match work.name == KEYED {
        true => Some(RealServer::start()?),
        false => None,
    };
    let triton = &Triton {
        endpoint: match &real {
            Some(real) => real.endpoint.clone(),
            None => triton.endpoint.clone(),
        },
        program: triton.program.clone(),
        folder: triton.folder.clone(),
    };
    let has = |beside: Beside| work.peers.iter().any(|(peer, _)| *peer == beside);
    let mlserver = has(Beside::MlServer).then(|| {
        Ok::<_, anyhow::Error>(MlServer {
            program: OtherServers::find()?.install_mlserver()?,
            folder: triton.folder.clone(),
        })
    });
    let mlserver = mlserver.transpose()?;
    let perf_analyzer = has(Beside::PerfAnalyzer).then(|| {
        let folder = workspace.target_directory.join("bench");
        PerfAnalyzer::install(&folder)
    });
    let perf_analyzer = perf_analyzer.transpose()?;

    let mut costs = vec![Vec::new(); work.peers.len() + 1];
    let mut busy = Vec::new();
    let mut order: Vec<_> = (0..costs.len()).collect();
    for round in 1..=count {
        eprint!("\r{}: round {round} of {count} ", work.name);
        for &place in &order {
            interrupt::check()?;
            let peer_output =
                triton
                    .folder
                    .join(format!("{}.peer.{}", work.name, work.form.name()));
            let mut in_python = |job: &str| {
                let found = python.work(job, work, &triton.endpoint, input, &peer_output)?;
                PythonPeers::cost(&found, work.rows)
            };
            let cost = match place.checked_sub(1).map(|place| work.peers[place].0) {
                None => {
                    let before = server.processor_seconds()?;
                    let cost = triton.run(work, input, round == 1)?;
                    let of_server = server.processor_seconds()? - before;
                    busy.push((cost.seconds + of_server) / cost.elapsed);
                    cost
                }
                Some(Beside::DuckDb) => in_python("duckdb")?,
                Some(Beside::Loop) => in_python("loop")?,
                Some(Beside::Reading) => in_python("reading")?,
                Some(Beside::Bench) => triton.bench(work)?,
                Some(Beside::OneSubtask) => {
                    let alone = Work {
                        subtasks: 1,
                        ..*work
                    };
                    triton.run(&alone, input, round == 1)?
                }
                Some(Beside::MlServer) => match &mlserver {
                    Some(mlserver) => mlserver.run(work, &triton.endpoint)?,
                    None => Cost::default(),
                },
                Some(Beside::PerfAnalyzer) => match &perf_analyzer {
                    Some(program) => {
                        let length = rows_of_a_key(work);
                        program.sequences(&triton.endpoint, work.keys, length, work.rows)?
                    }
                    None => Cost::default(),
                },
            };
            costs[place].push(cost);
        }
        order.reverse();
    }
    eprintln!();
    if real.is_some() {
        busy.clear();
    }
    let note = match work.form {
        Form::Parquet if count > 0 => check_parquet(work, triton, python)?,
        _ => String::new(),
    };
    Ok(Rounds { costs, busy, note })
}

/// Sees that the answers are right, and compares how the outputs lie in their files.
fn check_parquet(work: &Work, triton: &Triton, python: &mut PythonPeers) -> Result<String> {
    let ours = triton.output(work);
    let mut about = |output: &Path| python.work("about", work, &triton.endpoint, output, output);
    let ours = about(&ours)?;
    ensure!(
        ours["rows"] == work.rows && ours["same"] == true,
        "the output of '{}' is not what its input makes: {ours}",
        work.name
    );
    if !work.peers.iter().any(|(peer, _)| *peer == Beside::Loop) {
        return Ok(String::new());
    }
    let theirs = triton.folder.join(format!("{}.peer.parquet", work.name));
    // Of DuckDB there is no answer in the file, and the loop may not have been the last.
    python.work(
        "loop",
        work,
        &triton.endpoint,
        &super::files::input_path(&triton.folder.join("command-files"), work),
        &theirs,
    )?;
    let theirs = python.work("about", work, &triton.endpoint, &theirs, &theirs)?;
    let size = |about: &serde_json::Value| about["bytes"].as_f64().unwrap_or(f64::NAN);
    let how = |about: &serde_json::Value| {
        let encodings = about["encodings"].as_array().into_iter().flatten();
        let encodings: Vec<_> = encodings.filter_map(|encoding| encoding.as_str()).collect();
        format!(
            "{} {}",
            about["codec"].as_str().unwrap_or("?"),
            encodings.join("+")
        )
    };
    Ok(format!(
        "{:.2} × the size of the loop's file; {} beside {}",
        size(&ours) / size(&theirs),
        how(&ours),
        how(&theirs)
    ))
}

struct RealServer {
    triton: RealTriton,
    endpoint: String,
}

impl RealServer {
    fn start() -> Result<Self> {
        let triton = RealTriton::find()?;
        triton.install(ServerVersion::DEFAULT)?;
        let instance = triton.instance(INSTANCE);
        let models = triton.example_models();
        let server = triton.start(ServerVersion::DEFAULT, &instance, &models, None)?;
        Ok(Self {
            endpoint: server.endpoint(),
            triton,
        })
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        if let Err(error) = self.triton.stop(&self.triton.instance(INSTANCE)) {
            eprintln!("WARNING: {error:#}");
        }
    }
}
