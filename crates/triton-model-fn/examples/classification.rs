//! A model function of your own: it asks the server for the best classes of an output, and gives them as
//! columns, the best one first.

use std::num::NonZeroU32;

use triton_embedded::EmbeddedTriton;
use triton_model_fn::triton_client::RequestedOutput;
use triton_model_fn::{
    DataType, Error, ErrorKind, FunctionBase, ModelFunction, OptionGroup, Schema, Subtask,
    TensorCodec, TritonOptions, Value,
};

/// Each row becomes the labels and scores of the `count` best classes of `output`; NULL where there are
/// fewer. A class is called by its index where the model has no labels.
pub(crate) fn classification(
    options: TritonOptions,
    inputs: Schema,
    output: &'static str,
    count: NonZeroU32,
) -> Result<impl ModelFunction, Error> {
    let served = [
        OptionGroup::Columns,
        OptionGroup::Inference,
        OptionGroup::Sequences,
    ];
    Ok(
        FunctionBase::serving("classification", options, &served)?.answering(
            move |open, facts| TensorCodec::agree(open.options(), &inputs, facts),
            move |call, opened, row| async move {
                let codec = &opened.prepared;
                let classes = RequestedOutput::classification(output, count);
                let request = codec.request(codec.encode(&row)?).output(classes);
                let response = call.infer(request).await?;
                let unreadable = |error| {
                    let message = format!("output '{output}' is no classification");
                    Error::new(ErrorKind::Output, message).with_source(error)
                };
                let tensor = response.output(output).map_err(unreadable)?;
                let mut classes = tensor.classes().map_err(unreadable)?.into_iter();
                let columns = (0..count.get()).flat_map(|_| match classes.next() {
                    Some(class) => {
                        let label = class.label.unwrap_or_else(|| class.index.to_string());
                        [label.into(), class.score.into()]
                    }
                    None => [Value::Null, Value::Null],
                });
                Ok(call.prediction(columns.collect()))
            },
        ),
    )
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = EmbeddedTriton::start()?;
    let options = TritonOptions::parse([
        ("endpoint", server.endpoint().as_str()),
        ("model-name", "echo"),
        ("max-retries", "3"),
    ])?;
    let inputs = Schema::of_inputs([("value", DataType::Float.array())]);
    let two = NonZeroU32::MIN.saturating_add(1);
    let function = classification(options, inputs, "echo", two)?;
    function.open(Subtask::new(0, 1, 0)?).await?;
    let row = [Value::from([0.1_f32, 0.7, 0.2])];
    println!("{:?}", function.predict(&row).await?.row);
    function.close().await?;
    Ok(())
}
