//! Sends e-mail by whichever way the settings name, and keeps the message beside what became of it.

use std::time::Duration;

use async_trait::async_trait;
use lettre::{message::Mailbox, transport::smtp::client::Certificate};
use serde_json::json;

use super::{
    address::{AddressError, SmtpAddress},
    connection::MailServer,
    sendgrid::{self, Sendgrid},
    settings::{EmailProvider, EmailSettings, SendgridSettings},
    smtp::Smtp,
};
use crate::{
    clock,
    domain::message::MessageStatus,
    integrations::{
        client::HttpClient,
        look_ups::{LOOK_UPS, search},
        outbox::message_of,
        port::{EffectOutcome, EffectPort},
    },
    store::{Recorded, Store, StoreError},
    workflows::{Effect, FailureKind, Finding, Request},
};

/// A setting keeps e-mail from being sent.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("email.from: expected a sender like `Acme <hello@acme.example>`")]
    From,
    #[error("email.smtp_url: {0}")]
    SmtpUrl(#[from] AddressError),
    #[error("email.smtp_ca_file: {0}")]
    CaFile(String),
    #[error("email.provider: {0} is not set")]
    Missing(&'static str),
    #[error(transparent)]
    Sendgrid(#[from] sendgrid::BaseError),
}

/// Sends e-mail.
pub struct Email {
    store: Store,
    way: Way,
    look_ups: [Duration; 3],
}

enum Way {
    Smtp(Smtp, Mailbox),
    Sendgrid(Sendgrid, Mailbox),
    /// Nothing is set.
    None,
}

impl Email {
    /// # Errors
    /// [`SetupError`] naming the setting that is wrong.
    pub fn new(
        http: HttpClient,
        store: Store,
        email: &EmailSettings,
        sendgrid: &SendgridSettings,
    ) -> Result<Self, SetupError> {
        let provider = match email.provider {
            EmailProvider::Auto if !email.smtp_url.is_empty() => Some(EmailProvider::Smtp),
            EmailProvider::Auto if !sendgrid.api_key.is_empty() => Some(EmailProvider::Sendgrid),
            EmailProvider::Auto => None,
            chosen => Some(chosen),
        };
        let from = || email.from.parse::<Mailbox>().map_err(|_not_one| SetupError::From);
        let way = match provider {
            Some(EmailProvider::Smtp) => {
                if email.smtp_url.is_empty() {
                    return Err(SetupError::Missing("email.smtp_url"));
                }
                let address = SmtpAddress::parse(email.smtp_url.expose())?;
                let server = MailServer::new(address, trusted(&email.smtp_ca_file)?);
                Way::Smtp(Smtp { server }, from()?)
            }
            Some(EmailProvider::Sendgrid | EmailProvider::Auto) => {
                if sendgrid.api_key.is_empty() {
                    return Err(SetupError::Missing("sendgrid.api_key"));
                }
                Way::Sendgrid(Sendgrid::new(http, sendgrid)?, from()?)
            }
            None => Way::None,
        };
        Ok(Self {
            store,
            way,
            look_ups: LOOK_UPS,
        })
    }

    /// The same with other times of looking up.
    #[must_use]
    pub const fn with_look_ups(mut self, look_ups: [Duration; 3]) -> Self {
        self.look_ups = look_ups;
        self
    }

    /// Notes what became of a message. The effect's own row says the same, so a store that fails here loses nothing for good.
    async fn note(&self, effect: &Effect, outcome: &EffectOutcome) {
        let (status, id, error) = match outcome {
            EffectOutcome::Confirmed { provider_id, .. } => (MessageStatus::Sent, provider_id.clone(), None),
            EffectOutcome::Rejected(failure) if failure.kind == FailureKind::Permanent => {
                let shown = format!("{} {}", failure.code, failure.message);
                (MessageStatus::Failed, None, Some(shown))
            }
            EffectOutcome::Rejected(_) | EffectOutcome::Unknown { .. } => return,
        };
        let id_of_ours = effect.message_id();
        let noted = self
            .store
            .messages
            .progress(id_of_ours, status, id, error, clock::now())
            .await;
        if let Err(error) = noted {
            tracing::warn!(message_id = %id_of_ours, %error, "message could not be moved on");
        }
    }

    /// What is known already: an earlier attempt whose answer came after all.
    async fn known(&self, effect: &Effect) -> Result<Option<String>, StoreError> {
        match self
            .store
            .messages
            .get(effect.account_id, effect.message_id())
            .await
        {
            Ok(message) => Ok(message.provider_id),
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn send(&self, effect: &Effect) -> EffectOutcome {
        let Request::SendEmail(email) = &effect.request else {
            return EffectOutcome::permanent("no_email", "only e-mails are sent here");
        };
        let from = match &self.way {
            Way::Smtp(_, from) | Way::Sendgrid(_, from) => from,
            Way::None => {
                return EffectOutcome::permanent(
                    "not_configured",
                    "e-mail is not set up: set email.smtp_url or sendgrid.api_key, and email.from",
                );
            }
        };
        let Some(message) = message_of(effect, MessageStatus::Queued, from.email.as_ref()) else {
            return EffectOutcome::permanent("no_email", "only e-mails are sent here");
        };
        match self.store.messages.record(message).await {
            Ok(Recorded::Fresh) => (),
            Ok(Recorded::Duplicate) => match self.known(effect).await {
                Ok(Some(id)) => return sent_before(effect, id),
                Ok(None) => (),
                Err(error) => return EffectOutcome::store_failed(&error),
            },
            Err(error) => return EffectOutcome::store_failed(&error),
        }
        match &self.way {
            Way::Smtp(smtp, from) => smtp.send(effect, email, from).await,
            Way::Sendgrid(sendgrid, from) => sendgrid.send(effect, email, from).await,
            Way::None => EffectOutcome::permanent("not_configured", "e-mail is not set up"),
        }
    }
}

#[async_trait]
impl EffectPort for Email {
    async fn execute(&self, effect: &Effect) -> EffectOutcome {
        let outcome = self.send(effect).await;
        self.note(effect, &outcome).await;
        outcome
    }

    async fn settle(&self, effect: &Effect) -> Finding {
        match self.known(effect).await {
            Ok(Some(id)) => return found(effect, id),
            Ok(None) => (),
            Err(error) => {
                return Finding::CannotTell {
                    reason: error.to_string(),
                };
            }
        }
        // A mail server cannot be asked: what is left is the node's choice.
        let Way::Sendgrid(sendgrid, _) = &self.way else {
            return Finding::Absent;
        };
        search(self.look_ups, || async {
            let Some(id) = sendgrid.find(effect).await else {
                return Ok(None);
            };
            self.note(effect, &sent_before(effect, id.clone())).await;
            Ok(Some(found(effect, id)))
        })
        .await
    }
}

fn sent_before(effect: &Effect, id: String) -> EffectOutcome {
    EffectOutcome::Confirmed {
        output: json!({"message_id": effect.message_id(), "status": "sent"}),
        provider_id: Some(id),
    }
}

fn found(effect: &Effect, id: String) -> Finding {
    Finding::Present {
        output: json!({"message_id": effect.message_id(), "status": "sent"}),
        provider_id: Some(id),
    }
}

fn trusted(file: &str) -> Result<Vec<Certificate>, SetupError> {
    if file.is_empty() {
        return Ok(Vec::new());
    }
    let pem = std::fs::read(file).map_err(|error| SetupError::CaFile(format!("{file}: {error}")))?;
    let certificate = Certificate::from_pem(&pem)
        .map_err(|error| SetupError::CaFile(format!("{file} holds no certificate: {error}")))?;
    Ok(vec![certificate])
}
