//! Purges by query.

use serde_json::json;

use crate::support::{Api, ENTITIES};

async fn api() -> Api {
    let api = Api::new();
    for (number, kind) in [(1, "Dock"), (2, "Dock"), (3, "Shelter")] {
        api.create(&json!({
            "id": format!("urn:a:{number}"),
            "type": kind,
            "scope": "/Noto",
            "number": { "type": "Property", "value": number },
            "open": { "type": "Property", "value": true },
            "near": { "type": "Relationship", "object": "urn:a:1" },
        }))
        .await;
    }
    api
}

/// The entities that are left.
async fn left(api: &Api) -> Vec<String> {
    let all = api.get(&format!("{ENTITIES}?local=true")).await.value();
    let ids = all.as_array().unwrap().iter().map(|entity| entity["id"].as_str().unwrap());
    ids.map(|id| id.replace("urn:a:", "")).collect()
}

#[tokio::test]
async fn the_entities_that_the_query_describes_are_deleted() {
    for (query, expected) in [
        ("type=Dock", &["3"][..]),
        ("type=*", &[]),
        ("local=true", &[]),
        ("q=number%3E1", &["1"]),
        ("type=Dock&id=urn:a:2,urn:a:3", &["1", "3"]),
        ("type=Dock&idPattern=2$", &["1", "3"]),
        ("attrs=unknown", &["1", "2", "3"]),
        ("attrs=number,unknown&q=number==3", &["1", "2"]),
        ("type=Dock&scopeQ=/Kaga", &["1", "2", "3"]),
        ("type=Nothing", &["1", "2", "3"]),
        ("type=Dock&csf=name==%22x%22", &["3"]),
    ] {
        let api = api().await;
        let answer = api.delete(&format!("{ENTITIES}?{query}")).await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{query}");
        assert_eq!(left(&api).await, expected, "{query}");
    }
}

#[tokio::test]
async fn members_are_dropped_or_kept() {
    for (query, expected) in [
        ("type=Dock&drop=number,near", &["id", "open", "scope", "type"][..]),
        ("type=Dock&drop=scope", &["id", "near", "number", "open", "type"]),
        ("type=Dock&keep=number", &["id", "number", "type"]),
        ("type=Dock&keep=id,scope", &["id", "scope", "type"]),
    ] {
        let api = api().await;
        assert_eq!(api.delete(&format!("{ENTITIES}?{query}")).await.status, 204, "{query}");
        let entity = api.entity("urn:a:1").await;
        let mut members: Vec<_> = entity.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, expected, "{query}");
        assert_eq!(api.entity("urn:a:3").await.as_object().unwrap().len(), 6);
    }
}

#[tokio::test]
async fn a_purge_that_is_too_wide_or_looks_too_far_is_refused_and_deletes_nothing() {
    let api = api().await;
    for query in [
        "",
        "id=urn:a:1",
        "idPattern=.*",
        "scopeQ=/Noto",
        "attrs=createdAt",
        "q=modifiedAt%3E2020-01-01T00:00:00Z",
        "type=*&local=false",
        "keep=number",
        "type=Dock&keep=number&drop=open",
        "type=Dock&q=near%7Bnumber%7D==1",
        "type=Dock&attrs=near%7Bnumber%7D",
        "type=Dock&drop=near%7Bnumber%7D",
        "type=Dock&drop=id",
        "type=Dock&drop=type",
        "type=Dock&keep=createdAt",
        "type=Dock&drop=",
        "type=Dock&id=nothing",
        "type=Dock&q=%3D%3D",
        "type=Dock&csf=%3D%3D",
        "type=Dock&georel=near",
    ] {
        let answer = api.delete(&format!("{ENTITIES}?{query}")).await;
        answer.is_problem(400, "BadRequestData");
        assert_eq!(left(&api).await.len(), 3, "{query}");
        assert_eq!(api.entity("urn:a:1").await.as_object().unwrap().len(), 6, "{query}");
    }
    let answer = api.delete(&format!("{ENTITIES}?type=Dock&limit=1")).await;
    answer.is_problem(400, "InvalidRequest");
}
