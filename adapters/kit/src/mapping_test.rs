//! The tests of a mapping file: an input, and what it has to become.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::Bytes;
use musubi_context::{Context, expand_entity};
use musubi_model::{EntityFragment, Limits, Node, Timestamp};
use serde_json::Value;

use crate::change_filter::same_tree;
use crate::model_check::short_name;
use crate::sink_http::fragment_json;
use crate::{Input, Mapper, MappingError, MappingFile, MappingTest, Source};

/// The largest file of a test, in bytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// What became of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestOutcome {
    /// The test's name.
    pub name: String,
    /// What differs from what is expected, a sentence each; none if the test passes.
    pub differences: Vec<String>,
}

/// Runs the tests of a mapping file whose items `[[entity]]` maps: each input through filters and
/// entities, compared with the entities of its `expect_file` (one, or an array; none, an empty
/// array, if the item has to become nothing). Terms are expanded by `context`. The time of
/// arrival is 2000-01-01T00:00:00Z. Change filter and broker take no part.
///
/// # Errors
///
/// [`MappingError`] if the file cannot be compiled, or has tests and no `[[entity]]`.
pub fn run_tests(file: &MappingFile, context: &Context) -> Result<Vec<TestOutcome>, MappingError> {
    if file.entities.is_empty() && !file.tests.is_empty() {
        return Err(file.error("[[test]] needs [[entity]]: presets are not tested by a file"));
    }
    let mapper = Mapper::new(file, context)?;
    Ok(file
        .tests
        .iter()
        .map(|test| TestOutcome {
            name: test.name.clone(),
            differences: run(file, &mapper, test, context).unwrap_or_else(|reason| vec![reason]),
        })
        .collect())
}

fn run(
    file: &MappingFile,
    mapper: &Mapper,
    test: &MappingTest,
    context: &Context,
) -> Result<Vec<String>, String> {
    let bytes = read(&file.resolve(&test.input_file))?;
    let message: Value = serde_json::from_slice(&bytes)
        .map_err(|error| format!("{} is not JSON: {error}", test.input_file))?;
    let topic = topic_variables(file, test.topic.as_deref())?;
    let known = |device: &String| file.groups.values().find_map(|group| group.known.get(device));
    let input = Input {
        device: topic.get("device").and_then(known).cloned().unwrap_or_default(),
        topic,
        message,
        arrival: Timestamp::from_seconds(946_684_800),
        origin: test.name.clone(),
        payload: Bytes::from(bytes),
    };
    let expected = expected(&file.resolve(&test.expect_file), &test.expect_file, context)?;
    let found = match mapper.map(&input) {
        Ok(found) => found,
        Err(unmapped) if expected.is_empty() => {
            tracing::debug!("as expected, the input becomes nothing: {unmapped}");
            Vec::new()
        }
        Err(unmapped) => return Err(format!("the input becomes nothing: {unmapped}")),
    };
    Ok(differences(&expected, &found))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let refuse = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    if std::fs::metadata(path).map_err(refuse)?.len() > MAX_BYTES {
        return Err(format!("{} has more than {MAX_BYTES} bytes", path.display()));
    }
    std::fs::read(path).map_err(refuse)
}

/// The levels of the topic that `topic_vars` names.
fn topic_variables(
    file: &MappingFile,
    topic: Option<&str>,
) -> Result<BTreeMap<String, String>, String> {
    let (Source::Mqtt(mqtt), Some(topic)) = (&file.source, topic) else {
        return Ok(BTreeMap::new());
    };
    let Some(pattern) = &mqtt.topic_vars else { return Ok(BTreeMap::new()) };
    let refuse = || format!("the topic {topic:?} does not fit topic_vars {pattern:?}");
    let mut levels = topic.split('/');
    let mut variables = BTreeMap::new();
    for wanted in pattern.split('/') {
        let level = levels.next().ok_or_else(refuse)?;
        let name = wanted.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match name {
            Some(name) => {
                variables.insert(name.to_owned(), level.to_owned());
            }
            None if wanted == level || wanted == "+" => {}
            None => return Err(refuse()),
        }
    }
    if levels.next().is_some() { Err(refuse()) } else { Ok(variables) }
}

fn expected(path: &Path, name: &str, context: &Context) -> Result<Vec<EntityFragment>, String> {
    let refuse = |reason: String| format!("{name}: {reason}");
    let value: Value = serde_json::from_slice(&read(path)?)
        .map_err(|error| refuse(format!("not JSON: {error}")))?;
    let items = if let Value::Array(items) = value { items } else { vec![value] };
    let expand = |item: Value| {
        let text = item.to_string();
        let node =
            Node::parse(&text, Limits::default()).map_err(|error| refuse(error.to_string()))?;
        expand_entity(&node, context).map_err(|error| refuse(error.to_string()))
    };
    items.into_iter().map(expand).collect()
}

fn differences(expected: &[EntityFragment], found: &[EntityFragment]) -> Vec<String> {
    let by_id = |entities: &[EntityFragment]| -> BTreeMap<String, Value> {
        entities
            .iter()
            .map(|entity| {
                let id = entity.id.as_ref().map(ToString::to_string).unwrap_or_default();
                (id, fragment_json(entity))
            })
            .collect()
    };
    let (expected, found) = (by_id(expected), by_id(found));
    let ids: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let mut list = Vec::new();
    for id in ids {
        match (expected.get(id), found.get(id)) {
            (Some(expected), Some(found)) => members(id, expected, found, &mut list),
            (Some(_), None) => list.push(format!("{id} is expected and does not come")),
            (None, _) => list.push(format!("{id} comes and is not expected")),
        }
    }
    list
}

fn members(id: &str, expected: &Value, found: &Value, list: &mut Vec<String>) {
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().into_iter().flat_map(serde_json::Map::keys).cloned().collect()
    };
    for name in names(expected).union(&names(found)) {
        let (wanted, came) = (expected.get(name), found.get(name));
        let same = match (wanted, came) {
            (Some(wanted), Some(came)) => same_tree(wanted, came),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !same {
            let shown =
                |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
            let (wanted, came) = (shown(wanted), shown(came));
            let name = short_name(name);
            list.push(format!("{id} {name}: {wanted} is expected, and {came} comes"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
[source]
kind = "mqtt"
topic_vars = "noise/{device}/up"
[[filter]]
when = "m.port == 2"
[[entity]]
type = "Noise"
id = "urn:ngsi-ld:Noise:${topic.device}"
observed_at = "m.time"
[entity.attr]
level = { expr = "m.level / 10", unit = "2N1" }
[[test]]
name = "normal"
topic = "noise/7/up"
input_file = "in.json"
expect_file = "out.json"
"#;

    fn outcome(text: &str, input: &str, expected: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("in.json"), input).unwrap();
        std::fs::write(folder.path().join("out.json"), expected).unwrap();
        let name = folder.path().join("noise.toml").display().to_string();
        let file = MappingFile::parse(text, &name).unwrap();
        let mut outcomes = run_tests(&file, &Context::core()).unwrap();
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0).differences
    }

    const INPUT: &str = r#"{ "port": 2, "level": 630, "time": "2024-05-01T00:00:00Z" }"#;
    const OUTPUT: &str = r#"{ "id": "urn:ngsi-ld:Noise:7", "type": "Noise", "level": {
        "type": "Property", "value": 63.0, "unitCode": "2N1", "observedAt": "2024-05-01T00:00:00Z"
    } }"#;

    #[test]
    fn a_test_passes_if_the_input_becomes_what_is_expected() {
        assert_eq!(outcome(FILE, INPUT, OUTPUT), Vec::<String>::new());
        let other_port = INPUT.replace("\"port\": 2", "\"port\": 1");
        assert_eq!(outcome(FILE, &other_port, "[]"), Vec::<String>::new());
    }

    #[test]
    fn a_test_fails_with_what_differs() {
        let check = |text: &str, input: &str, expected: &str, words: &str| {
            let differences = outcome(text, input, expected);
            assert!(differences.iter().any(|one| one.contains(words)), "{differences:?}");
        };
        check(FILE, INPUT, &OUTPUT.replace("63.0", "64"), "level");
        check(FILE, INPUT, &OUTPUT.replace("2N1", "2N2"), "level");
        check(FILE, INPUT, &OUTPUT.replace("Noise:7", "Noise:8"), "Noise:8 is expected");
        check(FILE, INPUT, "[]", "not expected");
        check(FILE, "{}", OUTPUT, "becomes nothing");
        check(FILE, "{", OUTPUT, "in.json is not JSON");
        check(FILE, INPUT, "{}", "out.json");
        check(
            &FILE.replace("topic = \"noise/7", "topic = \"other/7"),
            INPUT,
            OUTPUT,
            "does not fit",
        );
        check(&FILE.replace("in.json", "nothing.json"), INPUT, OUTPUT, "cannot be read");
    }
}
