//! The attribute projection language of `pick` and `omit` (CIM 009, clause 4.21).

use musubi_context::Context;
use musubi_model::AttrName;

use crate::error::Error;
use crate::request::names::{MAX_NAMES, too_many_names};

/// The members of an entity that are not attributes, as answers name them.
pub(crate) const MEMBERS: [&str; 7] =
    ["id", "type", "scope", "createdAt", "modifiedAt", "deletedAt", "expiresAt"];

/// Which members of an entity are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Projection {
    pick: Option<Vec<Term>>,
    omit: Vec<Term>,
}

/// A member, and what is said about the entity that it links to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Term {
    member: Member,
    nested: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Member {
    Named(&'static str),
    Attribute(AttrName),
}

/// The deepest nesting of braces.
const MAX_DEPTH: usize = 16;

impl Projection {
    /// Reads the two parameters.
    pub(crate) fn parse(
        pick: Option<&str>,
        omit: Option<&str>,
        context: &Context,
    ) -> Result<Self, Error> {
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
            return Err(Error::BadRequestData(reason.to_owned()));
        }
        Ok(Self { pick, omit })
    }

    /// Whether everything is shown.
    pub(crate) fn is_whole(&self) -> bool {
        self.pick.is_none() && self.omit.is_empty()
    }

    /// The attributes that may be shown, if it is said which.
    pub(crate) fn picked(&self) -> Option<Vec<AttrName>> {
        let attribute = |term: &Term| match &term.member {
            Member::Attribute(name) => Some(name.clone()),
            Member::Named(_) => None,
        };
        Some(self.pick.as_ref()?.iter().filter_map(attribute).collect())
    }

    /// How many links deep something is said.
    pub(crate) fn depth(&self) -> usize {
        let depth = |terms: &[Term]| terms.iter().map(Term::depth).max().unwrap_or(0);
        depth(self.pick.as_deref().unwrap_or_default()).max(depth(&self.omit))
    }

    /// Whether a member that is not an attribute is shown.
    pub(crate) fn shows_member(&self, name: &str) -> bool {
        self.shows(|member| matches!(member, Member::Named(named) if *named == name))
    }

    /// Whether an attribute is shown.
    pub(crate) fn shows_attribute(&self, name: &AttrName) -> bool {
        self.shows(|member| matches!(member, Member::Attribute(attribute) if attribute == name))
    }

    /// What is shown of the entities to which an attribute links.
    pub(crate) fn beyond(&self, name: &AttrName) -> Self {
        let find = |terms: &[Term]| {
            let named = Member::Attribute(name.clone());
            terms.iter().find(|term| term.member == named).map(|term| term.nested.clone())
        };
        Self {
            pick: self.pick.as_deref().and_then(find).filter(|terms| !terms.is_empty()),
            omit: find(&self.omit).unwrap_or_default(),
        }
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
    fn read(&self) -> Result<Vec<Term>, Error> {
        if self.text.split([',', '|', '{']).count() > MAX_NAMES {
            return Err(too_many_names(self.name));
        }
        let (terms, rest) = self.terms(self.text, 0)?;
        if rest.is_empty() { Ok(terms) } else { Err(self.invalid(rest)) }
    }

    /// Reads terms up to the end or to a brace that closes; gives what is left.
    fn terms<'t>(&self, mut text: &'t str, depth: usize) -> Result<(Vec<Term>, &'t str), Error> {
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

    fn member(&self, name: &str, at: &str) -> Result<Member, Error> {
        const FORBIDDEN: &[char] = &[';', '"', '(', ')', '<', '>', '=', '!', '~', '[', ']'];
        let name = name.trim();
        if name.is_empty() || name.contains(FORBIDDEN) || name.contains(char::is_whitespace) {
            return Err(self.invalid(at));
        }
        match MEMBERS.iter().find(|member| **member == name) {
            Some(member) => Ok(Member::Named(member)),
            None => self
                .context
                .attribute(name)
                .map(Member::Attribute)
                .map_err(|error| Error::BadRequestData(format!("{}: {error}", self.name))),
        }
    }

    fn invalid(&self, rest: &str) -> Error {
        let at = self.text.len() - rest.len();
        let at = self.text.get(..at).unwrap_or_default().chars().count() + 1;
        Error::BadRequestData(format!(
            "{}: names separated by ',' or '|' are expected, each perhaps with others in braces, \
             and the text does not go on so at character {at}",
            self.name
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pick: Option<&str>, omit: Option<&str>) -> Result<Projection, Error> {
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
