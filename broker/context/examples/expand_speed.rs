//! How long it takes to read and to write an entity of nine attributes, in nanoseconds:
//! `cargo run --release -p musubi-context --example expand_speed`.

use std::error::Error;
use std::hint::black_box;
use std::io::Write;

use musubi_context::{Context, ContextSource, Form, Representation, expand_entity, render_entity};
use musubi_model::{Entity, Limits, Node, Timestamp};
use tokio::time::Instant;

const DOCUMENT: &str = r#"[{
    "BikeHireDockingStation": "https://smartdatamodels.org/dataModel.Transportation/BikeHireDockingStation",
    "availableBikeNumber": "https://smartdatamodels.org/dataModel.Transportation/availableBikeNumber",
    "freeSlotNumber": "https://smartdatamodels.org/dataModel.Transportation/freeSlotNumber",
    "totalSlotNumber": "https://smartdatamodels.org/dataModel.Transportation/totalSlotNumber",
    "address": "https://smartdatamodels.org/address"
}]"#;

const BODY: &str = r#"{
    "id": "urn:ngsi-ld:BikeHireDockingStation:docomo-cycle-tokyo:00010001",
    "type": "BikeHireDockingStation",
    "name": {"type": "Property", "value": "A1-01.千代田区役所"},
    "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [139.753529, 35.694115]}},
    "address": {"type": "Property", "value": {"addressLocality": "千代田区", "streetAddress": "九段南1-2-1"}},
    "availableBikeNumber": {"type": "Property", "value": 7, "observedAt": "2023-01-11T09:00:00Z"},
    "freeSlotNumber": {"type": "Property", "value": 13, "observedAt": "2023-01-11T09:00:00Z"},
    "totalSlotNumber": {"type": "Property", "value": 20},
    "status": {"type": "VocabProperty", "vocab": "working"},
    "operatedBy": {"type": "Relationship", "object": "urn:ngsi-ld:Organization:docomo-cycle"},
    "temperature": {"type": "Property", "value": 21.5, "unitCode": "CEL", "observedAt": "2023-01-11T09:00:00Z"}
}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let own = Context::from_source(&ContextSource {
        url: None,
        member: DOCUMENT.to_owned(),
        document: DOCUMENT.to_owned(),
    })?;
    let mut out = std::io::stdout().lock();
    for (name, context) in [("core context", Context::core()), ("own context", own)] {
        let parse = average(|| Node::parse(black_box(BODY), Limits::default()).map(drop))?;
        let both = average(|| {
            let node = Node::parse(black_box(BODY), Limits::default())?;
            expand_entity(&node, &context)?;
            Ok::<(), Box<dyn Error>>(())
        })?;
        writeln!(out, "{name}: parse {parse} ns, parse and expand {both} ns")?;
        let node = Node::parse(BODY, Limits::default())?;
        let entity = Entity::create(expand_entity(&node, &context)?, Timestamp::from_seconds(0))?;
        for form in [Form::Normalized, Form::Concise, Form::Simplified] {
            let representation = Representation { form, ..Representation::default() };
            let mut bytes = Vec::new();
            let render = average(|| {
                bytes.clear();
                render_entity(&mut bytes, black_box(&entity), &context, &representation);
                Ok::<(), Box<dyn Error>>(())
            })?;
            writeln!(out, "{name}: render {form:?} {render} ns, {} bytes", bytes.len())?;
        }
    }
    Ok(())
}

/// The average duration of a run, in nanoseconds, of the best of seven rounds.
fn average<E>(mut run: impl FnMut() -> Result<(), E>) -> Result<u128, E> {
    const RUNS: u32 = 20_000;
    let mut best = u128::MAX;
    for _ in 0..7 {
        let start = Instant::now();
        for _ in 0..RUNS {
            run()?;
        }
        best = best.min(start.elapsed().as_nanos() / u128::from(RUNS));
    }
    Ok(best)
}
