//! What is measured: an echo of few or many numbers, in either form, alone or beside others.

use crate::values;

/// In which form tensors travel, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// After the JSON, as bytes.
    Binary,
    /// As numbers within the JSON.
    Json,
}

impl Format {
    /// The word for it, as the programs take it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Json => "json",
        }
    }
}

/// How rows meet the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Each in a request of its own.
    Alone,
    /// So many of them in a request.
    Batched(usize),
    /// Each in a request of its own, in turn in so many sequences.
    Keyed(usize),
}

/// One kind of request, sent over and over.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// How it is called on the command line and in the table.
    pub name: &'static str,
    /// The model of the instant server.
    pub model: &'static str,
    /// How many FP32 of a row go there and come back.
    pub elements: usize,
    /// The form of both tensors.
    pub format: Format,
    /// What a request carries. What is not alone is measured of the function only.
    pub lane: Lane,
    /// How many requests wait for their answers at once.
    pub in_flight: usize,
    /// The requests of a round: enough for about a tenth of a second of this client.
    pub requests: usize,
}

impl Case {
    /// The case of that name.
    pub fn named(name: &str) -> Option<&'static Case> {
        CASES.iter().find(|case| case.name == name)
    }

    /// The shape of both tensors.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows(), self.elements]
    }

    /// The rows of a request.
    pub fn rows(&self) -> usize {
        match self.lane {
            Lane::Alone | Lane::Keyed(_) => 1,
            Lane::Batched(rows) => rows,
        }
    }

    /// The values of a request, row by row.
    pub fn values(&self) -> Vec<f32> {
        values(self.rows() * self.elements)
    }
}

/// The values of a picture of 224 × 224 points in three colours.
const PICTURE: usize = 150_528;

/// All cases, in the order of the table.
pub const CASES: &[Case] = &[
    Case {
        name: "small-binary",
        model: "small",
        elements: 1,
        format: Format::Binary,
        lane: Lane::Alone,
        in_flight: 1,
        requests: 2000,
    },
    Case {
        name: "small-json",
        model: "small",
        elements: 1,
        format: Format::Json,
        lane: Lane::Alone,
        in_flight: 1,
        requests: 2000,
    },
    Case {
        name: "small-binary-16",
        model: "small",
        elements: 1,
        format: Format::Binary,
        lane: Lane::Alone,
        in_flight: 16,
        requests: 4000,
    },
    Case {
        name: "small-json-16",
        model: "small",
        elements: 1,
        format: Format::Json,
        lane: Lane::Alone,
        in_flight: 16,
        requests: 4000,
    },
    Case {
        name: "row-binary-16",
        model: "row",
        elements: 8,
        format: Format::Binary,
        lane: Lane::Alone,
        in_flight: 16,
        requests: 4000,
    },
    Case {
        name: "large-binary",
        model: "large",
        elements: PICTURE,
        format: Format::Binary,
        lane: Lane::Alone,
        in_flight: 1,
        requests: 600,
    },
    Case {
        name: "large-json",
        model: "large",
        elements: PICTURE,
        format: Format::Json,
        lane: Lane::Alone,
        in_flight: 1,
        requests: 16,
    },
    Case {
        name: "batch-64",
        model: "batch",
        elements: 1,
        format: Format::Binary,
        lane: Lane::Batched(64),
        in_flight: 16,
        requests: 4000,
    },
    Case {
        name: "keyed-16",
        model: "keyed",
        elements: 1,
        format: Format::Binary,
        lane: Lane::Keyed(16),
        in_flight: 16,
        requests: 4000,
    },
];
