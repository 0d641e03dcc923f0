//! Notifications as requests (CIM 009, clause 6.3.8).

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use musubi_outbound::Request;

use crate::engine::applied::Applied;
use crate::notification::headers;
use crate::transport::failure::Failure;
use crate::transport::retry_after::retry_after;
use crate::transport::signature::sign;
use crate::transport::transports::{Transports, failure_of};

/// The longest body of an answer that is read to keep the connection. What it says is not looked
/// at.
const MAX_ANSWER: usize = 64 * 1024;

impl Transports {
    /// One attempt by HTTP. Only the status of the answer counts: with 2xx the notification is
    /// delivered, whatever becomes of the rest of the answer.
    pub(super) async fn post(
        &self,
        applied: &Applied,
        id: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let endpoint = &applied.subscription.notification.endpoint;
        let mut headers = headers(applied);
        sign(&mut headers, &endpoint.webhook_secrets(), (id, self.clock.now()), &body);
        let url = endpoint.uri.url.clone();
        let request =
            Request { method: Method::POST, url, headers, body, timeout, max_body: MAX_ANSWER };
        let answer = self.client.deliver(request).await.map_err(|error| failure_of(&error))?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(Failure {
            reason: format!("the endpoint answered {}", answer.status),
            is_refusal: is_refusal(answer.status),
            is_local: false,
            retry_after: retry_after(&answer.headers, self.clock.now()),
            body: Bytes::new(),
        })
    }
}

/// Whether a status says that another attempt will most likely end in the same way.
fn is_refusal(status: StatusCode) -> bool {
    let passing =
        [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    !status.is_server_error() && !passing.contains(&status)
}
