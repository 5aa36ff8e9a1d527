//! Edits of leads in CQL: the change and its key in one conditional write of the lead's partition.
//!
//! The facts that follow live elsewhere. They are noted beside the key and recorded after it. A repeat of the edit records them again, which
//! changes nothing: an effect is repeated until it is settled, and an import takes its rows over again. Whoever edits by hand need not come
//! back: such facts are announced before the change, and whoever looks for facts on their way records those whose change was made.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{
    fields::{Int, Values, values},
    revised::{Change, Made, Revised, TRIES_MAX},
    rows::Scylla,
    values::body,
};
use crate::{
    domain::{
        email::folded,
        ids::{AccountId, LeadId, UserId},
        lead::{AssignRule, Assignee, EditBy, EditRefusal, KeyedEdit, Lead, LeadEdit, LeadEdited},
        observation::Observation,
    },
    store::{AccountStore, ObservationStore, StoreError, StoreResult, accounts::Role},
};

/// Longer than any effect is repeated.
pub(super) const NOTED_FOR: Int = Int(180 * 24 * 3_600);
const NOTED: &str = "SELECT result, facts FROM leads WHERE account = ? AND id = ? AND key = ?";
pub(super) const NOTE: &str =
    "INSERT INTO leads (account, id, key, result, facts) VALUES (?, ?, ?, ?, ?) USING TTL ?";
pub(super) const TURNS: Revised = Revised {
    read: "SELECT revision, body FROM assignment_turns WHERE account = ? AND pool = ?",
    write: "UPDATE assignment_turns SET revision = ?, body = ? WHERE account = ? AND pool = ? IF revision = ?",
};

/// What became of an edit: its result and the facts that are to be recorded, or why it cannot be made.
pub(super) type Edited = Result<(LeadEdited, Vec<Observation>), EditRefusal>;

impl Scylla {
    /// Makes the edit unless its key is noted already, and records what follows.
    pub(super) async fn apply_edit(&self, edit: &KeyedEdit) -> StoreResult<Result<LeadEdited, EditRefusal>> {
        Ok(match self.make_edit(edit).await? {
            Ok((result, facts)) => {
                self.record_edit(edit, facts).await?;
                Ok(result)
            }
            Err(refusal) => Err(refusal),
        })
    }

    /// Makes the edit unless its key is noted already. The facts are noted, and not recorded yet.
    pub(super) async fn make_edit(&self, edit: &KeyedEdit) -> StoreResult<Edited> {
        // Whose turn it is moves on once, however often the lead was written in between.
        let mut chosen = None;
        for _ in 0..TRIES_MAX {
            let (revision, before) = match self.lead_at(edit.account_id, edit.lead_id).await {
                Ok(found) => found,
                Err(StoreError::Missing { .. }) => return Ok(Err(EditRefusal::LeadGone(edit.lead_id))),
                Err(error) => return Err(error),
            };
            if edit.comes_again() {
                for lead in BTreeSet::from([edit.lead_id, before.id]) {
                    if let Some(noted) = self.noted(edit.account_id, lead, &edit.key).await? {
                        return Ok(Ok(noted));
                    }
                }
            }
            if let Err(refusal) = edit.check(&before) {
                return Ok(Err(refusal));
            }
            let after = match self.edited(edit, &before, &mut chosen).await? {
                Ok(after) => after,
                Err(refusal) => return Ok(Err(refusal)),
            };
            match self.write_edit(edit, revision, &before, after).await {
                Ok(Some(made)) => return Ok(Ok(made)),
                Ok(None) => (),
                Err(StoreError::Taken { .. }) => return Ok(Err(EditRefusal::PhoneTaken)),
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Busy)
    }

    /// Writes what an edit came to. `None` when somebody else was faster.
    async fn write_edit(
        &self,
        edit: &KeyedEdit,
        revision: u64,
        before: &Lead,
        after: Lead,
    ) -> StoreResult<Option<(LeadEdited, Vec<Observation>)>> {
        let facts = edit.facts(before, &after);
        let result = edit.result(before, &after);
        if facts.is_empty() && !matches!(edit.by, EditBy::Run(_)) {
            return Ok(Some((result, facts)));
        }
        let written = Lead {
            updated_at: if facts.is_empty() {
                before.updated_at
            } else {
                edit.at
            },
            ..after
        };
        let note = values![
            edit.account_id,
            // Of the partition that is written: the lead may have been merged into another.
            before.id,
            edit.key,
            body(&result)?,
            body(&facts)?,
            NOTED_FOR
        ];
        if !edit.comes_again() {
            self.observations.announce(before.id, &edit.key, &facts).await?;
        }
        let is_made = self
            .replace_lead(revision, before, &written, vec![(NOTE, note)])
            .await?;
        Ok(is_made.then_some((result, facts)))
    }

    async fn record_edit(&self, edit: &KeyedEdit, facts: Vec<Observation>) -> StoreResult<()> {
        if edit.is_told() {
            return self.record_all(facts).await;
        }
        for fact in facts {
            self.observations.record_routed(fact, Vec::new()).await?;
        }
        Ok(())
    }

    /// What the edit did when it was made, with the facts that followed.
    pub(super) async fn noted<T: DeserializeOwned>(
        &self,
        account: AccountId,
        lead: LeadId,
        key: &str,
    ) -> StoreResult<Option<(T, Vec<Observation>)>> {
        match self.select_one(NOTED, values![account, lead, key]).await? {
            Some(mut row) => Ok(Some((row.take_json(0)?, row.take_json(1)?))),
            None => Ok(None),
        }
    }

    pub(super) async fn record_all(&self, facts: Vec<Observation>) -> StoreResult<()> {
        for fact in facts {
            self.observations.record(fact).await?;
        }
        Ok(())
    }

    async fn edited(
        &self,
        edit: &KeyedEdit,
        before: &Lead,
        chosen: &mut Option<UserId>,
    ) -> StoreResult<Result<Lead, EditRefusal>> {
        match &edit.edit {
            LeadEdit::Update(update) => Ok(before.updated(update)),
            LeadEdit::Change(change) => Ok(before.changed(change).map_err(EditRefusal::Fields)),
            LeadEdit::Row(row) => Ok(row.over(before).map_err(EditRefusal::Cell)),
            LeadEdit::Score(change) => Ok(Ok(before.scored(*change))),
            LeadEdit::Assign { unless_assigned, .. } if *unless_assigned && before.assigned_to.is_some() => {
                Ok(Ok(before.clone()))
            }
            LeadEdit::Assign { to, .. } => {
                let user = match *chosen {
                    Some(user) => user,
                    None => match self.assignee(edit.account_id, to).await? {
                        Ok(user) => user,
                        Err(refusal) => return Ok(Err(refusal)),
                    },
                };
                *chosen = Some(user);
                Ok(Ok(Lead {
                    assigned_to: Some(user),
                    ..before.clone()
                }))
            }
        }
    }

    async fn assignee(
        &self,
        account: AccountId,
        wanted: &Assignee,
    ) -> StoreResult<Result<UserId, EditRefusal>> {
        let users = self.users(account).await?;
        let named = |name: &String| {
            let email = folded(name);
            users
                .iter()
                .find(|user| user.email == email || user.id.to_string() == *name)
                .map(|user| user.id)
                .ok_or_else(|| EditRefusal::UnknownUser(name.clone()))
        };
        let pool: Result<Vec<UserId>, EditRefusal> = match wanted {
            Assignee::One(name) => return Ok(named(name)),
            Assignee::ByRule { among, .. } if among.is_empty() => {
                let agents = users.iter().filter(|user| user.role == Role::Agent);
                Ok(agents.map(|user| user.id).collect())
            }
            Assignee::ByRule { among, .. } => among.iter().map(named).collect(),
        };
        match (wanted, pool) {
            (Assignee::ByRule { rule, .. }, Ok(pool)) => self.one_of(account, *rule, pool).await,
            (_, Ok(_)) => Ok(Err(EditRefusal::NoAgents)),
            (_, Err(refusal)) => Ok(Err(refusal)),
        }
    }

    async fn one_of(
        &self,
        account: AccountId,
        rule: AssignRule,
        mut pool: Vec<UserId>,
    ) -> StoreResult<Result<UserId, EditRefusal>> {
        // Ids sort by time: the order in which people came.
        pool.sort_unstable();
        pool.dedup();
        let Some(first) = pool.first().copied() else {
            return Ok(Err(EditRefusal::NoAgents));
        };
        match rule {
            AssignRule::RoundRobin => self.next_turn(account, &pool, first).await.map(Ok),
            AssignRule::LeastBusy => {
                let mut least: Option<(u64, UserId)> = None;
                for user in pool {
                    let count = self.leads_of(account, user).await?;
                    if least.is_none_or(|(fewest, _)| count < fewest) {
                        least = Some((count, user));
                    }
                }
                Ok(Ok(least.map_or(first, |(_, user)| user)))
            }
        }
    }

    /// Moves the turn of a pool on to the next of it, and returns whose it is then.
    async fn next_turn(&self, account: AccountId, pool: &[UserId], first: UserId) -> StoreResult<UserId> {
        let key = turn_key(account, pool);
        for _ in 0..TRIES_MAX {
            let moved = self
                .revise(&TURNS, &key, |last: UserId| {
                    let next = pool.iter().copied().find(|user| *user > last).unwrap_or(first);
                    Ok(Change::Write(next, next))
                })
                .await?;
            if let Some(next) = moved {
                return Ok(next);
            }
            if self.make(&TURNS, &key, &first).await? == Made::Fresh {
                return Ok(first);
            }
        }
        Err(StoreError::Busy)
    }
}

/// Whose turn it is lies under the members of the pool, sorted by id.
pub(super) fn turn_key(account: AccountId, pool: &[UserId]) -> Values {
    let members: Vec<u8> = pool.iter().flat_map(|user| *user.as_bytes()).collect();
    let name: [u8; 32] = Sha256::digest(members).into();
    values![account, name]
}
