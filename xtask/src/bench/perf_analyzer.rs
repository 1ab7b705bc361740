//! NVIDIA's `perf_analyzer`, which starts over for each measurement and counts in its own way.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bench_rounds::{Case, values};

use super::command::Cost;
use super::instant_server::InstantServer;
use crate::files::{remove_file_if_present, write_whole};
use crate::processor_time::processor_seconds_of_children;
use crate::python::{self, Python};
use crate::{command, interrupt};

/// The program lies in the wheel of the client; it links to a library of CUDA that it does not
/// use here, and to one that only Debian has.
pub(super) const PACKAGES: &[&str] = &["tritonclient==2.51.0", "nvidia-cuda-runtime-cu12==12.9.79"];
const DEBIAN_PACKAGE: &str = "libb64-0d";
const DEBIAN_LIBRARY: &str = "libb64.so.0d";

/// A run takes a second or two, because it pauses, whatever it measures. Now and then it waits for
/// ever: all requests are answered, its threads are gone, and it misses that it has ended.
const LIMIT: Duration = Duration::from_secs(15);
const ATTEMPTS: usize = 8;

/// The same where a real server answers.
const LONGER_LIMIT: Duration = Duration::from_secs(120);

/// A longer run has so many times the requests of a shorter one.
const LONGER: usize = 5;

pub(super) struct PerfAnalyzer {
    folder: PathBuf,
    libraries: Vec<PathBuf>,
}

impl PerfAnalyzer {
    pub(super) fn install(folder: &Path) -> Result<Self> {
        let folder = folder.join("perf-analyzer");
        let packages = folder.join("packages");
        let debian = folder.join("debian");
        let installed = Self {
            libraries: vec![
                packages.join("nvidia/cuda_runtime/lib"),
                debian.join("usr/lib/x86_64-linux-gnu"),
                // Where the system has it installed.
                "/usr/lib/x86_64-linux-gnu".into(),
            ],
            folder: folder.clone(),
        };
        let description = format!("{}\n{DEBIAN_PACKAGE}\n", PACKAGES.join("\n"));
        let marker = folder.join("installed");
        if fs_err::read(&marker).unwrap_or_default() == description.as_bytes() {
            return Ok(installed);
        }
        println!(
            "installing perf_analyzer ({}) into {}",
            PACKAGES[0],
            folder.display()
        );
        remove_file_if_present(&marker)?;
        if folder.exists() {
            fs_err::remove_dir_all(&folder)?;
        }
        fs_err::create_dir_all(&folder)?;
        python::install(
            &Python::find()?.executable,
            PACKAGES,
            &[
                "--only-binary",
                ":all:",
                "--target",
                &packages.to_string_lossy(),
            ],
            &folder.join("requirements.txt"),
        )?;
        if !installed.has_library() {
            let mut download = Command::new("apt-get");
            download
                .args(["download", DEBIAN_PACKAGE])
                .current_dir(&folder);
            command::run_successfully(&mut download).with_context(|| {
                format!(
                    "perf_analyzer needs {DEBIAN_LIBRARY}: install {DEBIAN_PACKAGE}, or run \
                     `apt-get update`"
                )
            })?;
            let archive = fs_err::read_dir(&folder)?
                .filter_map(Result::ok)
                .map(|entry| entry.path())
                .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
                .context("apt-get downloaded nothing")?;
            let mut unpack = Command::new("dpkg");
            command::run_successfully(unpack.arg("-x").arg(archive).arg(&debian))?;
        }
        write_whole(&marker, description.as_bytes())?;
        Ok(installed)
    }

    fn has_library(&self) -> bool {
        let mut folders = self.libraries.iter();
        folders.any(|folder| folder.join(DEBIAN_LIBRARY).exists())
    }

    /// The processor time for each request: that of a long run without that of a short one, so
    /// that its begin and its end do not count. It compares each answer by itself.
    pub(super) fn measure(
        &self,
        server: &InstantServer,
        case: &Case,
        requests: usize,
    ) -> Result<Duration> {
        let input = self.input(case)?;
        let (few, less) = self.run(server, case, &input, requests)?;
        let (many, more) = self.run(server, case, &input, LONGER * requests)?;
        let requests = many.checked_sub(few).filter(|requests| *requests > 0);
        let requests = requests.context("perf_analyzer sent no more requests when asked to")?;
        Ok(Duration::from_secs_f64(
            (more - less).max(0.0) / requests as f64,
        ))
    }

    /// Returns how many requests it sent, and the seconds of processor time that it used.
    fn run(
        &self,
        server: &InstantServer,
        case: &Case,
        input: &Path,
        requests: usize,
    ) -> Result<(u64, f64)> {
        let format = case.format.name();
        let address = server.endpoint().trim_start_matches("http://");
        let mut program = Command::new(self.folder.join("packages/bin/perf_analyzer"));
        program
            .args(["-i", "http", "-u", address, "-m", case.model, "-x", "1"])
            .args(["--concurrency-range", &case.in_flight.to_string()])
            .args(["--request-count", &requests.to_string()])
            .arg("--input-data")
            .arg(input)
            .args([
                "--input-tensor-format",
                format,
                "--output-tensor-format",
                format,
            ])
            .env("LD_LIBRARY_PATH", std::env::join_paths(&self.libraries)?);
        let printed = self.folder.join("printed.txt");
        for attempt in 1..=ATTEMPTS {
            let answered_before = server.answered()?;
            let used_before = processor_seconds_of_children()?;
            match command::output_within(&mut program, &printed, LIMIT, || Ok(())) {
                Ok(_) => {}
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(error) => {
                    interrupt::check()?;
                    eprintln!("\nperf_analyzer is run again: {error:#}");
                    continue;
                }
            }
            let used = processor_seconds_of_children()? - used_before;
            let answered = server.answered()? - answered_before;
            if answered < requests as u64 {
                bail!("perf_analyzer was answered {answered} times, not {requests}");
            }
            return Ok((answered, used));
        }
        bail!("perf_analyzer was not run")
    }

    /// What so many requests of sequences cost, of which so many are open at once: a long run without
    /// a short one. They go to `accumulate`, one request at a time in each.
    pub(super) fn sequences(
        &self,
        endpoint: &str,
        open: usize,
        length: usize,
        requests: usize,
    ) -> Result<Cost> {
        let run = |requests: usize| {
            let mut program = Command::new(self.folder.join("packages/bin/perf_analyzer"));
            program
                .args(["-i", "http", "-u", endpoint.trim_start_matches("http://")])
                .args([
                    "-m",
                    "accumulate",
                    "-x",
                    "1",
                    "--async",
                    "--shape",
                    "value:1",
                ])
                .args(["--concurrency-range", &open.to_string()])
                .args(["--sequence-length", &length.to_string()])
                .args(["--sequence-length-variation", "0"])
                .args(["--request-count", &requests.to_string()])
                .env("LD_LIBRARY_PATH", std::env::join_paths(&self.libraries)?);
            let printed = self.folder.join("printed.txt");
            for _ in 1..ATTEMPTS {
                let used = processor_seconds_of_children()?;
                let begin = Instant::now();
                match command::output_within(&mut program, &printed, LONGER_LIMIT, || Ok(())) {
                    Ok(_) => {
                        return Ok(Cost {
                            seconds: processor_seconds_of_children()? - used,
                            elapsed: begin.elapsed().as_secs_f64(),
                            rows: requests,
                        });
                    }
                    Err(error) => {
                        interrupt::check()?;
                        eprintln!("\nperf_analyzer is run again: {error:#}");
                    }
                }
            }
            bail!("perf_analyzer sent no sequences")
        };
        let short = run(requests / LONGER)?;
        Ok(run(requests)?.without(short))
    }

    /// The values of the case in the form that it reads, as input and as what is to come back.
    fn input(&self, case: &Case) -> Result<PathBuf> {
        let path = self.folder.join(format!("{}.json", case.model));
        let tensor = serde_json::json!({ "content": values(case.elements), "shape": case.shape() });
        let content = serde_json::json!({
            "data": [{ "value": tensor }],
            "validation_data": [{ "echo": tensor }],
        });
        write_whole(&path, &serde_json::to_vec(&content)?)?;
        Ok(path)
    }
}
