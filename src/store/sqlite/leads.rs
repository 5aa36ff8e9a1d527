//! Leads in SQLite. A phone number belongs to one lead of an account; an e-mail address may be shared.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::{
    columns::{bodies, body, find, missing, page_of_bodies},
    cursor::{List, Window},
    database::Sqlite,
    lead_edits, lead_merges, numbers, observations,
};
use crate::{
    domain::{
        consent::{ConsentChange, OptOut},
        email::folded,
        ids::{AccountId, LeadId},
        lead::{EditRefusal, KeyedEdit, Lead, LeadEdited, MergeRefusal, Merged},
        observation::Observation,
        phone::PhoneNumber,
        time::Timestamp,
    },
    store::{LeadStore, Page, PageRequest, StoreError, StoreResult, leads::SameEmail},
};

#[async_trait]
impl LeadStore for Sqlite {
    async fn introduce(&self, lead: Lead, facts: Vec<Observation>) -> StoreResult<()> {
        self.write(move |db| {
            refuse_taken_phone(db, &lead)?;
            insert(db, lead)?;
            for fact in &facts {
                observations::keep(db, fact)?;
            }
            Ok(())
        })
        .await
    }

    async fn find_or_create_by_phone(&self, lead: Lead) -> StoreResult<(Lead, bool)> {
        self.write(move |db| {
            let known = match &lead.phone {
                Some(phone) => by_phone(db, lead.account_id, phone)?,
                None => None,
            };
            match known {
                Some(known) => Ok((known, false)),
                None => Ok((insert(db, lead)?, true)),
            }
        })
        .await
    }

    async fn change_consent(
        &self,
        account_id: AccountId,
        id: LeadId,
        change: ConsentChange,
        at: Timestamp,
    ) -> StoreResult<(Lead, bool)> {
        self.write(move |db| {
            let mut lead = get(db, account_id, id)?;
            let differs = lead.change_consent(&change);
            if differs {
                lead.updated_at = at;
                replace(db, &lead)?;
            }
            Ok((lead, differs))
        })
        .await
    }

    async fn delete(&self, account_id: AccountId, id: LeadId) -> StoreResult<()> {
        self.write(move |db| {
            let lead = own(db, account_id, id)?.ok_or_else(|| missing("lead", id))?;
            db.prepare_cached("DELETE FROM leads WHERE id = ?1 AND account = ?2")?
                .execute((id, account_id))?;
            for phone in lead.phones() {
                numbers::left_by(db, &lead, phone)?;
            }
            lead_merges::forget(db, id)?;
            for id in lead.ids() {
                lead_edits::forget(db, id)?;
            }
            Ok(())
        })
        .await
    }

    async fn get(&self, account_id: AccountId, id: LeadId) -> StoreResult<Lead> {
        self.read(move |db| get(db, account_id, id)).await
    }

    async fn by_phone(&self, account_id: AccountId, phone: &PhoneNumber) -> StoreResult<Option<Lead>> {
        let phone = phone.clone();
        self.read(move |db| by_phone(db, account_id, &phone)).await
    }

    async fn opt_out_under(&self, account_id: AccountId, key: &str) -> StoreResult<OptOut> {
        let key = key.to_owned();
        self.read(move |db| numbers::opt_out_under(db, account_id, &key))
            .await
    }

    async fn by_email(&self, account_id: AccountId, email: &str) -> StoreResult<Option<Lead>> {
        let email = folded(email);
        self.read(move |db| {
            let own = find(
                db,
                "SELECT body FROM leads WHERE account = ?1 AND email = ?2 ORDER BY created_at, id LIMIT 1",
                (account_id, &email),
            )?;
            match own {
                Some(lead) => Ok(Some(lead)),
                None => lead_merges::named(db, account_id, &email),
            }
        })
        .await
    }

    async fn edit(&self, edit: KeyedEdit) -> StoreResult<Result<LeadEdited, EditRefusal>> {
        self.write(move |db| lead_edits::apply(db, &edit)).await
    }

    async fn merge(
        &self,
        account_id: AccountId,
        kept: LeadId,
        duplicate: LeadId,
        at: Timestamp,
    ) -> StoreResult<Result<Lead, MergeRefusal>> {
        self.write(move |db| lead_merges::apply(db, account_id, kept, duplicate, at))
            .await
    }

    async fn same_email(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<SameEmail>> {
        let window = Window::of(List::Leads, &page)?;
        self.read(move |db| lead_merges::same_email(db, account_id, &window))
            .await
    }

    async fn walk(
        &self,
        account_id: AccountId,
        after: Option<(Timestamp, LeadId)>,
        limit: u32,
    ) -> StoreResult<Vec<Lead>> {
        self.read(move |db| match after {
            Some((at, id)) => bodies(
                db,
                "SELECT body FROM leads WHERE account = ?1 AND (created_at, id) > (?2, ?3)
                 ORDER BY created_at, id LIMIT ?4",
                (account_id, at, id, limit),
            ),
            None => bodies(
                db,
                "SELECT body FROM leads WHERE account = ?1 ORDER BY created_at, id LIMIT ?2",
                (account_id, limit),
            ),
        })
        .await
    }

    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<Lead>> {
        let window = Window::of(List::Leads, &page)?;
        self.read(move |db| {
            page_of_bodies(
                db,
                "SELECT created_at, id, body FROM leads WHERE account = ?4 AND (created_at, id) < (?1, ?2)
                 ORDER BY created_at DESC, id DESC LIMIT ?3",
                &[&account_id],
                &window,
            )
        })
        .await
    }
}

fn get(db: &Connection, account: AccountId, id: LeadId) -> StoreResult<Lead> {
    by_id(db, account, id)?.ok_or_else(|| missing("lead", id))
}

fn by_phone(db: &Connection, account: AccountId, phone: &PhoneNumber) -> StoreResult<Option<Lead>> {
    let own = find(
        db,
        "SELECT body FROM leads WHERE account = ?1 AND phone = ?2",
        (account, phone.as_str()),
    )?;
    match own {
        Some(lead) => Ok(Some(lead)),
        None => lead_merges::named(db, account, phone.as_str()),
    }
}

/// Reads one lead of an account; by the id of a duplicate the one that it was merged into.
pub(super) fn by_id(db: &Connection, account: AccountId, id: LeadId) -> StoreResult<Option<Lead>> {
    match own(db, account, id)? {
        Some(lead) => Ok(Some(lead)),
        None => lead_merges::named(db, account, &id.to_string()),
    }
}

/// Reads the lead that has this very id.
pub(super) fn own(db: &Connection, account: AccountId, id: LeadId) -> StoreResult<Option<Lead>> {
    find(
        db,
        "SELECT body FROM leads WHERE id = ?1 AND account = ?2",
        (id, account),
    )
}

/// Writes a lead over its earlier self. A number it gives up keeps the opt-out, a new one brings its own.
pub(super) fn replace(db: &Connection, lead: &Lead) -> StoreResult<()> {
    let before = get(db, lead.account_id, lead.id)?;
    let mut lead = lead.clone();
    if lead.phone != before.phone {
        if let Some(phone) = &before.phone {
            numbers::left_by(db, &before, phone)?;
        }
        numbers::take_on(db, &mut lead)?;
    }
    let updated = db
        .prepare_cached(
            "UPDATE leads SET phone = ?3, email = ?4, assigned_to = ?5, body = ?6 WHERE id = ?1 AND account = ?2",
        )?
        .execute(params![
            lead.id,
            lead.account_id,
            lead.phone.as_ref().map(PhoneNumber::as_str),
            lead.email.as_deref().map(folded),
            lead.assigned_to,
            body(&lead)?,
        ])?;
    if updated == 0 {
        Err(missing("lead", lead.id))
    } else {
        lead_merges::rename(db, &before.merged, &lead)
    }
}

pub(super) fn refuse_taken_phone(db: &Connection, lead: &Lead) -> StoreResult<()> {
    let Some(phone) = &lead.phone else { return Ok(()) };
    match by_phone(db, lead.account_id, phone)? {
        Some(holder) if holder.id != lead.id => Err(StoreError::Taken { field: "phone" }),
        Some(_) | None => Ok(()),
    }
}

/// Writes a lead that is new, and returns it with what its number had opted out of before.
fn insert(db: &Connection, mut lead: Lead) -> StoreResult<Lead> {
    numbers::take_on(db, &mut lead)?;
    let inserted = db
        .prepare_cached(
            "INSERT INTO leads (id, account, created_at, phone, email, assigned_to, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            lead.id,
            lead.account_id,
            lead.created_at,
            lead.phone.as_ref().map(PhoneNumber::as_str),
            lead.email.as_deref().map(folded),
            lead.assigned_to,
            body(&lead)?,
        ])?;
    if inserted == 0 {
        return Err(StoreError::Taken { field: "id" });
    }
    lead_merges::rename(db, &Merged::default(), &lead)?;
    Ok(lead)
}
