//! The attribute projection language of `pick` and `omit` (CIM 009, clause 4.21).

use musubi_context::Context;
use musubi_model::AttrName;
use serde::{Deserialize, Serialize};

use crate::{MAX_NAMES, ViewError, too_many_names};

/// A member of an entity that is not an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Named {
    Id,
    Type,
    Scope,
    CreatedAt,
    ModifiedAt,
    DeletedAt,
    ExpiresAt,
}

impl Named {
    const ALL: [Self; 7] = [
        Self::Id,
        Self::Type,
        Self::Scope,
        Self::CreatedAt,
        Self::ModifiedAt,
        Self::DeletedAt,
        Self::ExpiresAt,
    ];

    /// Whether entities have a member of this name that is not an attribute.
    pub(crate) fn is_one(name: &str) -> bool {
        Self::ALL.into_iter().any(|member| member.as_str() == name)
    }

    /// The name in answers.
    fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Type => "type",
            Self::Scope => "scope",
            Self::CreatedAt => "createdAt",
            Self::ModifiedAt => "modifiedAt",
            Self::DeletedAt => "deletedAt",
            Self::ExpiresAt => "expiresAt",
        }
    }
}

/// Which members of an entity are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Projection {
    pick: Option<Vec<Term>>,
    omit: Vec<Term>,
}

/// A member, and what is said about the entity that it links to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Term {
    member: Member,
    nested: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Member {
    Named(Named),
    Attribute(AttrName),
}

/// The deepest nesting of braces.
const MAX_DEPTH: usize = 16;

impl Projection {
    /// Reads the two parameters.
    ///
    /// # Errors
    ///
    /// [`ViewError::BadRequest`] if one of them is not of the language, names more than
    /// [`MAX_NAMES`] members, or if both name the same.
    pub fn parse(
        pick: Option<&str>,
        omit: Option<&str>,
        context: &Context,
    ) -> Result<Self, ViewError> {
        let read = |name: &'static str, text: &str| Reader { name, text, context }.read();
        let pick = pick.map(|text| read("pick", text)).transpose()?;
        let omit = omit.map(|text| read("omit", text)).transpose()?.unwrap_or_default();
        let twice = |term: &Term| {
            omit.iter().any(|other| {
                other.member == term.member && (term.nested.is_empty() || other.nested.is_empty())
            })
        };
        if pick.iter().flatten().any(twice) {
            let reason = "a member cannot be both in pick and in omit";
            return Err(ViewError::BadRequest(reason.to_owned()));
        }
        Ok(Self { pick, omit })
    }

    /// Whether everything is shown.
    pub fn is_whole(&self) -> bool {
        self.pick.is_none() && self.omit.is_empty()
    }

    /// The attributes that may be shown, if it is said which.
    pub fn picked(&self) -> Option<Vec<AttrName>> {
        let attribute = |term: &Term| match &term.member {
            Member::Attribute(name) => Some(name.clone()),
            Member::Named(_) => None,
        };
        Some(self.pick.as_ref()?.iter().filter_map(attribute).collect())
    }

    /// The attributes that are not shown.
    pub fn omitted(&self) -> Vec<AttrName> {
        let attribute = |term: &Term| match &term.member {
            // What has braces is not omitted itself.
            Member::Attribute(name) if term.nested.is_empty() => Some(name.clone()),
            Member::Attribute(_) | Member::Named(_) => None,
        };
        self.omit.iter().filter_map(attribute).collect()
    }

    /// How many links deep something is said.
    pub fn depth(&self) -> usize {
        let depth = |terms: &[Term]| terms.iter().map(Term::depth).max().unwrap_or(0);
        depth(self.pick.as_deref().unwrap_or_default()).max(depth(&self.omit))
    }

    /// Whether a member that is not an attribute is shown.
    pub fn shows_member(&self, name: &str) -> bool {
        self.shows(|member| matches!(member, Member::Named(named) if named.as_str() == name))
    }

    /// Whether an attribute is shown.
    pub fn shows_attribute(&self, name: &AttrName) -> bool {
        self.shows(|member| matches!(member, Member::Attribute(attribute) if attribute == name))
    }

    /// What is shown of the entities to which an attribute links.
    pub fn beyond(&self, name: &AttrName) -> Self {
        let find = |terms: &[Term]| {
            let named = Member::Attribute(name.clone());
            terms.iter().find(|term| term.member == named).map(|term| term.nested.clone())
        };
        Self {
            pick: self.pick.as_deref().and_then(find).filter(|terms| !terms.is_empty()),
            omit: find(&self.omit).unwrap_or_default(),
        }
    }

    /// Whether `omit` names a member that is not an attribute.
    pub(crate) fn omits_member(&self, name: &str) -> bool {
        self.omit.iter().any(|term| matches!(term.member, Member::Named(it) if it.as_str() == name))
    }

    /// The items of `pick` with the reader's names, as in a body.
    pub fn pick(&self, context: &Context) -> Option<Vec<String>> {
        Some(self.pick.as_ref()?.iter().map(|term| term.text(context)).collect())
    }

    /// The items of `omit` with the reader's names, as in a body; none if nothing is omitted.
    pub fn omit(&self, context: &Context) -> Option<Vec<String>> {
        let terms = || self.omit.iter().map(|term| term.text(context)).collect();
        (!self.omit.is_empty()).then(terms)
    }

    fn shows(&self, is: impl Fn(&Member) -> bool) -> bool {
        let picked =
            self.pick.as_ref().is_none_or(|terms| terms.iter().any(|term| is(&term.member)));
        // What has braces is not omitted itself.
        let omitted = self.omit.iter().any(|term| is(&term.member) && term.nested.is_empty());
        picked && !omitted
    }
}

impl Term {
    fn text(&self, context: &Context) -> String {
        let mut text = match &self.member {
            Member::Named(named) => named.as_str().to_owned(),
            Member::Attribute(name) => context.compact(name.as_str()).into_owned(),
        };
        if !self.nested.is_empty() {
            let nested: Vec<String> = self.nested.iter().map(|term| term.text(context)).collect();
            text.push('{');
            text.push_str(&nested.join(","));
            text.push('}');
        }
        text
    }

    fn depth(&self) -> usize {
        match self.nested.iter().map(Self::depth).max() {
            None => 0,
            Some(deepest) => 1 + deepest,
        }
    }
}

struct Reader<'a> {
    name: &'static str,
    text: &'a str,
    context: &'a Context,
}

impl Reader<'_> {
    fn read(&self) -> Result<Vec<Term>, ViewError> {
        if self.text.split([',', '|', '{']).count() > MAX_NAMES {
            return Err(too_many_names(self.name));
        }
        let (terms, rest) = self.terms(self.text, 0)?;
        if rest.is_empty() { Ok(terms) } else { Err(self.invalid(rest)) }
    }

    /// Reads terms up to the end or to a brace that closes; gives what is left.
    fn terms<'t>(
        &self,
        mut text: &'t str,
        depth: usize,
    ) -> Result<(Vec<Term>, &'t str), ViewError> {
        let mut terms = Vec::new();
        loop {
            let end = text.find([',', '|', '{', '}']).unwrap_or(text.len());
            let (name, rest) = text.split_at(end);
            let member = self.member(name, text)?;
            let mut nested = Vec::new();
            text = rest;
            if let Some(inner) = rest.strip_prefix('{') {
                if depth == MAX_DEPTH {
                    return Err(self.invalid(rest));
                }
                let (inside, after) = self.terms(inner, depth + 1)?;
                nested = inside;
                text = after.strip_prefix('}').ok_or_else(|| self.invalid(after))?;
            }
            terms.push(Term { member, nested });
            match text.strip_prefix([',', '|']) {
                Some(next) => text = next,
                None => return Ok((terms, text)),
            }
        }
    }

    fn member(&self, name: &str, at: &str) -> Result<Member, ViewError> {
        const FORBIDDEN: &[char] = &[';', '"', '(', ')', '<', '>', '=', '!', '~', '[', ']'];
        let name = name.trim();
        if name.is_empty() || name.contains(FORBIDDEN) || name.contains(char::is_whitespace) {
            return Err(self.invalid(at));
        }
        match Named::ALL.into_iter().find(|member| member.as_str() == name) {
            Some(member) => Ok(Member::Named(member)),
            None => self
                .context
                .attribute(name)
                .map(Member::Attribute)
                .map_err(|error| ViewError::BadRequest(format!("{}: {error}", self.name))),
        }
    }

    fn invalid(&self, rest: &str) -> ViewError {
        let at = self.text.len() - rest.len();
        let at = self.text.get(..at).unwrap_or_default().chars().count() + 1;
        ViewError::BadRequest(format!(
            "{}: names separated by ',' or '|' are expected, each perhaps with others in braces, \
             and the text does not go on so at character {at}",
            self.name
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pick: Option<&str>, omit: Option<&str>) -> Result<Projection, ViewError> {
        Projection::parse(pick, omit, &Context::core())
    }

    fn name(term: &str) -> AttrName {
        Context::core().attribute(term).unwrap()
    }

    #[test]
    fn what_is_picked_is_shown_and_what_is_omitted_is_not() {
        let projection = parse(Some("id,name|owner{age}"), Some("id")).map(drop);
        assert!(projection.is_err(), "id is in both");
        let projection = parse(Some("id,name|owner{age}"), None).unwrap();
        assert!(projection.shows_member("id") && !projection.shows_member("type"));
        assert!(projection.shows_attribute(&name("owner")));
        assert!(!projection.shows_attribute(&name("age")));
        assert_eq!(projection.depth(), 1);
        let beyond = projection.beyond(&name("owner"));
        assert!(beyond.shows_attribute(&name("age")) && !beyond.shows_attribute(&name("name")));
        assert!(projection.beyond(&name("name")).is_whole());
        let projection = parse(None, Some("type,owner{age}")).unwrap();
        assert!(!projection.shows_member("type"));
        assert!(projection.shows_attribute(&name("owner")));
        assert!(!projection.beyond(&name("owner")).shows_attribute(&name("age")));
    }

    #[test]
    fn a_projection_is_kept_with_its_expanded_names_and_shown_with_the_readers() {
        let projection = parse(Some("id,name|owner{age,home{name}}"), Some("type")).unwrap();
        let kept = serde_json::to_string(&projection).unwrap();
        assert!(kept.contains(name("owner").as_str()), "{kept}");
        assert_eq!(serde_json::from_str::<Projection>(&kept).unwrap(), projection);
        let core = Context::core();
        let pick = projection.pick(&core).unwrap();
        assert_eq!(pick, ["id", "name", "owner{age,home{name}}"]);
        assert_eq!(projection.omit(&core).unwrap(), ["type"]);
        assert_eq!(parse(Some(&pick.join(",")), Some("type")).unwrap(), projection);
        let whole = Projection::default();
        assert_eq!((whole.pick(&core), whole.omit(&core)), (None, None));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for text in [
            "", "id;name", "a{b", "a{{b}", "a,,b", "a{,b}", "a{}", "a||b", "a}", "a b", "a{b}}",
            "a{b}c",
        ] {
            assert!(parse(Some(text), None).is_err(), "{text}");
        }
        assert!(parse(Some(&"a{".repeat(1000)), None).is_err());
    }
}
