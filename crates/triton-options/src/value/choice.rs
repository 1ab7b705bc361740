//! Options that pick one of a few words.

use super::{InvalidValue, OptionValue, invalid};

/// Makes an enum of words; the type's name and what is expected list them all.
macro_rules! choices {
    ($(
        $(#[$doc:meta])+
        $name:ident { $( $(#[$variant_doc:meta])+ $variant:ident = $word:literal, )+ }
        type $type_name:literal, expected $expected:literal;
    )+) => {
        $(
            $(#[$doc])+
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
            #[non_exhaustive]
            pub enum $name {
                $( $(#[$variant_doc])+ $variant, )+
            }

            impl $name {
                const WORDS: &[(&'static str, Self)] = &[$(($word, Self::$variant)),+];
            }

            impl OptionValue for $name {
                const TYPE_NAME: &'static str = $type_name;
                const EXPECTED: &'static str = $expected;

                fn parse(text: &str) -> Result<Self, InvalidValue> {
                    let text = text.trim();
                    let found = Self::WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
                    found.map(|(_, value)| *value).ok_or_else(invalid::<Self>)
                }

                fn canonical(&self) -> String {
                    match self { $(Self::$variant => $word.to_owned(),)+ }
                }
            }
        )+

        #[cfg(test)]
        mod tests {
            use super::*;

            #[test]
            fn every_word_is_read_in_any_case_and_listed() {
                $(
                    for (word, value) in $name::WORDS {
                        assert_eq!($name::parse(&word.to_lowercase()), Ok(*value));
                        assert_eq!($name::parse(&word.to_uppercase()), Ok(*value));
                        assert_eq!(value.canonical(), *word);
                        assert!($name::EXPECTED.contains(&format!("'{word}'")), "{word}");
                        assert!($name::TYPE_NAME.contains(word), "{word}");
                    }
                    for text in ["", "none", "fail,restart", "ZER0"] {
                        assert!($name::parse(text).is_err(), "{text:?}");
                    }
                )+
            }
        }
    };
}

choices! {
    /// Where the counter of generated sequence IDs begins.
    CounterInitStrategy {
        /// At 0.
        Zero = "ZERO",
        /// At the milliseconds since 1970.
        EpochMillis = "EPOCH_MILLIS",
        /// At the nanoseconds since 1970.
        NanoTime = "NANO_TIME",
    }
    type "Enum: ZERO, EPOCH_MILLIS, NANO_TIME", expected "'ZERO', 'EPOCH_MILLIS' or 'NANO_TIME'";

    /// What generated sequence IDs are unique within.
    SequenceIdScope {
        /// The open subtask: the next run repeats its IDs.
        Subtask = "subtask",
        /// All runs: every open puts an identifier of its own into its IDs.
        Run = "run",
    }
    type "Enum: subtask, run", expected "'subtask' or 'run'";

    /// How sequence IDs are sent.
    SequenceIdType {
        /// As the model and the server can take them.
        Auto = "auto",
        /// As text.
        Text = "text",
        /// As a number.
        Number = "number",
    }
    type "Enum: auto, text, number", expected "'auto', 'text' or 'number'";

    /// What happens to a sequence whose state the server has lost or may have corrupted.
    SequenceRecovery {
        /// The row that met it fails, and the sequence is over.
        Fail = "fail",
        /// A new sequence begins at the row that met it.
        Restart = "restart",
        /// A new sequence is brought to where the old one was by sending its rows again.
        Replay = "replay",
    }
    type "Enum: fail, restart, replay", expected "'fail', 'restart' or 'replay'";

    /// What happens to a sequence that must be replayed and has outgrown what is kept for that.
    ReplayOverflow {
        /// As with the recovery `fail`.
        Fail = "fail",
        /// As with the recovery `restart`.
        Restart = "restart",
    }
    type "Enum: fail, restart", expected "'fail' or 'restart'";

    /// What the first row of a key is that the subtask has not seen.
    UnknownKey {
        /// Marked as restarted where the job has run before and the engine gives no state.
        Auto = "auto",
        /// Marked as restarted.
        Mark = "mark",
        /// The first row of a new key.
        New = "new",
    }
    type "Enum: auto, mark, new", expected "'auto', 'mark' or 'new'";

    /// What happens to a sequence that is left before its end.
    AbandonedSequence {
        /// It keeps its place until the server's idle limit.
        Wait = "wait",
        /// At most one END is sent for it.
        End = "end",
    }
    type "Enum: wait, end", expected "'wait' or 'end'";

    /// What happens to a row that cannot be answered.
    OnError {
        /// It is an error.
        Fail = "fail",
        /// It is answered with a value that is given for that.
        Default = "default",
        /// It is a row that says why.
        Column = "column",
    }
    type "Enum: fail, default, column", expected "'fail', 'default' or 'column'";

    /// Where the replicas behind an endpoint are found.
    EndpointDiscovery {
        /// They are the addresses that are given.
        Static = "static",
        /// They are the IP addresses of the one name that is given.
        Dns = "dns",
    }
    type "Enum: static, dns", expected "'static' or 'dns'";

    /// To which replica a new sequence goes.
    SequenceAffinity {
        /// To that with the most free places.
        Balance = "balance",
        /// To that which a hash of its key names.
        Hash = "hash",
    }
    type "Enum: balance, hash", expected "'balance' or 'hash'";

    /// Which version of the model the rest of a sequence goes to.
    SequenceModelVersion {
        /// To the one that `model-version` says, whichever began it.
        Move = "move",
        /// To the one that answered its first row.
        Stay = "stay",
    }
    type "Enum: move, stay", expected "'move' or 'stay'";

    /// What is done with a model that answers a request any number of times.
    Decoupled {
        /// It is refused.
        Refuse = "refuse",
        /// Its answers are read as a stream, each a row.
        Stream = "stream",
    }
    type "Enum: refuse, stream", expected "'refuse' or 'stream'";
}
