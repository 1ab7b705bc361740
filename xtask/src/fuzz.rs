//! Fuzzes what reads bytes from elsewhere, with libFuzzer, on the compiler that everything else is
//! built with: what it needs to see which code an input reaches is no unstable option.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Args;

use crate::command;
use crate::workspace::Workspace;

/// The platform; named, so that build scripts and macros are built without the flags below.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// What counts the branches that an input takes, and the values that are compared.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                        -Cllvm-args=-sanitizer-coverage-pc-table \
                        -Cllvm-args=-sanitizer-coverage-trace-compares \
                        --cfg triton_fuzzer";

/// The longest that one input may take, in seconds, and the most memory, in megabytes.
const LIMITS: [&str; 2] = ["-timeout=5", "-rss_limit_mb=2048"];

/// Which inputs are kept: so few, and so short ones, that every test run can replay them. How often a
/// branch is taken makes no difference.
const FEWEST: [&str; 3] = ["-set_cover_merge=1", "-use_counters=0", "-max_len=1024"];

#[derive(Args)]
pub(crate) struct Arguments {
    /// The targets: the folders of fuzz/corpus_seeds; without any, all of them, one after the other
    targets: Vec<String>,
    /// How long each is fuzzed
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Write what reaches code that nothing else reaches into fuzz/corpus, as small as can be
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    let known = known(&workspace.root)?;
    let targets = match arguments.targets.as_slice() {
        [] => known.iter().cloned().collect(),
        named => named.to_vec(),
    };
    if let Some(unknown) = targets.iter().find(|target| !known.contains(*target)) {
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        bail!(
            "no target is called '{unknown}'; there are {}",
            known.join(", ")
        );
    }
    let folder = workspace.target_directory.join("fuzz");
    let program = build(&workspace.root, &folder.join("build"))?;
    let mut failed = Vec::new();
    for target in &targets {
        let fuzzed = Fuzzed::of(&workspace.root, &folder, target);
        fuzzed.unpack()?;
        println!("==> {target}, for {} s", arguments.seconds);
        let mut fuzzer = fuzzed.fuzzer(&program);
        fuzzer
            .args([&fuzzed.found, &fuzzed.seeds])
            .arg(format!("-max_total_time={}", arguments.seconds))
            .arg(format!("-artifact_prefix={}/", fuzzed.broken.display()))
            .args(LIMITS)
            .arg("-print_final_stats=1");
        if !command::run(&mut fuzzer)?.success() {
            failed.push(target.as_str());
        } else if arguments.keep {
            fuzzed.keep(&program)?;
        }
    }
    if failed.is_empty() {
        println!("{} targets: nothing broke", targets.len());
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "broken: {}; the inputs are in {}: put each into fuzz/corpus_seeds/TARGET, so that it is \
         replayed by every test run",
        failed.join(", "),
        folder.join("broken").display()
    );
    Ok(ExitCode::FAILURE)
}

/// The names of the targets: each has a folder of seeds, which a test of theirs holds.
fn known(root: &Path) -> Result<BTreeSet<String>> {
    let entries = fs_err::read_dir(root.join("fuzz/corpus_seeds"))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect()
}

/// Compiles what calls the targets, without libFuzzer and its C++: no other build has it.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut cargo = command::cargo();
    cargo
        .args(["rustc", "--quiet", "--locked", "--package", "triton-fuzz"])
        .args(["--bin", "fuzz", "--profile", "check"])
        // For this one program: as a flag of all crates it would be another build of everything.
        .args(["--", "--cfg", "triton_fuzzer", "-D", "warnings"])
        .current_dir(root);
    command::run_successfully(&mut cargo).context("the fuzzer does not compile")
}

/// Builds the fuzzer of all targets; returns the program.
fn build(root: &Path, target: &Path) -> Result<PathBuf> {
    let mut cargo = command::cargo();
    cargo
        .args(["build", "--locked", "--package", "triton-fuzz"])
        .args(["--bin", "fuzz"])
        .args(["--profile", "fuzz", "--target", PLATFORM])
        .env("RUSTFLAGS", COVERAGE)
        .env("CARGO_TARGET_DIR", target)
        .current_dir(root);
    command::run_successfully(&mut cargo).context("libFuzzer needs a C++ compiler")?;
    Ok(target.join(PLATFORM).join("fuzz/fuzz"))
}

/// A target, and where its inputs are.
struct Fuzzed<'a> {
    name: &'a str,
    seeds: PathBuf,
    /// The corpus as it is kept: a line of base64 for each input, so that thousands of small files
    /// are one.
    corpus: PathBuf,
    /// The corpus as libFuzzer reads and writes it: a file for each input.
    found: PathBuf,
    /// Inputs that broke something.
    broken: PathBuf,
}

impl<'a> Fuzzed<'a> {
    fn of(root: &Path, folder: &Path, name: &'a str) -> Self {
        Self {
            name,
            seeds: root.join("fuzz/corpus_seeds").join(name),
            corpus: root.join("fuzz/corpus").join(format!("{name}.base64")),
            found: folder.join("found").join(name),
            broken: folder.join("broken").join(name),
        }
    }

    fn fuzzer(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("FUZZ_TARGET", self.name);
        command
    }

    /// Adds the inputs that are kept to those that were found here.
    fn unpack(&self) -> Result<()> {
        fs_err::create_dir_all(&self.found)?;
        fs_err::create_dir_all(&self.broken)?;
        if !self.corpus.exists() {
            return Ok(());
        }
        for (number, line) in fs_err::read_to_string(&self.corpus)?.lines().enumerate() {
            let input = BASE64.decode(line);
            let input = input.with_context(|| {
                format!("{}, line {}: no base64", self.corpus.display(), number + 1)
            })?;
            fs_err::write(self.found.join(format!("kept-{number}")), input)?;
        }
        Ok(())
    }

    /// Writes the fewest inputs down that reach what all that were found do.
    fn keep(&self, program: &Path) -> Result<()> {
        let fewest = self.found.with_extension("fewest");
        if fewest.exists() {
            fs_err::remove_dir_all(&fewest)?;
        }
        fs_err::create_dir_all(&fewest)?;
        let mut merge = self.fuzzer(program);
        merge
            .args(FEWEST)
            .args(LIMITS)
            .args([&fewest, &self.found, &self.seeds]);
        command::run_successfully(&mut merge)?;
        let mut lines = BTreeSet::new();
        for entry in fs_err::read_dir(&fewest)? {
            lines.insert(BASE64.encode(fs_err::read(entry?.path())?));
        }
        ensure!(!lines.is_empty(), "nothing was found for {}", self.name);
        fs_err::create_dir_all(self.corpus.parent().context("it is in a folder")?)?;
        let count = lines.len();
        let text: String = lines.into_iter().map(|line| line + "\n").collect();
        fs_err::write(&self.corpus, text)?;
        println!("{}: {count} inputs are kept", self.name);
        Ok(())
    }
}
