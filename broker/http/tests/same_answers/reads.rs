//! Requests that ask for something.

use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::pair::Request;
use crate::values::{ATTRIBUTES, DATASETS, SCOPES, TYPES, Values};

/// How an entity is shown.
const VIEW: &[&str] = &[
    "attrs",
    "pick",
    "omit",
    "options",
    "format",
    "sysAttrs",
    "lang",
    "join",
    "joinLevel",
    "containedBy",
    "geometryProperty",
    "datasetId",
    "local",
    "entityMap",
    "entityMapLifetime",
];

/// Which entities are meant.
pub(crate) const CRITERIA: &[&str] = &[
    "id",
    "type",
    "idPattern",
    "q",
    "csf",
    "georel",
    "geometry",
    "coordinates",
    "geoproperty",
    "scopeQ",
    "expandValues",
    "jsonKeys",
    "splitEntities",
];

/// In which order, and from where to where.
const ORDER: &[&str] = &["orderBy", "orderFrom", "orderGeometry", "collation"];
const PAGE: &[&str] = &["limit", "offset", "count"];

/// The parameters of each operation, in groups.
pub(crate) const PARAMETERS: &[(&str, &[&[&str]])] = &[
    ("query", &[CRITERIA, ORDER, PAGE, VIEW, &["after"]]),
    (
        "batch query",
        &[
            PAGE,
            &["after", "options", "format", "sysAttrs", "geometryProperty", "local"],
            &["splitEntities"],
        ],
    ),
    ("retrieve", &[VIEW, &["type"]]),
    ("types", &[PAGE, &["details", "local"]]),
    ("type", &[&["local"]]),
    ("attributes", &[PAGE, &["details", "local"]]),
    ("attribute", &[&["local"]]),
];

/// The parameters of one operation.
pub(crate) fn names(
    table: &'static [(&str, &[&[&str]])],
    operation: &str,
) -> impl Iterator<Item = &'static str> {
    let known = table.iter().find(|(name, _)| *name == operation);
    known.into_iter().flat_map(|(_, groups)| groups.iter().copied().flatten().copied())
}

type Query = Vec<(&'static str, String)>;

/// Any of them.
pub(crate) fn any(values: &mut Values) -> Request {
    match values.random.below(20) {
        0..=9 => query(values),
        10..=13 => retrieve(values),
        14..=16 => batch_query(values),
        17 => plain(values, "types", "/ngsi-ld/v1/types"),
        18 => plain(values, "attributes", "/ngsi-ld/v1/attributes"),
        _ if values.random.chance(50) => {
            let path = format!("/ngsi-ld/v1/types/{}", values.pick(&TYPES));
            plain(values, "type", &path)
        }
        _ => {
            let path = format!("/ngsi-ld/v1/attributes/{}", values.pick(&ATTRIBUTES));
            plain(values, "attribute", &path)
        }
    }
}

/// A request with these parameters.
pub(crate) fn request(
    operation: &'static str,
    method: Method,
    path: &str,
    mut query: Query,
    headers: Vec<(&'static str, String)>,
) -> Request {
    query.sort_by_key(|(name, _)| *name);
    query.dedup_by_key(|(name, _)| *name);
    let pairs: Vec<String> = query
        .into_iter()
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(&value, NON_ALPHANUMERIC)))
        .collect();
    let path =
        if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) };
    Request { operation, method, path, headers, body: None }
}

fn accept(values: &mut Values) -> (&'static str, String) {
    let wanted = ["application/json", "application/ld+json", "application/geo+json", "*/*"];
    ("accept", values.pick(&wanted).to_owned())
}

/// `GET`, and `HEAD` now and then.
fn reading(values: &mut Values) -> Method {
    if values.random.chance(5) { Method::HEAD } else { Method::GET }
}

fn query(values: &mut Values) -> Request {
    let mut query = if values.random.chance(60) {
        vec![(
            "type",
            values.pick(&["Shelter", "Dog,Lamp", "(Shelter;Bench)|Lamp", "*"]).to_owned(),
        )]
    } else {
        vec![("local", "true".to_owned())]
    };
    query.extend(filters(values, 12));
    query.extend(order(values));
    query.extend(page(values));
    query.extend(view(values, 10));
    let accept = accept(values);
    let method = reading(values);
    request("query", method, "/ngsi-ld/v1/entities", query, vec![accept])
}

fn retrieve(values: &mut Values) -> Request {
    let mut query = view(values, 15);
    if values.random.chance(15) {
        query.push(("type", values.pick(&["Shelter", "Dog,Lamp"]).to_owned()));
    }
    let path = format!("/ngsi-ld/v1/entities/{}", values.id());
    let accept = accept(values);
    let method = reading(values);
    request("retrieve", method, &path, query, vec![accept])
}

fn plain(values: &mut Values, operation: &'static str, path: &str) -> Request {
    let mut query = Query::new();
    for name in names(PARAMETERS, operation) {
        if values.random.chance(25) {
            let value = match name {
                "limit" => values.pick(&["0", "1", "3"]),
                "offset" => values.pick(&["0", "1", "9"]),
                _ => values.pick(&["true", "false"]),
            };
            query.push((name, value.to_owned()));
        }
    }
    let method = reading(values);
    request(operation, method, path, query, Vec::new())
}

/// Conditions, each in so many of 100 times.
pub(crate) fn filters(values: &mut Values, chance: usize) -> Query {
    let mut query = Query::new();
    let mut maybe = |values: &mut Values, name, value: fn(&mut Values) -> String| {
        if values.random.chance(chance) {
            let value = value(values);
            query.push((name, value));
        }
    };
    maybe(values, "id", |values| format!("{},{}", values.id(), values.id()));
    maybe(values, "idPattern", |values| values.pick(&["Thing:1", ".*[2468]$", "x**"]).to_owned());
    maybe(values, "q", q);
    maybe(values, "csf", |_| "endpoint==\"x\"".to_owned());
    maybe(values, "scopeQ", scope_q);
    maybe(values, "expandValues", |values| values.pick(&["kind", "kind,name"]).to_owned());
    maybe(values, "jsonKeys", |values| values.pick(&["raw", "raw,name"]).to_owned());
    maybe(values, "splitEntities", |values| values.pick(&["true", "false"]).to_owned());
    if values.random.chance(chance) {
        let geometry = values.geometry();
        query.push(("georel", georel(values)));
        query.push(("geometry", geometry["type"].as_str().expect("a type").to_owned()));
        query.push(("coordinates", geometry["coordinates"].to_string()));
        if values.random.chance(40) {
            query.push(("geoproperty", values.pick(&["location", "name"]).to_owned()));
        }
    }
    query
}

fn georel(values: &mut Values) -> String {
    let relations = [
        "near;maxDistance==1500",
        "near;minDistance==1500",
        "within",
        "contains",
        "intersects",
        "equals",
        "disjoint",
        "overlaps",
    ];
    values.pick(&relations).to_owned()
}

fn scope_q(values: &mut Values) -> String {
    let more = ["/town/#", "/+/east", "(/town;/sea),/town/west", "/#"];
    if values.random.chance(50) { values.pick(&more) } else { values.pick(&SCOPES) }.to_owned()
}

fn literal(values: &mut Values) -> String {
    match values.random.below(6) {
        0 => values.random.below(5).to_string(),
        1 => "2.5".to_owned(),
        2 => values.pick(&["true", "false"]).to_owned(),
        3 => values.moment(),
        4 => format!("\"{}\"", values.id()),
        _ => values.text().to_string(),
    }
}

fn q(values: &mut Values) -> String {
    if values.random.chance(20) {
        let separator = values.pick(&[";", "|"]);
        return format!("({}){separator}{}", q(values), q(values));
    }
    let name = values.pick(&ATTRIBUTES);
    let path = match values.random.below(8) {
        0 => format!("{name}.accuracy"),
        1 => format!("{name}[a]"),
        2 => format!("{name}.observedAt"),
        3 => values.pick(&["createdAt", "modifiedAt", "label[ja]", "label[*]"]).to_owned(),
        4 => format!("near{{{name}}}"),
        _ => name.to_owned(),
    };
    match values.random.below(8) {
        0 => path,
        1 => format!("!{path}"),
        2 => format!("{path}~=\"^[a-eE]\""),
        3 => format!("{path}!~=\"t$\""),
        4 => format!("{path}==1..3"),
        5 => format!("{path}=={},{}", literal(values), literal(values)),
        _ => {
            let operator = values.pick(&["==", "!=", "<", "<=", ">", ">="]);
            format!("{path}{operator}{}", literal(values))
        }
    }
}

fn order(values: &mut Values) -> Query {
    if !values.random.chance(25) {
        return Query::new();
    }
    let terms =
        ["name", "size;desc", "name.accuracy", "createdAt;desc", "id;desc", "raw[a]", "near"];
    let mut query = vec![("orderBy", values.joined(&terms, ",")), ("local", "true".to_owned())];
    if values.random.chance(40) {
        let geometry = values.geometry();
        query.push(("orderBy", format!("location;dist-{}", values.pick(&["asc", "desc"]))));
        query.push(("orderFrom", geometry["coordinates"].to_string()));
        if geometry["type"] != "Point" || values.random.chance(50) {
            query.push(("orderGeometry", geometry["type"].as_str().expect("a type").to_owned()));
        }
        query.swap_remove(0);
    }
    if values.random.chance(40) {
        let tags = ["ja", "und-u-ks-identic", "de-u-co-phonebk"];
        query.push(("collation", values.pick(&tags).to_owned()));
    }
    query
}

fn page(values: &mut Values) -> Query {
    let mut query = Query::new();
    if values.random.chance(50) {
        query.push(("limit", values.pick(&["0", "1", "2", "5", "1000"]).to_owned()));
    }
    match values.random.below(5) {
        0 => query.push(("offset", values.random.below(8).to_string())),
        1 => query.push(("after", String::new())),
        _ => {}
    }
    if values.random.chance(50) {
        query.push(("count", values.pick(&["true", "false"]).to_owned()));
    }
    query
}

/// How entities are shown, each parameter in so many of 100 times.
fn view(values: &mut Values, chance: usize) -> Query {
    let mut query = Query::new();
    for name in VIEW {
        if values.random.chance(chance) {
            query.push((*name, shown(values, name)));
        }
    }
    query
}

fn shown(values: &mut Values, name: &str) -> String {
    match name {
        "attrs" => values.joined(&ATTRIBUTES, ","),
        "pick" => values.joined(&["id", "type", "name", "near{id,name}", "label", "scope"], ","),
        "omit" => values.joined(&["id", "type", "name", "near{name}", "size"], ","),
        "options" => values.joined(&["sysAttrs", "keyValues", "count"], ","),
        "format" => values.pick(&["normalized", "concise", "simplified", "keyValues"]).to_owned(),
        "lang" => values.pick(&["ja", "en-US,fr;q=0.3", "*"]).to_owned(),
        "join" => values.pick(&["inline", "flat", "@none"]).to_owned(),
        "joinLevel" => values.pick(&["1", "2"]).to_owned(),
        "containedBy" => format!("{},{}", values.id(), values.id()),
        "geometryProperty" => values.pick(&["location", "name"]).to_owned(),
        "entityMapLifetime" => "PT5M".to_owned(),
        "datasetId" => values.joined(&["@none", DATASETS[0], DATASETS[1]], ","),
        _ => values.pick(&["true", "false"]).to_owned(),
    }
}

fn batch_query(values: &mut Values) -> Request {
    let mut body = Map::new();
    body.insert("type".into(), json!("Query"));
    if values.random.chance(70) {
        let mut selector = json!({"type": values.pick(&["Shelter", "Dog,Lamp", "*"])});
        if values.random.chance(20) {
            selector["id"] = json!(values.id());
        }
        if values.random.chance(20) {
            selector["idPattern"] = json!("Thing:1");
        }
        body.insert("entities".into(), json!([selector]));
    } else {
        body.insert("attrs".into(), json!(values.random.at_least_one(&ATTRIBUTES, 2)));
    }
    if values.random.chance(30) {
        body.insert("q".into(), json!(q(values)));
    }
    if values.random.chance(20) {
        body.insert("scopeQ".into(), json!(scope_q(values)));
    }
    if values.random.chance(20) {
        let geometry = values.geometry();
        body.insert(
            "geoQ".into(),
            json!({"georel": georel(values), "geometry": geometry["type"],
                "coordinates": geometry["coordinates"]}),
        );
    }
    for (name, value) in [
        ("pick", json!(["id", "name"])),
        ("omit", json!(["size"])),
        ("lang", json!("ja")),
        ("datasetId", json!(["@none"])),
        ("join", json!("inline")),
        ("expandValues", json!(["kind"])),
        ("jsonKeys", json!(["raw"])),
    ] {
        if values.random.chance(8) {
            body.insert(name.into(), value);
        }
    }
    let mut query = page(values);
    for name in ["options", "format", "sysAttrs", "geometryProperty", "local", "splitEntities"] {
        if values.random.chance(12) {
            query.push((name, shown(values, name)));
        }
    }
    let headers = vec![("content-type", "application/json".to_owned()), accept(values)];
    let path = "/ngsi-ld/v1/entityOperations/query";
    Request {
        body: Some(Value::Object(body)),
        ..request("batch query", Method::POST, path, query, headers)
    }
}
