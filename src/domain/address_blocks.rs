//! Blocks of internet addresses, as an operator writes them.

use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;
use serde::Deserialize;

/// The text is not a list of addresses and CIDRs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address nor a CIDR like `10.1.0.0/16`")]
pub struct AddressBlocksError(String);

/// Addresses and blocks of them. An IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`) counts as what it stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AddressBlocks(Vec<IpNet>);

impl FromStr for AddressBlocks {
    type Err = AddressBlocksError;

    /// Reads addresses and CIDRs separated by commas; an empty text holds no address.
    fn from_str(text: &str) -> Result<Self, AddressBlocksError> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let block = |entry: &str| {
            let single = entry.parse::<IpAddr>().map(IpNet::from);
            single
                .or_else(|_not_an_address| entry.parse())
                .map_err(|_neither| AddressBlocksError(entry.to_owned()))
        };
        entries.map(block).collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<String> for AddressBlocks {
    type Error = AddressBlocksError;

    fn try_from(text: String) -> Result<Self, AddressBlocksError> {
        text.parse()
    }
}

impl AddressBlocks {
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let plain = address.to_canonical();
        self.0.iter().any(|block| block.contains(&plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_its_blocks_in_every_spelling() {
        let blocks: AddressBlocks = "127.0.0.1, 10.1.0.0/16,fd00::/8".parse().expect("a list");
        for inside in ["127.0.0.1", "::ffff:127.0.0.1", "10.1.255.255", "fd12::1"] {
            assert!(blocks.contains(inside.parse().expect("an address")), "{inside}");
        }
        for outside in ["127.0.0.2", "10.2.0.0", "fe80::1"] {
            assert!(
                !blocks.contains(outside.parse().expect("an address")),
                "{outside}"
            );
        }
        assert_eq!(" ".parse(), Ok(AddressBlocks::default()));
        for wrong in ["localhost", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/x"] {
            assert_eq!(
                wrong.parse::<AddressBlocks>(),
                Err(AddressBlocksError(wrong.to_owned()))
            );
        }
    }
}
