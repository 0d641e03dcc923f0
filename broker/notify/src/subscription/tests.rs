use musubi_context::Context;
use musubi_model::{Limits, Node};
use serde_json::{Value, json};

use super::*;
use crate::DeliveryStatus;
use crate::testing::{read, subscription, time};

mod endpoint;
mod members;
mod updates;

fn full() -> Value {
    json!({
        "id": "urn:ngsi-ld:Subscription:full",
        "type": "Subscription",
        "subscriptionName": "open shelters",
        "description": "for the map",
        "entities": [
            {"type": "Shelter"},
            {"type": "(Shelter;Building),Park", "idPattern": "^urn:.*:2"},
            {"type": "*", "id": ["urn:a:1", "urn:a:2"]},
        ],
        "watchedAttributes": ["status", "https://example.org/occupancy"],
        "notificationTrigger": ["entityCreated", "attributeUpdated"],
        "throttling": 2.5,
        "q": "status==\"open\"",
        "geoQ": {"georel": "near;maxDistance==2000", "geometry": "Point", "coordinates": [136.97, 37.04]},
        "scopeQ": "/Nanao/#",
        "isActive": true,
        "expiresAt": "2099-01-01T00:00:00Z",
        "notification": {
            "attributes": ["status"],
            "format": "keyValues",
            "sysAttrs": true,
            "endpoint": {
                "uri": "https://example.org/hook?x=1",
                "accept": "application/ld+json",
                "timeout": 1500,
                "cooldown": 2000,
                "receiverInfo": [{"key": "Authorization", "value": "Bearer abc"}],
                "notifierInfo": [{"key": "Prefer", "value": "body=json"}],
            },
        },
    })
}

fn shown(subscription: &Subscription, status: &DeliveryStatus, view: SubscriptionView) -> Value {
    let mut out = Vec::new();
    subscription.render(&mut out, &Context::core(), status, time(10), view);
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn a_subscription_is_shown_as_it_was_given_with_its_status() {
    let subscription = read(&full()).unwrap();
    let mut expected = full();
    expected["status"] = json!("active");
    expected["jsonldContext"] = json!(musubi_context::CORE_CONTEXT_URL);
    let view = SubscriptionView::default();
    assert_eq!(shown(&subscription, &DeliveryStatus::default(), view), expected);

    let mut status = DeliveryStatus::default();
    status.failed(time(3));
    expected["createdAt"] = json!(time(0).to_string());
    expected["modifiedAt"] = json!(time(0).to_string());
    expected["@context"] = json!(musubi_context::CORE_CONTEXT_URL);
    for (name, value) in [
        ("status", json!("failed")),
        ("timesSent", json!(1)),
        ("timesFailed", json!(1)),
        ("lastNotification", json!(time(3).to_string())),
        ("lastFailure", json!(time(3).to_string())),
    ] {
        expected["notification"][name] = value;
    }
    let view = SubscriptionView { system_attributes: true, context_member: true };
    assert_eq!(shown(&subscription, &status, view), expected);
}

#[test]
fn a_subscription_survives_its_record() {
    let subscription = read(&full()).unwrap();
    let kept = Subscription::from_bytes(&subscription.to_bytes()).unwrap();
    let view = SubscriptionView { system_attributes: true, context_member: true };
    let status = DeliveryStatus::default();
    assert_eq!(shown(&kept, &status, view), shown(&subscription, &status, view));
    assert_eq!(kept.to_bytes(), subscription.to_bytes());
    assert!(Subscription::from_bytes(b"{}").is_err());
}

#[test]
fn a_record_of_an_earlier_version_is_still_read() {
    let kept = Subscription::from_bytes(include_bytes!("tests/earlier_record.json")).unwrap();
    let view = SubscriptionView { system_attributes: true, context_member: true };
    let status = DeliveryStatus::default();
    assert_eq!(shown(&kept, &status, view), shown(&read(&full()).unwrap(), &status, view));
}

#[test]
fn what_may_be_secret_is_not_in_the_debug_form() {
    let text = format!("{:?}", read(&full()).unwrap());
    assert!(text.contains("Authorization") && text.contains("example.org"), "{text}");
    assert!(!text.contains("Bearer") && !text.contains("hook"), "{text}");
}

#[test]
fn what_only_answers_have_is_ignored_and_what_is_not_given_gets_its_default() {
    let mut body = json!({
        "type": "Subscription",
        "entities": [{"type": "Shelter"}],
        "notification": {"endpoint": {"uri": "http://localhost:1/"}, "timesSent": 5, "status": "ok"},
        "status": "paused",
        "colour": "blue",
        "createdAt": "2020-01-01T00:00:00Z",
        "modifiedAt": "2020-01-01T00:00:00Z",
    });
    let subscription = read(&body).unwrap();
    assert_eq!(subscription.id().as_str(), "urn:ngsi-ld:Subscription:fresh");
    assert_eq!(subscription.created_at(), time(0));
    let shown = shown(&subscription, &DeliveryStatus::default(), SubscriptionView::default());
    assert_eq!((&shown["status"], shown.get("colour")), (&json!("active"), None));
    assert_eq!(shown["notificationTrigger"], json!(["attributeCreated", "attributeUpdated"]));
    assert_eq!(shown["notification"], json!({"endpoint": {"uri": "http://localhost:1/"}}));
    body["isActive"] = json!(false);
    assert_eq!(read(&body).unwrap().status(time(0)), Status::Paused);
}

/// Reads the full body with one value changed, and says where it was found wrong.
fn wrong(pointer: &str, value: Value) -> (String, Problem) {
    let mut body = full();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap();
    match parent.as_array_mut() {
        Some(items) => items[name.parse::<usize>().unwrap()] = value,
        None => parent[name] = value,
    }
    match read(&body) {
        Ok(_) => panic!("{pointer} was accepted: {body}"),
        Err(error) => (error.at().to_owned(), error.problem()),
    }
}

#[test]
fn what_is_forbidden_is_refused_and_named() {
    let endpoint = "/notification/endpoint";
    let cases = [
        ("/id", json!("no uri"), "/id"),
        ("/id", json!(""), "/id"),
        ("/type", json!("Entity"), "/type"),
        ("/description", json!(5), "/description"),
        ("/entities", json!([]), "/entities"),
        ("/entities", json!({}), "/entities"),
        ("/entities/0", json!({"id": "urn:a:1"}), "/entities/0/type"),
        ("/entities/0/type", json!("A;B"), "/entities/0/type"),
        ("/entities/0/id", json!("a"), "/entities/0/id"),
        ("/entities/2/id", json!(["urn:a:1", "a"]), "/entities/2/id/1"),
        ("/entities/1/idPattern", json!("("), "/entities/1/idPattern"),
        ("/entities/0/colour", json!(1), "/entities/0/colour"),
        ("/watchedAttributes", json!([]), "/watchedAttributes"),
        ("/watchedAttributes", json!(["id"]), "/watchedAttributes/0"),
        ("/watchedAttributes", json!("status"), "/watchedAttributes"),
        ("/notificationTrigger", json!(["entityChanged"]), "/notificationTrigger/0"),
        ("/throttling", json!(0), "/throttling"),
        ("/throttling", json!(-5), "/throttling"),
        ("/throttling", json!("5"), "/throttling"),
        ("/q", json!("status=="), "/q"),
        ("/q", Value::Null, "/q"),
        ("/q", json!("urn:ngsi-ld:null"), "/q"),
        ("/geoQ/georel", json!("beside"), "/geoQ"),
        ("/geoQ/geometry", Value::Null, "/geoQ/geometry"),
        ("/geoQ", json!({"georel": "within"}), "/geoQ/geometry"),
        ("/scopeQ", json!(""), "/scopeQ"),
        ("/isActive", json!("yes"), "/isActive"),
        ("/expiresAt", json!("2020-01-01T00:00:00Z"), "/expiresAt"),
        ("/expiresAt", json!("tomorrow"), "/expiresAt"),
        ("/notification", json!({}), "/notification/endpoint"),
        ("/notification/format", json!("xml"), "/notification/format"),
        ("/notification/attributes", json!([]), "/notification/attributes"),
        ("/notification/colour", json!(1), "/notification/colour"),
        ("/notification/endpoint/uri", Value::Null, "/notification/endpoint/uri"),
        ("/notification/endpoint/uri", json!("no uri"), "/notification/endpoint/uri"),
        ("/notification/endpoint", json!({}), "/notification/endpoint/uri"),
        ("/notification/endpoint/accept", json!("text/html"), "/notification/endpoint/accept"),
        ("/notification/endpoint/timeout", json!(0), "/notification/endpoint/timeout"),
        ("/jsonldContext", json!("https://example.org/unfetched"), "/jsonldContext"),
        ("/jsonldContext", json!(7), "/jsonldContext"),
        ("/watchedAttribute", json!(["a"]), "/watchedAttribute"),
        ("/@id", json!("urn:a:1"), "/@id"),
        ("/csf", json!("(("), "/csf"),
    ];
    for (pointer, value, at) in cases {
        let case = format!("{pointer} {value}");
        assert_eq!(wrong(pointer, value), (at.to_owned(), Problem::Forbidden), "{case}");
    }
    let headers = [
        (json!({"key": "X Y", "value": "1"}), "key"),
        (json!({"key": "X-A\r\nHost", "value": "1"}), "key"),
        (json!({"key": "Content-Length", "value": "1"}), "key"),
        (json!({"key": "X-A", "value": "1\r\nX-B: 2"}), "value"),
        (json!({"key": "X-A", "value": "\u{0}"}), "value"),
        (json!({"key": "X-A", "value": 42}), "value"),
        (json!({"key": "X-A"}), "value"),
        (json!({"key": 5, "value": "v"}), "key"),
    ];
    for (pair, member) in headers {
        let (at, problem) = wrong(&format!("{endpoint}/receiverInfo/0"), pair);
        assert_eq!(at, format!("{endpoint}/receiverInfo/0/{member}"));
        assert_eq!(problem, Problem::Forbidden);
    }
}

#[test]
fn what_is_not_supported_is_refused_as_such() {
    let cases = [
        ("/csf", json!("x==1")),
        ("/temporalQ", json!({})),
        ("/splitEntities", json!(true)),
        ("/notification/endpoint/uri", json!("ftp://localhost/a")),
        ("/notification/endpoint/uri", json!("musubi:other")),
    ];
    for (pointer, value) in cases {
        assert_eq!(wrong(pointer, value), (pointer.to_owned(), Problem::Unsupported));
    }
}

#[test]
fn something_has_to_be_subscribed_to() {
    let body = |members: Value| {
        let mut body = json!({
            "type": "Subscription",
            "notification": {"endpoint": {"uri": "http://localhost:1/"}},
        });
        for (name, value) in members.as_object().unwrap() {
            body[name] = value.clone();
        }
        read(&body).map(|_| ()).map_err(|error| error.at().to_owned())
    };
    assert_eq!(body(json!({})), Err("/entities".to_owned()));
    assert_eq!(body(json!({"watchedAttributes": ["a"]})), Ok(()));
    assert_eq!(body(json!({"entities": [{"type": "A"}]})), Ok(()));
    assert_eq!(body(json!({"localOnly": true})), Ok(()));
    assert_eq!(read(&json!({})).unwrap_err().at(), "/type");
    assert_eq!(read(&json!([])).unwrap_err().at(), "/");
    let error = read(&json!({"type": "Subscription", "entities": [{"type": "A"}]})).unwrap_err();
    assert_eq!(error.at(), "/notification");
}

fn patched(subscription: &Subscription, body: &Value) -> Result<Subscription, InvalidSubscription> {
    let text = body.to_string();
    let body = Node::parse(&text, Limits::default()).unwrap();
    subscription.patch(&body, &Context::core(), time(5))
}

#[test]
fn a_patch_replaces_members_whole_and_takes_away_what_is_null() {
    let subscription = read(&full()).unwrap();
    let body = json!({
        "type": "Subscription",
        "id": "urn:ngsi-ld:Subscription:full",
        "isActive": false,
        "description": "urn:ngsi-ld:null",
        "q": null,
        "notification": {"endpoint": {"uri": "http://localhost:2/"}},
    });
    let after = patched(&subscription, &body).unwrap();
    let mut expected = full();
    for name in ["description", "q"] {
        expected.as_object_mut().unwrap().remove(name);
    }
    expected["isActive"] = json!(false);
    expected["status"] = json!("paused");
    expected["notification"] = json!({"endpoint": {"uri": "http://localhost:2/"}});
    expected["jsonldContext"] = json!(musubi_context::CORE_CONTEXT_URL);
    let view = SubscriptionView::default();
    assert_eq!(shown(&after, &DeliveryStatus::default(), view), expected);
    assert_eq!(after.created_at(), time(0));
    assert_eq!(after.modified_at(), time(5));
}

#[test]
fn a_patch_cannot_break_a_subscription() {
    let subscription = read(&full()).unwrap();
    let check = |body: Value, at: &str| {
        assert_eq!(patched(&subscription, &body).unwrap_err().at(), at, "{body}");
    };
    check(json!({"id": "urn:ngsi-ld:Subscription:other"}), "/id");
    check(json!({"type": "Entity"}), "/type");
    check(json!({"type": null}), "/type");
    check(json!({"notification": null}), "/notification");
    check(json!({"notification": {"format": "keyValues"}}), "/notification/endpoint");
    check(json!({"notification": {"endpoint": null}}), "/notification/endpoint");
    check(json!({"entities": null, "watchedAttributes": null}), "/entities");
    check(json!({"expiresAt": "2020-08-01T22:07:00Z"}), "/expiresAt");
    check(json!({"Throttling": null}), "/Throttling");
    check(json!({"timeInterval": 5}), "/watchedAttributes");
    check(json!({"csf": "x==1"}), "/csf");
    check(json!({"jsonldContext": null}), "/jsonldContext");
    check(json!({"id": null}), "/id");
}

#[test]
fn the_names_of_a_subscription_are_shown_in_the_readers_context() {
    let document = ContextSource {
        url: Some("https://example.org/context.jsonld".to_owned()),
        member: "\"https://example.org/context.jsonld\"".to_owned(),
        document:
            json!({"Shelter": "https://example.org/Shelter", "open": "https://example.org/open"})
                .to_string(),
    };
    let context = Context::from_source(&document).unwrap();
    let body = json!({
        "type": "Subscription",
        "entities": [{"type": "Shelter"}],
        "watchedAttributes": ["open"],
        "notification": {"endpoint": {"uri": "http://localhost:1/"}},
    })
    .to_string();
    let body = Node::parse(&body, Limits::default()).unwrap();
    let fresh = SubscriptionId::generate();
    let subscription = Subscription::parse(&body, &context, fresh, time(0)).unwrap();
    let expanded = shown(&subscription, &DeliveryStatus::default(), SubscriptionView::default());
    assert_eq!(expanded["entities"][0]["type"], "https://example.org/Shelter");
    assert_eq!(expanded["watchedAttributes"][0], "https://example.org/open");
    assert_eq!(expanded["jsonldContext"], "https://example.org/context.jsonld");
    let mut out = Vec::new();
    let (status, view) = (DeliveryStatus::default(), SubscriptionView::default());
    subscription.render(&mut out, &context, &status, time(0), view);
    let short: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(short["entities"][0]["type"], "Shelter");
    assert_eq!(short["watchedAttributes"][0], "open");
}
