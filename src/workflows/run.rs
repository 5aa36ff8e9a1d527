//! The state of one run: where its tokens stand and what its steps gave.
//!
//! Everything needed to go on is here and in the definition's version; nothing is replayed. How it becomes bytes is in
//! `snapshot`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    calling::Calling,
    effect::Effect,
    following::Following,
    frames::{Frame, Looping},
    snapshot::{self, Kept, millis, optional_millis},
    waits::{Heard, Listening},
};
use crate::domain::{
    ids::{AccountId, CallId, LeadId, RunId, WorkflowId},
    observation::Observation,
    run::RunStatus,
    time::Timestamp,
    trace::TraceContext,
};

pub use super::snapshot::{SNAPSHOT_FORMAT, SnapshotError};

/// What a run is born with.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSeed {
    pub id: RunId,
    pub account_id: AccountId,
    pub workflow_id: WorkflowId,
    pub version: u32,
    pub lead_id: Option<LeadId>,
    pub call_id: Option<CallId>,
    /// What `trigger` is in expressions; see `trigger::value_of`.
    pub trigger: Value,
    pub started_at: Timestamp,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Not part of the JSON: stored as raw bytes in front of it.
    #[serde(skip)]
    pub(super) ids: Ids,
    #[serde(rename = "v")]
    pub(super) version: u32,
    #[serde(rename = "s", with = "millis")]
    pub(super) started_at: Timestamp,
    #[serde(rename = "t")]
    pub(super) trigger: Value,
    #[serde(rename = "p")]
    pub(super) phase: Phase,
    /// The node a retry begins at, instead of those behind the trigger.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub(super) begin_at: Option<String>,
    /// Where the run stands in its graph, by number.
    #[serde(rename = "k", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tokens: BTreeMap<u32, Token>,
    /// Items that loops are working on, by number.
    #[serde(rename = "f", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) frames: BTreeMap<u32, Frame>,
    /// `steps.<id>.output` of the nodes that some expression reads, loops' bodies left out.
    #[serde(rename = "o", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) outputs: BTreeMap<String, Kept>,
    /// Outputs that are too large to be written with every step, by the number of the part that holds them.
    #[serde(rename = "y", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) large_outputs: BTreeMap<String, u32>,
    /// What is stored once beside the snapshot.
    #[serde(skip)]
    pub(super) parts: BTreeMap<u32, Kept>,
    /// Whether anything was ever stored beside the snapshot.
    #[serde(rename = "z", default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) has_parts: bool,
    /// How often each node was come by.
    #[serde(rename = "n", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) visits: BTreeMap<String, u32>,
    #[serde(rename = "x")]
    pub(super) counters: Counters,
    /// Events that have ended a wait: a later wait does not find them again.
    #[serde(rename = "h", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) heard: Vec<Heard>,
    /// Events up to this moment were heard long ago, or never will be: a run that heard very many remembers the latest one by one.
    #[serde(
        rename = "hu",
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_millis"
    )]
    pub(super) heard_until: Option<Timestamp>,
    /// What is done in the run is traced below this place.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub(super) trace: Option<TraceContext>,
    /// Signals that came before a wait for them.
    #[serde(rename = "g", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) signals: Vec<Observation>,
}

/// Which run, whose, about whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ids {
    pub run: RunId,
    pub account: AccountId,
    pub workflow: WorkflowId,
    pub lead: Option<LeadId>,
    pub call: Option<CallId>,
    /// The run that waits for this one or has started it.
    pub parent: Option<RunId>,
    /// The run that this one takes up again.
    pub retry_of: Option<RunId>,
    /// How many runs have started one another down to this one.
    pub depth: u8,
}

impl Default for Ids {
    /// Nobody: what stands here until the bytes in front of the JSON are read.
    fn default() -> Self {
        Self {
            run: RunId::from_bytes([0; 16]),
            account: AccountId::from_bytes([0; 16]),
            workflow: WorkflowId::from_bytes([0; 16]),
            lead: None,
            call: None,
            parent: None,
            retry_of: None,
            depth: 0,
        }
    }
}

/// Where a run is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    #[serde(rename = "n")]
    New,
    #[serde(rename = "a")]
    Active,
    /// The end is decided; effects on their way are still waited for, so that their outcome is kept.
    #[serde(rename = "e")]
    Ending(Ending),
    #[serde(rename = "d")]
    Ended(Ending),
}

/// How a run ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ending {
    #[serde(rename = "s")]
    pub status: RunStatus,
    /// Why, when it did not just come to its end.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Numbers that only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Counters(
    /// Tokens and frames made so far.
    pub u32,
    /// Timers set so far.
    pub u64,
    /// Journal lines written so far.
    pub u64,
    /// Nodes begun so far.
    pub u32,
);

/// One place where the run stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Token {
    #[serde(rename = "n")]
    pub node: String,
    #[serde(rename = "v", default, skip_serializing_if = "snapshot::is_zero")]
    pub visit: u32,
    #[serde(flatten)]
    pub way: Way,
    #[serde(rename = "s")]
    pub state: TokenState,
}

/// What a token carries along from node to node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Way {
    /// The loop's item it works on.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<u32>,
    /// Merges with `any` that another token has come through first: this one ends there.
    #[serde(rename = "l", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub late_at: BTreeSet<String>,
}

/// What a token waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum TokenState {
    /// A delay's timer.
    #[serde(rename = "p")]
    Pausing(Alarm),
    /// The effect's answer.
    #[serde(rename = "a")]
    Acting(#[serde(with = "snapshot::effect")] Box<Effect>),
    /// The look-up's answer.
    #[serde(rename = "l")]
    LookingUp(#[serde(with = "snapshot::effect")] Box<Effect>),
    /// The time of the next attempt.
    #[serde(rename = "r")]
    Retrying(#[serde(with = "snapshot::effect")] Box<Effect>, Alarm),
    /// The time the gate named; the attempt was not made.
    #[serde(rename = "h")]
    Held(#[serde(with = "snapshot::effect")] Box<Effect>, Alarm),
    /// A person's decision.
    #[serde(rename = "q")]
    Asking(#[serde(with = "snapshot::effect")] Box<Effect>),
    /// An event, or the end of the wait for it.
    #[serde(rename = "e")]
    Listening(Listening),
    /// The other branches that can still come here.
    #[serde(rename = "m")]
    Merging {
        /// Branches that have come.
        #[serde(rename = "n")]
        arrived: u32,
    },
    /// The loop's items.
    #[serde(rename = "i")]
    Looping(Box<Looping>),
    /// The end of the run that this one has started.
    #[serde(rename = "c")]
    Following(Following),
    /// The end of a call that it has placed.
    #[serde(rename = "t")]
    Calling(Box<Calling>),
}

/// A timer that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Alarm(
    /// Its number within the run.
    pub u64,
    /// When it is due.
    #[serde(with = "millis")]
    pub Timestamp,
);

impl TokenState {
    pub(super) const fn effect(&self) -> Option<&Effect> {
        match self {
            Self::Acting(effect)
            | Self::LookingUp(effect)
            | Self::Retrying(effect, _)
            | Self::Held(effect, _)
            | Self::Asking(effect) => Some(effect),
            Self::Pausing(_)
            | Self::Listening(_)
            | Self::Merging { .. }
            | Self::Looping(_)
            | Self::Following(_)
            | Self::Calling(_) => None,
        }
    }

    pub(super) const fn effect_mut(&mut self) -> Option<&mut Effect> {
        match self {
            Self::Acting(effect)
            | Self::LookingUp(effect)
            | Self::Retrying(effect, _)
            | Self::Held(effect, _)
            | Self::Asking(effect) => Some(effect),
            Self::Pausing(_)
            | Self::Listening(_)
            | Self::Merging { .. }
            | Self::Looping(_)
            | Self::Following(_)
            | Self::Calling(_) => None,
        }
    }

    pub(super) const fn alarm(&self) -> Option<Alarm> {
        match self {
            Self::Pausing(alarm) | Self::Retrying(_, alarm) | Self::Held(_, alarm) => Some(*alarm),
            Self::Listening(listening) => Some(listening.alarm),
            Self::Following(following) => Some(following.alarm),
            Self::Calling(calling) => Some(calling.alarm),
            Self::Looping(looping) => looping.alarm,
            Self::Acting(_) | Self::LookingUp(_) | Self::Asking(_) | Self::Merging { .. } => None,
        }
    }

    /// Whether an effect's answer is on its way.
    pub(super) const fn is_in_flight(&self) -> bool {
        matches!(self, Self::Acting(_) | Self::LookingUp(_))
    }

    /// Whether something is on its way that is lost with the process: what recovery takes up.
    const fn is_moving(&self) -> bool {
        match self {
            Self::Acting(_) | Self::LookingUp(_) => true,
            Self::Listening(listening) => listening.looking_since.is_some(),
            Self::Pausing(_)
            | Self::Retrying(..)
            | Self::Held(..)
            | Self::Asking(_)
            | Self::Merging { .. }
            | Self::Looping(_)
            | Self::Following(_)
            | Self::Calling(_) => false,
        }
    }
}

impl Run {
    /// A run that has not begun; give it `Input::Started`.
    #[must_use]
    pub fn new(seed: RunSeed) -> Self {
        Self {
            ids: Ids {
                run: seed.id,
                account: seed.account_id,
                workflow: seed.workflow_id,
                lead: seed.lead_id,
                call: seed.call_id,
                ..Ids::default()
            },
            version: seed.version,
            started_at: seed.started_at,
            trigger: seed.trigger,
            phase: Phase::New,
            begin_at: None,
            tokens: BTreeMap::new(),
            frames: BTreeMap::new(),
            outputs: BTreeMap::new(),
            large_outputs: BTreeMap::new(),
            parts: BTreeMap::new(),
            has_parts: false,
            visits: BTreeMap::new(),
            counters: Counters::default(),
            heard: Vec::new(),
            heard_until: None,
            trace: None,
            signals: Vec::new(),
        }
    }

    /// The same run, started by another one. `depth` counts the runs above it.
    #[must_use]
    pub const fn child_of(mut self, parent: RunId, depth: u8) -> Self {
        self.ids.parent = Some(parent);
        self.ids.depth = depth;
        self
    }

    /// The run as bytes to store.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::write(self)
    }

    /// Reads what [`Run::snapshot`] wrote.
    ///
    /// # Errors
    /// [`SnapshotError`] for bytes of an unknown format or broken ones.
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        snapshot::read(bytes)
    }

    #[must_use]
    pub const fn id(&self) -> RunId {
        self.ids.run
    }

    #[must_use]
    pub const fn account_id(&self) -> AccountId {
        self.ids.account
    }

    #[must_use]
    pub const fn workflow_id(&self) -> WorkflowId {
        self.ids.workflow
    }

    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    #[must_use]
    pub const fn lead_id(&self) -> Option<LeadId> {
        self.ids.lead
    }

    #[must_use]
    pub const fn call_id(&self) -> Option<CallId> {
        self.ids.call
    }

    /// The run that has started this one.
    #[must_use]
    pub const fn parent(&self) -> Option<RunId> {
        self.ids.parent
    }

    /// The run that this one takes up again.
    #[must_use]
    pub const fn retry_of(&self) -> Option<RunId> {
        self.ids.retry_of
    }

    #[must_use]
    pub const fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// What started the run, as expressions see it.
    #[must_use]
    pub const fn trigger(&self) -> &Value {
        &self.trigger
    }

    /// What started the run, `call.no_answer`.
    #[must_use]
    pub fn trigger_type(&self) -> &str {
        self.trigger
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or("manual")
    }

    /// How the run stands.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        match &self.phase {
            Phase::Ended(ending) => ending.status,
            Phase::New | Phase::Ending(_) => RunStatus::Running,
            Phase::Active => {
                let mut states = self.tokens.values().map(|token| &token.state);
                if states.clone().any(TokenState::is_moving) {
                    RunStatus::Running
                } else if states.any(|state| matches!(state, TokenState::Asking(_))) {
                    RunStatus::Stuck
                } else {
                    RunStatus::Waiting
                }
            }
        }
    }

    /// Why the run failed, was cancelled or is stuck, for a person; for a completed one, what cut it short.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        match &self.phase {
            Phase::Ended(ending) => ending.error.clone(),
            Phase::New | Phase::Ending(_) => None,
            Phase::Active => self.tokens.values().find_map(|token| match &token.state {
                TokenState::Asking(effect) => Some(format!(
                    "{}: it is not known whether the effect was carried out; resend or skip it",
                    effect.node
                )),
                _ => None,
            }),
        }
    }

    /// Timers that are set, by number: what a shell that holds its own timers arms after loading the run.
    #[must_use]
    pub fn timers(&self) -> Vec<(u64, Timestamp)> {
        self.tokens
            .values()
            .filter_map(|token| token.state.alarm())
            .map(|Alarm(timer, due)| (timer, due))
            .collect()
    }

    /// Effects that were claimed or are being looked up.
    #[must_use]
    pub fn in_flight(&self) -> Vec<&Effect> {
        self.tokens
            .values()
            .filter(|token| token.state.is_in_flight())
            .filter_map(|token| token.state.effect())
            .collect()
    }

    /// Whether the effect of this key may still be carried out.
    #[must_use]
    pub fn holds(&self, key: &str) -> bool {
        let mut effects = self.tokens.values().filter_map(|token| token.state.effect());
        effects.any(|effect| effect.key == key)
    }

    /// Effects of which a person has to say whether they are sent again.
    pub fn asking(&self) -> impl Iterator<Item = &Effect> {
        let is_asking = |token: &&Token| matches!(token.state, TokenState::Asking(_));
        let asking = self.tokens.values().filter(is_asking);
        asking.filter_map(|token| token.state.effect())
    }
}
