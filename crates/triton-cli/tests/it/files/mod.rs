//! The files of a run: none is written over by another, and none is left half written.

mod checkpoint_folder;
mod endings;
mod identity;
mod pipes;

use std::collections::BTreeMap;
use std::path::Path;

use crate::{Files, Run};

const MODEL: &str = "
    CREATE MODEL running_sum INPUT (`value` INT) OUTPUT (sum INT)
    WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'accumulate',
          'sequence-id' = 'job', 'sequence-id-auto-increment' = 'true')";

const INPUT: &str = "value,note\n1,a\n2,b\n3,c\n";

const ANSWERED: &str = "value,note,sum\n1,a,1\n2,b,2\n3,c,3\n";

/// Everything below a folder, with what it holds.
fn everything(files: &Files) -> BTreeMap<String, String> {
    fn add(folder: &Path, root: &Path, found: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_dir() {
                found.insert(name, "a folder".to_owned());
                add(&path, root, found);
            } else if kind.is_symlink() {
                let target = std::fs::read_link(&path).unwrap();
                found.insert(name, format!("-> {}", target.display()));
            } else if kind.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                found.insert(name, String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
    let mut found = BTreeMap::new();
    add(files.0.path(), files.0.path(), &mut found);
    found
}

/// The names in a folder, without those of the model and the input.
fn names(files: &Files) -> String {
    let names = everything(files).into_keys();
    let names = names.filter(|name| !["model.sql", "in.csv"].contains(&name.as_str()));
    names.collect::<Vec<_>>().join(" ")
}

fn said(files: &Files, run: &Run) -> String {
    files.relative(&run.said())
}

/// A model file and an input in a folder of their own.
fn prepared() -> (Files, String, String) {
    let files = Files::new();
    let model = files.write("model.sql", MODEL);
    let input = files.write("in.csv", INPUT);
    (files, model, input)
}
