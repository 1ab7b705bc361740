//! The test models as the embedded server has them, of the same behaviour as those in `models/`.

use triton_embedded::{
    DataType, EmbeddedTritonBuilder, Model, ModelConfig, ModelError, ModelErrorKind, ModelRequest,
    Parameter, Tensor,
};

use super::target::SPARE;

/// Adds the test models. There is no `countdown`: a model here has one response to a request.
pub(crate) fn add_to(builder: EmbeddedTritonBuilder) -> EmbeddedTritonBuilder {
    let spare = Probe(SPARE);
    builder
        .model(EveryDatatype)
        .model(Probe("probe"))
        .model(spare)
}

/// Returns each input under the name `out_…`.
struct EveryDatatype;

impl Model for EveryDatatype {
    type State = ();

    fn config(&self) -> ModelConfig {
        let datatypes = [
            ("bool", DataType::Bool),
            ("uint8", DataType::Uint8),
            ("uint16", DataType::Uint16),
            ("uint32", DataType::Uint32),
            ("uint64", DataType::Uint64),
            ("int8", DataType::Int8),
            ("int16", DataType::Int16),
            ("int32", DataType::Int32),
            ("int64", DataType::Int64),
            ("fp16", DataType::Fp16),
            ("bf16", DataType::Bf16),
            ("fp32", DataType::Fp32),
            ("fp64", DataType::Fp64),
            ("bytes", DataType::Bytes),
        ];
        let mut config = ModelConfig::new("every_datatype");
        for (name, datatype) in datatypes {
            config = config
                .input(format!("in_{name}"), datatype, [-1, -1])
                .output(format!("out_{name}"), datatype, [-1, -1]);
        }
        for input in &mut config.inputs {
            input.optional = true;
        }
        config
    }

    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let echo = |input: &Tensor| Tensor {
            name: input.name.replace("in_", "out_"),
            ..input.clone()
        };
        Ok(request.inputs.iter().map(echo).collect())
    }
}

/// Does what the input `command` says.
struct Probe(&'static str);

impl Model for Probe {
    type State = ();

    fn config(&self) -> ModelConfig {
        ModelConfig::new(self.0)
            .input("command", DataType::Bytes, [1])
            .output("result", DataType::Bytes, [1])
    }

    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let command =
            String::from_utf8_lossy(&request.values::<Vec<u8>>("command")?[0]).into_owned();
        let (command, argument) = command.split_once(':').unwrap_or((&command, ""));
        let result = |value: Vec<u8>| Ok(vec![Tensor::new("result", [1], vec![value])]);
        let kind = match command {
            "describe" => return result(describe(request).to_string().into_bytes()),
            "hex" => return result(from_hex(argument)),
            "omit" => return Ok(Vec::new()),
            "invalid_arg" => ModelErrorKind::InvalidArgument,
            "unavailable" => ModelErrorKind::Unavailable,
            "not_found" => ModelErrorKind::NotFound,
            "unsupported" => ModelErrorKind::Unsupported,
            _ => ModelErrorKind::Internal,
        };
        Err(ModelError::with_kind(kind, argument))
    }
}

fn describe(request: &ModelRequest) -> serde_json::Value {
    let parameters = request.parameters.iter().map(|(name, value)| {
        let value = match value {
            Parameter::Bool(value) => (*value).into(),
            Parameter::Integer(value) => (*value).into(),
            Parameter::Double(value) => (*value).into(),
            Parameter::Text(value) => value.as_str().into(),
        };
        (name.clone(), value)
    });
    let parameters: serde_json::Map<_, serde_json::Value> = parameters.collect();
    serde_json::json!({ "id": request.id, "parameters": parameters })
}

fn from_hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}
