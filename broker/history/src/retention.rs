//! How long what is kept.

use std::time::Duration;

use musubi_model::{AttrName, Recorded, SCOPE, Tenant, TypeName};

use crate::segment::Level;

/// How long the instances of some series are kept, and what remains of them. Of several rules the
/// first that fits a series holds. Scopes are under a rule only if it names them
/// ([`SCOPE`](musubi_model::SCOPE)): they say since when an entity is where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionRule {
    /// The tenant; none means any.
    pub tenant: Option<Tenant>,
    /// A type that the entity has or had; none means any.
    pub entity_type: Option<TypeName>,
    /// The attribute; none means any.
    pub attribute: Option<AttrName>,
    /// How long after its `observedAt`, or else its `modifiedAt`, an instance is there; none means
    /// for ever. The moment from which on there are instances is rounded down to the hour if there
    /// are roll-ups of hours, or else to the day if there are some of days, both of UTC.
    pub keep: Option<Duration>,
    /// How long it is kept what the instances of an hour amounted to; none means not at all.
    pub hourly: Option<Kept>,
    /// How long it is kept what the instances of a day amounted to; none means not at all.
    pub daily: Option<Kept>,
}

/// How long roll-ups are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// So long after the end of what they tell of, or up to a day longer.
    For(Duration),
    /// For ever.
    Forever,
}

/// The rules, as they are at a moment.
#[derive(Clone, Debug)]
pub(crate) struct Retention {
    rules: Vec<RetentionRule>,
    /// Microseconds since 1970.
    now: i64,
}

/// What there is of a series at a moment. All in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Instances of before are not there any more.
    pub(crate) cutoff: i64,
    /// Roll-ups of hours that begin before are not there any more.
    hours: i64,
    /// And of days.
    days: i64,
}

impl Limits {
    /// Everything is there.
    pub(crate) const NONE: Self = Self { cutoff: i64::MIN, hours: i64::MIN, days: i64::MIN };

    fn new(rule: &RetentionRule, now: i64) -> Self {
        let ago = |time: Duration| now.saturating_sub(micros(time));
        let Some(keep) = rule.keep else {
            let of = |kept: Option<Kept>| match kept {
                Some(Kept::For(time)) => Level::Day.start_of(ago(time)),
                Some(Kept::Forever) | None => i64::MIN,
            };
            return Self { cutoff: i64::MIN, hours: of(rule.hourly), days: of(rule.daily) };
        };
        let cutoff = match (rule.hourly, rule.daily) {
            (Some(_), _) => Level::Hour.start_of(ago(keep)),
            (None, Some(_)) => Level::Day.start_of(ago(keep)),
            (None, None) => ago(keep),
        };
        // Where hours are gone a whole day takes their place.
        let of = |kept: Option<Kept>| match kept {
            Some(Kept::For(time)) => Level::Day.start_of(ago(time)),
            Some(Kept::Forever) => i64::MIN,
            None => i64::MAX,
        };
        Self { cutoff, hours: of(rule.hourly), days: of(rule.daily) }
    }

    /// Whether an instance is not there any more.
    pub(crate) fn hides(&self, recorded: &Recorded) -> bool {
        primary_time(recorded) < self.cutoff
    }

    /// From where on there are roll-ups.
    pub(crate) fn from(&self, level: Level) -> i64 {
        match level {
            Level::Hour => self.hours,
            Level::Day => self.days,
        }
    }
}

impl Retention {
    /// These rules at a moment, in microseconds since 1970.
    pub(crate) fn at(rules: &[RetentionRule], now: i64) -> Self {
        Self { rules: rules.to_vec(), now }
    }

    /// Whether everything is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.iter().all(|rule| rule.keep.is_none())
    }

    /// What there is of the series of an attribute.
    pub(crate) fn limits(
        &self,
        tenant: &Tenant,
        types: &[TypeName],
        attribute: &AttrName,
    ) -> Limits {
        self.rule(tenant, types, attribute).map_or(Limits::NONE, |rule| Limits::new(rule, self.now))
    }

    /// From where on there has to be something else for a rewrite to pay: a part of the time for
    /// which instances are kept has to have passed since the oldest of them was to go.
    pub(crate) fn overdue(&self, tenant: &Tenant, types: &[TypeName], attribute: &AttrName) -> i64 {
        let Some(rule) = self.rule(tenant, types, attribute) else { return i64::MIN };
        overdue(rule, self.now)
    }

    /// Before this moment nothing is overdue by any rule if nothing is older.
    pub(crate) fn overdue_by_any(&self) -> i64 {
        self.rules.iter().map(|rule| overdue(rule, self.now)).max().unwrap_or(i64::MIN)
    }

    /// How long it takes until a rewrite can pay again.
    pub(crate) fn pause(&self) -> i64 {
        let pauses = self.rules.iter().filter_map(|rule| rule.keep).map(part);
        pauses.min().unwrap_or(i64::MAX)
    }

    fn rule(
        &self,
        tenant: &Tenant,
        types: &[TypeName],
        attribute: &AttrName,
    ) -> Option<&RetentionRule> {
        let is_scope = attribute.as_str() == SCOPE;
        self.rules.iter().find(|rule| {
            let named = rule.attribute.as_ref();
            rule.tenant.as_ref().is_none_or(|wanted| wanted == tenant)
                && rule.entity_type.as_ref().is_none_or(|wanted| types.contains(wanted))
                && named.map_or(!is_scope, |wanted| wanted == attribute)
        })
    }
}

/// The part of the time for which instances are kept that has to have passed, in microseconds.
fn part(keep: Duration) -> i64 {
    micros(keep) / 24
}

fn overdue(rule: &RetentionRule, now: i64) -> i64 {
    let Some(keep) = rule.keep else { return i64::MIN };
    Limits::new(rule, now).cutoff.saturating_sub(part(keep))
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// When an instance was observed, or else modified.
pub(crate) fn primary_time(recorded: &Recorded) -> i64 {
    let instance = &recorded.instance;
    instance.observed_at.unwrap_or(instance.modified_at).as_micros()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600;
    const DAY: u64 = 24 * HOUR;

    fn limits(rule: &RetentionRule) -> [i64; 3] {
        // The 11th of January, 1970, at half past seven.
        let now = i64::try_from((10 * DAY + 7 * HOUR + 1_800) * 1_000_000).unwrap();
        let limits = Limits::new(rule, now);
        [limits.cutoff, limits.hours, limits.days].map(|micros| match micros {
            i64::MIN | i64::MAX => micros,
            micros => micros / 1_000_000,
        })
    }

    fn seconds(time: u64) -> i64 {
        i64::try_from(time).unwrap()
    }

    #[test]
    fn where_instances_end_is_rounded_to_the_periods_that_are_rolled_up() {
        let keep = Some(Duration::from_secs(2 * DAY));
        let kept = Some(Kept::For(Duration::from_secs(5 * DAY)));
        let plain = RetentionRule { keep, ..RetentionRule::default() };
        let exact = seconds(8 * DAY + 7 * HOUR + 1_800);
        assert_eq!(limits(&plain), [exact, i64::MAX, i64::MAX]);
        let hourly = RetentionRule { hourly: kept, ..plain.clone() };
        assert_eq!(limits(&hourly), [seconds(8 * DAY + 7 * HOUR), seconds(5 * DAY), i64::MAX]);
        let daily = RetentionRule { daily: kept, ..plain.clone() };
        assert_eq!(limits(&daily), [seconds(8 * DAY), i64::MAX, seconds(5 * DAY)]);
        let both = RetentionRule { daily: Some(Kept::Forever), ..hourly };
        assert_eq!(limits(&both), [seconds(8 * DAY + 7 * HOUR), seconds(5 * DAY), i64::MIN]);
        let ever = RetentionRule { keep: None, ..plain };
        assert_eq!(limits(&ever), [i64::MIN; 3]);
    }

    #[test]
    fn the_first_rule_that_fits_holds_and_scopes_have_to_be_named() {
        let keep = |days: u64| Some(Duration::from_secs(days * DAY));
        let rules = [
            RetentionRule {
                attribute: Some("urn:p:a".parse().unwrap()),
                entity_type: Some("urn:t:1".parse().unwrap()),
                keep: keep(1),
                ..RetentionRule::default()
            },
            RetentionRule {
                tenant: Some("other".parse().unwrap()),
                keep: keep(2),
                ..RetentionRule::default()
            },
            RetentionRule { keep: keep(3), ..RetentionRule::default() },
        ];
        let retention = Retention::at(&rules, 0);
        let day = i64::try_from(DAY * 1_000_000).unwrap();
        let found = |tenant: &str, types: &[&str], attribute: &str| {
            let types: Vec<TypeName> = types.iter().map(|name| name.parse().unwrap()).collect();
            let tenant = tenant.parse().unwrap();
            retention.limits(&tenant, &types, &attribute.parse().unwrap()).cutoff / -day
        };
        assert_eq!(found("other", &["urn:t:2", "urn:t:1"], "urn:p:a"), 1);
        assert_eq!(found("other", &["urn:t:2"], "urn:p:a"), 2);
        assert_eq!(found("", &["urn:t:1"], "urn:p:b"), 3);
        assert_eq!(
            retention.limits(&Tenant::default(), &[], &SCOPE.parse().unwrap()),
            Limits::NONE
        );
    }
}
