//! `examples/day.html`.

use musubi_tests::{Http, Musubi};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::driver::Browser;
use crate::serve_example;

const SENSOR: &str = "urn:ngsi-ld:Sensor:1";

/// What the page says of itself.
const STATE: &str = "return document.getElementById('state').dataset.state";
/// The pieces of the line: their first and last moments, and how many values they have.
const PIECES: &str = "return [...document.querySelectorAll('.piece')].map((piece) => \
                      [piece.dataset.first, piece.dataset.last, Number(piece.dataset.values)])";
/// How many means the chart shows.
const MEANS: &str = "return document.querySelectorAll('.mean').length";

/// A minute of the day in Tokyo, as UTC writes it.
fn minute(of_day: u32) -> String {
    let start: jiff::Timestamp = "2024-01-10T15:00:00Z".parse().expect("a time");
    (start + jiff::SignedDuration::from_mins(of_day.into())).to_string()
}

fn browser_time(of_day: u32) -> String {
    minute(of_day).replace('Z', ".000Z")
}

/// A value for each minute of these.
async fn record(http: &Http, minutes: impl Iterator<Item = u32>) {
    let instance = |at| json!({"type": "Property", "value": at % 60, "observedAt": minute(at)});
    let instances: Vec<Value> = minutes.map(instance).collect();
    let body = json!({"id": SENSOR, "type": "Sensor", "temperature": instances});
    let answer = http.post("/ngsi-ld/v1/temporal/entities", &body).await;
    assert!(matches!(answer.status, 201 | 204), "{}", answer.text);
}

/// The day in Tokyo, with nothing from 06:00 to 09:30 and one value alone; the evening before and
/// the morning after are other days. The broker answers with 500 values at most, so the page has to
/// ask several times.
#[tokio::test]
async fn a_page_draws_a_day_and_shows_gaps_as_gaps() {
    let mut tasks = JoinSet::new();
    let page = serve_example("day", &mut tasks).await;
    let origin = format!("http://{page}");
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = std::process::Command::new(musubi_tests::binary());
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path());
    command.env("MUSUBI_CORS_ORIGINS", &origin).env("MUSUBI_HISTORY_INSTANCES", "500");
    let server = Musubi::start(&mut command);
    let http = Http::new(server.url());
    record(&http, 0..360).await;
    record(&http, 570..1200).await;
    record(&http, std::iter::once(1300)).await;
    let outside = json!({"id": SENSOR, "type": "Sensor", "temperature": [
        {"type": "Property", "value": 99, "observedAt": "2024-01-10T14:59:00Z"},
        {"type": "Property", "value": 99, "observedAt": "2024-01-11T15:00:00Z"},
    ]});
    assert_eq!(http.post("/ngsi-ld/v1/temporal/entities", &outside).await.status, 204);

    let browser = Browser::open().await;
    let asked =
        format!("id={SENSOR}&attribute=temperature&zone=Asia/Tokyo&broker={}", server.url());
    browser.go(&format!("{origin}/day.html?{asked}&day=2024-01-11")).await;
    browser.until("the chart", STATE, &json!("drawn")).await;
    let expected = json!([
        [browser_time(0), browser_time(359), 360],
        [browser_time(570), browser_time(1199), 630],
        [browser_time(1300), browser_time(1300), 1],
    ]);
    browser.until("the line with its gaps", PIECES, &expected).await;
    // Six hours, the second half of the tenth to the twentieth, and the one of the value alone.
    browser.until("a mean for each hour with values", MEANS, &json!(6 + 11 + 1)).await;

    browser.go(&format!("{origin}/day.html?{asked}&day=2024-02-01")).await;
    browser.until("an empty chart", STATE, &json!("drawn")).await;
    assert_eq!(browser.run(PIECES).await, json!([]));
    browser.go(&format!("{origin}/day.html?{asked}&day=2024-02-30")).await;
    browser.until("the refusal", STATE, &json!("failed")).await;
    browser.close().await;
}
