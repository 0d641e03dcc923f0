//! The repetitive part of a checked string: one macro, so that each identifier is a few lines.

/// Makes a cheaply cloned, checked string type out of a name, a doc comment and a check.
///
/// The check is a `fn(&str) -> Result<(), Error>`. Every way in passes through it, that of
/// deserialization included.
macro_rules! checked_string {
    ($(#[$meta:meta])* $name:ident, $error:ty, $check:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "std::sync::Arc<str>", into = "std::sync::Arc<str>")]
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

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

pub(crate) use checked_string;
