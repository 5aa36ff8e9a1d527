//! Brings the tables up to date: numbered files of `migrations/`, each taken once and recorded.
//!
//! Two nodes may start at once: one takes the lock, whose life is short, and the other waits until everything is recorded. A file
//! that was released never changes; each of its statements may be repeated, because a process can die between two of them.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    address::Address,
    lwt::Verdict,
    session::{Db, Product, Statement},
};
use crate::{
    domain::ids::NodeId,
    store::{StoreError, StoreResult},
};

/// In the order of their numbers. An aggregate adds its tables as a file of its own.
const MIGRATIONS: &[(u32, &str)] = &[
    (1, include_str!("migrations/0001_runs.cql")),
    (2, include_str!("migrations/0002_accounts.cql")),
    (3, include_str!("migrations/0003_workflows.cql")),
    (4, include_str!("migrations/0004_leads.cql")),
    (5, include_str!("migrations/0005_records.cql")),
    (6, include_str!("migrations/0006_numbers.cql")),
    (7, include_str!("migrations/0007_audit.cql")),
    (8, include_str!("migrations/0008_resources.cql")),
];

/// The record of what was taken, and the lock: each name with its columns.
const FOUNDATION: [(&str, &str); 2] = [
    (
        "schema_migrations",
        "part tinyint, number int, at timestamp, PRIMARY KEY (part, number)",
    ),
    ("schema_lock", "part tinyint PRIMARY KEY, holder blob"),
];

const TAKEN: Statement = Statement::read("SELECT number FROM schema_migrations WHERE part = 0");
const RECORD: Statement =
    Statement::write("INSERT INTO schema_migrations (part, number, at) VALUES (0, ?, toTimestamp(now()))");
const LOCK: Statement =
    Statement::conditional("INSERT INTO schema_lock (part, holder) VALUES (0, ?) IF NOT EXISTS USING TTL 60");
const KEEP_LOCK: Statement =
    Statement::conditional("UPDATE schema_lock USING TTL 60 SET holder = ? WHERE part = 0 IF holder = ?");
const HOLDER: Statement = Statement::serial_read("SELECT holder FROM schema_lock WHERE part = 0");
const UNLOCK: Statement = Statement::conditional("DELETE FROM schema_lock WHERE part = 0 IF holder = ?");

const LOOK_EVERY: Duration = Duration::from_millis(300);
const WAIT_MAX: Duration = Duration::from_secs(300);

/// Why the tables cannot be used or brought up to date.
#[derive(Debug, thiserror::Error)]
enum MigrationError {
    #[error(
        "the keyspace has schema {found}, this program knows up to {known}: use the program that made it, or a newer one"
    )]
    FromTheFuture { found: i32, known: u32 },
    #[error("another node has been changing the schema for {} s", WAIT_MAX.as_secs())]
    TooLong,
    #[error("the lock on the schema was lost to another node")]
    LostLock,
}

impl From<MigrationError> for StoreError {
    fn from(error: MigrationError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

/// Makes the keyspace when it is missing, uses it, and takes every step that was not taken yet.
///
/// # Errors
/// `Unavailable` when the keyspace is newer than this program, a step fails, or another node does not come to an end.
pub(super) async fn migrate(db: &Db, product: Product, address: &Address) -> StoreResult<()> {
    make_keyspace(db, product, address).await?;
    db.session().use_keyspace(&address.keyspace, false).await?;
    for (table, columns) in FOUNDATION {
        let id = table_id(&address.keyspace, table);
        let create = format!("CREATE TABLE IF NOT EXISTS {table} ({columns}) WITH id = {id}");
        db.session().query_unpaged(create, ()).await?;
    }
    let holder = NodeId::fresh();
    let since = Instant::now();
    while !missing(db).await?.is_empty() {
        let outcome = db.conditional(LOCK, (holder,)).await;
        if db.settled(outcome, || is_held(db, holder)).await? == Verdict::Applied {
            let outcome = take_all(db, holder).await;
            // Nobody holds it for longer than its time to live in any case.
            if let Err(error) = db.conditional(UNLOCK, (holder,)).await {
                tracing::warn!(%error, "the lock on the schema ends by itself");
            }
            return outcome;
        }
        if since.elapsed() > WAIT_MAX {
            return Err(MigrationError::TooLong.into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// The id of a table of the foundation: always the same, so that two nodes that make it at the same moment make one. No two
/// keyspaces of a server may have a table of one id.
fn table_id(keyspace: &str, table: &str) -> Uuid {
    let digest = Sha256::digest(format!("{keyspace}.{table}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// How many steps are not taken yet: all of them where there is no keyspace. Changes nothing.
///
/// # Errors
/// `Unavailable` when the keyspace is newer than this program, or cannot be read.
pub(super) async fn left(db: &Db, address: &Address) -> StoreResult<usize> {
    if !has_keyspace(db, address).await? {
        return Ok(MIGRATIONS.len());
    }
    db.session().use_keyspace(&address.keyspace, false).await?;
    Ok(missing(db).await?.len())
}

async fn has_keyspace(db: &Db, address: &Address) -> StoreResult<bool> {
    let known = db
        .session()
        .query_unpaged(
            "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?",
            (&address.keyspace,),
        )
        .await?;
    Ok(known.into_rows_result()?.rows_num() > 0)
}

async fn make_keyspace(db: &Db, product: Product, address: &Address) -> StoreResult<()> {
    if has_keyspace(db, address).await? {
        return Ok(());
    }
    let create = format!(
        "CREATE KEYSPACE IF NOT EXISTS {} WITH replication = {{'class': 'NetworkTopologyStrategy', 'replication_factor': {}}}",
        address.keyspace, address.replication
    );
    match product {
        Product::Cassandra => {
            db.session().query_unpaged(create, ()).await?;
        }
        // Releases that keep data in tablets by default refuse lightweight transactions there, up to 2025.x; those that know no
        // tablets refuse the option.
        Product::ScyllaDb => {
            let without = format!("{create} AND tablets = {{'enabled': false}}");
            if db.session().query_unpaged(without, ()).await.is_err() {
                db.session().query_unpaged(create, ()).await?;
            }
        }
    }
    Ok(())
}

/// The steps that are not recorded.
async fn missing(db: &Db) -> StoreResult<Vec<&'static (u32, &'static str)>> {
    let taken: Vec<(i32,)> = db.rows(TAKEN, ()).await?;
    let known = MIGRATIONS.last().map_or(0, |(number, _)| *number);
    if let Some((found,)) = taken
        .iter()
        .find(|(number,)| u32::try_from(*number).is_ok_and(|number| number > known))
    {
        return Err(MigrationError::FromTheFuture { found: *found, known }.into());
    }
    Ok(MIGRATIONS
        .iter()
        .filter(|(number, _)| !taken.iter().any(|(done,)| u32::try_from(*done) == Ok(*number)))
        .collect())
}

async fn take_all(db: &Db, holder: NodeId) -> StoreResult<()> {
    for (number, text) in missing(db).await? {
        for statement in statements(text) {
            let outcome = db.conditional(KEEP_LOCK, (holder, holder)).await;
            if db.settled(outcome, || is_held(db, holder)).await? == Verdict::Refused {
                return Err(MigrationError::LostLock.into());
            }
            // The driver waits until every node knows of it.
            db.session().query_unpaged(statement, ()).await?;
        }
        let number = i32::try_from(*number).unwrap_or(i32::MAX);
        db.write(RECORD, (number,)).await?;
        tracing::info!(number, "a step of the schema was taken");
    }
    Ok(())
}

async fn is_held(db: &Db, holder: NodeId) -> StoreResult<bool> {
    let row: Option<(Option<NodeId>,)> = db.first(HOLDER, ()).await?;
    Ok(row == Some((Some(holder),)))
}

/// The statements of a file: they end with `;` at the end of a line, and `--` begins a comment.
fn statements(file: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut statement = String::new();
    for line in file.lines() {
        let line = line.split("--").next().unwrap_or_default().trim_end();
        match line.strip_suffix(';') {
            Some(last) => {
                statement.push_str(last);
                statements.push(std::mem::take(&mut statement));
            }
            None => {
                statement.push_str(line);
                statement.push('\n');
            }
        }
    }
    statements
}

/// How many steps there are.
#[cfg(test)]
pub(super) const fn steps() -> usize {
    MIGRATIONS.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_numbered_in_order_and_every_statement_may_be_repeated() {
        let mut before = 0;
        for (number, text) in MIGRATIONS {
            assert!(*number > before, "numbers rise");
            before = *number;
            assert!(text.trim_end().ends_with(';'), "step {number} ends in the middle");
            for statement in statements(text) {
                assert!(statement.contains("IF NOT EXISTS"), "step {number}: {statement}");
                assert!(!statement.contains("ALLOW FILTERING"), "step {number}");
            }
        }
    }

    #[test]
    fn a_file_is_cut_at_the_ends_of_its_statements() {
        let file = "-- why\nCREATE TABLE a (\n  b int); -- after\nCREATE TABLE c (d int);\n";
        let cut = statements(file);
        assert_eq!(cut.len(), 2);
        assert!(cut[0].contains("b int)") && !cut[0].contains("why"));
    }
}
