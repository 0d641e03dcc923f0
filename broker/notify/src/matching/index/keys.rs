//! The keys under which subscriptions stand: hashes, so that all of them are alike and small. The
//! seed is another one in each process, so that nobody can make many fall together on purpose.

use std::hash::{BuildHasher, Hash};

use musubi_model::AttrName;
use musubi_query::{AttributePath, Axis, Mark};

use super::places::{Key, Places, Prefix, Subject};

impl Places {
    fn hash(&self, value: impl Hash) -> Key {
        self.seed.hash_one(value)
    }

    pub(super) fn prefix(&self, (subject, watched): Prefix<'_>) -> Key {
        self.watching(self.hash(subject), watched)
    }

    /// A prefix, of which the hash of the subject is known.
    pub(super) fn watching(&self, subject: Key, watched: Option<&AttrName>) -> Key {
        self.hash((subject, watched))
    }

    pub(super) fn subject(&self, subject: Subject<'_>) -> Key {
        self.hash(subject)
    }

    pub(super) fn path(&self, path: &AttributePath) -> Key {
        self.hash((&path.names, &path.members))
    }

    /// A path within a prefix.
    pub(super) fn within(&self, prefix: Key, path: Key) -> Key {
        self.hash((prefix, path))
    }

    pub(super) fn value(&self, within: Key, mark: &Mark<'_>) -> Key {
        match mark {
            Mark::Number(number) => self.hash((within, 0_u8, number.to_bits())),
            Mark::Text(text) => self.hash((within, 1_u8, text)),
            Mark::Boolean(boolean) => self.hash((within, 2_u8, boolean)),
            Mark::Time(axis, at) => self.hash((within, 3_u8, axis, at.as_micros())),
        }
    }

    pub(super) fn threshold(&self, within: Key, axis: Axis) -> Key {
        self.hash((within, 4_u8, axis))
    }

    pub(super) fn presence(&self, within: Key) -> Key {
        self.hash((within, 5_u8))
    }

    pub(super) fn location(&self, prefix: Key, name: &AttrName) -> Key {
        self.hash((prefix, 6_u8, name))
    }

    pub(super) fn scope(&self, prefix: Key, scope: &str) -> Key {
        self.hash((prefix, 7_u8, scope))
    }

    pub(super) fn scope_below(&self, prefix: Key, scope: &str) -> Key {
        self.hash((prefix, 8_u8, scope))
    }

    pub(super) fn beginning(&self, prefix: Key, bytes: &[u8]) -> Key {
        self.hash((prefix, 9_u8, bytes))
    }
}
