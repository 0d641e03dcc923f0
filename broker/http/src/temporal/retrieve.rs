//! `GET /ngsi-ld/v1/temporal/entities/{id}` (CIM 009, clauses 5.7.3 and 6.19.3.1).

use std::sync::LazyLock;

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::HeaderMap;
use http::request::Parts;

use super::parameters::INSTANCES;
use super::question::{self, Question};
use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::entity_map;
use crate::request::link;
use crate::request::parameters::Parameters;
use crate::request::path::EntityPath;
use crate::session::Session;

pub(crate) static PARAMETERS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| [INSTANCES, question::SHOWN, &["local"]].concat());

/// What is asked of one evolution.
#[derive(Debug)]
pub(crate) struct Retrieval(Question);

impl FromRequestParts<App> for Retrieval {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let parameters = Parameters::parse(parts.uri.query(), &PARAMETERS)?;
        let context = link::context(app, &parts.headers).await?;
        Ok(Self(Question::read(&parts.headers, &parameters, context, app)?))
    }
}

/// Answers with the evolution of an entity.
pub(crate) async fn retrieve(
    session: Session,
    EntityPath(id): EntityPath,
    Retrieval(question): Retrieval,
) -> Result<Response, Problem> {
    let terms = question.map.beside()?;
    let (page, map) = session.evolution_of_map(&id, question.query, &terms).await?;
    let seal = session.seal().await;
    let answer = question.view.one(&page, &seal, HeaderMap::new())?;
    let nothing = || Error::NotFound(format!("entity {id} with any of the members asked for"));
    Ok(entity_map::of_one(answer.ok_or_else(nothing)?, map))
}
