//! Leads in CQL. A phone number belongs to one lead of an account (`lead_phones`); an e-mail address may be shared (`lead_index`).
//!
//! A lead is one partition: its body under a revision, and the edits of it by their keys (`lead_edits`).

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    claims::Claim,
    errors::missing,
    fields::{Values, values},
    lead_edits::{NOTE, NOTED_FOR},
    lead_index::entries,
    lead_phones::{Holder, claimed},
    positions::{Order, READS_AT_ONCE, place},
    revised::{Made, Revised, Stored, TRIES_MAX},
    rows::Scylla,
    values::body,
};
use crate::{
    domain::{
        consent::{ConsentChange, OptOut},
        email::folded,
        ids::{AccountId, LeadId},
        lead::{EditRefusal, KeyedEdit, Lead, LeadEdited, MergeRefusal},
        observation::Observation,
        phone::PhoneNumber,
        time::Timestamp,
    },
    store::{
        LeadStore, Page, PageRequest, StoreError, StoreResult,
        cursor::{List, Position, Window},
        leads::SameEmail,
    },
};

pub(super) const TABLE: Revised = Revised {
    read: "SELECT revision, body FROM leads WHERE account = ? AND id = ? LIMIT 1",
    write: "UPDATE leads SET revision = ?, body = ? WHERE account = ? AND id = ? IF revision = ?",
};
const FORGET_EDITS: &str = "DELETE FROM leads WHERE account = ? AND id = ? AND key > ''";
/// Under which the facts are noted that tell of a lead that was made.
const CREATED: &str = "created";
/// How long a search waits for another that is just writing the lead.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

#[async_trait]
impl LeadStore for Scylla {
    async fn introduce(&self, lead: Lead, facts: Vec<Observation>) -> StoreResult<()> {
        for phone in lead.phones() {
            self.claim_phone(lead.account_id, phone, lead.id, lead.created_at)
                .await?;
        }
        let lead = self.with_numbers_opt_out(lead).await?;
        match self.insert_told_lead(&lead, &facts).await? {
            Made::Fresh => self.record_all(facts).await,
            Made::Exists => {
                let known: Option<Lead> = self.find(&TABLE, &values![lead.account_id, lead.id]).await?;
                self.release_phones(&lead, known.as_ref()).await?;
                Err(StoreError::Taken { field: "id" })
            }
        }
    }

    async fn find_or_create_by_phone(&self, lead: Lead) -> StoreResult<(Lead, bool)> {
        let Some(phone) = lead.phone.clone() else {
            return match self.insert_lead(&lead).await? {
                Made::Fresh => Ok((lead, true)),
                Made::Exists => Err(StoreError::Taken { field: "id" }),
            };
        };
        let value = claimed(lead.account_id, &phone);
        let mut claim = self.claim_of(&value).await?;
        let lead = self.with_numbers_opt_out(lead).await?;
        for _ in 0..TRIES_MAX {
            let taken_from = match self.phone_holder(lead.account_id, &phone, claim).await? {
                Holder::Lead(known) => return Ok((*known, false)),
                Holder::Nobody => None,
                Holder::Unborn(claim) => {
                    // Whoever claimed it may have been cut off: writing the lead under its id is right for both.
                    let theirs = Lead {
                        id: LeadId::from_bytes(claim.owner),
                        ..lead.clone()
                    };
                    if self.insert_lead(&theirs).await? == Made::Fresh {
                        return Ok((theirs, true));
                    }
                    continue;
                }
                Holder::Other(claim, stored) => {
                    match self.part(lead.account_id, claim, stored, lead.created_at).await {
                        Ok(from) => from,
                        Err(StoreError::Taken { .. }) => {
                            tokio::time::sleep(PAUSE).await;
                            None
                        }
                        Err(error) => return Err(error),
                    }
                }
            };
            let ours = Claim {
                owner: *lead.id.as_bytes(),
                at: lead.created_at,
            };
            claim = Some(self.claim(&value, taken_from, ours).await?);
        }
        Err(StoreError::Busy)
    }

    async fn change_consent(
        &self,
        account_id: AccountId,
        id: LeadId,
        change: ConsentChange,
        at: Timestamp,
    ) -> StoreResult<(Lead, bool)> {
        for _ in 0..TRIES_MAX {
            let (before, stored) = self.lead_at(account_id, id).await?;
            let mut lead = stored.clone();
            if !lead.change_consent(&change) {
                return Ok((lead, false));
            }
            lead.updated_at = at;
            if self.replace_lead(before, &stored, &lead, Vec::new()).await? {
                return Ok((lead, true));
            }
        }
        Err(StoreError::Busy)
    }

    async fn delete(&self, account_id: AccountId, id: LeadId) -> StoreResult<()> {
        let key = values![account_id, id];
        for _ in 0..TRIES_MAX {
            let (revision, lead) = self.own_lead_at(account_id, id).await?;
            for phone in lead.phones() {
                self.leave_opt_out(&lead, phone).await?;
            }
            let is_gone = self
                .write_revision(&TABLE, &key, Some(revision), None, Vec::new())
                .await?;
            if is_gone {
                self.strike_lead((account_id, id), entries(Some(&lead)).iter(), revision + 1)
                    .await?;
                self.release_phones(&lead, None).await?;
                self.take_position(account_id, List::Leads, place(lead.created_at, id.as_bytes()))
                    .await?;
                for id in lead.ids() {
                    self.write(FORGET_EDITS, values![account_id, id]).await?;
                }
                return Ok(());
            }
        }
        Err(StoreError::Busy)
    }

    async fn get(&self, account_id: AccountId, id: LeadId) -> StoreResult<Lead> {
        Ok(self.lead_at(account_id, id).await?.1)
    }

    async fn by_phone(&self, account_id: AccountId, phone: &PhoneNumber) -> StoreResult<Option<Lead>> {
        let claim = self.claim_of(&claimed(account_id, phone)).await?;
        Ok(match self.phone_holder(account_id, phone, claim).await? {
            Holder::Lead(lead) => Some(*lead),
            Holder::Nobody | Holder::Unborn(_) | Holder::Other(..) => None,
        })
    }

    async fn opt_out_under(&self, account_id: AccountId, key: &str) -> StoreResult<OptOut> {
        self.kept_opt_out(account_id, key).await
    }

    async fn by_email(&self, account_id: AccountId, email: &str) -> StoreResult<Option<Lead>> {
        for id in self.leads_by_email(account_id, email).await? {
            let lead: Option<Lead> = self.find(&TABLE, &values![account_id, id]).await?;
            let has_it = |lead: &Lead| lead.folded_emails().any(|known| known == folded(email));
            if let Some(lead) = lead.filter(has_it) {
                return Ok(Some(lead));
            }
        }
        Ok(None)
    }

    async fn edit(&self, edit: KeyedEdit) -> StoreResult<Result<LeadEdited, EditRefusal>> {
        self.apply_edit(&edit).await
    }

    async fn merge(
        &self,
        account_id: AccountId,
        kept: LeadId,
        duplicate: LeadId,
        at: Timestamp,
    ) -> StoreResult<Result<Lead, MergeRefusal>> {
        self.merge_leads(account_id, kept, duplicate, at).await
    }

    async fn same_email(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<SameEmail>> {
        self.groups_by_email(account_id, &page).await
    }

    async fn walk(
        &self,
        account_id: AccountId,
        after: Option<(Timestamp, LeadId)>,
        limit: u32,
    ) -> StoreResult<Vec<Lead>> {
        let from = after.map_or(Position { at: -1, id: [0; 16] }, |(at, id)| {
            place(at, id.as_bytes())
        });
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let list = (account_id, List::Leads);
        let rows = self
            .rows_of(list, Order::OldestFirst, from, limit, |position| {
                self.lead_in_place(account_id, position)
            })
            .await?;
        Ok(rows.into_iter().map(|(_, lead)| lead).collect())
    }

    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<Lead>> {
        let window = Window::of(List::Leads, &page)?;
        self.page_of(account_id, List::Leads, &window, |position| {
            self.lead_in_place(account_id, position)
        })
        .await
    }
}

impl Scylla {
    /// Reads a lead with its revision; by the id of a duplicate the one that it was merged into.
    pub(super) async fn lead_at(&self, account: AccountId, id: LeadId) -> StoreResult<(u64, Lead)> {
        match self.own_lead_at(account, id).await {
            Err(StoreError::Missing { .. }) => (),
            found => return found,
        }
        for kept in self.leads_by_duplicate(account, id).await? {
            match self.own_lead_at(account, kept).await {
                Ok(found) if found.1.merged.ids.contains(&id) => return Ok(found),
                Ok(_) | Err(StoreError::Missing { .. }) => (),
                Err(error) => return Err(error),
            }
        }
        Err(missing("lead", id))
    }

    /// Reads the lead that has this very id.
    pub(super) async fn own_lead_at(&self, account: AccountId, id: LeadId) -> StoreResult<(u64, Lead)> {
        let stored: Option<Stored<Lead>> = self.stored(&TABLE, &values![account, id]).await?;
        match stored {
            Some(Stored {
                revision,
                value: Some(lead),
            }) => Ok((revision, lead)),
            Some(_) | None => Err(missing("lead", id)),
        }
    }

    /// Reads many leads of an account, in the order of `ids`; those that are not there are left out.
    pub(super) async fn leads_at(&self, account: AccountId, ids: Vec<LeadId>) -> StoreResult<Vec<Lead>> {
        let reads = ids.into_iter().map(|id| async move {
            let key = values![account, id];
            self.find::<Lead>(&TABLE, &key).await
        });
        let found: Vec<Option<Lead>> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn lead_in_place(&self, account: AccountId, position: Position) -> StoreResult<Option<Lead>> {
        let lead: Option<Lead> = self.find(&TABLE, &values![account, position.id]).await?;
        Ok(lead.filter(|lead| place(lead.created_at, lead.id.as_bytes()) == position))
    }

    async fn insert_lead(&self, lead: &Lead) -> StoreResult<Made> {
        self.insert_told_lead(lead, &[]).await
    }

    /// Writes a lead that is not there yet, with a note of the facts that tell of it; what it is found by comes first.
    pub(super) async fn insert_told_lead(&self, lead: &Lead, facts: &[Observation]) -> StoreResult<Made> {
        let mut note = Vec::new();
        if !facts.is_empty() {
            self.observations.announce(lead.id, CREATED, facts).await?;
            let (result, facts) = (body(&lead.id)?, body(&facts)?);
            let row = values![lead.account_id, lead.id, CREATED, result, facts, NOTED_FOR];
            note.push((NOTE, row));
        }
        let ids = (lead.account_id, lead.id);
        self.enter_lead(ids, entries(Some(lead)).iter(), 1).await?;
        let position = place(lead.created_at, lead.id.as_bytes());
        self.put_position(lead.account_id, List::Leads, position).await?;
        let key = values![lead.account_id, lead.id];
        let text = body(lead)?;
        let made = self.write_revision(&TABLE, &key, None, Some(&text), note);
        Ok(if made.await? { Made::Fresh } else { Made::Exists })
    }

    /// Writes a lead over `before`, together with `more` of its partition. False when somebody else was faster.
    pub(super) async fn replace_lead(
        &self,
        revision: u64,
        before: &Lead,
        after: &Lead,
        more: Vec<(&'static str, Values)>,
    ) -> StoreResult<bool> {
        let mut after = after.clone();
        if after.phone != before.phone {
            if let Some(phone) = &after.phone {
                self.claim_phone(after.account_id, phone, after.id, after.updated_at)
                    .await?;
            }
            if let Some(phone) = &before.phone {
                self.leave_opt_out(before, phone).await?;
            }
            after = self.with_numbers_opt_out(after).await?;
        }
        let ids = (after.account_id, after.id);
        let (old, new) = (entries(Some(before)), entries(Some(&after)));
        self.enter_lead(ids, new.difference(&old), revision + 1).await?;
        let key = values![after.account_id, after.id];
        let written = self
            .write_revision(&TABLE, &key, Some(revision), Some(&body(&after)?), more)
            .await?;
        if written {
            self.strike_lead(ids, old.difference(&new), revision + 1).await?;
            self.release_phones(before, Some(&after)).await?;
        }
        Ok(written)
    }

    /// Gives a lead's numbers free that it does not have as `after`.
    async fn release_phones(&self, lead: &Lead, after: Option<&Lead>) -> StoreResult<()> {
        let is_kept = |phone: &PhoneNumber| after.is_some_and(|after| after.phones().any(|own| own == phone));
        for phone in lead.phones().filter(|phone| !is_kept(phone)) {
            self.unclaim(&claimed(lead.account_id, phone), *lead.id.as_bytes())
                .await?;
        }
        Ok(())
    }
}
