//! What is measured of one side of a comparison, round after round.

use crate::Failure;
use crate::generator::{Load, Run};
use crate::sample::Sample;
use crate::usage::{Processor, idle};

/// What was measured of one server.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Good answers per second.
    pub(crate) rate: Sample,
    /// Microseconds of the server's CPU for each.
    pub(crate) processor: Sample,
    /// The same of this program.
    pub(crate) generator: Sample,
    /// The median time to an answer, in milliseconds.
    pub(crate) median: Sample,
    /// The 99th percentile.
    pub(crate) tail: Sample,
}

impl Measured {
    /// Puts a load on the process once it is idle, and notes what came of it.
    ///
    /// # Errors
    ///
    /// If the process does not come to rest, or an answer is not as expected.
    pub(crate) async fn round(&mut self, process: u32, load: &Load) -> Result<(), Failure> {
        idle(process).await?;
        let server = Processor::now(process)?;
        let generator = Processor::now(std::process::id())?;
        let run = run(load).await?;
        let each =
            |used: std::time::Duration| used.as_secs_f64() * 1e6 / f64::from(run.good.max(1));
        self.processor.add(each(server.since()?));
        self.generator.add(each(generator.since()?));
        self.rate.add(run.rate());
        self.median.add(run.latency(500));
        self.tail.add(run.latency(990));
        Ok(())
    }
}

/// Puts a load on a server, of which nothing is noted.
///
/// # Errors
///
/// If an answer is not as expected.
pub(crate) async fn run(load: &Load) -> Result<Run, Failure> {
    let run = load.run().await?;
    if run.other > 0 || run.good == 0 {
        let Run { good, other, .. } = run;
        return Err(format!("{other} answers were not {}, {good} were", load.expected).into());
    }
    Ok(run)
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rate, processor, generator, median, tail } = self;
        write!(
            f,
            "{rate}/s, {processor} µs of CPU each, the generator's {generator}, p50 {median} ms, p99 \
             {tail} ms"
        )
    }
}
