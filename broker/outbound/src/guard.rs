//! Which addresses may be reached.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// What is allowed of private addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Private {
    /// Loopback, and nothing else that is private.
    #[default]
    Loopback,
    /// None.
    Deny,
    /// All, but not link-local ones.
    Allow,
}

/// A network in CIDR notation, such as `192.0.2.0/24`. An address alone is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    /// The first address; the bits behind the prefix are zero.
    address: IpAddr,
    prefix: u8,
}

/// Why a string is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a network is written as in 192.0.2.0/24, and {0:?} is not")]
pub struct InvalidNetwork(pub String);

/// Decides which addresses may be reached.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// What is allowed of private addresses.
    pub private: Private,
    /// Networks that are allowed whatever else is said, link-local ones excepted.
    pub allow: Vec<Network>,
}

impl Guard {
    /// Whether this address may be reached.
    ///
    /// An IPv6 address that only wraps an IPv4 one (mapped, compatible, SIIT, NAT64, 6to4) is judged
    /// as the address inside; one of a NAT64 of the local network is private, whatever is inside.
    /// Link-local, unspecified, multicast and broadcast addresses and those of cloud metadata
    /// services are never permitted.
    pub fn permits(&self, address: IpAddr) -> bool {
        let target = unwrapped(address);
        if is_never_permitted(target) || leads_locally_to_what_is_never_permitted(address) {
            return false;
        }
        if self.allow.iter().any(|network| network.contains(address) || network.contains(target)) {
            return true;
        }
        match self.private {
            Private::Allow => true,
            Private::Loopback => target.is_loopback() || is_public(target),
            Private::Deny => is_public(target),
        }
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                masked(address, self.prefix) == self.address
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || InvalidNetwork(text.chars().take(80).collect());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            // `u8::from_str` would take a sign.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| refuse())?
            }
            Some(_) => return Err(refuse()),
        };
        if prefix > longest {
            return Err(refuse());
        }
        Ok(Self { address: masked(address, prefix), prefix })
    }
}

impl TryFrom<String> for Network {
    type Error = InvalidNetwork;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The address with the bits behind the prefix set to zero.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

/// The IPv4 address that a packet to this address ends at, where an IPv6 address only wraps one.
fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let inner = |high: u16, low: u16| {
        IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
    };
    match v6.segments() {
        // ::ffff:0:0/96 (mapped), ::ffff:0:0:0/96 (SIIT) and 64:ff9b::/96 (NAT64)
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        // 2002::/16 (6to4)
        | [0x2002, high, low, ..] => inner(high, low),
        // ::/96 (compatible); :: and ::1 are themselves
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => inner(high, low),
        _ => address,
    }
}

/// Whether a NAT64 of the local network, with a prefix in `64:ff9b:1::/48` (RFC 8215), may lead from
/// this address to one that is never permitted. How long that prefix is, nobody outside knows, so
/// every place where the IPv4 address may stand is looked at (RFC 6052, section 2.2).
fn leads_locally_to_what_is_never_permitted(address: IpAddr) -> bool {
    let IpAddr::V6(v6) = address else { return false };
    let octets = v6.octets();
    octets.starts_with(&[0, 0x64, 0xff, 0x9b, 0, 1])
        && PLACES_IN_NAT64.iter().any(|places| {
            let inner = places.map(|place| octets.get(place).copied().unwrap_or_default());
            // What begins with 0 are the zeros of another form; nothing is sent there.
            inner[0] != 0 && is_never_permitted(IpAddr::from(inner))
        })
}

/// The octets in which an IPv4 address stands behind a prefix of 48, 56, 64 and 96 bits.
const PLACES_IN_NAT64: [[usize; 4]; 4] =
    [[6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12], [12, 13, 14, 15]];

fn is_never_permitted(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.octets()[0] == 0
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || METADATA_V4.contains(&v4)
        }
        IpAddr::V6(v6) => {
            v6.is_unspecified()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
                || METADATA_V6.contains(&v6)
        }
    }
}

/// Metadata services of clouds outside 169.254.0.0/16: Azure, Alibaba, Oracle.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// Metadata services of clouds outside `fe80::/10`: AWS, Google.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// Whether the address is of the open internet, by the special-purpose registries of IANA.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !matches!(
                (a, b, c),
                (0 | 10 | 127 | 240.., _, _)
                    | (100, 64..=127, _)
                    | (169, 254, _)
                    | (172, 16..=31, _)
                    | (192, 0, 0 | 2)
                    | (192, 88, 99)
                    | (192, 168, _)
                    | (198, 18 | 19, _)
                    | (198, 51, 100)
                    | (203, 0, 113)
            ) && !v4.is_multicast()
        }
        IpAddr::V6(v6) => match v6.segments() {
            // 2001::/23 (protocol assignments, Teredo among them), 2001:db8::/32 and 3fff::/20
            // (documentation)
            [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
            // 2000::/3 is what has been given out.
            [first, ..] => first & 0xe000 == 0x2000,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(private: Private, allow: &[&str]) -> Guard {
        Guard { private, allow: allow.iter().map(|text| text.parse().unwrap()).collect() }
    }

    fn check(guard: &Guard, permitted: &[&str], refused: &[&str]) {
        for address in permitted {
            assert!(guard.permits(address.parse().unwrap()), "{address} is to be permitted");
        }
        for address in refused {
            assert!(!guard.permits(address.parse().unwrap()), "{address} is to be refused");
        }
    }

    const PUBLIC: &[&str] = &[
        "8.8.8.8",
        "133.242.0.1",
        "2001:4860:4860::8888",
        "64:ff9b::808:808",
        "::ffff:8.8.8.8",
        "::ffff:0:8.8.8.8",
    ];
    const LOOPBACK: &[&str] = &["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"];
    const PRIVATE: &[&str] = &[
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "198.18.0.1",
        "192.0.2.1",
        "203.0.113.9",
        "240.0.0.1",
        "fc00::1",
        "fd12::1",
        "fec0::1",
        "2001:db8::1",
        "3fff::1",
        "::ffff:10.0.0.1",
        "::ffff:0:10.0.0.1",
        "64:ff9b:1::a00:1",
        "64:ff9b:1::808:808",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
        "::10.0.0.1",
    ];
    const NEVER: &[&str] = &[
        "0.0.0.0",
        "0.1.2.3",
        "169.254.0.1",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "64:ff9b:1:7:a9:fea9:fe00:0",
        "64:ff9b:1:a9:fe:a9fe:1:2",
        "64:ff9b:1:a9fe:a9:fe00::",
        "2002:a9fe:a9fe::1",
        "::169.254.169.254",
        "224.0.0.1",
        "239.255.255.255",
        "255.255.255.255",
        "168.63.129.16",
        "100.100.100.200",
        "::",
        "fe80::1",
        "febf::1",
        "ff02::1",
        "fd00:ec2::254",
    ];

    #[test]
    fn deny_permits_public_addresses_alone() {
        let guard = guard(Private::Deny, &[]);
        check(&guard, PUBLIC, &[LOOPBACK, PRIVATE, NEVER].concat());
    }

    #[test]
    fn loopback_permits_loopback_as_well() {
        let guard = guard(Private::Loopback, &[]);
        check(&guard, &[PUBLIC, LOOPBACK].concat(), &[PRIVATE, NEVER].concat());
    }

    #[test]
    fn allow_permits_everything_but_what_is_never_permitted() {
        let guard = guard(Private::Allow, &[]);
        check(&guard, &[PUBLIC, LOOPBACK, PRIVATE].concat(), NEVER);
    }

    #[test]
    fn a_network_that_is_allowed_is_permitted_but_never_a_link_local_one() {
        let guard = guard(Private::Deny, &["192.168.1.0/24", "169.254.0.0/16", "fd00::/8", "::/0"]);
        check(
            &guard,
            &["192.168.1.77", "::ffff:192.168.1.77", "fd12::1", "::1"],
            &["192.168.2.1", "169.254.169.254", "fd00:ec2::254", "10.0.0.1"],
        );
    }

    #[test]
    fn a_network_is_read_and_written() {
        let check = |given: &str, written: &str| {
            assert_eq!(given.parse::<Network>().unwrap().to_string(), written);
        };
        check("192.0.2.0/24", "192.0.2.0/24");
        check("192.0.2.77/24", "192.0.2.0/24");
        check("192.0.2.77", "192.0.2.77/32");
        check("0.0.0.0/0", "0.0.0.0/0");
        check("2001:db8::/32", "2001:db8::/32");
        for wrong in
            ["", "x", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/-1", "192.0.2.0/+8", "::/129"]
        {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
