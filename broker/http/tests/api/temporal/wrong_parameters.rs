//! Parameters that say what cannot be, and any parameters at all.

use musubi_model::Timestamp;
use proptest::prelude::*;

use super::{EVOLUTIONS, record, vehicle};
use crate::support::Api;

const ID: &str = "urn:ngsi-ld:Vehicle:1";

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_name_of_its_parameter() {
    let api = Api::new();
    record(&api, &vehicle(ID)).await;
    let at = "timeAt=2020-08-01T12:00:00Z";
    for (name, parameters) in [
        ("timerel", format!("timerel=during&{at}")),
        ("timerel", format!("timerel=&{at}")),
        ("timerel", at.to_owned()),
        ("timeAt", "timerel=after".to_owned()),
        ("timeAt", "timerel=before&timeAt=".to_owned()),
        ("timeAt", "timerel=after&timeAt=2020-08-01".to_owned()),
        ("timeAt", "timerel=after&timeAt=2020-08-01T12:00:00".to_owned()),
        ("timeAt", "timerel=after&timeAt=10000-01-01T00:00:00Z".to_owned()),
        ("timeAt", "timerel=after&timeAt=2020-02-30T00:00:00Z".to_owned()),
        ("timeAt", "timerel=after&timeAt=12:00:00Z".to_owned()),
        ("endTimeAt", format!("timerel=between&{at}")),
        ("endTimeAt", format!("timerel=between&{at}&endTimeAt=tomorrow")),
        ("endTimeAt", format!("timerel=after&{at}&endTimeAt=2020-08-02T12:00:00Z")),
        ("endTimeAt", "endTimeAt=2020-08-02T12:00:00Z".to_owned()),
        ("timeproperty", "timeproperty=expiresAt".to_owned()),
        ("timeproperty", "timeproperty=".to_owned()),
        ("lastN", "lastN=0".to_owned()),
        ("lastN", "lastN=-1".to_owned()),
        ("lastN", "lastN=1.5".to_owned()),
        ("lastN", "lastN=99999999999999999999999999".to_owned()),
        ("aggrMethods", "format=aggregatedValues".to_owned()),
        ("aggrMethods", "format=aggregatedValues&aggrMethods=".to_owned()),
        ("aggrMethods", "format=aggregatedValues&aggrMethods=avg,median".to_owned()),
        ("aggrMethods", "aggrMethods=median".to_owned()),
        ("aggrPeriodDuration", "aggrPeriodDuration=1h".to_owned()),
        ("aggrPeriodDuration", "aggrPeriodDuration=P1H".to_owned()),
        ("aggrPeriodDuration", "aggrPeriodDuration=-P1D".to_owned()),
        ("aggrPeriodDuration", "aggrPeriodDuration=P99999999999999Y".to_owned()),
        ("timezone", "timezone=Asia/Nowhere".to_owned()),
        ("datasetId", "datasetId=nonsense".to_owned()),
        ("lang", "lang=%3B".to_owned()),
        ("pick", "pick=,".to_owned()),
    ] {
        for path in [format!("{EVOLUTIONS}/{ID}?"), format!("{EVOLUTIONS}?type=Vehicle&")] {
            let answer = api.get(&format!("{path}{parameters}")).await;
            answer.is_problem(400, "BadRequestData");
            let detail = answer.value()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains(name), "{parameters}: {detail}");
        }
    }
    for twice in ["lastN=1&lastN=2", "nonsense=1", "join=inline", "sysAttrs=perhaps"] {
        let answer = api.get(&format!("{EVOLUTIONS}/{ID}?{twice}")).await;
        answer.is_problem(400, "InvalidRequest");
    }
}

#[tokio::test]
async fn absurd_intervals_and_durations_are_answered() {
    let api = Api::new();
    record(&api, &vehicle(ID)).await;
    let query = async |parameters: &str| {
        let answer = api.get(&format!("{EVOLUTIONS}?type=Vehicle&{parameters}")).await;
        assert_eq!(answer.status, 200, "{parameters}: {}", answer.body);
        answer.value()
    };
    let (first, last) = ("0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z");
    let all = query(&format!("timerel=between&timeAt={first}&endTimeAt={last}")).await;
    assert_eq!(all[0]["speed"].as_array().unwrap().len(), 3);
    for never in [
        format!("timerel=between&timeAt={last}&endTimeAt={first}"),
        format!("timerel=between&timeAt={first}&endTimeAt={first}"),
        format!("timerel=before&timeAt={first}"),
        format!("timerel=after&timeAt={last}"),
    ] {
        assert_eq!(query(&never).await, serde_json::json!([]), "{never}");
    }
    for period in ["PT0.000001S", "P9999Y", "P0D", "P1Y2M3DT4H5M6S"] {
        let aggregated = format!(
            "timerel=between&timeAt={first}&endTimeAt={last}&format=aggregatedValues\
             &aggrMethods=avg&aggrPeriodDuration={period}"
        );
        let path = format!("{EVOLUTIONS}?type=Vehicle&{aggregated}");
        let status = api.get(&path).await.status;
        assert!([200, 400, 403].contains(&status), "{period}: {status}");
    }
}

/// Names of parameters, and some that are none.
const NAMES: &[&str] = &[
    "timerel",
    "timeAt",
    "endTimeAt",
    "timeproperty",
    "lastN",
    "aggrMethods",
    "aggrPeriodDuration",
    "timezone",
    "format",
    "options",
    "attrs",
    "pick",
    "omit",
    "lang",
    "datasetId",
    "q",
    "scopeQ",
    "georel",
    "geometry",
    "coordinates",
    "type",
    "id",
    "idPattern",
    "orderBy",
    "collation",
    "limit",
    "offset",
    "after",
    "count",
    "csf",
    "local",
    "expandValues",
    "jsonKeys",
    "nonsense",
];

/// Values that mean something to one of them.
const VALUES: &[&str] = &[
    "",
    "before",
    "after",
    "between",
    "2020-08-01T12:05:00Z",
    "2020-08-01T12:07:00Z",
    "observedAt",
    "deletedAt",
    "0",
    "1",
    "2",
    "avg",
    "min,max",
    "totalCount",
    "PT0S",
    "P1D",
    "PT1H",
    "P1M",
    "UTC",
    "Asia/Tokyo",
    "temporalValues",
    "aggregatedValues",
    "sysAttrs",
    "speed",
    "id",
    "type",
    "scope",
    "speed,fuelLevel",
    "@none",
    "speed%3E90",
    "Vehicle",
    "id;desc",
    "true",
    "/%23",
    "en",
    "*",
];

fn parameters() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        8 => prop::sample::select(VALUES).prop_map(str::to_owned),
        1 => any::<String>().prop_map(|text| {
            percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string()
        }),
        1 => any::<i64>().prop_map(|micros| Timestamp::from_micros(micros).to_string()),
    ];
    let pair = (prop::sample::select(NAMES), value);
    prop::collection::vec(pair, 0..6).prop_map(|pairs| {
        let pairs: Vec<String> =
            pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("&")
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_query_string_is_answered_or_refused(parameters in parameters()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let api = Api::new();
            record(&api, &vehicle(ID)).await;
            let window = "timerel=after&timeAt=2020-01-01T00:00:00Z&type=Vehicle";
            for path in [
                format!("{EVOLUTIONS}/{ID}?{parameters}"),
                format!("{EVOLUTIONS}?{parameters}"),
                format!("{EVOLUTIONS}?{window}&{parameters}"),
            ] {
                let answer = api.get(&path).await;
                let expected = [200, 206, 400, 403, 404, 422];
                assert!(expected.contains(&answer.status), "{path}: {} {}", answer.status, answer.body);
                answer.value();
            }
        });
    }
}
