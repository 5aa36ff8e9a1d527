//! Changes to an account's people in SQLite: each is one write, so that an account keeps an owner whatever is asked at once.

use rusqlite::Connection;

use super::{
    accounts::user,
    columns::{bodies, body, missing},
    sessions,
};
use crate::{
    domain::ids::{AccountId, UserId},
    store::{
        StoreResult,
        accounts::{Role, Staffing, User, UserChange},
    },
};

pub(super) fn change(
    db: &Connection,
    account: AccountId,
    id: UserId,
    change: UserChange,
) -> StoreResult<Staffing> {
    let before = member(db, account, id)?;
    let after = User {
        name: change.name.unwrap_or_else(|| before.name.clone()),
        role: change.role.unwrap_or(before.role),
        ..before.clone()
    };
    if before.role == Role::Owner && after.role != Role::Owner && is_last_owner(db, &before)? {
        return Ok(Staffing::LastOwner);
    }
    db.prepare_cached("UPDATE users SET body = ?2 WHERE id = ?1")?
        .execute((id, body(&after)?))?;
    Ok(Staffing::Changed(after))
}

pub(super) fn delete(db: &Connection, account: AccountId, id: UserId) -> StoreResult<Staffing> {
    let person = member(db, account, id)?;
    if person.role == Role::Owner && is_last_owner(db, &person)? {
        return Ok(Staffing::LastOwner);
    }
    sessions::delete_of(db, id)?;
    db.prepare_cached("DELETE FROM api_keys WHERE user = ?1 AND account = ?2")?
        .execute((id, account))?;
    db.prepare_cached("DELETE FROM users WHERE id = ?1")?
        .execute([id])?;
    Ok(Staffing::Changed(person))
}

fn member(db: &Connection, account: AccountId, id: UserId) -> StoreResult<User> {
    let person = user(db, id)?;
    if person.account_id == account {
        Ok(person)
    } else {
        Err(missing("user", id))
    }
}

fn is_last_owner(db: &Connection, owner: &User) -> StoreResult<bool> {
    let people: Vec<User> = bodies(
        db,
        "SELECT body FROM users WHERE account = ?1 ORDER BY created_at, id",
        [owner.account_id],
    )?;
    Ok(!people
        .iter()
        .any(|person| person.role == Role::Owner && person.id != owner.id))
}
