//! Runs scripts, one after the other on each of several sets of servers, and holds each against what is
//! promised.

mod report;
mod scenarios;
mod shrink;
mod table;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use tokio::runtime::Runtime;

use self::report::Report;
use self::table::Table;
use crate::check::{self, Answers, Records};
use crate::command::{self, Predict};
use crate::naive::{self, Rules};
use crate::ours;
use crate::outcome::{self, Outcome, Progress, Run, Settled};
use crate::proxy::Proxy;
use crate::script::{Front, IDLE, Script};
use crate::server::{self, Server, Servers};

/// No run takes nearly as long.
const RUN_DEADLINE: Duration = Duration::from_secs(180);

/// Connections and tasks end soon after whoever had them.
const TIME_TO_END: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(crate) struct Arguments {
    /// The seeds to run, from the first to the last
    #[arg(long, value_name = "A-B")]
    seeds: Option<Seeds>,
    /// Scripts with a name, files of scripts, or `all` that have a name
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// How many runs go on at once, each with servers of its own
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
    /// The program that starts and kills servers
    #[arg(long)]
    xtask: PathBuf,
    /// The program of the command
    #[arg(long)]
    triton: PathBuf,
    /// The folder with the models of each server, and for what runs leave
    #[arg(long)]
    folder: PathBuf,
    /// Leave out the usual retry loop
    #[arg(long)]
    ours_only: bool,
    /// Have Flink's own rules go through the scripts, too
    #[arg(long)]
    flink_rules: bool,
    /// Look for the least that fails in the same way, and write it down
    #[arg(long)]
    shrink: bool,
    /// Print scripts and every failure
    #[arg(long)]
    verbose: bool,
}

#[derive(Clone, Copy)]
struct Seeds {
    first: u64,
    last: u64,
}

impl FromStr for Seeds {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| {
            let number: u64 = text.trim().parse()?;
            anyhow::Ok(number)
        };
        match (number(first), number(last)) {
            (Ok(first), Ok(last)) if first <= last => Ok(Self { first, last }),
            _ => bail!("expected two numbers such as 1-200, the smaller one first"),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut scripts = VecDeque::new();
    for name in &arguments.scenario {
        scripts.extend(scenarios::named(name)?);
    }
    if let Some(Seeds { first, last }) = arguments.seeds {
        scripts.extend((first..=last).map(Script::draw));
    }
    let scripts = Mutex::new(scripts);
    let table = Mutex::new(Table::default());
    let begun = Instant::now();
    // What the first runtime opens for the process stays.
    drop(Runtime::new()?);
    let files = open_files()?;
    let worked = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..arguments.jobs)
            .map(|job| {
                let (scripts, table) = (&scripts, &table);
                scope.spawn(move || {
                    let mut job = Job::new(job, arguments);
                    let next = || lock(scripts).pop_front();
                    while let Some(script) = next() {
                        let report = job.run(&script).with_context(|| script.name.clone())?;
                        report.print(&script, arguments.verbose);
                        if !report.broken.is_empty() && arguments.shrink {
                            shrink::shrink(&mut job, &script, &report)?;
                        }
                        lock(table).add(&script, &report)?;
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        let ended = workers.into_iter().map(|worker| worker.join());
        ended
            .map(|ended| ended.map_err(|_| anyhow!("a worker panicked"))?)
            .collect::<Result<Vec<()>>>()
    });
    let mut table = table.into_inner().unwrap_or_else(PoisonError::into_inner);
    // All that runs have opened is closed by now.
    if !ends(|| open_files().is_ok_and(|now| now.len() <= files.len())) {
        let left = open_files()?;
        let left = left.iter().filter(|file| !files.contains(file));
        table.leaves_open(left.cloned().collect());
    }
    table.ends()?;
    println!("\n{table}");
    println!("{:.0} s", begun.elapsed().as_secs_f64());
    worked?;
    Ok(match table.is_right() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// What the process has open: files, connections, and what the runtime waits with.
fn open_files() -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir("/proc/self/fd")? {
        // The one that reads the folder is gone by then.
        if let Ok(target) = fs_err::read_link(entry?.path()) {
            files.push(target.display().to_string());
        }
    }
    Ok(files)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of the runs that go on at once.
struct Job<'a> {
    number: usize,
    arguments: &'a Arguments,
    /// As many as were needed so far.
    servers: Servers,
}

impl<'a> Job<'a> {
    fn new(number: usize, arguments: &'a Arguments) -> Self {
        Self {
            number,
            arguments,
            servers: Vec::new(),
        }
    }

    /// The servers of a run, of which nothing that was before is left.
    fn servers(&mut self, script: &Script) -> Result<Servers> {
        while self.servers.len() < script.servers {
            let instance = format!("chaos-{}-{}", self.number, self.servers.len());
            let models = self.arguments.folder.join("models").join(&instance);
            let server = Server::start(self.arguments.xtask.clone(), models, instance)?;
            self.servers.push(Arc::new(server));
        }
        let servers = self.servers[..script.servers].to_vec();
        for server in &servers {
            server.begin_anew(script.lane.model())?;
            server.clear_journal(script.lane.model())?;
        }
        Ok(servers)
    }

    fn run(&mut self, script: &Script) -> Result<Report> {
        let servers = self.servers(script)?;
        let begun = Instant::now();
        let proxy = start_proxy(&servers, script)?;
        let progress = Progress::default();
        let folder = self.arguments.folder.join(format!("job-{}", self.number));
        let predict = Predict {
            program: self.arguments.triton.clone(),
            folder,
        };
        let mut broken = match script.front {
            Front::Function => watched(ours::run(
                script,
                proxy.endpoint(),
                servers.clone(),
                Arc::clone(&progress),
            ))?,
            Front::Command => watched(command::run(
                script,
                &proxy,
                servers.clone(),
                Arc::clone(&progress),
                &predict,
            ))?,
        };
        if !ends(|| proxy.connections() == 0) {
            broken.push(format!("{} connections are left", proxy.connections()));
        }
        let seconds = begun.elapsed().as_secs_f64();
        let journals = servers.iter().map(|it| it.journal(script.lane.model()));
        let records = Records {
            journals: journals.collect::<Result<_>>()?,
            log: proxy.log(),
            met: proxy.met(),
        };
        let run = take(&progress);
        let (ours, wrong) = check::answers(script, &run);
        broken.extend(wrong);
        let checked = check::run(script, &run, &records);
        broken.extend(checked.broken);
        let peer = |rules| peer(script, &servers, rules);
        let is_peers = !self.arguments.ours_only && script.model.is_none();
        Ok(Report {
            ours,
            naive: is_peers.then(|| peer(Rules::Loop)).transpose()?,
            flink: (is_peers && self.arguments.flink_rules)
                .then(|| peer(Rules::Flink))
                .transpose()?,
            faults: records.met.len() + run.happened.len(),
            requests: records.log.len(),
            has_places: checked.has_places,
            seconds,
            broken,
            failures: run.failures(),
            met: records.met,
        })
    }
}

fn start_proxy(servers: &Servers, script: &Script) -> Result<Proxy> {
    let addresses: Vec<_> = servers.iter().map(|server| server.address()).collect();
    Proxy::start(&addresses, script)
}

/// What another client makes of the script.
fn peer(script: &Script, servers: &Servers, rules: Rules) -> Result<Answers> {
    server::wait(IDLE + Duration::from_millis(200));
    let proxy = start_proxy(servers, script)?;
    let progress = Progress::default();
    let running = naive::run(
        script,
        proxy.endpoints(),
        rules,
        servers.clone(),
        Arc::clone(&progress),
    );
    // A loop that hangs has not answered its rows.
    watched(running)?;
    let mut run = take(&progress);
    let never = || Settled {
        outcome: Outcome::Failed {
            kind: "hangs".into(),
            text: String::new(),
        },
        handed_over: Instant::now(),
        settled: Instant::now(),
    };
    for row in &mut run.rows {
        row.get_or_insert_with(never);
    }
    Ok(check::answers(script, &run).0)
}

/// Runs a client in a runtime of its own; what is wrong with how it ended.
fn watched(client: impl Future<Output = Result<()>>) -> Result<Vec<String>> {
    let runtime = Runtime::new()?;
    let tasks = || runtime.metrics().num_alive_tasks();
    let before = tasks();
    let mut broken = Vec::new();
    let outcome = runtime.block_on(async { tokio::time::timeout(RUN_DEADLINE, client).await });
    match outcome {
        Err(_) => broken.push(format!("it hangs: not over after {RUN_DEADLINE:?}")),
        Ok(Err(error)) => broken.push(format!("{error:#}")),
        Ok(Ok(())) => {
            if !ends(|| tasks() <= before) {
                broken.push(format!("{} tasks are left", tasks() - before));
            }
        }
    }
    runtime.shutdown_timeout(Duration::from_secs(60));
    Ok(broken)
}

fn take(progress: &Progress) -> Run {
    outcome::with(progress, std::mem::take)
}

fn ends(mut is_over: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < TIME_TO_END {
        if is_over() {
            return true;
        }
        server::wait(Duration::from_millis(10));
    }
    false
}
