//! The configuration sections of the services that need no more than a few keys.

use serde::Deserialize;

use crate::domain::secret::Secret;

/// `[slack]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlackSettings {
    pub api_base: String,
    pub bot_token: Secret,
}

/// `[security]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecuritySettings {
    /// 64 hex digits, or empty: made once and kept beside the store.
    pub master_key: Secret,
    /// Keys that were the master key before, separated by commas: what is sealed under them still opens.
    pub previous_master_keys: Secret,
    /// Addresses or CIDRs, separated by commas, that outbound requests may reach although they are private.
    pub allow_private_targets: String,
}
