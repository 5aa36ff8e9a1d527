//! Chooses who carries an effect out: by its provider, and by whether anything may leave the machine.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{
    EmailSettings, SecuritySettings, SendgridSettings, SlackSettings,
    address_guard::AllowList,
    client::{ClientError, HttpClient},
    email::{self, Email},
    error_catalogue,
    lead_records::LeadRecords,
    line::{CallLine, NoLine},
    outbox::Outbox,
    port::{EffectOutcome, EffectPort},
    probe::{CallProbe, NoProvider},
    records::Records,
    script::runners::ScriptRunners,
    slack::{self, Slack},
    twilio::{Doors, TwilioCalls, TwilioLine, TwilioProbe, TwilioRest, TwilioSettings, TwilioSms, rest},
    unconnected::Unconnected,
    webhook::Webhooks,
};
use crate::{
    domain::{address_blocks::AddressBlocksError, ids::AccountSid, signing::SigningKeys},
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
    pub email: EmailSettings,
    pub sendgrid: SendgridSettings,
    pub security: SecuritySettings,
    /// Where providers reach this server, without a slash at its end.
    pub public_url: String,
    pub signing_keys: watch::Receiver<SigningKeys>,
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
    #[error(transparent)]
    Email(#[from] email::SetupError),
}

impl From<AddressBlocksError> for SetupError {
    fn from(error: AddressBlocksError) -> Self {
        Self::Client(error.into())
    }
}

/// Builds the way out that the settings ask for.
///
/// # Errors
/// [`SetupError`] naming the setting that is wrong.
pub fn effect_port(parts: Parts) -> Result<Arc<dyn EffectPort>, SetupError> {
    let ports = if parts.is_live {
        live(parts)?
    } else {
        nothing_leaves(&parts.store)
    };
    Ok(Arc::new(Routing(ports)))
}

/// Returns whoever can be asked about calls: Twilio, or nobody where nothing may leave or no account is set.
///
/// # Errors
/// [`SetupError`] naming the setting that is wrong.
pub fn call_probe(
    is_live: bool,
    twilio: &TwilioSettings,
    (public_url, signing_keys): (&str, &watch::Receiver<SigningKeys>),
) -> Result<Arc<dyn CallProbe>, SetupError> {
    let Some(rest) = calls_of(is_live, twilio)? else {
        return Ok(Arc::new(NoProvider));
    };
    let doors = Doors {
        account: AccountSid::new(twilio.account_sid.as_str()),
        public_url: public_url.to_owned(),
        signing_keys: signing_keys.clone(),
    };
    Ok(Arc::new(TwilioProbe::new(rest, doors)))
}

/// Returns whoever carries calls: Twilio, or nobody where nothing may leave or no account is set.
///
/// # Errors
/// [`SetupError`] naming the setting that is wrong.
pub fn call_line(
    is_live: bool,
    twilio: &TwilioSettings,
    public_url: &str,
) -> Result<Arc<dyn CallLine>, SetupError> {
    let line: Arc<dyn CallLine> = match calls_of(is_live, twilio)? {
        Some(rest) => Arc::new(TwilioLine::new(rest, public_url.to_owned())),
        None => Arc::new(NoLine),
    };
    Ok(line)
}

/// Twilio's API for calls that are under way, where there is one to be asked.
fn calls_of(is_live: bool, twilio: &TwilioSettings) -> Result<Option<TwilioRest>, SetupError> {
    if !is_live || twilio.account_sid.is_empty() {
        return Ok(None);
    }
    let http = HttpClient::new(AllowList::default())?;
    Ok(Some(TwilioRest::new(http, twilio)?))
}

/// Who carries out what.
type Ports = BTreeMap<Provider, Arc<dyn EffectPort>>;

/// Everything goes where it is meant to.
fn live(parts: Parts) -> Result<Ports, SetupError> {
    let house = House::new(&parts.store);
    let http = HttpClient::new(parts.security.allow_private_targets.parse()?)?;
    let rest = TwilioRest::new(http.clone(), &parts.twilio)?;
    let email: Arc<dyn EffectPort> = Arc::new(Email::new(
        http.clone(),
        parts.store.clone(),
        &parts.email,
        &parts.sendgrid,
    )?);
    let calls: Arc<dyn EffectPort> = Arc::new(TwilioCalls::new(
        rest.clone(),
        parts.store.clone(),
        parts.twilio.clone(),
        parts.public_url.clone(),
        parts.signing_keys.clone(),
    ));
    let accounts = Arc::clone(&parts.store.accounts);
    let sms: Arc<dyn EffectPort> = Arc::new(TwilioSms::new(
        rest,
        parts.store,
        parts.twilio,
        parts.public_url,
        parts.signing_keys.clone(),
    ));
    let slack: Arc<dyn EffectPort> = Arc::new(Slack::new(http.clone(), &parts.slack)?);
    let webhooks: Arc<dyn EffectPort> = Arc::new(Webhooks {
        http,
        accounts,
        signing_keys: parts.signing_keys,
    });
    Ok(each(|provider| match provider {
        Provider::Sms => Arc::clone(&sms),
        Provider::Call => Arc::clone(&calls),
        Provider::Slack => Arc::clone(&slack),
        Provider::Webhook | Provider::Zapier => Arc::clone(&webhooks),
        Provider::Email => Arc::clone(&email),
        Provider::Calendar => unconnected("Google Calendar", "google_calendar"),
        Provider::Sheets => unconnected("Google Sheets", "google_sheets"),
        Provider::Stripe => unconnected("Stripe", "stripe"),
        // Runs are started by the runs themselves; what comes here is refused.
        Provider::Task | Provider::Alert | Provider::Workflow => Arc::clone(&house.records),
        Provider::Lead => Arc::clone(&house.leads),
        Provider::Script => Arc::clone(&house.scripts),
    }))
}

/// Whatever would leave the machine goes to the outbox: there is no client at all.
fn nothing_leaves(store: &Store) -> Ports {
    let house = House::new(store);
    let outbox: Arc<dyn EffectPort> = Arc::new(Outbox { store: store.clone() });
    each(|provider| match provider {
        Provider::Sms
        | Provider::Call
        | Provider::Email
        | Provider::Slack
        | Provider::Webhook
        | Provider::Zapier
        | Provider::Calendar
        | Provider::Sheets
        | Provider::Stripe => Arc::clone(&outbox),
        // Runs are started by the runs themselves; what comes here is refused.
        Provider::Task | Provider::Alert | Provider::Workflow => Arc::clone(&house.records),
        Provider::Lead => Arc::clone(&house.leads),
        Provider::Script => Arc::clone(&house.scripts),
    })
}

fn unconnected(name: &'static str, service: &'static str) -> Arc<dyn EffectPort> {
    Arc::new(Unconnected { name, service })
}

fn each(port_of: impl Fn(Provider) -> Arc<dyn EffectPort>) -> Ports {
    let providers = Provider::ALL.iter();
    providers
        .map(|provider| (*provider, port_of(*provider)))
        .collect()
}

/// What stays in the house either way.
struct House {
    records: Arc<dyn EffectPort>,
    leads: Arc<dyn EffectPort>,
    scripts: Arc<dyn EffectPort>,
}

impl House {
    fn new(store: &Store) -> Self {
        Self {
            records: Arc::new(Records { store: store.clone() }),
            leads: Arc::new(LeadRecords { store: store.clone() }),
            scripts: Arc::new(ScriptRunners::of_this_program()),
        }
    }
}

/// Hands each effect to its provider.
struct Routing(Ports);

#[async_trait]
impl EffectPort for Routing {
    async fn execute(&self, effect: &Effect) -> EffectOutcome {
        match self.0.get(&effect.provider()) {
            Some(port) => match port.execute(effect).await {
                EffectOutcome::Rejected(failure) => {
                    EffectOutcome::Rejected(error_catalogue::explained(effect.provider(), failure))
                }
                outcome => outcome,
            },
            None => EffectOutcome::permanent("no_provider", format!("nobody serves {}", effect.provider())),
        }
    }

    async fn settle(&self, effect: &Effect) -> Finding {
        match self.0.get(&effect.provider()) {
            Some(port) => port.settle(effect).await,
            None => Finding::Absent,
        }
    }
}
