//! Erases a person, store by store. Every step may be done again.
//!
//! In: the erasure, with what is looked for. Out: a store in which nothing of the person is left, and how much there was. What must keep its
//! place (calls, messages, facts, heads of runs) is emptied; everything else is removed.

mod tally;

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryFutureExt, TryStreamExt, stream};

use self::tally::Tally;
use super::{RunError, RunsHandle};
use crate::{
    clock,
    domain::{
        audit::AuditRow,
        call::Call,
        consent::{ConsentChange, OptOutChange},
        erasure::{Erasure, Redaction},
        lead_import::LeadImport,
        message::Message,
        phone::PhoneNumber,
        resource::{Resource, ResourceKind},
        webhook_rule::DeliveryLog,
    },
    store::{
        Store, StoreError, StoreResult, kin,
        resources::{ResourceAddress, ResourceFilter, ResourceRow},
        runs::RunFilter,
        walking::Walk,
    },
};

/// Entries of the audit log that are read at once.
const ENTRIES: u32 = 200;
/// Rows that are written at once: each is another row, whose turn does not matter.
const WRITES_AT_ONCE: usize = 16;
/// How often a row is written again because somebody else was faster.
const TRIES_MAX: u32 = 10;
/// Why its runs end.
const REASON: &str = "the lead was erased";
/// What stands in place of a cell that named the person.
const GONE: &str = "(erased)";
/// Kinds that are grouped by their lead and removed with it.
const RECORDS: [ResourceKind; 3] = [
    ResourceKind::Appointment,
    ResourceKind::Quote,
    ResourceKind::Payment,
];

/// What is done on a way through what is the person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Its ids are noted.
    Find,
    /// It is emptied or removed.
    Erase,
}

/// An erasure under way.
pub(super) struct Erasing {
    store: Store,
    runs: RunsHandle,
    erasure: Erasure,
    tally: Tally,
    /// Ids of what is the person's: whatever names one of them is about the person too.
    ids: BTreeSet<String>,
}

impl Erasing {
    /// Takes up the erasure that `row` holds, with what was counted before.
    pub(super) fn new(store: Store, runs: RunsHandle, (row, erasure): (ResourceRow, Erasure)) -> Self {
        let ids = erasure.lead_ids().iter().map(ToString::to_string).collect();
        Self {
            store,
            runs,
            tally: Tally::of(row, &erasure),
            erasure,
            ids,
        }
    }

    /// Nothing is left. Returns the erasure as it is kept.
    pub(super) async fn finish(self) -> StoreResult<Erasure> {
        let done = self.erasure.done(clock::now());
        self.tally.close(&self.store, &done).await?;
        Ok(done)
    }

    /// Opts the person out of everything: from here on no effect reaches them, and the number keeps it when the lead is gone.
    pub(super) async fn close_the_gate(&self) -> StoreResult<()> {
        let change = ConsentChange {
            opt_out: vec![OptOutChange::Everything],
            ..ConsentChange::default()
        };
        let (account, id) = (self.erasure.account_id, self.erasure.lead_id);
        let changed = self.store.leads.change_consent(account, id, change, clock::now());
        unless_missing(changed.await.map(drop))
    }

    /// Ends every run about the person that has not ended.
    pub(super) async fn cancel_runs(&self) -> Result<(), RunError> {
        let (store, account, leads) = (&self.store, self.erasure.account_id, self.erasure.lead_ids());
        let filter = RunFilter {
            only_active: true,
            ..RunFilter::default()
        };
        let mut walk = Walk::default();
        while let Some(page) = walk
            .next(|page| kin::runs(store, account, &leads, &filter, page))
            .await?
        {
            for head in page {
                match self.runs.cancel(account, head.id, REASON.to_owned()).await {
                    Ok(()) | Err(RunError::Ended(_)) => (),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Removes the lead itself, with what it is found by. The number is free for a fresh lead.
    pub(super) async fn remove_lead(&self) -> StoreResult<()> {
        let (account, id) = (self.erasure.account_id, self.erasure.lead_id);
        unless_missing(self.store.leads.delete(account, id).await)
    }

    /// Empties or removes everything that is the person's or names them.
    ///
    /// What is known by an id of theirs goes before what the id is known from: after a crash half way the rest is still found.
    pub(super) async fn go_through_everything(&mut self) -> StoreResult<()> {
        self.go_through_theirs(Pass::Find).await?;
        self.erase_deliveries().await?;
        self.erase_import_reports().await?;
        self.erase_contacts().await?;
        let answers = self
            .store
            .accounts
            .erase_answers(self.erasure.account_id, self.needles());
        self.erasure.counts.answers += answers.await?;
        self.tally.keep(&self.store, &self.erasure).await?;
        self.erase_audit().await?;
        self.go_through_theirs(Pass::Erase).await?;
        self.erase_facts().await
    }

    async fn go_through_theirs(&mut self, pass: Pass) -> StoreResult<()> {
        match pass {
            // Tasks and alerts name calls and runs, messages name runs.
            Pass::Find => {
                self.runs(pass).await?;
                self.calls(pass).await?;
                self.messages(pass).await?;
                self.tasks(pass).await?;
                self.alerts(pass).await?;
                self.records(pass).await
            }
            Pass::Erase => {
                self.records(pass).await?;
                self.alerts(pass).await?;
                self.tasks(pass).await?;
                self.messages(pass).await?;
                self.calls(pass).await?;
                self.runs(pass).await
            }
        }
    }

    async fn erase_facts(&mut self) -> StoreResult<()> {
        let (store, account, leads) = (&self.store, self.erasure.account_id, self.erasure.lead_ids());
        let mut walk = Walk::default();
        while let Some(page) = walk
            .next(|page| kin::timeline(store, account, &leads, page))
            .await?
        {
            let facts = page.into_iter().filter(|fact| !fact.is_erased());
            let erased = each(facts, |fact| {
                store.observations.erase(account, fact.id).map_ok(|()| true)
            });
            self.erasure.counts.facts += erased.await?;
            self.tally.keep(store, &self.erasure).await?;
        }
        Ok(())
    }

    async fn runs(&mut self, pass: Pass) -> StoreResult<()> {
        let (store, account, leads) = (&self.store, self.erasure.account_id, self.erasure.lead_ids());
        let filter = RunFilter::default();
        let mut walk = Walk::default();
        while let Some(page) = walk
            .next(|page| kin::runs(store, account, &leads, &filter, page))
            .await?
        {
            self.ids.extend(page.iter().map(|head| head.id.to_string()));
            if pass == Pass::Erase {
                let erased = each(page, |head| store.runs.forget_history(account, head.id));
                self.erasure.counts.runs += erased.await?;
                self.tally.keep(store, &self.erasure).await?;
            }
        }
        Ok(())
    }

    async fn calls(&mut self, pass: Pass) -> StoreResult<()> {
        let (calls, account) = (&self.store.calls, self.erasure.account_id);
        let mut walk = Walk::default();
        while let Some(mut page) = walk.next(|page| calls.list(account, page)).await? {
            page.retain(|call| self.is_theirs(call));
            self.ids.extend(page.iter().map(|call| call.id.to_string()));
            if pass == Pass::Erase {
                let erased = each(page, |call| calls.redact(account, call.id, Redaction::Person));
                self.erasure.counts.calls += erased.await?;
                self.tally.keep(&self.store, &self.erasure).await?;
            }
        }
        Ok(())
    }

    async fn messages(&mut self, pass: Pass) -> StoreResult<()> {
        let (messages, account) = (&self.store.messages, self.erasure.account_id);
        let mut walk = Walk::default();
        while let Some(mut page) = walk.next(|page| messages.list(account, page)).await? {
            page.retain(|message| self.is_to_or_from_them(message));
            self.ids.extend(page.iter().map(|message| message.id.to_string()));
            if pass == Pass::Erase {
                let said = page.into_iter().filter_map(|message| {
                    let erased = message.clone().erased();
                    (erased != message).then_some(erased)
                });
                let erased = each(said, |erased| messages.redact(erased).map_ok(|()| true));
                self.erasure.counts.messages += erased.await?;
                self.tally.keep(&self.store, &self.erasure).await?;
            }
        }
        Ok(())
    }

    async fn tasks(&mut self, pass: Pass) -> StoreResult<()> {
        let (tasks, account) = (&self.store.tasks, self.erasure.account_id);
        let mut walk = Walk::default();
        while let Some(mut page) = walk.next(|page| tasks.list(account, page)).await? {
            page.retain(|task| {
                self.names_theirs([text(task.lead_id), text(task.call_id), text(task.run_id)])
            });
            self.ids.extend(page.iter().map(|task| task.id.to_string()));
            if pass == Pass::Erase {
                let erased = each(page, |task| tasks.delete(account, task.id).map_ok(|()| true));
                self.erasure.counts.tasks += erased.await?;
                self.tally.keep(&self.store, &self.erasure).await?;
            }
        }
        Ok(())
    }

    async fn alerts(&mut self, pass: Pass) -> StoreResult<()> {
        let (alerts, account) = (&self.store.alerts, self.erasure.account_id);
        let mut walk = Walk::default();
        while let Some(mut page) = walk.next(|page| alerts.list(account, page)).await? {
            page.retain(|alert| {
                self.names_theirs([text(alert.lead_id), text(alert.call_id), text(alert.run_id)])
            });
            self.ids.extend(page.iter().map(|alert| alert.id.to_string()));
            if pass == Pass::Erase {
                let erased = each(page, |alert| alerts.delete(account, alert.id).map_ok(|()| true));
                self.erasure.counts.alerts += erased.await?;
                self.tally.keep(&self.store, &self.erasure).await?;
            }
        }
        Ok(())
    }

    async fn records(&mut self, pass: Pass) -> StoreResult<()> {
        let (store, account, leads) = (&self.store, self.erasure.account_id, self.erasure.lead_ids());
        for kind in RECORDS {
            let mut walk = Walk::default();
            while let Some(page) = walk
                .next(|page| kin::resources(store, account, &leads, (kind, None), page))
                .await?
            {
                let ids = page
                    .iter()
                    .filter_map(|row| row.body.get("id").and_then(serde_json::Value::as_str));
                self.ids.extend(ids.map(str::to_owned));
                if pass == Pass::Erase {
                    let erased = each(page, |row| async move {
                        unless_missing(store.resources.delete(address_of(&row)).await).map(|()| true)
                    });
                    self.erasure.counts.records += erased.await?;
                    self.tally.keep(store, &self.erasure).await?;
                }
            }
        }
        Ok(())
    }

    /// Posts of other services, of which each webhook shows its last.
    async fn erase_deliveries(&mut self) -> StoreResult<()> {
        let needles = self.needles();
        let leads = self.erasure.lead_ids();
        self.rewrite(|log: &mut DeliveryLog| {
            let before = log.deliveries.len();
            log.deliveries.retain(|delivery| {
                let is_named = needles
                    .iter()
                    .any(|needle| delivery.body.contains(needle.as_str()));
                !delivery.lead_id.is_some_and(|id| leads.contains(&id)) && !is_named
            });
            before - log.deliveries.len()
        })
        .await
    }

    /// Cells of bad rows that reports of imports show.
    async fn erase_import_reports(&mut self) -> StoreResult<()> {
        let names = self.names();
        self.rewrite(|import: &mut LeadImport| {
            let mut taken = 0;
            for problem in &mut import.problems {
                if names.iter().any(|name| problem.value.contains(name.as_str())) {
                    GONE.clone_into(&mut problem.value);
                    taken += 1;
                }
            }
            taken
        })
        .await
    }

    /// Lets `change` take what it finds out of every resource of a kind.
    async fn rewrite<T: Resource>(
        &mut self,
        change: impl Fn(&mut T) -> usize + Send + Sync,
    ) -> StoreResult<()> {
        let (store, account) = (self.store.clone(), self.erasure.account_id);
        let (resources, mut walk) = (&store.resources, Walk::default());
        while let Some(page) = walk
            .next(|page| resources.list(account, ResourceFilter::all(T::KIND), page))
            .await?
        {
            for row in page {
                let taken = self.rewrite_one(row, &change).await?;
                self.erasure.counts.mentions += u64::try_from(taken).unwrap_or(u64::MAX);
            }
            self.tally.keep(&store, &self.erasure).await?;
        }
        Ok(())
    }

    async fn rewrite_one<T: Resource>(
        &self,
        mut row: ResourceRow,
        change: &(impl Fn(&mut T) -> usize + Send + Sync),
    ) -> StoreResult<usize> {
        for _ in 0..TRIES_MAX {
            let mut resource: T = row.read()?;
            let taken = change(&mut resource);
            if taken == 0 {
                return Ok(0);
            }
            let mut next = row.next(&resource)?;
            next.is_open = row.is_open;
            match self.store.resources.replace(next).await {
                Ok(()) => return Ok(taken),
                Err(StoreError::Missing { .. }) => return Ok(0),
                Err(StoreError::Moved { .. }) => row = self.store.resources.get(address_of(&row)).await?,
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Busy)
    }

    async fn erase_contacts(&self) -> StoreResult<()> {
        let mut subjects = self.names();
        subjects.extend(self.erasure.lead_ids().iter().map(ToString::to_string));
        for subject in subjects {
            self.store
                .contacts
                .forget(self.erasure.account_id, &subject)
                .await?;
        }
        Ok(())
    }

    /// Before and after of every entry that names the person, or something that is theirs. The entries stay: who did what, and when.
    async fn erase_audit(&mut self) -> StoreResult<()> {
        let (log, account, names) = (&self.store.audit, self.erasure.account_id, self.names());
        let mut above = 0;
        loop {
            let rows = log.after(account, above, ENTRIES).await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            above = last.seq;
            let named: Vec<u64> = rows
                .iter()
                .filter(|row| self.is_in(row, &names))
                .map(|row| row.seq)
                .collect();
            if !named.is_empty() {
                log.erase_details(account, &named).await?;
                self.erasure.counts.audit_entries += u64::try_from(named.len()).unwrap_or(u64::MAX);
                self.tally.keep(&self.store, &self.erasure).await?;
            }
        }
    }

    fn is_in(&self, row: &AuditRow, names: &[String]) -> bool {
        let Some(details) = &row.details else {
            return false;
        };
        let names_theirs = row.read().is_ok_and(|said| {
            let ids = said.deed.subject.into_iter().chain(said.deed.about);
            self.names_theirs(ids.map(Some))
        });
        names_theirs || names.iter().any(|name| details.contains(name.as_str()))
    }

    fn is_theirs(&self, call: &Call) -> bool {
        // A fresh lead may have the number by then.
        match call.lead_id {
            Some(id) => self.ids.contains(&id.to_string()),
            None => self
                .phones()
                .any(|phone| phone.as_str() == call.customer_number()),
        }
    }

    fn is_to_or_from_them(&self, message: &Message) -> bool {
        let names = self.names();
        let mut addresses = [&message.from, &message.to]
            .into_iter()
            .flat_map(|addresses| addresses.split([',', ';', ' ', '<', '>']));
        let is_addressed =
            addresses.any(|address| names.iter().any(|name| name.eq_ignore_ascii_case(address)));
        message
            .lead_id
            .is_some_and(|id| self.ids.contains(&id.to_string()))
            || self.names_theirs([text(message.run_id)])
            || (message.lead_id.is_none() && is_addressed)
    }

    fn names_theirs(&self, named: impl IntoIterator<Item = Option<String>>) -> bool {
        named.into_iter().flatten().any(|id| self.ids.contains(&id))
    }

    /// The person's addresses.
    fn names(&self) -> Vec<String> {
        let emails = self.erasure.email.iter().chain(&self.erasure.merged.emails);
        let phones = self.phones().map(ToString::to_string);
        phones.chain(emails.cloned()).collect()
    }

    fn phones(&self) -> impl Iterator<Item = &PhoneNumber> {
        self.erasure.phone.iter().chain(&self.erasure.merged.phones)
    }

    /// Texts that are found in nothing but what is about the person.
    fn needles(&self) -> Vec<String> {
        self.names().into_iter().chain(self.ids.iter().cloned()).collect()
    }
}

/// Carries out `erase` for each item, some at once. Returns how many there was something to erase of.
async fn each<T, F, R>(items: impl IntoIterator<Item = T>, erase: F) -> StoreResult<u64>
where
    F: Fn(T) -> R,
    R: Future<Output = StoreResult<bool>>,
{
    stream::iter(items)
        .map(erase)
        .buffer_unordered(WRITES_AT_ONCE)
        .try_fold(0, async |sum, was_there| Ok(sum + u64::from(was_there)))
        .await
}

fn text(id: Option<impl ToString>) -> Option<String> {
    id.map(|id| id.to_string())
}

const fn address_of(row: &ResourceRow) -> ResourceAddress {
    ResourceAddress {
        account_id: row.account_id,
        kind: row.kind,
        id: row.id,
    }
}

/// What is gone already was erased before.
fn unless_missing(outcome: StoreResult<()>) -> StoreResult<()> {
    match outcome {
        Err(StoreError::Missing { .. }) => Ok(()),
        outcome => outcome,
    }
}
