//! Rows of one shape, column by column, as tensors lie on the wire.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use triton_client::Tensor;

use crate::row_codec::{self, EncodedCell};
use crate::tensor_plan::{EncodedRow, TensorPlan};
use crate::{Error, Value};

/// Rows that can be sent together, and in any part; parts share the memory of the whole.
#[derive(Debug, Clone)]
pub(crate) struct RowBlock {
    /// `None` for an input that is left out.
    columns: Vec<Option<BlockColumn>>,
    rows: usize,
}

/// The rows of one column.
#[derive(Debug, Clone)]
pub(crate) struct BlockColumn {
    /// The shape of one row, as the tensor wants it.
    pub(crate) shape: Vec<usize>,
    pub(crate) ends: RowEnds,
    pub(crate) data: Bytes,
}

/// Where the bytes of each row end.
#[derive(Debug, Clone)]
pub(crate) enum RowEnds {
    /// Every row has so many bytes.
    Every(usize),
    At(Vec<usize>),
}

impl RowEnds {
    pub(crate) fn bytes(&self, rows: &Range<usize>) -> Range<usize> {
        match self {
            RowEnds::Every(bytes) => rows.start * bytes..rows.end * bytes,
            RowEnds::At(ends) => {
                let before = |row: usize| match row {
                    0 => 0,
                    row => ends[row - 1],
                };
                before(rows.start)..before(rows.end)
            }
        }
    }
}

impl RowBlock {
    pub(crate) fn new(columns: Vec<Option<BlockColumn>>, rows: usize) -> Self {
        Self { columns, rows }
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// The rows that go into a request together, of which it carries no more than so many and, where
    /// that is limited, so many bytes; a row that is larger goes alone.
    pub(crate) fn parts(&self, most_rows: usize, most_bytes: Option<usize>) -> Vec<Range<usize>> {
        let most_rows = most_rows.max(1);
        let bytes = |rows: Range<usize>| -> usize {
            let columns = self.columns.iter().flatten();
            columns.map(|column| column.ends.bytes(&rows).len()).sum()
        };
        let mut parts = Vec::with_capacity(self.rows.div_ceil(most_rows));
        let mut start = 0;
        while start < self.rows {
            let mut end = self.rows.min(start + most_rows);
            if let Some(most) = most_bytes
                && bytes(start..end) > most
            {
                // As many rows as have no more bytes than that, found by halving.
                let (mut fits, mut exceeds) = (start + 1, end);
                while fits + 1 < exceeds {
                    let middle = fits + (exceeds - fits) / 2;
                    match bytes(start..middle) > most {
                        true => exceeds = middle,
                        false => fits = middle,
                    }
                }
                end = fits;
            }
            parts.push(start..end);
            start = end;
        }
        parts
    }

    /// The input tensors of some of the rows.
    pub(crate) fn tensors(
        &self,
        plan: &TensorPlan,
        rows: &Range<usize>,
    ) -> Result<Vec<Tensor>, Error> {
        let columns = plan.inputs.iter().zip(&self.columns);
        let tensors = columns.filter_map(|(planned, column)| {
            let column = column.as_ref()?;
            let batch = plan.batched.then_some(rows.len());
            let shape = batch.into_iter().chain(column.shape.iter().copied());
            let data = column.data.slice(column.ends.bytes(rows));
            Some(planned.tensor(shape.collect(), data))
        });
        tensors.collect()
    }
}

/// A block that is being filled.
#[derive(Debug, Default)]
pub(crate) struct BlockBuilder {
    columns: Vec<Option<ColumnBuilder>>,
    rows: usize,
}

#[derive(Debug)]
struct ColumnBuilder {
    shape: Vec<usize>,
    ends: RowEnds,
    /// The first row, for as long as it is the only one: it is sent from where it is.
    only: Option<Bytes>,
    data: BytesMut,
}

impl ColumnBuilder {
    fn new(shape: &[usize], is_fixed: bool) -> Self {
        Self {
            shape: shape.to_vec(),
            ends: match is_fixed {
                true => RowEnds::Every(0),
                false => RowEnds::At(Vec::new()),
            },
            only: None,
            data: BytesMut::new(),
        }
    }

    fn length(&self) -> usize {
        self.data.len() + self.only.as_ref().map_or(0, Bytes::len)
    }

    /// The bytes to which those of a further row are appended.
    fn bytes(&mut self) -> &mut BytesMut {
        if let Some(only) = self.only.take() {
            self.data.extend_from_slice(&only);
        }
        &mut self.data
    }

    /// The bytes of one more row are there.
    fn ends_row(&mut self) {
        match self.ends {
            RowEnds::Every(bytes) if bytes > 0 => return,
            _ => {}
        }
        let length = self.length();
        match &mut self.ends {
            RowEnds::Every(bytes) => *bytes = length,
            RowEnds::At(ends) => ends.push(length),
        }
    }
}

impl BlockBuilder {
    /// Whether a row has the shape of those that are there.
    pub(crate) fn takes(&self, row: &EncodedRow) -> bool {
        let shapes = self.columns.iter().zip(row.cells());
        self.rows == 0
            || shapes.into_iter().all(|pair| match pair {
                (Some(column), Some(cell)) => column.shape == cell.shape,
                (None, None) => true,
                _ => false,
            })
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// How many bytes the rows have.
    pub(crate) fn bytes(&self) -> usize {
        let columns = self.columns.iter().flatten();
        columns.map(ColumnBuilder::length).sum()
    }

    /// Adds a row of the shape of the others.
    pub(crate) fn push(&mut self, plan: &TensorPlan, row: &EncodedRow) {
        debug_assert!(self.takes(row), "rows of one shape");
        if self.rows == 0 {
            let columns = plan.inputs.iter().zip(row.cells());
            let columns = columns.map(|(planned, cell)| {
                let shape = &cell.as_ref()?.shape;
                Some(ColumnBuilder::new(shape, planned.is_fixed()))
            });
            self.columns = columns.collect();
        }
        for (column, cell) in self.columns.iter_mut().zip(row.cells()) {
            if let (Some(column), Some(EncodedCell { data, .. })) = (column, cell) {
                match self.rows {
                    0 => column.only = Some(data.clone()),
                    _ => column.bytes().extend_from_slice(data),
                }
                column.ends_row();
            }
        }
        self.rows += 1;
    }

    /// Adds a row of scalars of which none is left out, or nothing where one cannot be encoded.
    #[inline]
    pub(crate) fn push_scalars(&mut self, plan: &TensorPlan, row: &[Value]) -> Result<(), Error> {
        if self.rows == 0 {
            let columns = plan.inputs.iter().map(|planned| {
                let shape = planned.scalar_shape();
                Some(ColumnBuilder::new(&shape, planned.is_fixed()))
            });
            self.columns = columns.collect();
        }
        let mut columns = self.columns.iter_mut().zip(&plan.inputs).zip(row);
        let appended = columns.try_for_each(|((column, planned), value)| match column {
            Some(column) => row_codec::append_scalar(column.bytes(), &planned.column, value),
            None => Ok(()),
        });
        if let Err(error) = appended {
            for column in self.columns.iter_mut().flatten() {
                let before = column.ends.bytes(&(0..self.rows)).end;
                column.bytes().truncate(before);
            }
            return Err(error);
        }
        let columns = self.columns.iter_mut().flatten();
        columns.for_each(ColumnBuilder::ends_row);
        self.rows += 1;
        Ok(())
    }

    /// The rows, without those that are `left_out`.
    pub(crate) fn finish(self, left_out: impl Fn(usize) -> bool) -> RowBlock {
        let is_whole = !(0..self.rows).any(&left_out);
        let kept: Vec<usize> = match is_whole {
            true => Vec::new(),
            false => (0..self.rows).filter(|row| !left_out(*row)).collect(),
        };
        let columns = self.columns.into_iter().map(|column| {
            let ColumnBuilder {
                shape,
                ends,
                only,
                data,
            } = column?;
            let whole = BlockColumn {
                shape,
                ends,
                data: only.unwrap_or_else(|| data.freeze()),
            };
            Some(match is_whole {
                true => whole,
                false => whole.rows(&kept),
            })
        });
        RowBlock {
            columns: columns.collect(),
            rows: match is_whole {
                true => self.rows,
                false => kept.len(),
            },
        }
    }
}

impl BlockColumn {
    /// Some of the rows, which are copied unless they follow each other.
    pub(crate) fn rows(&self, rows: &[usize]) -> Self {
        let follows = |pair: &[usize]| pair[0] + 1 == pair[1];
        let (first, count) = (rows.first().copied().unwrap_or_default(), rows.len());
        let is_run = rows.windows(2).all(follows);
        let bytes = |row: usize| self.ends.bytes(&(row..row + 1));
        let ends = match &self.ends {
            RowEnds::Every(bytes) => RowEnds::Every(*bytes),
            RowEnds::At(_) => {
                let ends = rows.iter().scan(0, |end, row| {
                    *end += bytes(*row).len();
                    Some(*end)
                });
                RowEnds::At(ends.collect())
            }
        };
        let data = match is_run {
            true => self.data.slice(self.ends.bytes(&(first..first + count))),
            false => {
                let mut data = BytesMut::new();
                rows.iter()
                    .for_each(|row| data.extend_from_slice(&self.data[bytes(*row)]));
                data.freeze()
            }
        };
        Self {
            shape: self.shape.clone(),
            ends,
            data,
        }
    }
}
