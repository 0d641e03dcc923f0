//! The town's share-cycle operator: a GBFS 2.3 feed over HTTP.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Json;
use axum::routing::get;
use musubi_model::Clock;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::town::{Dock, SYSTEM, Town};

/// What the feed shows.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    pub(super) town: Arc<Mutex<Town>>,
    pub(super) clock: Arc<dyn Clock>,
    /// `http://host:port`
    pub(super) address: String,
}

/// Seconds until the feed may say something new.
const TTL: u64 = 5;

impl Feed {
    /// The feed's files.
    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/gbfs/gbfs.json", get(discovery))
            .route("/gbfs/system_information.json", get(system_information))
            .route("/gbfs/station_information.json", get(station_information))
            .route("/gbfs/station_status.json", get(station_status))
            .with_state(self)
    }

    fn file(&self, data: &Value) -> Json<Value> {
        Json(json!({ "last_updated": self.seconds(), "ttl": TTL, "version": "2.3", "data": data }))
    }

    fn seconds(&self) -> i64 {
        self.clock.now().as_micros() / 1_000_000
    }

    fn stations(&self, of: impl Fn(&Dock) -> Value) -> Json<Value> {
        let stations: Vec<Value> = self.town.lock().docks().iter().map(of).collect();
        self.file(&json!({ "stations": stations }))
    }
}

async fn discovery(State(feed): State<Feed>) -> Json<Value> {
    let files = ["system_information", "station_information", "station_status"]
        .map(|name| json!({ "name": name, "url": format!("{}/gbfs/{name}.json", feed.address) }));
    feed.file(&json!({ "ja": { "feeds": files } }))
}

async fn system_information(State(feed): State<Feed>) -> Json<Value> {
    feed.file(&json!({
        "system_id": SYSTEM,
        "language": "ja",
        "name": "むすび町シェアサイクル",
        "timezone": "Asia/Tokyo",
    }))
}

async fn station_information(State(feed): State<Feed>) -> Json<Value> {
    feed.stations(|dock| {
        json!({
            "station_id": dock.id,
            "name": dock.name,
            "lat": dock.position.latitude,
            "lon": dock.position.longitude,
            "capacity": dock.capacity,
        })
    })
}

async fn station_status(State(feed): State<Feed>) -> Json<Value> {
    let now = feed.seconds();
    feed.stations(|dock| {
        json!({
            "station_id": dock.id,
            "num_bikes_available": dock.bikes,
            "num_docks_available": dock.capacity - dock.bikes,
            "is_installed": true,
            "is_renting": true,
            "is_returning": true,
            "last_reported": now,
        })
    })
}
