//! What a request costs in a small store, in a larger one, and in the largest.

use super::asking::ask;
use super::question::Question;
use super::{Stores, chart, sizes};
use crate::report::{Line, Mark, say};
use crate::sample::{Sample, number};
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

/// The cost of an operation at one size, in microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cost {
    /// Of the broker's CPU.
    pub(crate) processor: Sample,
    /// From the request to its answer, in the middle.
    pub(crate) latency: Sample,
}

/// The costs of an operation, size by size.
#[derive(Clone, Debug)]
pub(crate) struct Growth {
    /// What was done.
    pub(crate) what: &'static str,
    pub(crate) costs: Vec<Cost>,
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
            format!("at {largest} ≤ {REACH} × at {smallest}"),
            format!(
                "CPU {} × ({} µs), p50 {} × ({} µs)",
                number(by_processor),
                list(&processor),
                number(by_latency),
                list(&latency)
            ),
            Mark::of(by_processor <= REACH && by_latency <= REACH),
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
        .map(|question| Growth { what: question.name(), costs: vec![Cost::default(); sizes.len()] })
        .to_vec();
    for round in 0..=plan.rounds {
        for (question, growth) in QUESTIONS.into_iter().zip(&mut all) {
            for (size, cost) in sizes.iter().zip(&mut growth.costs) {
                let store = stores.of(plan, *size).await?;
                let asked = ask(store, question, plan.round / 5).await?;
                // The first round only warms up.
                if round > 0 {
                    cost.processor.add(asked.processor);
                    cost.latency.add(asked.latency(500) * 1000.0);
                }
            }
        }
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

/// Finding the subscriptions that a change concerns, among as many subscriptions as there are
/// entities otherwise. It is done in this process, where its time is its cost.
fn matches(sizes: &[u32]) -> Result<Growth, Failure> {
    let mut costs = Vec::new();
    for size in sizes {
        let median = matching::median(usize::try_from(*size)?)?;
        let sample: Sample = std::iter::once(median).collect();
        costs.push(Cost { processor: sample.clone(), latency: sample });
    }
    Ok(Growth { what: "matching a change against subscriptions", costs })
}
