//! Devices that sent something and are not known, for a person to look at.

use std::collections::BTreeMap;

use musubi_adapter_kit::StateWrite;
use musubi_model::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// The most devices that are listed. Others are counted and become dead letters all the same.
const MAX_DEVICES: usize = 10_000;

/// The longest key and device that are listed, in bytes together.
const MAX_BYTES: usize = 1000;

/// How long a change of the list may stay in memory only.
const WRITE_AFTER: i64 = 60_000_000;

/// What the keys of the adapter's memory begin with.
pub(crate) const PREFIX: &str = "unknown/";

/// A device that is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UnknownDevice {
    /// The key of its group.
    pub(crate) group: String,
    /// Its name in its topic.
    pub(crate) device: String,
    /// When it was first heard, in RFC 3339.
    pub(crate) first_seen: String,
    /// When it was last heard, in RFC 3339.
    pub(crate) last_seen: String,
    /// How many messages it sent.
    pub(crate) messages: u64,
}

/// The list of them: in memory, and from time to time in the adapter's memory in the store.
#[derive(Debug, Default)]
pub(crate) struct UnknownDevices {
    listed: Mutex<BTreeMap<(String, String), Listed>>,
}

#[derive(Debug)]
struct Listed {
    device: UnknownDevice,
    written: Timestamp,
}

impl UnknownDevices {
    /// Notes a message, and answers what is to be remembered with it, if it is time.
    pub(crate) fn note(&self, group: &str, device: &str, at: Timestamp) -> Option<StateWrite> {
        if group.len() + device.len() > MAX_BYTES {
            return None;
        }
        let key = (group.to_owned(), device.to_owned());
        let mut listed = self.listed.lock();
        if !listed.contains_key(&key) && listed.len() >= MAX_DEVICES {
            return None;
        }
        let entry = listed.entry(key).or_insert_with(|| Listed {
            device: UnknownDevice {
                group: group.to_owned(),
                device: device.to_owned(),
                first_seen: at.to_string(),
                last_seen: at.to_string(),
                messages: 0,
            },
            written: at,
        });
        entry.device.messages += 1;
        entry.device.last_seen = at.to_string();
        let waited = at.as_micros().saturating_sub(entry.written.as_micros());
        // The message that was written with may come again, if the write failed.
        if waited != 0 && waited < WRITE_AFTER {
            return None;
        }
        entry.written = at;
        let value = serde_json::to_vec(&entry.device).ok()?;
        Some(StateWrite { key: format!("{PREFIX}{group}/{device}"), value: Some(value.into()) })
    }

    /// Takes up what was remembered.
    pub(crate) fn remember(&self, value: &[u8]) {
        let Ok(device) = serde_json::from_slice::<UnknownDevice>(value) else { return };
        let mut listed = self.listed.lock();
        if listed.len() >= MAX_DEVICES {
            return;
        }
        let written = device.last_seen.parse().unwrap_or_default();
        listed
            .entry((device.group.clone(), device.device.clone()))
            .or_insert(Listed { device, written });
    }

    /// The devices, by group and name, at most so many.
    pub(crate) fn list(&self, limit: usize) -> Vec<UnknownDevice> {
        self.listed.lock().values().take(limit).map(|listed| listed.device.clone()).collect()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.listed.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_remembered_at_once_and_then_from_time_to_time() {
        let devices = UnknownDevices::default();
        let at = |seconds: i64| Timestamp::from_seconds(1_700_000_000 + seconds);
        let write = devices.note("g", "d", at(0)).unwrap();
        assert_eq!(write.key, "unknown/g/d");
        assert!(devices.note("g", "d", at(0)).is_some());
        assert!(devices.note("g", "d", at(30)).is_none());
        assert!(devices.note("g", "d", at(60)).is_some());
        assert_eq!(devices.list(10)[0].messages, 4);

        let again = UnknownDevices::default();
        again.remember(&write.value.unwrap());
        again.remember(b"not json");
        assert_eq!(again.list(10)[0].device, "d");
    }

    #[test]
    fn the_list_is_bounded() {
        let devices = UnknownDevices::default();
        for number in 0..MAX_DEVICES + 5 {
            devices.note("g", &number.to_string(), Timestamp::default());
        }
        devices.note("g", &"x".repeat(MAX_BYTES), Timestamp::default());
        assert_eq!(devices.count(), MAX_DEVICES);
        assert_eq!(devices.list(3).len(), 3);
    }
}
