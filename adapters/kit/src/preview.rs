//! What an adapter would write, for a person to read.

use std::collections::BTreeMap;
use std::fmt::Write;

use musubi_model::{
    AttrName, Entity, EntityFragment, EntityId, FragmentValue, InstanceFragment, Patch, Tenant,
};

use crate::model_check::short_name;
use crate::{Filtered, ModelProblem, Skip};

/// The longest value shown, in characters.
const MAX_SHOWN: usize = 120;

/// What inputs would become, and what was left out and why. Made without a write.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    adapter: String,
    tenant: Tenant,
    entries: Vec<Entry>,
    skipped: Vec<Skipped>,
    problems: Vec<(String, ModelProblem)>,
    notes: Vec<String>,
}

#[derive(Clone, Debug)]
struct Entry {
    origin: String,
    id: String,
    fate: Fate,
    lines: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Create,
    Update,
    Unchanged,
    Late,
}

#[derive(Clone, Debug)]
struct Skipped {
    origin: String,
    why: Skip,
    reason: String,
}

/// How many inputs met which fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PreviewCounts {
    /// Entities that would come into being.
    pub create: usize,
    /// Entities that would change.
    pub update: usize,
    /// Entities that the broker has like this, or newer.
    pub unchanged: usize,
    /// Inputs that would not be used.
    pub skipped: usize,
}

impl Preview {
    /// A preview with nothing in it.
    pub fn new(adapter: &str, tenant: &Tenant) -> Self {
        Self { adapter: adapter.to_owned(), tenant: tenant.clone(), ..Self::default() }
    }

    /// Adds what is to be written of an entity that an input became, beside the entity as the
    /// broker has it.
    pub fn entity(
        &mut self,
        origin: &str,
        id: &EntityId,
        current: Option<&Entity>,
        filtered: Filtered,
    ) {
        let (fate, lines) = match (filtered, current) {
            (Filtered::Write(written), None) => (Fate::Create, differences(None, &written)),
            (Filtered::Write(written), Some(found)) => {
                (Fate::Update, differences(Some(found), &written))
            }
            (Filtered::Unchanged, _) => (Fate::Unchanged, Vec::new()),
            (Filtered::Late, _) => (Fate::Late, Vec::new()),
        };
        let (origin, id) = (origin.to_owned(), id.to_string());
        self.entries.push(Entry { origin, id, fate, lines });
    }

    /// Adds an input that would not be used.
    pub fn skip(&mut self, origin: &str, why: Skip, reason: impl Into<String>) {
        self.skipped.push(Skipped { origin: origin.to_owned(), why, reason: reason.into() });
    }

    /// Adds a difference of an entity from its data model.
    pub fn model_problem(&mut self, id: &str, problem: ModelProblem) {
        self.problems.push((id.to_owned(), problem));
    }

    /// Adds a sentence about the source as a whole.
    pub fn note(&mut self, sentence: impl Into<String>) {
        self.notes.push(sentence.into());
    }

    /// How many of each there are.
    pub fn counts(&self) -> PreviewCounts {
        let of = |fate: Fate| self.entries.iter().filter(|entry| entry.fate == fate).count();
        PreviewCounts {
            create: of(Fate::Create),
            update: of(Fate::Update),
            unchanged: of(Fate::Unchanged) + of(Fate::Late),
            skipped: self.skipped.len(),
        }
    }

    /// The preview as text: entities with their differences, then what was left out, then counts.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let tenant = if self.tenant.is_default() { "the default tenant" } else { "tenant " };
        // Writing to a String does not fail.
        let _ = writeln!(text, "{} → {tenant}{} (nothing is written)", self.adapter, self.tenant);
        for note in &self.notes {
            let _ = writeln!(text, "  note: {note}");
        }
        for entry in &self.entries {
            let fate = match entry.fate {
                Fate::Create => "create   ",
                Fate::Update => "update   ",
                Fate::Unchanged => "unchanged",
                Fate::Late => "late     ",
            };
            let _ = writeln!(text, "\n{fate} {}\n    from {}", entry.id, entry.origin);
            for line in &entry.lines {
                let _ = writeln!(text, "    {line}");
            }
        }
        self.render_rest(&mut text);
        text
    }

    fn render_rest(&self, text: &mut String) {
        if !self.skipped.is_empty() {
            text.push_str("\nskipped\n");
        }
        let mut reasons: BTreeMap<Skip, usize> = BTreeMap::new();
        for skipped in &self.skipped {
            *reasons.entry(skipped.why).or_default() += 1;
            let _ = writeln!(text, "    {}: {} ({})", skipped.origin, skipped.reason, skipped.why);
        }
        if !self.problems.is_empty() {
            text.push_str("\ndifferent from the data model\n");
        }
        for (id, problem) in &self.problems {
            let _ = writeln!(text, "    {id} {}: {}", problem.attribute, problem.reason);
        }
        let counts = self.counts();
        let _ = writeln!(
            text,
            "\n{} to create, {} to update, {} unchanged, {} skipped",
            counts.create, counts.update, counts.unchanged, counts.skipped
        );
        for (why, count) in reasons {
            let _ = writeln!(text, "    {count} × {why}");
        }
    }
}

/// One line per attribute instance: what it is now, and what it would be.
fn differences(current: Option<&Entity>, written: &EntityFragment) -> Vec<String> {
    let mut lines = Vec::new();
    for attribute in &written.attributes {
        for instance in &attribute.instances {
            let before = current.and_then(|entity| stored(entity, &attribute.name, instance));
            let after = shown(instance);
            let name = short_name(attribute.name.as_str());
            lines.push(match before {
                None => format!("+ {name}: {after}"),
                Some(before) => format!("~ {name}: {before} → {after}"),
            });
        }
    }
    lines
}

fn stored(entity: &Entity, name: &AttrName, like: &InstanceFragment) -> Option<String> {
    let found = entity.attribute(name)?.instance(like.dataset_id.as_ref())?;
    let unit = found.unit_code().map(|unit| format!(" {unit}")).unwrap_or_default();
    Some(format!("{}{unit}", cut(found.value.json.as_str())))
}

fn shown(instance: &InstanceFragment) -> String {
    let mut text = match &instance.value {
        Some(FragmentValue::Typed(value)) => cut(value.json.as_str()),
        Some(FragmentValue::Simplified(json)) => cut(json.as_str()),
        Some(FragmentValue::Null) => "deleted".to_owned(),
        None => "as it is".to_owned(),
    };
    if let Patch::Set(unit) = &instance.unit_code {
        let _ = write!(text, " {unit}");
    }
    if let Patch::Set(observed) = &instance.observed_at {
        let _ = write!(text, " at {observed}");
    }
    text
}

fn cut(json: &str) -> String {
    let mut text: String = json.chars().take(MAX_SHOWN).collect();
    if text.len() < json.len() {
        text.push('…');
    }
    text
}
