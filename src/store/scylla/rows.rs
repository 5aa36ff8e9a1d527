//! Statements whose values are put together at run time, and rows read by position: what the tables of single rows share.

use scylla::value;

pub(super) use super::database::Scylla;
use super::{
    fields::{Row, Values},
    lwt::{Changes, Verdict, looked_up, was_never_sent},
    session::Statement,
};
use crate::store::{StoreError, StoreResult};

/// What became of a conditional write.
pub(super) enum Conditional {
    Applied,
    Refused,
    /// It may have taken place or may still: to be read back at SERIAL.
    Unknown(StoreError),
}

impl Scylla {
    /// Reads every row.
    pub(super) async fn select(&self, text: &'static str, values: Values) -> StoreResult<Vec<Row>> {
        self.rows(Statement::read(text), values).await
    }

    /// Reads the first row.
    pub(super) async fn select_one(&self, text: &'static str, values: Values) -> StoreResult<Option<Row>> {
        Ok(self.select(text, values).await?.into_iter().next())
    }

    /// Reads every row, with every conditional write that was decided. Does not give up at once: it settles what is unknown.
    pub(super) async fn select_serially(&self, text: &'static str, values: Values) -> StoreResult<Vec<Row>> {
        looked_up(|| self.rows(Statement::serial_read(text), values.clone())).await
    }

    /// Reads the first row, with every conditional write that was decided.
    pub(super) async fn select_serial(&self, text: &'static str, values: Values) -> StoreResult<Option<Row>> {
        Ok(self.select_serially(text, values).await?.into_iter().next())
    }

    /// Carries out a plain write, which may be repeated.
    pub(super) async fn write(&self, text: &'static str, values: Values) -> StoreResult<()> {
        self.db.write(Statement::write(text), values).await
    }

    /// Carries out statements on one partition as one lightweight transaction.
    ///
    /// # Errors
    /// When it did not take place for certain. An outcome that is unknown is an answer of its own.
    pub(super) async fn conditional(
        &self,
        mut statements: Vec<(&'static str, Values)>,
    ) -> StoreResult<Conditional> {
        let single = if statements.len() == 1 {
            statements.pop()
        } else {
            None
        };
        let verdict = match single {
            Some((text, values)) => self.db.conditional(Statement::conditional(text), values).await,
            None => {
                let mut changes = Changes::default();
                for (text, values) in statements {
                    changes.add(Statement::conditional(text), values);
                }
                self.db.conditional_batch(changes).await
            }
        };
        Ok(match verdict {
            Ok(Verdict::Applied) => Conditional::Applied,
            Ok(Verdict::Refused) => Conditional::Refused,
            Err(error) if was_never_sent(&error) => return Err(error),
            Err(error) => Conditional::Unknown(error),
        })
    }

    async fn rows(&self, statement: Statement, values: Values) -> StoreResult<Vec<Row>> {
        let rows: Vec<value::Row> = self.db.rows(statement, values).await?;
        Ok(rows.into_iter().map(|row| Row(row.columns)).collect())
    }
}
