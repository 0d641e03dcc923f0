//! The description of the API as the program serves it, with all that it puts around the router.

use std::process::Command;

use musubi_tests::{Http, Musubi, finish, program};
use serde_json::Value;

/// What runs on the page, without a browser: enough of a document for its script to build the
/// page in, and to tell what it has built.
const HARNESS: &str = r#"
const [base] = process.argv.slice(1);
class Node {
  constructor(name) { Object.assign(this, { name, children: [], dataset: {}, listeners: {}, value: "" }); }
  append(...children) { this.children.push(...children); }
  addEventListener(name, listener) { this.listeners[name] = listener; }
  setAttribute(name, value) { this[name] = value; }
  remove() { this.removed = true; }
  scrollIntoView() {}
  set textContent(text) { this.children = [String(text)]; }
  get textContent() { return this.children.map((child) => child.textContent ?? child).join(""); }
  all() { return [this, ...this.children.flatMap((child) => child instanceof Node ? child.all() : [])]; }
}
const known = {};
const byId = (id) => known[id] ??= new Node(id);
globalThis.document = {
  createElement: (name) => new Node(name),
  getElementById: (id) => id === "" ? null : byId(id),
  querySelectorAll: () => [],
  addEventListener() {},
};
globalThis.window = { addEventListener() {} };
globalThis.location = { origin: base, hash: "" };
const get = globalThis.fetch;
globalThis.fetch = (path) => get(base + path);
const page = await (await get(base + "/docs")).text();
const script = /<script[^>]*>([\s\S]*)<\/script>/.exec(page)[1];
(0, eval)(script);
for (let turns = 0; !byId("state").removed && turns < 10000; turns += 1) {
  if (byId("state").className === "problem") throw new Error(byId("state").textContent);
  await new Promise((resolve) => setImmediate(resolve));
}
const cards = byId("operations").all().filter((node) => node.name === "details");
for (const card of cards) { card.open = true; card.listeners.toggle?.(); }
const commands = cards.flatMap((card) => card.all()).filter((node) => node.name === "pre").map((node) => node.textContent)
  .filter((text) => text.startsWith("curl "));
console.log(JSON.stringify({ cards: cards.map((card) => card.id), commands }));
"#;

#[tokio::test]
async fn the_page_builds_a_card_and_a_command_for_every_operation() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Musubi::serve(folder.path(), &[]);
    let http = Http::new(server.url());
    let document = http.get("/openapi.json").await;
    assert_eq!((document.status, document.header("content-type")), (200, "application/json"));
    let document = document.json();

    let mut node = Command::new(program("node"));
    let built = finish(node.args(["--input-type=module", "-e", HARNESS, "--"]).arg(server.url()));
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    let built: Value = serde_json::from_str(&built.stdout).expect("what was built");
    let cards = built["cards"].as_array().expect("cards");
    let commands: Vec<&str> =
        built["commands"].as_array().expect("commands").iter().filter_map(Value::as_str).collect();
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            if method == "head" {
                continue;
            }
            operations += 1;
            assert!(cards.contains(&operation["operationId"]), "{method} {path} has no card");
        }
    }
    assert!(operations > 30, "{operations}");
    assert_eq!(commands.len(), operations, "{commands:?}");
    // A command can be pasted as it stands.
    let create = commands.iter().find(|command| command.contains("-X POST"));
    let create = create.expect("a command that creates");
    let made = finish(Command::new(program("bash")).args(["-c", create]));
    assert!(made.stdout.starts_with("HTTP/1.1 201"), "{create}\n{}", made.stdout);
}

#[tokio::test]
async fn the_first_page_leads_to_the_documentation() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Musubi::serve(folder.path(), &[]);
    let http = Http::new(server.url());
    assert!(http.get("/").await.text.contains("href=\"/docs\""));
    assert_eq!(http.get("/docs").await.status, 200);
}
