//! Merged leads in CQL: what the kept lead becomes is written first, with the facts that follow noted beside it; then the duplicate's numbers
//! change hands, and at last the duplicate goes, if it is still what was taken over.
//!
//! A crash in between leaves two leads of which one knows the other: nothing is lost, and the same again brings it to its end.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    claims::Claim,
    fields::{Values, values},
    lead_edits::{NOTE, NOTED_FOR},
    lead_index::entries,
    lead_phones::claimed,
    leads::TABLE,
    positions::{READS_AT_ONCE, place},
    revised::TRIES_MAX,
    rows::Scylla,
    values::body,
};
use crate::{
    domain::{
        email::folded,
        ids::{AccountId, LeadId},
        lead::{Lead, MergeRefusal, merge},
        phone::PhoneNumber,
        time::Timestamp,
    },
    store::{
        LeadStore, Page, PageRequest, StoreError, StoreResult,
        cursor::{List, Window},
        leads::{SAME_EMAIL_MAX, SameEmail},
    },
};

/// Leads that one request for groups looks at: the page ends there and its cursor goes on, though it may hold less than was asked for.
const LOOKED_AT_MAX: usize = 1_000;
/// Leads that are read at once.
const LEADS_PER_PAGE: u32 = 200;
/// Leads of a group that are counted.
const COUNTED_MAX: usize = 1_000;

impl Scylla {
    /// Makes two leads one.
    pub(super) async fn merge_leads(
        &self,
        account: AccountId,
        kept: LeadId,
        duplicate: LeadId,
        at: Timestamp,
    ) -> StoreResult<Result<Lead, MergeRefusal>> {
        let key = format!("merge {duplicate}");
        for _ in 0..TRIES_MAX {
            let (revision, before) = self.own_lead_at(account, kept).await?;
            let (theirs, other) = match self.own_lead_at(account, duplicate).await {
                Ok(found) => found,
                Err(StoreError::Missing { .. }) if before.merged.ids.contains(&duplicate) => {
                    return Ok(Ok(before));
                }
                Err(error) => return Err(error),
            };
            let mut after = before.clone();
            if let Err(refusal) = after.absorb(&other) {
                return Ok(Err(refusal));
            }
            let noted = self.noted::<LeadId>(account, kept, &key).await?;
            let facts = match noted {
                Some((_, facts)) => facts,
                None => merge::merge_facts(&before, &after, duplicate, at),
            };
            if after != before {
                after.updated_at = at;
                let note = values![account, kept, key, body(&duplicate)?, body(&facts)?, NOTED_FOR];
                if !self.write_over(revision, &before, &after, note).await? {
                    continue;
                }
            }
            for phone in other.phones() {
                self.take_phone_from(&other, &after, phone, at).await?;
            }
            self.record_all(facts).await?;
            if self.give_up(theirs, &other).await? {
                return Ok(Ok(after));
            }
        }
        Err(StoreError::Busy)
    }

    /// Writes a lead whose numbers are claimed elsewhere, with a note. False when somebody else was faster.
    async fn write_over(
        &self,
        revision: u64,
        before: &Lead,
        after: &Lead,
        note: Values,
    ) -> StoreResult<bool> {
        let ids = (after.account_id, after.id);
        let (old, new) = (entries(Some(before)), entries(Some(after)));
        self.enter_lead(ids, new.difference(&old), revision + 1).await?;
        let key = values![after.account_id, after.id];
        let text = body(after)?;
        let written = self
            .write_revision(&TABLE, &key, Some(revision), Some(&text), vec![(NOTE, note)])
            .await?;
        if written {
            self.strike_lead(ids, old.difference(&new), revision + 1).await?;
        }
        Ok(written)
    }

    /// Lets a number be the kept lead's. Until the claim moves it is the duplicate's, which still has it.
    async fn take_phone_from(
        &self,
        other: &Lead,
        kept: &Lead,
        phone: &PhoneNumber,
        at: Timestamp,
    ) -> StoreResult<()> {
        let ours = Claim {
            owner: *kept.id.as_bytes(),
            at,
        };
        let value = claimed(kept.account_id, phone);
        match self.claim(&value, Some(*other.id.as_bytes()), ours).await {
            Ok(claim) if claim.owner == ours.owner => Ok(()),
            // Nobody's, or left behind by another.
            Ok(_) | Err(StoreError::Busy) => self.claim_phone(kept.account_id, phone, kept.id, at).await,
            Err(error) => Err(error),
        }
    }

    /// Removes the duplicate if it is what was taken over. Its numbers are the kept lead's by then.
    async fn give_up(&self, revision: u64, other: &Lead) -> StoreResult<bool> {
        let key = values![other.account_id, other.id];
        let is_gone = self
            .write_revision(&TABLE, &key, Some(revision), None, Vec::new())
            .await?;
        if is_gone {
            let ids = (other.account_id, other.id);
            self.strike_lead(ids, entries(Some(other)).iter(), revision + 1)
                .await?;
            let position = place(other.created_at, other.id.as_bytes());
            self.take_position(other.account_id, List::Leads, position)
                .await?;
        }
        Ok(is_gone)
    }

    /// Leads that share an e-mail address, by the newest of each group.
    pub(super) async fn groups_by_email(
        &self,
        account: AccountId,
        request: &PageRequest,
    ) -> StoreResult<Page<SameEmail>> {
        let window = Window::of(List::Leads, request)?;
        let wanted = usize::try_from(window.fetch).unwrap_or(usize::MAX);
        let (mut cursor, mut looked_at, mut found) = (request.cursor.clone(), 0, Vec::new());
        loop {
            let page = PageRequest {
                limit: LEADS_PER_PAGE,
                cursor,
            };
            let page = self.list(account, page).await?;
            looked_at += page.items.len();
            let leads = page.items.clone();
            let groups = leads
                .into_iter()
                .map(|lead| async move { self.group_of(&lead).await });
            let groups: Vec<Option<SameEmail>> =
                stream::iter(groups).buffered(READS_AT_ONCE).try_collect().await?;
            let last = page
                .items
                .last()
                .map(|lead| place(lead.created_at, lead.id.as_bytes()));
            for (lead, group) in page.items.iter().zip(groups) {
                found.extend(group.map(|group| (place(lead.created_at, lead.id.as_bytes()), group)));
            }
            cursor = page.next_cursor;
            match last {
                Some(_) if found.len() >= wanted => {
                    found.truncate(wanted);
                    return Ok(window.page(found));
                }
                Some(last) if cursor.is_some() && looked_at >= LOOKED_AT_MAX => {
                    return Ok(window.page_up_to(found, last));
                }
                Some(_) if cursor.is_some() => (),
                Some(_) | None => return Ok(window.page(found)),
            }
        }
    }

    /// The group that a lead is the newest of.
    async fn group_of(&self, lead: &Lead) -> StoreResult<Option<SameEmail>> {
        let Some(email) = lead.email.as_deref().map(folded) else {
            return Ok(None);
        };
        let mut ids = self.leads_by_email(lead.account_id, &email).await?;
        if ids.len() < 2 {
            return Ok(None);
        }
        ids.truncate(COUNTED_MAX);
        let mut leads = self.leads_at(lead.account_id, ids).await?;
        leads.retain(|lead| lead.email.as_deref().map(folded).as_ref() == Some(&email));
        leads.sort_by_key(|lead| (lead.created_at, lead.id));
        if leads.len() < 2 || leads.last().is_none_or(|newest| newest.id != lead.id) {
            return Ok(None);
        }
        let count = u64::try_from(leads.len()).unwrap_or(u64::MAX);
        leads.truncate(usize::from(SAME_EMAIL_MAX));
        Ok(Some(SameEmail::new(email, leads, count)))
    }
}
