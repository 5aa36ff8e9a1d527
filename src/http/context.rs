//! What every handler may reach. Cheap to clone.

use std::{ops::Deref, sync::Arc};

use tokio::sync::watch;

use super::{
    api::Simulator, auth::Gate, changes::Changes, settings::HttpSettings, setup::SetupFacts,
    webhook_desk::WebhookDesk,
};
use crate::{
    actors::{
        CallsHandle, ErasuresHandle, LeadImportsHandle, LeadsHandle, ResourcesHandle, RetentionHandle,
        RunsHandle, SchedulesHandle,
    },
    bus::{local::LocalBus, redis::Redis},
    domain::{ids::AccountId, sealing::SealingKey, signing::SigningKeys, time::Timestamp},
    integrations::{line::CallLine, script::runners::ScriptRunners, twilio::TwilioSettings},
    store::Store,
    workflows::gate_rules::GateRules,
};

/// What every handler may reach. Every request clones it several times.
#[derive(Clone)]
pub struct Context(Arc<Parts>);

impl From<Parts> for Context {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for Context {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The parts of the server that doors use.
pub struct Parts {
    pub store: Store,
    pub bus: LocalBus,
    /// What nodes share, where it is set up. For `/healthz`.
    pub redis: Option<Redis>,
    pub calls: CallsHandle,
    pub leads: LeadsHandle,
    pub lead_imports: LeadImportsHandle,
    /// Leads that are being erased.
    pub erasures: ErasuresHandle,
    /// The mappings of incoming webhooks, and their last deliveries.
    pub webhooks: WebhookDesk,
    pub resources: ResourcesHandle,
    /// How long accounts keep what.
    pub retention: RetentionHandle,
    pub runs: RunsHandle,
    pub schedules: SchedulesHandle,
    /// Reads scripts before they are published; those that run have runners of their own.
    pub scripts: Arc<ScriptRunners>,
    pub settings: Arc<HttpSettings>,
    pub twilio: Arc<TwilioSettings>,
    /// Sign media tokens and callback tokens; what outgoing webhooks are signed with is derived from them.
    pub signing_keys: watch::Receiver<SigningKeys>,
    /// Seals secrets that the store keeps.
    pub sealing: SealingKey,
    /// Ends calls at the provider.
    pub line: Arc<dyn CallLine>,
    /// The account that the configured Twilio account belongs to.
    pub twilio_account: Arc<std::sync::OnceLock<AccountId>>,
    /// Decides who comes in. `gate.setup.open()` draws the token for the first admin, `gate.sign_in` a session.
    pub gate: Gate,
    /// What may reach a person, and when: for dry runs.
    pub gate_rules: Arc<GateRules>,
    pub metrics: metrics_exporter_prometheus::PrometheusHandle,
    /// Whether a speech model is loaded, for `/healthz`.
    pub speech_model: Arc<str>,
    pub started_at: Timestamp,
    /// What the checks before going live are told of this process.
    pub setup: SetupFacts,
    /// Plays demonstration calls; set by the demo server only.
    pub simulator: Arc<std::sync::OnceLock<Simulator>>,
    /// What is being changed, whoever still waits for it.
    pub changes: Changes,
    /// Turns true when the server is told to stop: sockets close by themselves then.
    pub stopping: watch::Receiver<bool>,
}
