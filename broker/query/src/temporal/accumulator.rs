//! What the values of one period come to, value by value.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use musubi_model::{AttributeType, Instance, Json, Timestamp, Value};

use super::operand::{Operand, feed_json, feed_number, feed_text};
use crate::AggregationMethod;
use crate::moment::{Moment, MomentKind};

/// Puts the values of one period together (CIM 009, clause 4.5.19.1).
///
/// The standard deviation is that of a population: the values of the period are all that there are;
/// of one it is 0. The mean of times of day is that of the time since midnight. Numbers that grow
/// beyond what a JSON number can be stay at the greatest that it can.
///
/// With numbers that were rolled up, the standard deviation is right to a millionth of the greatest of
/// them.
///
/// Where numbers and texts meet, numbers come before dates and times, and those before other texts.
#[derive(Clone, Debug)]
pub struct Accumulator {
    methods: Vec<AggregationMethod>,
    total: u64,
    numbers: Numbers,
    /// Times of day: how many, and the sum of the microseconds since midnight.
    times: (u64, i128),
    least: Option<Word>,
    greatest: Option<Word>,
    distinct: HashSet<u128>,
    /// Whether values came rolled up, so that it is not known any more which there were.
    rolled_up: bool,
}

/// Values that were put together and are not there any more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RollUp {
    /// How many values there were; nothing else means anything if it is 0.
    pub total: u64,
    /// How many of them were numbers, as [`number_of`] tells them; nothing that follows means
    /// anything if it is 0.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub sumsq: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

/// The number that an instance counts with in sums and means, if it has one: that of a number, 1 or 0
/// for a boolean, and for an array how many elements it has.
pub fn number_of(instance: &Instance) -> Option<f64> {
    let value_type = instance.qualifiers.as_ref().and_then(|it| it.value_type.as_deref());
    Operand::of(&instance.value, value_type).number()
}

/// A method that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotApplicable {
    /// The method.
    pub method: AggregationMethod,
    /// What the value is that it cannot be used with, such as `a string`.
    pub value: &'static str,
}

/// 2^-64: so small that a sum of parts stays a number, whatever was added.
const PART: f64 = 1.0 / 18_446_744_073_709_551_616.0;

/// Numbers on the way to their sums. Everything in it is finite.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    count: u64,
    sum: f64,
    /// The sum of the numbers, each times [`PART`]: for the mean of those whose sum is beyond all numbers.
    part: f64,
    sumsq: f64,
    min: f64,
    max: f64,
    /// What comes after the sums, where it is asked for.
    deviation: Option<Deviation>,
}

/// The mean of numbers, and the sum of their squared distances from it, kept up number by number:
/// the difference of two great sums would not be sure. It costs a division for each number.
#[derive(Clone, Copy, Debug, Default)]
struct Deviation {
    mean: f64,
    spread: f64,
}

/// A text that has a place among texts.
#[derive(Clone, Debug)]
struct Word {
    moment: Option<Moment>,
    text: String,
}

impl Accumulator {
    /// Nothing yet, for these methods.
    pub fn new(methods: &[AggregationMethod]) -> Self {
        Self {
            methods: methods.to_vec(),
            total: 0,
            numbers: Numbers::for_methods(methods),
            times: (0, 0),
            least: None,
            greatest: None,
            distinct: HashSet::new(),
            rolled_up: false,
        }
    }

    /// Whether no value has come yet.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// How many different values are told apart, where it is asked how many there are.
    pub fn distinct(&self) -> usize {
        self.distinct.len()
    }

    /// Adds the value of a property or a relationship, with the type that it has by its `valueType`.
    ///
    /// # Errors
    ///
    /// [`NotApplicable`] if one of the methods cannot be used with such a value.
    pub fn add(&mut self, value: &Value, value_type: Option<&str>) -> Result<(), NotApplicable> {
        let operand = Operand::of(value, value_type);
        if let Some(method) = self.methods.iter().find(|method| !operand.allows(**method)) {
            return Err(NotApplicable { method: *method, value: operand.name() });
        }
        self.total += 1;
        if let Some(number) = operand.number() {
            self.numbers.add(number);
        }
        if self.methods.contains(&AggregationMethod::DistinctCount) {
            self.remember(value);
        }
        if let Operand::Moment(moment, _) = &operand
            && moment.kind == MomentKind::TimeOfDay
        {
            self.times.0 += 1;
            self.times.1 += i128::from(moment.at.as_micros());
        }
        match operand {
            Operand::Text(text) => self.compare(None, &text),
            Operand::Moment(moment, text) => self.compare(Some(moment), &text),
            Operand::Number(_)
            | Operand::Boolean(_)
            | Operand::Array(_)
            | Operand::Uri
            | Operand::Targets
            | Operand::Object
            | Operand::Null => {}
        }
        Ok(())
    }

    /// Adds a number: the same as [`add`](Self::add) of a property with it, and quicker. Every
    /// method can be used with it. One that is not finite counts as 0.
    pub fn add_number(&mut self, number: f64) {
        let number = if number.is_finite() { number } else { 0.0 };
        self.total += 1;
        self.numbers.add(number);
        if self.methods.contains(&AggregationMethod::DistinctCount) {
            self.distinct.insert(fingerprint(|hasher| feed_number(number, hasher)));
        }
    }

    /// Adds values that were rolled up.
    ///
    /// # Errors
    ///
    /// [`NotApplicable`] if it is asked how many different values there are.
    pub fn merge(&mut self, roll_up: &RollUp) -> Result<(), NotApplicable> {
        if roll_up.total == 0 {
            return Ok(());
        }
        let method = AggregationMethod::DistinctCount;
        if self.methods.contains(&method) {
            return Err(NotApplicable { method, value: "rolled up" });
        }
        self.total = self.total.saturating_add(roll_up.total);
        if roll_up.count > 0 {
            self.numbers.merge(roll_up);
        }
        self.rolled_up = true;
        Ok(())
    }

    /// Whether roll-ups are among what was added.
    pub fn is_rolled_up(&self) -> bool {
        self.rolled_up
    }

    /// What a method says of what was added; none if nothing was that it could speak of.
    ///
    /// # Errors
    ///
    /// [`NotApplicable`] if the mean of numbers and times of day is asked for.
    pub fn value(&self, method: AggregationMethod) -> Result<Option<Json>, NotApplicable> {
        let of_numbers = |number: f64| Ok((self.numbers.count > 0).then(|| json_number(number)));
        match method {
            AggregationMethod::TotalCount => Ok(Some(json_count(self.total))),
            AggregationMethod::DistinctCount => {
                Ok(Some(json_count(u64::try_from(self.distinct.len()).unwrap_or(u64::MAX))))
            }
            AggregationMethod::Sum => of_numbers(self.numbers.sum),
            AggregationMethod::Sumsq => of_numbers(self.numbers.sumsq),
            AggregationMethod::Stddev => of_numbers(self.numbers.deviation()),
            AggregationMethod::Avg => self.average(),
            AggregationMethod::Min if self.numbers.count > 0 => of_numbers(self.numbers.min),
            AggregationMethod::Min => Ok(self.least.as_ref().map(Word::json)),
            AggregationMethod::Max => match &self.greatest {
                Some(word) => Ok(Some(word.json())),
                None => of_numbers(self.numbers.max),
            },
        }
    }

    fn average(&self) -> Result<Option<Json>, NotApplicable> {
        let (count, sum) = self.times;
        match (self.numbers.count, count) {
            (0, 0) => Ok(None),
            (_, 0) => Ok(Some(json_number(self.numbers.average()))),
            (0, _) => {
                let mean = sum.div_euclid(i128::from(count));
                let time = Timestamp::from_micros(i64::try_from(mean).unwrap_or(0)).to_string();
                Ok(time.split_once('T').map(|(_, time)| Json::from(time)))
            }
            (_, _) => Err(NotApplicable {
                method: AggregationMethod::Avg,
                value: "a time of day, and another that is a number",
            }),
        }
    }

    fn remember(&mut self, value: &Value) {
        match value.kind {
            AttributeType::Relationship | AttributeType::ListRelationship => {
                for target in value.uris() {
                    self.distinct.insert(fingerprint(|hasher| feed_text(&target, hasher)));
                }
            }
            AttributeType::Property
            | AttributeType::GeoProperty
            | AttributeType::LanguageProperty
            | AttributeType::VocabProperty
            | AttributeType::JsonProperty
            | AttributeType::ListProperty => {
                self.distinct.insert(fingerprint(|hasher| feed_json(&value.json, hasher)));
            }
        }
    }

    fn compare(&mut self, moment: Option<Moment>, text: &str) {
        let word = |text: &str| Some(Word { moment, text: text.to_owned() });
        // Of equal ones the first stays.
        if self.least.as_ref().is_none_or(|least| least.compare(moment, text).is_gt()) {
            self.least = word(text);
        }
        if self.greatest.as_ref().is_none_or(|greatest| greatest.compare(moment, text).is_lt()) {
            self.greatest = word(text);
        }
    }
}

impl Word {
    fn compare(&self, moment: Option<Moment>, text: &str) -> Ordering {
        let rank = |moment: Option<Moment>| match moment.map(|moment| moment.kind) {
            Some(MomentKind::DateTime) => 0_u8,
            Some(MomentKind::Date) => 1,
            Some(MomentKind::TimeOfDay) => 2,
            None => 3,
        };
        rank(self.moment).cmp(&rank(moment)).then_with(|| match (self.moment, moment) {
            (Some(one), Some(other)) => one.at.cmp(&other.at),
            (None, _) | (_, None) => self.text.as_str().cmp(text),
        })
    }

    fn json(&self) -> Json {
        Json::from(self.text.as_str())
    }
}

impl Numbers {
    fn for_methods(methods: &[AggregationMethod]) -> Self {
        let deviates = methods.contains(&AggregationMethod::Stddev);
        Self { deviation: deviates.then(Deviation::default), ..Self::default() }
    }

    fn add(&mut self, number: f64) {
        if self.count == 0 {
            (self.min, self.max) = (number, number);
        }
        self.count += 1;
        self.sum = finite(self.sum + number);
        self.part += number * PART;
        self.sumsq = finite(self.sumsq + number * number);
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        if let Some(deviation) = &mut self.deviation {
            deviation.add(number, self.count);
        }
    }

    fn merge(&mut self, other: &RollUp) {
        let [sum, sumsq, min, max] = [other.sum, other.sumsq, other.min, other.max].map(finite);
        if self.count == 0 {
            (self.min, self.max) = (min, max);
        }
        if let Some(deviation) = &mut self.deviation {
            deviation.merge(other, self.count);
        }
        self.count = self.count.saturating_add(other.count);
        self.sum = finite(self.sum + sum);
        self.part += sum * PART;
        self.sumsq = finite(self.sumsq + sumsq);
        self.min = self.min.min(min);
        self.max = self.max.max(max);
    }

    /// From the sum as long as that is true.
    fn average(&self) -> f64 {
        let count = to_f64(self.count);
        if self.sum.abs() < f64::MAX { self.sum / count } else { self.part / count / PART }
    }

    fn deviation(&self) -> f64 {
        let spread = self.deviation.map_or(0.0, |deviation| deviation.spread.max(0.0));
        (spread / to_f64(self.count.max(1))).sqrt()
    }
}

impl Deviation {
    /// Adds a number, which with those before it makes so many.
    fn add(&mut self, number: f64, count: u64) {
        let distance = finite(number - self.mean);
        self.mean = finite(self.mean + distance / to_f64(count));
        self.spread = finite(self.spread + finite(distance * finite(number - self.mean)));
    }

    /// Adds what was rolled up to so many numbers.
    fn merge(&mut self, other: &RollUp, count: u64) {
        let [sum, sumsq, min, max] = [other.sum, other.sumsq, other.min, other.max].map(finite);
        let (mine, theirs) = (to_f64(count), to_f64(other.count));
        let mean = sum / theirs;
        // The difference of two great numbers, of which only this is sure.
        let is_one = min.total_cmp(&max).is_eq();
        let spread = if is_one { 0.0 } else { finite(sum.mul_add(-mean, sumsq)).max(0.0) };
        let distance = finite(mean - self.mean);
        let both = mine + theirs;
        let between = finite(finite(distance * distance) * (mine * theirs / both));
        self.spread = finite(self.spread + finite(spread + between));
        self.mean = finite(distance.mul_add(theirs / both, self.mean));
    }
}

/// The number, or if it is beyond all numbers the one that is nearest.
fn finite(number: f64) -> f64 {
    if number.is_nan() { 0.0 } else { number.clamp(f64::MIN, f64::MAX) }
}

#[expect(clippy::cast_precision_loss, reason = "a count beyond 2^53 is never reached")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

fn json_count(count: u64) -> Json {
    Json::parse(&count.to_string()).unwrap_or_else(|_| Json::from(""))
}

/// Whole numbers without a fraction, and nothing with more digits than it needs.
fn json_number(number: f64) -> Json {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number = finite(number) + 0.0;
    let text = if number.fract() == 0.0 && number.abs() < EXACT {
        format!("{number:.0}")
    } else {
        format!("{number:?}")
    };
    Json::parse(&text).unwrap_or_else(|_| Json::from(""))
}

/// 128 bits that are as good as different for different values: so that what is remembered of each
/// is small, however long it is.
fn fingerprint(feed: impl Fn(&mut DefaultHasher)) -> u128 {
    let half = |seed: u64| {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        feed(&mut hasher);
        u128::from(hasher.finish())
    };
    (half(0) << 64) | half(1)
}
