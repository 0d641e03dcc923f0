//! From the body of a request to a fragment with expanded names:
//! `cargo bench -p musubi-context --bench parse_expand`.

#[path = "samples/entities.rs"]
mod entities;

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use musubi_context::expand_entity;
use musubi_model::{Limits, Node};

use entities::{BOTH, contexts, entity};

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let contexts = contexts()?;
    for (attributes, body) in BOTH {
        let mut group = criterion.benchmark_group(format!("parse-expand/{attributes} attributes"));
        group.throughput(Throughput::Bytes(u64::try_from(body.len())?));
        group.bench_function("parse alone", |bencher| {
            bencher.iter(|| Node::parse(black_box(body), Limits::default()).map(drop));
        });
        for (name, context) in &contexts {
            // Nothing is measured that is refused.
            entity(body, context)?;
            group.bench_function(format!("{name} context"), |bencher| {
                bencher.iter(|| {
                    let node = Node::parse(black_box(body), Limits::default()).ok()?;
                    expand_entity(&node, context).ok()
                });
            });
        }
        group.finish();
    }
    criterion.final_summary();
    Ok(())
}
