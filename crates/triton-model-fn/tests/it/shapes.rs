//! Columns whose shape is not that of their tensor, and inputs that a row can leave out.

use triton_embedded::{
    DataType as TensorType, Model, ModelConfig, ModelError, ModelRequest, Tensor,
};
use triton_model_fn::{Array, DataType, ErrorKind, InferenceFunction, ModelFunction as _, Value};
use triton_test_support::EmbeddedTriton;

use crate::{array, open, options, schema};

/// Doubles an image, and adds an offset where there is one.
struct Image {
    batch: usize,
}

impl Model for Image {
    type State = ();

    fn config(&self) -> ModelConfig {
        ModelConfig::new("image")
            .max_batch_size(self.batch)
            .input("image", TensorType::Fp32, [3, 2, 2])
            .optional_input("offset", TensorType::Fp32, [1])
            .output("doubled", TensorType::Fp32, [3, 2, 2])
    }

    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let image = request.input("image")?;
        let offsets = match request.input("offset") {
            Ok(offset) => offset.values::<f32>()?.to_vec(),
            Err(_) => Vec::new(),
        };
        let values = image.values::<f32>()?.iter().enumerate();
        let doubled = values.map(|(index, value)| {
            let offset = offsets.get(index / 12).copied().unwrap_or_default();
            value * 2.0 + offset
        });
        let doubled: Vec<f32> = doubled.collect();
        Ok(vec![Tensor::new("doubled", image.shape.clone(), doubled)])
    }
}

async fn image(server: &EmbeddedTriton, rank: usize, extra: &[(&str, &str)]) -> InferenceFunction {
    let image = (0..rank).fold(DataType::Float, |inner, _| array(inner));
    let columns = schema(
        &[("image", image.clone()), ("offset", DataType::Float)],
        &[("doubled", image)],
    );
    open(options(&server.endpoint(), "image", extra), columns, 0, 1).await
}

fn pixels(first: f32) -> Vec<f32> {
    (0_u8..12).map(|place| first + f32::from(place)).collect()
}

fn doubled(first: f32, offset: f32) -> Vec<f32> {
    pixels(first)
        .iter()
        .map(|pixel| pixel * 2.0 + offset)
        .collect()
}

// Holds F50.
#[tokio::test]
async fn a_flat_array_fits_a_shape_that_is_known_both_ways() {
    for batch in [0, 8] {
        let server = EmbeddedTriton::builder()
            .model(Image { batch })
            .start()
            .unwrap();
        for extra in [&[][..], &[("batch-size", "8"), ("batch-timeout", "1 ms")]] {
            let flat = image(&server, 1, extra).await;
            let row = [Value::from(pixels(1.0)), Value::Float(0.5)];
            let answer = flat.predict(&row).await.unwrap().row;
            assert_eq!(answer, [Value::from(doubled(1.0, 0.5))]);

            let nested = image(&server, 3, extra).await;
            let pixels = Array::with_shape(pixels(1.0), [3, 2, 2]).unwrap();
            let row = [Value::Array(pixels), Value::Float(0.5)];
            let answer = nested.predict(&row).await.unwrap().row;
            let expected = Array::with_shape(doubled(1.0, 0.5), [3, 2, 2]).unwrap();
            assert_eq!(answer, [Value::Array(expected)]);
        }
        let flat = image(&server, 1, &[]).await;
        let row = [Value::from(vec![1.0_f32; 11]), Value::Float(0.5)];
        let error = flat.predict(&row).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: column 'image': the model takes shape [3, 2, 2], which are 12 elements, found 11");
        }
    }
}

// Holds F51.
#[tokio::test]
async fn null_leaves_an_optional_input_out() {
    let server = EmbeddedTriton::builder()
        .model(Image { batch: 8 })
        .start()
        .unwrap();
    for extra in [&[][..], &[("batch-size", "8"), ("batch-timeout", "5 ms")]] {
        let function = image(&server, 1, extra).await;
        let offsets = [Some(1.0), None, Some(2.0), None];
        let rows = offsets
            .iter()
            .zip([1.0, 2.0, 3.0, 4.0])
            .map(|(offset, first)| {
                let offset = offset.map_or(Value::Null, Value::Float);
                function.submit(&[Value::from(pixels(first)), offset])
            });
        let answers = futures_util::future::join_all(rows).await;
        for ((answer, offset), first) in answers.into_iter().zip(offsets).zip([1.0, 2.0, 3.0, 4.0])
        {
            let expected = doubled(first, offset.unwrap_or_default());
            assert_eq!(answer.unwrap().row, [Value::from(expected)]);
        }
        let missing = [Value::Null, Value::Float(1.0)];
        let error = function.predict(&missing).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NullInput);
    }
}

/// Echoes what it gets.
struct Brief;

impl Model for Brief {
    type State = ();

    fn config(&self) -> ModelConfig {
        ModelConfig::new("brief")
            .max_batch_size(8)
            .input("value", TensorType::Bf16, [1])
            .input("values", TensorType::Bf16, [-1])
            .output("value_out", TensorType::Bf16, [1])
            .output("values_out", TensorType::Bf16, [-1])
    }

    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let echo = |input: &str, output: &str| {
            let mut tensor = request.input(input)?.clone();
            tensor.name = output.to_owned();
            Ok::<_, ModelError>(tensor)
        };
        Ok(vec![
            echo("value", "value_out")?,
            echo("values", "values_out")?,
        ])
    }
}

#[tokio::test]
async fn brain_floats_are_rounded_to_and_widened_from_single_ones() {
    let server = EmbeddedTriton::builder().model(Brief).start().unwrap();
    let columns = schema(
        &[
            ("value", DataType::BFloat16),
            ("values", array(DataType::BFloat16)),
        ],
        &[
            ("value_out", DataType::BFloat16),
            ("values_out", array(DataType::BFloat16)),
        ],
    );
    let function = open(options(&server.endpoint(), "brief", &[]), columns, 0, 1).await;
    let values = [1.0, -0.5, 3.389e38].map(Value::BFloat16);
    let row = [
        Value::BFloat16(0.1),
        Value::Array(values.iter().cloned().collect()),
    ];
    let answer = function.predict(&row).await.unwrap().row;
    // The nearest number with 8 digits of the base 2.
    assert_eq!(answer[0], Value::BFloat16(0.100_097_656));
    assert_eq!(answer[1], row[1]);
}

// Holds F50.
#[tokio::test]
async fn a_finite_number_does_not_become_infinite_in_sixteen_bits() {
    let server = EmbeddedTriton::builder().model(Brief).start().unwrap();
    let brief = |values: DataType| {
        schema(
            &[("value", DataType::BFloat16), ("values", values.clone())],
            &[("value_out", DataType::BFloat16), ("values_out", values)],
        )
    };
    let columns = brief(array(DataType::BFloat16));
    let function = open(options(&server.endpoint(), "brief", &[]), columns, 0, 1).await;
    let one = || Value::Array([Value::BFloat16(1.0)].into_iter().collect());
    let error = function
        .predict(&[Value::BFloat16(f32::MAX), one()])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: column 'value': 3.4028235e38 is too large for BFLOAT16, where it would become infinite");
    let too_large = Value::Array([Value::BFloat16(f32::MAX)].into_iter().collect());
    let error = function
        .predict(&[Value::BFloat16(1.0), too_large])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    for value in [f32::INFINITY, f32::NEG_INFINITY] {
        let answer = function.predict(&[Value::BFloat16(value), one()]).await;
        assert_eq!(answer.unwrap().row[0], Value::BFloat16(value));
    }
}
