//! `/musubi/v1/subscriptions` and `/musubi/v1/subscriptions/{id}/ledger`: what has become of all that
//! subscriptions had to be told.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::IntoResponse;
use http::request::Parts;
use musubi_broker::Account;
use musubi_model::Timestamp;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::error::Error;
use crate::problem::Problem;
use crate::request::parameters::Parameters;
use crate::session::Session;
use crate::subscriptions::{NoParameters, SubscriptionPath};

/// Which subscriptions are wanted.
#[derive(Debug)]
pub(crate) struct Slice {
    after: String,
    limit: usize,
}

impl FromRequestParts<App> for Slice {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let parameters = Parameters::parse(parts.uri.query(), &["after", "limit", "local"])?;
        parameters.flag("local")?;
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

/// Answers with subscriptions and their accounts in the order of their ids, and with the `after` of
/// the next request, if there are more.
pub(crate) async fn list(session: Session, slice: Slice) -> Result<impl IntoResponse, Problem> {
    let page = session.accounts(&slice.after, slice.limit).await?;
    let now = session.now();
    let shown: Vec<Value> = page.items.iter().map(|account| listed(account, now)).collect();
    Ok(Json(json!({ "subscriptions": shown, "next": page.next })))
}

/// Answers with one account: `due = delivered + pending + dead + suppressed`.
pub(crate) async fn show(
    session: Session,
    SubscriptionPath(id): SubscriptionPath,
    _: NoParameters,
) -> Result<impl IntoResponse, Problem> {
    let account = session.account(&id).await?;
    let mut members = Map::new();
    members.insert("subscription".to_owned(), id.as_str().into());
    add(&mut members, &account);
    Ok(Json(Value::Object(members)))
}

fn listed(account: &Account, now: Timestamp) -> Value {
    let subscription = &account.subscription;
    let mut members = Map::new();
    members.insert("id".to_owned(), subscription.id().as_str().into());
    members.insert("name".to_owned(), subscription.name().into());
    members.insert("status".to_owned(), subscription.status(now).as_str().into());
    members.insert("endpoint".to_owned(), subscription.endpoint_host().into());
    add(&mut members, account);
    Value::Object(members)
}

/// The counts, and how the delivery goes.
fn add(members: &mut Map<String, Value>, account: &Account) {
    let standing = &account.standing;
    let (ledger, status) = (standing.ledger, standing.status);
    let mut put = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
    put("due", ledger.due.into());
    put("delivered", ledger.delivered.into());
    put("pending", ledger.pending.into());
    put("dead", ledger.dead.into());
    put("suppressed", ledger.suppressed.into());
    put("timesSent", status.times_sent.into());
    put("timesFailed", status.times_failed.into());
    put("failuresInARow", status.failures_in_a_row.into());
    put("lastNotification", time(status.last_notification));
    put("lastSuccess", time(status.last_success));
    put("lastFailure", time(status.last_failure));
    put("lastFailureReason", standing.last_failure.as_deref().into());
    put("oldestPending", time(standing.oldest_pending));
    let breaker = if standing.is_left_alone { "open" } else { "closed" };
    put("breaker", breaker.into());
}

fn time(moment: Option<Timestamp>) -> Value {
    moment.map(|moment| moment.to_string()).into()
}
