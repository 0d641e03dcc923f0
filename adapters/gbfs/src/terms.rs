//! The names of what stations become: one table, from the term to the expanded name.
//!
//! They are the names of the project's context (`musubi_schemas::CONTEXT`), which a test holds
//! the table against: those of the Smart Data Model `BikeHireDockingStation` where it has one,
//! names of our own where it has not.

use musubi_model::{AttrName, InvalidName, TypeName};

const COMMON: &str = "https://smartdatamodels.org/";
const TRANSPORTATION: &str = "https://smartdatamodels.org/dataModel.Transportation/";
const OWN: &str = "urn:musubi:ns:";
const NGSI_LD: &str = "https://uri.etsi.org/ngsi-ld/";

/// The type of a station: term and prefix.
pub(crate) const STATION: (&str, &str) = ("BikeHireDockingStation", TRANSPORTATION);
/// The type of the entity that stands for a feed as a whole.
pub(crate) const FEED: (&str, &str) = ("AdapterFeed", OWN);

/// Every term of an attribute and the prefix of its expanded name.
const TERMS: [(&str, &str); 25] = [
    ("location", NGSI_LD),
    ("status", NGSI_LD),
    ("name", COMMON),
    ("address", COMMON),
    ("areaServed", COMMON),
    ("dataProvider", COMMON),
    ("source", COMMON),
    ("stationName", TRANSPORTATION),
    ("totalSlotNumber", TRANSPORTATION),
    ("freeSlotNumber", TRANSPORTATION),
    ("availableBikeNumber", TRANSPORTATION),
    ("outOfServiceSlotNumber", TRANSPORTATION),
    ("openingHours", OWN),
    ("license", OWN),
    ("attribution", OWN),
    ("stationCode", OWN),
    ("stationArea", OWN),
    ("disabledBikeNumber", OWN),
    ("vehicleTypesAvailable", OWN),
    ("isInstalled", OWN),
    ("isRenting", OWN),
    ("isReturning", OWN),
    ("rentalUri", OWN),
    ("agencyName", OWN),
    ("agencyUrl", OWN),
];

/// Whether the feed itself is to be believed.
const FEED_STATUS: (&str, &str) = ("feedStatus", OWN);

/// The terms that stations and feeds use, each with its expanded name.
pub fn terms() -> impl Iterator<Item = (&'static str, String)> {
    let terms = TERMS.iter().chain([&FEED_STATUS]);
    terms.map(|(term, prefix)| (*term, format!("{prefix}{term}")))
}

/// The expanded name of one of our terms; an IRI stays as it is.
pub(crate) fn attribute(term: &str) -> Result<AttrName, InvalidName> {
    let found = TERMS.iter().find(|(known, _)| *known == term);
    found.map_or_else(|| term.parse(), |(term, prefix)| format!("{prefix}{term}").parse())
}

/// The expanded name of a type.
pub(crate) fn entity_type((term, prefix): (&str, &str)) -> Result<TypeName, InvalidName> {
    format!("{prefix}{term}").parse()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_term_means_what_the_projects_context_says() {
        let context: Value = serde_json::from_str(musubi_schemas::CONTEXT).unwrap();
        let types = [STATION, FEED].map(|name| (name.0, entity_type(name).unwrap().to_string()));
        for (term, name) in
            terms().chain(types).filter(|(term, _)| !["location", "status"].contains(term))
        {
            assert_eq!(context["@context"][term], name, "{term}");
        }
    }

    #[test]
    fn a_term_expands_and_an_iri_stays() {
        for (term, name) in terms().filter(|(term, _)| *term != FEED_STATUS.0) {
            assert_eq!(attribute(term).unwrap().as_str(), name);
        }
        assert_eq!(attribute("https://example.org/x").unwrap().as_str(), "https://example.org/x");
        assert!(attribute("unknown").is_err());
    }
}
