//! The evolutions of many entities.

use musubi_http::{HttpOptions, Limits};
use serde_json::{Value, json};

use super::{EVOLUTIONS, QUERY, at, record, vehicle, without_instance_ids};
use crate::support::{Answer, Api};

const WINDOW: &str = "timerel=after&timeAt=2020-07-01T00:00:00Z";

async fn query(api: &Api, query: &str) -> Answer {
    api.get(&format!("{EVOLUTIONS}?{query}")).await
}

/// What is answered with 200.
async fn shown(api: &Api, parameters: &str) -> Value {
    let answer = query(api, parameters).await;
    assert_eq!(answer.status, 200, "{parameters}: {}", answer.body);
    answer.value()
}

/// The ids of what is answered with 200.
async fn ids(api: &Api, parameters: &str) -> Vec<String> {
    ids_of(&shown(api, parameters).await)
}

fn ids_of(page: &Value) -> Vec<String> {
    page.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// Vehicles 1 to 3 and a bus, each with another speed beside those of all vehicles.
async fn with_vehicles() -> Api {
    let api = Api::new();
    for number in [2, 3, 1] {
        let id = format!("urn:v:{number}");
        record(&api, &vehicle(&id)).await;
        let speed = [at("15:00:00", json!(number * 1000))];
        record(&api, &json!({ "id": id, "type": "Vehicle", "speed": speed })).await;
    }
    record(&api, &json!({ "id": "urn:b:1", "type": "Bus", "name": [at("12:00:00", json!("a"))] }))
        .await;
    api
}

#[tokio::test]
async fn evolutions_come_in_the_order_of_their_ids() {
    let api = with_vehicles().await;
    let all = ["urn:v:1", "urn:v:2", "urn:v:3"];
    let by_type = format!("type=Vehicle&{WINDOW}");
    assert_eq!(ids(&api, &by_type).await, all);
    assert_eq!(ids(&api, &format!("{by_type}&orderBy=id")).await, all);
    assert_eq!(
        ids(&api, &format!("{by_type}&orderBy=id;desc")).await,
        ["urn:v:3", "urn:v:2", "urn:v:1"]
    );
    for order in ["name", "createdAt", "id,name", "name.sub"] {
        query(&api, &format!("{by_type}&orderBy={order}")).await.is_problem(400, "BadRequestData");
    }
    let collated = format!("{by_type}&orderBy=id&collation=");
    assert_eq!(ids(&api, &format!("{collated}und-x-binary")).await, all);
    query(&api, &format!("{collated}ja")).await.is_problem(422, "OperationNotSupported");
    query(&api, &format!("{collated}no%20tag")).await.is_problem(400, "BadRequestData");
    query(&api, &format!("{by_type}&collation=ja")).await.is_problem(400, "BadRequestData");
}

#[tokio::test]
async fn what_is_asked_of_entities_and_of_instances_selects_them() {
    let api = with_vehicles().await;
    let check = async |parameters: &str, expected: &[&str]| {
        assert_eq!(ids(&api, &format!("{parameters}&{WINDOW}")).await, expected, "{parameters}");
    };
    check("type=Vehicle&id=urn:v:3,urn:b:1", &["urn:v:3"]).await;
    check("type=Vehicle,Bus&idPattern=1%24", &["urn:b:1", "urn:v:1"]).await;
    check("type=*", &["urn:b:1", "urn:v:1", "urn:v:2", "urn:v:3"]).await;
    check("local=true&attrs=name", &["urn:b:1"]).await;
    check("q=speed%3E1500", &["urn:v:2", "urn:v:3"]).await;
    check("type=Vehicle&attrs=unknown", &[]).await;
    check("type=Vehicle&datasetId=urn:d:1", &[]).await;
    check("type=Vehicle&timeproperty=deletedAt", &[]).await;
    // The condition is about what is in the stretch of time.
    let early = "timerel=before&timeAt=2020-08-01T14:59:00Z";
    assert_eq!(ids(&api, &format!("q=speed%3E1500&{early}")).await, [""; 0]);
}

#[tokio::test]
async fn a_query_says_when_and_is_not_too_wide() {
    let api = with_vehicles().await;
    for parameters in [
        "type=Vehicle",
        "type=Vehicle&timeproperty=createdAt&lastN=1",
        WINDOW,
        &format!("{WINDOW}&id=urn:v:1"),
        &format!("{WINDOW}&attrs=createdAt"),
        &format!("{WINDOW}&type=Vehicle&pick=owner{{name}}"),
        &format!("{WINDOW}&type=Vehicle&q=owner{{name}}==%22x%22"),
        &format!("{WINDOW}&type=Vehicle&id=not%20a%20uri"),
        &format!("{WINDOW}&type=Vehicle&csf=))bad(("),
    ] {
        query(&api, parameters).await.is_problem(400, "BadRequestData");
    }
}

#[tokio::test]
async fn pages_partition_what_matches() {
    let api = with_vehicles().await;
    let first = format!("type=Vehicle&{WINDOW}&limit=2&count=true");
    let page = query(&api, &first).await;
    assert_eq!((page.status, page.header("ngsild-results-count")), (200, "3"));
    assert_eq!(ids_of(&page.value()), ["urn:v:1", "urn:v:2"]);
    let links = page.headers("link");
    let next = links.iter().find(|link| link.contains("next")).unwrap();
    let target = next.trim_start_matches('<').split_once('>').unwrap().0;
    assert!(target.starts_with(EVOLUTIONS), "{target}");
    let page = api.get(target).await;
    assert_eq!(ids_of(&page.value()), ["urn:v:3"]);
    let links = page.headers("link");
    assert!(links.iter().any(|link| link.contains("prev")), "{links:?}");
    assert!(!links.iter().any(|link| link.contains("next")), "{links:?}");
    let past = query(&api, &format!("{first}&offset=3")).await;
    assert_eq!((past.status, past.body.as_str()), (200, "[]"));
    let counted = query(&api, &format!("type=Vehicle&{WINDOW}&limit=0&options=count")).await;
    assert_eq!((counted.body.as_str(), counted.header("ngsild-results-count")), ("[]", "3"));
    // From the end back.
    let back = format!("{first}&orderBy=id;desc");
    let page = query(&api, &back).await;
    assert_eq!(ids_of(&page.value()), ["urn:v:3", "urn:v:2"]);
    assert_eq!(page.header("ngsild-results-count"), "3");
    assert!(page.headers("link").iter().any(|link| link.contains("next")));
    assert_eq!(ids(&api, &format!("{back}&offset=2")).await, ["urn:v:1"]);
    assert_eq!(ids(&api, &format!("{back}&offset=3")).await, [""; 0]);
}

#[tokio::test]
async fn pages_by_cursor_go_on_where_the_last_one_ended() {
    let api = with_vehicles().await;
    let mut target = format!("{EVOLUTIONS}?type=Vehicle&{WINDOW}&limit=1&after=");
    let mut seen = Vec::new();
    // One more than there are.
    for _ in 0..4 {
        let page = api.get(&target).await;
        seen.extend(ids_of(&page.value()));
        let links = page.headers("link");
        match links.iter().find(|link| link.contains("next")) {
            Some(next) => {
                target = next.trim_start_matches('<').split_once('>').unwrap().0.to_owned();
            }
            None => break,
        }
    }
    assert_eq!(seen, ["urn:v:1", "urn:v:2", "urn:v:3"]);
    for wrong in ["after=nonsense", "after=&offset=1", "after=&orderBy=id;desc"] {
        let answer = query(&api, &format!("type=Vehicle&{WINDOW}&{wrong}")).await;
        answer.is_problem(400, "BadRequestData");
    }
}

/// A server whose answers hold ten instances.
async fn with_small_answers() -> Api {
    let limits = Limits { history_instances: 10, ..Limits::default() };
    let api = Api::with(HttpOptions { limits, ..HttpOptions::default() }, None);
    let instances = |hour: u8, count: u8| -> Vec<Value> {
        (0..count).map(|minute| at(&format!("{hour:02}:{minute:02}:00"), json!(minute))).collect()
    };
    record(&api, &json!({ "id": "urn:v:1", "type": "Vehicle", "speed": instances(12, 8) })).await;
    record(&api, &json!({ "id": "urn:v:2", "type": "Vehicle", "fuelLevel": instances(13, 8) }))
        .await;
    api
}

#[tokio::test]
async fn an_answer_that_is_a_part_says_from_where_to_where_it_goes() {
    let api = with_small_answers().await;
    let check = async |parameters: &str, expected: &str| {
        let answer = query(&api, &format!("type=Vehicle&{parameters}")).await;
        assert_eq!(answer.status, 206, "{parameters}: {}", answer.body);
        assert_eq!(answer.header("content-range"), expected, "{parameters}");
        answer.value()
    };
    let (from, to) = ("2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z");
    let page = check(
        &format!("timerel=after&timeAt={from}"),
        &format!("date-time {from}-2020-08-01T13:01:00Z/*"),
    )
    .await;
    assert_eq!(page[0]["speed"].as_array().unwrap().len(), 8);
    assert_eq!(page[1]["fuelLevel"].as_array().unwrap().len(), 2);
    check(
        &format!("timerel=before&timeAt={to}"),
        "date-time 2020-08-01T12:00:00Z-2020-08-01T13:01:00Z/*",
    )
    .await;
    check(
        &format!("timerel=between&timeAt={from}&endTimeAt={to}"),
        &format!("date-time {from}-2020-08-01T13:01:00Z/*"),
    )
    .await;
    // With lastN from the end back.
    let page = check(
        &format!("timerel=after&timeAt={from}&lastN=8"),
        "date-time 2020-08-01T13:07:00Z-2020-08-01T12:06:00Z/8",
    )
    .await;
    assert_eq!(page[0]["speed"].as_array().unwrap().len(), 2);
    check(
        &format!("timerel=before&timeAt={to}&lastN=8"),
        &format!("date-time {to}-2020-08-01T12:06:00Z/8"),
    )
    .await;
    let values = check(
        &format!("timerel=between&timeAt={from}&endTimeAt={to}&lastN=8&format=temporalValues"),
        &format!("date-time {to}-2020-08-01T12:06:00Z/8"),
    )
    .await;
    assert_eq!(values[1]["fuelLevel"]["values"].as_array().unwrap().len(), 8);
    // Whole answers, one of them with more entities behind it.
    let whole = query(&api, &format!("type=Vehicle&timerel=after&timeAt={from}&limit=1")).await;
    assert_eq!((whole.status, whole.header("content-range")), (200, ""));
    assert!(whole.headers("link").iter().any(|link| link.contains("next")));
    let few = query(&api, &format!("type=Vehicle&timerel=after&timeAt={from}&lastN=5")).await;
    assert_eq!(few.status, 200, "{}", few.body);
}

#[tokio::test]
async fn an_attribute_of_which_nothing_is_left_is_shown_empty() {
    let limits = Limits { history_instances: 3, ..Limits::default() };
    let api = Api::with(HttpOptions { limits, ..HttpOptions::default() }, None);
    record(&api, &vehicle("urn:v:1")).await;
    let later = [at("20:00:00", json!(1)), at("20:01:00", json!(2))];
    record(&api, &json!({ "id": "urn:v:1", "type": "Vehicle", "mileage": later })).await;
    let path = format!("{EVOLUTIONS}/urn:v:1?attrs=speed,mileage");
    let part = api.get(&path).await;
    assert_eq!(part.status, 206);
    let expected = "date-time 2020-08-01T12:03:00Z-2020-08-01T12:07:00Z/*";
    assert_eq!(part.header("content-range"), expected);
    assert_eq!(part.value()["mileage"], json!([]));
    let last = api.get(&format!("{EVOLUTIONS}/urn:v:1?attrs=speed,mileage&lastN=20")).await;
    let expected = "date-time 2020-08-01T20:01:00Z-2020-08-01T12:07:00Z/20";
    assert_eq!(last.header("content-range"), expected);
    let values = api.get(&format!("{path}&format=temporalValues")).await.value();
    assert_eq!(values["mileage"]["values"], json!([]));
}

#[tokio::test]
async fn values_of_several_data_sets_stand_by_themselves() {
    let api = Api::new();
    let of = |time: &str, value: i64, dataset: &str| {
        let mut instance = at(time, json!(value));
        if !dataset.is_empty() {
            instance["datasetId"] = dataset.into();
        }
        instance
    };
    let speed = [
        of("12:03:00", 120, ""),
        of("12:05:00", 80, "urn:d:common"),
        of("13:05:00", 90, "urn:d:common"),
        of("12:05:00", 60, "urn:d:speed"),
    ];
    record(&api, &json!({ "id": "urn:v:1", "type": "Vehicle", "speed": speed })).await;
    let values = async |datasets: &str| {
        let filter = format!("type=Vehicle&{WINDOW}&options=temporalValues{datasets}");
        shown(&api, &filter).await[0]["speed"].clone()
    };
    let pair = |value: i64, time: &str| json!([value, format!("2020-08-01T{time}Z")]);
    let common = json!({
        "type": "Property", "datasetId": "urn:d:common",
        "values": [pair(80, "12:05:00"), pair(90, "13:05:00")],
    });
    let speed = json!({
        "type": "Property", "datasetId": "urn:d:speed", "values": [pair(60, "12:05:00")],
    });
    let default = json!({ "type": "Property", "values": [pair(120, "12:03:00")] });
    assert_eq!(values("").await, json!([default, common, speed]));
    assert_eq!(values("&datasetId=urn:d:common").await, common);
    assert_eq!(values("&datasetId=@none").await, default);
    assert_eq!(values("&datasetId=urn:d:common,urn:d:speed").await, json!([common, speed]));
}

#[tokio::test]
async fn a_query_in_a_body_means_what_its_parameters_mean() {
    let api = with_vehicles().await;
    let post = async |path: &str, members: &[(&str, Value)]| {
        let mut body = json!({
            "type": "Query",
            "entities": [{ "type": "Vehicle" }],
            "temporalQ": { "timerel": "after", "timeAt": "2020-08-01T12:00:00Z" },
        });
        for (name, member) in members {
            match name.split_once('/') {
                Some((outer, inner)) => body[outer][inner] = member.clone(),
                None => body[*name] = member.clone(),
            }
        }
        api.post(&format!("{QUERY}{path}"), &body).await
    };
    let answer = post("", &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let same = "type=Vehicle&timerel=after&timeAt=2020-08-01T12:00:00Z";
    assert_eq!(answer.value(), shown(&api, same).await);
    let answer = post("", &[("temporalQ/lastN", json!(1))]).await;
    assert_eq!(
        without_instance_ids(&answer.value())[0]["speed"],
        json!([at("15:00:00", json!(1000))])
    );
    let answer = post("?format=temporalValues&limit=1", &[]).await;
    assert_eq!(answer.value()[0]["speed"]["values"][0], json!([120, "2020-08-01T12:03:00Z"]));
    assert!(answer.headers("link").iter().any(|link| link.contains("next")));
    let answer = post("", &[("ordering/orderBy", json!(["id;desc"]))]).await;
    assert_eq!(ids_of(&answer.value()), ["urn:v:3", "urn:v:2", "urn:v:1"]);
    for methods in [json!("max,totalCount"), json!(["max", "totalCount"])] {
        for name in ["temporalQ/aggrMethods", "aggrParams/aggrMethods"] {
            let answer = post("", &[(name, methods.clone())]).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert!(!answer.body.contains("instanceId"), "{}", answer.body);
            let attribute = &answer.value()[0]["fuelLevel"];
            assert_eq!(attribute["max"][0][0].as_f64(), Some(67.0), "{attribute}");
            assert_eq!(attribute["totalCount"][0][0].as_f64(), Some(3.0), "{attribute}");
        }
    }
    for (name, member) in [
        ("temporalQ/lastN", json!(0)),
        ("temporalQ/lastN", json!(2.5)),
        ("temporalQ/timerel", json!("during")),
        ("temporalQ/timerel", json!("between")),
        ("temporalQ/timeproperty", json!("expiresAt")),
        ("temporalQ/nonsense", json!(1)),
        ("temporalQ", json!(1)),
        ("aggrParams/aggrMethods", json!(["bogus"])),
        ("aggrParams/aggrPeriodDuration", json!("bogus")),
        ("aggrParams/lastN", json!(1)),
        ("join", json!("inline")),
        ("geometryProperty", json!("location")),
        ("ordering/orderBy", json!(["name"])),
    ] {
        let answer = post("", &[(name, member.clone())]).await;
        answer.is_problem(400, "BadRequestData");
        let last = name.rsplit('/').next().unwrap();
        let named = if member == json!("between") { "endTimeAt" } else { last };
        assert!(answer.body.contains(named), "{name}: {}", answer.body);
    }
    let without = json!({ "type": "Query", "entities": [{ "type": "Vehicle" }] });
    api.post(QUERY, &without).await.is_problem(400, "BadRequestData");
}

#[tokio::test]
async fn periods_are_counted_in_the_zone_that_is_asked_for() {
    let api = Api::new();
    // Half an hour before a day ends in Tokyo, and twice on the next day there.
    let speed = [at("14:30:00", json!(1)), at("15:30:00", json!(2)), at("23:30:00", json!(3))];
    record(&api, &json!({ "id": "urn:v:1", "type": "Vehicle", "speed": speed })).await;
    let days = async |start: &str, zone: &str| {
        let counts = "format=aggregatedValues&aggrMethods=totalCount&aggrPeriodDuration=P1D";
        let found = format!("type=Vehicle&timerel=after&timeAt={start}&{counts}{zone}");
        let periods = shown(&api, &found).await[0]["speed"]["totalCount"].clone();
        let period = |one: &Value| (one[0].as_f64().unwrap(), one[1].as_str().unwrap().to_owned());
        periods.as_array().unwrap().iter().map(period).collect::<Vec<_>>()
    };
    let period = |count: f64, start: &str| (count, start.to_owned());
    let utc = days("2020-08-01T00:00:00Z", "").await;
    assert_eq!(utc, [period(3.0, "2020-08-01T00:00:00Z")]);
    let tokyo = days("2020-08-01T00:00:00%2B09:00", "&timezone=Asia/Tokyo").await;
    let expected = [period(1.0, "2020-07-31T15:00:00Z"), period(2.0, "2020-08-01T15:00:00Z")];
    assert_eq!(tokyo, expected);
}
