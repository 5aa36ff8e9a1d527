//! Copies an embedded store into a cluster's, while nothing serves either.
//!
//! Every write may be repeated, so a copy that broke off is simply made again. Afterwards both stores are read row by row and
//! their digests compared (`copy/digest`). Sessions stay behind: people sign in again.

mod digest;

use std::{collections::BTreeMap, future::Future, path::Path};

use futures_util::{StreamExt, TryStreamExt, stream};

pub use digest::Digest;

use super::{
    PageRequest, Store, StoreError, StoreResult,
    calls::IncomingFact,
    contacts::ContactCaps,
    runs::{RunAppend, TimerRow},
    scylla::Importer,
    sqlite::Export,
};
use crate::domain::{
    ids::{AccountId, CallId, RunId, UserId},
    time::Timestamp,
};

/// Rows that are copied at once.
const ROWS_AT_ONCE: usize = 16;
/// Bytes of journal and effects that one append carries: servers refuse batches that are much larger.
const APPEND_BYTES_MAX: usize = 256 << 10;
const TIMERS_PER_READ: u32 = 10_000;

/// Why a copy is not whole.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("account {0} has nobody in it: give it a user first")]
    Empty(AccountId),
    #[error("the target has other accounts already: copy into a keyspace of its own")]
    NotOurs,
    #[error("{kind} differ: {from} here, {to} there")]
    Differs {
        kind: &'static str,
        from: Digest,
        to: Digest,
    },
}

/// Both ends of a copy.
pub struct Copying {
    pub export: Export,
    pub from: Store,
    pub to: Store,
    pub importer: Importer,
}

impl Copying {
    /// Reads what there is in the file at `path`, which `from` has open. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn new(path: &Path, from: Store, (to, importer): (Store, Importer)) -> StoreResult<Self> {
        Ok(Self {
            export: Export::read(path)?,
            from,
            to,
            importer,
        })
    }

    /// Copies everything and compares. Returns what there is, by kind, the same in both stores.
    ///
    /// # Errors
    /// When a store does not answer, the target is somebody else's, or a kind of row came out different.
    pub async fn run(&self) -> Result<Vec<Digest>, CopyError> {
        if self.to.accounts.first_account().await? != self.from.accounts.first_account().await?
            && self.to.accounts.first_account().await?.is_some()
        {
            return Err(CopyError::NotOurs);
        }
        if let Some(keys) = self.from.keyring.wrapped_keys().await? {
            self.to.keyring.rewrap(None, keys).await?;
        }
        for id in &self.export.accounts {
            self.copy_account(*id).await?;
        }
        self.copy_answers().await?;
        self.copy_workflows().await?;
        self.copy_leads().await?;
        let timers = timers(&self.from).await?;
        each(self.export.runs.iter(), |id| self.copy_run(*id, timers.get(id))).await?;
        each(self.export.calls.iter(), |(account, id, folded)| {
            self.copy_call(*account, *id, *folded)
        })
        .await?;
        self.copy_records().await?;
        self.compare().await
    }

    async fn copy_account(&self, id: AccountId) -> Result<(), CopyError> {
        let (from, to) = (&self.from.accounts, &self.to.accounts);
        let users = from.users(id).await?;
        let owner = users.first().cloned().ok_or(CopyError::Empty(id))?;
        known(to.create_account(from.account(id).await?, owner).await)?;
        let mut ids: Vec<UserId> = Vec::new();
        for user in users {
            ids.push(user.id);
            if to.user(user.id).await.is_err() {
                known(to.create_user(user).await)?;
            }
        }
        for key in from.keys(id).await? {
            known(to.create_key(key).await)?;
        }
        for webhook in self.from.webhooks.list(id).await? {
            known(self.to.webhooks.create(webhook).await)?;
        }
        Ok(())
    }

    async fn copy_answers(&self) -> StoreResult<()> {
        each(self.export.answers.iter(), async |(account, key)| {
            if let Some(answer) = self.from.accounts.remembered_answer(*account, key).await? {
                self.to.accounts.remember_answer(answer).await?;
            }
            Ok(())
        })
        .await
    }

    async fn copy_workflows(&self) -> StoreResult<()> {
        each(self.export.versions.iter(), async |(id, version)| {
            let version = self.from.workflows.version(*id, *version).await?;
            self.importer.add_version(&version).await
        })
        .await?;
        each(self.export.workflows.iter(), async |(account, id)| {
            let row = self.from.workflows.get(*account, *id).await?;
            known(self.to.workflows.create(row, None).await)
        })
        .await?;
        for (id, considered) in self.from.schedules.considered().await? {
            self.to.schedules.consider(id, considered).await?;
        }
        Ok(())
    }

    async fn copy_leads(&self) -> StoreResult<()> {
        each(self.export.leads.iter(), async |(account, id)| {
            let lead = self.from.leads.get(*account, *id).await?;
            match self.to.leads.create(lead).await {
                // A repeat finds its own phone number claimed by itself; the digests tell whether it is.
                Err(StoreError::Taken { .. }) | Ok(()) => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await?;
        each(self.export.numbers.iter(), async |(account, key)| {
            let opt_out = self.from.leads.opt_out_under(*account, key).await?;
            self.importer.keep_opt_out(*account, key, &opt_out).await
        })
        .await?;
        each(self.export.edits.iter(), async |edit| {
            let lead = (edit.account_id, edit.lead_id);
            self.importer.note_edit(lead, &edit.key, &edit.result).await
        })
        .await?;
        each(self.export.turns.iter(), async |turn| {
            self.importer
                .set_turn(turn.account_id, &turn.pool, turn.last)
                .await
        })
        .await
    }

    async fn copy_run(&self, id: RunId, timers: Option<&Vec<(u64, Timestamp)>>) -> StoreResult<()> {
        let (head, snapshot) = self.from.runs.load(id).await?;
        let (account, revision) = (head.account_id, head.revision);
        let whole = RunAppend {
            journal: self.from.runs.journal(account, id).await?,
            effects: self.from.runs.effects(account, id).await?,
            parts: self.from.runs.parts(id).await?,
            timers_set: timers.cloned().unwrap_or_default(),
            head,
            epoch: 0,
            snapshot,
            drops_parts: false,
            timers_cleared: Vec::new(),
        };
        // The last piece brings the run to its own revision.
        let pieces = pieces_of(whole);
        let mut before = u64::try_from(pieces.len()).unwrap_or(u64::MAX);
        for (place, mut piece) in pieces.into_iter().enumerate() {
            before -= 1;
            piece.head.revision = revision.saturating_sub(before);
            if place == 0 {
                self.to.runs.create(piece).await?;
                continue;
            }
            match self.to.runs.append(piece).await {
                // A repeat of the copy.
                Err(StoreError::Moved { .. }) | Ok(()) => (),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn copy_call(&self, account_id: AccountId, id: CallId, folded: u64) -> StoreResult<()> {
        let (from, to) = (&self.from.calls, &self.to.calls);
        let Some(sid) = from.sid(account_id, id).await? else {
            return Ok(());
        };
        let keys = self.export.fact_keys(id).await?;
        for (dedupe_key, fact) in keys.into_iter().zip(from.facts(id).await?) {
            to.record_fact(IncomingFact {
                account_id,
                sid: sid.clone(),
                call_id: id,
                dedupe_key,
                at: fact.at,
                fact: fact.fact,
            })
            .await?;
        }
        match from.get(account_id, id).await {
            Ok(call) => to.save(call, folded).await?,
            Err(StoreError::Missing { .. }) => (),
            Err(error) => return Err(error),
        }
        for utterance in from.transcript(account_id, id).await? {
            to.append_utterance(id, utterance).await?;
        }
        Ok(())
    }

    async fn copy_records(&self) -> StoreResult<()> {
        let (from, to) = (&self.from, &self.to);
        each(
            self.export.observations.iter(),
            async |(account, id, is_routed)| {
                to.observations
                    .record(from.observations.get(*account, *id).await?)
                    .await?;
                if *is_routed {
                    to.observations.mark_routed(*id).await?;
                }
                Ok(())
            },
        )
        .await?;
        each(self.export.alerts.iter(), async |(account, id)| {
            to.alerts
                .raise(from.alerts.get(*account, *id).await?)
                .await
                .map(drop)
        })
        .await?;
        each(self.export.tasks.iter(), async |(account, id)| {
            to.tasks
                .create(from.tasks.get(*account, *id).await?)
                .await
                .map(drop)
        })
        .await?;
        each(self.export.messages.iter(), async |(account, id)| {
            to.messages
                .record(from.messages.get(*account, *id).await?)
                .await
                .map(drop)
        })
        .await?;
        each(self.export.resources.iter(), async |address| {
            to.resources
                .create(from.resources.get(*address).await?)
                .await
                .map(drop)
        })
        .await?;
        // In their order: a log whose copying broke off is a shorter one, not one with holes.
        for (account, seq) in &self.export.audit {
            for entry in from.audit.after(*account, seq.saturating_sub(1), 1).await? {
                to.audit.adopt(entry).await?;
            }
        }
        each(self.export.contacts.iter(), async |contact| {
            to.contacts
                .book(contact.clone(), ContactCaps::default())
                .await
                .map(drop)
        })
        .await
    }

    /// Reads both stores and compares them, kind by kind.
    pub(in crate::store) async fn compare(&self) -> Result<Vec<Digest>, CopyError> {
        let from = digest::Side {
            store: &self.from,
            export: &self.export,
            importer: None,
        };
        let to = digest::Side {
            store: &self.to,
            export: &self.export,
            importer: Some(&self.importer),
        };
        let mut same = Vec::new();
        for (here, there) in from.digests().await?.into_iter().zip(to.digests().await?) {
            if here != there {
                return Err(CopyError::Differs {
                    kind: here.kind,
                    from: here,
                    to: there,
                });
            }
            same.push(here);
        }
        Ok(same)
    }
}

/// What `store` holds, by kind, as the file that `export` was read from lists it.
///
/// # Errors
/// When the store does not answer.
pub async fn digests(store: &Store, export: &Export) -> StoreResult<Vec<Digest>> {
    let side = digest::Side {
        store,
        export,
        importer: None,
    };
    side.digests().await
}

/// Every timer that stands, by run.
async fn timers(store: &Store) -> StoreResult<BTreeMap<RunId, Vec<(u64, Timestamp)>>> {
    let mut timers: BTreeMap<RunId, Vec<(u64, Timestamp)>> = BTreeMap::new();
    let mut after: Option<TimerRow> = None;
    loop {
        let rows = store.runs.timers(None, after, TIMERS_PER_READ).await?;
        let Some(last) = rows.last() else { break };
        after = Some(*last);
        for row in rows {
            timers.entry(row.run_id).or_default().push((row.timer, row.due));
        }
    }
    for of_run in timers.values_mut() {
        of_run.sort_unstable();
    }
    Ok(timers)
}

/// How many rows an account's list shows.
async fn listed<T, R>(page: impl Fn(PageRequest) -> R) -> StoreResult<u64>
where
    R: Future<Output = StoreResult<super::Page<T>>>,
{
    let (mut rows, mut cursor) = (0, None);
    loop {
        let request = PageRequest {
            limit: 200,
            cursor: cursor.take(),
        };
        let page = page(request).await?;
        rows += u64::try_from(page.items.len()).unwrap_or(u64::MAX);
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(rows),
        }
    }
}

/// A row that is there already stays: a copy may be repeated.
fn known(written: StoreResult<()>) -> StoreResult<()> {
    match written {
        Err(StoreError::Taken { .. }) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn each<T, R>(items: impl Iterator<Item = T> + Send, work: impl Fn(T) -> R + Send) -> StoreResult<()>
where
    R: Future<Output = StoreResult<()>>,
{
    stream::iter(items)
        .map(|item| Ok(work(item)))
        .try_buffer_unordered(ROWS_AT_ONCE)
        .try_collect()
        .await
}

/// Cuts what one append cannot carry into several. There are never more than the run has revisions.
fn pieces_of(whole: RunAppend) -> Vec<RunAppend> {
    let pieces_max = usize::try_from(whole.head.revision).unwrap_or(usize::MAX).max(1);
    let empty = RunAppend {
        journal: Vec::new(),
        effects: Vec::new(),
        parts: Vec::new(),
        timers_set: Vec::new(),
        ..whole.clone()
    };
    let mut pieces = vec![RunAppend {
        parts: whole.parts,
        timers_set: whole.timers_set,
        ..empty.clone()
    }];
    let mut bytes = 0;
    let mut room = |pieces: &mut Vec<RunAppend>, more: usize| {
        bytes += more;
        if bytes > APPEND_BYTES_MAX && pieces.len() < pieces_max {
            pieces.push(empty.clone());
            bytes = more;
        }
    };
    for line in whole.journal {
        room(&mut pieces, line.entry.len());
        pieces
            .last_mut()
            .into_iter()
            .for_each(|piece| piece.journal.push(line.clone()));
    }
    for effect in whole.effects {
        room(&mut pieces, effect.request.len());
        pieces
            .last_mut()
            .into_iter()
            .for_each(|piece| piece.effects.push(effect.clone()));
    }
    pieces
}
