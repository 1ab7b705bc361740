//! All options by what they are about, with those marked that must be given.

use triton_options::OptionDefinition;
use triton_options::render::{markdown, sorted};

use super::head;

/// A heading, a sentence, and the beginnings of the keys below it.
///
/// An option is listed below the first heading that knows its key, and a new one that none knows below the
/// last: nothing has to be done here for it to have a place.
const SUBJECTS: [(&str, &str, &[&str]); 10] = [
    (
        "Server and model",
        "Which model answers, and where.",
        &["endpoint", "model-", "open-wait", "decoupled"],
    ),
    (
        "Columns and tensors",
        "How columns become tensors and back.",
        &["input-names", "output-names", "flatten-", "tensor-format"],
    ),
    (
        "Time and retries",
        "How long things may take, and what is sent again.",
        &[
            "timeout",
            "row-deadline",
            "max-retries",
            "retry-",
            "server-timeout",
        ],
    ),
    (
        "Rows that fail",
        "What happens to a row that cannot be answered.",
        &["on-error", "default-value"],
    ),
    (
        "Throughput",
        "How many rows and requests go at once.",
        &[
            "batch-",
            "max-in-flight",
            "cache-",
            "compression",
            "priority",
            "response-limit",
        ],
    ),
    (
        "Sequences: their IDs",
        "For models that keep a state: which rows share it.",
        &[
            "sequence-id",
            "sequence-key",
            "sequence-start",
            "sequence-end",
            "sequence-max-length",
        ],
    ),
    (
        "Sequences: loss and recovery",
        "What is done when the server loses a state.",
        &["sequence-"],
    ),
    (
        "Credentials, TLS and headers",
        "What gateways and protected servers want.",
        &["auth-", "custom-headers", "tls-", "proxy"],
    ),
    (
        "Connections, circuit breaker and health checks",
        "What lies beneath requests.",
        &["connection-", "circuit-breaker-", "health-check-"],
    ),
    ("Others", "What is none of these.", &[""]),
];

/// The page.
pub(super) fn page() -> String {
    let mut page = head("Options by subject", "the definitions of the options");
    page.push_str(
        "[By section](triton_configuration.md) are the same \
         options as Flink's documentation lists them.\n",
    );
    let options = sorted(None);
    for (index, (title, sentence, _)) in SUBJECTS.iter().enumerate() {
        let of_subject: Vec<_> = options
            .iter()
            .copied()
            .filter(|option| subject(option) == index)
            .collect();
        if of_subject.is_empty() {
            continue;
        }
        let entries = markdown::entries(&of_subject);
        page.push_str(&format!("\n## {title}\n\n{sentence}\n{entries}"));
    }
    page
}

/// Which of the subjects an option belongs to.
fn subject(option: &OptionDefinition) -> usize {
    let knows = |keys: &[&str]| keys.iter().any(|key| option.key.starts_with(key));
    let found = SUBJECTS.iter().position(|(_, _, keys)| knows(keys));
    found.unwrap_or(SUBJECTS.len() - 1)
}

#[cfg(test)]
mod tests {
    use triton_options::{CATALOG, Presence};

    use super::*;

    #[test]
    fn each_option_is_there_once_and_what_is_required_is_marked() {
        let page = page();
        for option in CATALOG {
            let heading = format!("\n### `{}`\n", option.key);
            let parts: Vec<&str> = page.split(&heading).collect();
            assert_eq!(parts.len(), 2, "{}", option.key);
            let facts = parts[1].lines().nth(1).unwrap();
            assert_eq!(
                facts.ends_with("· **required**"),
                option.presence == Presence::Required,
                "{facts}"
            );
        }
    }
}
