//! What a server's refusal proves: whether the request it answers may have been executed.
//!
//! A status or a text alone proves little. An ensemble passes on the refusal of a step after
//! earlier steps have run, a model passes on the words of a model that it calls, and a model may
//! raise any text it likes with any status. So a text proves something only when it is matched
//! whole, with its status, and quotes what belongs to this request alone.

use crate::{ModelId, SequenceId};

/// What a request was sent with, and what a refusal must quote to be about it.
///
/// ```
/// use triton_protocol::{ModelId, Sent};
///
/// let model = ModelId::latest("echo".parse()?);
/// let sent = Sent { id: Some("9c1f"), model: Some(&model), sequence: None };
/// assert!(sent.is_unexecuted(503, "[request id: 9c1f] Exceeds maximum queue size"));
/// // A step of an ensemble, behind others that have run; another request; a model's own words.
/// for text in [
///     "in ensemble 'echo', [request id: 9c1f] Exceeds maximum queue size",
///     "[request id: 7] Exceeds maximum queue size",
///     "Exceeds maximum queue size",
/// ] {
///     assert!(!sent.is_unexecuted(503, text));
/// }
/// # Ok::<(), triton_protocol::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Sent<'a> {
    /// The request's `id`, if nobody but its sender can know it: one that a model could send to
    /// another model, or make up, proves nothing.
    pub id: Option<&'a str>,
    /// The model that was asked.
    pub model: Option<&'a ModelId>,
    /// The sequence to which the request belongs.
    pub sequence: Option<&'a SequenceId>,
}

/// A text that a server writes before it executes anything of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownText {
    /// The statuses that it comes with. Triton 2.36 answers every error with 400.
    pub statuses: &'static [u16],
    /// The whole text. `{id}`, `{model}`, `{version}` and `{sequence}` stand for those of the
    /// request, `{}` for anything.
    pub text: &'static str,
    /// Which of the releases 2.36, 2.44, 2.48 and 2.51 of Triton were seen to write it.
    pub seen_in: &'static str,
}

macro_rules! known_texts {
    ($([$($status:literal),+] $text:literal, $seen_in:literal;)+) => {
        /// Every text that proves, where it quotes the request, that it was not executed.
        ///
        /// Statuses that prove it alone are not among them: see [`Sent::is_unexecuted`]. Nor are
        /// texts that quote nothing of the request, such as `Request timeout expired`: the same
        /// words come from the queue of a model that the model called.
        pub const KNOWN_TEXTS: &[KnownText] = &[$(KnownText {
            statuses: &[$($status),+],
            text: $text,
            seen_in: $seen_in,
        }),+];
    };
}

known_texts! {
    // The repository. About a model that the model calls, the words stand behind others.
    [404, 400] "Request for unknown model: '{model}' is not found", "2.36 to 2.51";
    [404, 400] "Request for unknown model: '{model}' version {version} is not found", "2.36 to 2.51";
    [404, 400] "Request for unknown model: '{model}' has no available versions", "2.36 to 2.51";
    [503, 400] "Request for unknown model: '{model}' version {version} is not at ready state",
        "2.36 to 2.51";
    // The sequence batcher.
    [400] "inference request for sequence {sequence} to model '{model}' must specify the START flag \
           on the first request of the sequence", "2.36 to 2.51";
    // Queues.
    [503, 400] "[request id: {id}] Exceeds maximum queue size", "2.36 to 2.51";
    [503, 400] "[request id: {id}] Server is stopping, scheduler for model has stopped accepting \
                new inference requests", "2.36, 2.44";
    // The core's look at the inputs.
    [400] "[request id: {id}] inference input '{}' data-type is '{}', but model '{model}' expects \
           '{}'", "2.44 to 2.51";
    [400] "[request id: {id}] inference input data-type is '{}', model expects '{}' for '{model}'",
        "2.36";
    [400] "[request id: {id}] unexpected shape for input '{}' for model '{model}'. Expected {}, got \
           {}", "2.36 to 2.51";
    [400] "[request id: {id}] expected {} inputs but got {} inputs for model '{model}'{}",
        "2.36 to 2.51";
    [400] "[request id: {id}] input '{}' already exists in request", "2.36 to 2.51";
    [400] "[request id: {id}] inference request batch-size must be <= {} for '{model}'",
        "2.36 to 2.51";
    [400] "[request id: {id}] input byte size mismatch for input '{}' for model '{model}'. Expected \
           {}, got {}", "2.48, 2.51";
    [400] "[request id: {id}] expected {} string elements for inference input '{}', got {}", "2.48";
    [400] "[request id: {id}] expected {} string elements for inference input '{}' for model \
           '{model}', got {}", "2.51";
    [400] "[request id: {id}] unexpected number of string elements {} for inference input '{}' for \
           model '{model}', expecting {}", "2.51";
    [400] "[request id: {id}] incomplete string length indicator for inference input '{}' for model \
           '{model}', expecting {}", "2.51";
}

impl Sent<'_> {
    /// Whether a refusal with this status and text proves that nothing of the request was
    /// executed.
    ///
    /// The statuses 401, 403, 405, 407, 413 and 429 prove it alone; a gateway that forwards a
    /// request and then answers it with one of these breaks the rule. Otherwise one of the
    /// [`KNOWN_TEXTS`] must be the whole text.
    #[must_use]
    pub fn is_unexecuted(&self, status: u16, text: &str) -> bool {
        matches!(status, 401 | 403 | 405 | 407 | 413 | 429)
            || KNOWN_TEXTS
                .iter()
                .any(|known| known.statuses.contains(&status) && self.is_text(known.text, text))
    }

    /// Whether the refusal says that the request's sequence is not known to the server, be it to
    /// the model itself or to a step of an ensemble, behind steps that have run.
    ///
    /// ```
    /// use triton_protocol::{ModelId, Sent, SequenceId};
    ///
    /// let (model, sequence) = (ModelId::latest("count".parse()?), SequenceId::text("call-7")?);
    /// let sent = Sent { id: None, model: Some(&model), sequence: Some(&sequence) };
    /// assert!(sent.is_not_started(
    ///     400,
    ///     "inference request for sequence call-7 to model 'count' must specify the START flag on \
    ///      the first request of the sequence",
    /// ));
    /// # Ok::<(), triton_protocol::InvalidValue>(())
    /// ```
    #[must_use]
    pub fn is_not_started(&self, status: u16, text: &str) -> bool {
        const NOT_STARTED: &str = "inference request for sequence {sequence} to model '{}' must \
                                   specify the START flag on the first request of the sequence";
        // The model may be a step of the one that was asked, and that an ensemble in one.
        let mut text = text;
        while let Some((_, behind)) = text
            .strip_prefix("in ensemble '")
            .and_then(|rest| rest.split_once("', "))
        {
            text = behind;
        }
        status == 400 && self.is_text(NOT_STARTED, text)
    }

    /// Whether `text` is `pattern` with what was sent in place.
    fn is_text(&self, pattern: &str, text: &str) -> bool {
        // What must stand between two gaps, which may hold anything.
        let mut pieces = vec![];
        let mut piece = String::new();
        let mut rest = pattern;
        while let Some((literal, after)) = rest.split_once('{') {
            let Some((hole, after)) = after.split_once('}') else {
                return false;
            };
            piece.push_str(literal);
            rest = after;
            if hole.is_empty() {
                pieces.push(std::mem::take(&mut piece));
                continue;
            }
            match self.value(hole) {
                Some(value) => piece.push_str(&value),
                None => return false,
            }
        }
        piece.push_str(rest);
        match pieces.as_slice() {
            [] => text == piece,
            [first, between @ ..] => is_made_of(text, first, between, &piece),
        }
    }

    /// What a placeholder stands for in the texts about this request.
    fn value(&self, placeholder: &str) -> Option<String> {
        let value = match placeholder {
            "id" => self.id?.to_owned(),
            "model" => self.model?.name().to_string(),
            "version" => self.model?.version_number()?.to_string(),
            "sequence" => self.sequence?.to_string(),
            _ => return None,
        };
        Some(value).filter(|value| !value.is_empty())
    }
}

/// Whether `text` begins with `first`, ends with `last`, and has those between in their order,
/// with anything in the gaps.
fn is_made_of(text: &str, first: &str, between: &[String], last: &str) -> bool {
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    for piece in between {
        match rest.split_once(piece.as_str()) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACEHOLDERS: [&str; 4] = ["{id}", "{model}", "{version}", "{sequence}"];

    /// The text with what belongs to a request, and something in its gaps.
    fn written(known: &KnownText, id: &str, model: &str, sequence: &str) -> String {
        let text = known.text.replace("{id}", id).replace("{model}", model);
        let text = text
            .replace("{version}", "3")
            .replace("{sequence}", sequence);
        text.replace("{}", "[1,2]")
    }

    #[test]
    fn a_text_proves_something_only_about_the_request_that_it_quotes() {
        let model: ModelId = "count:3".parse().unwrap();
        let sequence = SequenceId::text("job-1").unwrap();
        let sent = Sent {
            id: Some("ours"),
            model: Some(&model),
            sequence: Some(&sequence),
        };
        let nameless = Sent { id: None, ..sent };
        for known in KNOWN_TEXTS {
            let ours = written(known, "ours", "count", "job-1");
            for status in known.statuses {
                assert!(sent.is_unexecuted(*status, &ours), "{ours}");
            }
            let status = known.statuses[0];
            let about_id = known.text.contains("{id}");
            assert_eq!(nameless.is_unexecuted(status, &ours), !about_id, "{ours}");
            for (status, text) in [
                // With a status that it does not come with.
                (500, ours.clone()),
                // Of a step, of a model called by the model, of an exception.
                (status, format!("in ensemble 'e', {ours}")),
                (
                    status,
                    format!("Model inner - Error when running inference: {ours}"),
                ),
                (status, format!(" {ours}")),
                // About another request.
                (status, written(known, "theirs", "other", "job-2")),
                (status, written(known, "<id_unknown>", "other", "job-11")),
            ] {
                assert!(!sent.is_unexecuted(status, &text), "{text}");
            }
        }
    }

    #[test]
    fn every_text_quotes_what_belongs_to_one_request() {
        for KnownText { statuses, text, .. } in KNOWN_TEXTS {
            let quotes = |placeholder: &str| text.contains(placeholder);
            assert!(
                quotes("{id}")
                    || quotes("{sequence}") && quotes("{model}")
                    || text.starts_with("Request for unknown model: '{model}' "),
                "{text}"
            );
            let mut bare = text.replace("{}", "");
            for placeholder in PLACEHOLDERS {
                bare = bare.replace(placeholder, "");
            }
            assert!(!bare.contains(['{', '}']), "{text}");
            assert!(statuses.iter().all(|status| (400..600).contains(status)));
        }
    }

    #[test]
    fn a_sequence_that_a_step_does_not_know_is_one_that_is_not_started() {
        let model: ModelId = "ensemble".parse().unwrap();
        let sequence = SequenceId::text("job-1").unwrap();
        let sent = Sent {
            id: Some("ours"),
            model: Some(&model),
            sequence: Some(&sequence),
        };
        let text = |sequence: &str| {
            format!(
                "inference request for sequence {sequence} to model 'step' must specify the START \
                 flag on the first request of the sequence"
            )
        };
        for prefix in [
            "",
            "in ensemble 'ensemble', ",
            "in ensemble 'a', in ensemble 'b', ",
        ] {
            let said = format!("{prefix}{}", text("job-1"));
            assert!(sent.is_not_started(400, &said), "{said}");
            assert!(!sent.is_unexecuted(400, &said), "{said}");
        }
        for said in [
            text("job-11"),
            text("job-2"),
            format!("a model says: {}", text("job-1")),
        ] {
            assert!(!sent.is_not_started(400, &said), "{said}");
        }
        assert!(!sent.is_not_started(500, &text("job-1")));
        assert!(!Sent::default().is_not_started(400, &text("job-1")));
    }

    #[test]
    fn statuses_that_only_come_before_execution_need_no_text() {
        for status in [401, 403, 405, 407, 413, 429] {
            assert!(Sent::default().is_unexecuted(status, ""), "{status}");
        }
        for status in [200, 302, 400, 404, 408, 500, 501, 502, 503, 504] {
            assert!(!Sent::default().is_unexecuted(status, "Exceeds maximum queue size"));
        }
    }
}
