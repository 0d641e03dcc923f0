//! Updates: members one by one (CIM 009, clauses 5.5.8 and 5.8.2.4). What an update does to the
//! status is tested over the API, row by row of the table in docs/subscriptions.md.

use super::*;

fn with(members: &Value) -> Subscription {
    let mut body = json!({"entities": [{"type": "A"}]});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    subscription(&body)
}

fn shown_now(subscription: &Subscription) -> Value {
    shown(subscription, &DeliveryStatus::default(), SubscriptionView::default())
}

#[test]
fn every_optional_member_can_be_given_and_taken_away_later() {
    let bare = with(&json!({}));
    let cases = [
        ("subscriptionName", json!("a")),
        ("description", json!("b")),
        ("watchedAttributes", json!(["name"])),
        ("notificationTrigger", json!(["entityDeleted"])),
        ("timeInterval", json!(10)),
        ("throttling", json!(1.5)),
        ("silentFor", json!("PT5M")),
        ("q", json!("a==1")),
        (
            "geoQ",
            json!({"georel": "within", "geometry": "Polygon", "coordinates": [[[0,0],[1,0],[1,1],[0,0]]]}),
        ),
        ("scopeQ", json!("/a")),
        ("expandValues", json!("a")),
        ("jsonKeys", json!("a")),
        ("datasetId", json!(["urn:d:1"])),
        ("lang", json!("ja")),
        ("ngsildConformance", json!("1.3")),
        ("isActive", json!(true)),
        ("expiresAt", json!("2099-01-01T00:00:00Z")),
        ("localOnly", json!(true)),
        ("splitEntities", json!(false)),
    ];
    for (name, value) in cases {
        let given = patched(&bare, &json!({name: value})).unwrap();
        assert_eq!(shown_now(&given)[name], value, "{name}");
        for nothing in [Value::Null, json!("urn:ngsi-ld:null")] {
            let mut taken = patched(&given, &json!({name: nothing})).unwrap();
            // What stays is the moment, and the context of who changed it.
            taken.modified_at = bare.modified_at;
            assert_eq!(shown_now(&taken), shown_now(&bare), "{name}");
        }
    }
}

#[test]
fn what_answers_alone_have_is_ignored_in_an_update() {
    let bare = with(&json!({}));
    let body = json!({"status": "expired", "createdAt": null, "modifiedAt": "x", "@context": []});
    let after = patched(&bare, &body).unwrap();
    assert_eq!(after.status(time(5)), Status::Active);
    assert_eq!((after.created_at(), after.modified_at()), (time(0), time(5)));
}

#[test]
fn an_update_may_make_it_periodic_and_back() {
    let watching = with(&json!({"watchedAttributes": ["a"], "throttling": 1}));
    let body = json!({"timeInterval": 5, "watchedAttributes": null, "throttling": null});
    let periodic = patched(&watching, &body).unwrap();
    assert!(!periodic.wants_changes());
    assert!(patched(&periodic, &json!({"throttling": 1})).is_err());
    assert!(patched(&periodic, &json!({"timeInterval": null})).unwrap().wants_changes());
}

#[test]
fn how_a_query_is_read_changes_with_the_query() {
    let queried = with(&json!({"q": "a==\"Point\"", "expandValues": "a"}));
    let refused = |body: Value, at: &str| {
        assert_eq!(patched(&queried, &body).unwrap_err().at(), at, "{body}");
    };
    refused(json!({"expandValues": "b"}), "/expandValues");
    refused(json!({"expandValues": null}), "/expandValues");
    refused(json!({"jsonKeys": "b"}), "/jsonKeys");
    assert!(patched(&queried, &json!({"expandValues": "a"})).is_ok());
    assert!(patched(&queried, &json!({"expandValues": null, "q": null})).is_ok());
    // The query is read as the members beside it say, those that it had among them.
    let meaning = |body: &Value| patched(&queried, body).unwrap().query.unwrap().meaning;
    let kept = meaning(&json!({"q": "a==\"Point\""}));
    assert_eq!(kept, queried.query.as_ref().unwrap().meaning);
    assert_ne!(meaning(&json!({"q": "a==\"Point\"", "expandValues": null})), kept);
}

#[test]
fn the_initial_notification_is_of_the_creation() {
    let with_one = with(&json!({"initialNotification": true}));
    assert!(patched(&with_one, &json!({"initialNotification": true})).is_ok());
    let error = patched(&with_one, &json!({"initialNotification": false})).unwrap_err();
    assert_eq!(error.at(), "/initialNotification");
    let removed = patched(&with_one, &json!({"initialNotification": null})).unwrap();
    assert!(!removed.initial_notification());
    let error = patched(&removed, &json!({"initialNotification": true})).unwrap_err();
    assert_eq!(error.at(), "/initialNotification");
}

#[test]
fn a_masked_secret_does_not_replace_the_secret() {
    let info = |secret: &str| {
        let pair = json!({"key": "Webhook-Secret", "value": secret});
        json!({"notification": {"endpoint": {"uri": "http://h/", "notifierInfo": [pair]}}})
    };
    let signed = with(&info("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    let given_back = json!({"notification": shown_now(&signed)["notification"]});
    let error = patched(&signed, &given_back).unwrap_err();
    assert_eq!(error.at(), "/notification/endpoint/notifierInfo/0/value");
    let after = patched(&signed, &json!({"isActive": false})).unwrap();
    assert_eq!(after.notification.endpoint.webhook_secrets().len(), 1);
}
