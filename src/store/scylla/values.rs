//! How domain values look in a column: ids as their 16 bytes, moments as milliseconds, states as small numbers.
//!
//! Ids are `blob` and not `uuid`: every server compares blobs byte by byte, which is their order in time.

use scylla::{
    deserialize::{DeserializationError, FrameSlice, TypeCheckError, value::DeserializeValue},
    frame::response::result::ColumnType,
    serialize::{
        SerializationError,
        value::SerializeValue,
        writers::{CellWriter, WrittenCellProof},
    },
    value::CqlTimestamp,
};
use serde::de::DeserializeOwned;

use super::errors::Unexpected;
use crate::{
    domain::{
        consent::ContactChannel,
        ids::{
            AccountId, AlertId, CallId, KeyId, LeadId, MessageId, NodeId, ObservationId, RunId, SessionId,
            TaskId, UserId, WorkflowId,
        },
        shard::Shard,
        time::Timestamp,
    },
    store::{
        StoreResult,
        accounts::Role,
        runs::{EffectState, RunStatus},
    },
};

/// A value that a column cannot have been given by us.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not a value of this column")]
struct Foreign(String);

fn foreign(value: impl std::fmt::Debug) -> DeserializationError {
    DeserializationError::new(Foreign(format!("{value:?}")))
}

macro_rules! id_columns {
    ($($name:ty),+ $(,)?) => {$(
        impl SerializeValue for $name {
            fn serialize<'b>(
                &self,
                typ: &ColumnType<'_>,
                writer: CellWriter<'b>,
            ) -> Result<WrittenCellProof<'b>, SerializationError> {
                self.as_bytes().as_slice().serialize(typ, writer)
            }
        }

        impl<'frame, 'metadata> DeserializeValue<'frame, 'metadata> for $name {
            fn type_check(typ: &ColumnType<'_>) -> Result<(), TypeCheckError> {
                <&[u8]>::type_check(typ)
            }

            fn deserialize(
                typ: &'metadata ColumnType<'metadata>,
                value: Option<FrameSlice<'frame>>,
            ) -> Result<Self, DeserializationError> {
                let bytes = <&[u8]>::deserialize(typ, value)?;
                bytes.try_into().map(Self::from_bytes).map_err(|_wrong_length| foreign(bytes))
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
    NodeId,
    ObservationId,
    RunId,
    SessionId,
    TaskId,
    UserId,
    WorkflowId,
);

/// `tinyint` columns. The numbers are on disk, the same in every store: never reuse one.
macro_rules! numbered_columns {
    ($($name:ident { $($variant:ident = $number:literal),+ $(,)? })+) => {$(
        impl SerializeValue for $name {
            fn serialize<'b>(
                &self,
                typ: &ColumnType<'_>,
                writer: CellWriter<'b>,
            ) -> Result<WrittenCellProof<'b>, SerializationError> {
                let number: i8 = match self { $(Self::$variant => $number),+ };
                number.serialize(typ, writer)
            }
        }

        impl<'frame, 'metadata> DeserializeValue<'frame, 'metadata> for $name {
            fn type_check(typ: &ColumnType<'_>) -> Result<(), TypeCheckError> {
                i8::type_check(typ)
            }

            fn deserialize(
                typ: &'metadata ColumnType<'metadata>,
                value: Option<FrameSlice<'frame>>,
            ) -> Result<Self, DeserializationError> {
                match i8::deserialize(typ, value)? {
                    $($number => Ok(Self::$variant),)+
                    other => Err(foreign(other)),
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

/// `timestamp` columns.
impl SerializeValue for Timestamp {
    fn serialize<'b>(
        &self,
        typ: &ColumnType<'_>,
        writer: CellWriter<'b>,
    ) -> Result<WrittenCellProof<'b>, SerializationError> {
        CqlTimestamp(millis(*self)).serialize(typ, writer)
    }
}

impl<'frame, 'metadata> DeserializeValue<'frame, 'metadata> for Timestamp {
    fn type_check(typ: &ColumnType<'_>) -> Result<(), TypeCheckError> {
        CqlTimestamp::type_check(typ)
    }

    fn deserialize(
        typ: &'metadata ColumnType<'metadata>,
        value: Option<FrameSlice<'frame>>,
    ) -> Result<Self, DeserializationError> {
        let CqlTimestamp(millis) = CqlTimestamp::deserialize(typ, value)?;
        u64::try_from(millis)
            .map(Self::from_unix_millis)
            .map_err(|_before_1970| foreign(millis))
    }
}

/// `smallint` columns.
impl SerializeValue for Shard {
    fn serialize<'b>(
        &self,
        typ: &ColumnType<'_>,
        writer: CellWriter<'b>,
    ) -> Result<WrittenCellProof<'b>, SerializationError> {
        i16::try_from(self.number())
            .map_err(SerializationError::new)?
            .serialize(typ, writer)
    }
}

impl<'frame, 'metadata> DeserializeValue<'frame, 'metadata> for Shard {
    fn type_check(typ: &ColumnType<'_>) -> Result<(), TypeCheckError> {
        i16::type_check(typ)
    }

    fn deserialize(
        typ: &'metadata ColumnType<'metadata>,
        value: Option<FrameSlice<'frame>>,
    ) -> Result<Self, DeserializationError> {
        let number = i16::deserialize(typ, value)?;
        u16::try_from(number)
            .ok()
            .and_then(Self::new)
            .ok_or_else(|| foreign(number))
    }
}

/// Numbers that are never negative: CQL's integers are signed.
macro_rules! unsigned_columns {
    ($($(#[$doc:meta])+ $name:ident($number:ty) as $column:ty;)+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) struct $name(pub(super) $number);

        impl SerializeValue for $name {
            fn serialize<'b>(
                &self,
                typ: &ColumnType<'_>,
                writer: CellWriter<'b>,
            ) -> Result<WrittenCellProof<'b>, SerializationError> {
                <$column>::try_from(self.0)
                    .map_err(SerializationError::new)?
                    .serialize(typ, writer)
            }
        }

        impl<'frame, 'metadata> DeserializeValue<'frame, 'metadata> for $name {
            fn type_check(typ: &ColumnType<'_>) -> Result<(), TypeCheckError> {
                <$column>::type_check(typ)
            }

            fn deserialize(
                typ: &'metadata ColumnType<'metadata>,
                value: Option<FrameSlice<'frame>>,
            ) -> Result<Self, DeserializationError> {
                let number = <$column>::deserialize(typ, value)?;
                <$number>::try_from(number)
                    .map(Self)
                    .map_err(|_negative| foreign(number))
            }
        }
    )+};
}

unsigned_columns! {
    /// A count in a `bigint` column.
    Count(u64) as i64;
    /// A small count in an `int` column.
    Small(u32) as i32;
}

/// Milliseconds of a moment as a column keeps them; later than the year 292 million is kept as that.
pub(super) fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.as_unix_millis()).unwrap_or(i64::MAX)
}

/// The moment of a position in a list: the bound of a first page lies beyond every moment.
pub(super) const fn moment(millis: i64) -> CqlTimestamp {
    CqlTimestamp(millis)
}

/// The JSON of a row that is always read and written whole.
pub(super) fn body(value: &impl serde::Serialize) -> StoreResult<String> {
    Ok(serde_json::to_string(value)?)
}

/// Reads back what [`body`] wrote.
pub(super) fn from_body<T: DeserializeOwned>(body: &str) -> StoreResult<T> {
    Ok(serde_json::from_str(body)?)
}

/// A column that every row of ours has.
pub(super) fn present<T>(value: Option<T>, what: &'static str) -> StoreResult<T> {
    Ok(value.ok_or(Unexpected { what })?)
}
