//! Whether a function has every permit that it began with: it has as many requests in flight at once as it has
//! permits, and one that is missing is a request that never comes.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use futures_util::future::join_all;
use tokio::time::{sleep, timeout};
use triton_model_fn::InferenceFunction;

use super::callers::{PERMITS, Part};
use crate::proxy::Proxy;

/// More rows than permits, so that some get those of others.
const ROWS: usize = 2 * PERMITS;

/// In which all have to be at the proxy. A request that is held for longer than a client waits is sent again,
/// which would look like another one.
const TIME_TO_ARRIVE: Duration = Duration::from_secs(3);

/// What would come although no permit is left comes within it.
const TIME_FOR_MORE: Duration = Duration::from_millis(200);

/// In which all rows have to be answered.
const TIME_TO_ANSWER: Duration = Duration::from_secs(20);

const INTERVAL: Duration = Duration::from_millis(5);

/// Holds all requests back until as many are there as there are permits, and no more; then every row has to
/// be answered.
pub(super) async fn all_are_back(
    part: Part,
    function: &InferenceFunction,
    proxy: &Proxy,
) -> Result<()> {
    let rows = (0..ROWS).map(|row| function.submit_last(&part.row(1_000_000 + row, 1)));
    let answers = timeout(TIME_TO_ANSWER, join_all(rows));
    proxy.hold();
    let (answers, held) = tokio::join!(answers, async {
        let held = hold_all(proxy).await;
        proxy.let_go();
        held
    });
    held?;
    let Ok(answers) = answers else {
        bail!("{ROWS} rows are not answered within {TIME_TO_ANSWER:?}");
    };
    for answer in answers {
        answer?;
    }
    Ok(())
}

async fn hold_all(proxy: &Proxy) -> Result<()> {
    let arrive = async {
        while proxy.held() < PERMITS {
            sleep(INTERVAL).await;
        }
    };
    let arrived = timeout(TIME_TO_ARRIVE, arrive).await;
    let held = proxy.held();
    ensure!(
        arrived.is_ok(),
        "{held} of {PERMITS} requests were in flight at once"
    );
    sleep(TIME_FOR_MORE).await;
    let held = proxy.held();
    ensure!(
        held == PERMITS,
        "{held} requests were in flight at once, with {PERMITS} permits"
    );
    Ok(())
}
