//! What phone numbers have opted out of that no lead has any more.
//!
//! A lead that is deleted, or gets another number, leaves its opt-out with the number; the next lead with the number takes it on.

use rusqlite::Connection;

use super::columns::{body, find};
use crate::{
    domain::{consent::OptOut, ids::AccountId, lead::Lead, phone::PhoneNumber},
    store::StoreResult,
};

/// What the last lead with the number had opted out of.
pub(super) fn opt_out_of(db: &Connection, account: AccountId, phone: &PhoneNumber) -> StoreResult<OptOut> {
    let kept = find(
        db,
        "SELECT body FROM opted_out_numbers WHERE account = ?1 AND phone = ?2",
        (account, phone.as_str()),
    )?;
    Ok(kept.unwrap_or_default())
}

/// Keeps the opt-out of a lead with the number that it has no more.
pub(super) fn left_by(db: &Connection, lead: &Lead) -> StoreResult<()> {
    let opt_out = lead.opt_out();
    let Some(phone) = lead.phone.as_ref().filter(|_| opt_out.opted_out) else {
        return Ok(());
    };
    db.prepare_cached("INSERT INTO opted_out_numbers (account, phone, body) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET body = ?3")?
        .execute((lead.account_id, phone.as_str(), body(&opt_out)?))?;
    Ok(())
}

/// Lets a lead take on what its number had opted out of.
pub(super) fn take_on(db: &Connection, lead: &mut Lead) -> StoreResult<()> {
    if let Some(phone) = lead.phone.clone() {
        lead.join_opt_out(&opt_out_of(db, lead.account_id, &phone)?);
        db.prepare_cached("DELETE FROM opted_out_numbers WHERE account = ?1 AND phone = ?2")?
            .execute((lead.account_id, phone.as_str()))?;
    }
    Ok(())
}
