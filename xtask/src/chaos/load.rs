//! Load for a long time, and what it came to as plots.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::plot::{Curve, Plot};

/// A curve: its name, its class, and the column that it shows.
type Column = (&'static str, &'static str, &'static str);

/// What the plots show: title, file, and the curves.
const PLOTS: [(&str, &str, &[Column]); 3] = [
    (
        "Memory of the process, in MiB",
        "load-memory.svg",
        &[("MiB", "main", "memory")],
    ),
    (
        "Latency of rows without faults, in ms",
        "load-latency.svg",
        &[
            ("p50", "main", "Healthy p50"),
            ("p99", "other", "Healthy p99"),
        ],
    ),
    (
        "Rows answered in a second",
        "load-rows.svg",
        &[
            ("stateless", "main", "Stateless rows"),
            ("with replays", "other", "Keyed rows"),
        ],
    ),
];

/// Draws what was measured into a folder.
pub(super) fn draw(samples: &Path, folder: &Path) -> Result<()> {
    let text = fs_err::read_to_string(samples)?;
    let mut lines = text.lines();
    let names: Vec<_> = lines.next().unwrap_or_default().split(',').collect();
    let rows = lines.map(|line| line.split(',').map(str::parse).collect());
    let rows = rows.collect::<Result<Vec<Vec<f64>>, _>>()?;
    fs_err::create_dir_all(folder)?;
    for (title, file, curves) in PLOTS {
        let curve = |(name, class, column): &Column| {
            let column = names.iter().position(|name| name == column);
            let column = column.context("the samples lack a column that a plot shows")?;
            let points = rows.iter().map(|row| (row[0], row[column])).collect();
            anyhow::Ok(Curve {
                name,
                class,
                points,
            })
        };
        let curves = curves.iter().map(curve).collect::<Result<_>>()?;
        let plot = Plot { title, curves };
        fs_err::write(folder.join(file), plot.svg())?;
    }
    println!("the plots are in {}", folder.display());
    Ok(())
}
