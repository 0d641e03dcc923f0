//! The entities of a large store: street lights with five attributes, about 600 bytes each.

use std::fmt::Write as _;

/// Their type.
pub(crate) const TYPE: &str = "StreetLight";
/// How many of them have the same value of an attribute.
pub(crate) const ALIKE: u32 = 10;
/// How many stand on a square kilometre, so that there are about twenty in a circle of 500 m.
const DENSITY: f64 = 25.0;
/// The lower left corner of where they stand, in degrees.
const CORNER: (f64, f64) = (138.5, 35.0);
/// How long a degree is there, in kilometres.
const DEGREE: (f64, f64) = (90.0, 111.2);
/// A prime above every count, so its multiples visit all before they repeat.
const STRIDE: u64 = 2_654_435_761;

/// So many street lights, the same ones each time. The more there are, the larger is the area on
/// which they stand; what is asked for is found as often in few as in many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lamps {
    pub(crate) count: u32,
}

impl Lamps {
    /// The number of one of them: another one for each turn, with no neighbours one after the
    /// other.
    pub(crate) fn any(self, turn: u32) -> u32 {
        let number = u64::from(turn) * STRIDE % u64::from(self.count.max(1));
        u32::try_from(number).unwrap_or_default()
    }

    /// How many different values an attribute has.
    fn groups(self) -> u32 {
        (self.count / ALIKE).max(1)
    }

    /// The group of a lamp: all of a group have the same values, and stand far from each other in
    /// the order of creation.
    pub(crate) fn group(self, number: u32) -> u32 {
        number % self.groups()
    }

    /// A point among the lamps, not at the edge.
    pub(crate) fn place(self, turn: u32) -> (f64, f64) {
        const EDGE: f64 = 0.5;
        let (x, y) = shares(u64::from(turn) | 1 << 40);
        let side = self.side();
        let inside = |share: f64| EDGE + share * (side - 2.0 * EDGE).max(0.0);
        degrees(inside(x), inside(y))
    }

    /// In kilometres.
    fn side(self) -> f64 {
        (f64::from(self.count) / DENSITY).sqrt()
    }

    fn location(self, number: u32) -> (f64, f64) {
        let (x, y) = shares(number.into());
        degrees(x * self.side(), y * self.side())
    }

    /// Adds the text of a lamp.
    pub(crate) fn write(self, body: &mut String, number: u32) {
        let (longitude, latitude) = self.location(number);
        let at = time(number);
        // Writing into a string does not fail.
        let _ = write!(
            body,
            "{{\"id\":\"{id}\",\"type\":\"{TYPE}\",\
             \"label\":{{\"type\":\"Property\",\"value\":\"{label}\",\"observedAt\":\"{at}\"}},\
             \"illuminanceLevel\":{{\"type\":\"Property\",\"value\":{level},\
             \"observedAt\":\"{at}\"}},\
             \"lanternHeight\":{{\"type\":\"Property\",\"value\":{metres}.5,\"unitCode\":\"MTR\"}},\
             \"location\":{{\"type\":\"GeoProperty\",\"value\":{{\"type\":\"Point\",\
             \"coordinates\":[{longitude:.6},{latitude:.6}]}}}},\
             \"refStreetLightGroup\":{{\"type\":\"Relationship\",\
             \"object\":\"urn:ngsi-ld:StreetLightGroup:{group:010}\"}}}}",
            id = id(number),
            label = label(self.group(number)),
            level = level(self.group(number)),
            metres = 4 + number % 9,
            group = number / ALIKE,
        );
    }
}

/// The id of a lamp.
pub(crate) fn id(number: u32) -> String {
    format!("urn:ngsi-ld:{TYPE}:{number:010}")
}

/// A text that a group has.
pub(crate) fn label(group: u32) -> String {
    format!("lamp-{group:07}")
}

/// A number that a group has.
pub(crate) fn level(group: u32) -> String {
    format!("{group}.5")
}

/// A time of one day.
fn time(number: u32) -> String {
    let second = number % 86_400;
    format!("2026-04-01T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// Two numbers from 0 to before 1 that look drawn at random, the same ones each time.
fn shares(seed: u64) -> (f64, f64) {
    let mut mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let share = |bits: u64| f64::from(u32::try_from(bits).unwrap_or_default()) / 4_294_967_296.0;
    (share(mixed >> 32), share(mixed & 0xffff_ffff))
}

fn degrees(east: f64, north: f64) -> (f64, f64) {
    (CORNER.0 + east / DEGREE.0, CORNER.1 + north / DEGREE.1)
}
