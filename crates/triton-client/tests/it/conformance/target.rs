//! A server to run the cases against, with the models that they need.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use tokio::sync::OnceCell;
use triton_client::{
    Client, Error, InferRequest, InferResponse, LoadModel, ModelId, Sequence, SequenceId, Tensor,
};
use triton_test_support::TritonVersion;

/// Which server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Embedded,
    Live,
    /// A server of another kind, which has a model `echo` and no other.
    Other,
}

/// A server with the test models on it.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) client: Client,
    pub(crate) kind: Kind,
    next_id: Arc<AtomicU64>,
}

/// A test model: its name, its configuration and its source for a real server.
macro_rules! test_model {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../models/", $name, "/config.json")),
            include_bytes!(concat!("../../models/", $name, "/1/model.py")).as_slice(),
        )
    };
}

const TEST_MODELS: [(&str, &str, &[u8]); 3] = [
    test_model!("every_datatype"),
    test_model!("probe"),
    test_model!("countdown"),
];

/// A model that the cases may load, unload and break; it behaves like `probe`.
pub(crate) const SPARE: &str = "conformance_spare";

/// The configuration of a test model.
pub(crate) fn config(name: &str) -> Value {
    let (_, config, _) = TEST_MODELS.iter().find(|model| model.0 == name).unwrap();
    serde_json::from_str(config).unwrap()
}

/// Loads a test model under its own name or another.
pub(crate) fn load(name: &str, as_name: &str) -> LoadModel {
    let (_, _, source) = TEST_MODELS.iter().find(|model| model.0 == name).unwrap();
    let mut config = config(name);
    config["name"] = as_name.into();
    LoadModel::new().config(&config).file("1/model.py", source)
}

/// One load for all tests of this process: loading disturbs whoever calls the models meanwhile.
static LOADED: OnceCell<()> = OnceCell::const_new();

async fn load_test_models(client: &Client) {
    for (name, _, _) in TEST_MODELS {
        let model = load(name, name);
        let name = name.parse().unwrap();
        client.load_model(&name, &model).await.unwrap();
    }
}

impl Target {
    pub(crate) async fn new(kind: Kind, endpoint: &str) -> Self {
        let client = Client::new(endpoint).unwrap();
        if kind == Kind::Live {
            LOADED.get_or_init(|| load_test_models(&client)).await;
        }
        // No earlier run against the same server has begun at this number.
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros();
        Self {
            client,
            kind,
            next_id: Arc::new(AtomicU64::new(u64::try_from(now).unwrap())),
        }
    }

    /// A number that no other case and no other run has.
    pub(crate) fn unique(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Of a sequence that no other case and no other run has; a text where the server takes one.
    pub(crate) fn sequence_id(&self) -> SequenceId {
        let number = self.unique();
        if self.kind == Kind::Live && !TritonVersion::of_live_tests().takes_text_ids() {
            return SequenceId::Number(number.try_into().unwrap());
        }
        SequenceId::text(format!("conformance-{number}")).unwrap()
    }

    /// Loads the spare model, with this member of its configuration in place of its own.
    pub(crate) async fn load_spare(&self, change: Option<(&str, Value)>) -> Result<(), Error> {
        let mut config = config("probe");
        config["name"] = SPARE.into();
        let mut model = LoadModel::new();
        if let Some((name, value)) = &change {
            config[name] = value.clone();
            model = model.config(&config);
        }
        // The embedded server has its models built in and no Python for others.
        if self.kind == Kind::Live {
            let (_, _, source) = TEST_MODELS[1];
            model = model.config(&config).file("1/model.py", source);
        }
        self.client
            .load_model(&SPARE.parse().unwrap(), &model)
            .await
    }

    /// Adds to the sum of a sequence and returns it.
    pub(crate) async fn add(&self, value: i32, sequence: Sequence) -> Result<i32, Error> {
        let request = InferRequest::new(model("accumulate"))
            .input(Tensor::from_slice("value", [1, 1], &[value]).unwrap())
            .sequence(sequence);
        let response = self.client.infer(&request).await?;
        Ok(response.output("sum").unwrap().values::<i32>().unwrap()[0])
    }

    /// A request to `echo` and its answer.
    pub(crate) async fn echo(&self, values: &[f32]) -> Result<InferResponse, Error> {
        self.client.infer(&echo(values)).await
    }
}

pub(crate) fn model(name: &str) -> ModelId {
    ModelId::latest(name.parse().unwrap())
}

pub(crate) fn version(name: &str, version: &str) -> ModelId {
    ModelId::new(name.parse().unwrap(), version.parse().unwrap())
}

pub(crate) fn probe(command: &str) -> InferRequest {
    let command = Tensor::from_byte_strings("command", [1], [command]).unwrap();
    InferRequest::new(model("probe")).input(command)
}

pub(crate) fn echo(values: &[f32]) -> InferRequest {
    let tensor = Tensor::from_slice("value", [1, values.len()], values).unwrap();
    InferRequest::new(model("echo")).input(tensor)
}

pub(crate) fn in_sequence(id: &SequenceId, start: bool, end: bool) -> Sequence {
    Sequence {
        id: id.clone(),
        start,
        end,
    }
}

/// The only element of a byte string output.
pub(crate) fn only_bytes<'a>(response: &'a InferResponse, name: &str) -> &'a [u8] {
    let mut values = response.output(name).unwrap().byte_strings().unwrap();
    values.next().unwrap()
}
