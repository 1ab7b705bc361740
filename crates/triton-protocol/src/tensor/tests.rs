//! Tensors against shapes, alignments and datatypes.

use super::*;

#[test]
fn a_shape_must_hold_exactly_the_elements() {
    let tensor = Tensor::from_slice("x", [2, 3], &[1_i32, 2, 3, 4, 5, 6]).unwrap();
    assert_eq!(tensor.raw().len(), 24);
    let error = Tensor::from_slice("x", [2, 2], &[1_i32]).unwrap_err();
    insta::assert_snapshot!(error, @"tensor 'x': shape [2, 2] does not hold 1 elements");
    assert!(Tensor::from_slice("x", [usize::MAX, 2], &[1_i32, 2]).is_err());
    assert!(Tensor::from_slice::<f32>("x", [0, 7], &[]).is_ok());
    let error = Tensor::from_slice::<f32>("x", [1 << 21, 0], &[]).unwrap_err();
    insta::assert_snapshot!(error, @"tensor 'x': shape [2097152, 0] holds no elements, so its other sizes may be at most 1048576 before the first 0 and 18446744073709551615 in all, each times the others");
    let error = Tensor::from_slice("x", vec![1; 101], &[1_i32]).unwrap_err();
    insta::assert_snapshot!(error, @"tensor 'x': shape [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]… has 101 dimensions, expected at most 100");
    let error = Tensor::from_slice("x", vec![2; 40], &[1_i32]).unwrap_err();
    insta::assert_snapshot!(error, @"tensor 'x': shape [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]… does not hold 1 elements");
}

#[test]
fn a_scalar_has_an_empty_shape() {
    assert!(Tensor::from_slice("x", [], &[1.5_f64]).is_ok());
}

#[test]
fn values_are_read_from_unaligned_memory_too() {
    let aligned = Tensor::from_slice("x", [3], &[1.0_f64, -2.0, f64::INFINITY]).unwrap();
    for offset in 0..2 {
        let mut padded = vec![0_u8; offset];
        padded.extend_from_slice(aligned.raw());
        let data = Bytes::from(padded).slice(offset..);
        let tensor = Tensor::from_raw("x", Datatype::Fp64, [3], data).unwrap();
        assert_eq!(*tensor.values::<f64>().unwrap(), [1.0, -2.0, f64::INFINITY]);
    }
}

#[test]
fn a_bool_other_than_0_and_1_is_malformed() {
    let data = Bytes::from_static(&[0, 1, 2]);
    let tensor = Tensor::from_raw("flag", Datatype::Bool, [3], data).unwrap();
    insta::assert_snapshot!(tensor.values::<bool>().unwrap_err(), @"tensor 'flag': its bytes are not whole BOOL elements");
}

#[test]
fn a_tensor_is_read_only_as_what_it_is() {
    let tensor = Tensor::from_slice("x", [1], &[1_u8]).unwrap();
    insta::assert_snapshot!(tensor.values::<i8>().unwrap_err(), @"tensor 'x': expected datatype INT8, found UINT8");
    assert!(tensor.byte_strings().is_err());
}

#[test]
fn byte_strings_may_be_empty_and_need_not_be_text() {
    let values: [&[u8]; 3] = [b"", b"\xff\0", b"abc"];
    let tensor = Tensor::from_byte_strings("b", [3], values).unwrap();
    assert_eq!(tensor.byte_strings().unwrap().collect::<Vec<_>>(), values);
    let cut = tensor.raw().slice(..tensor.raw().len() - 1);
    assert!(Tensor::from_raw("b", Datatype::Bytes, [3], cut).is_err());
}

#[test]
fn a_vector_is_taken_as_it_is() {
    let values = vec![1_u64, 2, 3];
    let address = values.as_ptr().addr();
    let tensor = Tensor::from_vec("x", [3], values).unwrap();
    assert_eq!(tensor.raw().as_ptr().addr(), address);
    assert!(matches!(
        tensor.values::<u64>().unwrap(),
        Cow::Borrowed([1, 2, 3])
    ));
}

#[cfg(feature = "half")]
#[test]
fn half_precision_numbers_are_elements() {
    use half::{bf16, f16};

    let tensor = Tensor::from_vec("x", [2], vec![f16::ONE, f16::MAX]).unwrap();
    assert_eq!(
        (tensor.datatype(), &tensor.raw()[..2]),
        (Datatype::Fp16, &[0, 0x3c][..])
    );
    assert_eq!(*tensor.values::<f16>().unwrap(), [f16::ONE, f16::MAX]);
    let tensor = Tensor::from_slice("x", [1], &[bf16::ONE]).unwrap();
    assert_eq!(
        (tensor.datatype(), &tensor.raw()[..]),
        (Datatype::Bf16, &[0x80, 0x3f][..])
    );
}
