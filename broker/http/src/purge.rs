//! `DELETE /ngsi-ld/v1/entities` (CIM 009, clauses 5.6.21 and 6.4.3.3).

use std::sync::LazyLock;

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use musubi_broker::{Members, Purge};
use musubi_context::Context;
use musubi_model::NGSI_LD;
use musubi_query::Filter;
use musubi_view::{MAX_NAMES, too_many_names};

use crate::app::App;
use crate::batch::{self, Success};
use crate::error::Error;
use crate::problem::Problem;
use crate::request::criteria::{self, Criteria};
use crate::request::expanded::attribute;
use crate::request::link;
use crate::request::names;
use crate::request::parameters::Parameters;
use crate::session::Session;

/// Which entities are purged, and of what.
#[derive(Debug)]
pub(crate) struct PurgeRequest {
    filter: Filter,
    what: Purge,
}

/// `geometryProperty` is about an answer that has entities, which this one has not; it is known
/// because the clause's table has it.
pub(crate) static PARAMETERS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    [&["attrs", "keep", "drop", "geometryProperty"], criteria::PARAMETERS].concat()
});

impl FromRequestParts<App> for PurgeRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let parameters = Parameters::parse(parts.uri.query(), &PARAMETERS)?;
        let context = link::context(app, &parts.headers).await?;
        let attributes = match parameters.get("attrs") {
            Some(list) if list.contains('{') => return Err(no_links("attrs").into()),
            Some(list) => Some(names::attributes("attrs", list, &context)?),
            None => None,
        };
        let criteria = Criteria::read(&parameters, &context, attributes.as_deref(), None)?;
        if criteria.link_depth > 0 {
            return Err(no_links("q").into());
        }
        let what = match (parameters.get("keep"), parameters.get("drop")) {
            (None, None) => Purge::Entities,
            (Some(list), None) => Purge::Keep(members("keep", list, &context)?),
            (None, Some(list)) => Purge::Drop(members("drop", list, &context)?),
            (Some(_), Some(_)) => {
                let reason = "keep and drop cannot be used together";
                return Err(Error::BadRequestData(reason.to_owned()).into());
            }
        };
        Ok(Self { filter: criteria.filter, what })
    }
}

/// Deletes the entities that the parameters describe, or some of their members.
pub(crate) async fn purge(session: Session, request: PurgeRequest) -> Result<Response, Problem> {
    let result = session.purge_entities(request.filter, request.what).await?;
    Ok(batch::answer(&result, Vec::new(), Success::Changed))
}

/// The members in a list. An entity keeps its `id` and `type` in any case, so these may be kept
/// and not be dropped.
fn members(parameter: &str, list: &str, context: &Context) -> Result<Members, Error> {
    if list.split(',').count() > MAX_NAMES {
        return Err(too_many_names(parameter).into());
    }
    let mut members = Members::default();
    for term in list.split(',').map(str::trim) {
        match term {
            "scope" => members.scope = true,
            "id" | "type" if parameter == "keep" => {}
            term if term.contains('{') => return Err(no_links(parameter)),
            term => {
                let name = attribute(term, context)
                    .map_err(|error| Error::BadRequestData(format!("{parameter}: {error}")))?;
                let local = name.as_str().strip_prefix(NGSI_LD);
                if local.is_some_and(|local| criteria::SYSTEM.contains(&local)) {
                    let reason = format!("{parameter}: {term} is kept by the broker itself");
                    return Err(Error::BadRequestData(reason));
                }
                members.attributes.push(name);
            }
        }
    }
    Ok(members)
}

fn no_links(parameter: &str) -> Error {
    Error::BadRequestData(format!("{parameter}: a purge does not look into linked entities"))
}
