//! What a notification holds (CIM 009, clause 5.2.14).

use musubi_context::{Context, Form};
use musubi_model::AttrName;
use musubi_view::{Join, JoinForm, Projection};
use serde::{Deserialize, Serialize};

use super::InvalidSubscription;
use super::endpoint::Endpoint;
use super::member::Member;

/// What a notification holds and where it goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NotificationParameters {
    /// Only these attributes; empty for all.
    pub(crate) attributes: Vec<AttrName>,
    /// `pick` and `omit`.
    #[serde(default, skip_serializing_if = "Projection::is_whole")]
    pub(crate) projection: Projection,
    pub(crate) format: Option<Format>,
    #[serde(default)]
    pub(crate) show_changes: Option<bool>,
    pub(crate) system_attributes: Option<bool>,
    #[serde(default)]
    pub(super) join: Option<JoinWord>,
    #[serde(default)]
    pub(super) join_level: Option<u16>,
    pub(crate) endpoint: Endpoint,
}

/// The representation of the entities, as the client named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Format {
    Normalized,
    Concise,
    Simplified,
    KeyValues,
}

impl Format {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Normalized => "normalized",
            Self::Concise => "concise",
            Self::Simplified => "simplified",
            Self::KeyValues => "keyValues",
        }
    }

    pub(crate) fn form(self) -> Form {
        match self {
            Self::Normalized => Form::Normalized,
            Self::Concise => Form::Concise,
            Self::Simplified | Self::KeyValues => Form::Simplified,
        }
    }
}

/// Whether and how linked entities come along (CIM 009, clause 4.5.23), as the client said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum JoinWord {
    None,
    Flat,
    Inline,
}

impl JoinWord {
    pub(super) fn as_str(self) -> &'static str {
        self.form().map_or("@none", JoinForm::as_str)
    }

    fn form(self) -> Option<JoinForm> {
        match self {
            Self::None => None,
            Self::Flat => Some(JoinForm::Flat),
            Self::Inline => Some(JoinForm::Inline),
        }
    }
}

/// The most links that are followed one after the other.
const MAX_LEVEL: u16 = 10;

/// The members that only answers have (CIM 009, clause 5.2.14.2). Ignored on input.
const OUTPUT_ONLY: [&str; 6] =
    ["lastFailure", "lastNotification", "lastSuccess", "status", "timesFailed", "timesSent"];

impl NotificationParameters {
    pub(super) fn read(
        member: &Member<'_>,
        context: &Context,
    ) -> Result<Self, InvalidSubscription> {
        let (mut attributes, mut pick, mut omit) = (Vec::new(), None, None);
        let (mut format, mut show_changes, mut system_attributes) = (None, None, None);
        let (mut join, mut join_level, mut endpoint) = (None, None, None);
        for (name, value) in member.members()? {
            match name {
                "attributes" => attributes = read_attributes(&value, context)?,
                "pick" => pick = Some(read_texts(&value)?.join(",")),
                "omit" => omit = Some(read_texts(&value)?.join(",")),
                "format" => format = Some(read_format(&value)?),
                "showChanges" => show_changes = Some(value.boolean()?),
                "sysAttrs" => system_attributes = Some(value.boolean()?),
                "join" => join = Some(read_join(&value)?),
                "joinLevel" => join_level = Some(value.whole(MAX_LEVEL)?),
                "endpoint" => endpoint = Some(Endpoint::read(&value)?),
                _ if OUTPUT_ONLY.contains(&name) => {}
                _ => return Err(value.refuse("a notification has no such member")),
            }
        }
        let endpoint = endpoint.ok_or_else(|| member.missing("endpoint"))?;
        let projection = Projection::parse(pick.as_deref(), omit.as_deref(), context)
            .map_err(|error| member.refuse(error))?;
        let read = Self {
            attributes,
            projection,
            format,
            show_changes,
            system_attributes,
            join,
            join_level,
            endpoint,
        };
        read.check(member)?;
        Ok(read)
    }

    /// Which linked entities come along, and how.
    pub(super) fn join(&self) -> Option<Join> {
        Join::new(self.join?.form()?, self.join_level.map(usize::from)).ok()
    }

    /// Refuses what cannot be said together.
    fn check(&self, member: &Member<'_>) -> Result<(), InvalidSubscription> {
        let wrong = |name: &str, reason: &str| {
            Err(InvalidSubscription::forbidden(format!("{}/{name}", member.at), reason))
        };
        if !self.attributes.is_empty() && !self.projection.is_whole() {
            return wrong("attributes", "attributes says what pick and omit say: not both");
        }
        let is_simplified = self.format.map(Format::form) == Some(Form::Simplified);
        if self.show_changes == Some(true) && is_simplified {
            return wrong("showChanges", "simplified entities have no place for previous values");
        }
        if self.join_level.is_some() && self.join.and_then(JoinWord::form).is_none() {
            return wrong("joinLevel", "it says how far to join, so join has to be inline or flat");
        }
        Ok(())
    }
}

/// The expanded names in an array of attribute names, of which there is at least one.
pub(super) fn read_attributes(
    member: &Member<'_>,
    context: &Context,
) -> Result<Vec<AttrName>, InvalidSubscription> {
    let mut names = Vec::new();
    for item in member.items()? {
        let text = item.text()?;
        if matches!(text, "" | "id" | "type" | "scope" | "@id" | "@type" | "@context") {
            return Err(item.refuse("the name of an attribute is needed"));
        }
        let name = context.attribute(text).map_err(|error| item.refuse(error))?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// The texts in an array, of which there is at least one.
pub(super) fn read_texts(member: &Member<'_>) -> Result<Vec<String>, InvalidSubscription> {
    member.items()?.iter().map(|item| Ok(item.text()?.to_owned())).collect()
}

fn read_format(member: &Member<'_>) -> Result<Format, InvalidSubscription> {
    match member.text()? {
        "normalized" => Ok(Format::Normalized),
        "concise" => Ok(Format::Concise),
        "simplified" => Ok(Format::Simplified),
        "keyValues" => Ok(Format::KeyValues),
        _ => Err(member.refuse("one of normalized, concise, simplified and keyValues is needed")),
    }
}

fn read_join(member: &Member<'_>) -> Result<JoinWord, InvalidSubscription> {
    match member.text()? {
        "@none" => Ok(JoinWord::None),
        "flat" => Ok(JoinWord::Flat),
        "inline" => Ok(JoinWord::Inline),
        _ => Err(member.refuse("one of flat, inline and @none is needed")),
    }
}
