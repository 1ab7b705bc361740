//! Many callers for a long time: some whose requests meet faults, and some, the healthy part, whose do not.
//! What is watched is that memory has no slope, that no caller starves and no permit is stuck, and that the
//! healthy part does not feel the other one's faults.

mod callers;
mod permits;
mod samples;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep, timeout};
use triton_model_fn::{ModelFunction as _, Subtask};

use self::callers::{Caller, Part};
use self::samples::{Sample, Samples};
use crate::proxy::Proxy;
use crate::server::Server;

/// How the callers are divided.
const PARTS: usize = 3;

/// Of all the time, at the beginning: nothing goes wrong yet, which is what the rest is compared with.
const CALM: u32 = 5;

/// No row takes as long, whatever it meets.
const LONGEST: Duration = Duration::from_secs(60);

/// Tasks and connections end soon after whoever had them.
const TIME_TO_END: Duration = Duration::from_secs(20);

#[derive(Args)]
pub(crate) struct Arguments {
    /// How long, in seconds
    #[arg(long)]
    seconds: u64,
    /// How many rows are on their way at every moment
    #[arg(long, default_value_t = 200)]
    callers: usize,
    /// Which share of the requests meets a fault
    #[arg(long, default_value_t = 0.01)]
    faults: f64,
    /// The program that starts servers
    #[arg(long)]
    xtask: PathBuf,
    /// The folder with the server's models
    #[arg(long)]
    models: PathBuf,
    /// The file for what was measured
    #[arg(long)]
    samples: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let server = Server::start(
        arguments.xtask.clone(),
        arguments.models.clone(),
        "chaos-load".to_owned(),
    )?;
    let proxy = Proxy::at_random(&[server.address()], 0.0, 1)?;
    let healthy = Proxy::at_random(&[server.address()], 0.0, 2)?;
    let runtime = Runtime::new()?;
    let (samples, broken) =
        runtime.block_on(loads(arguments, &proxy, &healthy, &runtime.metrics()))?;
    runtime.shutdown_timeout(Duration::from_secs(10));
    fs_err::write(&arguments.samples, samples.csv())?;
    println!("{samples}\n{} faults", proxy.faults());
    for broken in &broken {
        println!("BROKEN: {broken}");
    }
    Ok(match broken.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

async fn loads(
    arguments: &Arguments,
    proxy: &Proxy,
    healthy: &Proxy,
    runtime: &tokio::runtime::RuntimeMetrics,
) -> Result<(Samples, Vec<String>)> {
    let whole = Duration::from_secs(arguments.seconds);
    let mut functions = Vec::new();
    for part in Part::ALL {
        let proxy = match part {
            Part::Healthy => healthy,
            Part::Stateless | Part::Keyed => proxy,
        };
        let function = part.function(&proxy.endpoint())?;
        function.open(Subtask::new(0, 1, 0)?).await?;
        functions.push((part, Arc::new(function), proxy));
    }
    let begun = Instant::now();
    let until = begun + whole;
    let mut callers = Vec::new();
    for number in 0..arguments.callers {
        let (part, function, _) = &functions[number % PARTS];
        let caller = Arc::new(Caller::new(*part, number));
        let calling = Arc::clone(&caller).calls(Arc::clone(function), until);
        callers.push((tokio::spawn(calling), caller));
    }
    let mut samples = Samples::default();
    let interval = (whole / 180).max(Duration::from_secs(1));
    let mut is_calm = true;
    while Instant::now() < until {
        sleep(interval.min(until - Instant::now())).await;
        if is_calm && begun.elapsed() > whole / CALM {
            is_calm = false;
            proxy.set_share(arguments.faults);
        }
        let callers = callers.iter().map(|(_, caller)| &**caller);
        let sample = Sample::take(begun, is_calm, interval, callers, runtime)?;
        eprintln!("{sample}");
        samples.push(sample);
    }
    proxy.set_share(0.0);
    let mut broken = samples.broken();
    let ended = async {
        for (task, caller) in &mut callers {
            task.await?;
            broken.extend(caller.wrong());
        }
        anyhow::Ok(())
    };
    match timeout(LONGEST, ended).await {
        Ok(ended) => ended?,
        Err(_) => broken.push(format!("a row is not answered {LONGEST:?} after the end")),
    }
    for (part, function, proxy) in &functions {
        if let Err(error) = permits::all_are_back(*part, function, proxy).await {
            broken.push(format!("{part:?}, permits after the end: {error:#}"));
        }
        function.close().await.context("closing")?;
    }
    let left = timeout(TIME_TO_END, async {
        let connections = || proxy.connections() + healthy.connections();
        while runtime.num_alive_tasks() > 0 || connections() > 0 {
            sleep(Duration::from_millis(50)).await;
        }
    });
    left.await
        .map_err(|_| anyhow!("tasks or connections are left after the end"))?;
    Ok((samples, broken))
}
