//! The datatypes a tensor can have, under the names the protocol gives them.

use std::fmt;
use std::str::FromStr;

macro_rules! datatypes {
    ($($(#[$doc:meta])+ $variant:ident $name:literal $size:expr;)+) => {
        /// The datatype of a tensor's elements
        /// ([protocol](https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#tensor-data-types)).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Datatype {
            $($(#[$doc])+ $variant,)+
        }

        impl Datatype {
            /// Every datatype of the protocol.
            pub const ALL: &'static [Datatype] = &[$(Datatype::$variant),+];

            /// The protocol's name, for example `FP32`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Datatype::$variant => $name,)+ }
            }

            /// Bytes of one element, or `None` where elements differ in length (`BYTES`).
            #[must_use]
            pub fn element_size(self) -> Option<usize> {
                match self { $(Datatype::$variant => $size,)+ }
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

/// A name that is no datatype of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown datatype '{0}'")]
pub struct UnknownDatatype(String);

impl<'de> serde::Deserialize<'de> for Datatype {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}
