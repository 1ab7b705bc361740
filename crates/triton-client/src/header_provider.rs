//! Headers that are made for each request, such as a token that expires.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

/// Why the headers of a request could not be made.
pub type HeaderProviderError = Box<dyn std::error::Error + Send + Sync>;

/// Provides headers for each request: see
/// [`ClientBuilder::header_provider`](crate::ClientBuilder::header_provider).
///
/// It is called on the caller's task right before a request is sent, so that it should not block
/// for long. A closure that fills in headers is one:
///
/// ```
/// use triton_client::{Client, HeaderMap, HeaderProviderError, HeaderValue};
///
/// let client = Client::builder("https://triton.example")
///     .header_provider(|headers: &mut HeaderMap| -> Result<(), HeaderProviderError> {
///         headers.insert("x-request-from", HeaderValue::from_str("pipeline 7")?);
///         Ok(())
///     })
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait HeaderProvider: Send + Sync {
    /// Puts the headers of the next request into `headers`, which is empty.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from doing so; the call then fails with
    /// [`ErrorKind::InvalidRequest`](crate::ErrorKind::InvalidRequest), and nothing is sent.
    fn provide(&self, headers: &mut HeaderMap) -> Result<(), HeaderProviderError>;

    /// Whether [`provide`](Self::provide) would now give something newer than `refused`, which are
    /// the headers of all providers of a request that the server has just answered with 401.
    ///
    /// The request is then sent once more: a server that refuses credentials has executed nothing.
    fn has_newer(&self, refused: &HeaderMap) -> bool {
        let _ = refused;
        false
    }
}

impl<F> HeaderProvider for F
where
    F: Fn(&mut HeaderMap) -> Result<(), HeaderProviderError> + Send + Sync,
{
    fn provide(&self, headers: &mut HeaderMap) -> Result<(), HeaderProviderError> {
        self(headers)
    }
}

/// Everyone who provides headers, in the order in which they were added.
#[derive(Clone, Default)]
pub(crate) struct HeaderProviders(Vec<Arc<dyn HeaderProvider>>);

impl HeaderProviders {
    pub(crate) fn add(&mut self, provider: impl HeaderProvider + 'static) {
        self.0.push(Arc::new(provider));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The headers of a request; those of a later provider take the place of an earlier one's.
    pub(crate) fn provide(&self) -> Result<HeaderMap, HeaderProviderError> {
        let mut headers = HeaderMap::new();
        for provider in &self.0 {
            let mut provided = HeaderMap::new();
            provider.provide(&mut provided)?;
            for name in provided.keys() {
                headers.remove(name);
            }
            for (name, value) in &provided {
                headers.append(name.clone(), sensitive(value));
            }
        }
        Ok(headers)
    }

    /// Whether one of them has something newer than what the server has refused.
    pub(crate) fn have_newer(&self, refused: &HeaderMap) -> bool {
        // Each is asked, because the question also tells it that what it keeps may be stale.
        let newer = self.0.iter().map(|provider| provider.has_newer(refused));
        newer.filter(|newer| *newer).count() > 0
    }
}

fn sensitive(value: &HeaderValue) -> HeaderValue {
    let mut value = value.clone();
    value.set_sensitive(true);
    value
}

/// Only how many there are: what they hold may be secret.
impl fmt::Debug for HeaderProviders {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HeaderProviders({})", self.0.len())
    }
}
