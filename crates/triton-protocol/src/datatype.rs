//! The datatypes a tensor can have, under the names the protocol gives them.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::str::FromStr;

macro_rules! datatypes {
    ($($(#[$doc:meta])+ $variant:ident $name:literal $size:expr;)+) => {
        /// The datatype of a tensor's elements
        /// ([protocol](https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#tensor-data-types)).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Datatype {
            $($(#[$doc])+ $variant,)+
            /// A datatype of a server's own: its metadata can be read, its tensors cannot.
            Other(OtherDatatype),
        }

        impl Datatype {
            /// Every datatype of the protocol; those of a server's own are not among them.
            pub const ALL: &'static [Datatype] = &[$(Datatype::$variant),+];

            /// The protocol's name, for example `FP32`.
            #[must_use]
            pub fn name(&self) -> &str {
                match self {
                    $(Datatype::$variant => $name,)+
                    Datatype::Other(other) => other.name(),
                }
            }

            /// Bytes of one element, or `None` where elements differ in length (`BYTES`) or that
            /// is not known.
            #[must_use]
            pub fn element_size(self) -> Option<usize> {
                match self {
                    $(Datatype::$variant => $size,)+
                    Datatype::Other(_) => None,
                }
            }
        }
    };
}

datatypes! {
    /// One byte, 0 or 1.
    Bool "BOOL" Some(1);
    /// Unsigned, 8 bits.
    Uint8 "UINT8" Some(1);
    /// Unsigned, 16 bits.
    Uint16 "UINT16" Some(2);
    /// Unsigned, 32 bits.
    Uint32 "UINT32" Some(4);
    /// Unsigned, 64 bits.
    Uint64 "UINT64" Some(8);
    /// Signed, 8 bits.
    Int8 "INT8" Some(1);
    /// Signed, 16 bits.
    Int16 "INT16" Some(2);
    /// Signed, 32 bits.
    Int32 "INT32" Some(4);
    /// Signed, 64 bits.
    Int64 "INT64" Some(8);
    /// IEEE 754 half precision; JSON cannot carry it.
    Fp16 "FP16" Some(2);
    /// The upper half of an `FP32`; JSON cannot carry it.
    Bf16 "BF16" Some(2);
    /// IEEE 754 single precision.
    Fp32 "FP32" Some(4);
    /// IEEE 754 double precision.
    Fp64 "FP64" Some(8);
    /// Byte strings of any length; text is UTF-8.
    Bytes "BYTES" None;
}

impl fmt::Display for Datatype {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Datatype {
    type Err = UnknownDatatype;

    /// Reads the protocol's name; a model configuration's form (`TYPE_FP32`) is read too.
    fn from_str(text: &str) -> Result<Self, UnknownDatatype> {
        let name = match text.strip_prefix("TYPE_") {
            Some("STRING") => "BYTES",
            Some(name) => name,
            None => text,
        };
        Self::ALL
            .iter()
            .copied()
            .find(|datatype| datatype.name() == name)
            .ok_or_else(|| UnknownDatatype(text.to_owned()))
    }
}

/// The name of a datatype that is none of the protocol's, as a server calls it.
///
/// ```
/// use triton_protocol::{Datatype, ModelMetadata};
///
/// let metadata = r#"{"name":"m","outputs":[{"name":"y","datatype":"FP8_E5M2","shape":[4]}]}"#;
/// let metadata: ModelMetadata = serde_json::from_str(metadata)?;
/// assert!(matches!(metadata.outputs[0].datatype, Datatype::Other(_)));
/// assert_eq!(metadata.outputs[0].datatype.to_string(), "FP8_E5M2");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OtherDatatype {
    /// Kept here, so that a datatype stays as easy to copy as all the others are.
    name: [u8; OtherDatatype::LONGEST],
    length: u8,
    /// Of the whole name, so that two whose beginnings are the same are two.
    hash: [u8; 4],
}

impl OtherDatatype {
    /// Names are cut here.
    const LONGEST: usize = 26;

    fn new(name: &str) -> Self {
        let shown: String = name.escape_debug().collect();
        let ends = shown
            .char_indices()
            .map(|(start, character)| start + character.len_utf8());
        let length = ends
            .take_while(|end| *end <= Self::LONGEST)
            .last()
            .unwrap_or_default();
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let [.., a, b, c, d] = hasher.finish().to_ne_bytes();
        let mut kept = [0; Self::LONGEST];
        kept[..length].copy_from_slice(&shown.as_bytes()[..length]);
        Self {
            name: kept,
            length: u8::try_from(length).unwrap_or_default(),
            hash: [a, b, c, d],
        }
    }

    /// The name, without control characters, and cut where it is very long.
    #[must_use]
    pub fn name(&self) -> &str {
        let name = &self.name[..usize::from(self.length)];
        // It was cut between characters.
        std::str::from_utf8(name).unwrap_or_default()
    }
}

impl fmt::Debug for OtherDatatype {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A name that is no datatype of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown datatype '{0}'")]
pub struct UnknownDatatype(String);

impl<'de> serde::Deserialize<'de> for Datatype {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A server may have more of them than this crate, which is no reason to know nothing of
        // a model or to lose its other tensors.
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Ok(name
            .parse()
            .unwrap_or_else(|_| Self::Other(OtherDatatype::new(&name))))
    }
}
