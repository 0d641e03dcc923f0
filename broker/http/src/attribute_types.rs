//! `/ngsi-ld/v1/attributes` and `/ngsi-ld/v1/attributes/{attribute}` (CIM 009, clauses 6.27 and
//! 6.28).

use axum::response::Response;
use musubi_broker::AttributeSummary;
use serde_json::{Value, json};

use crate::discovery::{ListOverview, Overview, name_list};
use crate::error::Error;
use crate::problem::Problem;
use crate::request::path::NamePath;
use crate::session::Session;

/// Members of an entity that are no attributes (CIM 009, clause 4.5.1), so that none is found.
const MEMBERS: [&str; 6] = ["id", "type", "scope", "@id", "@type", "@context"];

/// Answers with the attributes that there are.
pub(crate) async fn list(session: Session, list: ListOverview) -> Result<Response, Problem> {
    let attributes = session.attributes().await?;
    let overview = &list.overview;
    if list.details {
        return Ok(overview.list(attributes.iter().map(|one| detailed(one, overview))));
    }
    let names: Vec<_> = attributes.iter().map(|one| overview.compact(one.name.as_str())).collect();
    Ok(overview.one(name_list("AttributeList", "attributeList", &names, session.tenant())))
}

/// Answers with what there is of one attribute.
pub(crate) async fn retrieve(
    session: Session,
    NamePath(term): NamePath,
    overview: Overview,
) -> Result<Response, Problem> {
    if MEMBERS.contains(&term.as_str()) {
        return Err(Error::NotFound(format!("attribute {term:?}: that is a member")).into());
    }
    let name = overview.context.attribute(&term)?;
    let summary = session.attribute(&name).await?;
    let mut attribute = detailed(&summary, &overview);
    if let Value::Object(members) = &mut attribute {
        members.insert("attributeCount".to_owned(), Value::from(summary.entities));
        members.insert("attributeTypes".to_owned(), Value::from(kinds(&summary)));
    }
    Ok(overview.one(attribute))
}

/// The kinds of an attribute, as the specification names them.
pub(crate) fn kinds(summary: &AttributeSummary) -> Vec<&'static str> {
    summary.kinds.iter().map(|kind| kind.as_str()).collect()
}

/// An `Attribute` (CIM 009, clause 5.2.28), with what a list shows of it (clause 5.7.9).
fn detailed(one: &AttributeSummary, overview: &Overview) -> Value {
    let types: Vec<_> = one.types.iter().map(|name| overview.compact(name.as_str())).collect();
    json!({
        "id": one.name.as_str(),
        "type": "Attribute",
        "attributeName": overview.compact(one.name.as_str()),
        "typeNames": types,
    })
}
