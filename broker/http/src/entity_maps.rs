//! `/ngsi-ld/v1/entityMaps`, `/ngsi-ld/v1/temporal/entityMaps` and what is below the first (CIM 009,
//! clauses 6.32, 6.34 and 6.35).

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use musubi_broker::{EntityMap, EntityMapId};
use musubi_context::Context;
use musubi_model::{Timestamp, Uri};
use serde::Serialize;
use serde::ser::SerializeMap;

use crate::app::App;
use crate::entity_query::{self, Posted};
use crate::error::Error;
use crate::problem::Problem;
use crate::request::accept::{self, Media};
use crate::request::entity_map::{ENTITY_MAP, address};
use crate::request::known::Read;
use crate::request::listing::Listing;
use crate::request::parameters::Parameters;
use crate::request::path::NamePath;
use crate::request::payload::Payload;
use crate::session::Session;
use crate::subscriptions::NoParameters;
use crate::temporal::query as temporal;
use crate::view::respond;

/// How the reader wants to see a map: its members are those of the core context.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Showing(Media);

impl FromRequestParts<App> for Showing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        Ok(Self(accept::negotiate(&parts.headers, accept::LINKED)?))
    }
}

/// `/entityMaps/{id}`.
#[derive(Debug)]
pub(crate) struct MapPath(EntityMapId);

impl FromRequestParts<App> for MapPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let NamePath(name) = NamePath::from_request_parts(parts, app).await?;
        name.parse::<Uri>().map_err(|error| {
            Error::BadRequestData(format!("the id of an entity map is a URI: {error}"))
        })?;
        let id = EntityMapId::parse(&name);
        Ok(Self(id.ok_or_else(|| Error::NotFound(format!("entity map {name}")))?))
    }
}

/// Makes a map of the entities that the query finds and answers with it.
pub(crate) async fn create(
    session: Session,
    showing: Showing,
    Read(listing): Read<Listing>,
) -> Result<Response, Problem> {
    make(&session, &showing, &listing).await
}

async fn make(
    session: &Session,
    showing: &Showing,
    listing: &Listing,
) -> Result<Response, Problem> {
    let map = session.create_entity_map(&listing.query, &listing.map.alone()).await?;
    Ok(showing.created(&map))
}

/// As [`create`], for the query in the body.
pub(crate) async fn create_posted(
    session: Session,
    showing: Showing,
    Posted(listing): Posted,
) -> Result<Response, Problem> {
    make(&session, &showing, &listing).await
}

/// Makes a map of the entities whose evolutions the query finds and answers with it.
pub(crate) async fn create_temporal(
    session: Session,
    showing: Showing,
    listing: temporal::Listing,
) -> Result<Response, Problem> {
    let (query, map) = listing.for_map();
    let map = session.create_temporal_entity_map(&query, &map.alone()).await?;
    Ok(showing.created(&map))
}

/// As [`create_temporal`], for the query in the body.
pub(crate) async fn create_temporal_posted(
    session: Session,
    showing: Showing,
    temporal::Posted(listing): temporal::Posted,
) -> Result<Response, Problem> {
    create_temporal(session, showing, listing).await
}

/// Answers with the map.
pub(crate) async fn retrieve(
    session: Session,
    MapPath(id): MapPath,
    _: NoParameters,
    showing: Showing,
) -> Result<Response, Problem> {
    let map = session.entity_map(id).await?;
    Ok(showing.respond(&map, HeaderMap::new()))
}

/// What is to change of a map.
#[derive(Debug)]
pub(crate) struct Update {
    /// As the body says it; that of a map is in the path.
    id: Option<String>,
    expires_at: Option<Timestamp>,
}

impl FromRequest<App> for Update {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        Parameters::parse(request.uri().query(), &["local"])?.flag("local")?;
        let payload = Payload::from_request(request, app).await?;
        let (body, _) = payload.object(app).await?;
        let mut update = Self { id: None, expires_at: None };
        for (name, node) in entity_query::object("", &body)? {
            match &**name {
                // What only the broker writes is ignored (clause 5.14.2.4).
                "@context" | "entityMap" | "linkedMaps" => {}
                "type" if node.as_str() == Some("EntityMap") => {}
                "type" => return Err(entity_query::wrong("type", "has to be \"EntityMap\"").into()),
                "id" => match node.as_str() {
                    Some(id) => update.id = Some(id.to_owned()),
                    None => return Err(entity_query::wrong("id", "has to be a string").into()),
                },
                "expiresAt" => {
                    let time = node.as_str().and_then(|text| Timestamp::parse_utc(text).ok());
                    let reason = "has to be a time as in 2024-01-11T09:00:00Z";
                    let wrong = || entity_query::wrong("expiresAt", reason);
                    update.expires_at = Some(time.ok_or_else(wrong)?);
                }
                other => {
                    return Err(entity_query::wrong(other, "is no member of an EntityMap").into());
                }
            }
        }
        Ok(update)
    }
}

/// Lets the map live until the time in the body, or as long as maps live at most.
pub(crate) async fn update(
    session: Session,
    MapPath(id): MapPath,
    update: Update,
) -> Result<StatusCode, Problem> {
    if update.id.is_some_and(|named| named != id.to_string()) {
        return Err(entity_query::wrong("id", "is not that of the map").into());
    }
    session.update_entity_map(id, update.expires_at).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes the map.
pub(crate) async fn delete(
    session: Session,
    MapPath(id): MapPath,
    _: NoParameters,
) -> Result<StatusCode, Problem> {
    session.delete_entity_map(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Showing {
    fn created(self, map: &EntityMap) -> Response {
        let headers = address(map.id).map(|address| (ENTITY_MAP, address)).into_iter().collect();
        (StatusCode::CREATED, self.respond(map, headers)).into_response()
    }

    fn respond(self, map: &EntityMap, headers: HeaderMap) -> Response {
        let context = Context::core();
        let body = Body {
            id: map.id.to_string(),
            r#type: "EntityMap",
            expires_at: map.expires_at.to_string(),
            entity_map: Sources(map),
            linked_maps: Links {},
            context: (self.0 == Media::LdJson).then(|| context.url()).flatten(),
        };
        // Texts alone cannot fail to be written.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let link = (self.0 != Media::LdJson).then_some(&context);
        respond(body, self.0, link, headers)
    }
}

/// A map as a reader sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    id: String,
    r#type: &'static str,
    expires_at: String,
    entity_map: Sources<'a>,
    linked_maps: Links,
    #[serde(rename = "@context", skip_serializing_if = "Option::is_none")]
    context: Option<&'a str>,
}

/// The entities, each with where it is: here.
#[derive(Debug)]
struct Sources<'a>(&'a EntityMap);

impl Serialize for Sources<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.entities.len()))?;
        for id in &self.0.entities {
            map.serialize_entry(id.as_str(), &["@none"])?;
        }
        map.end()
    }
}

/// The maps of context sources that have a part in this one: there are none.
#[derive(Debug, Serialize)]
struct Links {}
