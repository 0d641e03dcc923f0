//! Which entities a request means: its conditions, from the parameters of a URL or from the
//! members of a query in a body (CIM 009, clauses 5.7.2.4 and 6.4.3.2).
//!
//! No context source is ever asked, so every query is of local scope: `csf` is read and selects
//! among none, and `splitEntities` makes no difference.

use musubi_context::Context;
use musubi_model::{AttrName, EntityId, NGSI_LD};
use musubi_query::{
    Filter, GeoQuery, InvalidQuery, Pattern, Query, QueryOptions, ScopeQuery, TypeSelection,
};

use crate::error::Error;
use crate::request::names::{self, Names};
use crate::request::parameters::Parameters;

/// The parameters that say which entities are meant; `attrs`, which says more than that, is not
/// among them.
pub(crate) const PARAMETERS: &[&str] = &[
    "id",
    "type",
    "idPattern",
    "q",
    "expandValues",
    "jsonKeys",
    "georel",
    "geometry",
    "coordinates",
    "geoproperty",
    "scopeQ",
    "csf",
    "local",
    "splitEntities",
];

/// Stands for every type, where only what is here is asked.
pub(crate) const ANY_TYPE: &str = "*";

/// The longest pattern for ids, in bytes.
const MAX_PATTERN: usize = 1024;

/// The conditions on entities that a request names.
#[derive(Debug)]
pub(crate) struct Criteria {
    pub(crate) filter: Filter,
    /// How many links deep the conditions look.
    pub(crate) link_depth: usize,
}

/// The `entities` of a query in a body (CIM 009, clause 5.2.33).
#[derive(Debug)]
pub(crate) struct Selectors {
    pub(crate) filter: Filter,
    /// Whether one of them is for every type.
    pub(crate) any_type: bool,
}

/// The conditions on entities that a request names, each by itself.
#[derive(Debug)]
pub(crate) struct Conditions {
    /// What the ids and the types have to satisfy.
    pub(crate) identity: Vec<Filter>,
    pub(crate) query: Option<Query>,
    pub(crate) scope: Option<ScopeQuery>,
    pub(crate) geo: Option<GeoQuery>,
}

impl Criteria {
    /// Reads the conditions of a request. With `attributes`, an entity has to have one of these;
    /// with `selectors`, it has to satisfy one of those.
    pub(crate) fn read(
        parameters: &Parameters,
        context: &Context,
        attributes: Option<&[AttrName]>,
        selectors: Option<Selectors>,
    ) -> Result<Self, Error> {
        let Conditions { identity, query, scope, geo } =
            Conditions::read(parameters, context, attributes, selectors)?;
        let link_depth = query.as_ref().map_or(0, Query::link_depth);
        let mut filters = identity;
        filters.extend(query.map(Filter::Query));
        filters.extend(scope.map(Filter::Scope));
        filters.extend(geo.map(Filter::Geo));
        filters.extend(attributes.map(|names| Filter::HasAny(names.to_vec())));
        Ok(Self { filter: Filter::and(filters), link_depth })
    }
}

impl Conditions {
    /// As [`Criteria::read`], but for what is said of `attributes`: only that the query is not too
    /// wide with them.
    pub(crate) fn read(
        parameters: &Parameters,
        context: &Context,
        attributes: Option<&[AttrName]>,
        selectors: Option<Selectors>,
    ) -> Result<Self, Error> {
        parameters.flag("splitEntities")?;
        let mut conditions = Self::of(parameters, context)?;
        let any_type = match &selectors {
            Some(selectors) => Some(selectors.any_type),
            None => parameters.get("type").map(|types| types == ANY_TYPE),
        };
        let local = parameters.flag("local")?;
        let by_type = match any_type {
            // Every type: local scope is meant, so the opposite cannot be said.
            Some(true) => parameters.get("local") != Some("false"),
            Some(false) => true,
            None => false,
        };
        let by_attribute = attributes.is_some_and(|names| !names.iter().all(is_system));
        if !(local || by_type || by_attribute || conditions.are_narrow()) {
            let reason = "the query is too wide: one of type, attrs, q, georel or local=true has \
                          to be there";
            return Err(Error::BadRequestData(reason.to_owned()));
        }
        conditions.identity.extend(selectors.map(|selectors| selectors.filter));
        Ok(conditions)
    }

    fn of(parameters: &Parameters, context: &Context) -> Result<Self, Error> {
        let names = Names(context);
        let mut identity = Vec::new();
        if let Some(list) = parameters.get("id") {
            let ids: Result<Vec<EntityId>, _> =
                list.split(',').map(|id| id.trim().parse()).collect();
            let in_list = |error| Error::BadRequestData(format!("id: {error}"));
            identity.push(Filter::Ids(ids.map_err(in_list)?));
        }
        if let Some(text) = parameters.get("type") {
            identity.push(types(text, context)?);
        }
        if let Some(pattern) = parameters.get("idPattern") {
            identity.push(id_pattern(pattern)?);
        }
        let query = query(parameters, context)?;
        let scope = parameters.get("scopeQ").map(ScopeQuery::parse).transpose()?;
        let geo = geo_query(parameters, names)?;
        if let Some(text) = parameters.get("csf") {
            let in_csf = |error: InvalidQuery| InvalidQuery { parameter: "csf", ..error };
            Query::parse(text, &names).map_err(in_csf)?;
        }
        Ok(Self { identity, query, scope, geo })
    }

    /// Clause 5.7.2.4: a query has to say something about its entities, and what every entity has
    /// is nothing.
    fn are_narrow(&self) -> bool {
        self.geo.is_some() || self.query.as_ref().is_some_and(|query| !concerns_only_system(query))
    }
}

/// The condition of a type selection; every entity satisfies that of [`ANY_TYPE`].
pub(crate) fn types(text: &str, context: &Context) -> Result<Filter, Error> {
    if text == ANY_TYPE {
        return Ok(Filter::default());
    }
    Ok(Filter::Type(TypeSelection::parse(text, &Names(context))?))
}

/// The condition of a pattern for ids.
pub(crate) fn id_pattern(pattern: &str) -> Result<Filter, Error> {
    if pattern.len() > MAX_PATTERN {
        let reason = format!("idPattern: a pattern has at most {MAX_PATTERN} bytes");
        return Err(Error::BadRequestData(reason));
    }
    Pattern::new(pattern)
        .map(Filter::IdPattern)
        .map_err(|error| Error::BadRequestData(format!("idPattern: {error}")))
}

fn query(parameters: &Parameters, context: &Context) -> Result<Option<Query>, Error> {
    let listed = |name: &'static str| match parameters.get(name) {
        None => Ok(Vec::new()),
        Some(list) => names::attributes(name, list, context),
    };
    let (expand_values, json_keys) = (listed("expandValues")?, listed("jsonKeys")?);
    if let Some(twice) = expand_values.iter().find(|name| json_keys.contains(name)) {
        let reason = format!("{twice} is both in expandValues and in jsonKeys");
        return Err(Error::BadRequestData(reason));
    }
    let Some(text) = parameters.get("q") else { return Ok(None) };
    let options = QueryOptions { expand_values: &expand_values, json_keys: &json_keys };
    Ok(Some(Query::parse_with(text, &Names(context), &options)?))
}

fn geo_query(parameters: &Parameters, names: Names<'_>) -> Result<Option<GeoQuery>, Error> {
    let [georel, geometry, coordinates] =
        ["georel", "geometry", "coordinates"].map(|name| parameters.get(name));
    match (georel, geometry, coordinates) {
        (Some(georel), Some(geometry), Some(coordinates)) => {
            let property = parameters.get("geoproperty");
            Ok(Some(GeoQuery::parse(georel, geometry, coordinates, property, &names)?))
        }
        // A property alone is ignored, as clause 6.4.3.2 says.
        (None, None, None) => Ok(None),
        _ => Err(Error::BadRequestData(
            "georel, geometry and coordinates make sense together only".to_owned(),
        )),
    }
}

fn concerns_only_system(query: &Query) -> bool {
    match query {
        Query::And(parts) | Query::Or(parts) => parts.iter().all(concerns_only_system),
        Query::Exists { path, .. } | Query::Compare { path, .. } => {
            path.links.is_empty() && path.names.first().is_some_and(is_system)
        }
    }
}

/// The attributes that the broker itself keeps, without the prefix of their names.
pub(crate) const SYSTEM: [&str; 4] = ["createdAt", "modifiedAt", "deletedAt", "expiresAt"];

/// Whether the broker itself keeps this attribute.
fn is_system(name: &AttrName) -> bool {
    name.as_str().strip_prefix(NGSI_LD).is_some_and(|name| SYSTEM.contains(&name))
}
