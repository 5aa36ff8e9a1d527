//! What phone numbers have opted out of that no lead has any more.
//!
//! A lead that is deleted, or gets another number, leaves its opt-out with the hash of the number; the next lead with the number takes it
//! on.

use rusqlite::Connection;

use super::columns::{body, find};
use crate::{
    domain::{consent::OptOut, erasure::opt_out_key, ids::AccountId, lead::Lead, phone::PhoneNumber},
    store::StoreResult,
};

/// What is kept under a key.
pub(super) fn opt_out_under(db: &Connection, account: AccountId, key: &str) -> StoreResult<OptOut> {
    let kept = find(
        db,
        "SELECT body FROM opted_out_numbers WHERE account = ?1 AND phone = ?2",
        (account, key),
    )?;
    Ok(kept.unwrap_or_default())
}

/// Keeps the opt-out of a lead with a number that it has no more.
pub(super) fn left_by(db: &Connection, lead: &Lead, phone: &PhoneNumber) -> StoreResult<()> {
    let opt_out = lead.opt_out();
    if !opt_out.opted_out {
        return Ok(());
    }
    db.prepare_cached("INSERT INTO opted_out_numbers (account, phone, body) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET body = ?3")?
        .execute((
            lead.account_id,
            opt_out_key(lead.account_id, phone),
            body(&opt_out)?,
        ))?;
    Ok(())
}

/// Lets a lead take on what its number had opted out of.
pub(super) fn take_on(db: &Connection, lead: &mut Lead) -> StoreResult<()> {
    if let Some(phone) = lead.phone.clone() {
        // The first versions kept the number itself.
        for key in [opt_out_key(lead.account_id, &phone), phone.as_str().to_owned()] {
            lead.join_opt_out(&opt_out_under(db, lead.account_id, &key)?);
            db.prepare_cached("DELETE FROM opted_out_numbers WHERE account = ?1 AND phone = ?2")?
                .execute((lead.account_id, key))?;
        }
    }
    Ok(())
}
