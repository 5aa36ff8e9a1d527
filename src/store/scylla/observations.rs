//! Observations in CQL: a fact is kept once, marked until its runs exist, and found by its lead, its kind or its id.
//!
//! A fact's mark and entries are written before the fact itself, so that none that was kept is out of sight. Whether it was kept before is
//! read, not decided by a lightweight transaction: two nodes that are told the same fact at once may both call it fresh, and the ids of the
//! runs it starts derive from it, so that each is made once all the same. That a fact is routed is only ever set: a late keeper takes nothing back.
//!
//! A fact that follows from a change of a lead is announced before the change: its mark is set, and its row names the note that the change
//! writes into the lead's partition, and no account yet. Whoever meets the mark keeps the fact if the note is there: the change was made.

mod announced;

use std::sync::{Arc, atomic::Ordering};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, future::join_all, stream};

use super::{
    buckets::{Scope, hour_of, month_of},
    errors::missing,
    marks::{Mark, MarkKind, Recent},
    runs::{Runs, shards},
    session::{Db, Statement},
    values::{body, from_body, millis, moment, present},
};
use crate::{
    domain::{
        ids::{AccountId, LeadId, ObservationId},
        observation::{EventType, Observation},
        shard::Shard,
        time::Timestamp,
    },
    store::{
        ObservationStore, Page, PageRequest, Recorded, RunStore, StoreError, StoreResult,
        cursor::{List, Position, Window},
        runs::RunAppend,
    },
};

const KEEP: Statement = Statement::write(
    "INSERT INTO observations (id, account, lead, at, hour, body) VALUES (?, ?, ?, ?, ?, ?)",
);
const KEEP_OWN: Statement =
    Statement::write("INSERT INTO observations (id, account, at, hour, body) VALUES (?, ?, ?, ?, ?)");
const PLACE: Statement =
    Statement::read("SELECT account, lead, at, hour, routed FROM observations WHERE id = ?");
const BODY: Statement = Statement::read("SELECT account, body FROM observations WHERE id = ?");
const ROUTED: Statement = Statement::write("UPDATE observations SET routed = true WHERE id = ?");

const REPLACE: Statement = Statement::write("UPDATE observations SET body = ? WHERE id = ?");
const REPLACE_OF_LEAD: Statement =
    Statement::write("UPDATE timelines SET body = ? WHERE lead = ? AND at = ? AND id = ?");

const ENTER: Statement =
    Statement::write("INSERT INTO timelines (lead, at, id, account, body) VALUES (?, ?, ?, ?, ?)");
const ROUTED_OF_LEAD: Statement =
    Statement::write("UPDATE timelines SET routed = true WHERE lead = ? AND at = ? AND id = ?");
const NEWEST_OF_LEAD: Statement =
    Statement::read("SELECT id, account, routed FROM timelines WHERE lead = ? LIMIT 1000");
const SINCE: Statement = Statement::read(
    "SELECT account, body FROM timelines WHERE lead = ? AND at >= ? ORDER BY at ASC, id ASC LIMIT 1000",
);
const BEFORE: Statement = Statement::read(
    "SELECT at, id, account, body FROM timelines WHERE lead = ? AND (at, id) < (?, ?) LIMIT ?",
);

const ENTER_OWN: Statement =
    Statement::write("INSERT INTO own_facts (account, hour, at, id) VALUES (?, ?, ?, ?)");
const ROUTED_OWN: Statement = Statement::write(
    "UPDATE own_facts SET routed = true WHERE account = ? AND hour = ? AND at = ? AND id = ?",
);
const OWN: Statement = Statement::read("SELECT id, routed FROM own_facts WHERE account = ? AND hour = ?");
const DROP_OWN: Statement = Statement::write("DELETE FROM own_facts WHERE account = ? AND hour = ?");

const ENTER_KIND: Statement =
    Statement::write("INSERT INTO facts_by_kind (account, kind, month, at, id) VALUES (?, ?, ?, ?, ?)");
const NEWEST_OF_KIND: Statement =
    Statement::read("SELECT id FROM facts_by_kind WHERE account = ? AND kind = ? AND month = ? LIMIT ?");

/// Most facts that a look back is given.
const LOOK_BACK_MAX: usize = 1_000;
const READS_AT_ONCE: usize = 16;
/// Facts on their way whose place this process remembers, twice over.
const PLACES_MAX: usize = 50_000;
/// Hours of an account's own facts that are left alone even when every fact in them is routed: somebody may still add to them.
const OWN_HOURS_KEPT: i64 = 2;

/// Where a fact's entries are.
#[derive(Debug, Clone, Copy)]
struct Place {
    account: AccountId,
    lead: Option<LeadId>,
    at: Timestamp,
    /// Of its mark.
    hour: i64,
    routed: bool,
    /// Whether it stands, or may stand, among its account's own facts.
    in_mailbox: bool,
}

/// Whether a fact about nobody waits in its account's mailbox, or goes straight to its runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Mailbox,
    Straight,
}

/// The facts of a cluster, as one node sees them.
pub(super) struct Observations {
    db: Arc<Db>,
    runs: Arc<Runs>,
    places: Recent<ObservationId, Place>,
}

impl Observations {
    pub(super) fn new(db: Arc<Db>, runs: Arc<Runs>) -> Self {
        Self {
            db,
            runs,
            places: Recent::new(PLACES_MAX),
        }
    }

    async fn place(&self, id: ObservationId) -> StoreResult<Option<Place>> {
        type Columns = (
            Option<AccountId>,
            Option<LeadId>,
            Option<Timestamp>,
            Option<i64>,
            Option<bool>,
        );
        let row: Option<Columns> = self.db.first(PLACE, (id,)).await?;
        // One that is announced has no account: it is not kept yet.
        let Some((Some(account), lead, at, hour, routed)) = row else {
            return Ok(None);
        };
        Ok(Some(Place {
            account,
            lead,
            at: present(at, "a fact's time")?,
            hour: present(hour, "a fact's hour")?,
            routed: routed == Some(true),
            in_mailbox: lead.is_none(),
        }))
    }

    /// Keeps a fact that is not there yet: what it is found by first.
    pub(super) async fn keep(&self, observation: &Observation, way: Way) -> StoreResult<()> {
        let (id, account, at) = (observation.id, observation.account_id, observation.at);
        let text = body(observation)?;
        let place = Place {
            account,
            lead: observation.lead_id,
            at,
            hour: self.hour_for(at),
            routed: false,
            in_mailbox: observation.lead_id.is_none() && way == Way::Mailbox,
        };
        tokio::try_join!(
            self.db.mark(mark_of(observation.shard(), id, place.hour)),
            self.enter_kind(observation),
            async {
                match observation.lead_id {
                    Some(lead) => self.db.write(ENTER, (lead, at, id, account, &text)).await,
                    None if place.in_mailbox => self.enter_own(id, &place).await,
                    None => Ok(()),
                }
            },
        )?;
        match observation.lead_id {
            Some(lead) => {
                self.db
                    .write(KEEP, (id, account, lead, at, place.hour, &text))
                    .await?
            }
            None => {
                self.db
                    .write(KEEP_OWN, (id, account, at, place.hour, &text))
                    .await?
            }
        }
        self.places.put(id, place);
        Ok(())
    }

    /// The hour of a fact's mark. A fact of long ago lies in an hour that is not over.
    fn hour_for(&self, at: Timestamp) -> i64 {
        let latest = u64::try_from(self.db.latest.load(Ordering::Relaxed)).unwrap_or_default();
        hour_of(at.max(Timestamp::from_unix_millis(latest)))
    }

    async fn enter_kind(&self, observation: &Observation) -> StoreResult<()> {
        let (account, kind) = (observation.account_id, &observation.kind);
        let month = month_of(observation.at);
        self.db.note(Scope::FactsOfKind(account, kind), month).await?;
        self.db
            .write(
                ENTER_KIND,
                (account, kind.as_str(), month, observation.at, observation.id),
            )
            .await
    }

    async fn enter_own(&self, id: ObservationId, place: &Place) -> StoreResult<()> {
        self.db.note(Scope::OwnFacts(place.account), place.hour).await?;
        self.db
            .write(ENTER_OWN, (place.account, place.hour, place.at, id))
            .await
    }

    /// A fact that was kept before, told again. One that is still on its way is taken up by its mailbox.
    async fn meet_again(&self, id: ObservationId, place: &Place) -> StoreResult<Recorded> {
        if !place.routed && place.lead.is_none() {
            self.enter_own(id, place).await?;
        }
        Ok(Recorded::Duplicate)
    }

    /// An account's own facts on their way. Hours that are wholly routed and over are dropped on the way.
    async fn own_on_their_way(&self, account: AccountId) -> StoreResult<Vec<ObservationId>> {
        let hours = self.db.buckets(Scope::OwnFacts(account)).await?;
        let newest = hours.last().copied().unwrap_or_default();
        let (mut open, mut dropped) = (Vec::new(), None);
        for hour in hours {
            let rows: Vec<(ObservationId, Option<bool>)> = self.db.rows(OWN, (account, hour)).await?;
            let waiting = rows.into_iter().filter(|(_, routed)| *routed != Some(true));
            let waiting: Vec<ObservationId> = waiting.map(|(id, _)| id).collect();
            let is_over = open.is_empty() && hour < newest - OWN_HOURS_KEPT;
            // One that recovery met on the straight way is routed without word of it here.
            if is_over && self.on_their_way(waiting.clone()).await?.is_empty() {
                self.db.write(DROP_OWN, (account, hour)).await?;
                dropped = Some(hour);
            } else {
                open.extend(waiting);
            }
        }
        if let Some(hour) = dropped {
            self.db.forget_until(Scope::OwnFacts(account), hour).await?;
        }
        Ok(open)
    }
}

fn mark_of(shard: Shard, id: ObservationId, hour: i64) -> Mark {
    Mark {
        kind: MarkKind::FactOnItsWay,
        shard,
        hour,
        id: *id.as_bytes(),
        turn: None,
    }
}

#[async_trait]
impl ObservationStore for Observations {
    async fn record(&self, observation: Observation) -> StoreResult<Recorded> {
        match self.place(observation.id).await? {
            Some(place) => self.meet_again(observation.id, &place).await,
            None => {
                self.keep(&observation, Way::Mailbox).await?;
                Ok(Recorded::Fresh)
            }
        }
    }

    /// Not one write here: the fact is kept as unrouted, its runs are created, it is marked as routed. A crash in between leaves it to
    /// recovery. Fresh only when every run was made by this call: whoever is told so acts for them.
    async fn record_routed(&self, observation: Observation, runs: Vec<RunAppend>) -> StoreResult<Recorded> {
        let id = observation.id;
        if let Some(place) = self.place(id).await? {
            return self.meet_again(id, &place).await;
        }
        self.keep(&observation, Way::Straight).await?;
        let made = join_all(runs.into_iter().map(|append| self.runs.create(append))).await;
        let made = match made.into_iter().collect::<StoreResult<Vec<_>>>() {
            Ok(made) => made,
            // The fact is kept and on its way: the shard's new owner finds it and makes the runs.
            Err(StoreError::Fenced { .. }) => return Ok(Recorded::Duplicate),
            Err(error) => return Err(error),
        };
        if let Err(error) = self.mark_routed(id).await {
            tracing::warn!(observation = %id, %error, "a fact's runs exist, and it is not marked as routed");
        }
        let all_fresh = made.iter().all(|recorded| *recorded == Recorded::Fresh);
        Ok(if all_fresh {
            Recorded::Fresh
        } else {
            Recorded::Duplicate
        })
    }

    async fn mark_routed(&self, id: ObservationId) -> StoreResult<()> {
        let place = match self.places.take(&id) {
            Some(place) => place,
            None => match self.place(id).await? {
                Some(place) if !place.routed => place,
                Some(_) | None => return Ok(()),
            },
        };
        let shard = place.lead.map_or_else(|| id.shard(), |lead| lead.shard());
        tokio::try_join!(
            self.db.write(ROUTED, (id,)),
            self.db.mark_done(mark_of(shard, id, place.hour)),
            async {
                match place.lead {
                    Some(lead) => self.db.write(ROUTED_OF_LEAD, (lead, place.at, id)).await,
                    None if place.in_mailbox => {
                        let own = (place.account, place.hour, place.at, id);
                        self.db.write(ROUTED_OWN, own).await
                    }
                    None => Ok(()),
                }
            },
        )?;
        Ok(())
    }

    async fn erase(&self, account_id: AccountId, id: ObservationId) -> StoreResult<()> {
        let erased = body(&self.get(account_id, id).await?.erased())?;
        self.mark_routed(id).await?;
        let place = self.place(id).await?.ok_or_else(|| missing("observation", id))?;
        self.db.write(REPLACE, (&erased, id)).await?;
        match place.lead {
            Some(lead) => {
                self.db
                    .write(REPLACE_OF_LEAD, (&erased, lead, place.at, id))
                    .await
            }
            None => Ok(()),
        }
    }

    async fn unrouted(&self, shard: Option<Shard>) -> StoreResult<Vec<Observation>> {
        let marks: Vec<Vec<Mark>> = stream::iter(shards(shard))
            .map(|shard| self.db.open_marks(MarkKind::FactOnItsWay, shard))
            .buffer_unordered(READS_AT_ONCE)
            .try_collect()
            .await?;
        let ids = marks
            .into_iter()
            .flatten()
            .map(|mark| ObservationId::from_bytes(mark.id))
            .collect();
        let facts = self.on_their_way(ids).await?;
        for fact in facts.iter().filter(|fact| fact.lead_id.is_none()) {
            // It may have been on the straight way, which ended: its account's mailbox has to find it.
            if let Some(place) = self.place(fact.id).await? {
                self.enter_own(fact.id, &place).await?;
            }
        }
        Ok(facts)
    }

    async fn sweep(&self, shard: Option<Shard>, now: Timestamp) -> StoreResult<()> {
        let kind = MarkKind::FactOnItsWay;
        for shard in shards(shard) {
            for hour in self.db.closed_hours(kind, shard, now).await? {
                let open = self.db.open_marks_of(kind, shard, hour).await?;
                let ids = open
                    .iter()
                    .map(|mark| ObservationId::from_bytes(mark.id))
                    .collect();
                if !self.on_their_way(ids).await?.is_empty() {
                    break;
                }
                self.db.drop_hour(kind, shard, hour).await?;
            }
        }
        Ok(())
    }

    async fn unrouted_of(
        &self,
        account_id: AccountId,
        lead_id: Option<LeadId>,
    ) -> StoreResult<Vec<Observation>> {
        let ids = match lead_id {
            Some(lead) => {
                type Entry = (ObservationId, Option<AccountId>, Option<bool>);
                let newest: Vec<Entry> = self.db.rows(NEWEST_OF_LEAD, (lead,)).await?;
                newest
                    .into_iter()
                    .filter(|(_, account, routed)| *account == Some(account_id) && *routed != Some(true))
                    .map(|(id, _, _)| id)
                    .collect()
            }
            None => self.own_on_their_way(account_id).await?,
        };
        let mut facts = self.on_their_way(ids).await?;
        facts.truncate(LOOK_BACK_MAX);
        Ok(facts)
    }

    async fn get(&self, account_id: AccountId, id: ObservationId) -> StoreResult<Observation> {
        let row: Option<(Option<AccountId>, Option<String>)> = self.db.first(BODY, (id,)).await?;
        match row {
            Some((Some(account), Some(text))) if account == account_id => from_body(&text),
            Some(_) | None => Err(missing("observation", id)),
        }
    }

    async fn of_lead_since(
        &self,
        account_id: AccountId,
        lead_id: LeadId,
        from: Timestamp,
    ) -> StoreResult<Vec<Observation>> {
        let rows: Vec<(Option<AccountId>, Option<String>)> = self.db.rows(SINCE, (lead_id, from)).await?;
        rows.into_iter()
            .filter(|(account, _)| *account == Some(account_id))
            .map(|(_, text)| from_body(&present(text, "a fact's body")?))
            .collect()
    }

    async fn newest_of(
        &self,
        account_id: AccountId,
        kind: EventType,
        limit: u32,
    ) -> StoreResult<Vec<Observation>> {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut facts: Vec<Observation> = Vec::new();
        let months = self.db.buckets(Scope::FactsOfKind(account_id, &kind)).await?;
        for month in months.into_iter().rev() {
            let left = i32::try_from(wanted - facts.len()).unwrap_or(i32::MAX);
            let entries: Vec<(ObservationId,)> = self
                .db
                .rows(NEWEST_OF_KIND, (account_id, kind.as_str(), month, left))
                .await?;
            let (mut bodies, _) = self.bodies(entries.iter().map(|(id,)| *id).collect()).await?;
            // In the order of the entries; one without a fact was left by a try that failed.
            facts.extend(
                entries
                    .iter()
                    .filter_map(|(id,)| bodies.remove(id).map(|(_, fact)| fact)),
            );
            if facts.len() >= wanted {
                break;
            }
        }
        Ok(facts)
    }

    async fn timeline(
        &self,
        account_id: AccountId,
        lead_id: LeadId,
        page: PageRequest,
    ) -> StoreResult<Page<Observation>> {
        type Entry = (Timestamp, ObservationId, Option<AccountId>, Option<String>);
        let window = Window::of(List::Timeline, &page)?;
        let limit = i32::try_from(window.fetch).unwrap_or(i32::MAX);
        let rows: Vec<Entry> = self
            .db
            .rows(BEFORE, (lead_id, moment(window.after.at), window.after.id, limit))
            .await?;
        let rows = rows
            .into_iter()
            .filter(|(_, _, account, _)| *account == Some(account_id))
            .map(|(at, id, _, text)| {
                let position = Position {
                    at: millis(at),
                    id: *id.as_bytes(),
                };
                Ok((position, from_body(&present(text, "a fact's body")?)?))
            })
            .collect::<StoreResult<Vec<_>>>()?;
        Ok::<_, StoreError>(window.page(rows))
    }
}
