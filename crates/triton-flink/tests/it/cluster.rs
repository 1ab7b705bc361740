//! A Flink cluster for tests: a JobManager and two TaskManagers with two slots each.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::{Mutex, OnceCell, RwLock};
use tokio::time::timeout;

/// Starting Java's programs and running a few jobs takes far less, unless the machine is busy.
const LIMIT: Duration = Duration::from_secs(180);

const CONFIGURATION: [&str; 8] = [
    // What jobs print then stands in the logs, with the task and attempt that printed it.
    "-D",
    "taskmanager.system-out.mode=LOG",
    "-D",
    "taskmanager.system-out.log.thread-name.enabled=true",
    // Jobs of a few seconds are over before what is compiled with care would be used.
    "-D",
    "env.java.opts.jobmanager=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "-D",
    "env.java.opts.taskmanager=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
];

/// A variable that every process of a cluster has, and its value, which nothing may show.
pub(crate) const TOKEN_VARIABLE: &str = "TRITON_TEST_TOKEN";
pub(crate) const TOKEN: &str = "canary-of-the-environment";

/// Held by a test that something has to happen to in time: nothing else is begun meanwhile on the
/// cluster that all share, whose programs would be in its way.
pub(crate) static ALONE: RwLock<()> = RwLock::const_new(());

/// The instance of the cluster that all tests share.
const SHARED_INSTANCE: &str = "test";

/// A cluster that is started when the first test needs it, and stopped by `cargo xtask test`.
pub(crate) struct Cluster {
    instance: &'static str,
    /// Where its REST API is.
    pub(crate) address: String,
    /// Where its logs are.
    logs: String,
    /// The jar for ADD JAR.
    pub(crate) provider: String,
    /// Each run is a Java program: two at once only take turns.
    turn: Mutex<()>,
}

impl Cluster {
    /// The cluster that all tests share; the provider is not in its `lib`.
    pub(crate) async fn shared() -> &'static Cluster {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        let start = || Cluster::start(SHARED_INSTANCE, &["--without-provider"]);
        SHARED.get_or_init(start).await
    }

    pub(crate) async fn start(instance: &'static str, arguments: &[&str]) -> Cluster {
        let start = [&["start"], &CONFIGURATION[..], arguments].concat();
        let (started, output) = xtask(instance, &start).await;
        assert!(started, "{output}");
        let (_, status) = xtask(instance, &["status"]).await;
        let entry = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no '{name}' in\n{status}"))
                .trim()
                .to_owned()
        };
        Cluster {
            instance,
            address: entry("address"),
            logs: entry("logs"),
            provider: entry("provider"),
            turn: Mutex::new(()),
        }
    }

    /// Runs the statements of a user who brings the provider along. So each job of the tests has
    /// it in a class loader of its own, and the same processes load it many times.
    pub(crate) async fn run(&self, sql: &str) -> Output {
        self.run_as_it_is(&format!("ADD JAR '{}';\n{sql}", self.provider))
            .await
    }

    pub(crate) async fn run_as_it_is(&self, sql: &str) -> Output {
        self.run_file(sql, &["run", "--keep-going"]).await
    }

    /// Runs another program than that for statements, with a file whose last line is the provider.
    pub(crate) async fn run_program(&self, class: &str, file: &str) -> Output {
        let file = format!("{file}\n{}\n", self.provider);
        self.run_file(&file, &["run", "--class", class]).await
    }

    async fn run_file(&self, content: &str, arguments: &[&str]) -> Output {
        let _beside_no_other = match self.instance {
            SHARED_INSTANCE => Some(ALONE.read().await),
            _ => None,
        };
        let _turn = self.turn.lock().await;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, content).unwrap();
        let path = file.path().to_str().unwrap();
        let (succeeded, text) = xtask(self.instance, &[arguments, &[path]].concat()).await;
        Output { succeeded, text }
    }

    /// What the REST API answers.
    pub(crate) async fn get(&self, path: &str) -> serde_json::Value {
        let url = format!("{}{path}", self.address);
        let response = http().get(&url).send().await.unwrap();
        let text = response.text().await.unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url}: {error}: {text}"))
    }

    /// Asks for a job to be cancelled.
    pub(crate) async fn cancel(&self, job: &str) {
        let url = format!("{}/jobs/{job}?mode=cancel", self.address);
        let cancelled = http().patch(url).send().await.unwrap();
        assert!(cancelled.status().is_success());
    }

    /// What is in the logs of all TaskManagers, those included that were killed.
    pub(crate) fn task_manager_logs(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.logs).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let logs = paths.filter(|path| path.to_string_lossy().contains("taskexecutor"));
        let read = |path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        logs.map(read).collect()
    }

    /// A folder that is gone when the cluster is stopped.
    pub(crate) fn temporary(&self) -> PathBuf {
        Path::new(&self.logs).with_file_name("temporary")
    }

    /// Does something to the cluster, such as `stop`.
    pub(crate) async fn xtask(&self, task: &str) {
        let (succeeded, output) = xtask(self.instance, &[task]).await;
        assert!(succeeded, "{output}");
    }
}

/// What a run printed.
pub(crate) struct Output {
    pub(crate) succeeded: bool,
    pub(crate) text: String,
}

impl Output {
    /// The rows of all results, without the column that tells inserts from retractions.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let lines = self.text.lines().filter_map(|line| {
            let cells = line.strip_prefix("| +I |")?.strip_suffix('|')?;
            Some(cells.split('|').map(|cell| cell.trim().to_owned()))
        });
        let rows: Vec<Vec<String>> = lines.map(Iterator::collect).collect();
        assert!(!rows.is_empty(), "{}", self.text);
        rows
    }

    /// The messages of the statements that failed.
    pub(crate) fn errors(&self) -> Vec<&str> {
        let errors = self
            .text
            .split("[ERROR] Could not execute SQL statement. Reason:\n");
        errors
            .skip(1)
            .map(|error| {
                let end = error
                    .find("\nJob has been submitted")
                    .unwrap_or(error.len());
                error[..end].trim_end()
            })
            .collect()
    }

    /// The jobs of the statements, in their order.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = &str> {
        let lines = self.text.lines();
        lines.filter_map(|line| line.strip_prefix("job "))
    }

    /// The job of the last statement.
    pub(crate) fn job(&self) -> &str {
        let job = self.jobs().last();
        job.unwrap_or_else(|| panic!("no job in\n{}", self.text))
    }
}

async fn xtask(instance: &str, arguments: &[&str]) -> (bool, String) {
    let program = std::env::var("TRITON_TEST_XTASK").unwrap_or_else(|_| {
        panic!("this test needs a Flink cluster: run the tests with `cargo xtask test`")
    });
    let output = Command::new(program)
        .args(["flink", "--instance", instance])
        .args(arguments)
        .env(TOKEN_VARIABLE, TOKEN)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(LIMIT, output).await;
    let output = output
        .unwrap_or_else(|_| panic!("flink {arguments:?} took more than {LIMIT:?}"))
        .unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    if !output.status.success() {
        text.push_str(&String::from_utf8(output.stderr).unwrap());
    }
    (output.status.success(), text)
}

/// A client for what is not TLS. Built together with a crate that has `reqwest` leave the choice of
/// cryptography to the program, it asks for that choice all the same.
fn http() -> reqwest::Client {
    // Another test may have made it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}
