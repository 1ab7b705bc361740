//! How the bodies of inference may be compressed.

/// How a body is compressed
/// ([protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md)).
///
/// Only inference knows compression. It spares a slow network and costs time: a server spends
/// 50 to 150 ms on a response of 600 KB.
///
/// ```
/// use triton_protocol::{Compression, InferRequest, ModelId};
///
/// let request = InferRequest::new(ModelId::latest("echo".parse()?))
///     .request_compression(Compression::Gzip)
///     .response_compression(Compression::Deflate);
/// # Ok::<(), triton_protocol::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// `gzip` (RFC 1952).
    Gzip,
    /// `deflate`, which in HTTP is the zlib format (RFC 1950).
    Deflate,
}

impl Compression {
    /// The name in `Content-Encoding`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// The compression of a `Content-Encoding`; `None` where it is none or not known.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        let name = name.trim_ascii();
        // An old name of the same (RFC 9110, section 8.4.1.3).
        if name.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Self::Gzip);
        }
        [Self::Gzip, Self::Deflate]
            .into_iter()
            .find(|compression| compression.name().as_bytes().eq_ignore_ascii_case(name))
    }
}
