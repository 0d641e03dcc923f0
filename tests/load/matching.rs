//! Finding those whom a change concerns among 1,000 to 1,000,000 subscriptions of which it concerns
//! ten, whatever they narrow by; in this process, without a broker.

mod curve;
mod shapes;

use crate::report::{Line, Mark, say};
use crate::sample::number;
use crate::{Failure, Plan};

use curve::measure as measure_one;
use shapes::BLENDS;

/// How many subscriptions there are.
const COUNTS: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// In microseconds, among however many.
const PROMISED: f64 = 20.0;

/// Measures the curve of each shape, and of all of them together.
///
/// # Errors
///
/// If a subscription or an entity is refused.
pub(crate) fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    // A short run leaves the largest out.
    let most = if plan.round.as_secs() < 5 { 100_000 } else { u32::MAX };
    let counts = COUNTS.into_iter().filter(|count| *count <= most);
    let among: Vec<String> = counts.clone().map(|count| number(f64::from(count))).collect();
    let mut lines = Vec::new();
    for (name, blend) in BLENDS {
        let mut medians = Vec::new();
        let mut is_reached = true;
        for count in counts.clone() {
            let measured = measure_one(blend, usize::try_from(count)?)?;
            let matches = measured.matches;
            if matches != (10, 10) {
                return Err(format!("{name}: {matches:?} were found and not 10").into());
            }
            say(&format!(
                "{name}, {count}: {} µs, p99 {} µs; {} bytes each, added in {} µs",
                number(measured.median),
                number(measured.tail),
                measured.bytes,
                number(measured.adding),
            ));
            is_reached &= measured.median <= PROMISED;
            medians.push(number(measured.median));
        }
        lines.push(Line::new(
            format!("matching one change, ten matches, by {name}"),
            format!("≤ {PROMISED} µs"),
            format!("{} µs against {} subscriptions", medians.join(" / "), among.join(" / ")),
            Mark::of(is_reached),
        ));
    }
    Ok(lines)
}

/// Microseconds to find whom a change concerns among so many subscriptions of all shapes.
///
/// # Errors
///
/// If a subscription or an entity is refused.
pub(crate) fn median(count: usize) -> Result<f64, Failure> {
    let (_, mix) = BLENDS[0];
    Ok(measure_one(mix, count)?.median)
}
