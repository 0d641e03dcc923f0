//! `/ngsi-ld/v1/entityOperations/query` (CIM 009, clauses 5.2.23 and 6.23): a query in a body.
//!
//! A member of the body says what the parameter of its name says in a URL, so it is read in that
//! form by what reads the URLs. What is not a member of a query is refused rather than ignored: a
//! condition with a mistake in its name would let everything through.

use std::sync::LazyLock;

use axum::extract::{FromRequest, Request};
use axum::response::Response;
use http::Uri;
use musubi_context::Context;
use musubi_model::{Document, EntityId, Node};
use musubi_query::Filter;

use crate::app::App;
use crate::entities;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::criteria::{self, Selectors};
use crate::request::listing::{Listing, Source};
use crate::request::paging;
use crate::request::parameters::Parameters;
use crate::request::payload::Payload;
use crate::session::Session;

/// A query in a body.
#[derive(Debug)]
pub(crate) struct Posted(pub(crate) Listing);

/// What stands in the URL: how the answer is to look, and which part of it is wanted.
pub(crate) static PARAMETERS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let own: &[&str] =
        &["options", "format", "sysAttrs", "geometryProperty", "local", "splitEntities", "after"];
    [own, paging::PARAMETERS].concat()
});

/// The most selectors that a query has; an entity may be compared with all of them.
const MAX_SELECTORS: usize = 100;
/// The most ids in all selectors of a query.
const MAX_IDS: usize = 10_000;

impl FromRequest<App> for Posted {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let mut parameters = Parameters::parse(request.uri().query(), &PARAMETERS)?;
        let headers = request.headers().clone();
        let payload = Payload::from_request(request, app).await?;
        let (body, context) = payload.object(app).await?;
        let selectors = members(&body, &mut parameters, (&context, not_temporal))?;
        let source = Source { headers: &headers, parameters, context, selectors };
        Ok(Self(Listing::of(source, app)?))
    }
}

/// Answers with a page of the entities that the query in the body asks for.
pub(crate) async fn query(
    session: Session,
    uri: Uri,
    Posted(listing): Posted,
) -> Result<Response, Problem> {
    Ok(entities::page(&session, &uri, &listing).await?)
}

/// What a member is, and so how it reads as a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A text that is the value of the parameter.
    Text,
    /// Texts that the parameter lists; at least one.
    Texts,
    /// A whole number, 1 or more.
    Number,
    /// `true` or `false`.
    Flag,
}

const MEMBERS: &[(&str, Kind)] = &[
    ("q", Kind::Text),
    ("scopeQ", Kind::Text),
    ("csf", Kind::Text),
    ("lang", Kind::Text),
    ("attrs", Kind::Texts),
    ("pick", Kind::Texts),
    ("omit", Kind::Texts),
    ("datasetId", Kind::Texts),
    ("join", Kind::Text),
    ("joinLevel", Kind::Number),
    ("containedBy", Kind::Texts),
    ("expandValues", Kind::Text),
    ("jsonKeys", Kind::Text),
    ("geometryProperty", Kind::Text),
    ("splitEntities", Kind::Flag),
    ("entityMap", Kind::Flag),
    ("entityMapLifetime", Kind::Text),
];

/// Reads a member that is for temporal queries, as parameters.
pub(crate) type ReadTemporal = fn(&str, &Node<'_>, &mut Parameters) -> Result<(), Error>;

fn not_temporal(name: &str, _: &Node<'_>, _: &mut Parameters) -> Result<(), Error> {
    Err(wrong(name, "is for queries of the temporal evolution of entities"))
}

/// Reads the members of a query: the selectors by themselves, all others as parameters.
pub(crate) fn members(
    body: &Node<'_>,
    parameters: &mut Parameters,
    (context, temporal): (&Context, ReadTemporal),
) -> Result<Option<Selectors>, Error> {
    let mut selectors = None;
    let mut is_query = false;
    for (name, node) in object("", body)? {
        match &**name {
            "@context" => {}
            "type" => is_query = node.as_str() == Some("Query"),
            "entities" => selectors = Some(self::selectors(node, context)?),
            "geoQ" => geo_query(node, parameters)?,
            "ordering" => ordering(node, parameters)?,
            "temporalQ" | "aggrParams" => temporal(name, node, parameters)?,
            other => match MEMBERS.iter().find(|(known, _)| *known == other) {
                Some((known, kind)) => {
                    parameters.add_member(known, value(known, *kind, node)?)?;
                }
                None => return Err(wrong(other, "is no member of a Query")),
            },
        }
    }
    if is_query { Ok(selectors) } else { Err(wrong("type", "has to be \"Query\"")) }
}

/// The value of a member as the value of a parameter.
pub(crate) fn value(name: &str, kind: Kind, node: &Node<'_>) -> Result<String, Error> {
    match (kind, &node.document) {
        (Kind::Text, Document::String(text)) => Ok(text.clone().into_owned()),
        (Kind::Texts, Document::Array(_)) => Ok(texts(name, node)?.join(",")),
        (Kind::Flag, Document::Boolean(_)) => Ok(node.raw.to_owned()),
        (Kind::Number, Document::Number(_)) => {
            let is_positive = node.raw.parse::<u64>().is_ok_and(|number| number > 0);
            let value = is_positive.then(|| node.raw.to_owned());
            value.ok_or_else(|| wrong(name, "has to be a whole number, 1 or more"))
        }
        (Kind::Text, _) => Err(wrong(name, "has to be a string")),
        (Kind::Texts, _) => Err(wrong(name, "has to be an array of strings")),
        (Kind::Flag, _) => Err(wrong(name, "has to be true or false")),
        (Kind::Number, _) => Err(wrong(name, "has to be a number")),
    }
}

/// The strings of an array that has at least one element.
fn texts<'n>(name: &str, node: &'n Node<'_>) -> Result<Vec<&'n str>, Error> {
    let items = node.as_array().ok_or_else(|| wrong(name, "has to be an array of strings"))?;
    if items.is_empty() {
        return Err(wrong(name, "must not be empty"));
    }
    let text = |(index, item): (usize, &'n Node<'_>)| {
        item.as_str().ok_or_else(|| wrong(&format!("{name}/{index}"), "has to be a string"))
    };
    items.iter().enumerate().map(text).collect()
}

fn geo_query(node: &Node<'_>, parameters: &mut Parameters) -> Result<(), Error> {
    for (name, node) in object("geoQ", node)? {
        let path = format!("geoQ/{name}");
        let (known, value) = match &**name {
            "georel" => ("georel", value(&path, Kind::Text, node)?),
            "geometry" => ("geometry", value(&path, Kind::Text, node)?),
            "geoproperty" => ("geoproperty", value(&path, Kind::Text, node)?),
            "coordinates" => match &node.document {
                Document::String(text) => ("coordinates", text.clone().into_owned()),
                Document::Array(_) => ("coordinates", node.raw.to_owned()),
                Document::Null
                | Document::Boolean(_)
                | Document::Number(_)
                | Document::Object(_) => return Err(wrong(&path, "has to be an array")),
            },
            _ => return Err(wrong(&path, "is no member of a GeoQuery")),
        };
        parameters.add_member(known, value)?;
    }
    let missing = ["georel", "geometry", "coordinates"];
    match missing.into_iter().find(|name| parameters.get(name).is_none()) {
        None => Ok(()),
        Some(name) => Err(wrong(&format!("geoQ/{name}"), "has to be there")),
    }
}

/// The order of the answer (CIM 009, clause 5.2.43).
fn ordering(node: &Node<'_>, parameters: &mut Parameters) -> Result<(), Error> {
    for (name, node) in object("ordering", node)? {
        let path = format!("ordering/{name}");
        let (known, value) = match &**name {
            "orderBy" => ("orderBy", value(&path, Kind::Texts, node)?),
            "collation" => ("collation", value(&path, Kind::Text, node)?),
            "geometry" => ("orderGeometry", value(&path, Kind::Text, node)?),
            "coordinates" => match &node.document {
                Document::Array(_) => ("orderFrom", node.raw.to_owned()),
                Document::Null
                | Document::Boolean(_)
                | Document::Number(_)
                | Document::String(_)
                | Document::Object(_) => return Err(wrong(&path, "has to be an array")),
            },
            _ => return Err(wrong(&path, "is no member of OrderingParams")),
        };
        parameters.add_member(known, value)?;
    }
    match parameters.get("orderBy") {
        Some(_) => Ok(()),
        None => Err(wrong("ordering/orderBy", "has to be there")),
    }
}

fn selectors(node: &Node<'_>, context: &Context) -> Result<Selectors, Error> {
    let items = node.as_array().ok_or_else(|| wrong("entities", "has to be an array"))?;
    if items.is_empty() {
        return Err(wrong("entities", "must not be empty"));
    }
    if items.len() > MAX_SELECTORS {
        let reason = format!("has at most {MAX_SELECTORS} elements");
        return Err(wrong("entities", &reason));
    }
    let mut any_of = Vec::with_capacity(items.len());
    let mut any_type = false;
    let mut room = MAX_IDS;
    for (index, item) in items.iter().enumerate() {
        let path = format!("entities/{index}");
        let mut selector = Selector::default();
        for (name, node) in object(&path, item)? {
            selector.add(&format!("{path}/{name}"), (name, node), context)?;
        }
        room = room
            .checked_sub(selector.ids.as_ref().map_or(0, Vec::len))
            .ok_or_else(|| wrong("entities", &format!("has at most {MAX_IDS} ids in all")))?;
        any_type |= selector.any_type;
        let filter = selector.filter();
        any_of.push(filter.ok_or_else(|| wrong(&format!("{path}/type"), "has to be there"))?);
    }
    let filter = match <[Filter; 1]>::try_from(any_of) {
        Ok([only]) => only,
        Err(any_of) => Filter::Any(any_of),
    };
    Ok(Selectors { filter, any_type })
}

/// One element of `entities`.
#[derive(Debug, Default)]
struct Selector {
    ids: Option<Vec<EntityId>>,
    pattern: Option<Filter>,
    types: Option<Filter>,
    any_type: bool,
}

impl Selector {
    fn add(
        &mut self,
        path: &str,
        (name, node): (&str, &Node<'_>),
        context: &Context,
    ) -> Result<(), Error> {
        let named = |error: Error| Error::BadRequestData(format!("/{path}: {error}"));
        match name {
            "id" => {
                let texts = match node.as_str() {
                    Some(text) => vec![text],
                    None => texts(path, node)?,
                };
                let ids = texts.into_iter().map(|text| text.parse().map_err(Error::from));
                self.ids = Some(ids.collect::<Result<_, _>>().map_err(named)?);
            }
            "idPattern" => {
                let pattern = value(path, Kind::Text, node)?;
                self.pattern = Some(criteria::id_pattern(&pattern).map_err(named)?);
            }
            "type" => {
                let text = value(path, Kind::Text, node)?;
                self.any_type = text == criteria::ANY_TYPE;
                self.types = Some(criteria::types(&text, context).map_err(named)?);
            }
            _ => return Err(wrong(path, "is no member of an EntitySelector")),
        }
        Ok(())
    }

    /// The condition, if the types are there; ids win over a pattern.
    fn filter(self) -> Option<Filter> {
        let ids = self.ids.map(Filter::Ids).or(self.pattern);
        Some(Filter::and(std::iter::once(self.types?).chain(ids).collect()))
    }
}

/// The members of an object.
pub(crate) fn object<'n, 'a>(
    path: &str,
    node: &'n Node<'a>,
) -> Result<&'n [(std::borrow::Cow<'a, str>, Node<'a>)], Error> {
    match &node.document {
        Document::Object(members) => Ok(members),
        Document::Null
        | Document::Boolean(_)
        | Document::Number(_)
        | Document::String(_)
        | Document::Array(_) => Err(wrong(path, "has to be an object")),
    }
}

pub(crate) fn wrong(path: &str, what: &str) -> Error {
    Error::BadRequestData(format!("/{path}: {path} {what}"))
}
