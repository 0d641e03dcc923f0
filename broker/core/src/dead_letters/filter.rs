//! Which dead letters are meant, and in which order they are replayed.

use musubi_model::{Sequence, Timestamp};
use musubi_store::Record;
use serde::Deserialize;

use crate::seal::Places;

/// Which dead letters are meant: those that fit everything that is given. Without anything, all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// Those of this subscription.
    pub subscription: Option<String>,
    /// Those of this adapter.
    pub adapter: Option<String>,
    /// Those that were given up before.
    pub before: Option<Timestamp>,
}

/// What has to be known of a letter to choose it: a few members of what it holds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Envelope {
    at: Option<Moment>,
    subscription: Option<String>,
    adapter: Option<String>,
    sequence: Option<u64>,
}

/// A moment, as the notifier and as adapters write it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Moment {
    Micros(i64),
    Text(String),
}

impl Moment {
    fn timestamp(&self) -> Option<Timestamp> {
        match self {
            Self::Micros(micros) => Some(Timestamp::from_micros(*micros)),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

fn envelope(record: &Record) -> Envelope {
    // A letter that is no JSON, or of another form, is of nobody and of no time.
    serde_json::from_slice(&record.value).unwrap_or_default()
}

impl LetterFilter {
    /// Those that were given up before this moment.
    pub fn before(moment: Timestamp) -> Self {
        Self { before: Some(moment), ..Self::default() }
    }

    /// Whether a letter is meant.
    pub(super) fn admits(&self, record: &Record) -> bool {
        self.is_open() || self.fits(&envelope(record))
    }

    fn is_open(&self) -> bool {
        *self == Self::default()
    }

    fn fits(&self, letter: &Envelope) -> bool {
        let same =
            |wanted: &Option<String>, given: &Option<String>| wanted.is_none() || wanted == given;
        let at = letter.at.as_ref().and_then(Moment::timestamp);
        same(&self.subscription, &letter.subscription)
            && same(&self.adapter, &letter.adapter)
            && self.before.is_none_or(|before| at.is_some_and(|at| at < before))
    }

    /// Where a letter stands in the order of replaying; none if it is not meant.
    pub(super) fn place(&self, record: &Record) -> Option<Place> {
        let envelope = envelope(record);
        self.fits(&envelope).then(|| Place {
            sequence: Sequence(envelope.sequence.unwrap_or_default()),
            at: envelope.at.and_then(|at| at.timestamp()).unwrap_or_default(),
            id: record.key.key.clone(),
        })
    }
}

/// Where a letter stands among those that are replayed: in the order of the changes, so that the
/// receiver hears of one entity in the order in which it changed, and then of their times.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    sequence: Sequence,
    at: Timestamp,
    pub(super) id: String,
}

impl Place {
    /// The place as a cursor has it.
    pub(super) fn cursor(&self, places: &Places) -> String {
        format!("{}:{}:{}", places.name(self.sequence), self.at.as_micros(), self.id)
    }

    /// The place of a cursor that was sealed so.
    pub(super) fn from_cursor(cursor: &str, places: &Places) -> Option<Self> {
        let mut parts = cursor.splitn(3, ':');
        let sequence = places.open(parts.next()?)?;
        let at = Timestamp::from_micros(parts.next()?.parse().ok()?);
        Some(Self { sequence, at, id: parts.next()?.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use musubi_model::{Revision, Tenant};
    use musubi_store::{RecordKey, RecordKind};
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::Seal;

    fn letter(value: &Value) -> Record {
        let key = "letter:1".to_owned();
        let key = RecordKey { kind: RecordKind::DeadLetter, tenant: Tenant::default(), key };
        Record { key, revision: Revision(1), value: Arc::from(value.to_string().as_bytes()) }
    }

    #[test]
    fn a_letter_fits_if_all_that_is_asked_fits() {
        let moment = Timestamp::from_seconds(100);
        let sent = letter(&json!({ "subscription": "urn:x:s", "at": 100_000_000, "sequence": 7 }));
        let mapped = letter(&json!({ "adapter": "mqtt", "at": "1970-01-01T00:01:40Z" }));
        let odd = letter(&json!([1, 2]));
        let of = |text: &str| LetterFilter {
            subscription: Some(text.to_owned()),
            ..LetterFilter::default()
        };
        for record in [&sent, &mapped, &odd] {
            assert!(LetterFilter::default().admits(record));
        }
        assert!(of("urn:x:s").admits(&sent) && !of("urn:x:t").admits(&sent));
        assert!(!of("urn:x:s").admits(&mapped) && !of("urn:x:s").admits(&odd));
        let mqtt = LetterFilter { adapter: Some("mqtt".to_owned()), ..LetterFilter::default() };
        assert!(mqtt.admits(&mapped) && !mqtt.admits(&sent));
        let later = Timestamp::from_seconds(101);
        for record in [&sent, &mapped] {
            assert!(!LetterFilter::before(moment).admits(record), "that moment is not before it");
            assert!(LetterFilter::before(later).admits(record));
        }
        assert!(!LetterFilter::before(later).admits(&odd), "what has no time is not old");
    }

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let sent = letter(&json!({ "subscription": "urn:x:s", "at": -3, "sequence": 7 }));
        let place = LetterFilter::default().place(&sent).unwrap();
        let of = |tenant: &str| Seal::new(&Uuid::from_u128(7), &tenant.parse().unwrap()).places();
        let (kyoto, nara) = (of("kyoto"), of("nara"));
        let cursor = place.cursor(&kyoto);
        let sealed = kyoto.name(Sequence(7));
        assert_eq!(cursor, format!("{sealed}:-3:letter:1"));
        assert_eq!(Place::from_cursor(&cursor, &kyoto), Some(place));
        assert_eq!(Place::from_cursor(&cursor, &nara), None);
        let missing = [sealed.clone(), format!("{sealed}:3"), format!("{sealed}:x:a")];
        for malformed in missing.iter().map(String::as_str).chain(["", "7:3:a", "x:3:a"]) {
            assert_eq!(Place::from_cursor(malformed, &kyoto), None, "{malformed}");
        }
    }
}
