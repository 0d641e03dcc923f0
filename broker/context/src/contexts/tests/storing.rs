//! What is kept of what was downloaded, and for whom.

use super::*;

fn tenant(name: &str) -> Tenant {
    name.parse().unwrap()
}

/// What this tenant downloaded: address and uses.
fn downloaded(contexts: &Contexts, tenant: &Tenant) -> Vec<(String, u64)> {
    let stored = contexts.stored(tenant).into_iter();
    stored
        .filter(|stored| stored.origin == stored::Origin::Network)
        .map(|stored| (stored.url, stored.uses.unwrap().hits))
        .collect()
}

fn hits(contexts: &Contexts, name: &str) -> u64 {
    contexts.find_stored(&Tenant::default(), name).unwrap().uses.unwrap().hits
}

#[tokio::test]
async fn every_use_is_counted_and_so_is_every_look_from_the_next_one_on() {
    let origin = Origin::start().await;
    origin.put("/a", &json!({"a": "https://e.example/a"}));
    let (contexts, url) = (contexts(), origin.url("/a"));
    link(&contexts, &url).await.unwrap();
    assert_eq!(hits(&contexts, &url), 1);
    link(&contexts, &url).await.unwrap();
    inline(&contexts, &json!([url])).await.unwrap();
    assert_eq!(hits(&contexts, &url), 4);
    let stored = contexts.find_stored(&Tenant::default(), &url).unwrap();
    assert_eq!((stored.url.as_str(), stored.uses.unwrap().hits), (url.as_str(), 5));
    assert!(stored.uses.unwrap().last.unwrap() >= stored.created_at);
    assert!(stored.expires_at.unwrap() > stored.created_at);
    assert_eq!(contexts.find_stored(&Tenant::default(), &stored.id).unwrap().url, url);
    assert_eq!(downloaded(&contexts, &Tenant::default()), [(url.clone(), 7)]);
    // The parts of a context are used with it.
    let both = json!([url, {"b": "https://e.example/b"}]);
    for _ in 0..2 {
        inline(&contexts, &both).await.unwrap();
    }
    assert_eq!(hits(&contexts, &url), 9);
    assert!(contexts.find_stored(&Tenant::default(), "https://e.example/other").is_none());
    assert_eq!(origin.requests("/a"), 1);
}

#[tokio::test]
async fn no_tenant_sees_changes_or_removes_what_another_one_uses() {
    let origin = Origin::start().await;
    origin.put("/a", &json!({"a": "https://e.example/1"}));
    let (contexts, url) = (contexts(), origin.url("/a"));
    let (first, second) = (tenant("first"), tenant("second"));
    let reference = ContextReference::Link(&url);
    contexts.resolve(&first, reference).await.unwrap();
    assert_eq!(downloaded(&contexts, &first), [(url.clone(), 1)]);
    assert_eq!(downloaded(&contexts, &second), []);
    assert_eq!(contexts.find_stored(&second, &url), None);
    let id = contexts.find_stored(&first, &url).unwrap().id;
    assert_eq!(contexts.find_stored(&second, &id), None);
    assert!(contexts.cached(&second, reference).is_none());
    assert!(!contexts.forget(&second, &url));
    // What the second one uses is its own, down to the request that had it downloaded.
    contexts.resolve(&second, reference).await.unwrap();
    assert_eq!(origin.requests("/a"), 2);
    origin.put("/a", &json!({"a": "https://e.example/2"}));
    contexts.reload(&second, &url).await.unwrap();
    let meaning = async |tenant: &Tenant| {
        contexts.resolve(tenant, reference).await.unwrap().expand("a").into_owned()
    };
    assert_eq!(meaning(&first).await, "https://e.example/1");
    assert_eq!(meaning(&second).await, "https://e.example/2");
    assert!(contexts.forget(&second, &url));
    assert!(contexts.cached(&first, reference).is_some());
    assert!(contexts.find_stored(&second, &url).is_none());
}

#[tokio::test]
async fn what_is_forgotten_is_downloaded_again() {
    let origin = Origin::start().await;
    origin.put("/part", &json!({"a": "https://e.example/1"}));
    origin.put("/whole", &json!(["part"]));
    let (contexts, url) = (contexts(), origin.url("/whole"));
    assert_eq!(link(&contexts, &url).await.unwrap().expand("a"), "https://e.example/1");
    origin.put("/part", &json!({"a": "https://e.example/2"}));
    assert!(contexts.forget(&Tenant::default(), &origin.url("/part")));
    assert!(!contexts.forget(&Tenant::default(), &origin.url("/part")));
    assert_eq!(link(&contexts, &url).await.unwrap().expand("a"), "https://e.example/2");
    assert_eq!((origin.requests("/part"), origin.requests("/whole")), (2, 1));
    assert!(contexts.forget(&Tenant::default(), &url));
    drop(origin);
    assert!(link(&contexts, &url).await.is_err());
}

#[tokio::test]
async fn a_reload_that_fails_changes_nothing() {
    let origin = Origin::start().await;
    origin.put("/a", &json!({"a": "https://e.example/1"}));
    let (contexts, url) = (contexts(), origin.url("/a"));
    link(&contexts, &url).await.unwrap();
    let page = |status, body: &str| Page { status, body: body.to_owned(), headers: Vec::new() };
    for broken in [
        page(500, ""),
        page(302, ""),
        page(200, "<html></html>"),
        page(200, "{\"note\": 1}"),
        page(200, "{\"@context\": 7}"),
        page(200, "{\"@context\": {\"a\": 7}}"),
        page(200, "{\"@context\": [\"http://127.0.0.1:9/missing\"]}"),
    ] {
        origin.put_page("/a", broken.clone());
        let refused = contexts.reload(&Tenant::default(), &url).await;
        assert!(
            matches!(refused, Err(ContextError::NotAvailable { .. })),
            "{}: {refused:?}",
            broken.body
        );
        assert_eq!(link(&contexts, &url).await.unwrap().expand("a"), "https://e.example/1");
    }
    let before = contexts.find_stored(&Tenant::default(), &url).unwrap();
    origin.put("/a", &json!({"a": "https://e.example/2"}));
    contexts.reload(&Tenant::default(), &url).await.unwrap();
    assert_eq!(link(&contexts, &url).await.unwrap().expand("a"), "https://e.example/2");
    let after = contexts.find_stored(&Tenant::default(), &url).unwrap();
    assert!(after.created_at > before.created_at);
    assert_eq!(after.uses.unwrap().hits, before.uses.unwrap().hits + 2);
}

#[tokio::test]
async fn core_pinned_and_built_in_contexts_are_there_for_everybody() {
    let built_in = vec![("https://e.example/own".to_owned(), "{\"@context\": {}}".to_owned())];
    let contexts = Contexts::new(ContextsOptions { built_in, ..options() }).unwrap();
    let stored = contexts.stored(&tenant("anybody"));
    let urls: Vec<&str> = stored.iter().map(|stored| stored.url.as_str()).collect();
    assert_eq!(urls.len(), 8, "{urls:?}");
    assert!(urls.contains(&CORE_CONTEXT_URL) && urls.contains(&"https://e.example/own"));
    for stored in &stored {
        let expected =
            if stored.url.contains("etsi") { stored::Origin::Core } else { stored::Origin::Fixed };
        assert_eq!(stored.origin, expected, "{}", stored.url);
        for name in [&stored.url, &stored.id] {
            assert_eq!(contexts.find_stored(&Tenant::default(), name).as_ref(), Some(stored));
        }
    }
    assert!(!contexts.forget(&Tenant::default(), CORE_CONTEXT_URL));
}

#[tokio::test]
async fn what_is_compiled_while_its_document_is_replaced_is_not_kept() {
    let origin = Origin::start().await;
    origin.put("/a", &json!({"a": "https://e.example/1"}));
    let (contexts, url) = (contexts(), origin.url("/a"));
    let reference = ContextReference::Link(&url);
    let tenant = Tenant::default();
    let mut resolving = Box::pin(contexts.resolve(&tenant, reference));
    // As far as the request, so that it has seen the state before.
    assert!(futures_poll(resolving.as_mut()).is_none());
    contexts.recompile(&tenant);
    resolving.await.unwrap();
    assert!(contexts.cached(&tenant, reference).is_none());
    contexts.resolve(&tenant, reference).await.unwrap();
    assert!(contexts.cached(&tenant, reference).is_some());
}

/// Polls once.
fn futures_poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}
