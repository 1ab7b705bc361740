//! Which path means what, by the patterns of the real server. `%xx` is not decoded.

use crate::error::{ApiError, ContentType};

/// What a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'path> {
    /// `/v2/health/live` and `/v2/health/ready`. The real server is not ready while it loads or
    /// unloads a model, which takes no time here.
    Health,
    ServerMetadata,
    Model {
        name: &'path str,
        /// Digits; without them the server's version policy decides.
        version: Option<&'path str>,
        resource: Resource,
    },
    /// `/v2/models/stats`.
    AllStatistics,
    RepositoryIndex,
    RepositoryControl {
        /// Whether the path names a repository, which the real server does not support.
        repository: bool,
        model: &'path str,
        load: bool,
    },
    /// `/v2/trace/setting`.
    TraceSetting,
    Logging,
    SharedMemory {
        action: &'path str,
    },
    /// The real server has it on a port of its own.
    Metrics,
}

/// What of a model a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    Metadata,
    Ready,
    Config,
    Infer,
    Generate,
    GenerateStream,
    Statistics,
    TraceSetting,
}

impl Route<'_> {
    /// `None` for a path the server does not know.
    pub(crate) fn of(path: &str) -> Option<Route<'_>> {
        Some(match path {
            "/metrics" => Route::Metrics,
            "/v2" => Route::ServerMetadata,
            "/v2/health/live" | "/v2/health/ready" => Route::Health,
            "/v2/models/stats" => Route::AllStatistics,
            "/v2/logging" => Route::Logging,
            "/v2/trace/setting" => Route::TraceSetting,
            _ => {
                let segments: Vec<&str> = path.strip_prefix("/v2/")?.split('/').collect();
                let (first, rest) = segments.split_first()?;
                return match *first {
                    "models" => model(rest),
                    "repository" => repository(rest),
                    "systemsharedmemory" | "cudasharedmemory" => shared_memory(rest),
                    _ => None,
                };
            }
        })
    }

    /// Refuses every method that the route does not have.
    pub(crate) fn check_method(&self, method: &str) -> Result<(), ApiError> {
        const GET: &[&str] = &["GET"];
        const POST: &[&str] = &["POST"];
        const BOTH: &[&str] = &["GET", "POST"];
        let (allowed, content_type) = match self {
            Route::Health | Route::Metrics => (GET, ContentType::Plain),
            Route::ServerMetadata | Route::AllStatistics => (GET, ContentType::Json),
            Route::RepositoryIndex | Route::RepositoryControl { .. } => (POST, ContentType::Json),
            Route::TraceSetting | Route::Logging => (BOTH, ContentType::Json),
            Route::SharedMemory { action: "status" } => (GET, ContentType::Json),
            Route::SharedMemory { .. } => (POST, ContentType::Json),
            Route::Model { resource, .. } => match resource {
                Resource::Metadata | Resource::Config | Resource::Statistics => {
                    (GET, ContentType::Json)
                }
                Resource::Ready => (GET, ContentType::Plain),
                Resource::Infer => (POST, ContentType::Plain),
                Resource::Generate | Resource::GenerateStream => (POST, ContentType::Json),
                Resource::TraceSetting => (BOTH, ContentType::Json),
            },
        };
        match allowed.contains(&method) {
            true => Ok(()),
            false => Err(ApiError::new(405, "Method Not Allowed").with_content_type(content_type)),
        }
    }
}

/// `…/models/M[/versions/N][/RESOURCE]`
fn model<'path>(segments: &[&'path str]) -> Option<Route<'path>> {
    let (name, mut rest) = segments
        .split_first()
        .filter(|(name, _)| !name.is_empty())?;
    let mut version = None;
    if let ["versions", digits, behind @ ..] = rest {
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        version = Some(*digits);
        rest = behind;
    }
    let resource = match rest {
        [] => Resource::Metadata,
        ["ready"] => Resource::Ready,
        ["config"] => Resource::Config,
        ["infer"] => Resource::Infer,
        ["generate"] => Resource::Generate,
        ["generate_stream"] => Resource::GenerateStream,
        ["stats"] => Resource::Statistics,
        ["trace", "setting"] if version.is_none() => Resource::TraceSetting,
        _ => return None,
    };
    Some(Route::Model {
        name,
        version,
        resource,
    })
}

/// `…/repository[/R]/(index|models/M/(load|unload))`
fn repository<'path>(segments: &[&'path str]) -> Option<Route<'path>> {
    let control = |repository, model: &&'path str, action: &str| {
        (!model.is_empty()).then_some(Route::RepositoryControl {
            repository,
            model,
            load: action == "load",
        })
    };
    match segments {
        ["index"] => Some(Route::RepositoryIndex),
        [named, "index"] if !named.is_empty() => Some(Route::RepositoryIndex),
        ["models", model, action @ ("load" | "unload")] => control(false, model, action),
        [named, "models", model, action @ ("load" | "unload")] if !named.is_empty() => {
            control(true, model, action)
        }
        _ => None,
    }
}

/// `…[/region/R]/(status|register|unregister)`
fn shared_memory<'path>(segments: &[&'path str]) -> Option<Route<'path>> {
    match segments {
        [action @ ("status" | "register" | "unregister")] => Some(Route::SharedMemory { action }),
        [
            "region",
            region,
            action @ ("status" | "register" | "unregister"),
        ] if !region.is_empty() => Some(Route::SharedMemory { action }),
        _ => None,
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
        let load = Some(Route::RepositoryControl {
            repository: false,
            model: "m",
            load: true,
        });
        let cases = [
            ("/v2", Some(Route::ServerMetadata)),
            ("/v2/", None),
            ("/v2/health/live", Some(Route::Health)),
            ("/v2/health/live/", None),
            ("/v2/models", None),
            ("/v2/models//ready", None),
            ("/v2/models/stats", Some(Route::AllStatistics)),
            ("/v2/models/ready", model("ready", None, Resource::Metadata)),
            (
                "/v2/models/stats/ready",
                model("stats", None, Resource::Ready),
            ),
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
            (
                "/v2/models/m/trace/setting",
                model("m", None, Resource::TraceSetting),
            ),
            ("/v2/models/m/versions/1/trace/setting", None),
            ("/v2/models/m/versions", None),
            ("/v2/models/m/versions/", None),
            ("/v2/models/m/versions/latest/infer", None),
            ("/v2/models/m/versions/-1", None),
            ("/v2/models/m/versions/1/", None),
            ("/v2/models/a/b/infer", None),
            ("/v2/models/m/infer/x", None),
            ("/v2/repository/index", Some(Route::RepositoryIndex)),
            ("/v2/repository/x/index", Some(Route::RepositoryIndex)),
            ("/v2/repository/models/m/load", load),
            ("/v2/repository/models/m/reload", None),
            (
                "/v2/systemsharedmemory/region/r/status",
                Some(Route::SharedMemory { action: "status" }),
            ),
            ("/v2/systemsharedmemory", None),
        ];
        for (path, route) in cases {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
