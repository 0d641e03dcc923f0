//! What a request costs in a small store, in a larger one, and in the largest.

use super::asking::{Cost, ask};
use super::question::Question;
use super::{Stores, chart, sizes};
use crate::report::{Line, Mark, say};
use crate::sample::number;
use crate::{Failure, Plan, matching};

/// What is asked.
const QUESTIONS: [Question; 8] = [
    Question::Entity,
    Question::Page,
    Question::Deep,
    Question::Count,
    Question::Number,
    Question::Near,
    Question::Patch,
    Question::Post,
];
/// How much more it may cost in the largest store than in the smallest.
const REACH: f64 = 1.5;
/// What finding the subscriptions that a change concerns may take among the most of them, in
/// microseconds.
const MATCHING: f64 = 20.0;

/// The costs of an operation, size by size.
#[derive(Clone, Debug)]
pub(crate) struct Growth {
    /// What was done.
    pub(crate) what: &'static str,
    pub(crate) costs: Vec<Cost>,
    /// What it may cost in the largest store, in microseconds, if that is what is promised, and not
    /// how much more than in the smallest.
    most: Option<f64>,
}

impl Growth {
    /// The costs in CPU time, size by size, in microseconds.
    pub(crate) fn processor(&self) -> Vec<f64> {
        self.costs.iter().map(|cost| cost.processor.median()).collect()
    }

    /// The costs in time, size by size, in microseconds.
    pub(crate) fn latency(&self) -> Vec<f64> {
        self.costs.iter().map(|cost| cost.latency.median()).collect()
    }

    fn line(&self, sizes: &[u32]) -> Line {
        let [smallest, largest] = [sizes.first(), sizes.last()]
            .map(|size| number(size.copied().unwrap_or_default().into()));
        let (processor, latency) = (self.processor(), self.latency());
        let [by_processor, by_latency] = [&processor, &latency].map(|costs| ratio(costs));
        let list =
            |costs: &[f64]| costs.iter().map(|cost| number(*cost)).collect::<Vec<_>>().join(" / ");
        Line::new(
            format!("growth: {}", self.what),
            match self.most {
                Some(most) => format!("at {largest} ≤ {} µs", number(most)),
                None => format!("at {largest} ≤ {REACH} × at {smallest}"),
            },
            format!(
                "CPU {} × ({} µs), p50 {} × ({} µs)",
                number(by_processor),
                list(&processor),
                number(by_latency),
                list(&latency)
            ),
            Mark::of(match self.most {
                Some(most) => processor.last().is_some_and(|cost| *cost <= most),
                None => by_processor <= REACH && by_latency <= REACH,
            }),
        )
    }
}

/// The last cost over the first.
fn ratio(costs: &[f64]) -> f64 {
    let [first, last] = [costs.first(), costs.last()].map(|cost| cost.copied().unwrap_or_default());
    last / first.max(0.01)
}

/// Measures what each request costs at each size, in turn.
///
/// # Errors
///
/// If a broker does not start or answer, or the chart cannot be written.
pub(crate) async fn measure(plan: &Plan, stores: &mut Stores) -> Result<Vec<Line>, Failure> {
    let sizes = sizes(plan);
    for size in &sizes {
        let store = stores.of(plan, *size).await?;
        store.become_durable("interval")?;
        // What is written has to keep the indexes right, too.
        store.form().await?;
    }
    let mut all: Vec<Growth> = QUESTIONS
        .map(|question| Growth {
            what: question.name(),
            costs: vec![Cost::default(); sizes.len()],
            most: None,
        })
        .to_vec();
    for (question, growth) in QUESTIONS.into_iter().zip(&mut all) {
        compare(plan, stores, question, &sizes, growth).await?;
    }
    all.push(matches(&sizes)?);
    for growth in &all {
        for (size, cost) in sizes.iter().zip(&growth.costs) {
            say(&format!(
                "{} at {}: {} µs of CPU, p50 {} µs",
                growth.what,
                number((*size).into()),
                cost.processor,
                cost.latency
            ));
        }
    }
    if let Some(path) = &plan.chart {
        std::fs::write(path, chart::draw(&sizes, &all, REACH))?;
        say(&format!("drawn in {}", path.display()));
    }
    Ok(all.iter().map(|growth| growth.line(&sizes)).collect())
}

/// Measures what one request costs at each size, in turn.
async fn compare(
    plan: &Plan,
    stores: &mut Stores,
    question: Question,
    sizes: &[u32],
    growth: &mut Growth,
) -> Result<(), Failure> {
    for size in sizes {
        let store = stores.of(plan, *size).await?;
        store.rest().await?;
        // Warms up.
        ask(store, question, Cost::slice(plan)).await?;
    }
    for _ in 0..plan.rounds {
        for _ in 0..Cost::SLICES {
            for (size, cost) in sizes.iter().zip(&mut growth.costs) {
                let store = stores.of(plan, *size).await?;
                cost.add(&ask(store, question, Cost::slice(plan)).await?);
            }
        }
        growth.costs.iter_mut().for_each(Cost::end_round);
    }
    Ok(())
}

/// Finding the subscriptions that a change concerns, among as many subscriptions as there are
/// entities otherwise. It is done in this process, where its time is its cost.
fn matches(sizes: &[u32]) -> Result<Growth, Failure> {
    let mut costs = Vec::new();
    for size in sizes {
        let median = matching::median(usize::try_from(*size)?)?;
        costs.push(Cost::once(median));
    }
    Ok(Growth { what: "matching, by subscriptions", costs, most: Some(MATCHING) })
}
