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
    /// Whether it lists extensions at all, be it an empty list.
    lists_extensions: bool,
}

impl ServerMetadata {
    /// Whether the server names this extension; `None` where it lists no extensions at all, so that
    /// nothing can be known of them.
    ///
    /// A server may have what it does not name: KServe's own speaks the binary form of tensors.
    #[must_use]
    pub fn names_extension(&self, name: &str) -> Option<bool> {
        let named = self.extensions.iter().any(|extension| extension == name);
        self.lists_extensions.then_some(named)
    }
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
        let lists_extensions = told.extensions.is_some();
        let extensions = told.extensions.into_iter().flatten();
        Ok(Self {
            lists_extensions,
            name: text(told.name),
            version: text(told.version),
            extensions: extensions.map(|Text(name)| name).collect(),
        })
    }
}
