//! The models of the server that the command line so far speaks of.

use std::time::Duration;

use tokio::time::timeout;
use triton_client::IndexFilter;

use crate::config::{LayeredOptions, Sources};
use crate::controls::is_obeyed;

/// Nobody waits longer for a completion.
const PATIENCE: Duration = Duration::from_secs(1);

/// Their names; none where there is no server.
pub(super) fn names(words: &[String]) -> Option<Vec<String>> {
    let mut options = LayeredOptions::collect(None, &sources(words)).ok()?;
    options.without_model();
    let options = options.parse_without_sequences().ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let index = runtime.block_on(async {
        let client = triton_model_fn::client_from_options(&options).ok()?;
        let index = client.repository_index(IndexFilter::All);
        timeout(PATIENCE, index).await.ok()?.ok()
    });
    let mut names: Vec<String> = index?.into_iter().map(|entry| entry.name).collect();
    // The shell shows them as they are.
    names.retain(|name| !name.contains(is_obeyed));
    names.sort();
    names.dedup();
    Some(names)
}

/// What the words say of the server; the line is not finished, so that it cannot be parsed.
pub(super) fn sources(words: &[String]) -> Sources {
    let mut sources = Sources::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        let mut value = || value.clone().or_else(|| words.next().cloned());
        match flag {
            "-e" | "--endpoint" => sources.endpoint = value(),
            "--config" => sources.config = value().map(Into::into),
            "--profile" => sources.profile = value(),
            "--no-config" => sources.no_config = true,
            "-O" => {
                let option = value();
                let option = option.as_deref().and_then(|option| option.split_once('='));
                let option = option.map(|(key, value)| (key.to_owned(), value.to_owned()));
                sources.option.extend(option);
            }
            _ => {}
        }
    }
    sources
}
