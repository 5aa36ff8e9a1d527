//! Changes to an account's people in CQL: one at a time in each account, so that an account keeps an owner.
//!
//! Who changes an owner claims the account's staffing first. A claim whose holder stopped is taken over after the grace that every
//! claim has; a person's row is written only if nobody wrote it in between.

use super::{
    accounts::{USERS, claimed},
    claims::{Claim, Kind, Value},
    errors::missing,
    fields::values,
    revised::{Change, Stored},
    rows::Scylla,
};
use crate::{
    domain::{
        ids::{AccountId, UserId},
        time::Timestamp,
    },
    store::{
        AccountStore as _, StoreError, StoreResult,
        accounts::{Role, Staffing, User, UserChange},
    },
};

const MEMBER_OFF: &str = "DELETE FROM users_by_account WHERE account = ? AND user = ?";

impl Scylla {
    pub(super) async fn change_member(
        &self,
        account: AccountId,
        id: UserId,
        change: UserChange,
    ) -> StoreResult<Staffing> {
        let held = self.claim_staffing(account, change.at).await?;
        let done = self.change_claimed(account, id, change).await;
        self.unclaim(&staffing(account), held).await?;
        done
    }

    async fn change_claimed(
        &self,
        account: AccountId,
        id: UserId,
        change: UserChange,
    ) -> StoreResult<Staffing> {
        let before = self.member(account, id).await?;
        let leaves = before.role == Role::Owner && change.role.is_some_and(|role| role != Role::Owner);
        if leaves && self.is_last_owner(&before).await? {
            return Ok(Staffing::LastOwner);
        }
        let after = self
            .revise(&USERS, &values![id], |user: User| {
                let after = User {
                    name: change.name.clone().unwrap_or_else(|| user.name.clone()),
                    role: change.role.unwrap_or(user.role),
                    ..user
                };
                Ok(Change::Write(after.clone(), after))
            })
            .await?
            .ok_or_else(|| missing("user", id))?;
        Ok(Staffing::Changed(after))
    }

    pub(super) async fn delete_member(
        &self,
        account: AccountId,
        id: UserId,
        at: Timestamp,
    ) -> StoreResult<Staffing> {
        let held = self.claim_staffing(account, at).await?;
        let done = self.delete_claimed(account, id).await;
        self.unclaim(&staffing(account), held).await?;
        done
    }

    /// The row goes last: until then a repeat finds the person and goes on.
    async fn delete_claimed(&self, account: AccountId, id: UserId) -> StoreResult<Staffing> {
        let person = self.member(account, id).await?;
        if person.role == Role::Owner && self.is_last_owner(&person).await? {
            return Ok(Staffing::LastOwner);
        }
        self.delete_sessions_of(id).await?;
        for key in self.keys(account).await? {
            if key.user_id == id {
                self.delete_key(account, key.id).await?;
            }
        }
        let stored: Option<Stored<User>> = self.stored(&USERS, &values![id]).await?;
        let revision = stored.map(|stored| stored.revision);
        if !self
            .write_revision(&USERS, &values![id], revision, None, Vec::new())
            .await?
        {
            return Err(StoreError::Busy);
        }
        // An address whose person is gone is free in any case; this only makes it so at once.
        self.unclaim(&claimed(&person.email), *id.as_bytes()).await?;
        self.write(MEMBER_OFF, values![account, id]).await?;
        Ok(Staffing::Changed(person))
    }

    async fn member(&self, account: AccountId, id: UserId) -> StoreResult<User> {
        let person: Option<User> = self.find(&USERS, &values![id]).await?;
        person
            .filter(|person| person.account_id == account)
            .ok_or_else(|| missing("user", id))
    }

    async fn is_last_owner(&self, owner: &User) -> StoreResult<bool> {
        let people = self.users(owner.account_id).await?;
        Ok(!people
            .iter()
            .any(|person| person.role == Role::Owner && person.id != owner.id))
    }

    /// Returns who holds the claim: us, by a name of this one change.
    async fn claim_staffing(&self, account: AccountId, at: Timestamp) -> StoreResult<[u8; 16]> {
        let ours = Claim {
            owner: *UserId::fresh().as_bytes(),
            at,
        };
        let value = staffing(account);
        let mut holder = self.claim(&value, None, ours).await?;
        if holder.owner != ours.owner && !holder.is_young(at) {
            holder = self.claim(&value, Some(holder.owner), ours).await?;
        }
        if holder.owner == ours.owner {
            Ok(ours.owner)
        } else {
            Err(StoreError::Busy)
        }
    }
}

fn staffing(account: AccountId) -> Value {
    Value {
        kind: Kind::Staffing,
        scope: account.as_bytes().to_vec(),
        text: "staffing".to_owned(),
    }
}
