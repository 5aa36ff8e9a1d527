//! E-mail by SMTP. A mail server cannot be asked later whether it took a message: what it said is noted, the rest is in doubt.

use lettre::message::Mailbox;
use serde_json::json;

use super::{
    connection::{MailServer, SmtpError},
    message::{letter, message_id_of},
};
use crate::{
    integrations::port::EffectOutcome,
    workflows::{Effect, effect::EmailMessage},
};

/// Sends by one mail server.
pub(super) struct Smtp {
    pub server: MailServer,
}

impl Smtp {
    pub(super) async fn send(&self, effect: &Effect, email: &EmailMessage, from: &Mailbox) -> EffectOutcome {
        let letter = match letter(effect, email, from) {
            Ok(letter) => letter,
            Err(reason) => return EffectOutcome::permanent("bad_email", reason),
        };
        match self.server.send(&letter).await {
            Ok(words) => {
                let id = message_id_of(effect, from);
                EffectOutcome::Confirmed {
                    output: json!({"message_id": effect.message_id(), "status": "sent", "provider": "smtp", "said": words}),
                    provider_id: Some(id),
                }
            }
            Err(SmtpError::Refused { code, words }) => {
                let failure = format!("smtp_{code}");
                // 4xx: not now; 5xx: not ever.
                if (400..500).contains(&code) {
                    EffectOutcome::temporary(&failure, format!("the mail server says: {words}"))
                } else {
                    EffectOutcome::permanent(&failure, format!("the mail server says: {words}"))
                }
            }
            Err(error @ SmtpError::Unreached(_)) => EffectOutcome::temporary("unreached", error.to_string()),
            Err(SmtpError::Setup(reason)) => EffectOutcome::permanent("smtp_setup", reason),
            Err(error @ SmtpError::Lost(_)) => EffectOutcome::Unknown {
                message: error.to_string(),
            },
        }
    }
}
