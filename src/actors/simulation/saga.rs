//! A saga: what the world does to the engine, drawn from a seed, over as many lives as it takes.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use super::{
    dice::Dice,
    life::{Life, in_virtual_time},
    provider::Provider,
    verdict,
    weather::Storm,
};
use crate::{
    actors::Choice,
    clock,
    domain::{
        ids::{AccountId, LeadId, ObservationId, UserId, WorkflowId},
        lead::Lead,
        observation::{EventType, Observation},
        run::{EffectState, RunStatus},
        time::Timestamp,
    },
    store::{
        PageRequest, Store,
        accounts::{Account, Role, Signing, User},
        runs::{RunFilter, RunHead},
        sqlite::inline::Inline,
        workflows::{WorkflowRow, WorkflowVersion},
    },
    workflows::Plan,
};

/// When every saga begins.
pub(super) const BEGIN: u64 = 1_795_000_000_000;
const LEADS: u64 = 3;
/// Events of one saga.
const EVENTS_MIN: u64 = 6;
const EVENTS_MORE: u64 = 8;
/// Most lives that end by the weather. The one after them meets bad weather too, and has to come out of it by itself.
const STORMY_LIVES_MAX: u64 = 7;
/// Most writes of a stormy life.
const WRITES_MAX: u64 = 70;
/// How long the weather of the last life outlives its events.
const LAST_STORM: Duration = Duration::from_secs(3 * 3_600);
/// Between two tries of a sender who was not answered 2xx.
const SENDER_PAUSE: Duration = Duration::from_secs(2);
/// Between two looks whether everything has ended, and how many are made in one life.
const LOOK_PAUSE: Duration = Duration::from_secs(900);
const LOOKS_MAX: u32 = 200;

/// Events about a lead: a webhook, a pause, a message, a webhook.
pub(super) const ORDER: &str = "shop.order";
/// Events about a lead that follow one another: each run waits for the one before.
pub(super) const VISIT: &str = "shop.visit";
/// Events about nobody.
pub(super) const PING: &str = "shop.ping";
/// Events about a lead or nobody: a pause before anything else, so that the run is parked from its first append on.
pub(super) const REMINDER: &str = "shop.reminder";

/// One thing that happens outside.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) number: u64,
    pub(super) kind: &'static str,
    pub(super) lead: Option<u64>,
    after: Duration,
}

impl Event {
    pub(super) fn id(&self) -> ObservationId {
        ObservationId::derived(Timestamp::default(), &[b"event", &self.number.to_be_bytes()])
    }

    /// As a door makes it, at the moment of each try.
    fn observation(&self) -> Observation {
        Observation {
            id: self.id(),
            account_id: account_id(),
            kind: EventType::new(self.kind),
            at: clock::now(),
            lead_id: self.lead.map(lead_id),
            call_id: None,
            caused_by: None,
            trace: None,
            data: json!({"n": self.number}),
        }
    }
}

/// What a saga showed.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tale {
    pub(super) runs: u64,
    pub(super) effects: u64,
    pub(super) deaths: u64,
    pub(super) failures: u64,
    pub(super) forgotten: u64,
}

pub(super) fn account_id() -> AccountId {
    AccountId::from_bytes([1; 16])
}

pub(super) fn lead_id(number: u64) -> LeadId {
    LeadId::derived(Timestamp::default(), &[&number.to_be_bytes()])
}

/// The workflow that events of this kind start.
pub(super) fn workflow_id(kind: &str) -> WorkflowId {
    WorkflowId::derived(Timestamp::default(), &[kind.as_bytes()])
}

/// Plays the saga of a seed.
///
/// # Errors
/// What promise was broken, in words.
pub(super) fn play(seed: u64) -> Result<Tale, String> {
    let dice = Dice::new(seed);
    let storm = Storm::new(dice.roll());
    let provider = Provider::new(dice.roll());
    let disk = Inline::new(storm.clone());
    let mut now = Timestamp::from_unix_millis(BEGIN);
    let events = events(&dice);
    let (made, after) = in_virtual_time(now, furnish(disk.open()));
    made.map_err(|error| format!("the store could not be furnished: {error}"))?;
    now = after;

    let mut next = 0;
    for _ in 0..dice.below(STORMY_LIVES_MAX + 1) {
        let writes = 1 + dice.below(WRITES_MAX);
        let life = async {
            storm.rise(writes);
            let process = async {
                if let Ok(life) = Life::begin(disk.open(), provider.clone()).await {
                    live(&life, &provider, &events, &mut next).await;
                }
            };
            tokio::select! {
                biased;
                () = storm.death() => {}
                () = process => {}
            }
            storm.calm();
        };
        ((), now) = in_virtual_time(now, life);
    }
    let last = async {
        let life = Life::begin(disk.open(), provider.clone())
            .await
            .map_err(|error| format!("a calm start failed: {error}"))?;
        storm.rise(u64::MAX);
        send(&life, &events, &mut next).await;
        tokio::time::sleep(LAST_STORM).await;
        storm.calm();
        provider.calm();
        live(&life, &provider, &events, &mut next).await;
        verdict::of(&life.store, &provider, &events).await
    };
    let (verdict, _) = in_virtual_time(now, last);
    let mut tale = verdict?;
    tale.deaths = storm.deaths();
    tale.failures = storm.failures();
    tale.forgotten = provider.forgotten();
    Ok(tale)
}

fn events(dice: &Dice) -> Vec<Event> {
    (0..EVENTS_MIN + dice.below(EVENTS_MORE))
        .map(|number| {
            let kind = [ORDER, VISIT, PING, VISIT, REMINDER][usize::try_from(dice.below(5)).unwrap_or(0)];
            let has_lead = kind != PING && (kind != REMINDER || dice.below(2) == 0);
            Event {
                number,
                kind,
                lead: has_lead.then(|| dice.below(LEADS)),
                after: Duration::from_millis(1_000 + dice.below(1_200_000)),
            }
        })
        .collect()
}

/// Sends what is left to send, each event until it is taken.
async fn send(life: &Life, events: &[Event], next: &mut usize) {
    while let Some(event) = events.get(*next) {
        tokio::time::sleep(event.after).await;
        while life.leads.observe(event.observation()).await.is_err() {
            tokio::time::sleep(SENDER_PAUSE).await;
        }
        *next += 1;
    }
}

/// Sends what is left to send and stays until every run has ended.
async fn live(life: &Life, provider: &Provider, events: &[Event], next: &mut usize) {
    send(life, events, next).await;
    for _ in 0..LOOKS_MAX {
        tokio::time::sleep(LOOK_PAUSE).await;
        let Ok(runs) = all_runs(&life.store).await else {
            continue;
        };
        for run in runs.iter().filter(|run| run.status == RunStatus::Stuck) {
            decide(life, provider, run).await;
        }
        let unrouted = life.store.observations.unrouted(None).await;
        let is_quiet = unrouted.is_ok_and(|unrouted| unrouted.is_empty());
        if is_quiet && runs.iter().all(|run| run.status.is_terminal()) {
            return;
        }
    }
}

/// A person looks at the provider's own pages and decides.
async fn decide(life: &Life, provider: &Provider, run: &RunHead) {
    let Ok(effects) = life.store.runs.effects(account_id(), run.id).await else {
        return;
    };
    for effect in effects
        .into_iter()
        .filter(|effect| effect.state == EffectState::Unknown)
    {
        let choice = if provider.has_done(&effect.key) {
            Choice::Skip
        } else {
            Choice::Resend
        };
        // Refused when the run has moved on meanwhile: then there is nothing to decide.
        let _ = life.runs.decide(account_id(), run.id, effect.key, choice).await;
    }
}

/// Every run there is.
pub(super) async fn all_runs(store: &Store) -> Result<Vec<RunHead>, String> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = PageRequest { limit: 200, cursor };
        let page = store.runs.list(account_id(), RunFilter::default(), page).await;
        let page = page.map_err(|error| error.to_string())?;
        all.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

/// Puts the account, its leads and its workflows into the store.
async fn furnish(store: Store) -> anyhow::Result<()> {
    let at = clock::now();
    open_account(&store).await?;
    for number in 0..LEADS {
        let lead = Lead {
            name: format!("Lead {number}"),
            ..Lead::nameless(lead_id(number), account_id(), at)
        };
        store.leads.create(lead).await?;
    }
    for (kind, definition) in definitions() {
        publish(&store, kind, 1, &definition.to_string()).await?;
    }
    Ok(())
}

/// Makes the account.
pub(super) async fn open_account(store: &Store) -> anyhow::Result<()> {
    let at = clock::now();
    let account = Account {
        id: account_id(),
        name: "Simulated".to_owned(),
        created_at: at,
        signing: Signing::default(),
        require_consent: false,
        retention: crate::domain::retention::Retention::default(),
    };
    let owner = User {
        id: UserId::fresh(),
        account_id: account_id(),
        email: "owner@example.com".to_owned(),
        name: "Owner".to_owned(),
        role: Role::Owner,
        password_hash: String::new(),
        second_factor: None,
        created_at: at,
    };
    Ok(store.accounts.create_account(account, owner).await?)
}

/// Publishes a version of the workflow of `kind`.
pub(super) async fn publish(store: &Store, kind: &str, version: u32, definition: &str) -> anyhow::Result<()> {
    if let Err(problems) = Plan::from_json(definition) {
        anyhow::bail!("{kind} cannot be published: {problems:?}");
    }
    let at = clock::now();
    let row = WorkflowRow {
        id: workflow_id(kind),
        account_id: account_id(),
        name: kind.to_owned(),
        enabled: true,
        draft: definition.to_owned(),
        published: version,
        trigger: kind.to_owned(),
        created_at: at,
        updated_at: at,
        revision: u64::from(version),
    };
    let published = WorkflowVersion {
        workflow_id: row.id,
        version,
        definition: definition.to_owned(),
        published_at: at,
    };
    if version == 1 {
        store.workflows.create(row, Some(published)).await?;
    } else {
        store.workflows.update(row, Some(published)).await?;
    }
    Ok(())
}

fn definitions() -> BTreeMap<&'static str, serde_json::Value> {
    let order = json!({"name": ORDER, "enabled": true, "trigger": {"type": ORDER},
        "nodes": [webhook("first"), {"id": "pause", "type": "delay", "params": {"for": "2h"}}, message("write"), webhook("last")],
        "edges": [{"from": "trigger", "to": "first"}, {"from": "first", "to": "pause"},
            {"from": "pause", "to": "write"}, {"from": "write", "to": "last"}]});
    let visit = json!({"name": VISIT, "enabled": true, "trigger": {"type": VISIT},
        "settings": {"enrolment": {"one_active_per_lead": "queue"}},
        "nodes": [message("greet"), {"id": "pause", "type": "delay", "params": {"for": "20m"}}, webhook("note")],
        "edges": [{"from": "trigger", "to": "greet"}, {"from": "greet", "to": "pause"}, {"from": "pause", "to": "note"}]});
    let ping = json!({"name": PING, "enabled": true, "trigger": {"type": PING},
        "nodes": [{"id": "check", "type": "condition", "params": {"if": "trigger.data.n >= 0"}}, webhook("pong")],
        "edges": [{"from": "trigger", "to": "check"}, {"from": "check", "port": "true", "to": "pong"}]});
    let reminder = json!({"name": REMINDER, "enabled": true, "trigger": {"type": REMINDER},
        "nodes": [{"id": "pause", "type": "delay", "params": {"for": "30m"}}, webhook("remind")],
        "edges": [{"from": "trigger", "to": "pause"}, {"from": "pause", "to": "remind"}]});
    BTreeMap::from([(ORDER, order), (VISIT, visit), (PING, ping), (REMINDER, reminder)])
}

/// A webhook node that is tried until it works.
pub(super) fn webhook(id: &str) -> serde_json::Value {
    json!({"id": id, "type": "webhook",
        "params": {"url": format!("https://example.com/{id}"), "body": {"n": "{{ trigger.data.n }}"}},
        "retry": {"max_attempts": 20, "initial_interval": "1s", "backoff": 2, "max_interval": "1m"}})
}

fn message(id: &str) -> serde_json::Value {
    json!({"id": id, "type": "send_sms", "audience": "staff",
        "params": {"to": "+14155550123", "body": format!("{id} {{{{ trigger.data.n }}}}")},
        "retry": {"max_attempts": 20, "initial_interval": "1s", "backoff": 2, "max_interval": "1m"}})
}

/// The nodes of each workflow that act, in order.
pub(super) fn acting_nodes(kind: &str) -> &'static [&'static str] {
    match kind {
        ORDER => &["first", "write", "last"],
        VISIT => &["greet", "note"],
        REMINDER => &["remind"],
        _ => &["pong"],
    }
}
