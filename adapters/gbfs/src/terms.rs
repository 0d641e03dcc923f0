//! The names of what stations become: one table, from the term to the expanded name.
//!
//! The type and most attributes are those of the Smart Data Model `BikeHireDockingStation`; the
//! rest are attributes of our own, marked in the table, under the same prefix so that one context
//! serves all of them. `schemas/` ships that context.

use musubi_model::{AttrName, InvalidName, TypeName};

const COMMON: &str = "https://smartdatamodels.org/";
const TRANSPORTATION: &str = "https://smartdatamodels.org/dataModel.Transportation/";
const NGSI_LD: &str = "https://uri.etsi.org/ngsi-ld/";

/// The type of a station.
pub(crate) const STATION: &str = "BikeHireDockingStation";
/// The type of the entity that stands for a feed as a whole.
pub(crate) const FEED: &str = "GbfsFeed";

/// Every term and the prefix of its expanded name.
const TERMS: [(&str, &str); 28] = [
    // Of the core context.
    ("location", NGSI_LD),
    // Common to all Smart Data Models.
    ("name", COMMON),
    ("address", COMMON),
    ("areaServed", COMMON),
    ("dataProvider", COMMON),
    ("provider", COMMON),
    ("source", COMMON),
    ("license", COMMON),
    // Of BikeHireDockingStation.
    ("stationName", TRANSPORTATION),
    ("totalSlotNumber", TRANSPORTATION),
    ("freeSlotNumber", TRANSPORTATION),
    ("availableBikeNumber", TRANSPORTATION),
    ("outOfServiceSlotNumber", TRANSPORTATION),
    ("openingHours", TRANSPORTATION),
    ("status", TRANSPORTATION),
    // Our own.
    ("stationCode", TRANSPORTATION),
    ("disabledBikeNumber", TRANSPORTATION),
    ("vehicleTypesAvailable", TRANSPORTATION),
    ("isInstalled", TRANSPORTATION),
    ("isRenting", TRANSPORTATION),
    ("isReturning", TRANSPORTATION),
    ("rentalUri", TRANSPORTATION),
    ("stationArea", TRANSPORTATION),
    ("attribution", TRANSPORTATION),
    ("agencyUrl", TRANSPORTATION),
    ("feedStatus", TRANSPORTATION),
    ("feedUrl", TRANSPORTATION),
    ("feedLastUpdated", TRANSPORTATION),
];

/// The terms that stations and feeds use, each with its expanded name.
pub fn terms() -> impl Iterator<Item = (&'static str, String)> {
    TERMS.iter().map(|(term, prefix)| (*term, format!("{prefix}{term}")))
}

/// The expanded name of one of our terms; an IRI stays as it is.
pub(crate) fn attribute(term: &str) -> Result<AttrName, InvalidName> {
    let prefix = TERMS.iter().find(|(known, _)| *known == term).map(|(_, prefix)| *prefix);
    prefix.map_or_else(|| term.parse(), |prefix| format!("{prefix}{term}").parse())
}

/// The expanded name of a type.
pub(crate) fn entity_type(term: &str) -> Result<TypeName, InvalidName> {
    format!("{TRANSPORTATION}{term}").parse()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_term_is_there_once_and_expands() {
        let names: HashSet<String> = terms().map(|(_, name)| name).collect();
        assert_eq!(names.len(), TERMS.len());
        for (term, name) in terms() {
            assert_eq!(attribute(term).unwrap().as_str(), name);
        }
        assert_eq!(attribute("https://example.org/x").unwrap().as_str(), "https://example.org/x");
        assert!(attribute("unknown").is_err());
    }
}
