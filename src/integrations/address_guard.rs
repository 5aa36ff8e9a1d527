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
use ipnet::{Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::domain::address_blocks::{AddressBlocks, AddressBlocksError};

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

/// The operator's exceptions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList(AddressBlocks);

impl FromStr for AllowList {
    type Err = AddressBlocksError;

    /// Reads addresses and CIDRs separated by commas; an empty text allows nothing beyond the public internet.
    fn from_str(text: &str) -> Result<Self, AddressBlocksError> {
        text.parse().map(Self)
    }
}

impl AllowList {
    /// Whether a request may go to `address`.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        is_public(address.to_canonical()) || self.0.contains(address)
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
const RESERVED_V4: &[Ipv4Net] = &[
    Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 8),
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10),
    Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local, with the metadata service of most clouds at 169.254.169.254.
    Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 0, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 2, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 88, 99, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15),
    Ipv4Net::new_assert(Ipv4Addr::new(198, 51, 100, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(203, 0, 113, 0), 24),
    // Azure's own services towards a machine.
    Ipv4Net::new_assert(Ipv4Addr::new(168, 63, 129, 16), 32),
    Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// The public internet in IPv6, and the blocks in it that are not.
const GLOBAL_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const RESERVED_V6: &[Ipv6Net] = &[
    // Protocol assignments with Teredo, which hides an IPv4 address.
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0x0db8, 0, 0, 0, 0, 0, 0), 32),
    // 6to4, which hides one too.
    Ipv6Net::new_assert(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    Ipv6Net::new_assert(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !RESERVED_V4.iter().any(|block| block.contains(&v4)),
        IpAddr::V6(v6) => GLOBAL_V6.contains(&v6) && !RESERVED_V6.iter().any(|block| block.contains(&v6)),
    }
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
        let some = list("127.0.0.1, 10.1.0.0/16");
        for (address, permitted) in [
            ("::ffff:127.0.0.1", true),
            ("10.1.255.255", true),
            ("10.2.0.0", false),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(some.permits(address), permitted, "{address}");
        }
        assert!(list("0.0.0.0/0").permits("10.0.0.1".parse().expect("an address")));
        assert!("localhost".parse::<AllowList>().is_err());
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
