use std::collections::HashMap;
use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use musubi_model::Limits;
use musubi_outbound::{Client, Guard, Private};
use parking_lot::Mutex;
use serde_json::json;
use tokio::task::JoinSet;

use super::fetch::Lifetimes;
use super::*;

/// An origin of contexts on loopback.
struct Origin {
    base: String,
    pages: Arc<Mutex<Pages>>,
    _server: JoinSet<()>,
}

#[derive(Default)]
struct Pages {
    documents: HashMap<String, Page>,
    /// The `If-None-Match` of each request, by path, in their order.
    requests: HashMap<String, Vec<Option<String>>>,
}

#[derive(Clone, Default)]
struct Page {
    status: u16,
    body: String,
    headers: Vec<(&'static str, &'static str)>,
}

impl Origin {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let pages = Arc::<Mutex<Pages>>::default();
        let router = Router::new().fallback(serve).with_state(Arc::clone(&pages));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base, pages, _server: server }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn put(&self, path: &str, context: &Value) {
        let body = json!({"@context": context}).to_string();
        self.put_page(path, Page { status: 200, body, headers: Vec::new() });
    }

    fn put_page(&self, path: &str, page: Page) {
        self.pages.lock().documents.insert(path.to_owned(), page);
    }

    fn requests(&self, path: &str) -> usize {
        self.pages.lock().requests.get(path).map_or(0, Vec::len)
    }
}

async fn serve(State(pages): State<Arc<Mutex<Pages>>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let asked = request.headers().get("if-none-match").map(|it| it.to_str().unwrap().to_owned());
    let mut pages = pages.lock();
    pages.requests.entry(path.clone()).or_default().push(asked.clone());
    let page =
        pages.documents.get(&path).cloned().unwrap_or(Page { status: 404, ..Page::default() });
    let etag = page.headers.iter().find(|(name, _)| *name == "etag").map(|(_, value)| *value);
    let is_unchanged = etag.is_some() && asked.as_deref() == etag;
    let mut response = Response::builder().status(if is_unchanged { 304 } else { page.status });
    for (name, value) in page.headers {
        response = response.header(name, value);
    }
    let body = if is_unchanged { Body::empty() } else { Body::from(page.body) };
    response.body(body).unwrap()
}

fn options() -> ContextsOptions {
    let client = Client::guarded(Guard { private: Private::Loopback, allow: Vec::new() });
    ContextsOptions { client: Some(client), ..ContextsOptions::default() }
}

fn contexts() -> Contexts {
    Contexts::new(options()).unwrap()
}

/// Contexts that believe nothing for any time, so that each question goes to the origin.
fn forgetful() -> Contexts {
    let none = Duration::ZERO;
    with(|lifetimes| {
        *lifetimes =
            Lifetimes { unsaid: none, shortest: none, longest: none, stale: none, failure: none };
    })
}

/// Contexts that believe things for another time.
fn with(change: impl FnOnce(&mut Lifetimes)) -> Contexts {
    let mut shared = Arc::into_inner(contexts().shared).unwrap();
    change(&mut shared.fetcher.lifetimes);
    Contexts { shared: Arc::new(shared), hosted: None }
}

async fn link(contexts: &Contexts, url: &str) -> Result<Context, ContextError> {
    contexts.resolve(&Tenant::default(), ContextReference::Link(url)).await
}

async fn inline(contexts: &Contexts, context: &Value) -> Result<Context, ContextError> {
    let text = context.to_string();
    let node = Node::parse(&text, Limits::default()).unwrap();
    contexts.resolve(&Tenant::default(), ContextReference::Inline(&node)).await
}

fn reason(result: Result<Context, ContextError>) -> String {
    result.unwrap_err().to_string()
}

#[tokio::test]
async fn a_context_is_fetched_once_and_kept() {
    let origin = Origin::start().await;
    origin.put("/a", &json!({"a": "https://e.example/a"}));
    let (contexts, url) = (contexts(), origin.url("/a"));
    assert!(contexts.cached(&Tenant::default(), ContextReference::Link(&url)).is_none());
    let first = link(&contexts, &url).await.unwrap();
    assert_eq!(first.expand("a"), "https://e.example/a");
    assert_eq!(first.url(), Some(url.as_str()));
    assert_eq!(first.member(), format!("[\"{url}\",\"{CORE_CONTEXT_URL}\"]"));
    let second = link(&contexts, &url).await.unwrap();
    assert!(second.is_same(&first));
    assert!(
        contexts.cached(&Tenant::default(), ContextReference::Link(&url)).unwrap().is_same(&first)
    );
    assert_eq!(origin.requests("/a"), 1);
}

#[tokio::test]
async fn many_who_need_one_context_at_once_make_one_request() {
    let origin = Origin::start().await;
    origin.put("/a", &json!({"a": "https://e.example/a"}));
    let (contexts, url) = (contexts(), origin.url("/a"));
    let mut waiting = JoinSet::new();
    for _ in 0..20 {
        let (contexts, url) = (contexts.clone(), url.clone());
        waiting.spawn(async move { link(&contexts, &url).await.map(drop) });
    }
    while let Some(result) = waiting.join_next().await {
        result.unwrap().unwrap();
    }
    assert_eq!(origin.requests("/a"), 1);
    assert_eq!(contexts.shared.fetcher.flights.len(), 0);
    assert_eq!(contexts.shared.compiling.len(), 0);
}

#[tokio::test]
async fn an_old_document_is_asked_for_by_its_etag() {
    let origin = Origin::start().await;
    let page = |body: &Value, etag: &'static str| Page {
        status: 200,
        body: json!({"@context": body}).to_string(),
        headers: vec![("etag", etag)],
    };
    origin.put_page("/a", page(&json!({"a": "https://e.example/1"}), "\"1\""));
    let (contexts, url) = (forgetful(), origin.url("/a"));
    for _ in 0..2 {
        assert_eq!(link(&contexts, &url).await.unwrap().expand("a"), "https://e.example/1");
    }
    origin.put_page("/a", page(&json!({"a": "https://e.example/2"}), "\"2\""));
    assert_eq!(link(&contexts, &url).await.unwrap().expand("a"), "https://e.example/2");
    let asked = origin.pages.lock().requests["/a"].clone();
    assert_eq!(asked, [None, Some("\"1\"".to_owned()), Some("\"1\"".to_owned())]);
}

#[tokio::test]
async fn a_document_is_used_for_as_long_as_it_says() {
    let origin = Origin::start().await;
    let page = Page {
        status: 200,
        body: json!({"@context": {"a": "https://e.example/a"}}).to_string(),
        headers: vec![("cache-control", "public, max-age=600")],
    };
    origin.put_page("/a", page);
    let contexts = with(|lifetimes| {
        lifetimes.unsaid = Duration::ZERO;
        lifetimes.shortest = Duration::ZERO;
    });
    for _ in 0..2 {
        link(&contexts, &origin.url("/a")).await.unwrap();
    }
    assert_eq!(origin.requests("/a"), 1);
}

#[tokio::test]
async fn an_old_context_stays_in_use_while_its_origin_is_down() {
    let origin = Origin::start().await;
    origin.put("/a", &json!({"a": "https://e.example/1"}));
    let (contexts, url) = (forgetful(), origin.url("/a"));
    link(&contexts, &url).await.unwrap();
    for body in ["", "<html>maintenance</html>"] {
        let status = if body.is_empty() { 500 } else { 200 };
        origin.put_page("/a", Page { status, body: body.to_owned(), headers: Vec::new() });
        assert_eq!(link(&contexts, &url).await.unwrap().expand("a"), "https://e.example/1");
    }
    origin.put("/a", &json!({"a": "https://e.example/2"}));
    assert_eq!(link(&contexts, &url).await.unwrap().expand("a"), "https://e.example/2");
    drop(origin);
    assert_eq!(link(&contexts, &url).await.unwrap().expand("a"), "https://e.example/2");
}

#[tokio::test]
async fn a_failure_is_remembered_for_a_moment() {
    let origin = Origin::start().await;
    let (contexts, url) = (contexts(), origin.url("/missing"));
    for _ in 0..5 {
        let refused = link(&contexts, &url).await;
        let Err(ContextError::NotAvailable { url: named, reason }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!((named, reason), (url.clone(), "it answered 404".to_owned()));
    }
    assert_eq!(origin.requests("/missing"), 1);
}

#[tokio::test]
async fn contexts_name_contexts_and_those_the_core() {
    let origin = Origin::start().await;
    origin.put("/outer", &json!(["inner/one", {"b": "ex:b"}, CORE_CONTEXT_URL]));
    origin.put("/inner/one", &json!(["two", {"a": "ex:a"}]));
    origin.put("/inner/two", &json!({"ex": "https://e.example/"}));
    let (contexts, url) = (contexts(), origin.url("/outer"));
    let context = link(&contexts, &url).await.unwrap();
    assert_eq!(context.expand("a"), "https://e.example/a");
    assert_eq!(context.expand("b"), "https://e.example/b");
    // It names the core context itself, so a body in it is complete.
    assert_eq!(context.member(), format!("\"{url}\""));
    drop(origin);
    let again = Context::from_source(&context.source()).unwrap();
    assert_eq!(again.expand("b"), "https://e.example/b");
    assert_eq!((again.url(), again.member()), (context.url(), context.member()));
}

#[tokio::test]
async fn contexts_that_never_end_are_refused() {
    let origin = Origin::start().await;
    origin.put("/self", &json!(["/self"]));
    origin.put("/a", &json!(["/b"]));
    origin.put("/b", &json!(["/a"]));
    for depth in 0..10 {
        origin.put(&format!("/deep{depth}"), &json!([format!("/deep{}", depth + 1)]));
    }
    origin.put("/wide", &json!(vec!["/empty"; 2000]));
    origin.put("/empty", &json!({}));
    let contexts = contexts();
    for path in ["/self", "/a"] {
        assert!(reason(link(&contexts, &origin.url(path)).await).contains("itself"), "{path}");
    }
    assert!(reason(link(&contexts, &origin.url("/deep0")).await).contains("deeper than 8"));
    assert!(reason(link(&contexts, &origin.url("/wide")).await).contains("1000"));
    let many: Vec<String> = (0..100).map(|n| origin.url(&format!("/n{n}"))).collect();
    for n in 0..100 {
        origin.put(&format!("/n{n}"), &json!({}));
    }
    assert!(reason(inline(&contexts, &json!(many)).await).contains("64 documents"));
}

#[tokio::test]
async fn contexts_that_come_to_too_much_are_refused() {
    let origin = Origin::start().await;
    let padded =
        |term: &str| json!({ term: { "@id": "urn:a", "@container": vec!["@set"; 90_000] }});
    let contexts = contexts();
    origin.put("/large", &padded("large"));
    let often = vec![origin.url("/large"); 10];
    let refused = reason(inline(&contexts, &json!(often)).await);
    assert!(refused.contains("definitions are longer than 4194304 bytes"), "{refused}");
    let many: Vec<String> = (0..10).map(|n| origin.url(&format!("/large{n}"))).collect();
    for n in 0..10 {
        origin.put(&format!("/large{n}"), &padded(&format!("t{n}")));
    }
    let refused = reason(inline(&contexts, &json!(many)).await);
    assert!(refused.contains("documents are longer than 4194304 bytes"), "{refused}");
}

#[tokio::test]
async fn what_is_no_context_document_is_invalid_and_what_is_not_there_is_not_available() {
    let origin = Origin::start().await;
    let contexts = contexts();
    let page = |body: &str| Page { status: 200, body: body.to_owned(), headers: Vec::new() };
    origin.put_page("/html", page("<html></html>"));
    origin.put_page("/none", page("{\"note\": 1}"));
    origin.put_page("/array", page("[]"));
    origin.put("/scoped", &json!({"a": {"@id": "https://e.example/a", "@context": {}}}));
    for path in ["/html", "/none", "/array", "/scoped"] {
        let refused = link(&contexts, &origin.url(path)).await;
        assert!(matches!(refused, Err(ContextError::Invalid(_))), "{path}: {refused:?}");
    }
    let large = format!("{{\"@context\": {{}}, \"note\": \"{}\"}}", "x".repeat(1 << 20));
    origin.put_page("/large", page(&large));
    origin
        .put_page("/moved", Page { status: 302, headers: vec![("location", "/html")], ..page("") });
    for path in ["/large", "/moved", "/missing"] {
        let refused = link(&contexts, &origin.url(path)).await;
        assert!(matches!(refused, Err(ContextError::NotAvailable { .. })), "{path}: {refused:?}");
    }
    let refused = link(&contexts, "not a url").await;
    assert!(matches!(refused, Err(ContextError::Invalid(_))), "{refused:?}");
    let forbidden = link(&contexts, "http://169.254.169.254/latest").await;
    assert!(matches!(forbidden, Err(ContextError::NotAvailable { .. })), "{forbidden:?}");
}

#[tokio::test]
async fn the_core_context_and_that_of_proofs_are_never_fetched() {
    let contexts = Contexts::new(ContextsOptions { client: None, ..options() }).unwrap();
    let core = Context::core();
    for version in ["", "-v1.0", "-v1.3", "-v1.9"] {
        for scheme in ["http", "https"] {
            let url =
                format!("{scheme}://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context{version}.jsonld");
            assert!(link(&contexts, &url).await.unwrap().is_same(&core), "{url}");
            assert!(inline(&contexts, &json!([url])).await.unwrap().is_same(&core), "{url}");
        }
    }
    assert!(
        contexts.resolve(&Tenant::default(), ContextReference::Core).await.unwrap().is_same(&core)
    );
    assert!(contexts.cached(&Tenant::default(), ContextReference::Core).unwrap().is_same(&core));
    let unknown = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.77.jsonld";
    assert!(matches!(link(&contexts, unknown).await, Err(ContextError::NotAvailable { .. })));
    let proof = link(&contexts, "https://w3id.org/security/data-integrity/v2").await.unwrap();
    assert_eq!(proof.expand("proof"), "https://w3id.org/security#proof");
    assert!(reason(link(&contexts, "https://e.example/").await).contains("fetches no contexts"));
}

#[tokio::test]
async fn inline_contexts_are_kept_by_their_text() {
    let origin = Origin::start().await;
    origin.put("/a", &json!({"a": "https://e.example/a"}));
    let (contexts, url) = (contexts(), origin.url("/a"));
    let by_link = link(&contexts, &url).await.unwrap();
    for same in [json!(url), json!([url]), json!([url, CORE_CONTEXT_URL])] {
        assert!(inline(&contexts, &same).await.unwrap().is_same(&by_link), "{same}");
    }
    let own = json!([{"b": "https://e.example/b"}, url]);
    let first = inline(&contexts, &own).await.unwrap();
    assert_eq!(first.expand("a"), "https://e.example/a");
    assert_eq!(first.url(), None);
    assert_eq!(first.member(), json!([own[0], own[1], CORE_CONTEXT_URL]).to_string());
    assert!(inline(&contexts, &own).await.unwrap().is_same(&first));
    let with_core = json!([{"b": "https://e.example/b"}, CORE_CONTEXT_URL]);
    assert_eq!(inline(&contexts, &with_core).await.unwrap().member(), with_core.to_string());
    assert_eq!(origin.requests("/a"), 1);
}

fn write(folder: &Path, name: &str, value: &Value) {
    std::fs::write(folder.join(name), value.to_string()).unwrap();
}

#[tokio::test]
async fn a_pinned_context_is_never_fetched() {
    let origin = Origin::start().await;
    origin.put("/a", &json!({"a": "https://wrong.example/a"}));
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (origin.url("/a"), "https://unreachable.example/b".to_owned());
    write(folder.path(), "contexts.json", &json!({&a: "a.jsonld", &b: "b.jsonld"}));
    write(folder.path(), "a.jsonld", &json!({"@context": {"a": "https://e.example/a"}}));
    write(folder.path(), "b.jsonld", &json!({"@context": [a, {"b": "https://e.example/b"}]}));
    let pinned = Some(folder.path().to_owned());
    let built_in = vec![(b.clone(), json!({"@context": {}}).to_string())];
    let contexts = Contexts::new(ContextsOptions { pinned, built_in, ..options() }).unwrap();
    assert_eq!(link(&contexts, &a).await.unwrap().expand("a"), "https://e.example/a");
    let nested = link(&contexts, &b).await.unwrap();
    assert_eq!(nested.expand("a"), "https://e.example/a");
    assert_eq!(nested.expand("b"), "https://e.example/b");
    assert_eq!(origin.requests("/a"), 0);
}

#[test]
fn pinned_and_built_in_contexts_are_checked_at_the_start() {
    let check = |index: Value, file: Value| {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "contexts.json", &index);
        write(folder.path(), "a.jsonld", &file);
        let pinned = Some(folder.path().to_owned());
        Contexts::new(ContextsOptions { pinned, ..options() }).map(drop)
    };
    let url = "https://e.example/a";
    let fine = json!({"@context": {"a": "https://e.example/a"}});
    assert_eq!(check(json!({url: "a.jsonld"}), fine.clone()), Ok(()));
    for index in
        [json!({url: "b.jsonld"}), json!({url: "../a.jsonld"}), json!({url: ""}), json!([1])]
    {
        assert!(check(index.clone(), fine.clone()).is_err(), "{index}");
    }
    assert!(check(json!({"no url": "a.jsonld"}), fine).is_err());
    for file in [json!({}), json!({"@context": {"a": "b"}, "a": 1}), json!({"@context": {"a": 5}})]
    {
        let expected = file["@context"]["a"] == "b";
        assert_eq!(check(json!({url: "a.jsonld"}), file.clone()).is_ok(), expected, "{file}");
    }
    let missing = ContextsOptions { pinned: Some("does-not-exist".into()), ..options() };
    assert!(Contexts::new(missing).is_err());
    let built_in = vec![(url.to_owned(), "{".to_owned())];
    assert!(Contexts::new(ContextsOptions { built_in, ..options() }).is_err());
}

mod hostile;
mod hosting;
mod storing;
