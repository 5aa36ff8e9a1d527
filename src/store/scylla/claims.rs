//! Values that only one row may have: an e-mail address over all accounts, a phone number within one.
//!
//! A value is claimed before the row that has it is written, and the row is the truth: a claim counts while its owner's row
//! holds the value. What a crash left between the two is taken over after [`GRACE`], or at once when the owner is gone for good.

use std::time::Duration;

use super::{
    fields::values,
    rows::{Conditional, Scylla},
};
use crate::{
    domain::time::Timestamp,
    store::{StoreError, StoreResult},
};

/// How long a claim without its row is left to whoever made it.
pub(super) const GRACE: Duration = Duration::from_secs(10);

const READ: &str = "SELECT owner, at FROM claims WHERE kind = ? AND scope = ? AND value = ?";
const CLAIM: &str =
    "UPDATE claims SET owner = ?, at = ? WHERE kind = ? AND scope = ? AND value = ? IF owner = ?";

/// What is claimed. The numbers are in the database: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Email = 1,
    Phone = 2,
    /// The right to change who owns an account.
    Staffing = 3,
}

impl Kind {
    const fn number(self) -> i64 {
        match self {
            Self::Email => 1,
            Self::Phone => 2,
            Self::Staffing => 3,
        }
    }
}

/// A unique value.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) kind: Kind,
    /// Within what it is unique: an account's bytes, or nothing.
    pub(super) scope: Vec<u8>,
    pub(super) text: String,
}

/// Who has a value, since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) owner: [u8; 16],
    pub(super) at: Timestamp,
}

impl Claim {
    /// Whether its owner may still be about to write the row.
    pub(super) fn is_young(&self, now: Timestamp) -> bool {
        now.since(self.at) < GRACE
    }
}

impl Scylla {
    /// Who claims the value.
    pub(super) async fn claim_of(&self, value: &Value) -> StoreResult<Option<Claim>> {
        let key = values![value.kind.number(), value.scope, value.text];
        let Some(mut row) = self.select_one(READ, key).await? else {
            return Ok(None);
        };
        let owner: Option<[u8; 16]> = row.take_if_any(0)?;
        match owner {
            Some(owner) => Ok(Some(Claim {
                owner,
                at: row.take(1)?,
            })),
            None => Ok(None),
        }
    }

    /// Claims a value that `from` claims, or nobody. Returns who has it after that.
    pub(super) async fn claim(&self, value: &Value, from: Option<[u8; 16]>, to: Claim) -> StoreResult<Claim> {
        self.hand_over(value, from, Some(to))
            .await?
            .ok_or(StoreError::Busy)
    }

    /// Gives up a claim; another's is left alone.
    pub(super) async fn unclaim(&self, value: &Value, owner: [u8; 16]) -> StoreResult<()> {
        self.hand_over(value, Some(owner), None).await.map(drop)
    }

    /// Moves a claim and returns where it is: repeating it, or not knowing how it ended, changes nothing about the answer.
    async fn hand_over(
        &self,
        value: &Value,
        from: Option<[u8; 16]>,
        to: Option<Claim>,
    ) -> StoreResult<Option<Claim>> {
        let statement = values![
            to.map(|claim| claim.owner),
            to.map(|claim| claim.at),
            value.kind.number(),
            value.scope,
            value.text,
            from
        ];
        match self.conditional(vec![(CLAIM, statement)]).await? {
            Conditional::Applied => Ok(to),
            Conditional::Refused | Conditional::Unknown(_) => {
                let key = values![value.kind.number(), value.scope, value.text];
                let Some(mut row) = self.select_serial(READ, key).await? else {
                    return Ok(None);
                };
                let owner: Option<[u8; 16]> = row.take_if_any(0)?;
                owner
                    .map(|owner| {
                        Ok(Claim {
                            owner,
                            at: row.take(1)?,
                        })
                    })
                    .transpose()
            }
        }
    }
}
