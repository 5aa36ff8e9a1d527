//! The `[cluster]` section of the configuration.

use serde::Deserialize;

use crate::domain::secret::Secret;

/// How nodes find and trust each other. Of use with a store that several nodes can share.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterSettings {
    /// Address and port for the other nodes only.
    pub listen: String,
    /// Where the other nodes reach it, without a trailing slash. Empty: `http://<listen>`.
    pub advertise: String,
    /// Signs what nodes tell each other. Empty: made from the store's signing keys.
    pub secret: Secret,
    /// Seconds after which a silent node counts as dead.
    pub lease_ttl_s: u64,
}
