//! What the value of an `@context` member comes to: the many ways to write the same.

use musubi_model::{Document, Node};

use crate::core_context::{CoreUrl, core_url};

/// A reference without what makes no difference.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reduced<'a> {
    /// The core context.
    Core,
    /// One URL.
    Link(&'a str),
    /// Anything else.
    Inline(&'a Node<'a>),
}

impl<'a> Reduced<'a> {
    pub(super) fn link(url: &'a str) -> Self {
        if core_url(url) == CoreUrl::Known { Self::Core } else { Self::Link(url) }
    }
}

/// Takes the core context out, which is always there, and one URL out of its array.
pub(super) fn reduce<'a>(node: &'a Node<'a>) -> Reduced<'a> {
    let elements = match &node.document {
        Document::String(url) => return Reduced::link(url),
        Document::Array(elements) => elements,
        Document::Null | Document::Boolean(_) | Document::Number(_) | Document::Object(_) => {
            return Reduced::Inline(node);
        }
    };
    let mut single = None;
    for element in elements {
        match element.as_str() {
            Some(url) if core_url(url) == CoreUrl::Known => {}
            Some(url) if single.is_none() => single = Some(url),
            _ => return Reduced::Inline(node),
        }
    }
    single.map_or(Reduced::Core, Reduced::Link)
}
