//! `/musubi/v1/dead-letters`: what could not be delivered or mapped.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::IntoResponse;
use http::StatusCode;
use http::request::Parts;
use musubi_broker::{DeadLetter, LetterFilter, Payloads};
use musubi_model::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

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
    filter: LetterFilter,
    after: String,
    limit: usize,
}

impl Slice {
    fn read(parameters: &Parameters, app: &App) -> Result<Self, Error> {
        let limit = parameters.number("limit")?.unwrap_or(app.limits.page_default);
        if limit > app.limits.page_max {
            return Err(Error::TooManyResults(app.limits.page_max));
        }
        if limit == 0 {
            return Err(Error::BadRequestData("limit is 1 or more".to_owned()));
        }
        let after = parameters.get("after").unwrap_or_default().to_owned();
        Ok(Self { filter: filter(parameters)?, after, limit })
    }
}

/// What the parameters say of the letters that are meant.
fn filter(parameters: &Parameters) -> Result<LetterFilter, Error> {
    let text = |name| parameters.get(name).map(str::to_owned);
    let before = parameters.get("before").map(str::parse::<Timestamp>).transpose();
    let before = before.map_err(|error| Error::BadRequestData(format!("before: {error}")))?;
    Ok(LetterFilter { subscription: text("subscription"), adapter: text("adapter"), before })
}

impl FromRequestParts<App> for Slice {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let known = ["subscription", "adapter", "before", "after", "limit", "local"];
        let parameters = Parameters::parse(parts.uri.query(), &known)?;
        parameters.flag("local")?;
        Ok(Self::read(&parameters, app)?)
    }
}

/// Which letters are wanted, and whether with what was to be delivered.
#[derive(Debug)]
pub(crate) struct Wanted(Slice, Payloads);

impl FromRequestParts<App> for Wanted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let known = ["subscription", "adapter", "before", "after", "limit", "payload", "local"];
        let parameters = Parameters::parse(parts.uri.query(), &known)?;
        parameters.flag("local")?;
        let is_shown = parameters.get("payload").is_none() || parameters.flag("payload")?;
        let payloads = if is_shown { Payloads::Shown } else { Payloads::LeftOut };
        Ok(Self(Slice::read(&parameters, app)?, payloads))
    }
}

/// Which letters are to go.
#[derive(Debug)]
pub(crate) struct Doomed {
    filter: LetterFilter,
    after: String,
}

impl FromRequestParts<App> for Doomed {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let known = ["subscription", "adapter", "before", "after", "local"];
        let parameters = Parameters::parse(parts.uri.query(), &known)?;
        parameters.flag("local")?;
        let after = parameters.get("after").unwrap_or_default().to_owned();
        Ok(Self { filter: filter(&parameters)?, after })
    }
}

/// Answers with letters in the order of their ids, and with the `after` of the next request, if
/// there may be more.
pub(crate) async fn list(session: Session, wanted: Wanted) -> Result<impl IntoResponse, Problem> {
    let Wanted(Slice { filter, after, limit }, payloads) = wanted;
    let page = session.dead_letters(&filter, &after, limit, payloads).await?;
    let dead_letters = page.letters.into_iter().map(shown).collect();
    Ok(Json(Listed { dead_letters, next: page.next }))
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

/// Sends many letters on their way once more, and answers with what became of them.
pub(crate) async fn replay_many(
    session: Session,
    slice: Slice,
) -> Result<impl IntoResponse, Problem> {
    let done = session.replay_dead_letters(&slice.filter, &slice.after, slice.limit).await?;
    let failed: Vec<Value> =
        done.failed.iter().map(|(id, reason)| json!({ "id": id, "reason": reason })).collect();
    Ok(Json(json!({
        "replayed": done.replayed,
        "failed": failed,
        "left": done.left,
        "next": done.next,
    })))
}

/// Throws letters away and answers with how many those were.
pub(crate) async fn purge(session: Session, doomed: Doomed) -> Result<impl IntoResponse, Problem> {
    let done = session.purge_dead_letters(&doomed.filter, &doomed.after).await?;
    Ok(Json(json!({ "purged": done.purged, "next": done.next })))
}

/// A page of letters.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    dead_letters: Vec<Shown>,
    next: Option<String>,
}

/// A letter as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    #[serde(flatten)]
    content: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
}

/// A letter with its id; a moment that is a number is shown as a time, and a payload of bytes as
/// the text that it is, if it is one.
fn shown(letter: DeadLetter) -> Shown {
    let DeadLetter { id, mut content, payload } = letter;
    content.shift_remove("id");
    if let Some(micros) = content.get("at").and_then(Value::as_i64) {
        let at = Timestamp::from_micros(micros).to_string();
        content.insert("at".to_owned(), at.into());
    }
    let payload = payload.map(|payload| as_text(&payload).unwrap_or(payload));
    Shown { id, content, payload }
}

fn as_text(payload: &RawValue) -> Option<Box<RawValue>> {
    let bytes: Vec<u8> = serde_json::from_str(payload.get()).ok()?;
    serde_json::value::to_raw_value(&String::from_utf8(bytes).ok()?).ok()
}
