//! Builds the provider's jar: Java compiled against the jars of Flink, and the native library.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::install::Installation;
use crate::command;
use crate::files::{remove_file_if_present, write_whole};
use crate::workspace::Workspace;

/// The oldest Java that Flink 2 runs on.
const JAVA_RELEASE: &str = "11";

/// Where a JVM looks for the native library within the jar: Java names platforms as Rust does once
/// `NativeLibrary.platform()` has turned `amd64` into `x86_64`.
fn library_in_jar(machine: &str) -> String {
    format!("triton/flink/native/linux-{machine}/libtriton_flink.so")
}

/// The processor of a target of Rust, such as `aarch64-unknown-linux-gnu`.
fn machine_of(target: &str) -> Result<&str> {
    match target.split_once('-') {
        Some((machine, rest)) if rest.ends_with("linux-gnu") => Ok(machine),
        _ => bail!(
            "'--target {target}': expected a target of Linux with the GNU C library, such as \
             'aarch64-unknown-linux-gnu'"
        ),
    }
}

/// The extension of the file that says how the jar was built.
const PROFILE: &str = "profile";

/// What a build makes.
pub(crate) struct Jars {
    /// The provider, which users put on their cluster.
    pub(crate) provider: PathBuf,
    /// The program that runs SQL files, with a provider to compare ours with.
    pub(crate) runner: PathBuf,
}

impl Jars {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self {
            provider: folder.join("triton-flink.jar"),
            runner: folder.join("sql-runner.jar"),
        }
    }

    /// How the native library in the jar was built, in words.
    pub(super) fn kind(&self) -> String {
        let recorded = fs_err::read_to_string(self.provider.with_extension(PROFILE));
        let jar = self.provider.display();
        match recorded.unwrap_or_default().trim() {
            "release" => format!("the provider is {jar}, built with optimizations"),
            kind => {
                let built = match kind {
                    "debug" => "built without optimizations, as tests do",
                    _ => "and its last build did not end",
                };
                format!(
                    "the provider is {jar}, {built}: for use run `cargo xtask flink build \
                     --release`, then `cargo xtask flink stop`, and start again"
                )
            }
        }
    }
}

pub(super) fn build(
    workspace: &Workspace,
    folder: &Path,
    flink: &Installation,
    release: bool,
    targets: &[String],
) -> Result<Jars> {
    let jars = Jars::in_folder(folder);
    let mut libraries = BTreeMap::new();
    for target in targets {
        let machine = machine_of(target)?;
        let library = build_library(workspace, release, Some(target))?;
        libraries.insert(machine, library);
    }
    if !libraries.contains_key(std::env::consts::ARCH) {
        let library = build_library(workspace, release, None)?;
        libraries.insert(std::env::consts::ARCH, library);
    }

    let stage = folder.join("provider");
    let java = workspace.root.join("crates/triton-flink/java");
    compile(flink, &[&java.join("triton/flink")], &stage)?;
    for (machine, built) in libraries {
        let library = stage.join(library_in_jar(machine));
        fs_err::create_dir_all(library.parent().context("the library has a folder")?)?;
        fs_err::copy(built, &library)?;
    }
    let profile = profile(release);
    add_services(&java, &stage)?;
    // A build that ends in between leaves no record, rather than that of another jar.
    let record = jars.provider.with_extension(PROFILE);
    remove_file_if_present(&record)?;
    pack(&stage, &jars.provider)?;
    write_whole(&record, profile.as_bytes())?;

    let stage = folder.join("runner");
    let java = workspace.root.join("xtask/java");
    compile(flink, &[&java], &stage)?;
    add_services(&java, &stage)?;
    pack(&stage, &jars.runner)?;
    Ok(jars)
}

fn profile(release: bool) -> &'static str {
    if release { "release" } else { "debug" }
}

/// Builds the native library for this machine or another one; returns where it is.
fn build_library(workspace: &Workspace, release: bool, target: Option<&str>) -> Result<PathBuf> {
    let mut cargo = command::cargo();
    cargo.args(["build", "--locked", "--lib"]);
    match (release, target) {
        // That of the tests, with what they turn on: it is built already where they are.
        (false, None) => cargo.args(["--workspace", "--all-features", "--tests"]),
        (false, Some(_)) => cargo.args(["--package", "triton-flink"]),
        (true, _) => cargo.args(["--package", "triton-flink", "--release"]),
    };
    let mut folder = workspace.target_directory.clone();
    if let Some(target) = target {
        cargo.args(["--target", target]);
        folder.push(target);
    }
    let built = command::run_successfully(cargo.current_dir(&workspace.root));
    match target {
        Some(target) => built.with_context(|| {
            format!(
                "is the target installed (`rustup target add {target}`), and a C compiler and a \
                 linker for it?"
            )
        })?,
        None => built?,
    }
    folder.push(profile(release));
    Ok(folder.join("libtriton_flink.so"))
}

/// Adds the files by which Flink finds the providers of a jar.
fn add_services(java: &Path, stage: &Path) -> Result<()> {
    let services = stage.join("META-INF/services");
    fs_err::create_dir_all(&services)?;
    for entry in fs_err::read_dir(java.join("META-INF/services"))? {
        let entry = entry?;
        fs_err::copy(entry.path(), services.join(entry.file_name()))?;
    }
    Ok(())
}

/// Compiles every source in the folders to an empty `stage`.
fn compile(flink: &Installation, sources: &[&Path], stage: &Path) -> Result<()> {
    if stage.exists() {
        fs_err::remove_dir_all(stage)?;
    }
    fs_err::create_dir_all(stage)?;
    let mut javac = Command::new("javac");
    javac
        .args([
            "--release",
            JAVA_RELEASE,
            "-Xlint:all,-classfile",
            "-Werror",
        ])
        .arg("-classpath")
        .arg(std::env::join_paths(flink.jars()?)?)
        .arg("-d")
        .arg(stage);
    for folder in sources {
        for entry in fs_err::read_dir(folder)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "java")
            {
                javac.arg(path);
            }
        }
    }
    command::run_successfully(&mut javac)
        .context("is a JDK of at least version 17 installed, with javac and jar on PATH?")
}

/// Packs a folder. A cluster may have the last jar open, so the new one takes its place at once.
fn pack(stage: &Path, jar: &Path) -> Result<()> {
    let draft = jar.with_extension("draft");
    let mut command = Command::new("jar");
    command.args(["--create", "--file"]).arg(&draft);
    command.arg("-C").arg(stage).arg(".");
    command::run_successfully(&mut command)?;
    fs_err::rename(&draft, jar)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_jar_is_told_and_what_to_do_about_it() {
        let folder = std::env::temp_dir().join(format!("xtask-jars-{}", std::process::id()));
        fs_err::create_dir_all(&folder).unwrap();
        let jars = Jars::in_folder(&folder);
        let advice = ": for use run `cargo xtask flink build --release`, then `cargo xtask flink \
                      stop`, and start again";
        let record = jars.provider.with_extension(PROFILE);
        let jar = jars.provider.display();
        assert_eq!(
            jars.kind(),
            format!("the provider is {jar}, and its last build did not end{advice}")
        );
        fs_err::write(&record, "debug").unwrap();
        assert_eq!(
            jars.kind(),
            format!("the provider is {jar}, built without optimizations, as tests do{advice}")
        );
        fs_err::write(&record, "release").unwrap();
        assert_eq!(
            jars.kind(),
            format!("the provider is {jar}, built with optimizations")
        );
        fs_err::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_target_is_one_of_linux_and_says_where_its_library_goes() {
        let of = |target: &str| machine_of(target).map(library_in_jar);
        assert_eq!(
            of("aarch64-unknown-linux-gnu").unwrap(),
            "triton/flink/native/linux-aarch64/libtriton_flink.so"
        );
        for other in [
            "aarch64",
            "aarch64-apple-darwin",
            "x86_64-unknown-linux-musl",
        ] {
            assert!(of(other).is_err(), "{other}");
        }
    }

    #[test]
    fn statements_are_cut_where_they_end_and_sets_stay_whole() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("java/SqlStatements.java");
        let file = std::env::temp_dir().join(format!("xtask-sets-{}.sql", std::process::id()));
        fs_err::write(
            &file,
            "SET 'a' = 'b;c'; -- not; this
             /* nor; this */ EXPLAIN SELECT 1;
             begin statement set; INSERT INTO a SELECT 1; END;
             EXECUTE STATEMENT SET BEGIN INSERT INTO b SELECT 1; INSERT INTO c SELECT 1; END;
             EXPLAIN ESTIMATED_COST, JSON_EXECUTION_PLAN STATEMENT SET BEGIN INSERT INTO d SELECT 1;
             END;
             EXPLAIN PLAN FOR STATEMENT SET BEGIN INSERT INTO e SELECT 1; END;
             COMPILE PLAN 'p;q' IF NOT EXISTS FOR STATEMENT SET BEGIN INSERT INTO f SELECT 1; END;
             COMPILE AND EXECUTE PLAN 'p' FOR STATEMENT SET BEGIN INSERT INTO g SELECT 1; END;
             COMPILE PLAN 'p' FOR INSERT INTO h SELECT 1; SELECT 2",
        )
        .unwrap();
        let output = Command::new("java").arg(source).arg(&file).output();
        fs_err::remove_file(file).unwrap();
        let output = output.unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "SET 'a' = 'b;c'
----
EXPLAIN SELECT 1
----
EXECUTE STATEMENT SET BEGIN
INSERT INTO a SELECT 1;
END
----
EXECUTE STATEMENT SET BEGIN
INSERT INTO b SELECT 1;
INSERT INTO c SELECT 1;
END
----
EXPLAIN ESTIMATED_COST, JSON_EXECUTION_PLAN STATEMENT SET BEGIN
INSERT INTO d SELECT 1;
END
----
EXPLAIN PLAN FOR STATEMENT SET BEGIN
INSERT INTO e SELECT 1;
END
----
COMPILE PLAN 'p;q' IF NOT EXISTS FOR STATEMENT SET BEGIN
INSERT INTO f SELECT 1;
END
----
COMPILE AND EXECUTE PLAN 'p' FOR STATEMENT SET BEGIN
INSERT INTO g SELECT 1;
END
----
COMPILE PLAN 'p' FOR INSERT INTO h SELECT 1
----
SELECT 2
----
",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
