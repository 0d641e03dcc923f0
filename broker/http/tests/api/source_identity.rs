//! Who the broker is.

use std::sync::Arc;

use musubi_http::{HttpOptions, router};
use musubi_store::{ReferenceStore, Store};

use crate::support::{Api, LD_JSON, broker};

const PATH: &str = "/ngsi-ld/v1/info/sourceIdentity";

fn api(store: &Arc<dyn Store>) -> Api {
    let router = router(broker(store.clone(), None), HttpOptions::default());
    Api { router, store: store.clone() }
}

#[tokio::test]
async fn the_identity_is_told_as_the_clause_has_it() {
    let api = Api::new();
    let answer = api.get(PATH).await;
    assert_eq!(answer.status, 200);
    let identity = answer.value();
    assert_eq!(identity["type"], "ContextSourceIdentity");
    assert!(identity["id"].as_str().unwrap().starts_with("urn:uuid:"));
    assert_eq!(identity["contextSourceUptime"], "PT0S");
    let time = identity["contextSourceTimeAt"].as_str().unwrap();
    assert!(time.parse::<musubi_model::Timestamp>().is_ok(), "{time}");
    assert!(answer.header("link").contains("ngsi-ld-core-context"));
    let answer = api.get_with(PATH, &[("accept", LD_JSON)]).await;
    assert!(answer.value().get("@context").is_some());
    api.get_with(PATH, &[("accept", "text/html")]).await.is_problem(406, "InvalidRequest");
}

#[tokio::test]
async fn an_alias_is_of_one_tenant_of_one_broker_and_stays() {
    let store: Arc<dyn Store> = Arc::new(ReferenceStore::new());
    let alias = async |api: &Api, tenant: Option<&str>| {
        let headers: Vec<_> = tenant.map(|tenant| ("ngsild-tenant", tenant)).into_iter().collect();
        let identity = api.get_with(PATH, &headers).await.value();
        let alias = identity["contextSourceAlias"].as_str().unwrap().to_owned();
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        assert!(alias.bytes().all(token), "{alias}");
        alias
    };
    let first = api(&store);
    let mut aliases = Vec::new();
    for tenant in [None, Some("nanao"), Some("wajima")] {
        aliases.push(alias(&first, tenant).await);
    }
    aliases.push(alias(&Api::new(), None).await);
    // The process ends and begins again.
    let second = api(&store);
    assert_eq!(alias(&second, None).await, aliases[0]);
    assert_eq!(alias(&second, Some("nanao")).await, aliases[1]);
    aliases.sort_unstable();
    aliases.dedup();
    assert_eq!(aliases.len(), 4);
}
