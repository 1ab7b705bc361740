//! Tensors as arrays of `ndarray`, in any number of dimensions.

use std::collections::BTreeMap;

use ndarray::{ArrayBase, ArrayD, Data, Dimension, IxDyn};

use super::{Elements, Tensor};
use crate::{TensorElement, TensorError};

impl Tensor {
    /// A tensor of the elements of an array, or of a view of one.
    ///
    /// An array of your own that lies row-major in memory is sent from where it is. Another, for
    /// example a transposed one, and a view are copied.
    ///
    /// ```
    /// use ndarray::array;
    /// use triton_protocol::Tensor;
    ///
    /// let pairs = array![[1.0_f32, 2.0], [3.0, 4.0]];
    /// let tensor = Tensor::from_array("value", pairs.t());
    /// assert_eq!(*tensor.values::<f32>()?, [1.0, 3.0, 2.0, 4.0]);
    /// let tensor = Tensor::from_array("value", pairs);
    /// assert_eq!(tensor.shape(), [2, 2]);
    /// # Ok::<(), triton_protocol::TensorError>(())
    /// ```
    #[must_use]
    pub fn from_array<T, S, D>(name: impl Into<String>, array: ArrayBase<S, D>) -> Self
    where
        T: TensorElement,
        S: Data<Elem = T>,
        D: Dimension,
    {
        let shape = array.shape().to_vec();
        let array = array.into_owned();
        let (is_row_major, count) = (array.is_standard_layout(), array.len());
        // The vector of an array that was sliced holds more than the array.
        let is_whole = |vector: &Vec<T>, offset: Option<usize>| {
            vector.len() == count && offset.is_none_or(|offset| offset == 0)
        };
        let values = match is_row_major {
            false => array.iter().copied().collect(),
            true => match array.into_raw_vec_and_offset() {
                (vector, offset) if is_whole(&vector, offset) => vector,
                (vector, offset) => {
                    let start = offset.unwrap_or(0);
                    vector[start..start + count].to_vec()
                }
            },
        };
        Self {
            name: name.into(),
            datatype: T::DATATYPE,
            shape,
            elements: Elements::from_vec(values),
            parameters: BTreeMap::new(),
        }
    }

    /// The elements as an array of a copy of them.
    ///
    /// # Errors
    ///
    /// Those of [`values`](Self::values), and [`TensorError::ElementCount`] when an empty tensor
    /// has a shape that no array can have.
    ///
    /// ```
    /// # let tensor = triton_protocol::Tensor::from_slice("x", [2, 2], &[1.0_f32, 2.0, 3.0, 4.0])?;
    /// let array = tensor.to_array::<f32>()?.into_dimensionality::<ndarray::Ix2>()?;
    /// assert_eq!(array[[1, 0]], 3.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_array<T: TensorElement>(&self) -> Result<ArrayD<T>, TensorError> {
        self.clone().into_array()
    }

    /// The elements as an array, which takes the tensor's memory as
    /// [`into_vec`](Self::into_vec) does.
    ///
    /// # Errors
    ///
    /// Those of [`to_array`](Self::to_array).
    ///
    /// ```
    /// use ndarray::{Array2, arr2};
    ///
    /// let tensor = triton_protocol::Tensor::from_array("x", Array2::<f64>::eye(2));
    /// assert_eq!(tensor.into_array::<f64>()?, arr2(&[[1.0, 0.0], [0.0, 1.0]]).into_dyn());
    /// # Ok::<(), triton_protocol::TensorError>(())
    /// ```
    pub fn into_array<T: TensorElement>(self) -> Result<ArrayD<T>, TensorError> {
        let (name, shape) = (self.name.clone(), self.shape.clone());
        let values = self.into_vec::<T>()?;
        let found = values.len();
        ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(|_| TensorError::ElementCount {
            name,
            shape,
            found,
        })
    }
}
