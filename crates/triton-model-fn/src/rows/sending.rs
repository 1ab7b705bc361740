//! Sends rows of a stateless model in as few requests as they fit in.

use std::ops::Range;

use futures_util::future::join_all;
use tokio::time::Instant;
use triton_client::InferResponse;

use super::encoded::ShapeGroup;
use crate::answering::Answering;
use crate::{Error, row_batch};

/// How much a request may carry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MostOfRequest {
    pub(crate) rows: usize,
    pub(crate) bytes: Option<usize>,
}

/// Sends all groups, and hands over what happened to the rows of each request.
pub(crate) async fn answer_groups(
    answering: &Answering,
    groups: &[ShapeGroup],
    most: MostOfRequest,
    done: &(impl Fn(&[usize], Result<InferResponse, Error>) + Sync),
) {
    let deadline = answering.open.row_deadline();
    let groups = groups.iter();
    join_all(groups.map(|group| answer_group(answering, group, most, deadline, done))).await;
}

/// Sends rows of one shape, in as many requests as the limits make of them.
async fn answer_group(
    answering: &Answering,
    group: &ShapeGroup,
    most: MostOfRequest,
    deadline: Option<Instant>,
    done: &(impl Fn(&[usize], Result<InferResponse, Error>) + Sync),
) {
    let Answering { open, plan, .. } = answering;
    let requests = group.block.parts(most.rows, most.bytes).into_iter();
    let requests = requests.map(|part| async move {
        let permit = match open.request_permit(deadline).await {
            Ok(permit) => permit,
            Err(error) => return done(&group.rows[part], Err(error)),
        };
        let done = |range: Range<usize>, result| done(&group.rows[range], result);
        row_batch::answer(open, plan, &group.block, part, permit, deadline, done).await;
    });
    join_all(requests).await;
}
