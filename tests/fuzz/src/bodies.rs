//! Bodies: of a create, a merge and a batch.

use musubi_context::{
    Context, Form, Representation, expand_attribute, expand_entity, expand_fragment,
    expand_simplified_fragment, render_entity,
};
use musubi_model::{
    Attribute, AttributeType, Entity, EntityFragment, Instance, Limits, Node, Qualifiers, Timestamp,
};
use serde_json::Value;

use super::contexts::compiled;

/// Reads the input as a body in each way that a request may mean it, and writes what became of it.
///
/// # Panics
///
/// If an entity that was written is read as another one.
pub fn body(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(node) = Node::parse(text, Limits::default()) else { return };
    // A batch is an array of bodies, each with a context of its own.
    match node.as_array() {
        Some(items) => items.iter().for_each(item),
        None => item(&node),
    }
}

fn item(node: &Node<'_>) {
    let own = node.member("@context").and_then(|member| compiled(member.raw).ok());
    let context = own.unwrap_or_else(Context::core);
    let fragments = [
        expand_fragment(node, &context),
        expand_simplified_fragment(node, &context),
        expand_entity(node, &context),
    ];
    let name = "https://example.org/attribute".parse();
    let _ = name.map(|name| expand_attribute(name, node, &context).is_ok());
    let [fragment, simplified, whole] = fragments;
    let Ok(whole) = whole else { return };
    let Some(entity) = created(whole) else { return };
    comes_back(&entity, &context);
    for fragment in [fragment, simplified].into_iter().flatten() {
        if let Ok(merged) = entity.merge(fragment, Timestamp::from_seconds(0)) {
            comes_back(&merged, &context);
        }
    }
}

fn created(fragment: EntityFragment) -> Option<Entity> {
    Entity::create(fragment, Timestamp::from_seconds(0)).ok()
}

/// Writes an entity in each form, for readers without a context and for those in its own, and
/// reads it again.
fn comes_back(entity: &Entity, context: &Context) {
    for context in [&Context::core(), context] {
        for form in [Form::Normalized, Form::Concise, Form::Simplified] {
            let representation = Representation { form, ..Representation::default() };
            let mut out = Vec::new();
            render_entity(&mut out, entity, context, &representation);
            let text = String::from_utf8(out).unwrap();
            let node = Node::parse(&text, Limits { depth: Limits::MAX_DEPTH }).unwrap();
            if form == Form::Simplified || !is_writable(entity, context) {
                continue;
            }
            let again = expand_entity(&node, context).unwrap_or_else(|error| {
                panic!("{error}: {text}");
            });
            let mut again = created(again).unwrap();
            // The time at which it ends is an attribute of the system, and not shown here.
            again.expires_at = entity.expires_at;
            let mut entity = entity.clone();
            without_system_times(&mut again);
            without_system_times(&mut entity);
            assert_eq!(again, entity, "{text}");
        }
    }
}

/// Whether the context can write each name in an entity. It cannot write an IRI of which it takes
/// the scheme for a prefix.
fn is_writable(entity: &Entity, context: &Context) -> bool {
    let fits = |iri: &str| context.expand(&context.compact(iri)) == iri;
    entity.types.iter().all(|name| fits(name.as_str()))
        && entity.attributes.iter().all(|attribute| is_attribute_writable(attribute, &fits))
}

fn is_attribute_writable(attribute: &Attribute, fits: &dyn Fn(&str) -> bool) -> bool {
    let is_term_writable = |term: &Value| term.as_str().is_none_or(fits);
    fits(attribute.name.as_str())
        && attribute.instances.iter().all(|instance| {
            let is_value_writable = instance.value.kind != AttributeType::VocabProperty
                || match instance.value.json.to_value() {
                    Value::Array(terms) => terms.iter().all(is_term_writable),
                    term => is_term_writable(&term),
                };
            let qualifiers = instance.qualifiers.iter();
            is_value_writable
                && qualifiers.into_iter().all(|qualifiers| {
                    qualifiers.value_type.as_deref().is_none_or(fits)
                        && qualifiers.object_type.iter().all(|name| fits(name.as_str()))
                        && qualifiers.attributes.iter().all(|it| is_attribute_writable(it, fits))
                })
        })
}

fn without_system_times(entity: &mut Entity) {
    for attribute in &mut entity.attributes {
        for instance in &mut attribute.instances {
            without_times(instance);
        }
    }
}

fn without_times(instance: &mut Instance) {
    let Some(mut qualifiers) = instance.qualifiers.take() else { return };
    qualifiers.expires_at = None;
    for attribute in &mut qualifiers.attributes {
        attribute.instances.iter_mut().for_each(without_times);
    }
    instance.qualifiers = (*qualifiers != Qualifiers::default()).then_some(qualifiers);
}
