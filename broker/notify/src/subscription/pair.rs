//! Keys and values (CIM 009, clause 5.2.22).

use std::fmt;

use musubi_model::Document;
use serde::{Deserialize, Serialize};

use super::InvalidSubscription;
use super::member::Member;

/// A key and a value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyValue {
    pub(crate) key: String,
    pub(crate) value: String,
}

// A log may say which key, and no more: the value may be a secret.
impl fmt::Debug for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: …", self.key)
    }
}

/// The most pairs of a list.
const MAX_PAIRS: usize = 50;

/// The longest key, in bytes.
const MAX_KEY: usize = 256;

/// The longest value, in bytes.
const MAX_VALUE: usize = 8192;

/// The pairs of a list.
pub(super) fn read_pairs(member: &Member<'_>) -> Result<Vec<KeyValue>, InvalidSubscription> {
    let Document::Array(items) = &member.node.document else {
        return Err(member.refuse("an array is needed"));
    };
    if items.len() > MAX_PAIRS {
        return Err(member.refuse(format_args!("at most {MAX_PAIRS} pairs are allowed")));
    }
    let mut pairs = Vec::new();
    for (i, node) in items.iter().enumerate() {
        let item = Member::new(&member.at, &i.to_string(), node);
        let (mut key, mut text) = (None, None);
        for (name, value) in item.members()? {
            match name {
                "key" => key = Some(bounded(&value, MAX_KEY)?),
                "value" => text = Some(bounded(&value, MAX_VALUE)?),
                _ => return Err(value.refuse("a pair has a key and a value and nothing else")),
            }
        }
        let key = key.ok_or_else(|| item.missing("key"))?;
        let value = text.ok_or_else(|| item.missing("value"))?;
        pairs.push(KeyValue { key, value });
    }
    Ok(pairs)
}

fn bounded(member: &Member<'_>, most: usize) -> Result<String, InvalidSubscription> {
    let text = member.text()?;
    if text.len() > most {
        return Err(member.refuse(format_args!("at most {most} bytes are allowed")));
    }
    Ok(text.to_owned())
}
