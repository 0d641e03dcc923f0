//! `/musubi/v1/dead-letters`: what could not be delivered or mapped.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::IntoResponse;
use http::StatusCode;
use http::request::Parts;
use musubi_broker::DeadLetter;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::parameters::Parameters;
use crate::request::path::NamePath;
use crate::session::Session;
use crate::subscriptions::NoParameters;

/// Which letters are wanted.
#[derive(Debug)]
pub(crate) struct Slice {
    after: String,
    limit: usize,
}

impl FromRequestParts<App> for Slice {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let parameters = Parameters::parse(parts.uri.query(), &["after", "limit"])?;
        let limit = parameters.number("limit")?.unwrap_or(app.limits.page_default);
        if limit > app.limits.page_max {
            return Err(Error::TooManyResults(app.limits.page_max).into());
        }
        if limit == 0 {
            return Err(Error::BadRequestData("limit is 1 or more".to_owned()).into());
        }
        let after = parameters.get("after").unwrap_or_default().to_owned();
        Ok(Self { after, limit })
    }
}

/// Answers with letters in the order of their ids, and with the `after` of the next request, if
/// there are more.
pub(crate) async fn list(session: Session, slice: Slice) -> Result<impl IntoResponse, Problem> {
    let mut letters = session.dead_letters(&slice.after, slice.limit.saturating_add(1)).await?;
    let more = letters.len() > slice.limit;
    letters.truncate(slice.limit);
    let next = letters.last().filter(|_| more).map(|letter| letter.id.clone());
    let shown: Vec<Value> = letters.into_iter().map(shown).collect();
    Ok(Json(json!({ "deadLetters": shown, "next": next })))
}

/// Answers with one letter.
pub(crate) async fn retrieve(
    session: Session,
    NamePath(id): NamePath,
    _: NoParameters,
) -> Result<impl IntoResponse, Problem> {
    Ok(Json(shown(session.dead_letter(&id).await?)))
}

/// Sends a letter on its way once more.
pub(crate) async fn replay(
    session: Session,
    NamePath(id): NamePath,
    _: NoParameters,
) -> Result<StatusCode, Problem> {
    session.replay_dead_letter(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Throws a letter away.
pub(crate) async fn delete(
    session: Session,
    NamePath(id): NamePath,
    _: NoParameters,
) -> Result<StatusCode, Problem> {
    session.delete_dead_letter(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Throws all letters away and answers with how many those were.
pub(crate) async fn purge(session: Session, _: NoParameters) -> Result<impl IntoResponse, Problem> {
    let purged = session.purge_dead_letters().await?;
    Ok(Json(json!({ "purged": purged })))
}

/// A letter with its id; a payload of bytes is shown as the text that it is, if it is one.
fn shown(letter: DeadLetter) -> Value {
    let mut content = letter.content;
    if let Value::Object(members) = &mut content {
        members.insert("id".to_owned(), letter.id.into());
        let text = members.get("payload").and_then(as_text);
        if let Some(text) = text {
            members.insert("payload".to_owned(), text.into());
        }
    }
    content
}

fn as_text(payload: &Value) -> Option<String> {
    let items = payload.as_array()?;
    let byte = |item: &Value| item.as_u64().and_then(|number| u8::try_from(number).ok());
    let bytes: Option<Vec<u8>> = items.iter().map(byte).collect();
    String::from_utf8(bytes?).ok()
}
