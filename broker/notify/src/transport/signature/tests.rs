//! Signatures against values that were computed by another implementation.

use musubi_model::Timestamp;
use serde_json::json;

use super::*;
use crate::testing::subscription;

const ID: &str = "urn:ngsi-ld:Notification:2b1cbf09-67d7-5d1c-8d7b-6a0b4c8d3f21";
const BODY: &[u8] =
    "{\"id\":\"urn:ngsi-ld:Notification:1\",\"data\":[{\"name\":\"七尾\"}]}".as_bytes();

fn signed(secrets: &[&str]) -> HeaderMap {
    let pairs: Vec<_> =
        secrets.iter().map(|it| json!({"key": "Webhook-Secret", "value": it})).collect();
    let subscription = subscription(&json!({
        "entities": [{"type": "Sensor"}],
        "notification": {"endpoint": {"uri": "https://example.org/", "notifierInfo": pairs}},
    }));
    let secrets = subscription.notification.endpoint.webhook_secrets();
    let mut headers = HeaderMap::new();
    sign(&mut headers, &secrets, (ID, Timestamp::from_micros(1_700_000_000_999_999)), BODY);
    headers
}

#[test]
fn each_secret_signs_and_the_values_are_those_of_another_implementation() {
    let headers = signed(&[
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_bXVzdWJpLW11c3ViaS1tdXN1YmktbXVzdWJpLW11c3ViaQ==",
    ]);
    assert_eq!(headers["webhook-id"], ID);
    assert_eq!(headers["webhook-timestamp"], "1700000000");
    assert_eq!(
        headers["webhook-signature"],
        "v1,jk0e1Gffb1zfeQhHh1vdoeVuKNe5o+RTRsC3sdDkw0I= v1,cBnCK16LRrno++mAKq9aCUBf/QSWVpJiEApTSOEFSqc="
    );
    assert_eq!(headers.len(), 3);
}

#[test]
fn without_a_secret_there_is_no_header() {
    assert!(signed(&[]).is_empty());
}
