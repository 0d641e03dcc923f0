//! `/musubi/v1/backup`: a copy of everything, through the router.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use futures_util::future::{BoxFuture, FutureExt, ready};
use http::{Method, StatusCode};
use musubi_broker::{BackupError, BackupStream, Backups};
use musubi_http::{Hosts, HttpOptions, router};
use musubi_model::Timestamp;
use musubi_store_embedded::{Backup, EmbeddedOptions, EmbeddedStore, verify_backup};
use serde_json::json;
use tower::ServiceExt as _;

use crate::support::{ENTITIES, JSON, broker, request};

const PATH: &str = "/musubi/v1/backup";

#[derive(Debug)]
struct OfStore(Arc<EmbeddedStore>);

impl Backups for OfStore {
    fn begin(&self) -> BoxFuture<'_, Result<BackupStream, BackupError>> {
        let backup = self.0.backup(self.0.hold_log(), Vec::new(), Timestamp::EPOCH);
        ready(backup.map(Backup::into_stream)).boxed()
    }
}

fn open() -> (tempfile::TempDir, Arc<EmbeddedStore>, axum::Router) {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(EmbeddedStore::open(EmbeddedOptions::new(folder.path())).unwrap());
    let broker = broker(store.clone(), None);
    broker.backs_up_by(Arc::new(OfStore(store.clone())));
    let hosts = Hosts::LoopbackAnd(Vec::new());
    let options = HttpOptions { hosts, ..HttpOptions::default() };
    (folder, store, router(broker, options))
}

fn ask(origin: Option<&str>) -> http::Request<Body> {
    let mut headers = vec![("host", "localhost")];
    headers.extend(origin.map(|origin| ("origin", origin)));
    request(Method::GET, PATH, &headers, Body::empty())
}

#[tokio::test]
async fn a_backup_holds_what_was_acknowledged_before_and_there_is_one_at_a_time() {
    let (_folder, _store, router) = open();
    let headers = [("host", "localhost"), ("content-type", JSON)];
    let entity = json!({ "id": "urn:x:1", "type": "T" }).to_string();
    let created = request(Method::POST, ENTITIES, &headers, entity);
    assert_eq!(router.clone().oneshot(created).await.unwrap().status(), StatusCode::CREATED);

    let answer = router.clone().oneshot(ask(None)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    let busy = router.clone().oneshot(ask(None)).await.unwrap();
    assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE);
    let bytes = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    assert_eq!(verify_backup(&*bytes).unwrap().1.entities, 1);
    // To read no further gives it up.
    drop(router.clone().oneshot(ask(None)).await.unwrap());
    assert_eq!(router.oneshot(ask(None)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_backup_that_the_store_takes_back_ends_in_an_error() {
    let (_folder, store, router) = open();
    let answer = router.oneshot(ask(None)).await.unwrap();
    store.close().await.unwrap();
    to_bytes(answer.into_body(), usize::MAX).await.unwrap_err();
}

#[tokio::test]
async fn no_web_page_of_another_origin_gets_a_backup() {
    let (_folder, _store, router) = open();
    let refused = router.clone().oneshot(ask(Some("https://evil.example"))).await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let ours = router.oneshot(ask(Some("http://localhost:1026"))).await.unwrap();
    assert_eq!(ours.status(), StatusCode::OK);
}

#[tokio::test]
async fn no_page_of_another_site_starts_a_backup_by_a_request_without_an_origin() {
    let (_folder, _store, router) = open();
    let ask = |site| {
        let headers = [("host", "localhost"), ("sec-fetch-site", site)];
        router.clone().oneshot(request(Method::GET, PATH, &headers, Body::empty()))
    };
    for site in ["cross-site", "same-site", "of a kind that is not known"] {
        assert_eq!(ask(site).await.unwrap().status(), StatusCode::FORBIDDEN, "{site}");
    }
    for site in ["same-origin", "none"] {
        assert_eq!(ask(site).await.unwrap().status(), StatusCode::OK, "{site}");
    }
}

#[tokio::test]
async fn a_backup_cannot_be_had_of_one_tenant() {
    let (_folder, _store, router) = open();
    let headers = [("host", "localhost"), ("ngsild-tenant", "town")];
    let one = request(Method::GET, PATH, &headers, Body::empty());
    assert_eq!(router.oneshot(one).await.unwrap().status(), StatusCode::BAD_REQUEST);
}
