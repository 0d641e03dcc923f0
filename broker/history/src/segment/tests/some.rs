//! Segments of any content.

use proptest::collection::{btree_map, vec};
use proptest::sample::select;

use super::*;
use crate::chunk::samples::{some_entries, some_time};

fn some_rollups() -> impl Strategy<Value = Vec<RollUp>> {
    let one = (vec(-1000..1000_i32, 0..4), 0..3_u64).prop_map(|(numbers, others)| {
        let mut rollup = RollUp::empty(Level::Hour, TemporalProperty::ObservedAt, 0);
        for _ in 0..others {
            rollup.add(None);
        }
        for number in numbers {
            rollup.add(Some(f64::from(number) / 7.0));
        }
        rollup
    });
    let key = (any::<bool>(), any::<bool>(), 0..50_i64);
    btree_map(key, one, 0..6).prop_map(|rollups| {
        let place = |((day, modified, period), rollup): ((bool, bool, i64), RollUp)| {
            let level = if day { Level::Day } else { Level::Hour };
            let property =
                if modified { TemporalProperty::ModifiedAt } else { TemporalProperty::ObservedAt };
            RollUp { level, property, start: period * level.micros(), ..rollup }
        };
        rollups.into_iter().map(place).collect()
    })
}

fn some_series() -> impl Strategy<Value = Series> {
    let entries = some_entries(few::FEW + 3).prop_filter("there is one", |all| !all.is_empty());
    let short = entries.prop_map(|entries| Series { entries, ..Series::default() });
    prop_oneof![2 => short, 1 => some_full_series()]
}

fn some_full_series() -> impl Strategy<Value = Series> {
    let superseded = btree_map((0..100_u64, 0..3_u32), 0..500_u64, 0..5);
    (superseded, 0..50_u64, some_entries(8), some_rollups()).prop_map(
        |(superseded, removed, entries, rollups)| {
            let superseded = superseded.into_iter().map(|((sequence, ordinal), version)| {
                let number = InstanceNumber { sequence: Sequence(sequence), ordinal };
                Superseded { number, version: Sequence(version) }
            });
            let superseded = superseded.collect();
            let corrections = Corrections { removed_upto: Sequence(removed), superseded };
            Series { corrections, entries, rollups }
        },
    )
}

fn some_head() -> impl Strategy<Value = Head> {
    (
        prop::sample::subsequence(vec![SHELTER, SENSOR], 0..=2),
        (some_time(), some_time(), prop::option::of(some_time())),
        (any::<u64>(), prop_oneof![2 => Just(0), 1 => 0..9_u64]),
    )
        .prop_map(|(types, (created_at, modified_at, deleted_at), (existence, removed))| {
            Head {
                created_at,
                modified_at,
                deleted_at,
                existence_of: Sequence(existence),
                removed_upto: Sequence(removed),
                ..head(&types)
            }
        })
}

pub(super) fn everything() -> impl Strategy<Value = Everything> {
    let tenant = select(vec!["", "anamizu", "nanao"]).prop_map(str::to_owned);
    let id = select(vec!["urn:a:1", "urn:a:2", "urn:a:20", "urn:a:3", "urn:b:1", "urn:c:避"])
        .prop_map(str::to_owned);
    let attribute = select(vec!["https://example.org/a", "https://example.org/b", "urn:x:y"]);
    let dataset = select(vec![None, Some("urn:set:1".to_owned()), Some("urn:set:2".to_owned())]);
    let name = (attribute.prop_map(str::to_owned), dataset);
    let kept = (some_head(), btree_map(name, some_series(), 0..4))
        .prop_map(|(head, series)| Kept { head, series });
    btree_map((tenant, id), kept, 0..7)
}
