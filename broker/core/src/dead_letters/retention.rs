//! Dead letters that nobody has looked after for long.

use musubi_model::{Cause, Timestamp};
use musubi_store::{Expect, Group, RecordWrite};

use super::filter::LetterFilter;
use super::slices::Slices;
use crate::{Broker, Error};

impl Broker {
    /// Throws away the dead letters of all tenants that were given up before this moment, and says
    /// how many those were. To be called now and then. The ledgers go on counting them as dead.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store does not answer; then some may be gone.
    pub async fn remove_dead_letters_before(&self, moment: Timestamp) -> Result<u64, Error> {
        let filter = LetterFilter::before(moment);
        let mut removed = 0;
        let mut slices = Slices::of_all(self.store());
        while let Some(records) = slices.next().await? {
            let old: Vec<RecordWrite> = records
                .into_iter()
                .filter(|record| filter.admits(record))
                .map(|record| RecordWrite { key: record.key, expect: Expect::Any, value: None })
                .collect();
            if !old.is_empty() {
                removed += u64::try_from(old.len()).unwrap_or(u64::MAX);
                let cause = Cause::Expiry;
                let time = self.shared().options.clock.now();
                let group = Group { time, cause, records: old, ..Group::default() };
                self.store().commit(vec![group]).await?;
            }
        }
        Ok(removed)
    }
}
