//! The tables, as numbered steps from an empty file; `user_version` says how many were taken.
//!
//! A step that was released never changes. Rows that are always read and written whole are one JSON `body` beside the columns
//! that are looked up by. `timers` has no index on `due`: one was measured to halve the appends and more, and the only reader by time is
//! the scan at start.

use rusqlite::Connection;

use crate::store::{StoreError, StoreResult};

const STEPS: &[&str] = &[
    STEP_1, STEP_2, LEAD_EDITS, CLOCKWORK, RETRIES, RUN_PARTS, WEBHOOKS, NUMBERS, RESOURCES, AUDIT,
    LEAD_NAMES,
];

/// The file was written by a later version of the program.
#[derive(Debug, thiserror::Error)]
#[error(
    "the store has schema {found}, this program knows up to {known}: use the program that wrote it, or a newer one"
)]
struct FromTheFuture {
    found: usize,
    known: usize,
}

/// Brings the file up to date, each step in a transaction of its own.
///
/// # Errors
/// `Unavailable` when the file is newer than this program or a step fails; what was done before stays done.
pub(super) fn migrate(db: &Connection) -> StoreResult<()> {
    let (found, known) = (taken(db)?, known());
    if found > known {
        return Err(StoreError::Unavailable(Box::new(FromTheFuture { found, known })));
    }
    for (step, number) in STEPS.iter().zip(1..).skip(found) {
        db.execute_batch(&format!(
            "BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT;"
        ))
        .inspect_err(|_error| super::writer::roll_back(db))?;
    }
    Ok(())
}

/// How many steps the file has taken.
///
/// # Errors
/// `Unavailable` when it cannot be read.
pub(super) fn taken(db: &Connection) -> StoreResult<usize> {
    let version: u32 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    // A version beyond the address space is from the future all the same.
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// How many steps there are.
pub(super) const fn known() -> usize {
    STEPS.len()
}

const STEP_1: &str = "
CREATE TABLE accounts (
    id BLOB PRIMARY KEY, created_at INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE users (
    id BLOB PRIMARY KEY, account BLOB NOT NULL, email TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL,
    body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX users_by_account ON users (account, created_at, id);

CREATE TABLE sessions (
    id BLOB PRIMARY KEY, user BLOB NOT NULL, account BLOB NOT NULL,
    access_hash BLOB NOT NULL UNIQUE, access_until INTEGER NOT NULL,
    refresh_hash BLOB NOT NULL UNIQUE, refresh_until INTEGER NOT NULL, created_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user);
CREATE TABLE used_refresh_hashes (hash BLOB PRIMARY KEY, session BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX used_refresh_hashes_by_session ON used_refresh_hashes (session);

CREATE TABLE api_keys (
    id BLOB PRIMARY KEY, account BLOB NOT NULL, user BLOB NOT NULL, name TEXT NOT NULL, role INTEGER NOT NULL,
    hash BLOB NOT NULL UNIQUE, created_at INTEGER NOT NULL, last_used_at INTEGER) WITHOUT ROWID;
CREATE INDEX api_keys_by_account ON api_keys (account, created_at, id);

CREATE TABLE answers (
    account BLOB NOT NULL, key TEXT NOT NULL, request_hash BLOB NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
    at INTEGER NOT NULL, PRIMARY KEY (account, key)) WITHOUT ROWID;
CREATE INDEX answers_by_age ON answers (at);

CREATE TABLE workflows (
    id BLOB PRIMARY KEY, account BLOB NOT NULL, created_at INTEGER NOT NULL, trigger TEXT NOT NULL,
    live INTEGER NOT NULL, revision INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX workflows_by_account ON workflows (account, created_at, id);
CREATE INDEX workflows_by_trigger ON workflows (account, trigger, created_at, id) WHERE live = 1;
CREATE TABLE workflow_versions (
    workflow BLOB NOT NULL, version INTEGER NOT NULL, published_at INTEGER NOT NULL, definition TEXT NOT NULL,
    PRIMARY KEY (workflow, version));

CREATE TABLE runs (
    id BLOB NOT NULL UNIQUE, account BLOB NOT NULL, workflow BLOB NOT NULL, version INTEGER NOT NULL, lead BLOB, call BLOB,
    trigger TEXT NOT NULL, status INTEGER NOT NULL, revision INTEGER NOT NULL, started_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, ended_at INTEGER, error TEXT, snapshot BLOB NOT NULL);
CREATE INDEX runs_by_account ON runs (account, started_at, id);
CREATE INDEX runs_by_status ON runs (status, account, started_at, id);
CREATE INDEX runs_by_workflow ON runs (workflow, started_at, id);
CREATE INDEX runs_by_lead ON runs (lead, started_at, id) WHERE lead IS NOT NULL;
CREATE TABLE run_counts (
    workflow BLOB PRIMARY KEY, account BLOB NOT NULL, active INTEGER NOT NULL, completed INTEGER NOT NULL,
    failed INTEGER NOT NULL, cancelled INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE journal (
    run BLOB NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (run, seq)) WITHOUT ROWID;
CREATE TABLE timers (
    run BLOB NOT NULL, timer INTEGER NOT NULL, due INTEGER NOT NULL, PRIMARY KEY (run, timer)) WITHOUT ROWID;
CREATE TABLE effects (
    run BLOB NOT NULL, key TEXT NOT NULL, account BLOB NOT NULL, state INTEGER NOT NULL, attempt INTEGER NOT NULL,
    request TEXT NOT NULL, provider_id TEXT, error TEXT, at INTEGER NOT NULL, PRIMARY KEY (run, key)) WITHOUT ROWID;

CREATE TABLE leads (
    id BLOB PRIMARY KEY, account BLOB NOT NULL, created_at INTEGER NOT NULL, phone TEXT, email TEXT, body TEXT NOT NULL);
CREATE INDEX leads_by_account ON leads (account, created_at, id);
CREATE UNIQUE INDEX leads_by_phone ON leads (account, phone) WHERE phone IS NOT NULL;
CREATE INDEX leads_by_email ON leads (account, email, created_at, id) WHERE email IS NOT NULL;

CREATE TABLE calls (
    id BLOB NOT NULL UNIQUE, account BLOB NOT NULL, sid TEXT NOT NULL, facts INTEGER NOT NULL, folded INTEGER NOT NULL,
    terminal INTEGER NOT NULL, started_at INTEGER, body TEXT);
CREATE INDEX calls_by_account ON calls (account, started_at, id) WHERE body IS NOT NULL;
CREATE INDEX calls_by_sid ON calls (account, sid);
CREATE INDEX calls_unsettled ON calls (id) WHERE terminal = 0 OR folded < facts;
CREATE TABLE call_facts (
    call BLOB NOT NULL, ordinal INTEGER NOT NULL, dedupe_key TEXT NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (call, ordinal), UNIQUE (call, dedupe_key)) WITHOUT ROWID;
CREATE TABLE utterances (
    call BLOB NOT NULL, ordinal INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (call, ordinal)) WITHOUT ROWID;

CREATE TABLE observations (
    id BLOB NOT NULL UNIQUE, account BLOB NOT NULL, lead BLOB, at INTEGER NOT NULL, routed INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX observations_by_lead ON observations (lead, at, id) WHERE lead IS NOT NULL;
CREATE INDEX observations_unrouted ON observations (at, id) WHERE routed = 0;

CREATE TABLE alerts (
    id BLOB PRIMARY KEY, account BLOB NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX alerts_by_account ON alerts (account, at, id);

CREATE TABLE tasks (
    id BLOB PRIMARY KEY, account BLOB NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX tasks_by_account ON tasks (account, at, id);

CREATE TABLE messages (
    id BLOB PRIMARY KEY, account BLOB NOT NULL, at INTEGER NOT NULL, provider_id TEXT, body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX messages_by_account ON messages (account, at, id);
CREATE INDEX messages_by_provider ON messages (account, provider_id) WHERE provider_id IS NOT NULL;
";

const STEP_2: &str = "
CREATE TABLE contacts (
    account BLOB NOT NULL, subject TEXT NOT NULL, channel INTEGER NOT NULL, at INTEGER NOT NULL, key TEXT NOT NULL,
    PRIMARY KEY (account, subject, channel, at, key)) WITHOUT ROWID;
CREATE INDEX observations_unrouted_of_lead ON observations (lead, at, id) WHERE routed = 0 AND lead IS NOT NULL;
CREATE INDEX observations_unrouted_of_nobody ON observations (account, at, id) WHERE routed = 0 AND lead IS NULL;
";

/// Who looks after a lead, the edits that runs have made, and whose turn it is to be given the next lead.
const LEAD_EDITS: &str = "
ALTER TABLE leads ADD COLUMN assigned_to BLOB;
CREATE INDEX leads_by_assignee ON leads (account, assigned_to) WHERE assigned_to IS NOT NULL;
CREATE TABLE lead_edits (
    lead BLOB NOT NULL, key TEXT NOT NULL, result TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (lead, key)) WITHOUT ROWID;
CREATE TABLE assignment_turns (
    account BLOB NOT NULL, pool TEXT NOT NULL, last BLOB NOT NULL, PRIMARY KEY (account, pool)) WITHOUT ROWID;
";

/// What triggers by the clock look up: how far they have come, facts they wait after, birthdays. `observations_awaited` holds
/// only the two kinds an `after` waits after, found by the beginning of the row so that other rows cost next to nothing.
const CLOCKWORK: &str = r#"
CREATE TABLE schedules (workflow BLOB PRIMARY KEY, version INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX observations_awaited ON observations (account, at, id)
    WHERE instr(substr(body, 1, 200), '"type":"quote.sent"') OR instr(substr(body, 1, 200), '"type":"purchase.completed"');
CREATE INDEX leads_by_birthday ON leads (account, substr(json_extract(body, '$.fields.birthday'), -5), id)
    WHERE json_extract(body, '$.fields.birthday') IS NOT NULL;
"#;

/// Which run takes which up again.
const RETRIES: &str = "
ALTER TABLE runs ADD COLUMN retry_of BLOB;
CREATE INDEX runs_by_retry ON runs (retry_of, started_at, id) WHERE retry_of IS NOT NULL;
";

/// What is too large to be written with every step of a run: lists that loops work through, outputs of searches.
const RUN_PARTS: &str = "
CREATE TABLE run_parts (
    run BLOB NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (run, part)) WITHOUT ROWID;
";

/// Addresses that others post events to.
const WEBHOOKS: &str = "
CREATE TABLE webhooks (
    id BLOB PRIMARY KEY, account BLOB NOT NULL, user BLOB NOT NULL, name TEXT NOT NULL, hash BLOB NOT NULL,
    created_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX webhooks_by_account ON webhooks (account, created_at, id);
CREATE INDEX webhooks_by_user ON webhooks (user, created_at, id);
";

/// Opt-outs of numbers that no lead has any more.
const NUMBERS: &str = "
CREATE TABLE opted_out_numbers (
    account BLOB NOT NULL, phone TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (account, phone)) WITHOUT ROWID;
";

/// Appointments, quotes, payments and whatever else is kept whole.
const RESOURCES: &str = "
CREATE TABLE resources (
    account BLOB NOT NULL, kind INTEGER NOT NULL, id BLOB NOT NULL, at INTEGER NOT NULL, grouped BLOB, state TEXT NOT NULL,
    open INTEGER NOT NULL, revision INTEGER NOT NULL, body TEXT NOT NULL, UNIQUE (account, kind, id));
CREATE INDEX resources_by_account ON resources (account, kind, at, id);
CREATE INDEX resources_by_group ON resources (account, kind, grouped, at, id) WHERE grouped IS NOT NULL;
CREATE INDEX resources_by_state ON resources (account, kind, state, at, id);
CREATE INDEX resources_open ON resources (kind, account, id) WHERE open = 1;
";

/// Who changed what, and the wrapped keys that secrets are sealed under. An entry is never changed or removed; only what the thing was
/// before and after may be erased.
const AUDIT: &str = "
CREATE TABLE audit (
    account BLOB NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, said TEXT NOT NULL, hash BLOB NOT NULL, details TEXT,
    PRIMARY KEY (account, seq)) WITHOUT ROWID;
CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE OF account, seq, at, said, hash ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_details_are_erased_only BEFORE UPDATE OF details ON audit WHEN NEW.details IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TABLE keyring (part INTEGER PRIMARY KEY, body TEXT NOT NULL);
";

/// Ids, numbers and addresses of duplicates, and the lead that they were merged into.
const LEAD_NAMES: &str = "
CREATE TABLE lead_names (
    account BLOB NOT NULL, name TEXT NOT NULL, lead BLOB NOT NULL, PRIMARY KEY (account, name, lead)) WITHOUT ROWID;
CREATE INDEX lead_names_by_lead ON lead_names (lead);
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_every_step_once() {
        let db = Connection::open_in_memory().expect("memory is enough for a schema");
        migrate(&db).expect("an empty file takes all steps");
        migrate(&db).expect("a current file takes none");
        let version: u32 = db
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .expect("a version");
        assert_eq!(usize::try_from(version), Ok(STEPS.len()));
    }

    #[test]
    fn refuses_a_file_of_a_later_program() {
        let db = Connection::open_in_memory().expect("memory is enough for a schema");
        db.execute_batch("PRAGMA user_version = 999")
            .expect("the version can be set");
        assert!(matches!(migrate(&db), Err(StoreError::Unavailable(_))));
    }
}
