//! The programs that the command is measured beside, in versions that are pinned.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::predict::{Cost, measure};
use super::work::Work;
use crate::python::{self, Python, without_python_variables};

/// Of one time, and none of them brings a compiler.
///
/// The client, `geventhttpclient`, numpy, pyarrow and DuckDB are chosen; the others are what they need,
/// found with
///   uv pip compile --universal --python-version 3.11
pub(in crate::bench) const PACKAGES: &[&str] = &[
    "aiohappyeyeballs==2.7.1",
    "aiohttp==3.14.5",
    "aiosignal==1.4.0",
    "attrs==26.1.0",
    "brotli==1.2.1",
    "certifi==2026.10.19.post1",
    "duckdb==2.0.1",
    "frozenlist==1.8.0",
    "gevent==26.9.0",
    "geventhttpclient==2.6.1",
    "greenlet==3.3.2",
    "idna==3.20",
    "ml-dtypes==0.5.4",
    "multidict==7.2.1",
    "numpy==2.4.6",
    "propcache==0.5.4",
    "pyarrow==26.0.1",
    "python-rapidjson==1.25",
    "tritonclient[http]==2.73.0",
    "typing-extensions==4.16.0 ; python_full_version < '3.13'",
    "urllib3==2.8.0",
    "yarl==1.25.1",
    "zope-event==6.2",
    "zope-interface==8.7",
];

/// These need a Python that is no older.
const OLDEST_MINOR: u32 = 11;

/// Does jobs in Python, one at a time; dropping it ends it.
pub(super) struct PythonPeers {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl PythonPeers {
    /// Installs what they need unless it is there.
    pub(super) fn start(sources: &Path, folder: &Path) -> Result<Self> {
        let base = Python::find_from(OLDEST_MINOR)?;
        let python = python::environment(&base, folder, "command-peers", PACKAGES)?;
        let mut program = Command::new(python);
        program
            .arg(sources.join("command_peers.py"))
            // Each has one thread for its work, as the command has for its own.
            .env("OMP_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = without_python_variables(&mut program)
            .spawn()
            .context("cannot run the peers in Python")?;
        Ok(Self {
            input: child.stdin.take().context("its input is a pipe")?,
            output: BufReader::new(child.stdout.take().context("its output is a pipe")?),
            child,
        })
    }

    /// Does a job, and returns what it says of it.
    pub(super) fn ask(&mut self, job: &Value) -> Result<Value> {
        writeln!(self.input, "{job}").context("the peers in Python ended")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line)
            .with_context(|| format!("the peers in Python ended at {job}; they say above why"))
    }

    /// Does the job of a work.
    pub(super) fn work(
        &mut self,
        job: &str,
        work: &Work,
        endpoint: &str,
        input: &Path,
        output: &Path,
    ) -> Result<Value> {
        self.ask(&json!({
            "job": job,
            "format": work.form.name(),
            "input": input,
            "output": output,
            "endpoint": endpoint,
            "model": work.model(),
            "batch": work.batch,
        }))
    }

    pub(super) fn cost(found: &Value, rows: usize) -> Result<Cost> {
        let nanoseconds = found["nanoseconds"].as_f64();
        let nanoseconds = nanoseconds.context("a peer in Python did not say what it took")?;
        Ok(Cost {
            seconds: nanoseconds / 1e9,
            elapsed: nanoseconds / 1e9,
            rows,
        })
    }
}

impl Drop for PythonPeers {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `mlserver infer`, whose input is a request a line; without what its start takes.
pub(super) struct MlServer {
    pub(super) program: PathBuf,
    pub(super) folder: PathBuf,
}

impl MlServer {
    /// It takes more than a hundred times as long for a row, so that fewer say as much.
    const ROWS: [usize; 2] = [1_000, 20_000];

    pub(super) fn run(&self, work: &Work, endpoint: &str) -> Result<Cost> {
        let mut costs = [Cost::default(); 2];
        for (rows, cost) in Self::ROWS.into_iter().zip(&mut costs) {
            *cost = self.run_of(rows, work, endpoint)?;
        }
        Ok(costs[1].without(costs[0]))
    }

    fn run_of(&self, rows: usize, work: &Work, endpoint: &str) -> Result<Cost> {
        let input = self.folder.join(format!("mlserver-{rows}.in.ndjson"));
        let output = self.folder.join("mlserver.out.ndjson");
        let lines = (0..rows).map(|row| {
            let value = work.value(row, 0);
            format!(
                "{{\"inputs\":[{{\"name\":\"v0\",\"shape\":[1,1],\"datatype\":\"FP32\",\
                 \"data\":[{value}]}}]}}\n"
            )
        });
        fs_err::write(&input, lines.collect::<String>())?;
        let mut infer = Command::new(&self.program);
        infer
            .args(["infer", "-u", endpoint.trim_start_matches("http://")])
            .args(["-m", &work.model(), "-s", &work.batch.min(512).to_string()])
            .args(["-w", &work.in_flight.to_string()])
            .arg("-i")
            .arg(&input)
            .arg("-o")
            .arg(&output);
        let cost = measure(
            without_python_variables(&mut infer),
            &self.folder.join("printed.txt"),
            rows,
        )?;
        let answers = fs_err::read_to_string(&output)?;
        let answered = answers
            .lines()
            .filter(|line| line.contains("\"e0\""))
            .count();
        anyhow::ensure!(
            answered == rows,
            "`mlserver infer` answered {answered} of {rows} rows"
        );
        Ok(cost)
    }
}
