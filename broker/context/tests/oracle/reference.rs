//! The `json-ld` crate as the reference.

use std::collections::HashMap;
use std::sync::LazyLock;

use json_ld::rdf_types::vocabulary::no_vocabulary;
use json_ld::syntax::{IntoJsonWithContext, Parse, Value as LdValue};
use json_ld::{IriBuf, JsonLdProcessor, RemoteDocument};
use musubi_context::ContextError;
use serde_json::{Value, json};

/// The context that the core context names for proofs. Nothing here is inside a proof.
const DATA_INTEGRITY_URL: &str = "https://w3id.org/security/data-integrity/v2";

const HAS_VOCAB: &str = "https://uri.etsi.org/ngsi-ld/hasVocab";

static CORE: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../src/core-v1.9.jsonld");
    let document: Value = serde_json::from_str(text).unwrap();
    document["@context"].clone()
});

/// The core context without its protection, which would refuse a user context that defines a term
/// of the core, where NGSI-LD says that the core wins.
static OPEN_CORE: LazyLock<Value> = LazyLock::new(|| {
    let mut core = CORE.clone();
    core.as_object_mut().unwrap().remove("@protected");
    core["ngsildproof"].as_object_mut().unwrap().remove("@context");
    core
});

/// `[core, user, core]`; where the user context begins anew with null, the core is there again.
fn surrounded(context: &Value) -> Value {
    let pieces = context.as_array().cloned().unwrap_or_else(|| vec![context.clone()]);
    let mut all = vec![OPEN_CORE.clone()];
    for piece in pieces {
        let is_reset = piece.is_null();
        all.push(piece);
        if is_reset {
            all.push(OPEN_CORE.clone());
        }
    }
    all.push(OPEN_CORE.clone());
    Value::Array(all)
}

/// The expanded form of the one node in a body.
pub(crate) fn expand(context: &Value, body: &Value) -> Result<Value, String> {
    let mut document = body.clone();
    document["@context"] = surrounded(context);
    let nodes = expanded(&document)?;
    nodes.as_array().and_then(|nodes| nodes.first()).cloned().ok_or("it has no node".to_owned())
}

/// What each of some texts stands for as a term of the vocabulary; none if it is no IRI.
pub(crate) fn texts(context: &Value, texts: &[&str]) -> Result<Vec<Option<String>>, String> {
    vocabulary(&surrounded(context), texts)
}

/// The same with the core context, as it is published, behind the user context alone.
pub(crate) fn texts_before_core(
    context: &Value,
    texts: &[&str],
) -> Result<Vec<Option<String>>, String> {
    let mut pieces = context.as_array().cloned().unwrap_or_else(|| vec![context.clone()]);
    pieces.push(CORE.clone());
    vocabulary(&Value::Array(pieces), texts)
}

fn vocabulary(context: &Value, texts: &[&str]) -> Result<Vec<Option<String>>, String> {
    let id = |index: usize| format!("urn:text:{index}");
    let nodes: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| json!({"@id": id(index), "vocab": text}))
        .collect();
    let expanded = expanded(&json!({"@context": context, "@graph": nodes}))?;
    let graph = expanded.as_array().cloned().unwrap_or_default();
    let found = |index: usize| {
        let node = graph.iter().find(|node| node["@id"] == id(index).as_str());
        let name = node.and_then(|node| node[HAS_VOCAB][0]["@id"].as_str());
        // What the crate can make nothing of, it keeps as it is.
        name.filter(|name| IriBuf::new((*name).to_owned()).is_ok()).map(str::to_owned)
    };
    Ok((0..texts.len()).map(found).collect())
}

/// Whether JSON-LD says with us, and against the crate, that a context is not valid.
pub(crate) fn should_refuse(error: &ContextError) -> bool {
    let reason = error.to_string();
    // What a term stands for is a keyword, an IRI or a blank node (JSON-LD 1.1 API, clause 4.2.2,
    // step 14.2.3); the crate takes null as well.
    reason.contains("its @id stands for nothing")
        // What is relative to nothing, neither a vocabulary nor a base, is no IRI (clause 4.1.2,
        // step 5.8.3); the crate keeps it as the vocabulary, and loses the names that it gives.
        || reason.contains("@vocab is no IRI: \"#\"")
}

fn expanded(document: &Value) -> Result<Value, String> {
    let (value, _) = LdValue::parse_str(&document.to_string()).map_err(|e| e.to_string())?;
    let document = RemoteDocument::new(None, None, value);
    let (proofs, _) = LdValue::parse_str(r#"{"@context": {}}"#).map_err(|e| e.to_string())?;
    let url = || IriBuf::new(DATA_INTEGRITY_URL.to_owned()).unwrap();
    let loader = HashMap::from([(url(), RemoteDocument::new(Some(url()), None, proofs))]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let expanded = runtime.block_on(document.expand(&loader)).map_err(|e| format!("{e:?}"))?;
    let read = |text: &str| serde_json::from_str::<Value>(text).map_err(|e| e.to_string());
    expanded
        .into_iter()
        .map(|node| read(&node.into_json_with(no_vocabulary()).to_string()))
        .collect()
}
