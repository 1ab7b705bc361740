//! Tensors read from JSON: nested lists, or flat ones with a shape.

use half::{bf16, f16};
use serde_json::Value;
use triton_client::Datatype;

/// The elements of a tensor in the binary form of the protocol, and its shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<u8>,
}

/// Reads a tensor whose dimensions, but for the batch, are `dimensions`, -1 where they vary.
pub(crate) fn part(value: &Value, datatype: Datatype, dimensions: &[i64]) -> Result<Part, String> {
    read_part(value, datatype, Some(dimensions))
}

/// Reads a tensor of whose shape nothing is known but what stands here; a single value is the only
/// element of one dimension.
pub(crate) fn untold_part(value: &Value, datatype: Datatype) -> Result<Part, String> {
    read_part(value, datatype, None)
}

/// What an object may have that stands for a tensor.
const MEMBERS: [&str; 3] = ["content", "shape", "datatype"];

fn read_part(
    value: &Value,
    datatype: Datatype,
    dimensions: Option<&[i64]>,
) -> Result<Part, String> {
    let (content, shape) = match value {
        Value::Object(object) => {
            let mut members = object.keys().map(String::as_str);
            if let Some(unknown) = members.find(|name| !MEMBERS.contains(name)) {
                return Err(format!(
                    "expected \"content\" and with it \"shape\" or \"datatype\", found \"{unknown}\""
                ));
            }
            let said = object.get("datatype");
            let named = |said: &Value| said.as_str()?.parse::<Datatype>().ok();
            if let Some(said) = said.filter(|said| named(said) != Some(datatype)) {
                return Err(format!("expected {datatype}, found the datatype {said}"));
            }
            let content = object
                .get("content")
                .ok_or("expected an array or \"content\"")?;
            (content, object.get("shape").map(read_shape).transpose()?)
        }
        other => (other, None),
    };
    let mut elements = Vec::new();
    let nested = flatten(content, 0, &mut elements)?;
    let shape = match (shape, dimensions) {
        (Some(shape), _) => shape,
        (None, Some(dimensions)) => shape_of(nested, elements.len(), dimensions),
        (None, None) if nested.is_empty() => vec![1],
        (None, None) => nested,
    };
    let fits = |dimensions: &&[i64]| {
        shape.len() == dimensions.len()
            && shape
                .iter()
                .zip(*dimensions)
                .all(|(size, dimension)| *dimension < 0 || *size as i64 == *dimension)
    };
    if let Some(dimensions) = dimensions.filter(|dimensions| !fits(dimensions)) {
        return Err(format!(
            "expected the shape {dimensions:?}, found {shape:?}"
        ));
    }
    if size_of(&shape) != Some(elements.len()) {
        let count = elements.len();
        return Err(format!(
            "the shape {shape:?} does not hold {count} elements"
        ));
    }
    let mut data = Vec::new();
    for element in elements {
        write(&mut data, element, datatype)?;
    }
    Ok(Part { shape, data })
}

/// How many elements a shape holds, if memory could.
fn size_of(shape: &[usize]) -> Option<usize> {
    let mut lengths = shape.iter();
    lengths.try_fold(1_usize, |size, length| size.checked_mul(*length))
}

fn read_shape(value: &Value) -> Result<Vec<usize>, String> {
    let sizes = value.as_array().ok_or("\"shape\" is no array")?;
    let sizes = sizes
        .iter()
        .map(|size| size.as_u64().map(|size| size as usize));
    sizes
        .collect::<Option<_>>()
        .ok_or_else(|| "\"shape\" holds something else than sizes".to_owned())
}

/// A flat list may stand for every shape that holds as many elements.
fn shape_of(nested: Vec<usize>, count: usize, dimensions: &[i64]) -> Vec<usize> {
    let known: Option<Vec<usize>> = dimensions
        .iter()
        .map(|dimension| usize::try_from(*dimension).ok())
        .collect();
    match known {
        Some(known) if nested.len() <= 1 && size_of(&known) == Some(count) => known,
        // A single value for the one element of a list.
        _ if nested.is_empty() && dimensions.len() == 1 => vec![1],
        _ => nested,
    }
}

/// Appends the elements of nested lists, and returns their lengths from the outside in.
fn flatten<'a>(
    value: &'a Value,
    depth: usize,
    elements: &mut Vec<&'a Value>,
) -> Result<Vec<usize>, String> {
    let Value::Array(items) = value else {
        elements.push(value);
        return Ok(Vec::new());
    };
    // Deeper ones are no tensors, and would cost the stack.
    if depth > 16 {
        return Err("the lists are nested too deeply".to_owned());
    }
    let mut inner: Option<Vec<usize>> = None;
    for item in items {
        let shape = flatten(item, depth + 1, elements)?;
        if inner.get_or_insert_with(|| shape.clone()) != &shape {
            return Err("lists within a list must have one length".to_owned());
        }
    }
    let mut shape = vec![items.len()];
    shape.extend(inner.unwrap_or_default());
    Ok(shape)
}

fn write(data: &mut Vec<u8>, element: &Value, datatype: Datatype) -> Result<(), String> {
    let wrong = || format!("expected {datatype}, found {element}");
    let whole = || {
        let number = element.as_i64().map(i128::from);
        let number = number.or_else(|| element.as_u64().map(i128::from));
        // What is written -0 is read as a fraction, as no whole number has a sign of zero.
        number.or_else(|| (element.as_f64()? == 0.0).then_some(0))
    };
    // As in the files of `predict`: no finite number becomes infinite, and no whole one another.
    let float = |kept: fn(f64) -> f64| {
        // JSON has no numbers for these, so they are texts in what the command writes, too.
        match element.as_str() {
            Some("NaN") => return Ok(f64::NAN),
            Some("Infinity") => return Ok(f64::INFINITY),
            Some("-Infinity") => return Ok(f64::NEG_INFINITY),
            _ => {}
        }
        let number = element.as_f64().ok_or_else(wrong)?;
        let becomes = kept(number);
        if !becomes.is_finite() {
            return Err(format!("{}, which is too large for it", wrong()));
        }
        match whole().is_none_or(|whole| becomes as i128 == whole) {
            true => Ok(number),
            false => Err(format!(
                "{}, a whole number that the datatype does not hold exactly; with a decimal point it \
                 means the nearest one",
                wrong()
            )),
        }
    };
    macro_rules! integer {
        ($type:ty) => {{
            let number = whole().and_then(|number| <$type>::try_from(number).ok());
            data.extend(number.ok_or_else(wrong)?.to_le_bytes());
        }};
    }
    match datatype {
        Datatype::Bool => data.push(u8::from(element.as_bool().ok_or_else(wrong)?)),
        Datatype::Uint8 => integer!(u8),
        Datatype::Uint16 => integer!(u16),
        Datatype::Uint32 => integer!(u32),
        Datatype::Uint64 => integer!(u64),
        Datatype::Int8 => integer!(i8),
        Datatype::Int16 => integer!(i16),
        Datatype::Int32 => integer!(i32),
        Datatype::Int64 => integer!(i64),
        Datatype::Fp16 => {
            let number = float(|number| f16::from_f64(number).to_f64())?;
            data.extend(f16::from_f64(number).to_le_bytes());
        }
        Datatype::Bf16 => {
            let number = float(|number| bf16::from_f64(number).to_f64())?;
            data.extend(bf16::from_f64(number).to_le_bytes());
        }
        Datatype::Fp32 => {
            let number = float(|number| f64::from(number as f32))?;
            data.extend((number as f32).to_le_bytes());
        }
        Datatype::Fp64 => data.extend(float(|number| number)?.to_le_bytes()),
        Datatype::Bytes => {
            let text = element.as_str().ok_or_else(wrong)?;
            let length = u32::try_from(text.len()).map_err(|_| "the text is too long")?;
            data.extend(length.to_le_bytes());
            data.extend(text.as_bytes());
        }
        other => return Err(format!("a tensor of {other} cannot be written as JSON")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "the tests write values in place"
    )]
    fn read(value: Value, datatype: Datatype, dimensions: &[i64]) -> Result<Part, String> {
        part(&value, datatype, dimensions)
    }

    #[test]
    fn nested_flat_and_single_values_are_read() {
        let nested = read(json!([[1, 2], [3, 4]]), Datatype::Int8, &[-1, 2]).unwrap();
        assert_eq!((nested.shape, nested.data), (vec![2, 2], vec![1, 2, 3, 4]));
        let flat = read(json!([1, 2, 3, 4]), Datatype::Uint8, &[2, 2]).unwrap();
        assert_eq!(flat.shape, [2, 2]);
        let shaped = json!({"content": [1, 2], "shape": [2, 1]});
        assert_eq!(
            read(shaped, Datatype::Uint8, &[-1, -1]).unwrap().shape,
            [2, 1]
        );
        let single = read(json!(2.5), Datatype::Fp32, &[1]).unwrap();
        assert_eq!(
            (single.shape, single.data),
            (vec![1], 2.5_f32.to_le_bytes().to_vec())
        );
        let text = read(json!(["ab"]), Datatype::Bytes, &[-1]).unwrap();
        assert_eq!(text.data, [2, 0, 0, 0, b'a', b'b']);
        let single = untold_part(&json!({"content": 2}), Datatype::Uint8).unwrap();
        assert_eq!((single.shape, single.data), (vec![1], vec![2]));
        let nested = untold_part(&json!([[1, 2]]), Datatype::Uint8).unwrap();
        assert_eq!(nested.shape, [1, 2]);
        let half = read(json!([1.0]), Datatype::Fp16, &[1]).unwrap();
        assert_eq!(half.data, [0, 0x3c]);
        let infinite = read(json!(["-Infinity"]), Datatype::Fp16, &[1]).unwrap();
        assert_eq!(infinite.data, [0, 0xfc]);
    }

    #[test]
    fn no_number_becomes_another_one() {
        let error = |value, datatype| read(json!([value]), datatype, &[1]).unwrap_err();
        insta::assert_snapshot!(error(json!(1e39), Datatype::Fp32), @"expected FP32, found 1e+39, which is too large for it");
        insta::assert_snapshot!(error(json!(70000), Datatype::Fp16), @"expected FP16, found 70000, which is too large for it");
        insta::assert_snapshot!(error(json!(16_777_217), Datatype::Fp32), @"expected FP32, found 16777217, a whole number that the datatype does not hold exactly; with a decimal point it means the nearest one");
        for (value, datatype) in [
            (json!(9_007_199_254_740_993_i64), Datatype::Fp64),
            (json!(-2049), Datatype::Fp16),
            (json!(257), Datatype::Bf16),
            (json!(-1e39), Datatype::Bf16),
            (json!(u64::MAX), Datatype::Fp64),
        ] {
            assert!(!error(value.clone(), datatype).is_empty(), "{value}");
        }
        for (value, datatype) in [
            (json!(16_777_217.0), Datatype::Fp32),
            (json!(0.1), Datatype::Fp16),
            (json!(1_u64 << 63), Datatype::Fp32),
            (json!(-256), Datatype::Bf16),
            (json!(-0.0), Datatype::Int32),
            (json!(-0.0), Datatype::Fp16),
            (json!("Infinity"), Datatype::Fp32),
        ] {
            assert!(read(json!([value]), datatype, &[1]).is_ok(), "{value}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error =
            |value, datatype, dimensions: &[i64]| read(value, datatype, dimensions).unwrap_err();
        insta::assert_snapshot!(error(json!([300]), Datatype::Int8, &[1]), @"expected INT8, found 300");
        insta::assert_snapshot!(error(json!(["a"]), Datatype::Fp32, &[1]), @r#"expected FP32, found "a""#);
        insta::assert_snapshot!(error(json!([1, 2, 3]), Datatype::Int8, &[2]), @"expected the shape [2], found [3]");
        insta::assert_snapshot!(error(json!([[1], [1, 2]]), Datatype::Int8, &[-1, -1]), @"lists within a list must have one length");
        insta::assert_snapshot!(error(json!({"content": [1], "shape": [3]}), Datatype::Int8, &[-1]), @"the shape [3] does not hold 1 elements");
        insta::assert_snapshot!(error(json!({"content": [1], "datatype": "INT16"}), Datatype::Int8, &[1]), @r#"expected INT8, found the datatype "INT16""#);
        insta::assert_snapshot!(error(json!({"content": [1], "shpae": [1]}), Datatype::Int8, &[1]), @r#"expected "content" and with it "shape" or "datatype", found "shpae""#);
        let huge = json!({"content": [1], "shape": [1_u64 << 33, 1_u64 << 33]});
        insta::assert_snapshot!(error(huge, Datatype::Int8, &[-1, -1]), @"the shape [8589934592, 8589934592] does not hold 1 elements");
    }
}
