//! What a client sees of the numbers that the store counts over all tenants.
//!
//! Revisions and positions grow with the writes of everybody. Shown as they are, they would tell
//! one tenant how much another one writes; so they are shown sealed, under a secret of the broker
//! and the name of the tenant.

use std::fmt;
use std::hash::Hasher as _;
use std::str::FromStr;

use musubi_model::{InstanceNumber, Position, Sequence, Tenant};
use musubi_store::Found;
use uuid::Uuid;

/// Seals the numbers of one tenant, and opens what it has sealed.
#[derive(Clone, Copy)]
pub struct Seal {
    /// Of this broker and this tenant alone.
    key: Uuid,
}

/// What the ids of attribute instances begin with; 32 hexadecimal digits follow.
const INSTANCE: &str = "urn:ngsi-ld:Instance:";

/// How often the halves of a number are mixed. With four, what comes out tells nothing of what
/// went in (M. Luby, C. Rackoff).
const ROUNDS: [u8; 4] = [0, 1, 2, 3];

impl Seal {
    pub(crate) fn new(secret: &Uuid, tenant: &Tenant) -> Self {
        Self { key: Uuid::new_v5(secret, tenant.as_str().as_bytes()) }
    }

    /// The version that was read.
    pub fn version(&self, found: &Found) -> Version {
        let mut mixed = self.mixer();
        mixed.write(&found.revision.0.to_be_bytes());
        // What has expired is gone without a write.
        if let Some(expiry) = found.entity.first_expiry() {
            mixed.write(&expiry.as_micros().to_be_bytes());
        }
        mixed.write(found.entity.id.as_str().as_bytes());
        Version(mixed.finish())
    }

    /// SipHash-2-4 under the key: who does not know that learns nothing of what went in, and it
    /// costs a tenth of a version of SHA-1, which every read of an entity would pay.
    #[expect(deprecated, reason = "as a hash for maps; no other keyed function is in the library")]
    fn mixer(&self) -> std::hash::SipHasher {
        let (one, other) = self.key.as_u64_pair();
        std::hash::SipHasher::new_with_keys(one, other)
    }

    /// A text that stands for a place in the order of creation.
    pub fn cursor(&self, position: Position) -> String {
        let [left, right] = halves(position.0);
        let mixed = ROUNDS
            .into_iter()
            .fold([left, right], |[left, right], round| [right, left ^ self.mixed(round, right)]);
        format!("{:016x}", whole(mixed))
    }

    /// What seals places in the log.
    pub fn places(&self) -> Places {
        Places(Self { key: Uuid::new_v5(&self.key, b"places in the log") })
    }

    /// The place that a text stands for; none if it cannot be one of ours.
    pub fn position(&self, cursor: &str) -> Option<Position> {
        let mixed = halves(sixteen_digits(cursor)?);
        let [left, right] = ROUNDS
            .into_iter()
            .rev()
            .fold(mixed, |[left, right], round| [right ^ self.mixed(round, left), left]);
        Some(Position(whole([left, right])))
    }

    /// The `instanceId` of a recorded instance: always the same one (CIM 009, clause 4.5.7).
    pub fn instance_id(&self, number: InstanceNumber) -> String {
        // The zeros in the last digits are the check: sealed, they are in every digit.
        let plain = [number.sequence.0, u64::from(number.ordinal) << 32];
        let [left, right] = ROUNDS
            .into_iter()
            .fold(plain, |[left, right], round| [right, left ^ self.blended(round, right)]);
        format!("{INSTANCE}{left:016x}{right:016x}")
    }

    /// The recorded instance that an `instanceId` stands for; none if it is not of
    /// [`instance_id`](Self::instance_id) for this tenant.
    pub fn instance(&self, id: &str) -> Option<InstanceNumber> {
        let (left, right) = id.strip_prefix(INSTANCE)?.split_at_checked(16)?;
        let sealed = [sixteen_digits(left)?, sixteen_digits(right)?];
        let [sequence, rest] = ROUNDS
            .into_iter()
            .rev()
            .fold(sealed, |[left, right], round| [right ^ self.blended(round, left), left]);
        let [ordinal, check] = halves(rest);
        (check == 0).then_some(InstanceNumber { sequence: Sequence(sequence), ordinal })
    }

    /// As [`mixed`](Self::mixed), for numbers of twice the size.
    fn blended(&self, round: u8, half: u64) -> u64 {
        let text = [&b"inst"[..], &[round], &half.to_be_bytes()].concat();
        // A UUID says in its middle that it is one, so that its two ends are taken.
        let (first, last) = Uuid::new_v5(&self.key, &text).as_u64_pair();
        let ([left, _], [_, right]) = (halves(first), halves(last));
        whole([left, right])
    }

    fn mixed(&self, round: u8, half: u32) -> u32 {
        let [a, b, c, d] = half.to_be_bytes();
        let [left, _] = halves(Uuid::new_v5(&self.key, &[round, a, b, c, d]).as_u64_pair().0);
        left
    }
}

impl fmt::Debug for Seal {
    /// Says nothing: it is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

/// Seals places in the log for one tenant.
///
/// Beside the sealed number stands a check of it, so that what another tenant was given, or what
/// somebody made up, is told apart from a place that the log has not, or no longer. Both depend on
/// dice, which stand in front of them: the place of a stream that was just opened is the end of
/// the log, and who opens one twice is not to learn whether anybody wrote meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Places(Seal);

impl Places {
    /// A text that stands for a place in the log; another one each time.
    pub fn seal(&self, sequence: Sequence) -> String {
        let [dice, _] = halves(Uuid::new_v4().as_u64_pair().0);
        self.sealed(dice, sequence)
    }

    /// A text that stands for a place in the log, always the same one. It is for places of what the
    /// tenant has: that two of them are the same is no secret.
    pub fn name(&self, sequence: Sequence) -> String {
        let mixed = Uuid::new_v5(&self.0.key, &sequence.0.to_be_bytes());
        let [dice, _] = halves(mixed.as_u64_pair().0);
        self.sealed(dice, sequence)
    }

    /// The place that a text stands for; none if it is not of [`seal`](Self::seal) or
    /// [`name`](Self::name).
    pub fn open(&self, text: &str) -> Option<Sequence> {
        let (dice, rest) = text.split_at_checked(8)?;
        let dice = u32::from_str_radix(dice, 16).ok()?;
        let (number, _) = rest.split_at_checked(16)?;
        let sequence = Sequence(self.under(dice).position(number)?.0);
        (self.sealed(dice, sequence) == text).then_some(sequence)
    }

    fn sealed(&self, dice: u32, sequence: Sequence) -> String {
        let seal = self.under(dice);
        let mixed = Uuid::new_v5(&seal.key, &sequence.0.to_be_bytes());
        let [check, _] = halves(mixed.as_u64_pair().1);
        format!("{dice:08x}{}{check:08x}", seal.cursor(Position(sequence.0)))
    }

    /// The seal that belongs to these dice.
    fn under(&self, dice: u32) -> Seal {
        Seal { key: Uuid::new_v5(&self.0.key, &dice.to_be_bytes()) }
    }
}

fn halves(number: u64) -> [u32; 2] {
    let half = |number: u64| u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default();
    [half(number >> 32), half(number)]
}

fn whole([left, right]: [u32; 2]) -> u64 {
    (u64::from(left) << 32) | u64::from(right)
}

/// The number that is written with sixteen hexadecimal digits, as we write them.
fn sixteen_digits(text: &str) -> Option<u64> {
    let ours = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 16 || !text.bytes().all(ours) {
        return None;
    }
    u64::from_str_radix(text, 16).ok()
}

/// One state of an entity as its readers see it: another one after each write, and after a part of
/// it has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(u64);

impl Version {
    /// The number that [`Display`](fmt::Display) writes with sixteen hexadecimal digits.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A text is not the version of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no version of an entity")]
pub struct InvalidVersion;

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        sixteen_digits(text).map(Self).ok_or(InvalidVersion)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(secret: u128, tenant: &str) -> Seal {
        Seal::new(&Uuid::from_u128(secret), &tenant.parse().unwrap())
    }

    #[test]
    fn a_cursor_leads_back_to_its_place_and_tells_nothing_of_it() {
        let seal = seal(7, "kyoto");
        let places = [0, 1, 2, 3, 1_000, u64::from(u32::MAX) + 1, u64::MAX];
        let cursors = places.map(|place| seal.cursor(Position(place)));
        for (place, cursor) in places.iter().zip(&cursors) {
            assert_eq!(seal.position(cursor), Some(Position(*place)), "{cursor}");
        }
        // Places beside each other have nothing in common.
        for pair in cursors.windows(2) {
            let [one, other] = pair else { continue };
            let same = one.bytes().zip(other.bytes()).filter(|(one, other)| one == other).count();
            assert!(same < 8, "{one} {other}");
        }
    }

    #[test]
    fn a_place_in_the_log_is_opened_only_by_who_sealed_it() {
        let [kyoto, nara] = ["kyoto", "nara"].map(|tenant| seal(7, tenant).places());
        for number in [0, 1, 2, 1_000_000, u64::MAX] {
            let name = kyoto.name(Sequence(number));
            assert_eq!(kyoto.open(&name), Some(Sequence(number)), "{name}");
            assert_eq!(kyoto.name(Sequence(number)), name);
            assert_ne!(nara.name(Sequence(number)), name);
            let text = kyoto.seal(Sequence(number));
            assert_eq!(kyoto.open(&text), Some(Sequence(number)), "{text}");
            assert_eq!(nara.open(&text), None, "{text}");
            // One digit off, one too many, one too few.
            let other = if text.ends_with('0') { '1' } else { '0' };
            assert_eq!(kyoto.open(&format!("{}{other}", &text[..31])), None, "{text}");
            assert_eq!(kyoto.open(&format!("{text}0")), None, "{text}");
            assert_eq!(kyoto.open(&text[..31]), None, "{text}");
            // The same place looks otherwise the next time, in every part.
            let again = kyoto.seal(Sequence(number));
            assert_eq!(kyoto.open(&again), Some(Sequence(number)), "{again}");
            for part in [0..8, 8..24, 24..32] {
                assert_ne!(text[part.clone()], again[part], "{text} {again}");
            }
        }
        for text in ["", "5", "結結結結結結結結", "0123456789abcdef01234567", &"7".repeat(32)]
        {
            assert_eq!(kyoto.open(text), None, "{text}");
        }
    }

    #[test]
    fn the_id_of_an_instance_leads_back_to_it_in_its_tenant_alone() {
        let [kyoto, nara] = ["kyoto", "nara"].map(|tenant| seal(7, tenant));
        let mut seen = std::collections::HashSet::new();
        for sequence in [0, 1, 2, 1_000_000, u64::MAX] {
            for ordinal in [0, 1, 2, u32::MAX] {
                let number = InstanceNumber { sequence: Sequence(sequence), ordinal };
                let id = kyoto.instance_id(number);
                assert_eq!(kyoto.instance(&id), Some(number), "{id}");
                assert_eq!(kyoto.instance_id(number), id);
                assert_eq!(nara.instance(&id), None, "{id}");
                let digits = id.strip_prefix(INSTANCE).unwrap();
                assert_eq!(digits.len(), 32);
                // One digit off, one too many, one too few, none of ours.
                for (at, digit) in digits.char_indices() {
                    let other = if digit == '0' { "1" } else { "0" };
                    let mut changed = digits.to_owned();
                    changed.replace_range(at..=at, other);
                    assert_eq!(kyoto.instance(&format!("{INSTANCE}{changed}")), None, "{id}");
                }
                assert_eq!(kyoto.instance(&format!("{id}0")), None);
                assert_eq!(kyoto.instance(&id[..id.len() - 1]), None);
                assert_eq!(kyoto.instance(digits), None);
                assert_eq!(kyoto.instance(&id.to_uppercase()), None);
                // Neither half tells anything, not even that another one is near.
                assert!(
                    seen.insert(digits[..16].to_owned()) && seen.insert(digits[16..].to_owned())
                );
            }
        }
        for text in ["", "urn:ngsi-ld:Instance:", "urn:ngsi-ld:Instance:結結結結結結結結結結結"]
        {
            assert_eq!(kyoto.instance(text), None, "{text}");
        }
    }

    #[test]
    fn another_tenant_or_broker_seals_otherwise() {
        let cursors = [seal(7, "kyoto"), seal(7, "nara"), seal(8, "kyoto")]
            .map(|seal| seal.cursor(Position(5)));
        assert!(cursors[0] != cursors[1] && cursors[0] != cursors[2] && cursors[1] != cursors[2]);
    }

    #[test]
    fn what_is_not_written_as_we_write_is_neither_cursor_nor_version() {
        for text in [
            "",
            "5",
            "00000000000000zz",
            "0000000000000000a",
            "00000000000000AB",
            "+000000000000001",
        ] {
            assert_eq!(seal(7, "kyoto").position(text), None, "{text}");
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
        assert_eq!("00000000000000ab".parse::<Version>().unwrap().to_string(), "00000000000000ab");
    }
}
