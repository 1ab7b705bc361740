//! Hundreds of servers and a million sequences in a time of their own: a test of the model function does it,
//! and what it prints is drawn for the guide.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::command;
use crate::plot::{Curve, Plot};
use crate::triton::Triton;

/// How the test learns of the size.
const SEQUENCES: &str = "TRITON_SIMULATED_SEQUENCES";

const TEST: &str = "a_storm_of_recoveries_stays_below_what_the_servers_are_used_to";

/// What the runs are called, and what each is to a reader.
const RUNS: [(&str, &str); 2] = [("none", "all at once"), ("budget", "with the budget")];

/// One moment of a run.
struct Moment {
    seconds: f64,
    least: f64,
    most: f64,
    requests: f64,
    rebuilt: f64,
}

pub(super) fn run(triton: &Triton, sequences: u32) -> Result<ExitCode> {
    let root = &triton.workspace.root;
    let mut cargo = command::cargo();
    cargo
        .args([
            "test",
            "--locked",
            "--release",
            "--package",
            "triton-model-fn",
        ])
        .args(["--lib", "--", TEST, "--nocapture"])
        .env(SEQUENCES, sequences.to_string())
        .current_dir(root);
    let output = output(&mut cargo)?;
    let figures = output.lines().filter(|line| line.starts_with("figures "));
    figures.for_each(|line| println!("{line}"));
    let runs: Vec<(&str, &str, Vec<Moment>)> = RUNS
        .iter()
        .map(|(name, label)| Ok((*name, *label, moments(&output, name)?)))
        .collect::<Result<_>>()?;
    let curve = |name, class, part: fn(&Moment) -> f64, moments: &[Moment]| Curve {
        name,
        class,
        points: moments.iter().map(|it| (it.seconds, part(it))).collect(),
    };
    let of_both = |part: fn(&Moment) -> f64| {
        let classes = ["other", "main"];
        let curves = runs.iter().zip(classes);
        curves
            .map(|((_, label, moments), class)| curve(label, class, part, moments))
            .collect()
    };
    let Some((_, _, budget)) = runs.iter().find(|(name, ..)| *name == "budget") else {
        bail!("the runs have no budget");
    };
    let plots = [
        (
            "requests",
            Plot {
                title: "Requests at the busiest server",
                curves: of_both(|moment| moment.requests),
            },
        ),
        (
            "rebuilt",
            Plot {
                title: "Sequences that are being rebuilt",
                curves: of_both(|moment| moment.rebuilt),
            },
        ),
        (
            "balance",
            Plot {
                title: "Sequences of the fullest and the emptiest server",
                curves: vec![
                    curve("fullest", "main", |moment| moment.most, budget),
                    curve("emptiest", "other", |moment| moment.least, budget),
                ],
            },
        ),
    ];
    for (name, plot) in plots {
        let path = root.join(format!("docs/guide/replicas-{name}.svg"));
        fs_err::write(&path, plot.svg())?;
        println!("{}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("the simulation failed:\n{text}");
    }
    Ok(text)
}

/// The lines of a run: its name, the time, and four numbers.
fn moments(output: &str, run: &str) -> Result<Vec<Moment>> {
    let prefix = format!("plot {run} ");
    let lines = output.lines().filter_map(|line| line.strip_prefix(&prefix));
    let moments = lines.map(|line| {
        let numbers = line.split(' ').map(str::parse);
        let numbers: Vec<f64> = numbers.collect::<Result<_, _>>()?;
        let [seconds, least, most, requests, rebuilt] = numbers[..] else {
            bail!("expected five numbers, found '{line}'");
        };
        Ok(Moment {
            seconds,
            least,
            most,
            requests,
            rebuilt,
        })
    });
    let moments: Vec<Moment> = moments.collect::<Result<_>>().context("reading a run")?;
    match moments.is_empty() {
        true => bail!("the simulation printed nothing of '{run}'"),
        false => Ok(moments),
    }
}
