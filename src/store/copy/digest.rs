//! What a store holds, in a count and a hash by kind: two stores that hold the same give the same.
//!
//! Rows are read through the traits, in the order of the file's keys, and hashed as they print: every field counts.

use std::{fmt, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest as _, Sha256};

use super::listed;
use crate::{
    domain::resource::ResourceKind,
    store::{
        Store, StoreError, StoreResult, resources::ResourceFilter, runs::RunFilter, scylla::Importer,
        sqlite::Export,
    },
};

const READS_AT_ONCE: usize = 16;

/// The rows of one kind.
#[derive(Clone, PartialEq, Eq)]
pub struct Digest {
    pub kind: &'static str,
    pub rows: u64,
    pub hash: [u8; 32],
    /// How many of them lists show, where there is a list.
    pub listed: Option<u64>,
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, ", self.rows, self.kind)?;
        for byte in &self.hash[..8] {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One store, read by the keys of a file.
#[derive(Clone, Copy)]
pub(super) struct Side<'copying> {
    pub(super) store: &'copying Store,
    pub(super) export: &'copying Export,
    /// Reads the edits of leads, where that is not the file.
    pub(super) importer: Option<&'copying Importer>,
}

impl Side<'_> {
    /// Every kind's digest, always in the same order.
    pub(super) async fn digests(self) -> StoreResult<Vec<Digest>> {
        let mut digests = self.of_people().await?;
        digests.extend(self.of_work().await?);
        digests.extend(self.of_records().await?);
        Ok(digests)
    }

    async fn of_people(self) -> StoreResult<Vec<Digest>> {
        let Self { store, export, .. } = self;
        let accounts = digest("accounts", export.accounts.iter(), async |id| {
            let account = store.accounts.account(*id).await?;
            let (users, keys) = (store.accounts.users(*id).await?, store.accounts.keys(*id).await?);
            let webhooks = store.webhooks.list(*id).await?;
            Ok(format!("{account:?} {users:?} {keys:?} {webhooks:?}"))
        })
        .await?;
        let answers = digest("answers", export.answers.iter(), async |(account, key)| {
            let answer = store.accounts.remembered_answer(*account, key).await?;
            Ok(format!("{answer:?}"))
        })
        .await?;
        let mut leads = digest("leads", export.leads.iter(), async |(account, id)| {
            let lead = store.leads.get(*account, *id).await?;
            let mut holders = Vec::new();
            for phone in lead.phones() {
                let holder = store.leads.by_phone(*account, phone).await?;
                holders.push(holder.map(|holder| holder.id));
            }
            for duplicate in &lead.merged.ids {
                holders.push(Some(store.leads.get(*account, *duplicate).await?.id));
            }
            Ok(format!("{lead:?} {holders:?}"))
        })
        .await?;
        leads.listed = Some(
            self.listed(async |account| listed(|page| store.leads.list(account, page)).await)
                .await?,
        );
        let numbers = digest(
            "opted-out numbers",
            export.numbers.iter(),
            async |(account, key)| {
                let opt_out = store.leads.opt_out_under(*account, key).await?;
                Ok(format!("{key:?} {opt_out:?}"))
            },
        )
        .await?;
        let edits = digest("edits of leads", export.edits.iter(), async |edit| {
            match self.importer {
                None => Ok(edit.result.clone()),
                Some(importer) => {
                    let noted = importer.noted_edit((edit.account_id, edit.lead_id), &edit.key);
                    Ok(noted.await?.unwrap_or_default())
                }
            }
        })
        .await?;
        let turns = digest("turns", export.turns.iter(), async |turn| {
            let last = match self.importer {
                None => Some(turn.last),
                Some(importer) => importer.turn(turn.account_id, &turn.pool).await?,
            };
            Ok(format!("{last:?}"))
        })
        .await?;
        let contacts = digest("contacts", export.contacts.iter(), async |contact| {
            let before = contact.at.minus(Duration::from_millis(1));
            let booked = store
                .contacts
                .booked_since(contact.account_id, &contact.subject, contact.channel, before)
                .await?;
            let found = booked.into_iter().find(|booked| booked.key == contact.key);
            Ok(format!("{found:?}"))
        })
        .await?;
        Ok(vec![accounts, answers, leads, numbers, edits, turns, contacts])
    }

    async fn of_work(self) -> StoreResult<Vec<Digest>> {
        let Self { store, export, .. } = self;
        let versions = digest("versions", export.versions.iter(), async |(id, version)| {
            Ok(format!("{:?}", store.workflows.version(*id, *version).await?))
        })
        .await?;
        let mut workflows = digest("workflows", export.workflows.iter(), async |(account, id)| {
            let row = store.workflows.get(*account, *id).await?;
            let live = store.workflows.triggered_by(*account, &row.trigger).await?;
            let is_live = live.iter().any(|live| live.id == row.id);
            Ok(format!("{row:?} {is_live}"))
        })
        .await?;
        workflows.listed = Some(
            self.listed(async |account| listed(|page| store.workflows.list(account, page)).await)
                .await?,
        );
        let considered = store.schedules.considered().await?;
        let schedules = digest("schedules", considered.iter(), async |row| Ok(format!("{row:?}"))).await?;
        let timers = super::timers(store).await?;
        let mut runs = digest("runs", export.runs.iter(), async |id| {
            let (head, snapshot) = store.runs.load(*id).await?;
            let account = head.account_id;
            let journal = store.runs.journal(account, *id).await?;
            let effects = store.runs.effects(account, *id).await?;
            let parts = store.runs.parts(*id).await?;
            // A timer that was overdue when it was set wakes its run at that moment.
            let timers = timers.get(id).cloned().unwrap_or_default();
            let timers: Vec<_> = timers
                .iter()
                .map(|(timer, due)| (timer, due.max(&head.updated_at)))
                .collect();
            Ok(format!(
                "{head:?} {snapshot:?} {journal:?} {effects:?} {parts:?} {timers:?}"
            ))
        })
        .await?;
        runs.listed = Some(
            self.listed(async |account| {
                listed(|page| store.runs.list(account, RunFilter::default(), page)).await
            })
            .await?,
        );
        Ok(vec![versions, workflows, schedules, runs])
    }

    async fn of_records(self) -> StoreResult<Vec<Digest>> {
        let Self { store, export, .. } = self;
        let mut calls = digest("calls", export.calls.iter(), async |(account, id, _)| {
            let call = match store.calls.get(*account, *id).await {
                Ok(call) => Some(call),
                Err(StoreError::Missing { .. }) => None,
                Err(error) => return Err(error),
            };
            let sid = store.calls.sid(*account, *id).await?;
            let (facts, said) = (
                store.calls.facts(*id).await?,
                store.calls.transcript(*account, *id).await?,
            );
            Ok(format!("{call:?} {sid:?} {facts:?} {said:?}"))
        })
        .await?;
        calls.listed = Some(
            self.listed(async |account| listed(|page| store.calls.list(account, page)).await)
                .await?,
        );
        let unsettled = store.calls.unsettled(None).await?;
        let open = digest("open calls", unsettled.iter(), async |call| {
            Ok(format!("{call:?}"))
        })
        .await?;
        let facts = digest("facts", export.observations.iter(), async |(account, id, _)| {
            Ok(format!("{:?}", store.observations.get(*account, *id).await?))
        })
        .await?;
        let mut on_their_way: Vec<_> = store.observations.unrouted(None).await?;
        on_their_way.sort_by_key(|fact| fact.id);
        let waiting = digest("facts on their way", on_their_way.iter(), async |fact| {
            Ok(fact.id.to_string())
        })
        .await?;
        let mut alerts = digest("alerts", export.alerts.iter(), async |(account, id)| {
            Ok(format!("{:?}", store.alerts.get(*account, *id).await?))
        })
        .await?;
        alerts.listed = Some(
            self.listed(async |account| listed(|page| store.alerts.list(account, page)).await)
                .await?,
        );
        let mut tasks = digest("tasks", export.tasks.iter(), async |(account, id)| {
            Ok(format!("{:?}", store.tasks.get(*account, *id).await?))
        })
        .await?;
        tasks.listed = Some(
            self.listed(async |account| listed(|page| store.tasks.list(account, page)).await)
                .await?,
        );
        let mut messages = digest("messages", export.messages.iter(), async |(account, id)| {
            Ok(format!("{:?}", store.messages.get(*account, *id).await?))
        })
        .await?;
        messages.listed = Some(
            self.listed(async |account| listed(|page| store.messages.list(account, page)).await)
                .await?,
        );
        let resources = self.of_resources().await?;
        let [audit, keys] = self.of_safety().await?;
        Ok(vec![
            calls, open, facts, waiting, alerts, tasks, messages, resources, audit, keys,
        ])
    }

    async fn of_safety(self) -> StoreResult<[Digest; 2]> {
        let Self { store, export, .. } = self;
        let audit = digest("audit entries", export.audit.iter(), async |(account, seq)| {
            let entry = store.audit.after(*account, seq.saturating_sub(1), 1).await?;
            Ok(format!("{entry:?}"))
        })
        .await?;
        let keys = digest("sealed keys", std::iter::once(()), async |()| {
            Ok(format!("{:?}", store.keyring.wrapped_keys().await?))
        })
        .await?;
        Ok([audit, keys])
    }

    async fn of_resources(self) -> StoreResult<Digest> {
        let Self { store, export, .. } = self;
        let mut resources = digest("resources", export.resources.iter(), async |address| {
            Ok(format!("{:?}", store.resources.get(*address).await?))
        })
        .await?;
        let mut rows = 0;
        for kind in ResourceKind::ALL {
            let all = || ResourceFilter::all(kind);
            rows += self
                .listed(async |account| listed(|page| store.resources.list(account, all(), page)).await)
                .await?;
        }
        resources.listed = Some(rows);
        Ok(resources)
    }

    /// Adds up what the accounts' lists show.
    async fn listed(
        self,
        of_account: impl AsyncFn(crate::domain::ids::AccountId) -> StoreResult<u64>,
    ) -> StoreResult<u64> {
        let mut rows = 0;
        for account in &self.export.accounts {
            rows += of_account(*account).await?;
        }
        Ok(rows)
    }
}

async fn digest<T>(
    kind: &'static str,
    keys: impl Iterator<Item = T>,
    read: impl AsyncFn(T) -> StoreResult<String>,
) -> StoreResult<Digest> {
    let (mut rows, mut hash) = (0, Sha256::new());
    let read = &read;
    let mut texts = stream::iter(keys.map(|key| read(key))).buffered(READS_AT_ONCE);
    while let Some(text) = texts.try_next().await? {
        rows += 1;
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(text);
    }
    Ok(Digest {
        kind,
        rows,
        hash: hash.finalize().into(),
        listed: None,
    })
}
