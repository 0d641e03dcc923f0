//! The members of a subscription: what they do, and what they exclude.

use std::time::Duration;

use super::*;

/// A subscription to shelters with these members beside.
fn with(members: &Value) -> Result<Subscription, InvalidSubscription> {
    let mut body = json!({
        "type": "Subscription",
        "entities": [{"type": "Shelter"}],
        "notification": {"endpoint": {"uri": "http://localhost:1/"}},
    });
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    read(&body)
}

/// As above, with these members of the notification beside the endpoint.
fn with_notification(members: &Value) -> Result<Subscription, InvalidSubscription> {
    let mut notification = json!({"endpoint": {"uri": "http://localhost:1/"}});
    for (name, value) in members.as_object().unwrap() {
        notification[name] = value.clone();
    }
    with(&json!({"notification": notification}))
}

fn refused(members: &Value, at: &str) {
    let error = with(members).map(|_| ()).unwrap_err();
    assert_eq!((error.at(), error.problem()), (at, Problem::Forbidden), "{members}: {error}");
}

fn refused_notification(members: &Value, at: &str) {
    let error = with_notification(members).map(|_| ()).unwrap_err();
    assert_eq!((error.at(), error.problem()), (at, Problem::Forbidden), "{members}: {error}");
}

/// What was said has to be shown, and to survive the record.
fn is_kept(subscription: &Subscription, members: &Value) {
    let kept = Subscription::from_bytes(&subscription.to_bytes()).unwrap();
    let shown = shown(&kept, &DeliveryStatus::default(), SubscriptionView::default());
    for (name, value) in members.as_object().unwrap() {
        assert_eq!(&shown[name], value, "{name}");
    }
}

#[test]
fn every_member_is_kept_and_shown() {
    let members = json!({
        "entities": [{"type": "Shelter"}],
        "throttling": 0.5,
        "q": "status==\"open\"",
        "expandValues": "category,status",
        "jsonKeys": "address",
        "datasetId": ["@none", "urn:d:1,2"],
        "lang": "ja,en;q=0.5",
        "ngsildConformance": "1.6",
        "initialNotification": true,
        "localOnly": true,
        "splitEntities": false,
        "notification": {
            "pick": ["id", "type", "name", "locatedIn{name,population}"],
            "omit": ["type2", "locatedIn{secret}"],
            "format": "concise",
            "showChanges": true,
            "sysAttrs": false,
            "join": "inline",
            "joinLevel": 3,
            "endpoint": {"uri": "https://example.org/", "accept": "application/geo+json"},
        },
    });
    let subscription = with(&members).unwrap();
    is_kept(&subscription, &members);
    assert!(subscription.wants_changes() && subscription.initial_notification());
    assert!(subscription.shows_changes() && subscription.join().is_some());
    assert!(subscription.datasets().is_some() && subscription.languages().is_some());
    assert_eq!(subscription.conformance(), Some(Version::one_dot(6)));
    assert!(!subscription.projection().is_whole());
}

#[test]
fn what_is_not_said_has_no_effect() {
    let subscription = with(&json!({})).unwrap();
    assert!(subscription.wants_changes() && !subscription.initial_notification());
    assert!(!subscription.shows_changes() && subscription.join().is_none());
    assert!(subscription.datasets().is_none() && subscription.languages().is_none());
    assert!(subscription.conformance().is_none() && subscription.projection().is_whole());
    assert_eq!((subscription.time_interval(), subscription.silent_for()), (None, None));
    assert_eq!(subscription.max_changes(), 100);
    let none = with_notification(&json!({"join": "@none", "showChanges": false})).unwrap();
    assert!(none.join().is_none() && !none.shows_changes());
}

#[test]
fn a_periodic_subscription_watches_for_no_change() {
    let subscription = with(&json!({"timeInterval": 2.5})).unwrap();
    assert_eq!(subscription.time_interval(), Some(Duration::from_millis(2500)));
    assert!(!subscription.wants_changes());
    is_kept(&subscription, &json!({"timeInterval": 2.5, "notificationTrigger": null}));
    let huge = with(&json!({"timeInterval": 1e300})).unwrap();
    assert_eq!(huge.time_interval(), Some(Duration::MAX));
    refused(&json!({"timeInterval": 0}), "/timeInterval");
    refused(&json!({"timeInterval": "5"}), "/timeInterval");
    refused(&json!({"timeInterval": 5, "watchedAttributes": ["a"]}), "/watchedAttributes");
    refused(&json!({"timeInterval": 5, "throttling": 5}), "/throttling");
    let triggers = json!(["entityCreated"]);
    refused(&json!({"timeInterval": 5, "notificationTrigger": triggers}), "/notificationTrigger");
    refused(&json!({"timeInterval": 5, "entities": null}), "/entities");
    let local = json!({"timeInterval": 5, "entities": null, "localOnly": true});
    assert!(with(&local).is_ok());
    let error = with(&json!({"timeInterval": 0.01})).map(|_| ()).unwrap_err();
    assert_eq!((error.at(), error.problem()), ("/timeInterval", Problem::Unsupported));
}

#[test]
fn silence_is_a_duration_of_a_second_to_a_year() {
    let length = |text: &str| with(&json!({"silentFor": text})).unwrap().silent_for().unwrap();
    assert_eq!(length("PT1S"), Duration::from_secs(1));
    assert_eq!(length("PT15M"), Duration::from_mins(15));
    assert_eq!(
        length("P1W2DT3H4.5S"),
        Duration::from_millis(((9 * 24 + 3) * 3600 + 4) * 1000 + 500)
    );
    assert_eq!(length("P366D"), Duration::from_hours(366 * 24));
    is_kept(&with(&json!({"silentFor": "PT15M"})).unwrap(), &json!({"silentFor": "PT15M"}));
    for text in [
        "",
        "P",
        "PT",
        "15 minutes",
        "-PT5M",
        "+PT5M",
        "PT0S",
        "PT0.5S",
        "P1M",
        "P1Y",
        "P367D",
        "P99999D",
    ] {
        refused(&json!({"silentFor": text}), "/silentFor");
    }
    refused(&json!({"silentFor": 900}), "/silentFor");
    refused(&json!({"silentFor": format!("P{}D", "9".repeat(500))}), "/silentFor");
}

#[test]
fn silence_goes_with_no_other_occasion() {
    let silent = |name: &str, value: Value| json!({"silentFor": "PT5M", name: value});
    assert!(with(&silent("watchedAttributes", json!(["a"]))).is_ok());
    refused(&silent("timeInterval", json!(5)), "/silentFor");
    refused(&silent("throttling", json!(5)), "/throttling");
    refused(&silent("notificationTrigger", json!(["entityDeleted"])), "/notificationTrigger");
    refused(&silent("initialNotification", json!(true)), "/initialNotification");
    assert!(with(&silent("initialNotification", json!(false))).is_ok());
    refused(&json!({"initialNotification": "yes"}), "/initialNotification");
}

#[test]
fn a_stream_shows_changes_alone() {
    let stream = |name: &str, value: Value| json!({"notification": {"endpoint": {"uri": "musubi:stream"}}, name: value});
    let subscription = with(&stream("throttling", json!(1))).unwrap();
    assert!(subscription.is_stream());
    assert!(!with(&json!({})).unwrap().is_stream());
    refused(&stream("timeInterval", json!(5)), "/timeInterval");
    refused(&stream("silentFor", json!("PT5M")), "/silentFor");
    refused(&stream("initialNotification", json!(true)), "/initialNotification");
}

#[test]
fn what_shows_entities_is_checked() {
    refused(&json!({"datasetId": []}), "/datasetId");
    refused(&json!({"datasetId": "urn:d:1"}), "/datasetId");
    refused(&json!({"datasetId": ["d"]}), "/datasetId");
    refused(&json!({"lang": ""}), "/lang");
    refused(&json!({"lang": "not a language"}), "/lang");
    refused(&json!({"ngsildConformance": "1"}), "/ngsildConformance");
    refused(&json!({"ngsildConformance": 1.6}), "/ngsildConformance");
    refused_notification(&json!({"pick": []}), "/notification/pick");
    refused_notification(&json!({"pick": ["a{"]}), "/notification");
    refused_notification(&json!({"omit": "a"}), "/notification/omit");
    refused_notification(&json!({"pick": ["id"], "omit": ["id"]}), "/notification");
    let both = json!({"pick": ["name"], "attributes": ["name"]});
    refused_notification(&both, "/notification/attributes");
    let both = json!({"omit": ["name"], "attributes": ["name"]});
    refused_notification(&both, "/notification/attributes");
    refused_notification(&json!({"attributes": ["id"]}), "/notification/attributes/0");
    refused_notification(&json!({"join": "deep"}), "/notification/join");
    for level in [json!(0), json!(-1), json!(1.5), json!(11), json!("1")] {
        let body = json!({"join": "flat", "joinLevel": level});
        refused_notification(&body, "/notification/joinLevel");
    }
    refused_notification(&json!({"joinLevel": 1}), "/notification/joinLevel");
    refused_notification(&json!({"join": "@none", "joinLevel": 1}), "/notification/joinLevel");
    for format in ["keyValues", "simplified"] {
        let body = json!({"format": format, "showChanges": true});
        refused_notification(&body, "/notification/showChanges");
    }
}

#[test]
fn expand_values_and_json_keys_reach_the_query() {
    let meaning = |members: &Value| with(members).unwrap().query.unwrap().meaning;
    let plain = meaning(&json!({"q": "status==\"Point\""}));
    // The members of a body have no order.
    let expanded = meaning(&json!({"q": "status==\"Point\"", "expandValues": "status"}));
    assert_ne!(plain, expanded);
    let text = format!("{expanded:?}");
    assert!(text.contains("https://purl.org/geojson/vocab#Point"), "{text}");
    let listed = json!({"q": "status==\"Point\"", "expandValues": "a", "jsonKeys": "status"});
    assert_eq!(meaning(&listed), plain);
    refused(&json!({"expandValues": "a,b", "jsonKeys": "b"}), "/jsonKeys");
    refused(&json!({"expandValues": ""}), "/expandValues");
    refused(&json!({"jsonKeys": ["a"]}), "/jsonKeys");
}

#[test]
fn a_query_may_look_into_linked_entities() {
    let subscription = with(&json!({"q": "locatedIn{name}==\"Nanao\""})).unwrap();
    assert_eq!(subscription.query.unwrap().meaning.link_depth(), 1);
    refused(&json!({"q": "locatedIn{name==\"Nanao\""}), "/q");
}

#[test]
fn a_malformed_query_is_told_in_one_sentence() {
    let sentence = |members: Value| with(&members).map(|_| ()).unwrap_err().to_string();
    let told = sentence(json!({"q": "a=="}));
    assert!(told.starts_with("/q: ") && !told.contains("q: q"), "{told}");
    assert!(told.contains("character 4"), "{told}");
    let told = sentence(json!({"datasetId": ["d"]}));
    assert!(told.starts_with("/datasetId: ") && !told.contains("datasetId: datasetId"), "{told}");
}

#[test]
fn what_needs_context_sources_is_refused_in_a_sentence() {
    for (name, value) in [("csf", json!("x==1")), ("temporalQ", json!({"timerel": "before"}))] {
        let error = with(&json!({name: value})).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("context sources"), "{error}");
    }
}
