//! Whether sequence IDs are sent as text or as numbers, and why: agreed before the first request.
//!
//! A server hands a text to a numeric control input in pieces, so that different sequences are one to
//! the model, and says nothing. So what cannot work is refused here, by what the model's configuration
//! and the server's version say; nothing is tried on the model, which would run it.

#[cfg(test)]
mod tests;

use std::fmt;

use triton_client::{CorrelationIdControl, CorrelationIdType, ModelConfig, ServerMetadata};
use triton_options::{
    CounterInitStrategy, SEQUENCE_ID, SEQUENCE_ID_AUTO_INCREMENT,
    SEQUENCE_ID_COUNTER_INIT_STRATEGY, SEQUENCE_ID_SCOPE, SEQUENCE_ID_TYPE, SequenceIdType,
    SequenceMode, sequence_number,
};

use crate::model_facts::SEQUENCES;
use crate::sequence_numbers::{MOST_SUBTASKS, WIDEST};
use crate::{Error, ErrorKind, Subtask};

/// How the IDs of sequences are sent to a model, and why so.
///
/// ```
/// use triton_model_fn::SequenceIdForm;
/// use triton_options::SequenceIdType;
///
/// let config = serde_json::from_str(r#"{
///     "name": "count",
///     "sequence_batching": {"control_input": [{
///         "name": "CORRID",
///         "control": [{"kind": "CONTROL_SEQUENCE_CORRID", "data_type": "TYPE_INT64"}]
///     }]}
/// }"#)?;
/// let form = SequenceIdForm::agree(SequenceIdType::Auto, &config, None)?;
/// assert_eq!(
///     form.to_string(),
///     "numbers of 63 bits, because of the control input 'CORRID' of model 'count', which is TYPE_INT64"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceIdForm {
    /// The largest number that is seen as it is sent; `None` where IDs are text.
    largest: Option<u64>,
    reason: String,
}

impl SequenceIdForm {
    /// What the IDs of a model have to be, as `asked` says (option `sequence-id-type`).
    ///
    /// `config` is that of the model with its steps, and `server` what the server says of itself,
    /// where that is known.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Mismatch`] where no form of IDs works, or where the one that was asked for does
    /// not; the message says what to change on which side.
    pub fn agree(
        asked: SequenceIdType,
        config: &ModelConfig,
        server: Option<&ServerMetadata>,
    ) -> Result<Self, Error> {
        let controls = config.correlation_id_controls();
        let numeric = controls
            .iter()
            .filter_map(|control| Some((control.id_type.largest()?, control)));
        let narrowest = numeric.min_by_key(|(largest, _)| *largest);
        let other = controls
            .iter()
            .find(|control| control.id_type.largest().is_none());
        match (narrowest, other) {
            (Some((_, numeric)), Some(other)) => Err(mismatch(format!(
                "no sequence ID can be what both {numeric}, and {other}, want: give the two \
                 controls one numeric type, TYPE_UINT64 for example"
            ))),
            (Some((_, control)), None) if asked == SequenceIdType::Text => {
                Err(text_to_number(control))
            }
            (Some((largest, control)), None) => Ok(Self::numbers(largest, format!("of {control}"))),
            (None, Some(control)) => Self::beside_text_control(asked, control),
            (None, None) => Self::without_control(asked, config, server),
        }
    }

    fn beside_text_control(
        asked: SequenceIdType,
        control: &CorrelationIdControl,
    ) -> Result<Self, Error> {
        let asked_for = SEQUENCE_ID_TYPE.key();
        if control.id_type != CorrelationIdType::Text {
            return Err(mismatch(format!(
                "sequence IDs are handed over by {control}, a type that no known server takes for \
                 them: make the control TYPE_UINT64"
            )));
        }
        let change = "make the control TYPE_UINT64 in the model's config.pbtxt, or leave it out and \
                      let the model read the ID of its request";
        match asked {
            SequenceIdType::Text => Ok(Self::text(format!("'{asked_for}' is 'text'"))),
            SequenceIdType::Number => Err(mismatch(format!(
                "'{asked_for}' is 'number', but sequence IDs are handed over by {control} and \
                 takes no numbers: {change}"
            ))),
            _ => Err(mismatch(format!(
                "sequence IDs are handed over by {control}, which no Triton up to 2.51 can do (it \
                 answers 400 'unexpected number of string elements'): {change}; where the server is \
                 known to do it right, set '{asked_for}' to 'text'"
            ))),
        }
    }

    fn without_control(
        asked: SequenceIdType,
        config: &ModelConfig,
        server: Option<&ServerMetadata>,
    ) -> Result<Self, Error> {
        let asked_for = SEQUENCE_ID_TYPE.key();
        // What an ensemble is called with goes on to all of its steps.
        let models = std::iter::once(config).chain(&config.steps);
        let in_python = models
            .filter(|model| model.backend == "python")
            .map(|model| &model.name)
            .next();
        match (asked, server.and_then(OldTriton::of)) {
            (SequenceIdType::Number, _) => Ok(Self::numbers(
                u64::MAX,
                format!("'{asked_for}' is 'number'"),
            )),
            (SequenceIdType::Text, Some(old)) => match in_python {
                Some(model) => Err(mismatch(format!(
                    "'{asked_for}' is 'text', but {old} refuses text as the sequence ID of a model \
                     in Python, and '{model}' is one: leave '{asked_for}' out for numbers, or use \
                     a server from 2.45 on"
                ))),
                None => Ok(Self::text(format!("'{asked_for}' is 'text'"))),
            },
            (SequenceIdType::Text, None) => Ok(Self::text(format!("'{asked_for}' is 'text'"))),
            (_, Some(old)) => Ok(Self::numbers(
                u64::MAX,
                format!("{old} takes no text for models in Python"),
            )),
            (_, None) => Ok(Self::text(
                "no control input of the model has them handed over".to_owned(),
            )),
        }
    }

    fn text(reason: String) -> Self {
        Self {
            largest: None,
            reason,
        }
    }

    fn numbers(largest: u64, reason: String) -> Self {
        Self {
            largest: Some(largest),
            reason,
        }
    }

    /// Numbers of which there are so few.
    #[cfg(test)]
    pub(crate) fn of_numbers_up_to(largest: u64) -> Self {
        Self::numbers(largest, "a test says so".to_owned())
    }

    /// Whether IDs are sent as numbers.
    #[must_use]
    pub fn is_number(&self) -> bool {
        self.largest.is_some()
    }

    /// The largest number that an ID may be; `None` where IDs are text.
    ///
    /// Generated ones have at most 63 bits, so that they are the same with a sign.
    #[must_use]
    pub fn largest_number(&self) -> Option<u64> {
        self.largest
    }

    /// Whether a server whose model wants the other form sees IDs of this one as they are sent.
    pub(crate) fn is_taken_as(&self, other: &Self) -> bool {
        // Generated ones have no more bits.
        const LONGEST: u64 = i64::MAX.cast_unsigned();
        match (self.largest, other.largest) {
            (None, wanted) => wanted.is_none(),
            // Without a control a server takes both.
            (Some(_), None) => true,
            (Some(own), Some(most)) => own.min(LONGEST) <= most,
        }
    }

    /// Whether the IDs that the options of a function make can be sent so.
    pub(crate) fn check(&self, mode: &SequenceMode, subtask: Subtask) -> Result<(), Error> {
        let Some(largest) = self.largest else {
            return Ok(());
        };
        match mode {
            SequenceMode::Static { id, .. } => {
                let fits = sequence_number(id).is_some_and(|number| number.get() <= largest);
                if fits {
                    return Ok(());
                }
                Err(mismatch(format!(
                    "option '{}' is '{id}', but sequence IDs are numbers, because {}: set it to \
                     digits, from 1 to {largest} and without zeros before them, or set '{}' to true \
                     for numbers that are made from it",
                    SEQUENCE_ID.key(),
                    self.reason,
                    SEQUENCE_ID_AUTO_INCREMENT.key()
                )))
            }
            SequenceMode::PerRequest { ids } | SequenceMode::PerKey { ids, .. } => {
                self.check_counter(ids.counter, largest)?;
                let parallelism = subtask.parallelism();
                if u64::from(parallelism) <= MOST_SUBTASKS {
                    return Ok(());
                }
                Err(mismatch(format!(
                    "sequence IDs are {self}: they have room for {MOST_SUBTASKS} subtasks, and \
                     there are {parallelism}"
                )))
            }
            _ => Ok(()),
        }
    }

    fn check_counter(&self, counter: CounterInitStrategy, largest: u64) -> Result<(), Error> {
        let needs = match counter {
            CounterInitStrategy::NanoTime if largest >= WIDEST => {
                "a counter of 61 bits, and they have 48"
            }
            CounterInitStrategy::NanoTime => "a counter of 61 bits",
            CounterInitStrategy::EpochMillis if largest < WIDEST => "a counter of 41 bits",
            _ => return Ok(()),
        };
        let key = SEQUENCE_ID_COUNTER_INIT_STRATEGY.key();
        let instead = match largest >= WIDEST {
            true => "set it to 'EPOCH_MILLIS', or leave it out",
            false => "leave it out",
        };
        Err(mismatch(format!(
            "sequence IDs are {self}, but '{key}' = '{}' needs {needs}: {instead} and set '{}' to \
             'run'",
            triton_options::OptionValue::canonical(&counter),
            SEQUENCE_ID_SCOPE.key()
        )))
    }
}

impl fmt::Display for SequenceIdForm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { largest, reason } = self;
        match largest {
            None => write!(formatter, "text")?,
            Some(largest) => write!(formatter, "numbers of {} bits", bits(*largest))?,
        }
        write!(formatter, ", because {reason}")
    }
}

/// How many bits generated numbers have.
fn bits(largest: u64) -> u32 {
    largest.min(WIDEST).ilog2() + 1
}

fn text_to_number(control: &CorrelationIdControl) -> Error {
    let seen = match control.id_type {
        CorrelationIdType::Uint32 | CorrelationIdType::Int32 => "nothing but its length",
        _ => "nothing but its length and its first four letters",
    };
    let asked_for = SEQUENCE_ID_TYPE.key();
    mismatch(format!(
        "'{asked_for}' is 'text', but sequence IDs are handed over by {control}: of a text the \
         server would hand over {seen}, without a word, so that different sequences would be one \
         to the model, and a text of more than 20 bytes can crash the server; leave '{asked_for}' \
         out for numbers, or take the control out of the model"
    ))
}

fn mismatch(message: String) -> Error {
    Error::new(ErrorKind::Mismatch, message)
}

/// A Triton that refuses text as the sequence ID of every model in Python.
struct OldTriton<'a>(&'a str);

impl<'a> OldTriton<'a> {
    /// The first version that takes it, as tried on 2.44 and 2.45.
    const TAKES_TEXT: (u32, u32) = (2, 45);

    fn of(server: &'a ServerMetadata) -> Option<Self> {
        // Its name can be set, and other servers count their versions differently.
        let has_sequences = server.names_extension(SEQUENCES) == Some(true);
        if server.name != "triton" && !has_sequences {
            return None;
        }
        let mut parts = server.version.split('.');
        let major: u32 = parts.next()?.parse().ok()?;
        let minor: u32 = parts.next()?.parse().ok()?;
        ((major, minor) < Self::TAKES_TEXT).then_some(Self(&server.version))
    }
}

impl fmt::Display for OldTriton<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Triton {}", self.0)
    }
}
