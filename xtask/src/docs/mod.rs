//! Generated pages and sources: written from the option catalog and the definition of exit codes, or
//! compared with what is committed.

mod compare;
mod exit_codes;
mod java_options;
mod table;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use triton_options::render;

use crate::workspace::Workspace;

/// The folder of the pages, below the workspace's root; nothing else may lie in it.
const FOLDER: &str = "docs/reference/generated";

/// The command that mends every difference.
const MEND: &str = "cargo xtask docs";

/// Writes the generated pages or, with `check`, fails if they are not what would be written.
pub(crate) fn run(check: bool) -> Result<()> {
    let root = Workspace::find()?.root;
    let folder = root.join(FOLDER);
    let pages = render::pages();
    let java = java_options::render();
    let guide_path = root.join(exit_codes::PATH);
    let found_guide = fs_err::read_to_string(&guide_path)?;
    let guide = exit_codes::render(&found_guide)?;
    if check {
        let problems = compare::problems(&pages, &read_folder(&folder)?);
        let mut problems: Vec<_> = problems
            .into_iter()
            .map(|problem| format!("{FOLDER}/{problem}"))
            .collect();
        let found = fs_err::read(root.join(java_options::PATH)).unwrap_or_default();
        problems.extend(java_options::problem(&java, &found));
        if found_guide != guide {
            problems.push(format!(
                "{}: the table of exit codes is not that of the command",
                exit_codes::PATH
            ));
        }
        if !problems.is_empty() {
            for problem in &problems {
                eprintln!("{problem}");
            }
            bail!(
                "the generated files have {} problems; mend them with `{MEND}`",
                problems.len()
            );
        }
        println!(
            "{} pages in {FOLDER}, {} and {} are complete and current",
            pages.len(),
            java_options::PATH,
            exit_codes::PATH
        );
        return Ok(());
    }
    fs_err::create_dir_all(&folder)?;
    for orphan in read_folder(&folder)?.into_keys() {
        if pages.iter().all(|page| page.file_name != orphan) {
            fs_err::remove_file(folder.join(&orphan))?;
            println!("removed {FOLDER}/{orphan}");
        }
    }
    for page in pages {
        fs_err::write(folder.join(&page.file_name), &page.text)?;
        println!("wrote {FOLDER}/{}", page.file_name);
    }
    fs_err::write(root.join(java_options::PATH), java)?;
    println!("wrote {}", java_options::PATH);
    fs_err::write(guide_path, guide)?;
    println!("wrote {}", exit_codes::PATH);
    Ok(())
}

/// The bytes of every file in the folder, by name; a file that cannot be read is a failure.
fn read_folder(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let entries = fs_err::read_dir(folder)
        .with_context(|| format!("the generated pages are missing; write them with `{MEND}`"))?;
    let mut files = BTreeMap::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.insert(name, fs_err::read(entry.path())?);
    }
    Ok(files)
}
