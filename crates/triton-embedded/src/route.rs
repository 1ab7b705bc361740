//! Which path means what. Not axum's own routing, because that decodes `%xx` and Triton does not.

use axum::http::Method;

use crate::error::{ApiError, ContentType};

/// What a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'path> {
    /// `/v2/health/live` and `/v2/health/ready`: both are fine as long as there is an answer.
    Health,
    ServerMetadata,
    Model {
        name: &'path str,
        /// Digits; without them the server's version policy decides.
        version: Option<&'path str>,
        resource: Resource,
    },
}

/// What of a model a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    Metadata,
    Ready,
    Config,
    Infer,
}

impl Route<'_> {
    /// `None` for a path the server does not know.
    pub(crate) fn of(path: &str) -> Option<Route<'_>> {
        match path {
            "/v2" => return Some(Route::ServerMetadata),
            "/v2/health/live" | "/v2/health/ready" => return Some(Route::Health),
            _ => {}
        }
        let mut segments = path.strip_prefix("/v2/models/")?.split('/');
        let name = segments.next().filter(|name| !name.is_empty())?;
        let mut resource = segments.next();
        let mut version = None;
        if resource == Some("versions") {
            let digits = segments.next()?;
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            version = Some(digits);
            resource = segments.next();
        }
        let resource = match resource {
            None => Resource::Metadata,
            Some("ready") => Resource::Ready,
            Some("config") => Resource::Config,
            Some("infer") => Resource::Infer,
            Some(_) => return None,
        };
        segments.next().is_none().then_some(Route::Model {
            name,
            version,
            resource,
        })
    }

    /// Refuses every method but the one the route has.
    pub(crate) fn check_method(&self, method: &Method) -> Result<(), ApiError> {
        let (allowed, content_type) = match self {
            Route::Health => (Method::GET, ContentType::Plain),
            Route::ServerMetadata => (Method::GET, ContentType::Json),
            Route::Model { resource, .. } => match resource {
                Resource::Metadata | Resource::Config => (Method::GET, ContentType::Json),
                Resource::Ready => (Method::GET, ContentType::Plain),
                Resource::Infer => (Method::POST, ContentType::Plain),
            },
        };
        match *method == allowed {
            true => Ok(()),
            false => Err(ApiError::new(405, "Method Not Allowed").with_content_type(content_type)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_matched_as_they_stand() {
        let model = |name, version, resource| {
            Some(Route::Model {
                name,
                version,
                resource,
            })
        };
        let cases = [
            ("/v2", Some(Route::ServerMetadata)),
            ("/v2/", None),
            ("/v2/health/live", Some(Route::Health)),
            ("/v2/health/live/", None),
            ("/v2/models", None),
            ("/v2/models//ready", None),
            ("/v2/models/ready", model("ready", None, Resource::Metadata)),
            ("/v2/models/m/ready", model("m", None, Resource::Ready)),
            (
                "/v2/models/m%20/config",
                model("m%20", None, Resource::Config),
            ),
            (
                "/v2/models/m/versions/01",
                model("m", Some("01"), Resource::Metadata),
            ),
            (
                "/v2/models/m/versions/1/infer",
                model("m", Some("1"), Resource::Infer),
            ),
            ("/v2/models/m/versions", None),
            ("/v2/models/m/versions/", None),
            ("/v2/models/m/versions/latest/infer", None),
            ("/v2/models/m/versions/-1", None),
            ("/v2/models/m/versions/1/", None),
            ("/v2/models/a/b/infer", None),
            ("/v2/models/m/infer/x", None),
        ];
        for (path, route) in cases {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
