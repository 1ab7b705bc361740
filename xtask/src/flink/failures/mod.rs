//! What a job with a sequence for each key answers while its cluster fails, is given another size,
//! changes hands or stops: each answer is held against what the rows of its key so far make of it.

mod answers;
mod happening;
mod rest;
mod stage;
mod statements;
mod zookeeper;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Flink;
use crate::{interrupt, poll};
use answers::{Answers, HEAD};
use happening::Happening;
pub(super) use happening::Happening as Kind;
use stage::Stage;
use statements::{Carries, PER_SECOND};

/// A job is in its middle when so many of its rows are answered.
const MIDDLE: f64 = 0.3;

/// A job takes less than a minute by its rate of rows, and longer where a machine is busy.
const LIMIT: Duration = Duration::from_secs(300);

/// How often something happens in a soak.
const PAUSE: Duration = Duration::from_secs(12);

/// Goes through what can happen, each with a job of each kind.
pub(super) fn run(flink: &Flink, only: &[Happening]) -> Result<()> {
    let mut stage = Stage::start(flink)?;
    let mut problems = Vec::new();
    let all = if only.is_empty() {
        Happening::ALL
    } else {
        only
    };
    println!("{HEAD}");
    for happening in all {
        let rows = 25 * PER_SECOND;
        let before = happening.parallelism().0;
        let mut jobs = stage.submit(rows, before, happening.name())?;
        let middle = (rows as f64 * MIDDLE) as usize;
        wait(&mut stage, "a third of the rows is answered", |stage| {
            let answers = stage.answers(happening.name())?;
            let in_middle = |kind: &Carries| {
                let answers = answers.get(kind.name());
                answers.is_some_and(|it| it.answered() >= middle)
            };
            Ok(Carries::ALL.iter().all(in_middle))
        })?;
        happening.happen(&mut stage, &mut jobs, rows)?;
        stage.finish(&jobs, LIMIT)?;
        let answers = stage.answers(happening.name())?;
        for kind in Carries::ALL {
            let counts = answers.get(kind.name()).map(Answers::counts);
            let counts = counts.unwrap_or_default();
            println!("{:<22} {:<20} {counts}", happening.name(), kind.name());
            if counts.rows != rows as usize {
                problems.push(format!(
                    "{}, {}: {} of {rows} rows were answered",
                    happening.name(),
                    kind.name(),
                    counts.rows
                ));
            }
            if counts.wrong > 0 && !happening.may_go_unseen(*kind) {
                problems.push(format!(
                    "{}, {}: {} answers are wrong without a mark",
                    happening.name(),
                    kind.name(),
                    counts.wrong
                ));
            }
        }
    }
    conclude(&problems)
}

/// Lets things happen for so many minutes, in turns, while a job of each kind runs.
pub(super) fn soak(flink: &Flink, minutes: u64) -> Result<()> {
    let mut stage = Stage::start(flink)?;
    let rows = minutes * 60 * PER_SECOND;
    let mut jobs = stage.submit(rows, 2, "soak")?;
    let begun = Instant::now();
    let mut turns = Happening::SOAK.iter().cycle();
    let mut happened = 0;
    while begun.elapsed() < Duration::from_secs(minutes * 60) {
        let next = Instant::now() + PAUSE;
        wait(&mut stage, "the next one", |_| Ok(Instant::now() >= next))?;
        let Some(happening) = turns.next() else { break };
        println!("{:>5} s: {}", begun.elapsed().as_secs(), happening.name());
        happening.happen(&mut stage, &mut jobs, rows)?;
        happened += 1;
    }
    stage.finish(&jobs, LIMIT)?;
    let answers = stage.answers("soak")?;
    println!("{happened} times something happened\n{HEAD}");
    let mut problems = Vec::new();
    for kind in Carries::ALL {
        let counts = answers.get(kind.name()).map(Answers::counts);
        let counts = counts.unwrap_or_default();
        println!("{:<22} {:<20} {counts}", "soak", kind.name());
        if counts.rows != rows as usize || counts.wrong > 0 {
            problems.push(format!("{}: {counts}", kind.name()));
        }
    }
    conclude(&problems)
}

fn conclude(problems: &[String]) -> Result<()> {
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    println!("every row was answered, and each wrong answer was marked where that is promised");
    Ok(())
}

fn wait(
    stage: &mut Stage<'_>,
    what: &str,
    mut condition: impl FnMut(&mut Stage<'_>) -> Result<bool>,
) -> Result<()> {
    let met = poll::until(LIMIT, || {
        interrupt::check()?;
        Ok(condition(stage)?.then_some(()))
    })?;
    if met.is_none() {
        bail!("waited {} s until {what}", LIMIT.as_secs());
    }
    Ok(())
}
