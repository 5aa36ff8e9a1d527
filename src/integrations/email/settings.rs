//! The `[email]` and `[sendgrid]` sections of the configuration.

use serde::Deserialize;

use crate::domain::secret::Secret;

/// By what e-mail is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmailProvider {
    /// SMTP when its address is set, else SendGrid when its key is.
    Auto,
    Smtp,
    Sendgrid,
}

/// `[email]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailSettings {
    pub provider: EmailProvider,
    /// `smtps://user:password@host:465` or `smtp://user:password@host:587`; a secret, because of the password.
    pub smtp_url: Secret,
    /// PEM file with certificates to trust besides the public ones; empty: none.
    pub smtp_ca_file: String,
    /// `Acme <hello@acme.example>`.
    pub from: String,
}

/// `[sendgrid]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendgridSettings {
    pub api_key: Secret,
    pub api_base: String,
}
