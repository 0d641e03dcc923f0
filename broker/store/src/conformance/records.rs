//! Questions for records, compared.

use musubi_model::Tenant;

use super::trial::{Trial, answered};
use super::violation::{Breach, Rule, differing, shown};
use crate::{Record, RecordKind, RecordQuery, Store};

impl Trial {
    /// Compares all records.
    pub(super) async fn compare_all_records(&self) -> Result<(), Breach> {
        for kind in RecordKind::ALL {
            let prefix = String::new();
            let query = RecordQuery { kind, tenant: None, prefix, after: None, limit: usize::MAX };
            self.compare_records(&query).await?;
        }
        Ok(())
    }

    /// Compares the answer to a question for records.
    pub(super) async fn compare_records(&self, query: &RecordQuery) -> Result<(), Breach> {
        let doing = "a query for records";
        let expected = answered(doing, self.reference.records(query).await)?;
        let given = answered(doing, self.store.records(query).await)?;
        let translated: Result<Vec<_>, _> =
            expected.iter().map(|record| self.translated_record(record)).collect();
        let expected = translated?;
        if expected == given {
            return Ok(());
        }
        let unnumbered = |records: &[Record]| -> Vec<_> {
            records.iter().map(|record| (record.key.clone(), record.value.clone())).collect()
        };
        let same = unnumbered(&expected) == unnumbered(&given);
        let rule = if same { Rule::Revision } else { Rule::Records };
        let doing = format!("{doing}: {}", shown(query));
        let keys = |records: &[Record]| -> Vec<_> {
            records.iter().map(|record| (record.key.clone(), record.revision)).collect()
        };
        Err(Breach::new(rule, doing, differing(&keys(&expected), &keys(&given))))
    }

    /// A question for records: of one tenant or all, with and without a prefix, from anywhere.
    pub(super) fn record_query(&mut self) -> RecordQuery {
        let kind = self.record_kind();
        let tenant = self.generator.random.chance(60).then(|| self.tenant());
        let prefix = if self.generator.random.chance(60) { self.prefix() } else { String::new() };
        let after = self.generator.random.chance(50).then(|| {
            let tenant = tenant.clone().filter(|_| self.generator.random.chance(80));
            (tenant.unwrap_or_else(|| self.tenant()), self.prefix())
        });
        let limit = match self.generator.random.below(10) {
            0 => 0,
            1..=3 => usize::MAX,
            _ => 1 + self.generator.random.below(5),
        };
        RecordQuery { kind, tenant, prefix, after, limit }
    }

    /// A kind, some of them more often, so that something gathers there: one that is in the log, and
    /// one of those that a store may keep apart, because there may be many of them.
    pub(super) fn record_kind(&mut self) -> RecordKind {
        match self.generator.random.below(10) {
            0..4 => RecordKind::Subscription,
            4..7 => RecordKind::Outbox,
            _ => *self.generator.random.pick(&RecordKind::ALL),
        }
    }

    fn tenant(&mut self) -> Tenant {
        self.generator.random.pick(&self.generator.vocabulary.tenants).clone()
    }

    /// A key, or how one begins.
    fn prefix(&mut self) -> String {
        let key = self.generator.random.pick(&self.generator.vocabulary.keys).clone();
        let length = self.generator.random.below(key.chars().count() + 1);
        if self.generator.random.chance(50) { key } else { key.chars().take(length).collect() }
    }
}
