//! Evolutions as values with their times (CIM 009, clause 4.5.9).

use std::collections::BTreeMap;

use musubi_model::{AttributeEvolution, AttributeType, DatasetId, Recorded};

use super::{EvolutionRenderer, LanguageText, is_null};

impl<'r> EvolutionRenderer<'_, 'r> {
    /// All values of an attribute: an object, or an array of one for each data set and kind.
    pub(super) fn attribute_values(&mut self, attribute: &'r AttributeEvolution) {
        type Series<'a> = (Option<&'a DatasetId>, &'static str);
        let mut series: BTreeMap<Series<'r>, Vec<&'r Recorded>> = BTreeMap::new();
        for recorded in &attribute.instances {
            let of = (recorded.instance.dataset_id(), recorded.instance.value.kind.as_str());
            series.entry(of).or_default().push(recorded);
        }
        if series.is_empty() {
            // Of what kind it was is not known any more; most attributes are properties.
            return self.raw("{\"type\":\"Property\",\"values\":[]}");
        }
        let several = series.len() > 1;
        if several {
            self.raw("[");
        }
        for (index, ((dataset, _), recorded)) in series.into_iter().enumerate() {
            if index > 0 {
                self.raw(",");
            }
            self.series(dataset, &recorded);
        }
        if several {
            self.raw("]");
        }
    }

    /// The values of one data set, which are all of one kind.
    fn series(&mut self, dataset: Option<&DatasetId>, all: &[&'r Recorded]) {
        let Some(first) = all.first() else { return };
        let is_text = self.language_text(first).is_some();
        let kind = if is_text { AttributeType::Property } else { first.instance.value.kind };
        self.raw("{\"type\":\"");
        self.raw(kind.as_str());
        self.raw("\"");
        if let Some(dataset) = dataset {
            self.raw(",\"datasetId\":");
            self.rendering.writer.string(dataset.as_str());
        }
        self.raw(",\"");
        self.raw(values_member(kind));
        self.raw("\":");
        self.each(all.iter().copied(), |this, recorded| {
            this.raw("[");
            this.value_beside(recorded);
            this.time_beside(recorded);
        });
        self.raw("}");
    }

    /// A value as the first of a pair.
    fn value_beside(&mut self, recorded: &'r Recorded) {
        if let Some(LanguageText { text, .. }) = self.language_text(recorded) {
            return self.raw(text.as_str());
        }
        let value = &recorded.instance.value;
        if value.kind == AttributeType::LanguageProperty && is_null(recorded) {
            self.raw("{\"languageMap\":");
            self.value(recorded);
            self.raw("}");
        } else {
            self.rendering.simplified(value);
        }
    }

    /// The time as the second of a pair, which ends with it.
    pub(super) fn time_beside(&mut self, recorded: &Recorded) {
        let time = self.reader.time(recorded);
        self.rendering.writer.time(",", time);
        self.raw("]");
    }
}

/// The member with all values of an attribute (CIM 009, clause 4.5.9).
fn values_member(kind: AttributeType) -> &'static str {
    match kind {
        AttributeType::Property | AttributeType::GeoProperty => "values",
        AttributeType::Relationship => "objects",
        AttributeType::LanguageProperty => "languageMaps",
        AttributeType::VocabProperty => "vocabs",
        AttributeType::JsonProperty => "jsons",
        AttributeType::ListProperty => "valueLists",
        AttributeType::ListRelationship => "objectLists",
    }
}
