//! What entities were, one by one and by query.

use serde_json::json;

use super::document::example_of;
use super::operation::{Operation, delete, get, patch, post};
use super::path::Path;
use crate::request::expanded::Operation as _;
use crate::temporal::{attributes, create, instance, parameters, query, retrieve};

const TAG: &str = "History";
const ENTITY: &[&str] = &["entity"];
const ATTRIBUTE: &[&str] = &["entity", "attribute"];
const INSTANCE: &[&str] = &["entity", "attribute", "instance"];

pub(super) fn paths() -> Vec<Path> {
    vec![collection(), one(), attrs(), attr(), attr_instance(), by_body()]
}

fn collection() -> Path {
    Path::of_names(TAG, "/ngsi-ld/v1/temporal/entities", &[])
        .with(
            post("recordEvolution", "Tell what an entity was")
                .about(
                    "Of an entity whose past is known, the instances are added; one that is \
                     recorded already, of the same data set and observed at the same moment, is \
                     corrected.",
                )
                .clause("6.18.3.1")
                .query(create::Create::PARAMETERS)
                .takes("NewTemporalEntity", &["DayOfAShelter"])
                .creates()
                .does()
                .may_fail(&[404, 422, 507]),
        )
        .with(
            of_many(get("queryEvolutions", "Query what entities were"))
                .clause("6.18.3.2")
                .query(&query::PARAMETERS)
                .tries(&[
                    ("type", "EvacuationShelter"),
                    ("timerel", "after"),
                    ("timeAt", "2020-01-01T00:00:00Z"),
                    ("timeproperty", "modifiedAt"),
                ]),
        )
}

fn one() -> Path {
    Path::of_names(TAG, "/ngsi-ld/v1/temporal/entities/{id}", ENTITY)
        .with(
            shows(
                get("retrieveEvolution", "Retrieve what an entity was")
                    .clause("6.19.3.1")
                    .query(&retrieve::PARAMETERS)
                    .options(parameters::OPTIONS),
                "TemporalEntity",
                "ShelterOverTime",
            )
            .of_map()
            .may_fail(&[422]),
        )
        .with(changes(
            delete("removeEvolution", "Remove what an entity was")
                .about("The entity itself stays as it is.")
                .clause("6.19.3.2")
                .query(create::Delete::PARAMETERS),
        ))
}

fn attrs() -> Path {
    let template = "/ngsi-ld/v1/temporal/entities/{id}/attrs";
    Path::of_names(TAG, template, ENTITY).with(changes(
        post("addInstances", "Tell more of what an entity was")
            .clause("6.20.3.1")
            .query(attributes::Add::PARAMETERS)
            .takes("TemporalFragment", &["CountsOfADay"]),
    ))
}

fn attr() -> Path {
    let template = "/ngsi-ld/v1/temporal/entities/{id}/attrs/{attribute}";
    Path::of_names(TAG, template, ATTRIBUTE).with(changes(
        delete("removeAttributeEvolution", "Remove what an attribute was")
            .clause("6.21.3.1")
            .query(attributes::Delete::PARAMETERS),
    ))
}

fn attr_instance() -> Path {
    let template = "/ngsi-ld/v1/temporal/entities/{id}/attrs/{attribute}/{instance}";
    Path::of_names(TAG, template, INSTANCE)
        .with(changes(
            patch("correctInstance", "Correct an instance of an attribute")
                .about(
                    "The body is the whole instance. Its id, its data set and the time of its \
                     creation stay; observedAt does too if the body has none.",
                )
                .clause("6.22.3.1")
                .query(instance::Correct::PARAMETERS)
                .takes("AttributeFragment", &["OneCount"]),
        ))
        .with(changes(
            delete("removeInstance", "Remove an instance of an attribute")
                .clause("6.22.3.2")
                .query(instance::Correct::PARAMETERS),
        ))
}

/// A change of what is known already.
fn changes(operation: Operation) -> Operation {
    operation.does().may_fail(&[404, 422, 507])
}

fn by_body() -> Path {
    let template = "/ngsi-ld/v1/temporal/entityOperations/query";
    Path::of_names(TAG, template, &[]).with(
        of_many(post("queryEvolutionsByBody", "Query what entities were with a query in the body"))
            .about("For queries that are too long for a URL. Nothing is changed.")
            .clause("6.24.3.1")
            .query(&query::POSTED)
            .takes("TemporalQuery", &["SinceQuery"])
            .may_fail(&[404]),
    )
}

/// What is common to the two ways of a query.
fn of_many(operation: Operation) -> Operation {
    let operation = operation
        .about(
            "timerel and timeAt have to be there, and one of type, attrs, q, georel and \
             local=true. Entities come in the order of their ids.",
        )
        .options(parameters::OPTIONS);
    shows(operation, "TemporalEntities", "SheltersOverTime")
        .answer_header(200, "NGSILD-Results-Count")
        .answer_header(206, "NGSILD-Results-Count")
        .makes_map()
        .may_fail(&[422])
}

/// The answer, or the part of it that one answer holds.
fn shows(operation: Operation, schema: &str, example: &str) -> Operation {
    let reference = json!({ "$ref": format!("#/components/schemas/{schema}") });
    let content = json!({
        "application/json": { "schema": reference, "examples": { example: example_of(example) } },
        "application/ld+json": { "schema": reference },
    });
    let partly = "The part of what was asked for that one answer holds, cut in time.";
    operation
        .answers_with(200, "What was asked for.", Some(content.clone()), &["Link"])
        .answers_with(206, partly, Some(content), &["Link", "Content-Range"])
        .answer_header(200, "NGSILD-Warning")
        .answer_header(206, "NGSILD-Warning")
        .may_fail(&[406])
}
