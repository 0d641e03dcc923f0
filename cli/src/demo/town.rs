//! The town: the only thing in the demo that is simulated.
//!
//! Pure and deterministic: a seed gives the same town, and a seed and a step the same numbers.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Docks in the town.
pub(crate) const DOCKS: usize = 40;
/// Shelters in the town.
pub(crate) const SHELTERS: usize = 12;
/// Sensors in the town.
pub(crate) const SENSORS: usize = 200;

/// The identifier of the town's share-cycle system.
pub(crate) const SYSTEM: &str = "musubi-demo";

/// A town.
#[derive(Clone, Debug)]
pub(crate) struct Town {
    seed: u64,
    docks: Vec<Dock>,
    shelters: Vec<Shelter>,
}

/// A place where bikes are lent and returned.
#[derive(Clone, Debug)]
pub(crate) struct Dock {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) position: Position,
    pub(crate) capacity: u32,
    pub(crate) bikes: u32,
}

/// A place to stay after a disaster.
#[derive(Clone, Debug)]
pub(crate) struct Shelter {
    pub(crate) id: String,
    pub(crate) people: u32,
    limit: u32,
}

/// Where something stands, in degrees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    pub(crate) longitude: f64,
    pub(crate) latitude: f64,
}

/// What a sensor measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    /// Degrees Celsius.
    pub(crate) temperature: f64,
    /// From 0 to 1.
    pub(crate) humidity: f64,
}

const QUARTERS: [&str; 8] = ["駅前", "港町", "城下", "本町", "緑ヶ丘", "川端", "大学前", "桜台"];

impl Town {
    /// The town of this seed, as it is at first.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let docks = (0..DOCKS)
            .map(|number| {
                let capacity = random.random_range(8..=30);
                Dock {
                    id: format!("{:05}", number + 1),
                    name: format!(
                        "{}{}丁目",
                        QUARTERS.get(number % QUARTERS.len()).copied().unwrap_or_default(),
                        number / QUARTERS.len() + 1
                    ),
                    position: Position {
                        longitude: round(136.88 + random.random_range(0.0..0.06), 6),
                        latitude: round(35.14 + random.random_range(0.0..0.06), 6),
                    },
                    capacity,
                    bikes: random.random_range(0..=capacity),
                }
            })
            .collect();
        let shelters = (0..SHELTERS)
            .map(|number| Shelter {
                id: format!("{:03}", number + 1),
                people: random.random_range(0..20),
                limit: random.random_range(80..=300),
            })
            .collect();
        Self { seed, docks, shelters }
    }

    /// The docks as they are now.
    pub(crate) fn docks(&self) -> &[Dock] {
        &self.docks
    }

    /// Lets some people ride, as step `step` of the town.
    pub(crate) fn ride(&mut self, step: u64) {
        let mut random =
            StdRng::seed_from_u64(self.seed ^ step.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for _ in 0..DOCKS / 4 {
            let from = random.random_range(0..DOCKS);
            let to = random.random_range(0..DOCKS);
            let has_bike = self.docks.get(from).is_some_and(|dock| dock.bikes > 0);
            let has_room = self.docks.get(to).is_some_and(|dock| dock.bikes < dock.capacity);
            if has_bike && has_room && from != to {
                if let Some(dock) = self.docks.get_mut(from) {
                    dock.bikes -= 1;
                }
                if let Some(dock) = self.docks.get_mut(to) {
                    dock.bikes += 1;
                }
            }
        }
    }

    /// Lets people come to or leave one of the shelters, and says which one and how it is now.
    pub(crate) fn shelter(&mut self, step: u64) -> Option<&Shelter> {
        let mut random = StdRng::seed_from_u64(self.seed.rotate_left(17) ^ step);
        let chosen = usize::try_from(step).unwrap_or_default() % SHELTERS;
        let shelter = self.shelters.get_mut(chosen)?;
        shelter.people = if random.random_ratio(2, 3) {
            (shelter.people + random.random_range(1..12)).min(shelter.limit)
        } else {
            shelter.people.saturating_sub(random.random_range(1..8))
        };
        Some(shelter)
    }

    /// What a sensor measures at a step.
    pub(crate) fn reading(&self, sensor: usize, step: u64) -> Reading {
        let place = u64::try_from(sensor).unwrap_or_default();
        let mut random = StdRng::seed_from_u64(self.seed ^ (place << 32) ^ step);
        let hour = f64::from(u32::try_from(step % 1440).unwrap_or_default()) / 60.0;
        let day = ((hour - 9.0) * std::f64::consts::PI / 12.0).sin();
        Reading {
            temperature: round(18.0 + 6.0 * day + random.random_range(-0.5..0.5), 1),
            humidity: round(
                (0.6 - 0.2 * day + random.random_range(-0.02..0.02)).clamp(0.0, 1.0),
                2,
            ),
        }
    }
}

/// The name of a sensor, which is also its MQTT client's.
pub(crate) fn sensor_name(sensor: usize) -> String {
    format!("sensor-{:03}", sensor + 1)
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_town_and_another_seed_another() {
        let bikes = |seed| {
            let mut town = Town::new(seed);
            town.ride(1);
            town.docks()
                .iter()
                .map(|dock| (dock.bikes, dock.position.latitude.to_bits()))
                .collect::<Vec<_>>()
        };
        assert_eq!(bikes(7), bikes(7));
        assert_ne!(bikes(7), bikes(8));
        assert_eq!(Town::new(7).reading(3, 9), Town::new(7).reading(3, 9));
    }

    #[test]
    fn no_bike_is_lost_and_no_dock_holds_more_than_it_can() {
        let mut town = Town::new(1);
        let total = |town: &Town| town.docks().iter().map(|dock| dock.bikes).sum::<u32>();
        let before = total(&town);
        for step in 0..500 {
            town.ride(step);
            assert!(town.docks().iter().all(|dock| dock.bikes <= dock.capacity));
        }
        assert_eq!(total(&town), before);
    }

    #[test]
    fn readings_are_ones_that_the_schema_allows() {
        let town = Town::new(1);
        for step in 0..3000 {
            let reading = town.reading(5, step);
            assert!((-60.0..=60.0).contains(&reading.temperature));
            assert!((0.0..=1.0).contains(&reading.humidity));
        }
    }
}
