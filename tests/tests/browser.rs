//! Pages in a real browser: the example that follows entities, through a kill of the broker, and the
//! documentation that the broker serves.
//!
//! The browser is Chromium without a window, driven over the `WebDriver` protocol (W3C), which is
//! HTTP and JSON.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use musubi_tests::{Http, Musubi, PATIENCE, binary, program, repository};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A browser with a page. Ended when it is dropped.
struct Browser {
    driver: Child,
    http: Http,
    session: String,
    _profile: TempDir,
}

impl Browser {
    async fn open() -> Self {
        let _ = program("chromium");
        let mut driver = Command::new(program("chromedriver"))
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // The browser is a child of the driver, and ends with its group.
            .process_group(0)
            .spawn()
            .expect("the driver starts");
        let http = Http::new(format!("http://127.0.0.1:{}", port(&mut driver)));
        let profile = tempfile::tempdir().expect("a folder");
        let folder = format!("--user-data-dir={}", profile.path().display());
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--no-proxy-server",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &folder,
        ];
        let options = json!({"args": arguments});
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let mut browser = Self { driver, http, session: String::new(), _profile: profile };
        let answer = browser.command(Method::POST, "/session", &wanted).await;
        let session = answer["sessionId"].as_str().expect("a session");
        browser.session = format!("/session/{session}");
        browser
    }

    /// What a command gives.
    async fn command(&self, method: Method, path: &str, body: &Value) -> Value {
        let body = (method == Method::POST).then_some(body);
        let answer = self.http.send(method, path, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()["value"].clone()
    }

    async fn go(&self, url: &str) {
        let path = format!("{}/url", self.session);
        self.command(Method::POST, &path, &json!({"url": url})).await;
    }

    /// What a script in the page returns.
    async fn run(&self, script: &str) -> Value {
        let path = format!("{}/execute/sync", self.session);
        self.command(Method::POST, &path, &json!({"script": script, "args": []})).await
    }

    /// Waits until a script in the page returns this.
    async fn until(&self, what: &str, script: &str, expected: &Value) {
        let mut found = Value::Null;
        let asking = async {
            while found != *expected {
                found = self.run(script).await;
            }
        };
        let is_over = tokio::time::timeout(PATIENCE, asking).await.is_err();
        assert!(!is_over, "{what} did not happen; there is {found}, and not {expected}");
    }

    /// What the page complained about.
    async fn complaints(&self) -> Vec<String> {
        let path = format!("{}/se/log", self.session);
        let log = self.command(Method::POST, &path, &json!({"type": "browser"})).await;
        let entries = log.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| entry["message"].to_string()).collect()
    }

    async fn close(self) {
        self.command(Method::DELETE, &self.session, &Value::Null).await;
    }
}

/// The port on which the driver listens, as it says itself.
fn port(driver: &mut Child) -> u16 {
    let (sender, found) = mpsc::channel();
    let output = BufReader::new(driver.stdout.take().expect("a pipe"));
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if let Some((_, port)) = line.split_once("successfully on port ") {
                let _ = sender.send(port.trim_end_matches('.').parse().expect("a port"));
            }
        }
    });
    found.recv_timeout(PATIENCE).expect("the driver listens")
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = i32::try_from(self.driver.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.driver.wait();
    }
}

/// Serves `examples/live.html` and its script, as any file server does.
async fn serve_example(tasks: &mut JoinSet<()>) -> SocketAddr {
    let file = |name: &str, media: &'static str| {
        let text = std::fs::read_to_string(repository().join("examples").join(name));
        let text = text.expect("the example is there");
        get(move || std::future::ready(([(header::CONTENT_TYPE, media)], text.clone())))
    };
    let router = Router::new()
        .route("/live.html", file("live.html", "text/html"))
        .route("/live.js", file("live.js", "text/javascript"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tasks.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    address
}

/// A broker that pages of this origin may use.
fn broker(data: &Path, listen: &str, origin: &str) -> Musubi {
    let mut command = Command::new(binary());
    command.args(["serve", "--listen", listen, "--data-dir"]).arg(data);
    Musubi::start(command.env("MUSUBI_CORS_ORIGINS", origin))
}

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
    let page = serve_example(&mut tasks).await;
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

#[tokio::test]
async fn the_documentation_lists_all_operations_and_sends_requests() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Musubi::serve(folder.path(), &[]);
    let http = Http::new(server.url());
    let document = http.get("/openapi.json").await.json();
    let items = document["paths"].as_object().expect("paths").values();
    let methods = items.flat_map(|item| item.as_object().expect("methods").keys());
    let operations = methods.filter(|method| *method != "head").count();
    let subscription = json!({
        "id": "urn:ngsi-ld:Subscription:shelters", "type": "Subscription",
        "entities": [{"type": "Shelter"}], "notification": {"endpoint": {"uri": "musubi:stream"}},
    });
    assert_eq!(http.post("/ngsi-ld/v1/subscriptions", &subscription).await.status, 201);

    let browser = Browser::open().await;
    browser.go(&format!("{}/docs", server.url())).await;
    let cards = "return document.querySelectorAll('#operations summary .method').length";
    browser.until("a card for every operation", cards, &json!(operations)).await;
    for (card, text) in [("isLive", "live"), ("followSubscription", "retry: ")] {
        browser.run(&format!("document.getElementById('{card}').open = true")).await;
        let buttons = format!(
            "const buttons = [...document.querySelectorAll('#{card} button')];\
             const send = buttons.find((button) => button.textContent === 'Send from here');"
        );
        browser.until("the button", &format!("{buttons} return !!send"), &json!(true)).await;
        browser.run(&format!("{buttons} send.click()")).await;
        let answered = format!(
            "return [...document.querySelectorAll('#{card} pre')].map((pre) => pre.textContent)\
             .some((text) => text.startsWith('200') && text.includes('{text}'))"
        );
        browser.until("the answer", &answered, &json!(true)).await;
    }
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}
