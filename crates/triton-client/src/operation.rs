//! What a call does: the words of errors, the label of metrics and the path, from one definition.

use std::fmt;

use crate::{ModelId, ModelName, ModelVersion};

/// What a call does and to what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation<'a> {
    /// The label of metrics and spans, for example `model_metadata`.
    pub(crate) name: &'static str,
    /// The words of errors before the subject, for example `read metadata of`.
    words: &'static str,
    subject: Subject<'a>,
    /// The path below the endpoint, or below the subject where there is one.
    path: &'static str,
}

/// What a call is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject<'a> {
    /// The server as a whole.
    Server,
    /// A model, perhaps in one version.
    Model(&'a ModelId),
    /// An entry of the model repository.
    Repository(&'a ModelName),
    /// A region of shared memory; the first is the path's segment of its kind.
    Region(&'static str, &'a str),
}

impl<'a> Operation<'a> {
    /// A call about the server; `path` has no leading slash.
    pub(crate) const fn server(
        name: &'static str,
        words: &'static str,
        path: &'static str,
    ) -> Operation<'static> {
        Operation {
            name,
            words,
            subject: Subject::Server,
            path,
        }
    }

    /// A call about `subject`; `path` follows the subject's own.
    pub(crate) const fn about(
        subject: Subject<'a>,
        name: &'static str,
        words: &'static str,
        path: &'static str,
    ) -> Self {
        Self {
            name,
            words,
            subject,
            path,
        }
    }

    /// The path below the endpoint. It is made of checked names, so it needs no escapes.
    pub(crate) fn path(&self) -> String {
        match self.subject {
            Subject::Server => self.path.to_owned(),
            Subject::Model(model) => model.path(self.path),
            Subject::Repository(name) => format!("v2/repository/models/{name}{}", self.path),
            Subject::Region(kind, region) => format!("v2/{kind}/region/{region}{}", self.path),
        }
    }

    /// The model that is asked.
    pub(crate) fn model_id(&self) -> Option<&'a ModelId> {
        match self.subject {
            Subject::Model(model) => Some(model),
            Subject::Server | Subject::Repository(_) | Subject::Region(..) => None,
        }
    }

    /// The model's name and version, for spans.
    pub(crate) fn model(&self) -> (&'a str, &'a ModelVersion) {
        match self.subject {
            Subject::Model(model) => (model.name().as_str(), model.version()),
            Subject::Repository(name) => (name.as_str(), &ModelVersion::Latest),
            Subject::Server | Subject::Region(..) => ("", &ModelVersion::Latest),
        }
    }
}

impl fmt::Display for Operation<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.words)?;
        match self.subject {
            Subject::Server => Ok(()),
            Subject::Model(model) => write!(formatter, " model {model}"),
            Subject::Repository(name) => write!(formatter, " model '{name}'"),
            Subject::Region(_, region) => write!(formatter, " shared memory '{region}'"),
        }
    }
}
