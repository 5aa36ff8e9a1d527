//! Edits of leads: the change, the facts that follow and the key of whoever comes again, in one transaction.

use rusqlite::{Connection, OptionalExtension};

use super::{
    columns::{bodies, body, find},
    leads, observations,
};
use crate::{
    domain::{
        email::folded,
        ids::{AccountId, LeadId, UserId},
        lead::{AssignRule, Assignee, EditBy, EditRefusal, KeyedEdit, Lead, LeadEdit, LeadEdited},
    },
    store::{
        StoreError, StoreResult,
        accounts::{Role, User},
    },
};

/// Makes the edit unless its key is noted already.
pub(super) fn apply(db: &Connection, edit: &KeyedEdit) -> StoreResult<Result<LeadEdited, EditRefusal>> {
    // Facts are kept with the change: only an effect that moves something on, like a score, must be told from its repeat.
    let is_noted = matches!(edit.by, EditBy::Run(_));
    let noted: Option<LeadEdited> = if is_noted {
        find(
            db,
            "SELECT result FROM lead_edits WHERE lead = ?1 AND key = ?2",
            (edit.lead_id, &edit.key),
        )?
    } else {
        None
    };
    if let Some(noted) = noted {
        return Ok(Ok(noted));
    }
    let Some(before) = leads::by_id(db, edit.account_id, edit.lead_id)? else {
        return Ok(Err(EditRefusal::LeadGone(edit.lead_id)));
    };
    if let Err(refusal) = edit.check(&before) {
        return Ok(Err(refusal));
    }
    let after = match edited(db, edit, &before)? {
        Ok(after) => after,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let facts = edit.facts(&before, &after);
    if !facts.is_empty() {
        let after = Lead {
            updated_at: edit.at,
            ..after.clone()
        };
        leads::replace(db, &after)?;
    }
    for fact in &facts {
        if edit.is_told() {
            observations::keep(db, fact)?;
        } else {
            observations::keep_untold(db, fact)?;
        }
    }
    let result = edit.result(&before, &after);
    if is_noted {
        db.prepare_cached("INSERT INTO lead_edits (lead, key, result, at) VALUES (?1, ?2, ?3, ?4)")?
            .execute((edit.lead_id, &edit.key, body(&result)?, edit.at))?;
    }
    Ok(Ok(result))
}

/// Forgets the edits of a lead that is gone.
pub(super) fn forget(db: &Connection, lead: LeadId) -> StoreResult<()> {
    db.prepare_cached("DELETE FROM lead_edits WHERE lead = ?1")?
        .execute([lead])?;
    Ok(())
}

fn edited(db: &Connection, edit: &KeyedEdit, before: &Lead) -> StoreResult<Result<Lead, EditRefusal>> {
    match &edit.edit {
        LeadEdit::Update(update) => unless_taken(db, before.updated(update)),
        LeadEdit::Change(change) => unless_taken(db, before.changed(change).map_err(EditRefusal::Fields)),
        LeadEdit::Row(row) => unless_taken(db, row.over(before).map_err(EditRefusal::Cell)),
        LeadEdit::Score(change) => Ok(Ok(before.scored(*change))),
        LeadEdit::Assign { unless_assigned, .. } if *unless_assigned && before.assigned_to.is_some() => {
            Ok(Ok(before.clone()))
        }
        LeadEdit::Assign { to, .. } => Ok(assignee(db, edit.account_id, to)?.map(|user| Lead {
            assigned_to: Some(user),
            ..before.clone()
        })),
    }
}

/// The lead as it is to be, unless its number is another's.
fn unless_taken(db: &Connection, after: Result<Lead, EditRefusal>) -> StoreResult<Result<Lead, EditRefusal>> {
    let after = match after {
        Ok(after) => after,
        Err(refusal) => return Ok(Err(refusal)),
    };
    match leads::refuse_taken_phone(db, &after) {
        Ok(()) => Ok(Ok(after)),
        Err(StoreError::Taken { .. }) => Ok(Err(EditRefusal::PhoneTaken)),
        Err(error) => Err(error),
    }
}

fn assignee(
    db: &Connection,
    account: AccountId,
    wanted: &Assignee,
) -> StoreResult<Result<UserId, EditRefusal>> {
    let users: Vec<User> = bodies(
        db,
        "SELECT body FROM users WHERE account = ?1 ORDER BY created_at, id",
        [account],
    )?;
    let named = |name: &String| {
        let email = folded(name);
        users
            .iter()
            .find(|user| user.email == email || user.id.to_string() == *name)
            .map(|user| user.id)
            .ok_or_else(|| EditRefusal::UnknownUser(name.clone()))
    };
    match wanted {
        Assignee::One(name) => Ok(named(name)),
        Assignee::ByRule { rule, among } => {
            let pool: Result<Vec<UserId>, EditRefusal> = if among.is_empty() {
                let agents = users.iter().filter(|user| user.role == Role::Agent);
                Ok(agents.map(|user| user.id).collect())
            } else {
                among.iter().map(named).collect()
            };
            match pool {
                Ok(pool) => chosen(db, account, *rule, pool),
                Err(refusal) => Ok(Err(refusal)),
            }
        }
    }
}

fn chosen(
    db: &Connection,
    account: AccountId,
    rule: AssignRule,
    mut pool: Vec<UserId>,
) -> StoreResult<Result<UserId, EditRefusal>> {
    // Ids sort by time: the order in which people came.
    pool.sort_unstable();
    pool.dedup();
    let Some(first) = pool.first().copied() else {
        return Ok(Err(EditRefusal::NoAgents));
    };
    match rule {
        AssignRule::RoundRobin => {
            let name = pool.iter().map(UserId::to_string).collect::<Vec<_>>().join(" ");
            let last: Option<UserId> = db
                .prepare_cached("SELECT last FROM assignment_turns WHERE account = ?1 AND pool = ?2")?
                .query_row((account, &name), |row| row.get(0))
                .optional()?;
            let next = last.and_then(|last| pool.iter().copied().find(|user| *user > last));
            let next = next.unwrap_or(first);
            db.prepare_cached(
                "INSERT INTO assignment_turns (account, pool, last) VALUES (?1, ?2, ?3)
                 ON CONFLICT (account, pool) DO UPDATE SET last = excluded.last",
            )?
            .execute((account, name, next))?;
            Ok(Ok(next))
        }
        AssignRule::LeastBusy => {
            let mut least: Option<(i64, UserId)> = None;
            for user in pool {
                let count: i64 = db
                    .prepare_cached("SELECT count(*) FROM leads WHERE account = ?1 AND assigned_to = ?2")?
                    .query_row((account, user), |row| row.get(0))?;
                if least.is_none_or(|(fewest, _)| count < fewest) {
                    least = Some((count, user));
                }
            }
            Ok(Ok(least.map_or(first, |(_, user)| user)))
        }
    }
}
