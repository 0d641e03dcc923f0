//! What every adapter is given, in the broker's process or in one of its own.

use std::sync::Arc;

use musubi_adapter_kit::{AdapterMetrics, ModelCheck, ModelProblem, Services, Sink};
use musubi_context::{Context, ContextSource};
use musubi_model::{Clock, EntityFragment};
use musubi_outbound::Client;
use musubi_schemas::Schemas;
use serde_json::Value;

/// The services of adapters that write to this sink: our own context and data models, and
/// addresses that are not guarded, because an operator wrote them.
///
/// # Errors
///
/// A sentence, if a file of the program itself is broken, which tests rule out.
pub(crate) fn services(
    sink: Arc<dyn Sink>,
    clock: Arc<dyn Clock>,
    metrics: AdapterMetrics,
) -> Result<Services, String> {
    Ok(Services {
        sink,
        clock,
        client: Client::unguarded(),
        context: own_context()?,
        models: Some(Arc::new(Models)),
        metrics,
    })
}

/// The context that names the terms of the project's own data models.
///
/// # Errors
///
/// A sentence, if the program's own file is broken, which a test rules out.
pub(crate) fn own_context() -> Result<Context, String> {
    let file: Value =
        serde_json::from_str(musubi_schemas::CONTEXT).map_err(|error| error.to_string())?;
    let terms = file.get("@context").map(Value::to_string).unwrap_or_default();
    let source = ContextSource { url: None, member: terms.clone(), document: terms };
    Context::from_source(&source).map_err(|error| error.to_string())
}

/// The project's data models, as adapters ask for them. They are compiled with the first question:
/// that takes longer than all else of an empty broker's start.
#[derive(Debug)]
struct Models;

impl ModelCheck for Models {
    fn check(&self, model: &str, entity: &EntityFragment) -> Vec<ModelProblem> {
        match Schemas::built_in() {
            Ok(schemas) => schemas
                .check(model, entity)
                .into_iter()
                .map(|found| ModelProblem { attribute: found.attribute, reason: found.reason })
                .collect(),
            Err(error) => {
                vec![ModelProblem { attribute: "/".to_owned(), reason: error.to_string() }]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_programs_own_context_can_be_used() {
        let context = super::own_context().unwrap();
        let name = context.attribute("occupancy").unwrap();
        assert_eq!(name.as_str(), "urn:musubi:ns:occupancy");
    }
}
