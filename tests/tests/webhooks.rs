//! Signed notifications, verified by the code in docs/subscriptions.md.

use std::path::Path;
use std::process::Command;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use musubi_tests::{Http, Musubi, PATIENCE, finish, program, repository};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const NEW: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD: &str = "whsec_bXVzdWJpLW11c3ViaS1tdXN1YmktbXVzdWJpLW11c3ViaQ==";
const OTHER: &str = "whsec_b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXI=";

/// A request as it came.
type Arrival = (HeaderMap, String);

async fn take(State(sender): State<mpsc::Sender<Arrival>>, headers: HeaderMap, body: String) {
    sender.send((headers, body)).await.expect("the test listens");
}

/// The first block of code of this language in the chapter on signatures.
fn documented(language: &str) -> String {
    let text = std::fs::read_to_string(repository().join("docs/subscriptions.md")).expect("docs");
    let (_, chapter) = text.split_once("## Signed webhooks").expect("the chapter");
    let (_, code) = chapter.split_once(&format!("```{language}\n")).expect("the code");
    code.split_once("```").expect("its end").0.to_owned()
}

/// What the documented code of both languages says to each of these cases.
fn verdicts(cases: &Value, folder: &Path) -> [Value; 2] {
    let file = folder.join("cases.json");
    std::fs::write(&file, cases.to_string()).expect("a file");
    let python = format!(
        "{}\nimport json, sys\nprint(json.dumps([verify(it[0], it[1], it[2].encode()) \
         for it in json.load(open(sys.argv[1], encoding='utf-8'))]))\n",
        documented("python")
    );
    let javascript = format!(
        "{}\nimport {{ readFileSync }} from \"node:fs\";\n\
         const cases = JSON.parse(readFileSync(process.argv[2], \"utf8\"));\n\
         console.log(JSON.stringify(cases.map((it) => verify(it[0], it[1], Buffer.from(it[2])))));\n",
        documented("javascript")
    );
    [("python3", "verify.py", python), ("node", "verify.mjs", javascript)].map(
        |(interpreter, name, code)| {
            let script = folder.join(name);
            std::fs::write(&script, code).expect("a file");
            let said = finish(Command::new(program(interpreter)).arg(&script).arg(&file));
            assert_eq!(said.code, Some(0), "{interpreter}: {}", said.stderr);
            serde_json::from_str(&said.stdout).expect("JSON")
        },
    )
}

async fn arrived(arrivals: &mut mpsc::Receiver<Arrival>) -> Arrival {
    let arrival = tokio::time::timeout(PATIENCE, arrivals.recv()).await;
    arrival.expect("a notification comes").expect("the receiver lives")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_code_accepts_what_the_broker_signs_and_nothing_else() {
    let (sender, mut arrivals) = mpsc::channel(16);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}/notify", listener.local_addr().expect("an address"));
    let app = Router::new().route("/notify", post(take)).with_state(sender);
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, app).await.expect("it serves") });
    let folder = tempfile::tempdir().expect("a folder");
    let server = Musubi::serve(&folder.path().join("data"), &[]);
    let client = Http::new(server.url());
    let create = async |path: &str, body: Value| {
        let answer = client.post(&format!("/ngsi-ld/v1/{path}"), &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    };
    let secrets = [NEW, OLD].map(|secret| json!({"key": "Webhook-Secret", "value": secret}));
    create(
        "subscriptions",
        json!({
            "type": "Subscription",
            "entities": [{"type": "Sensor"}],
            "notification": {"endpoint": {"uri": endpoint, "notifierInfo": secrets}},
        }),
    )
    .await;
    create(
        "entities",
        json!({
            "id": "urn:ngsi-ld:Sensor:1",
            "type": "Sensor",
            "name": {"type": "Property", "value": "七尾 \"1\""},
        }),
    )
    .await;
    let (headers, body) = arrived(&mut arrivals).await;
    let header = |name: &str| headers[name].to_str().expect("text").to_owned();
    let [id, stamp, signature] =
        ["webhook-id", "webhook-timestamp", "webhook-signature"].map(header);
    let notification: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(notification["id"], id.as_str());
    let given = |stamp: &str, signature: &str| {
        let (id, stamp) = (id.as_str(), stamp.to_owned());
        json!({"webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": signature})
    };
    let right = given(&stamp, &signature);
    let (first, second) = signature.split_once(' ').expect("two signatures");
    let cases = json!([
        [NEW, right, body],
        [OLD, right, body],
        [NEW, given(&stamp, first), body],
        [OTHER, right, body],
        [NEW, given(&stamp, second), body],
        [NEW, right, format!("{body} ")],
        [NEW, given("1700000000", &signature), body],
        [NEW, given(&stamp, ""), body],
    ]);
    let expected = json!([true, true, true, false, false, false, false, false]);
    assert_eq!(verdicts(&cases, folder.path()), [expected.clone(), expected]);
}
