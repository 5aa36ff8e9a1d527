//! The composition root: builds every part from the configuration, ties them together, and takes them down again.
//!
//! In: the settings. Out: a listening server. Order up: store, speech, effects, actors, recovery, doors. Order down: doors,
//! actors, store.

mod actors;
#[cfg(test)]
mod call_order_tests;
mod cluster;
#[cfg(test)]
mod cluster_tests;
mod keyring;
#[cfg(test)]
mod line_tests;
mod master_key;
#[cfg(test)]
mod resource_tests;
#[cfg(test)]
mod schedule_tests;
mod storage;
#[cfg(test)]
mod test_app;

use std::{
    future::Future,
    net::SocketAddr,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Context as _;
use ractor::{ActorCell, ActorRef};
use tokio::{net::TcpListener, sync::watch};

use self::{
    actors::{Actors, Senses},
    cluster::{Member, Membership},
    keyring::ServerKeys,
    storage::{Storage, StorageGuard},
};
pub use self::{
    keyring::EVERY as KEYS_READ_EVERY,
    master_key::{MasterKeys, data_keys, opened},
    storage::key_file,
};
use crate::{
    actors::{
        ErasuresHandle, LeadImportsHandle, ResourcesHandle, RetentionHandle,
        asr::AsrHandle,
        root::{Collapse, Root},
        settings::EffectsMode,
    },
    bus::{
        local::LocalBus,
        redis::{Redis, allowance::Allowances},
    },
    clock,
    config::Settings,
    domain::signing::SigningKeys,
    http::{
        self, Context,
        auth::Gate,
        changes::Changes,
        context::Parts as ContextParts,
        setup::{KeyPlace, SetupFacts, StorePlace},
        webhook_desk::WebhookDesk,
    },
    integrations::{Parts, call_line, call_probe, effect_port, script::runners::ScriptRunners},
    store::Store,
    telemetry::traces,
};

/// How long the watchers of the live stream may take to hear that the server stops.
const FAREWELL_MAX: Duration = Duration::from_secs(2);
/// How long the last spans may take on their way out.
const FLUSH_MAX: Duration = Duration::from_secs(3);

/// A server that is built but not listening yet.
pub struct App {
    pub context: Context,
    pub store: Store,
    settings: Settings,
    listener: TcpListener,
    address: SocketAddr,
    root: ActorRef<()>,
    collapse: Collapse,
    stopping: watch::Sender<bool>,
    member: Member,
    guard: StorageGuard,
}

impl App {
    /// Builds everything and takes up what an earlier process left. Nothing is listened to yet.
    ///
    /// # Errors
    /// When the address is taken, the store cannot be opened, or a shipped model is broken.
    pub async fn build(
        settings: Settings,
        metrics: metrics_exporter_prometheus::PrometheusHandle,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(&settings.server.bind)
            .await
            .with_context(|| format!("server.bind: cannot listen on {}", settings.server.bind))?;
        let storage = storage::open(&settings.store).await?;
        // On the heap: every command that serves would hold it on its stack.
        Box::pin(Self::over(storage, listener, settings, metrics)).await
    }

    /// Builds everything over an open store.
    async fn over(
        storage: Storage,
        listener: TcpListener,
        mut settings: Settings,
        metrics: metrics_exporter_prometheus::PrometheusHandle,
    ) -> anyhow::Result<Self> {
        let Storage {
            store,
            key_file,
            guard,
        } = storage;
        let address = listener.local_addr().context("the listener has no address")?;
        name_itself(&mut settings, address);
        let (root, collapse) = Root::start().await?;
        let keys = ServerKeys::open(&store, &settings.security, &key_file, root.get_cell()).await?;
        let redis = shared_redis(&settings)?;
        let bus = bus_of(redis.as_ref());
        let (asr, speech_model) = start_asr(&settings).await;
        let senses = senses(&settings, &store, &keys.signing, asr, redis.clone())?;
        let line = Arc::clone(&senses.line);
        let membership = Membership::prepare(&settings, &keys.signing).await?;
        let (actors, member) = actors::start(&settings, &store, &bus, senses, membership, &root).await?;
        // Known before a call comes, so that its audio is taken while the database is away.
        let first = store.accounts.first_account().await?.map(|account| account.id);
        let looked_after = LookedAfter::start(&store, &actors, root.get_cell()).await?;
        let (stopping, stop) = watch::channel(false);
        let context = Context::from(ContextParts {
            store: store.clone(),
            bus,
            redis: redis.clone(),
            calls: actors.calls,
            webhooks: WebhookDesk::start(store.clone()),
            retention: looked_after.retention,
            erasures: looked_after.erasures,
            lead_imports: looked_after.lead_imports,
            resources: looked_after.resources,
            leads: actors.leads,
            runs: actors.runs,
            schedules: actors.schedules,
            scripts: Arc::new(ScriptRunners::of_this_program()),
            settings: Arc::new(settings.server.clone()),
            twilio: Arc::new(settings.twilio.clone()),
            gate: Gate::new(store.clone(), redis, settings.server.webhook_events_per_s),
            gate_rules: Arc::new(settings.gate.rules()?),
            signing_keys: keys.signing,
            twilio_account: Arc::new(first.map_or_else(OnceLock::new, OnceLock::from)),
            sealing: keys.sealing,
            line,
            metrics,
            speech_model: speech_model.into(),
            started_at: clock::now(),
            setup: setup_facts(&settings, &key_file),
            simulator: Arc::default(),
            changes: Changes::new(longest_change(&settings)),
            stopping: stop,
        });
        Ok(Self {
            context,
            store,
            settings,
            listener,
            address,
            root,
            collapse,
            stopping,
            member,
            guard,
        })
    }

    /// The address of the server, for people on this machine.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves until `stop` is done, then lets what is under way end.
    ///
    /// # Errors
    /// When the listener or the supervision tree fails.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
        let Self {
            context,
            settings,
            listener,
            root,
            mut collapse,
            stopping,
            member,
            guard,
            ..
        } = self;
        let mut stopped = stopping.subscribe();
        http::housekeeping::start(context.clone());
        let changes = context.changes.clone();
        let (router, limits) = (http::router(context), settings.server.clone());
        let mut serving = tokio::spawn(async move {
            let stop = async {
                // An error means that the sender is gone, which is a stop as well.
                let _ = stopped.wait_for(|is_stopping| *is_stopping).await;
            };
            http::listening::serve(listener, router, &limits, stop).await;
            changes.settled().await;
        });
        let outcome = tokio::select! {
            ended = &mut serving => ended.context("the server's task broke off"),
            () = stop => Ok(()),
            reason = collapse.wait_for(Option::is_some) => {
                let reason = reason.ok().and_then(|reason| reason.clone()).unwrap_or_default();
                Err(anyhow::anyhow!("an essential actor failed: {reason}; the next start takes up everything"))
            }
        };
        // Sockets watch this too and close by themselves.
        stopping.send_replace(true);
        let patience = Duration::from_secs(settings.server.stop_timeout_s);
        if !serving.is_finished() && tokio::time::timeout(patience, &mut serving).await.is_err() {
            tracing::warn!(
                seconds = settings.server.stop_timeout_s,
                "stopping although requests are still under way"
            );
            serving.abort();
        }
        http::live::everybody_left(FAREWELL_MAX).await;
        // While the actors still stand: what they were sent is finished before others take over.
        member.leave().await;
        root.stop(None);
        guard.close().await?;
        traces::flush(FLUSH_MAX).await;
        outcome
    }
}

/// As long as any client waits for one, and as long again.
fn longest_change(settings: &Settings) -> Duration {
    Duration::from_secs(
        settings
            .server
            .request_timeout_s
            .max(settings.server.upload_timeout_s),
    ) * 2
}

/// A server without a public address is reached where it listens.
fn name_itself(settings: &mut Settings, address: SocketAddr) {
    if settings.server.public_url.is_empty() {
        settings.server.public_url = format!("http://{address}");
    }
}

/// What the checks before going live are told of this process.
fn setup_facts(settings: &Settings, key_file: &Path) -> SetupFacts {
    SetupFacts {
        is_live: settings.effects.mode == EffectsMode::Live,
        key: if settings.security.master_key.is_empty() {
            KeyPlace::File(key_file.to_owned())
        } else {
            KeyPlace::Settings
        },
        store: if settings.store.is_shared() {
            StorePlace::Database
        } else {
            StorePlace::File
        },
    }
}

/// What waits in the store and is looked after, round after round.
struct LookedAfter {
    lead_imports: LeadImportsHandle,
    resources: ResourcesHandle,
    retention: RetentionHandle,
    erasures: ErasuresHandle,
}

impl LookedAfter {
    async fn start(store: &Store, actors: &Actors, root: ActorCell) -> anyhow::Result<Self> {
        let (leads, runs) = (&actors.leads, actors.runs.clone());
        Ok(Self {
            lead_imports: LeadImportsHandle::start(store.clone(), leads.clone(), root.clone()).await?,
            resources: ResourcesHandle::start(store.clone(), leads.clone(), root.clone()).await?,
            retention: RetentionHandle::start(store.clone(), leads.clone(), root.clone()).await?,
            erasures: ErasuresHandle::start(store.clone(), leads.clone(), runs, root).await?,
        })
    }
}

/// How the actors reach the world: the providers, or the outbox in their place.
fn senses(
    settings: &Settings,
    store: &Store,
    signing_keys: &watch::Receiver<SigningKeys>,
    asr: AsrHandle,
    redis: Option<Redis>,
) -> anyhow::Result<Senses> {
    let is_live = settings.effects.mode == EffectsMode::Live;
    let port = effect_port(Parts {
        store: store.clone(),
        is_live,
        twilio: settings.twilio.clone(),
        slack: settings.slack.clone(),
        email: settings.email.clone(),
        sendgrid: settings.sendgrid.clone(),
        security: settings.security.clone(),
        public_url: settings.server.public_url.clone(),
        signing_keys: signing_keys.clone(),
    })?;
    Ok(Senses {
        asr,
        port,
        probe: call_probe(
            is_live,
            &settings.twilio,
            (settings.server.public_url.as_str(), signing_keys),
        )?,
        line: call_line(is_live, &settings.twilio, &settings.server.public_url)?,
        allowances: redis.map(Allowances::new),
    })
}

/// The live stream: among all nodes where they share something, else in this process.
fn bus_of(redis: Option<&Redis>) -> LocalBus {
    let epoch = clock::now().as_unix_millis();
    match redis {
        None => LocalBus::new(epoch),
        Some(redis) => LocalBus::shared(epoch, redis.clone()),
    }
}

/// What nodes share, if it is set up. A Redis that does not answer is no reason not to start.
fn shared_redis(settings: &Settings) -> anyhow::Result<Option<Redis>> {
    let url = settings.redis.url.expose();
    if url.is_empty() {
        return Ok(None);
    }
    Ok(Some(Redis::new(url)?))
}

/// Loads the speech model on a thread that may block. Without one, calls go on without words, and everything says so.
async fn start_asr(settings: &Settings) -> (AsrHandle, String) {
    let asr = settings.asr.clone();
    match tokio::task::spawn_blocking(move || AsrHandle::start(&asr)).await {
        Ok(Ok(handle)) => (handle, settings.asr.model.clone()),
        Ok(Err(error)) => {
            tracing::warn!(%error, "no speech model: calls are not transcribed; `patchcord model fetch tiny.en` gets one");
            (AsrHandle::without_model(), String::new())
        }
        Err(error) => {
            tracing::error!(%error, "loading the speech model broke off");
            (AsrHandle::without_model(), String::new())
        }
    }
}
