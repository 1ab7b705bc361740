//! A model function of one's own: it asks the server for the best classes of an output, and gives them as
//! columns, the best one first.

use std::num::NonZeroU32;

use triton_embedded::EmbeddedTriton;
use triton_model_fn::triton_client::RequestedOutput;
use triton_model_fn::{
    Column, DataType, Error, ErrorKind, FunctionBase, ModelFunction, OptionGroup, PredictionFuture,
    Schema, Subtask, TensorCodec, TritonOptions, Value, async_trait,
};

/// Each row becomes the labels and scores of the `count` best classes; NULL where the model has fewer. A
/// class is called by its index where the model has no labels.
pub(crate) struct Classification {
    base: FunctionBase<TensorCodec>,
    inputs: Schema,
    output: String,
    count: NonZeroU32,
}

impl Classification {
    /// A function that is not open; `output` is the one whose classes are asked for.
    pub(crate) fn new(
        options: TritonOptions,
        inputs: impl IntoIterator<Item = Column>,
        output: &str,
        count: NonZeroU32,
    ) -> Result<Self, Error> {
        let served = [
            OptionGroup::Columns,
            OptionGroup::Inference,
            OptionGroup::Sequences,
        ];
        Ok(Self {
            base: FunctionBase::serving("Classification", options, &served)?,
            inputs: Schema::of_inputs(inputs),
            output: output.to_owned(),
            count,
        })
    }
}

#[async_trait]
impl ModelFunction for Classification {
    async fn open(&self, subtask: Subtask) -> Result<(), Error> {
        let options = self.base.options();
        self.base
            .open(subtask, |_, facts| {
                TensorCodec::agree(options, &self.inputs, facts)
            })
            .await
    }

    fn submit(&self, row: &[Value]) -> PredictionFuture {
        let row = row.to_vec();
        let (name, count) = (self.output.clone(), self.count);
        self.base.row(move |call, opened| async move {
            let codec = &opened.prepared;
            let request = codec.request(codec.encode(&row)?);
            let request = request.output(RequestedOutput::classification(&name, count));
            let response = call.infer(request).await?;
            let unusable = |error| {
                let message = format!("output '{name}' is no classification");
                Error::new(ErrorKind::Output, message).with_source(error)
            };
            let output = response.output(&name).map_err(unusable)?;
            let mut classes = output.classes().map_err(unusable)?.into_iter();
            let columns = (0..count.get()).flat_map(|_| match classes.next() {
                Some(class) => {
                    let label = class.label.unwrap_or_else(|| class.index.to_string());
                    [label.into(), class.score.into()]
                }
                None => [Value::Null, Value::Null],
            });
            Ok(call.prediction(columns.collect()))
        })
    }

    async fn close(&self) -> Result<(), Error> {
        self.base.close().await
    }

    async fn abort(&self) {
        self.base.abort().await;
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = EmbeddedTriton::start()?;
    let options = TritonOptions::parse([
        ("endpoint", server.endpoint().as_str()),
        ("model-name", "echo"),
        ("max-retries", "3"),
    ])?;
    let inputs = [Column::new("value", DataType::Float.array())];
    let two = NonZeroU32::MIN.saturating_add(1);
    let function = Classification::new(options, inputs, "echo", two)?;
    function.open(Subtask::new(0, 1, 0)?).await?;
    let row = [Value::from([0.1_f32, 0.7, 0.2])];
    println!("{:?}", function.predict(&row).await?.row);
    function.close().await?;
    Ok(())
}
