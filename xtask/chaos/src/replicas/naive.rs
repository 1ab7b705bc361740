//! Takes the rows through a usual retry loop, as those write it who have the official client: a task for
//! each key, one ID for all its rows, and a proxy before the servers.

use std::sync::Arc;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use triton_client::Client;

use super::balancer::{Balancer, By};
use super::disturbance::TIMEOUT;
use super::{Answers, Names, Plan};
use crate::naive::send;
use crate::outcome::Outcome;
use crate::script::Row;
use crate::server::Server;

pub(super) async fn run(
    plan: &Plan,
    servers: &[Arc<Server>],
    names: Arc<Names>,
    by: By,
) -> Result<Answers> {
    let balancer = Balancer::start(by, Arc::clone(&names)).await?;
    let client = Client::builder(balancer.endpoint());
    let client = client.timeout(TIMEOUT).build()?;
    let begun = Instant::now();
    let mut keys = JoinSet::new();
    for key in 0..plan.keys {
        let (plan, client) = (*plan, client.clone());
        keys.spawn(async move {
            let mut outcomes = Vec::new();
            for number in 0..plan.rows {
                sleep_until(begun + plan.due(number)).await;
                let row = Row {
                    key,
                    number: number as i32 + 1,
                    value: plan.value(key, number),
                    last: number + 1 == plan.rows,
                };
                outcomes.push(send(&client, plan.lane, number, row, number == 0).await);
            }
            (key, outcomes)
        });
    }
    sleep_until(begun + plan.due(plan.rows / 5)).await;
    let (servers, disturbance) = (servers.to_vec(), plan.disturbance);
    let happens = move || disturbance.happens(&servers, &names);
    tokio::task::spawn_blocking(happens).await??;
    let mut answers = Answers {
        numbers: vec![None; plan.keys * plan.rows],
        ..Answers::default()
    };
    while let Some(settled) = keys.join_next().await {
        let (key, outcomes) = settled?;
        for (row, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Ok(Outcome::Answered { number, .. }) => {
                    answers.numbers[key * plan.rows + row] = Some(number);
                }
                Ok(Outcome::Failed { text, .. }) => answers.failures.push(text),
                Err(error) => answers.failures.push(format!("{error:#}")),
            }
        }
    }
    Ok(answers)
}
