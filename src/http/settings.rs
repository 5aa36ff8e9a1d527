//! The `[server]` section of the configuration.

use serde::Deserialize;

use crate::domain::address_blocks::AddressBlocks;

/// How the server listens and what it accepts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Address and port.
    pub bind: String,
    /// The address the outside uses, without a trailing slash. The composition root fills it in when it is empty.
    pub public_url: String,
    /// Whose `X-Forwarded-For` says where a request comes from.
    pub trusted_proxies: AddressBlocks,
    pub open_registration: bool,
    pub body_bytes_max: usize,
    pub request_timeout_s: u64,
    /// The same for a file that is sent in.
    pub upload_timeout_s: u64,
    pub stop_timeout_s: u64,
    /// How long a connection may take for the head of a request, and stay open between two.
    pub header_timeout_s: u64,
    /// Connections at one time.
    pub connections_max: usize,
    /// Requests a second that one access token or API key may make; 0: no bound.
    pub requests_per_s: u32,
    /// Events a second that one incoming webhook takes in; 0: no bound.
    pub webhook_events_per_s: u32,
}
