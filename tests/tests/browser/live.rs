//! `examples/live.html`.

use musubi_tests::Http;
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::driver::Browser;
use crate::{broker, serve_example};

/// The state of the connection, as the page shows it.
const STATE: &str = "return document.getElementById('state').dataset.state";
/// The numbers that the page was told, the first one first.
const SEEN: &str = "return [...document.querySelectorAll('#seen li')].reverse()\
                    .map((line) => JSON.parse(line.textContent).count)";
/// The ids of the entities that the page shows, and their numbers.
const ENTITIES: &str = "return [...document.querySelectorAll('#entities tr')]\
                        .map((row) => [row.dataset.id, Number(row.querySelector('dd').textContent)])";

fn sensor(name: &str) -> String {
    format!("urn:ngsi-ld:Sensor:{name}")
}

async fn write(http: &Http, name: &str, count: u64) {
    let entity = json!([{"id": sensor(name), "type": "Sensor", "count": count}]);
    let answer = http.post("/ngsi-ld/v1/entityOperations/upsert", &entity).await;
    assert!(matches!(answer.status, 201 | 204), "{}", answer.text);
}

#[tokio::test]
async fn a_page_follows_entities_through_a_kill_of_the_broker_and_misses_none() {
    let mut tasks = JoinSet::new();
    let page = serve_example("live", &mut tasks).await;
    let origin = format!("http://{page}");
    let folder = tempfile::tempdir().expect("a folder");
    let server = broker(folder.path(), "127.0.0.1:0", &origin);
    let (address, url) = (server.http.to_string(), server.url());
    let mut http = Http::new(&url);
    write(&http, "a", 1).await;

    let browser = Browser::open().await;
    browser.go(&format!("{origin}/live.html?type=Sensor&token=secret&broker={url}")).await;
    browser.until("the connection", STATE, &json!("open")).await;
    // What was there before is shown, and was not told.
    browser.until("the first sensor", ENTITIES, &json!([[sensor("a"), 1]])).await;
    let mut expected = Vec::new();
    for count in 2..10 {
        write(&http, ["a", "b"][usize::from(count % 2 == 0)], count).await;
        expected.push(count);
    }
    browser.until("what was written", SEEN, &json!(expected)).await;
    browser.until("the sensors", ENTITIES, &json!([[sensor("a"), 9], [sensor("b"), 8]])).await;

    let mut server = server;
    for first in [100, 200] {
        // Some of this the page may not have been told when the broker is gone.
        for count in first..first + 20 {
            write(&http, "a", count).await;
            expected.push(count);
        }
        server.kill();
        server = broker(folder.path(), &address, &origin);
        // The connections of the old one are gone with it.
        http = Http::new(&url);
        // And this happens before the page has come back.
        for count in first + 20..first + 40 {
            write(&http, "b", count).await;
            expected.push(count);
        }
        browser.until("all that was written, each once and in order", SEEN, &json!(expected)).await;
        browser.until("the connection", STATE, &json!("open")).await;
    }
    let path = format!("/ngsi-ld/v1/entities/{}", sensor("a"));
    assert_eq!(http.send(Method::DELETE, &path, None).await.status, 204);
    browser.until("the sensor that is left", ENTITIES, &json!([[sensor("b"), 239]])).await;

    // The same name in another context is another type, and a subscription that is there may be
    // paused.
    let all = http.get("/ngsi-ld/v1/subscriptions").await.json();
    let id = all[0]["id"].as_str().expect("one").to_owned();
    let paused = json!({"isActive": false});
    let path = format!("/ngsi-ld/v1/subscriptions/{id}");
    assert_eq!(http.send(Method::PATCH, &path, Some(&paused)).await.status, 204);
    browser.go(&format!("{origin}/live.html?type=Sensor&broker={url}")).await;
    browser.until("the refusal", STATE, &json!("failed")).await;
    let context = format!("{url}/musubi/v1/contexts/musubi.jsonld");
    browser.go(&format!("{origin}/live.html?type=Sensor&context={context}&broker={url}")).await;
    browser.until("the connection", STATE, &json!("open")).await;
    let all = http.get("/ngsi-ld/v1/subscriptions").await.json();
    assert_eq!(all.as_array().map(Vec::len), Some(2), "{all}");
    browser.close().await;
}
