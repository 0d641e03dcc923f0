//! Two towns in one broker, with the same identifiers, see nothing of each other.

use std::collections::BTreeMap;
use std::path::Path;

use musubi_tests::{
    FeedServer, Http, Musubi, Publisher, Receiver, fixture, musubi, real_data, until,
};
use serde_json::{Value, json};

const TOWNS: [&str; 2] = ["kamakura", "kyoto"];
const SUBSCRIPTION: &str = "urn:ngsi-ld:Subscription:docks";

/// Bikes by name and number of the dock, as the feed's files say.
fn in_feed(folder: &Path) -> BTreeMap<String, (String, u64)> {
    let stations = |file: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(folder.join(file)).expect("a file of the feed");
        let feed: Value = serde_json::from_str(&text).expect("JSON");
        feed["data"]["stations"].as_array().expect("stations").clone()
    };
    let id = |station: &Value| station["station_id"].as_str().expect("an id").to_owned();
    let bikes: BTreeMap<String, u64> = stations("station_status.json")
        .iter()
        .map(|station| (id(station), station["num_bikes_available"].as_u64().expect("bikes")))
        .collect();
    stations("station_information.json")
        .iter()
        .map(|station| {
            let name = station["name"].as_str().expect("a name").trim().to_owned();
            (id(station), (name, bikes[&id(station)]))
        })
        .collect()
}

/// The last part of an entity's id, its name and its bikes.
fn dock(entity: &Value) -> (String, (String, u64)) {
    let id = entity["id"].as_str().expect("an id").rsplit(':').next().unwrap_or_default();
    let name = entity["stationName"].as_str().or(entity["name"].as_str()).expect("a name");
    let bikes = entity["availableBikeNumber"].as_u64().expect("bikes");
    (id.to_owned(), (name.to_owned(), bikes))
}

async fn docks(http: &Http) -> BTreeMap<String, (String, u64)> {
    let path =
        "/ngsi-ld/v1/entities?type=BikeHireDockingStation&format=simplified&limit=1000&count=true";
    let answer = http.get(path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let list = answer.json();
    let list = list.as_array().expect("a list");
    assert_eq!(answer.header("NGSILD-Results-Count"), list.len().to_string());
    list.iter().map(dock).collect()
}

async fn subscribe(http: &Http, receiver: &Receiver, town: &str) {
    let body = json!({
        "id": SUBSCRIPTION,
        "type": "Subscription",
        "description": town,
        "entities": [{ "type": "BikeHireDockingStation" }],
        "watchedAttributes": ["availableBikeNumber"],
        "notification": { "format": "simplified", "endpoint": { "uri": receiver.url() } },
    });
    let answer = http.post("/ngsi-ld/v1/subscriptions", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
}

async fn feed(server: &Musubi, folder: &Path, town: &str, source: &Path) {
    let feed = FeedServer::start(source).await;
    let text = format!(
        "name = \"docks\"\ntenant = \"{town}\"\n[source]\nkind = \"gbfs\"\nurl = \"{}\"\n\
         [map]\npreset = \"gbfs-stations\"\n",
        feed.url
    );
    let mapping = folder.join(format!("{town}.toml"));
    std::fs::write(&mapping, text).expect("a file");
    let memory = folder.join(format!("{town}-memory"));
    let (mapping, memory) = (mapping.to_str().expect("UTF-8"), memory.to_str().expect("UTF-8"));
    let finished = musubi(&[
        "adapter",
        "run",
        mapping,
        "--broker",
        &server.url(),
        "--data-dir",
        memory,
        "--once",
    ]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

/// Two sources for each town, with groups of devices that are named alike.
fn mapping_files(folder: &Path) -> Vec<String> {
    TOWNS
        .iter()
        .flat_map(|town| {
            let sensors = format!(
                "name = \"sensors-{town}\"\ntenant = \"{town}\"\n[source]\nkind = \"mqtt\"\n\
                 [groups.{town}]\ntype = \"Sensor\"\ndevices = \"known\"\nknown = [\"roof\"]\n"
            );
            let shelters = format!(
                "name = \"shelters-{town}\"\ntenant = \"{town}\"\n[source]\nkind = \"http_push\"\n\
                 [map]\npreset = \"shelter-reports\"\n"
            );
            [("sensors", sensors), ("shelters", shelters)].map(|(kind, text)| {
                let file = folder.join(format!("{kind}-{town}.toml"));
                std::fs::write(&file, text).expect("a file");
                file.to_str().expect("UTF-8").to_owned()
            })
        })
        .collect()
}

async fn check_feeds(sources: [&Path; 2]) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Musubi::serve(&folder.path().join("data"), &["--durability", "interval"]);
    let root = Http::new(server.url()).own_context();
    let feeds = sources.map(in_feed);
    let mut receivers = Vec::new();
    for (town, source) in TOWNS.iter().zip(sources) {
        let receiver = Receiver::start().await;
        subscribe(&root.tenant(town), &receiver, town).await;
        feed(&server, folder.path(), town, source).await;
        receivers.push(receiver);
    }
    for (index, town) in TOWNS.iter().enumerate() {
        let http = root.tenant(town);
        assert_eq!(docks(&http).await, feeds[index], "{town}");
        check_lists(&http, &feeds[index], town).await;
        let receiver = &receivers[index];
        let distinct = |received: &[Value]| -> BTreeMap<String, (String, u64)> {
            received
                .iter()
                .flat_map(|n| n["data"].as_array().into_iter().flatten())
                .map(dock)
                .collect()
        };
        receiver
            .until("a notification of every dock", |received| distinct(received) == feeds[index])
            .await;
        let path = format!("/musubi/v1/subscriptions/{SUBSCRIPTION}/ledger");
        let due = u64::try_from(feeds[index].len()).expect("a count");
        until("all are delivered", || async {
            let ledger = http.get(&path).await.json();
            (ledger["delivered"] == due && ledger["due"] == due).then_some(())
        })
        .await;
        receiver.stop();
    }
    check_apart(&root).await;
}

/// Types, subscriptions and single entities of one town.
async fn check_lists(http: &Http, feed: &BTreeMap<String, (String, u64)>, town: &str) {
    let subscriptions = http.get("/ngsi-ld/v1/subscriptions?count=true").await;
    assert_eq!(subscriptions.header("NGSILD-Results-Count"), "1");
    assert_eq!(subscriptions.json()[0]["description"], town);
    let one = http.get(&format!("/ngsi-ld/v1/subscriptions/{SUBSCRIPTION}")).await;
    assert_eq!(one.json()["description"], town);
    let query = "/ngsi-ld/v1/entities?type=BikeHireDockingStation&limit=1&count=true&offset=0";
    let page = http.get(query).await;
    assert_eq!(page.header("NGSILD-Results-Count"), feed.len().to_string());
    assert_eq!(page.header("NGSILD-Tenant"), town);
    let types = http.get("/ngsi-ld/v1/types").await;
    assert_eq!(types.status, 200);
    assert!(types.text.contains("BikeHireDockingStation"), "{}", types.text);
}

/// What is done to one town does nothing to the other, nor is there anything in the default tenant.
async fn check_apart(root: &Http) {
    let [one, other] = TOWNS.map(|town| root.tenant(town));
    let before = docks(&other).await;
    let (first, _) = docks(&one).await.into_iter().next().expect("a dock");
    let list = one.get("/ngsi-ld/v1/entities?type=BikeHireDockingStation&limit=1000").await.json();
    let id = list
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|entity| entity["id"].as_str())
        .find(|id| id.ends_with(&format!(":{first}")))
        .expect("the dock")
        .to_owned();
    let path = format!("/ngsi-ld/v1/entities/{id}");
    let changed = one.patch(&format!("{path}/attrs"), &json!({ "availableBikeNumber": 777 })).await;
    assert_eq!(changed.status, 204, "{}", changed.text);
    assert_eq!(docks(&other).await, before);
    check_traces_apart(&one, &other, &id).await;
    assert_eq!(one.delete(&path).await.status, 204);
    assert_eq!(docks(&other).await, before);
    assert_eq!(one.delete(&format!("/ngsi-ld/v1/subscriptions/{SUBSCRIPTION}")).await.status, 204);
    assert_eq!(other.get(&format!("/ngsi-ld/v1/subscriptions/{SUBSCRIPTION}")).await.status, 200);
    check_accounts_apart(&one, &other, &id).await;
    // Without a tenant there is nothing.
    let nobody = root.get("/ngsi-ld/v1/entities?type=BikeHireDockingStation&count=true").await;
    assert_eq!(nobody.json(), json!([]), "{}", nobody.text);
    assert_eq!(root.get(&path).await.status, 404);
    let unknown = root.tenant("nara").get("/ngsi-ld/v1/entities?type=BikeHireDockingStation").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.text.contains("NonexistentTenant"), "{}", unknown.text);
}

/// A change of one town is none in the other, although both have a subscription of that name.
async fn check_traces_apart(own: &Http, foreign: &Http, entity: &str) {
    let now = own.get(&format!("/ngsi-ld/v1/entities/{entity}")).await;
    let tag = now.header("ETag");
    let path =
        format!("/musubi/v1/subscriptions/{SUBSCRIPTION}/trace?change={}", tag.trim_matches('"'));
    let trace = own.get(&path).await;
    assert_eq!(trace.status, 200, "{}", trace.text);
    assert_eq!(trace.json()["due"], true, "{}", trace.text);
    let trace = foreign.get(&path).await;
    assert_eq!(trace.status, 404, "{}", trace.text);
}

/// How the subscription of one town stands, and why it did not fire, is nothing to the other, which
/// has none of that name any more.
async fn check_accounts_apart(without: &Http, with: &Http, entity: &str) {
    let path = |rest: &str| format!("/musubi/v1/subscriptions/{SUBSCRIPTION}/{rest}");
    for rest in ["ledger", &format!("trace?change={entity}")] {
        let foreign = without.get(&path(rest)).await;
        assert_eq!(foreign.status, 404, "{rest}: {}", foreign.text);
        assert!(foreign.text.contains("ResourceNotFound"), "{rest}: {}", foreign.text);
    }
    assert_eq!(with.get(&path("ledger")).await.status, 200);
    let list = "/musubi/v1/subscriptions";
    let listed = with.get(list).await.json();
    assert_eq!(listed["subscriptions"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed["subscriptions"][0]["id"], SUBSCRIPTION, "{listed}");
    assert_eq!(without.get(list).await.json()["subscriptions"], json!([]));
}

#[tokio::test]
async fn synthetic_feeds_with_the_same_ids_stay_apart() {
    let sources = [fixture("gbfs/kamakura"), fixture("gbfs/kyoto")];
    let shared =
        in_feed(&sources[0]).keys().filter(|id| in_feed(&sources[1]).contains_key(*id)).count();
    assert!(shared > 0, "the fixtures have to overlap");
    check_feeds([&sources[0], &sources[1]]).await;
}

#[tokio::test]
async fn the_feeds_of_kamakura_and_kyoto_stay_apart() {
    let Some(data) = real_data() else { return };
    let sources = TOWNS.map(|town| data.join(format!("gbfs/hellocycling-{town}")));
    check_feeds([&sources[0], &sources[1]]).await;
}

#[tokio::test]
async fn adapters_and_dead_letters_of_two_towns_stay_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = mapping_files(folder.path());
    let mut arguments = vec!["--mqtt", "127.0.0.1:0"];
    arguments.extend(files.iter().flat_map(|file| ["--adapter", file]));
    let server = Musubi::serve(&folder.path().join("data"), &arguments);
    let root = Http::new(server.url()).own_context();
    let mut publisher = Publisher::new(server.mqtt(), "gateway");
    for town in TOWNS {
        publisher
            .publish(&format!("/json/{town}/roof/attrs"), format!("{{\"town\":\"{town}\"}}"))
            .await;
        publisher
            .publish(&format!("/json/{town}/stranger/attrs"), format!("{{\"of\":\"{town}\"}}"))
            .await;
    }
    for town in TOWNS {
        let http = root.tenant(town);
        let sensor =
            http.get("/ngsi-ld/v1/entities/urn:ngsi-ld:Sensor:roof?format=simplified").await;
        assert_eq!(sensor.json()["town"], town, "{}", sensor.text);
        let letters = http.get("/musubi/v1/dead-letters").await.json();
        let letters = letters["deadLetters"].as_array().expect("a list");
        assert_eq!(letters.len(), 1, "{letters:?}");
        assert!(
            letters[0]["payload"].as_str().is_some_and(|text| text.contains(town)),
            "{letters:?}"
        );
        let letter = letters[0]["id"].as_str().expect("an id");
        let foreign = TOWNS.iter().find(|other| **other != town).expect("the other");
        let path = format!("/musubi/v1/dead-letters/{letter}");
        assert_eq!(http.get(&path).await.status, 200);
        assert_eq!(root.tenant(foreign).get(&path).await.status, 404);
        assert_eq!(root.tenant(foreign).delete(&path).await.status, 404);
        check_adapters(&http, &root.tenant(foreign), town).await;
    }
    let [one, other] = TOWNS.map(|town| root.tenant(town));
    assert_eq!(one.delete("/musubi/v1/dead-letters").await.json()["purged"], 1);
    let left = other.get("/musubi/v1/dead-letters").await.json();
    assert_eq!(left["deadLetters"].as_array().map(Vec::len), Some(1), "{left}");
}

/// An adapter is shown to its own town, and takes what is posted from it alone.
async fn check_adapters(own: &Http, foreign: &Http, town: &str) {
    let list = own.get("/musubi/v1/adapters").await.json();
    let mut names: Vec<&str> = list
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|adapter| adapter["name"].as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, [format!("sensors-{town}"), format!("shelters-{town}")]);
    assert_eq!(own.get(&format!("/musubi/v1/adapters/sensors-{town}")).await.status, 200);
    assert_eq!(foreign.get(&format!("/musubi/v1/adapters/sensors-{town}")).await.status, 404);
    let report = json!({ "shelter": "001", "at": "2024-01-11T18:00:00+09:00", "people": 12 });
    let path = format!("/musubi/v1/adapters/shelters-{town}/reports");
    assert_eq!(foreign.post(&path, &report).await.status, 404);
    let taken = own.post(&path, &report).await;
    assert_eq!(taken.json()["applied"], 1, "{}", taken.text);
}
