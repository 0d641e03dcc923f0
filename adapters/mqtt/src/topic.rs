//! Topics and topic filters (MQTT 5, section 4.7), and what a topic says about a device.

use std::fmt;
use std::str::FromStr;

/// A topic filter: levels between slashes, of which `+` stands for any one and a last `#` for
/// any number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicFilter(Box<str>);

/// Why a text is no topic filter or no pattern of topic variables.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no topic filter: {reason}")]
pub struct InvalidTopic {
    /// The text, cut to 200 characters.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl InvalidTopic {
    fn new(text: &str, reason: &'static str) -> Self {
        Self { text: text.chars().take(200).collect(), reason }
    }
}

impl TopicFilter {
    /// The filter as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a topic is among those that the filter names. A wildcard at the beginning does
    /// not name the topics of a broker's own that begin with `$`.
    pub fn matches(&self, topic: &str) -> bool {
        if topic.starts_with('$') && !self.0.starts_with('$') {
            return false;
        }
        let mut levels = topic.split('/');
        for wanted in self.0.split('/') {
            match (wanted, levels.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (_, Some(level)) if level == wanted => {}
                (_, _) => return false,
            }
        }
        levels.next().is_none()
    }
}

impl FromStr for TopicFilter {
    type Err = InvalidTopic;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(InvalidTopic::new(text, "it is empty"));
        }
        if text.len() > usize::from(u16::MAX) {
            return Err(InvalidTopic::new(text, "it is longer than 65,535 bytes"));
        }
        if text.contains('\0') {
            return Err(InvalidTopic::new(text, "it holds the character U+0000"));
        }
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            if level.contains('+') && level != "+" {
                return Err(InvalidTopic::new(text, "a + stands for a whole level"));
            }
            if level.contains('#') && (level != "#" || levels.peek().is_some()) {
                return Err(InvalidTopic::new(text, "a # is the whole last level"));
            }
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pattern that gives names to levels of a topic, such as `application/{app}/device/{eui}/#`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicVars {
    levels: Vec<Level>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    Literal(String),
    Variable(String),
    Any,
    Rest,
}

impl TopicVars {
    /// The variables' values in a topic, in the order of the pattern; none if the topic is not
    /// of this form.
    pub fn extract<'a>(&'a self, topic: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        let mut found = Vec::new();
        let mut given = topic.split('/');
        for level in &self.levels {
            match (level, given.next()) {
                (Level::Rest, _) => return Some(found),
                (Level::Any, Some(_)) => {}
                (Level::Variable(name), Some(value)) => found.push((name.as_str(), value)),
                (Level::Literal(text), Some(value)) if text == value => {}
                (_, _) => return None,
            }
        }
        given.next().is_none().then_some(found)
    }

    /// The filter that names exactly the topics of this form.
    pub fn filter(&self) -> String {
        let levels: Vec<&str> = self
            .levels
            .iter()
            .map(|level| match level {
                Level::Literal(text) => text.as_str(),
                Level::Variable(_) | Level::Any => "+",
                Level::Rest => "#",
            })
            .collect();
        levels.join("/")
    }
}

impl FromStr for TopicVars {
    type Err = InvalidTopic;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut levels = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for level in text.split('/') {
            let variable = level.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            levels.push(match (level, variable) {
                (_, Some(name)) => {
                    let word =
                        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                    if name.is_empty() || !word || names.contains(&name) {
                        let reason = "a variable is a word in braces, each word once";
                        return Err(InvalidTopic::new(text, reason));
                    }
                    names.push(name);
                    Level::Variable(name.to_owned())
                }
                ("+", None) => Level::Any,
                ("#", None) => Level::Rest,
                (literal, None) => {
                    if literal.contains(['{', '}']) {
                        let reason = "a variable in braces is a whole level";
                        return Err(InvalidTopic::new(text, reason));
                    }
                    Level::Literal(literal.to_owned())
                }
            });
        }
        let vars = Self { levels };
        vars.filter().parse::<TopicFilter>()?;
        Ok(vars)
    }
}

/// What a topic of the JSON dialect names: `/json/{key}/{device}/attrs`, the same without the
/// first slash, or the older `/{key}/{device}/attrs`; with one more level, a single measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceTopic<'a> {
    /// The key of the group of devices.
    pub key: &'a str,
    /// The device in its group.
    pub device: &'a str,
    /// The measure, when the payload is one bare value.
    pub measure: Option<&'a str>,
}

/// What a topic says about a device, if it is of the JSON dialect.
pub fn device_topic(topic: &str) -> Option<DeviceTopic<'_>> {
    let inner = topic.strip_prefix('/').unwrap_or(topic);
    let mut levels: [&str; 5] = [""; 5];
    let mut count = 0;
    for level in inner.split('/') {
        *levels.get_mut(count)? = level;
        count += 1;
    }
    let (key, device, measure) = match (levels, count) {
        (["json", key, device, "attrs", _], 4) | ([key, device, "attrs", _, _], 3) => {
            (key, device, None)
        }
        (["json", key, device, "attrs", measure], 5) | ([key, device, "attrs", measure, _], 4) => {
            (key, device, Some(measure))
        }
        _ => return None,
    };
    let complete = !key.is_empty() && !device.is_empty() && measure != Some("");
    complete.then_some(DeviceTopic { key, device, measure })
}

/// The filters that name every topic of the JSON dialect with this key.
pub(crate) fn device_filters(key: &str) -> Vec<String> {
    ["/json/", "json/", "/", ""]
        .into_iter()
        .flat_map(|start| [format!("{start}{key}/+/attrs"), format!("{start}{key}/+/attrs/+")])
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(text: &str) -> TopicFilter {
        text.parse().unwrap()
    }

    #[test]
    fn a_filter_names_the_topics_that_the_standard_says() {
        let check = |wanted: &str, topic: &str, matches: bool| {
            assert_eq!(filter(wanted).matches(topic), matches, "{wanted} {topic}");
        };
        check("a/b", "a/b", true);
        check("a/b", "/a/b", false);
        check("a/+", "a/b", true);
        check("a/+", "a", false);
        check("a/+", "a/b/c", false);
        check("+/+", "/finance", true);
        check("+", "/finance", false);
        check("/+", "/finance", true);
        check("a/#", "a", true);
        check("a/#", "a/b/c", true);
        check("#", "a/b", true);
        check("#", "$SYS/uptime", false);
        check("+/uptime", "$SYS/uptime", false);
        check("$SYS/#", "$SYS/uptime", true);
        check("a/+/c", "a//c", true);
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in ["", "a/#/b", "a#", "a+", "a/b+", "+b", "##", "a\0b"] {
            assert!(text.parse::<TopicFilter>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn variables_are_taken_from_the_levels() {
        let vars: TopicVars = "application/{app}/device/{eui}/event/+".parse().unwrap();
        assert_eq!(vars.filter(), "application/+/device/+/event/+");
        assert_eq!(
            vars.extract("application/1/device/0101/event/up"),
            Some(vec![("app", "1"), ("eui", "0101")])
        );
        assert_eq!(vars.extract("application/1/device/0101/event"), None);
        assert_eq!(vars.extract("application/1/device/0101/event/up/x"), None);
        let rest: TopicVars = "tele/{name}/#".parse().unwrap();
        assert_eq!(rest.extract("tele/plug/a/b"), Some(vec![("name", "plug")]));
    }

    #[test]
    fn what_is_no_pattern_of_variables_is_refused() {
        for text in ["", "a/{}", "a/{b c}", "{a}/{a}", "a{b}", "{a", "#/{a}"] {
            assert!(text.parse::<TopicVars>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_device_topic_is_read_with_and_without_slash_and_dialect() {
        let check = |topic: &str, expected: Option<(&str, &str, Option<&str>)>| {
            let found = device_topic(topic).map(|t| (t.key, t.device, t.measure));
            assert_eq!(found, expected, "{topic}");
        };
        check("/json/k/d/attrs", Some(("k", "d", None)));
        check("json/k/d/attrs", Some(("k", "d", None)));
        check("/k/d/attrs", Some(("k", "d", None)));
        check("k/d/attrs", Some(("k", "d", None)));
        check("/json/k/d/attrs/t", Some(("k", "d", Some("t"))));
        check("/k/d/attrs/t", Some(("k", "d", Some("t"))));
        check("json/d/attrs", Some(("json", "d", None)));
        check("json/k/attrs/attrs", Some(("k", "attrs", None)));
        check("//json/k/d/attrs", None);
        check("/json//d/attrs", None);
        check("/json/k//attrs", None);
        check("/json/k/d/attrs/", None);
        check("/json/k/d/cmdexe", None);
        check("/ul/k/d/attrs", None);
        check("", None);
        check("/", None);
        check("/json/k/d/attrs/t/u", None);
    }

    #[test]
    fn the_filters_of_a_key_name_its_topics() {
        let filters: Vec<TopicFilter> = device_filters("k").iter().map(|f| filter(f)).collect();
        for topic in ["/json/k/d/attrs", "json/k/d/attrs/t", "/k/d/attrs", "/k/d/attrs/t"] {
            assert!(filters.iter().any(|filter| filter.matches(topic)), "{topic}");
        }
        assert!(!filters.iter().any(|filter| filter.matches("/json/other/d/attrs")));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_a_panic(text in "\\PC*", topic in "[/+#{}a-cö$]{0,12}") {
            let _ = text.parse::<TopicVars>();
            let _ = device_topic(&text);
            if let Ok(filter) = topic.parse::<TopicFilter>() {
                filter.matches(&text);
                filter.matches(&topic);
            }
            if let Ok(vars) = topic.parse::<TopicVars>() {
                let matches = vars.filter().parse::<TopicFilter>().unwrap().matches(&text);
                if !text.starts_with('$') {
                    prop_assert_eq!(vars.extract(&text).is_some(), matches);
                }
            }
        }
    }
}
