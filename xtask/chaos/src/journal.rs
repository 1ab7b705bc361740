//! What each server has been sent, as its models write it down: `cargo xtask chaos` and `cargo xtask replicas`
//! have them do so.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// How Triton says that a request begins a sequence, and ends it.
const START: u32 = 1;
const END: u32 = 2;

/// One row as a model met it.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) id: String,
    flags: u32,
    pub(crate) value: i64,
}

impl Arrived {
    #[cfg(test)]
    pub(crate) fn new(id: &str, flags: u32, value: i64) -> Self {
        let id = id.to_owned();
        Self { id, flags, value }
    }

    pub(crate) fn starts(&self) -> bool {
        self.flags & START != 0
    }

    pub(crate) fn ends(&self) -> bool {
        self.flags & END != 0
    }
}

fn path(models: &Path, model: &str) -> PathBuf {
    models.join(model).join("arrived.log")
}

/// Begins again; the models append to what is there.
pub(crate) fn clear(models: &Path, model: &str) -> Result<()> {
    Ok(fs_err::write(path(models, model), "")?)
}

/// The rows that arrived at a model, in their order.
pub(crate) fn read(models: &Path, model: &str) -> Result<Vec<Arrived>> {
    let text = fs_err::read_to_string(path(models, model))?;
    let rows = text.lines().map(|line| {
        let mut words = line.split(' ');
        let mut word = || {
            words
                .next()
                .context("a line of a model's log has three words")
        };
        anyhow::Ok(Arrived {
            id: word()?.to_owned(),
            flags: word()?.parse()?,
            value: word()?.parse()?,
        })
    });
    rows.collect()
}
