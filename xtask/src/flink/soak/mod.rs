//! Many jobs one after the other on one cluster, and what each leaves behind: a TaskManager that
//! runs for months must not pay for each job with memory, threads, files or mapped libraries.

mod rule;
mod sample;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use super::Flink;
use super::statements::{Asked, Rows, statements};
use super::testbed::Testbed;
use rule::{FEWEST_JOBS, growth};
use sample::{Sample, sample};

/// Enough to fill every buffer, few enough for many jobs.
const ROWS: u64 = 20_000;

/// Every so many jobs one fails, because errors take other ways out of the code.
const FAILING: usize = 4;

/// Flink keeps what it has compiled, and Java what it has looked up, in soft references, which
/// last for minutes while memory is plenty. A soak of minutes could not tell that from a leak, so
/// here each forced GC drops them.
const NO_SOFT_REFERENCES: &str = "env.java.opts.taskmanager: -XX:SoftRefLRUPolicyMSPerMB=0";

/// Memory that native code has given back stays with the C library, in one of several arenas for
/// each processor. Threads end with each job, and those of the next use other arenas, so that all
/// of them fill up over many jobs. With one arena, memory that was given back is used again.
const ONE_ARENA: [(&str, &str); 1] = [("MALLOC_ARENA_MAX", "1")];

/// How the cluster comes by the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Way {
    /// The jar is in `lib`: one class loader and one copy of the native library for all jobs
    Lib,
    /// Each job has a class loader and a copy of its own
    AddJar,
    /// The provider is not used at all: what Flink itself leaves behind
    WithoutProvider,
}

pub(super) fn run(flink: &Flink, jobs: usize, ways: &[Way]) -> Result<()> {
    if jobs < FEWEST_JOBS {
        bail!("'--jobs {jobs}': expected at least {FEWEST_JOBS}, which the rule needs");
    }
    let provider = flink.build(true)?.provider;
    let mut problems = Vec::new();
    for way in ways {
        let in_lib = (*way == Way::Lib).then(|| provider.clone());
        let testbed = Testbed::start(flink, "soak", in_lib, &[NO_SOFT_REFERENCES], &ONE_ARENA)?;
        let endpoint = testbed.server.endpoint();
        let asked = match way {
            Way::Lib | Way::AddJar => Asked::ModelAt(&endpoint),
            Way::WithoutProvider => Asked::ModelInJava,
        };
        let beginning = match way {
            Way::AddJar => format!("ADD JAR '{}';\n", provider.display()),
            Way::Lib | Way::WithoutProvider => String::new(),
        };
        let with = |rows| format!("{beginning}{}", statements(ROWS, &rows, &asked));
        let failing = (*way != Way::WithoutProvider).then(|| with(Rows::SomeWithoutValue));
        let texts = Statements {
            good: with(Rows::All),
            failing,
        };
        let name = way.to_possible_value();
        let name = name.as_ref().map_or("", |name| name.get_name());
        println!("\n{name}: {jobs} jobs of {ROWS} rows, after each a forced GC");
        println!("{}", sample::HEAD);
        let found = soak(&testbed, jobs, &texts)?;
        problems.extend(found.iter().map(|problem| format!("{name}: {problem}")));
    }
    if !problems.is_empty() {
        bail!("something is left behind\n{}", problems.join("\n"));
    }
    println!("\nnothing is left behind: no thread of ours between jobs, and nothing that grows");
    Ok(())
}

/// What the jobs are.
struct Statements {
    good: String,
    /// Taken every now and then, if it is the provider that fails them.
    failing: Option<String>,
}

/// Runs the jobs; returns what is wrong.
fn soak(testbed: &Testbed<'_>, jobs: usize, statements: &Statements) -> Result<Vec<String>> {
    let task_managers = testbed.task_managers();
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); task_managers.len()];
    let mut problems = Vec::new();
    for job in 1..=jobs {
        let ended = match &statements.failing {
            Some(failing) if job % FAILING == 0 => {
                testbed.run_failing(failing, "found NULL")?;
                "failed"
            }
            _ => {
                check(&testbed.run(&statements.good, || Ok(()))?.result)
                    .with_context(|| format!("job {job}"))?;
                "finished"
            }
        };
        for (index, jvm) in task_managers.iter().enumerate() {
            let sample = sample(jvm)?;
            println!("{job:>4} {ended:>9} {:>3} {sample}", index + 1);
            if sample.our_threads > 0 {
                problems.push(format!(
                    "job {job} has ended, and TaskManager {} still has {} threads of the provider",
                    index + 1,
                    sample.our_threads
                ));
            }
            samples[index].push(sample);
        }
    }
    for (index, samples) in samples.iter().enumerate() {
        let grown = growth(samples).into_iter();
        problems.extend(grown.map(|growth| format!("TaskManager {}: {growth}", index + 1)));
    }
    Ok(problems)
}

/// Fails unless every row was answered, and right.
fn check(result: &[String]) -> Result<()> {
    let rows = ROWS.to_string();
    if result[result.len().saturating_sub(2)..] != [rows.clone(), rows] {
        bail!("not all of {ROWS} rows were answered right: {result:?}");
    }
    Ok(())
}
