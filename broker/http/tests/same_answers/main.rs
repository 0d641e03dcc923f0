//! Every operation answers the same over the embedded store as over the plain reference, on
//! generated requests with every query parameter that the API knows.

#[cfg(test)]
mod pair;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod values;
#[cfg(test)]
mod writes;

use std::collections::BTreeSet;

use http::Method;
use pair::{Pair, Request};
use values::Values;

/// Requests per seed.
const STEPS: usize = 150;
/// Seeds, unless `MUSUBI_SEEDS` says how many.
const SEEDS: u64 = 24;

fn seeds() -> u64 {
    std::env::var("MUSUBI_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

/// The names of the parameters in a request's query string.
fn parameters(request: &Request) -> impl Iterator<Item = String> {
    let query = request.path.split_once('?').map_or("", |(_, query)| query);
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split('=').next().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn every_operation_answers_the_same_over_both_stores() {
    let mut seen: BTreeSet<(&'static str, String)> = BTreeSet::new();
    let mut statuses: BTreeSet<(&'static str, u16)> = BTreeSet::new();
    for seed in 0..seeds() {
        let mut values = Values::new(seed);
        let pair = Pair::of_both_stores();
        for step in 0..STEPS {
            let request = if step < 25 || values.random.chance(35) {
                writes::any(&mut values)
            } else {
                reads::any(&mut values)
            };
            seen.extend(parameters(&request).map(|name| (request.operation, name)));
            let status = pair.compare(&request, (seed, step)).await;
            statuses.insert((request.operation, status));
        }
    }
    for (operation, names) in reads::PARAMETERS.iter().chain(writes::PARAMETERS) {
        assert!(
            statuses.iter().any(|(name, status)| name == operation && *status < 300),
            "{operation} never succeeded: the generator shows nothing of it"
        );
        for name in names.iter().copied().flatten() {
            let there = seen.contains(&(*operation, (*name).to_owned()));
            assert!(there, "the generator never gave {name} to {operation}");
        }
    }
}

/// What one town reads does not depend on what another town does with the same ids: its answers are
/// those of a broker that nobody else uses, to the letter.
#[tokio::test]
async fn what_another_tenant_does_changes_no_answer() {
    const MARK: &str = "kitsune";
    for seed in 0..seeds() {
        let pair = Pair::of_equals();
        let mut values = Values::new(seed);
        let mut others = Values::new(seed + 1_000);
        for step in 0..STEPS {
            for _ in 0..others.random.below(3) {
                let mut request = writes::any(&mut others);
                request.headers.push(("ngsild-tenant", MARK.to_owned()));
                pair.right_alone(&request).await;
            }
            let mut request = if step < 25 || values.random.chance(30) {
                writes::any(&mut values)
            } else {
                reads::any(&mut values)
            };
            request.headers.push(("ngsild-tenant", "tanuki".to_owned()));
            pair.compare(&request, (seed, step)).await;
        }
        let metrics = reads::request("metrics", Method::GET, "/metrics", vec![], vec![]);
        let metrics = pair.right_alone(&metrics).await;
        for word in [MARK, "tanuki", "urn:ngsi-ld:Thing", "Shelter"] {
            assert!(!metrics.contains(word), "the metrics say {word}: {metrics}");
        }
    }
}

/// The generator cannot fall behind the API: what the API says that it takes, the generator gives.
#[tokio::test]
async fn the_generator_knows_every_parameter_that_the_api_documents() {
    let document = Pair::of_both_stores().document().await;
    let generated: BTreeSet<(&str, &str)> = reads::PARAMETERS
        .iter()
        .chain(writes::PARAMETERS)
        .flat_map(|(operation, names)| {
            names.iter().copied().flatten().map(|name| (*operation, *name))
        })
        .collect();
    let mut looked_at = 0;
    let mut missing = Vec::new();
    for (operation, method, path) in OPERATIONS {
        let described = &document["paths"][*path][*method];
        assert!(described.is_object(), "{method} {path} is not in the document");
        let listed = described["parameters"].as_array().into_iter().flatten();
        for parameter in listed {
            let parameter = resolved(&document, parameter);
            if parameter["in"] != "query" {
                continue;
            }
            let name = parameter["name"].as_str().expect("a name");
            if !generated.contains(&(*operation, name)) {
                missing.push(format!("{operation} is not given {name}"));
            }
            looked_at += 1;
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(looked_at > 50, "only {looked_at} parameters are documented");
}

/// The operations that are compared, each with its method and path in the document.
const OPERATIONS: &[(&str, &str, &str)] = &[
    ("create", "post", "/ngsi-ld/v1/entities"),
    ("query", "get", "/ngsi-ld/v1/entities"),
    ("purge", "delete", "/ngsi-ld/v1/entities"),
    ("retrieve", "get", "/ngsi-ld/v1/entities/{id}"),
    ("merge", "patch", "/ngsi-ld/v1/entities/{id}"),
    ("replace", "put", "/ngsi-ld/v1/entities/{id}"),
    ("delete", "delete", "/ngsi-ld/v1/entities/{id}"),
    ("append", "post", "/ngsi-ld/v1/entities/{id}/attrs"),
    ("update", "patch", "/ngsi-ld/v1/entities/{id}/attrs"),
    ("update attribute", "patch", "/ngsi-ld/v1/entities/{id}/attrs/{attribute}"),
    ("replace attribute", "put", "/ngsi-ld/v1/entities/{id}/attrs/{attribute}"),
    ("delete attribute", "delete", "/ngsi-ld/v1/entities/{id}/attrs/{attribute}"),
    ("batch create", "post", "/ngsi-ld/v1/entityOperations/create"),
    ("batch upsert", "post", "/ngsi-ld/v1/entityOperations/upsert"),
    ("batch update", "post", "/ngsi-ld/v1/entityOperations/update"),
    ("batch merge", "post", "/ngsi-ld/v1/entityOperations/merge"),
    ("batch delete", "post", "/ngsi-ld/v1/entityOperations/delete"),
    ("batch query", "post", "/ngsi-ld/v1/entityOperations/query"),
    ("types", "get", "/ngsi-ld/v1/types"),
    ("type", "get", "/ngsi-ld/v1/types/{type}"),
    ("attributes", "get", "/ngsi-ld/v1/attributes"),
    ("attribute", "get", "/ngsi-ld/v1/attributes/{attribute}"),
];

fn resolved<'a>(
    document: &'a serde_json::Value,
    parameter: &'a serde_json::Value,
) -> &'a serde_json::Value {
    let reference = parameter["$ref"].as_str().and_then(|text| text.strip_prefix('#'));
    reference.and_then(|pointer| document.pointer(pointer)).unwrap_or(parameter)
}
