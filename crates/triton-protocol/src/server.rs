//! Server metadata: which server this is and which extensions it has.
//!
//! [Protocol](https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#server-metadata)

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::tolerant::Text;

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerMetadata {
    /// The name it was given, `triton` unless configured; empty where it does not tell.
    pub name: String,
    /// The server's version, for example `2.51.0`; empty where it does not tell.
    pub version: String,
    /// The protocol extensions it has, for example `sequence` and `binary_tensor_data`.
    pub extensions: Vec<String>,
}

impl<'de> Deserialize<'de> for ServerMetadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Told {
            name: Option<Text>,
            version: Option<Text>,
            extensions: Option<Vec<Text>>,
        }

        let told = Told::deserialize(deserializer)?;
        // Any other JSON, as a gateway may answer, must not be taken for a server that has no
        // extensions.
        if told.name.is_none() && told.version.is_none() && told.extensions.is_none() {
            return Err(D::Error::missing_field("name"));
        }
        let text = |text: Option<Text>| text.unwrap_or_default().0;
        let extensions = told.extensions.into_iter().flatten();
        Ok(Self {
            name: text(told.name),
            version: text(told.version),
            extensions: extensions.map(|Text(name)| name).collect(),
        })
    }
}
