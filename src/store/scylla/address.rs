//! Where a CQL store is: `scylla://host:port[,host:port]/keyspace?replication=3`, with `user:password@` before the hosts where the
//! server asks for it.

use std::{fmt, str::FromStr};

use crate::domain::secret::Secret;

const SCHEME: &str = "scylla://";
/// What CQL servers listen on unless told otherwise.
const PORT: u16 = 9042;
/// Copies of everything, unless the address says another number: a majority outlives the loss of one node.
const REPLICATION: u8 = 3;
const REPLICATION_MAX: u8 = 9;
const KEYSPACE_CHARS_MAX: usize = 48;

/// An address that was read.
#[derive(Debug, Clone)]
pub struct Address {
    /// `host:port` of the servers to begin with; the others are found through them.
    pub nodes: Vec<String>,
    pub keyspace: String,
    /// How many copies a keyspace is made with. One that exists keeps its own.
    pub replication: u8,
    pub credentials: Option<Credentials>,
}

/// What the server asks for when it asks.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub user: String,
    pub password: Secret,
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected `scylla://host:port[,host:port]/keyspace?replication=3`: {reason}")]
pub struct AddressError {
    reason: &'static str,
}

const fn wrong(reason: &'static str) -> AddressError {
    AddressError { reason }
}

impl Address {
    /// Whether `url` means a store of this kind.
    #[must_use]
    pub fn is_meant_by(url: &str) -> bool {
        url.starts_with(SCHEME)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(url: &str) -> Result<Self, AddressError> {
        let rest = url
            .strip_prefix(SCHEME)
            .ok_or(wrong("it begins with `scylla://`"))?;
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, keyspace) = place
            .split_once('/')
            .ok_or(wrong("the keyspace follows the hosts after a `/`"))?;
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((before, hosts)) => (Some(credentials(before)?), hosts),
            None => (None, authority),
        };
        Ok(Self {
            nodes: hosts.split(',').map(node).collect::<Result<_, _>>()?,
            keyspace: checked_keyspace(keyspace)?,
            replication: replication(options)?,
            credentials,
        })
    }
}

impl fmt::Display for Address {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.nodes.join(","), self.keyspace)
    }
}

fn credentials(text: &str) -> Result<Credentials, AddressError> {
    let (user, password) = text
        .split_once(':')
        .ok_or(wrong("before the `@` stand `user:password`"))?;
    Ok(Credentials {
        user: user.to_owned(),
        password: Secret::from(password.to_owned()),
    })
}

fn node(text: &str) -> Result<String, AddressError> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (text, Some(PORT)),
    };
    match port {
        _ if host.is_empty() => Err(wrong("a host is missing")),
        Some(port) if port > 0 => Ok(format!("{host}:{port}")),
        Some(_) | None => Err(wrong("a port is a number from 1 to 65535")),
    }
}

/// Only names that need no quotes: they travel in statements.
fn checked_keyspace(name: &str) -> Result<String, AddressError> {
    let is_plain = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && name.len() <= KEYSPACE_CHARS_MAX;
    is_plain.then(|| name.to_owned()).ok_or(wrong(
        "a keyspace is up to 48 lower-case letters, digits and `_`, a letter first",
    ))
}

fn replication(options: &str) -> Result<u8, AddressError> {
    let mut copies = REPLICATION;
    for option in options.split('&').filter(|option| !option.is_empty()) {
        copies = option
            .strip_prefix("replication=")
            .ok_or(wrong("the only option is `replication`"))?
            .parse()
            .ok()
            .filter(|copies| (1..=REPLICATION_MAX).contains(copies))
            .ok_or(wrong("replication is a number from 1 to 9"))?;
    }
    Ok(copies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_hosts_keyspace_and_copies() {
        let address: Address = "scylla://10.0.0.1:9142,db2/calls?replication=2"
            .parse()
            .expect("an address");
        assert_eq!(address.nodes, ["10.0.0.1:9142", "db2:9042"]);
        assert_eq!((address.keyspace.as_str(), address.replication), ("calls", 2));
        assert!(address.credentials.is_none());
    }

    #[test]
    fn a_password_is_read_and_never_shown() {
        let address: Address = "scylla://app:a:b@c@db/calls".parse().expect("an address");
        let credentials = address.credentials.as_ref().expect("they are there");
        assert_eq!(
            (credentials.user.as_str(), credentials.password.expose()),
            ("app", "a:b@c")
        );
        assert_eq!(address.replication, REPLICATION);
        assert!(!format!("{address} {address:?}").contains("a:b"));
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        for (url, word) in [
            ("sqlite:x", "begins with"),
            ("scylla://db:9042", "keyspace"),
            ("scylla:///calls", "host"),
            ("scylla://db:x/calls", "port"),
            ("scylla://db:0/calls", "port"),
            ("scylla://db/Calls", "lower-case"),
            ("scylla://db/", "lower-case"),
            ("scylla://app@db/calls", "user:password"),
            ("scylla://db/calls?replication=0", "1 to 9"),
            ("scylla://db/calls?tablets=1", "option"),
        ] {
            let error = url.parse::<Address>().expect_err(url);
            assert!(error.to_string().contains(word), "{url}: {error}");
        }
    }
}
