//! Leads.

use async_trait::async_trait;

use super::{Page, PageRequest, StoreResult};
use crate::domain::{
    ids::{AccountId, LeadId},
    lead::Lead,
    phone::PhoneNumber,
};

#[async_trait]
pub trait LeadStore: Send + Sync {
    /// `Taken` when the phone number belongs to another lead of the account.
    async fn create(&self, lead: Lead) -> StoreResult<()>;
    /// Returns the lead with `lead.phone`, creating `lead` when there is none; the flag says whether it was created.
    async fn find_or_create_by_phone(&self, lead: Lead) -> StoreResult<(Lead, bool)>;
    /// Replaces a lead whole. `Missing` when it is gone, `Taken` when the phone is another's.
    async fn update(&self, lead: Lead) -> StoreResult<()>;
    async fn delete(&self, account_id: AccountId, id: LeadId) -> StoreResult<()>;
    async fn get(&self, account_id: AccountId, id: LeadId) -> StoreResult<Lead>;
    async fn by_phone(&self, account_id: AccountId, phone: &PhoneNumber) -> StoreResult<Option<Lead>>;
    async fn by_email(&self, account_id: AccountId, email: &str) -> StoreResult<Option<Lead>>;
    async fn list(&self, account_id: AccountId, page: PageRequest) -> StoreResult<Page<Lead>>;
}
