//! What arrays are, however they are kept.

use half::f16;

use super::*;

fn values(numbers: &[f32]) -> Vec<Value> {
    numbers.iter().copied().map(Value::Float).collect()
}

#[test]
fn values_of_one_type_are_packed() {
    let array = Array::from(values(&[1.0, 2.5]));
    assert_eq!(array.values::<f32>().unwrap(), [1.0, 2.5].as_slice());
    assert_eq!(array.values::<f64>(), None);
    assert_eq!((array.shape(), array.len()), (Some(&[2][..]), 2));
    assert_eq!(array.iter().collect::<Vec<_>>(), values(&[1.0, 2.5]));
    assert_eq!(format!("{array:?}"), "[Float(1.0), Float(2.5)]");
}

#[test]
fn arrays_of_one_shape_are_packed_and_come_apart_again() {
    let inner = |first: i64| Value::from(vec![first, first + 1]);
    let array = Array::from(vec![inner(1), inner(3), inner(5)]);
    assert_eq!(array.shape(), Some(&[3, 2][..]));
    assert_eq!(
        array.values::<i64>().unwrap(),
        [1, 2, 3, 4, 5, 6].as_slice()
    );
    assert_eq!(array.iter().nth(1), Some(inner(3)));
    assert_eq!(array.iter().len(), 3);
    let same = Array::with_shape(vec![1_i64, 2, 3, 4, 5, 6], [3, 2]).unwrap();
    assert_eq!(array, same);

    let texts = |texts: &[&str]| {
        let texts = texts.iter().map(|text| Value::String((*text).to_owned()));
        Value::Array(texts.collect())
    };
    let array = Array::from(vec![texts(&["a", "größe"]), texts(&["", "b"])]);
    assert_eq!(array.shape(), Some(&[2, 2][..]));
    assert_eq!(array.iter().collect::<Vec<_>>()[1], texts(&["", "b"]));
}

#[test]
fn what_is_no_tensor_keeps_its_values() {
    let null = Array::from(vec![Value::Float(1.0), Value::Null]);
    assert_eq!((null.shape(), null.holds_null()), (None, true));
    let ragged = vec![Value::from(vec![1_i32]), Value::from(vec![1_i32, 2])];
    let array = Array::from(ragged.clone());
    assert_eq!((array.shape(), array.holds_null()), (None, false));
    assert_eq!(array.iter().collect::<Vec<_>>(), ragged);
    let mixed = Array::from(vec![Value::Integer(1), Value::BigInt(1)]);
    assert_eq!(mixed.shape(), None);
    let within = Array::from(vec![Value::Array(null)]);
    assert!(within.holds_null());
}

#[test]
fn arrays_are_equal_when_their_elements_are() {
    let typed = Array::from(Vec::<f32>::new());
    let untyped = Array::from(Vec::<Value>::new());
    assert_eq!(typed, untyped);
    assert!(typed.is_empty() && untyped.is_empty());
    let nan = Array::from(vec![f32::NAN]);
    assert_ne!(nan, nan.clone());
    assert_eq!(Array::from(vec![0.0_f32]), Array::from(vec![-0.0_f32]));
    assert_ne!(Array::from(vec![1_i32]), Array::from(vec![1_i64]));
    let halves = Array::from(vec![Value::Float16(0.5)]);
    assert_eq!(halves, Array::from(vec![f16::from_f32(0.5)]));
}

#[test]
fn a_shape_must_hold_the_values() {
    insta::assert_snapshot!(Array::with_shape(vec![1.0_f32; 5], [2, 3]).unwrap_err(), @"tensor 'array': shape [2, 3] does not hold 5 elements");
    insta::assert_snapshot!(Array::with_shape(vec![1.0_f32], []).unwrap_err(), @"an array has at least one dimension");
}

#[test]
fn an_element_is_found_by_its_place() {
    let texts: Array = ["a", "größe", ""]
        .map(|text| Value::String(text.into()))
        .into_iter()
        .collect();
    assert_eq!(texts.get(1), Some(Value::String("größe".into())));
    assert_eq!((texts.get(3), texts.get(7)), (None, None));
    let matrix = Array::with_shape(vec![1_i32, 2, 3, 4, 5, 6], [3, 2]).unwrap();
    assert_eq!(matrix.get(2), Some(Value::from(vec![5, 6])));
    let loose = Array::from(vec![Value::Null, Value::Boolean(true)]);
    assert_eq!(
        (loose.get(1), loose.get(2)),
        (Some(Value::Boolean(true)), None)
    );
}

#[test]
fn raw_elements_are_checked() {
    let raw = |scalar: DataType, data: &[u8]| Array::from_raw(&scalar, [1], data.to_vec());
    assert_eq!(
        raw(DataType::Boolean, &[1]).unwrap().get(0),
        Some(Value::Boolean(true))
    );
    insta::assert_snapshot!(raw(DataType::Boolean, &[2]).unwrap_err(), @"tensor 'array': its bytes are not whole BOOL elements");
    insta::assert_snapshot!(raw(DataType::String, &[1, 0, 0, 0, 255]).unwrap_err(), @"element 0 is not UTF-8, which a STRING must be; make the column BYTES");
    insta::assert_snapshot!(raw(DataType::Float, &[0, 0]).unwrap_err(), @"tensor 'array': its bytes are not whole FP32 elements");
}
