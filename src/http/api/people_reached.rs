//! The leads behind addresses that a trial came upon: the gate judges each of them.

use std::collections::BTreeSet;

use crate::{
    domain::{ids::AccountId, lead::Lead, phone::PhoneNumber},
    http::{context::Context, error::ApiResult},
};

/// Most addresses that are looked up for one trial; what lies beyond counts as nobody's.
const ADDRESSES_MAX: usize = 200;

/// Returns the account's leads behind these numbers and mail addresses.
pub(super) async fn leads_behind(
    context: &Context,
    account_id: AccountId,
    addresses: &BTreeSet<String>,
) -> ApiResult<Vec<Lead>> {
    let leads = &context.store.leads;
    let mut found = Vec::new();
    for address in addresses.iter().take(ADDRESSES_MAX) {
        let lead = match address.parse::<PhoneNumber>() {
            Ok(number) => leads.by_phone(account_id, &number).await?,
            Err(_) => leads.by_email(account_id, address).await?,
        };
        found.extend(lead);
    }
    Ok(found)
}
