//! Inference responses: JSON, then the tensors that came in binary form.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::HeaderMap;
use memchr::memchr_iter;

use super::data_reader::{self, Budget};
use super::json_reader::{Fault, JsonReader};
use super::unreadable;
use crate::tensor::{Elements, MAX_DIMENSIONS, MAX_TENSORS};
use crate::tolerant::Text;
use crate::{
    Datatype, InferRequest, InferResponse, Parameter, RequestedOutput, SharedMemory, SharedTensor,
    Tensor, TensorError, UnreadOutput,
};

/// Why an answer is not what the protocol promises.
///
/// ```
/// let error = triton_protocol::InferResponse::decode("{}".into(), None).unwrap_err();
/// assert!(error.to_string().contains("missing field `outputs`"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(String);

impl InferResponse {
    /// Reads a body that is not compressed, as a server sent it with status 200.
    ///
    /// `json_length` is the header `Inference-Header-Content-Length`, where it came. Tensors in
    /// binary form are slices of `body`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the body is not what the protocol promises, or contradicts itself.
    ///
    /// ```
    /// use triton_protocol::InferResponse;
    ///
    /// let body = br#"{"outputs":[{"name":"x","datatype":"INT8","shape":[2],"parameters":{"binary_data_size":2}}]}ab"#;
    /// let response = InferResponse::decode(bytes::Bytes::from_static(body), Some(body.len() - 2))?;
    /// assert_eq!(*response.output("x")?.values::<i8>()?, [97, 98]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decode(body: Bytes, json_length: Option<usize>) -> Result<Self, DecodeError> {
        response(body, json_length, None)
    }

    /// Reads the answer to `request`.
    ///
    /// An output that a server has put into shared memory lies where the request asked for it: most servers
    /// do not say where, and one that names another place is not believed.
    ///
    /// # Errors
    ///
    /// Those of [`decode`](Self::decode).
    ///
    /// ```
    /// use triton_protocol::{InferRequest, InferResponse, ModelId, RequestedOutput, SharedMemory};
    ///
    /// let memory = SharedMemory::new("outputs", 12);
    /// let request = InferRequest::new(ModelId::latest("echo".parse()?))
    ///     .output(RequestedOutput::new("echo").shared_memory(memory.clone()));
    /// let body = br#"{"outputs":[{"name":"echo","datatype":"FP32","shape":[1,3]}]}"#;
    /// let response = InferResponse::decode_for(&request, bytes::Bytes::from_static(body), None)?;
    /// assert_eq!(response.shared_output("echo")?.memory(), &memory);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decode_for(
        request: &InferRequest,
        body: Bytes,
        json_length: Option<usize>,
    ) -> Result<Self, DecodeError> {
        response(body, json_length, Some(&request.outputs))
    }
}

/// Reads a whole body, as the answer to a request for these outputs where that is known.
fn response(
    body: Bytes,
    json_length: Option<usize>,
    asked: Option<&[RequestedOutput]>,
) -> Result<InferResponse, DecodeError> {
    let mut json = body;
    let length = json_length.unwrap_or(json.len());
    if length > json.len() {
        return Err(DecodeError(format!(
            "the answer says that {length} of its bytes are JSON, and has {} in all",
            json.len()
        )));
    }
    let mut binary = json.split_off(length);
    let head = read_head(&json).map_err(|fault| DecodeError(unreadable(&json, &fault)))?;
    let mut outputs = Vec::with_capacity(head.outputs.len());
    let mut shared_outputs = Vec::new();
    let mut unread = Vec::new();
    let mut names = BTreeSet::new();
    if let Some(again) = head
        .outputs
        .iter()
        .find(|output| !names.insert(&output.name))
    {
        let text = format!("output '{}' came twice", again.name);
        return Err(DecodeError(text));
    }
    for output in head.outputs {
        match output.found(asked, &mut binary)? {
            Found::Here(tensor) => outputs.push(tensor),
            Found::Shared(tensor) => shared_outputs.push(tensor),
            Found::Unread(output) => unread.push(output),
        }
    }
    if !binary.is_empty() {
        return Err(DecodeError(format!(
            "the answer has {} bytes more than its outputs",
            binary.len()
        )));
    }
    Ok(InferResponse {
        model_name: head.model_name,
        model_version: head.model_version,
        id: head.id,
        parameters: head.parameters,
        headers: HeaderMap::new(),
        outputs,
        shared_outputs,
        unread,
    })
}

/// The JSON of a response.
#[derive(Default)]
struct Head {
    model_name: String,
    model_version: String,
    id: Option<String>,
    parameters: BTreeMap<String, Parameter>,
    outputs: Vec<Output>,
}

/// Reads the JSON in one pass.
fn read_head(json: &[u8]) -> Result<Head, Fault> {
    const MEMBERS: [&str; 5] = ["model_name", "model_version", "id", "parameters", "outputs"];
    let mut reader = JsonReader::new(json);
    let mut head = Head::default();
    let mut budget = Budget::of(json);
    let mut has_outputs = false;
    reader.members("an inference response", MEMBERS, |reader, member| {
        match member {
            "model_name" => head.model_name = text(reader)?.unwrap_or_default(),
            "model_version" => head.model_version = text(reader)?.unwrap_or_default(),
            "id" => head.id = text(reader)?,
            "parameters" => head.parameters = reader.parameters(&mut budget.parameters)?,
            _ => {
                has_outputs = true;
                let outputs = &mut head.outputs;
                reader.elements("an array of outputs", |reader| {
                    if outputs.len() == MAX_TENSORS {
                        return Err(Fault::new(&format!(
                            "expected at most {MAX_TENSORS} outputs, found more"
                        )));
                    }
                    outputs.push(OutputHead::read(reader, outputs.len(), &mut budget)?);
                    Ok(())
                })?;
            }
        }
        Ok(())
    })?;
    reader.end()?;
    match has_outputs {
        true => Ok(head),
        false => Err(Fault::missing("outputs")),
    }
}

/// A text, which some servers send as a number, or as `null` where there is none.
fn text(reader: &mut JsonReader<'_>) -> Result<Option<String>, Fault> {
    let text: Option<Text> = reader.read()?;
    Ok(text.map(|Text(text)| text))
}

/// An output of a response.
struct Output {
    name: String,
    datatype: Datatype,
    shape: Vec<usize>,
    parameters: BTreeMap<String, Parameter>,
    place: Place,
}

/// Where the elements of an output are.
enum Place {
    /// They stood in the JSON.
    Here(Elements),
    /// So many bytes of what follows the JSON.
    Binary(usize),
    /// In a region of shared memory, by what the answer says.
    Shared(SharedMemory),
    /// The answer does not say. The server has put them where the request asked for it.
    Unsaid,
    /// They stood in the JSON, in a form that nobody here knows.
    Unknown,
}

impl Output {
    /// The part of shared memory in which the elements are, if they are there: no other than the request
    /// asked for, whatever the answer says.
    fn memory(
        &self,
        asked: Option<&[RequestedOutput]>,
    ) -> Result<Option<SharedMemory>, DecodeError> {
        let wanted = asked.and_then(|asked| {
            let asked = asked.iter().find(|output| output.name == self.name)?;
            asked.memory.as_ref()
        });
        let memory = match &self.place {
            Place::Shared(memory) => memory,
            Place::Unsaid => return Ok(wanted.cloned()),
            Place::Here(_) | Place::Binary(_) | Place::Unknown => return Ok(None),
        };
        let is_within = |wanted: &SharedMemory| {
            memory.region == wanted.region
                && memory.offset == wanted.offset
                && memory.byte_size <= wanted.byte_size
        };
        if asked.is_none() || wanted.is_some_and(is_within) {
            return Ok(Some(memory.clone()));
        }
        let described = |memory: &SharedMemory| {
            format!(
                "{} bytes from {} on of region '{}'",
                memory.byte_size, memory.offset, memory.region
            )
        };
        let expected = wanted.map_or_else(|| "in the answer".to_owned(), described);
        Err(DecodeError(format!(
            "the answer says that output '{}' is in shared memory, {}, expected {expected}",
            self.name,
            described(memory)
        )))
    }

    /// Takes the elements from where they are.
    fn found(
        self,
        asked: Option<&[RequestedOutput]>,
        binary: &mut Bytes,
    ) -> Result<Found, DecodeError> {
        let memory = self.memory(asked)?;
        if let Datatype::Other(_) = self.datatype {
            if let Place::Binary(size) = self.place {
                self.split(binary, size)?;
            }
            let written = memory.map(|memory| {
                SharedTensor::written(self.name.clone(), self.datatype, self.shape, memory)
            });
            return Ok(match written {
                Some(Ok(tensor)) => Found::Shared(tensor),
                _ => Found::Unread(UnreadOutput {
                    name: self.name,
                    datatype: self.datatype,
                }),
            });
        }
        if let Some(memory) = memory {
            let tensor = SharedTensor::written(self.name, self.datatype, self.shape, memory);
            return tensor
                .map(Found::Shared)
                .map_err(|error| contradiction(&error));
        }
        let elements = match self.place {
            Place::Here(elements) => elements,
            Place::Binary(size) => self.split(binary, size)?.into(),
            Place::Shared(_) | Place::Unsaid | Place::Unknown => {
                return Err(DecodeError(format!("output '{}' has no data", self.name)));
            }
        };
        let tensor = Tensor::of_elements(self.name, self.datatype, self.shape, elements);
        tensor
            .map(|tensor| Found::Here(tensor.with_parameters(self.parameters)))
            .map_err(|error| contradiction(&error))
    }

    /// So many bytes of what follows the JSON.
    fn split(&self, binary: &mut Bytes, size: usize) -> Result<Bytes, DecodeError> {
        if size > binary.len() {
            return Err(DecodeError(format!(
                "output '{}' has {size} bytes of binary data, and the answer only {} more",
                self.name,
                binary.len()
            )));
        }
        Ok(binary.split_to(size))
    }
}

/// An output with its elements, as far as they can be had.
enum Found {
    Here(Tensor),
    Shared(SharedTensor),
    Unread(UnreadOutput),
}

fn contradiction(error: &TensorError) -> DecodeError {
    DecodeError(format!("the answer contradicts itself: {error}"))
}

/// The members of an output, as far as they were read.
#[derive(Default)]
struct OutputHead<'a> {
    name: Option<String>,
    datatype: Option<Datatype>,
    /// What is wrong with it does not matter where the elements cannot be read anyhow.
    shape: Option<Result<Vec<usize>, Fault>>,
    parameters: BTreeMap<String, Parameter>,
    data: Data<'a>,
}

#[derive(Default)]
enum Data<'a> {
    #[default]
    None,
    Read(Elements),
    /// It begins here. Nothing promises that the datatype stands before the data; where it does
    /// not, the data alone is read twice.
    Unread(JsonReader<'a>),
}

impl<'a> OutputHead<'a> {
    fn read(
        reader: &mut JsonReader<'a>,
        index: usize,
        budget: &mut Budget,
    ) -> Result<Output, Fault> {
        const MEMBERS: [&str; 5] = ["name", "datatype", "shape", "parameters", "data"];
        let mut head = Self::default();
        let result = reader.members("an output", MEMBERS, |reader, member| {
            match member {
                "name" => head.name = Some(reader.read()?),
                "datatype" => head.datatype = Some(reader.read()?),
                "shape" => head.shape = Some(shape(reader)?),
                "parameters" => head.parameters = reader.parameters(&mut budget.parameters)?,
                _ => head.data = head.read_data(reader, budget)?,
            }
            Ok(())
        });
        let called = match &head.name {
            Some(name) => format!("output '{name}'"),
            None => format!("output {index}"),
        };
        let finished = result.and_then(|()| head.finished(budget));
        finished.map_err(|fault| fault.of(&called))
    }

    fn read_data(
        &self,
        reader: &mut JsonReader<'a>,
        budget: &mut Budget,
    ) -> Result<Data<'a>, Fault> {
        if reader.take("null") {
            return Ok(Data::None);
        }
        if let Some(datatype) = self.datatype
            && !matches!(datatype, Datatype::Other(_))
        {
            let read = data_reader::read(reader, datatype, self.promised(), budget);
            return read.map(Data::Read);
        }
        let start = reader.clone();
        reader.skip()?;
        Ok(Data::Unread(start))
    }

    /// How many elements there are by the shape.
    fn promised(&self) -> usize {
        let shape = self.shape.as_ref().and_then(|shape| shape.as_ref().ok());
        let shape = shape.map_or(&[0][..], Vec::as_slice);
        shape
            .iter()
            .fold(1, |count, size| count.saturating_mul(*size))
    }

    fn finished(mut self, budget: &mut Budget) -> Result<Output, Fault> {
        let promised = self.promised();
        let name = self.name.ok_or_else(|| Fault::missing("name"))?;
        let datatype = self.datatype.ok_or_else(|| Fault::missing("datatype"))?;
        if matches!(datatype, Datatype::Other(_)) {
            return Ok(Output {
                name,
                datatype,
                place: unknown_place(&mut self.parameters, !matches!(self.data, Data::None))?,
                shape: self.shape.and_then(Result::ok).unwrap_or_default(),
                parameters: self.parameters,
            });
        }
        let shape = self.shape.ok_or_else(|| Fault::missing("shape"))??;
        let elements = match self.data {
            Data::None => None,
            Data::Read(elements) => Some(elements),
            Data::Unread(ref mut reader) => {
                Some(data_reader::read(reader, datatype, promised, budget)?)
            }
        };
        let size = take_bytes(&mut self.parameters, "binary_data_size")?;
        let place = match (elements, size) {
            (Some(elements), None) => Place::Here(elements),
            (None, Some(size)) => Place::Binary(size),
            (Some(_), Some(_)) => return Err(Fault::new("it has data and binary data, too")),
            (None, None) => match take_memory(&mut self.parameters)? {
                Some(memory) => Place::Shared(memory),
                None => Place::Unsaid,
            },
        };
        Ok(Output {
            name,
            datatype,
            shape,
            parameters: self.parameters,
            place,
        })
    }
}

/// Where the elements are of an output whose datatype nobody here knows.
fn unknown_place(
    parameters: &mut BTreeMap<String, Parameter>,
    has_data: bool,
) -> Result<Place, Fault> {
    // The outputs behind it can only be found where this one is known to end.
    if let Some(size) = take_bytes(parameters, "binary_data_size")? {
        return Ok(Place::Binary(size));
    }
    let memory = take_memory(parameters).unwrap_or_default();
    Ok(match memory {
        _ if has_data => Place::Unknown,
        Some(memory) => Place::Shared(memory),
        None => Place::Unsaid,
    })
}

/// A shape, or what is wrong with it.
fn shape(reader: &mut JsonReader<'_>) -> Result<Result<Vec<usize>, Fault>, Fault> {
    let mut start = reader.clone();
    let text = reader.skip()?;
    let dimensions = memchr_iter(b',', text).count() + 1;
    if dimensions > MAX_DIMENSIONS {
        // Unread: they take many times their text.
        return Ok(Err(Fault::new(&format!(
            "expected a shape of at most {MAX_DIMENSIONS} dimensions, found {dimensions}"
        ))));
    }
    Ok(start.read())
}

/// The part of shared memory that an answer says an output is in.
fn take_memory(
    parameters: &mut BTreeMap<String, Parameter>,
) -> Result<Option<SharedMemory>, Fault> {
    let size = take_bytes(parameters, "shared_memory_byte_size")?;
    let offset = take_bytes(parameters, "shared_memory_offset")?.unwrap_or(0);
    match (parameters.remove("shared_memory_region"), size) {
        (Some(Parameter::Text(region)), Some(size)) => {
            Ok(Some(SharedMemory::new(region, size).at(offset)))
        }
        _ => Ok(None),
    }
}

/// A number of bytes among the parameters of an output.
fn take_bytes(
    parameters: &mut BTreeMap<String, Parameter>,
    name: &str,
) -> Result<Option<usize>, Fault> {
    match parameters.remove(name) {
        None => Ok(None),
        Some(Parameter::Integer(size)) if size >= 0 => Ok(usize::try_from(size).ok()),
        Some(_) => Err(Fault::new(&format!(
            "its {name} is no whole number of bytes"
        ))),
    }
}
