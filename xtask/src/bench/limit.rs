//! `max-in-flight` as a number and as `auto`, on a real Triton whose model refuses what its queue has
//! no room for: a table, and a plot over time.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::triton::{ServerVersion, Triton};
use crate::{command, lock};

const LIMITS: [&str; 4] = ["auto", "8", "16", "64"];
const SECONDS: &str = "30";
const INSTANCE: &str = "bench-limit";

/// What happened under one limit in half a second.
#[derive(Debug, Clone, Copy)]
struct Sample {
    second: f64,
    limit: f64,
    answered: f64,
    refused: f64,
}

pub(super) fn run() -> Result<ExitCode> {
    let triton = Triton::find()?;
    triton.install(ServerVersion::DEFAULT)?;
    let folder = triton.workspace.target_directory.join("bench");
    let _lock = lock::wait(&folder.join("lock"), "measures")?;
    let mut cargo = command::cargo();
    cargo.args(["build", "--locked", "--package", "bench-function"]);
    command::run_successfully(cargo.current_dir(&triton.workspace.root))?;
    let program = triton
        .workspace
        .target_directory
        .join("debug/bench-function");

    let instance = triton.instance(INSTANCE);
    let models = triton.workspace.root.join("xtask/bench/models");
    let server = triton.start(ServerVersion::DEFAULT, &instance, &models, None)?;
    let measured = measure(&program, &server.endpoint());
    triton.stop(&instance)?;
    let measured = measured?;

    let plot = folder.join("limit.svg");
    fs_err::write(&plot, self::plot(&measured))?;
    print!("\n{}", table(&measured));
    println!("\nthe plot is {}", plot.display());
    Ok(ExitCode::SUCCESS)
}

fn measure(program: &Path, endpoint: &str) -> Result<Vec<(&'static str, Vec<Sample>)>> {
    let mut measured = Vec::new();
    for limit in LIMITS {
        println!("measuring '{limit}' for {SECONDS} s");
        let mut run = std::process::Command::new(program);
        let output = run.args(["limit", endpoint, limit, SECONDS]).output()?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let lines = String::from_utf8(output.stdout)?;
        let samples = lines.lines().map(sample).collect::<Result<Vec<_>>>()?;
        measured.push((limit, samples));
    }
    Ok(measured)
}

fn sample(line: &str) -> Result<Sample> {
    let numbers = line.split(',').map(str::parse);
    let numbers: Vec<f64> = numbers
        .collect::<Result<_, _>>()
        .with_context(|| format!("expected numbers, found '{line}'"))?;
    let [second, limit, answered, refused] = numbers[..] else {
        bail!("expected four numbers, found '{line}'")
    };
    Ok(Sample {
        second,
        limit,
        answered,
        refused,
    })
}

fn total(samples: &[Sample], part: impl Fn(&Sample) -> f64) -> f64 {
    samples.iter().map(part).sum()
}

fn table(measured: &[(&str, Vec<Sample>)]) -> String {
    let per_second = |samples: &[Sample]| {
        let seconds = samples.last().map_or(1.0, |sample| sample.second);
        total(samples, |sample| sample.answered) / seconds
    };
    let best = measured.iter().map(|(_, samples)| per_second(samples));
    let best = best.fold(0.0, f64::max);
    let mut table = String::from(
        "| max-in-flight | answers a second | of the best | refused | limit at the end |\n\
         | --- | ---: | ---: | ---: | ---: |\n",
    );
    for (limit, samples) in measured {
        let answered = total(samples, |sample| sample.answered);
        let refused = total(samples, |sample| sample.refused);
        let rate = per_second(samples);
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(
            table,
            "| {limit} | {rate:.0} | {:.0} % | {:.2} % | {} |",
            100.0 * rate / best,
            100.0 * refused / (answered + refused),
            samples.last().map_or(0.0, |sample| sample.limit),
        );
    }
    table
}

/// Three curves below each other, with a line for each limit.
fn plot(measured: &[(&str, Vec<Sample>)]) -> String {
    const WIDTH: f64 = 760.0;
    const HEIGHT: f64 = 180.0;
    const COLORS: [&str; 4] = ["#1b7f4b", "#2c5fb3", "#7d7d7d", "#b3402c"];
    type Part = fn(&Sample) -> f64;
    let panels: [(&str, Part); 3] = [
        ("requests that may be in flight", |sample| sample.limit),
        ("answers in half a second", |sample| sample.answered),
        ("refusals in half a second", |sample| sample.refused),
    ];
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {} {}' font-family='sans-serif' \
         font-size='12'>\n<rect width='100%' height='100%' fill='white'/>\n",
        WIDTH + 80.0,
        panels.len() as f64 * (HEIGHT + 50.0) + 40.0
    );
    for (place, (limit, _)) in measured.iter().enumerate() {
        let _ = writeln!(
            svg,
            "<text x='{}' y='20' fill='{}'>max-in-flight = {limit}</text>",
            60.0 + 160.0 * place as f64,
            COLORS[place % COLORS.len()]
        );
    }
    let all = || measured.iter().flat_map(|(_, samples)| samples);
    let longest = all().map(|sample| sample.second).fold(1.0, f64::max);
    for (place, (title, part)) in panels.iter().enumerate() {
        let top = 60.0 + place as f64 * (HEIGHT + 50.0);
        let bottom = top + HEIGHT;
        let most = all().map(part).fold(1.0, f64::max);
        let _ = writeln!(
            svg,
            "<text x='60' y='{}'>{title}, up to {most:.0}</text>\n\
             <path d='M60 {top}V{bottom}H{}' fill='none' stroke='black'/>\n\
             <text x='{}' y='{}' text-anchor='end'>{longest:.0} s</text>",
            top - 8.0,
            60.0 + WIDTH,
            60.0 + WIDTH,
            bottom + 16.0,
        );
        for (place, (_, samples)) in measured.iter().enumerate() {
            let points = samples.iter().map(|sample| {
                let x = 60.0 + WIDTH * sample.second / longest;
                let y = bottom - HEIGHT * part(sample) / most;
                format!("{x:.1},{y:.1}")
            });
            let points: Vec<String> = points.collect();
            let _ = writeln!(
                svg,
                "<polyline points='{}' fill='none' stroke='{}' stroke-width='1.5'/>",
                points.join(" "),
                COLORS[place % COLORS.len()]
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}
