//! `/musubi/v1/subscriptions/{id}/ledger`: what has become of all that a subscription had to be
//! told.

use axum::Json;
use axum::response::IntoResponse;
use serde_json::json;

use crate::problem::Problem;
use crate::session::Session;
use crate::subscriptions::{NoParameters, SubscriptionPath};

/// Answers with the account: `due = delivered + pending + dead + suppressed`.
pub(crate) async fn show(
    session: Session,
    SubscriptionPath(id): SubscriptionPath,
    _: NoParameters,
) -> Result<impl IntoResponse, Problem> {
    let ledger = session.ledger(&id).await?;
    Ok(Json(json!({
        "subscription": id.as_str(),
        "due": ledger.due,
        "delivered": ledger.delivered,
        "pending": ledger.pending,
        "dead": ledger.dead,
        "suppressed": ledger.suppressed,
    })))
}
