//! `POST /musubi/v1/history/entities`: what was recorded elsewhere, or here before, with the times
//! that it had. An extension.

use axum::extract::{FromRequest, Json, Request};
use musubi_broker::{Imported, KeptEvolution};
use musubi_context::expand_kept;
use musubi_model::Document;
use serde::Serialize;

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::expanded::{BatchContexts, in_batch, items};
use crate::request::parameters::Parameters;
use crate::request::payload::Payload;
use crate::session::Session;

/// The evolutions in the body: one, or an array of them.
#[derive(Debug)]
pub(crate) struct Kept(Vec<KeptEvolution>);

impl FromRequest<App> for Kept {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        Parameters::parse(request.uri().query(), &["local"])?.flag("local")?;
        let payload = Payload::from_request(request, app).await?;
        let node = payload.parse()?;
        let mut contexts = BatchContexts::new(&payload, app);
        let now = app.broker.now();
        let mut kept = Vec::new();
        match &node.document {
            Document::Array(_) => {
                for (index, item) in items(&node, app.limits.batch)?.iter().enumerate() {
                    let context = contexts.of(item).await?;
                    let read = expand_kept(item, &context, now);
                    kept.push(read.map_err(|error| in_batch(index, error))?);
                }
            }
            Document::Object(_) => {
                kept.push(expand_kept(&node, &contexts.of(&node).await?, now)?);
            }
            Document::Null | Document::Boolean(_) | Document::Number(_) | Document::String(_) => {
                let reason = "the body is neither a temporal evolution nor an array of them";
                return Err(Error::InvalidRequest(reason.to_owned()).into());
            }
        }
        Ok(Self(kept))
    }
}

/// What came of the instances.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    recorded: u64,
    already_there: u64,
}

/// Records the evolutions in the body, and says how many of their instances were new.
pub(crate) async fn import(
    session: Session,
    Kept(evolutions): Kept,
) -> Result<Json<Answer>, Problem> {
    let Imported { recorded, already_there } = session.import_evolutions(evolutions).await?;
    Ok(Json(Answer { recorded, already_there }))
}
