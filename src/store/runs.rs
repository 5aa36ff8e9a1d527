//! Runs: one durable append per transition carries head, snapshot, journal, timers and effect intents together.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Page, PageRequest, Recorded, StoreResult};
pub use crate::domain::run::{EffectState, RunStatus};
use crate::domain::{
    ids::{AccountId, CallId, LeadId, RunId, WorkflowId},
    lead::Lead,
    shard::Shard,
    time::Timestamp,
};

/// The head of a run: what lists and recovery need without opening the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunHead {
    pub id: RunId,
    pub account_id: AccountId,
    pub workflow_id: WorkflowId,
    pub version: u32,
    pub lead_id: Option<LeadId>,
    pub call_id: Option<CallId>,
    /// The run that this one takes up again.
    pub retry_of: Option<RunId>,
    /// What started it, `call.no_answer`.
    pub trigger: String,
    pub status: RunStatus,
    /// Number of appends so far; the next append must carry this as `expected`.
    pub revision: u64,
    pub started_at: Timestamp,
    pub updated_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Why it failed or is stuck, in words for a person.
    pub error: Option<String>,
}

/// One line of a run's history.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalLine {
    /// Counts a run's lines from 0.
    pub seq: u64,
    pub at: Timestamp,
    /// JSON as `workflows` wrote it.
    pub entry: String,
}

/// A timer to set. `timer` is unique within the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerRow {
    pub due: Timestamp,
    pub run_id: RunId,
    pub timer: u64,
}

/// What one attempt of an effect was or became.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectRow {
    /// Derived from run, node, iteration and ordinal: the same step gives the same key.
    pub key: String,
    pub run_id: RunId,
    pub account_id: AccountId,
    pub state: EffectState,
    pub attempt: u32,
    /// JSON of `workflows::Effect`.
    pub request: String,
    pub provider_id: Option<String>,
    pub error: Option<String>,
    pub at: Timestamp,
}

/// One transition of one run, written whole or not at all.
#[derive(Debug, Clone)]
pub struct RunAppend {
    /// The head after the transition; `head.revision` is the revision after it.
    pub head: RunHead,
    /// The epoch of the writer's lease on the run's shard; 1 where one process owns everything, 0 where the writer leaves the run to its
    /// owner.
    pub epoch: u64,
    /// The run's state after the transition.
    pub snapshot: Vec<u8>,
    pub journal: Vec<JournalLine>,
    /// Bytes kept beside the snapshot, by number: written once, read with [`RunStore::parts`].
    pub parts: Vec<(u32, Vec<u8>)>,
    /// Whether the parts of the run are not needed any more.
    pub drops_parts: bool,
    pub timers_set: Vec<(u64, Timestamp)>,
    pub timers_cleared: Vec<u64>,
    /// Inserted or replaced by key.
    pub effects: Vec<EffectRow>,
}

/// Which runs are wanted.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    pub workflow_id: Option<WorkflowId>,
    pub lead_id: Option<LeadId>,
    pub status: Option<RunStatus>,
    /// Runs about leads whose name or one of whose phone numbers holds this text, in whatever case.
    pub text: Option<String>,
    /// Started then or later.
    pub from: Option<Timestamp>,
    /// Started before then.
    pub until: Option<Timestamp>,
    /// Runs that take this one up again.
    pub retry_of: Option<RunId>,
    /// Only those that have not ended: `running`, `waiting`, `stuck`.
    pub only_active: bool,
}

/// Whether the lead's name or one of its numbers holds `text`, in whatever case.
#[must_use]
pub fn is_named(lead: &Lead, text: &str) -> bool {
    let text = text.to_lowercase();
    lead.name.to_lowercase().contains(&text) || lead.phones().any(|phone| phone.as_str().contains(&text))
}

/// The epoch under which this process acts for a shard at this moment, without I/O; `None` when it does not.
pub type Owns = Arc<dyn Fn(Shard) -> Option<u64> + Send + Sync>;

#[async_trait]
pub trait RunStore: Send + Sync {
    /// Tells the store whom to ask right before a write, if several nodes use it: a process may have been stopped since it began. The
    /// first one told stays.
    fn ask_before_writing(&self, _owns: Owns) {}
    /// Creates the run with its first transition (`head.revision` is 1). The same id again changes nothing. `Fenced` when a newer
    /// epoch owns its shard, unless it is made under none.
    async fn create(&self, append: RunAppend) -> StoreResult<Recorded>;
    /// Appends a transition. `Moved` when the stored revision is not `head.revision − 1`: somebody else moved the run.
    /// `Fenced` when a newer epoch has moved it, or this process does not act for its shard any more.
    async fn append(&self, append: RunAppend) -> StoreResult<()>;
    /// Head and snapshot, for activation. Knows no account: only the runs actors call it.
    async fn load(&self, id: RunId) -> StoreResult<(RunHead, Vec<u8>)>;
    /// What was kept beside the snapshot, by number. Knows no account: only the runs actors call it.
    async fn parts(&self, id: RunId) -> StoreResult<Vec<(u32, Vec<u8>)>>;
    async fn head(&self, account_id: AccountId, id: RunId) -> StoreResult<RunHead>;
    async fn journal(&self, account_id: AccountId, id: RunId) -> StoreResult<Vec<JournalLine>>;
    async fn effects(&self, account_id: AccountId, id: RunId) -> StoreResult<Vec<EffectRow>>;
    /// Where the run's messages and calls to leads stand, for its page.
    async fn contact_tally(
        &self,
        account_id: AccountId,
        id: RunId,
        now: Timestamp,
    ) -> StoreResult<ContactTally>;
    async fn list(
        &self,
        account_id: AccountId,
        filter: RunFilter,
        page: PageRequest,
    ) -> StoreResult<Page<RunHead>>;
    /// Active runs (`running`, `waiting`, `stuck`) of a workflow for one lead, oldest first: what enrolment asks.
    async fn active_for_lead(&self, workflow_id: WorkflowId, lead_id: LeadId) -> StoreResult<Vec<RunId>>;
    /// Whether the workflow ever ran for the lead.
    async fn ever_for_lead(&self, workflow_id: WorkflowId, lead_id: LeadId) -> StoreResult<bool>;
    /// Recovery scan over every timer of a shard, or of all: at most `limit` behind `after`, in one order that does not change.
    async fn timers(
        &self,
        shard: Option<Shard>,
        after: Option<TimerRow>,
        limit: u32,
    ) -> StoreResult<Vec<TimerRow>>;
    /// Recovery scan over a shard, or all: runs that were `running` when their process ended.
    async fn unparked(&self, shard: Option<Shard>) -> StoreResult<Vec<RunId>>;
    /// Drops what recovery will not ask for any more: to be called every few minutes, by whoever owns the shard.
    async fn sweep(&self, _shard: Option<Shard>, _now: Timestamp) -> StoreResult<()> {
        Ok(())
    }
    /// Forgets what an ended run did: state, journal, effects, parts, timers. Its head stays, without the reason of its end, and so do
    /// counts and what enrolment asks. Returns whether there was anything to forget; a run that has not ended keeps all.
    async fn forget_history(&self, account_id: AccountId, id: RunId) -> StoreResult<bool>;
    /// Success and failure counts of a workflow's runs, for its history.
    async fn counts(&self, account_id: AccountId, workflow_id: WorkflowId) -> StoreResult<RunCounts>;
}

/// How many of a run's effects for leads stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContactTally {
    pub sent: u64,
    pub held: u64,
    pub refused: u64,
    pub waiting: u64,
    pub unknown: u64,
    /// Sent within the minute before the question.
    pub sent_last_minute: u64,
}

/// How a workflow's runs went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunCounts {
    pub active: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
}
