//! A column and the tensor that it was found to be.

use triton_client::Tensor;

use crate::{Column, Error, ErrorKind};

/// A column and the tensor that it is.
#[derive(Debug)]
pub(crate) struct PlannedColumn {
    pub(crate) column: Column,
    pub(crate) tensor_name: String,
    /// The dimensions of the tensor, without the one for the batch.
    pub(super) dimensions: Vec<i64>,
    /// Whether the array has one dimension although the tensor has several, which are all known.
    pub(super) is_flat: bool,
    /// Whether the input is left out where the row has NULL.
    pub(super) is_optional: bool,
}

impl PlannedColumn {
    /// A column of a tensor of its name.
    #[cfg(test)]
    pub(crate) fn of(column: Column, dimensions: &[i64]) -> Self {
        Self {
            tensor_name: column.name.clone(),
            is_flat: column.data_type.rank() == 1 && dimensions.len() > 1,
            is_optional: false,
            dimensions: dimensions.to_vec(),
            column,
        }
    }

    /// How many bytes a value has at least, as far as the model says how large it is.
    pub(super) fn known_bytes(&self) -> usize {
        let sizes = self.dimensions.iter();
        let sizes = sizes.map(|size| usize::try_from(*size).unwrap_or(1));
        let elements = sizes.fold(1, usize::saturating_mul);
        let element = self.column.data_type.tensor_datatype().element_size();
        elements.saturating_mul(element.unwrap_or(1))
    }

    /// Whether all elements have the same number of bytes.
    pub(crate) fn is_fixed(&self) -> bool {
        let datatype = self.column.data_type.tensor_datatype();
        datatype.element_size().is_some()
    }

    /// Whether the array has one dimension although the tensor has several, which are all known.
    pub(crate) fn is_flat(&self) -> bool {
        self.is_flat
    }

    /// Why a tensor of this shape is not the one that the model says it has, if it is not: its
    /// elements would be taken for others.
    ///
    /// The number of dimensions is not looked at, because that follows from the column.
    pub(crate) fn contradiction(&self, shape: &[usize]) -> Option<String> {
        let is_known = |size: i64, found: usize| size <= 0 || usize::try_from(size) == Ok(found);
        let dimensions = &self.dimensions;
        let mut pairs = dimensions.iter().zip(shape);
        let fits = match self.is_flat {
            // Their order is the same where there is one dimension.
            true if shape.len() == 1 => is_known(self.elements(), shape[0]),
            true => {
                dimensions.len() == shape.len() && pairs.all(|(it, found)| is_known(*it, *found))
            }
            false => {
                dimensions.len() != shape.len() || pairs.all(|(it, found)| is_known(*it, *found))
            }
        };
        (!fits).then(|| format!("the model says that its shape is {dimensions:?}, found {shape:?}"))
    }

    /// How long the arrays of a value are, from the outermost inwards, where the model says so.
    #[cfg(feature = "arrow")]
    pub(crate) fn array_sizes(&self) -> Vec<Option<i32>> {
        let known = |size: &i64| i32::try_from(*size).ok().filter(|size| *size > 0);
        match (self.column.data_type.rank(), self.is_flat) {
            (0, _) => Vec::new(),
            (_, true) => vec![known(&self.elements())],
            _ => self.dimensions.iter().map(known).collect(),
        }
    }

    /// How many elements the dimensions hold; a server may name any, so the count ends at the largest
    /// number.
    fn elements(&self) -> i64 {
        let sizes = self.dimensions.iter();
        sizes.fold(1, |count, size| count.saturating_mul(*size))
    }

    /// Whether NULL leaves the input out.
    pub(crate) fn is_optional(&self) -> bool {
        self.is_optional
    }

    /// The shape of a scalar, which is the only element of its tensor.
    pub(crate) fn scalar_shape(&self) -> Vec<usize> {
        vec![1; self.dimensions.len()]
    }

    /// Brings the shape of a row's value to that of the tensor, or says why it cannot be.
    pub(crate) fn fit(&self, shape: &mut Vec<usize>) -> Result<(), Error> {
        if self.column.data_type.rank() == 0 {
            *shape = self.scalar_shape();
        }
        // Agreed at open: the array carries a batch dimension that the model lacks.
        if shape.len() == self.dimensions.len() + 1 && shape[0] == 1 {
            shape.remove(0);
        }
        if self.is_flat {
            let dimensions = self
                .dimensions
                .iter()
                .map(|size| usize::try_from(*size).ok());
            let dimensions = dimensions.collect::<Option<Vec<_>>>().unwrap_or_default();
            let count = dimensions
                .iter()
                .fold(1, |count: usize, size| count.saturating_mul(*size));
            if *shape == [count] {
                *shape = dimensions;
                return Ok(());
            }
            let message = format!(
                "column '{}': the model takes shape {:?}, which are {count} elements, found {}",
                self.column.name,
                self.dimensions,
                shape.first().copied().unwrap_or_default()
            );
            return Err(Error::new(ErrorKind::Input, message));
        }
        let fits = shape.len() == self.dimensions.len()
            && shape
                .iter()
                .zip(&self.dimensions)
                .all(|(found, expected)| *expected < 0 || usize::try_from(*expected) == Ok(*found));
        if fits {
            return Ok(());
        }
        let message = format!(
            "column '{}': the model takes shape {:?}, found {shape:?}",
            self.column.name, self.dimensions
        );
        Err(Error::new(ErrorKind::Input, message))
    }

    /// An input tensor of this column.
    pub(crate) fn tensor(&self, shape: Vec<usize>, data: bytes::Bytes) -> Result<Tensor, Error> {
        let datatype = self.column.data_type.tensor_datatype();
        let tensor = Tensor::from_raw(&self.tensor_name, datatype, shape, data);
        tensor.map_err(|error| {
            let message = format!("column '{}': {error}", self.column.name);
            Error::new(ErrorKind::Input, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_without_a_product_fit_nothing() {
        let array = crate::DataType::Array(Box::new(crate::DataType::Integer));
        let column = Column::new("x", array);
        let planned = PlannedColumn::of(column, &[1 << 62, 1 << 62]);
        assert!(planned.contradiction(&[4]).is_some());
        assert!(planned.fit(&mut vec![4]).is_err());
    }
}
