//! Lightweight transactions: writes that take place on a condition, decided by the database.
//!
//! Servers answer differently (Cassandra sends the old row only when it refuses, ScyllaDB always, and one per condition of a
//! batch), so nothing but `[applied]` is read, by its name. An error means that the outcome is *unknown*: the write may have taken
//! place or may still. Whoever made it reads at SERIAL and compares, and passes the error on when it is not there.

use std::{future::Future, sync::atomic::Ordering};

use scylla::{
    response::query_result::QueryResult,
    serialize::row::SerializeRow,
    statement::batch::{Batch, BatchType},
    value::{CqlValue, Row},
};

use super::{
    errors::Unexpected,
    session::{Db, Statement},
};
use crate::store::StoreResult;

const APPLIED: &str = "[applied]";

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
        for statement in &changes.statements {
            batch.append_statement(self.prepared(*statement).await?);
        }
        self.conditionals.fetch_add(1, Ordering::Relaxed);
        verdict(self.session.batch(&batch, changes.values).await?)
    }

    /// Looks after a conditional write whose outcome was lost: `took_place` reads at SERIAL.
    ///
    /// # Errors
    /// The lost outcome's own error, when the write is not there.
    pub(super) async fn settled(
        &self,
        outcome: StoreResult<Verdict>,
        took_place: impl Future<Output = StoreResult<bool>>,
    ) -> StoreResult<Verdict> {
        let Err(error) = outcome else { return outcome };
        tracing::warn!(%error, "the outcome of a conditional write is unknown: it is looked up");
        match took_place.await {
            Ok(true) => Ok(Verdict::Applied),
            Ok(false) | Err(_) => Err(error),
        }
    }
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
