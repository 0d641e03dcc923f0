//! A feed over HTTP and in a folder, from the first poll to a broker that is away. The feeds are
//! synthetic.

use std::sync::Arc;

use crate::support::{FeedServer, Town, fixtures, id, value};
use axum::http::StatusCode;
use musubi_model::Tenant;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const NOW: i64 = 1_700_000_030;

async fn fixture(tasks: &mut JoinSet<()>) -> (Town, FeedServer, String) {
    let (server, url) = FeedServer::serve(&fixtures(), tasks).await;
    (Town::at(NOW), server, url)
}

#[tokio::test]
async fn a_feed_that_was_never_there_is_told_too() {
    let town = Town::at(NOW);
    let adapter = town.adapter("no/such/folder", "").unwrap();
    assert!(adapter.run_once().await.is_err());
    assert_eq!(value(&town.feed().unwrap(), "feedStatus"), Some(json!("unavailable")));
}

/// The status file with one member of one station changed, and a new `last_updated`.
fn changed(server: &FeedServer, at: i64, station: usize, member: &str, to: &Value) {
    let mut file = server.body("station_status");
    file["last_updated"] = json!(at);
    file["data"]["stations"][station][member] = to.clone();
    server.set("station_status", StatusCode::OK, file.to_string().as_bytes());
}

#[tokio::test]
async fn the_first_poll_writes_the_usable_stations_and_counts_the_rest() {
    let mut tasks = JoinSet::new();
    let (town, _server, url) = fixture(&mut tasks).await;
    let adapter =
        town.adapter(&url, "[map]\npreset = \"gbfs-stations\"\nattribution = \"合成市\"\n");
    let adapter = adapter.unwrap();
    Arc::clone(&adapter).run_once().await.unwrap();
    let stations = town.stations(&Tenant::default());
    let seen: Vec<(String, Option<Value>, Option<Value>)> = stations
        .iter()
        .map(|station| {
            (station.id.to_string(), value(station, "status"), value(station, "totalSlotNumber"))
        })
        .collect();
    let expected = |code: &str, status: &str, slots: u64| {
        let id = id(&format!("BikeHireDockingStation:synthetic-town:{code}")).to_string();
        (id, Some(json!(status)), Some(json!(slots)))
    };
    assert_eq!(
        seen,
        [expected("001", "full", 20), expected("002", "empty", 10), expected("003", "working", 8)]
    );
    assert_eq!(value(&stations[0], "attribution"), Some(json!("合成市")));
    let status = adapter.status();
    assert_eq!(status["feedStatus"], "ok");
    assert_eq!(status["stations"], 3);
    assert_eq!(status["mapped"], 3);
    // 0,0; twice; no id; a status before 2000; two statuses without a station.
    assert_eq!(
        status["skipped"],
        json!({ "bad_id": 1, "bad_position": 1, "bad_time": 1, "duplicate": 1, "missing": 2 })
    );
    assert_eq!(value(&town.feed().unwrap(), "feedStatus"), Some(json!("ok")));
}

#[tokio::test]
async fn an_unchanged_second_poll_writes_nothing() {
    let mut tasks = JoinSet::new();
    let (town, server, url) = fixture(&mut tasks).await;
    let adapter = town.adapter(&url, "").unwrap();
    Arc::clone(&adapter).run_once().await.unwrap();
    let (writes, entities) = (town.sink.write_calls(), town.sink.written_entities());
    assert_eq!(entities, 4);

    // The same bytes.
    town.clock.advance(60);
    Arc::clone(&adapter).run_once().await.unwrap();
    assert_eq!((town.sink.write_calls(), town.sink.written_entities()), (writes, entities));

    // Other bytes and times, the same values.
    changed(&server, NOW + 100, 0, "last_reported", &json!(NOW + 100));
    town.clock.advance(60);
    Arc::clone(&adapter).run_once().await.unwrap();
    assert_eq!((town.sink.write_calls(), town.sink.written_entities()), (writes, entities));

    // An adapter that was started again knows the broker's state from the broker.
    let again = town.adapter(&url, "").unwrap();
    again.run_once().await.unwrap();
    assert_eq!((town.sink.write_calls(), town.sink.written_entities()), (writes, entities));
}

#[tokio::test]
async fn a_changed_number_writes_what_follows_from_it_and_nothing_else() {
    let mut tasks = JoinSet::new();
    let (town, server, url) = fixture(&mut tasks).await;
    let adapter = town.adapter(&url, "").unwrap();
    Arc::clone(&adapter).run_once().await.unwrap();
    let (entities, attributes) = (town.sink.written_entities(), town.sink.written_attributes());
    changed(&server, NOW + 60, 2, "num_bikes_available", &json!(0));
    town.clock.advance(60);
    adapter.run_once().await.unwrap();
    assert_eq!(town.sink.written_entities() - entities, 1);
    // availableBikeNumber and status.
    assert_eq!(town.sink.written_attributes() - attributes, 2);
    let station = town.stations(&Tenant::default())[2].clone();
    assert_eq!(value(&station, "availableBikeNumber"), Some(json!(0)));
    assert_eq!(value(&station, "status"), Some(json!("empty")));
}

#[tokio::test]
async fn after_the_heartbeat_the_same_numbers_are_written_again() {
    let mut tasks = JoinSet::new();
    let (town, server, url) = fixture(&mut tasks).await;
    let adapter = town.adapter(&url, "[change]\nheartbeat = \"15m\"\n").unwrap();
    Arc::clone(&adapter).run_once().await.unwrap();
    let before = town.sink.written_entities();
    town.clock.advance(899);
    changed(&server, NOW + 869, 0, "last_reported", &json!(1_700_000_899));
    Arc::clone(&adapter).run_once().await.unwrap();
    assert_eq!(town.sink.written_entities(), before);
    town.clock.advance(1);
    changed(&server, NOW + 870, 0, "last_reported", &json!(1_700_000_900));
    adapter.run_once().await.unwrap();
    // Station 001, and 003, which never says when it reported and beats by the clock.
    assert_eq!(town.sink.written_entities(), before + 2);
}

#[tokio::test]
async fn a_file_that_was_not_modified_is_not_sent_again() {
    let mut tasks = JoinSet::new();
    let (town, server, url) = fixture(&mut tasks).await;
    for name in ["gbfs", "station_information", "station_status"] {
        server.header(name, "etag", "\"1\"");
    }
    let adapter = town.adapter(&url, "").unwrap();
    Arc::clone(&adapter).run_once().await.unwrap();
    assert_eq!(server.requests().len(), 4);
    // Half a minute later only the numbers are due; two minutes later everything but the
    // system, which is good for a day.
    town.clock.advance(10);
    Arc::clone(&adapter).run_once().await.unwrap();
    let second = server.requests().split_off(4);
    assert_eq!(second, [("/station_status.json".to_owned(), StatusCode::NOT_MODIFIED)]);
    town.clock.advance(120);
    adapter.run_once().await.unwrap();
    let third: Vec<String> = server
        .requests()
        .split_off(5)
        .into_iter()
        .map(|(path, status)| {
            assert_eq!(status, StatusCode::NOT_MODIFIED);
            path
        })
        .collect();
    assert_eq!(third, ["/gbfs.json", "/station_information.json", "/station_status.json"]);
    assert_eq!(town.sink.written_entities(), 4);
}

#[tokio::test]
async fn a_feed_that_is_html_changes_nothing_and_is_told() {
    let mut tasks = JoinSet::new();
    let (town, server, url) = fixture(&mut tasks).await;
    let adapter = town.adapter(&url, "").unwrap();
    Arc::clone(&adapter).run_once().await.unwrap();
    let good = serde_json::to_vec(&server.body("station_status")).unwrap();
    let before = town.stations(&Tenant::default());
    server.set("station_status", StatusCode::OK, b"<html><body>maintenance</body></html>");
    let error = Arc::clone(&adapter).run_once().await.unwrap_err();
    assert!(error.to_string().contains("station_status.json"), "{error}");
    assert!(error.to_string().contains("<html>"), "{error}");
    assert_eq!(town.stations(&Tenant::default()), before);
    let feed = town.feed().unwrap();
    assert_eq!(value(&feed, "feedStatus"), Some(json!("unavailable")));
    assert_eq!(adapter.status()["feedStatus"], "unavailable");
    // And back again.
    server.set("station_status", StatusCode::OK, &good);
    adapter.run_once().await.unwrap();
    let feed = town.feed().unwrap();
    assert_eq!(value(&feed, "feedStatus"), Some(json!("ok")));
}

#[tokio::test]
async fn a_file_that_rarely_changes_may_be_away_for_a_while() {
    let mut tasks = JoinSet::new();
    let (town, server, url) = fixture(&mut tasks).await;
    let adapter = town.adapter(&url, "").unwrap();
    Arc::clone(&adapter).run_once().await.unwrap();
    server.set("station_information", StatusCode::INTERNAL_SERVER_ERROR, b"");
    server.set("gbfs", StatusCode::OK, b"<html>");
    changed(&server, NOW + 600, 1, "num_bikes_available", &json!(4));
    town.clock.advance(600);
    adapter.run_once().await.unwrap();
    let station = town.stations(&Tenant::default())[1].clone();
    assert_eq!(value(&station, "availableBikeNumber"), Some(json!(4)));
}

#[tokio::test]
async fn a_feed_without_discovery_has_its_files_beside_each_other() {
    let mut tasks = JoinSet::new();
    let (town, server, url) = fixture(&mut tasks).await;
    server.remove("gbfs");
    town.adapter(&url, "").unwrap().run_once().await.unwrap();
    assert_eq!(town.stations(&Tenant::default()).len(), 3);
}

#[tokio::test]
async fn a_feed_without_a_needed_file_is_an_error_that_names_it() {
    let mut tasks = JoinSet::new();
    for name in ["system_information", "station_information", "station_status"] {
        let (town, server, url) = fixture(&mut tasks).await;
        server.remove(name);
        let error = town.adapter(&url, "").unwrap().run_once().await.unwrap_err();
        assert!(error.to_string().contains(&format!("{name}.json: there is no")), "{error}");
        assert!(town.stations(&Tenant::default()).is_empty());
    }
}

#[tokio::test]
async fn an_error_shows_no_secret_of_the_address() {
    let mut tasks = JoinSet::new();
    let (town, server, url) = fixture(&mut tasks).await;
    server.set("station_status", StatusCode::FORBIDDEN, b"");
    let url = format!("{url}?acl:consumerKey=SECRET");
    let adapter = town.adapter(&url, "[source.headers]\nx-key = \"HEADER\"\n").unwrap();
    let error = Arc::clone(&adapter).run_once().await.unwrap_err();
    assert!(error.to_string().contains("403"), "{error}");
    assert_eq!(server.last_headers()["x-key"], "HEADER");
    for text in [error.to_string(), adapter.status().to_string(), format!("{error:?}")] {
        assert!(!text.contains("SECRET"), "{text}");
    }
}

#[tokio::test]
async fn a_redirect_is_followed_and_a_circle_is_not() {
    let mut tasks = JoinSet::new();
    let (town, server, url) = fixture(&mut tasks).await;
    let moved = serde_json::to_vec(&server.body("gbfs")).unwrap();
    server.set("moved", StatusCode::OK, &moved);
    server.set("gbfs", StatusCode::FOUND, b"");
    server.header("gbfs", "location", "/moved.json");
    town.adapter(&url, "").unwrap().run_once().await.unwrap();
    assert_eq!(town.stations(&Tenant::default()).len(), 3);
    server.set("moved", StatusCode::FOUND, b"");
    server.header("moved", "location", "/gbfs.json");
    let error = town.adapter(&url, "").unwrap().run_once().await.unwrap_err();
    assert!(error.to_string().contains("redirects"), "{error}");
}

#[tokio::test]
async fn a_broker_that_is_away_is_written_to_at_the_next_poll() {
    let mut tasks = JoinSet::new();
    let (town, _server, url) = fixture(&mut tasks).await;
    let adapter = town.adapter(&url, "").unwrap();
    town.sink.fail_next(1);
    assert!(Arc::clone(&adapter).run_once().await.is_err());
    assert_eq!(town.sink.written_entities(), 0);
    // The feed says the same, and it is written now.
    adapter.run_once().await.unwrap();
    assert_eq!(town.stations(&Tenant::default()).len(), 3);
}

#[tokio::test]
async fn a_stale_feed_is_told_and_deletes_nothing() {
    let mut tasks = JoinSet::new();
    let (town, _server, url) = fixture(&mut tasks).await;
    let adapter = town.adapter(&url, "").unwrap();
    Arc::clone(&adapter).run_once().await.unwrap();
    town.clock.advance(600);
    Arc::clone(&adapter).run_once().await.unwrap();
    let feed = town.feed().unwrap();
    assert_eq!(value(&feed, "feedStatus"), Some(json!("stale")));
    assert_eq!(town.stations(&Tenant::default()).len(), 3);
    let status = adapter.status();
    assert_eq!(status["feedAgeSeconds"], json!(630.0));
    assert_eq!(status["feedLastUpdated"], "2023-11-14T22:13:20Z");
}

#[tokio::test]
async fn a_folder_is_a_feed_whatever_its_discovery_names() {
    let town = Town::at(NOW);
    for url in [
        fixtures().display().to_string(),
        format!("file://{}", fixtures().display()),
        fixtures().join("gbfs.json").display().to_string(),
    ] {
        let adapter = town.adapter(&url, "").unwrap();
        adapter.run_once().await.unwrap();
        assert_eq!(town.stations(&Tenant::default()).len(), 3, "{url}");
    }
    let nowhere = town.adapter("no/such/folder", "").unwrap().run_once().await;
    assert!(nowhere.unwrap_err().to_string().contains("system_information"));
}

#[tokio::test]
async fn a_preview_shows_stations_and_faults_and_writes_nothing() {
    let mut tasks = JoinSet::new();
    let (town, _server, url) = fixture(&mut tasks).await;
    let adapter = town.adapter(&url, "").unwrap();
    let preview = adapter.preview(2).await.unwrap();
    let counts = preview.counts();
    assert_eq!((counts.create, counts.update, counts.unchanged, counts.skipped), (2, 0, 0, 6));
    let text = preview.render();
    for part in [
        "create    urn:ngsi-ld:BikeHireDockingStation:synthetic-town:001",
        "+ availableBikeNumber: 17 at 2023-11-14T22:13:20Z",
        "nobody knows",
        "2 to create",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(town.sink.write_calls(), 0);
}

#[tokio::test]
async fn a_running_adapter_stops_when_it_is_told_to() {
    let mut tasks = JoinSet::new();
    let (town, _server, url) = fixture(&mut tasks).await;
    let adapter = town.adapter(&url, "").unwrap();
    let shutdown = CancellationToken::new();
    let mut running = JoinSet::new();
    running.spawn(Arc::clone(&adapter).run(shutdown.clone()));
    while adapter.status()["nextPoll"].is_null() {
        tokio::task::yield_now().await;
    }
    shutdown.cancel();
    running.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(town.stations(&Tenant::default()).len(), 3);
}

#[test]
fn what_a_feed_cannot_do_is_refused_when_the_file_is_read() {
    let town = Town::at(NOW);
    let check = |more: &str, words: &str| {
        let error = town.adapter("http://example.org/gbfs.json", more).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    };
    check("[map]\npreset = \"gbfs-stations\"\nvehicles = true\n", "vehicles");
    check("[map]\npreset = \"shelter-snapshot\"\n", "gbfs-stations");
    check("[change]\nignore = [\"rssi\"]\n", "rssi");
    check("[[filter]]\nwhen = \"true\"\n", "preset");
    check("[source.headers]\nx = \"env:MUSUBI_SURELY_NOT_SET\"\n", "MUSUBI_SURELY_NOT_SET");
    let town = Town::at(NOW).adapter("ftp://example.org/gbfs.json", "");
    assert!(town.unwrap_err().to_string().contains("ftp"));
}
