//! What the tests share: services around a sink in memory, and a feed served on loopback.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use musubi_adapter_kit::testing::{ManualClock, MemorySink};
use musubi_adapter_kit::{Adapter, AdapterMetrics, MappingError, MappingFile, Services, Sink};
use musubi_context::Context;
use musubi_model::{Clock, Entity, EntityId, Tenant, Timestamp};
use musubi_outbound::Client;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::task::JoinSet;

/// Services around a sink in memory.
pub(crate) struct Town {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) sink: Arc<MemorySink>,
    pub(crate) services: Services,
}

impl Town {
    pub(crate) fn at(seconds: i64) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(seconds)));
        let sink = Arc::new(MemorySink::new(Arc::clone(&clock) as Arc<dyn Clock>));
        let services = Services {
            sink: Arc::clone(&sink) as Arc<dyn Sink>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            client: Client::unguarded(),
            context: Context::core(),
            models: None,
            metrics: AdapterMetrics::default(),
        };
        Self { clock, sink, services }
    }

    /// The adapter of a feed at `url`, with further lines for the mapping file.
    pub(crate) fn adapter(&self, url: &str, more: &str) -> Result<Arc<dyn Adapter>, MappingError> {
        let text = format!("[source]\nkind = \"gbfs\"\nurl = {url:?}\n{more}");
        let mapping = MappingFile::parse(&text, "town.toml")?;
        musubi_adapter_gbfs::from_mapping(&mapping, self.services.clone())
    }

    pub(crate) fn stations(&self, tenant: &Tenant) -> Vec<Arc<Entity>> {
        let mut entities = self.sink.entities(tenant);
        entities.retain(|entity| entity.id.as_str().contains(":BikeHireDockingStation:"));
        entities
    }

    /// The entity of the feed of the adapter "town".
    pub(crate) fn feed(&self) -> Option<Arc<Entity>> {
        self.sink.entity(&Tenant::default(), &id("AdapterFeed:town"))
    }
}

pub(crate) fn id(rest: &str) -> EntityId {
    format!("urn:ngsi-ld:{rest}").parse().unwrap()
}

/// The value of an attribute, by the end of its name.
pub(crate) fn value(entity: &Entity, term: &str) -> Option<Value> {
    let found = entity
        .attributes
        .iter()
        .find(|attribute| attribute.name.as_str().rsplit(['/', ':']).next() == Some(term))?;
    Some(found.instances[0].value.json.to_value())
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The folder of real feeds, if `MUSUBI_DATA` names one.
pub(crate) fn real_data() -> Option<PathBuf> {
    let folder = std::env::var_os("MUSUBI_DATA").map(|folder| PathBuf::from(folder).join("gbfs"));
    if folder.is_none() {
        eprintln!("MUSUBI_DATA is not set: the test on real data does nothing");
    }
    folder
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// A feed on loopback whose answers the test decides.
#[derive(Clone, Debug, Default)]
pub(crate) struct FeedServer {
    answers: Arc<Mutex<BTreeMap<String, Answer>>>,
    requests: Arc<Mutex<Vec<(String, HeaderMap, StatusCode)>>>,
}

impl FeedServer {
    /// Serves the files of a folder, the addresses in `gbfs.json` rewritten to this server. The
    /// tasks end with `tasks`.
    pub(crate) async fn serve(folder: &Path, tasks: &mut JoinSet<()>) -> (Self, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = Self::default();
        for name in ["gbfs", "system_information", "station_information", "station_status"] {
            let path = folder.join(format!("{name}.json"));
            let mut body = String::from_utf8(std::fs::read(path).unwrap()).unwrap();
            if name == "gbfs" {
                body = Self::rewritten(&body, &base);
            }
            server.set(name, StatusCode::OK, body.as_bytes());
        }
        let router = Router::new().fallback(answer).with_state(server.clone());
        tasks.spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        (server, format!("{base}/gbfs.json"))
    }

    fn rewritten(discovery: &str, base: &str) -> String {
        let mut file: Value = serde_json::from_str(discovery).unwrap();
        for feed in file["data"]["ja"]["feeds"].as_array_mut().unwrap() {
            let name = feed["name"].as_str().unwrap().to_owned();
            feed["url"] = Value::from(format!("{base}/{name}.json"));
        }
        file.to_string()
    }

    pub(crate) fn set(&self, name: &str, status: StatusCode, body: &[u8]) {
        let answer = Answer { status, headers: Vec::new(), body: body.to_vec() };
        self.answers.lock().insert(format!("/{name}.json"), answer);
    }

    pub(crate) fn header(&self, name: &str, header: &'static str, value: &str) {
        let mut answers = self.answers.lock();
        let answer = answers.get_mut(&format!("/{name}.json")).unwrap();
        answer.headers.push((header, value.to_owned()));
    }

    pub(crate) fn remove(&self, name: &str) {
        self.answers.lock().remove(&format!("/{name}.json"));
    }

    pub(crate) fn body(&self, name: &str) -> Value {
        serde_json::from_slice(&self.answers.lock()[&format!("/{name}.json")].body).unwrap()
    }

    /// Path and status of every request so far.
    pub(crate) fn requests(&self) -> Vec<(String, StatusCode)> {
        let requests = self.requests.lock();
        requests.iter().map(|(path, _, status)| (path.clone(), *status)).collect()
    }

    /// The headers of the last request.
    pub(crate) fn last_headers(&self) -> HeaderMap {
        self.requests.lock().last().unwrap().1.clone()
    }
}

async fn answer(State(server): State<FeedServer>, uri: Uri, headers: HeaderMap) -> Response {
    let found = server.answers.lock().get(uri.path()).cloned();
    let (status, answer) = match &found {
        None => (StatusCode::NOT_FOUND, None),
        Some(answer) => {
            let etag = answer.headers.iter().find(|(name, _)| *name == header::ETAG.as_str());
            let asked = headers.get(header::IF_NONE_MATCH).and_then(|etag| etag.to_str().ok());
            match etag {
                Some((_, etag)) if Some(etag.as_str()) == asked => (StatusCode::NOT_MODIFIED, None),
                Some(_) | None => (answer.status, Some(answer)),
            }
        }
    };
    server.requests.lock().push((uri.path().to_owned(), headers, status));
    let mut response = match answer {
        Some(answer) => (status, answer.body.clone()).into_response(),
        None => status.into_response(),
    };
    for (name, value) in answer.into_iter().flat_map(|answer| &answer.headers) {
        response.headers_mut().insert(*name, value.parse().unwrap());
    }
    response
}
