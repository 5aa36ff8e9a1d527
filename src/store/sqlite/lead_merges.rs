//! Merged leads in SQLite: one transaction, and the names that a lead is found by besides its own.
//!
//! `lead_names` follows from the leads' bodies: an id (`lea_…`), a number (`+…`) or an e-mail address, whose lead is known by it.

use rusqlite::Connection;

use super::{
    columns::{Count, bodies, find, missing},
    cursor::{Position, Window},
    leads, observations,
};
use crate::{
    domain::{
        email::folded,
        hex::hex,
        ids::{AccountId, LeadId},
        lead::{Lead, MergeRefusal, Merged, merge},
        time::Timestamp,
    },
    store::{
        Page, StoreResult,
        leads::{SAME_EMAIL_MAX, SameEmail},
        runs::is_named,
    },
};

/// The lead of an account that is known by a name which is not its own.
pub(super) fn named(db: &Connection, account: AccountId, name: &str) -> StoreResult<Option<Lead>> {
    find(
        db,
        "SELECT leads.body FROM lead_names JOIN leads ON leads.id = lead_names.lead
         WHERE lead_names.account = ?1 AND lead_names.name = ?2 ORDER BY leads.created_at, leads.id LIMIT 1",
        (account, name),
    )
}

/// Writes down by what a lead is known besides, when that is not what it was.
pub(super) fn rename(db: &Connection, before: &Merged, lead: &Lead) -> StoreResult<()> {
    if *before == lead.merged {
        return Ok(());
    }
    forget(db, lead.id)?;
    let ids = lead.merged.ids.iter().map(LeadId::to_string);
    let phones = lead.merged.phones.iter().map(ToString::to_string);
    let emails = lead.merged.emails.iter().map(|email| folded(email));
    for name in ids.chain(phones).chain(emails) {
        db.prepare_cached(
            "INSERT INTO lead_names (account, name, lead) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute((lead.account_id, name, lead.id))?;
    }
    Ok(())
}

/// A lead is known by nothing any more.
pub(super) fn forget(db: &Connection, lead: LeadId) -> StoreResult<()> {
    db.prepare_cached("DELETE FROM lead_names WHERE lead = ?1")?
        .execute([lead])?;
    Ok(())
}

/// Makes two leads one.
pub(super) fn apply(
    db: &Connection,
    account: AccountId,
    kept: LeadId,
    duplicate: LeadId,
    at: Timestamp,
) -> StoreResult<Result<Lead, MergeRefusal>> {
    let before = leads::own(db, account, kept)?.ok_or_else(|| missing("lead", kept))?;
    let Some(other) = leads::own(db, account, duplicate)? else {
        return if before.merged.ids.contains(&duplicate) {
            Ok(Ok(before))
        } else {
            Err(missing("lead", duplicate))
        };
    };
    let mut after = before.clone();
    if let Err(refusal) = after.absorb(&other) {
        return Ok(Err(refusal));
    }
    after.updated_at = at;
    // A number is in one row: the duplicate's goes first.
    db.prepare_cached("DELETE FROM leads WHERE id = ?1 AND account = ?2")?
        .execute((duplicate, account))?;
    forget(db, duplicate)?;
    leads::replace(db, &after)?;
    for fact in merge::merge_facts(&before, &after, duplicate, at) {
        observations::keep(db, &fact)?;
    }
    Ok(Ok(after))
}

/// Every id, as a JSON list in hex, of those leads in which a duplicate was merged and whose name or one of whose numbers holds `text`.
pub(super) fn ids_of_named(db: &Connection, account: AccountId, text: &str) -> StoreResult<String> {
    let leads: Vec<Lead> = bodies(
        db,
        "SELECT body FROM leads WHERE account = ?1 AND id IN (SELECT lead FROM lead_names WHERE account = ?1)",
        [account],
    )?;
    let named = leads.iter().filter(|lead| is_named(lead, text));
    let ids: Vec<String> = named.flat_map(Lead::ids).map(|id| hex(id.as_bytes())).collect();
    Ok(serde_json::to_string(&ids)?)
}

/// Leads that share an e-mail address, by the newest of each group.
pub(super) fn same_email(
    db: &Connection,
    account: AccountId,
    window: &Window,
) -> StoreResult<Page<SameEmail>> {
    let mut statement = db.prepare_cached(
        "SELECT created_at, id, email FROM leads WHERE account = ?1 AND (created_at, id) < (?2, ?3) AND email IS NOT NULL
           AND EXISTS (SELECT 1 FROM leads other WHERE other.account = leads.account AND other.email = leads.email
               AND (other.created_at, other.id) < (leads.created_at, leads.id))
           AND NOT EXISTS (SELECT 1 FROM leads other WHERE other.account = leads.account AND other.email = leads.email
               AND (other.created_at, other.id) > (leads.created_at, leads.id))
         ORDER BY created_at DESC, id DESC LIMIT ?4",
    )?;
    let mut rows = statement.query((account, window.after.at, window.after.id, window.fetch))?;
    let mut groups = Vec::new();
    while let Some(row) = rows.next()? {
        let position = Position {
            at: row.get(0)?,
            id: row.get(1)?,
        };
        groups.push((position, group(db, account, row.get(2)?)?));
    }
    Ok(window.page(groups))
}

fn group(db: &Connection, account: AccountId, email: String) -> StoreResult<SameEmail> {
    let leads: Vec<Lead> = bodies(
        db,
        "SELECT body FROM leads WHERE account = ?1 AND email = ?2 ORDER BY created_at, id LIMIT ?3",
        (account, &email, i64::from(SAME_EMAIL_MAX)),
    )?;
    let Count(count) = db
        .prepare_cached("SELECT count(*) FROM leads WHERE account = ?1 AND email = ?2")?
        .query_row((account, &email), |row| row.get(0))?;
    Ok(SameEmail::new(email, leads, count))
}
