//! Calls in CQL: one partition a call holds the record and the facts it is folded from; what was said is another.
//!
//! A fact takes its place on condition that nobody has added one since the facts were read, so a fact that is among them is a
//! repeat for certain. Which calls are not settled is in `calls_open`.

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    buckets::hour_of,
    errors::missing,
    fields::{Row, values},
    positions::place,
    revised::TRIES_MAX,
    rows::{Conditional, Scylla},
    values::body,
};
use crate::{
    domain::{
        call::Call,
        erasure::Redaction,
        ids::{AccountId, CallId, CallSid},
        shard::Shard,
        transcript::Utterance,
    },
    store::{
        CallStore, Page, PageRequest, Recorded, StoreError, StoreResult,
        calls::{IncomingFact, StoredFact},
        cursor::{List, Position, Window},
    },
};

/// Shards that a recovery of all reads at once.
const SHARDS_AT_ONCE: usize = 8;

const STATE: &str = "SELECT account, sid, facts, folded, terminal, open_hour FROM calls WHERE id = ? LIMIT 1";
const KEYS: &str =
    "SELECT account, sid, facts, folded, terminal, open_hour, dedupe_key FROM calls WHERE id = ?";
const BODY: &str = "SELECT account, body FROM calls WHERE id = ? LIMIT 1";
const SAVED: &str = "SELECT folded, body FROM calls WHERE id = ? LIMIT 1";
const FACTS: &str = "SELECT ordinal, at, fact FROM calls WHERE id = ?";
const COUNT_ON: &str =
    "UPDATE calls SET account = ?, sid = ?, facts = ?, folded = ?, terminal = ?, open_hour = ?
    WHERE id = ? IF facts = ? AND folded = ? AND terminal = ?";
const ADD: &str = "INSERT INTO calls (id, ordinal, dedupe_key, at, fact) VALUES (?, ?, ?, ?, ?)";
const SAVE: &str =
    "UPDATE calls SET folded = ?, terminal = ?, body = ? WHERE id = ? IF account = ? AND folded <= ?";
const SAVE_UNHEARD: &str =
    "UPDATE calls SET account = ?, sid = ?, facts = ?, folded = ?, terminal = ?, open_hour = ?, body = ?
    WHERE id = ? IF account = ?";
const SID: &str = "INSERT INTO call_sids (account, sid, call) VALUES (?, ?, ?)";
const BY_SID: &str = "SELECT call FROM call_sids WHERE account = ? AND sid = ?";
const SAY: &str = "INSERT INTO utterances (call, ordinal, body) VALUES (?, ?, ?) IF NOT EXISTS";
const SAID: &str = "SELECT body FROM utterances WHERE call = ? AND ordinal = ?";
const REWRITE: &str = "UPDATE calls SET body = ? WHERE id = ? IF facts = ? AND folded = ?";
const REWRITE_FACT: &str = "INSERT INTO calls (id, ordinal, fact) VALUES (?, ?, ?)";
const UNSAY: &str = "DELETE FROM utterances WHERE call = ?";
const TRANSCRIPT: &str = "SELECT body FROM utterances WHERE call = ?";

/// What is known of a call beside its record.
#[derive(Debug, Clone)]
pub(super) struct CallState {
    account: AccountId,
    sid: CallSid,
    pub(super) facts: u64,
    folded: u64,
    terminal: bool,
    /// Where it is noted as open.
    open_hour: i64,
}

impl CallState {
    /// Whether nothing is left to fold and nothing more can happen.
    pub(super) const fn is_settled(&self) -> bool {
        self.terminal && self.folded >= self.facts
    }
}

#[async_trait]
impl CallStore for Scylla {
    async fn record_fact(&self, fact: IncomingFact) -> StoreResult<Recorded> {
        for _ in 0..TRIES_MAX {
            let (state, keys) = keys_of(self.select(KEYS, values![fact.call_id]).await?)?;
            if state
                .as_ref()
                .is_some_and(|state| state.account != fact.account_id)
            {
                return Err(missing("call", fact.call_id));
            }
            if keys.contains(&fact.dedupe_key) {
                return Ok(Recorded::Duplicate);
            }
            if self.add_fact(&fact, state).await? {
                return Ok(Recorded::Fresh);
            }
        }
        Err(StoreError::Busy)
    }

    async fn facts(&self, call_id: CallId) -> StoreResult<Vec<StoredFact>> {
        let mut facts = Vec::new();
        for mut row in self.select(FACTS, values![call_id]).await? {
            // A call that was saved without a fact still answers with one row, of nulls.
            if let Some(ordinal) = row.take_if_any(0)? {
                facts.push(StoredFact {
                    ordinal,
                    at: row.take(1)?,
                    fact: row.take_json(2)?,
                });
            }
        }
        Ok(facts)
    }

    async fn save(&self, call: Call, folded: u64) -> StoreResult<()> {
        let position = place(call.started_at, call.id.as_bytes());
        self.put_position(call.account_id, List::Calls, position).await?;
        let text = body(&call)?;
        let is_terminal = call.status.is_terminal();
        let saved = values![folded, is_terminal, text, call.id, call.account_id, folded];
        match self.conditional(vec![(SAVE, saved)]).await? {
            Conditional::Applied => (),
            Conditional::Refused => {
                // Of fewer facts, another account's, or never heard of.
                if self.call_state(call.id).await?.is_some() {
                    return Ok(());
                }
                self.save_unheard(&call, folded, &text).await?;
            }
            Conditional::Unknown(error) => {
                if !self.is_saved(call.id, folded, &text).await? {
                    return Err(error);
                }
            }
        }
        if is_terminal
            && let Some(state) = self.call_state(call.id).await?
            && state.is_settled()
        {
            self.note_settled(call.id, state.open_hour, state.folded).await?;
        }
        Ok(())
    }

    async fn get(&self, account_id: AccountId, id: CallId) -> StoreResult<Call> {
        self.call(account_id, id)
            .await?
            .ok_or_else(|| missing("call", id))
    }

    async fn sid(&self, account_id: AccountId, id: CallId) -> StoreResult<Option<CallSid>> {
        let state = self.call_state(id).await?;
        Ok(state
            .filter(|state| state.account == account_id)
            .map(|state| state.sid))
    }

    async fn by_sid(&self, account_id: AccountId, sid: &CallSid) -> StoreResult<Option<Call>> {
        match self.select_one(BY_SID, values![account_id, sid.as_str()]).await? {
            Some(mut row) => self.call(account_id, row.take(0)?).await,
            None => Ok(None),
        }
    }

    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<Call>> {
        let window = Window::of(List::Calls, &page)?;
        self.page_of(
            account_id,
            List::Calls,
            &window,
            |position: Position| async move {
                let call = self.call(account_id, CallId::from_bytes(position.id)).await?;
                // A call that turned out to have begun earlier has another place too.
                Ok(call.filter(|call| place(call.started_at, call.id.as_bytes()) == position))
            },
        )
        .await
    }

    async fn unsettled(&self, shard: Option<Shard>) -> StoreResult<Vec<(AccountId, CallId, CallSid)>> {
        let shards: Vec<Shard> = match shard {
            Some(shard) => vec![shard],
            None => Shard::all().collect(),
        };
        let reads = shards.into_iter().map(|shard| self.open_calls(shard));
        let open: Vec<Vec<_>> = stream::iter(reads).buffered(SHARDS_AT_ONCE).try_collect().await?;
        let mut calls: Vec<_> = open
            .into_iter()
            .flatten()
            .map(|(id, state)| (state.account, id, state.sid))
            .collect();
        calls.sort_by_key(|(_, id, _)| *id);
        Ok(calls)
    }

    async fn append_utterance(&self, call_id: CallId, utterance: Utterance) -> StoreResult<Recorded> {
        let text = body(&utterance)?;
        let row = values![call_id, utterance.ordinal, text];
        match self.conditional(vec![(SAY, row)]).await? {
            Conditional::Applied => Ok(Recorded::Fresh),
            Conditional::Refused => Ok(Recorded::Duplicate),
            Conditional::Unknown(error) => {
                let key = values![call_id, utterance.ordinal];
                match self.select_serial(SAID, key).await? {
                    Some(mut row) => {
                        let is_ours = row.take::<String>(0)? == text;
                        Ok(if is_ours {
                            Recorded::Fresh
                        } else {
                            Recorded::Duplicate
                        })
                    }
                    None => Err(error),
                }
            }
        }
    }

    async fn redact(&self, account_id: AccountId, id: CallId, redaction: Redaction) -> StoreResult<bool> {
        for _ in 0..TRIES_MAX {
            let before = self.get(account_id, id).await?;
            let state = self.call_state(id).await?.ok_or_else(|| missing("call", id))?;
            let said = !self.select(TRANSCRIPT, values![id]).await?.is_empty();
            if said {
                self.write(UNSAY, values![id]).await?;
            }
            let after = before.clone().redacted(redaction);
            let mut changes = vec![(REWRITE, values![body(&after)?, id, state.facts, state.folded])];
            for stored in self.facts(id).await? {
                let fact = stored.fact.clone().redacted(redaction);
                if fact != stored.fact {
                    changes.push((REWRITE_FACT, values![id, stored.ordinal, body(&fact)?]));
                }
            }
            if after == before && changes.len() == 1 {
                return Ok(said);
            }
            // Of an outcome that is not known the next try sees what is left to do.
            if let Conditional::Applied = self.conditional(changes).await? {
                return Ok(true);
            }
        }
        Err(StoreError::Busy)
    }

    async fn transcript(&self, account_id: AccountId, id: CallId) -> StoreResult<Vec<Utterance>> {
        let state = self.call_state(id).await?;
        if state.is_none_or(|state| state.account != account_id) {
            return Err(missing("call", id));
        }
        let rows = self.select(TRANSCRIPT, values![id]).await?;
        rows.into_iter().map(|mut row| row.take_json(0)).collect()
    }
}

impl Scylla {
    /// What is known of a call beside its record; `None` when it was never heard of.
    pub(super) async fn call_state(&self, id: CallId) -> StoreResult<Option<CallState>> {
        let row = self.select_one(STATE, values![id]).await?;
        Ok(row.map(|mut row| state_of(&mut row)).transpose()?.flatten())
    }

    async fn call(&self, account: AccountId, id: CallId) -> StoreResult<Option<Call>> {
        let Some(mut row) = self.select_one(BODY, values![id]).await? else {
            return Ok(None);
        };
        let (holder, body): (Option<AccountId>, Option<String>) = (row.take_if_any(0)?, row.take_if_any(1)?);
        match body.filter(|_| holder == Some(account)) {
            Some(body) => Ok(Some(serde_json::from_str(&body)?)),
            None => Ok(None),
        }
    }

    /// Adds a fact to a call that is still as `state` says. False when it is not.
    async fn add_fact(&self, fact: &IncomingFact, state: Option<CallState>) -> StoreResult<bool> {
        let ordinal = state.as_ref().map_or(0, |state| state.facts);
        let facts = ordinal.saturating_add(1);
        let open_hour = match &state {
            Some(state) if !state.is_settled() => state.open_hour,
            Some(_) | None => {
                let hour = hour_of(fact.at);
                self.note_open(fact.call_id, hour, facts).await?;
                hour
            }
        };
        if state.is_none() {
            let sid = values![fact.account_id, fact.sid.as_str(), fact.call_id];
            self.write(SID, sid).await?;
        }
        let before = state.as_ref();
        let count = values![
            fact.account_id,
            fact.sid.as_str(),
            facts,
            before.map_or(0, |state| state.folded),
            before.is_some_and(|state| state.terminal),
            open_hour,
            fact.call_id,
            before.map(|state| state.facts),
            before.map(|state| state.folded),
            before.map(|state| state.terminal)
        ];
        let added = values![fact.call_id, ordinal, fact.dedupe_key, fact.at, body(&fact.fact)?];
        match self.conditional(vec![(COUNT_ON, count), (ADD, added)]).await? {
            Conditional::Applied => Ok(true),
            Conditional::Refused => Ok(false),
            Conditional::Unknown(error) => {
                let (_, keys) = keys_of(self.select_serially(KEYS, values![fact.call_id]).await?)?;
                if keys.contains(&fact.dedupe_key) {
                    Ok(true)
                } else {
                    Err(error)
                }
            }
        }
    }

    /// Saves a record of a call of which no fact is kept.
    async fn save_unheard(&self, call: &Call, folded: u64, text: &str) -> StoreResult<()> {
        let hour = hour_of(call.started_at);
        if !call.status.is_terminal() {
            self.note_open(call.id, hour, folded).await?;
        }
        let sid = values![call.account_id, call.sid.as_str(), call.id];
        self.write(SID, sid).await?;
        let nobody: Option<AccountId> = None;
        let row = values![
            call.account_id,
            call.sid.as_str(),
            folded,
            folded,
            call.status.is_terminal(),
            hour,
            text,
            call.id,
            nobody
        ];
        match self.conditional(vec![(SAVE_UNHEARD, row)]).await? {
            Conditional::Applied => Ok(()),
            // A fact came in between: its own record follows.
            Conditional::Refused => Err(StoreError::Busy),
            Conditional::Unknown(error) => {
                if self.is_saved(call.id, folded, text).await? {
                    Ok(())
                } else {
                    Err(error)
                }
            }
        }
    }

    async fn is_saved(&self, id: CallId, folded: u64, text: &str) -> StoreResult<bool> {
        let Some(mut row) = self.select_serial(SAVED, values![id]).await? else {
            return Ok(false);
        };
        let (kept, body): (Option<u64>, Option<String>) = (row.take_if_any(0)?, row.take_if_any(1)?);
        Ok(kept == Some(folded) && body.as_deref() == Some(text))
    }
}

fn state_of(row: &mut Row) -> StoreResult<Option<CallState>> {
    let Some(account) = row.take_if_any(0)? else {
        return Ok(None);
    };
    Ok(Some(CallState {
        account,
        sid: CallSid::new(row.take::<String>(1)?),
        facts: row.take(2)?,
        folded: row.take(3)?,
        terminal: row.take(4)?,
        open_hour: row.take(5)?,
    }))
}

/// What is known of a call, and the keys of its facts.
fn keys_of(rows: Vec<Row>) -> StoreResult<(Option<CallState>, Vec<String>)> {
    let (mut state, mut keys) = (None, Vec::new());
    for mut row in rows {
        state = state_of(&mut row)?;
        let key: Option<String> = row.take_if_any(6)?;
        keys.extend(key);
    }
    Ok((state, keys))
}
