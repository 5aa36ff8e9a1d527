//! What phone numbers have opted out of that no lead has any more.
//!
//! Written before the lead loses its number: a crash in between leaves a row that the next lead with the number takes on, or that is
//! written anew when the lead loses it at last.

use super::{fields::values, rows::Scylla, values::body};
use crate::{
    domain::{consent::OptOut, erasure::opt_out_key, ids::AccountId, lead::Lead, phone::PhoneNumber},
    store::{StoreError, StoreResult},
};

const READ: &str = "SELECT body FROM opted_out_numbers WHERE account = ? AND phone = ?";
const WRITE: &str = "INSERT INTO opted_out_numbers (account, phone, body) VALUES (?, ?, ?)";
const DELETE: &str = "DELETE FROM opted_out_numbers WHERE account = ? AND phone = ?";

impl Scylla {
    /// What is kept under the hash of a number, or under the number itself, as the first versions kept it.
    pub(super) async fn kept_opt_out(&self, account: AccountId, key: &str) -> StoreResult<OptOut> {
        let Some(mut row) = self.select_one(READ, values![account, key]).await? else {
            return Ok(OptOut::default());
        };
        let text: String = row.take(0)?;
        serde_json::from_str(&text).map_err(|error| StoreError::Unavailable(Box::new(error)))
    }

    /// Keeps what a lead has opted out of with a number that it is about to lose.
    pub(super) async fn leave_opt_out(&self, lead: &Lead, phone: &PhoneNumber) -> StoreResult<()> {
        let (opt_out, key) = (lead.opt_out(), opt_out_key(lead.account_id, phone));
        if opt_out.opted_out {
            self.keep_opt_out(lead.account_id, &key, &opt_out).await?;
        } else {
            self.write(DELETE, values![lead.account_id, key]).await?;
        }
        self.write(DELETE, values![lead.account_id, phone.as_str()]).await
    }

    /// Keeps what a number has opted out of.
    pub(super) async fn keep_opt_out(
        &self,
        account: AccountId,
        key: &str,
        opt_out: &OptOut,
    ) -> StoreResult<()> {
        self.write(WRITE, values![account, key, body(opt_out)?]).await
    }

    /// The lead with what its number had opted out of.
    pub(super) async fn with_numbers_opt_out(&self, mut lead: Lead) -> StoreResult<Lead> {
        if let Some(phone) = lead.phone.clone() {
            for key in [opt_out_key(lead.account_id, &phone), phone.as_str().to_owned()] {
                lead.join_opt_out(&self.kept_opt_out(lead.account_id, &key).await?);
            }
        }
        Ok(lead)
    }
}
