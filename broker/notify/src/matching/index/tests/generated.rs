//! Subscriptions and changes that hit every key of the index.

use super::*;

const TYPES: [&str; 3] = ["Shelter", "Park", "Dock"];
const NAMES: [&str; 4] = ["count", "status", "place", "near"];
const TRIGGERS: [&str; 6] = [
    "entityCreated",
    "entityUpdated",
    "entityDeleted",
    "attributeCreated",
    "attributeUpdated",
    "attributeDeleted",
];
const SCOPES: [&str; 4] = ["/Town", "/Town/North", "/Town/North/A", "/Sea"];
pub(super) const QUERIES: [&str; 40] = [
    "count==1",
    "count==0,2",
    "count==-0",
    "count!=1",
    "count>1",
    "count>=2",
    "count<1",
    "count<=2",
    "count>0;count<3",
    "count>2;count<1",
    "count==1..2",
    "count==2..1",
    "count",
    "!count",
    "count==1|status==\"open\"",
    "count>1|!status",
    "(count==1|count==2);status==\"open\"",
    "status==\"open\"",
    "status==open,\"2024-01-11\"",
    "status==2024-01-11",
    "status>2024-01-10",
    "status<2024-01-11T10:00:00Z",
    "status==2024-01-11T09:00:00Z",
    "status==2024-01-10..2024-01-12",
    "status>=\"b\"",
    "status==true",
    "status~=\"^o\"",
    "status!~=\"^o\"",
    "status[en]==\"open\"",
    "status[m]==1",
    "status.count==1",
    "status.count>1",
    "status.observedAt>2024-01-01T00:00:00Z",
    "modifiedAt>2020-01-01T00:00:00Z",
    "createdAt",
    "near==urn:ngsi-ld:E:1",
    "near{count}>1",
    "!near{count}",
    "near{Park:count}==2;status==\"open\"",
    "near{near{count}}<2|count==0",
];

fn some_of<T: Copy + std::fmt::Debug + 'static>(
    names: &'static [T],
) -> impl Strategy<Value = Vec<T>> {
    proptest::sample::subsequence(names, 1..=names.len())
}

fn an_id() -> impl Strategy<Value = String> {
    (0..4).prop_map(|n| format!("urn:ngsi-ld:E:{n}"))
}

fn a_selector() -> impl Strategy<Value = Value> {
    let types = prop_oneof![
        3 => Just("Shelter".to_owned()),
        1 => Just("*".to_owned()),
        1 => some_of(&TYPES).prop_map(|types| types.join(",")),
        1 => some_of(&TYPES).prop_map(|types| format!("({})", types.join(";"))),
    ];
    let which = prop_oneof![
        4 => Just(json!({})),
        1 => an_id().prop_map(|id| json!({"id": id})),
        1 => proptest::collection::vec(an_id(), 1..3).prop_map(|ids| json!({"id": ids})),
        1 => (0..4).prop_map(|n| json!({"idPattern": format!(":{n}$")})),
        1 => (0..4).prop_map(|n| json!({"idPattern": format!("^urn:ngsi-ld:E:{n}")})),
        1 => Just(json!({"idPattern": "^urn:(ngsi-ld|x):E:(1|2)"})),
    ];
    (types, which).prop_map(|(types, mut selector)| {
        selector["type"] = json!(types);
        selector
    })
}

fn a_place() -> impl Strategy<Value = [i32; 2]> {
    [0..4_i32, 0..4_i32]
}

fn a_geometry() -> impl Strategy<Value = Value> {
    prop_oneof![
        a_place().prop_map(|at| json!({"type": "Point", "coordinates": at})),
        [a_place(), a_place()].prop_map(|[[west, south], [x, y]]| {
            let (east, north) = (west + 1 + x, south + 1 + y);
            let ring = [[west, south], [east, south], [east, north], [west, north], [west, south]];
            json!({"type": "Polygon", "coordinates": [ring]})
        }),
    ]
}

fn a_geo_query() -> impl Strategy<Value = Value> {
    let relation = proptest::sample::select(vec![
        "near;maxDistance==100000",
        "near;maxDistance==9000000",
        "near;minDistance==100000",
        "within",
        "contains",
        "intersects",
        "equals",
        "disjoint",
        "overlaps",
    ]);
    (relation, a_geometry()).prop_map(|(relation, geometry)| {
        json!({
            "georel": relation,
            "geometry": geometry["type"],
            "coordinates": geometry["coordinates"],
            "geoproperty": "place",
        })
    })
}

pub(super) const SCOPE_QUERIES: [&str; 10] = [
    "/Town",
    "/Town/#",
    "/#",
    "/+",
    "/+/North",
    "/Town/+/A",
    "/Town/North/#",
    "(/Town;/Sea)",
    "/Sea,/Town/North",
    "(/#;/Town/+)|/Sea",
];

pub(in crate::matching) fn a_subscription() -> impl Strategy<Value = Value> {
    let entities = proptest::option::weighted(0.8, proptest::collection::vec(a_selector(), 1..3));
    let watched = proptest::option::weighted(0.4, some_of(&NAMES));
    let triggers = proptest::option::of(some_of(&TRIGGERS));
    let query = proptest::option::weighted(0.6, proptest::sample::select(&QUERIES[..]));
    let geo_query = proptest::option::weighted(0.3, a_geo_query());
    let scope_query = proptest::option::weighted(0.3, proptest::sample::select(&SCOPE_QUERIES[..]));
    let kind = prop_oneof![
        12 => Just(json!({})),
        1 => Just(json!({"isActive": false})),
        1 => Just(json!({"expiresAt": time(5).to_string()})),
        1 => Just(json!({"timeInterval": 60})),
        4 => Just(json!({"silentFor": "PT60S"})),
    ];
    (entities, watched, triggers, (query, geo_query, scope_query), kind).prop_map(
        |(entities, watched, triggers, (query, geo_query, scope_query), kind)| {
            let mut members = json!({});
            let is_plain = kind.get("silentFor").is_none() && kind.get("timeInterval").is_none();
            for (name, value) in kind.as_object().unwrap() {
                members[name] = value.clone();
            }
            let mut put = |name: &str, value: Option<Value>| {
                if let Some(value) = value {
                    members[name] = value;
                }
            };
            // Something has to narrow a subscription.
            let some = entities.is_none() && watched.is_none();
            put("entities", some.then(|| json!([{"type": "*"}])));
            put("entities", entities.map(Value::from));
            put("watchedAttributes", watched.filter(|_| is_plain).map(Value::from));
            put("entities", (!is_plain).then(|| json!([{"type": "Shelter"}])));
            put("notificationTrigger", triggers.filter(|_| is_plain).map(Value::from));
            put("q", query.map(Value::from));
            put("geoQ", geo_query);
            put("scopeQ", scope_query.map(Value::from));
            members
        },
    )
}

fn a_value() -> impl Strategy<Value = Value> {
    let property = |value: Value| json!({"type": "Property", "value": value});
    let text = proptest::sample::select(vec![
        "open",
        "shut",
        "b",
        "2024-01-11",
        "2024-01-11T09:00:00Z",
        "2024-01-11T18:00:00+09:00",
    ]);
    let scalar = prop_oneof![
        3 => (0..4).prop_map(Value::from),
        2 => text.prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
    ];
    prop_oneof![
        4 => scalar.clone().prop_map(property),
        2 => proptest::collection::vec(scalar.clone(), 1..3)
            .prop_map(move |values| property(json!(values))),
        1 => scalar.clone().prop_map(move |value| property(json!({"m": value}))),
        1 => (scalar.clone(), scalar.clone()).prop_map(move |(value, below)| {
            let mut value = property(value);
            value["count"] = json!({"type": "Property", "value": below});
            value["observedAt"] = json!("2024-01-11T09:00:00Z");
            value
        }),
        1 => (scalar.clone(), scalar).prop_map(move |(one, other)| {
            let mut other = property(other);
            other["datasetId"] = json!("urn:ngsi-ld:Dataset:1");
            json!([property(one), other])
        }),
        1 => Just(json!({"type": "LanguageProperty", "languageMap": {"en": "open", "ja": "開"}})),
        1 => Just(json!({"type": "VocabProperty", "vocab": "open"})),
        1 => Just(json!({"type": "ListProperty", "valueList": [1, "open"]})),
        1 => Just(json!({"type": "JsonProperty", "json": {"m": 1}})),
    ]
}

fn an_entity_of(id: String) -> impl Strategy<Value = Value> {
    let values =
        proptest::collection::btree_map(proptest::sample::select(&NAMES[..2]), a_value(), 0..3);
    let near = proptest::option::of(proptest::collection::vec(an_id(), 1..3));
    let place = proptest::option::of(a_geometry());
    let scopes = proptest::option::of(some_of(&SCOPES));
    (some_of(&TYPES), values, near, place, scopes).prop_map(
        move |(types, values, near, place, scopes)| {
            let mut entity = json!({"id": id, "type": types});
            for (name, value) in values {
                entity[name] = value;
            }
            if let Some(targets) = near {
                let target = if targets.len() == 1 { json!(targets[0]) } else { json!(targets) };
                entity["near"] = json!({"type": "Relationship", "object": target});
            }
            if let Some(place) = place {
                entity["place"] = json!({"type": "GeoProperty", "value": place});
            }
            if let Some(scopes) = scopes {
                entity["scope"] = json!(scopes);
            }
            entity
        },
    )
}

fn a_state(id: String) -> impl Strategy<Value = Option<Value>> {
    proptest::option::weighted(0.8, an_entity_of(id))
}

pub(in crate::matching) fn a_change() -> impl Strategy<Value = (Option<Value>, Option<Value>)> {
    an_id()
        .prop_flat_map(|id| (a_state(id.clone()), a_state(id)))
        .prop_filter("something has to be there", |(before, after)| {
            before.is_some() || after.is_some()
        })
}

/// The entities that those of the changes may be linked with.
pub(super) fn neighbors() -> Vec<Value> {
    let neighbor = |id: &str, kind: &str, count: u32, near: &str| {
        json!({
            "id": id,
            "type": kind,
            "count": {"type": "Property", "value": count},
            "near": {"type": "Relationship", "object": near},
        })
    };
    vec![
        neighbor("urn:ngsi-ld:E:0", "Park", 0, "urn:ngsi-ld:E:1"),
        neighbor("urn:ngsi-ld:E:1", "Park", 2, "urn:ngsi-ld:E:0"),
        neighbor("urn:ngsi-ld:E:2", "Dock", 3, "urn:ngsi-ld:E:9"),
    ]
}
