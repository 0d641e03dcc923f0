//! The names of the members of a subscription, and what was meant by one that is none of them.

/// All names that mean something in a subscription.
const NAMES: [&str; 30] = [
    "createdAt",
    "csf",
    "datasetId",
    "description",
    "entities",
    "expandValues",
    "expiresAt",
    "geoQ",
    "id",
    "initialNotification",
    "isActive",
    "jsonKeys",
    "jsonldContext",
    "lang",
    "localOnly",
    "modifiedAt",
    "ngsildConformance",
    "notification",
    "notificationTrigger",
    "q",
    "scopeQ",
    "silentFor",
    "splitEntities",
    "status",
    "subscriptionName",
    "temporalQ",
    "throttling",
    "timeInterval",
    "type",
    "watchedAttributes",
];

/// So many letters more, less or other are taken for a slip.
const SLIPS: usize = 2;

/// Names that are shorter than this are too close to each other to guess.
const SHORTEST: usize = 5;

/// The member that somebody meant who wrote this name.
pub(super) fn meant_by(name: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name) || is_slip(name, known))
}

/// Whether a name differs so little from a known one that it is most likely meant.
pub(super) fn is_slip(name: &str, known: &str) -> bool {
    known.len() >= SHORTEST
        && known.len().abs_diff(name.len()) <= SLIPS
        && distance(known.as_bytes(), name.as_bytes()) <= SLIPS
}

/// How many letters have to be added, removed or replaced to come from one to the other.
fn distance(from: &[u8], to: &[u8]) -> usize {
    // The distances from what has been seen of `from` to each beginning of `to`.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (b, cell) in to.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *cell;
            left = replaced.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_counts_letters() {
        for (from, to, expected) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "", 3),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("ab", "ba", 2),
        ] {
            assert_eq!(distance(from.as_bytes(), to.as_bytes()), expected, "{from} {to}");
            assert_eq!(distance(to.as_bytes(), from.as_bytes()), expected, "{to} {from}");
        }
    }

    #[test]
    fn a_slip_is_told_from_another_name() {
        assert_eq!(meant_by("watchedAtributes"), Some("watchedAttributes"));
        assert_eq!(meant_by("Throttling"), Some("throttling"));
        assert_eq!(meant_by("entitys"), Some("entities"));
        assert_eq!(meant_by("isactive"), Some("isActive"));
        assert_eq!(meant_by("Q"), Some("q"));
        for other in ["colour", "x", "tag", "__context", "owner", "", "émission", &"a".repeat(9999)]
        {
            assert_eq!(meant_by(other), None, "{other}");
        }
    }
}
