//! Resources whose changes workflows hear of: appointments, quotes, payments.
//!
//! In: a resource that was made or changed. Out: the row with the facts that follow, in one write; then the facts, through the same intake
//! as every other event; then the row without them. Whatever breaks off after the first write is taken up by the next look, by the next
//! change, or by a repeat of the request, and the facts have their ids already: nothing is heard twice and nothing is lost.

use std::time::Duration;

use ractor::{ActorCell, SpawnErr};

use super::{
    LeadsHandle,
    rounds::{self, Round},
};
use crate::{
    clock,
    domain::{
        ids::{AccountId, ObservationId},
        observation::Observation,
        resource::{Eventful, ResourceKey, ResourceKind},
        time::Timestamp,
    },
    store::{
        Recorded, Store, StoreError, StoreResult,
        resources::{ResourceAddress, ResourceRow},
    },
    telemetry::traces,
};

/// Between two looks for facts that were left behind.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Rows that one look takes up; the rest waits for the next.
const LOOK_ROWS: u32 = 1_000;
/// How often a change is made again because somebody else was faster.
const TRIES_MAX: u32 = 20;
/// Kinds whose rows carry facts.
const EVENTFUL: [ResourceKind; 3] = [
    ResourceKind::Appointment,
    ResourceKind::Quote,
    ResourceKind::Payment,
];

/// The resources. Cheap to clone.
#[derive(Clone)]
pub struct ResourcesHandle {
    store: Store,
    leads: LeadsHandle,
}

impl ResourcesHandle {
    /// Begins to look, now and then, for facts that were left behind.
    ///
    /// # Errors
    /// When the supervisor is no longer alive.
    pub async fn start(store: Store, leads: LeadsHandle, supervisor: ActorCell) -> Result<Self, SpawnErr> {
        let handle = Self { store, leads };
        let looking = handle.clone();
        let round = Round::new("events that were left behind", LOOK_EVERY, move || {
            let looking = looking.clone();
            async move {
                let rows = looking.recover().await?;
                if rows > 0 {
                    tracing::info!(rows, "events that were left behind are on their way");
                }
                Ok(())
            }
        });
        rounds::start(round, supervisor).await?;
        Ok(handle)
    }

    /// Keeps a resource and what follows from it. One that is there already under its id stays and is returned.
    ///
    /// # Errors
    /// When it could not be kept, or its events could not: they follow by themselves then.
    pub async fn create<T: Eventful>(&self, resource: T) -> StoreResult<T> {
        let facts = fact_of(&resource, None, resource.created_at());
        let row = ResourceRow::first(&resource)?.with_facts(facts.into_iter().collect());
        match self.store.resources.create(row.clone()).await? {
            Recorded::Fresh => {
                self.hand_on(&row).await?;
                Ok(resource)
            }
            Recorded::Duplicate => {
                let stored = self.store.resources.get(row.address()).await?;
                self.hand_on(&stored).await?;
                stored.read()
            }
        }
    }

    /// Changes a resource and keeps what follows. `change` is asked again when somebody else was faster; `None` leaves it as it is.
    ///
    /// # Errors
    /// What `change` says; when it is missing or could not be kept.
    pub async fn change<T: Eventful, E: From<StoreError>>(
        &self,
        (account_id, id): (AccountId, ResourceKey),
        mut change: impl FnMut(&T) -> Result<Option<T>, E> + Send,
    ) -> Result<T, E> {
        for _ in 0..TRIES_MAX {
            let address = ResourceAddress::of::<T>(account_id, id);
            let stored = self.store.resources.get(address).await?;
            // What was left behind goes first: the write below takes its place.
            let stored = self.hand_on(&stored).await?;
            let before: T = stored.read()?;
            let Some(mut after) = change(&before)? else {
                return Ok(before);
            };
            let now = clock::now();
            after.touch(before.revision().saturating_add(1), now);
            let facts = fact_of(&after, Some(&before), now);
            let row = stored.next(&after)?.with_facts(facts.into_iter().collect());
            match self.store.resources.replace(row.clone()).await {
                Ok(()) => {
                    self.hand_on(&row).await?;
                    return Ok(after);
                }
                Err(StoreError::Moved { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Busy.into())
    }

    /// Removes a resource, after the facts that it still carries were handed on.
    ///
    /// # Errors
    /// When it is missing, or its facts could not be handed on: it stays then.
    pub async fn remove(&self, address: ResourceAddress) -> StoreResult<()> {
        for _ in 0..TRIES_MAX {
            let Some(open) = self.store.resources.delete_done(address).await? else {
                return Ok(());
            };
            self.hand_on(&open).await?;
        }
        Err(StoreError::Busy)
    }

    /// Hands on the facts that a row still carries. Returns the row as it stands then.
    async fn hand_on(&self, row: &ResourceRow) -> StoreResult<ResourceRow> {
        if row.facts.is_empty() {
            return Ok(row.clone());
        }
        for fact in &row.facts {
            self.leads.observe(fact.clone()).await?;
        }
        let settled = row.settled();
        match self.store.resources.replace(settled.clone()).await {
            Ok(()) => Ok(settled),
            // Somebody else has handed them on.
            Err(StoreError::Moved { .. }) => self.store.resources.get(row.address()).await,
            Err(error) => Err(error),
        }
    }

    /// Hands on every fact that was left behind in a row that this node acts for. Returns how many rows had some.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn recover(&self) -> StoreResult<usize> {
        let mut found = 0;
        for kind in EVENTFUL {
            let mut rows = self.store.resources.open(kind, LOOK_ROWS).await?;
            rows.retain(|row| self.leads.acts_for(row.shard()));
            for row in rows {
                found += 1;
                match self.hand_on(&row).await {
                    Ok(_) | Err(StoreError::Missing { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(found)
    }
}

/// What follows from a resource being as it is after it was `before`.
fn fact_of<T: Eventful>(after: &T, before: Option<&T>, at: Timestamp) -> Option<Observation> {
    let kind = after.event(before)?;
    let (id, revision) = (after.key(), after.revision().to_be_bytes());
    Some(Observation {
        id: ObservationId::derived(at, &[b"resource", &[T::KIND.number()], &id, &revision]),
        account_id: after.account_id(),
        kind,
        at,
        lead_id: after.lead_id(),
        call_id: None,
        caused_by: None,
        trace: traces::current(),
        data: after.data(),
    })
}
