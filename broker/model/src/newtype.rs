//! The repetitive part of a checked string: one macro, so that each identifier is a few lines.

/// Makes a cheaply cloned, checked string type out of a name, a doc comment and a check.
///
/// The check is a `fn(&str) -> Result<(), Error>`. Every way in passes through it, that of
/// deserialization included.
macro_rules! checked_string {
    ($(#[$meta:meta])* $name:ident, $error:ty, $check:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
        #[serde(try_from = "std::sync::Arc<str>")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The shared text, for a caller that keeps one copy of each.
            pub fn shared(&self) -> &std::sync::Arc<str> {
                &self.0
            }
        }

        impl TryFrom<std::sync::Arc<str>> for $name {
            type Error = $error;

            fn try_from(text: std::sync::Arc<str>) -> Result<Self, Self::Error> {
                let check: fn(&str) -> Result<(), $error> = $check;
                check(&text).map(|()| Self(text))
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::try_from(std::sync::Arc::from(text))
            }
        }

        impl From<$name> for std::sync::Arc<str> {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        crate::newtype::text_traits!($name);
    };
}

/// Makes a checked string type as [`checked_string`] does, of which few different ones are held very
/// often: it is one pointer, and its text is one step further away.
macro_rules! checked_name {
    ($(#[$meta:meta])* $name:ident, $error:ty, $check:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
        #[serde(try_from = "std::sync::Arc<str>")]
        pub struct $name(std::sync::Arc<crate::newtype::Text>);

        impl $name {
            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0.0
            }

            /// The text, for a caller that keeps one copy of each.
            pub fn shared(&self) -> &std::sync::Arc<str> {
                &self.0.0
            }

            /// Whether both are one. Two that are not may be equal.
            pub fn shares_with(&self, other: &Self) -> bool {
                std::sync::Arc::ptr_eq(&self.0, &other.0)
            }

            /// How many there are of this one.
            pub fn holders(&self) -> usize {
                std::sync::Arc::strong_count(&self.0)
            }
        }

        impl TryFrom<std::sync::Arc<str>> for $name {
            type Error = $error;

            fn try_from(text: std::sync::Arc<str>) -> Result<Self, Self::Error> {
                let check: fn(&str) -> Result<(), $error> = $check;
                check(&text).map(|()| Self(std::sync::Arc::new(crate::newtype::Text(text))))
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::try_from(std::sync::Arc::from(text))
            }
        }

        impl From<$name> for std::sync::Arc<str> {
            fn from(value: $name) -> Self {
                value.shared().clone()
            }
        }

        crate::newtype::text_traits!($name);
    };
}

/// The text of a name.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Text(pub(crate) std::sync::Arc<str>);

/// What every type does that is a text.
macro_rules! text_traits {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(self.as_str(), f)
            }
        }
    };
}

pub(crate) use {checked_name, checked_string, text_traits};
