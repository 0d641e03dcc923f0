//! `/ngsi-ld/v1/entities` (CIM 009, clause 6.4).

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, Uri, header};

use crate::error::Error;
use crate::expanded::{Operation, Whole};
use crate::listing::Listing;
use crate::paging::List;
use crate::path::location;
use crate::problem::Problem;
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
    listing: Listing,
) -> Result<Response, Problem> {
    let page = session.query_entities(listing.query).await?;
    let mut headers = HeaderMap::new();
    let list = List {
        path: uri.path(),
        parameters: &listing.parameters,
        media: listing.view.media,
        total: page.total,
        more: page.more,
        last: page.items.last().map(|found| found.position),
    };
    listing.paging.add_headers(&mut headers, &list);
    Ok(listing.view.page(&session, &page.items, headers).await?)
}

/// Answers a request that has an entity's path without its id.
pub(crate) async fn without_id() -> Problem {
    Error::BadRequestData("the id of an entity is missing in the path".to_owned()).into()
}
