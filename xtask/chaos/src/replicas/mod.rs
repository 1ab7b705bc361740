//! Three real Tritons behind one endpoint, while one thing after the other happens to them: what the model
//! function makes of it, and a usual retry loop behind a proxy that spreads its requests.

mod arrived;
mod balancer;
mod disturbance;
mod naive;
mod ours;
mod table;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use tokio::runtime::Runtime;

use self::balancer::By;
use self::disturbance::Disturbance;
use self::table::{Line, Table};
use crate::journal;
use crate::options::Lane;
use crate::server::Server;

const SERVERS: usize = 3;
const SUBTASKS: usize = 3;

#[derive(Args)]
pub(crate) struct Arguments {
    /// How many keys there are
    #[arg(long, value_name = "N", default_value_t = 200)]
    keys: usize,
    /// How many rows each of them has
    #[arg(long, value_name = "N", default_value_t = 50)]
    rows: usize,
    /// The program that starts and kills servers
    #[arg(long)]
    xtask: PathBuf,
    /// A folder with the models of each server
    #[arg(long)]
    models: PathBuf,
    /// Leave out the usual retry loop
    #[arg(long)]
    ours_only: bool,
}

/// What is sent, and what happens meanwhile.
#[derive(Debug, Clone, Copy)]
struct Plan {
    lane: Lane,
    keys: usize,
    rows: usize,
    disturbance: Disturbance,
}

impl Plan {
    /// Another one for each row, so that a sum tells which rows are in it.
    fn value(&self, key: usize, row: usize) -> i32 {
        (key * self.rows + row + 1) as i32
    }

    /// The answer that the row must get.
    fn expected(&self, key: usize, row: usize) -> i64 {
        match self.lane {
            Lane::Stateless => self.value(key, row).into(),
            _ => (0..=row).map(|row| i64::from(self.value(key, row))).sum(),
        }
    }

    /// Since the beginning, when a row is handed over that has so many before it in its key.
    fn due(&self, row: usize) -> std::time::Duration {
        self.disturbance.lasts() * row as u32 / self.rows as u32
    }
}

/// What came of the rows of a plan, by key and row; `None` where a row got no answer.
#[derive(Debug, Default)]
struct Answers {
    numbers: Vec<Option<i64>>,
    failures: Vec<String>,
    /// Answers that are said to lack earlier rows.
    marked: usize,
}

/// The addresses that the servers' name stands for.
#[derive(Debug, Default)]
struct Names(Mutex<Vec<SocketAddr>>);

impl Names {
    fn set(&self, servers: &[&Arc<Server>]) {
        let addresses = servers.iter().map(|server| server.address());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = addresses.collect();
    }

    fn all(&self) -> Vec<SocketAddr> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let servers = start(arguments)?;
    let mut table = Table::default();
    println!("{}", Table::HEADING);
    for disturbance in Disturbance::ALL {
        for lane in [Lane::Replay, Lane::Stateless] {
            let plan = Plan {
                lane,
                keys: arguments.keys,
                rows: arguments.rows,
                disturbance,
            };
            if matches!(disturbance, Disturbance::Updated { .. }) && lane == Lane::Stateless {
                continue;
            }
            let line = one(&plan, "ours", arguments, &servers, async |names| {
                ours::run(&plan, &servers, names).await
            })?;
            table.add(&plan, &line);
            if lane == Lane::Stateless || arguments.ours_only {
                continue;
            }
            for by in [By::Requests, By::Connections] {
                let line = one(&plan, by.name(), arguments, &servers, async |names| {
                    naive::run(&plan, &servers, names, by).await
                })?;
                table.add(&plan, &line);
            }
        }
    }
    Ok(match table.is_right() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// All at once, because most of it is waiting.
fn start(arguments: &Arguments) -> Result<Vec<Arc<Server>>> {
    std::thread::scope(|scope| {
        let starting: Vec<_> = (0..SERVERS)
            .map(|number| {
                let models = arguments.models.join(number.to_string());
                let xtask = arguments.xtask.clone();
                let instance = format!("replicas-{number}");
                scope.spawn(move || Server::start(xtask, models, instance))
            })
            .collect();
        let started = starting.into_iter().map(|server| {
            let server = server.join().map_err(|_| anyhow!("a thread panicked"))??;
            Ok(Arc::new(server))
        });
        started.collect()
    })
}

fn one(
    plan: &Plan,
    client: &'static str,
    arguments: &Arguments,
    servers: &[Arc<Server>],
    run: impl AsyncFnOnce(Arc<Names>) -> Result<Answers>,
) -> Result<Line> {
    // Whatever the run before has left there is gone.
    for server in servers {
        server.begin_anew(plan.lane.model())?;
        if plan.lane != Lane::Stateless {
            server.load_versions(plan.lane.model(), &[1])?;
        }
    }
    let of_servers = || (0..SERVERS).map(|server| arguments.models.join(server.to_string()));
    for models in of_servers() {
        journal::clear(&models, plan.lane.model())?;
    }
    let begun = Instant::now();
    let runtime = Runtime::new()?;
    let names = Arc::new(Names::default());
    names.set(&plan.disturbance.first(servers));
    let answers = runtime
        .block_on(run(names))
        .with_context(|| format!("{}, {client}", plan.disturbance))?;
    let seconds = begun.elapsed().as_secs_f64();
    runtime.shutdown_timeout(std::time::Duration::from_secs(10));
    let arrived = of_servers()
        .map(|models| journal::read(&models, plan.lane.model()))
        .collect::<Result<Vec<_>>>()?;
    Ok(Line::new(plan, client, &answers, &arrived, seconds))
}
