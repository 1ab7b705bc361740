//! Tensors written as JSON, in the form in which they are read.

use serde_json::{Map, Value, json};
use triton_client::{Datatype, Tensor, TensorError};

/// The outputs of each inference: objects of tensors by their names, without the batch dimension.
///
/// # Errors
///
/// When an output is not divided into as many rows as there were inferences.
pub(crate) fn inferences(
    outputs: &[Tensor],
    batched: bool,
    count: usize,
) -> Result<Vec<Value>, String> {
    let mut objects = vec![Map::new(); count];
    for output in outputs {
        let values = elements(output).map_err(|error| error.to_string())?;
        let (rows, shape) = match (batched, output.shape()) {
            (true, [rows, shape @ ..]) => (*rows, shape),
            (_, shape) => (1, shape),
        };
        if rows != count {
            return Err(format!(
                "output '{}' has the shape {:?}, which does not hold one row for each of {count} \
                 inferences; --full shows it as it is",
                output.name().escape_debug(),
                output.shape()
            ));
        }
        let size: usize = shape.iter().product();
        let mut values = values.into_iter();
        for object in &mut objects {
            let row: Vec<Value> = values.by_ref().take(size).collect();
            object.insert(output.name().to_owned(), nested(row, shape));
        }
    }
    Ok(objects.into_iter().map(Value::Object).collect())
}

/// Each output as it came: name, datatype, whole shape and content.
pub(crate) fn documents(outputs: &[Tensor]) -> Result<Value, TensorError> {
    let outputs = outputs.iter().map(|output| {
        Ok(json!({
            "name": output.name(),
            "datatype": output.datatype().name(),
            "shape": output.shape(),
            "content": nested(elements(output)?, output.shape()),
        }))
    });
    outputs.collect()
}

/// Lists within lists, as deep as the shape has dimensions; without any it is the value itself.
fn nested(values: Vec<Value>, shape: &[usize]) -> Value {
    match shape {
        [] => values.into_iter().next().unwrap_or(Value::Null),
        [_] => Value::Array(values),
        [_, inner @ ..] => {
            let size: usize = inner.iter().product();
            let mut values = values.into_iter();
            let lists = (0..shape[0]).map(|_| {
                let list: Vec<Value> = values.by_ref().take(size).collect();
                nested(list, inner)
            });
            lists.collect()
        }
    }
}

/// The elements one after the other.
fn elements(tensor: &Tensor) -> Result<Vec<Value>, TensorError> {
    macro_rules! values {
        ($type:ty) => {
            tensor
                .values::<$type>()?
                .iter()
                .copied()
                .map(Value::from)
                .collect()
        };
    }
    let elements = match tensor.datatype() {
        Datatype::Bool => values!(bool),
        Datatype::Uint8 => values!(u8),
        Datatype::Uint16 => values!(u16),
        Datatype::Uint32 => values!(u32),
        Datatype::Uint64 => values!(u64),
        Datatype::Int8 => values!(i8),
        Datatype::Int16 => values!(i16),
        Datatype::Int32 => values!(i32),
        Datatype::Int64 => values!(i64),
        Datatype::Fp16 => {
            let values = tensor.values::<half::f16>()?;
            values.iter().map(|value| short(value.to_f32())).collect()
        }
        Datatype::Bf16 => {
            let values = tensor.values::<half::bf16>()?;
            values.iter().map(|value| short(value.to_f32())).collect()
        }
        Datatype::Fp32 => {
            let values = tensor.values::<f32>()?;
            values.iter().copied().map(short).collect()
        }
        Datatype::Fp64 => {
            let values = tensor.values::<f64>()?;
            values.iter().copied().map(number).collect()
        }
        // The only one that is left; one of the server's own is no tensor of a response.
        _ => {
            let texts = tensor.byte_strings()?;
            texts
                .map(|text| String::from_utf8_lossy(text).into_owned().into())
                .collect()
        }
    };
    Ok(elements)
}

/// The number with the fewest digits that is this one as FP32: 0.1, and not 0.10000000149011612.
fn short(value: f32) -> Value {
    let shortest = value.to_string().parse();
    number(shortest.unwrap_or_else(|_| value.into()))
}

fn number(value: f64) -> Value {
    let text = match value {
        _ if value.is_nan() => "NaN",
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        finite => return finite.into(),
    };
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_every_shape_are_told_apart() {
        let sums = Tensor::from_slice("sum", [2, 2, 1], &[0.1_f32, f32::NAN, 1e30, -0.0]).unwrap();
        let names = Tensor::from_byte_strings("name", [2], ["a", "é"]).unwrap();
        let shown = inferences(&[sums.clone(), names], true, 2).unwrap();
        insta::assert_snapshot!(Value::from(shown), @r#"[{"name":"a","sum":[[0.1],["NaN"]]},{"name":"é","sum":[[1e+30],[-0.0]]}]"#);
        let refused = inferences(std::slice::from_ref(&sums), true, 3).unwrap_err();
        insta::assert_snapshot!(refused, @"output 'sum' has the shape [2, 2, 1], which does not hold one row for each of 3 inferences; --full shows it as it is");
        let whole = inferences(std::slice::from_ref(&sums), false, 1).unwrap();
        insta::assert_snapshot!(Value::from(whole), @r#"[{"sum":[[[0.1],["NaN"]],[[1e+30],[-0.0]]]}]"#);
        insta::assert_snapshot!(documents(&[sums]).unwrap(), @r#"[{"content":[[[0.1],["NaN"]],[[1e+30],[-0.0]]],"datatype":"FP32","name":"sum","shape":[2,2,1]}]"#);
        let alone = Tensor::from_slice("one", [], &[7_i64]).unwrap();
        insta::assert_snapshot!(Value::from(inferences(&[alone], false, 1).unwrap()), @r#"[{"one":7}]"#);
    }
}
