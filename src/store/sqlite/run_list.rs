//! Which runs a list shows: every condition becomes part of the statement, so that the planner sees the index it can use.

use rusqlite::{Connection, ToSql, named_params};

use super::{
    columns::millis,
    cursor::{Position, Window},
    lead_merges,
    runs::{HEAD, head},
};
use crate::{
    domain::ids::AccountId,
    store::{
        Page, StoreResult,
        runs::{RunFilter, RunHead, RunStatus},
    },
};

/// Reads one page of an account's runs, newest first.
pub(super) fn list(
    db: &Connection,
    account: AccountId,
    filter: &RunFilter,
    window: &Window,
) -> StoreResult<Page<RunHead>> {
    // The conditions decide the index; a missing one must not be in the text, or the planner would not see it.
    let mut sql =
        format!("SELECT {HEAD} FROM runs WHERE account = :account AND (started_at, id) < (:at, :id)");
    let mut params: Vec<(&str, &dyn ToSql)> = Vec::from(named_params! {
        ":account": account, ":at": window.after.at, ":id": window.after.id, ":fetch": window.fetch,
    });
    if let Some(workflow) = &filter.workflow_id {
        sql.push_str(" AND workflow = :workflow");
        params.push((":workflow", workflow));
    }
    if let Some(lead) = &filter.lead_id {
        sql.push_str(" AND lead = :lead");
        params.push((":lead", lead));
    }
    if let Some(retried) = &filter.retry_of {
        sql.push_str(" AND retry_of = :retried");
        params.push((":retried", retried));
    }
    if let Some(status) = &filter.status {
        sql.push_str(" AND status = :status");
        params.push((":status", status));
    }
    if filter.only_active {
        sql.push_str(" AND status IN (:running, :waiting, :stuck)");
        params.extend_from_slice(named_params! {
            ":running": RunStatus::Running, ":waiting": RunStatus::Waiting, ":stuck": RunStatus::Stuck,
        });
    }
    let text = match filter.text.as_deref() {
        Some(text) => Some((contains(text), lead_merges::ids_of_named(db, account, text)?)),
        None => None,
    };
    if let Some((text, merged)) = &text {
        // The one search without an index: it reads the account's leads.
        sql.push_str(
            " AND (lead IN (SELECT id FROM leads WHERE account = :account
                AND (json_extract(body, '$.name') LIKE :text ESCAPE '\\' OR phone LIKE :text ESCAPE '\\'))
              OR lead IN (SELECT unhex(value) FROM json_each(:merged)))",
        );
        params.push((":text", text));
        params.push((":merged", merged));
    }
    if let Some(from) = &filter.from {
        sql.push_str(" AND started_at >= :from");
        params.push((":from", from));
    }
    if let Some(until) = &filter.until {
        sql.push_str(" AND started_at < :until");
        params.push((":until", until));
    }
    sql.push_str(" ORDER BY started_at DESC, id DESC LIMIT :fetch");
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params.as_slice(), |row| {
        let run = head(row)?;
        Ok((
            Position {
                at: millis(run.started_at),
                id: *run.id.as_bytes(),
            },
            run,
        ))
    })?;
    Ok(window.page(rows.collect::<rusqlite::Result<_>>()?))
}

/// The pattern for texts that hold `text`, whose own wildcards mean themselves.
fn contains(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
