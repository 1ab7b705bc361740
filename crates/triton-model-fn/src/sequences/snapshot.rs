//! The open sequences as a value that an engine stores with its checkpoint.

use std::fmt;
use std::num::NonZeroU64;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteBuf;
use triton_options::SEQUENCE_KEY;

use crate::{Error, ErrorKind};

/// The sequences of a subtask at a moment at which none of its rows was in flight.
///
/// It describes itself, by a format and a version, and can be stored in two ways: by any serde
/// format, or as the bytes of [`to_bytes`](Self::to_bytes), which notice when they are damaged. A
/// version that this crate does not know is refused.
///
/// ```
/// use triton_model_fn::SequenceSnapshot;
///
/// let refused = SequenceSnapshot::from_bytes(b"something else").unwrap_err();
/// assert_eq!(refused.kind(), triton_model_fn::ErrorKind::Snapshot);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceSnapshot {
    pub(crate) version: Version,
    /// The columns of the key and their types.
    pub(crate) key_columns: Vec<String>,
    /// The model's input columns and their types, which the rows kept consist of.
    pub(crate) columns: Vec<String>,
    /// The first number of the counter that no sequence has taken.
    pub(crate) next_counter: u64,
    /// How many IDs may have been alive on the server.
    pub(crate) alive: u64,
    /// Whether keys had to be forgotten that were worth remembering.
    pub(crate) has_forgotten: bool,
    /// Whether the run could not know of all keys that they had had no row.
    pub(crate) may_have_run: bool,
    /// The keys of which an end is remembered.
    pub(crate) ended: Vec<StoredEnd>,
    pub(crate) sequences: Vec<StoredSequence>,
    /// The numbers that were alive as sequence IDs, where they are few and come again.
    #[serde(default)]
    pub(crate) alive_numbers: Vec<u64>,
    /// The first and the last of those that were in a row, because an earlier run had reserved them.
    #[serde(default)]
    pub(crate) alive_rows: Vec<(u64, u64)>,
}

/// That the last sequence of a key is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredEnd {
    pub(crate) key: String,
    /// The number of the row at which it was over; 0 where rows have none.
    pub(crate) position: u64,
}

/// One open or lost sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredSequence {
    pub(crate) key: String,
    pub(crate) sequence_id: String,
    /// How many of its rows were answered; 0 where its next row starts over.
    pub(crate) rows: u64,
    /// The number that the last row of its key had; 0 where rows have none.
    pub(crate) position: u64,
    /// Whether its next answer has to be marked: the sequence goes on without its earlier rows.
    pub(crate) marked: bool,
    pub(crate) history: StoredHistory,
    /// What its ID was sent as, where that was not its text.
    #[serde(default)]
    pub(crate) number: Option<NonZeroU64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StoredHistory {
    NotKept,
    Outgrown,
    Rows(Vec<StoredRow>),
}

/// A row that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredRow {
    pub(crate) tensors: ByteBuf,
    /// That of its answer, where answers were compared.
    pub(crate) digest: Option<u32>,
}

/// The version of the format; reading one that is not known fails before anything else is looked at.
///
/// Version 2 lacks the numbers of sequence IDs, and says all else in the same way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Version;

impl Version {
    const NUMBER: u16 = 3;
    const OLDEST: u16 = 2;
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(Self::NUMBER)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Formats that describe themselves read a number that is too large for the type, too.
        struct Number;

        impl Visitor<'_> for Number {
            type Value = Version;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the version of a snapshot")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Version, E> {
                check_version(number).map_err(E::custom)?;
                Ok(Version)
            }
        }

        deserializer.deserialize_u16(Number)
    }
}

fn check_version(number: u64) -> Result<(), String> {
    if (u64::from(Version::OLDEST)..=u64::from(Version::NUMBER)).contains(&number) {
        return Ok(());
    }
    Err(format!(
        "the snapshot of sequences has the version {number}, this program reads versions {} to {}: \
         use the program that wrote it, or start without it",
        Version::OLDEST,
        Version::NUMBER
    ))
}

/// What the bytes begin with; the version (2 bytes) and a CRC-32 of what follows (4 bytes, both
/// little endian) come next, then the snapshot in CBOR (RFC 8949).
const MAGIC: &[u8; 8] = b"TRITONSQ";

/// The snapshot of a function that keeps nothing.
impl Default for SequenceSnapshot {
    fn default() -> Self {
        Self::new(0, Vec::new())
    }
}

impl SequenceSnapshot {
    /// A snapshot of sequences without columns.
    pub(crate) fn new(next_counter: u64, sequences: Vec<StoredSequence>) -> Self {
        Self {
            version: Version,
            key_columns: Vec::new(),
            columns: Vec::new(),
            next_counter,
            alive: 0,
            has_forgotten: false,
            may_have_run: false,
            ended: Vec::new(),
            sequences,
            alive_numbers: Vec::new(),
            alive_rows: Vec::new(),
        }
    }

    /// Refuses sequences of keys, for functions that keep none.
    pub(crate) fn check_without_keys(&self) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the snapshot has {} sequences of keys, but the option '{}' is not set",
            self.len(),
            SEQUENCE_KEY.key()
        );
        Err(Error::new(ErrorKind::Snapshot, message))
    }

    /// How many sequences were open, or lost and remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sequences.len()
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    /// The keys of these sequences: a single key column as its text, several as a JSON array.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.sequences.iter().map(|sequence| sequence.key.as_str())
    }

    /// Keeps only the sequences of some keys: for engines that move keys between subtasks when
    /// their number changes. The subtask then restores several such snapshots.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.sequences.retain(|sequence| keep(&sequence.key));
        self.ended.retain(|end| keep(&end.key));
    }

    /// The snapshot as bytes that notice when they are damaged.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        let written = ciborium::into_writer(self, &mut payload);
        debug_assert!(written.is_ok(), "a vector takes everything");
        let mut bytes = Vec::with_capacity(payload.len() + 14);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&Version::NUMBER.to_le_bytes());
        bytes.extend_from_slice(&checksum(Version::NUMBER, &payload).to_le_bytes());
        bytes.extend_from_slice(&payload);
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Snapshot`] when the bytes are no snapshot, are damaged, or are of a version
    /// that this crate does not know.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let refused = |message: String| Error::new(ErrorKind::Snapshot, message);
        let header = bytes
            .strip_prefix(MAGIC)
            .and_then(<[u8]>::split_first_chunk::<6>);
        let Some(([version @ .., c0, c1, c2, c3], payload)) = header else {
            return Err(refused(format!(
                "these {} bytes are no snapshot of sequences: they do not begin as one",
                bytes.len()
            )));
        };
        let version = u16::from_le_bytes(*version);
        check_version(u64::from(version)).map_err(refused)?;
        let expected = u32::from_le_bytes([*c0, *c1, *c2, *c3]);
        let found = checksum(version, payload);
        if found != expected {
            return Err(refused(format!(
                "the snapshot of sequences is damaged: the checksum of its {} bytes is \
                 {found:08x}, expected {expected:08x}",
                payload.len()
            )));
        }
        ciborium::from_reader(payload)
            .map_err(|error| refused(format!("the snapshot of sequences cannot be read: {error}")))
    }
}

/// The checksum of a snapshot's bytes. From version 3 on it is one of the version, too, so that a
/// damaged one is not read as an older snapshot.
fn checksum(version: u16, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    if version > 2 {
        hasher.update(&version.to_le_bytes());
    }
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn snapshot() -> SequenceSnapshot {
        let sequence = |key: &str, history| StoredSequence {
            key: key.to_owned(),
            sequence_id: "job-0-7".to_owned(),
            rows: 2,
            position: 3,
            marked: false,
            history,
            number: None,
        };
        let row = |tensors: &[u8], digest| StoredRow {
            tensors: ByteBuf::from(tensors),
            digest,
        };
        let rows = StoredHistory::Rows(vec![row(&[1, 2, 3], Some(7)), row(&[], None)]);
        let sequences = vec![
            sequence("a", rows),
            sequence("b", StoredHistory::Outgrown),
            sequence("c", StoredHistory::NotKept),
        ];
        let end = StoredEnd {
            key: "d".to_owned(),
            position: 4,
        };
        SequenceSnapshot {
            key_columns: vec!["id INT".to_owned()],
            columns: vec!["value INT".to_owned()],
            alive: 3,
            ended: vec![end],
            ..SequenceSnapshot::new(8, sequences)
        }
    }

    // Holds S49.
    #[test]
    fn a_snapshot_survives_bytes_and_any_serde_format() {
        let snapshot = snapshot();
        let read = SequenceSnapshot::from_bytes(&snapshot.to_bytes()).unwrap();
        assert_eq!(read, snapshot);
        let json = serde_json::to_string(&snapshot).unwrap();
        assert_eq!(
            serde_json::from_str::<SequenceSnapshot>(&json).unwrap(),
            snapshot
        );
        let mut half = snapshot;
        half.retain(|key| key == "b");
        assert_eq!(half.keys().collect::<Vec<_>>(), ["b"]);
    }

    /// A snapshot as version 2 wrote it, without the numbers of IDs.
    #[test]
    fn a_snapshot_of_the_version_before_is_read() {
        #[derive(Serialize)]
        struct Before {
            version: u16,
            key_columns: Vec<String>,
            columns: Vec<String>,
            next_counter: u64,
            alive: u64,
            has_forgotten: bool,
            may_have_run: bool,
            ended: Vec<StoredEnd>,
            sequences: Vec<BeforeSequence>,
        }
        #[derive(Serialize)]
        struct BeforeSequence {
            key: String,
            sequence_id: String,
            rows: u64,
            position: u64,
            marked: bool,
            history: StoredHistory,
        }
        let SequenceSnapshot {
            key_columns,
            columns,
            next_counter,
            alive,
            ended,
            sequences,
            ..
        } = snapshot();
        let before = Before {
            version: 2,
            key_columns,
            columns,
            next_counter,
            alive,
            has_forgotten: false,
            may_have_run: false,
            ended,
            sequences: sequences
                .into_iter()
                .map(|stored| BeforeSequence {
                    key: stored.key,
                    sequence_id: stored.sequence_id,
                    rows: stored.rows,
                    position: stored.position,
                    marked: stored.marked,
                    history: stored.history,
                })
                .collect(),
        };
        let mut payload = Vec::new();
        ciborium::into_writer(&before, &mut payload).unwrap();
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&2_u16.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
        bytes.extend_from_slice(&payload);
        assert_eq!(SequenceSnapshot::from_bytes(&bytes).unwrap(), snapshot());
    }

    // Holds S49.
    #[test]
    fn what_cannot_be_read_is_refused_with_a_reason() {
        let refusal = |bytes: &[u8]| SequenceSnapshot::from_bytes(bytes).unwrap_err().to_string();
        insta::assert_snapshot!(refusal(b""), @"these 0 bytes are no snapshot of sequences: they do not begin as one");
        let good = snapshot().to_bytes();
        let mut newer = good.clone();
        newer[8] = 4;
        insta::assert_snapshot!(refusal(&newer), @"the snapshot of sequences has the version 4, this program reads versions 2 to 3: use the program that wrote it, or start without it");
        let mut damaged = good;
        damaged[20] ^= 1;
        let refused = refusal(&damaged);
        assert!(
            refused.starts_with("the snapshot of sequences is damaged"),
            "{refused}"
        );
        let newer = r#"{"version":4,"sequences_by_key":{}}"#;
        let refused = serde_json::from_str::<SequenceSnapshot>(newer).unwrap_err();
        assert!(
            refused.to_string().contains("has the version 4"),
            "{refused}"
        );
    }

    /// A format that knows only what it is asked for, as those that do not describe themselves.
    struct TwoBytes(u16);

    impl<'de> Deserializer<'de> for TwoBytes {
        type Error = serde::de::value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(serde::de::Error::custom("two bytes were written"))
        }

        fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            visitor.visit_u16(self.0)
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u32 u64 u128 f32 f64 char str string bytes byte_buf option
            unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
            ignored_any
        }
    }

    // Holds S49.
    #[test]
    fn the_version_is_read_as_what_it_is_written_as() {
        assert_eq!(Version::deserialize(TwoBytes(Version::NUMBER)), Ok(Version));
        let refused = Version::deserialize(TwoBytes(4)).unwrap_err().to_string();
        assert!(refused.contains("has the version 4"), "{refused}");
        let far = serde_json::from_str::<Version>("70000")
            .unwrap_err()
            .to_string();
        assert!(far.contains("has the version 70000"), "{far}");
    }

    proptest! {
        // Holds S49.
        #[test]
        fn damage_anywhere_is_noticed(place: prop::sample::Index, bit in 0..8) {
            let good = snapshot().to_bytes();
            let mut damaged = good.clone();
            damaged[place.index(good.len())] ^= 1_u8 << bit;
            prop_assert!(SequenceSnapshot::from_bytes(&damaged).is_err());
            prop_assert!(SequenceSnapshot::from_bytes(&good[..place.index(good.len())]).is_err());
        }
    }
}
