//! What requests and answers say of entity maps: the header `NGSILD-EntityMap`, and the parameters
//! `entityMap` and `entityMapLifetime` (CIM 009, clauses 5.5.14, 6.4.3.2 and 6.5.3.1).

use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use musubi_broker::{EntityMapId, MapOfAnswer, MapTerms, MapWish};
use musubi_context::Context;
use musubi_query::PeriodDuration;
use percent_encoding::percent_decode_str;

use crate::error::Error;
use crate::request::parameters::Parameters;
use crate::request::path::location;

/// The header that names the map of a request and of an answer, by where it is.
pub(crate) const ENTITY_MAP: HeaderName = HeaderName::from_static("ngsild-entitymap");

/// Where maps are.
const MAPS: &str = "/ngsi-ld/v1/entityMaps";

/// What a request says of entity maps.
#[derive(Clone, Debug)]
pub(crate) struct MapRequest {
    wish: MapWish,
    lifetime: Option<PeriodDuration>,
    context: Context,
}

impl MapRequest {
    /// Reads it. A map goes with the context that the names of its query were read in.
    pub(crate) fn read(
        headers: &HeaderMap,
        parameters: &Parameters,
        context: &Context,
    ) -> Result<Self, Error> {
        let is_wanted = parameters.flag("entityMap")?;
        let wish = match named(headers)? {
            Some(wish) => wish,
            None if is_wanted => MapWish::New,
            None => MapWish::None,
        };
        let lifetime = parameters.get("entityMapLifetime").map(str::parse).transpose();
        let lifetime = lifetime
            .map_err(|error| Error::BadRequestData(format!("entityMapLifetime: {error}")))?;
        Ok(Self { wish, lifetime, context: context.clone() })
    }

    /// What is asked for beside an answer.
    pub(crate) fn beside(&self) -> Result<MapTerms, Error> {
        let Self { wish, lifetime, ref context } = *self;
        if wish == MapWish::None && lifetime.is_some() {
            let reason = "entityMapLifetime is for a map that entityMap=true asks for";
            return Err(Error::BadRequestData(reason.to_owned()));
        }
        // It may be long, and is of no use without a map.
        let context = if wish == MapWish::None { String::new() } else { known_by(context) };
        Ok(MapTerms { wish, lifetime, context })
    }

    /// What is asked for where a map is the answer, whatever the request says of others.
    pub(crate) fn alone(&self) -> MapTerms {
        MapTerms { wish: MapWish::New, lifetime: self.lifetime, context: known_by(&self.context) }
    }
}

/// What a context is known by.
fn known_by(context: &Context) -> String {
    context.url().unwrap_or(context.member()).to_owned()
}

/// The map that a request names, by where it is or by its id. What cannot be one of this broker is
/// as one that is not there any more.
fn named(headers: &HeaderMap) -> Result<Option<MapWish>, Error> {
    let mut values = headers.get_all(ENTITY_MAP).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        let reason = "NGSILD-EntityMap is given more than once";
        return Err(Error::InvalidRequest(reason.to_owned()));
    }
    let text = value
        .to_str()
        .map_err(|_| Error::InvalidRequest("NGSILD-EntityMap is not ASCII".to_owned()))?;
    let last = text.trim().rsplit('/').next().unwrap_or_default();
    let decoded = percent_decode_str(last).decode_utf8();
    let id = decoded.ok().and_then(|id| EntityMapId::parse(&id));
    Ok(Some(id.map_or(MapWish::New, MapWish::This)))
}

/// Where a map is.
pub(crate) fn address(id: EntityMapId) -> Option<HeaderValue> {
    HeaderValue::try_from(location(MAPS, &id.to_string())).ok()
}

/// The answer to a retrieval, with the map that it is of.
pub(crate) fn of_one(mut response: Response, map: Option<MapOfAnswer>) -> Response {
    if let Some(address) = map.and_then(|map| address(map.id())) {
        response.headers_mut().insert(ENTITY_MAP, address);
    }
    response
}

/// The answer to a query, with the map that it is of. It says so by its status if that was made for
/// it, unless its status has more to say.
pub(crate) fn of_many(response: Response, map: Option<MapOfAnswer>) -> Response {
    let mut response = of_one(response, map);
    if let Some(MapOfAnswer::Created(_)) = map
        && response.status() == StatusCode::OK
    {
        *response.status_mut() = StatusCode::CREATED;
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        headers.insert(ENTITY_MAP, HeaderValue::from_str(value).unwrap());
        let wish =
            expected.map_or(MapWish::New, |id| MapWish::This(EntityMapId::parse(id).unwrap()));
        assert_eq!(named(&headers).unwrap(), Some(wish), "{value}");
    }

    #[test]
    fn a_map_is_named_by_where_it_is_or_by_its_id() {
        let id = "urn:ngsi-ld:EntityMap:b8f6a1e2-57c9-4d0f-9a52-0d6f3c1b7e44";
        check(id, Some(id));
        check(&format!("/ngsi-ld/v1/entityMaps/{id}"), Some(id));
        check(&format!("https://town.example/api/entityMaps/{id}"), Some(id));
        check(&format!("entityMaps/{}", id.replace(':', "%3A")), Some(id));
        check("urn:ngsi-ld:EntityMap:1", None);
        check("", None);
        check(&format!("{id}/"), None);
        assert_eq!(named(&HeaderMap::new()).unwrap(), None);
    }
}
