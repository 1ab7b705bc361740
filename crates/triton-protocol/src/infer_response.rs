//! The answer to a request for inference: tensors that are found by name, never by position.
//!
//! [Protocol](https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#inference)

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::{Entry, SET_COOKIE};

use crate::{Datatype, InferRequest, Parameter, SharedTensor, Tensor, TensorError, quoted};

/// The answer to an [`InferRequest`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InferResponse {
    /// The model that answered.
    pub model_name: String,
    /// The version that answered.
    pub model_version: String,
    /// The `id` of the request, which whoever sent it may have made for it; a server need not
    /// echo it.
    pub id: Option<String>,
    /// What the model, or the server for a sequence, says beside the tensors.
    pub parameters: BTreeMap<String, Parameter>,
    /// The outputs in the model's order, whatever the order in which they were asked for.
    pub outputs: Vec<Tensor>,
    /// The outputs that the server has put into shared memory, as it was asked to.
    pub shared_outputs: Vec<SharedTensor>,
    /// The outputs whose datatype is one of the server's own, so that they could not be read.
    pub unread: Vec<UnreadOutput>,
    /// The headers of the HTTP answer that brought this; of none when it was only decoded.
    pub headers: HeaderMap,
}

/// An output that came and could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnreadOutput {
    /// Its name.
    pub name: String,
    /// Its datatype, which is none of the protocol's.
    pub datatype: Datatype,
}

impl InferResponse {
    /// The output called `name`.
    ///
    /// # Errors
    ///
    /// [`TensorError::Missing`] naming the outputs there are,
    /// [`TensorError::InSharedMemory`] when it is one of the
    /// [`shared_outputs`](Self::shared_outputs), and [`TensorError::UnknownDatatype`] for one of
    /// [`unread`](Self::unread). An output that the request asked for by name is always there.
    ///
    /// ```
    /// # use triton_protocol::InferResponse;
    /// # let body = br#"{"outputs":[{"name":"sum","datatype":"INT32","shape":[1],"data":[7]}]}"#;
    /// # let response = InferResponse::decode(bytes::Bytes::from_static(body), None)?;
    /// assert_eq!(*response.output("sum")?.values::<i32>()?, [7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn output(&self, name: &str) -> Result<&Tensor, TensorError> {
        let found = self.outputs.iter().find(|output| output.name() == name);
        found.ok_or_else(|| self.missing_output(name))
    }

    /// The output called `name`, which is in shared memory.
    ///
    /// # Errors
    ///
    /// [`TensorError::Missing`] naming the outputs that are there.
    pub fn shared_output(&self, name: &str) -> Result<&SharedTensor, TensorError> {
        let found = self
            .shared_outputs
            .iter()
            .find(|output| output.name() == name);
        found.ok_or_else(|| TensorError::Missing {
            name: name.to_owned(),
            present: self
                .shared_outputs
                .iter()
                .map(|output| output.name().to_owned())
                .collect(),
        })
    }

    fn missing_output(&self, name: &str) -> TensorError {
        if let Ok(output) = self.shared_output(name) {
            return TensorError::InSharedMemory {
                name: name.to_owned(),
                region: output.memory().region.clone(),
            };
        }
        if let Some(unread) = self.unread.iter().find(|output| output.name == name) {
            return TensorError::UnknownDatatype {
                name: name.to_owned(),
                datatype: unread.datatype,
            };
        }
        TensorError::Missing {
            name: name.to_owned(),
            present: self.names().map(str::to_owned).collect(),
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let shared = self.shared_outputs.iter().map(SharedTensor::name);
        self.outputs.iter().map(Tensor::name).chain(shared)
    }

    /// Takes the output called `name` out of the response, for example to have its memory.
    ///
    /// # Errors
    ///
    /// Those of [`output`](Self::output).
    ///
    /// ```
    /// # use triton_protocol::InferResponse;
    /// # let body = br#"{"outputs":[{"name":"sum","datatype":"INT32","shape":[1],"data":[7]}]}"#;
    /// # let mut response = InferResponse::decode(bytes::Bytes::from_static(body), None)?;
    /// assert_eq!(response.take_output("sum")?.into_vec::<i32>()?, [7]);
    /// assert!(response.take_output("sum").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take_output(&mut self, name: &str) -> Result<Tensor, TensorError> {
        let place = self.outputs.iter().position(|output| output.name() == name);
        let place = place.ok_or_else(|| self.missing_output(name))?;
        Ok(self.outputs.remove(place))
    }

    /// The response with the headers of the HTTP answer; `Debug` does not show cookies.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        if let Entry::Occupied(mut cookies) = self.headers.entry(SET_COOKIE) {
            cookies
                .iter_mut()
                .for_each(|cookie| cookie.set_sensitive(true));
        }
        self
    }

    /// What is wrong if this is the answer to another request than the one that was sent as `id`.
    ///
    /// A server, or a gateway, that mixes up answers would hand out those of another sequence.
    #[must_use]
    pub fn foreign(&self, id: &str) -> Option<String> {
        let echoed = self.id.as_deref().filter(|echoed| !echoed.is_empty())?;
        (echoed != id).then(|| {
            format!(
                "expected the answer to the request with the id {}, found that to {}",
                quoted(id),
                quoted(echoed)
            )
        })
    }

    /// What is wrong if an output is not there that `request` asked for by name.
    #[must_use]
    pub fn missing(&self, request: &InferRequest) -> Option<String> {
        let is_there = |name: &str| self.names().any(|present| present == name);
        let mut asked = request.outputs.iter().map(|output| &output.name);
        let missing = asked.find(|name| !is_there(name))?;
        if let Some(unread) = self.unread.iter().find(|output| output.name == *missing) {
            return Some(format!(
                "the output '{missing}' that was asked for came as {}, which is none of the \
                 protocol's datatypes, so it cannot be read",
                unread.datatype
            ));
        }
        let mut present: Vec<_> = self.names().collect();
        present.sort_unstable();
        Some(format!(
            "the model left out the output '{missing}' that was asked for; it returned: {}",
            present.join(", ")
        ))
    }
}

/// One of the largest elements of an output, as a classification returns it.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// The element's value.
    pub score: f64,
    /// The element's index along the classified dimension.
    pub index: u64,
    /// The label that the model's configuration gives this index.
    pub label: Option<String>,
}

impl Tensor {
    /// The elements of an output that was asked for as
    /// [`RequestedOutput::classification`](crate::RequestedOutput::classification).
    ///
    /// # Errors
    ///
    /// [`TensorError::Datatype`] when the tensor is not `BYTES`, and [`TensorError::Malformed`]
    /// when an element is not of the form `score:index` or `score:index:label`.
    ///
    /// ```
    /// let tensor = triton_protocol::Tensor::from_byte_strings("class", [1], ["0.93:7:tabby cat"])?;
    /// let classes = tensor.classes()?;
    /// assert_eq!((classes[0].index, classes[0].label.as_deref()), (7, Some("tabby cat")));
    /// # Ok::<(), triton_protocol::TensorError>(())
    /// ```
    pub fn classes(&self) -> Result<Vec<Class>, TensorError> {
        let read = |element: &[u8]| {
            let text = std::str::from_utf8(element).ok()?;
            let mut parts = text.splitn(3, ':');
            Some(Class {
                score: parts.next()?.parse().ok()?,
                index: parts.next()?.parse().ok()?,
                label: parts.next().map(str::to_owned),
            })
        };
        let classes: Option<Vec<_>> = self.byte_strings()?.map(read).collect();
        classes.ok_or_else(|| TensorError::Malformed {
            name: self.name().to_owned(),
            datatype: Datatype::Bytes,
        })
    }
}
