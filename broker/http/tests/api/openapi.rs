//! The description at `/openapi.json`, held against the router that it describes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use http::{Method, Request};
use musubi_http::HttpOptions;
use serde_json::{Map, Value, json};

use crate::support::{Api, ENTITIES, JSON, request};

const WHERE: &str = "entries are in broker/http/src/openapi/<group>.rs, what parameters mean in \
     openapi/parameters.json, what bodies hold in openapi/schemas.json";

/// With a slash at the end, these are requests for something without its id, which are refused.
const WITHOUT_ID: [(&str, &str); 3] = [
    ("/ngsi-ld/v1/entities/", "PATCH"),
    ("/ngsi-ld/v1/entities/", "PUT"),
    ("/ngsi-ld/v1/jsonldContexts/", "DELETE"),
];

/// The document and the server that gave it.
struct Described {
    api: Api,
    document: Value,
}

/// One operation of the document.
#[derive(Clone, Copy)]
struct Endpoint<'d> {
    path: &'d str,
    method: &'d str,
    operation: &'d Value,
}

impl Described {
    async fn new() -> Self {
        let api = server();
        let answer = api.get("/openapi.json").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("content-type"), JSON);
        let document = answer.value();
        Self { api, document }
    }

    fn operations(&self) -> Vec<Endpoint<'_>> {
        let mut all = Vec::new();
        for (path, item) in object(&self.document["paths"]) {
            for (method, operation) in object(item) {
                all.push(Endpoint { path, method, operation });
            }
        }
        all
    }

    /// What a reference leads to, or the value itself.
    fn resolve<'d>(&'d self, value: &'d Value) -> &'d Value {
        match value["$ref"].as_str() {
            None => value,
            Some(reference) => self
                .document
                .pointer(reference.trim_start_matches('#'))
                .unwrap_or_else(|| panic!("{reference} leads nowhere")),
        }
    }

    fn parameters<'d>(&'d self, operation: &'d Value, place: &str) -> Vec<&'d Value> {
        let all = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().map(|one| self.resolve(one)).filter(|one| one["in"] == place).collect()
    }

    /// Checks a value against a schema of the document.
    fn validate(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let whole = json!({ "allOf": [schema], "components": self.document["components"] });
        let validator = jsonschema::draft202012::new(&whole).map_err(|error| error.to_string())?;
        let problems: Vec<String> = validator
            .iter_errors(value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }

    /// The examples of a media type.
    fn examples<'d>(&'d self, media: &'d Value) -> Vec<(&'d str, &'d Value)> {
        let named = media["examples"].as_object().into_iter().flatten();
        let mut all: Vec<_> =
            named.map(|(name, one)| (name.as_str(), &self.resolve(one)["value"])).collect();
        all.extend(media.get("example").map(|value| ("example", value)));
        all
    }

    /// The path with the examples of its parameters in the place of their names, and the query
    /// that is worth trying.
    fn target(&self, one: Endpoint<'_>) -> String {
        let mut target = one.path.to_owned();
        for parameter in self.parameters(one.operation, "path") {
            let name = format!("{{{}}}", parameter["name"].as_str().unwrap());
            assert!(target.contains(&name), "{target} has no {name}");
            target = target.replace(&name, parameter["example"].as_str().unwrap());
        }
        assert!(!target.contains('{'), "{target}: a name in braces has no path parameter");
        let tries = one.operation["x-try"].as_object().cloned().unwrap_or_default();
        for (index, (name, value)) in tries.iter().enumerate() {
            let separator = if index == 0 { '?' } else { '&' };
            let _ = write!(target, "{separator}{name}={}", value.as_str().unwrap());
        }
        target
    }

    /// The first example of the body as `application/json`; empty if there is no body.
    fn body(&self, operation: &Value) -> String {
        let media = &operation["requestBody"]["content"][JSON];
        let first = self.examples(media).first().map(|(_, value)| value.to_string());
        first.unwrap_or_default()
    }
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("{value} is no object"))
}

fn server() -> Api {
    let context = json!({ "@context": { "Shelter": "urn:x:Shelter" } }).to_string();
    let options = HttpOptions {
        page: Some(std::sync::Arc::new(|| "<h1>結び</h1>".to_owned())),
        contexts: vec![("musubi.jsonld".to_owned(), context)],
        ..HttpOptions::default()
    };
    Api::with(options, None)
}

fn sent(method: &str, target: &str, body: String) -> Request<axum::body::Body> {
    let method: Method = method.to_uppercase().parse().unwrap();
    let headers: &[(&str, &str)] = if body.is_empty() { &[] } else { &[("content-type", JSON)] };
    request(method, target, headers, body)
}

/// The routes of the router: each has a counter of its own from the start.
async fn routes(api: &Api) -> BTreeSet<String> {
    let text = api.get("/metrics").await.body;
    let of = |line: &str| {
        let rest = line.strip_prefix("http_request_duration_seconds_count{route=\"")?;
        rest.split_once('"').map(|(route, _)| route.to_owned())
    };
    // Without an id where one belongs, a path leads to a refusal and nothing else.
    let is_described = |route: &String| !route.is_empty() && !route.contains("//");
    text.lines().filter_map(of).filter(is_described).collect()
}

/// The methods of a route, as it says itself.
async fn methods(api: &Api, route: &str) -> BTreeSet<String> {
    let path = route.replace(['{', '}'], "");
    let answer = api.send(request(Method::OPTIONS, &path, &[], "")).await;
    answer.is_problem(405, "InvalidRequest");
    answer.header("allow").split(',').map(|method| method.trim().to_owned()).collect()
}

#[tokio::test]
async fn the_routes_and_methods_are_those_of_the_router() {
    let described = Described::new().await;
    let mut document: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for one in described.operations() {
        document.entry(one.path.to_owned()).or_default().insert(one.method.to_uppercase());
    }
    let routes = routes(&described.api).await;
    assert!(routes.contains("/ngsi-ld/v1/entities/{id}"), "{routes:?}");
    for route in &routes {
        let mut found = methods(&described.api, route).await;
        let bare = route.strip_suffix('/').filter(|bare| routes.contains(*bare));
        if bare.is_some() {
            found.retain(|method| !WITHOUT_ID.contains(&(route, method)));
        }
        let known = document.get(bare.unwrap_or(route)).cloned().unwrap_or_default();
        assert_eq!(
            known, found,
            "{route}: the left is what /openapi.json describes, the right what the router has; \
             {WHERE}"
        );
    }
    let gone: Vec<&String> = document.keys().filter(|path| !routes.contains(*path)).collect();
    assert!(gone.is_empty(), "/openapi.json describes {gone:?}, and the router has none; {WHERE}");
}

/// What an operation says that it knows, when it is asked for something else.
async fn known(described: &Described, one: Endpoint<'_>, query: &str) -> BTreeSet<String> {
    let target = described.target(one);
    let target = target.split('?').next().unwrap_or_default();
    let body = described.body(one.operation);
    let answer = described.api.send(sent(one.method, &format!("{target}?{query}"), body)).await;
    let detail = match serde_json::from_str::<Value>(&answer.body) {
        Ok(problem) => problem["detail"].as_str().unwrap_or_default().to_owned(),
        Err(_) => String::new(),
    };
    match detail.split_once("known are ") {
        None => BTreeSet::new(),
        Some((_, list)) => serde_json::from_str(list).unwrap(),
    }
}

#[tokio::test]
async fn the_parameters_are_those_that_the_operations_know() {
    let described = Described::new().await;
    let mut checked = 0;
    for one in described.operations() {
        if one.method == "head" {
            continue;
        }
        let query = described.parameters(one.operation, "query");
        let documented: BTreeSet<String> =
            query.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        let found = known(&described, one, "nonsense=1").await;
        assert_eq!(
            documented, found,
            "{} {}: the left is what /openapi.json describes, the right what the operation takes; \
             {WHERE}",
            one.method, one.path
        );
        checked += found.len();
        if let Some(options) = query.iter().find(|one| one["name"] == "options") {
            let documented: BTreeSet<String> =
                serde_json::from_value(options["schema"]["items"]["enum"].clone()).unwrap();
            let found = known(&described, one, "options=nonsense").await;
            assert_eq!(documented, found, "{} {}: options; {WHERE}", one.method, one.path);
        }
    }
    assert!(checked > 50, "only {checked} parameters were found");
}

#[tokio::test]
async fn nothing_is_described_that_no_operation_uses() {
    let described = Described::new().await;
    let text = described.document["paths"].to_string();
    for kind in ["parameters", "headers", "responses", "examples"] {
        for name in object(&described.document["components"][kind]).keys() {
            // Problems without a body are made for all, in case a read may have them.
            if name.starts_with("Bare") {
                continue;
            }
            let reference = format!("\"#/components/{kind}/{name}\"");
            let used = text.contains(&reference)
                || described.document["webhooks"].to_string().contains(&reference)
                || described.document["components"]["responses"].to_string().contains(&reference);
            assert!(used, "nothing in the document uses the {kind} {name}");
        }
    }
}

/// Calls `check` on every value in `value`, with where it stands.
fn walk(value: &Value, at: &str, check: &mut dyn FnMut(&str, &Value)) {
    check(at, value);
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                walk(member, &format!("{at}/{name}"), check);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &format!("{at}/{index}"), check);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own() {
    let described = Described::new().await;
    assert_eq!(described.document["openapi"], "3.1.0");
    let mut references = 0;
    walk(&described.document, "", &mut |at, value| {
        if at.contains("/value/") {
            return;
        }
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            references += 1;
            let target = reference.strip_prefix('#').unwrap_or_else(|| panic!("{at}: {reference}"));
            assert!(described.document.pointer(target).is_some(), "{at}: {reference}");
        }
    });
    assert!(references > 300, "{references}");
    let mut names = BTreeSet::new();
    let tags: BTreeSet<&str> = described.document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    for one in described.operations() {
        let place = format!("{} {}", one.method, one.path);
        let name = one.operation["operationId"].as_str().unwrap();
        assert!(names.insert(name), "{place}: {name} is there twice");
        assert!(tags.contains(one.operation["tags"][0].as_str().unwrap()), "{place}");
        assert!(!one.operation["summary"].as_str().unwrap().is_empty(), "{place}");
        assert!(!object(&one.operation["responses"]).is_empty(), "{place}");
        // Every name in braces has its parameter, with an example.
        described.target(one);
    }
}

#[tokio::test]
async fn every_example_is_what_its_schema_says() {
    let described = Described::new().await;
    let mut examples = 0;
    walk(&described.document, "", &mut |at, value| {
        let is_example = at.contains("/value/") || at.contains("/example/");
        let Some(schema) = value.get("schema").filter(|_| !is_example) else { return };
        for (name, example) in described.examples(value) {
            examples += 1;
            let checked = described.validate(schema, example);
            assert!(checked.is_ok(), "{at}: the example {name}: {}", checked.unwrap_err());
        }
    });
    assert!(examples > 50, "{examples}");
}

/// What the examples are about is there.
async fn seed(described: &Described, one: Endpoint<'_>) -> Api {
    let api = server();
    let examples = &described.document["components"]["examples"];
    let id = one.operation["operationId"].as_str().unwrap();
    if !["createEntity", "createEntities"].contains(&id) {
        api.create(&examples["Shelter"]["value"]).await;
        api.create(&examples["Dock"]["value"]).await;
        let mut second = examples["Shelters"]["value"][1].clone();
        second["location"] = examples["Shelter"]["value"]["location"].clone();
        api.create(&second).await;
    }
    if id != "createSubscription" {
        let body = &examples["ShelterSubscription"]["value"];
        assert_eq!(api.post("/ngsi-ld/v1/subscriptions", body).await.status, 201);
    }
    let contexts = "/ngsi-ld/v1/jsonldContexts";
    if routes(&api).await.contains(contexts) {
        let body = &examples["TownContext"]["value"];
        assert_eq!(api.post(contexts, body).await.status, 201);
    }
    api
}

/// Checks that an answer is one of those that the document says may come.
fn check_answer(described: &Described, one: Endpoint<'_>, answer: &crate::support::Answer) {
    let place = format!("{} {}: {} {}", one.method, one.path, answer.status, answer.body);
    let documented = &one.operation["responses"][answer.status.to_string()];
    assert!(!documented.is_null(), "{place}: this status is not described; {WHERE}");
    let documented = described.resolve(documented);
    for (name, header) in documented["headers"].as_object().into_iter().flatten() {
        let required = described.resolve(header)["required"] == true;
        assert!(!required || answer.headers.contains_key(name.as_str()), "{place}: no {name}");
    }
    if answer.body.is_empty() {
        return;
    }
    let media = &documented["content"][answer.header("content-type")];
    assert!(!media.is_null(), "{place}: {} is not described", answer.header("content-type"));
    let value = serde_json::from_str(&answer.body).unwrap_or_else(|_| json!(answer.body));
    let checked = described.validate(&media["schema"], &value);
    assert!(checked.is_ok(), "{place}: {}", checked.unwrap_err());
}

#[tokio::test]
async fn every_example_is_answered_as_the_document_says() {
    let described = Described::new().await;
    let mut succeeded = 0;
    for one in described.operations() {
        let content = &one.operation["requestBody"]["content"][JSON];
        let mut bodies: Vec<String> =
            described.examples(content).iter().map(|(_, body)| body.to_string()).collect();
        if bodies.is_empty() {
            bodies.push(String::new());
        }
        for body in bodies {
            let api = seed(&described, one).await;
            let target = described.target(one);
            let answer = api.send(sent(one.method, &target, body.clone())).await;
            check_answer(&described, one, &answer);
            let tag = one.operation["tags"][0].as_str().unwrap();
            // The id of an instance, or of a map, is not known before it is there.
            let missing = ["Adapters", "Contexts", "Schemas"].contains(&tag)
                || one.path.contains("{instance}")
                || one.path == "/ngsi-ld/v1/entityMaps/{id}";
            let ok = (200..300).contains(&answer.status);
            assert!(
                ok || missing,
                "{} {target} {body}: {} {}",
                one.method,
                answer.status,
                answer.body
            );
            succeeded += usize::from(ok);
        }
    }
    assert!(succeeded > 40, "{succeeded}");
}

#[tokio::test]
async fn entities_are_shown_as_the_document_says_in_every_representation() {
    let described = Described::new().await;
    let all = described.operations();
    let find = |id: &str| {
        *all.iter().find(|one| one.operation["operationId"] == id).unwrap_or_else(|| panic!("{id}"))
    };
    let (query, retrieve) = (find("queryEntities"), find("retrieveEntity"));
    let api = seed(&described, query).await;
    let one = format!("{ENTITIES}/urn:ngsi-ld:EvacuationShelter:musubi-01");
    for parameters in [
        "",
        "&format=concise",
        "&format=simplified",
        "&sysAttrs=true",
        "&options=keyValues,sysAttrs",
        "&lang=en",
        "&pick=name",
        "&join=flat",
        "&join=inline&joinLevel=2",
        "&count=true&limit=1",
    ] {
        for accept in ["application/json", "application/ld+json", "application/geo+json"] {
            let headers = [("accept", accept)];
            let listed = format!("{ENTITIES}?type=*&local=true{parameters}");
            let answer = api.get_with(&listed, &headers).await;
            assert_eq!(answer.status, 200, "{listed}: {}", answer.body);
            check_answer(&described, query, &answer);
            if !parameters.contains("limit") {
                let target = format!("{one}?local=true{parameters}");
                let answer = api.get_with(&target, &headers).await;
                assert_eq!(answer.status, 200, "{target}: {}", answer.body);
                check_answer(&described, retrieve, &answer);
            }
        }
    }
}

/// The document in short: what a reviewer wants to see of a change.
fn outline(described: &Described) -> String {
    let mut text = String::new();
    for one in described.operations().iter().filter(|one| one.method != "head") {
        let names = |place| -> Vec<&str> {
            let all = described.parameters(one.operation, place);
            all.iter().map(|one| one["name"].as_str().unwrap()).collect()
        };
        let name = one.operation["operationId"].as_str().unwrap();
        let _ = writeln!(text, "{} {} ({name})", one.method.to_uppercase(), one.path);
        for place in ["query", "header"] {
            let names = names(place);
            if !names.is_empty() {
                let _ = writeln!(text, "  {place}: {}", names.join(" "));
            }
        }
        let media = |content: &Value| {
            let of = |(name, media): (&String, &Value)| {
                let schema = media["schema"]["$ref"].as_str().unwrap_or_default();
                format!("{name} {}", schema.rsplit('/').next().unwrap_or_default())
            };
            content.as_object().into_iter().flatten().map(of).collect::<Vec<_>>().join(", ")
        };
        let body = media(&one.operation["requestBody"]["content"]);
        if !body.is_empty() {
            let _ = writeln!(text, "  body: {body}");
        }
        let mut failures = Vec::new();
        for (status, answer) in object(&one.operation["responses"]) {
            if answer.get("$ref").is_some() {
                failures.push(status.as_str());
            } else {
                let _ = writeln!(text, "  {status}: {}", media(&answer["content"]));
            }
        }
        let _ = writeln!(text, "  problems: {}", failures.join(" "));
    }
    for (name, schema) in object(&described.document["components"]["schemas"]) {
        let members: Vec<&String> =
            schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name).collect();
        let members = members.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ");
        let _ = writeln!(text, "schema {name}: {members}");
    }
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_outline_of_the_document_is_the_one_that_was_reviewed() {
    insta::assert_snapshot!(outline(&Described::new().await));
}

#[tokio::test]
async fn the_page_for_people_runs_nothing_but_its_own_script() {
    let api = server();
    let answer = api.get("/docs").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    let nonce = policy.split_once("script-src 'nonce-").unwrap().1.split_once('\'').unwrap().0;
    assert!(nonce.len() >= 32, "{policy}");
    assert_eq!(answer.body.matches("<script").count(), 1);
    assert!(answer.body.contains(&format!("<script nonce=\"{nonce}\">")));
    let again = api.get("/docs").await;
    assert!(!again.header("content-security-policy").contains(nonce), "the number is used twice");
    assert!(answer.body.contains("/openapi.json"));
}
