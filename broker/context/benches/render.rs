//! From an entity to the bytes of an answer: `cargo bench -p musubi-context --bench render`.

#[path = "samples/entities.rs"]
mod entities;

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use musubi_context::{Context, Form, Renderer, Representation, render_entity};
use musubi_model::{Entity, Json};

use entities::{BOTH, contexts, entity};

/// Entities of a page.
const PAGE: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    for (name, context) in contexts()? {
        for (attributes, body) in BOTH {
            let entity = entity(body, &context)?;
            one(
                &mut criterion,
                &format!("render/{attributes} attributes, {name}"),
                &entity,
                &context,
            )?;
        }
    }
    for (name, context) in contexts()? {
        let entities = unlike(&entity(entities::FIVE, &context)?)?;
        page(&mut criterion, name, &entities, &context)?;
    }
    criterion.final_summary();
    Ok(())
}

/// One entity in each form.
fn one(
    criterion: &mut Criterion,
    name: &str,
    entity: &Entity,
    context: &Context,
) -> Result<(), Box<dyn Error>> {
    let mut group = criterion.benchmark_group(name);
    for form in [Form::Normalized, Form::Concise, Form::Simplified] {
        let representation = Representation { form, ..Representation::default() };
        let mut bytes = Vec::new();
        render_entity(&mut bytes, entity, context, &representation);
        group.throughput(Throughput::Bytes(u64::try_from(bytes.len())?));
        group.bench_function(format!("{form:?}").to_lowercase(), |bencher| {
            bencher.iter(|| {
                bytes.clear();
                render_entity(&mut bytes, black_box(entity), context, &representation);
                bytes.len()
            });
        });
    }
    group.finish();
    Ok(())
}

/// Entities like this one, each with an id and a first value of its own.
fn unlike(entity: &Entity) -> Result<Vec<Entity>, Box<dyn Error>> {
    let other = |number: usize| {
        let mut other = entity.clone();
        other.id = format!("{}{number:06}", entity.id).parse()?;
        let first = other.attributes.first_mut().and_then(|first| first.instances.first_mut());
        if let Some(first) = first {
            first.value.json = Json::from_compact(number.to_string());
        }
        Ok(other)
    };
    (0..PAGE).map(other).collect()
}

/// A page of entities that have their names in common.
fn page(
    criterion: &mut Criterion,
    name: &str,
    entities: &[Entity],
    context: &Context,
) -> Result<(), Box<dyn Error>> {
    let representation = Representation::default();
    let render = |bytes: &mut Vec<u8>| {
        bytes.clear();
        let mut renderer = Renderer::new(bytes, context, &representation);
        for entity in black_box(entities) {
            renderer.entity(entity);
            renderer.comma();
        }
        renderer.written()
    };
    let mut bytes = Vec::new();
    let mut group = criterion.benchmark_group("render/page of 20 of five attributes");
    group.throughput(Throughput::Bytes(u64::try_from(render(&mut bytes))?));
    group.bench_function(format!("{name} context"), |bencher| bencher.iter(|| render(&mut bytes)));
    group.finish();
    Ok(())
}
