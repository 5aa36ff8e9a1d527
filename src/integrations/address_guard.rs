//! Which network addresses a request may reach when its URL came from a user.
//!
//! In: addresses, after resolution. Out: allowed or not. Only addresses of the public internet are, and those the operator
//! listed: a webhook must not become a way into the network the server stands in, nor to its cloud's metadata service.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The address is not one that users may make us call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefused {
    #[error("{host} is a private or reserved address; security.allow_private_targets can allow it")]
    Private { host: String },
    #[error("only http and https addresses with a host can be called")]
    Scheme,
    #[error("more than {0} redirects")]
    Redirects(usize),
}

/// The text is not a list of addresses and CIDRs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address nor a CIDR like `10.1.0.0/16`")]
pub struct AllowListError(String);

/// A block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cidr {
    base: IpAddr,
    prefix: u32,
}

impl Cidr {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => in_v4(address, base, self.prefix),
            (IpAddr::V6(base), IpAddr::V6(address)) => in_v6(address, base, self.prefix),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = AllowListError;

    fn from_str(text: &str) -> Result<Self, AllowListError> {
        let wrong = || AllowListError(text.to_owned());
        let (base, prefix) = match text.split_once('/') {
            Some((base, prefix)) => (
                base,
                Some(prefix.parse::<u32>().map_err(|_not_a_number| wrong())?),
            ),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_not_an_address| wrong())?;
        let bits = if base.is_ipv4() {
            Ipv4Addr::BITS
        } else {
            Ipv6Addr::BITS
        };
        let prefix = prefix.unwrap_or(bits);
        if prefix > bits {
            Err(wrong())
        } else {
            Ok(Self { base, prefix })
        }
    }
}

/// The operator's exceptions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList(Vec<Cidr>);

impl FromStr for AllowList {
    type Err = AllowListError;

    /// Reads addresses and CIDRs separated by commas; an empty text allows nothing beyond the public internet.
    fn from_str(text: &str) -> Result<Self, AllowListError> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(Cidr::from_str).collect::<Result<_, _>>().map(Self)
    }
}

impl AllowList {
    /// Whether a request may go to `address`.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        let plain = match address {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
            IpAddr::V4(_) => address,
        };
        is_public(plain) || self.0.iter().any(|cidr| cidr.contains(plain))
    }

    /// Checks what a URL says by itself. A name is checked again when it is resolved, by [`GuardedResolver`].
    ///
    /// # Errors
    /// [`AddressRefused`] for another scheme, and for a written-out address that may not be reached.
    pub fn check(&self, url: &Url) -> Result<(), AddressRefused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(AddressRefused::Scheme);
        }
        let literal = match url.host().ok_or(AddressRefused::Scheme)? {
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
            Host::Domain(_) => return Ok(()),
        };
        if self.permits(literal) {
            Ok(())
        } else {
            Err(AddressRefused::Private {
                host: literal.to_string(),
            })
        }
    }
}

/// Says what a name means.
pub(super) type LookUp = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Asks the system.
pub(super) fn system_names() -> LookUp {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// Resolves names and gives out only addresses that may be reached: the connection goes to exactly those, so a name that
/// resolves differently a moment later changes nothing.
pub(super) struct GuardedResolver {
    pub(super) allowed: Arc<AllowList>,
    pub(super) look_up: LookUp,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = Arc::clone(&self.allowed);
        let found = (self.look_up)(name.as_str().to_owned());
        Box::pin(async move {
            let permitted: Vec<SocketAddr> = found
                .await?
                .into_iter()
                .filter(|address| allowed.permits(*address))
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if permitted.is_empty() {
                return Err(AddressRefused::Private {
                    host: name.as_str().to_owned(),
                }
                .into());
            }
            let addresses: Addrs = Box::new(permitted.into_iter());
            Ok(addresses)
        })
    }
}

/// Blocks of IPv4 that are not the public internet (IANA's special-purpose registry), and addresses in it that clouds use
/// for themselves.
const RESERVED_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local, with the metadata service of most clouds at 169.254.169.254.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Azure's own services towards a machine.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// The public internet in IPv6, and the blocks in it that are not.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const RESERVED_V6: &[(Ipv6Addr, u32)] = &[
    // Protocol assignments with Teredo, which hides an IPv4 address.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0x0db8, 0, 0, 0, 0, 0, 0), 32),
    // 6to4, which hides one too.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !RESERVED_V4.iter().any(|(base, prefix)| in_v4(v4, *base, *prefix)),
        IpAddr::V6(v6) => {
            in_v6(v6, GLOBAL_V6.0, GLOBAL_V6.1)
                && !RESERVED_V6.iter().any(|(base, prefix)| in_v6(v6, *base, *prefix))
        }
    }
}

fn in_v4(address: Ipv4Addr, base: Ipv4Addr, prefix: u32) -> bool {
    let mask = u32::MAX.checked_shl(Ipv4Addr::BITS - prefix).unwrap_or(0);
    address.to_bits() & mask == base.to_bits() & mask
}

fn in_v6(address: Ipv6Addr, base: Ipv6Addr, prefix: u32) -> bool {
    let mask = u128::MAX.checked_shl(Ipv6Addr::BITS - prefix).unwrap_or(0);
    address.to_bits() & mask == base.to_bits() & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> AllowList {
        text.parse().expect("a list")
    }

    #[test]
    fn only_the_public_internet_is_permitted() {
        let none = AllowList::default();
        for public in [
            "8.8.8.8",
            "1.1.1.1",
            "100.128.0.1",
            "172.32.0.1",
            "2606:4700::1111",
            "2a00:1450:4001::1",
        ] {
            assert!(none.permits(public.parse().expect("an address")), "{public}");
        }
        for private in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
        ] {
            assert!(!none.permits(private.parse().expect("an address")), "{private}");
        }
    }

    #[test]
    fn the_operator_can_permit_addresses_and_blocks() {
        let some = list("127.0.0.1, 10.1.0.0/16,fd00::/8");
        for permitted in ["127.0.0.1", "::ffff:127.0.0.1", "10.1.255.255", "fd12::1"] {
            assert!(
                some.permits(permitted.parse().expect("an address")),
                "{permitted}"
            );
        }
        for refused in ["127.0.0.2", "10.2.0.0", "fe80::1"] {
            assert!(!some.permits(refused.parse().expect("an address")), "{refused}");
        }
        assert!(list("0.0.0.0/0").permits("10.0.0.1".parse().expect("an address")));
        assert_eq!(list(" "), AllowList::default());
        for wrong in ["localhost", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/x"] {
            assert!(wrong.parse::<AllowList>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_url_shows_its_address_in_every_spelling() {
        let none = AllowList::default();
        let checked = |text: &str| none.check(&Url::parse(text).expect("a URL"));
        for hidden in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://017700000001/",
            "http://[::1]:80/",
            "http://[::ffff:7f00:1]/",
            "http://user@127.1/",
        ] {
            assert!(
                matches!(checked(hidden), Err(AddressRefused::Private { .. })),
                "{hidden}"
            );
        }
        assert_eq!(checked("file:///etc/passwd"), Err(AddressRefused::Scheme));
        assert_eq!(checked("ftp://example.com/"), Err(AddressRefused::Scheme));
        assert_eq!(checked("https://example.com/hook"), Ok(()));
    }
}
