//! How domain values look in a column: ids as their 16 bytes, moments as milliseconds, states as small numbers.

use rusqlite::{
    Connection, Params, ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};
use serde::{Serialize, de::DeserializeOwned};

use super::cursor::{Position, Window};
use crate::{
    domain::{
        consent::ContactChannel,
        ids::{
            AccountId, AlertId, CallId, KeyId, LeadId, MessageId, ObservationId, RunId, SessionId, TaskId,
            UserId, WebhookId, WorkflowId,
        },
        shard::Shard,
        time::Timestamp,
    },
    store::{
        Page, Recorded, StoreError, StoreResult,
        accounts::Role,
        runs::{EffectState, RunStatus},
    },
};

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

macro_rules! id_columns {
    ($($name:ty),+ $(,)?) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.as_bytes())))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let bytes = value.as_blob()?;
                bytes.try_into().map(Self::from_bytes).map_err(|_wrong_length| FromSqlError::InvalidType)
            }
        }
    )+};
}

id_columns!(
    AccountId,
    AlertId,
    CallId,
    KeyId,
    LeadId,
    MessageId,
    ObservationId,
    RunId,
    SessionId,
    TaskId,
    UserId,
    WebhookId,
    WorkflowId,
);

/// The numbers are on disk: never reuse one.
macro_rules! numbered_columns {
    ($($name:ident { $($variant:ident = $number:literal),+ $(,)? })+) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let number: i64 = match self { $(Self::$variant => $number),+ };
                Ok(number.into())
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                match value.as_i64()? {
                    $($number => Ok(Self::$variant),)+
                    other => Err(FromSqlError::OutOfRange(other)),
                }
            }
        }
    )+};
}

numbered_columns! {
    RunStatus { Running = 0, Waiting = 1, Stuck = 2, Completed = 3, Failed = 4, Cancelled = 5 }
    EffectState { Claimed = 0, Confirmed = 1, Rejected = 2, Unknown = 3, Absent = 4 }
    ContactChannel { Sms = 0, Call = 1, Email = 2 }
    Role { Agent = 0, Supervisor = 1, Admin = 2, Owner = 3 }
}

impl ToSql for Timestamp {
    /// Later than the year 292 million is kept as that.
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(millis(*self).into())
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Count::column_result(value).map(|count| Self::from_unix_millis(count.0))
    }
}

/// Milliseconds of a moment as SQLite keeps them.
pub(super) fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.as_unix_millis()).unwrap_or(i64::MAX)
}

/// The last byte of every id in a shard, as `substr(id, 16, 1)` gives it; NULL for all shards.
pub(super) fn last_byte(shard: Option<Shard>) -> Option<[u8; 1]> {
    let [_, byte] = shard?.number().to_be_bytes();
    Some([byte])
}

/// A `u64` that counts something: SQLite's integers are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Count(pub(super) u64);

impl ToSql for Count {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        i64::try_from(self.0)
            .map(ToSqlOutput::from)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    }
}

impl FromSql for Count {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        u64::try_from(number)
            .map(Self)
            .map_err(|_negative| FromSqlError::OutOfRange(number))
    }
}

/// The JSON of a row that is always read and written whole.
pub(super) fn body(value: &impl Serialize) -> StoreResult<String> {
    Ok(serde_json::to_string(value)?)
}

/// Reads the one JSON body that `sql` finds, if it finds any.
pub(super) fn find<T: DeserializeOwned>(
    db: &Connection,
    sql: &str,
    params: impl Params,
) -> StoreResult<Option<T>> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    match rows.next()? {
        Some(row) => Ok(Some(serde_json::from_str(
            row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?,
        )?)),
        None => Ok(None),
    }
}

/// Reads all JSON bodies that `sql` finds, in its order.
pub(super) fn bodies<T: DeserializeOwned>(
    db: &Connection,
    sql: &str,
    params: impl Params,
) -> StoreResult<Vec<T>> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(serde_json::from_str(
            row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?,
        )?);
    }
    Ok(items)
}

/// Reads a page of JSON bodies. `sql` gives `(at, id, body)` after the position `?1`, `?2`, at most `?3`; the values of `scope`
/// are `?4` and on.
pub(super) fn page_of_bodies<T: DeserializeOwned>(
    db: &Connection,
    sql: &str,
    scope: &[&dyn ToSql],
    window: &Window,
) -> StoreResult<Page<T>> {
    let mut params: Vec<&dyn ToSql> = vec![&window.after.at, &window.after.id, &window.fetch];
    params.extend_from_slice(scope);
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params.as_slice())?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        let position = Position {
            at: row.get(0)?,
            id: row.get(1)?,
        };
        let item = serde_json::from_str(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?;
        items.push((position, item));
    }
    Ok(window.page(items))
}

/// What an insert that may meet its own earlier self did.
pub(super) const fn recorded(inserted: usize) -> Recorded {
    if inserted == 0 {
        Recorded::Duplicate
    } else {
        Recorded::Fresh
    }
}

/// The error for a row that is not there, or is another account's: the two look the same on purpose.
pub(super) fn missing(what: &'static str, id: impl std::fmt::Display) -> StoreError {
    StoreError::Missing {
        what,
        id: id.to_string(),
    }
}
