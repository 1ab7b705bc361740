//! The typed columns of the rows of a block: a record batch for each schema among them.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::SchemaRef;

use super::encoding::{Encoded, put_bytes, put_number};
use super::record::{BatchRow, Record};
use crate::table::arrow_rows::gathered;

/// Rows whose columns have one schema.
struct Group {
    schema: SchemaRef,
    batches: Vec<Arc<RecordBatch>>,
    rows: Vec<(usize, usize)>,
}

/// Puts the columns of rows behind each other.
///
/// For every row stands 0, or the number of its group counted from 1; then come the groups.
pub(super) fn put(records: &[Record], bytes: &mut Vec<u8>) -> anyhow::Result<()> {
    let mut groups: Vec<Group> = Vec::new();
    // Where a batch is that came up before.
    let mut known: HashMap<*const RecordBatch, (usize, usize)> = HashMap::new();
    for record in records {
        let Some(BatchRow { batch, index, .. }) = &record.batch else {
            put_number(0, bytes);
            continue;
        };
        let (group, place) = *known
            .entry(Arc::as_ptr(batch))
            .or_insert_with(|| place(&mut groups, batch));
        groups[group].rows.push((place, *index));
        put_number(group as u64 + 1, bytes);
    }
    put_number(groups.len() as u64, bytes);
    for group in &groups {
        let batches: Vec<&RecordBatch> = group.batches.iter().map(AsRef::as_ref).collect();
        let mut stream = StreamWriter::try_new(Vec::new(), &group.schema)?;
        let columns = gathered(&batches, &group.rows)?;
        stream.write(&RecordBatch::try_new(
            SchemaRef::clone(&group.schema),
            columns,
        )?)?;
        put_bytes(&stream.into_inner()?, bytes);
    }
    Ok(())
}

/// Adds a batch to the group of its schema.
fn place(groups: &mut Vec<Group>, batch: &Arc<RecordBatch>) -> (usize, usize) {
    let group = groups
        .iter()
        .position(|group| group.schema == batch.schema());
    let group = group.unwrap_or_else(|| {
        groups.push(Group {
            schema: batch.schema(),
            batches: Vec::new(),
            rows: Vec::new(),
        });
        groups.len() - 1
    });
    groups[group].batches.push(Arc::clone(batch));
    (group, groups[group].batches.len() - 1)
}

/// Gives rows their columns back.
pub(super) fn take(
    mut records: Vec<Record>,
    block: &mut Encoded<'_>,
) -> anyhow::Result<Vec<Record>> {
    let groups = (0..records.len()).map(|_| block.length());
    let groups = groups.collect::<anyhow::Result<Vec<usize>>>()?;
    let batches = (0..block.length()?).map(|_| {
        let bytes = block.bytes()?;
        let batch = StreamReader::try_new(bytes, None)?.next();
        Ok(held(batch.context("a batch is missing")??))
    });
    let batches = batches.collect::<anyhow::Result<Vec<_>>>()?;
    let mut taken = vec![0; batches.len()];
    for (record, group) in records.iter_mut().zip(groups) {
        let Some(group) = group.checked_sub(1) else {
            continue;
        };
        let row = batches.get(group).context("a batch is missing")?;
        record.batch = Some(BatchRow {
            index: taken[group],
            ..row.clone()
        });
        taken[group] += 1;
    }
    Ok(records)
}

/// The first row of a batch, with a share of what it takes.
pub(super) fn held(batch: RecordBatch) -> BatchRow {
    BatchRow {
        bytes: batch.get_array_memory_size() / batch.num_rows().max(1),
        batch: Arc::new(batch),
        index: 0,
    }
}
