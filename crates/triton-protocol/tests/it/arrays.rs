//! Tensors from and into arrays of any layout and any number of dimensions.

use ndarray::{Array, Array1, Array3, ArrayD, Axis, Ix2, IxDyn, Slice, arr0, array};
use triton_protocol::{Datatype, Tensor};

#[test]
fn an_array_lends_its_memory_where_it_is_row_major() {
    let array = Array3::<f32>::from_shape_fn((2, 3, 4), |(i, j, k)| (100 * i + 10 * j + k) as f32);
    let address = array.as_ptr().addr();
    let tensor = Tensor::from_array("x", array.clone());
    assert_ne!(tensor.raw().as_ptr().addr(), address);
    let tensor = Tensor::from_array("x", array);
    assert_eq!(tensor.raw().as_ptr().addr(), address);
    assert_eq!(
        (tensor.shape(), tensor.datatype()),
        (&[2, 3, 4][..], Datatype::Fp32)
    );
    let back = tensor.into_array::<f32>().unwrap();
    assert_eq!((back.as_ptr().addr(), back[[1, 2, 3]]), (address, 123.0));
}

#[test]
fn other_layouts_are_copied_row_major() {
    let array = array![[1_i64, 2, 3], [4, 5, 6]];
    let values = |tensor: Tensor| tensor.into_vec::<i64>().unwrap();
    assert_eq!(
        values(Tensor::from_array("x", array.t())),
        [1, 4, 2, 5, 3, 6]
    );
    assert_eq!(
        values(Tensor::from_array(
            "x",
            array.slice_axis(Axis(1), Slice::new(0, None, -2))
        )),
        [3, 1, 6, 4]
    );
    let column = array.index_axis(Axis(1), 1);
    assert_eq!(values(Tensor::from_array("x", column)), [2, 5]);
    assert_eq!(
        values(Tensor::from_array("x", array.to_shared())),
        [1, 2, 3, 4, 5, 6]
    );
    let repeated = array.row(0);
    let repeated = repeated.broadcast((2, 3)).unwrap();
    assert_eq!(
        values(Tensor::from_array("x", repeated)),
        [1, 2, 3, 1, 2, 3]
    );
    // It is row-major, and its vector holds more than it.
    let mut below = array.clone();
    below.slice_axis_inplace(Axis(0), Slice::from(1..));
    assert_eq!(values(Tensor::from_array("x", below)), [4, 5, 6]);
    let mut above = array;
    above.slice_axis_inplace(Axis(0), Slice::from(..1));
    assert_eq!(values(Tensor::from_array("x", above)), [1, 2, 3]);
}

#[test]
fn any_number_of_dimensions_will_do() {
    assert_eq!(Tensor::from_array("x", arr0(true)).shape(), [0_usize; 0]);
    assert_eq!(Tensor::from_array("x", Array1::<u8>::zeros(0)).shape(), [0]);
    let array = ArrayD::<f64>::zeros(IxDyn(&[1, 0, 2, 1, 1, 1, 1]));
    let tensor = Tensor::from_array("x", array.clone());
    assert_eq!(tensor.to_array::<f64>().unwrap(), array);
    let tensor = Tensor::from_slice("x", [2, 2], &[1_u16, 2, 3, 4]).unwrap();
    let array = tensor.to_array::<u16>().unwrap();
    assert_eq!(
        array.into_dimensionality::<Ix2>().unwrap(),
        array![[1, 2], [3, 4]]
    );
}

#[test]
fn what_is_no_array_is_an_error() {
    let tensor = Tensor::from_slice("x", [1], &[1_u8]).unwrap();
    assert!(tensor.to_array::<i8>().is_err());
    let tensor = Tensor::from_slice::<u8>("x", [0, usize::MAX], &[]).unwrap();
    insta::assert_snapshot!(tensor.to_array::<u8>().unwrap_err(), @"tensor 'x': shape [0, 18446744073709551615] does not hold 0 elements");
}

#[test]
fn the_fortran_order_is_taken_for_what_it_means() {
    use ndarray::ShapeBuilder as _;
    let array = Array::from_shape_vec((2, 2).f(), vec![1_i8, 2, 3, 4]).unwrap();
    assert_eq!(Tensor::from_array("x", array).raw()[..], [1, 3, 2, 4]);
}
