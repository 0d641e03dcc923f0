//! Which entities a query asks for (CIM 009, clauses 5.7.2 and 6.4.3.2).

use std::sync::LazyLock;

use axum::extract::FromRequestParts;
use http::request::Parts;
use musubi_context::Context;
use musubi_model::{AttrName, EntityId, NGSI_LD};
use musubi_query::{EntityQuery, Filter, GeoQuery, Pattern, Query, ScopeQuery, TypeSelection};

use crate::app::App;
use crate::error::Error;
use crate::names::Names;
use crate::paging::{self, Paging};
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::view::{self, View};

/// A query for entities, and how to show them.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) query: EntityQuery,
    pub(crate) view: View,
    pub(crate) paging: Paging,
    pub(crate) parameters: Parameters,
}

static PARAMETERS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let own: &[&str] = &[
        "id",
        "type",
        "idPattern",
        "q",
        "georel",
        "geometry",
        "coordinates",
        "geoproperty",
        "scopeQ",
        "after",
        "local",
    ];
    [own, paging::PARAMETERS, view::PARAMETERS].concat()
});

/// The longest pattern for ids, in bytes.
const MAX_PATTERN: usize = 1024;

impl FromRequestParts<App> for Listing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let parameters = Parameters::parse(parts.uri.query(), &PARAMETERS)?;
        let view = View::read(parts, &parameters, app).await?;
        let paging = Paging::read(&parameters, &app.limits, view.counted)?;
        let mut filters = filters(&parameters, &view.context)?;
        if !is_narrow_enough(&parameters, view.attributes.as_deref(), &filters)? {
            let reason = "the query is too wide: one of type, attrs, q, georel or local=true has \
                          to be there";
            return Err(Error::BadRequestData(reason.to_owned()).into());
        }
        if let Some(names) = &view.attributes {
            filters.push(Filter::HasAny(names.clone()));
        }
        let filter = if filters.len() == 1 { filters.pop() } else { None };
        let query = EntityQuery {
            filter: filter.unwrap_or(Filter::All(filters)),
            start: paging.start,
            limit: paging.limit,
            count: paging.count,
        };
        Ok(Self { query, view, paging, parameters })
    }
}

fn filters(parameters: &Parameters, context: &Context) -> Result<Vec<Filter>, Error> {
    let names = Names(context);
    let mut filters = Vec::new();
    if let Some(list) = parameters.get("id") {
        let ids: Result<Vec<EntityId>, _> = list.split(',').map(|id| id.trim().parse()).collect();
        filters.push(Filter::Ids(ids?));
    }
    if let Some(text) = parameters.get("type") {
        // Every type: a condition that every entity satisfies.
        if text != "*" {
            filters.push(Filter::Type(TypeSelection::parse(text, &names)?));
        }
    }
    if let Some(pattern) = parameters.get("idPattern") {
        filters.push(id_pattern(pattern)?);
    }
    if let Some(text) = parameters.get("q") {
        filters.push(Filter::Query(Query::parse(text, &names)?));
    }
    if let Some(text) = parameters.get("scopeQ") {
        filters.push(Filter::Scope(ScopeQuery::parse(text)?));
    }
    if let Some(query) = geo_query(parameters, names)? {
        filters.push(Filter::Geo(query));
    }
    Ok(filters)
}

fn geo_query(parameters: &Parameters, names: Names<'_>) -> Result<Option<GeoQuery>, Error> {
    let [georel, geometry, coordinates, geoproperty] =
        ["georel", "geometry", "coordinates", "geoproperty"].map(|name| parameters.get(name));
    match (georel, geometry, coordinates) {
        (Some(georel), Some(geometry), Some(coordinates)) => {
            Ok(Some(GeoQuery::parse(georel, geometry, coordinates, geoproperty, &names)?))
        }
        (None, None, None) if geoproperty.is_none() => Ok(None),
        _ => Err(Error::BadRequestData(
            "georel, geometry and coordinates make sense together only".to_owned(),
        )),
    }
}

fn id_pattern(pattern: &str) -> Result<Filter, Error> {
    if pattern.len() > MAX_PATTERN {
        let reason = format!("idPattern: a pattern has at most {MAX_PATTERN} bytes");
        return Err(Error::BadRequestData(reason));
    }
    Pattern::new(pattern)
        .map(Filter::IdPattern)
        .map_err(|error| Error::BadRequestData(format!("idPattern: {error}")))
}

/// Clause 5.7.2.4: a query has to say something about its entities, and what every entity has is
/// nothing.
fn is_narrow_enough(
    parameters: &Parameters,
    attributes: Option<&[AttrName]>,
    filters: &[Filter],
) -> Result<bool, Error> {
    let local = parameters.flag("local")?;
    let refused = parameters.get("local") == Some("false");
    let by_type = match parameters.get("type") {
        Some("*") => !refused,
        Some(_) => true,
        None => false,
    };
    let by_attribute = attributes.is_some_and(|names| !names.iter().all(is_system));
    let by_condition = filters.iter().any(|filter| match filter {
        Filter::Query(query) => !concerns_only_system(query),
        Filter::Geo(_) => true,
        Filter::Ids(_)
        | Filter::IdPattern(_)
        | Filter::Type(_)
        | Filter::HasAny(_)
        | Filter::Scope(_)
        | Filter::All(_)
        | Filter::Any(_) => false,
    });
    Ok(local || by_type || by_attribute || by_condition)
}

fn concerns_only_system(query: &Query) -> bool {
    match query {
        Query::And(parts) | Query::Or(parts) => parts.iter().all(concerns_only_system),
        Query::Exists { path, .. } | Query::Compare { path, .. } => {
            path.names.first().is_some_and(is_system)
        }
    }
}

/// Whether the broker itself keeps this attribute.
fn is_system(name: &AttrName) -> bool {
    const SYSTEM: [&str; 4] = ["createdAt", "modifiedAt", "deletedAt", "expiresAt"];
    name.as_str().strip_prefix(NGSI_LD).is_some_and(|name| SYSTEM.contains(&name))
}
