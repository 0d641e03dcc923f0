//! How texts are compared (CIM 009, clause 4.23.3; RFC 6067; UTS 35, part 5).

use std::fmt;
use std::sync::{Arc, OnceLock};

use icu_collator::options::{AlternateHandling, CaseLevel, CollatorOptions, MaxVariable, Strength};
use icu_collator::{CollatorBorrowed, CollatorPreferences};
use icu_locale_core::Locale;
use icu_locale_core::extensions::private::Subtag;
use icu_locale_core::extensions::unicode::Value;
use icu_locale_core::preferences::extensions::unicode::keywords::{
    CollationCaseFirst, CollationNumericOrdering, CollationType,
};

use crate::InvalidQuery;
use crate::cursor::Cursor;

/// A collation: an order of texts that suits the readers of a language. The default is that of
/// the root of the Common Locale Data Repository, which suits no language in particular.
// None is the default: every query has a collation, and most of them need none.
#[derive(Clone, Default)]
pub struct Collation(Option<Arc<Tailored>>);

/// A collation that a request asks for.
struct Tailored {
    tag: Box<str>,
    /// None: by code point.
    collator: Option<CollatorBorrowed<'static>>,
}

impl Collation {
    /// The longest tag, in bytes.
    const MAX_BYTES: usize = 200;

    /// Reads the parameter `collation`: a language tag (BCP 47), which may say more about the
    /// order in its extension `u` (RFC 6067), such as `ja`, `de-u-co-phonebk` or
    /// `und-u-ks-identic`.
    ///
    /// Known keys are `co`, `kf`, `kn`, `ks`, `ka`, `kv`, `kc` and `kk`. A language without an
    /// order of its own has that of the root. The names that PostgreSQL gives, such as
    /// `und-x-icu`, are accepted as well, and `und-x-binary` is the order by code point.
    ///
    /// # Errors
    ///
    /// [`InvalidQuery`] if it is no language tag, or has a key or a value that is not known.
    pub fn parse(text: &str) -> Result<Self, InvalidQuery> {
        let start = Cursor::unlimited("collation", text);
        if text.len() > Self::MAX_BYTES {
            return Err(start.error("a language tag is not as long as that"));
        }
        let locale = Locale::try_from_str(text).map_err(|_| {
            start.error(
                "a language tag such as ja, und-u-ks-identic or de-u-co-phonebk was expected",
            )
        })?;
        if private_use(&locale).map_err(|reason| start.error(reason))? == PrivateUse::CodePoint {
            return Ok(Self::tailored(CODE_POINT.to_owned(), None));
        }
        let options = options(&locale).map_err(|reason| start.error(reason))?;
        let collator = CollatorBorrowed::try_new(CollatorPreferences::from(&locale), options)
            .map_err(|error| start.error(format!("this collation is not available: {error}")))?;
        let mut tag = locale;
        tag.extensions.private.clear();
        Ok(Self::tailored(tag.to_string(), Some(collator)))
    }

    fn tailored(tag: String, collator: Option<CollatorBorrowed<'static>>) -> Self {
        Self(Some(Arc::new(Tailored { tag: tag.into(), collator })))
    }

    /// The language tag.
    pub fn tag(&self) -> &str {
        self.0.as_ref().map_or("und", |tailored| &tailored.tag)
    }

    /// Bytes that compare as the texts do.
    pub(super) fn key(&self, text: &str) -> Box<[u8]> {
        let collator = match &self.0 {
            None => root(),
            Some(tailored) => tailored.collator.as_ref(),
        };
        let Some(collator) = collator else { return text.as_bytes().into() };
        let mut key = Vec::with_capacity(text.len() * 2 + 8);
        // Writing into memory cannot fail.
        let Ok(()) = collator.write_sort_key_to(text, &mut key);
        key.into()
    }
}

/// The order by code point, for which no data is needed.
const CODE_POINT: &str = "und-x-binary";

#[derive(PartialEq, Eq)]
enum PrivateUse {
    Nothing,
    CodePoint,
}

fn private_use(locale: &Locale) -> Result<PrivateUse, String> {
    let mut subtags = locale.extensions.private.iter().map(Subtag::as_str);
    match (subtags.next(), subtags.next()) {
        (None | Some("icu"), None) => Ok(PrivateUse::Nothing),
        (Some("binary"), None) if locale.to_string() == CODE_POINT => Ok(PrivateUse::CodePoint),
        _ => Err("of private subtags, x-icu and und-x-binary alone are known".to_owned()),
    }
}

/// What the extension `u` says. The three keys that the collator reads itself are looked at all
/// the same, because it passes over what it does not know.
fn options(locale: &Locale) -> Result<CollatorOptions, String> {
    let extensions = &locale.extensions;
    if !extensions.transform.is_empty() || !extensions.other.is_empty() {
        return Err("of extensions, u alone is known".to_owned());
    }
    let mut options = CollatorOptions::default();
    for (key, value) in extensions.unicode.keywords.iter() {
        let text = value.to_string();
        let is_known = match key.as_str() {
            "co" => CollationType::try_from(value).is_ok(),
            "kf" => CollationCaseFirst::try_from(value).is_ok(),
            "kn" => CollationNumericOrdering::try_from(value).is_ok() || is_true(value),
            // Texts are always normalized.
            "kk" => matches!(text.as_str(), "" | "true" | "false"),
            "ks" => set(&mut options.strength, strength(&text)),
            "ka" => set(&mut options.alternate_handling, alternate_handling(&text)),
            "kv" => set(&mut options.max_variable, max_variable(&text)),
            "kc" => set(&mut options.case_level, case_level(&text)),
            other => return Err(format!("the key {other} of a collation is not known")),
        };
        if !is_known {
            return Err(format!("{text:?} is no value of the key {}", key.as_str()));
        }
    }
    Ok(options)
}

fn is_true(value: &Value) -> bool {
    value.is_empty()
}

/// Whether there is a value to set.
fn set<T>(option: &mut Option<T>, value: Option<T>) -> bool {
    *option = value;
    option.is_some()
}

fn strength(text: &str) -> Option<Strength> {
    match text {
        "level1" => Some(Strength::Primary),
        "level2" => Some(Strength::Secondary),
        "level3" => Some(Strength::Tertiary),
        "level4" => Some(Strength::Quaternary),
        "identic" => Some(Strength::Identical),
        _ => None,
    }
}

fn alternate_handling(text: &str) -> Option<AlternateHandling> {
    match text {
        "noignore" => Some(AlternateHandling::NonIgnorable),
        "shifted" => Some(AlternateHandling::Shifted),
        _ => None,
    }
}

fn max_variable(text: &str) -> Option<MaxVariable> {
    match text {
        "space" => Some(MaxVariable::Space),
        "punct" => Some(MaxVariable::Punctuation),
        "symbol" => Some(MaxVariable::Symbol),
        "currency" => Some(MaxVariable::Currency),
        _ => None,
    }
}

fn case_level(text: &str) -> Option<CaseLevel> {
    match text {
        "" | "true" => Some(CaseLevel::On),
        "false" => Some(CaseLevel::Off),
        _ => None,
    }
}

/// The collator of the default.
fn root() -> Option<&'static CollatorBorrowed<'static>> {
    static ROOT: OnceLock<Option<CollatorBorrowed<'static>>> = OnceLock::new();
    let root = || {
        let preferences = CollatorPreferences::default();
        CollatorBorrowed::try_new(preferences, CollatorOptions::default()).ok()
    };
    ROOT.get_or_init(root).as_ref()
}

impl PartialEq for Collation {
    fn eq(&self, other: &Self) -> bool {
        self.tag() == other.tag()
    }
}

impl Eq for Collation {}

impl fmt::Debug for Collation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.tag(), f)
    }
}
