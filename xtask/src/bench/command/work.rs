//! What the command is measured at: files, models, and whom each is compared with.

/// How a file lies on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Csv,
    Ndjson,
    Parquet,
}

impl Form {
    /// As the command and the peers call it, and how the names of files end.
    pub(super) fn name(self) -> &'static str {
        match self {
            Form::Csv => "csv",
            Form::Ndjson => "ndjson",
            Form::Parquet => "parquet",
        }
    }
}

/// How the cells of CSV are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cells {
    Plain,
    /// Each in quotes.
    Quoted,
    /// The first one of every tenth row is no number.
    Faulty,
}

impl Cells {
    /// What the names of files have of it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Cells::Plain => "",
            Cells::Quoted => "-quoted",
            Cells::Faulty => "-faulty",
        }
    }
}

/// Whom the command is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// DuckDB reads the file and writes it again, without a model.
    DuckDb,
    /// Ten lines of `tritonclient` and `pyarrow` read, infer and write.
    Loop,
    /// `pyarrow` reads the file, and no more.
    Reading,
    /// `mlserver infer` sends as many requests in JSON.
    MlServer,
    /// The command's own `bench` sends as many rows from memory, in requests of the same size.
    Bench,
    /// `perf_analyzer` sends sequences.
    PerfAnalyzer,
    /// The same work on one subtask.
    OneSubtask,
}

impl Beside {
    pub(super) fn title(self) -> &'static str {
        match self {
            Beside::DuckDb => "DuckDB copying the file",
            Beside::Loop => "loop of `tritonclient` and `pyarrow`",
            Beside::Reading => "`pyarrow` reading the file, no more",
            Beside::MlServer => "`mlserver infer`",
            Beside::Bench => "`triton bench`, the same requests",
            Beside::PerfAnalyzer => "`perf_analyzer`, sequences",
            Beside::OneSubtask => "the same with one subtask",
        }
    }
}

/// A file that is put through a model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) form: Form,
    pub(super) cells: Cells,
    pub(super) rows: usize,
    /// The values of a row, in each column.
    pub(super) elements: usize,
    pub(super) columns: usize,
    /// Rows have so many keys, whose sequences are open at once; 0 for a stateless model.
    pub(super) keys: usize,
    /// Rows of a request.
    pub(super) batch: usize,
    pub(super) in_flight: usize,
    /// The most connections, if there are to be fewer than requests in flight.
    pub(super) connections: Option<usize>,
    pub(super) subtasks: u32,
    /// With the most that the command may cost, as a multiple of what the peer costs.
    pub(super) peers: &'static [(Beside, Option<f64>)],
    /// The most microseconds that a row may cost.
    pub(super) target: Option<f64>,
}

impl Work {
    pub(super) const DEFAULT: Work = Work {
        name: "",
        title: "",
        form: Form::Csv,
        cells: Cells::Plain,
        rows: 1_000_000,
        elements: 1,
        columns: 1,
        keys: 0,
        batch: 1024,
        in_flight: 8,
        connections: None,
        subtasks: 1,
        peers: &[],
        target: None,
    };

    /// The model's name on the server of the measurement.
    pub(super) fn model(&self) -> String {
        match self.keys {
            0 => format!("columns-{}", self.columns),
            _ => "running-sum".to_owned(),
        }
    }

    /// Whether the first cell of a row is no number.
    pub(super) fn is_faulty(&self, row: usize) -> bool {
        self.cells == Cells::Faulty && row % 10 == 3
    }

    /// The value of a cell, which every format and the model's type hold exactly.
    pub(super) fn value(&self, row: usize, column: usize) -> f32 {
        if self.keys > 0 {
            // Small whole numbers, so that sums are exact, too.
            return (row % 7) as f32;
        }
        let mixed = (row as u64 * self.columns as u64 + column as u64) * 2_654_435_761;
        ((mixed & 0xFFFF_FFFF) >> 8) as f32 / (1 << 24) as f32
    }
}

/// A real Triton serves this one: it is compared with `perf_analyzer` on the same server.
pub(super) const KEYED: &str = "keyed";

const LISTS: Work = Work {
    form: Form::Parquet,
    ..Work::DEFAULT
};

pub(super) const WORKS: &[Work] = &[
    Work {
        name: "csv",
        title: "CSV, 1M rows of a float",
        peers: &[
            (Beside::DuckDb, Some(4.0)),
            (Beside::Loop, None),
            (Beside::Bench, None),
        ],
        target: Some(1.5),
        ..Work::DEFAULT
    },
    Work {
        name: "parquet",
        title: "Parquet, 1M rows of a float",
        form: Form::Parquet,
        peers: &[(Beside::DuckDb, None), (Beside::Loop, None)],
        target: Some(1.0),
        ..Work::DEFAULT
    },
    Work {
        name: "embeddings",
        title: "Parquet, 20,000 rows of 1024 floats",
        rows: 20_000,
        elements: 1024,
        batch: 1024,
        peers: &[(Beside::Loop, Some(0.4)), (Beside::Reading, None)],
        ..LISTS
    },
    Work {
        name: "ndjson",
        title: "NDJSON, 1M rows of a float",
        form: Form::Ndjson,
        peers: &[
            (Beside::Bench, Some(4.0)),
            (Beside::DuckDb, None),
            (Beside::Loop, None),
            (Beside::MlServer, None),
        ],
        ..Work::DEFAULT
    },
    Work {
        name: "one-row",
        title: "CSV, one row a request, 16 in flight",
        rows: 20_000,
        batch: 1,
        in_flight: 16,
        peers: &[(Beside::Bench, Some(1.3))],
        ..Work::DEFAULT
    },
    Work {
        name: KEYED,
        title: "CSV, 200 keys, `accumulate` on a real Triton",
        rows: 20_000,
        keys: 200,
        batch: 1,
        in_flight: 256,
        peers: &[(Beside::PerfAnalyzer, Some(0.5))],
        ..Work::DEFAULT
    },
    Work {
        name: "parallelism",
        title: "CSV, 1M rows of a float, two subtasks",
        subtasks: 2,
        peers: &[(Beside::OneSubtask, Some(1.1))],
        ..Work::DEFAULT
    },
    Work {
        name: "images",
        title: "Parquet, 128 rows of 150,528 floats",
        rows: 128,
        elements: 150_528,
        batch: 13,
        peers: &[(Beside::Loop, Some(0.4)), (Beside::Reading, None)],
        ..LISTS
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_fractions_that_text_holds_and_differ_between_neighbours() {
        let work = &WORKS[0];
        for row in 0..1000 {
            let value = work.value(row, 0);
            assert_eq!(value.to_string().parse::<f32>(), Ok(value));
            assert!((0.0..1.0).contains(&value));
            assert_ne!(value.to_bits(), work.value(row + 1, 0).to_bits());
        }
    }
}
