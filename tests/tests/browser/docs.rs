//! The documentation that the broker serves.

use musubi_tests::{Http, Musubi};
use serde_json::json;

use crate::driver::Browser;

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
