//! Finding a few among very many.

use std::time::Duration;

use super::Stores;
use super::asking::{Cost, ask};
use super::question::Question;
use super::store::Store;
use crate::report::{Line, Mark};
use crate::sample::number;
use crate::{Failure, Plan};

/// How long the first query may take, in milliseconds.
const FIRST: f64 = 1000.0;
/// And what comes after it.
const QUERY: f64 = 5.0;
const NEAR: f64 = 2.0;
const COUNT: f64 = 1.0;
/// How much longer a late page may take than the first.
const DEEP: f64 = 1.2;

/// Measures queries of the largest store.
///
/// # Errors
///
/// If the broker does not start or answer.
pub(crate) async fn measure(plan: &Plan, stores: &mut Stores) -> Result<Vec<Line>, Failure> {
    let store = stores.largest(plan).await?;
    store.form().await?;
    let mut lines = Vec::new();
    let time = plan.round * 2;
    for (question, first) in store.first.clone() {
        let reach = if question == Question::Near { NEAR } else { QUERY };
        store.rest().await?;
        let asked = ask(store, question, time).await?;
        let is_reached = asked.latency(990) <= reach && first.median() <= FIRST;
        lines.push(Line::new(
            format!(
                "{}, {} of {}",
                question.name(),
                number(asked.found),
                number(store.lamps.count.into())
            ),
            format!("first ≤ {} ms, then p99 ≤ {reach} ms", number(FIRST)),
            format!(
                "first {first} ms, then p50 {} ms, p99 {} ms; {} µs of CPU each ({} questions, one \
                 after the other)",
                number(asked.latency(500)),
                number(asked.latency(990)),
                number(asked.processor),
                number(asked.count().into())
            ),
            Mark::of(is_reached),
        ));
    }
    lines.push(count(store, time).await?);
    lines.push(deep(store, plan).await?);
    Ok(lines)
}

async fn count(store: &mut Store, time: Duration) -> Result<Line, Failure> {
    store.rest().await?;
    let asked = ask(store, Question::Count, time).await?;
    Ok(Line::new(
        format!("{}, {} entities", Question::Count.name(), number(store.lamps.count.into())),
        format!("≤ {COUNT} ms"),
        format!(
            "p50 {} ms, p99 {} ms; {} µs of CPU each",
            number(asked.latency(500)),
            number(asked.latency(990)),
            number(asked.processor),
        ),
        Mark::of(asked.latency(500) <= COUNT),
    ))
}

/// A late page beside the first, in turn.
async fn deep(store: &mut Store, plan: &Plan) -> Result<Line, Failure> {
    let mut sides = [Question::Page, Question::Deep].map(|question| (question, Cost::default()));
    store.rest().await?;
    for _ in 0..plan.rounds {
        for _ in 0..Cost::SLICES {
            for (question, cost) in &mut sides {
                cost.add(&ask(store, *question, Cost::slice(plan)).await?);
            }
        }
        for (_, cost) in &mut sides {
            cost.end_round();
        }
    }
    let [(_, first), (_, late)] = &sides;
    let [latency, processor] =
        [(&late.latency, &first.latency), (&late.processor, &first.processor)]
            .map(|(late, first)| late.median() / first.median().max(0.01));
    Ok(Line::new(
        format!("page at offset {}", number(f64::from(store.lamps.count / 10 * 9))),
        format!("≤ {DEEP} × the first page"),
        format!(
            "{} ×: p50 {} of {} µs; CPU {} ×: {} of {} µs",
            number(latency),
            late.latency,
            first.latency,
            number(processor),
            late.processor,
            first.processor,
        ),
        Mark::of(latency <= DEEP && processor <= DEEP),
    ))
}
