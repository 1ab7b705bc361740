//! Generated pages and sources: written from the option catalog and the definition of exit codes, or
//! compared with what is committed. What the guide promises is held against the tests that name it, the
//! messages that it quotes against the sources, links between pages against what they lead to, and the
//! table of contents against the pages that there are.

mod compare;
mod exit_codes;
mod java_options;
mod links;
mod messages;
mod promises;
mod reference;
mod summary;
mod table;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use triton_options::render::{self, Page};

use crate::workspace::Workspace;

/// The folder of the pages, below the workspace's root; nothing else may lie in it.
const FOLDER: &str = "docs/reference/generated";

/// The page that is part of a crate's documentation, and so of its package: that takes no file from
/// outside of the crate.
const RUSTDOC_PAGE: &str = "rustdoc_options.md";
const RUSTDOC_FOLDER: &str = "crates/triton-options/src";

/// The command that fixes every difference of what is generated.
const FIX: &str = "cargo xtask docs";

/// Writes the generated pages or, with `check`, fails if they are not what would be written.
pub(crate) fn run(check: bool) -> Result<()> {
    let root = Workspace::find()?.root;
    let pages = pages();
    let reference = reference::pages(&root)?;
    let java = java_options::render();
    let guide_path = root.join(exit_codes::PATH);
    let found_guide = fs_err::read_to_string(&guide_path)?;
    let guide = exit_codes::render(&found_guide)?;
    if check {
        let mut files = committed(&root)?;
        let mut problems = Vec::new();
        for page in &reference {
            let found = files.remove(&page.path);
            problems.extend(reference::problem(page, found.as_deref()));
        }
        problems.extend(compare::problems(&pages, &files));
        let found = fs_err::read(root.join(java_options::PATH)).unwrap_or_default();
        problems.extend(java_options::problem(&java, &found));
        if found_guide != guide {
            problems.push(format!(
                "{}: the table of exit codes is not that of the command",
                exit_codes::PATH
            ));
        }
        let (promised, unheld) = promises::check(&root)?;
        let (links, astray) = links::check(&root, &format!("{RUSTDOC_FOLDER}/{RUSTDOC_PAGE}"))?;
        let (messages, unsaid) = messages::check(&root)?;
        let unlisted = summary::check(&root)?;
        let by_hand = [&unheld, &astray, &unsaid, &unlisted];
        for problem in problems.iter().chain(by_hand.into_iter().flatten()) {
            eprintln!("{problem}");
        }
        if !problems.is_empty() {
            bail!(
                "the generated files have {} problems; fix them with `{FIX}`",
                problems.len()
            );
        }
        if !unheld.is_empty() {
            bail!(
                "the promises of the guide and the tests that name them have {} problems; each says \
                 what to do",
                unheld.len()
            );
        }
        if !astray.is_empty() {
            bail!("{} links between the pages lead nowhere", astray.len());
        }
        if !unsaid.is_empty() || !unlisted.is_empty() {
            bail!(
                "the guide has {} problems; each says what to do",
                unsaid.len() + unlisted.len()
            );
        }
        println!(
            "{} pages, {} and {} are complete and current, tests hold all {promised} promises, all \
             {messages} messages are still said, and all {links} links between the pages lead somewhere",
            pages.len() + reference.len(),
            java_options::PATH,
            exit_codes::PATH
        );
        return Ok(());
    }
    fs_err::create_dir_all(root.join(FOLDER))?;
    for orphan in committed(&root)?.into_keys() {
        let is_page = pages.iter().any(|page| page.file_name == orphan)
            || reference.iter().any(|page| page.path == orphan);
        if !is_page {
            fs_err::remove_file(root.join(&orphan))?;
            println!("removed {orphan}");
        }
    }
    for page in pages {
        fs_err::write(root.join(&page.file_name), &page.text)?;
        println!("wrote {}", page.file_name);
    }
    for page in reference {
        fs_err::write(root.join(&page.path), &page.text)?;
        println!("wrote {}", page.path);
    }
    fs_err::write(root.join(java_options::PATH), java)?;
    println!("wrote {}", java_options::PATH);
    fs_err::write(guide_path, guide)?;
    println!("wrote {}", exit_codes::PATH);
    Ok(())
}

/// Every generated page, by its path below the workspace's root.
fn pages() -> Vec<Page> {
    let mut pages = render::pages();
    for page in &mut pages {
        let folder = match page.file_name.as_str() {
            RUSTDOC_PAGE => RUSTDOC_FOLDER,
            _ => FOLDER,
        };
        page.file_name = format!("{folder}/{}", page.file_name);
    }
    pages
}

/// The bytes of every file that should be a generated page, by its path; a file that cannot be
/// read is a failure.
fn committed(root: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let entries = fs_err::read_dir(root.join(FOLDER))
        .with_context(|| format!("the generated pages are missing; write them with `{FIX}`"))?;
    let mut files = BTreeMap::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let path = format!("{FOLDER}/{}", name.to_string_lossy());
        files.insert(path, fs_err::read(entry.path())?);
    }
    let path = format!("{RUSTDOC_FOLDER}/{RUSTDOC_PAGE}");
    match fs_err::read(root.join(&path)) {
        Ok(page) => files.insert(path, page),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    Ok(files)
}
