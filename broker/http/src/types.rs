//! `/ngsi-ld/v1/types` and `/ngsi-ld/v1/types/{type}` (CIM 009, clauses 6.25 and 6.26).

use axum::response::Response;
use musubi_broker::{AttributeSummary, TypeSummary};
use serde_json::{Value, json};

use crate::attribute_types;
use crate::discovery::{ListOverview, Overview, name_list};
use crate::problem::Problem;
use crate::request::path::NamePath;
use crate::session::Session;

/// Answers with the types that there are.
pub(crate) async fn list(session: Session, list: ListOverview) -> Result<Response, Problem> {
    let types = session.types().await?;
    let overview = &list.overview;
    if list.details {
        return Ok(overview.list(types.iter().map(|one| entity_type(one, overview))));
    }
    let names: Vec<_> = types.iter().map(|one| overview.compact(one.name.as_str())).collect();
    Ok(overview.one(name_list("EntityTypeList", "typeList", &names, session.tenant())))
}

/// Answers with what there is of one type.
pub(crate) async fn retrieve(
    session: Session,
    NamePath(term): NamePath,
    overview: Overview,
) -> Result<Response, Problem> {
    let name = overview.context.entity_type(&term)?;
    let (summary, attributes) = session.entity_type(&name).await?;
    Ok(overview.one(entity_type_info(&summary, &attributes, &overview)))
}

/// An `EntityType` (CIM 009, clause 5.2.25).
fn entity_type(one: &TypeSummary, overview: &Overview) -> Value {
    let attributes: Vec<_> =
        one.attributes.iter().map(|name| overview.compact(name.as_str())).collect();
    json!({
        "id": one.name.as_str(),
        "type": "EntityType",
        "typeName": overview.compact(one.name.as_str()),
        "attributeNames": attributes,
    })
}

/// An `EntityTypeInfo` (CIM 009, clause 5.2.26).
fn entity_type_info(
    one: &TypeSummary,
    attributes: &[AttributeSummary],
    overview: &Overview,
) -> Value {
    let attribute = |summary: &AttributeSummary| {
        json!({
            "id": summary.name.as_str(),
            "type": "Attribute",
            "attributeName": overview.compact(summary.name.as_str()),
            "attributeTypes": attribute_types::kinds(summary),
        })
    };
    json!({
        "id": one.name.as_str(),
        "type": "EntityTypeInfo",
        "typeName": overview.compact(one.name.as_str()),
        "entityCount": one.entities,
        "attributeDetails": attributes.iter().map(attribute).collect::<Vec<_>>(),
    })
}
