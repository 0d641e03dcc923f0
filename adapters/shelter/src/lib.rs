//! Evacuation shelters: snapshots, reports and check-ins.
//!
//! Three kinds of input say how a shelter is: a table of all open shelters (a snapshot), a report
//! of one shelter's head count, and a check-in or check-out that changes it. All three end in one
//! [`lifecycle`](Occupancy) of an `EvacuationShelter`. Counts only; nothing here knows of people.
//!
//! `snapshot`, `era`, `lifecycle`, `occupancy`, `report` and `map` are pure; `adapter` and
//! `files` do the IO.

mod adapter;
mod encoding;
mod era;
mod files;
mod lifecycle;
mod map;
mod occupancy;
mod report;
mod snapshot;

pub use adapter::{ShelterAdapter, from_mapping};
pub use era::{InvalidMoment, parse_moment};
pub use lifecycle::{Congestion, Shelter, Status, Thresholds};
pub use map::{ENTITY_TYPE, shelter_id};
pub use occupancy::{Effect, Occupancy};
pub use report::{CheckIn, InvalidReport, Report};
pub use snapshot::{Row, Snapshot, SnapshotError, parse_snapshot};
