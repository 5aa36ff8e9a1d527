//! The `[twilio]` section of the configuration.

use serde::Deserialize;

use crate::domain::secret::Secret;

/// What happens to an inbound call once both tracks are being heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Routing {
    /// Dial `dial_to`.
    Dial,
    /// Say `say_text` and record a message.
    Record,
}

/// The account whose calls and messages these are, and how its calls are routed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwilioSettings {
    /// `AC` and 32 hex digits; empty: no call and no message is taken or sent.
    pub account_sid: String,
    /// The account's primary auth token: verifies and signs.
    pub auth_token: Secret,
    /// Where the REST API is, `https://api.twilio.com`.
    pub api_base: String,
    /// The sender of messages and calls, E.164.
    pub from_number: String,
    pub routing: Routing,
    /// The agent's number for [`Routing::Dial`], E.164.
    pub dial_to: String,
    /// Seconds an agent's phone rings before the call counts as missed, 5 to 600.
    pub dial_timeout_s: u32,
    /// Whether calls to numbers that are not listed are put through in a room of their own, so that supervisors can listen.
    pub supervision: bool,
    /// Said before anything else: the consent line. Empty: nothing.
    pub consent_text: String,
    /// Said before a message is recorded.
    pub say_text: String,
    /// Whether a caller whom no agent answered may leave a message.
    pub voicemail: bool,
    /// Messages a second that may leave for one account.
    pub messages_per_s: u32,
}
