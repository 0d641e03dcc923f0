//! Contexts that this broker hosts, with a map in the place of the store.

use super::*;

#[derive(Debug, Default)]
struct Stock(Mutex<HashMap<(Tenant, String), String>>);

impl HostedContexts for Stock {
    fn find<'a>(&'a self, tenant: &'a Tenant, id: &'a str) -> FindingHosted<'a> {
        let stock = self.0.lock();
        let found = match stock.get(&(tenant.clone(), id.to_owned())) {
            Some(text) => Hosted::Here(text.clone()),
            None if stock.keys().any(|(_, known)| known == id) => Hosted::OfAnother,
            None => Hosted::Unknown,
        };
        Box::pin(std::future::ready(Ok(found)))
    }
}

/// Contexts without a network, and where they are kept.
fn without_network() -> (Contexts, Arc<Stock>) {
    let contexts = Contexts::new(ContextsOptions { client: None, ..options() }).unwrap();
    let stock = Arc::new(Stock::default());
    (contexts.with_hosted(Arc::clone(&stock) as _), stock)
}

impl Stock {
    async fn add(&self, contexts: &Contexts, tenant: &Tenant, context: &Value) -> String {
        let text = context.to_string();
        let node = Node::parse(&text, Limits::default()).unwrap();
        let complete = contexts.prepared(tenant, &node).await.unwrap();
        let id = new_hosted_id();
        self.0.lock().insert((tenant.clone(), id.clone()), complete);
        id
    }
}

#[tokio::test]
async fn a_hosted_context_is_used_by_its_path_under_any_name_of_the_host() {
    let (contexts, stock) = without_network();
    let tenant = Tenant::default();
    let id = stock.add(&contexts, &tenant, &json!({"a": "https://e.example/a"})).await;
    let escaped = id.replace(':', "%3A");
    let urls = [
        contexts.hosted_url(&id),
        format!("http://localhost:1026{HOSTED_PATH}{id}"),
        format!("https://broker.town.example/behind/a/proxy{HOSTED_PATH}{escaped}"),
    ];
    for (number, url) in (1..).zip(&urls) {
        let context = link(&contexts, url).await.unwrap();
        assert_eq!(context.expand("a"), "https://e.example/a");
        assert_eq!(context.url(), Some(url.as_str()));
        assert_eq!(context.member(), json!([url, CORE_CONTEXT_URL]).to_string());
        assert_eq!(contexts.hosted_uses(&tenant, &id).hits, number);
    }
    let nested = json!([{"b": "https://e.example/b"}, urls[0]]);
    assert_eq!(inline(&contexts, &nested).await.unwrap().expand("a"), "https://e.example/a");
    assert_eq!(contexts.hosted_uses(&tenant, &id).hits, 4);
    link(&contexts, &urls[0]).await.unwrap();
    assert_eq!(contexts.hosted_uses(&tenant, &id).hits, 5);
    // What is hosted is no download.
    assert!(contexts.stored(&tenant).iter().all(|stored| stored.origin == stored::Origin::Core));
}

#[tokio::test]
async fn a_context_that_names_the_core_context_is_complete_when_it_is_hosted() {
    let (contexts, stock) = without_network();
    for context in [json!([{"a": "urn:a"}, CORE_CONTEXT_URL]), json!(CORE_CONTEXT_URL)] {
        let id = stock.add(&contexts, &Tenant::default(), &context).await;
        let url = contexts.hosted_url(&id);
        assert_eq!(link(&contexts, &url).await.unwrap().member(), json!(url).to_string());
    }
}

#[tokio::test]
async fn a_hosted_context_means_what_it_meant_when_it_came() {
    let origin = Origin::start().await;
    origin.put("/part", &json!({"a": "https://e.example/1"}));
    let stock = Arc::new(Stock::default());
    let contexts = contexts().with_hosted(Arc::clone(&stock) as _);
    let part = origin.url("/part");
    let id = stock.add(&contexts, &Tenant::default(), &json!([part])).await;
    // Its parts are among what was downloaded.
    assert!(contexts.find_stored(&Tenant::default(), &part).is_some());
    origin.put("/part", &json!({"a": "https://e.example/2"}));
    contexts.reload(&Tenant::default(), &part).await.unwrap();
    contexts.forget(&Tenant::default(), &part);
    drop(origin);
    let context = link(&contexts, &contexts.hosted_url(&id)).await.unwrap();
    assert_eq!(context.expand("a"), "https://e.example/1");
}

#[tokio::test]
async fn a_hosted_context_is_there_for_its_tenant_alone_and_until_it_is_removed() {
    let (contexts, stock) = without_network();
    let (ours, theirs) = (Tenant::default(), "theirs".parse::<Tenant>().unwrap());
    let id = stock.add(&contexts, &ours, &json!({"a": "https://e.example/a"})).await;
    let url = contexts.hosted_url(&id);
    let missing = |result: Result<Context, ContextError>| match result {
        Err(ContextError::NotAvailable { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    let elsewhere = format!("https://other.example{HOSTED_PATH}{id}");
    for url in [&url, &elsewhere] {
        let refused = contexts.resolve(&theirs, ContextReference::Link(url)).await;
        assert_eq!(missing(refused), "there is no such context here");
    }
    assert_eq!(contexts.hosted_uses(&theirs, &id), Uses::default());
    let held = link(&contexts, &url).await.unwrap();
    stock.0.lock().clear();
    contexts.hosted_removed(&ours, &id);
    assert_eq!(missing(link(&contexts, &url).await), "there is no such context here");
    assert_eq!(contexts.hosted_uses(&ours, &id), Uses::default());
    // Another broker may host what we do not.
    assert_eq!(missing(link(&contexts, &elsewhere).await), "this server fetches no contexts");
    assert_eq!(held.expand("a"), "https://e.example/a");
}

#[tokio::test]
async fn what_is_no_context_is_not_hosted() {
    let (contexts, _) = without_network();
    let check = async |context: Value, is_available: bool| {
        let text = context.to_string();
        let node = Node::parse(&text, Limits::default()).unwrap();
        let refused = contexts.prepared(&Tenant::default(), &node).await.unwrap_err();
        let is_invalid = matches!(refused, ContextError::Invalid(_));
        assert_eq!(is_invalid, is_available, "{text}: {refused}");
    };
    check(json!(42), true).await;
    check(json!(true), true).await;
    // Nothing is fetched for what cannot be valid.
    check(json!(["https://e.example/a", 7]), true).await;
    check(json!({"a": 7}), true).await;
    check(json!({"a": {"@id": "urn:a", "@context": {}}}), true).await;
    check(json!("no url"), true).await;
    check(json!({"a": format!("urn:{}", "x".repeat(1 << 20))}), true).await;
    check(json!(["https://e.example/a"]), false).await;
}
