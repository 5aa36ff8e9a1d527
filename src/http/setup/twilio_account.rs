//! Whether Twilio takes our credentials, and how its account stands.

use super::Finding;
use crate::{
    domain::time::Timestamp,
    integrations::twilio::{TwilioRest, rest::RestError},
};

/// Asks Twilio at `base` for the account. Returns Twilio's time too.
pub async fn look(rest: &TwilioRest, base: &str) -> (Finding, Option<Timestamp>) {
    match rest.account().await {
        Ok((account, at)) => {
            let kind = account.kind.map(|kind| format!(", {kind}")).unwrap_or_default();
            let said = format!("the account is {}{kind}", account.status);
            let finding = match account.status.as_str() {
                "active" => Finding::Good(said),
                _ => Finding::failed(said, "see to the account in Twilio's console"),
            };
            (finding, at)
        }
        Err(error) => (refused(&error, base), None),
    }
}

/// Why Twilio did not answer as it should, and what to do.
pub(super) fn refused(error: &RestError, base: &str) -> Finding {
    match error {
        RestError::Refused {
            status: 401 | 403, ..
        } => Finding::failed(
            format!("the credentials are refused: {error}"),
            "set twilio.account_sid and twilio.auth_token as Twilio's console shows them",
        ),
        RestError::Refused { .. } => Finding::failed(
            error,
            "set twilio.account_sid to the account's own, as Twilio's console shows it",
        ),
        RestError::Unreached(_) | RestError::Unknown(_) => Finding::failed(
            error,
            format!("let this machine reach {base}, or correct twilio.api_base"),
        ),
    }
}
