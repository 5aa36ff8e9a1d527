//! Lightweight transactions: writes that take place on a condition, decided by the database.
//!
//! Servers answer differently (Cassandra sends the old row only when it refuses, ScyllaDB always, and one per condition of a
//! batch), so nothing but `[applied]` is read, by its name. An error means that the outcome is *unknown*: the write may have taken
//! place or may still. Whoever made it reads at SERIAL and compares, and passes the error on when it is not there. What never left
//! this process is not unknown: it did not take place.

use std::{future::Future, sync::atomic::Ordering, time::Duration};

use scylla::{
    errors::{ExecutionError, PrepareError},
    response::query_result::QueryResult,
    serialize::row::SerializeRow,
    statement::batch::{Batch, BatchType},
    value::{CqlValue, Row},
};

use tokio::time::Instant;

use super::{
    errors::{NoRoom, NotPrepared, Unexpected},
    session::{Db, Statement, sent_once},
};
use crate::store::{StoreError, StoreResult};

const APPLIED: &str = "[applied]";
/// How long an outcome is looked up when the database does not answer at once: the connection that lost it is made anew meanwhile.
const LOOK_UP_MAX: Duration = Duration::from_secs(5);
const LOOK_UP_PAUSE: Duration = Duration::from_millis(50);

/// What the database decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Applied,
    Refused,
}

/// Statements on one partition of one table that take place together or not at all, on the conditions that some of them carry.
#[derive(Default)]
pub(super) struct Changes {
    statements: Vec<Statement>,
    values: Vec<Box<dyn SerializeRow + Send + Sync>>,
}

impl Changes {
    pub(super) fn add(&mut self, statement: Statement, values: impl SerializeRow + Send + Sync + 'static) {
        self.statements.push(statement);
        self.values.push(Box::new(values));
    }
}

impl Db {
    /// Carries out one conditional statement.
    ///
    /// # Errors
    /// The outcome is then unknown.
    pub(super) async fn conditional(
        &self,
        statement: Statement,
        values: impl SerializeRow,
    ) -> StoreResult<Verdict> {
        verdict(self.send_conditional(statement, values).await?)
    }

    /// Carries out changes as one lightweight transaction.
    ///
    /// # Errors
    /// The outcome is then unknown.
    pub(super) async fn conditional_batch(&self, changes: Changes) -> StoreResult<Verdict> {
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.set_retry_policy(Some(sent_once()));
        for statement in &changes.statements {
            batch.append_statement(self.prepared(*statement).await?);
        }
        let _room = self.room().await?;
        self.conditionals.fetch_add(1, Ordering::Relaxed);
        let (batch, values) = (&batch, changes.values);
        let sent = self
            .connection
            .send(|session| async move { session.batch(batch, values).await });
        verdict(sent.await??)
    }

    /// Looks after a conditional write whose outcome was lost: `took_place` reads at SERIAL.
    ///
    /// # Errors
    /// The lost outcome's own error, when the write is not there.
    pub(super) async fn settled<R>(
        &self,
        outcome: StoreResult<Verdict>,
        took_place: impl Fn() -> R + Send,
    ) -> StoreResult<Verdict>
    where
        R: Future<Output = StoreResult<bool>> + Send,
    {
        let error = match outcome {
            Err(error) if !was_never_sent(&error) => error,
            known => return known,
        };
        warn(
            &error,
            "the outcome of a conditional write is unknown: it is looked up",
        );
        match looked_up(took_place).await {
            Ok(true) => Ok(Verdict::Applied),
            Ok(false) => Err(error),
            Err(unread) => {
                warn(&unread, "the outcome of a conditional write stays unknown");
                Err(error)
            }
        }
    }
}

/// With every cause: the store's own error says little.
fn warn(error: &(dyn std::error::Error + 'static), message: &'static str) {
    tracing::warn!(error, message);
}

/// Reads until the database answers, or [`LOOK_UP_MAX`] is over.
///
/// # Errors
/// The last reading's.
pub(super) async fn looked_up<T, R>(read: impl Fn() -> R + Send) -> StoreResult<T>
where
    R: Future<Output = StoreResult<T>> + Send,
{
    let since = Instant::now();
    loop {
        match read().await {
            Err(StoreError::Unavailable(_) | StoreError::Busy) if since.elapsed() < LOOK_UP_MAX => {
                tokio::time::sleep(LOOK_UP_PAUSE).await;
            }
            answer => return answer,
        }
    }
}

/// Whether a request failed before anything of it left this process.
pub(super) fn was_never_sent(error: &StoreError) -> bool {
    let StoreError::Unavailable(cause) = error else {
        return false;
    };
    cause.is::<PrepareError>()
        || cause.is::<NotPrepared>()
        || cause.is::<NoRoom>()
        || matches!(
            cause.downcast_ref(),
            Some(
                ExecutionError::BadQuery(_)
                    | ExecutionError::EmptyPlan
                    | ExecutionError::PrepareError(_)
                    | ExecutionError::ConnectionPoolError(_)
            )
        )
}

/// Reads `[applied]` of the first row.
fn verdict(result: QueryResult) -> StoreResult<Verdict> {
    let rows = result.into_rows_result()?;
    let place = rows.column_specs().get_by_name(APPLIED).map(|(place, _)| place);
    let row = rows.maybe_first_row::<Row>()?;
    let applied = place.zip(row).and_then(|(place, row)| {
        let value = row.columns.into_iter().nth(place)??;
        match value {
            CqlValue::Boolean(applied) => Some(applied),
            _ => None,
        }
    });
    if applied.ok_or(Unexpected { what: APPLIED })? {
        Ok(Verdict::Applied)
    } else {
        Ok(Verdict::Refused)
    }
}
