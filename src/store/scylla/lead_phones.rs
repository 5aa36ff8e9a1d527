//! Whose a phone number is: a claim on the number, and the lead that holds it.
//!
//! The claim comes first. What it says is judged by the lead it names: a lead that has the number owns it; a lead that is gone
//! for good, or has another number and had time enough, loses it. Before a living lead loses a number it is moved to its next
//! revision, so that whoever was about to write the number into it has to look again.

use super::{
    claims::{Claim, Kind, Value},
    fields::values,
    leads::TABLE,
    revised::{Stored, TRIES_MAX},
    rows::Scylla,
    values::body,
};
use crate::{
    domain::{
        ids::{AccountId, LeadId},
        lead::Lead,
        phone::PhoneNumber,
        time::Timestamp,
    },
    store::{StoreError, StoreResult},
};

/// Who has a phone number.
pub(super) enum Holder {
    Nobody,
    Lead(Box<Lead>),
    /// The number was claimed for a lead that is not written yet.
    Unborn(Claim),
    /// The claim's owner does not have the number: it is about to, or a crash left the claim behind.
    Other(Claim, Option<Box<Stored<Lead>>>),
}

pub(super) fn claimed(account: AccountId, phone: &PhoneNumber) -> Value {
    Value {
        kind: Kind::Phone,
        scope: account.as_bytes().to_vec(),
        text: phone.as_str().to_owned(),
    }
}

impl Scylla {
    /// Who has the number, as the claim and its lead say.
    pub(super) async fn phone_holder(
        &self,
        account: AccountId,
        phone: &PhoneNumber,
        claim: Option<Claim>,
    ) -> StoreResult<Holder> {
        let Some(claim) = claim else {
            return Ok(Holder::Nobody);
        };
        let lead: Option<Stored<Lead>> = self.stored(&TABLE, &values![account, claim.owner]).await?;
        let Some(stored) = lead else {
            return Ok(Holder::Unborn(claim));
        };
        Ok(match stored.value {
            Some(lead) if lead.phones().any(|own| own == phone) => Holder::Lead(Box::new(lead)),
            Some(_) => Holder::Other(claim, Some(Box::new(stored))),
            None => Holder::Other(claim, None),
        })
    }

    /// Claims a number for a lead. `Taken` when another has it, or is about to.
    pub(super) async fn claim_phone(
        &self,
        account: AccountId,
        phone: &PhoneNumber,
        lead: LeadId,
        at: Timestamp,
    ) -> StoreResult<()> {
        let value = claimed(account, phone);
        let ours = Claim {
            owner: *lead.as_bytes(),
            at,
        };
        let mut holder = None;
        for _ in 0..TRIES_MAX {
            let claim = self.claim(&value, holder, ours).await?;
            if claim.owner == ours.owner {
                return Ok(());
            }
            holder = match self.phone_holder(account, phone, Some(claim)).await? {
                Holder::Lead(_) => return Err(StoreError::Taken { field: "phone" }),
                Holder::Nobody => None,
                Holder::Unborn(claim) => self.bury(account, claim, at).await?,
                Holder::Other(claim, stored) => self.part(account, claim, stored, at).await?,
            };
        }
        Err(StoreError::Busy)
    }

    /// Sees to it that a lead that was never written never is. Returns whose claim may be taken over then.
    async fn bury(&self, account: AccountId, claim: Claim, now: Timestamp) -> StoreResult<Option<[u8; 16]>> {
        if claim.is_young(now) {
            return Err(StoreError::Taken { field: "phone" });
        }
        let key = values![account, claim.owner];
        let buried = self.write_revision(&TABLE, &key, None, None, Vec::new()).await?;
        Ok(buried.then_some(claim.owner))
    }

    /// Parts a lead from a number that it claims and does not have. Returns whose claim may be taken over then.
    pub(super) async fn part(
        &self,
        account: AccountId,
        claim: Claim,
        stored: Option<Box<Stored<Lead>>>,
        now: Timestamp,
    ) -> StoreResult<Option<[u8; 16]>> {
        let Some(stored) = stored else {
            return Ok(Some(claim.owner));
        };
        if claim.is_young(now) {
            return Err(StoreError::Taken { field: "phone" });
        }
        let same = body(&stored.value)?;
        let key = values![account, claim.owner];
        let moved = self
            .write_revision(&TABLE, &key, Some(stored.revision), Some(&same), Vec::new())
            .await?;
        Ok(moved.then_some(claim.owner))
    }
}
