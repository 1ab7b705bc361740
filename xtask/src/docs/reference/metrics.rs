//! All metrics: the tables that stand in the documentation of the crates which count them.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::super::promises;
use super::{head, without_links};

/// Where the model function says what it counts, and the sources that count.
const FUNCTION: [&str; 2] = [
    "crates/triton-model-fn/src/metrics.rs",
    "crates/triton-model-fn/src",
];

/// The same of the client.
const CLIENT: [&str; 2] = [
    "crates/triton-client/src/lib.rs",
    "crates/triton-client/src",
];

/// What every name of a metric begins with.
const PREFIXES: [&str; 3] = ["triton_function_", "triton_client_", "triton_replica_"];

/// The page; an error where a metric is counted and not listed, or listed and not counted.
pub(super) fn page(root: &Path) -> Result<String> {
    let function = counted_documentation(root, FUNCTION)?;
    let client = counted_documentation(root, CLIENT)?;
    let mut page = head("Metrics", "the documentation of the crates that count them");
    page.push_str(
        "Rust programs get them through the `metrics` facade, `triton --metrics-listen` serves them for \
         Prometheus, and in Flink those of the function are [metrics of the \
         operator](../../guide/flink.md#monitoring). What to look at, and what to be woken for, is on the page \
         about [monitoring](../../guide/monitoring.md).\n",
    );
    // Behind the first sentence of the file, which is about the file.
    let (_, body) = function
        .split_once("\n\n")
        .with_context(|| format!("{} says nothing of what is counted", FUNCTION[0]))?;
    page.push_str("\n## The model function\n\n");
    page.push_str(&without_links(body.trim()));
    let (_, body) = client
        .split_once("# Monitoring\n")
        .with_context(|| format!("{} has no part '# Monitoring'", CLIENT[0]))?;
    let (body, _) = body.split_once("\n\nThe protocol is").unwrap_or((body, ""));
    page.push_str("\n\n## The client\n\n");
    page.push_str(&without_links(body.trim()));
    page.push('\n');
    Ok(page)
}

/// What a file says of itself, once it agrees with what the sources in a folder count.
fn counted_documentation(root: &Path, [path, folder]: [&str; 2]) -> Result<String> {
    let text = documentation(&fs_err::read_to_string(root.join(path))?);
    let mut sources = Vec::new();
    promises::sources_below(root, &root.join(folder), &mut sources)?;
    let sources: String = sources.into_iter().map(|(_, source)| source).collect();
    agree(path, &text, &sources)?;
    Ok(text)
}

/// The documentation of a whole file, without its marks.
fn documentation(source: &str) -> String {
    // There may be other attributes in between.
    let lines = source.lines().filter_map(|line| line.strip_prefix("//!"));
    let lines: Vec<_> = lines
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    lines.join("\n")
}

/// Holds what a page lists against what a source counts.
fn agree(path: &str, documentation: &str, source: &str) -> Result<()> {
    let listed: BTreeSet<_> = quoted(documentation, '`').collect();
    let code = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code: Vec<_> = code.collect();
    let code = code.join("\n");
    let counted: BTreeSet<_> = quoted(&code, '"').collect();
    let unlisted: Vec<_> = counted.difference(&listed).copied().collect();
    let uncounted: Vec<_> = listed.difference(&counted).copied().collect();
    if !unlisted.is_empty() {
        bail!(
            "{path}: {} is counted, and the table there does not list it: add a line",
            unlisted.join(", ")
        );
    }
    if !uncounted.is_empty() {
        bail!(
            "{path}: {} is listed in the table there, and nothing counts it: take the line out",
            uncounted.join(", ")
        );
    }
    Ok(())
}

/// Every name of a metric that stands between two of these marks.
fn quoted(text: &str, mark: char) -> impl Iterator<Item = &str> {
    let is_metric = |piece: &&str| {
        PREFIXES.iter().any(|prefix| piece.starts_with(prefix))
            && piece
                .chars()
                .all(|character| character.is_ascii_lowercase() || character == '_')
    };
    text.lines()
        .flat_map(move |line| line.split(mark))
        .filter(is_metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_listed_and_what_is_listed_is_counted() {
        let counts = "counter!(\"triton_function_a\"); gauge!(\"triton_function_b\")";
        let refused = |documentation: &str| {
            agree("metrics.rs", documentation, counts)
                .unwrap_err()
                .to_string()
        };
        assert!(
            agree(
                "metrics.rs",
                "| `triton_function_a` | `triton_function_b` |",
                counts
            )
            .is_ok()
        );
        assert_eq!(
            refused("| `triton_function_a` |"),
            "metrics.rs: triton_function_b is counted, and the table there does not list it: add a line"
        );
        assert_eq!(
            refused("| `triton_function_a` | `triton_function_b` | `triton_function_c` |"),
            "metrics.rs: triton_function_c is listed in the table there, and nothing counts it: take the \
             line out"
        );
    }
}
