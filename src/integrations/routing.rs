//! Chooses who carries an effect out: by its provider, and by whether anything may leave the machine.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    SecuritySettings, SlackSettings,
    address_guard::{AllowList, AllowListError},
    client::{ClientError, HttpClient},
    outbox::Outbox,
    port::{EffectOutcome, EffectPort},
    probe::{CallProbe, NoProvider},
    records::Records,
    slack::{self, Slack},
    twilio::{TwilioProbe, TwilioRest, TwilioSettings, TwilioSms, rest},
    webhook::Webhooks,
};
use crate::{
    domain::secret::Secret,
    store::Store,
    workflows::{Effect, Finding, Provider},
};

/// What the way out is made of.
pub struct Parts {
    pub store: Store,
    /// False: whatever would leave the machine goes to the outbox.
    pub is_live: bool,
    pub twilio: TwilioSettings,
    pub slack: SlackSettings,
    pub security: SecuritySettings,
    /// Where providers reach this server, without a slash at its end.
    pub public_url: String,
    pub master_key: Secret,
}

/// A setting keeps the way out from being built.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Twilio(#[from] rest::BaseError),
    #[error(transparent)]
    Slack(#[from] slack::BaseError),
}

impl From<AllowListError> for SetupError {
    fn from(error: AllowListError) -> Self {
        Self::Client(error.into())
    }
}

/// Builds the way out that the settings ask for.
///
/// # Errors
/// [`SetupError`] naming the setting that is wrong.
pub fn effect_port(parts: Parts) -> Result<Arc<dyn EffectPort>, SetupError> {
    let records = Records {
        store: parts.store.clone(),
    };
    if !parts.is_live {
        return Ok(Arc::new(OutboxRouting {
            records,
            outbox: Outbox { store: parts.store },
        }));
    }
    let http = HttpClient::new(parts.security.allow_private_targets.parse()?)?;
    let rest = TwilioRest::new(http.clone(), &parts.twilio)?;
    Ok(Arc::new(LiveRouting {
        records,
        sms: TwilioSms::new(
            rest,
            parts.store,
            parts.twilio,
            parts.public_url,
            parts.master_key.clone(),
        ),
        slack: Slack::new(http.clone(), &parts.slack)?,
        webhooks: Webhooks {
            http,
            master_key: parts.master_key,
        },
    }))
}

/// Returns whoever can be asked about calls: Twilio, or nobody where nothing may leave or no account is set.
///
/// # Errors
/// [`SetupError`] naming the setting that is wrong.
pub fn call_probe(is_live: bool, twilio: &TwilioSettings) -> Result<Arc<dyn CallProbe>, SetupError> {
    if !is_live || twilio.account_sid.is_empty() {
        return Ok(Arc::new(NoProvider));
    }
    let http = HttpClient::new(AllowList::default())?;
    Ok(Arc::new(TwilioProbe::new(TwilioRest::new(http, twilio)?)))
}

/// Everything goes where it is meant to.
struct LiveRouting {
    records: Records,
    sms: TwilioSms,
    slack: Slack,
    webhooks: Webhooks,
}

impl LiveRouting {
    fn of(&self, effect: &Effect) -> &dyn EffectPort {
        match effect.provider() {
            Provider::Sms => &self.sms,
            Provider::Slack => &self.slack,
            Provider::Webhook => &self.webhooks,
            Provider::Task | Provider::Alert => &self.records,
        }
    }
}

#[async_trait]
impl EffectPort for LiveRouting {
    async fn execute(&self, effect: &Effect) -> EffectOutcome {
        self.of(effect).execute(effect).await
    }

    async fn settle(&self, effect: &Effect) -> Finding {
        self.of(effect).settle(effect).await
    }
}

/// Nothing leaves: it holds no client at all.
struct OutboxRouting {
    records: Records,
    outbox: Outbox,
}

impl OutboxRouting {
    fn of(&self, effect: &Effect) -> &dyn EffectPort {
        match effect.provider() {
            Provider::Sms | Provider::Slack | Provider::Webhook => &self.outbox,
            Provider::Task | Provider::Alert => &self.records,
        }
    }
}

#[async_trait]
impl EffectPort for OutboxRouting {
    async fn execute(&self, effect: &Effect) -> EffectOutcome {
        self.of(effect).execute(effect).await
    }

    async fn settle(&self, effect: &Effect) -> Finding {
        self.of(effect).settle(effect).await
    }
}
