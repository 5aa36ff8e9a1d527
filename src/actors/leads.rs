//! The leads: where every observation goes, so that all about one lead passes one mailbox.
//!
//! In: observations from calls, doors and effects. Out: the observation kept in the store, then one message to the lead's actor.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ractor::RpcReplyPort;
use serde_json::Value;

use super::{
    cluster::words::{Said, Word},
    intake,
    lead::{LeadKind, LeadMsg},
    residents::Residents,
    runs::RunError,
};
use crate::{
    domain::{
        ids::{AccountId, ImportId, LeadId, ObservationId, WorkflowId},
        lead::{EditRefusal, KeyedEdit, Lead, LeadEdited},
        observation::{EventType, Observation},
        shard::Shard,
    },
    store::{Recorded, Store, StoreError, StoreResult},
    telemetry::traces,
};

/// How long a start may take in its lead's mailbox.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long a merge is followed, whether or not somebody still waits for it.
const MERGE_MAX: Duration = Duration::from_secs(120);
/// How long the node that acts for a lead may take before a fact is kept here for it to find. Whoever brought it waits meanwhile.
const OWNER_MAX: Duration = Duration::from_secs(2);

/// The same on a node that holds nothing itself: it has lost the database for a while, or has just joined. Whoever acts is known in a moment
/// and finds what is kept.
const OWNER_MAX_ADRIFT: Duration = Duration::from_millis(250);

/// Whose mailbox an observation goes through: a lead's, or the account's own when it is about nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    Lead(AccountId, LeadId),
    Account(AccountId),
}

impl Subject {
    /// Returns whose mailbox `observation` goes through.
    #[must_use]
    pub fn of(observation: &Observation) -> Self {
        match observation.lead_id {
            Some(lead_id) => Self::Lead(observation.account_id, lead_id),
            None => Self::Account(observation.account_id),
        }
    }

    /// The shard that the mailbox lives in.
    #[must_use]
    pub fn shard(&self) -> Shard {
        match self {
            Self::Lead(_, lead_id) => lead_id.shard(),
            Self::Account(account_id) => account_id.shard(),
        }
    }
}

/// The shard whose owner takes a fact in: its mailbox's, or the fact's own when it passes none.
#[must_use]
pub fn home_of(observation: &Observation) -> Shard {
    if intake::may_take(observation) {
        observation.shard()
    } else {
        Subject::of(observation).shard()
    }
}

/// The leads. Cheap to clone.
#[derive(Clone)]
pub struct LeadsHandle {
    store: Store,
    kind: LeadKind,
    leads: Residents<LeadKind>,
}

impl LeadsHandle {
    /// Ties the store to the lead actors of this kind.
    #[must_use]
    pub fn new(kind: LeadKind, leads: Residents<LeadKind>) -> Self {
        let store = kind.store.clone();
        Self { store, kind, leads }
    }

    /// Keeps an observation and brings it to its lead's actor, or, when it is about nobody, starts at once what it leads to.
    /// When this returns, its consequences survive a crash.
    ///
    /// # Errors
    /// [`StoreError`](crate::store::StoreError) when it could not be kept; nothing happened then.
    pub async fn observe(&self, observation: Observation) -> StoreResult<Recorded> {
        let mut observation = self.of_kept_lead(observation).await?;
        if observation.trace.is_none() && traces::is_chosen() {
            observation.trace = traces::current();
        } else if observation.trace.is_none() {
            observation.trace = traces::root(observation.id.as_bytes());
            // The trace begins with it: nothing is above.
            observation.trace = observation.place();
        }
        let home = home_of(&observation);
        if self.kind.neighbours.is_here(home) {
            return self.observe_here(observation).await;
        }
        let word = Word::Observe {
            observation: Box::new(observation.clone()),
        };
        let patience = match self.kind.neighbours.ownership().any(home) {
            Some(_) => OWNER_MAX,
            None => OWNER_MAX_ADRIFT,
        };
        match self.kind.neighbours.tell(home, &word, patience).await {
            Ok(None) => return self.observe_here(observation).await,
            Ok(Some(Said::Kept { is_fresh: true })) => return Ok(Recorded::Fresh),
            Ok(Some(Said::Kept { is_fresh: false })) => return Ok(Recorded::Duplicate),
            Ok(Some(said)) => {
                tracing::warn!(?said, "a fact's owner did not take it: it is kept for it to find")
            }
            Err(unheard) => tracing::warn!(%unheard, "a fact is kept for its owner to find"),
        }
        self.store.observations.record(observation).await
    }

    /// The same fact, about the lead that its own was merged into.
    async fn of_kept_lead(&self, mut observation: Observation) -> StoreResult<Observation> {
        if let Some(id) = observation.lead_id {
            match self.store.leads.get(observation.account_id, id).await {
                Ok(lead) => observation.lead_id = Some(lead.id),
                // A fact about a lead that is gone is kept as it is.
                Err(StoreError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(observation)
    }

    /// Makes an edit of a lead and brings what follows from it on its way, also when nobody waits for it any more.
    ///
    /// # Errors
    /// When the store does not say whether it was made.
    pub async fn edit(&self, edit: KeyedEdit) -> StoreResult<Result<LeadEdited, EditRefusal>> {
        let edit = KeyedEdit {
            trace: edit.trace.or_else(traces::current),
            ..edit
        };
        let (leads, account_id) = (self.clone(), edit.account_id);
        to_its_end(async move {
            let is_told = edit.is_told();
            let edited = leads.store.leads.edit(edit).await?;
            if let Ok(edited) = &edited
                && is_told
                && !edited.changed.is_empty()
            {
                leads.take_up(Subject::Lead(account_id, edited.lead_id));
            }
            Ok(edited)
        })
        .await
    }

    /// Keeps a fresh lead with the facts that tell of it, and brings them on their way, also when nobody waits for it any more.
    ///
    /// # Errors
    /// `Taken` when the phone number, or the id, belongs to another lead.
    pub async fn introduce(&self, lead: Lead, facts: Vec<(EventType, Value)>) -> StoreResult<()> {
        let (account_id, lead_id) = (lead.account_id, lead.id);
        let facts = facts.into_iter().map(|(kind, data)| Observation {
            id: ObservationId::fresh(),
            account_id,
            kind,
            at: lead.created_at,
            lead_id: Some(lead_id),
            call_id: None,
            caused_by: None,
            trace: traces::current(),
            data,
        });
        let (leads, facts) = (self.clone(), facts.collect());
        to_its_end(async move {
            leads.store.leads.introduce(lead, facts).await?;
            leads.take_up(Subject::Lead(account_id, lead_id));
            Ok(())
        })
        .await
    }

    /// Merges `duplicate` into `kept`, in the duplicate's turn. Cut off anywhere, it is brought to its end by the same again.
    ///
    /// # Errors
    /// [`RunError::TimedOut`] when it is not done yet; [`RunError::Refused`] when the two cannot be one.
    pub async fn merge(
        &self,
        account_id: AccountId,
        duplicate: LeadId,
        kept: LeadId,
    ) -> Result<(), RunError> {
        let (sender, answer) = ractor::concurrency::oneshot();
        let message = LeadMsg::Merge(kept, RpcReplyPort::from(sender));
        self.leads.deliver(Subject::Lead(account_id, duplicate), message);
        let leads = self.clone();
        // It goes on when nobody waits any more: what follows from it is brought on its way all the same.
        let merging = tokio::spawn(async move {
            let merged = tokio::time::timeout(MERGE_MAX, answer).await;
            leads.take_up(Subject::Lead(account_id, kept));
            match merged {
                Ok(Ok(merged)) => merged,
                Ok(Err(_)) | Err(_) => Err(RunError::TimedOut),
            }
        });
        match tokio::time::timeout(ANSWER_MAX, merging).await {
            Ok(Ok(merged)) => merged,
            Ok(Err(_)) | Err(_) => Err(RunError::TimedOut),
        }
    }

    /// Keeps an observation on the node that acts for it, and brings it on its way.
    ///
    /// # Errors
    /// As for [`Self::observe`].
    pub(super) async fn observe_here(&self, observation: Observation) -> StoreResult<Recorded> {
        if intake::may_take(&observation) {
            match intake::take_in(&self.kind, observation.clone()).await {
                Ok(Recorded::Fresh) => return Ok(Recorded::Fresh),
                // It is there; when it came through the mailbox and got stuck there, that is taken up below.
                Ok(Recorded::Duplicate) => {}
                Err(RunError::Store(error)) => return Err(error),
                // The way through the mailbox keeps the fact and says what is wrong with its runs.
                Err(error) => tracing::error!(%error, "a fact could not be taken in at once"),
            }
        }
        let recorded = self.store.observations.record(observation.clone()).await?;
        let subject = Subject::of(&observation);
        match recorded {
            Recorded::Fresh => self
                .leads
                .deliver(subject, LeadMsg::Observed(Box::new(observation))),
            // An earlier try may have kept it without hearing so.
            Recorded::Duplicate => self.leads.deliver(subject, LeadMsg::Recover),
        }
        Ok(recorded)
    }

    /// Starts the one workflow whose wait after a fact is over, in its turn among all about the lead. False when the start
    /// waits for an earlier run; when this returns true, its consequences survive a crash.
    ///
    /// # Errors
    /// [`RunError::TimedOut`] when the lead's actor did not answer.
    pub async fn start_due(
        &self,
        observation: Observation,
        workflow_id: WorkflowId,
    ) -> Result<bool, RunError> {
        let (sender, answer) = ractor::concurrency::oneshot();
        let subject = Subject::of(&observation);
        let message = LeadMsg::Due(Box::new(observation), workflow_id, RpcReplyPort::from(sender));
        self.leads.deliver(subject, message);
        match tokio::time::timeout(ANSWER_MAX, answer).await {
            Ok(Ok(is_settled)) => Ok(is_settled),
            Ok(Err(_)) | Err(_) => Err(RunError::TimedOut),
        }
    }

    /// Lets a lead's actor take up what is in the store for it.
    pub(super) fn take_up(&self, subject: Subject) {
        self.leads.deliver(subject, LeadMsg::Recover);
    }

    /// Lets the actors of these shards finish what they were sent and stop.
    pub(super) async fn evict(&self, shards: Arc<BTreeSet<Shard>>, patience: Duration) {
        let is_meant = move |subject: &Subject| shards.contains(&subject.shard());
        self.leads.evict(Arc::new(is_meant), patience).await;
    }

    /// An id for a lead that is made here: in a shard of this node, so that the way from a call to its runs stays in one process.
    #[must_use]
    pub fn fresh_lead_id(&self) -> LeadId {
        let id = LeadId::fresh();
        id.in_shard(self.kind.neighbours.near(id.shard()))
    }

    /// The same import under an id in a shard of this node, so that its file is taken over here.
    #[must_use]
    pub fn near(&self, id: ImportId) -> ImportId {
        id.in_shard(self.kind.neighbours.near(id.shard()))
    }

    /// Whether this node acts for the shard.
    #[must_use]
    pub fn acts_for(&self, shard: Shard) -> bool {
        self.kind.neighbours.is_here(shard)
    }

    /// Hands on every observation whose runs may not exist yet.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn recover(&self) -> StoreResult<usize> {
        let unrouted = self.store.observations.unrouted(None).await?;
        let count = unrouted.len();
        for observation in unrouted {
            self.leads.deliver(
                Subject::of(&observation),
                LeadMsg::Observed(Box::new(observation)),
            );
        }
        Ok(count)
    }
}

/// Does work that must not end half-way because whoever asked for it has gone.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = StoreResult<T>> + Send + 'static,
) -> StoreResult<T> {
    tokio::spawn(work)
        .await
        .unwrap_or_else(|broken| Err(StoreError::Unavailable(Box::new(broken))))
}
