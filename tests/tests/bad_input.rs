//! Bad input over a real socket: each gets an error that names the place, nothing is stored by
//! half, and the next request is served.

use std::net::SocketAddr;
use std::path::Path;

use musubi_tests::{
    FeedServer, Finished, Http, Musubi, PATIENCE, Publisher, fixture, free_port, musubi,
};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const JSON: &str = "Content-Type: application/json";
const LD_JSON: &str = "Content-Type: application/ld+json";
const ENTITIES: &str = "POST /ngsi-ld/v1/entities";
const SUBSCRIPTIONS: &str = "POST /ngsi-ld/v1/subscriptions";

/// A request that is wrong, and what is to be answered.
struct Wrong {
    what: &'static str,
    line: String,
    headers: Vec<String>,
    body: Vec<u8>,
    status: u16,
    /// What the answer has to say.
    says: &'static [&'static str],
}

fn wrong(what: &'static str, line: &str, status: u16, says: &'static [&'static str]) -> Wrong {
    Wrong { what, line: line.to_owned(), headers: Vec::new(), body: Vec::new(), status, says }
}

impl Wrong {
    fn header(mut self, header: impl Into<String>) -> Self {
        self.headers.push(header.into());
        self
    }

    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// A body of JSON, sent as such.
    fn json(self, body: impl Into<Vec<u8>>) -> Self {
        self.header(JSON).body(body)
    }
}

/// Sends a request as it stands and gives status and body of the answer.
async fn send(address: SocketAddr, wrong: &Wrong) -> (u16, String) {
    let mut request = format!("{} HTTP/1.1\r\nConnection: close\r\n", wrong.line).into_bytes();
    let has = |name: &str| wrong.headers.iter().any(|header| header.starts_with(name));
    let mut headers = wrong.headers.clone();
    if !has("Host") {
        headers.push(format!("Host: {address}"));
    }
    if !has("Content-Length") && !has("Transfer-Encoding") {
        headers.push(format!("Content-Length: {}", wrong.body.len()));
    }
    for header in headers {
        request.extend_from_slice(header.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(&wrong.body);
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        // The answer may come before everything is read.
        let _ = stream.write_all(&request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let answer = tokio::time::timeout(PATIENCE, exchange).await;
    let answer = answer.unwrap_or_else(|_| panic!("{} was not answered", wrong.what));
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

fn entity(attributes: &str) -> String {
    format!("{{\"id\":\"urn:ngsi-ld:Bad:1\",\"type\":\"Bad\",{attributes}}}")
}

fn nested(levels: usize) -> String {
    entity(&format!(
        "\"a\":{{\"type\":\"Property\",\"value\":{}1{}}}",
        "[".repeat(levels),
        "]".repeat(levels)
    ))
}

fn bodies() -> Vec<Wrong> {
    let create = |what, status, says| wrong(what, ENTITIES, status, says);
    let data = |what, says| create(what, 400, says);
    vec![
        data("malformed JSON", &["InvalidRequest", "line 2", "column"])
            .json("{\"id\": \"urn:ngsi-ld:Bad:1\",\n\"type\": \"Bad\", }"),
        data("half a body", &["InvalidRequest", "line"]).json("{\"id\": \"urn:ngsi-ld:Bad:1\""),
        data("no body", &["InvalidRequest"]).json(""),
        data("something after the end", &["InvalidRequest", "line"]).json("{}{}"),
        data("bytes that are no text", &["InvalidRequest", "byte"]).json(b"{\"id\":\"\xff\xfe\"}".to_vec()),
        data("a thousand levels", &["InvalidRequest", "line 1", "column"]).json(nested(1000)),
        data("a hundred thousand levels", &["InvalidRequest"]).json(nested(100_000)),
        data("a key that comes twice", &["InvalidRequest", "twice"])
            .json(entity("\"a\":{\"type\":\"Property\",\"value\":1,\"value\":2}")),
        data("an attribute that comes twice", &["InvalidRequest", "twice"]).json(entity("\"a\":1,\"a\":2")),
        data("NaN", &["InvalidRequest", "line 1"]).json(entity("\"a\":{\"type\":\"Property\",\"value\":NaN}")),
        data("Infinity", &["InvalidRequest"]).json(entity("\"a\":{\"type\":\"Property\",\"value\":-Infinity}")),
        data("a number beyond all bounds", &["InvalidRequest", "line 1", "column"])
            .json(entity("\"a\":{\"type\":\"Property\",\"value\":1e999}")),
        data("an entity that is no object", &["InvalidRequest"]).json("[1]"),
        data("an id that is a number", &["/id"]).json("{\"id\":1,\"type\":\"Bad\"}"),
        data("an id that is no URI", &["/id"]).json("{\"id\":\"one\",\"type\":\"Bad\"}"),
        data("no type", &["type"]).json("{\"id\":\"urn:ngsi-ld:Bad:1\"}"),
        data("a type that is a number", &["/type"]).json("{\"id\":\"urn:ngsi-ld:Bad:1\",\"type\":7}"),
        data("a property without a value", &["/a"]).json(entity("\"a\":{\"type\":\"Property\"}")),
        data("an attribute of no known type", &["/a/type"]).json(entity("\"a\":{\"type\":\"Thing\",\"value\":1}")),
        data("a relationship to no URI", &["/a/object"])
            .json(entity("\"a\":{\"type\":\"Relationship\",\"object\":\"not a URI\"}")),
        data("a time that is none", &["/a/observedAt"])
            .json(entity("\"a\":{\"type\":\"Property\",\"value\":1,\"observedAt\":\"yesterday\"}")),
        data("a point beyond the pole", &["/a"])
            .json(entity("\"a\":{\"type\":\"GeoProperty\",\"value\":{\"type\":\"Point\",\"coordinates\":[0,95]}}")),
        create("a body over the limit", 413, &["bytes"]).json(vec![b' '; (2 << 20) + 1]),
        create("the promise of an endless body", 413, &[])
            .header(JSON)
            .header("Content-Length: 99999999999999"),
        create("a body of unknown length", 411, &[])
            .header(JSON)
            .header("Transfer-Encoding: chunked")
            .body("2\r\n{}\r\n0\r\n\r\n"),
    ]
}

fn headers() -> Vec<Wrong> {
    let good = "{\"id\":\"urn:ngsi-ld:Bad:1\",\"type\":\"Bad\"}";
    let nowhere = format!("http://127.0.0.1:{}/context.jsonld", free_port());
    let link = |url: &str| {
        format!(
            "Link: <{url}>; rel=\"http://www.w3.org/ns/json-ld#context\"; type=\"application/ld+json\""
        )
    };
    let create = |what, status, says| wrong(what, ENTITIES, status, says);
    vec![
        create("a context that nobody serves", 504, &["LdContextNotAvailable", "context.jsonld"])
            .json(good)
            .header(link(&nowhere)),
        create(
            "an inline context that nobody serves",
            504,
            &["LdContextNotAvailable", "context.jsonld"],
        )
        .header(LD_JSON)
        .body(format!(
            "{{\"@context\":\"{nowhere}\",\"id\":\"urn:ngsi-ld:Bad:1\",\"type\":\"Bad\"}}"
        )),
        create("a context that is a number", 400, &["@context"])
            .header(LD_JSON)
            .body("{\"@context\":7,\"id\":\"urn:ngsi-ld:Bad:1\",\"type\":\"Bad\"}"),
        create("two contexts", 400, &["BadRequestData", "Link"])
            .header(LD_JSON)
            .header(link(&nowhere))
            .body("{\"@context\":[],\"id\":\"urn:ngsi-ld:Bad:1\",\"type\":\"Bad\"}"),
        create("a context in the body of plain JSON", 400, &["@context"])
            .json("{\"@context\":[],\"id\":\"urn:ngsi-ld:Bad:1\",\"type\":\"Bad\"}"),
        create("a body that says it is a picture", 415, &[])
            .header("Content-Type: image/png")
            .body(good),
        create("two content types", 415, &[]).header(JSON).header(LD_JSON).body(good),
        create("two lengths", 400, &[])
            .json(good)
            .header(format!("Content-Length: {}", good.len()))
            .header("Content-Length: 3"),
        wrong("a head beyond all bounds", "GET /health/live", 431, &[])
            .header(format!("X-Long: {}", "a".repeat(500_000))),
        create("a name that is not ours", 421, &["evil.example"])
            .json(good)
            .header("Host: evil.example"),
        create("a tenant that cannot be one", 400, &["enant"])
            .json(good)
            .header("NGSILD-Tenant: ../etc"),
        wrong(
            "a representation that there is none of",
            "GET /ngsi-ld/v1/entities?type=Good",
            406,
            &[],
        )
        .header("Accept: image/png"),
    ]
}

fn queries() -> Vec<Wrong> {
    let query = |what, query: &str, status, says| {
        wrong(what, &format!("GET /ngsi-ld/v1/entities?type=Good&{query}"), status, says)
    };
    let near = "georel=within&geometry=Polygon&coordinates=";
    vec![
        query("an unknown parameter", "colour=red", 400, &["InvalidRequest", "colour"]),
        query("a parameter that comes twice", "limit=1&limit=2", 400, &["limit"]),
        query("a limit that is no number", "limit=many", 400, &["limit"]),
        query("too much at once", "limit=1001", 403, &["TooManyResults"]),
        query("half a query", "q=name==", 400, &["BadRequestData"]),
        query(
            "a query of brackets",
            &format!("q={}a{}", "(".repeat(5000), ")".repeat(5000)),
            400,
            &[],
        ),
        query("an expression that is none", "q=name~=(a", 400, &["BadRequestData"]),
        query("an expression that looks back", "q=name~=(a)%5C1", 400, &["BadRequestData"]),
        query(
            "an expression that explodes",
            "idPattern=((a%7B999%7D)%7B999%7D)%7B999%7D",
            400,
            &[],
        ),
        query("a polygon that is not closed", &format!("{near}[[[0,0],[1,0],[1,1]]]"), 400, &[]),
        query(
            "NaN as a place",
            "georel=near;maxDistance==1&geometry=Point&coordinates=[NaN,0]",
            400,
            &[],
        ),
        query(
            "a distance beyond all bounds",
            "georel=near;maxDistance==1e999&geometry=Point&coordinates=[0,0]",
            400,
            &[],
        ),
        query(
            "a geometry that is none",
            "georel=near;maxDistance==1&geometry=Blob&coordinates=[0,0]",
            400,
            &[],
        ),
        query("an escape that is no text", "q=%FF", 400, &["UTF-8"]),
        wrong("a query for everything", "GET /ngsi-ld/v1/entities", 400, &["BadRequestData"]),
        wrong("an id that is no URI", "GET /ngsi-ld/v1/entities/one", 400, &["BadRequestData"]),
        wrong("a path that is none", "GET /ngsi-ld/v1/nothing", 404, &["path"]),
        wrong("a method that is none", "PUT /ngsi-ld/v1/types", 405, &["Allow"]),
    ]
}

fn subscriptions() -> Vec<Wrong> {
    let subscription = |what, member: &str, says| {
        let body = format!(
            "{{\"id\":\"urn:ngsi-ld:Subscription:bad\",\"type\":\"Subscription\",{member}\
             \"notification\":{{\"endpoint\":{{\"uri\":\"http://127.0.0.1:9/notify\"}}}}}}"
        );
        wrong(what, SUBSCRIPTIONS, 400, says).json(body)
    };
    vec![
        subscription("a subscription to nothing", "", &["entities"]),
        subscription(
            "a subscription with half a query",
            "\"entities\":[{\"type\":\"T\"}],\"q\":\"a==\",",
            &["q"],
        ),
        subscription(
            "a hostile pattern",
            "\"entities\":[{\"type\":\"T\",\"idPattern\":\"(\"}],",
            &["idPattern"],
        ),
        wrong("an endpoint that is no address", SUBSCRIPTIONS, 400, &["uri"]).json(
            "{\"type\":\"Subscription\",\"entities\":[{\"type\":\"T\"}],\
             \"notification\":{\"endpoint\":{\"uri\":\"nowhere\"}}}",
        ),
    ]
}

/// What is stored, as far as this test can have changed it.
async fn stored(http: &Http) -> String {
    let mut all = String::new();
    for path in [
        "/ngsi-ld/v1/types",
        "/ngsi-ld/v1/entities?type=Good&options=sysAttrs",
        "/ngsi-ld/v1/subscriptions",
    ] {
        let answer = http.get(path).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        all.push_str(&answer.text);
    }
    all
}

fn check_no_panic(server: &Musubi) {
    let panicked: Vec<String> =
        server.complaints().into_iter().filter(|line| line.contains("panicked")).collect();
    assert!(panicked.is_empty(), "{panicked:#?}");
}

async fn check(wrongs: Vec<Wrong>) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Musubi::serve(&folder.path().join("data"), &["--durability", "interval"]);
    let http = Http::new(server.url());
    let good = json!({ "id": "urn:ngsi-ld:Good:1", "type": "Good", "name": "a".repeat(5000) });
    assert_eq!(http.post("/ngsi-ld/v1/entities", &good).await.status, 201);
    let before = stored(&http).await;
    let mut objections = Vec::new();
    for wrong in wrongs {
        let (status, body) = send(server.http, &wrong).await;
        let start: String = body.chars().take(300).collect();
        if status != wrong.status {
            objections
                .push(format!("{}: {status} instead of {}: {start}", wrong.what, wrong.status));
        }
        for said in wrong.says {
            if !body.contains(said) {
                objections.push(format!("{}: {said:?} is not in {start}", wrong.what));
            }
        }
        assert_eq!(stored(&http).await, before, "{} changed something", wrong.what);
    }
    assert!(objections.is_empty(), "{objections:#?}");
    check_no_panic(&server);
    let highest = memory(&server);
    assert!(highest < 256 << 20, "{highest} bytes of memory");
    assert_eq!(server.stop().0, Some(0));
}

/// The most memory that the process has had, in bytes.
fn memory(server: &Musubi) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", server.id())).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its memory");
    line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).expect("a number")
        * 1024
}

#[tokio::test]
async fn bodies_that_are_wrong_are_refused_with_their_place() {
    check(bodies()).await;
}

#[tokio::test]
async fn headers_that_contradict_are_refused() {
    check(headers()).await;
}

#[tokio::test]
async fn queries_that_are_wrong_are_refused() {
    check(queries()).await;
}

#[tokio::test]
async fn subscriptions_that_are_wrong_are_refused() {
    check(subscriptions()).await;
}

#[tokio::test]
async fn an_expression_that_would_take_others_forever_is_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Musubi::serve(&folder.path().join("data"), &["--durability", "interval"]);
    let http = Http::new(server.url());
    let name = format!("{}!", "a".repeat(50_000));
    let body = json!({ "id": "urn:ngsi-ld:Good:1", "type": "Good", "name": name });
    assert_eq!(http.post("/ngsi-ld/v1/entities", &body).await.status, 201);
    let answer = http.get("/ngsi-ld/v1/entities?type=Good&q=name~=%5E(a%2B)%2B%24").await;
    assert_eq!((answer.status, answer.json()), (200, json!([])), "{}", answer.text);
}

#[tokio::test]
async fn an_answer_does_not_wait_for_what_follows_the_request() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Musubi::serve(&folder.path().join("data"), &["--durability", "interval"]);
    for following in ["\r\n", "GET /health/l"] {
        let mut stream = TcpStream::connect(server.http).await.expect("a connection");
        let request =
            format!("GET /health/live HTTP/1.1\r\nHost: {}\r\n\r\n{following}", server.http);
        stream.write_all(request.as_bytes()).await.expect("it is taken");
        let mut start = [0_u8; 12];
        let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut start)).await;
        assert!(matches!(read, Ok(Ok(_))), "{following:?} after a request holds its answer back");
        assert_eq!(&start, b"HTTP/1.1 200");
    }
}

/// One bad item of a batch is named, and the good ones are stored whole.
#[tokio::test]
async fn a_batch_names_its_bad_items_and_stores_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Musubi::serve(&folder.path().join("data"), &["--durability", "interval"]);
    let http = Http::new(server.url());
    let body = json!([
        { "id": "urn:ngsi-ld:Good:1", "type": "Good", "a": 1, "b": 1 },
        { "id": "urn:ngsi-ld:Good:2", "type": "Good", "a": 1, "b": { "type": "Property" } },
        { "id": "urn:ngsi-ld:Good:3", "type": "Good", "a": 1, "b": 1 },
    ]);
    let answer = http.post("/ngsi-ld/v1/entityOperations/upsert", &body).await;
    assert_eq!(answer.status, 207, "{}", answer.text);
    let result = answer.json();
    assert_eq!(result["errors"][0]["entityId"], "urn:ngsi-ld:Good:2");
    assert!(answer.text.contains("/b"), "{}", answer.text);
    assert_eq!(result["success"], json!(["urn:ngsi-ld:Good:1", "urn:ngsi-ld:Good:3"]));
    let list = http.get("/ngsi-ld/v1/entities?type=Good&format=simplified").await.json();
    assert_eq!(list.as_array().map(Vec::len), Some(2), "{list}");
}

fn gbfs(folder: &Path, url: &str, server: &Musubi) -> Finished {
    let text = format!(
        "name = \"feed\"\n[source]\nkind = \"gbfs\"\nurl = \"{url}\"\n[map]\npreset = \"gbfs-stations\"\n"
    );
    let mapping = folder.join("feed.toml");
    std::fs::write(&mapping, text).expect("a file");
    let (mapping, memory) =
        (mapping.display().to_string(), folder.join("memory").display().to_string());
    musubi(&[
        "adapter",
        "run",
        &mapping,
        "--broker",
        &server.url(),
        "--data-dir",
        &memory,
        "--once",
    ])
}

#[tokio::test]
async fn a_feed_that_is_a_web_page_changes_nothing_and_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Musubi::serve(&folder.path().join("data"), &["--durability", "interval"]);
    let http = Http::new(server.url()).own_context();
    let source = folder.path().join("feed");
    std::fs::create_dir(&source).expect("a folder");
    let files = ["gbfs", "system_information", "station_information", "station_status"];
    let copy = |name: &str| {
        let file = format!("{name}.json");
        std::fs::copy(fixture("gbfs/kyoto").join(&file), source.join(&file)).expect("a copy");
    };
    for name in files {
        copy(name);
    }
    let feed = FeedServer::start(&source).await;
    let first = gbfs(folder.path(), &feed.url, &server);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let list = async || {
        http.get("/ngsi-ld/v1/entities?type=BikeHireDockingStation&options=sysAttrs").await.text
    };
    let before = list().await;
    assert!(before.contains("availableBikeNumber"), "{before}");
    for name in ["gbfs", "station_information", "station_status"] {
        let page = "<!doctype html><html><body>Down for maintenance</body></html>";
        std::fs::write(source.join(format!("{name}.json")), page).expect("a file");
        let said = gbfs(folder.path(), &feed.url, &server);
        let said_all = format!("{}{}", said.stdout, said.stderr);
        assert!(said_all.contains(name), "{name} is not named: {said_all}");
        assert_eq!(said.code, Some(1), "{name}: {said_all}");
        assert_eq!(list().await, before, "{name}");
        copy(name);
    }
    assert_eq!(gbfs(folder.path(), &feed.url, &server).code, Some(0));
    check_no_panic(&server);
}

#[tokio::test]
async fn messages_of_random_bytes_and_of_unknown_devices_are_kept_and_the_next_is_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let mapping = folder.path().join("sensors.toml");
    let text = "name = \"sensors\"\n[source]\nkind = \"mqtt\"\n[groups.k]\ntype = \"Sensor\"\n\
                devices = \"known\"\nknown = [\"roof\"]\n";
    std::fs::write(&mapping, text).expect("a file");
    let mapping = mapping.display().to_string();
    let arguments = ["--mqtt", "127.0.0.1:0", "--durability", "interval", "--adapter", &mapping];
    let server = Musubi::serve(&folder.path().join("data"), &arguments);
    let http = Http::new(server.url()).own_context();
    let mut random = StdRng::seed_from_u64(3);
    let mut publisher = Publisher::new(server.mqtt(), "gateway");
    let payloads: Vec<Vec<u8>> = (1..20_usize)
        .map(|length| {
            // 0xFF makes sure that it is no JSON.
            std::iter::once(0xFF).chain((0..length * 50).map(|_| random.random())).collect()
        })
        .collect();
    for payload in &payloads {
        publisher.publish("/json/k/roof/attrs", payload.clone()).await;
    }
    publisher.publish("/json/k/stranger/attrs", "{\"temperature\":1}").await;
    publisher.publish("/json/k/roof/attrs", nested(1000)).await;
    publisher.publish("/json/k/roof/attrs", "{\"temperature\":NaN}").await;
    publisher.publish("/json/k/roof/attrs", "{\"temperature\":1,\"temperature\":2}").await;
    publisher.publish("/json/k/roof/attrs", "").await;
    let letters = http.get("/musubi/v1/dead-letters?limit=1000").await.json();
    let letters = letters["deadLetters"].as_array().expect("a list").clone();
    assert_eq!(letters.len(), payloads.len() + 5, "nothing is lost");
    let reason = |letter: &Value| letter["reason"].as_str().unwrap_or_default().to_owned();
    assert!(letters.iter().all(|letter| !reason(letter).is_empty()), "{letters:#?}");
    assert!(letters.iter().any(|letter| reason(letter).contains("stranger")), "{letters:#?}");
    let roof = "/ngsi-ld/v1/entities/urn:ngsi-ld:Sensor:roof";
    assert_eq!(http.get(roof).await.status, 404, "nothing is stored by half");
    publisher.publish("/json/k/roof/attrs", "{\"temperature\":3}").await;
    assert_eq!(http.get(roof).await.json()["temperature"]["value"], 3);
    check_no_panic(&server);
}

#[tokio::test]
async fn connections_of_random_bytes_disturb_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let mapping = folder.path().join("sensors.toml");
    let text = "[source]\nkind = \"mqtt\"\n[groups.k]\ntype = \"Sensor\"\ndevices = \"any\"\n";
    std::fs::write(&mapping, text).expect("a file");
    let mapping = mapping.display().to_string();
    let server = Musubi::serve(
        &folder.path().join("data"),
        &["--mqtt", "127.0.0.1:0", "--durability", "interval", "--adapter", &mapping],
    );
    let mut publisher = Publisher::new(server.mqtt(), "gateway");
    publisher.publish("/json/k/roof/attrs", "{\"temperature\":1}").await;
    let mut random = StdRng::seed_from_u64(4);
    for address in [server.mqtt(), server.http] {
        for length in [1_usize, 2, 10, 1000, 100_000] {
            let bytes: Vec<u8> = (0..length).map(|_| random.random()).collect();
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            // It may be closed before everything is sent.
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
            assert!(read.is_ok(), "{address} keeps a connection of {length} random bytes");
        }
    }
    publisher.publish("/json/k/roof/attrs", "{\"temperature\":2}").await;
    let http = Http::new(server.url()).own_context();
    let roof = http.get("/ngsi-ld/v1/entities/urn:ngsi-ld:Sensor:roof").await;
    assert_eq!(roof.json()["temperature"]["value"], 2, "{}", roof.text);
    check_no_panic(&server);
}
