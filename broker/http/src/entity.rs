//! `/ngsi-ld/v1/entities/{id}` (CIM 009, clause 6.5).

use std::sync::LazyLock;
use std::thread::LocalKey;

use axum::response::Response;
use http::{HeaderMap, StatusCode};
use musubi_broker::{Common, MapTerms, Selection};
use musubi_context::{Context, Form, is_language_tag};
use musubi_query::TypeSelection;

use crate::app::App;
use crate::attributes;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::entity_map::{self, MapRequest};
use crate::request::expanded::{Bare, Operation, Part, Whole};
use crate::request::known::{Read, Reading, Readings};
use crate::request::names::Names;
use crate::request::parameters::Parameters;
use crate::request::path::EntityPath;
use crate::request::preconditions::Reader;
use crate::session::Session;
use crate::view::{self, View};

/// What is asked of one entity, and how to show it.
#[derive(Debug)]
pub(crate) struct Retrieval {
    selection: Selection,
    view: View,
    map: MapTerms,
    /// Whether linked entities are shown with it.
    joins: bool,
}

pub(crate) static RETRIEVE: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| [&["type", "local"], view::PARAMETERS].concat());

thread_local! {
    static KEPT: Readings<Retrieval> = const { Readings::new() };
}

impl Reading for Retrieval {
    fn read(
        query: Option<&str>,
        headers: &HeaderMap,
        context: Context,
        app: &App,
    ) -> Result<Self, Error> {
        let parameters = Parameters::parse(query, &RETRIEVE)?;
        let view = View::read(headers, &parameters, context, app)?;
        let map = MapRequest::read(headers, &parameters, &view.context)?.beside()?;
        let types = match parameters.get("type") {
            None => None,
            Some(text) => Some(TypeSelection::parse(text, &Names(&view.context))?),
        };
        let selection = Selection { types, attributes: view.attributes.clone() };
        let joins = parameters.get("join").is_some();
        Ok(Self { selection, view, map, joins })
    }

    fn is_small(&self) -> bool {
        true
    }

    fn kept() -> &'static LocalKey<Readings<Self>> {
        &KEPT
    }
}

/// Answers with the entity.
pub(crate) async fn retrieve(
    session: Session,
    EntityPath(id): EntityPath,
    Read(retrieval): Read<Retrieval>,
    reader: Reader,
) -> Result<Response, Problem> {
    let Retrieval { selection, view, map, joins } = &*retrieval;
    let (found, map) = session.retrieve_entity_of_map(&id, selection, map).await?;
    // Linked entities have versions of their own.
    let headers = if *joins {
        HeaderMap::new()
    } else {
        reader.headers(session.seal().await.version(&found))
    };
    let answer = reader.answer(view.one(&session, &found.entity, headers).await?);
    Ok(entity_map::of_one(answer, map))
}

/// The parameters of a deletion.
#[derive(Debug)]
pub(crate) struct Delete;

impl Operation for Delete {
    const PARAMETERS: &'static [&'static str] = &["type", "local"];
}

/// Deletes the entity.
pub(crate) async fn delete(
    session: Session,
    EntityPath(id): EntityPath,
    request: Bare<Delete>,
) -> Result<StatusCode, Problem> {
    session.delete_entity(&id, request.types.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The parameters of a replacement.
#[derive(Debug)]
pub(crate) struct Replace;

impl Operation for Replace {
    const PARAMETERS: &'static [&'static str] = &["type", "local"];
}

/// Puts the entity in the body in the place of the one that is there.
pub(crate) async fn replace(
    session: Session,
    EntityPath(id): EntityPath,
    entity: Whole<Replace>,
) -> Result<StatusCode, Problem> {
    session.replace_entity(&id, entity.types.as_ref(), entity.fragment).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The parameters of a merge.
#[derive(Debug)]
pub(crate) struct Merge;

impl Operation for Merge {
    const PARAMETERS: &'static [&'static str] =
        &["type", "local", "options", "format", "observedAt", "lang"];

    fn is_simplified(parameters: &Parameters) -> Result<bool, Error> {
        let options = parameters.options(&["normalized", "concise", "keyValues", "simplified"])?;
        Ok(view::form(parameters.get("format"), &options)? == Form::Simplified)
    }
}

/// Merges the body into the entity.
pub(crate) async fn merge(
    session: Session,
    EntityPath(id): EntityPath,
    part: Part<Merge>,
) -> Result<Response, Problem> {
    let common = common(&part.parameters)?;
    let types = part.types.as_ref();
    let result = session.merge_entity(&id, types, part.fragment, common).await?;
    Ok(attributes::answer(&result))
}

fn common(parameters: &Parameters) -> Result<Common, Error> {
    let time = |text: &str| {
        text.parse().map_err(|error| Error::BadRequestData(format!("observedAt: {error}")))
    };
    let language = parameters.get("lang").map(str::to_owned);
    match language.as_deref().filter(|tag| !is_language_tag(tag)) {
        None => Ok(Common {
            observed_at: parameters.get("observedAt").map(time).transpose()?,
            language,
        }),
        Some(wrong) => {
            let reason =
                format!("lang: one language tag as in RFC 5646 is expected, not {wrong:?}");
            Err(Error::BadRequestData(reason))
        }
    }
}
