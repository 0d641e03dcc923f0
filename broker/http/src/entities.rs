//! `/ngsi-ld/v1/entities` (CIM 009, clause 6.4).

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, Uri, header};
use musubi_broker::Found;

use crate::error::Error;
use crate::problem::Problem;
use crate::request::entity_map;
use crate::request::expanded::{Operation, Whole};
use crate::request::known::Read;
use crate::request::listing::Listing;
use crate::request::paging::List;
use crate::request::path::location;
use crate::request::preconditions::HEADERS;
use crate::session::Session;

/// The parameters of a creation.
#[derive(Debug)]
pub(crate) struct Create;

impl Operation for Create {
    const PARAMETERS: &'static [&'static str] = &["local"];
}

/// Creates the entity in the body and answers with where it is now.
pub(crate) async fn create(
    session: Session,
    entity: Whole<Create>,
) -> Result<impl IntoResponse, Problem> {
    let id = session.create_entity(entity.fragment).await?;
    let location = location("/ngsi-ld/v1/entities", id.as_str());
    Ok((StatusCode::CREATED, [(header::LOCATION, location)]))
}

/// Answers with a page of the entities that the query asks for.
pub(crate) async fn query(
    session: Session,
    uri: Uri,
    Read(listing): Read<Listing>,
) -> Result<Response, Problem> {
    Ok(page(&session, &uri, &listing).await?)
}

/// The page that a query asks for, at whatever path it came in.
pub(crate) async fn page(
    session: &Session,
    uri: &Uri,
    listing: &Listing,
) -> Result<Response, Error> {
    let mut query = listing.query.clone();
    let seal = if listing.paging.is_by_cursor() { Some(session.seal().await) } else { None };
    query.start = listing.paging.start(seal.as_ref())?;
    let terms = listing.map.beside()?;
    let view = &listing.view;
    let mut body = None;
    let mut look = |items: &[&Found]| body = Some(view.plain_page(items));
    let (shown, map) = match view.special() {
        Some(special) => {
            let (page, map) = session.query_entities_of_map(query, &terms).await?;
            body = Some(view.special_page(session, special, &page.items).await);
            (page.show(&mut |_| {}), map)
        }
        None if view.is_brief() => session.show_entities_of_map(query, &terms, &mut look).await?,
        None => {
            let (page, map) = session.query_entities_of_map(query, &terms).await?;
            (page.show(&mut look), map)
        }
    };
    let body = body.unwrap_or_else(|| view.plain_page(&[]))?;
    let mut headers = HeaderMap::with_capacity(HEADERS);
    let list = List {
        path: uri.path(),
        parameters: &listing.parameters,
        media: view.media,
        total: shown.total,
        more: shown.more,
        last: seal.zip(shown.last.filter(|_| shown.more)).map(|(seal, end)| seal.cursor(end)),
        next: Some(&listing.next),
    };
    listing.paging.add_headers(&mut headers, &list);
    Ok(entity_map::of_many(view.answer(body, headers), map))
}

/// Answers a request that has an entity's path without its id.
pub(crate) async fn without_id() -> Problem {
    Error::BadRequestData("the id of an entity is missing in the path".to_owned()).into()
}
