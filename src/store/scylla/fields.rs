//! How domain values look in a CQL column: ids as their 16 bytes, numbers and moments as `bigint`, words as `text`.
//!
//! Four column types are enough (`blob`, `bigint`, `text`, `boolean`), so every statement takes its values as one list.

use scylla::value::{CqlTimestamp, CqlValue};
use serde::de::DeserializeOwned;

use super::values::millis;
use crate::{
    domain::{
        consent::ContactChannel,
        ids::{
            AccountId, AlertId, CallId, KeyId, LeadId, MessageId, ObservationId, SessionId, TaskId, UserId,
            WebhookId, WorkflowId,
        },
        time::Timestamp,
    },
    store::{StoreError, StoreResult, accounts::Role},
};

/// The values of a statement, in its order.
pub(super) type Values = Vec<Option<CqlValue>>;

/// Makes the values of a statement.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::store::scylla::fields::Field::field(&$value)),*]
    };
}
pub(super) use values;

/// What can stand in a column.
pub(super) trait Field {
    fn field(&self) -> Option<CqlValue>;
}

/// What can be read from a column.
pub(super) trait FromField: Sized {
    /// `None` when the column holds another type.
    fn from_field(value: CqlValue) -> Option<Self>;
}

/// A column did not hold what this program writes there.
#[derive(Debug, thiserror::Error)]
#[error("column {at} of a row holds something else than expected")]
struct Malformed {
    at: usize,
}

/// A row as it came, read by position.
#[derive(Debug, Clone)]
pub(super) struct Row(pub(super) Vec<Option<CqlValue>>);

impl Row {
    /// Takes the value of a column; a second time it is gone.
    ///
    /// # Errors
    /// `Unavailable` when it is null or of another type.
    pub(super) fn take<T: FromField>(&mut self, at: usize) -> StoreResult<T> {
        self.take_if_any(at)?.ok_or_else(|| malformed(at))
    }

    /// As [`Row::take`], for a column that may be null.
    pub(super) fn take_if_any<T: FromField>(&mut self, at: usize) -> StoreResult<Option<T>> {
        match self.0.get_mut(at).map(Option::take) {
            Some(Some(value)) => T::from_field(value).map(Some).ok_or_else(|| malformed(at)),
            Some(None) => Ok(None),
            None => Err(malformed(at)),
        }
    }

    /// Reads a column that holds JSON.
    pub(super) fn take_json<T: DeserializeOwned>(&mut self, at: usize) -> StoreResult<T> {
        Ok(serde_json::from_str(&self.take::<String>(at)?)?)
    }
}

fn malformed(at: usize) -> StoreError {
    StoreError::Unavailable(Box::new(Malformed { at }))
}

macro_rules! id_fields {
    ($($name:ty),+ $(,)?) => {$(
        impl Field for $name {
            fn field(&self) -> Option<CqlValue> {
                Some(CqlValue::Blob(self.as_bytes().to_vec()))
            }
        }

        impl FromField for $name {
            fn from_field(value: CqlValue) -> Option<Self> {
                <[u8; 16]>::from_field(value).map(Self::from_bytes)
            }
        }
    )+};
}

id_fields!(
    AccountId,
    AlertId,
    CallId,
    KeyId,
    LeadId,
    MessageId,
    ObservationId,
    SessionId,
    TaskId,
    UserId,
    WebhookId,
    WorkflowId,
);

/// The numbers are in the database: never reuse one.
macro_rules! numbered_fields {
    ($($name:ident { $($variant:ident = $number:literal),+ $(,)? })+) => {$(
        impl Field for $name {
            fn field(&self) -> Option<CqlValue> {
                Some(CqlValue::BigInt(match self { $(Self::$variant => $number),+ }))
            }
        }

        impl FromField for $name {
            fn from_field(value: CqlValue) -> Option<Self> {
                match value {
                    $(CqlValue::BigInt($number) => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    )+};
}

numbered_fields! {
    ContactChannel { Sms = 0, Call = 1, Email = 2 }
    Role { Agent = 0, Supervisor = 1, Admin = 2, Owner = 3 }
}

impl<const N: usize> Field for [u8; N] {
    fn field(&self) -> Option<CqlValue> {
        Some(CqlValue::Blob(self.to_vec()))
    }
}

impl<const N: usize> FromField for [u8; N] {
    fn from_field(value: CqlValue) -> Option<Self> {
        match value {
            CqlValue::Blob(bytes) => bytes.try_into().ok(),
            _ => None,
        }
    }
}

impl Field for Vec<u8> {
    fn field(&self) -> Option<CqlValue> {
        Some(CqlValue::Blob(self.clone()))
    }
}

impl FromField for Vec<u8> {
    fn from_field(value: CqlValue) -> Option<Self> {
        match value {
            CqlValue::Blob(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl Field for str {
    fn field(&self) -> Option<CqlValue> {
        Some(CqlValue::Text(self.to_owned()))
    }
}

impl Field for String {
    fn field(&self) -> Option<CqlValue> {
        self.as_str().field()
    }
}

impl FromField for String {
    fn from_field(value: CqlValue) -> Option<Self> {
        match value {
            CqlValue::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Field for bool {
    fn field(&self) -> Option<CqlValue> {
        Some(CqlValue::Boolean(*self))
    }
}

impl FromField for bool {
    fn from_field(value: CqlValue) -> Option<Self> {
        match value {
            CqlValue::Boolean(is_so) => Some(is_so),
            _ => None,
        }
    }
}

impl Field for i64 {
    fn field(&self) -> Option<CqlValue> {
        Some(CqlValue::BigInt(*self))
    }
}

impl FromField for i64 {
    fn from_field(value: CqlValue) -> Option<Self> {
        match value {
            CqlValue::BigInt(number) => Some(number),
            _ => None,
        }
    }
}

/// A count beyond what a `bigint` holds is kept as the largest one.
impl Field for u64 {
    fn field(&self) -> Option<CqlValue> {
        Some(CqlValue::BigInt(i64::try_from(*self).unwrap_or(i64::MAX)))
    }
}

impl FromField for u64 {
    fn from_field(value: CqlValue) -> Option<Self> {
        i64::from_field(value).and_then(|number| Self::try_from(number).ok())
    }
}

impl Field for u32 {
    fn field(&self) -> Option<CqlValue> {
        Some(CqlValue::BigInt(i64::from(*self)))
    }
}

impl FromField for u32 {
    fn from_field(value: CqlValue) -> Option<Self> {
        i64::from_field(value).and_then(|number| Self::try_from(number).ok())
    }
}

impl Field for u16 {
    fn field(&self) -> Option<CqlValue> {
        Some(CqlValue::BigInt(i64::from(*self)))
    }
}

impl FromField for u16 {
    fn from_field(value: CqlValue) -> Option<Self> {
        i64::from_field(value).and_then(|number| Self::try_from(number).ok())
    }
}

impl Field for Timestamp {
    fn field(&self) -> Option<CqlValue> {
        self.as_unix_millis().field()
    }
}

impl FromField for Timestamp {
    fn from_field(value: CqlValue) -> Option<Self> {
        u64::from_field(value).map(Self::from_unix_millis)
    }
}

/// For `LIMIT ?` and `USING TTL ?`, which take an `int`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Int(pub(super) u32);

impl Field for Int {
    fn field(&self) -> Option<CqlValue> {
        Some(CqlValue::Int(i32::try_from(self.0).unwrap_or(i32::MAX)))
    }
}

/// For a column that is a `timestamp`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(pub(super) Timestamp);

impl Field for Moment {
    fn field(&self) -> Option<CqlValue> {
        Some(CqlValue::Timestamp(CqlTimestamp(millis(self.0))))
    }
}

impl<T: Field> Field for Option<T> {
    fn field(&self) -> Option<CqlValue> {
        self.as_ref().and_then(Field::field)
    }
}

impl<T: Field + ?Sized> Field for &T {
    fn field(&self) -> Option<CqlValue> {
        (**self).field()
    }
}
